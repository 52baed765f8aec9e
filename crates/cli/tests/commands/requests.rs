//! The built commands against a stand-in engine and transfer service: what is asked, what is printed, how they exit.

use crate::stand_in::StandIn;
use clp_protocol::control::{AfterStop, Reply, Request};
use clp_services::request as transfer;

// S-CMD-CLPSTAT
#[test]
fn clpstat_shows_every_kind_and_asks_another_server_with_h() {
    let Some(server) = StandIn::new("clpstat_shows_every_kind_and_asks_another_server_with_h") else { return };
    server.healthy();
    let mut other = server.status();
    other.local = "server2".into();
    server.transfer(move |request| match request {
        transfer::Request::Forward { server, .. } if server == "server2" => {
            transfer::Reply::Relayed { reply: serde_json::to_value(Reply::Status(Box::new(other.clone()))).unwrap() }
        }
        other => transfer::Reply::Failed { reason: format!("not expected: {other:?}") },
    });
    let plain = server.run(&["clpstat"]);
    assert_eq!(plain.code, 0, "{plain:?}");
    assert!(plain.out.contains(&format!("   *{} ", server.own())), "{}", plain.out);
    for line in [
        "    server2 .........: Online           ",
        "      lankhb1        : Normal           Kernel Mode LAN Heartbeat",
        "      pingnp1        : Normal           ping resolution",
        "    failover1 .......: Online           ",
        "      fip1           : Online           ",
        "    userw            : Normal           ",
    ] {
        assert!(plain.out.lines().any(|shown| shown == line), "{line}\n{}", plain.out);
    }
    assert_eq!(server.run(&["clpstat", "-s"]).out, plain.out);
    for words in [["clpstat", "-h", "server2"], ["clpstat", "-h", "192.168.0.2"]] {
        let there = server.run(&words);
        assert_eq!(there.code, 0, "{there:?}");
        assert!(there.out.contains("\n   *server2 .........: Online"), "{}", there.out);
    }
    let unknown = server.run(&["clpstat", "-h", "server9"]);
    assert_eq!(unknown.code, 1);
    assert!(unknown.err.contains("server9") && unknown.err.contains("server2"), "{}", unknown.err);
}

#[test]
fn clpstat_json_is_the_whole_view() {
    let Some(server) = StandIn::new("clpstat_json_is_the_whole_view") else { return };
    server.healthy();
    let ran = server.run(&["clpstat", "--json"]);
    let shown: clp_protocol::control::ClusterStatus = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(shown, server.status());
}

