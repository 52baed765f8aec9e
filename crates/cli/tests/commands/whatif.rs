//! clpstat --whatif against an engine that hands out the sample as it is after a start.

use clp_protocol::control::{Reply, Request};
use serde_json::Value;

use crate::stand_in::{Ran, StandIn};

fn with_picture(test: &str) -> Option<StandIn> {
    let server = StandIn::new(test)?;
    let picture = server.picture();
    server.engine(move |request| match request {
        Request::Picture => Reply::Picture(picture.clone()),
        _ => Reply::Done { details: Vec::new() },
    });
    Some(server)
}

fn line<'a>(ran: &'a Ran, words: &[&str]) -> &'a str {
    let found = ran.out.lines().find(|line| words.iter().all(|word| line.contains(word)));
    found.unwrap_or_else(|| panic!("no line with {words:?}: {ran:?}"))
}

#[test]
fn every_single_loss_is_answered_with_the_seconds_and_what_is_taken_for_granted() {
    let Some(server) = with_picture("every_single_loss_is_answered_with_the_seconds_and_what_is_taken_for_granted") else { return };
    let ran = server.run(&["clpstat", "--whatif"]);
    let own = server.own();
    // The application alone takes two seconds to start, as measured.
    let moved = line(&ran, &[&format!("{own} *"), "failover1", "goes to server2"]);
    let seconds: f64 = moved.split_whitespace().rev().nth(3).unwrap().parse().unwrap();
    assert!((3.0..10.0).contains(&seconds), "{moved}");
    line(&ran, &["server2 *", "every group stays"]);
    line(&ran, &["lankhb1 of server2  ", "every group stays"]);
    line(&ran, &[&format!("/dev/sdb of {own}"), "failover1"]);
    line(&ran, &["assumed: ", "targets of the partition resolution answer each server as at its last look"]);
    line(&ran, &["note: ", "has not activated since its start", "disk1"]);
    assert_eq!((ran.code, ran.err.as_str()), (2, ""), "{ran:?}");
    assert_eq!(server.requests(), [Request::Picture]);
}

#[test]
fn one_server_path_or_disk_is_asked_for_alone_and_pairs_contain_it() {
    let Some(server) = with_picture("one_server_path_or_disk_is_asked_for_alone_and_pairs_contain_it") else { return };
    let losts = |words: &[&str]| {
        let ran = server.run(&[&["clpstat", "--whatif", "--json"], words].concat());
        let value: Value = serde_json::from_str(&ran.out).unwrap_or_else(|cause| panic!("{cause}: {ran:?}"));
        let answers = value["answers"].as_array().unwrap().clone();
        assert_eq!(ran.code, if answers.iter().any(|answer| answer["assumed"] == true) { 2 } else { 0 }, "{words:?}");
        answers
    };
    for (option, name, kind, key, whole, count) in [
        ("--server", "server2", "server", "server", "server2", 1),
        ("--path", "lankhb1", "path", "path", "lankhb1", 2),
        ("--disk", "/dev/sdb2", "disk", "disk", "/dev/sdb", 2),
        ("--disk", "disk1", "disk", "disk", "/dev/sdb", 2),
    ] {
        let is_it = |fault: &Value| fault["kind"] == kind && fault[key] == whole;
        let singles = losts(&[option, name]);
        assert_eq!(singles.len(), count, "{name}");
        assert!(singles.iter().all(|answer| is_it(&answer["lost"][0])), "{name}");
        let doubles = losts(&[option, name, "--double"]);
        assert!(doubles.len() > count, "{name}");
        assert!(doubles.iter().all(|answer| answer["lost"].as_array().unwrap().iter().any(is_it)), "{name}");
    }
    let both = losts(&["--server", "server2", "--double"]);
    let of_own = |answer: &&Value| answer["lost"][0]["server"] == server.own() && answer["lost"][0]["kind"] == "server";
    let dark = both.iter().find(of_own).expect("both servers");
    assert_eq!((dark["groups"][1]["then"].as_str(), dark["groups"][1]["reason"].as_str()), (Some("nowhere"), Some("no server is left")));
}

#[test]
fn what_does_not_go_together_or_does_not_exist_is_said_before_the_engine_is_asked() {
    let Some(server) = with_picture("what_does_not_go_together_or_does_not_exist_is_said_before_the_engine_is_asked") else { return };
    for (words, wanted) in [
        (&["--server", "server2", "--path", "lankhb1"][..], "--server and --path cannot be given together"),
        (&["--disk"], "--disk needs a DISK"),
        (&["--server", "server9"], "there is no server server9; there are"),
        (&["--path", "lanhb9"], "there is no heartbeat lanhb9; there are lankhb1"),
        (&["--disk", "/dev/sdz"], "there is no shared disk /dev/sdz; there are /dev/sdb, disk1"),
        (&["--why", "failover1"], "cannot be given together"),
        (&["-s"], "-s does not go with --whatif"),
    ] {
        let ran = server.run(&[&["clpstat", "--whatif"], words].concat());
        assert!(ran.code == 1 && ran.out.is_empty() && ran.err.contains(wanted), "{words:?}: {ran:?}");
    }
    assert_eq!(server.requests(), []);
    let ran = server.run(&["clpstat", "--double"]);
    assert!(ran.code == 1 && ran.err.contains("--double does not go"), "{ran:?}");
}

#[test]
fn a_picture_of_another_configuration_is_refused_with_what_helps() {
    let Some(server) = with_picture("a_picture_of_another_configuration_is_refused_with_what_helps") else { return };
    let path = server.root().join("etc/clp.conf");
    let other = server.sample().replace("<types name=\"comhb\"/>", "");
    let (before, rest) = other.split_once("<comhb name=").unwrap();
    let (_, after) = rest.split_once("</comhb>").unwrap();
    std::fs::write(&path, format!("{before}{after}")).unwrap();
    let ran = server.run(&["clpstat", "--whatif"]);
    assert!(ran.code == 1 && ran.err.contains("runs another configuration") && ran.err.contains("clpcl -r"), "{ran:?}");
}
