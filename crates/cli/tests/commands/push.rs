//! clpcfctrl --push against stand-ins: the difference it computes, what it refuses, what it lets through.

use std::path::Path;

use crate::stand_in::StandIn;
use clp_services::request as transfer;

/// A transfer service on every server whose engines run or not.
fn servers(server: &StandIn, engine: bool) {
    server.transfer(move |request| {
        let inner = match request {
            transfer::Request::Forward { inner, .. } => inner,
            own => own,
        };
        match inner {
            transfer::Request::Version => transfer::Reply::Version { version: "3".into(), engine },
            _ => transfer::Reply::Done,
        }
    });
}

fn data(text: &str) -> tempfile::TempDir {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("clp.conf"), text).unwrap();
    data
}

fn push(server: &StandIn, directory: &Path, more: &[&str]) -> crate::stand_in::Ran {
    let mut words = vec!["clpcfctrl", "--push", "-x", directory.to_str().unwrap()];
    words.extend(more);
    server.run(&words)
}

fn has_staged(server: &StandIn) -> bool {
    server.carried.lock().unwrap().iter().any(|request| match request {
        transfer::Request::Forward { inner, .. } => !matches!(**inner, transfer::Request::Version),
        own => !matches!(own, transfer::Request::Version),
    })
}

/// An edit of the sample, the place it changes and the operation that is needed.
const EDITS: &[(&str, &str, &str, &str)] = &[
    (
        "<timeout>1000</timeout>",
        "<timeout>2000</timeout>",
        "/root/cluster/heartbeat/timeout: \"1000\" -> \"2000\"",
        "suspend the cluster",
    ),
    (
        "<ip>10.0.0.12</ip>",
        "<ip>10.0.0.13</ip>",
        "/root/resource/fip@fip1/parameters/ip: \"10.0.0.12\" -> \"10.0.0.13\"",
        "stop the group",
    ),
    (
        "<interval>2</interval>",
        "<interval>3</interval>",
        "/root/monitor/diskw@diskw1/polling/interval: \"2\" -> \"3\"",
        "suspend the monitor",
    ),
    ("<name>cluster</name>", "<name>other</name>", "/root/cluster/name: \"cluster\" -> \"other\"", "stop the cluster"),
    ("<comment>two servers, one shared disk</comment>", "<comment>new</comment>", "/root/cluster/comment", "upload only"),
];

#[test]
fn a_change_to_what_runs_is_refused_with_the_operation_and_the_places() {
    let Some(server) = StandIn::new("a_change_to_what_runs_is_refused_with_the_operation_and_the_places") else { return };
    servers(&server, true);
    for (old, new, place, class) in EDITS {
        let directory = data(&server.sample().replacen(old, new, 1));
        let ran = push(&server, directory.path(), &[]);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.out.contains(place) && ran.out.contains(&format!("({class})")), "{place} {class}\n{}", ran.out);
        assert!(ran.err.contains("clpcl -t -a") && ran.err.contains("server2"), "{}", ran.err);
        assert!(
            ran.err.lines().any(|line| line.contains(&format!("needed: {class}")) && line.contains("/root/")),
            "{class}\n{}",
            ran.err
        );
        assert!(ran.err.ends_with("(cfmgr:2)\nCommand failed.(code:1)\n"), "{}", ran.err);
        assert!(!ran.out.contains("(code:0)") && !has_staged(&server), "nothing may change: {ran:?}");
    }
    let directory = data(&server.sample().replace("10.0.0.12", "10.0.0.13"));
    assert!(push(&server, directory.path(), &[]).err.contains("[failover1]"), "the group to stop is named");
}

#[test]
fn the_same_changes_go_through_when_the_cluster_is_stopped() {
    let Some(server) = StandIn::new("the_same_changes_go_through_when_the_cluster_is_stopped") else { return };
    servers(&server, false);
    for (old, new, place, _) in EDITS {
        let directory = data(&server.sample().replacen(old, new, 1));
        let ran = push(&server, directory.path(), &[]);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
        assert!(ran.out.contains(place), "{place}\n{}", ran.out);
        assert!(ran.out.ends_with("The upload is completed successfully.(cfmgr:0)\nCommand succeeded.(code:0)\n"), "{}", ran.out);
    }
    assert!(has_staged(&server));
}

