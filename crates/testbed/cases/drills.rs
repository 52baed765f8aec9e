//! The guide's dummy-failure tests (chapter 8): cables, disks, addresses, scripts and processes.

mod support;

use std::fs;
use std::path::Path;

use clp_testbed::Net;
use support::{Case, on, replace};

// S-TST-INTERLAN S-HB-STATUS S-HB-DEDICATED S-HB-PRIO
#[test]
fn interconnect_cable_off_communication_goes_on_over_the_public_lan() {
    let Some(case) = Case::sample("interconnect_cable_off_communication_goes_on_over_the_public_lan") else { return };
    case.settled();
    case.lab.cut("server2", Net::Interconnect).unwrap();
    case.until("the interconnect heartbeat is offline", || {
        case.path("server1", "server2", "lankhb1") == "Offline" && case.path("server2", "server1", "lankhb1") == "Offline"
    });
    case.until("a warning is recorded", || case.alerted("server1", "Heartbeat lankhb1 with server server2 is abnormal"));
    assert!(case.only_on("server1"));
    // Control traffic uses the other LAN.
    case.ok("server1", &["clpgrp", "-m", "failover1"]);
    assert!(case.only_on("server2"));
    case.lab.heal("server2", Net::Interconnect).unwrap();
    case.until("the path is back", || case.path("server1", "server2", "lankhb1") == "Normal");
}

// S-TST-PUBLAN
#[test]
fn public_cable_off_without_a_monitor_moves_nothing() {
    let name = "public_cable_off_without_a_monitor_moves_nothing";
    let Some(case) = Case::edited(name, without_link_monitors) else { return };
    case.settled();
    case.lab.cut("server1", Net::Public).unwrap();
    case.until("the public heartbeat is offline", || case.path("server2", "server1", "lankhb2") == "Offline");
    case.until("a warning is recorded", || case.alerted("server2", "Heartbeat lankhb2 with server server1 is abnormal"));
    assert_eq!(case.group("server2", "failover1"), on("server1"));
    assert!(case.only_on("server1"));
}

/// Only the heartbeats and the disk are watched.
fn without_link_monitors(conf: &Path) {
    let path = conf.join("clp.conf");
    let text = fs::read_to_string(&path).unwrap();
    let begin = text.find("\t\t<miiw name=\"miiw1\">").unwrap();
    let end = text.rfind("</miiw>").unwrap() + "</miiw>".len();
    fs::write(path, format!("{}{}", &text[..begin], &text[end..])).unwrap();
}

// S-TST-PUBLAN-MIIW S-MON-MIIW S-MON-RECOVERYTARGET
#[test]
fn public_cable_off_with_a_link_monitor_fails_over() {
    let Some(case) = Case::sample("public_cable_off_with_a_link_monitor_fails_over") else { return };
    case.settled();
    case.lab.cut("server1", Net::Public).unwrap();
    case.until("the group went to server2", || case.group("server2", "failover1") == on("server2"));
    assert!(case.only_on("server2"));
    assert!(case.alerted("server1", "Monitor miiw2 detected an error"));
    let why = case.ok("server2", &["clpstat", "--why", "failover1"]);
    assert!(why.contains("miiw2"), "{why}");
    assert!(case.pings("10.0.0.12"));
}

// S-TST-PUBLAN-IPW S-MON-IPW
#[test]
fn public_cable_off_with_an_ip_monitor_fails_over() {
    let edit = |conf: &Path| {
        without_link_monitors(conf);
        ip_monitor(conf, "10.0.0.254");
    };
    let Some(case) = Case::edited("public_cable_off_with_an_ip_monitor_fails_over", edit) else { return };
    case.settled();
    case.lab.cut("server1", Net::Public).unwrap();
    case.until("the group went to server2", || case.group("server2", "failover1") == on("server2"));
    assert!(case.only_on("server2"));
    assert!(case.alerted("server1", "Monitor ipw1 detected an error"));
}

