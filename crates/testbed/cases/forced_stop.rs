//! Forced stop: a lost server is switched off by its BMC and read back off before anything of it is taken over. The BMCs are the real
//! simulator of OpenIPMI, their chassis are the lab's servers.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod cluster;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use clp_testbed::bmc::{Bmc, PASSWORD, USER};
use clp_testbed::{Cut, Lab, Net, Phase};
use cluster::{Cluster, Conf};

/// On every server, with the password of the BMCs.
const PASSWORD_FILE: &str = "/opt/mainstay/etc/bmc.password";
const ADDRESSES: [(&str, &str); 2] = [("server1", "10.0.0.201"), ("server2", "10.0.0.202")];

/// The sample with a forced stop by IPMI, looked at every second. No monitor looks at the links.
fn conf() -> Conf {
    let mut conf = Conf::sample()
        .with("\t<mainstay>", "\t<mainstay><forcestop><use>1</use><timeout>8000</timeout><interval>1000</interval></forcestop>");
    for (server, address) in ADDRESSES {
        let element = format!("<server name=\"{server}\">");
        let bmc = format!(
            "{element}<mainstay><bmc><address>{address}</address><user>{USER}</user><passwordfile>{PASSWORD_FILE}</passwordfile></bmc></mainstay>"
        );
        conf = conf.with(&element, &bmc);
    }
    conf = conf.with("<types name=\"miiw\"/>", "");
    for monitor in ["miiw1", "miiw2"] {
        conf = conf.without("<miiw name=\"", monitor, "</miiw>");
    }
    conf
}

/// Booted without watchdogs, so that nothing but a BMC switches a server off; None: skipped, and it was said why.
fn boot(conf: Conf) -> Option<Cluster> {
    if let Err(missing) = Bmc::is_possible() {
        println!("skipped: {missing}");
        return None;
    }
    let cluster = Cluster::boot(conf, false)?;
    for (server, _) in ADDRESSES {
        write_password(&cluster, server, PASSWORD);
    }
    Some(cluster)
}

fn write_password(cluster: &Cluster, server: &str, password: &str) {
    let line = format!("umask 077; echo '{password}' >{PASSWORD_FILE}.new && mv {PASSWORD_FILE}.new {PASSWORD_FILE}");
    assert!(cluster.is_true(server, &line));
}

fn bmcs(lab: &Lab) -> [Bmc<'_>; 2] {
    let testbed = Path::new(env!("CARGO_BIN_EXE_testbed"));
    ADDRESSES.map(|(server, address)| Bmc::start(lab, testbed, server, address).unwrap())
}

/// The servers are together, and each can switch the other off.
fn settle(cluster: &Cluster) {
    cluster.settle();
    for of in ["server1", "server2"] {
        cluster.until("its forced stop would work", || {
            ["server1", "server2"].iter().all(|server| cluster.path(server, of, "forcestop") == "Normal")
        });
    }
}

/// How often the record of a server has an alert of the module nm with this number and text.
fn recorded(cluster: &Cluster, server: &str, id: u32, text: &str) -> usize {
    let file = cluster.directory().join(server).join("opt/mainstay/alert/log/alertlog.alt");
    let record = fs::read_to_string(file).unwrap_or_default();
    record.lines().filter(|line| line.contains(&format!(" nm {id} ")) && line.contains(text)).count()
}

fn why(cluster: &Cluster, server: &str) -> String {
    cluster.run(server, &["clpstat", "--why", "failover1"])
}

#[test]
fn a_server_that_hangs_is_switched_off_and_read_back_off_before_it_is_taken_over() {
    let Some(cluster) = boot(conf()) else { return };
    let [one, _two] = bmcs(&cluster);
    settle(&cluster);
    let since = Instant::now();
    cluster.pause("server1").unwrap();
    assert!(cluster.client(&["ping", "-c1", "-W1", "10.0.0.1"]).unwrap().is_ok(), "its kernel still answers");
    cluster.until("the group is active on server2", || {
        let taken = cluster.has_mount("server2") || cluster.has_address("server2");
        // Looked at after server2: if it still has power now, it had it then.
        assert!(!taken || cluster.is_off("server1"), "a server that was not off was taken over");
        cluster.is_active_on("server2")
    });
    println!("active on server2 {} ms after server1 stood still", since.elapsed().as_millis());
    assert_eq!(cluster.server_status("server1").unwrap().last_end.as_deref(), Some("power off"));
    let asked = one.asked();
    let pressed = asked.iter().position(|asked| asked == "set power 0").expect("it was told to switch off");
    let read = asked[pressed..].iter().filter(|asked| asked.contains("get") && asked.contains("power")).count();
    assert!(read >= 2, "the power was read {read} times: {asked:?}");
    let why = why(&cluster, "server2");
    assert!(why.contains("server1 is off: its BMC 10.0.0.201 reads power off, 2 times"), "{why}");
    assert!(why.contains("proof of death: stopped"), "{why}");
    for (id, text) in [(910, "server1"), (911, "server1")] {
        assert_eq!(recorded(&cluster, "server2", id, text), 1, "nm/{id}");
    }
    assert_eq!(cluster.boots("server2"), 1);
    // It comes back as any server does, and is not switched off again.
    cluster.power_on("server1").unwrap();
    cluster.until("server1 is back", || cluster.server("server2", "server1") == "Online");
    assert!(cluster.is_active_on("server2") && cluster.boots("server1") == 2);
}

