//! `clpdown`, `clpstdn`, and what the servers do when they are switched on again.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod cluster;

use cluster::{Cluster, Conf};
use std::fs;

/// How often the record of a server names the group: each start, stop or move adds to it. Works while the server is off.
fn mentions(cluster: &Cluster, server: &str) -> usize {
    let record = cluster.directory().join(server).join("opt/mainstay/alert/log/alertlog.alt");
    fs::read_to_string(record).unwrap_or_default().matches("failover1").count()
}

/// Why a server went down last.
fn last_end(cluster: &Cluster, server: &str) -> String {
    cluster.server_status(server).unwrap().last_end.unwrap_or_default()
}

// S-CMD-CLPDOWN S-OPS-SRVSHUT
#[test]
fn a_server_is_shut_down_and_its_groups_go_on_elsewhere() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    cluster.run("server1", &["sh", "-c", "echo kept >/mnt/sdb2/file"]);
    assert_eq!(cluster.run("server2", &["clpdown", "-h", "server1"]), "Command succeeded.\n");
    cluster.until("server1 is down", || cluster.is_off("server1"));
    cluster.until("the group is active on server2", || cluster.is_active_on("server2"));
    assert_eq!(last_end(&cluster, "server1"), "halt");
    assert_eq!(cluster.run("server2", &["cat", "/mnt/sdb2/file"]), "kept\n");
    // With -r it comes back by itself, and the group stays where it is.
    cluster.power_on("server1").unwrap();
    cluster.until("server1 is back", || cluster.server("server2", "server1") == "Online");
    let boots = cluster.boots("server1");
    let _ = cluster.exec("server1", &["clpdown", "-r"]).unwrap();
    cluster.until("server1 has rebooted", || cluster.boots("server1") == boots + 1);
    cluster.until("server1 is back again", || cluster.server("server2", "server1") == "Online");
    assert!(cluster.is_active_on("server2"));
}

// S-CMD-CLPSTDN S-OPS-CLSHUT
#[test]
fn the_cluster_is_shut_down_and_nothing_fails_over_meanwhile() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    assert!(mentions(&cluster, "server1") > 0);
    let before = mentions(&cluster, "server2");
    let _ = cluster.exec("server1", &["clpstdn"]).unwrap();
    for server in ["server1", "server2"] {
        cluster.until("it is down", || cluster.is_off(server));
        assert_eq!(last_end(&cluster, server), "halt", "{server}");
    }
    assert_eq!(mentions(&cluster, "server2"), before, "server2 did something with the group");
    cluster.power_on("server1").unwrap();
    cluster.power_on("server2").unwrap();
    cluster.settle();
    let boots = [cluster.boots("server1"), cluster.boots("server2")];
    let _ = cluster.exec("server2", &["clpstdn", "-r"]).unwrap();
    cluster.until("both have rebooted", || [cluster.boots("server1"), cluster.boots("server2")] == boots.map(|count| count + 1));
    cluster.settle();
}

// S-OPS-START
#[test]
fn servers_that_start_together_wait_for_each_other_and_one_alone_takes_over() {
    let Some(cluster) = Cluster::up(Conf::sample().with("<bootwait>30000<", "<bootwait>8000<")) else { return };
    let _ = cluster.exec("server1", &["clpstdn"]).unwrap();
    cluster.until("both are down", || cluster.is_off("server1") && cluster.is_off("server2"));
    // Inside the wait: server2 is there first, and the group starts where it belongs.
    let before = mentions(&cluster, "server2");
    cluster.power_on("server2").unwrap();
    cluster.until("server2 runs", || cluster.server("server2", "server1") == "Offline");
    cluster.power_on("server1").unwrap();
    cluster.settle();
    assert_eq!(mentions(&cluster, "server2"), before, "server2 did not wait");
    // Beyond it: server2 goes on alone.
    let _ = cluster.exec("server1", &["clpstdn"]).unwrap();
    cluster.until("both are down", || cluster.is_off("server1") && cluster.is_off("server2"));
    cluster.power_on("server2").unwrap();
    cluster.until("the group is active on server2", || cluster.is_active_on("server2"));
}
