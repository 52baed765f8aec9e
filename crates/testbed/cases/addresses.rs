//! Floating addresses proven: found by the others although announcements get lost, watched for a second holder, of both versions,
//! and swept up after a crash.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod cluster;

use clp_testbed::{Options, SwitchKind, Weather};
use cluster::{Cluster, Conf, FLOATING};

/// The floating address of version 6 in the public net.
const FLOATING_V6: &str = "fd00:10::11";
/// No machine of the lab has it.
const NOBODY: &str = "02:00:00:00:00:99";

fn with_own_switch() -> Options {
    Options { switch: SwitchKind::User, ..Options::default() }
}

/// From now on an old entry of a table is believed for two minutes: nothing but an announcement puts it right in time.
const BELIEVE: &str = "for version in ipv4 ipv6; do echo 120 > /proc/sys/net/$version/neigh/IF/delay_first_probe_time; done";

fn client(cluster: &Cluster, line: &str) -> String {
    let output = cluster.client(&["sh", "-c", line]).unwrap();
    assert!(output.is_ok(), "client: {line}: {output:?}");
    output.stdout
}

/// Hardware address in the text of `ip -o link`.
fn mac_of(shown: &str) -> String {
    shown.split("link/ether ").nth(1).and_then(|rest| rest.split(' ').next()).expect("an Ethernet address").to_string()
}

/// The driver's own announcements are 22 frames; only what is repeated until the gateway finds the address comes through.
#[test]
fn a_takeover_is_answered_although_the_first_announcements_are_lost() {
    let conf = Conf::sample().with("<ip>192.168.0.254</ip>", "<ip>10.0.0.254</ip>");
    let Some(cluster) = Cluster::boot_in(conf, with_own_switch()) else { return };
    cluster.settle();
    client(&cluster, &BELIEVE.replace("IF", "eth0"));
    assert!(cluster.gateway(&["sh", "-c", &BELIEVE.replace("IF", "public")]).unwrap().is_ok());
    assert!(cluster.gateway(&["ping", "-c", "1", "-W", "5", FLOATING]).unwrap().is_ok());
    cluster.weather(Weather { announcements: 24, ..Weather::default() }).unwrap();
    cluster.power_off("server1").unwrap();
    cluster.until("the group is active on server2 and the client finds it there", || cluster.is_active_on("server2"));
}

#[test]
fn a_server_with_an_old_entry_is_named_and_the_activation_waits_for_none_of_it() {
    let Some(cluster) = Cluster::boot_in(Conf::sample(), with_own_switch()) else { return };
    cluster.settle();
    cluster.run("server1", &["clpgrp", "-t", "failover1"]);
    let weather = Weather { announcements: u32::MAX, towards: vec!["server2".into()], ..Weather::default() };
    cluster.weather(weather).unwrap();
    cluster.run("server2", &["sh", "-c", &BELIEVE.replace("IF", "eth0")]);
    cluster.run("server2", &["sh", "-c", &format!("ip neigh replace {FLOATING} lladdr {NOBODY} dev eth0 nud stale")]);
    cluster.run("server1", &["clpgrp", "-s", "failover1", "-h", "server1"]);
    assert!(cluster.is_active_on("server1"), "the command ends when the group is active");
    let unseen = format!("server2 does not find address {FLOATING} here");
    assert!(!cluster.has_logged("server1", &unseen), "told only when it lasts");
    cluster.until("the old entry is told", || cluster.has_logged("server1", &unseen));
    assert!(cluster.run("server2", &["ip", "neigh", "show", FLOATING]).contains(NOBODY));
    assert!(cluster.is_active_on("server1"));
    cluster.weather(Weather::default()).unwrap();
    let seen = format!("server2 finds address {FLOATING} here now");
    cluster.until("its end is told, too", || cluster.has_logged("server1", &seen));
    assert!(!cluster.run("server2", &["ip", "neigh", "show", FLOATING]).contains(NOBODY));

    // And, for as long as the address is here, whoever else has it.
    let mac = mac_of(&client(&cluster, "ip -o link show eth0"));
    client(&cluster, &format!("ip addr add {FLOATING}/24 dev eth0"));
    let doubled = format!("address {FLOATING} already used on the network: by {mac}");
    cluster.until("the second holder is told", || cluster.has_logged("server1", &doubled));
    assert_eq!(cluster.group("server1"), ("Online".to_string(), "server1".to_string()));
    client(&cluster, &format!("ip addr del {FLOATING}/24 dev eth0"));
    let single = format!("address {FLOATING} is used by nobody else any more: {mac}");
    cluster.until("its end is told, too", || cluster.has_logged("server1", &single));
    assert!(!cluster.has_logged("server2", "already used on the network"));
}

