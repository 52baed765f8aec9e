//! Monitor resources: what each kind finds, what follows, and what an operator can do with them.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod cluster;

use clp_testbed::Net;
use cluster::{Cluster, Conf, FLOATING};
use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The recovery of the monitors here: reactivations of the group, then failovers.
fn recovery(restart: u32, failover: u32) -> String {
    format!(
        "<relation><type>grp</type><name>failover1</name></relation>\n<emergency><threshold><restart>{restart}</restart><fo>{failover}</fo></threshold></emergency>"
    )
}

/// A custom monitor that runs everywhere, once a second.
fn custom(parameters: &str, recovery: &str) -> String {
    format!(
        "<genw name=\"genw1\">\n<polling><interval>1</interval><timeout>2</timeout></polling>\n<parameters>{parameters}</parameters>\n{recovery}\n</genw>"
    )
}

/// Ends with code 7, or 5 on server2, unless somebody put another code or a long sleep into a file.
const SCRIPT: &str = "#! /bin/sh\n[ -e /tmp/sleep ] && sleep 1000\n[ $(hostname) = server2 ] && exit 5\nexit $(cat /tmp/code 2>/dev/null || echo 7)\n";

// S-MON-GENW
#[test]
fn the_exit_code_of_a_custom_script_moves_the_group_and_so_does_its_time_out() {
    let there = "<server name=\"server2\"><parameters><normalval>5</normalval></parameters></server>";
    let monitor = custom("<normalval>7,9</normalval>", &format!("{}{there}", recovery(0, 1)));
    let conf = Conf::sample().with_monitor(&monitor).with_monitor_script("genw1", "genw.sh", SCRIPT);
    let Some(cluster) = Cluster::up(conf) else { return };
    cluster.until("the script is run on both servers", || cluster.monitor("server1", "genw1") == "Normal");
    cluster.run("server1", &["sh", "-c", "echo 3 > /tmp/code"]);
    cluster.moved_to("server2", "server1");
    assert!(cluster.has_logged("server1", "monitor genw1 found an error, code 1 text script"));
    assert!(cluster.has_logged("server1", "it ended with code 3"));
    cluster.run("server1", &["sh", "-c", "echo 9 > /tmp/code"]);
    cluster.until("the monitor is normal again", || cluster.monitor("server2", "genw1") == "Normal");
    cluster.run("server1", &["clpgrp", "-m", "failover1", "-h", "server2"]);
    cluster.until("the group is back", || cluster.is_active_on("server1"));
    cluster.run("server1", &["touch", "/tmp/sleep"]);
    cluster.moved_to("server2", "server1");
    assert!(cluster.has_logged("server1", "it did not end in time and was killed"));
}

// S-MON-ARPW
#[test]
fn neighbours_are_told_of_the_floating_address_while_it_is_active() {
    let monitor = "<arpw name=\"arpw1\">\n<target>fip1</target>\n<polling><interval>1</interval></polling>\n<parameters><object>fip1</object></parameters>\n</arpw>";
    let Some(cluster) = Cluster::up(Conf::sample().with_monitor(monitor)) else { return };
    let address = cluster.run("server1", &["cat", "/sys/class/net/eth0/address"]);
    let neighbour = |words: &[&str]| cluster.client(&[&["ip", "neigh"][..], words].concat()).unwrap();
    // The announcements at the activation itself last two seconds.
    for round in 1..=4 {
        let wrong = ["replace", FLOATING, "lladdr", "02:00:00:00:00:99", "dev", "eth0", "nud", "stale"];
        assert!(neighbour(&wrong).is_ok());
        cluster.until(&format!("the table is right, {round}"), || neighbour(&["show", FLOATING]).stdout.contains(address.trim()));
    }
    cluster.run("server1", &["clpgrp", "-t", "failover1"]);
    cluster.until("the monitor rests with its target", || cluster.monitor("server1", "arpw1") == "Offline");
}

