//! The guide's verification steps (chapter 6) by commands, each looked at in the world: address, mount, process.

mod support;

use support::{Case, offline, on, replace};

// S-VER-HB S-VER-MON S-VER-DISK S-VER-FIP S-VER-EXEC S-RSC-DISK-RO S-MON-DEFAULTUSERW
#[test]
fn a_started_cluster_is_healthy_and_its_group_works_in_one_place() {
    let Some(case) = Case::sample("a_started_cluster_is_healthy_and_its_group_works_in_one_place") else { return };
    case.settled();
    let text = case.ok("server1", &["clpstat"]);
    let heartbeats = text.lines().filter(|line| line.contains("hb1") || line.contains("hb2")).collect::<Vec<_>>();
    assert_eq!(heartbeats.len(), 8, "{text}");
    assert!(heartbeats.iter().all(|line| line.contains(": Normal")), "{text}");
    for monitor in ["diskw1", "miiw1", "miiw2", "userw"] {
        case.until("monitors are normal", || case.monitor("server2", monitor) == "Normal");
    }
    assert!(case.only_on("server1"));
    assert!(case.pings("10.0.0.12") && case.pings("10.0.0.11"));
    case.ok("server1", &["sh", "-c", "echo data > /mnt/sdb2/file"]);
    assert!(case.text("server1", &["cat", "/opt/mainstay/log/exec1.log"]).contains("NORMAL2"));
    // Not the owner: the partition is read-only at block level.
    assert_eq!(case.ok("server2", &["blockdev", "--getro", "/dev/sdb2"]).trim(), "1");
    assert_eq!(case.ok("server1", &["blockdev", "--getro", "/dev/sdb2"]).trim(), "0");
    case.lab.exec("server2", &["dd", "if=/dev/zero", "of=/dev/sdb2", "bs=4096", "count=1", "oflag=direct"]).map_or((), |output| {
        assert!(!output.is_ok(), "a write from the server that does not own the disk went through");
    });
}

// S-VER-GSTART S-VER-GSTOP S-VER-GMOVE S-GRP-MOVE S-CMD-CLPGRP S-GRP-ONLINEFAILBACK
#[test]
fn a_group_is_stopped_started_and_moved_to_every_server() {
    let Some(case) = Case::sample("a_group_is_stopped_started_and_moved_to_every_server") else { return };
    case.settled();
    assert_eq!(case.ok("server1", &["clpgrp", "-t", "failover1"]), "Command succeeded.\n");
    assert_eq!(case.group("server2", "failover1"), offline());
    assert!(!case.holds("server1", "10.0.0.12") && !case.mounted("server1"));
    assert_eq!(case.ok("server2", &["clpgrp", "-n", "failover1"]), "");
    assert_eq!(case.ok("server1", &["clpgrp", "-s", "failover1"]), "Command succeeded.\n");
    assert!(case.only_on("server1"));
    case.ok("server1", &["sh", "-c", "echo moved > /mnt/sdb2/file; sync -f /mnt/sdb2/file"]);
    // Without a destination to the next server of the policy, from either side.
    assert_eq!(case.ok("server1", &["clpgrp", "-m", "failover1"]), "Command succeeded.\n");
    assert!(case.only_on("server2"));
    assert_eq!(case.ok("server2", &["cat", "/mnt/sdb2/file"]), "moved\n");
    assert!(case.text("server1", &["cat", "/opt/mainstay/log/exec1.log"]).contains("STOP because of GROUPMOVE"));
    assert!(case.text("server2", &["cat", "/opt/mainstay/log/exec1.log"]).contains("ON_OTHER1"));
    assert_eq!(case.ok("server1", &["clpgrp", "-m", "failover1", "-a", "server1"]), "Command succeeded.\n");
    assert!(case.only_on("server1"));
    assert_eq!(case.ok("server2", &["clpgrp", "-n", "failover1"]), "server1\n");
    let refused = case.fails("server1", &["clpgrp", "-m", "failover1", "-a", "server1"]);
    assert!(refused.contains("already active on server1"), "{refused}");
    let unknown = case.fails("server1", &["clpgrp", "-s", "nothere"]);
    assert!(unknown.contains("failover1") && unknown.contains("ManagementGroup"), "{unknown}");
}

