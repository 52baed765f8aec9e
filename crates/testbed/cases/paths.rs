//! Heartbeat paths one by one, rules about them, the wait for each other at the start, and network partition resolution by ping.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod cluster;

use clp_testbed::{
    Cut, Net,
    conf::{ClusterConf, Group, Heartbeat},
    storm::watch::Watch,
};
use cluster::{Cluster, Conf};
use std::time::{Duration, Instant};

/// Two servers with a time-out of one second, and nothing else.
fn two() -> ClusterConf {
    ClusterConf::new(2).times(1000, 100)
}

/// A group of an address and a responder at it.
fn web(name: &str, address: &str) -> Group {
    let start =
        format!("#! /bin/sh\nsetsid \"$CLP_PATH/bin/testbed\" responder {address}:8080 </dev/null >/dev/null 2>&1 &\nexit 0\n");
    Group::new(name).address(&format!("{name}-fip"), address).exec(&format!("{name}-exec"), &start, "#! /bin/sh\nexit 0\n")
}

/// The address of that group, and its port.
const WEB: &str = "10.0.0.21:8080";

fn boot(conf: &ClusterConf) -> Option<Cluster> {
    let cluster = Cluster::boot(Conf::made(conf), true)?;
    cluster.until("both servers are members", || {
        ["Online", "Caution"].contains(&cluster.server("server1", "server2").as_str())
            && ["Online", "Caution"].contains(&cluster.server("server2", "server1").as_str())
    });
    Some(cluster)
}

/// One path of one type is all there is: it shows the server, carries orders between the servers, and its silence is the loss.
fn one_path_alone(heartbeat: Heartbeat, name: &str) {
    let conf = two().heartbeat(heartbeat).ping(&["192.168.0.254"]).group(web("web", "10.0.0.21"));
    let Some(cluster) = boot(&conf) else { return };
    cluster.until("the path is normal", || cluster.path("server1", "server2", name) == "Normal");
    cluster.placed("web", "server1");
    cluster.run("server2", &["clpgrp", "-m", "web", "-a", "server2"]);
    cluster.placed("web", "server2");
    cluster.power_off("server2").unwrap();
    cluster.until("the loss is seen", || {
        cluster.path("server1", "server2", name) == "Offline" && cluster.server("server1", "server2") == "Offline"
    });
    cluster.until("the group fails over", || cluster.responder(WEB) == "server1");
}

// S-HB-LANHB
#[test]
fn a_lan_heartbeat_alone_carries_orders_and_shows_the_loss_of_a_server() {
    one_path_alone(Heartbeat::Lanhb(Net::Interconnect), "lanhb1");
}

// Kernel mode here is a realtime thread with locked memory, which ordinary programs cannot keep from the processor.
// S-HB-LANKHB
#[test]
fn a_kernel_mode_heartbeat_alone_carries_orders_and_beats_on_while_the_rest_starves() {
    one_path_alone(Heartbeat::Lankhb(Net::Interconnect), "lankhb1");
    let conf = two().heartbeat(Heartbeat::Lankhb(Net::Interconnect)).ping(&["192.168.0.254"]).group(web("web", "10.0.0.21"));
    let Some(cluster) = boot(&conf) else { return };
    cluster.placed("web", "server1");
    let threads = cluster.run("server1", &["ps", "-eLo", "cls,rtprio,comm,args"]);
    let is_realtime =
        |line: &&str| line.contains("clusterpro engine") && ["FF", "RR"].contains(&line.split_whitespace().next().unwrap_or(""));
    assert!(threads.lines().any(|line| is_realtime(&line)), "no realtime thread: {threads}");
    let locked = cluster.run("server1", &["sh", "-c", "grep VmLck /proc/$(pgrep -of 'clusterpro [e]ngine')/status"]);
    assert!(!locked.contains(" 0 kB"), "its memory can be paged out: {locked}");
    let hogs = "for n in 1 2 3 4 5 6 7 8; do timeout 4 sh -c 'while :; do :; done' </dev/null >/dev/null 2>&1 & done; wait";
    let starving = cluster.command("server1", &["sh", "-c", hogs]).unwrap().spawn();
    let since = Instant::now();
    cluster.until("four time-outs of starving are over", || {
        assert_eq!(cluster.path("server2", "server1", "lankhb1"), "Normal");
        since.elapsed() > Duration::from_secs(4)
    });
    let _ = starving.unwrap().wait();
    assert_eq!((cluster.boots("server1"), cluster.place("server2", "web").as_str()), (1, "server1"));
}