#[test]
fn a_floating_address_that_somebody_removed_is_put_back() {
    let recovery = recovery(1, 0);
    let monitor =
        format!("<fipw name=\"fipw1\">\n<target>fip1</target>\n<polling><interval>1</interval></polling>\n{recovery}\n</fipw>");
    let Some(cluster) = Cluster::up(Conf::sample().with_monitor(&monitor)) else { return };
    cluster.until("the address is watched", || cluster.monitor("server1", "fipw1") == "Normal");
    cluster.run("server1", &["ip", "addr", "del", &format!("{FLOATING}/24"), "dev", "eth0"]);
    cluster.until("the error is recorded", || cluster.has_logged("server1", "the address 10.0.0.12 is not on any interface"));
    cluster.until("the address is back", || cluster.is_active_on("server1"));
}

#[test]
fn a_process_that_is_missing_by_its_name_moves_the_group() {
    let recovery = recovery(0, 1);
    let monitor = format!(
        "<psw name=\"psw1\">\n<target>exec1</target>\n<polling><interval>1</interval><timing>1</timing></polling>\n<parameters><processname>*counter serve*</processname></parameters>\n{recovery}\n</psw>"
    );
    let Some(cluster) = Cluster::up(Conf::sample().with_monitor(&monitor)) else { return };
    cluster.until("the process is watched", || cluster.monitor("server1", "psw1") == "Normal");
    cluster.run("server1", &["sh", "-c", "kill -9 $(pgrep -f '[c]ounter serve')"]);
    cluster.moved_to("server2", "server1");
    assert!(cluster.has_logged("server1", "0 processes \"*counter serve*\" run"));
}

// S-MON-DISKW
#[test]
fn a_cut_disk_and_a_hanging_one_are_found_in_time_and_the_daemon_goes_on() {
    // Interval 2 s, time-out 5 s; the error is only shown, so that the server stays to be looked at.
    let conf = Conf::sample().with("<action>4</action>", "<action>1</action>");
    let limit = Duration::from_secs(7);
    // Writing the record and asking for it take their time on a busy machine.
    let slack = Duration::from_secs(3);
    let Some(cluster) = Cluster::up(conf) else { return };
    let find = |what: &str, words: &str| {
        let since = Instant::now();
        cluster.until(what, || cluster.has_logged("server1", words));
        assert!(since.elapsed() <= limit + slack, "{what}: after {:?}", since.elapsed());
        cluster.until("it is shown", || cluster.monitor("server2", "diskw1") == "Caution");
        assert_eq!(cluster.monitor("server1", "diskw1"), "Caution", "server1 answers");
    };
    cluster.disk_fail("server1").unwrap();
    find("the cut disk is found", "cannot read /dev/sdb2: Input/output error");
    cluster.disk_heal("server1").unwrap();
    cluster.until("it is well", || cluster.monitor("server1", "diskw1") == "Normal");
    let dead_man = DeadMan::hang(&cluster, "server1");
    find("the hanging disk is found", "reading /dev/sdb2 has not ended");
    // Other monitors of the same daemon still see what happens.
    cluster.run("server1", &["clpmonctrl", "-s", "-m", "miiw2"]);
    cluster.cut("server1", Net::Public).unwrap();
    cluster.until("another monitor works", || cluster.has_logged("server1", "monitor miiw1 found an error"));
    cluster.heal("server1", Net::Public).unwrap();
    drop(dead_man);
    cluster.until("it is well again", || cluster.monitor("server1", "diskw1") == "Normal");
}

#[test]
fn scripts_run_before_the_steps_of_a_recovery() {
    let uses = "<preaction><use>1</use><userestart>1</userestart><usefailover>1</usefailover></preaction>";
    let rules = recovery(1, 1).replace("<emergency>", &format!("<emergency><action>2</action>{uses}"));
    let note = "#! /bin/sh\necho $CLP_MONITORNAME $CLP_ACTION $CLP_RESTARTCOUNT$CLP_FAILOVERCOUNT >> /tmp/told\n[ \"$CLP_ACTION\" != FINALACTION ]\n";
    let conf = Conf::sample()
        .with_monitor(&custom("", &rules))
        .with_monitor_script("genw1", "genw.sh", "#! /bin/sh\ntest ! -e /tmp/bad\n")
        .with_monitor_script("genw1", "preaction.sh", note);
    let Some(cluster) = Cluster::up(conf) else { return };
    let told = |server: &str| cluster.exec(server, &["cat", "/tmp/told"]).unwrap().stdout;
    cluster.run("server1", &["touch", "/tmp/bad"]);
    cluster.moved_to("server2", "server1");
    assert_eq!(told("server1"), "genw1 RESTART 1\ngenw1 FAILOVER 1\n");
    assert!(cluster.has_logged("server1", "script before failover for monitor genw1 done"));
    cluster.run("server2", &["touch", "/tmp/bad"]);
    cluster.until("the ladder has ended", || cluster.group("server1").0 == "Offline");
    assert_eq!(told("server2"), "genw1 RESTART 1\ngenw1 FINALACTION\n");
    assert!(cluster.has_logged("server2", "script before final action for monitor genw1 failed"));
}