// S-VER-FAILOVER S-VER-FAILBACK S-ARCH-FAILOVER S-GRP-FAILBACK S-GRP-UNIT
#[test]
fn a_server_that_loses_power_is_replaced_and_gets_its_group_back() {
    let name = "a_server_that_loses_power_is_replaced_and_gets_its_group_back";
    let edit = |conf: &std::path::Path| {
        replace(conf, "<gid>1</gid>", "<gid>1</gid>\n\t\t<failback>1</failback>");
    };
    let Some(case) = Case::edited(name, edit) else { return };
    case.settled();
    case.lab.power_off("server1").unwrap();
    case.until("server2 took both groups over", || {
        case.group("server2", "failover1") == on("server2") && case.group("server2", "ManagementGroup") == on("server2")
    });
    assert!(case.pings("10.0.0.12"));
    assert!(case.text("server2", &["cat", "/opt/mainstay/log/exec1.log"]).contains("FAILOVER1"));
    let why = case.ok("server2", &["clpstat", "--why", "failover1"]);
    assert!(why.contains("failover: server1 is gone"), "{why}");
    assert!(case.alerted("server2", "nm 2 ERROR"));
    // With automatic failback the group returns, the other one stays.
    case.lab.power_on("server1").unwrap();
    case.until("failover1 is back on server1", || case.group("server2", "failover1") == on("server1"));
    assert!(case.only_on("server1"));
    assert_eq!(case.group("server1", "ManagementGroup"), on("server2"));
}

// S-VER-SHUTDOWN S-CMD-CLPSTDN S-OPS-CLSHUT
#[test]
fn a_cluster_shutdown_takes_all_servers_down_and_nothing_fails_over() {
    let Some(case) = Case::sample("a_cluster_shutdown_takes_all_servers_down_and_nothing_fails_over") else { return };
    case.settled();
    assert_eq!(case.ok("server2", &["clpstdn"]), "Command succeeded.\n");
    case.until("both servers are off", || {
        case.lab.servers().iter().all(|s| case.lab.server_status(s).is_ok_and(|status| status.phase == clp_testbed::Phase::Off))
    });
    assert!(!case.log("server2").contains("failover1: server2: starting here"), "{}", case.log("server2"));
    assert!(case.log("server1").contains("failover1: server1: offline here"));
}

// S-CMD-CLPCL-STOP S-CMD-CLPCL-START S-CMD-CLPSTAT S-OPS-STOPDAEMON
#[test]
fn the_service_is_stopped_and_started_on_all_servers() {
    let Some(case) = Case::sample("the_service_is_stopped_and_started_on_all_servers") else { return };
    case.settled();
    let stopped = case.ok("server1", &["clpcl", "-t", "-a"]);
    assert!(stopped.contains("Stop server1 : Command succeeded."), "{stopped}");
    assert!(stopped.contains("Stop server2 : Command succeeded."), "{stopped}");
    assert!(!case.holds("server1", "10.0.0.12") && !case.mounted("server1"));
    case.until("the engine is gone", || case.text("server1", &["clpstat"]).matches("Offline").count() > 10);
    let text = case.ok("server1", &["clpstat"]);
    assert!(text.contains("current        : None") && text.contains("*server1"), "{text}");
    let started = case.ok("server1", &["clpcl", "-s", "-a"]);
    assert!(started.contains("Start server2 : Command succeeded."), "{started}");
    case.settled();
    // One server alone: its groups fail over, the operating system goes on.
    assert_eq!(case.ok("server1", &["clpcl", "-t"]), "Command succeeded.\n");
    case.until("server2 has the group", || case.group("server2", "failover1") == on("server2"));
    assert!(case.only_on("server2"));
}

// S-CMD-CLPCL-SUSPEND S-CMD-CLPCL-RESUME
#[test]
fn a_suspended_cluster_keeps_its_groups_and_does_not_watch() {
    let Some(case) = Case::sample("a_suspended_cluster_keeps_its_groups_and_does_not_watch") else { return };
    case.settled();
    assert_eq!(case.ok("server2", &["clpcl", "--suspend"]), "Command succeeded.\n");
    case.until("monitors are suspended", || case.monitor("server1", "miiw2") == "Suspend");
    assert!(case.only_on("server1"));
    case.lab.cut("server1", clp_testbed::Net::Public).unwrap();
    case.until("the path is down", || case.path("server2", "server1", "lankhb2") == "Offline");
    assert_eq!(case.group("server2", "failover1"), on("server1"));
    case.lab.heal("server1", clp_testbed::Net::Public).unwrap();
    case.until("the path is back", || case.path("server2", "server1", "lankhb2") == "Normal");
    assert_eq!(case.ok("server1", &["clpcl", "--resume"]), "Command succeeded.\n");
    case.until("monitors run", || case.monitor("server1", "miiw2") == "Normal");
    assert!(case.only_on("server1"));
}
