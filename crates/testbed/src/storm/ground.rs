//! The storm's cluster: four servers and six groups that cross each other, and where the world can be asked about each group.

use crate::{
    conf::{ClusterConf, Group, Heartbeat},
    options::{FileSystem, Net, Options},
    storm::plan::{GROUPS, INTERVAL_MS, SERVERS, TIMEOUT_MS},
};
use std::path::PathBuf;

/// Longest time a script may take, in seconds: a stop script that hangs is killed then.
const SCRIPT_LIMIT: u32 = 6;
/// How long starting servers wait for each other in milliseconds.
const SYNC_WAIT_MS: u32 = 15_000;
/// Where scripts look whether they shall fail; it outlives boots.
pub const ORDERS: &str = "/var/storm";
/// How long a server that stands still may go on for at most, beside its successor, before the watchdog has reset it: what
/// docs/safety.md promises for addresses without a gate in the kernel, and for processes of groups without data.
pub const UNGATED_MS: u64 = 2000;

/// Where a group can be seen from outside.
#[derive(Debug, Clone, Copy)]
pub struct Traces {
    /// Its floating address.
    pub address: Option<&'static str>,
    /// Its partition of the shared disk, counted from the first for data (0 is `/dev/sdb2`).
    pub partition: Option<usize>,
    /// TCP port on which its application listens.
    pub port: u16,
}

/// The traces of a group, by its index in [`GROUPS`].
pub const TRACES: [Traces; GROUPS.len()] = [
    Traces { address: Some("10.0.0.21"), partition: Some(0), port: 8081 },
    Traces { address: Some("10.0.0.22"), partition: Some(1), port: 8082 },
    Traces { address: Some("10.0.0.23"), partition: None, port: 8083 },
    Traces { address: None, partition: None, port: 8084 },
    Traces { address: None, partition: None, port: 8085 },
    Traces { address: Some("10.0.0.26"), partition: None, port: 8086 },
];

/// The lab of the storm with its configuration in a directory.
pub fn options(conf: PathBuf) -> Options {
    Options { servers: SERVERS, conf: Some(conf), file_system: FileSystem::Ext3, data_partitions: 2, ..Options::default() }
}

/// The configuration.
pub fn configuration() -> ClusterConf {
    let conf = ClusterConf::new(SERVERS)
        .times(TIMEOUT_MS, INTERVAL_MS)
        .own(&format!("<bootwait>{SYNC_WAIT_MS}</bootwait><reboot><max>99</max></reboot>"))
        .heartbeat(Heartbeat::Lankhb(Net::Interconnect))
        .heartbeat(Heartbeat::Lanhb(Net::Public))
        .heartbeat(Heartbeat::Diskhb)
        // One target, on one network: two servers that each reach one network only would both have a Yes by two targets.
        .ping(&["10.0.0.254"])
        .group(data("data1", 0, &[1, 2, 3, 4], true))
        .group(data("data2", 1, &[2, 3, 4, 1], false))
        .group(web("web1", 2, &[3, 4, 1, 2]).parameters("<failback>1</failback>"))
        .group(job("job1", 3, &[4, 1, 2, 3]))
        .group(plain("only1", 4, &[1, 3, 2, 4]).parameters("<exclusive>1</exclusive>"))
        .group(web("only2", 5, &[2, 4, 1, 3]).parameters("<exclusive>1</exclusive>"));
    let failover = |group: &str, restarts: u32, failovers: u32| {
        format!(
            "<relation><type>grp</type><name>{group}</name></relation><emergency><threshold><restart>{restarts}</restart><fo>{failovers}</fo></threshold><action>2</action></emergency>"
        )
    };
    let polling = "<polling><interval>2</interval><timeout>6</timeout><timing>1</timing></polling>";
    let mut conf = conf;
    for (group, partition) in [("data1", "sdb2"), ("data2", "sdb3")] {
        let object = format!("<parameters><method>3</method><object>/dev/{partition}</object></parameters>");
        let elements = format!("<target>{group}-disk</target>{polling}{object}{}", failover(group, 0, 1));
        conf = conf.monitor("diskw", &format!("diskw-{group}"), &elements);
    }
    for group in ["data1", "job1"] {
        let polling = "<polling><interval>1</interval><timeout>5</timeout><timing>1</timing></polling>";
        let elements = format!("<target>{group}-exec</target>{polling}{}", failover(group, 3, 1));
        conf = conf.monitor("pidw", &format!("pidw-{group}"), &elements);
    }
    // Links are cut faster than a monitor forgets that it was well for long.
    let link =
        format!("<target>web1-fip</target>{polling}<parameters><object>eth0</object></parameters>{}", failover("web1", 0, 9));
    conf.monitor("miiw", "miiw-web1", &link)
}

/// Address, file system and a counter that acknowledges a number when it is on the disk.
fn data(name: &str, index: usize, policy: &[u32], resident: bool) -> Group {
    let Traces { address, port, partition } = TRACES[index];
    let (address, partition) = (address.unwrap_or_default(), format!("sdb{}", 2 + partition.unwrap_or_default()));
    let group = Group::new(name).policy(policy).script_limit(SCRIPT_LIMIT);
    let group = group.address(&format!("{name}-fip"), address).disk(&format!("{name}-disk"), &partition);
    application(
        group,
        name,
        &format!("\"$CLP_PATH/bin/counter\" serve --listen {address}:{port} --data /mnt/{partition}/counter.db"),
        resident,
    )
}

/// An address and an application that answers at it.
fn web(name: &str, index: usize, policy: &[u32]) -> Group {
    let Traces { address, port, .. } = TRACES[index];
    let address = address.unwrap_or_default();
    let group = Group::new(name).policy(policy).script_limit(SCRIPT_LIMIT).address(&format!("{name}-fip"), address);
    application(group, name, &format!("\"$CLP_PATH/bin/testbed\" responder {address}:{port}"), false)
}

/// A process and nothing else, by scripts.
fn plain(name: &str, index: usize, policy: &[u32]) -> Group {
    let group = Group::new(name).policy(policy).script_limit(SCRIPT_LIMIT);
    application(group, name, &format!("\"$CLP_PATH/bin/testbed\" responder 0.0.0.0:{}", TRACES[index].port), false)
}

/// A process and nothing else, that is its start script.
fn job(name: &str, index: usize, policy: &[u32]) -> Group {
    let group = Group::new(name).policy(policy).script_limit(SCRIPT_LIMIT);
    application(group, name, &format!("\"$CLP_PATH/bin/testbed\" responder 0.0.0.0:{}", TRACES[index].port), true)
}

fn application(group: Group, name: &str, command: &str, resident: bool) -> Group {
    let exec = format!("{name}-exec");
    if resident {
        // The end of the group's processes is the product's work.
        return group.resident(&exec, &format!("#! /bin/sh\nexec {command}\n"), "#! /bin/sh\nexit 0\n");
    }
    // Synchronous: it returns when the application answers, or says that it does not.
    let port = command.rsplit(':').next().and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    let start = format!(
        "#! /bin/sh\n[ -e {ORDERS}/{name}.start-fails ] && exit 1\nsetsid {command} </dev/null >/dev/null 2>&1 &\n\
         n=0\nuntil ss -Hltn 'sport = :{port}' | grep -q .; do\n    n=$((n + 1))\n    [ $n -gt 80 ] && exit 1\n    sleep 0.05\ndone\nexit 0\n"
    );
    let stop = format!("#! /bin/sh\nwhile [ -e {ORDERS}/{name}.stop-hangs ]; do sleep 0.2; done\nexit 0\n");
    group.exec(&exec, &start, &stop)
}