/// Pushes a configuration and says whether it was taken, and what was said on standard error.
fn push(cluster: &Cluster, conf: &ClusterConf) -> (bool, String) {
    let directory = cluster.directory().join("server1/root/conf");
    let _ = std::fs::remove_dir_all(&directory);
    conf.write(&directory).unwrap();
    let output = cluster.exec("server1", &["clpcfctrl", "--push", "-l", "-x", "/root/conf"]).unwrap();
    (output.is_ok(), output.stderr)
}

// Commands are the editor here; the console's comes with its issue.
// S-HB-ATLEAST1 S-HB-MIXRULE
#[test]
fn no_lan_heartbeat_is_refused_one_is_warned_of_and_second_ways_are_advised() {
    use Heartbeat::{Comhb, Diskhb, Lanhb, Lankhb};
    let lans = || two().heartbeat(Lankhb(Net::Interconnect)).heartbeat(Lanhb(Net::Public));
    let ready = |conf: ClusterConf| conf.ping(&["192.168.0.254"]);
    let disk = || Group::new("data").disk("disk1", "sdb2");
    let Some(cluster) = boot(&ready(lans())) else { return };
    cluster.run("server1", &["clpcl", "-t", "-a"]);
    let (taken, said) = push(&cluster, &ready(two().heartbeat(Diskhb)));
    assert!(!taken && said.contains("there is no LAN heartbeat; add a lanhb or lankhb"), "{said}");
    let (taken, said) = push(&cluster, &ready(two().heartbeat(Lanhb(Net::Interconnect)).heartbeat(Comhb)));
    assert!(taken && said.contains("warning: /root/heartbeat: there is one LAN heartbeat only"), "{said}");
    for (conf, wanted) in [
        (lans().group(disk()), "add a COM heartbeat (comhb) and a disk heartbeat (diskhb)"),
        (lans().heartbeat(Diskhb).group(disk()), "add a COM heartbeat (comhb)\n"),
        (lans().heartbeat(Comhb).group(disk()), "add a disk heartbeat (diskhb)\n"),
        (lans().heartbeat(Comhb).heartbeat(Diskhb).group(disk()), ""),
        (lans(), "add a COM heartbeat (comhb)\n"),
        (lans().heartbeat(Comhb), ""),
    ] {
        let (taken, said) = push(&cluster, &ready(conf));
        assert!(taken && if wanted.is_empty() { !said.contains("warning") } else { said.contains(wanted) }, "{wanted}: {said}");
    }
    let three = |conf: ClusterConf| conf.heartbeat(Lankhb(Net::Interconnect)).heartbeat(Lanhb(Net::Public)).group(disk());
    for (conf, wanted) in [
        (
            three(ClusterConf::new(3).times(1000, 100)),
            "3 servers with shared disks lack a way to hear each other beside the LANs; add a disk heartbeat (diskhb)\n",
        ),
        (three(ClusterConf::new(3).times(1000, 100)).heartbeat(Diskhb), ""),
    ] {
        // There is no third server to take it: what matters is said before.
        let (_, said) = push(&cluster, &ready(conf));
        assert!(if wanted.is_empty() { !said.contains("warning") } else { said.contains(wanted) }, "{wanted}: {said}");
    }
}

// S-HB-SYNCWAIT
#[test]
fn starting_servers_wait_for_each_other_and_then_go_on_without_the_missing() {
    let conf = |wait: u32| {
        let conf = two().own(&format!("<bootwait>{wait}</bootwait>"));
        let conf = conf.heartbeat(Heartbeat::Lankhb(Net::Interconnect)).heartbeat(Heartbeat::Lanhb(Net::Public));
        conf.ping(&["192.168.0.254"]).group(web("web", "10.0.0.21").policy(&[2, 1]))
    };
    // Both come within the time: nothing has started before, and the group is where its list says.
    let Some(cluster) = Cluster::off(Conf::made(&conf(60_000))) else { return };
    cluster.power_on("server1").unwrap();
    cluster.until("server1 is up", || !cluster.server("server1", "server1").is_empty());
    let since = Instant::now();
    cluster.until("it waits for more than time-out and takeover delay", || {
        assert_eq!((cluster.place("server1", "web"), cluster.responder(WEB)), (String::new(), String::new()));
        since.elapsed() > Duration::from_secs(4)
    });
    cluster.power_on("server2").unwrap();
    cluster.until("the group starts on the first of its list", || cluster.responder(WEB) == "server2");
    drop(cluster);
    // The other one never comes: when the time is over, the group starts without it.
    let wait = 6000;
    let Some(cluster) = Cluster::off(Conf::made(&conf(wait))) else { return };
    let since = Instant::now();
    cluster.power_on("server1").unwrap();
    cluster.until("the group starts without server2", || cluster.responder(WEB) == "server1");
    assert!(since.elapsed() >= Duration::from_millis(u64::from(wait)), "after {:?}", since.elapsed());
}

