//! Two servers and an etcd of three members on a machine of its own: which of them goes on, and what happens when one member of it, or all,
//! are gone, stand still or are new.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod cluster;

use clp_testbed::etcd::{Etcd, MEMBERS, endpoints};
use clp_testbed::{
    Cut, Net,
    conf::{ClusterConf, Group, Heartbeat},
};
use cluster::{Cluster, Conf};
use std::time::{Duration, Instant};

const FLOATING: &str = "10.0.0.122";
const SERVERS: [&str; 2] = ["server1", "server2"];
/// Time-out and interval of the heartbeats, and how often etcd is looked at.
const TIMEOUT: Duration = Duration::from_secs(1);
const INTERVAL_MS: u64 = 100;
const LOOK_MS: u64 = 500;
/// Longer than every delay of the safety sum here: T_s + D, and the record's lease.
const QUIET: Duration = Duration::from_secs(10);

fn conf() -> Conf {
    let start =
        format!("#! /bin/sh\nsetsid \"$CLP_PATH/bin/testbed\" responder {FLOATING}:80 </dev/null >/dev/null 2>&1 &\nexit 0\n");
    let web = Group::new("web").address("fip1", FLOATING).exec("exec1", &start, "#! /bin/sh\nexit 0\n");
    let conf = ClusterConf::new(2).times(u64::try_from(TIMEOUT.as_millis()).unwrap(), INTERVAL_MS);
    let conf = conf.heartbeat(Heartbeat::Lankhb(Net::Interconnect)).heartbeat(Heartbeat::Lanhb(Net::Public));
    Conf::made(&conf.etcd(&endpoints(), &format!("<interval>{LOOK_MS}</interval>")).group(web))
}

/// A cluster whose servers may be started and whose etcd does not run yet.
fn boot() -> Option<Cluster> {
    Cluster::boot(conf(), true)
}

fn settle(cluster: &Cluster) {
    cluster.placed("web", "server1");
    shown(cluster, "Normal");
    cluster.until("the responder answers", || answers_from(cluster, "server1"));
}

/// What both show of etcd.
fn shown(cluster: &Cluster, status: &str) {
    for server in SERVERS {
        cluster.until(&format!("{server} shows etcd as {status}"), || cluster.path(server, server, "etcdnp1") == status);
    }
}

fn answers_from(cluster: &Cluster, server: &str) -> bool {
    cluster.responder(&format!("{FLOATING}:80")) == server
}

fn has_address(cluster: &Cluster, server: &str) -> bool {
    cluster.is_true(server, &format!("ip -o addr | grep -q {FLOATING}"))
}

/// Is the service over on it, by whatever action followed, and the address not there?
fn has_given_up(cluster: &Cluster, server: &str) -> bool {
    cluster.is_off(server)
        || !cluster.is_true(server, &format!("ip -o addr | grep -q {FLOATING} || pgrep -f 'clusterpro [e]ngine'"))
}

/// The servers lose each other on every LAN; the client is reached by both.
fn cut(cluster: &Cluster) {
    cluster.cut_as(Cut::whole("server1", Net::Public).from("server2")).unwrap();
    cluster.cut("server1", Net::Interconnect).unwrap();
}

/// For a while this holds all the time.
fn meanwhile(what: &str, cluster: &Cluster, holds: impl Fn() -> bool) {
    let since = Instant::now();
    cluster.until("a while has passed", || {
        assert!(holds(), "{what} after {:?}", since.elapsed());
        since.elapsed() > QUIET
    });
}

#[test]
fn servers_that_lose_each_other_let_the_owner_go_on_also_when_a_member_is_dead() {
    let Some(cluster) = boot() else { return };
    let mut etcd = Etcd::start(&cluster).unwrap();
    settle(&cluster);
    for command in [&["clpstat"][..], &["clpstat", "--np", "etcdnp1", "--detail"]] {
        let text = cluster.run("server2", command);
        assert!(text.contains("etcdnp1") && text.contains("etcd resolution"), "{text}");
    }
    // The first of the configuration, which both asked so far.
    etcd.kill(0).unwrap();
    meanwhile("the cluster goes on", &cluster, || answers_from(&cluster, "server1"));
    shown(&cluster, "Normal");
    cut(&cluster);
    cluster.until("each misses the other", || {
        cluster.server("server1", "server2") == "Offline" && cluster.server("server2", "server1") == "Offline"
    });
    meanwhile("the owner goes on alone", &cluster, || answers_from(&cluster, "server1") && !has_address(&cluster, "server2"));
    assert_eq!((cluster.boots("server1"), cluster.boots("server2")), (1, 1));
    cluster.heal("server1", Net::Interconnect).unwrap();
    cluster.heal_as(Cut::whole("server1", Net::Public).from("server2")).unwrap();
    cluster.until("they are together again", || {
        SERVERS.iter().all(|server| SERVERS.iter().all(|other| cluster.server(server, other) == "Online"))
    });
    cluster.placed("web", "server1");
    // The owner dies: its record runs out, then the other one goes on.
    cluster.power_off("server1").unwrap();
    cluster.until("server2 takes over", || answers_from(&cluster, "server2"));
    let why = cluster.run("server2", &["clpstat", "--why", "web"]);
    assert!(why.contains("proof of death: arbiter"), "{why}");
}

