//! The figure `whatif`: how long all single and double losses of a large cluster take to be answered. No lab: the world of `clp-whatif` alone.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Result, anyhow, bail};
use clp_testbed::Net;
use clp_testbed::conf::{ClusterConf, Group, Heartbeat};
use clp_whatif::{Fault, Surroundings, World};

use crate::figures::Figures;

const SERVERS: u32 = 8;
const GROUPS: u32 = 40;
/// Shared disks, each with the file systems of as many groups.
const DISKS: u32 = 4;

/// One sample: from the picture of a running cluster to the last answer.
pub fn measure(figures: &mut Figures) -> Result<()> {
    let document = clp_config::Document::read(conf().text().as_bytes())?;
    let configuration =
        clp_config::Configuration::from_document(&document).map_err(|problems| anyhow!("the configuration is wrong: {problems:?}"))?;
    let (plan, around) = (clp_core::configured::plan(&configuration), Surroundings::of(&configuration));
    let started = World::booted(plan.clone(), around.clone());
    let Some(present) = started.present(clp_core::ids::ServerId(0)) else { bail!("server1 does not run") };
    let since = Instant::now();
    let world = World::continued(plan, around, &present).map_err(|reason| anyhow!("{reason:?}"))?;
    let singles = Fault::singles(world.around(), world.running());
    let mut questions: Vec<Vec<Fault>> = singles.iter().map(|fault| vec![*fault]).collect();
    questions.extend(Fault::doubles(&singles).iter().map(|pair| pair.to_vec()));
    let (next, unsettled) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(question) = questions.get(next.fetch_add(1, Ordering::Relaxed)) {
                    unsettled.fetch_add(usize::from(world.ask(question).unsettled), Ordering::Relaxed);
                }
            });
        }
    });
    eprintln!("{} questions, {} of them without a settled answer", questions.len(), unsettled.into_inner());
    figures.add("whatif", since.elapsed().as_secs_f64());
    Ok(())
}

/// Two LANs and a disk heartbeat, a ping target; every group has an address, an application and a file system on one of the disks, whose
/// monitor fails it over.
fn conf() -> ClusterConf {
    let mut conf = ClusterConf::new(SERVERS).heartbeat(Heartbeat::Lankhb(Net::Interconnect)).heartbeat(Heartbeat::Lanhb(Net::Public));
    conf = conf.heartbeat(Heartbeat::Diskhb).ping(&["192.168.0.254"]).own("<cluster><bootwait>1</bootwait></cluster>");
    for number in 0..GROUPS {
        let policy: Vec<u32> = (0..SERVERS).map(|place| (number + place) % SERVERS + 1).collect();
        let device = format!("/dev/sd{}{}", char::from(b'c' + u8::try_from(number % DISKS).unwrap_or(0)), number / DISKS + 1);
        let group = Group::new(&format!("group{number}")).policy(&policy);
        let group = group.resource("fip", &format!("fip{number}"), &format!("<parameters><ip>10.0.0.{}</ip></parameters>", 100 + number));
        let disk = format!("<parameters><fs>ext4</fs><device>{device}</device><mount><point>/mnt/{number}</point></mount></parameters>");
        let group = group.resource("disk", &format!("disk{number}"), &disk);
        let group = group.resource("exec", &format!("exec{number}"), "<parameters><act><path>start.sh</path></act></parameters>");
        conf = conf.group(group);
        let watch = format!(
            "<polling><timing>1</timing></polling><target>disk{number}</target><relation><type>grp</type><name>group{number}</name></relation>\
             <emergency><threshold><restart>0</restart><fo>1</fo></threshold></emergency><parameters><object>{device}</object></parameters>"
        );
        conf = conf.monitor("diskw", &format!("diskw{number}"), &watch);
    }
    conf
}
