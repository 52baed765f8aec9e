//! The guide's chapter 8, second half: storage that is slow, stalls or goes for all servers, a raw device that somebody else uses, and
//! power supplies. The first half is in `drills.rs`.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod cluster;

use clp_testbed::DiskState;
use cluster::{Cluster, Conf};
use std::time::{Duration, Instant};

/// How late each read and write of the slow disk ends: more than [`IMPATIENT`], the disk monitor's own time-out here.
const LATE: Duration = Duration::from_secs(3);
/// The time-out that the disk monitor has before anybody adjusts it.
const IMPATIENT: &str = "<timeout>2</timeout>";
/// How long a case looks on while nothing may happen: several checks of the disk monitor, however late each is.
const WATCHED: Duration = Duration::from_secs(15);
/// After so long the bench heals a disk by itself, whatever becomes of the case.
const HEALED_AT_LAST: Duration = Duration::from_secs(120);

/// The sample whose disk monitor fails the group over, and does nothing more when that did not help.
fn monitored(timeout: &str) -> Conf {
    let polling = "<interval>2</interval>\n\t\t\t\t<timeout>5</timeout>";
    let server =
        "<type>cls</type>\n\t\t\t\t<name>LocalServer</name>\n\t\t\t</relation>\n\t\t\t<emergency>\n\t\t\t\t<action>4</action>";
    let group = "<type>grp</type>\n\t\t\t\t<name>failover1</name>\n\t\t\t</relation>\n\t\t\t<emergency>\n\t\t\t\t<threshold><restart>0</restart><fo>1</fo></threshold>";
    Conf::sample().with(polling, &format!("<interval>1</interval>{timeout}")).with(server, group)
}

/// The sample whose disk nobody monitors.
fn unmonitored() -> Conf {
    Conf::sample().with("<types name=\"diskw\"/>", "").without("<diskw name=\"", "diskw1", "</diskw>")
}

/// Makes the disk of server1 slow.
fn slow(cluster: &Cluster) {
    let state = DiskState::Slow { delay_ms: LATE.as_millis() as u64 };
    cluster.disk_as("server1", state, Some(HEALED_AT_LAST)).unwrap();
}

/// Writes a word to the disk of the group; returns when it is there for good.
fn write(cluster: &Cluster, word: &str) {
    cluster.run("server1", &["sh", "-c", &format!("echo {word} > /mnt/sdb2/file && sync -f /mnt/sdb2/file")]);
}

/// The word that was written last, as the server reads it now.
fn word(cluster: &Cluster, server: &str) -> String {
    cluster.run(server, &["cat", "/mnt/sdb2/file"]).trim().to_string()
}

/// Writes past the caches while the disk of server1 is slow, and looks on.
fn nothing_happens_while_it_is_slow(cluster: &Cluster) {
    let since = Instant::now();
    let line = "mountpoint -q /mnt/sdb2 && echo slowly | dd of=/mnt/sdb2/file conv=notrunc,fsync 2>/dev/null";
    cluster.run("server1", &["sh", "-c", line]);
    assert!(since.elapsed() >= LATE, "the disk was not slow: {:?}", since.elapsed());
    untouched(cluster, since);
}

/// Nothing moves, fails or is started again until [`WATCHED`] has passed since then.
fn untouched(cluster: &Cluster, since: Instant) {
    cluster.until("the time has passed", || {
        for server in ["server1", "server2"] {
            assert_eq!(cluster.group(server), ("Online".to_string(), "server1".to_string()));
            assert_ne!(cluster.monitor(server, "diskw1"), "Error");
        }
        assert_ne!(cluster.server("server2", "server1"), "Offline");
        since.elapsed() > WATCHED
    });
    assert_eq!((cluster.boots("server1"), cluster.boots("server2")), (1, 1));
}

/// How often a server has recorded a text.
fn recorded(cluster: &Cluster, server: &str, text: &str) -> usize {
    cluster.run(server, &["cat", "/opt/mainstay/alert/log/alertlog.alt"]).matches(text).count()
}