/// A script that is left running, and that the end of the service waits for.
#[test]
fn a_script_left_running_is_watched_and_the_service_waits_for_its_end() {
    let script = "#! /bin/sh\ntrap 'sleep 1; date > /tmp/ended; exit 0' TERM\nwhile :; do sleep 1 & wait $!; done\n";
    let monitor = custom("<sync>0</sync><waitstop>1</waitstop>", &recovery(0, 1));
    let conf = Conf::sample().with_monitor(&monitor).with_monitor_script("genw1", "genw.sh", script);
    let Some(cluster) = Cluster::up(conf) else { return };
    let running = |server: &str| cluster.is_true(server, "pgrep -f '[m]onitor.s/genw1'");
    cluster.until("the script runs on both servers", || running("server1") && running("server2"));
    cluster.run("server1", &["clpcl", "-t", "-a"]);
    for server in ["server1", "server2"] {
        assert!(cluster.is_true(server, "test -e /tmp/ended"), "{server}: the script was not asked to end");
        assert!(!running(server), "{server}: the script has outlived the service");
    }
    cluster.run("server1", &["clpcl", "-s", "-a"]);
    cluster.settle();
    cluster.until("the script runs again", || running("server1"));
    cluster.run("server1", &["sh", "-c", "kill -9 $(pgrep -f '[m]onitor.s/genw1')"]);
    cluster.moved_to("server2", "server1");
}

#[test]
fn a_time_out_without_recovery_is_shown_and_a_slow_check_is_told() {
    let rules = recovery(0, 1).replace(
        "<emergency>",
        "<emergency><timeout><notrecovery><use>1</use></notrecovery></timeout><dumpcollect><use>1</use></dumpcollect>",
    );
    let script = "#! /bin/sh\n[ -e /tmp/slow ] && sleep 1\n[ -e /tmp/sleep ] && sleep 1000\nexit 0\n";
    let conf = Conf::sample()
        .with("<profile>fast</profile>", "<profile>fast</profile>\n<delaywarn><monitor>40</monitor></delaywarn>")
        .with_monitor(&custom("", &rules))
        .with_monitor_script("genw1", "genw.sh", script);
    let Some(cluster) = Cluster::up(conf) else { return };
    cluster.run("server1", &["touch", "/tmp/slow"]);
    cluster.until("the slow check is told", || {
        cluster.has_logged("server1", "polling of genw1 was slow") && cluster.has_logged("server1", "timeout=2000 ms")
    });
    assert_eq!(cluster.monitor("server1", "genw1"), "Normal");
    cluster.run("server1", &["touch", "/tmp/sleep"]);
    cluster.until("the time-out is shown", || cluster.monitor("server1", "genw1") == "Caution");
    let withheld = "recovery for genw1 skipped since timeouts are set not to recover";
    cluster.until("why nothing follows is told", || cluster.has_logged("server1", withheld));
    cluster.until("what was waited for is recorded", || {
        cluster.is_true("server1", "grep -q '^monitor genw1: script .* did not end in time' /opt/mainstay/log/timeout.genw1.log")
    });
    assert!(cluster.has_logged("server1", "extra diagnostics for monitor genw1 done: /opt/mainstay/log/timeout.genw1.log"));
    assert!(cluster.is_active_on("server1"));
    cluster.run("server1", &["rm", "/tmp/sleep"]);
    cluster.until("it is normal again", || cluster.monitor("server1", "genw1") == "Normal");
    assert!(cluster.is_active_on("server1"));
}

