//! Servers that start, stop and start again: all at once, one alone, faster than the time-out, with a clock that is a year off.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod cluster;

use cluster::{Cluster, Conf, SOON};
use std::{
    fs,
    time::{Duration, Instant},
};

const BOTH: [&str; 2] = ["server1", "server2"];

/// The group is somewhere, and nothing of it is anywhere else.
fn has_one_owner(cluster: &Cluster) -> bool {
    let owners: Vec<&str> = BOTH.into_iter().filter(|server| !cluster.is_off(server) && cluster.is_active_on(server)).collect();
    let [owner] = owners[..] else { return false };
    BOTH.into_iter()
        .all(|server| server == owner || cluster.is_off(server) || !cluster.has_mount(server) && !cluster.has_address(server))
}

/// Says whether the file system is mounted on both servers: never.
fn is_mounted_twice(cluster: &Cluster) -> bool {
    BOTH.into_iter().all(|server| !cluster.is_off(server) && cluster.has_mount(server))
}

#[test]
fn servers_that_all_lose_their_power_come_back_with_everything_that_was_acknowledged() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    let counter = env!("CARGO_BIN_EXE_counter");
    let mut client = cluster
        .client_command(&[counter, "client", "--server", "10.0.0.12:8080", "--client", "writer", "--seconds", "3"])
        .unwrap();
    let client = client.stdout(std::process::Stdio::piped()).spawn().unwrap();
    cluster.until("numbers are written", || {
        cluster.is_true("server1", "test -s /mnt/sdb2/counter.db-wal -o -s /mnt/sdb2/counter.db")
    });
    let begun = Instant::now();
    cluster.until("it has written for a while", || begun.elapsed() > Duration::from_secs(1));
    std::thread::scope(|scope| {
        BOTH.map(|server| scope.spawn(|| cluster.power_off(server).unwrap())).map(|thread| drop(thread.join()))
    });
    std::thread::scope(|scope| {
        BOTH.map(|server| scope.spawn(|| cluster.power_on(server).unwrap())).map(|thread| drop(thread.join()))
    });
    cluster.until("never mounted twice, and in the end where the policy says", || {
        assert!(!is_mounted_twice(&cluster));
        cluster.is_active_on("server1") && has_one_owner(&cluster)
    });
    let ended = client.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && said.contains(" lost=0 ") && !said.starts_with("acknowledged=0"), "{said}");
}

#[test]
fn a_server_that_starts_while_the_first_of_the_policy_is_dead_goes_on_alone_and_keeps_the_group() {
    let Some(cluster) = Cluster::up(Conf::sample().with("<bootwait>30000<", "<bootwait>2000<")) else { return };
    for server in BOTH {
        cluster.power_off(server).unwrap();
    }
    cluster.power_on("server2").unwrap();
    cluster.until("the group is active on server2", || cluster.is_active_on("server2"));
    let record = || fs::read_to_string(cluster.directory().join("server2/opt/mainstay/alert/log/alertlog.alt")).unwrap();
    assert!(record().contains(" nm 7 3 start synchronisation wait expired: server1"), "{}", record());
    cluster.power_on("server1").unwrap();
    cluster.until("server1 is there", || cluster.server("server2", "server1") == "Online");
    cluster.run("server2", &["clpgrp", "-m", "ManagementGroup", "-a", "server1"]);
    assert!(cluster.is_active_on("server2"), "it came too late to get it");
}

// S-ENV-BOOTTIME
#[test]
fn a_server_that_reboots_within_the_timeout_is_noticed_and_its_group_fails_over() {
    let conf = Conf::sample().with("<timeout>1000</timeout>", "<timeout>60000</timeout>");
    let Some(cluster) = Cluster::up(conf) else { return };
    cluster.run("server1", &["sh", "-c", "echo kept >/mnt/sdb2/file && sync -f /mnt/sdb2/file"]);
    let begun = Instant::now();
    cluster.power_off("server1").unwrap();
    cluster.power_on("server1").unwrap();
    cluster.until("the group is active on server2", || {
        assert!(!is_mounted_twice(&cluster));
        cluster.is_active_on("server2")
    });
    assert!(begun.elapsed() < SOON.min(Duration::from_secs(50)), "long before the time-out");
    assert!(has_one_owner(&cluster));
    for server in BOTH {
        cluster.until("the reason is told", || {
            cluster.run(server, &["clpstat", "--why", "failover1"]).contains("server1 rebooted within the time-out")
        });
    }
    assert_eq!(cluster.run("server2", &["cat", "/mnt/sdb2/file"]), "kept\n");
}

#[test]
fn a_cluster_is_shut_down_although_one_of_its_servers_hangs() {
    let Some(cluster) = Cluster::boot(Conf::sample(), false) else { return };
    cluster.settle();
    cluster.pause("server2").unwrap();
    let _ = cluster.exec("server1", &["clpstdn"]).unwrap();
    cluster.until("server1 is down", || cluster.is_off("server1"));
    cluster.resume("server2").unwrap();
    // What it was told meanwhile it does late: it goes down too, or it goes on alone.
    cluster.until("server2 is down or has the group", || cluster.is_off("server2") || cluster.is_active_on("server2"));
    if !cluster.is_off("server2") {
        cluster.run("server2", &["clpgrp", "-t", "failover1"]);
    }
}

