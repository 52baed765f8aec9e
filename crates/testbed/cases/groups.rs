//! Attributes of groups, groups beside each other, and what a cluster that is suspended keeps over restarts.
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

/// The sample with more parameters for the group failover1.
fn failover1(parameters: &str) -> Conf {
    Conf::sample().with("<type>failover</type>", &format!("<type>failover</type>\n{parameters}"))
}

// No policy in the sample: every server, in the order of the servers.
// S-GRP-ALLSERVERS S-GRP-MOVE
#[test]
fn a_group_goes_to_each_server_that_an_operator_names() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    for (to, from) in [("server2", "server1"), ("server1", "server2"), ("server2", "server1")] {
        cluster.run(from, &["clpgrp", "-m", "failover1", "-a", to]);
        for server in ["server1", "server2"] {
            cluster.until(&format!("{server} shows it on {to}"), || place(&cluster, server, "failover1") == to);
        }
        assert!(cluster.has_mount(to) && cluster.has_address(to) && !cluster.has_mount(from) && !cluster.has_address(from));
    }
}

// S-GRP-STARTUPSRV
#[test]
fn startup_servers_are_taken_in_the_order_of_the_list() {
    let order = "<policy name=\"server2\"><order>0</order></policy>\n<policy name=\"server1\"><order>1</order></policy>";
    let Some(cluster) = Cluster::boot(failover1(order), true) else { return };
    cluster.until("it starts on the first of its list", || place(&cluster, "server1", "failover1") == "server2");
    assert_eq!(place(&cluster, "server1", "ManagementGroup"), "server1", "the other group has no list");
    cluster.power_off("server2").unwrap();
    cluster.until("it fails over to the second", || place(&cluster, "server1", "failover1") == "server1");
}

// S-GRP-STARTUPATTR
#[test]
fn a_group_with_manual_startup_waits_for_the_operator() {
    let Some(cluster) = Cluster::boot(failover1("<start>0</start>"), true) else { return };
    cluster.until("the automatic one runs", || place(&cluster, "server2", "ManagementGroup") == "server1");
    assert_eq!(cluster.group("server2").0, "Offline");
    assert!(!cluster.has_mount("server1") && !cluster.has_mount("server2"));
    cluster.run("server1", &["clpgrp", "-s", "failover1"]);
    assert!(cluster.is_active_on("server1"), "the command says so when it is online");
}

// S-GRP-FAILBACK
#[test]
fn a_group_returns_to_its_first_server_only_with_automatic_failback() {
    for (failback, home) in [("1", "server1"), ("0", "server2")] {
        let Some(cluster) = Cluster::up(failover1(&format!("<failback>{failback}</failback>"))) else { return };
        cluster.power_off("server1").unwrap();
        cluster.until("it failed over", || cluster.is_active_on("server2"));
        cluster.power_on("server1").unwrap();
        cluster.until("server1 is back", || cluster.server("server2", "server1") == "Online");
        // The other group has no failback and tells when the coordinator has dealt with the newcomer: it can be moved there.
        cluster.run("server2", &["clpgrp", "-m", "ManagementGroup", "-a", "server1"]);
        cluster.until(&format!("with failback {failback} it is on {home}"), || cluster.is_active_on(home));
        assert_eq!(cluster.boots(home), if home == "server1" { 2 } else { 1 });
        if failback == "1" {
            let why = cluster.run("server1", &["clpstat", "--why", "failover1"]);
            assert!(why.contains("failback: server1 is back"), "{why}");
        }
    }
}

// S-GRP-MULTI S-TOPO-MULTI-DIFF
#[test]
fn two_groups_stand_by_for_each_other_and_do_not_touch_each_other() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    cluster.run("server1", &["clpgrp", "-m", "ManagementGroup", "-a", "server2"]);
    assert_eq!(place(&cluster, "server1", "ManagementGroup"), "server2");
    assert_eq!(cluster.run("server2", &["clpgrp", "-t", "ManagementGroup"]), "Command succeeded.\n");
    assert!(cluster.is_active_on("server1"), "the other one goes on");
    cluster.run("server2", &["clpgrp", "-s", "ManagementGroup"]);
    cluster.power_off("server2").unwrap();
    cluster.until("it fails over to server1", || place(&cluster, "server1", "ManagementGroup") == "server1");
    assert!(cluster.is_active_on("server1"));
    cluster.power_on("server2").unwrap();
    cluster.until("server2 is back", || cluster.server("server1", "server2") == "Online");
    cluster.run("server1", &["clpgrp", "-m", "ManagementGroup", "-a", "server2"]);
    cluster.power_off("server1").unwrap();
    cluster.until("both are on server2", || {
        ["ManagementGroup", "failover1"].into_iter().all(|group| place(&cluster, "server2", group) == "server2")
    });
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
    cluster.until("server2 forgot it", || !cluster.is_true("server2", "cd /opt/mainstay/work && test -e suspended"));
    assert!(cluster.is_active_on("server1"));
}
