//! The guide's chapter 8: faults that an administrator tries out before production, one drill each.

mod cluster;

use clp_testbed::Net;
use cluster::{Cluster, Conf, FLOATING};
use std::time::{Duration, Instant};

// S-TST-INTERLAN
#[test]
fn a_cut_interconnect_is_shown_and_nothing_moves() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    cluster.cut("server1", Net::Interconnect).unwrap();
    cluster.until("the heartbeat of the interconnect is offline", || cluster.path("server2", "server1", "lankhb1") != "Normal");
    assert_eq!(cluster.path("server2", "server1", "lankhb2"), "Normal");
    assert_eq!(cluster.server("server2", "server1"), "Caution");
    assert!(cluster.is_active_on("server1"));
    assert_eq!(cluster.group("server2"), ("Online".to_string(), "server1".to_string()));
    cluster.heal("server1", Net::Interconnect).unwrap();
    cluster.until("all is normal again", || cluster.server("server2", "server1") == "Online");
    assert!(cluster.is_active_on("server1"));
}

// S-TST-INTERLAN-MIIW
#[test]
fn a_cut_interconnect_moves_the_group_when_its_link_is_monitored() {
    let conf = Conf::sample().with("<object>eth0</object>", "<object>eth1</object>");
    let Some(cluster) = Cluster::up(conf) else { return };
    cluster.cut("server1", Net::Interconnect).unwrap();
    cluster.until("the group is active on server2", || cluster.is_active_on("server2"));
    cluster.until("server1 has let go", || !cluster.has_mount("server1") && !cluster.has_address("server1"));
    assert_eq!(cluster.boots("server1"), 1);
}

// S-TST-COM
#[test]
fn a_cut_serial_cable_is_shown_and_warned_of_and_the_service_goes_on() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    cluster.cut("server1", Net::Com).unwrap();
    for (server, other) in [("server1", "server2"), ("server2", "server1")] {
        cluster.until("the heartbeat of the cable is offline", || cluster.path(server, other, "comhb1") == "Offline");
        let warning = format!("heartbeat or NP device comhb1 of server {other} went down");
        cluster.until("a warning is recorded", || cluster.has_logged(server, &warning));
        assert_eq!(cluster.path(server, other, "lankhb1"), "Normal");
    }
    assert!(cluster.is_active_on("server1"));
    cluster.heal("server1", Net::Com).unwrap();
    cluster.until("the cable is joined again", || cluster.path("server2", "server1", "comhb1") == "Normal");
    assert!(cluster.is_active_on("server1"));
}

// S-TST-PUBLAN
#[test]
fn a_cut_public_lan_moves_nothing_when_no_monitor_looks_at_it() {
    let conf = Conf::sample().with("<object>eth0</object>", "<object>eth1</object>");
    let Some(cluster) = Cluster::up(conf) else { return };
    cluster.cut("server1", Net::Public).unwrap();
    cluster.until("the heartbeat of the public net is offline", || cluster.path("server2", "server1", "lankhb2") != "Normal");
    assert_eq!(cluster.server("server2", "server1"), "Caution");
    assert_eq!(cluster.group("server2"), ("Online".to_string(), "server1".to_string()));
    assert!(cluster.has_mount("server1") && !cluster.has_mount("server2"));
    cluster.heal("server1", Net::Public).unwrap();
    cluster.until("the service is reached again", || cluster.is_active_on("server1"));
}

// S-TST-PUBLAN-MIIW
#[test]
fn a_cut_public_lan_moves_the_group_when_the_link_is_monitored() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    cluster.cut("server1", Net::Public).unwrap();
    cluster.until("the group is active on server2", || cluster.is_active_on("server2"));
    cluster.until("server1 has let go", || !cluster.has_mount("server1") && !cluster.has_address("server1"));
    assert_eq!(cluster.boots("server1"), 1);
    assert!(!cluster.is_off("server1"));
}

// S-TST-SCSI-MON
#[test]
fn a_failing_disk_is_found_by_its_monitor_and_the_group_goes_to_the_other_server() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    cluster.disk_fail("server1").unwrap();
    cluster.until("the group is active on server2", || cluster.is_active_on("server2"));
    assert!(cluster.is_off("server1") || cluster.boots("server1") > 1 || !cluster.has_address("server1"));
}

// S-TST-SCSI-NOMON
#[test]
fn a_failing_disk_that_no_monitor_looks_at_is_shown_and_moves_nothing() {
    let conf = Conf::sample().with("<types name=\"diskw\"/>", "").without("<diskw name=\"", "diskw1", "</diskw>");
    let Some(cluster) = Cluster::up(conf) else { return };
    cluster.disk_fail("server1").unwrap();
    cluster.until("the heartbeat of the disk is offline", || cluster.path("server2", "server1", "diskhb1") == "Offline");
    cluster.until("a warning is recorded", || {
        cluster.has_logged("server2", "heartbeat or NP device diskhb1 of server server1 went down")
    });
    let since = Instant::now();
    cluster.until("five heartbeat time-outs have passed", || {
        assert_eq!(cluster.group("server2").1, "server1");
        since.elapsed() > Duration::from_secs(5)
    });
    assert!(!cluster.has_mount("server2"));
    // Operation has stopped: what is written no longer reaches the disk.
    assert!(!cluster.is_true("server1", "echo x > /mnt/sdb2/file && sync -f /mnt/sdb2/file"));
}