#[test]
fn a_monitor_rests_on_one_server_while_an_operator_wants_it() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    let suspend = ["clpmonctrl", "-s", "-m", "miiw2", "-h", "server1"];
    assert_eq!(cluster.run("server2", &suspend), "Command succeeded.\n");
    let status = |server: &str| cluster.status(server)["monitors"].to_string();
    cluster.until("it is shown", || status("server2").contains("\"Suspend\""));
    assert!(cluster.has_logged("server1", "monitor miiw2 suspended"));
    cluster.cut("server1", Net::Public).unwrap();
    cluster.until("the path is down", || cluster.path("server2", "server1", "lankhb2") == "Offline");
    // The monitor of the other group saw it; the suspended one let its group be.
    cluster.until("another monitor has found the cut", || cluster.has_logged("server1", "monitor miiw1 found an error"));
    assert_eq!(cluster.group("server2"), ("Online".into(), "server1".into()));
    assert_eq!(cluster.run("server1", &["clpmonctrl", "-r"]), "Command succeeded.\n");
    cluster.moved_to("server2", "server1");
    assert!(cluster.has_logged("server1", "all monitors resumed"));
}

#[test]
fn a_dummy_failure_tries_the_recovery_and_its_counts_are_shown_everywhere_and_cleared() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    cluster.run("server1", &["clpmonctrl", "-e", "-m", "miiw2"]);
    cluster.moved_to("server2", "server1");
    assert!(cluster.has_logged("server1", "dummy failure switched on for miiw2"));
    assert!(cluster.has_logged("server1", "dummy failure (clpmonctrl -e)"));
    let counts = |server: &str| cluster.run(server, &["clpmonctrl", "-v", "-m", "miiw2"]);
    assert_eq!(counts("server1"), "Resource : miiw2 reactivation 0, failover 1, dummy failure on\n");
    assert_eq!(counts("server2"), "Resource : miiw2 reactivation 0, failover 1\n");
    cluster.run("server1", &["clpmonctrl", "-n"]);
    cluster.until("it is normal", || cluster.monitor("server1", "miiw2") == "Normal");
    cluster.run("server2", &["clpmonctrl", "-c"]);
    for server in ["server1", "server2"] {
        assert_eq!(counts(server), "Resource : miiw2 reactivation 0, failover 0\n");
    }
    let unknown = cluster.exec("server1", &["clpmonctrl", "-e", "-m", "miiw9"]).unwrap();
    assert!(!unknown.is_ok() && unknown.stderr.contains("miiw2"), "{unknown:?}");
}

/// Custom monitors that find nothing by themselves, to be made to fail: name, recovery target, thresholds, final action.
fn trials(list: &[(&str, &str, (u32, u32), u32)]) -> Conf {
    list.iter().fold(Conf::sample(), |conf, (name, target, (restart, failover), action)| {
        let (kind, target) = target.split_once(' ').expect("kind and name");
        let element = format!(
            "<genw name=\"{name}\">\n<polling><interval>1</interval></polling>\n<relation><type>{kind}</type><name>{target}</name></relation>\n<emergency><threshold><restart>{restart}</restart><fo>{failover}</fo></threshold><action>{action}</action></emergency>\n</genw>"
        );
        conf.with_monitor(&element).with_monitor_script(name, "genw.sh", "#! /bin/sh\nexit 0\n")
    })
}

