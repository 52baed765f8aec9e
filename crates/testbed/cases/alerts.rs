//! Alerts: each occasion raises what the catalogue has for it, in the record and in syslog, on the servers that it concerns.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod cluster;

use clp_testbed::Net;
use cluster::{Cluster, Conf};
use std::{collections::BTreeMap, fs, os::unix::net::UnixDatagram};

/// The columns of a record that an operator reads.
struct Line {
    host: String,
    module: String,
    id: u32,
    level: u8,
    text: String,
}

/// The alert record of a server, also while it is off.
fn record(cluster: &Cluster, server: &str) -> Vec<Line> {
    let file = cluster.directory().join(server).join("opt/mainstay/alert/log/alertlog.alt");
    let text = fs::read_to_string(file).unwrap_or_default();
    let read = |line: &str| {
        // Index, date and time of the record, date and time of the host, host, module, event, level, text.
        let columns: Vec<&str> = line.splitn(10, ' ').collect();
        let [_, _, _, _, _, host, module, id, level, text] = columns[..] else { return None };
        let (id, level) = (id.parse().ok()?, level.parse().ok()?);
        Some(Line { host: host.into(), module: module.into(), id, level, text: text.into() })
    };
    text.lines().filter_map(read).collect()
}

/// How often a server has recorded an alert.
fn count(cluster: &Cluster, server: &str, module: &str, id: u32) -> usize {
    record(cluster, server).iter().filter(|line| (line.module.as_str(), line.id) == (module, id)).count()
}

/// The last such alert of a server.
fn last(cluster: &Cluster, server: &str, module: &str, id: u32) -> String {
    let found = record(cluster, server).into_iter().rev().find(|line| (line.module.as_str(), line.id) == (module, id));
    found.map(|line| line.text).unwrap_or_default()
}

/// What an occasion raises: server, module, id.
type Raised = &'static [(&'static str, &'static str, u32)];

/// Lets something happen and waits until each alert of it is recorded once more often than before.
fn occasion(cluster: &Cluster, what: &str, happens: impl FnOnce(), raised: Raised) {
    let before: BTreeMap<_, _> = raised.iter().map(|(s, m, id)| ((s, m, id), count(cluster, s, m, *id))).collect();
    happens();
    for (server, module, id) in raised {
        cluster.until(&format!("{what}: {server} records {module}/{id}"), || {
            count(cluster, server, module, *id) > before[&(server, module, id)]
        });
    }
}

/// A syslog for one server, in a directory that it shares with this machine.
fn syslog_of(cluster: &Cluster, server: &str) -> UnixDatagram {
    let socket = UnixDatagram::bind(cluster.directory().join(server).join("var/lib/log")).unwrap();
    socket.set_nonblocking(true).unwrap();
    cluster.run(server, &["ln", "-sfn", "/var/lib/log", "/dev/log"]);
    socket
}

/// What has arrived there.
fn arrived(socket: &UnixDatagram, so_far: &mut String) {
    let mut bytes = [0u8; 4096];
    while let Ok(length) = socket.recv(&mut bytes) {
        so_far.push_str(&String::from_utf8_lossy(&bytes[..length]));
        so_far.push('\n');
    }
}

// S-CFG-WAITMSG
#[test]
fn a_suspension_and_a_stop_raise_pm_2_of_type_information_when_the_service_rests() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    for server in ["server1", "server2"] {
        assert_eq!(count(&cluster, server, "pm", 2), 0, "nothing rests yet");
    }
    cluster.run("server1", &["clpcl", "--suspend"]);
    for server in ["server1", "server2"] {
        cluster.until("the event is there", || count(&cluster, server, "pm", 2) == 1);
        let line = record(&cluster, server).into_iter().find(|line| (line.module.as_str(), line.id) == ("pm", 2)).unwrap();
        assert_eq!((line.level, line.host.as_str()), (3, server), "{}", line.text);
    }
    cluster.run("server1", &["clpcl", "--resume"]);
    cluster.run("server1", &["clpcl", "-t", "-a"]);
    for server in ["server1", "server2"] {
        cluster.until("the event is there again", || count(&cluster, server, "pm", 2) == 2);
    }
}

