//! Single resources, messages of one's own, requests to other servers, a server that never comes back: what the commands ask.

use std::io::Write;
use std::process::{Command, Stdio};

use clp_protocol::control::{Reply, Request};
use clp_services::request as transfer;

use crate::stand_in::{Ran, StandIn};

#[test]
fn a_resource_is_started_and_stopped_where_its_group_is_active() {
    let Some(server) = StandIn::new("a_resource_is_started_and_stopped_where_its_group_is_active") else { return };
    let mut status = server.status();
    let mut elsewhere = status.groups[0].clone();
    elsewhere.name = "failover2".into();
    elsewhere.current = Some("server2".into());
    elsewhere.resources[0].name = "fip2".into();
    let mut stopped = elsewhere.clone();
    stopped.name = "failover3".into();
    stopped.current = None;
    stopped.resources[0].name = "fip3".into();
    status.groups.extend([elsewhere, stopped]);
    server.engine(move |request| match request {
        Request::Status => Reply::Status(Box::new(status.clone())),
        Request::Resource { resource, .. } if resource == "fip9" => {
            Reply::Unknown { kind: "group resource".into(), name: "fip9".into(), known: vec!["fip1".into()] }
        }
        Request::Resource { others: false, on: false, .. } => {
            Reply::Refused { reason: "exec1 is active and depends on fip1".into(), remedy: "stop it too with -f".into() }
        }
        _ => Reply::Done { details: Vec::new() },
    });
    server.transfer(|_| transfer::Reply::Relayed { reply: serde_json::to_value(Reply::Done { details: Vec::new() }).unwrap() });
    let own = server.own().to_string();
    for (words, on, others) in [
        (&["-s", "fip1"][..], true, false),
        (&["-s", "-f", "fip1", "-w", "60"], true, true),
        (&["-t", "fip1", "-f", "-h", &own], false, true),
    ] {
        let ran = server.run(&[&["clprsc"][..], words].concat());
        assert_eq!((ran.code, ran.out.as_str()), (0, "Command succeeded.\n"), "{words:?} {ran:?}");
        assert_eq!(server.requests().last(), Some(&Request::Resource { resource: "fip1".into(), on, others }), "{words:?}");
    }
    // The server of the group is asked, wherever the command is typed in.
    for words in [&["-t", "fip2"][..], &["-t", "fip1", "-h", "server2"], &["-t", "fip1", "-h", "192.168.0.2"]] {
        let ran = server.run(&[&["clprsc"][..], words].concat());
        assert_eq!((ran.code, ran.out.as_str()), (0, "Command succeeded.\n"), "{words:?} {ran:?}");
        let carried = std::mem::take(&mut *server.carried.lock().unwrap());
        assert!(matches!(&carried[..], [transfer::Request::Forward { server, .. }] if server == "server2"), "{carried:?}");
    }
    for (words, said) in [
        (&["-t", "fip1"][..], "exec1 is active and depends on fip1; stop it too with -f"),
        (&["-s", "fip3"], "failover3 is not active; start it with clpgrp -s failover3"),
        (&["-s", "fip9"], "there is no group resource fip9; there are fip1, fip2, fip3"),
        (&["-s", "fip9", "-h", &own], "there is no group resource fip9; there are fip1"),
    ] {
        let ran = server.run(&[&["clprsc"][..], words].concat());
        assert_eq!((ran.code, ran.out.as_str(), ran.err.trim_end()), (1, "", said), "{words:?}");
    }
}