// S-TST-INTERLAN-IPW
#[test]
fn interconnect_cable_off_with_an_ip_monitor_fails_over() {
    let edit = |conf: &Path| {
        without_link_monitors(conf);
        ip_monitor(conf, "192.168.0.254");
    };
    let Some(case) = Case::edited("interconnect_cable_off_with_an_ip_monitor_fails_over", edit) else { return };
    case.settled();
    case.lab.cut("server1", Net::Interconnect).unwrap();
    case.until("the group went to server2", || case.group("server2", "failover1") == on("server2"));
    assert!(case.only_on("server2"));
}

fn ip_monitor(conf: &Path, address: &str) {
    let monitor = format!(
        "<ipw name=\"ipw1\">\n<polling><interval>1</interval><timeout>1</timeout></polling>\n<parameters><list id=\"0\"><ip>{address}</ip></list></parameters>\n<relation><type>grp</type><name>failover1</name></relation>\n<emergency><threshold><restart>0</restart><fo>1</fo></threshold></emergency>\n</ipw>\n\t</monitor>"
    );
    replace(conf, "</monitor>", &monitor);
}

// S-TST-SCSI-MON S-MON-DISKW S-MON-FINAL
#[test]
fn disk_cable_off_is_found_by_the_disk_monitor_and_the_group_fails_over() {
    let Some(case) = Case::sample("disk_cable_off_is_found_by_the_disk_monitor_and_the_group_fails_over") else { return };
    case.settled();
    case.lab.disk_fail("server1").unwrap();
    case.until("the group is on server2", || case.group("server2", "failover1") == on("server2"));
    case.until("server1 is down", || {
        case.lab.server_status("server1").is_ok_and(|status| status.phase == clp_testbed::Phase::Off)
    });
    assert!(case.alerted("server1", "Monitor diskw1 detected an error"));
    assert!(case.pings("10.0.0.12"));
    assert!(case.mounted("server2"));
}

// S-TST-OS S-CMD-CLPDOWN S-OPS-SRVSHUT
#[test]
fn shutdown_of_the_active_server_fails_its_groups_over() {
    let Some(case) = Case::sample("shutdown_of_the_active_server_fails_its_groups_over") else { return };
    case.settled();
    assert_eq!(case.ok("server2", &["clpdown", "-h", "server1"]), "Command succeeded.\n");
    case.until("server1 is down", || {
        case.lab.server_status("server1").is_ok_and(|status| status.phase == clp_testbed::Phase::Off)
    });
    case.until("server2 has both groups", || {
        case.group("server2", "failover1") == on("server2") && case.group("server2", "ManagementGroup") == on("server2")
    });
    assert!(case.log("server1").contains("failover1: server1: offline here"), "the stop was in order");
}

// S-TST-DISKMOUNTED S-RSC-DISK-BUSY
#[test]
fn a_disk_mounted_by_hand_is_not_mounted_twice() {
    let edit = |conf: &Path| replace(conf, "<gid>1</gid>", "<gid>1</gid>\n\t\t<start>0</start>");
    let Some(case) = Case::edited("a_disk_mounted_by_hand_is_not_mounted_twice", edit) else { return };
    case.until("the service is up", || case.group("server1", "ManagementGroup") == on("server1"));
    case.ok("server1", &["sh", "-c", "blockdev --setrw /dev/sdb2 && mkdir -p /mnt/hand && mount /dev/sdb2 /mnt/hand"]);
    // The disk is not activated there; the group goes where it can, or the command says why not.
    let output = case.lab.exec("server1", &["clpgrp", "-s", "failover1"]).unwrap();
    assert!(!output.is_ok(), "{}", output.stdout);
    assert!(!case.mounted("server1"));
    let why = case.ok("server1", &["clpstat", "--why", "failover1"]);
    assert!(why.contains("already mounted on /mnt/hand"), "{why}");
}

// S-TST-EXECBAD S-RSC-EXEC-FAIL S-RSC-ACTFAIL
#[test]
fn a_script_that_ends_with_1_fails_the_activation_and_the_group_goes_elsewhere() {
    let edit = |conf: &Path| {
        let script = conf.join("scripts/failover1/exec1/start.sh");
        let text = fs::read_to_string(&script).unwrap();
        fs::write(&script, text.replace("echo \"NORMAL1\"", "echo \"NORMAL1\"; [ \"$CLP_SERVER\" = HOME ] && exit 1")).unwrap();
    };
    let name = "a_script_that_ends_with_1_fails_the_activation_and_the_group_goes_elsewhere";
    let Some(case) = Case::edited(name, edit) else { return };
    case.until("the group is on server2", || case.group("server1", "failover1") == on("server2"));
    assert!(case.only_on("server2"));
    let why = case.ok("server1", &["clpstat", "--why", "failover1"]);
    assert!(why.contains("ended with code 1"), "{why}");
    assert!(case.alerted("server1", "Activating resource exec1 has failed"));
}

