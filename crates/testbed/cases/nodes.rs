//! The largest cluster: 32 servers on one machine. One case in a file of its own, so that nothing runs beside it.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod cluster;

use clp_testbed::{
    Net,
    conf::{ClusterConf, Group, Heartbeat},
};
use cluster::{Cluster, Conf};

const SERVERS: u32 = 32;

/// A group of an address and a responder at it, which prefers these servers in turn.
fn web(name: &str, address: &str, policy: &[u32]) -> Group {
    let start =
        format!("#! /bin/sh\nsetsid \"$CLP_PATH/bin/testbed\" responder {address}:80 </dev/null >/dev/null 2>&1 &\nexit 0\n");
    Group::new(name).policy(policy).address(&format!("{name}-fip"), address).exec(
        &format!("{name}-exec"),
        &start,
        "#! /bin/sh\nexit 0\n",
    )
}

/// How many of the servers one of them calls online.
fn online(cluster: &Cluster, server: &str) -> usize {
    let status = cluster.status(server);
    status["servers"].as_array().map_or(0, |all| all.iter().filter(|other| other["status"] == "Online").count())
}

// S-ARCH-NODES32
#[test]
fn thirty_two_servers_form_one_cluster_that_fails_over_and_reports_the_same_everywhere() {
    let conf = ClusterConf::new(SERVERS).times(10_000, 1000).heartbeat(Heartbeat::Lankhb(Net::Interconnect));
    let conf = conf.heartbeat(Heartbeat::Lanhb(Net::Public)).ping(&["192.168.0.254"]);
    let conf = conf.group(web("first", "10.0.0.121", &[1, 17, 32])).group(web("last", "10.0.0.122", &[32, 31, 1]));
    let Some(cluster) = Cluster::boot(Conf::made(&conf), true) else { return };
    let servers = cluster.servers();
    cluster.until("every server sees 32 online", || servers.iter().all(|server| online(&cluster, server) == SERVERS as usize));
    cluster.placed("first", "server1");
    cluster.placed("last", "server32");
    // The coordinator is the first; the loss of two at once is decided by the next.
    for lost in ["server1", "server32"] {
        cluster.power_off(lost).unwrap();
    }
    cluster.placed("first", "server17");
    cluster.placed("last", "server31");
    assert_eq!(cluster.responder("10.0.0.121:80"), "server17");
    assert_eq!(cluster.responder("10.0.0.122:80"), "server31");
    let rest: Vec<&String> = servers.iter().filter(|server| !["server1", "server32"].contains(&server.as_str())).collect();
    for server in &rest {
        assert_eq!(online(&cluster, server), SERVERS as usize - 2, "as {server} says");
        assert_eq!(cluster.boots(server), 1, "{server} was lost, too");
    }
    // One answer of any of them has all of it.
    let said = cluster.run("server9", &["clpstat"]);
    for server in &servers {
        let offline = ["server1", "server32"].contains(&server.as_str());
        let word = if offline { "Offline" } else { "Online" };
        let line = said.lines().find(|line| line.trim_start().trim_start_matches('*').starts_with(&format!("{server} ")));
        assert!(line.is_some_and(|line| line.contains(word)), "{server}: {said}");
    }
    // They come back into what went on without them, and take nothing.
    cluster.power_on("server1").unwrap();
    cluster.until("server1 is one of 31", || online(&cluster, "server1") == SERVERS as usize - 1);
    cluster.placed("first", "server17");
    cluster.run("server20", &["clpgrp", "-m", "first", "-a", "server1"]);
    cluster.placed("first", "server1");
}
