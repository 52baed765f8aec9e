//! Servers that lose sight of each other, programs that die, servers that freeze: never two owners, and soon one again.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod cluster;

use clp_testbed::{Cut, Net, Phase};
use cluster::{Cluster, Conf};
use std::time::{Duration, Instant};

/// Process numbers in a server of the product's programs: (parent, engine).
fn programs(cluster: &Cluster, server: &str) -> (String, String) {
    let engine = cluster.run(server, &["pgrep", "-f", "clusterpro engine"]);
    let engine = engine.lines().next().unwrap().trim().to_string();
    let parent = cluster.run(server, &["ps", "-o", "ppid=", "-p", &engine]).trim().to_string();
    (parent, engine)
}

/// The server goes down by whatever means, and the other one has the group.
fn server1_falls_and_server2_takes_over(cluster: &Cluster, boots: u32) {
    cluster.until("the group is active on server2", || cluster.is_active_on("server2"));
    cluster.until("server1 went down", || cluster.is_off("server1") || cluster.boots("server1") > boots);
}

// Nothing moves as long as one heartbeat path is alive, here that of the disk.
// S-HB-DISKHB
#[test]
fn all_lans_cut_with_the_disk_heartbeat_alive_moves_nothing() {
    // No monitor looks at the public LAN: only the membership is at stake.
    let conf = Conf::sample().with("<types name=\"miiw\"/>", "");
    let conf = strip_link_monitors(conf);
    let Some(cluster) = Cluster::up(conf) else { return };
    for net in [Net::All, Net::Com] {
        cluster.cut("server1", net).unwrap();
    }
    for path in ["lankhb1", "lankhb2", "comhb1"] {
        cluster.until(&format!("{path} is offline"), || cluster.path("server2", "server1", path) != "Normal");
    }
    let since = Instant::now();
    cluster.until("five heartbeat time-outs have passed", || {
        assert_eq!(cluster.group("server2"), ("Online".to_string(), "server1".to_string()));
        since.elapsed() > Duration::from_secs(5)
    });
    assert!(cluster.has_mount("server1") && !cluster.has_mount("server2") && !cluster.has_address("server2"));
    assert_eq!((cluster.boots("server1"), cluster.boots("server2")), (1, 1));
    for net in [Net::All, Net::Com] {
        cluster.heal("server1", net).unwrap();
    }
    cluster.settle();
}

/// Removes the link monitors from the sample.
fn strip_link_monitors(conf: Conf) -> Conf {
    let mut conf = conf;
    for monitor in ["miiw1", "miiw2"] {
        conf = conf.without("<miiw name=\"", monitor, "</miiw>");
    }
    conf
}

#[test]
fn a_standby_that_stands_still_and_comes_back_costs_the_owner_nothing() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    let before = programs(&cluster, "server1");
    for round in 0..3 {
        cluster.pause("server2").unwrap();
        // Two intervals and a half: the pause is shorter than the time-out, unless this machine is slow, which changes nothing.
        cluster.until(&format!("pause {round} is seen"), || cluster.path("server1", "server2", "lankhb1") != "Normal");
        cluster.resume("server2").unwrap();
        cluster.until("server2 is back", || cluster.server("server1", "server2") == "Online");
        cluster.until("its path too", || cluster.path("server1", "server2", "lankhb1") == "Normal");
        assert!(cluster.is_active_on("server1"), "round {round}");
    }
    assert_eq!((programs(&cluster, "server1"), cluster.boots("server1")), (before, 1), "nothing was given up on server1");
}

// S-NP-PING
#[test]
fn a_server_that_is_cut_from_everything_stops_and_the_other_takes_over() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    cluster.cut("server1", Net::Com).unwrap();
    cluster.disk_fail("server1").unwrap();
    cluster.cut("server1", Net::All).unwrap();
    server1_falls_and_server2_takes_over(&cluster, 1);
    assert_eq!(cluster.boots("server2"), 1);
    cluster.heal("server1", Net::All).unwrap();
    cluster.heal("server1", Net::Com).unwrap();
    cluster.disk_heal("server1").unwrap();
    if cluster.is_off("server1") {
        cluster.power_on("server1").unwrap();
    }
    cluster.until("server1 is back, without the group", || cluster.server("server2", "server1") == "Online");
    assert!(cluster.is_active_on("server2") && !cluster.has_mount("server1") && !cluster.has_address("server1"));
}

// S-NP-ACTION
#[test]
fn the_isolated_side_does_what_the_action_on_partition_says() {
    for action in ["1", "2"] {
        // No monitor looks at what is cut: it would have moved the groups before, or ended the server by its own final action.
        let conf = Conf::sample().with("<types name=\"diskw\"/>", "").without("<diskw name=\"", "diskw1", "</diskw>");
        let conf = strip_link_monitors(conf.with("<types name=\"miiw\"/>", ""));
        let conf = conf.with("<npaction>2</npaction>", &format!("<npaction>{action}</npaction>"));
        let Some(cluster) = Cluster::up(conf) else { return };
        cluster.cut("server1", Net::Com).unwrap();
        cluster.disk_fail("server1").unwrap();
        cluster.cut("server1", Net::All).unwrap();
        cluster.until("the group is active on server2", || cluster.is_active_on("server2"));
        if action == "1" {
            cluster.until("the service on server1 ended", || !cluster.is_true("server1", "pgrep -f 'clusterpro [e]ngine'"));
            assert!(!cluster.has_mount("server1") && !cluster.has_address("server1"));
            assert!(!cluster.is_off("server1") && cluster.boots("server1") == 1, "its operating system goes on");
        } else {
            cluster.until("server1 is shut down", || cluster.is_off("server1"));
        }
    }
}