// S-MON-RECOVERYTARGET S-MON-RECOVERYKIND S-MON-TIMING-ALWAYS
#[test]
fn a_recovery_acts_on_a_resource_a_group_or_all_groups_of_the_server_step_by_step() {
    let conf = trials(&[
        ("genwr", "rsc exec1", (1, 0), 1),
        ("genwg", "grp failover1", (1, 1), 2),
        ("genws", "cls LocalServer", (0, 1), 1),
    ]);
    let Some(cluster) = Cluster::up(conf) else { return };
    let told = |text: &str| cluster.has_logged("server1", text);
    cluster.run("server1", &["clpmonctrl", "-e", "-m", "genwr"]);
    cluster.until("the resource was started again", || told("recovery target exec1 restarted on behalf of monitor genwr"));
    cluster.until("the ladder is at its end", || told("no recovery is left for monitor genwr"));
    cluster.run("server1", &["clpmonctrl", "-n"]);
    cluster.until("it runs", || cluster.is_active_on("server1"));
    assert!(!told("fip1 restarted") && !told("failover1 restarted"));
    // The whole server: both of its groups go.
    cluster.run("server1", &["clpmonctrl", "-e", "-m", "genws"]);
    cluster.moved_to("server2", "server1");
    cluster.until("the other group too", || cluster.run("server1", &["clpgrp", "-n", "ManagementGroup"]).trim() == "server2");
    cluster.run("server1", &["clpmonctrl", "-n"]);
    // One group, rung by rung: again here, then on the other server, then its final action there.
    cluster.run("server2", &["clpmonctrl", "-e", "-m", "genwg"]);
    cluster.moved_to("server1", "server2");
    let position = |text: &str| {
        let log = cluster.run("server2", &["cat", "/opt/mainstay/log/clusterpro.log.cur"]);
        log.find(text).unwrap_or_else(|| panic!("{text} is not in the log"))
    };
    let (again, over) = (
        position("recovery target failover1 restarted on behalf of monitor genwg"),
        position("recovery target failover1 failed over on behalf of monitor genwg"),
    );
    assert!(again < over, "the rungs in their order");
    cluster.run("server1", &["clpmonctrl", "-e", "-m", "genwg"]);
    cluster.until("the final action stops it", || cluster.group("server2") == ("Offline".into(), String::new()));
    // It ran with no group active, and goes on.
    cluster.run("server1", &["clpmonctrl", "-n"]);
    cluster.run("server1", &["clpgrp", "-t", "ManagementGroup"]);
    cluster.until("it is watched on every server", || cluster.monitor("server1", "genwr") == "Normal");
}

// S-MON-FINAL
#[test]
fn each_final_action_is_carried_out() {
    let conf = trials(&[
        ("genw1", "grp failover1", (0, 0), 1),
        ("genw2", "grp failover1", (0, 0), 2),
        ("genw16", "rsc exec1", (0, 0), 16),
        ("genw3", "cls LocalServer", (0, 0), 3),
        ("genw4", "cls LocalServer", (0, 0), 4),
        ("genw5", "cls LocalServer", (0, 0), 5),
    ]);
    let Some(cluster) = Cluster::up(conf) else { return };
    let fail = |server: &str, monitor: &str| cluster.run(server, &["clpmonctrl", "-e", "-m", monitor]);
    fail("server1", "genw1");
    cluster.until("nothing is left to do", || cluster.has_logged("server1", "no recovery is left for monitor genw1"));
    assert!(cluster.is_active_on("server1"));
    cluster.run("server1", &["clpmonctrl", "-n"]);
    fail("server1", "genw16");
    cluster.until("the resource is stopped", || cluster.resource("server1", "exec1") == "Offline");
    assert!(cluster.has_mount("server1") && cluster.has_address("server1"), "and nothing else");
    cluster.run("server1", &["clpmonctrl", "-n"]);
    fail("server1", "genw2");
    cluster.until("the group is stopped", || cluster.group("server2") == ("Offline".into(), String::new()));
    assert!(!cluster.has_mount("server1") && !cluster.has_address("server1"));
    cluster.run("server1", &["clpmonctrl", "-n"]);
    cluster.run("server1", &["clpgrp", "-s", "failover1", "-h", "server1"]);
    cluster.settle();
    fail("server1", "genw3");
    cluster.moved_to("server2", "server1");
    assert!(!cluster.is_off("server1") && cluster.boots("server1") == 1);
    cluster.until("the service has stopped", || cluster.server("server2", "server1") == "Offline");
    // Its farewell is a moment older than the end of its processes.
    cluster.until("it is started again", || cluster.exec("server1", &["clpcl", "-s"]).is_ok_and(|output| output.is_ok()));
    cluster.until("server1 is back", || cluster.server("server2", "server1") == "Online");
    fail("server1", "genw5");
    cluster.until("server1 has rebooted", || cluster.boots("server1") == 2);
    cluster.until("server1 is back", || cluster.server("server2", "server1") == "Online");
    fail("server2", "genw4");
    cluster.until("server2 is down", || cluster.is_off("server2"));
    cluster.until("the group is active on server1", || cluster.is_active_on("server1"));
    assert_eq!(cluster.server_status("server2").unwrap().last_end.as_deref(), Some("halt"));
}