#[test]
fn what_operators_do_and_what_happens_to_servers_is_recorded() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    let syslog = syslog_of(&cluster, "server2");
    let mut heard = String::new();
    let raised = |what: &str, happens: &dyn Fn(), raised: Raised| occasion(&cluster, what, happens, raised);
    let run = |server: &str, command: &[&str]| drop(cluster.run(server, command));
    for server in ["server1", "server2"] {
        for (module, id) in [("pm", 1), ("nm", 5), ("nm", 6), ("nm", 1), ("nm", 3)] {
            assert!(count(&cluster, server, module, id) > 0, "{server}: {module}/{id} at its start");
        }
    }
    raised(
        "move",
        &|| run("server1", &["clpgrp", "-m", "failover1", "-a", "server2"]),
        &[
            ("server1", "rc", 50),
            ("server1", "rc", 20),
            ("server1", "rc", 21),
            ("server2", "rc", 10),
            ("server2", "rc", 11),
            ("server1", "rc", 51),
        ],
    );
    raised(
        "suspension",
        &|| run("server2", &["clpcl", "--suspend"]),
        &[("server2", "cl", 3), ("server1", "pm", 35), ("server2", "pm", 35), ("server1", "pm", 2)],
    );
    assert!(last(&cluster, "server2", "cl", 3).contains("asked for by clpcl on server2"), "who asked");
    raised(
        "resumption",
        &|| run("server2", &["clpcl", "--resume"]),
        &[("server2", "cl", 4), ("server1", "pm", 34), ("server2", "pm", 34)],
    );
    raised("upload", &|| run("server1", &["clpcfctrl", "--push"]), &[("server1", "cfmgr", 1), ("server2", "cfmgr", 1)]);
    assert!(last(&cluster, "server2", "cfmgr", 1).contains("uploaded by clpcfctrl on server1"), "on every server");
    raised(
        "death of the monitor daemon",
        &|| run("server1", &["pkill", "-KILL", "-f", "clusterpro monitord"]),
        &[("server1", "pm", 20), ("server1", "pm", 26)],
    );
    raised(
        "restart",
        &|| run("server1", &["clpcl", "-r"]),
        &[
            ("server1", "pm", 33),
            ("server1", "pm", 2),
            ("server2", "nm", 2),
            ("server1", "cl", 1),
            ("server1", "pm", 1),
            ("server2", "nm", 1),
        ],
    );
    arrived(&syslog, &mut heard);
    raised("move back", &|| run("server1", &["clpgrp", "-m", "failover1", "-a", "server1"]), &[("server2", "rc", 21)]);
    raised(
        "stop of one",
        &|| run("server1", &["clpcl", "-t", "-h", "server2"]),
        &[("server2", "cl", 2), ("server2", "pm", 31), ("server2", "pm", 2)],
    );
    assert!(last(&cluster, "server2", "pm", 31).contains("clpcl on server1 asked"), "who asked from elsewhere");
    let renamed = |name: &'static str| drop(cluster.run("server2", &["hostname", name]));
    raised(
        "start under another name",
        &|| {
            renamed("stranger");
            assert!(!cluster.exec("server2", &["clpcl", "-s"]).unwrap().is_ok());
            renamed("server2");
        },
        &[("server2", "pm", 15)],
    );
    raised("start", &|| run("server1", &["clpcl", "-s", "-h", "server2"]), &[("server2", "cl", 1), ("server2", "nm", 6)]);
    arrived(&syslog, &mut heard);
    for (text, resource) in [("activation begins", "fip1"), ("activation done", "exec1"), ("deactivation begins", "exec1")] {
        assert!(heard.contains(&format!("resource {resource} {text}")), "{text} is in syslog: {heard}");
    }
    assert!(heard.contains("<30>") && heard.contains(": <type: rc><event: 31> "), "tag and prefix: {heard}");
    for id in [30, 31, 40, 41] {
        assert_eq!(count(&cluster, "server1", "rc", id) + count(&cluster, "server2", "rc", id), 0, "rc/{id} is syslog's alone");
    }
}