#[test]
fn a_killed_engine_takes_its_server_down_and_the_group_goes_on_elsewhere() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    let (_, engine) = programs(&cluster, "server1");
    let _ = cluster.exec("server1", &["kill", "-KILL", &engine]).unwrap();
    server1_falls_and_server2_takes_over(&cluster, 1);
}

#[test]
fn a_killed_parent_takes_its_server_down_and_the_group_goes_on_elsewhere() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    let (parent, _) = programs(&cluster, "server1");
    let _ = cluster.exec("server1", &["kill", "-KILL", &parent]).unwrap();
    server1_falls_and_server2_takes_over(&cluster, 1);
}

#[test]
fn with_engine_and_parent_killed_the_watchdog_resets_the_server() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    let (parent, engine) = programs(&cluster, "server1");
    let _ = cluster.exec("server1", &["kill", "-KILL", &parent, &engine]).unwrap();
    cluster.until("server1 was reset", || cluster.boots("server1") == 2);
    let end = cluster.server_status("server1").unwrap().last_end;
    assert_eq!(end.as_deref(), Some("reset by the watchdog"));
    cluster.until("the group is active on server2", || cluster.is_active_on("server2"));
}

#[test]
fn a_frozen_server_is_reset_by_its_watchdog_and_then_taken_over() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    cluster.pause("server1").unwrap();
    assert!(cluster.client(&["ping", "-c1", "-W1", "10.0.0.1"]).unwrap().is_ok(), "its kernel still answers");
    cluster.until("the watchdog has reset server1", || {
        let taken = cluster.has_mount("server2");
        // Looked at after server2: if it is still frozen now, it was then.
        let frozen = cluster.boots("server1") == 1 && !cluster.is_off("server1");
        assert!(!(taken && frozen), "a server that answers ARP was taken over");
        cluster.boots("server1") == 2
    });
    cluster.until("the group is active on server2", || cluster.is_active_on("server2"));
    assert_eq!(cluster.boots("server2"), 1);
}

#[test]
fn a_server_frozen_without_a_watchdog_never_makes_a_second_owner_when_it_wakes() {
    let Some(cluster) = Cluster::boot(Conf::sample(), false) else { return };
    cluster.settle();
    // Writes on the disk as long as it may.
    let writer = "setsid sh -c 'n=0; while :; do n=$((n+1)); echo $n >> /mnt/sdb2/ticks || exit; sync -f /mnt/sdb2/ticks; sleep 0.02; done' </dev/null >/dev/null 2>&1 &";
    cluster.run("server1", &["sh", "-c", writer]);
    cluster.until("server1 writes", || cluster.is_true("server1", "test -s /mnt/sdb2/ticks"));
    cluster.pause("server1").unwrap();
    let since = Instant::now();
    cluster.until("more than the time-out has passed", || since.elapsed() > Duration::from_secs(4));
    let taken_over = cluster.has_mount("server2") || cluster.has_address("server2");
    assert!(!taken_over, "a server that answers ARP was taken over");
    let why = cluster.run("server2", &["clpstat", "--why", "failover1"]);
    assert!(why.contains("answers ARP"), "{why}");
    cluster.resume("server1").unwrap();
    // From here on two owners at the same look are forbidden, whoever wins.
    let since = Instant::now();
    cluster.until("it is settled for five seconds", || {
        let up = cluster.server_status("server1").unwrap().phase == Phase::Up;
        let on_two = cluster.has_mount("server2");
        let on_one = up && cluster.is_true("server1", "mountpoint -q /mnt/sdb2 && touch /mnt/sdb2/probe1");
        assert!(!(on_one && on_two), "two owners {:?} after the end of the pause", since.elapsed());
        since.elapsed() > Duration::from_secs(5)
    });
    cluster.until("one owner", || cluster.is_active_on("server1") || cluster.is_active_on("server2"));
    let owner = if cluster.has_mount("server2") { "server2" } else { "server1" };
    let ticks = cluster.run(owner, &["cat", "/mnt/sdb2/ticks"]);
    let numbers: Vec<u64> = ticks.lines().map(|line| line.parse().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "the file is torn: {numbers:?}");
    // The file system is whole: nobody wrote beside its owner.
    let _ = cluster.exec(owner, &["pkill", "-f", "/mnt/sdb2/ticks"]).unwrap();
    cluster.run(owner, &["clpgrp", "-t", "failover1"]);
    cluster.until("the group is offline", || !cluster.has_mount(owner));
    cluster.run(owner, &["e2fsck", "-f", "-n", "/dev/sdb2"]);
}

// S-NP-STATUS
#[test]
fn a_dead_ping_target_is_shown_for_the_server_that_misses_it_before_any_partition() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    for (server, of) in [("server1", "server1"), ("server1", "server2"), ("server2", "server1"), ("server2", "server2")] {
        cluster.until("the target answers everybody", || cluster.path(server, of, "pingnp1") == "Normal");
    }
    let cut = Cut { from: Some("gateway".into()), keep_carrier: true, ..Cut::whole("server2", Net::Interconnect) };
    cluster.cut_as(cut).unwrap();
    for server in ["server1", "server2"] {
        cluster.until("the miss is shown", || cluster.path(server, "server2", "pingnp1") == "Error");
        assert_eq!(cluster.path(server, "server1", "pingnp1"), "Normal");
    }
    // It is shown and nothing more: the servers still hear each other.
    assert!(cluster.is_active_on("server1"));
}
