//! What a cluster meets in bad hands: broken configurations, a foreign key, scripts that misbehave. Garbage on its ports and doors
//! is in `hostile_doors.rs`.
//!
//! Each gets a clear error or alert; nothing is lost, nothing hangs, nothing moves that need not.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod cluster;

use cluster::{Cluster, Conf};
use std::{
    fs,
    time::{Duration, Instant},
};

#[test]
fn a_broken_configuration_is_refused_in_words_and_nothing_is_started() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    cluster.run("server2", &["clpgrp", "-m", "failover1"]);
    cluster.moved_to("server2", "server1");
    cluster.run("server1", &["clpcl", "-t"]);
    let file = cluster.directory().join("server1/opt/mainstay/etc/clp.conf");
    let good = fs::read(&file).unwrap();
    let deep = format!("<root>{}{}</root>", "<a>".repeat(200_000), "</a>".repeat(200_000));
    let wrong = b"<?xml version=\"1.0\" encoding=\"EUC-JP\"?>\n<root><cluster><name>\xff\xfe</name></cluster></root>";
    let huge = format!("<root><!-- {} --></root>", "x".repeat(64 << 20));
    let kinds: [(&str, &[u8]); 6] = [
        ("empty", b""),
        ("cut off", &good[..900]),
        ("deep", deep.as_bytes()),
        ("wrongly encoded", wrong),
        ("huge", huge.as_bytes()),
        ("no XML", &[0; 4096]),
    ];
    let record = cluster.directory().join("server1/opt/mainstay/alert/log/alertlog.alt");
    for (number, (kind, bytes)) in kinds.into_iter().enumerate() {
        fs::write(&file, bytes).unwrap();
        for command in ["clusterpro", "clpstat"] {
            let output = cluster.exec("server1", &["timeout", "10", command]).unwrap();
            let words = format!("{}{}", output.stdout, output.stderr);
            assert!(output.status != 0 && output.status < 124, "{kind}: {command}: {}", output.status);
            assert!(words.contains("clp.conf") && !words.contains("panicked"), "{kind}: {command}: {words:.400}");
        }
        assert!(!cluster.is_true("server1", "pgrep -f '[c]lusterpro engine'"), "{kind}");
        // Each start that was refused is an alert of its own.
        let alerts = fs::read_to_string(&record).unwrap();
        let refused = alerts.lines().filter(|line| line.contains(" pm ") && line.contains("clp.conf")).count();
        assert_eq!(refused, number + 1, "{kind}: {alerts}");
    }
    fs::write(&file, good).unwrap();
    assert!(cluster.is_active_on("server2"));
    cluster.run("server1", &["clpcl", "-s"]);
    cluster.until("server1 is back", || cluster.server("server2", "server1") == "Online");
}

#[test]
fn a_configuration_that_breaks_under_a_running_service_is_not_pushed_and_its_groups_are_given_up_when_the_engine_dies() {
    let conf = Conf::sample().with("\t<cluster>", "\t<pm><exec0><recover>1</recover></exec0></pm>\n\t<cluster>");
    let Some(cluster) = Cluster::boot(conf, false) else { return };
    cluster.settle();
    let directory = cluster.directory().join("server1/opt/mainstay");
    let broken = b"<root><cluster><name>cluster</name>";
    fs::create_dir(directory.join("new")).unwrap();
    fs::write(directory.join("new/clp.conf"), broken).unwrap();
    let pushed = cluster.exec("server1", &["clpcfctrl", "--push", "-x", "/opt/mainstay/new"]).unwrap();
    let words = format!("{}{}", pushed.stdout, pushed.stderr);
    assert!(pushed.status != 0 && words.contains("clp.conf"), "{words}");
    let file = directory.join("etc/clp.conf");
    let good = fs::read(&file).unwrap();
    fs::write(&file, broken).unwrap();
    cluster.run("server1", &["clpstat"]);
    assert!(cluster.is_active_on("server1"));
    cluster.run("server1", &["pkill", "-KILL", "-f", "clusterpro [e]ngine"]);
    cluster.until("what the dead engine held is given up", || !cluster.has_mount("server1") && !cluster.has_address("server1"));
    // Nobody says farewell for a dead engine, and the server lives: a group with data waits for it.
    cluster.until("server2 says why it waits", || {
        cluster.run("server2", &["clpstat", "--why", "failover1"]).contains("answers ARP")
    });
    assert!(!cluster.has_mount("server2") && !cluster.is_off("server1"));
    fs::write(&file, good).unwrap();
    cluster.run("server1", &["clpcl", "-s"]);
    cluster.until("server1 is back", || cluster.server("server2", "server1") == "Online");
    cluster.until("and the group runs", || cluster.is_active_on("server1") || cluster.is_active_on("server2"));
}

