//! The kernel's gate before a floating address: a server that hangs is silent by T_x + G after the last frame that was acknowledged,
//! to ARP, ICMP, UDP and TCP, comes back by itself while it has not lost more than that, and is never heard beside its successor.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod cluster;

use clp_testbed::Net;
use clp_testbed::conf::{ClusterConf, Group, Heartbeat};
use clp_testbed::probe::{Report, Way, probe};
use cluster::{Cluster, Conf, FLOATING};
use std::time::Duration;

/// Time-out and interval in milliseconds, and what follows from them (`docs/safety.md`): T_x + G and T_x + Q.
const TIMES: (u64, u64) = (5000, 100);
const CLOSES: Duration = Duration::from_millis(3100);
const GIVEN_UP: Duration = Duration::from_millis(4900);
/// The client asks every millisecond; a loaded machine answers late.
const LATE: Duration = Duration::from_millis(150);
const PORT: u16 = 7000;

fn conf((timeout, interval): (u64, u64)) -> ClusterConf {
    let conf = ClusterConf::new(2).times(timeout, interval).ping(&["192.168.0.254"]);
    let conf = conf.heartbeat(Heartbeat::Lanhb(Net::Interconnect)).heartbeat(Heartbeat::Lanhb(Net::Public));
    conf.group(Group::new("failover1").address("fip1", FLOATING))
}

/// The cluster with a responder on every server, so that the client sees the address alone. Without a watchdog: that would end a
/// server that hangs before its gate does.
fn boot(conf: &ClusterConf) -> Option<Cluster> {
    let cluster = Cluster::boot(Conf::made(conf), false)?;
    cluster.placed("failover1", "server1");
    for server in ["server1", "server2"] {
        let line = format!("setsid /opt/mainstay/bin/testbed responder 0.0.0.0:{PORT} </dev/null >/dev/null 2>&1 &");
        cluster.run(server, &["sh", "-c", &line]);
        cluster.until("the gate is known", || gate(&cluster, server, "server1") == "gated");
    }
    cluster.until("the address answers", || cluster.responder(&format!("{FLOATING}:{PORT}")) == "server1");
    Some(cluster)
}

fn gate(cluster: &Cluster, server: &str, of: &str) -> String {
    let status = cluster.status(server);
    let servers = status["servers"].as_array().cloned().unwrap_or_default();
    let found = servers.iter().find(|entry| entry["name"] == of).and_then(|entry| entry["gate"].as_str().map(String::from));
    found.unwrap_or_default()
}

/// Stop the engine of server1, which goes on by itself after so many seconds whatever becomes of this test. An instant at which it
/// stood still already.
fn stop_engine(cluster: &Cluster, seconds: f64) -> Duration {
    let line = format!(
        "engine=$(pgrep -f '[c]lusterpro engine'); kill -STOP $engine; (sleep {seconds}; kill -CONT $engine) >/dev/null 2>&1 &"
    );
    cluster.run("server1", &["sh", "-c", &line]);
    clp_sys::clock::now()
}

/// What the client sees from now on for so long, while something happens.
fn seen<T: Send>(cluster: &Cluster, way: Way, time: Duration, happens: impl FnOnce() -> T + Send) -> (Report, T) {
    let target = format!("{FLOATING}:{PORT}").parse().unwrap();
    std::thread::scope(|scope| {
        let client = scope.spawn(move || {
            cluster.enter_client().unwrap();
            probe(target, way, time, || false, |_| {}).unwrap()
        });
        let happened = happens();
        (client.join().unwrap(), happened)
    })
}

/// From an instant of the clock since boot to the beginning of the longest silence.
fn silent_after(report: &Report, at: Duration) -> Duration {
    let began = Duration::from_micros(report.started_us + report.longest_gap_at_us);
    began.checked_sub(at).expect("it was silent before anything happened")
}

fn is_silent(cluster: &Cluster, line: &str) -> bool {
    !cluster.client(&["sh", "-c", line]).unwrap().is_ok()
}

#[test]
fn an_engine_that_stands_still_is_silent_in_time_and_comes_back_by_itself() {
    let Some(cluster) = boot(&conf(TIMES)) else { return };
    for way in [Way::Udp, Way::Tcp] {
        let pause = Duration::from_millis(4000);
        let (report, at) = seen(&cluster, way, Duration::from_secs(8), || {
            let at = stop_engine(&cluster, pause.as_secs_f64());
            // In the middle of the silence nothing of it answers; the server's own address does.
            std::thread::sleep((at + CLOSES + LATE).saturating_sub(clp_sys::clock::now()));
            assert!(is_silent(&cluster, &format!("ping -c 1 -W 1 {FLOATING} >/dev/null")), "ICMP");
            at
        });
        let silent = silent_after(&report, at);
        assert!(silent <= CLOSES + LATE && silent + LATE * 6 >= CLOSES, "{way:?}: silent after {silent:?}: {report:?}");
        let gap = Duration::from_micros(report.longest_gap_us);
        assert!(gap >= GIVEN_UP - CLOSES - Duration::from_millis(1100), "{gap:?}");
        assert_eq!(report.reigns.iter().map(|reign| reign.who.as_str()).collect::<Vec<_>>(), ["server1"], "{report:?}");
        // It had come back before the probe ended, and nothing was stopped or moved for it.
        let back = Duration::from_micros(report.longest_gap_at_us) + gap;
        assert!(back + Duration::from_secs(1) < Duration::from_micros(report.elapsed_us), "{report:?}");
        cluster.placed("failover1", "server1");
    }
    assert!(!cluster.has_logged("server1", "emergency action") && !cluster.has_logged("server2", "failover begins"));
}