#[test]
fn without_the_engine_everything_configured_is_offline() {
    let Some(server) = StandIn::new("without_the_engine_everything_configured_is_offline") else { return };
    let ran = server.run(&["clpstat"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!ran.out.contains("Online") && !ran.out.contains("Normal"), "{}", ran.out);
    for line in [
        "    server2 .........: Offline          ",
        "      diskhb1        : Offline          DISK Heartbeat",
        "    failover1 .......: Offline          ",
        "      current        : None",
    ] {
        assert!(ran.out.lines().any(|shown| shown == line), "{line}\n{}", ran.out);
    }
    assert_eq!(ran.out.matches('*').count(), 1, "{}", ran.out);
    let empty = StandIn::empty();
    let ran = empty.run(&["clpstat"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("clp.conf") && ran.err.contains("clpcfctrl --push"), "{}", ran.err);
}

#[test]
fn an_engine_that_does_not_run_is_named_with_its_remedy() {
    let Some(server) = StandIn::new("an_engine_that_does_not_run_is_named_with_its_remedy") else { return };
    for words in [&["clpgrp", "-m", "failover1"][..], &["clpgrp", "-n", "failover1"], &["clpcl", "--suspend"], &["clpdown"]] {
        let ran = server.run(words);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{words:?} {ran:?}");
        assert!(ran.err.contains("clpcl -s"), "{words:?} {}", ran.err);
    }
}

// S-CMD-EXIT
#[test]
fn success_is_a_line_and_zero_and_failure_is_one_with_a_reason() {
    let Some(server) = StandIn::new("success_is_a_line_and_zero_and_failure_is_one_with_a_reason") else { return };
    server.engine(|request| match request {
        Request::GroupMove { group: Some(name), .. } if name == "nosuch" => {
            Reply::Unknown { kind: "group".into(), name: name.clone(), known: vec!["failover1".into(), "failover2".into()] }
        }
        Request::GroupStart { .. } => Reply::Refused { reason: "failover1 is active".into(), remedy: "move it".into() },
        _ => Reply::Done { details: Vec::new() },
    });
    for words in [
        &["clpgrp", "-m", "failover1"][..],
        &["clpgrp", "-t"],
        &["clpcl", "--suspend"],
        &["clpcl", "--resume"],
        &["clpcl", "-t"],
        &["clpdown"],
        &["clpstdn"],
    ] {
        let ran = server.run(words);
        assert_eq!((ran.code, ran.out.as_str()), (0, "Command succeeded.\n"), "{words:?} {ran:?}");
    }
    let unknown = server.run(&["clpgrp", "-m", "nosuch"]);
    assert_eq!((unknown.code, unknown.out.as_str()), (1, ""));
    assert!(unknown.err.contains("nosuch") && unknown.err.contains("failover1, failover2"), "{}", unknown.err);
    let refused = server.run(&["clpgrp", "-s", "failover1"]);
    assert_eq!((refused.code, refused.err.as_str()), (1, "failover1 is active; move it\n"));
    for words in [
        &["clpgrp"][..],
        &["clpgrp", "-s", "-t"],
        &["clpgrp", "-n"],
        &["clpgrp", "-m", "a", "b"],
        &["clpstat", "--nonsense"],
        &["clpstat", "word"],
        &["clpstat", "-h"],
        &["clpcl"],
        &["clpcl", "-q"],
        &["clpcl", "-t", "-a", "-h", "server2"],
        &["clpgrp", "-s", "-h", "server2", "-h", "server2"],
        &["clpdown", "server2"],
        &["clpstdn", "server2"],
        &["clpcfctrl"],
        &["clpnonsense"],
    ] {
        let ran = server.run(words);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{words:?} {ran:?}");
        assert!(ran.err.contains("usage:"), "{words:?} {}", ran.err);
    }
}

#[test]
fn words_become_requests() {
    let Some(server) = StandIn::new("words_become_requests") else { return };
    server.healthy();
    let name = |text: &str| Some(text.to_string());
    let stop = |then, all| Request::StopService { then, all };
    let own = server.own().to_string();
    let cases: Vec<(Vec<&str>, Request)> = vec![
        (vec!["clpgrp", "-s", "failover1"], Request::GroupStart { group: name("failover1"), server: None }),
        (
            vec!["clpgrp", "-s", "failover1", "-h", "server2"],
            Request::GroupStart { group: name("failover1"), server: name("server2") },
        ),
        (vec!["clpgrp", "-t", "-h", "192.168.0.2"], Request::GroupStop { group: None, server: name("server2") }),
        (vec!["clpgrp", "-m"], Request::GroupMove { group: None, from: None, to: None }),
        (
            vec!["clpgrp", "-m", "failover1", "-h", &own, "-a", "server2"],
            Request::GroupMove { group: name("failover1"), from: name(&own), to: name("server2") },
        ),
        (vec!["clpcl", "--suspend"], Request::Suspend),
        (vec!["clpcl", "-suspend"], Request::Suspend),
        (vec!["clpcl", "–suspend"], Request::Suspend),
        (vec!["clpcl", "–-suspend", "-a"], Request::Suspend),
        (vec!["clpcl", "--resume", "–a"], Request::Resume),
        (vec!["clpcl", "-t"], stop(AfterStop::Nothing, false)),
        (vec!["clpdown"], stop(AfterStop::Shutdown, false)),
        (vec!["clpdown", "-r"], stop(AfterStop::Reboot, false)),
        (vec!["clpstdn"], stop(AfterStop::Shutdown, true)),
        (vec!["clpstdn", "-r"], stop(AfterStop::Reboot, true)),
    ];
    for (words, expected) in cases {
        let ran = server.run(&words);
        assert_eq!(ran.code, 0, "{words:?} {ran:?}");
        assert_eq!(server.requests().last(), Some(&expected), "{words:?}");
    }
}

#[test]
fn start_and_stop_of_all_reach_every_server_and_say_so() {
    let Some(server) = StandIn::new("start_and_stop_of_all_reach_every_server_and_say_so") else { return };
    server.healthy();
    server.transfer(|request| match request {
        transfer::Request::Forward { inner, .. } if matches!(**inner, transfer::Request::Relay { .. }) => {
            transfer::Reply::Relayed { reply: serde_json::to_value(Reply::Done { details: Vec::new() }).unwrap() }
        }
        _ => transfer::Reply::Done,
    });
    let own = server.own().to_string();
    let ran = server.run(&["clpcl", "-s", "-a"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.out, format!("Start {own} : Command succeeded.\nStart server2 : Command succeeded.\n"));
    let carried = std::mem::take(&mut *server.carried.lock().unwrap());
    assert_eq!(carried.len(), 2, "{carried:?}");
    assert!(carried.iter().any(|request| matches!(request, transfer::Request::StartDaemon)), "{carried:?}");
    let ran = server.run(&["clpcl", "-t", "-a"]);
    assert_eq!(ran.out, format!("Stop {own} : Command succeeded.\nStop server2 : Command succeeded.\n"), "{ran:?}");
    assert_eq!(server.requests(), [Request::StopService { then: AfterStop::Nothing, all: true }]);
}

#[test]
fn a_restart_stops_nothing_that_it_cannot_start_again() {
    let Some(server) = StandIn::new("a_restart_stops_nothing_that_it_cannot_start_again") else { return };
    server.healthy();
    let ran = server.run(&["clpcl", "-r"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{ran:?}");
    assert!(ran.err.contains("clusterpro_trn"), "{}", ran.err);
    assert_eq!(server.requests(), []);
    server.transfer(|request| match request {
        transfer::Request::Version => transfer::Reply::Version { version: "3".into(), engine: false },
        _ => transfer::Reply::Done,
    });
    let ran = server.run(&["clpcl", "-r"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "Command succeeded.\n"), "{ran:?}");
    assert_eq!(server.requests(), [Request::StopService { then: AfterStop::Restart, all: false }]);
    assert!(matches!(server.carried.lock().unwrap().last(), Some(transfer::Request::StartDaemon)));
}

#[test]
fn a_server_that_cannot_be_started_does_not_hide_the_others() {
    let Some(server) = StandIn::new("a_server_that_cannot_be_started_does_not_hide_the_others") else { return };
    server.transfer(|request| match request {
        transfer::Request::Forward { .. } => transfer::Reply::Failed { reason: "server2 does not answer".into() },
        _ => transfer::Reply::Done,
    });
    let ran = server.run(&["clpcl", "-s", "-a"]);
    assert_eq!((ran.code, ran.out), (1, format!("Start {} : Command succeeded.\n", server.own())));
    assert_eq!(ran.err, "Start server2 : server2 does not answer\n");
}

#[test]
fn push_keeps_ready_everywhere_before_it_switches_anything() {
    let Some(server) = StandIn::new("push_keeps_ready_everywhere_before_it_switches_anything") else { return };
    server.transfer(|request| match request {
        transfer::Request::Forward { inner, .. } if matches!(**inner, transfer::Request::Version) => {
            transfer::Reply::Version { version: "3".into(), engine: false }
        }
        transfer::Request::Version => transfer::Reply::Version { version: "3".into(), engine: false },
        _ => transfer::Reply::Done,
    });
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("clp.conf"), server.sample()).unwrap();
    let directory = data.path().to_str().unwrap();
    for flag in ["-l", "-w"] {
        let ran = server.run(&["clpcfctrl", "--push", flag, "-x", directory]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(ran.out, "The upload is completed successfully.(cfmgr:0)\nCommand succeeded.(code:0)\n");
    }
    let steps: Vec<String> = server.carried.lock().unwrap().iter().map(step).collect();
    assert_eq!(&steps[..5], ["version", "version", "stage", "stage", "switch both"], "{steps:?}");
    std::fs::write(data.path().join("clp.conf"), "<root><cluster>").unwrap();
    let before = server.carried.lock().unwrap().len();
    let ran = server.run(&["clpcfctrl", "--push", "-x", directory]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{ran:?}");
    assert_eq!(server.carried.lock().unwrap().len(), before, "a broken configuration must not leave this server");
}

fn step(request: &transfer::Request) -> String {
    match request {
        transfer::Request::Forward { inner, .. } => step(inner),
        transfer::Request::Version => "version".into(),
        transfer::Request::Stage { .. } => "stage".into(),
        transfer::Request::Switch { servers, .. } if servers.len() == 2 => "switch both".into(),
        other => format!("{other:?}"),
    }
}

#[test]
fn clpmonctrl_asks_for_one_thing_at_a_time_and_shows_counts() {
    use clp_protocol::control::{MonitorCount, MonitorOrder};
    let Some(server) = StandIn::new("clpmonctrl_asks_for_one_thing_at_a_time_and_shows_counts") else { return };
    server.engine(|request| match request {
        Request::MonitorCounts { .. } => {
            let count = |name: &str, dummy| MonitorCount { name: name.into(), reactivations: 2, failovers: 1, dummy };
            Reply::MonitorCounts { counts: vec![count("genw1", false), count("userw", true)] }
        }
        _ => Reply::Done { details: Vec::new() },
    });
    let named = Some("genw1".to_string());
    for (words, monitor, order) in [
        (&["-s"][..], None, MonitorOrder::Suspend),
        (&["-s", "-m", "genw1", "-w", "60"], named.clone(), MonitorOrder::Suspend),
        (&["-r", "-m", "genw1"], named.clone(), MonitorOrder::Resume),
        (&["-e", "-m", "genw1"], named.clone(), MonitorOrder::FailureOn),
        (&["-n"], None, MonitorOrder::FailureOff),
        (&["-c"], None, MonitorOrder::ClearCounts),
    ] {
        let ran = server.run(&[&["clpmonctrl"][..], words].concat());
        assert_eq!((ran.code, ran.out.as_str()), (0, "Command succeeded.\n"), "{words:?} {ran:?}");
        assert_eq!(server.requests().last(), Some(&Request::Monitors { monitor, order }), "{words:?}");
    }
    let ran = server.run(&["clpmonctrl", "-v"]);
    let lines = "Resource : genw1 reactivation 2, failover 1\nResource : userw reactivation 2, failover 1, dummy failure on\n";
    assert_eq!((ran.code, ran.out.as_str()), (0, lines));
    let before = server.requests().len();
    for words in [&[][..], &["-s", "-r"], &["-v", "-c"], &["-e"], &["-s", "genw1"], &["-s", "-h", "server9"]] {
        let ran = server.run(&[&["clpmonctrl"][..], words].concat());
        assert!(ran.code == 1 && !ran.err.is_empty(), "{words:?} {ran:?}");
    }
    assert_eq!(server.requests().len(), before, "nothing is asked for what is wrong");
}