#[test]
fn an_owner_that_is_cut_from_all_gives_up_and_the_other_takes_over() {
    let Some(cluster) = boot() else { return };
    let _etcd = Etcd::start(&cluster).unwrap();
    settle(&cluster);
    cluster.cut("server1", Net::All).unwrap();
    cluster.until("server2 takes over", || answers_from(&cluster, "server2"));
    assert!(!has_address(&cluster, "server1"), "the address is on both");
    cluster.until("server1 gave up", || has_given_up(&cluster, "server1"));
}

#[test]
fn an_etcd_that_is_gone_is_a_warning_until_a_server_is_lost_and_then_nobody_goes_on_without_right() {
    let Some(cluster) = boot() else { return };
    let mut etcd = Etcd::start(&cluster).unwrap();
    settle(&cluster);
    // Two are enough: the last one alone cannot answer.
    etcd.kill(0).unwrap();
    etcd.kill(1).unwrap();
    shown(&cluster, "Error");
    etcd.kill_all().unwrap();
    meanwhile("the cluster goes on", &cluster, || answers_from(&cluster, "server1"));
    assert_eq!((cluster.boots("server1"), cluster.boots("server2")), (1, 1));
    // It comes back, and has forgotten nothing.
    etcd.run_all().unwrap();
    shown(&cluster, "Normal");
    etcd.kill_all().unwrap();
    shown(&cluster, "Error");
    cut(&cluster);
    cluster.until("the owner gives up what it could not have confirmed", || has_given_up(&cluster, "server1"));
    meanwhile("nobody takes over", &cluster, || !has_address(&cluster, "server2"));
    let why = cluster.run("server2", &["clpstat", "--why", "web"]);
    assert!(why.contains("etcd 10.0.0.100:2379 and 2 more"), "{why}");
    // Back again, it lets one of them go on.
    etcd.run_all().unwrap();
    cluster.until("somebody goes on", || SERVERS.iter().any(|server| answers_from(&cluster, server)));
    assert!(!SERVERS.iter().all(|server| has_address(&cluster, server)), "the address is on both");
}

#[test]
fn an_etcd_that_stands_still_is_waited_for_no_longer_than_its_bound() {
    let Some(cluster) = boot() else { return };
    let etcd = Etcd::start(&cluster).unwrap();
    settle(&cluster);
    let all = |is_frozen: bool| (0..MEMBERS).for_each(|member| etcd.freeze(member, is_frozen).unwrap());
    all(true);
    shown(&cluster, "Error");
    assert!(answers_from(&cluster, "server1"), "while they hear each other it is a warning");
    cut(&cluster);
    let begun = Instant::now();
    cluster.until("the address is gone", || !has_address(&cluster, "server1"));
    // T_x + Q is 1.1 s here; asking the lab takes its time as well.
    assert!(begun.elapsed() < TIMEOUT * 5, "{:?}", begun.elapsed());
    meanwhile("nobody takes over", &cluster, || !has_address(&cluster, "server2"));
    all(false);
    cluster.until("one of them goes on", || SERVERS.iter().any(|server| answers_from(&cluster, server)));
    assert!(!SERVERS.iter().all(|server| has_address(&cluster, server)), "the address is on both");
}

#[test]
fn an_etcd_that_was_made_anew_is_not_believed_until_that_is_said_on_every_server() {
    let Some(cluster) = boot() else { return };
    let mut etcd = Etcd::start(&cluster).unwrap();
    settle(&cluster);
    // Who has never seen a record misses none.
    let knows = |server: &str| cluster.is_true(server, "test -s /opt/mainstay/work/witness/etcdnp1");
    cluster.until("both have seen the record", || SERVERS.iter().all(|server| knows(server)));
    etcd.kill_all().unwrap();
    etcd.forget().unwrap();
    etcd.run_all().unwrap();
    let told = |server: &str| cluster.run(server, &["clpstat", "--json"]).contains("clpwitness --accept etcdnp1");
    cluster.until("it is told what to do", || SERVERS.iter().all(|server| told(server)));
    shown(&cluster, "Error");
    assert!(answers_from(&cluster, "server1"), "while they hear each other it is a warning");
    for server in SERVERS {
        cluster.run(server, &["clpwitness", "--accept", "etcdnp1"]);
    }
    shown(&cluster, "Normal");
    cut(&cluster);
    cluster.until("the loss is seen", || cluster.server("server1", "server2") == "Offline");
    meanwhile("the owner goes on alone", &cluster, || answers_from(&cluster, "server1") && !has_address(&cluster, "server2"));
}