#[test]
fn a_message_goes_where_it_is_sent_to_with_its_number_and_level() {
    let Some(server) = StandIn::new("a_message_goes_where_it_is_sent_to_with_its_number_and_level") else { return };
    let record = || std::fs::read_to_string(server.root().join("alert/log/alertlog.alt")).unwrap_or_default();
    let last = || record().lines().last().unwrap_or_default().split(' ').skip(5).collect::<Vec<_>>().join(" ");
    let own = server.own();
    for (words, line) in [
        (&["-m", "backup begins", "--alert"][..], "logcmd 1 3 backup begins"),
        (&["-m", "tape\nis {1} full", "-i", "77", "-l", "ERR", "--alert"], "logcmd 77 1 tape is {1} full"),
        (&["-L", "WARN", "-m", "-", "--alert"], "logcmd 1 2 -"),
        (&["-m", "everywhere", "-l", "ERROR"], "logcmd 1 1 everywhere"),
    ] {
        let ran = server.run(&[&["clplogcmd"][..], words].concat());
        assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "Command succeeded.\n", ""), "{words:?}");
        assert_eq!(last(), format!("{own} {line}"), "{words:?}");
    }
    let before = record();
    // What other destinations get is written all the same.
    let ran = server.run(&["clplogcmd", "-m", "by mail", "--mail", "--trap", "--alert"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{ran:?}");
    assert!(ran.err.contains("--mail: there is no mail") && ran.err.contains("--trap"), "{}", ran.err);
    assert!(last().ends_with("by mail") && record() != before);
    let before = record();
    for words in [&["-m", " "][..], &["-m", "alone", "--mail"], &["text"], &["-m", "x", "-i", "100000"]] {
        let ran = server.run(&[&["clplogcmd"][..], words].concat());
        assert!(ran.code == 1 && ran.out.is_empty() && !ran.err.is_empty(), "{words:?} {ran:?}");
    }
    assert_eq!(record(), before);
}

#[test]
fn scripts_are_asked_for_at_each_server_and_every_failure_is_named() {
    let Some(server) = StandIn::new("scripts_are_asked_for_at_each_server_and_every_failure_is_named") else { return };
    server.transfer(|request| match request {
        transfer::Request::Forward { inner, .. } => match &**inner {
            transfer::Request::Script { name, .. } if name == "bad.sh" => {
                transfer::Reply::Failed { reason: "trnreq/bad.sh on server2: it ended with code 3".into() }
            }
            _ => transfer::Reply::Done,
        },
        _ => transfer::Reply::Done,
    });
    let own = server.own().to_string();
    let both = format!("{own},192.168.0.2");
    for (words, shelf, limit) in [
        (&["clptrnreq", "-t", "EXEC_SCRIPT", "-h", &both, "-s", "a.sh"][..], transfer::Shelf::Trnreq, 30),
        (&["clprexec", "--script", "a.sh", "-h", &both, "-w", "120"], transfer::Shelf::Rexec, 120),
    ] {
        let ran = server.run(words);
        assert_eq!((ran.code, ran.out.as_str()), (0, "Command succeeded.\n"), "{words:?} {ran:?}");
        let mut asked = Vec::new();
        for request in std::mem::take(&mut *server.carried.lock().unwrap()) {
            let (at, request) = match request {
                transfer::Request::Forward { server, inner, .. } => (server, *inner),
                request => (own.clone(), request),
            };
            let transfer::Request::Script { shelf, name, limit_s } = request else { panic!("{request:?}") };
            asked.push((at, shelf, name, limit_s));
        }
        asked.sort_by(|left, right| left.0.cmp(&right.0));
        let mut wanted = [own.clone(), "server2".to_string()].map(|at| (at, shelf, "a.sh".to_string(), limit));
        wanted.sort_by(|left, right| left.0.cmp(&right.0));
        assert_eq!(asked, wanted, "{words:?}");
    }
    let ran = server.run(&["clptrnreq", "-t", "EXEC_SCRIPT", "-h", &both, "-s", "bad.sh"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (1, "", "trnreq/bad.sh on server2: it ended with code 3\n"));
}

#[test]
fn a_failover_is_asked_for_at_the_server_that_is_to_give_its_groups_up() {
    let Some(server) = StandIn::new("a_failover_is_asked_for_at_the_server_that_is_to_give_its_groups_up") else { return };
    server.healthy();
    let own = server.own().to_string();
    for (words, group) in [
        (&["clptrnreq", "-t", "GRP_FAILOVER", "-h", &own][..], None),
        (&["clptrnreq", "-t", "GRP_FAILOVER", "-h", &own, "-r", "fip1"], Some("failover1")),
        (&["clprexec", "--failover", "failover1", "-h", &own], Some("failover1")),
    ] {
        let ran = server.run(words);
        assert_eq!((ran.code, ran.out.as_str()), (0, "Command succeeded.\n"), "{words:?} {ran:?}");
        let wanted = Request::GroupMove { group: group.map(String::from), from: Some(own.clone()), to: None };
        assert_eq!(server.requests().last(), Some(&wanted), "{words:?}");
    }
}

fn with_answer(server: &StandIn, words: &[&str], answer: &str) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_clp"));
    command.args(words).env("CLP_ROOT", server.root());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that does not ask does not read either.
    let _ = child.stdin.take().unwrap().write_all(answer.as_bytes());
    Ran::from(child.wait_with_output().unwrap())
}

#[test]
fn a_server_is_declared_off_by_name_and_with_a_yes() {
    let Some(server) = StandIn::new("a_server_is_declared_off_by_name_and_with_a_yes") else { return };
    server.healthy();
    let dead = ["clpcl", "--resume", "--dead", "192.168.0.2"];
    for answer in ["", "\n", "no\n", "y\n", "yes please\n"] {
        let ran = with_answer(&server, &dead, answer);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{answer:?} {ran:?}");
        assert!(ran.err.contains("Is server2 switched off?") && ran.err.contains("nothing was done"), "{}", ran.err);
    }
    let ran = server.run(&["clpcl", "--resume", "--force"]);
    assert!(ran.code == 1 && ran.err.contains("--dead HOST"), "{ran:?}");
    assert_eq!(server.requests(), [], "nothing is asked before a yes");
    let wanted = [Request::Resume, Request::DeclareOff { server: "server2".into() }];
    let ran = with_answer(&server, &dead, "yes\n");
    assert_eq!((ran.code, ran.out.as_str()), (0, "Command succeeded.\n"), "{ran:?}");
    assert_eq!(server.requests(), wanted);
    let ran = with_answer(&server, &[&dead[..], &["--force"]].concat(), "");
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "Command succeeded.\n", ""));
    assert_eq!(server.requests()[2..], wanted);
}