#[test]
fn what_the_engines_hold_already_is_uploaded_while_they_run() {
    let Some(server) = StandIn::new("what_the_engines_hold_already_is_uploaded_while_they_run") else { return };
    servers(&server, true);
    for (old, new) in [
        ("", ""),
        ("<trekking>", "<trekking>\n\t\t<restart>3</restart>"),
        ("<npaction>2</npaction>", ""),
        ("<root>", "<!-- by hand --><root>"),
    ] {
        let directory = data(&server.sample().replacen(old, new, 1));
        let ran = push(&server, directory.path(), &[]);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{new} {ran:?}");
        assert!(ran.out.ends_with("Command succeeded.(code:0)\n"), "{}", ran.out);
    }
    let directory = data(&server.sample());
    std::fs::create_dir_all(directory.path().join("scripts/failover1/exec1")).unwrap();
    std::fs::write(directory.path().join("scripts/failover1/exec1/start.sh"), "#! /bin/sh\n").unwrap();
    let ran = push(&server, directory.path(), &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("scripts/failover1/exec1/start.sh: added (upload only)"), "{}", ran.out);
    // Those that lie there, before any push, are what is in force.
    let own = server.root().join("scripts/failover1/exec1");
    std::fs::create_dir_all(&own).unwrap();
    for (name, text) in [("start.sh", "#! /bin/sh\n"), ("stop.sh", "#! /bin/sh\n")] {
        std::fs::write(own.join(name), text).unwrap();
    }
    let ran = push(&server, directory.path(), &[]);
    let shown: Vec<&str> = ran.out.lines().filter(|line| line.contains("scripts/")).collect();
    assert_eq!(shown, ["  scripts/failover1/exec1/stop.sh: removed (upload only)"], "{ran:?}");
}

// S-CFG-MSG-WM
#[test]
fn the_restart_of_the_manager_is_asked_for_exactly_when_its_port_changes() {
    let Some(server) = StandIn::new("the_restart_of_the_manager_is_asked_for_exactly_when_its_port_changes") else { return };
    servers(&server, false);
    let words = "\nTo apply the changes you made, restart the WebManager.\nCommand succeeded.(code:0)\n";
    for (port, expected) in
        [("<web>29010</web>", true), ("<web>29003</web>", false), ("", false), ("<control>29010</control>", false)]
    {
        let directory = data(&server.sample().replace("<profile>fast", &format!("<port>{port}</port>\n\t\t<profile>fast")));
        let ran = push(&server, directory.path(), &[]);
        assert_eq!((ran.code, ran.out.ends_with(words)), (0, expected), "{port} {ran:?}");
    }
}

#[test]
fn json_holds_every_change_and_what_became_of_it() {
    let Some(server) = StandIn::new("json_holds_every_change_and_what_became_of_it") else { return };
    servers(&server, true);
    let text = server
        .sample()
        .replace("<ip>10.0.0.12</ip>", "<ip>10.0.0.13</ip>")
        .replace("<miiw name=\"miiw2\">", "<miiw name=\"miiw3\">");
    let ran = push(&server, data(&text).path(), &["--json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let shown: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let changes: Vec<(&str, &str, &str)> = shown["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| (change["path"].as_str().unwrap(), change["change"].as_str().unwrap(), change["apply"].as_str().unwrap()))
        .collect();
    assert_eq!(
        changes,
        [
            ("/root/resource/fip@fip1/parameters/ip", "value", "stop the group"),
            ("/root/monitor/miiw@miiw2", "removed", "suspend the monitor"),
            ("/root/monitor/miiw@miiw3", "added", "suspend the monitor"),
        ]
    );
    assert_eq!((&shown["applied"], &shown["code"], &shown["strongest"]), (&false.into(), &1.into(), &"stop the group".into()));
    assert_eq!((&shown["changes"][0]["old"], &shown["changes"][0]["group"]), (&"10.0.0.12".into(), &"failover1".into()));
    assert!(ran.err.ends_with("Command failed.(code:1)\n") && !has_staged(&server), "{}", ran.err);
}

#[test]
fn every_failed_push_ends_with_its_code() {
    let Some(server) = StandIn::new("every_failed_push_ends_with_its_code") else { return };
    let good = data(&server.sample());
    let no_service = push(&server, good.path(), &[]);
    let failures = [
        server.run(&["clpcfctrl", "--push"]),
        push(&server, Path::new("/nonexistent"), &[]),
        push(&server, data("<root><cluster>").path(), &[]),
        push(&server, data("<root/>").path(), &[]),
        push(&server, good.path(), &["-h", "server9"]),
        no_service,
    ];
    for ran in failures {
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{ran:?}");
        assert!(ran.err.ends_with("\nCommand failed.(code:1)\n"), "{}", ran.err);
    }
}
