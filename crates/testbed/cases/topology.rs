//! Clusters of two, three and four servers as the guide draws them, and what their groups are and say.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod cluster;

use clp_testbed::{
    Net,
    conf::{ClusterConf, Group, Heartbeat},
};
use cluster::{Cluster, Conf};

/// A group of an address and a responder at it.
fn web(name: &str, address: &str, port: u16) -> Group {
    let start =
        format!("#! /bin/sh\nsetsid \"$CLP_PATH/bin/testbed\" responder {address}:{port} </dev/null >/dev/null 2>&1 &\nexit 0\n");
    Group::new(name).address(&format!("{name}-fip"), address).exec(&format!("{name}-exec"), &start, "#! /bin/sh\nexit 0\n")
}

/// Every server says that every other one is online.
fn all_online(cluster: &Cluster) {
    let servers = cluster.servers();
    cluster.until("all servers are online", || {
        servers.iter().all(|server| servers.iter().all(|of| cluster.server(server, of) == "Online"))
    });
}

/// Every server sees every path of every server as normal.
fn all_paths_are_normal(cluster: &Cluster, paths: &[&str]) {
    for server in cluster.servers() {
        for of in cluster.servers() {
            for path in paths {
                cluster.until(&format!("{path} of {of} is normal on {server}"), || cluster.path(&server, &of, path) == "Normal");
            }
        }
    }
}

// Two servers, crossed interconnect, COM link, shared disk, one standby.
// S-TOPO-UNI S-TOPO-2NODE
#[test]
fn the_shipped_example_of_two_servers_runs_on_one_and_fails_over_to_the_standby() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    all_paths_are_normal(&cluster, &["lankhb1", "lankhb2", "comhb1", "diskhb1"]);
    assert!(!cluster.has_mount("server2") && !cluster.has_address("server2"), "the standby has nothing");
    cluster.run("server1", &["sh", "-c", "echo kept > /mnt/sdb2/file && sync -f /mnt/sdb2/file"]);
    cluster.power_off("server1").unwrap();
    cluster.until("the group is active on the standby", || cluster.is_active_on("server2"));
    assert_eq!(cluster.run("server2", &["cat", "/mnt/sdb2/file"]), "kept\n");
}

/// A shipped example of more than two servers: no COM, every server takes the group in turn when those before it are lost.
fn example(name: &str, servers: u32) {
    let Some(cluster) = Cluster::up(Conf::sample_of(name, servers)) else { return };
    all_online(&cluster);
    all_paths_are_normal(&cluster, &["lankhb1", "lankhb2", "diskhb1"]);
    assert!(!cluster.run("server1", &["clpstat"]).contains("COM Heartbeat"));
    // The hub: a cut interconnect of one server is a caution and moves nothing.
    let last = format!("server{servers}");
    cluster.cut(&last, Net::Interconnect).unwrap();
    cluster.until("the loss is shown", || cluster.path("server1", &last, "lankhb1") != "Normal");
    assert!(cluster.is_active_on("server1"));
    cluster.heal(&last, Net::Interconnect).unwrap();
    for lost in 1..servers {
        cluster.power_off(&format!("server{lost}")).unwrap();
        let next = format!("server{}", lost + 1);
        cluster.until(&format!("the group is active on {next}"), || cluster.is_active_on(&next));
    }
}

// S-TOPO-3NODE
#[test]
fn the_shipped_example_of_three_servers_survives_the_loss_of_two() {
    example("three-node-disk", 3);
}

// S-TOPO-4NODE
#[test]
fn the_shipped_example_of_four_servers_survives_the_loss_of_three() {
    example("four-node-disk", 4);
}