#[test]
fn the_configuration_of_another_server_is_shown_as_it_is_there() {
    let Some(server) = StandIn::new("the_configuration_of_another_server_is_shown_as_it_is_there") else { return };
    let groups = "<servergroup name=\"svg1\"><policy name=\"server2\"><order>0</order></policy>\
                  <policy name=\"server1\"><order>1</order></policy></servergroup></root>";
    let there = server.sample().replace("10.0.0.12", "10.0.0.99").replace("</root>", &groups.replace("server1", server.own()));
    let hex: String = there.bytes().map(|byte| format!("{byte:02x}")).collect();
    server.transfer(move |_| transfer::Reply::Configuration { hex: hex.clone() });
    let address = "clpstat --rsc fip1 | grep IP | cut -d: -f2 | tr -d ' '";
    assert_eq!(server.shell(address).out, "10.0.0.12\n");
    assert_eq!(server.shell(&address.replace("fip1", "fip1 -h server2")).out, "10.0.0.99\n");
    let ran = server.run(&["clpstat", "--svg", "-h", "server2"]);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines[1], " [ServerGroup0 : svg1]", "{ran:?}");
    assert_eq!(lines[2], format!("    {:<57}: server2, {}", "Servers", server.own()));
    assert_eq!(server.run(&["clpstat", "--sg", "svg1", "-h", "server2"]).out, ran.out);
    let unknown = server.run(&["clpstat", "--svg", "svg9", "-h", "server2"]);
    assert_eq!((unknown.code, unknown.err.as_str()), (1, "there is no server group svg9; there are svg1\n"));
    assert_eq!(server.run(&["clpstat", "--svg"]).out.lines().count(), 2, "none is configured here");
    assert!(server.run(&["clpstat", "-i", "-h", "server2"]).out.contains(" [ServerGroup0 : svg1]\n"));
}