#[test]
fn restarts_checks_of_file_systems_and_the_ends_of_servers_are_recorded() {
    let monitor = |name: &str, relation: &str| {
        let polling = "<polling><interval>1</interval><timeout>2</timeout></polling>";
        let ladder = "<emergency><threshold><restart>1</restart><fo>0</fo></threshold><action>1</action></emergency>";
        format!("<genw name=\"{name}\">\n{polling}\n<relation>{relation}</relation>\n{ladder}\n</genw>")
    };
    let conf = Conf::sample()
        .with("<fs>ext3</fs>", "<fs>ext3</fs>\n<fsck><timing>1</timing></fsck>")
        .with_monitor(&monitor("genw1", "<type>grp</type><name>failover1</name>"))
        .with_monitor(&monitor("genw2", "<type>rsc</type><name>exec1</name>"));
    let script = "#! /bin/sh\nexit 0\n";
    let conf = conf.with_monitor_script("genw1", "genw.sh", script).with_monitor_script("genw2", "genw.sh", script);
    let Some(cluster) = Cluster::up(conf) else { return };
    let fails = |monitor: &'static str| drop(cluster.run("server1", &["clpmonctrl", "-e", "-m", monitor]));
    let raised = |what: &str, happens: &dyn Fn(), raised: Raised| occasion(&cluster, what, happens, raised);
    raised("restart of a resource", &|| fails("genw2"), &[("server1", "rc", 80), ("server1", "rc", 81)]);
    assert_eq!(last(&cluster, "server1", "rc", 81), "resource exec1 restart done");
    assert_eq!(count(&cluster, "server1", "rc", 70) + count(&cluster, "server1", "disk", 11), 1, "the disk was left alone");
    raised(
        "restart of a group",
        &|| fails("genw1"),
        &[("server1", "rc", 70), ("server1", "disk", 10), ("server1", "disk", 11), ("server1", "rc", 71)],
    );
    assert_eq!(last(&cluster, "server1", "disk", 11), "fsck.ext3 of /dev/sdb2 fine");
    raised("shutdown of one", &|| drop(cluster.run("server1", &["clpdown", "-h", "server2"])), &[("server2", "rc", 91)]);
    cluster.until("it is off", || cluster.is_off("server2"));
    assert_eq!(count(&cluster, "server2", "rc", 90), 0, "the cluster goes on");
    cluster.power_on("server2").unwrap();
    cluster.settle();
    let all = || drop(cluster.exec("server1", &["clpstdn"]).unwrap());
    raised("shutdown of all", &all, &[("server1", "rc", 90), ("server2", "rc", 90)]);
}

#[test]
fn a_server_that_no_lan_reaches_and_one_that_dies_are_recorded() {
    // No link monitor acts first.
    let conf = Conf::sample().with("<object>eth0</object>", "<object>lo</object>");
    let Some(cluster) = Cluster::up(conf) else { return };
    occasion(
        &cluster,
        "all LANs cut",
        || cluster.cut("server2", Net::All).unwrap(),
        &[("server1", "nm", 4), ("server1", "nm", 80), ("server2", "nm", 80)],
    );
    occasion(
        &cluster,
        "all LANs healed",
        || cluster.heal("server2", Net::All).unwrap(),
        &[("server1", "nm", 81), ("server2", "nm", 81)],
    );
    occasion(
        &cluster,
        "power failure",
        || {
            let _ = cluster.power_off("server1").unwrap();
        },
        &[("server2", "nm", 2), ("server2", "rc", 64), ("server2", "rc", 60), ("server2", "rc", 61)],
    );
    cluster.until("the failover is told to its end", || {
        record(&cluster, "server2").iter().any(|line| line.text == "group failover1 failover done: on server2")
    });
}
