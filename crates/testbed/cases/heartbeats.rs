//! Heartbeat paths as an operator sees them: status and warnings in time, priorities, roles, what they cost, and time-outs that are
//! multiplied for a while.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod cluster;

use clp_testbed::Net;
use cluster::{Cluster, Conf};
use serde_json::Value;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The sample without monitors that act when a LAN or the disk is lost: only the heartbeats are at stake.
fn quiet() -> Conf {
    let conf = Conf::sample().with("<types name=\"miiw\"/>", "").with("<types name=\"diskw\"/>", "");
    let conf = conf.without("<diskw name=\"", "diskw1", "</diskw>");
    conf.without("<miiw name=\"", "miiw1", "</miiw>").without("<miiw name=\"", "miiw2", "</miiw>")
}

/// What a server measured of one of its paths towards another server.
fn measured(cluster: &Cluster, server: &str, path: &str, towards: &str) -> Value {
    let status = cluster.status(server);
    let named = |list: &Value, name: &str, key: &str| {
        list.as_array().into_iter().flatten().find(|entry| entry[key] == name).cloned().unwrap_or_default()
    };
    let paths = named(&status["servers"], server, "name")["paths"].clone();
    named(&named(&paths, path, "name")["statistics"], towards, "server")
}

fn messages(cluster: &Cluster, path: &str) -> u64 {
    measured(cluster, "server2", path, "server1")["messages"].as_u64().unwrap_or(0)
}

/// An order that server2 has to carry to the coordinator, and the path on which its messages go meanwhile.
fn way_of_an_order(cluster: &Cluster) -> Vec<&'static str> {
    let paths = ["lankhb1", "lankhb2"];
    let before = paths.map(|path| messages(cluster, path));
    assert_eq!(cluster.run("server2", &["clpmonctrl", "-c"]), "Command succeeded.\n");
    let after = paths.map(|path| messages(cluster, path));
    (0..2).filter(|at| after[*at] > before[*at]).map(|at| paths[at]).collect()
}

// S-HB-PRIO
#[test]
fn orders_take_the_path_with_the_smallest_number_and_the_second_when_it_is_cut() {
    // As a Builder writes it when the second interconnect was moved up: the order of the file stays.
    let conf = quiet();
    let first = "<lankhb name=\"lankhb1\">\n\t\t\t<priority>0</priority>";
    let second = "<lankhb name=\"lankhb2\">\n\t\t\t<priority>1</priority>";
    let conf = conf.with(first, &first.replace('0', "1")).with(second, &second.replace("1<", "0<"));
    let Some(cluster) = Cluster::up(conf) else { return };
    for path in ["lankhb1", "lankhb2"] {
        cluster.until("both LANs are normal", || cluster.path("server2", "server1", path) == "Normal");
    }
    assert_eq!(way_of_an_order(&cluster), ["lankhb2"]);
    cluster.cut("server1", Net::Public).unwrap();
    cluster.until("the first path is offline", || cluster.path("server2", "server1", "lankhb2") == "Offline");
    assert_eq!(way_of_an_order(&cluster), ["lankhb1"]);
    assert_eq!(cluster.group("server2"), ("Online".into(), "server1".into()));
    assert_eq!((cluster.boots("server1"), cluster.boots("server2")), (1, 1));
    cluster.heal("server1", Net::Public).unwrap();
    cluster.until("the first path is back", || cluster.path("server2", "server1", "lankhb2") == "Normal");
    assert_eq!(way_of_an_order(&cluster), ["lankhb2"]);
    assert!(cluster.is_active_on("server1"));
}

/// How long it takes until a path is shown like this.
fn until_shown(cluster: &Cluster, path: &str, word: &str) -> Duration {
    let since = Instant::now();
    cluster.until(&format!("{path} is {word}"), || cluster.path("server2", "server1", path) == word);
    since.elapsed()
}

