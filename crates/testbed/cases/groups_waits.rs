//! Server groups, waits between groups, and what a resource has of its own on one server.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod cluster;

use cluster::{Cluster, Conf};

/// Where a group is online, as `server` sees it; empty when it is not.
fn place(cluster: &Cluster, server: &str, group: &str) -> String {
    let status = cluster.status(server);
    let groups = status["groups"].as_array().cloned().unwrap_or_default();
    let found = groups.into_iter().find(|each| each["name"] == group && each["status"] == "Online");
    found.and_then(|each| each["current"].as_str().map(String::from)).unwrap_or_default()
}

/// More parameters for one of the sample's groups.
fn more(conf: Conf, group: &str, parameters: &str) -> Conf {
    let kind = if group == "failover1" { "<type>failover</type>" } else { "<type>cluster</type>" };
    conf.with(kind, &format!("{kind}\n{parameters}"))
}

// S-GRP-SERVERGROUP
#[test]
fn a_group_takes_its_servers_from_a_server_group() {
    let lists = "<servergroup name=\"both\">\n<policy name=\"server2\"><order>0</order></policy>\n<policy name=\"server1\"><order>1</order></policy>\n</servergroup>\n<servergroup name=\"first\">\n<policy name=\"server1\"><order>0</order></policy>\n</servergroup>\n<heartbeat>";
    let conf = Conf::sample().with("<heartbeat>\n\t\t<types", &format!("{lists}\n\t\t<types"));
    let conf = more(conf, "failover1", "<servergroup name=\"both\"><order>0</order></servergroup>");
    let conf = more(conf, "ManagementGroup", "<servergroup name=\"first\"><order>0</order></servergroup>");
    let Some(cluster) = Cluster::boot(conf, true) else { return };
    cluster.until("each starts on the first of its list", || {
        place(&cluster, "server1", "failover1") == "server2" && place(&cluster, "server1", "ManagementGroup") == "server1"
    });
    assert!(cluster.has_logged("server1", "server server2 chosen inside server group both for group failover1"));
    let listed = cluster.run("server1", &["clpstat", "--svg"]);
    let lines: Vec<&str> = listed.lines().filter(|line| line.starts_with(" [ServerGroup") || line.contains("Servers")).collect();
    assert_eq!(lines[0], " [ServerGroup0 : both]");
    assert!(lines[1].ends_with(": server2, server1") && lines[2] == " [ServerGroup1 : first]", "{listed}");
    assert!(!cluster.run("server1", &["clpstat", "--svg", "first"]).contains("both"));
    let refused = cluster.exec("server1", &["clpgrp", "-m", "ManagementGroup", "-a", "server2"]).unwrap();
    assert!(!refused.is_ok() && refused.stderr.contains("not in the failover policy"), "{refused:?}");
    cluster.power_off("server1").unwrap();
    cluster.until("the list of the other one is at its end", || {
        cluster.has_logged("server2", "group ManagementGroup has no destination left inside server group first")
    });
    assert_eq!(place(&cluster, "server2", "ManagementGroup"), "");
    cluster.power_on("server1").unwrap();
    cluster.until("it is back", || place(&cluster, "server2", "ManagementGroup") == "server1");
    cluster.power_off("server2").unwrap();
    cluster.until("it goes to the second of its list", || place(&cluster, "server1", "failover1") == "server1");
}

#[test]
fn a_group_starts_when_the_one_that_it_waits_for_is_online_or_not_at_all() {
    let conf = more(Conf::sample(), "ManagementGroup", "<start>0</start>");
    let waits = "<depend><act><depend name=\"ManagementGroup\"/><timeout>10</timeout></act></depend>";
    let Some(cluster) = Cluster::boot(more(conf, "failover1", waits), true) else { return };
    let why = || cluster.run("server1", &["clpstat", "--why", "failover1"]);
    cluster.until("it waits", || cluster.has_logged("server1", "start wait on group ManagementGroup begins: failover1"));
    assert!(why().contains("waiting until ManagementGroup is online, at most 10 s"), "{}", why());
    assert!(!cluster.has_mount("server1") && !cluster.has_mount("server2"));
    cluster.run("server1", &["clpgrp", "-s", "ManagementGroup"]);
    cluster.until("it follows", || cluster.is_active_on("server1"));
    assert!(why().contains("the wait for ManagementGroup is over"), "{}", why());
    for group in ["failover1", "ManagementGroup"] {
        cluster.run("server1", &["clpgrp", "-t", group]);
    }
    let given_up = cluster.exec("server1", &["clpgrp", "-s", "failover1"]).unwrap();
    assert!(!given_up.is_ok() && given_up.stderr.contains("ManagementGroup did not come online within 10 s"), "{given_up:?}");
    assert!(why().contains("its start was given up: ManagementGroup did not come online within 10 s"), "{}", why());
    assert!(cluster.has_logged("server1", "start wait on group ManagementGroup expired so the start was abandoned"));
    assert_eq!(cluster.group("server2"), ("Offline".into(), String::new()));
}

