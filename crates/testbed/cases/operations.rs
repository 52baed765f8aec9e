//! Everyday operation: starting, stopping and suspending the service, IP and process monitors, scripts that are missing.

mod cluster;

use clp_testbed::Net;
use cluster::{Cluster, Conf};

// S-CMD-CLPCL-STOP S-CMD-CLPCL-START S-OPS-STOPDAEMON
#[test]
fn the_service_is_stopped_and_started_on_all_servers() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    let stopped = cluster.run("server1", &["clpcl", "-t", "-a"]);
    assert!(stopped.contains("Stop server1 : Command succeeded."), "{stopped}");
    assert!(stopped.contains("Stop server2 : Command succeeded."), "{stopped}");
    assert!(!cluster.has_address("server1") && !cluster.has_mount("server1"));
    // Without the daemon the status shows everything offline.
    cluster.until("the status is offline", || cluster.group("server1") == ("Offline".into(), String::new()));
    let text = cluster.run("server1", &["clpstat"]);
    assert!(text.contains("current        : None") && text.contains("   *server1 .........: Offline"), "{text}");
    let started = cluster.run("server1", &["clpcl", "-s", "-a"]);
    assert!(started.contains("Start server1 : Command succeeded."), "{started}");
    assert!(started.contains("Start server2 : Command succeeded."), "{started}");
    cluster.settle();
    // One server alone: its groups fail over, the operating system goes on.
    assert_eq!(cluster.run("server1", &["clpcl", "-t"]), "Command succeeded.\n");
    cluster.moved_to("server2", "server1");
    assert!(!cluster.is_off("server1"));
}

// S-CMD-CLPCL-SUSPEND S-CMD-CLPCL-RESUME
#[test]
fn a_suspended_cluster_keeps_its_groups_and_watches_nothing() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    assert_eq!(cluster.run("server2", &["clpcl", "--suspend"]), "Command succeeded.\n");
    cluster.until("monitors are suspended", || cluster.monitor("server1", "miiw2") == "Suspend");
    assert!(cluster.is_active_on("server1"));
    cluster.cut("server1", Net::Public).unwrap();
    cluster.until("the path is down", || cluster.path("server2", "server1", "lankhb2") == "Offline");
    // The link monitor that would move the group at once stays silent.
    assert_eq!(cluster.group("server2"), ("Online".into(), "server1".into()));
    cluster.heal("server1", Net::Public).unwrap();
    cluster.until("the path is back", || cluster.path("server2", "server1", "lankhb2") == "Normal");
    assert_eq!(cluster.run("server1", &["clpcl", "--resume"]), "Command succeeded.\n");
    cluster.until("monitors run", || cluster.monitor("server1", "miiw2") == "Normal");
    assert!(cluster.is_active_on("server1"));
}

/// The sample with an IP monitor in place of the link monitor of its group.
fn with_ip_monitor(address: &str) -> Conf {
    let monitor = format!(
        "<ipw name=\"ipw1\">\n<polling><interval>1</interval><timeout>1</timeout></polling>\n<parameters><list id=\"0\"><ip>{address}</ip></list></parameters>\n<relation><type>grp</type><name>failover1</name></relation>\n<emergency><threshold><restart>0</restart><fo>1</fo></threshold></emergency>\n</ipw>\n\t</monitor>"
    );
    Conf::sample().with("<object>eth0</object>", "<object>lo</object>").with("</monitor>", &monitor)
}

// S-TST-PUBLAN-IPW S-MON-IPW
#[test]
fn a_cut_public_lan_moves_the_group_when_an_address_is_monitored() {
    let Some(cluster) = Cluster::up(with_ip_monitor("10.0.0.254")) else { return };
    cluster.cut("server1", Net::Public).unwrap();
    cluster.moved_to("server2", "server1");
    assert!(cluster.has_logged("server1", "monitor ipw1 found an error"));
}

// S-TST-INTERLAN-IPW
#[test]
fn a_cut_interconnect_moves_the_group_when_an_address_is_monitored() {
    let Some(cluster) = Cluster::up(with_ip_monitor("192.168.0.254")) else { return };
    cluster.cut("server1", Net::Interconnect).unwrap();
    cluster.moved_to("server2", "server1");
}

// S-TST-PIDKILL S-MON-PIDW S-MON-MAXREACT S-MON-TIMING-ACTIVE
#[test]
fn a_killed_resident_is_started_again_once_then_the_group_fails_over() {
    let monitor = "<pidw name=\"pidw1\">\n<target>exec1</target>\n<relation><type>rsc</type><name>exec1</name></relation>\n<emergency><threshold><restart>1</restart><fo>1</fo></threshold></emergency>\n</pidw>\n\t</monitor>";
    let conf = Conf::sample()
        .with("<path>start.sh</path>", "<path>start.sh</path>\n<sync>0</sync>")
        .with("</monitor>", monitor)
        .with_start_script(
            "#! /bin/sh\nexec \"$CLP_PATH/bin/counter\" serve --listen 10.0.0.12:8080 --data /mnt/sdb2/counter.db\n",
        );
    let Some(cluster) = Cluster::up(conf) else { return };
    let resident = |server: &str| {
        let output = cluster.exec(server, &["pgrep", "-f", "counter serve"]);
        output.map(|output| output.stdout.trim().to_string()).unwrap_or_default()
    };
    cluster.until("the process is watched", || cluster.monitor("server1", "pidw1") == "Normal");
    assert!(resident("server2").is_empty() && !resident("server1").is_empty());
    let first = resident("server1");
    cluster.run("server1", &["kill", "-9", &first]);
    cluster.until("it was started again here", || {
        let now = resident("server1");
        !now.is_empty() && now != first && cluster.is_active_on("server1") && cluster.monitor("server1", "pidw1") == "Normal"
    });
    cluster.run("server1", &["kill", "-9", &resident("server1")]);
    cluster.moved_to("server2", "server1");
    assert!(resident("server1").is_empty() && !resident("server2").is_empty());
}

// S-RSC-EXEC-FAIL
#[test]
fn a_script_whose_interpreter_is_missing_is_named_and_other_groups_run() {
    let conf = Conf::sample().with_start_script("#! /no/such/interpreter\n");
    let Some(cluster) = Cluster::boot(conf, true) else { return };
    cluster.until("the failure is recorded", || cluster.has_logged("server1", "start.sh: it could not be started"));
    cluster.until("the other group runs", || cluster.run("server1", &["clpgrp", "-n", "ManagementGroup"]).trim() == "server1");
    assert!(!cluster.is_active_on("server1") && !cluster.is_active_on("server2"));
}