// S-HB-DEDICATED S-HB-STATUS S-HB-INTERVAL
#[test]
fn the_loss_of_either_interconnect_is_shown_and_warned_of_inside_two_intervals() {
    const INTERVAL: Duration = Duration::from_secs(1);
    // Two intervals, a quarter for a late frame, and what this machine takes to ask.
    const LIMIT: Duration = Duration::from_millis(2250 + 900);
    let longer = quiet().with("<timeout>1000</timeout>", "<timeout>9000</timeout>");
    let Some(cluster) = Cluster::up(longer.with("<interval>100</interval>", "<interval>1000</interval>")) else { return };
    let roles = cluster.run("server1", &["clpstat", "--hb"]);
    let role = |name: &str| {
        let after = roles.split(&format!(": {name}]")).nth(1).unwrap_or_default();
        after.lines().find(|line| line.contains("Role")).unwrap_or_default().to_string()
    };
    assert!(role("lankhb1").ends_with(": dedicated interconnect"), "{roles}");
    assert!(role("lankhb2").ends_with(": backup interconnect (public LAN)"), "{roles}");
    let received = || measured(&cluster, "server2", "lankhb1", "server1")["received"].as_u64().unwrap_or(0);
    let (since, before) = (Instant::now(), received());
    for (path, net) in [("lankhb1", Net::Interconnect), ("lankhb2", Net::Public)] {
        cluster.until(&format!("{path} is normal"), || cluster.path("server2", "server1", path) == "Normal");
        cluster.cut("server1", net).unwrap();
        let down = until_shown(&cluster, path, "Offline");
        assert!(down <= LIMIT, "{path} is shown as offline only after {down:?}");
        let warned = format!("heartbeat or NP device {path} of server server1 went down");
        cluster.until("the warning is written", || cluster.has_logged("server2", &warned));
        assert_eq!(cluster.server("server2", "server1"), "Caution");
        let other = if path == "lankhb1" { "lankhb2" } else { "lankhb1" };
        assert_eq!(cluster.path("server2", "server1", other), "Normal", "only {path} is lost");
        // Operation goes on: the group where it is, orders by the other path.
        assert_eq!(cluster.group("server2"), ("Online".into(), "server1".into()));
        assert_eq!(way_of_an_order(&cluster), [other]);
        cluster.heal("server1", net).unwrap();
        let up = until_shown(&cluster, path, "Normal");
        assert!(up <= LIMIT, "{path} is shown as normal only after {up:?}");
    }
    // The interval of the file is the one that is kept: one frame a second, but those that the cut swallowed.
    let (came, seconds) = (received() - before, since.elapsed().as_secs_f64() / INTERVAL.as_secs_f64());
    assert!((came as f64) < seconds + 2.0 && came as f64 > seconds / 2.0, "{came} frames in {seconds} intervals");
    assert!(cluster.has_mount("server1") && cluster.boots("server1") == 1);
    // A time-out that does not fit the interval is refused before it is anywhere.
    let push = "mkdir /tmp/bad && cp -r /opt/mainstay/etc/clp.conf /opt/mainstay/scripts /tmp/bad/ && \
                sed -i 's/<timeout>9000</<timeout>1500</' /tmp/bad/clp.conf && clpcfctrl --push -x /tmp/bad";
    let refused = cluster.exec("server1", &["sh", "-c", push]).unwrap();
    assert!(!refused.is_ok() && format!("{refused:?}").contains("intervals"), "{refused:?}");
}

/// Blocks of 4 KiB that a server's device has read and written. (A write that has to be durable counts as two requests where the
/// disk needs a flush of its own.)
fn blocks(cluster: &Cluster, server: &str, device: &str) -> (u64, u64) {
    let line = "cat /sys/dev/block/$((0x$(stat -c %t $0))):$((0x$(stat -c %T $0)))/stat";
    let text = cluster.run(server, &["sh", "-c", line, device]);
    let fields: Vec<u64> = text.split_whitespace().map(|field| field.parse().unwrap()).collect();
    (fields[2] / 8, fields[6] / 8)
}

