//! Groups beside each other, and what a cluster that is suspended keeps over restarts.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod cluster;

use clp_testbed::Net;
use cluster::{Cluster, Conf};

/// Where a group is online, as `server` sees it; empty when it is not.
fn place(cluster: &Cluster, server: &str, group: &str) -> String {
    let status = cluster.status(server);
    let groups = status["groups"].as_array().cloned().unwrap_or_default();
    let found = groups.into_iter().find(|each| each["name"] == group && each["status"] == "Online");
    found.and_then(|each| each["current"].as_str().map(String::from)).unwrap_or_default()
}

/// The sample with this failover exclusion for both of its groups.
fn exclusive(code: u32) -> Conf {
    let text = |kind: &str| (format!("<type>{kind}</type>"), format!("<type>{kind}</type>\n<exclusive>{code}</exclusive>"));
    let (cluster, failover) = (text("cluster"), text("failover"));
    Conf::sample().with(&cluster.0, &cluster.1).with(&failover.0, &failover.1)
}

#[test]
fn groups_that_exclude_each_other_fully_never_share_a_server() {
    let Some(cluster) = Cluster::boot(exclusive(2), true) else { return };
    cluster.until("each has a server of its own", || {
        place(&cluster, "server2", "ManagementGroup") == "server1" && place(&cluster, "server1", "failover1") == "server2"
    });
    let refused = cluster.exec("server1", &["clpgrp", "-m", "failover1", "-a", "server1"]).unwrap();
    assert!(!refused.is_ok() && refused.stderr.contains("a group that failover1 excludes runs on server1"), "{refused:?}");
    cluster.power_off("server2").unwrap();
    cluster.until("failover1 has nowhere to go", || {
        let why = cluster.run("server1", &["clpstat", "--why", "failover1"]);
        why.contains("no server can take it") && why.contains("a group that it excludes runs there")
    });
    assert_eq!(place(&cluster, "server1", "ManagementGroup"), "server1");
    cluster.run("server1", &["clpgrp", "-t", "ManagementGroup"]);
    cluster.until("it comes when its place is free", || place(&cluster, "server1", "failover1") == "server1");
}

#[test]
fn groups_that_exclude_each_other_share_the_last_server() {
    let Some(cluster) = Cluster::boot(exclusive(1), true) else { return };
    cluster.until("each has a server of its own", || {
        place(&cluster, "server2", "ManagementGroup") == "server1" && place(&cluster, "server1", "failover1") == "server2"
    });
    cluster.power_off("server2").unwrap();
    cluster.until("both are on the last one", || {
        ["ManagementGroup", "failover1"].into_iter().all(|group| place(&cluster, "server1", group) == "server1")
    });
}

#[test]
fn a_server_that_boots_alone_into_a_suspended_cluster_starts_nothing() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    cluster.run("server1", &["clpcl", "--suspend"]);
    cluster.power_off("server2").unwrap();
    cluster.cut("server2", Net::All).unwrap();
    cluster.cut("server2", Net::Com).unwrap();
    cluster.disk_fail("server2").unwrap();
    cluster.power_on("server2").unwrap();
    cluster.until("server2 knows what it was told", || cluster.status("server2")["suspended"] == true);
    assert!(cluster.is_active_on("server1") && !cluster.has_address("server2"));
    for net in [Net::All, Net::Com] {
        cluster.heal("server2", net).unwrap();
    }
    cluster.disk_heal("server2").unwrap();
    cluster.until("they see each other", || cluster.server("server2", "server1") == "Online");
    cluster.run("server2", &["clpcl", "--resume"]);
    cluster.until("server2 forgot it", || !cluster.is_true("server2", "test -e /opt/mainstay/work/suspended"));
    assert!(cluster.is_active_on("server1"));
}