// S-TOPO-MULTI-SAME
#[test]
fn the_same_application_runs_on_both_servers_and_on_one_after_a_failover() {
    let conf = ClusterConf::usual(2)
        .group(web("app1", "10.0.0.21", 8080).policy(&[1, 2]))
        .group(web("app2", "10.0.0.22", 8080).policy(&[2, 1]));
    let Some(cluster) = Cluster::boot(Conf::made(&conf), true) else { return };
    let answer = |one: &str, two: &str| {
        cluster.until(&format!("{one} and {two} answer"), || {
            cluster.responder("10.0.0.21:8080") == one && cluster.responder("10.0.0.22:8080") == two
        });
    };
    answer("server1", "server2");
    cluster.power_off("server2").unwrap();
    answer("server1", "server1");
    cluster.power_on("server2").unwrap();
    all_online(&cluster);
    cluster.run("server1", &["clpgrp", "-m", "app2", "-a", "server2"]);
    answer("server1", "server2");
}

// Two groups, each with a partition of the one shared disk.
// S-TOPO-SHARED
#[test]
fn groups_with_shared_disks_work_on_two_and_on_four_servers() {
    for servers in [2, 4] {
        let names: Vec<String> = (1..=servers).map(|number| format!("server{number}")).collect();
        let group = |name: &str, partition: &str| Group::new(name).disk(&format!("{name}-disk"), partition);
        let conf = ClusterConf::usual(servers)
            .group(group("data1", "sdb2").policy(&(1..=servers).collect::<Vec<_>>()))
            .group(group("data2", "sdb3").policy(&(1..=servers).rev().collect::<Vec<_>>()));
        let Some(cluster) = Cluster::boot(Conf::made(&conf).data_partitions(2), true) else { return };
        all_online(&cluster);
        let owner = |partition: &str| -> Vec<&String> {
            let point = format!("/mnt/{partition}");
            names
                .iter()
                .filter(|name| !cluster.is_off(name) && cluster.is_true(name, &format!("mountpoint -q {point}")))
                .collect()
        };
        cluster.until("each is on the first of its list", || {
            owner("sdb2") == [&names[0]] && owner("sdb3") == [names.last().unwrap()]
        });
        // Each server has each of them once, reads what all before it wrote, and adds its own name.
        for (index, server) in names.iter().enumerate() {
            for (group, partition) in [("data1", "sdb2"), ("data2", "sdb3")] {
                if cluster.place(server, group) != *server {
                    cluster.run(server, &["clpgrp", "-m", group, "-a", server]);
                }
                assert_eq!(owner(partition), [server], "{group}");
                let line = format!("cat /mnt/{partition}/who 2>/dev/null; echo {server} >> /mnt/{partition}/who");
                assert_eq!(cluster.run(server, &["sh", "-c", &line]).lines().count(), index);
            }
        }
        let last = names.last().unwrap();
        cluster.run(last, &["sync", "-f", "/mnt/sdb2/who", "/mnt/sdb3/who"]);
        cluster.power_off(last).unwrap();
        cluster.until("both fail over", || owner("sdb2").len() == 1 && owner("sdb3").len() == 1);
        for partition in ["sdb2", "sdb3"] {
            let there = cluster.run(owner(partition)[0], &["cat", &format!("/mnt/{partition}/who")]);
            assert_eq!(there.lines().collect::<Vec<_>>(), names, "{partition}");
        }
    }
}

// The next healthy server of the list, which is not the order of the servers.
// S-GRP-POLICY
#[test]
fn a_group_goes_to_the_next_server_of_its_list_that_is_healthy() {
    for (is_off, wanted) in [(false, "server3"), (true, "server2")] {
        let conf = ClusterConf::usual(3).group(web("web", "10.0.0.21", 8080).policy(&[1, 3, 2]));
        let Some(cluster) = Cluster::boot(Conf::made(&conf), true) else { return };
        all_online(&cluster);
        cluster.until("it is on the first of its list", || cluster.responder("10.0.0.21:8080") == "server1");
        if is_off {
            cluster.power_off("server3").unwrap();
            cluster.until("server3 is gone", || cluster.server("server1", "server3") == "Offline");
        }
        cluster.power_off("server1").unwrap();
        cluster.until("it answers again", || !cluster.responder("10.0.0.21:8080").is_empty());
        assert_eq!(cluster.responder("10.0.0.21:8080"), wanted);
        cluster.placed("web", wanted);
    }
}