/// Frames that come late, in another order or not at all are ordinary: no machine is accused and nothing moves by itself.
#[test]
fn in_bad_weather_a_group_moves_there_and_back_and_no_false_duplicate_is_told() {
    let Some(cluster) = Cluster::boot_in(Conf::sample(), with_own_switch()) else { return };
    cluster.settle();
    let weather =
        Weather { delay_ms: 3, loss_percent: 3, reorder_percent: 20, keep_entries: true, seed: 4, ..Weather::default() };
    cluster.weather(weather).unwrap();
    for (server, other) in [("server2", "server1"), ("server1", "server2")] {
        cluster.run(other, &["clpgrp", "-m", "failover1"]);
        cluster.moved_to(server, other);
    }
    for server in ["server1", "server2"] {
        for told in ["already used on the network", "does not find address", "failover begins"] {
            assert!(!cluster.has_logged(server, told), "{server}: {told}");
        }
        assert_eq!(cluster.boots(server), 1);
    }
}

// S-TST-FIPDUP
#[test]
fn an_address_of_version_6_fails_over_and_is_refused_while_someone_else_has_it() {
    let Some(cluster) = Cluster::up(Conf::sample().with("<ip>10.0.0.11</ip>", &format!("<ip>{FLOATING_V6}</ip>"))) else {
        return;
    };
    let has = |server: &str| cluster.is_true(server, &format!("ip -6 addr show dev eth0 | grep -q 'inet6 {FLOATING_V6}/64'"));
    let answers = || cluster.client(&["ping", "-6", "-c", "1", "-W", "1", FLOATING_V6]).unwrap().is_ok();
    cluster.until("the address is on server1 and answers", || has("server1") && answers());
    client(&cluster, &BELIEVE.replace("IF", "eth0"));
    cluster.power_off("server1").unwrap();
    // The client's entry still names server1's card: it was told.
    cluster.until("the address is on server2 and answers", || has("server2") && answers());
    let stopped = cluster.exec("server2", &["clpgrp", "-t", "ManagementGroup"]).unwrap();
    assert!(stopped.is_ok(), "{stopped:?}");
    assert!(!has("server2"));
    client(&cluster, &format!("ip addr add {FLOATING_V6}/64 dev eth0 nodad"));
    let mac = mac_of(&client(&cluster, "ip -o link show eth0"));
    let started = cluster.exec("server2", &["clpgrp", "-s", "ManagementGroup"]).unwrap();
    assert!(!started.is_ok() && !has("server2"), "{started:?}");
    assert!(cluster.has_logged("server2", &format!("address {FLOATING_V6} already used on the network: by {mac}")));
}

/// Both programs die at once and no watchdog resets the server: everything is still there when the service starts again.
#[test]
fn what_a_crash_left_over_is_taken_off_at_the_next_start_and_told() {
    let Some(cluster) = Cluster::boot(Conf::sample(), false) else { return };
    cluster.settle();
    let kill = "engine=$(pgrep -f 'clusterpro [e]ngine'); parent=$(ps -o ppid= -p $engine); others=$(pgrep -P $parent)
        kill -STOP $parent && kill -9 $others && kill -9 $parent";
    cluster.run("server1", &["sh", "-c", kill]);
    assert!(cluster.has_address("server1") && cluster.has_mount("server1"), "left over");
    // The other server does not take over what is still answered here.
    cluster.run("server1", &["clpcl", "-s"]);
    for resource in ["fip1", "disk1"] {
        let told = format!("resource {resource} was found active here at the start of the service and was taken off");
        cluster.until(&told, || cluster.has_logged("server1", &told));
    }
    cluster.until("the group is active on one of them", || {
        let (one, two) = (cluster.has_mount("server1"), cluster.has_mount("server2"));
        assert!(!(one && two), "mounted on both servers");
        cluster.is_active_on("server1") || cluster.is_active_on("server2")
    });
}
