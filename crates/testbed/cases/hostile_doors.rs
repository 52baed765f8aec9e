//! A hundred thousand random and a hundred thousand changed valid inputs at every port and door of a running cluster: the heartbeat
//! ports, the serial line, the disk slot, the control socket, the transfer service. `LONG=1` takes ten times as many.
//!
//! What is changed is real traffic and what a holder of the cluster's key makes of it. Meanwhile nothing moves and nothing
//! restarts; all of it is counted or answered; afterwards a failover works.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod cluster;
#[path = "hostile_insider.rs"]
mod insider;
#[path = "hostile_mutants.rs"]
mod mutants;

use clp_protocol::control;
use cluster::{Cluster, Conf};
use insider::Insider;
use mutants::{LONG, Random, inputs, is_long};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream, UdpSocket},
    os::{
        fd::AsFd,
        unix::{
            fs::{FileExt, OpenOptionsExt},
            net::UnixStream,
        },
    },
    path::PathBuf,
    time::{Duration, Instant},
};

/// Longest time for all inputs of one kind at one door.
fn flood_limit() -> Duration {
    Duration::from_secs(if is_long() { 3600 } else { 120 })
}

/// Datagrams sent before it is looked how many arrived: a socket's buffer loses some.
const BATCH: u64 = 20_000;
/// Lines on their way to the control socket: what its buffers hold.
const LINES_AT_ONCE: usize = 64;
/// Connections to the transfer service.
const CONNECTIONS_AT_ONCE: u64 = 8;
/// A process may grow by so many KiB: queues and buffers that are full.
const GROWTH_MAX: u64 = 64 * 1024;
/// What the record holds when something moved, stopped or was given up.
const UNREST: [&str; 7] =
    ["failover begins", "stop begins", "activation failed", "split network", "check failed", "went down:", "process"];

/// What must stay as it is while a cluster is attacked.
struct Peace {
    processes: BTreeMap<(String, String), u64>,
    unrest: usize,
}

impl Peace {
    fn of(cluster: &Cluster) -> Peace {
        let mut processes = BTreeMap::new();
        for server in cluster.servers() {
            let line = "for pid in $(pgrep -f '[c]lusterpro'); do \
                        echo $pid $(tr '\\0' ' ' </proc/$pid/cmdline) $(sed -n 's/VmRSS: *//p' /proc/$pid/status); done";
            for process in cluster.run(&server, &["sh", "-c", line]).lines().filter(|line| line.ends_with(" kB")) {
                let words: Vec<&str> = process.split_whitespace().collect();
                let size = words[words.len() - 2].parse().unwrap();
                processes.insert((server.clone(), words[..words.len() - 2].join(" ")), size);
            }
        }
        assert!(processes.len() >= 8, "parent, engine, monitor daemon and transfer service of each server: {processes:?}");
        Peace { processes, unrest: unrest(cluster).len() }
    }

    /// The same processes as before, not much larger; nothing moved; the group is active on server1.
    fn holds(&self, cluster: &Cluster) {
        let names = |peace: &Peace| peace.processes.keys().cloned().collect::<Vec<_>>();
        let mut now = Peace::of(cluster);
        // A process that was just forked has its parent's name until it begins a program.
        cluster.until("there are the same processes as before", || {
            now = Peace::of(cluster);
            names(self) == names(&now)
        });
        for (process, size) in &now.processes {
            let before = self.processes[process];
            println!("{process:?}: {before} KiB, then {size} KiB");
            assert!(*size <= before + GROWTH_MAX, "{process:?} grew from {before} KiB to {size} KiB");
        }
        let unrest = unrest(cluster);
        assert_eq!(unrest.len(), self.unrest, "{unrest:#?}");
        cluster.settle();
        for server in cluster.servers() {
            assert_eq!(cluster.boots(&server), 1);
            assert!(!cluster.has_logged(&server, "panicked") && !cluster.has_logged(&server, "emergency"), "{server}");
            assert!(!cluster.has_logged(&server, "worked long without a pause"), "the flood cost {server} its priority");
        }
    }
}

fn unrest(cluster: &Cluster) -> Vec<String> {
    let records = cluster.servers().into_iter().map(|server| alerts(cluster, &server)).collect::<String>();
    records.lines().filter(|line| UNREST.iter().any(|words| line.contains(words))).map(String::from).collect()
}