/// How many errors the disk monitor of server1 has found so far.
fn errors(cluster: &Cluster) -> usize {
    recorded(cluster, "server1", "monitor diskw1 found an error")
}

/// The slow disk of server1 is an error, and the group goes to the other server with what was written last.
fn the_group_leaves_the_slow_disk(cluster: &Cluster, written: &str) {
    cluster.until("the slow disk is an error", || cluster.has_logged("server1", "reading /dev/sdb2 has not ended"));
    cluster.until("the group is to go", || cluster.has_logged("server1", "failed over on behalf of monitor diskw1"));
    cluster.disk_heal("server1").unwrap();
    cluster.moved_to("server2", "server1");
    assert_eq!(word(cluster, "server2"), written);
}

// S-TST-RAID
#[test]
fn a_disk_that_is_slow_in_a_rebuild_is_an_error_until_the_time_out_of_its_monitor_is_adjusted() {
    let Some(cluster) = Cluster::up(monitored(IMPATIENT)) else { return };
    write(&cluster, "before");
    slow(&cluster);
    the_group_leaves_the_slow_disk(&cluster, "before");
    let adjust = format!(
        "mkdir /root/new && cp -rL /opt/mainstay/etc/clp.conf /opt/mainstay/scripts /root/new/ &&
         sed -i 's,{IMPATIENT},<timeout>30</timeout>,' /root/new/clp.conf"
    );
    cluster.run("server1", &["sh", "-c", &adjust]);
    cluster.run("server1", &["clpcl", "-t", "-a"]);
    cluster.run("server1", &["clpcfctrl", "--push", "-x", "/root/new"]);
    cluster.run("server1", &["clpcl", "-s", "-a"]);
    cluster.settle();
    let before = errors(&cluster);
    // The fault itself, then the disk without one of its parts, then the rebuild.
    cluster.disk_as("server1", DiskState::Hanging, Some(LATE)).unwrap();
    cluster.until("the fault is over", || cluster.server_status("server1").is_ok_and(|status| status.disk == DiskState::Healthy));
    slow(&cluster);
    nothing_happens_while_it_is_slow(&cluster);
    assert_eq!(errors(&cluster), before, "a false error");
    cluster.disk_heal("server1").unwrap();
    cluster.run("server1", &["clpgrp", "-m", "failover1"]);
    cluster.moved_to("server2", "server1");
    assert_eq!(word(&cluster, "server2"), "slowly");
}

// S-TST-RAID S-MON-ADJUST
#[test]
fn a_time_out_ratio_holds_the_errors_of_a_slow_disk_back_for_as_long_as_it_lasts() {
    let Some(cluster) = Cluster::up(monitored(IMPATIENT)) else { return };
    write(&cluster, "before");
    cluster.run("server1", &["clptoratio", "-r", "5", "-t", "1h"]);
    slow(&cluster);
    nothing_happens_while_it_is_slow(&cluster);
    assert_eq!(errors(&cluster), 0, "a false error");
    cluster.run("server1", &["clptoratio", "-i"]);
    the_group_leaves_the_slow_disk(&cluster, "slowly");
}

// S-TST-PATH
#[test]
fn a_stall_of_all_reads_and_writes_until_another_path_is_taken_is_survived() {
    let Some(cluster) = Cluster::up(monitored("<timeout>30</timeout>")) else { return };
    write(&cluster, "before");
    let since = Instant::now();
    cluster.disk_as("server1", DiskState::Hanging, Some(HEALED_AT_LAST)).unwrap();
    let line = "echo during | dd of=/mnt/sdb2/file conv=notrunc,fsync 2>/dev/null && touch /tmp/written";
    cluster.run("server1", &["sh", "-c", &format!("setsid sh -c '{line}' >/dev/null 2>&1 </dev/null &")]);
    cluster.until("the heartbeat of the disk is offline", || cluster.path("server2", "server1", "diskhb1") == "Offline");
    untouched(&cluster, since);
    assert!(!cluster.is_true("server1", "test -e /tmp/written"), "the disk did not stall");
    cluster.disk_heal("server1").unwrap();
    cluster.until("what waited is written", || cluster.is_true("server1", "test -e /tmp/written"));
    cluster.until("all is normal again", || cluster.server("server2", "server1") == "Online" && cluster.is_active_on("server1"));
    assert_eq!(errors(&cluster), 0);
    // What the disk holds, not what a cache does.
    cluster.run("server1", &["clpgrp", "-m", "failover1"]);
    cluster.moved_to("server2", "server1");
    assert_eq!(word(&cluster, "server2"), "during");
}

