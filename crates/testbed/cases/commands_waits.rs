//! A wait that is ended, two orders at once, a cluster service that hangs: the order's fate is said, and nothing breaks.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod cluster;

use cluster::{Cluster, Conf};
use std::{
    fs,
    time::{Duration, Instant},
};

/// The sample whose application takes two seconds to stop: long enough to be interrupted.
fn slow() -> Option<Cluster> {
    let cluster = Cluster::up(Conf::sample())?;
    for server in ["server1", "server2"] {
        let script = cluster.directory().join(server).join("opt/mainstay/scripts/failover1/exec1/stop.sh");
        let text = fs::read_to_string(&script).unwrap();
        let (first, rest) = text.split_once('\n').unwrap();
        fs::write(&script, format!("{first}\nsleep 2\n{rest}")).unwrap();
    }
    Some(cluster)
}

#[test]
fn a_wait_that_is_ended_says_that_the_move_goes_on_and_it_does() {
    let Some(cluster) = slow() else { return };
    let (mut on, mut off) = ("server1", "server2");
    for (how, code, words) in [
        ("timeout --preserve-status -s INT 1", 130, "interrupted: the move of failover1 goes on"),
        ("timeout --preserve-status -s TERM 1", 143, "interrupted: the move of failover1 goes on"),
        ("timeout --preserve-status -s KILL 1", 137, ""),
    ] {
        let output = cluster.exec("server1", &["bash", "-c", &format!("{how} clpgrp -m failover1")]).unwrap();
        assert_eq!((output.status, output.stdout.as_str()), (code, ""), "{how}: {output:?}");
        assert!(output.stderr.contains(words), "{how}: {output:?}");
        (on, off) = (off, on);
        cluster.moved_to(on, off);
    }
    let output = cluster.exec("server1", &["clpgrp", "-m", "failover1", "-w", "1"]).unwrap();
    assert_eq!((output.status, output.stdout.as_str()), (1, ""), "{output:?}");
    assert!(output.stderr.contains("no result within 1 s: the move of failover1 goes on"), "{output:?}");
    cluster.moved_to(off, on);
}

#[test]
fn who_watches_on_a_terminal_is_told_what_happens_and_a_script_is_not() {
    let Some(cluster) = slow() else { return };
    let output = cluster.run("server1", &["script", "-qec", "stty cols 40; clpgrp -m failover1", "/dev/null"]);
    let lines: Vec<&str> = output.lines().map(str::trim_end).collect();
    assert!(lines.contains(&"  failover1: Offline Pending on server1"), "{output}");
    assert_eq!(lines.last(), Some(&"Command succeeded."), "{output}");
    let output = cluster.exec("server1", &["clpgrp", "-m", "failover1"]).unwrap();
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("Command succeeded.\n", ""), "{output:?}");
}

#[test]
fn two_orders_at_once_leave_the_group_on_one_server() {
    let Some(cluster) = slow() else { return };
    for orders in [
        ["clpgrp -m failover1", "clpgrp -m failover1"],
        ["clpgrp -m failover1 -a server1", "clpgrp -m failover1 -a server2"],
        ["clpgrp -t failover1", "clpgrp -m failover1"],
        ["clpgrp -s failover1 -h server1", "clpgrp -s failover1 -h server2"],
    ] {
        let line = format!("{} & one=$!; {} & two=$!; wait $one; echo $?; wait $two; echo $?", orders[0], orders[1]);
        let output = cluster.exec("server1", &["bash", "-c", &line]).unwrap();
        assert!(!output.stderr.contains("panicked"), "{orders:?}: {output:?}");
        let codes: Vec<&str> = output.stdout.lines().filter(|line| line.parse::<i32>().is_ok()).collect();
        assert!(codes.len() == 2 && codes.iter().all(|code| ["0", "1"].contains(code)), "{orders:?}: {output:?}");
        // Who was not done says why.
        assert!(!codes.contains(&"1") || !output.stderr.is_empty(), "{orders:?}: {output:?}");
        cluster.until("it is settled", || ["Online", "Offline"].contains(&cluster.group("server1").0.as_str()));
        assert!(!(cluster.has_mount("server1") && cluster.has_mount("server2")), "{orders:?}");
    }
    // And the next order finds a sane cluster.
    let _ = cluster.exec("server1", &["clpgrp", "-s", "failover1", "-f"]).unwrap();
    cluster.moved_to("server1", "server2");
}

#[test]
fn a_cluster_service_that_hangs_is_named_and_nobody_waits_for_it() {
    // Without a watchdog: with one the server is reset before anybody can ask.
    let Some(cluster) = Cluster::boot(Conf::sample(), false) else { return };
    cluster.until("both servers are online", || cluster.server("server2", "server1") == "Online");
    let engine = cluster.run("server1", &["pgrep", "-f", "[c]lusterpro engine"]);
    cluster.run("server1", &["kill", "-STOP", engine.trim()]);
    let limit = Duration::from_secs(35);
    for (server, command) in [
        ("server1", "clpstat"),
        ("server1", "clpgrp -n failover1"),
        ("server1", "clpcl --suspend"),
        ("server2", "clpstat -h server1"),
    ] {
        let begin = Instant::now();
        let output = cluster.exec(server, &["bash", "-c", command]).unwrap();
        assert_eq!((output.status, output.stdout.as_str()), (1, ""), "{command}: {output:?}");
        assert!(output.stderr.contains("the cluster service of server1 does not answer"), "{command}: {output:?}");
        assert!(begin.elapsed() < limit, "{command}: {:?}", begin.elapsed());
    }
    // Others are asked as ever.
    cluster.run("server1", &["clpstat", "-h", "server2"]);
    cluster.run("server1", &["kill", "-CONT", engine.trim()]);
}