// S-RSC-EXEC-FAIL
#[test]
fn a_missing_script_is_named() {
    let edit = |conf: &Path| fs::remove_file(conf.join("scripts/failover1/exec1/start.sh")).unwrap();
    let Some(case) = Case::edited("a_missing_script_is_named", edit) else { return };
    case.until("the failure is recorded", || case.alerted("server1", "start.sh does not exist"));
    assert_eq!(case.group("server1", "ManagementGroup"), on("server1"));
}

// S-TST-FIPDUP S-RSC-FIP-DUP
#[test]
fn an_address_that_somebody_else_has_is_not_added() {
    let edit = |conf: &Path| replace(conf, "<gid>1</gid>", "<gid>1</gid>\n\t\t<start>0</start>");
    let Some(case) = Case::edited("an_address_that_somebody_else_has_is_not_added", edit) else { return };
    case.until("the service is up", || case.group("server1", "ManagementGroup") == on("server1"));
    let added = case.lab.client(&["ip", "addr", "add", "10.0.0.12/24", "dev", "eth0"]).unwrap();
    assert!(added.is_ok(), "{}", added.stderr);
    let refused = case.fails("server1", &["clpgrp", "-s", "failover1"]);
    assert!(refused.contains("in use by"), "{refused}");
    assert!(!case.holds("server1", "10.0.0.12") && !case.holds("server2", "10.0.0.12"));
    assert!(case.lab.client(&["ip", "addr", "del", "10.0.0.12/24", "dev", "eth0"]).unwrap().is_ok());
    case.ok("server1", &["clpgrp", "-t", "failover1"]);
    case.ok("server1", &["clpgrp", "-s", "failover1"]);
    assert!(case.holds("server1", "10.0.0.12"));
}

// S-TST-PIDKILL S-MON-PIDW S-MON-TIMING-ACTIVE S-MON-MAXREACT
#[test]
fn a_killed_resident_process_is_restarted_once_then_its_group_fails_over() {
    let edit = |conf: &Path| {
        replace(conf, "<path>start.sh</path>", "<path>start.sh</path>\n<sync>0</sync>");
        fs::write(conf.join("scripts/failover1/exec1/start.sh"), "#! /bin/sh\nexec sleep 86400\n").unwrap();
        fs::write(conf.join("scripts/failover1/exec1/stop.sh"), "#! /bin/sh\nexit 0\n").unwrap();
        let monitor = "<pidw name=\"pidw1\">\n<target>exec1</target>\n<relation><type>rsc</type><name>exec1</name></relation>\n<emergency><threshold><restart>1</restart><fo>1</fo></threshold></emergency>\n</pidw>\n\t</monitor>";
        replace(conf, "</monitor>", monitor);
    };
    let name = "a_killed_resident_process_is_restarted_once_then_its_group_fails_over";
    let Some(case) = Case::edited(name, edit) else { return };
    case.settled();
    let resident = |server: &str| case.text(server, &["pgrep", "-x", "sleep", "-f", "sleep 86400"]).trim().to_string();
    case.until("the process runs and is watched", || !resident("server1").is_empty() && case.monitor("server1", "pidw1") == "Normal");
    let first = resident("server1");
    case.ok("server1", &["kill", "-9", &first]);
    case.until("it was restarted here", || {
        let now = resident("server1");
        !now.is_empty() && now != first && case.group("server1", "failover1") == on("server1") && case.monitor("server1", "pidw1") == "Normal"
    });
    assert!(resident("server2").is_empty());
    case.ok("server1", &["kill", "-9", &resident("server1")]);
    case.until("it runs on server2", || case.group("server1", "failover1") == on("server2") && !resident("server2").is_empty());
    assert!(case.only_on("server2"));
    assert!(resident("server1").is_empty());
}