// S-TST-OS
#[test]
fn a_shutdown_of_the_active_server_moves_the_group_first() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    cluster.run("server1", &["sh", "-c", "echo kept > /mnt/sdb2/file"]);
    let _ = cluster.exec("server1", &["clpdown"]).unwrap();
    cluster.until("server1 is down", || cluster.is_off("server1"));
    cluster.until("the group is active on server2", || cluster.is_active_on("server2"));
    assert_eq!(cluster.server_status("server1").unwrap().last_end.as_deref(), Some("halt"));
    assert_eq!(cluster.run("server2", &["cat", "/mnt/sdb2/file"]).trim(), "kept");
}

// S-TST-DISKMOUNTED
#[test]
fn a_disk_that_was_mounted_by_hand_is_not_taken_into_the_group() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    cluster.run("server1", &["clpgrp", "-t", "failover1"]);
    cluster.until("the group is offline", || cluster.group("server1").0 == "Offline");
    let by_hand = "blockdev --setrw /dev/sdb2; mkdir -p /mnt/hand && mount /dev/sdb2 /mnt/hand";
    cluster.run("server1", &["sh", "-c", by_hand]);
    let output = cluster.exec("server1", &["clpgrp", "-s", "failover1", "-h", "server1"]).unwrap();
    assert!(!output.is_ok(), "{output:?}");
    assert!(!cluster.is_active_on("server1"));
    assert!(cluster.has_logged("server1", "mounted by hand: umount /mnt/hand"));
    // If the group went to the other server, then not while the disk was mounted here.
    cluster.until("the group stays somewhere or nowhere", || {
        let (status, _) = cluster.group("server2");
        status != "Online Pending" && status != "Offline Pending"
    });
    let here = cluster.is_true("server1", "grep -q '^/dev/sdb2 ' /proc/mounts");
    assert!(!(here && cluster.has_mount("server2")), "mounted on both servers");
}

// S-TST-EXECBAD
#[test]
fn a_start_script_that_fails_moves_the_group_on() {
    let script = "#!/bin/sh\n[ \"$(hostname)\" = server1 ] && exit 1\n\
                  setsid \"$CLP_PATH/bin/counter\" serve --listen 10.0.0.12:8080 --data /mnt/sdb2/counter.db >/dev/null 2>&1 </dev/null &\nexit 0\n";
    let Some(cluster) = Cluster::boot(Conf::sample().with_start_script(script), true) else { return };
    cluster.until("the group is active on server2", || cluster.is_active_on("server2"));
    assert!(!cluster.has_mount("server1") && !cluster.has_address("server1"));
    assert!(!cluster.is_off("server1"));
}

// S-TST-FIPDUP
#[test]
fn a_floating_address_that_someone_else_has_is_not_activated() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    cluster.run("server1", &["clpgrp", "-t", "failover1"]);
    cluster.until("the group is offline", || cluster.group("server1").0 == "Offline");
    assert!(cluster.client(&["ip", "addr", "add", &format!("{FLOATING}/24"), "dev", "eth0"]).unwrap().is_ok());
    let _ = cluster.exec("server1", &["clpgrp", "-s", "failover1"]).unwrap();
    cluster.until("the activation has failed everywhere", || {
        let (status, _) = cluster.group("server1");
        status != "Online Pending" && status != "Offline Pending" && cluster.resource("server1", "fip1") != "Online Pending"
    });
    assert!(!cluster.has_address("server1") && !cluster.has_address("server2"));
    assert_ne!(cluster.group("server1").0, "Online");
    assert!(cluster.has_logged("server1", &format!("address {FLOATING} already used on the network: by ")));
}

// S-TST-DISKMOUNTED
#[test]
fn a_disk_that_is_mounted_by_hand_when_the_cluster_starts_holds_the_group_until_it_is_free() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    cluster.run("server1", &["clpcl", "-t", "-a"]);
    let by_hand = "blockdev --setrw /dev/sdb2; mkdir -p /mnt/hand && mount /dev/sdb2 /mnt/hand";
    cluster.run("server2", &["sh", "-c", by_hand]);
    cluster.run("server1", &["clpcl", "-s", "-a"]);
    cluster.until("the use by hand is recorded", || cluster.has_logged("server2", "mounted by hand: umount /mnt/hand"));
    cluster.until("the group is held", || cluster.group("server1").0 == "Offline Failure");
    let since = Instant::now();
    cluster.until("it stays held, and nobody is shut down for it", || {
        assert!(!cluster.has_mount("server1") && !cluster.is_off("server2"));
        since.elapsed() > Duration::from_secs(5)
    });
    cluster.run("server2", &["umount", "/mnt/hand"]);
    cluster.until("the group starts where it belongs", || cluster.is_active_on("server1"));
}