#[test]
fn a_group_stops_when_the_one_that_it_waits_for_is_off_or_its_time_is_up() {
    let waits = "<depend><deact><depend name=\"failover1\"/><timeout>3</timeout><other><use>1</use></other></deact></depend>";
    // Stopping takes a while, and tells whether the address of the other group still answers.
    let stop = "#! /bin/sh\nsleep 1\nping -c 1 -W 1 10.0.0.11 >/dev/null && date > /opt/mainstay/log/answered\nexit 0\n";
    let conf = more(Conf::sample(), "ManagementGroup", waits).with_script("exec1", "stop.sh", stop);
    let Some(cluster) = Cluster::up(conf) else { return };
    cluster.until("both run", || place(&cluster, "server1", "ManagementGroup") == "server1");
    cluster.run("server1", &["clpgrp", "-t", "ManagementGroup"]);
    assert!(cluster.has_logged("server1", "stop wait on group failover1 expired but the stop goes on: ManagementGroup"));
    let why = cluster.run("server1", &["clpstat", "--why", "ManagementGroup"]);
    assert!(why.contains("its stop waits until failover1 is off, at most 3 s") && why.contains("it stops all the same"), "{why}");
    cluster.run("server1", &["clpgrp", "-s", "ManagementGroup", "-h", "server2"]);
    // On another server, too: the cluster stops in that order.
    cluster.run("server1", &["clpcl", "-t", "-a"]);
    assert!(cluster.is_true("server1", "test -e /opt/mainstay/log/answered"), "ManagementGroup was stopped first");
    cluster.until("the wait there is told", || cluster.has_logged("server2", "stop wait on group failover1 over"));
}

// S-RSC-DISK-DEV
#[test]
fn a_resource_has_parameters_of_its_own_on_one_server() {
    let own = "<server name=\"server2\"><parameters><device>/dev/own2</device><mount><point>/mnt/own2</point></mount></parameters></server>";
    let script = "<server name=\"server2\"><parameters><act><path>there.sh</path></act></parameters></server>";
    let conf = Conf::sample()
        .with("<disk name=\"disk1\">", &format!("<disk name=\"disk1\">\n{own}"))
        .with("<exec name=\"exec1\">", &format!("<exec name=\"exec1\">\n{script}"))
        .with_script("exec1", "there.sh", "#! /bin/sh\necho here > /mnt/own2/there\n");
    let Some(cluster) = Cluster::up(conf) else { return };
    let listed = cluster.run("server1", &["clpstat", "--rsc", "disk1", "--detail"]);
    for (label, value) in [
        ("Device Name ", "/dev/sdb2"),
        ("Raw Device Name ", ""),
        ("Mount Point ", "/mnt/sdb2"),
        ("Device Name on server2", "/dev/own2"),
        ("Mount Point on server2", "/mnt/own2"),
    ] {
        let line =
            listed.lines().find(|line| line.trim_start().starts_with(label)).unwrap_or_else(|| panic!("{label}: {listed}"));
        assert_eq!(line.split(" : ").nth(1).or(line.split(": ").nth(1)).unwrap_or_default().trim(), value, "{line}");
    }
    // What is wrong on one server is found on that one.
    let refused = cluster.exec("server1", &["clpgrp", "-m", "failover1", "-a", "server2"]).unwrap();
    assert!(!refused.is_ok() && cluster.has_logged("server2", "/dev/own2"), "{refused:?}");
    cluster.until("it is back where its device is", || cluster.is_active_on("server1"));
    cluster.run("server2", &["ln", "-s", "/dev/sdb2", "/dev/own2"]);
    cluster.run("server1", &["clpgrp", "-m", "failover1", "-a", "server2"]);
    assert!(cluster.is_true("server2", "mountpoint -q /mnt/own2 && grep -q here /mnt/own2/there"));
    assert!(!cluster.has_mount("server2") && !cluster.has_mount("server1"));
    cluster.run("server2", &["clpgrp", "-m", "failover1", "-a", "server1"]);
    cluster.until("it is active where it came from", || cluster.is_active_on("server1"));
    assert!(!cluster.is_true("server2", "mountpoint -q /mnt/own2"));
}