// The group's own disk gives way to a second disk heartbeat, as on a second LUN.
// S-HB-DISKLOAD
#[test]
fn a_disk_heartbeat_costs_one_write_and_one_read_an_interval_and_two_keep_each_other_company() {
    let device = |conf: Conf| {
        let end = "\t\t<device id=\"10200\">";
        let lun = "\t\t<device id=\"301\">\n\t\t\t<type>disk</type>\n\t\t\t<info>/dev/sdb2</info>\n\t\t</device>\n";
        conf.with(end, &format!("{lun}{end}"))
    };
    let second =
        "<diskhb name=\"diskhb2\">\n\t\t\t<priority>4</priority>\n\t\t\t<device>301</device>\n\t\t</diskhb>\n\t</heartbeat>";
    let conf = device(quiet()).with("<resource name=\"disk@disk1\"/>", "");
    let conf = conf.with("<types name=\"disk\"/>", "").without("<disk name=\"", "disk1", "</disk>");
    let conf = conf.with("\t</heartbeat>\n\t<networkpartition>", &format!("\t\t{second}\n\t<networkpartition>"));
    let Some(cluster) = Cluster::boot(conf.with_start_script("#!/bin/sh\nexit 0\n"), true) else { return };
    cluster.until("both servers are online", || cluster.server("server1", "server2") == "Caution");
    let label = "dd if=/dev/zero of=/dev/sdb2 bs=1M count=2 conv=fsync 2>/dev/null && clusterpro diskhb-init /dev/sdb2";
    cluster.run("server1", &["sh", "-c", label]);
    for disk in ["diskhb1", "diskhb2"] {
        for (server, of) in [("server1", "server2"), ("server2", "server1")] {
            cluster.until(&format!("{disk} is normal"), || cluster.path(server, of, disk) == "Normal");
        }
    }
    let (before, frames) = (blocks(&cluster, "server1", "/dev/sdb1"), Instant::now());
    cluster.until("fifty intervals have passed", || frames.elapsed() >= Duration::from_secs(5));
    let after = blocks(&cluster, "server1", "/dev/sdb1");
    let intervals = frames.elapsed().as_secs_f64() * 10.0;
    // Read are the slots of both servers, in one go.
    for (what, count) in [("reads", (after.0 - before.0) / 2), ("writes", after.1 - before.1)] {
        let an_interval = count as f64 / intervals;
        assert!((0.5..=1.1).contains(&an_interval), "{an_interval} {what} an interval, documented is one");
    }
    // One of them is enough.
    for net in [Net::All, Net::Com] {
        cluster.cut("server1", net).unwrap();
    }
    cluster.until("no LAN reaches it", || cluster.path("server2", "server1", "lankhb1") == "Offline");
    let since = Instant::now();
    cluster.until("three time-outs have passed", || since.elapsed() > Duration::from_secs(3));
    assert_eq!(cluster.group("server2"), ("Online".into(), "server1".into()));
    assert_eq!((cluster.boots("server1"), cluster.boots("server2")), (1, 1));
}

#[test]
fn a_serial_line_with_garbage_on_it_keeps_the_servers_together() {
    let Some(cluster) = Cluster::up(quiet()) else { return };
    cluster.disk_fail("server1").unwrap();
    cluster.until("the disk path is lost", || cluster.path("server2", "server1", "diskhb1") != "Normal");
    let noise = "for n in 1 2 3 4 5 6 7 8; do head -c 3000 /dev/urandom > /dev/ttyS0; sleep 0.1; done";
    cluster.run("server1", &["sh", "-c", noise]);
    cluster.until("the garbage is counted", || {
        let status = cluster.status("server2").to_string();
        status.contains("\"damaged\"")
    });
    cluster.until("the line is normal", || cluster.path("server2", "server1", "comhb1") == "Normal");
    cluster.cut("server1", Net::All).unwrap();
    cluster.until("no LAN reaches it", || cluster.path("server2", "server1", "lankhb1") == "Offline");
    let since = Instant::now();
    cluster.until("three time-outs have passed", || since.elapsed() > Duration::from_secs(3));
    assert_eq!(cluster.group("server2"), ("Online".into(), "server1".into()));
    assert_eq!((cluster.boots("server1"), cluster.boots("server2")), (1, 1));
}