#[test]
fn a_server_that_cannot_be_proven_off_is_not_taken_over_until_an_operator_says_that_it_is() {
    let Some(cluster) = boot(conf()) else { return };
    let [one, _two] = bmcs(&cluster);
    settle(&cluster);
    // A BMC on the power of its server: both are gone.
    one.end().unwrap();
    cluster.power_off("server1").unwrap();
    cluster.until("it is said that it could not be switched off", || recorded(&cluster, "server2", 912, "10.0.0.201") > 0);
    let since = Instant::now();
    cluster.until("many time-outs have passed", || {
        assert!(!cluster.has_mount("server2") && !cluster.has_address("server2"), "taken over without a proof");
        since.elapsed() > Duration::from_secs(6)
    });
    let text = why(&cluster, "server2");
    for words in [
        "server1 is silent and its death is proven no better than timed",
        "it could not be switched off: BMC 10.0.0.201 of server1: it does not answer",
        "the group needs stopped: power server1 off",
    ] {
        assert!(text.contains(words), "{words} is missing: {text}");
    }
    cluster.run("server2", &["clpcl", "--resume", "--dead", "server1", "--force"]);
    cluster.until("the group is active on server2", || cluster.is_active_on("server2"));
    let text = why(&cluster, "server2");
    assert!(text.contains("an operator states that server1 is switched off"), "{text}");
    assert!(text.contains("proof of death: stopped"), "{text}");
}

#[test]
fn a_wrong_password_is_warned_of_before_it_matters_and_the_end_of_it_is_told() {
    let Some(cluster) = boot(conf()) else { return };
    let [one, _two] = bmcs(&cluster);
    settle(&cluster);
    // At its boot a server may well have looked before its BMC was there.
    let short = "if the server of group failover1 were lost now, its death could be proven no better than timed";
    let counts = || {
        let count = |server, id, text| recorded(&cluster, server, id, text);
        [count("server1", 913, short), count("server2", 916, "server1"), count("server1", 914, "failover1")]
    };
    let before = counts();
    write_password(&cluster, "server2", "forgotten");
    cluster.until("the cause is recorded", || {
        recorded(&cluster, "server2", 915, "BMC 10.0.0.201 of server1: it refuses user or password") == 1
    });
    // The group runs on server1, and the coordinator is server1: it warns of what server2 has found.
    cluster.until("the standing warning is recorded", || counts()[0] > before[0]);
    for server in ["server1", "server2"] {
        cluster.until("it is shown", || cluster.path(server, "server2", "forcestop") == "Error");
        cluster.until("as a caution", || cluster.server(server, "server2") == "Caution");
        assert_eq!(cluster.path(server, "server1", "forcestop"), "Normal");
    }
    let listing = cluster.run("server1", &["clpstat"]);
    let row = listing.lines().find(|line| line.contains("forcestop") && line.contains("Error"));
    assert!(row.is_some_and(|row| row.contains("forced stop by IPMI")), "{listing}");
    let shown = cluster.run("server2", &["clpstat", "--json"]);
    assert!(shown.contains("refuses user or password"), "{shown}");
    write_password(&cluster, "server2", PASSWORD);
    cluster.until("its end is recorded, and that of the standing warning", || {
        counts().iter().zip(before).all(|(now, before)| *now > before)
    });
    cluster.until("it is shown", || cluster.path("server1", "server2", "forcestop") == "Normal");
    assert!(!one.asked().iter().any(|asked| asked.starts_with("set")), "a look changes nothing: {:?}", one.asked());
    // Nowhere does a server say what the passwords are.
    for (server, _) in ADDRESSES {
        assert!(!cluster.has_logged(server, PASSWORD) && !cluster.has_logged(server, "forgotten"));
        assert_eq!(recorded(&cluster, server, 915, "forgotten"), 0);
    }
}

#[test]
fn two_servers_that_lost_each_other_do_not_switch_each_other_off_both() {
    // Only LANs join them, and both reach ping target and BMCs.
    let conf = conf().without("<diskhb name=\"", "diskhb1", "</diskhb>").without("<comhb name=\"", "comhb1", "</comhb>");
    let Some(cluster) = boot(conf) else { return };
    let [one, two] = bmcs(&cluster);
    settle(&cluster);
    cluster.cut_as(Cut::whole("server2", Net::All).from("server1")).unwrap();
    cluster.until("one is switched off", || ["server1", "server2"].iter().any(|server| cluster.is_off(server)));
    // The one without the group waits for another time-out, and by then it is off itself.
    assert!(cluster.is_off("server2"), "the owner was switched off");
    let since = Instant::now();
    cluster.until("several time-outs have passed", || {
        assert_eq!(cluster.server_status("server1").unwrap().phase, Phase::Up);
        since.elapsed() > Duration::from_secs(4)
    });
    assert!(cluster.is_active_on("server1") && cluster.boots("server1") == 1);
    assert!(!one.asked().iter().any(|asked| asked == "set power 0"), "{:?}", one.asked());
    assert!(two.asked().iter().any(|asked| asked == "set power 0"));
}
