//! What a cluster meets in bad hands: broken configurations, garbage on its ports, a foreign key, scripts that misbehave.
//!
//! Each gets a clear error or alert; nothing is lost, nothing hangs, nothing moves that need not.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod cluster;

use cluster::{Cluster, Conf};
use std::{
    fs,
    io::Write,
    net::{TcpStream, UdpSocket},
    time::{Duration, Instant},
};

/// Garbage datagrams for each port.
const DATAGRAMS: u64 = 100_000;

#[test]
fn a_broken_configuration_is_refused_in_words_and_nothing_is_started() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    cluster.run("server2", &["clpgrp", "-m", "failover1"]);
    cluster.moved_to("server2", "server1");
    cluster.run("server1", &["clpcl", "-t"]);
    let file = cluster.directory().join("server1/opt/mainstay/etc/clp.conf");
    let good = fs::read(&file).unwrap();
    let deep = format!("<root>{}{}</root>", "<a>".repeat(200_000), "</a>".repeat(200_000));
    let wrong = b"<?xml version=\"1.0\" encoding=\"EUC-JP\"?>\n<root><cluster><name>\xff\xfe</name></cluster></root>";
    let huge = format!("<root><!-- {} --></root>", "x".repeat(64 << 20));
    let kinds: [(&str, &[u8]); 6] = [
        ("empty", b""),
        ("cut off", &good[..900]),
        ("deep", deep.as_bytes()),
        ("wrongly encoded", wrong),
        ("huge", huge.as_bytes()),
        ("no XML", &[0; 4096]),
    ];
    for (kind, bytes) in kinds {
        fs::write(&file, bytes).unwrap();
        for command in ["clusterpro", "clpstat"] {
            let output = cluster.exec("server1", &["timeout", "10", command]).unwrap();
            let words = format!("{}{}", output.stdout, output.stderr);
            assert!(output.status != 0 && output.status < 124, "{kind}: {command}: {}", output.status);
            assert!(words.contains("clp.conf") && !words.contains("panicked"), "{kind}: {command}: {words:.400}");
        }
        assert!(!cluster.is_true("server1", "pgrep -f '[c]lusterpro engine'"), "{kind}");
    }
    fs::write(&file, good).unwrap();
    assert!(cluster.is_active_on("server2"));
    cluster.run("server1", &["clpcl", "-s"]);
    cluster.until("server1 is back", || cluster.server("server2", "server1") == "Online");
}

#[test]
fn garbage_on_every_port_neither_stops_nor_moves_anything() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    std::thread::scope(|scope| {
        for server in ["10.0.0.1", "10.0.0.2"] {
            let cluster = &cluster;
            scope.spawn(move || {
                cluster.enter_client().unwrap();
                flood(server);
            });
        }
    });
    for server in ["server1", "server2"] {
        assert_eq!(cluster.boots(server), 1);
        assert_eq!(cluster.server(server, "server1"), "Online");
        assert_eq!(cluster.server(server, "server2"), "Online");
        assert!(!cluster.has_logged(server, "panicked"));
    }
    assert!(cluster.is_active_on("server1"));
    cluster.run("server1", &["clpgrp", "-m", "failover1"]);
    cluster.moved_to("server2", "server1");
}

/// Sends random and half-right datagrams to the heartbeat ports of a server, and garbage to its TCP ports.
fn flood(server: &str) {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        // xorshift64: the same garbage in every run.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for port in [29002_u16, 29006] {
        let mut bytes = [0_u8; 1400];
        for count in 0..DATAGRAMS {
            let length = (next() % 1400) as usize;
            for chunk in bytes[..length].chunks_mut(8) {
                chunk.copy_from_slice(&next().to_le_bytes()[..chunk.len()]);
            }
            // Every second one differs from the one before in one byte only.
            if count % 2 == 1 && length > 0 {
                bytes[(next() as usize) % length] ^= 1 << (next() % 8);
            }
            // Refused or lost: then so be it.
            let _ = socket.send_to(&bytes[..length], (server, port));
        }
    }
    for port in [29001_u16, 29002] {
        for _ in 0..200 {
            if let Ok(mut stream) =
                TcpStream::connect_timeout(&format!("{server}:{port}").parse().unwrap(), Duration::from_secs(1))
            {
                let _ = stream.write_all(&next().to_le_bytes());
            }
        }
    }
}

#[test]
fn a_server_with_a_foreign_key_is_no_member_and_touches_nothing() {
    let conf = Conf::sample().with("<bootwait>30000</bootwait>", "<bootwait>5000</bootwait>");
    let Some(cluster) = Cluster::up(conf) else { return };
    cluster.power_off("server2").unwrap();
    cluster.until("server1 misses server2", || cluster.server("server1", "server2") == "Offline");
    let key = cluster.directory().join("server2/opt/mainstay/etc/trust/cluster.key");
    let foreign: String = fs::read_to_string(&key).unwrap().chars().rev().collect();
    fs::write(&key, foreign.trim()).unwrap();
    cluster.power_on("server2").unwrap();
    let since = Instant::now();
    cluster.until("three boot waits have passed", || {
        assert!(!cluster.has_mount("server2") && !cluster.has_address("server2"), "a stranger took the group");
        assert_ne!(cluster.server("server1", "server2"), "Online");
        since.elapsed() > Duration::from_secs(15)
    });
    assert!(cluster.is_active_on("server1"));
    assert!(cluster.has_logged("server1", "do not open with this cluster's key"), "the operator of server1 is told");
    assert!(cluster.has_logged("server2", "do not open with this cluster's key"), "the operator of server2 is told");
}

#[test]
fn a_start_script_that_never_ends_is_killed_and_the_group_moves_on() {
    let script = "#!/bin/sh\n[ \"$(hostname)\" = server1 ] && sleep 4321\n\
                  setsid \"$CLP_PATH/bin/counter\" serve --listen 10.0.0.12:8080 --data /mnt/sdb2/counter.db >/dev/null 2>&1 </dev/null &\nexit 0\n";
    let conf = Conf::sample().with("<start>60</start>", "<start>3</start>").with_start_script(script);
    let Some(cluster) = Cluster::boot(conf, true) else { return };
    cluster.until("the group is active on server2", || cluster.is_active_on("server2"));
    assert!(!cluster.has_mount("server1") && !cluster.has_address("server1"));
    assert!(!cluster.is_true("server1", "pgrep -f '[s]leep 4321'"), "the script was left behind");
    assert!(!cluster.is_off("server1") && cluster.boots("server1") == 1);
}

#[test]
fn a_start_script_that_forks_away_does_not_hold_the_group() {
    let script = "#!/bin/sh\n(sleep 4321 &) &\n(setsid sleep 4322 &)\n\
                  setsid \"$CLP_PATH/bin/counter\" serve --listen 10.0.0.12:8080 --data /mnt/sdb2/counter.db >/dev/null 2>&1 </dev/null &\nexit 0\n";
    let Some(cluster) = Cluster::up(Conf::sample().with_start_script(script)) else { return };
    cluster.run("server1", &["clpgrp", "-m", "failover1"]);
    cluster.moved_to("server2", "server1");
}