/// Nobody hears server1 for a while, and it hears nobody.
fn interrupt(cluster: &Cluster, span: Duration) {
    for net in [Net::Com, Net::All] {
        cluster.cut("server1", net).unwrap();
    }
    let since = Instant::now();
    cluster.until("the interruption is over", || since.elapsed() >= span);
    for net in [Net::All, Net::Com] {
        cluster.heal("server1", net).unwrap();
    }
}

/// The sample without what would show that a server lives while all its cables are cut.
fn without_disk_heartbeat() -> Conf {
    quiet().with("<types name=\"diskhb\"/>", "").without("<diskhb name=\"", "diskhb1", "</diskhb>")
}

fn ratios(cluster: &Cluster) -> [u64; 2] {
    ["server1", "server2"].map(|server| cluster.status(server)["timeout_ratio"]["ratio"].as_u64().unwrap_or(1))
}

/// The order of clptoratio for a time that is too short for its options.
fn order_for_seconds(cluster: &Cluster, ratio: u32, seconds: u32) {
    let order = format!("{{\"request\":\"timeout_ratio\",\"ratio\":{ratio},\"seconds\":{seconds}}}");
    let ask =
        "my $s = IO::Socket::UNIX->new('/opt/mainstay/run/clusterpro.sock') or die; print $s \"$ARGV[0]\\n\"; print scalar <$s>";
    let reply = cluster.run("server2", &["perl", "-MIO::Socket::UNIX", "-e", ask, &order]);
    assert!(reply.contains("\"done\""), "{reply}");
}

// S-CMD-TORATIO-SET S-CMD-TORATIO-INIT
#[test]
fn a_time_out_ratio_holds_on_all_servers_until_it_is_ended_or_ends() {
    let Some(cluster) = Cluster::up(without_disk_heartbeat()) else { return };
    // The time-out is one second; the right of a server that nobody hears lasts for 0.9.
    const INTERRUPTION: Duration = Duration::from_secs(3);
    assert_eq!(cluster.run("server2", &["clptoratio", "-r", "10", "-t", "1h"]), "Command succeeded.\n");
    assert_eq!(ratios(&cluster), [10, 10], "the command has succeeded, so it is true everywhere");
    for server in ["server1", "server2"] {
        let shown = cluster.run(server, &["clptoratio", "-s"]);
        assert!(shown.starts_with("Timeout ratio : 10 (ends 20") && shown.contains("in 59 min"), "{shown}");
    }
    interrupt(&cluster, INTERRUPTION);
    cluster.until("all is well again", || cluster.server("server2", "server1") == "Online");
    assert!(cluster.is_active_on("server1"), "nothing was given up, nothing taken over");
    assert_eq!((cluster.boots("server1"), cluster.boots("server2")), (1, 1));
    assert!(!cluster.has_logged("server2", "went down: no heartbeat"));

    assert_eq!(cluster.run("server1", &["clptoratio", "-i"]), "Command succeeded.\n");
    assert_eq!(ratios(&cluster), [1, 1]);
    assert_eq!(cluster.run("server2", &["clptoratio", "-s"]), "Timeout ratio : 1 (normal)\n");

    order_for_seconds(&cluster, 10, 3);
    assert_eq!(ratios(&cluster), [10, 10]);
    cluster.until("it ends by itself on both", || ratios(&cluster) == [1, 1]);
    cluster.until("nothing is remembered", || {
        ["server1", "server2"].iter().all(|server| cluster.run(server, &["cat", "/opt/mainstay/work/timeout-ratio"]) == "1")
    });
    interrupt(&cluster, INTERRUPTION);
    cluster.until("the group was taken over as ever", || cluster.is_active_on("server2"));
    for words in [&["clptoratio", "-r", "0", "-t", "1h"][..], &["clptoratio", "-r", "2"], &["clptoratio", "-r", "2", "-t", "1y"]]
    {
        assert!(!cluster.exec("server2", words).unwrap().is_ok(), "{words:?}");
    }
    assert_eq!(cluster.status("server2")["timeout_ratio"], Value::Null);
}