#[test]
fn servers_are_shut_down_one_by_one_in_any_order() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    for order in [["server2", "server1"], ["server1", "server2"]] {
        for server in order {
            let _ = cluster.exec(server, &["clpdown"]).unwrap();
            cluster.until("it is down", || {
                assert!(!is_mounted_twice(&cluster));
                cluster.is_off(server)
            });
            assert_eq!(cluster.server_status(server).unwrap().last_end.as_deref(), Some("halt"), "{server}");
        }
        BOTH.into_iter().for_each(|server| cluster.power_on(server).unwrap());
        cluster.settle();
    }
}

#[test]
fn a_cluster_is_shut_down_while_one_of_its_servers_starts() {
    let Some(cluster) = Cluster::up(Conf::sample().with("<bootwait>30000<", "<bootwait>2000<")) else { return };
    cluster.power_off("server2").unwrap();
    cluster.until("server2 is gone", || cluster.server("server1", "server2") == "Offline");
    cluster.power_on("server2").unwrap();
    let _ = cluster.exec("server1", &["clpstdn"]).unwrap();
    cluster.until("server1 is down", || {
        assert!(!is_mounted_twice(&cluster));
        cluster.is_off("server1")
    });
    // The stop reached it, or it comes up alone into a cluster that is down and starts it anew.
    cluster.until("server2 is down or has the group", || cluster.is_off("server2") || cluster.is_active_on("server2"));
}

/// A year, in seconds.
const YEAR: i64 = 365 * 86_400;

#[test]
fn clocks_that_jump_by_a_year_change_nothing_but_dates() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    // From the next boot on the clock of each server can be moved by writing a file.
    for server in BOTH {
        let rc = cluster.directory().join(server).join("etc/rc.boot");
        let text = fs::read_to_string(&rc).unwrap();
        fs::write(&rc, text.replacen('\n', "\nexport CLP_CLOCK_SHIFT=/etc/clock-shift\n", 1)).unwrap();
        let _ = cluster.exec(server, &["clpdown"]).unwrap();
        cluster.until("it is down", || cluster.is_off(server));
    }
    BOTH.into_iter().for_each(|server| cluster.power_on(server).unwrap());
    cluster.settle();
    let year = || {
        let record = fs::read_to_string(cluster.directory().join("server1/opt/mainstay/alert/log/alertlog.alt")).unwrap();
        let last = record.lines().last().unwrap_or_default().to_string();
        last.split(' ').nth(1).and_then(|date| date.get(..4)?.parse::<i32>().ok()).unwrap_or_default()
    };
    let in_force = |server: &str| cluster.run(server, &["readlink", "/opt/mainstay/etc/current"]);
    let push = ["env", "CLP_CLOCK_SHIFT=/etc/clock-shift", "clpcfctrl", "--push"];
    cluster.run("server1", &push);
    let (now, mut before) = (year(), in_force("server2"));
    assert!(now > 2020, "{now}");
    for (shift, expected) in [(YEAR, now + 1), (-YEAR, now - 1), (-20 * YEAR, now - 20), (0, now)] {
        cluster.run("server1", &["sh", "-c", &format!("echo {shift} >/etc/clock-shift")]);
        cluster.run("server2", &["clpgrp", "-t", "ManagementGroup"]);
        cluster.run("server1", &["clpgrp", "-s", "ManagementGroup"]);
        cluster.until("its records have the other date", || (year() - expected).abs() <= 1 && (shift == 0 || year() != now));
        assert!(cluster.is_active_on("server1") && cluster.server("server2", "server1") == "Online", "{shift}");
        // The transfer service in both directions, and new data after old ones.
        cluster.run("server2", &["clpstat", "-h", "server1"]);
        cluster.run("server1", &["clpstat", "-h", "server2"]);
        cluster.run("server1", &push);
        let after = in_force("server2");
        let number = |link: &str| link.trim().rsplit('.').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or_default();
        assert!(number(&after) > number(&before), "{shift}: {after} after {before}");
        before = after;
    }
    // A start with a clock that was set back: the server takes part all the same, and a failover works.
    cluster.run("server1", &["sh", "-c", &format!("echo {} >/etc/clock-shift", -YEAR)]);
    cluster.power_off("server1").unwrap();
    cluster.until("the group is active on server2", || cluster.is_active_on("server2"));
    cluster.power_on("server1").unwrap();
    cluster.until("server1 is back", || cluster.server("server2", "server1") == "Online");
    cluster.run("server2", &["clpgrp", "-m", "failover1", "-a", "server1"]);
    assert!(cluster.is_active_on("server1"));
}
