//! The guide's chapter 6: the verification of a new cluster, step by step, by commands.

mod cluster;

use cluster::{Cluster, Conf, FLOATING};

// S-VER-HB S-VER-MON
#[test]
fn servers_are_online_and_every_heartbeat_and_monitor_is_normal() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    for server in ["server1", "server2"] {
        for of in ["server1", "server2"] {
            for path in ["lankhb1", "lankhb2", "comhb1", "diskhb1"] {
                cluster.until(&format!("{path} of {of} is normal on {server}"), || cluster.path(server, of, path) == "Normal");
            }
        }
        assert_eq!(cluster.path(server, server, "pingnp1"), "Normal");
        for monitor in ["userw", "diskw1", "miiw1", "miiw2"] {
            cluster.until(&format!("{monitor} is normal"), || cluster.monitor(server, monitor) == "Normal");
        }
        let shown = cluster.run(server, &["clpstat"]);
        assert!(shown.contains("server1 .........: Online") && shown.contains("server2 .........: Online"), "{shown}");
    }
}

// S-VER-GSTOP S-VER-GSTART S-VER-DISK S-VER-FIP S-VER-EXEC
#[test]
fn a_group_is_stopped_and_started_and_its_parts_come_and_go_with_it() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    assert_eq!(cluster.run("server1", &["clpgrp", "-t", "failover1"]).trim(), "Command succeeded.");
    cluster.until("the group is offline", || cluster.group("server2").0 == "Offline");
    assert!(!cluster.has_mount("server1") && !cluster.has_address("server1"));
    assert_eq!(cluster.answerer(), "");
    assert!(!cluster.client(&["ping", "-c1", "-W1", FLOATING]).unwrap().is_ok());
    cluster.run("server1", &["clpgrp", "-s", "failover1"]);
    cluster.until("the group is online", || cluster.is_active_on("server1"));
    for resource in ["disk1", "exec1", "fip1"] {
        assert_eq!(cluster.resource("server2", resource), "Online", "{resource}");
    }
    cluster.run("server1", &["sh", "-c", "echo kept > /mnt/sdb2/file && cat /mnt/sdb2/file"]);
    assert!(!cluster.has_mount("server2"));
    assert!(cluster.client(&["ping", "-c1", "-W2", FLOATING]).unwrap().is_ok());
    assert_eq!(cluster.answerer(), "server1");
}

// S-VER-GMOVE
#[test]
fn a_group_moves_to_every_server_and_takes_its_data_along() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    cluster.run("server1", &["sh", "-c", "echo kept > /mnt/sdb2/file"]);
    cluster.run("server1", &["clpgrp", "-m", "failover1"]);
    cluster.moved_to("server2", "server1");
    assert_eq!(cluster.run("server2", &["cat", "/mnt/sdb2/file"]).trim(), "kept");
    assert_eq!(cluster.run("server1", &["clpgrp", "-n", "failover1"]).trim(), "server2");
    cluster.run("server1", &["clpgrp", "-m", "failover1", "-a", "server1"]);
    cluster.moved_to("server1", "server2");
}

// S-VER-FAILOVER S-VER-FAILBACK
#[test]
fn a_server_without_power_loses_its_group_and_gets_it_back_by_failback() {
    let group = "<group name=\"failover1\">\n\t\t<type>failover</type>";
    let conf = Conf::sample().with(group, &format!("{group}\n\t\t<failback>1</failback>"));
    let Some(cluster) = Cluster::up(conf) else { return };
    cluster.run("server1", &["sh", "-c", "echo kept > /mnt/sdb2/file && sync -f /mnt/sdb2/file"]);
    cluster.power_off("server1").unwrap();
    cluster.until("server2 has taken over", || cluster.is_active_on("server2"));
    assert_eq!(cluster.server("server2", "server1"), "Offline");
    assert_eq!(cluster.run("server2", &["cat", "/mnt/sdb2/file"]).trim(), "kept");
    cluster.power_on("server1").unwrap();
    cluster.moved_to("server1", "server2");
    assert_eq!(cluster.run("server1", &["cat", "/mnt/sdb2/file"]).trim(), "kept");
}

// S-VER-FAILOVER
#[test]
fn without_failback_the_group_stays_where_it_went() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    cluster.power_off("server1").unwrap();
    cluster.until("server2 has taken over", || cluster.is_active_on("server2"));
    cluster.power_on("server1").unwrap();
    cluster.until("server1 is back", || {
        cluster.server("server1", "server1") == "Online" && cluster.server("server2", "server1") == "Online"
    });
    assert!(cluster.is_active_on("server2"));
    cluster.run("server2", &["clpgrp", "-m", "failover1"]);
    cluster.moved_to("server1", "server2");
}

// S-VER-SHUTDOWN
#[test]
fn a_shutdown_of_the_cluster_takes_all_servers_down_and_unmounts_cleanly() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    cluster.run("server1", &["sh", "-c", "echo kept > /mnt/sdb2/file"]);
    let _ = cluster.exec("server1", &["clpstdn"]).unwrap();
    cluster.until("both servers are down", || cluster.is_off("server1") && cluster.is_off("server2"));
    for server in ["server1", "server2"] {
        let end = cluster.server_status(server).unwrap().last_end;
        assert_eq!(end.as_deref(), Some("halt"), "{server}");
    }
    cluster.power_on("server1").unwrap();
    cluster.power_on("server2").unwrap();
    cluster.settle();
    assert_eq!(cluster.run("server1", &["cat", "/mnt/sdb2/file"]).trim(), "kept");
}