/// No server reaches the disk any more.
fn hub_off(cluster: &Cluster) {
    cluster.servers().iter().for_each(|server| cluster.disk_fail(server).unwrap());
}

/// The hub has power again.
fn hub_on(cluster: &Cluster) {
    cluster.servers().iter().for_each(|server| cluster.disk_heal(server).unwrap());
}

/// An operator starts the group again on server1: it has what was written before the hub lost its power, and no server went down.
fn an_operator_starts_it_again(cluster: &Cluster) {
    cluster.run("server1", &["clpgrp", "-t", "failover1"]);
    cluster.run("server1", &["clpgrp", "-s", "failover1", "-h", "server1"]);
    cluster.until("the group is active again", || cluster.is_active_on("server1"));
    assert_eq!(word(cluster, "server1"), "kept");
    assert_eq!((cluster.boots("server1"), cluster.boots("server2")), (1, 1));
}

// S-TST-FCHUB
#[test]
fn a_hub_without_power_is_found_by_the_disk_monitor_and_the_group_ends_its_search_for_a_server() {
    let Some(cluster) = Cluster::up(monitored("<timeout>5</timeout>")) else { return };
    write(&cluster, "kept");
    hub_off(&cluster);
    cluster.until("the monitor finds it", || cluster.has_logged("server1", "monitor diskw1 found an error"));
    cluster.until("the group has ended its search", || cluster.group("server1") == ("Online Failure".into(), "server2".into()));
    let since = Instant::now();
    cluster.until("it tries nothing any more", || {
        assert_eq!(cluster.group("server2"), ("Online Failure".to_string(), "server2".to_string()));
        assert!(!cluster.has_mount("server1") && !cluster.has_mount("server2"), "mounted without a disk");
        since.elapsed() > Duration::from_secs(5)
    });
    let failed = "resource disk1 activation failed, code 5 text /dev/sdb2 cannot be read: Input/output error";
    assert_eq!(recorded(&cluster, "server2", failed), 1, "it was tried once on each server that might have the disk");
    assert_eq!(recorded(&cluster, "server1", "resource disk1 activation failed"), 0);
    let why = cluster.run("server1", &["clpstat", "--why", "failover1"]);
    for words in [
        "monitor diskw1 found: cannot read /dev/sdb2: Input/output error",
        "disk1: /dev/sdb2 cannot be read: Input/output error",
        "no failover is left (0 of 1 used; server1 it failed there, server2 it failed there)",
    ] {
        assert!(why.contains(words), "no {words} in {why}");
    }
    hub_on(&cluster);
    for server in ["server1", "server2"] {
        cluster.until("the disk is read again", || cluster.monitor(server, "diskw1") == "Normal");
    }
    an_operator_starts_it_again(&cluster);
}

// S-TST-FCHUB
#[test]
fn servers_whose_disk_monitor_shuts_them_down_are_all_down_without_the_hub_and_come_back_with_it() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    write(&cluster, "kept");
    hub_off(&cluster);
    for server in ["server1", "server2"] {
        cluster.until("it is down", || cluster.is_off(server));
        assert_eq!(last_end(&cluster, server), "halt", "{server}");
        assert!(cluster.has_logged(server, "machine shutdown requested by monitor diskw1"));
    }
    hub_on(&cluster);
    for server in ["server1", "server2"] {
        cluster.power_on(server).unwrap();
    }
    cluster.settle();
    assert_eq!(word(&cluster, "server1"), "kept");
}