/// What stands where the user-space check finds `true`: hangs while a file says so.
const TRUE: &str = "printf '#! /bin/sh\\n[ -e /tmp/stall ] && exec sleep 1000\\nexit 0\\n' > /opt/mainstay/bin/true && chmod 755 /opt/mainstay/bin/true";

// S-MON-USERW
#[test]
fn a_stalled_user_space_is_ended_by_the_watchdog_and_the_groups_start_elsewhere() {
    let own = "<userw name=\"userw\">\n<polling><interval>1</interval><timeout>2</timeout></polling>\n<parameters><usehb>0</usehb></parameters>";
    let Some(cluster) = Cluster::up(Conf::sample().with("<userw name=\"userw\">", own)) else { return };
    cluster.run("server1", &["sh", "-c", TRUE]);
    cluster.until("user space is watched", || cluster.monitor("server1", "userw") == "Normal");
    cluster.run("server1", &["touch", "/tmp/stall"]);
    cluster.until("server1 is reset", || cluster.boots("server1") == 2);
    cluster.moved_to("server2", "server1");
    assert_eq!(cluster.server_status("server1").unwrap().last_end.as_deref(), Some("reset by the watchdog"));
    assert!(cluster.has_logged("server1", "monitor userw found an error, code 1 text the user space check has not ended"));
    assert_eq!(cluster.boots("server2"), 1);
}

// S-MON-STATUS
#[test]
fn the_status_of_a_monitor_is_what_it_finds_on_each_server() {
    let conf = Conf::sample().with_monitor(&custom("", &recovery(0, 0))).with_monitor_script(
        "genw1",
        "genw.sh",
        "#! /bin/sh\ntest ! -e /tmp/bad\n",
    );
    let Some(cluster) = Cluster::up(conf) else { return };
    // Interval 1 s; asking takes its time on a busy machine.
    let limit = Duration::from_secs(1) + Duration::from_secs(3);
    let find = |what: &str, merged: &str, words: [&str; 2]| {
        for server in ["server1", "server2"] {
            let since = Instant::now();
            cluster.until(&format!("{what}, as {server} sees it"), || {
                let status = cluster.status(server);
                let monitors = status["monitors"].as_array().cloned().unwrap_or_default();
                monitors.iter().any(|monitor| {
                    monitor["name"] == "genw1" && monitor["status"] == merged && monitor["servers"] == serde_json::json!(words)
                })
            });
            assert!(since.elapsed() <= limit, "{what}: after {:?}", since.elapsed());
        }
        let line = format!("    genw1            : {merged:<17}");
        assert!(cluster.run("server2", &["clpstat"]).contains(&line), "{what}");
    };
    find("both are well", "Normal", ["Online", "Online"]);
    cluster.run("server1", &["touch", "/tmp/bad"]);
    find("one fails", "Caution", ["Online Failure", "Online"]);
    cluster.run("server2", &["touch", "/tmp/bad"]);
    find("both fail", "Error", ["Online Failure", "Online Failure"]);
    cluster.run("server1", &["rm", "/tmp/bad"]);
    cluster.run("server2", &["clpmonctrl", "-s", "-m", "genw1"]);
    find("one is well and one rests", "Normal", ["Online", "Suspend"]);
}

