//! What a server lacks: room on the disk of `/opt/mainstay`, open files, memory. Alerts tell it, nobody crashes, nothing moves that
//! need not, and what must move still does.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod cluster;

use cluster::{Cluster, Conf};
use std::{
    fs,
    io::Write,
    os::unix::net::UnixDatagram,
    path::PathBuf,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

/// What the record holds when something moved, stopped or was given up.
const UNREST: [&str; 7] =
    ["failover begins", "stop begins", "activation failed", "split network", "check failed", "went down:", "found an error"];

/// Time in which a false alarm would show: several heartbeat time-outs and checks of every monitor.
const WATCHED: Duration = Duration::from_secs(6);

/// The processes of the service of both servers, by their numbers.
fn processes(cluster: &Cluster) -> Vec<String> {
    let line = "pgrep -f '[c]lusterpro' | sort";
    let all: Vec<String> = cluster.servers().iter().map(|server| cluster.run(server, &["sh", "-c", line])).collect();
    assert!(all.iter().all(|list| list.lines().count() >= 4), "parent, engine, monitor daemon, transfer: {all:?}");
    all
}

/// The alert record of a server as it sees it itself: a case may have put another disk there.
fn record(cluster: &Cluster, server: &str) -> String {
    cluster.exec(server, &["cat", "/opt/mainstay/alert/log/alertlog.alt"]).unwrap().stdout
}

fn unrest(cluster: &Cluster) -> Vec<String> {
    let records: String = cluster.servers().iter().map(|server| record(cluster, server)).collect();
    records.lines().filter(|line| UNREST.iter().any(|words| line.contains(words))).map(String::from).collect()
}

/// For a while nothing moves, nobody ends, and the servers see each other.
fn nothing_happens(cluster: &Cluster, processes_before: &[String], unrest_before: usize) {
    let since = Instant::now();
    cluster.until("a while has passed", || {
        assert_eq!(cluster.group("server1"), ("Online".into(), "server1".into()));
        // A disk heartbeat may be late on a busy disk; the servers see each other all the same.
        for (server, other) in [("server1", "server2"), ("server2", "server1")] {
            let seen = cluster.server(server, other);
            assert!(["Online", "Caution"].contains(&seen.as_str()), "{other} is {seen} for {server}");
        }
        since.elapsed() > WATCHED
    });
    assert!(cluster.is_active_on("server1"));
    assert_eq!(processes(cluster), processes_before, "a process ended or began");
    let now = unrest(cluster);
    assert_eq!(now.len(), unrest_before, "{now:#?}");
    assert!(cluster.servers().iter().all(|server| cluster.boots(server) == 1));
}

/// A file of a server, as this machine names it.
fn inside(cluster: &Cluster, server: &str, path: &str) -> PathBuf {
    let pid = fs::read_to_string(cluster.directory().join(server).join("pid")).unwrap();
    PathBuf::from(format!("/proc/{}/root{path}", pid.trim()))
}

/// Puts a disk of 6 MiB under the product of a server: the same files, but for the programs.
const SMALL_DISK: &str = "set -e
clpcl -t
pkill -x clusterpro_trn
mkdir /run/small
mount -t tmpfs -o size=6m none /run/small
cd /opt/mainstay
mkdir -p alert
rm -rf run/*
cp -a alert etc log run scripts work /run/small/
mkdir /run/small/bin
mount --rbind bin /run/small/bin
cd /
mount --rbind /run/small /opt/mainstay
setsid clusterpro_trn </dev/null >/dev/null 2>&1 &
until [ -S /opt/mainstay/run/trn.sock ]; do sleep 0.05; done
clpcl -s";

/// Leaves not one byte free.
const FILL: &str = "dd if=/dev/zero of=/opt/mainstay/filler bs=64k 2>/dev/null; dd if=/dev/zero bs=1k >>/opt/mainstay/filler 2>/dev/null; \
                    df --output=avail /opt/mainstay | tail -n 1";

#[test]
fn a_full_disk_of_the_product_is_told_and_neither_stops_groups_nor_keeps_them_from_coming() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    cluster.run("server2", &["sh", "-c", SMALL_DISK]);
    cluster.settle();
    let syslog = UnixDatagram::bind(inside(&cluster, "server2", "/dev/log")).unwrap();
    syslog.set_nonblocking(true).unwrap();
    let (before, calm) = (processes(&cluster), unrest(&cluster).len());
    assert_eq!(cluster.run("server2", &["sh", "-c", FILL]).trim(), "0");
    let mut told = String::new();
    cluster.until("syslog is told", || {
        let mut bytes = [0; 4096];
        while let Ok(length) = syslog.recv(&mut bytes) {
            told += &String::from_utf8_lossy(&bytes[..length]);
        }
        told.contains("the file system of /opt/mainstay is full")
    });
    nothing_happens(&cluster, &before, calm);

    // A configuration is refused, and nothing of it is left anywhere.
    let data = "mkdir /root/data && cp -rL /opt/mainstay/etc/clp.conf /opt/mainstay/scripts /root/data/ && \
                head -c 100000 /dev/zero | tr '\\0' '#' >>/root/data/scripts/failover1/exec1/stop.sh";
    cluster.run("server1", &["sh", "-c", data]);
    let sums = |server: &str| cluster.run(server, &["sh", "-c", "cat /opt/mainstay/scripts/failover1/exec1/stop.sh | md5sum"]);
    let pushed = cluster.exec("server1", &["clpcfctrl", "--push", "-x", "/root/data"]).unwrap();
    let words = format!("{}{}", pushed.stdout, pushed.stderr);
    assert!(pushed.status != 0 && words.contains("server2") && words.contains("No space left"), "{words}");
    assert_eq!(sums("server1"), sums("server2"));

    // The service starts again, and an order that is to be kept says that it could not be.
    cluster.run("server2", &["clpcl", "-t"]);
    cluster.run("server2", &["clpcl", "-s"]);
    cluster.settle();

    // The other server dies: its group comes here all the same.
    cluster.power_off("server1").unwrap();
    cluster.until("the group is active on server2", || cluster.is_active_on("server2"));
    assert_eq!(cluster.boots("server2"), 1);

    // There is room again: what happened meanwhile is recorded.
    cluster.run("server2", &["rm", "/opt/mainstay/filler"]);
    for words in [
        "alerts can be recorded again",
        "the file system of /opt/mainstay is full",
        "alerts cannot be recorded: /opt/mainstay/alert/log/alertlog.alt: No space left",
        "group failover1 activation done",
        "the file system of /opt/mainstay has room again",
    ] {
        cluster.until(&format!("it is recorded: {words}"), || record(&cluster, "server2").contains(words));
    }
    cluster.run("server2", &["clpgrp", "-t", "failover1"]);
    cluster.until("the group stops as ever", || !cluster.has_mount("server2") && !cluster.has_address("server2"));
}

#[test]
fn a_limit_on_open_files_is_raised_again_and_the_group_is_taken_over_all_the_same() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    let (before, calm) = (processes(&cluster), unrest(&cluster).len());
    // Below what they have open: nothing more can be opened from now on.
    for server in ["server1", "server2"] {
        cluster.run(
            server,
            &["sh", "-c", "for pid in $(pgrep -f '[c]lusterpro'); do prlimit --pid $pid --nofile=5: || exit 1; done"],
        );
    }
    for server in ["server1", "server2"] {
        cluster.until("it is told", || {
            ["clusterpro engine", "clusterpro monitord"].iter().all(|process| {
                record(&cluster, server).contains(&format!("process {process} may open too few files: its limit was 5"))
            })
        });
    }
    // The transfer service sees it when somebody comes.
    cluster.run("server1", &["clpstat", "-h", "server2"]);
    nothing_happens(&cluster, &before, calm);
    assert!(record(&cluster, "server2").contains("process clusterpro_trn may open too few files"));
    cluster.power_off("server1").unwrap();
    cluster.until("the group is active on server2", || cluster.is_active_on("server2"));
}

/// Holds connections open, half a line in each, until its input ends.
const HOLD: &str = r#"$SIG{PIPE} = "IGNORE";
my @held;
while (@held < 200 and my $one = IO::Socket::UNIX->new("/opt/mainstay/run/clusterpro.sock")) {
    syswrite $one, "{";
    push @held, $one;
}
<STDIN>;"#;

#[test]
fn connections_that_nobody_ends_are_bounded_and_the_next_command_is_told_why() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    let (before, calm) = (processes(&cluster), unrest(&cluster).len());
    let mut holder = cluster.command("server1", &["perl", "-MIO::Socket::UNIX", "-e", HOLD]).unwrap();
    let mut holder = holder.stdin(Stdio::piped()).spawn().unwrap();
    cluster.until("a command is refused", || {
        let output = cluster.exec("server1", &["clpstat"]).unwrap();
        !output.is_ok() && output.stderr.contains("serves 128 connections already; end commands and scripts")
    });
    assert_eq!(cluster.answerer(), "server1");
    assert_eq!(cluster.server("server2", "server1"), "Online");
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
    cluster.until("commands are served again", || cluster.exec("server1", &["clpstat"]).unwrap().is_ok());
    nothing_happens(&cluster, &before, calm);
}

/// A control group that bounds the memory of a server's processes; without it when dropped.
struct Memory {
    group: PathBuf,
    limit: &'static str,
    hog: Child,
}

impl Memory {
    /// Moves what runs in a server, and what it will start, under a limit, and a hog beside it that uses up all of it again and
    /// again. None where the kernel has no such groups.
    fn scarce(cluster: &Cluster, server: &str, bytes: u64) -> Option<Memory> {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap();
        let of_memory = own.lines().find_map(|line| line.split_once(":memory:").map(|(_, path)| path.trim_start_matches('/')));
        let Some(own) = of_memory else {
            println!("skipped: no memory groups of version 1 here");
            return None;
        };
        let group = PathBuf::from("/sys/fs/cgroup/memory").join(own).join(format!("{}-{server}", cluster.name()));
        let limit = "memory.limit_in_bytes";
        fs::create_dir(&group).unwrap();
        fs::write(group.join(limit), bytes.to_string()).unwrap();
        let join = |pid: &str| fs::write(group.join("cgroup.procs"), pid).unwrap();
        let pid = fs::read_to_string(cluster.directory().join(server).join("pid")).unwrap();
        let namespace = fs::read_link(format!("/proc/{}/ns/pid", pid.trim())).unwrap();
        for process in fs::read_dir("/proc").unwrap().flatten() {
            if fs::read_link(process.path().join("ns/pid")).is_ok_and(|other| other == namespace) {
                join(&process.file_name().to_string_lossy());
            }
        }
        // A dead-man ends it whatever becomes of the case.
        let line = "read go; exec timeout 60 sh -c 'while :; do tail /dev/zero; done'";
        let mut command = cluster.command(server, &["sh", "-c", line]).unwrap();
        let mut hog = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        join(&hog.id().to_string());
        hog.stdin.take().unwrap().write_all(b"\n").unwrap();
        Some(Memory { group, limit, hog })
    }

    /// How often memory was used up.
    fn shortages(&self) -> u64 {
        let text = fs::read_to_string(self.group.join("memory.oom_control")).unwrap();
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")).map_or(0, |count| count.trim().parse().unwrap())
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let _ = fs::write(self.group.join(self.limit), "-1");
        let _ = self.hog.kill();
        let _ = self.hog.wait();
        let parent = self.group.parent().map(|parent| parent.join("cgroup.procs"));
        // What the hog started is in there too; the kernel removes only an empty group.
        let until = Instant::now() + Duration::from_secs(10);
        while let (Some(parent), true) = (&parent, Instant::now() < until) {
            for pid in fs::read_to_string(self.group.join("cgroup.procs")).unwrap_or_default().lines() {
                let _ = fs::write(parent, pid);
            }
            if fs::remove_dir(&self.group).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_server_whose_memory_is_used_up_again_and_again_keeps_its_groups_and_its_place() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    let (before, calm) = (processes(&cluster), unrest(&cluster).len());
    let Some(memory) = Memory::scarce(&cluster, "server1", 192 << 20) else { return };
    cluster.until("memory was used up several times", || memory.shortages() >= 3);
    nothing_happens(&cluster, &before, calm);
    assert!(memory.shortages() >= 6, "the hog has gone: {}", memory.shortages());
    drop(memory);
    cluster.run("server1", &["clpgrp", "-m", "failover1"]);
    cluster.moved_to("server2", "server1");
}