fn alerts(cluster: &Cluster, server: &str) -> String {
    fs::read_to_string(cluster.directory().join(server).join("opt/mainstay/alert/log/alertlog.alt")).unwrap_or_default()
}

/// The server dies, and its group is taken over as ever.
fn failover_still_works(cluster: &Cluster) {
    cluster.power_off("server1").unwrap();
    cluster.until("the group is active on server2", || cluster.is_active_on("server2"));
}

/// How often a cause was refused on a path of a server, as `clpstat --json` says on it.
fn refused(cluster: &Cluster, server: &str, path: &str, causes: &[&str]) -> u64 {
    let status = cluster.status(server);
    let find = |list: &serde_json::Value, name: &str| {
        list.as_array().and_then(|list| list.iter().find(|entry| entry["name"] == name)).cloned().unwrap_or_default()
    };
    let path = find(&find(&status["servers"], server)["paths"], path);
    let entries = path["refused"].as_array().cloned().unwrap_or_default();
    let counts = entries.iter().filter(|entry| causes.is_empty() || causes.iter().any(|cause| entry["cause"] == *cause));
    counts.map(|entry| entry["count"].as_u64().unwrap()).sum()
}

/// A file in a server, such as a socket or a device, as this machine names it.
fn inside(cluster: &Cluster, server: &str, path: &str) -> PathBuf {
    let pid = fs::read_to_string(cluster.directory().join(server).join("pid")).unwrap();
    PathBuf::from(format!("/proc/{}/root{path}", pid.trim()))
}

/// Moves the calling thread to a server's network: it has the addresses that the other server knows.
fn enter(cluster: &Cluster, server: &str) {
    let pid = fs::read_to_string(cluster.directory().join(server).join("pid")).unwrap();
    let namespace = File::open(format!("/proc/{}/ns/net", pid.trim())).unwrap();
    rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(rustix::thread::LinkNameSpaceType::Network)).unwrap();
}

/// Sends until that many more of these causes were counted; a socket that is full loses some.
fn flood(cluster: &Cluster, target: &str, path: &str, causes: &[&str], mut send: impl FnMut()) {
    let wanted = refused(cluster, target, path, causes) + inputs();
    let begin = Instant::now();
    let mut sent = 0;
    loop {
        for _ in 0..BATCH {
            send();
        }
        sent += BATCH;
        let counted = refused(cluster, target, path, causes);
        if sent >= inputs() && counted >= wanted {
            println!("{target} {path} {causes:?}: {sent} sent in {:?}, {counted} counted", begin.elapsed());
            return;
        }
        if begin.elapsed() >= flood_limit() {
            let record = alerts(cluster, target);
            let from = record.lines().count().saturating_sub(30);
            record.lines().skip(from).for_each(|line| println!("{line}"));
        }
        assert!(begin.elapsed() < flood_limit(), "{target} {path} {causes:?}: {sent} sent, {counted} of {wanted} counted");
    }
}

/// Both kinds of LAN heartbeat, each on its own net.
fn both_ports() -> Conf {
    let conf = Conf::sample().with("<types name=\"lankhb\"/>", "<types name=\"lanhb\"/><types name=\"lankhb\"/>");
    let old = "<lankhb name=\"lankhb1\">\n\t\t\t<priority>0</priority>\n\t\t\t<device>0</device>\n\t\t</lankhb>";
    conf.with(old, &old.replace("lankhb", "lanhb"))
}

const PORTS: [(&str, &str, u16); 2] = [("lanhb1", "192.168.0", 29002), ("lankhb2", "10.0.0", 29006)];
const OUTSIDE: [&str; 5] = ["foreign", "version", "sender", "repeated", "key"];