#[test]
fn what_was_ordered_for_monitors_ends_with_the_service_and_the_next_one_says_so() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    cluster.run("server2", &["clpmonctrl", "-s", "-m", "miiw1"]);
    cluster.run("server2", &["clpmonctrl", "-e", "-m", "diskw1"]);
    cluster.run("server2", &["clpmonctrl", "-n", "-m", "diskw1"]);
    let refused = cluster.exec("server2", &["clpmonctrl", "-e", "-m", "userw"]).unwrap();
    assert!(!refused.is_ok() && refused.stderr.contains("the watchdog would reset this server"), "{refused:?}");
    cluster.until("the refusal is recorded", || cluster.has_logged("server2", "dummy failure of userw could not be switched on"));
    cluster.until("the order is kept", || cluster.is_true("server2", "grep -q '^miiw1 suspended' /opt/mainstay/work/monitors"));
    cluster.run("server2", &["clpcl", "-t"]);
    cluster.run("server2", &["clpcl", "-s"]);
    cluster.settle();
    let over = "monitor miiw1 runs as configured again: it was suspended (clpmonctrl -s) until this start";
    cluster.until("it is told", || cluster.has_logged("server2", over));
    assert!(!cluster.has_logged("server2", "monitor diskw1 runs as configured again"));
    assert!(!cluster.is_true("server2", "test -e /opt/mainstay/work/monitors"));
    let status = cluster.status("server2")["monitors"].to_string();
    assert!(!status.contains("Suspend"), "{status}");
}

#[test]
fn counted_failovers_outlive_the_server_that_counted_them_and_end_when_an_operator_moves_the_group() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    cluster.run("server1", &["clpmonctrl", "-e", "-m", "miiw2"]);
    cluster.moved_to("server2", "server1");
    let counts = |server: &str| cluster.run(server, &["clpmonctrl", "-v", "-m", "miiw2"]);
    let one = "Resource : miiw2 reactivation 0, failover 1\n";
    // The coordinator dies; another one takes over what it knew.
    cluster.power_off("server1").unwrap();
    cluster.until("server1 is missed", || cluster.server("server2", "server1") == "Offline");
    assert_eq!(counts("server2"), one);
    cluster.power_on("server1").unwrap();
    cluster.until("server1 is back", || {
        cluster.server("server2", "server1") == "Online" && cluster.server("server1", "server2") == "Online"
    });
    cluster.until("it is told the count", || counts("server1") == one);
    let over = "monitor miiw2 runs as configured again: it had a dummy failure (clpmonctrl -e) until this start";
    cluster.until("and says that the trial is over", || cluster.has_logged("server1", over));
    cluster.run("server2", &["clpgrp", "-m", "failover1"]);
    cluster.moved_to("server1", "server2");
    for server in ["server1", "server2"] {
        cluster.until("the count is forgotten", || counts(server) == one.replace("failover 1", "failover 0"));
    }
}

/// Heals a server's disk path when it is dropped, and after a while also when the case itself hangs on it.
struct DeadMan<'a>(&'a Cluster, &'static str, Child);

impl DeadMan<'_> {
    fn hang<'a>(cluster: &'a Cluster, server: &'static str) -> DeadMan<'a> {
        let testbed = std::env::var("MAINSTAY_BIN").map_or_else(
            |_| std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("testbed"),
            |place| std::path::Path::new(&place).join("testbed"),
        );
        let line = "sleep 60; exec \"$0\" disk heal \"$1\" --name \"$2\"";
        let mut command = Command::new("sh");
        // What it has open would hold up whoever reads this program's output.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.args(["-c", line]).arg(testbed).args([server, cluster.name()]).spawn().unwrap();
        cluster.disk_hang(server).unwrap();
        DeadMan(cluster, server, child)
    }
}

impl Drop for DeadMan<'_> {
    fn drop(&mut self) {
        let _ = self.0.disk_heal(self.1);
        let _ = self.2.kill();
        let _ = self.2.wait();
    }
}

/// Nothing of the group ends by itself: its program and its unmount wait for the disk.
#[test]
fn a_hanging_disk_moves_its_group_although_nothing_of_it_can_be_stopped_in_order() {
    let conf = Conf::sample()
        .with("<stop>60</stop>", "<stop>3</stop>")
        .with("</mount>", "</mount>\n<umount><timeout>3</timeout><retry>0</retry></umount>");
    let Some(cluster) = Cluster::up(conf) else { return };
    let dead_man = DeadMan::hang(&cluster, "server1");
    cluster.until("the time-out is found", || cluster.has_logged("server1", "reading /dev/sdb2 has not ended"));
    cluster.until("the group is active on server2", || cluster.is_active_on("server2"));
    assert!(!cluster.has_address("server1"));
    drop(dead_man);
    cluster.until("server1 is down, as its final action says", || cluster.is_off("server1"));
    assert!(cluster.is_active_on("server2") && cluster.boots("server2") == 1);
}
