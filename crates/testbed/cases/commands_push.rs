//! `clpcfctrl --push` on real daemons: what runs is never left with something else than what is in force.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod cluster;

use cluster::{Cluster, Conf};

/// Where the new data lie on server1.
const DATA: &str = "/root/data";

/// Puts the data in force, with a change by `sed`, into [`DATA`] on server1.
fn change(cluster: &Cluster, edit: &str) {
    let line = format!(
        "rm -rf {DATA}; mkdir {DATA} && cp -rL /opt/mainstay/etc/clp.conf /opt/mainstay/scripts {DATA}/ && \
         find {DATA} -type f -exec sed -i '{edit}' {{}} +"
    );
    cluster.run("server1", &["sh", "-c", &line]);
}

/// The configuration file and the scripts in force on a server, as one checksum.
fn in_force(cluster: &Cluster, server: &str) -> String {
    let line = "cat /opt/mainstay/etc/clp.conf /opt/mainstay/scripts/failover1/exec1/* | sha256sum";
    cluster.run(server, &["sh", "-c", line])
}

/// The comment of the cluster in the file in force on a server.
fn comment(cluster: &Cluster, server: &str) -> String {
    let line = "sed -n '/<cluster>/,/<.cluster>/s/.*<comment>\\(.*\\)<.comment>.*/\\1/p' /opt/mainstay/etc/clp.conf";
    cluster.run(server, &["sh", "-c", line]).trim().to_string()
}

/// The comment that the running cluster service of a server has read; empty when none runs.
fn comment_of_engine(cluster: &Cluster, server: &str) -> String {
    if !cluster.is_true(server, "pgrep -f '[c]lusterpro engine'") {
        return String::new();
    }
    cluster.status(server)["comment"].as_str().unwrap_or_default().to_string()
}

/// Stops the cluster service everywhere.
fn stop(cluster: &Cluster) {
    cluster.run("server1", &["clpcl", "-t", "-a"]);
    for server in ["server1", "server2"] {
        cluster.until("the service is stopped", || !cluster.is_true(server, "pgrep -x clusterpro"));
    }
}

// S-CFG-MSG-OK
#[test]
fn a_change_waits_for_a_stopped_cluster_and_is_in_force_on_both_servers_afterwards() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    change(&cluster, "s/10\\.0\\.0\\.12/10.0.0.13/g");
    let before = in_force(&cluster, "server1");
    let output = cluster.exec("server1", &["clpcfctrl", "--push", "-x", DATA]).unwrap();
    assert_eq!(output.status, 1, "{output:?}");
    assert!(output.stdout.contains("\"10.0.0.12\" -> \"10.0.0.13\" (stop the group)"), "{output:?}");
    for words in ["the upload is cancelled", "server1, server2", "needed: stop the group", "[failover1]", "clpcl -t -a"] {
        assert!(output.stderr.contains(words), "{words}: {output:?}");
    }
    assert!(output.stderr.ends_with("(cfmgr:2)\nCommand failed.(code:1)\n"), "{output:?}");
    for server in ["server1", "server2"] {
        assert_eq!(in_force(&cluster, server), before, "{server}");
    }
    assert!(cluster.is_active_on("server1"));
    stop(&cluster);
    let done = cluster.run("server1", &["clpcfctrl", "--push", "-x", DATA]);
    assert!(done.ends_with("The upload is completed successfully.(cfmgr:0)\nCommand succeeded.(code:0)\n"), "{done}");
    assert_ne!(in_force(&cluster, "server1"), before);
    assert_eq!(in_force(&cluster, "server1"), in_force(&cluster, "server2"));
    assert!(cluster.is_true("server1", "grep -q 'clpcfctrl on server1' /opt/mainstay/alert/log/alertlog.alt"));
    cluster.run("server1", &["clpcl", "-s", "-a"]);
    let has = |server: &str| cluster.is_true(server, "ip -4 addr show dev eth0 | grep -q 'inet 10.0.0.13/'");
    cluster.until("the new address is active on server1", || cluster.group("server1").0 == "Online" && has("server1"));
    assert!(!cluster.has_address("server1"), "the old address is there too");
    cluster.run("server1", &["clpgrp", "-m", "failover1"]);
    cluster.until("the new address is active on server2", || has("server2") && !has("server1"));
}

#[test]
fn scripts_are_distributed_while_the_cluster_runs() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    cluster.run(
        "server1",
        &["sh", "-c", &format!("mkdir {DATA} && cp -rL /opt/mainstay/etc/clp.conf /opt/mainstay/scripts {DATA}/")],
    );
    cluster.run("server1", &["sh", "-c", &format!("echo '# a new line' >> {DATA}/scripts/failover1/exec1/stop.sh")]);
    let done = cluster.run("server1", &["clpcfctrl", "--push", "-x", DATA]);
    assert!(done.contains("scripts/failover1/exec1/stop.sh: changed (upload only)"), "{done}");
    for server in ["server1", "server2"] {
        assert!(cluster.is_true(server, "grep -q '# a new line' /opt/mainstay/scripts/failover1/exec1/stop.sh"), "{server}");
    }
    assert!(cluster.is_active_on("server1"));
    cluster.run("server1", &["clpgrp", "-m", "failover1"]);
    cluster.moved_to("server2", "server1");
}