#[test]
fn random_changed_and_insiders_datagrams_on_both_heartbeat_ports_are_counted_and_move_nothing() {
    let Some(cluster) = Cluster::up(both_ports()) else { return };
    let peace = Peace::of(&cluster);
    std::thread::scope(|scope| {
        for (number, (target, other)) in [("server1", "server2"), ("server2", "server1")].into_iter().enumerate() {
            let cluster = &cluster;
            scope.spawn(move || {
                let mut insider = Insider::new(cluster, 1 - number as u8);
                let captured = captured(cluster, target, 1 - number);
                let mut random = Random::new(0x9E37_79B9 + number as u64);
                enter(cluster, other);
                for (path, net, port) in PORTS {
                    let socket = UdpSocket::bind(format!("{net}.{}:0", 2 - number)).unwrap();
                    let address: SocketAddr = format!("{net}.{}:{port}", 1 + number).parse().unwrap();
                    // Refused by a full buffer: then it is sent again.
                    let send = |bytes: &[u8]| drop(socket.send_to(bytes, address));
                    flood(cluster, target, path, &OUTSIDE, || send(&random.bytes(&captured)));
                    flood(cluster, target, path, &OUTSIDE, || send(&insider.changed(&mut random, &captured)));
                    flood(cluster, target, path, &["unreadable"], || send(&insider.unreadable(&mut random)));
                }
            });
        }
        let cluster = &cluster;
        scope.spawn(move || {
            // From an address that is no server's.
            cluster.enter_client().unwrap();
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            let mut random = Random::new(7);
            for target in ["server1", "server2"] {
                let address: SocketAddr = format!("10.0.0.{}:29006", &target[6..]).parse().unwrap();
                flood(cluster, target, "lankhb2", &["stranger"], || drop(socket.send_to(&random.bytes(&[]), address)));
            }
        });
    });
    peace.holds(&cluster);
    for server in ["server1", "server2"] {
        let record = alerts(&cluster, server);
        for path in ["lanhb1", "lankhb2"] {
            for words in ["no sealed datagram", "but cannot be read", "seen before"] {
                let count = record.lines().filter(|line| line.contains(path) && line.contains(words)).count();
                assert!((1..=3).contains(&count), "{server} {path} {words:?}: {count} alerts");
            }
        }
        assert!(record.contains("do not open with this cluster's key"), "{server}");
        assert!(record.contains("from an address that no server has"), "{server}");
    }
    failover_still_works(&cluster);
}

/// Frames of a running server as they are sent, taken from its slot on the shared disk.
fn captured(cluster: &Cluster, by: &str, slot: usize) -> Vec<Vec<u8>> {
    let disk = File::options().read(true).custom_flags(libc::O_DIRECT).open(inside(cluster, by, "/dev/sdb1")).unwrap();
    let mut frames: Vec<Vec<u8>> = Vec::new();
    let mut room = vec![0_u8; 3 * 4096];
    let begin = room.as_ptr().align_offset(4096);
    cluster.until("frames were captured", || {
        disk.read_exact_at(&mut room[begin..begin + 4096], (1 + slot as u64) * 4096).unwrap();
        let block = &room[begin..begin + 4096];
        let length = u32::from_le_bytes(block[8..12].try_into().unwrap()) as usize;
        if block.starts_with(b"MSTAYHB1") && length < 3800 && frames.last().is_none_or(|last| *last != block[28..28 + length]) {
            frames.push(block[28..28 + length].to_vec());
        }
        frames.len() >= 5
    });
    frames
}

#[test]
fn random_and_changed_bytes_on_the_serial_line_and_in_a_disk_slot_are_counted_and_move_nothing() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    let peace = Peace::of(&cluster);
    let mut random = Random::new(11);
    let mut insider = Insider::new(&cluster, 1);
    let captured = captured(&cluster, "server1", 1);
    let encoded: Vec<Vec<u8>> = captured.iter().map(|frame| clp_sys::serial::encode(frame).unwrap()).collect();
    let mut line =
        File::options().write(true).custom_flags(libc::O_NOCTTY).open(inside(&cluster, "server2", "/dev/ttyS0")).unwrap();
    flood(&cluster, "server1", "comhb1", &["damaged"], || {
        // A zero ends each: what stands between two is one piece of garbage.
        line.write_all(&[&random.bytes(&encoded)[..], &[0]].concat()).unwrap();
    });
    flood(&cluster, "server1", "comhb1", &["damaged"], || line.write_all(&random.mutant(&encoded)).unwrap());
    flood(&cluster, "server1", "comhb1", &OUTSIDE, || {
        line.write_all(&clp_sys::serial::encode(&insider.changed(&mut random, &captured)).unwrap()).unwrap();
    });
    flood(&cluster, "server1", "comhb1", &["unreadable"], || {
        line.write_all(&clp_sys::serial::encode(&insider.unreadable(&mut random)).unwrap()).unwrap();
    });
    peace.holds(&cluster);
    slots(&cluster, &mut random, &mut insider, &captured);
    peace.holds(&cluster);
    for words in ["comhb1 refused, damaged", "comhb1 refused, opens with", "diskhb1 refused, opens with"] {
        assert!(alerts(&cluster, "server1").contains(words), "{words}");
    }
    failover_still_works(&cluster);
}

