//! A service that does not answer, a wait that is ended by hand: never silence, never a wait without an end.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::stand_in::StandIn;
use clp_protocol::control::{Reply, Request};

/// Longest wait for what takes ten seconds.
const SOON: Duration = Duration::from_secs(40);

/// A command that waits, with its pid and the words that it says when it is ended.
fn ended_by(server: &StandIn, words: &[&str], signal: &str) -> (Option<i32>, String) {
    let before = server.requests().len();
    let child = Command::new(env!("CARGO_BIN_EXE_clp"))
        .args(words)
        .env("CLP_ROOT", server.root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let until = Instant::now() + SOON;
    while server.requests().len() == before {
        assert!(Instant::now() < until, "it asked nothing");
        std::thread::sleep(Duration::from_millis(5));
    }
    let killed = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// An engine that takes every order and never has a result; questions are answered.
fn endless(server: &StandIn) {
    let status = server.status();
    let asked = server.asked.clone();
    let listener = UnixListener::bind(server.root().join("run/clusterpro.sock")).unwrap();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming().flatten() {
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            let request: Request = serde_json::from_str(&line).unwrap();
            if request == Request::Status {
                use std::io::Write;
                let reply = serde_json::to_string(&Reply::Status(Box::new(status.clone()))).unwrap();
                let _ = (&stream).write_all((reply + "\n").as_bytes());
            } else {
                kept.push(stream);
                asked.lock().unwrap().push(request);
            }
        }
    });
}

#[test]
fn ctrl_c_ends_the_wait_and_says_that_the_order_goes_on() {
    let Some(server) = StandIn::new("ctrl_c_ends_the_wait_and_says_that_the_order_goes_on") else { return };
    endless(&server);
    for (words, what) in [
        (&["clpgrp", "-m", "failover1"][..], "the move of failover1 goes on"),
        (&["clpgrp", "-s", "failover1"], "the start of failover1 goes on"),
        (&["clpgrp", "-t"], "the stop of the groups goes on"),
        (&["clpcl", "-t"], "the stop of "),
        (&["clpcl", "--suspend"], "the suspension of the cluster goes on"),
        (&["clpdown"], "the shutdown of "),
        (&["clpstdn"], "the shutdown of all servers goes on"),
    ] {
        let (code, said) = ended_by(&server, words, "-INT");
        assert_eq!(code, Some(130), "{words:?} {said}");
        assert!(said.starts_with("interrupted: ") && said.contains(what) && said.contains("clpstat"), "{words:?} {said}");
    }
    let (code, said) = ended_by(&server, &["clpgrp", "-m"], "-TERM");
    assert_eq!(code, Some(143), "{said}");
    let (code, said) = ended_by(&server, &["clpgrp", "-m"], "-HUP");
    assert_eq!(code, Some(129), "{said}");
}

#[test]
fn a_limit_ends_the_wait_and_the_order_goes_on() {
    let Some(server) = StandIn::new("a_limit_ends_the_wait_and_the_order_goes_on") else { return };
    endless(&server);
    for words in [&["clpgrp", "-m", "failover1", "-w", "1"][..], &["clpcl", "--suspend", "--apito", "1"]] {
        let ran = server.run(words);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{ran:?}");
        assert!(ran.err.starts_with("no result within 1 s: ") && ran.err.contains("goes on"), "{}", ran.err);
    }
}

#[test]
fn a_cluster_service_that_is_stuck_is_named_in_time() {
    let Some(server) = StandIn::new("a_cluster_service_that_is_stuck_is_named_in_time") else { return };
    // It takes connections into its queue and nothing out of it, as a stopped process does.
    let _engine = UnixListener::bind(server.root().join("run/clusterpro.sock")).unwrap();
    std::thread::scope(|scope| {
        for words in
            [&["clpstat"][..], &["clpgrp", "-n", "failover1"], &["clpgrp", "-m", "failover1"], &["clpcl", "-t"], &["clpdown"]]
        {
            let server = &server;
            scope.spawn(move || {
                let begin = Instant::now();
                let ran = server.run(words);
                assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{words:?} {ran:?}");
                assert!(ran.err.contains("does not answer") && ran.err.contains(server.own()), "{words:?} {}", ran.err);
                assert!(begin.elapsed() < SOON, "{words:?}");
            });
        }
    });
}

#[test]
fn a_transfer_service_that_is_stuck_is_named_in_time() {
    let Some(server) = StandIn::new("a_transfer_service_that_is_stuck_is_named_in_time") else { return };
    let _transfer = UnixListener::bind(server.root().join("run/trn.sock")).unwrap();
    std::thread::scope(|scope| {
        for words in [&["clpstat", "-h", "server2"][..], &["clpcl", "-s"], &["clpcl", "-s", "-a"], &["clpcfctrl", "--push"]] {
            let server = &server;
            scope.spawn(move || {
                std::fs::create_dir_all(server.root().join("etc/current")).unwrap();
                std::fs::write(server.root().join("etc/current/clp.conf"), server.sample()).unwrap();
                let begin = Instant::now();
                let ran = server.run(words);
                assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{words:?} {ran:?}");
                assert!(ran.err.contains("clusterpro_trn") && ran.err.contains("does not answer"), "{words:?} {}", ran.err);
                assert!(begin.elapsed() < SOON, "{words:?}");
            });
        }
    });
}