/// A server loses everything that connects it.
fn isolate(cluster: &Cluster, server: &str) {
    cluster.disk_fail(server).unwrap();
    cluster.cut(server, Net::All).unwrap();
}

// The group has the traces of the storm's `data1`, so that its watch finds two owners of it.
// S-NP-DISTINGUISH
#[test]
fn a_lost_server_is_followed_and_a_cut_off_one_stops_itself_and_never_do_two_own_the_group() {
    let group = || {
        let start =
            "#! /bin/sh\nsetsid \"$CLP_PATH/bin/testbed\" responder 10.0.0.21:8081 </dev/null >/dev/null 2>&1 &\nexit 0\n";
        let group = Group::new("data1").address("fip1", "10.0.0.21").disk("disk1", "sdb2");
        group.exec("exec1", start, "#! /bin/sh\nexit 0\n")
    };
    for (what, fault) in [
        ("power", (|cluster: &Cluster| assert!(cluster.power_off("server1").unwrap().took_us > 0)) as fn(&Cluster)),
        ("engine", |cluster| drop(cluster.exec("server1", &["pkill", "-KILL", "-f", "clusterpro [e]ngine"]).unwrap())),
        ("partition", |cluster| isolate(cluster, "server1")),
        ("frozen", |cluster| cluster.pause("server1").unwrap()),
    ] {
        let conf = two().heartbeat(Heartbeat::Lankhb(Net::Interconnect)).heartbeat(Heartbeat::Lanhb(Net::Public));
        let conf = conf.heartbeat(Heartbeat::Diskhb).ping(&["192.168.0.254"]).group(group());
        let Some(cluster) = boot(&conf) else { return };
        cluster.until("the group is on server1", || cluster.responder("10.0.0.21:8081") == "server1");
        fault(&cluster);
        let mut watch = Watch::new(&cluster);
        cluster.until(&format!("{what}: server2 has the group"), || {
            assert_eq!(watch.look().unwrap(), Vec::<String>::new(), "{what}");
            cluster.responder("10.0.0.21:8081") == "server2"
        });
        cluster.until(&format!("{what}: server1 went down"), || {
            assert_eq!(watch.look().unwrap(), Vec::<String>::new(), "{what}");
            cluster.is_off("server1") || cluster.boots("server1") > 1
        });
        assert_eq!(cluster.boots("server2"), 1, "{what}");
        if what == "partition" {
            let why = cluster.server_status("server1").unwrap().last_end;
            assert_eq!(why.as_deref(), Some("halt"), "an emergency shutdown");
        }
    }
}

/// A server does not reach the ping target of a network any more.
fn lose_gateway(cluster: &Cluster, server: &str, net: Net) {
    let cut = Cut { from: Some("gateway".into()), keep_carrier: true, ..Cut::whole(server, net) };
    cluster.cut_as(cut).unwrap();
}

// S-NP-PING-MULTI
#[test]
fn one_of_two_targets_may_be_dead_and_with_both_dead_a_server_is_isolated() {
    let conf = || {
        let conf = two().heartbeat(Heartbeat::Lankhb(Net::Interconnect)).heartbeat(Heartbeat::Lanhb(Net::Public));
        let times = "<interval>300</interval>";
        conf.ping_of(&["192.168.0.254", "10.0.0.254"], &[], times).group(web("web", "10.0.0.21").policy(&[2, 1]))
    };
    for both in [false, true] {
        let Some(cluster) = boot(&conf()) else { return };
        cluster.placed("web", "server2");
        cluster.until("the targets answer", || cluster.path("server1", "server1", "pingnp1") == "Normal");
        lose_gateway(&cluster, "server1", Net::Interconnect);
        if both {
            lose_gateway(&cluster, "server1", Net::Public);
            cluster.until("both are missed", || cluster.path("server1", "server1", "pingnp1") == "Error");
        } else {
            let ping = cluster.exec("server1", &["ping", "-c1", "-W1", "192.168.0.254"]).unwrap();
            assert!(!ping.is_ok(), "this target is dead for server1");
            let since = Instant::now();
            cluster.until("some looks have passed", || {
                assert_eq!(cluster.path("server1", "server1", "pingnp1"), "Normal");
                since.elapsed() > Duration::from_secs(1)
            });
        }
        cluster.power_off("server2").unwrap();
        cluster.until("the loss is seen", || cluster.server("server1", "server2") == "Offline");
        if both {
            let since = Instant::now();
            cluster.until("nothing is started for three time-outs", || {
                assert_eq!(cluster.responder(WEB), "");
                since.elapsed() > Duration::from_secs(3)
            });
        } else {
            cluster.until("the other target is enough", || cluster.responder(WEB) == "server1");
        }
    }
}