/// Writes server2's slot as somebody else who has the disk. Each look of server1 finds one of them, so what counts is that each kind
/// was found.
fn slots(cluster: &Cluster, random: &mut Random, insider: &mut Insider, captured: &[Vec<u8>]) {
    let disk = File::options().write(true).open(inside(cluster, "server2", "/dev/sdb1")).unwrap();
    let direct = rustix::fs::OFlags::DIRECT;
    rustix::fs::fcntl_setfl(&disk, rustix::fs::fcntl_getfl(&disk).unwrap() | direct).unwrap();
    let mut room = vec![0_u8; 2 * 4096];
    let begin = room.as_ptr().align_offset(4096);
    let blocks: Vec<Vec<u8>> = captured.iter().map(|frame| slot(frame, random.next())).collect();
    let kinds: [&[&str]; 3] = [&["damaged"], &OUTSIDE, &["unreadable"]];
    let before = kinds.map(|causes| refused(cluster, "server1", "diskhb1", causes));
    for input in 0..2 * inputs() {
        let bytes = match input % 6 {
            0..3 => random.bytes(&blocks),
            3 => random.mutant(&blocks),
            4 => slot(&insider.changed(random, captured), random.next()),
            _ => slot(&insider.unreadable(random), random.next()),
        };
        let block = &mut room[begin..begin + 4096];
        block.fill(0);
        let length = bytes.len().min(4096);
        block[..length].copy_from_slice(&bytes[..length]);
        disk.write_all_at(block, 2 * 4096).unwrap();
    }
    for (causes, before) in kinds.into_iter().zip(before) {
        let counted = refused(cluster, "server1", "diskhb1", causes) - before;
        println!("diskhb1 {causes:?}: {counted} found");
        assert!(counted > 0, "{causes:?}");
    }
}

/// Server2's slot with a frame in it, its checksum right.
fn slot(frame: &[u8], sequence: u64) -> Vec<u8> {
    let mut block = b"MSTAYHB1".to_vec();
    block.extend((frame.len() as u32).to_le_bytes());
    block.extend(sequence.to_le_bytes());
    block.extend(1_u32.to_le_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&block), frame);
    block.extend(checksum.to_le_bytes());
    block.extend(frame);
    block
}

/// Runs this program inside a server, where it is root of that server: a socket's other end does not know who asks from outside.
fn run_inside(cluster: &Cluster, server: &str, part: &str) {
    let program = cluster.directory().join(server).join("opt/mainstay/bin/hostile-doors");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let words = ["/opt/mainstay/bin/hostile-doors", "--exact", "the_part_inside_a_server", "--nocapture"];
    let (named, long) = (format!("{PART}={part}"), format!("{LONG}={}", if is_long() { "1" } else { "" }));
    let output = cluster.exec(server, &[&["env", &named, &long][..], &words].concat()).unwrap();
    assert!(output.is_ok() && output.stdout.contains("1 passed"), "{server} {part}: {output:?}");
    print!("{}", output.stdout);
    fs::remove_file(&program).unwrap();
}

/// Which part a program inside a server is.
const PART: &str = "MAINSTAY_HOSTILE_PART";

#[test]
fn the_part_inside_a_server() {
    match std::env::var(PART).as_deref() {
        Ok("control") => each_line_is_answered(),
        Ok("transfer") => each_request_is_closed(),
        _ => println!("nothing to do outside a server"),
    }
}

/// The control socket: every line has an answer, whatever is in it.
fn each_line_is_answered() {
    let valid = insider::control_requests();
    let mut random = Random::new(5);
    let mut stream = UnixStream::connect("/opt/mainstay/run/clusterpro.sock").unwrap();
    stream.set_read_timeout(Some(flood_limit())).unwrap();
    let mut replies = BufReader::new(stream.try_clone().unwrap());
    for kind in [Random::bytes, Random::mutant] {
        let mut answered = 0;
        while answered < inputs() {
            let next = |random: &mut Random| loop {
                let mut line = kind(random, &valid);
                line.retain(|byte| *byte != b'\n');
                if !insider::is_order(&line) {
                    return line;
                }
            };
            let lines: Vec<Vec<u8>> = (0..LINES_AT_ONCE).map(|_| next(&mut random)).collect();
            stream.write_all(&[&lines.join(&b'\n')[..], b"\n"].concat()).unwrap();
            for line in lines {
                let mut reply = String::new();
                replies.read_line(&mut reply).unwrap();
                let readable = serde_json::from_slice::<control::Request>(&line).is_ok();
                let refused = reply.contains("\"reply\":\"refused\"") && reply.contains("the request cannot be read");
                assert!(refused != readable, "{:?}: {reply}", String::from_utf8_lossy(&line));
                answered += 1;
            }
        }
        println!("control socket: {answered} answered");
    }
    stream.write_all(&vec![b'x'; control::CONTROL_LINE_MAX]).unwrap();
    let mut reply = String::new();
    replies.read_line(&mut reply).unwrap();
    assert!(reply.contains("longer than"), "{reply}");
    assert_eq!(replies.read(&mut [0]).unwrap_or(0), 0, "where the next line begins nobody can tell");
}

