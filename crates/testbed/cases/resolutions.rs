//! Who may go on, by each method of network partition resolution, and what a takeover without proof is refused for.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod cluster;

use clp_testbed::{
    Cut, Net,
    conf::{ClusterConf, Group, Heartbeat},
};
use cluster::{Cluster, Conf};
use std::time::{Duration, Instant};

const ADDRESS: &str = "10.0.0.121";

/// A group of an address and a responder at it.
fn web(parameters: &str) -> Group {
    let start =
        format!("#! /bin/sh\nsetsid \"$CLP_PATH/bin/testbed\" responder {ADDRESS}:80 </dev/null >/dev/null 2>&1 &\nexit 0\n");
    let group = Group::new("web").address("fip1", ADDRESS);
    group.parameters(parameters).exec("exec1", &start, "#! /bin/sh\nexit 0\n")
}

/// Servers that hear each other on both LANs.
fn servers(count: u32) -> ClusterConf {
    let conf = ClusterConf::new(count).times(1000, 100).heartbeat(Heartbeat::Lankhb(Net::Interconnect));
    conf.heartbeat(Heartbeat::Lanhb(Net::Public))
}

fn answers_from(cluster: &Cluster, server: &str) -> bool {
    cluster.responder(&format!("{ADDRESS}:80")) == server
}

/// Is the service over on it, by whatever action followed, and the address not there?
fn has_given_up(cluster: &Cluster, server: &str) -> bool {
    cluster.is_off(server)
        || !cluster.is_true(server, &format!("ip -o addr | grep -q {ADDRESS} || pgrep -f 'clusterpro [e]ngine'"))
}

#[test]
fn by_majority_most_servers_go_on_and_fewer_never() {
    let Some(cluster) = Cluster::boot(Conf::made(&servers(3).majority().group(web(""))), true) else { return };
    cluster.placed("web", "server1");
    for server in ["server1", "server2", "server3"] {
        cluster.until("three votes are shown", || cluster.path("server2", server, "majonp1") == "Normal");
    }
    for command in [&["clpstat"][..], &["clpstat", "--np", "majonp1", "--detail"]] {
        let shown = cluster.run("server2", command);
        assert!(shown.contains("majonp1") && shown.contains("majority resolution"), "{shown}");
    }
    cluster.cut("server1", Net::All).unwrap();
    cluster.until("most of them go on", || answers_from(&cluster, "server2"));
    cluster.until("the one gives up", || has_given_up(&cluster, "server1"));
    let why = cluster.run("server2", &["clpstat", "--why", "web"]);
    assert!(why.contains("proof of death: arbiter"), "{why}");
    assert_eq!((cluster.boots("server2"), cluster.boots("server3")), (1, 1));
    // Of the two that are left one is lost: the last of three cannot know who else goes on.
    cluster.power_off("server2").unwrap();
    let why = || cluster.run("server3", &["clpstat", "--why", "web"]);
    cluster.until("the last one stays where it is", || why().contains("1 of 3 servers are in contact here"));
    assert_eq!(cluster.responder(&format!("{ADDRESS}:80")), "");
    assert!(!cluster.is_true("server3", &format!("ip -o addr | grep -q {ADDRESS}")));
}

#[test]
fn two_of_three_go_on_and_give_nothing_up() {
    let Some(cluster) = Cluster::boot(Conf::made(&servers(3).majority().group(web(""))), true) else { return };
    cluster.placed("web", "server1");
    cluster.power_off("server3").unwrap();
    cluster.until("the loss is seen", || cluster.server("server1", "server3") == "Offline");
    assert!(answers_from(&cluster, "server1"), "two of three go on");
    assert_eq!(cluster.path("server1", "server1", "majonp1"), "Normal");
    let why = cluster.run("server1", &["clpstat", "--why", "web"]);
    assert!(!why.contains("given up"), "{why}");
}

// S-NP-PING-DEADBEFORE
#[test]
fn a_ping_target_that_was_dead_before_proves_nothing_and_a_disk_is_not_taken_over() {
    for (wanted, is_taken) in [("", false), ("<mainstay><minproof>none</minproof></mainstay>", true)] {
        let conf = Conf::sample().with("<types name=\"diskw\"/>", "").without("<diskw name=\"", "diskw1", "</diskw>");
        let conf = conf.with("<group name=\"failover1\">", &format!("<group name=\"failover1\">{wanted}"));
        let Some(cluster) = Cluster::up(conf) else { return };
        for server in ["server1", "server2"] {
            let cut = Cut { from: Some("gateway".into()), keep_carrier: true, ..Cut::whole(server, Net::Interconnect) };
            cluster.cut_as(cut).unwrap();
        }
        for server in ["server1", "server2"] {
            cluster.until("the miss is shown", || cluster.path("server2", server, "pingnp1") == "Error");
        }
        // Dead for a time-out: it was no part of the same failure.
        let since = Instant::now();
        cluster.until("it has been dead for a while", || since.elapsed() > Duration::from_secs(2));
        let warning = "if the server of group failover1 were lost now, its death could be proven no better than none";
        if !is_taken {
            cluster.until("it is said before it matters", || cluster.has_logged("server1", warning));
        }
        cluster.power_off("server1").unwrap();
        cluster.until("the loss is seen", || cluster.server("server2", "server1") == "Offline");
        if is_taken {
            cluster.until("as the configuration wants it", || cluster.has_mount("server2"));
            assert!(!cluster.has_logged("server1", warning));
            continue;
        }
        let why = || cluster.run("server2", &["clpstat", "--why", "failover1"]);
        cluster.until("it is refused", || why().contains("its death is proven no better than none"));
        assert!(!cluster.has_mount("server2") && !cluster.has_address("server2"), "{}", why());
        // Who has looked says so.
        cluster.run("server2", &["clpcl", "--resume", "--dead", "server1", "--force"]);
        cluster.until("it is taken over", || cluster.has_mount("server2") && cluster.has_address("server2"));
        assert!(why().contains("an operator states that server1 is switched off"), "{}", why());
    }
}

#[test]
fn a_group_that_wants_more_proof_than_there_is_stays_where_it_was() {
    let conf = servers(2).ping(&["192.168.0.254"]).group(web("<mainstay><minproof>arbiter</minproof></mainstay>"));
    let Some(cluster) = Cluster::boot(Conf::made(&conf), true) else { return };
    cluster.placed("web", "server1");
    let warning = "if the server of group web were lost now, its death could be proven no better than timed";
    cluster.until("it is said before it matters", || cluster.has_logged("server1", warning));
    cluster.power_off("server1").unwrap();
    let why = || cluster.run("server2", &["clpstat", "--why", "web"]);
    let refused = "its death is proven no better than timed";
    cluster.until("it is refused", || why().contains(refused) && why().contains("the group needs arbiter: power server1 off"));
    assert!(!answers_from(&cluster, "server2"));
    cluster.run("server2", &["clpcl", "--resume", "--dead", "server1", "--force"]);
    cluster.until("it is taken over", || answers_from(&cluster, "server2"));
}