/// Nobody answers twice: the hung server is silent before another one takes the address, by ARP too, and when it goes on it gives up
/// without having been heard.
#[test]
fn a_hung_engine_is_silent_before_its_successor_speaks_and_stays_so() {
    let Some(cluster) = boot(&conf(TIMES)) else { return };
    let (report, at) = seen(&cluster, Way::Udp, Duration::from_secs(16), || {
        let at = stop_engine(&cluster, 12.0);
        std::thread::sleep((at + CLOSES + LATE).saturating_sub(clp_sys::clock::now()));
        assert!(is_silent(&cluster, &format!("arping -c 2 -w 1 -I eth0 {FLOATING} >/dev/null")), "ARP");
        at
    });
    let names: Vec<&str> = report.reigns.iter().map(|reign| reign.who.as_str()).collect();
    assert_eq!(names, ["server1", "server2"], "{report:?}");
    assert!(silent_after(&report, at) <= CLOSES + LATE, "{report:?}");
    cluster.placed("failover1", "server2");
    assert!(!cluster.has_address("server1"));
}

/// The same of a whole server, all its processes: the kernel alone is left.
#[test]
fn a_server_that_stands_still_is_silent_in_time_and_comes_back_by_itself() {
    let Some(cluster) = boot(&conf(TIMES)) else { return };
    let (report, at) = seen(&cluster, Way::Udp, Duration::from_secs(8), || {
        let at = clp_sys::clock::now();
        cluster.pause("server1").unwrap();
        // The responder stands still, too: only what the kernel answers by itself can be asked.
        std::thread::sleep(Duration::from_millis(500));
        assert!(
            !is_silent(&cluster, &format!("ping -c 1 -W 1 {FLOATING} >/dev/null")),
            "the kernel answers while the lease lasts"
        );
        std::thread::sleep((at + CLOSES + LATE).saturating_sub(clp_sys::clock::now()));
        assert!(is_silent(&cluster, &format!("ping -c 1 -w 1 -i 0.2 {FLOATING} >/dev/null")), "ICMP");
        assert!(!is_silent(&cluster, "ping -c 1 -W 1 10.0.0.1 >/dev/null"), "its own address is nobody else's");
        std::thread::sleep((at + Duration::from_millis(4300)).saturating_sub(clp_sys::clock::now()));
        cluster.resume("server1").unwrap();
        at
    });
    let back = Duration::from_micros(report.started_us + report.longest_gap_at_us + report.longest_gap_us) - at;
    assert!(back < Duration::from_millis(4300) + Duration::from_secs(1), "{back:?} {report:?}");
    assert_eq!(report.reigns.len(), 1, "{report:?}");
    cluster.placed("failover1", "server1");
    assert!(!cluster.has_logged("server1", "emergency action"));
}

/// Somebody has the first place on the interface: it is theirs. That is told, shown, and the others wait for the watchdog's bound.
#[test]
fn without_a_gate_that_is_told_and_a_takeover_waits_longer() {
    let conf = conf((1000, 100));
    let takeover = |cluster: &Cluster| {
        let (report, at) = seen(cluster, Way::Udp, Duration::from_secs(6), || {
            std::thread::sleep(Duration::from_millis(300));
            cluster.power_off("server1").unwrap().at_us
        });
        let taken = report.reigns.iter().find(|reign| reign.who == "server2").expect("it was taken over").first_us;
        Duration::from_micros(report.started_us + taken - at)
    };
    let Some(cluster) = boot(&conf) else { return };
    let gated = takeover(&cluster);
    drop(cluster);
    let Some(cluster) = boot(&conf) else { return };
    cluster.run("server1", &["sh", "-c", "tc qdisc del dev eth0 clsact && tc qdisc add dev eth0 clsact && tc filter add dev eth0 ingress prio 1 protocol ip u32 match ip dst 192.0.2.1"]);
    let theirs = cluster.run("server1", &["tc", "filter", "show", "dev", "eth0", "ingress"]);
    cluster.until("it is shown", || gate(&cluster, "server2", "server1") == "ungated");
    assert!(gate(&cluster, "server1", "server1").contains("eth0"));
    assert!(cluster.has_logged("server1", "floating addresses are ungated here"));
    assert!(cluster.run("server2", &["clpstat"]).contains("ungated"));
    assert!(cluster.run("server1", &["clpstat", "--sv", "server1", "--detail"]).contains("Address Gate"));
    assert_eq!(cluster.run("server1", &["tc", "filter", "show", "dev", "eth0", "ingress"]), theirs);
    let ungated = takeover(&cluster);
    assert!(gated < Duration::from_millis(1500) && ungated > Duration::from_millis(1700), "{gated:?}, {ungated:?} without");
}

/// A service that stopped leaves nothing behind: what an operator adds by hand answers.
#[test]
fn a_stopped_service_takes_its_gate_away() {
    let Some(cluster) = boot(&conf(TIMES)) else { return };
    assert!(cluster.run("server1", &["tc", "filter", "show", "dev", "eth0", "egress"]).contains("mainstay_gate"));
    cluster.run("server1", &["clpcl", "-t", "-a"]);
    for server in ["server1", "server2"] {
        cluster.until("its gate is gone", || {
            !cluster.run(server, &["tc", "filter", "show", "dev", "eth0", "egress"]).contains("mainstay")
        });
    }
    cluster.run("server2", &["ip", "addr", "add", &format!("{FLOATING}/24"), "dev", "eth0"]);
    // Nobody announces what is added by hand.
    assert!(cluster.client(&["ip", "neigh", "flush", "to", FLOATING]).unwrap().is_ok());
    cluster.until("it answers there", || cluster.responder(&format!("{FLOATING}:{PORT}")) == "server2");
}