#[test]
fn a_server_with_a_foreign_key_is_no_member_and_touches_nothing() {
    let conf = Conf::sample().with("<bootwait>30000</bootwait>", "<bootwait>5000</bootwait>");
    let Some(cluster) = Cluster::up(conf) else { return };
    cluster.power_off("server2").unwrap();
    cluster.until("server1 misses server2", || cluster.server("server1", "server2") == "Offline");
    let key = cluster.directory().join("server2/opt/mainstay/etc/trust/cluster.key");
    let foreign: String = fs::read_to_string(&key).unwrap().chars().rev().collect();
    fs::write(&key, foreign.trim()).unwrap();
    cluster.power_on("server2").unwrap();
    let since = Instant::now();
    cluster.until("three boot waits have passed", || {
        assert!(!cluster.has_mount("server2") && !cluster.has_address("server2"), "a stranger took the group");
        assert_ne!(cluster.server("server1", "server2"), "Online");
        since.elapsed() > Duration::from_secs(15)
    });
    assert!(cluster.is_active_on("server1"));
    assert!(cluster.has_logged("server1", "do not open with this cluster's key"), "the operator of server1 is told");
    assert!(cluster.has_logged("server2", "do not open with this cluster's key"), "the operator of server2 is told");
}

#[test]
fn a_start_script_that_never_ends_is_killed_and_the_group_moves_on() {
    let script = "#!/bin/sh\n[ \"$(hostname)\" = server1 ] && sleep 4321\n\
                  setsid \"$CLP_PATH/bin/counter\" serve --listen 10.0.0.12:8080 --data /mnt/sdb2/counter.db >/dev/null 2>&1 </dev/null &\nexit 0\n";
    let conf = Conf::sample().with("<start>60</start>", "<start>3</start>").with_start_script(script);
    let Some(cluster) = Cluster::boot(conf, true) else { return };
    cluster.until("the group is active on server2", || cluster.is_active_on("server2"));
    assert!(!cluster.has_mount("server1") && !cluster.has_address("server1"));
    assert!(!cluster.is_true("server1", "pgrep -f '[s]leep 4321'"), "the script was left behind");
    assert!(!cluster.is_off("server1") && cluster.boots("server1") == 1);
}

#[test]
fn a_start_script_that_forks_away_does_not_hold_the_group() {
    let script = "#!/bin/sh\n(sleep 4321 &) &\n(setsid sleep 4322 &)\n\
                  setsid \"$CLP_PATH/bin/counter\" serve --listen 10.0.0.12:8080 --data /mnt/sdb2/counter.db >/dev/null 2>&1 </dev/null &\nexit 0\n";
    let Some(cluster) = Cluster::up(Conf::sample().with_start_script(script)) else { return };
    cluster.run("server1", &["clpgrp", "-m", "failover1"]);
    cluster.moved_to("server2", "server1");
}

#[test]
fn a_missing_start_script_is_named_and_the_group_goes_back() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    fs::remove_file(cluster.directory().join("server2/opt/mainstay/scripts/failover1/exec1/start.sh")).unwrap();
    let moved = cluster.exec("server1", &["clpgrp", "-m", "failover1"]).unwrap();
    assert!(moved.status != 0, "{moved:?}");
    cluster.moved_to("server1", "server2");
    assert!(cluster.has_logged("server2", "resource exec1 activation failed") && cluster.has_logged("server2", "start.sh"));
}

#[test]
fn a_stop_script_that_never_ends_is_killed_and_the_group_moves_on() {
    let Some(cluster) = Cluster::up(Conf::sample().with("<stop>60</stop>", "<stop>3</stop>")) else { return };
    let script = cluster.directory().join("server1/opt/mainstay/scripts/failover1/exec1/stop.sh");
    fs::write(script, "#!/bin/sh\nsleep 4323\n").unwrap();
    cluster.run("server1", &["clpgrp", "-m", "failover1"]);
    cluster.moved_to("server2", "server1");
    let why = cluster.run("server1", &["clpstat", "--why", "failover1"]);
    assert!(why.contains("stop.sh: it did not end in time and was killed"), "{why}");
    assert!(!cluster.is_true("server1", "pgrep -f '[s]leep 4323'"), "the script was left behind");
    assert!(!cluster.is_off("server1") && cluster.boots("server1") == 1);
}