// S-CFG-DISTRIBUTE
#[test]
fn a_server_that_is_down_is_named_and_nothing_changes_anywhere() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    change(&cluster, "s/two servers, one shared disk/changed/");
    stop(&cluster);
    cluster.power_off("server2").unwrap();
    let before = in_force(&cluster, "server1");
    let output = cluster.exec("server1", &["clpcfctrl", "--push", "-x", DATA]).unwrap();
    assert_eq!(output.status, 1, "{output:?}");
    assert!(output.stderr.contains("server2") && output.stderr.contains("nothing was changed on any server"), "{output:?}");
    assert!(output.stderr.ends_with("(cfmgr:1)\nCommand failed.(code:1)\n"), "{output:?}");
    assert_eq!(in_force(&cluster, "server1"), before);
    assert!(!cluster.is_true("server1", "ls -d /opt/mainstay/etc/conf.*"), "something was left");
    // It comes back as it was; the push that failed is done again.
    cluster.run("server1", &["clpcl", "-s"]);
    cluster.power_on("server2").unwrap();
    cluster.until("both run", || cluster.server("server1", "server2") == "Online");
    stop(&cluster);
    cluster.run("server1", &["clpcfctrl", "--push", "-x", DATA]);
    assert_eq!((comment(&cluster, "server1"), comment(&cluster, "server2")), ("changed".into(), "changed".into()));
}

#[test]
fn a_service_that_starts_during_a_push_never_runs_with_another_configuration_than_the_rest() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    let (mut pushed, mut refused) = (0, 0);
    for round in 0..10 {
        stop(&cluster);
        change(&cluster, &format!("s/two servers, one shared disk/round 0/; s/round [0-9]*/round {round}/"));
        let before = comment(&cluster, "server1");
        // The start comes a little later each time: before the question, between question and switch, after the switch.
        let line = format!(
            "clpcfctrl --push -x {DATA} >/root/push.out 2>&1 & push=$!; sleep 0.{:02}; setsid clusterpro >/dev/null 2>&1 </dev/null & \
             clpcl -s -h server2 >/root/start.out 2>&1; wait $push",
            round * 4
        );
        let success = cluster.exec("server1", &["bash", "-c", &line]).unwrap().is_ok();
        let said = cluster.run("server1", &["cat", "/root/push.out"]);
        if success {
            pushed += 1
        } else {
            refused += 1
        }
        let expected = if success { format!("round {round}") } else { before };
        for server in ["server1", "server2"] {
            assert_eq!(comment(&cluster, server), expected, "round {round}, {server}: {said}");
        }
        assert!(success || said.contains("running"), "round {round}: {said}");
        // Whoever was kept from starting starts now; all run with what is in force.
        cluster.exec("server1", &["clpcl", "-s", "-a"]).unwrap();
        for server in ["server1", "server2"] {
            cluster.until("it runs with what is in force", || comment_of_engine(&cluster, server) == expected);
        }
        cluster.settle();
    }
    println!("{pushed} pushes went through, {refused} were refused");
}

#[test]
fn a_push_that_is_killed_leaves_one_configuration_on_all_servers() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    stop(&cluster);
    for round in 0..12 {
        change(&cluster, &format!("s/two servers, one shared disk/round 0/; s/round [0-9]*/round {round}/"));
        let line = format!("clpcfctrl --push -x {DATA} >/dev/null 2>&1 & sleep 0.0{:02}; kill -9 $!; wait", round * 4);
        let _ = cluster.exec("server1", &["bash", "-c", &line]).unwrap();
        // What was ordered goes on; what was only kept ready is forgotten.
        cluster.until("both servers have the same", || in_force(&cluster, "server1") == in_force(&cluster, "server2"));
    }
    change(&cluster, "s/round [0-9]*/the last/; s/two servers, one shared disk/the last/");
    cluster.until("the next push works", || {
        cluster.exec("server1", &["clpcfctrl", "--push", "-x", DATA]).is_ok_and(|output| output.is_ok())
    });
    assert_eq!((comment(&cluster, "server1"), comment(&cluster, "server2")), ("the last".into(), "the last".into()));
    cluster.run("server1", &["clpcl", "-s", "-a"]);
    cluster.settle();
}

// S-CMD-CFCTRL-HOST
#[test]
fn a_server_that_was_installed_anew_gets_what_is_in_force_and_nobody_else_is_touched() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    let generation = |server: &str| cluster.run(server, &["readlink", "/opt/mainstay/etc/current"]);
    cluster.run("server1", &["clpcfctrl", "--push"]);
    let (before, expected) = (generation("server1"), in_force(&cluster, "server1"));
    for host in ["server2", "192.168.0.2"] {
        cluster.run("server1", &["clpcl", "-t", "-h", "server2"]);
        cluster.until("the service is stopped", || !cluster.is_true("server2", "pgrep -x clusterpro"));
        let line = "cd /opt/mainstay && rm -rf etc/clp.conf etc/current etc/conf.* scripts work log";
        cluster.run("server2", &["sh", "-c", line]);
        let done = cluster.run("server1", &["clpcfctrl", "--push", "-h", host]);
        assert!(done.ends_with("Command succeeded.(code:0)\n"), "{done}");
        assert_eq!(in_force(&cluster, "server2"), expected);
        assert_eq!(generation("server1"), before, "server1 was switched");
        cluster.run("server1", &["clpcl", "-s", "-h", "server2"]);
        cluster.until("it is back", || cluster.server("server1", "server2") == "Online");
    }
    assert!(cluster.is_active_on("server1"));
    // Other data for one server alone would be two configurations; the live directory alone would lose the scripts.
    change(&cluster, "s/two servers, one shared disk/changed/");
    for (words, reason) in [
        (["clpcfctrl", "--push", "-x", DATA, "-h", "server2"].as_slice(), "another configuration than the rest"),
        (&["clpcfctrl", "--push", "-x", "/opt/mainstay/etc"], "without its scripts"),
    ] {
        let output = cluster.exec("server1", words).unwrap();
        assert!(output.status == 1 && output.stderr.contains(reason), "{words:?} {output:?}");
        assert_eq!(in_force(&cluster, "server2"), expected);
    }
}