// Three applications and the file system below them; each script says when it ran, and what it finds.
// S-GRP-ONLINEFAILBACK
#[test]
fn an_operators_failback_stops_in_reverse_order_and_unmounts_before_it_starts_elsewhere() {
    let script = |name: &str, what: &str| {
        format!("#! /bin/sh\nmountpoint -q /mnt/sdb2 || exit 1\necho {what} {name} $(hostname) >> /mnt/sdb2/order\nexit 0\n")
    };
    let mut group = Group::new("data").disk("disk1", "sdb2");
    for (name, below) in [("one", "disk1"), ("two", "one"), ("three", "two")] {
        group = group.exec(name, &script(name, "start"), &script(name, "stop"));
        group = group.depends(name, below);
    }
    let Some(cluster) = Cluster::boot(Conf::made(&ClusterConf::usual(2).group(group)), true) else { return };
    cluster.placed("data", "server1");
    cluster.power_off("server1").unwrap();
    cluster.placed("data", "server2");
    cluster.power_on("server1").unwrap();
    all_online(&cluster);
    assert_eq!(cluster.place("server1", "data"), "server2", "it waits for the operator");
    cluster.run("server2", &["sh", "-c", "> /mnt/sdb2/order"]);
    cluster.run("server1", &["clpgrp", "-m", "data", "-a", "server1"]);
    assert!(!cluster.has_mount("server2") && cluster.has_mount("server1"));
    let order = cluster.run("server1", &["cat", "/mnt/sdb2/order"]);
    let wanted = [
        "stop three server2",
        "stop two server2",
        "stop one server2",
        "start one server1",
        "start two server1",
        "start three server1",
    ];
    assert_eq!(order.lines().collect::<Vec<_>>(), wanted);
}

// Nothing but resources: no attribute, no policy, no comment, no monitor.
// S-GRP-ATTRDEFAULT
#[test]
fn a_group_made_without_any_attribute_starts_and_fails_over() {
    let conf = ClusterConf::usual(2).group(web("web", "10.0.0.21", 8080));
    let Some(cluster) = Cluster::boot(Conf::made(&conf), true) else { return };
    cluster.until("it starts by itself", || cluster.responder("10.0.0.21:8080") == "server1");
    all_online(&cluster);
    cluster.power_off("server1").unwrap();
    cluster.until("it fails over by itself", || cluster.responder("10.0.0.21:8080") == "server2");
}

// The command half; the console comes with its issue.
// S-GRP-STATUS
#[test]
fn the_status_of_a_group_and_its_server_is_shown_everywhere_alike() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    let shown = |wanted: &str, current: &str| {
        for server in ["server1", "server2"] {
            let lines = cluster.run(server, &["clpstat"]);
            let mut lines = lines.lines().skip_while(|line| !line.starts_with("    failover1 "));
            let (group, below) = (lines.next().unwrap(), lines.next().unwrap());
            assert_eq!(group.trim_end(), format!("    failover1 .......: {wanted}"), "{server}");
            assert_eq!(below, format!("      current        : {current}"), "{server}");
            let name = if current == "None" { "" } else { current };
            assert_eq!(cluster.group(server), (wanted.to_string(), name.to_string()), "{server}");
            assert_eq!(cluster.run(server, &["clpgrp", "-n", "failover1"]).trim(), name, "{server}");
            let map = cluster.run(server, &["clpstat", "-g"]);
            assert_eq!(map.contains("failover1[o]"), current != "None", "{map}");
        }
    };
    shown("Online", "server1");
    cluster.run("server1", &["clpgrp", "-m", "failover1"]);
    cluster.placed("failover1", "server2");
    shown("Online", "server2");
    cluster.run("server1", &["clpgrp", "-t", "failover1"]);
    cluster.until("server1 says so too", || cluster.group("server1").0 == "Offline");
    cluster.until("server2 says so too", || cluster.group("server2").0 == "Offline");
    shown("Offline", "None");
}