/// The socket of the transfer service: every connection ends, and what is no request does nothing.
fn each_request_is_closed() {
    let valid = insider::transfer_requests();
    at_once(
        || {},
        |random, kind| {
            let bytes = kind(random, &valid);
            if insider::is_harmful(&bytes) {
                return;
            }
            let mut stream = UnixStream::connect("/opt/mainstay/run/trn.sock").unwrap();
            stream.set_read_timeout(Some(flood_limit())).unwrap();
            // Closed before it was written whole, with or without an answer: then so be it.
            let _ = stream.write_all(&bytes).and_then(|()| stream.shutdown(Shutdown::Write));
            must_end(&mut stream);
        },
    );
}

/// Every input of both kinds, from several threads, each of which goes to its place first.
fn at_once(go: impl Fn() + Sync, input: impl Fn(&mut Random, fn(&mut Random, &[Vec<u8>]) -> Vec<u8>) + Sync) {
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..CONNECTIONS_AT_ONCE {
            let (go, input) = (&go, &input);
            scope.spawn(move || {
                go();
                let mut random = Random::new(21 + thread);
                for count in 0..2 * inputs() / CONNECTIONS_AT_ONCE {
                    input(&mut random, if count % 2 == 0 { Random::bytes } else { Random::mutant });
                }
            });
        }
    });
    println!("transfer service: {} connections closed in {:?}", 2 * inputs(), begin.elapsed());
}

/// A connection that is closed, by the peer's will or by force, and not by our time-out.
fn must_end(stream: &mut impl Read) {
    let end = stream.read_to_end(&mut Vec::new());
    assert!(!end.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "it was not closed");
}

#[test]
fn random_and_changed_requests_on_the_control_socket_are_each_answered_with_an_error() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    let peace = Peace::of(&cluster);
    std::thread::scope(|scope| {
        for server in ["server1", "server2"] {
            let cluster = &cluster;
            scope.spawn(move || run_inside(cluster, server, "control"));
        }
    });
    peace.holds(&cluster);
    failover_still_works(&cluster);
}

#[test]
fn random_and_changed_input_to_the_transfer_service_is_closed_and_a_good_client_is_answered() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    let peace = Peace::of(&cluster);
    let hellos = insider::hellos();
    run_inside(&cluster, "server1", "transfer");
    // A client that keeps the port of every closed connection for a minute runs out of ports.
    assert!(cluster.client(&["sh", "-c", "echo 0 >/proc/sys/net/ipv4/tcp_max_tw_buckets"]).unwrap().is_ok());
    at_once(
        || cluster.enter_client().unwrap(),
        |random, kind| {
            let mut stream = TcpStream::connect("10.0.0.1:29002").unwrap();
            stream.set_read_timeout(Some(flood_limit())).unwrap();
            let _ = stream.write_all(&kind(random, &hellos)).and_then(|()| stream.shutdown(Shutdown::Write));
            must_end(&mut stream);
        },
    );
    let unused = cluster.client(&["bash", "-c", "exec 3<>/dev/tcp/10.0.0.1/29001"]).unwrap();
    assert!(unused.stderr.contains("refused"), "a port that nobody serves is closed: {unused:?}");
    peace.holds(&cluster);
    assert!(cluster.has_logged("server1", "10.0.0.100") && cluster.has_logged("server1", "refused"));
    // Relayed over the transfer service.
    cluster.run("server2", &["clpstat", "-h", "server1"]);
    cluster.run("server2", &["clpgrp", "-m", "failover1", "-h", "server1"]);
    cluster.moved_to("server2", "server1");
}
