//! A network that comes late when a server boots, and addresses and interfaces that go and come back while it runs.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod cluster;

use cluster::{Cluster, Conf};
use std::fs;

/// The sample without anything that acts upon the links themselves.
fn unwatched() -> Conf {
    Conf::sample().with("<object>eth0</object>", "<object>lo</object>")
}

/// Process number of the engine of a server.
fn engine(cluster: &Cluster, server: &str) -> String {
    cluster.run(server, &["pgrep", "-f", "clusterpro engine"])
}

fn record(cluster: &Cluster, server: &str) -> String {
    fs::read_to_string(cluster.directory().join(server).join("opt/mainstay/alert/log/alertlog.alt")).unwrap_or_default()
}

/// Waits until both servers show a path of the other one so.
fn shown(cluster: &Cluster, path: &str, wanted: &str) {
    for (server, of) in [("server1", "server2"), ("server2", "server1")] {
        cluster.until(&format!("{server} shows {path} of {of} as {wanted}"), || cluster.path(server, of, path) == wanted);
    }
}

#[test]
fn a_server_whose_network_comes_after_its_service_takes_part_as_soon_as_it_is_there() {
    let Some(cluster) = Cluster::up(unwatched()) else { return };
    // At its next boot one interface is not there yet and the other one has no address and no link.
    let rc = cluster.directory().join("server2/etc/rc.boot");
    let text = fs::read_to_string(&rc).unwrap();
    let late = "\nip link set eth0 down\nip link set eth0 name later\nip addr flush dev eth1\nip link set eth1 down\n";
    fs::write(&rc, text.replacen('\n', late, 1)).unwrap();
    cluster.power_off("server2").unwrap();
    cluster.until("server2 is gone", || cluster.server("server1", "server2") == "Offline");
    cluster.power_on("server2").unwrap();
    for path in ["lankhb1", "lankhb2"] {
        let told = format!(" nm 35 1 device {path} could not be started on server server2: ");
        cluster.until("an alert tells that the path cannot be used", || record(&cluster, "server2").contains(&told));
    }
    // The disk and the serial line show that it lives.
    cluster.until("the serial line is heard", || cluster.path("server1", "server2", "comhb1") == "Normal");
    assert!(cluster.is_active_on("server1"));
    let before = engine(&cluster, "server2");
    cluster.run("server2", &["sh", "-c", "ip addr add 192.168.0.2/24 dev eth1 && ip link set eth1 up"]);
    shown(&cluster, "lankhb1", "Normal");
    cluster.run(
        "server2",
        &["sh", "-c", "ip link set later name eth0 && ip link set eth0 up && ip addr replace 10.0.0.2/24 dev eth0"],
    );
    shown(&cluster, "lankhb2", "Normal");
    cluster.until("server2 takes part", || cluster.server("server1", "server2") == "Online");
    assert_eq!(engine(&cluster, "server2"), before, "no restart was needed");
    assert!(cluster.is_active_on("server1"));
    cluster.run("server1", &["clpgrp", "-m", "failover1", "-a", "server2"]);
    assert!(cluster.is_active_on("server2"));
}

#[test]
fn an_address_and_an_interface_that_go_and_come_back_cost_only_their_path() {
    let Some(cluster) = Cluster::up(unwatched()) else { return };
    let engines = ["server1", "server2"].map(|server| engine(&cluster, server));
    let table = [
        ("address", "ip addr del 192.168.0.1/24 dev eth1", "ip addr add 192.168.0.1/24 dev eth1"),
        ("link", "ip link set eth1 down", "ip link set eth1 up"),
        (
            "interface",
            "ip link set eth1 down && ip link set eth1 name gone && ip addr flush dev gone",
            "ip link set gone name eth1 && ip link set eth1 up && ip addr add 192.168.0.1/24 dev eth1",
        ),
    ];
    for (what, goes, comes) in table {
        let told =
            || record(&cluster, "server1").matches(" nm 35 1 device lankhb1 could not be started on server server1").count();
        let before = told();
        cluster.run("server1", &["sh", "-c", goes]);
        cluster.until(&format!("without its {what} the path is offline"), || {
            cluster.path("server2", "server1", "lankhb1") != "Normal"
        });
        cluster.until("an alert tells of it", || told() > before);
        assert!(cluster.is_active_on("server1"), "{what}");
        cluster.run("server1", &["sh", "-c", comes]);
        shown(&cluster, "lankhb1", "Normal");
        assert!(cluster.is_active_on("server1"), "{what}");
    }
    assert_eq!(["server1", "server2"].map(|server| engine(&cluster, server)), engines);
}