// S-GRP-TYPE S-GRP-PRIMARY
#[test]
fn type_and_primary_and_secondary_servers_of_a_group_are_shown() {
    let conf = ClusterConf::usual(3)
        .group(web("web", "10.0.0.21", 8080).policy(&[2, 3, 1]).parameters("<type>failover</type>"))
        .group(web("other", "10.0.0.22", 8080).policy(&[3, 1]))
        .group(web("mgmt", "10.0.0.23", 8080).parameters("<type>cluster</type>"));
    let Some(cluster) = Cluster::boot(Conf::made(&conf), true) else { return };
    let properties = |group: &str| -> Vec<(String, String)> {
        let text = cluster.run("server1", &["clpstat", "--grp", group]);
        let pairs = text.lines().filter_map(|line| line.split_once(" : ").or(line.split_once(": ")));
        pairs.map(|(label, value)| (label.trim().to_string(), value.trim().to_string())).collect()
    };
    for (group, kind, primary, secondary) in [
        ("web", "failover", "server2", "server3, server1"),
        ("other", "failover", "server3", "server1"),
        ("mgmt", "cluster", "server1", "server2, server3"),
    ] {
        let shown = properties(group);
        for (label, value) in [("Type", kind), ("Primary Server", primary), ("Secondary Servers", secondary)] {
            assert!(shown.contains(&(label.to_string(), value.to_string())), "{group}: {label} {value} in {shown:?}");
        }
        cluster.placed(group, primary);
    }
    // Stored: the file in force on another server has the types as they were given.
    let stored = cluster.run("server3", &["cat", "/opt/mainstay/etc/clp.conf"]);
    assert!(stored.contains("<type>failover</type>") && stored.contains("<type>cluster</type>"));
}

// S-GRP-NAME
#[test]
fn a_group_with_the_name_of_another_or_with_none_is_refused() {
    let Some(cluster) = Cluster::boot(Conf::made(&ClusterConf::usual(2).group(web("web", "10.0.0.21", 8080))), true) else {
        return;
    };
    all_online(&cluster);
    let before = cluster.run("server1", &["cat", "/opt/mainstay/etc/clp.conf"]);
    for (name, words) in [
        ("web", "/root/group@web: the name is used twice; rename one of them"),
        ("my web", "\"my web\" is no name"),
        ("../web", "\"../web\" is no name"),
        ("-web", "\"-web\" is no name"),
        ("a-name-that-is-much-too-long-for-it", "is no name; use 1 to 31 characters"),
    ] {
        let conf = ClusterConf::usual(2).group(web("web", "10.0.0.21", 8080)).group(web(name, "10.0.0.22", 8080));
        // Its scripts lie where its name says; only the configuration is meant here.
        let directory = cluster.directory().join("server1/root/conf");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("clp.conf"), conf.text()).unwrap();
        let refused = cluster.exec("server1", &["clpcfctrl", "--push", "-l", "-x", "/root/conf"]).unwrap();
        assert!(!refused.is_ok() && refused.stderr.contains(words), "{name}: {refused:?}");
    }
    for server in ["server1", "server2"] {
        assert_eq!(cluster.run(server, &["cat", "/opt/mainstay/etc/clp.conf"]), before);
    }
}

// Not a row: the largest cluster that a lab can make starts, and everybody hears everybody.
#[test]
fn a_made_configuration_of_eight_servers_starts() {
    let conf = ClusterConf::new(8).times(5000, 500).heartbeat(Heartbeat::Lankhb(Net::Interconnect));
    let conf = conf.heartbeat(Heartbeat::Lanhb(Net::Public)).heartbeat(Heartbeat::Diskhb).ping(&["192.168.0.254"]);
    let Some(cluster) = Cluster::boot(Conf::made(&conf.group(web("web", "10.0.0.21", 8080).policy(&[8, 1]))), true) else {
        return;
    };
    all_online(&cluster);
    cluster.placed("web", "server8");
}