// S-TST-FCHUB
#[test]
fn a_hub_without_power_that_no_monitor_looks_at_is_shown_and_moves_nothing() {
    let Some(cluster) = Cluster::up(unmonitored()) else { return };
    write(&cluster, "kept");
    hub_off(&cluster);
    for (server, other) in [("server1", "server2"), ("server2", "server1")] {
        cluster.until("the heartbeat of the disk is offline", || cluster.path(server, other, "diskhb1") == "Offline");
        let warning = format!("heartbeat or NP device diskhb1 of server {other} went down");
        cluster.until("a warning is recorded", || cluster.has_logged(server, &warning));
        assert_eq!(cluster.path(server, other, "lankhb1"), "Normal");
    }
    let since = Instant::now();
    cluster.until("five heartbeat time-outs have passed", || {
        assert_eq!(cluster.group("server2"), ("Online".to_string(), "server1".to_string()));
        assert!(!cluster.has_mount("server2"));
        since.elapsed() > Duration::from_secs(5)
    });
    // Operation has stopped: what is written no longer reaches the disk.
    assert!(!cluster.is_true("server1", "echo lost > /mnt/sdb2/file && sync -f /mnt/sdb2/file"));
    hub_on(&cluster);
    cluster.until("the heartbeat of the disk is back", || cluster.server("server2", "server1") == "Online");
    // The file system is dead until it is mounted anew.
    an_operator_starts_it_again(&cluster);
}

// S-TST-RAWUSED
#[test]
fn a_raw_device_that_somebody_else_uses_is_not_activated() {
    let nothing = "#!/bin/sh\nexit 0\n";
    let conf = Conf::sample()
        .with("<disktype>disk</disktype>", "<disktype>raw</disktype>")
        .with_start_script(nothing)
        .with_stop_script(nothing);
    let Some(cluster) = Cluster::boot(conf, true) else { return };
    let is_on = |server: &str| {
        cluster.group("server1") == ("Online".to_string(), server.to_string())
            && cluster.has_address(server)
            && cluster.is_true(server, "test $(blockdev --getro /dev/sdb2) = 0")
    };
    cluster.until("the group is on server1", || is_on("server1") && cluster.server("server2", "server1") == "Online");
    cluster.run("server1", &["clpgrp", "-t", "failover1"]);
    cluster.until("the group is offline", || cluster.group("server2").0 == "Offline");
    cluster.run("server1", &["sh", "-c", "setsid sh -c 'exec sleep 600 3<>/dev/sdb2' >/dev/null 2>&1 </dev/null &"]);
    cluster.until("somebody uses the device", || cluster.is_true("server1", "pgrep -x sleep"));
    let stranger = cluster.run("server1", &["pgrep", "-x", "sleep"]).trim().to_string();
    let output = cluster.exec("server1", &["clpgrp", "-s", "failover1", "-h", "server1"]).unwrap();
    assert!(!output.is_ok(), "{output:?}");
    let words = format!("/dev/sdb2 is already in use: it is open for writing by sleep (pid {stranger})");
    assert!(cluster.has_logged("server1", &words));
    assert!(cluster.is_true("server1", "test $(blockdev --getro /dev/sdb2) = 1"), "the stranger can write");
    // The other server has the device for itself alone.
    cluster.until("the group is on server2", || is_on("server2"));
    assert!(!cluster.has_address("server1"));
    cluster.run("server1", &["kill", &stranger]);
    cluster.run("server2", &["clpgrp", "-m", "failover1", "-a", "server1"]);
    cluster.until("the group is on server1", || is_on("server1"));
    assert_eq!((cluster.boots("server1"), cluster.boots("server2")), (1, 1));
}

/// Starts what comes with a UPS: as soon as the UPS says that it runs on battery, it does what the administrator wrote there.
fn ups_software(cluster: &Cluster, server: &str, order: &str) {
    let line = format!("until test -e /tmp/on-battery; do sleep 0.1; done; exec {order}");
    cluster.run(server, &["sh", "-c", &format!("setsid sh -c '{line}' >/tmp/ups.log 2>&1 </dev/null &")]);
}

/// The UPS of these servers says that it runs on battery.
fn on_battery(cluster: &Cluster, servers: &[&str]) {
    servers.iter().for_each(|server| drop(cluster.run(server, &["touch", "/tmp/on-battery"])));
}