/// How many echo requests a server has sent.
fn echoes(cluster: &Cluster, server: &str) -> u64 {
    let table = cluster.run(server, &["cat", "/proc/1/net/snmp"]);
    let mut lines = table.lines().filter(|line| line.starts_with("IcmpMsg:"));
    let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let found = names.split_whitespace().zip(values.split_whitespace()).find(|(name, _)| *name == "OutType8");
    found.map_or(0, |(_, value)| value.parse().unwrap())
}

// S-NP-PING-DETAIL
#[test]
fn several_ping_resolutions_have_their_own_servers_and_times() {
    // A time-out that no load of this machine reaches: while a server is missed every target is asked.
    let conf = ClusterConf::new(2).times(10_000, 1000).heartbeat(Heartbeat::Lankhb(Net::Interconnect));
    let conf = conf
        .heartbeat(Heartbeat::Lanhb(Net::Public))
        .ping_of(&["192.168.0.254"], &[1], "<interval>200</interval><timeout>150</timeout><retry>2</retry>")
        .ping_of(&["10.0.0.254"], &[1, 2], "<interval>600000</interval>")
        .ping_of(&["10.0.0.253"], &[2], "<interval>600000</interval>");
    let Some(cluster) = boot(&conf) else { return };
    // The third asks an address that nobody has: its own server misses it, and nobody else uses it.
    for (of, one, two, three) in [("server1", "Normal", "Normal", "Unused"), ("server2", "Unused", "Normal", "Error")] {
        for (path, wanted) in [("pingnp1", one), ("pingnp2", two), ("pingnp3", three)] {
            cluster.until(&format!("{path} of {of} is {wanted}"), || cluster.path("server1", of, path) == wanted);
        }
    }
    let shown = cluster.run("server1", &["clpstat", "--np", "pingnp1", "--detail"]);
    for words in [": 200 milliseconds", ": 150 milliseconds", "Retry Count"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    // Who looks five times a second asks often, who looks every ten minutes does not ask meanwhile.
    let before = (echoes(&cluster, "server1"), echoes(&cluster, "server2"));
    cluster.until("server1 has asked twenty times", || echoes(&cluster, "server1") >= before.0 + 20);
    let asked = echoes(&cluster, "server2") - before.1;
    assert!(asked < 10, "server2 has asked {asked} times");
}

// S-NP-NONE
#[test]
fn without_a_resolution_all_sides_go_on_which_shared_disks_refuse_by_default() {
    let lans = || two().heartbeat(Heartbeat::Lankhb(Net::Interconnect)).heartbeat(Heartbeat::Lanhb(Net::Public));
    let conf = lans().group(web("web", "10.0.0.21"));
    let Some(cluster) = boot(&conf) else { return };
    cluster.placed("web", "server1");
    cluster.cut("server1", Net::All).unwrap();
    cluster.until("both sides run it", || {
        let has = |server: &str| cluster.is_true(server, "ip -4 addr show dev eth0 | grep -q 'inet 10.0.0.21/'");
        has("server1") && has("server2")
    });
    cluster.heal("server1", Net::All).unwrap();
    cluster.until("one of them is left", || {
        cluster.place("server1", "web") == cluster.place("server2", "web") && !cluster.place("server1", "web").is_empty()
    });
    cluster.run("server1", &["clpcl", "-t", "-a"]);
    let (taken, said) = push(&cluster, &conf);
    assert!(taken && said.contains("warning: /root/networkpartition: there is no network partition resolution"), "{said}");
    let disk = || lans().heartbeat(Heartbeat::Comhb).heartbeat(Heartbeat::Diskhb).group(Group::new("data").disk("disk1", "sdb2"));
    let (taken, said) = push(&cluster, &disk());
    assert!(!taken && said.contains("several servers write to the same disk; add a ping resolution"), "{said}");
    let (taken, said) = push(&cluster, &disk().own("<networkpartition><none>1</none></networkpartition>"));
    assert!(taken && said.contains("destroy its file systems"), "{said}");
}