/// What a backup does to a server, in a memory group with a limit: it ends with this value, and by itself after a minute.
struct Load {
    processes: Vec<Child>,
    group: PathBuf,
}

impl Load {
    fn on(cluster: &Cluster, server: &str) -> Load {
        let tree = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"].into_iter().map(Path::new).find(|tree| tree.is_dir()).unwrap();
        let group = tree.join(format!("mainstay-load-{}", cluster.name()));
        fs::create_dir(&group).unwrap();
        let limit = ["memory.limit_in_bytes", "memory.max"].map(|name| group.join(name));
        let limit = limit.iter().find(|file| file.exists()).unwrap();
        fs::write(limit, (256_u32 << 20).to_string()).unwrap();
        let mut load = Load { processes: Vec::new(), group };
        let copy = "while :; do dd if=/dev/zero of=$0/backup bs=1M count=48 conv=fsync 2>/dev/null; rm $0/backup; done";
        let lines = [("while :; do :; done", "/tmp"), (copy, "/tmp"), (copy, "/mnt/sdb2")];
        for (line, place) in lines.into_iter().cycle().take(8) {
            // The shell waits for a line, so that it is in the group before it begins.
            let whole = format!("read go; exec timeout 60 sh -c '{line}' {place}");
            let mut command = cluster.command(server, &["sh", "-c", &whole]).unwrap();
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            fs::write(load.group.join("cgroup.procs"), child.id().to_string()).unwrap();
            writeln!(child.stdin.take().unwrap(), "go").unwrap();
            load.processes.push(child);
        }
        load
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let members = || fs::read_to_string(self.group.join("cgroup.procs")).unwrap_or_default();
        let until = Instant::now() + Duration::from_secs(10);
        while !members().is_empty() && Instant::now() < until {
            for process in members().lines() {
                let _ = Command::new("kill").args(["-KILL", process]).status();
            }
        }
        for process in &mut self.processes {
            let _ = process.wait();
        }
        let _ = fs::remove_dir(&self.group);
    }
}

// S-TST-BACKUP
#[test]
fn a_backup_under_load_moves_nothing_with_a_time_out_ratio_and_without() {
    // The bench's watchdog is a program like any other: it would starve as well and reset both servers, which no real one does.
    let Some(cluster) = Cluster::boot(Conf::sample(), false) else { return };
    cluster.settle();
    let engines = || ["server1", "server2"].map(|server| cluster.run(server, &["pgrep", "-f", "clusterpro engine"]));
    let before = engines();
    let load = Load::on(&cluster, "server1");
    for with_ratio in [false, true] {
        if with_ratio {
            assert_eq!(cluster.run("server1", &["clptoratio", "-r", "3", "-t", "1h"]), "Command succeeded.\n");
        }
        let since = Instant::now();
        cluster.until("four time-outs have passed", || {
            since.elapsed() > Duration::from_secs(4) && cluster.group("server2") == ("Online".into(), "server1".into())
        });
    }
    assert!(load.processes.len() == 8 && cluster.has_mount("server1") && cluster.has_address("server1"));
    drop(load);
    assert_eq!(cluster.run("server1", &["clptoratio", "-i"]), "Command succeeded.\n");
    assert_eq!(engines(), before, "the same engines");
    assert_eq!((cluster.boots("server1"), cluster.boots("server2")), (1, 1));
    for server in ["server1", "server2"] {
        assert!(!cluster.has_logged(server, "went down: no heartbeat"), "{server} accused the other");
    }
    // (Paths through the bench's own programs may flap until the machine is quiet: not waited for.)
    cluster.until("the group answers", || cluster.is_active_on("server1"));
}