/// Why a server went down last.
fn last_end(cluster: &Cluster, server: &str) -> String {
    cluster.server_status(server).unwrap().last_end.unwrap_or_default()
}

// S-TST-UPS
#[test]
fn a_server_whose_ups_runs_on_battery_shuts_down_and_its_group_fails_over() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    write(&cluster, "kept");
    for server in ["server1", "server2"] {
        ups_software(&cluster, server, "clpdown");
    }
    on_battery(&cluster, &["server1"]);
    cluster.until("server1 is down", || cluster.is_off("server1"));
    cluster.until("the group is active on server2", || cluster.is_active_on("server2"));
    assert_eq!(last_end(&cluster, "server1"), "halt");
    assert_eq!(word(&cluster, "server2"), "kept");
    assert!(!cluster.has_logged("server2", "went down: no heartbeat"), "it did not leave in order");
    assert_eq!(cluster.boots("server2"), 1);
}

// S-TST-ARRAYUPS
#[test]
fn the_ups_of_the_disk_array_shuts_both_servers_down_and_the_service_stops() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    write(&cluster, "kept");
    // Both hear of it, and each orders the end of the whole cluster.
    for server in ["server1", "server2"] {
        ups_software(&cluster, server, "clpstdn");
    }
    on_battery(&cluster, &["server1", "server2"]);
    for server in ["server1", "server2"] {
        cluster.until("it is down", || {
            assert!(cluster.is_off("server2") || !cluster.has_mount("server2"), "the group failed over");
            cluster.is_off(server)
        });
        assert_eq!(last_end(&cluster, server), "halt", "{server}");
    }
    assert_eq!(cluster.answerer(), "");
    for server in ["server1", "server2"] {
        cluster.power_on(server).unwrap();
    }
    cluster.settle();
    assert_eq!(word(&cluster, "server1"), "kept");
}

// S-TST-UPSLAN
#[test]
fn a_ups_that_cannot_be_reached_is_warned_of_and_the_service_goes_on() {
    let address = "10.0.0.200";
    let monitor = format!(
        "<ipw name=\"ipwups\">\n<polling><interval>1</interval><timeout>1</timeout></polling>\n<parameters><list id=\"0\"><ip>{address}</ip></list></parameters>\n<relation><type>grp</type><name>failover1</name></relation>\n<emergency><threshold><restart>0</restart><fo>0</fo></threshold><action>1</action></emergency>\n</ipw>"
    );
    let Some(cluster) = Cluster::boot(
        Conf::sample().with("<types name=\"miiw\"/>", "<types name=\"miiw\"/><types name=\"ipw\"/>").with_monitor(&monitor),
        true,
    ) else {
        return;
    };
    let ups_lan = |order: &str| {
        let output = cluster.client(&["ip", "addr", order, &format!("{address}/24"), "dev", "eth0"]).unwrap();
        assert!(output.is_ok(), "{output:?}");
    };
    ups_lan("add");
    cluster.settle();
    for server in ["server1", "server2"] {
        ups_software(&cluster, server, "clpdown");
        cluster.until("the UPS is watched", || cluster.monitor(server, "ipwups") == "Normal");
    }
    ups_lan("del");
    for server in ["server1", "server2"] {
        cluster.until("the warning is recorded", || cluster.has_logged(server, "monitor ipwups found an error"));
        cluster.until("it is shown", || cluster.monitor(server, "ipwups") == "Error");
    }
    let since = Instant::now();
    cluster.until("the service goes on", || {
        assert!(cluster.is_active_on("server1"));
        since.elapsed() > Duration::from_secs(5)
    });
    assert!(!cluster.is_true("server1", &format!("ping -c1 -W1 {address}")), "the UPS can be controlled");
    ups_lan("add");
    cluster.until("the UPS is reached again", || cluster.monitor("server2", "ipwups") == "Normal");
    assert!(cluster.is_active_on("server1"));
    assert_eq!((cluster.boots("server1"), cluster.boots("server2")), (1, 1));
}
