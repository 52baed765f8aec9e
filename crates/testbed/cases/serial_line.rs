//! The COM heartbeat between two whole cluster services that have nothing else: over a pair of pseudo terminals, and over the serial
//! lines of two small kernels, each with a terminal driver of its own.
//!
//! Needs no lab and no root: in both halves the servers live in small kernels (`clp-small-kernel`), in the first half both in one.
//! The machine holds the cable, so that it can be cut and be spoilt with garbage.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use clp_protocol::control::{ClusterStatus, Reply, Request, ServerStatus};
use clp_services::{client, trust};
use clp_small_kernel::{Running, SmallKernel, is_inside};
use clp_sys::{clock, paths::Root};
use clp_testbed::{
    Net,
    cable::Cable,
    conf::{ClusterConf, Heartbeat},
};

/// The name of the test, for the kernels in which it goes on.
const TEST: &str = "two_servers_beat_over_pseudo_terminals_and_over_real_serial_lines";
/// Set where this program is one of the servers: its number, and where the cluster's files are.
const NUMBER: &str = "MAINSTAY_SERIAL_SERVER";
const FILES: &str = "MAINSTAY_SERIAL_FILES";
/// What its kernel must call the driver behind its `/dev/ttyS0`.
const DRIVER: &str = "MAINSTAY_SERIAL_DRIVER";

const TTY: &str = "/dev/ttyS0";
const PATH: &str = "comhb1";
/// Long enough that a small kernel on a busy machine keeps it.
const INTERVAL: Duration = Duration::from_millis(300);
const TIMEOUT: Duration = Duration::from_secs(3);
/// Of a serial line so long a silence is shown as one (`core/src/path.rs`).
const SILENCE: Duration = Duration::from_millis(750);
/// How often a server says what it sees.
const LOOK: Duration = Duration::from_millis(50);
/// Longest wait: two kernels boot beside each other on a busy machine. Whether silence is seen in time each server judges by its own
/// clock ([`Watch`]).
const SOON: Duration = Duration::from_secs(60);

// S-HB-COMHB
#[test]
fn two_servers_beat_over_pseudo_terminals_and_over_real_serial_lines() {
    if let Ok(number) = std::env::var(NUMBER) {
        return serve(number.parse().unwrap());
    }
    let both_in_one = SmallKernel::of(TEST).first("mkdir -p /dev/pts; mount -t devpts devpts /dev/pts");
    let both_in_one = both_in_one.first("mount -t tmpfs tmpfs /mnt").first("mkdir /mnt/tmp").with("TMPDIR", "/mnt/tmp");
    if both_in_one.run(|| drill(in_namespaces)) && !is_inside() {
        drill(in_a_kernel);
    }
}

/// What a server saw last.
#[derive(Debug, Clone, Default)]
struct Seen {
    /// The path from the other server and that server, as `clpstat` shows them.
    path: String,
    server: String,
    received: u64,
    damaged: u64,
    /// Refused for any other cause.
    refused: u64,
}

/// A server that runs, and what it says; it ends with this value.
struct Server {
    running: Power,
    seen: Arc<Mutex<(Seen, Vec<String>)>>,
}

/// What ends it at once.
enum Power {
    Kernel(Running),
    /// The first process of a pid namespace.
    Process(Child),
}

impl Server {
    fn listen(running: Power, output: impl Read + Send + 'static) -> Server {
        let seen = Arc::<Mutex<(Seen, Vec<String>)>>::default();
        let store = seen.clone();
        // Ends with the server's output.
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let mut seen = store.lock().unwrap();
                match parse(&line) {
                    Some(new) => seen.0 = new,
                    None => seen.1.push(line.trim_end().to_string()),
                }
            }
        });
        Server { running, seen }
    }

    fn seen(&self) -> Seen {
        self.seen.lock().unwrap().0.clone()
    }

    /// Whatever else it said.
    fn words(&self) -> String {
        self.seen.lock().unwrap().1.join("\n")
    }

    fn kill(&mut self) {
        match &mut self.running {
            Power::Kernel(kernel) => kernel.kill(),
            Power::Process(process) => {
                let _ = process.kill();
                let _ = process.wait();
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The files of a cluster that has a LAN in its configuration and none in truth.
fn files() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let conf = ClusterConf::new(2).times(TIMEOUT.as_millis() as u64, INTERVAL.as_millis() as u64);
    let conf = conf.heartbeat(Heartbeat::Lanhb(Net::Interconnect)).heartbeat(Heartbeat::Comhb);
    conf.write(folder.path()).unwrap();
    trust::make(&folder.path().join("trust"), &["server1", "server2"].map(String::from)).unwrap();
    folder
}

/// A small kernel of its own with a serial line that ends at this terminal.
fn in_a_kernel(number: usize, terminal: &str, files: &Path) -> Server {
    let kernel = SmallKernel::of(TEST).serial_line(Path::new(terminal)).first("mount -t tmpfs tmpfs /mnt");
    let kernel = kernel.with(NUMBER, &number.to_string()).with(FILES, &files.display().to_string());
    let mut running = kernel.with(DRIVER, "serial").start().unwrap();
    let output = running.output().unwrap();
    Server::listen(Power::Kernel(running), output)
}

/// Namespaces of this kernel; this terminal is its `/dev/ttyS0`.
fn in_namespaces(number: usize, terminal: &str, files: &Path) -> Server {
    let own = std::env::current_exe().unwrap();
    let line = format!("mount --bind {terminal} {TTY} && exec {} --exact {TEST} --nocapture 2>&1", own.display());
    let mut command = Command::new("unshare");
    command.args(["--uts", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", &line]);
    command.env(NUMBER, number.to_string()).env(FILES, files).env(DRIVER, "pty:slave");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let output = child.stdout.take().unwrap();
    Server::listen(Power::Process(child), output)
}

/// The same for every kind of line: heard, garbage, cut, joined, dead.
fn drill(start: fn(usize, &str, &Path) -> Server) {
    let files = files();
    let cable = Cable::new().unwrap();
    let mut servers: Vec<Server> =
        cable.ends.iter().zip(1..).map(|(terminal, number)| start(number, terminal, files.path())).collect();
    let hear_each_other = |servers: &[Server]| {
        until(servers, "both hear the other", || servers.iter().all(|server| server.seen().path == "Normal"));
        let before: Vec<u64> = servers.iter().map(|server| server.seen().received).collect();
        until(servers, "they go on", || servers.iter().zip(&before).all(|(server, before)| server.seen().received > before + 5));
    };
    // Caution: it lives, and a heartbeat path, the LAN, is down.
    let take_each_other_for = |servers: &[Server], word: &str| {
        until(servers, &format!("each shows the other as {word}"), || servers.iter().all(|server| server.seen().server == word));
    };
    hear_each_other(&servers);
    take_each_other_for(&servers, "Caution");

    // Whatever a terminal driver could take for more than bytes is among it.
    let mut garbage = vec![0; 2000];
    File::open("/dev/urandom").unwrap().read_exact(&mut garbage).unwrap();
    garbage.extend(0..=u8::MAX);
    for (from, to) in [(0, 1), (1, 0)] {
        let damaged = servers[to].seen().damaged;
        fs::OpenOptions::new().write(true).open(&cable.ends[from]).unwrap().write_all(&garbage).unwrap();
        until(&servers, "the garbage is counted", || servers[to].seen().damaged > damaged);
        hear_each_other(&servers);
    }

    cable.set_cut(true);
    until(&servers, "both paths are silent", || servers.iter().all(|server| server.seen().path == "Offline"));
    take_each_other_for(&servers, "Offline");
    cable.set_cut(false);
    hear_each_other(&servers);
    take_each_other_for(&servers, "Caution");

    servers[1].kill();
    until(&servers[..1], "its path is silent", || servers[0].seen().path == "Offline");
    until(&servers[..1], "it is taken for dead", || servers[0].seen().server == "Offline");
    assert_eq!(servers[0].seen().refused, 0, "only garbage was dropped, and nothing of it went further");
}

fn until(servers: &[Server], what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !condition() {
        // A server that ended, or that saw silence too late, has said why.
        let has_failed = servers.iter().any(|server| server.words().contains("panicked"));
        if has_failed || Instant::now() > deadline {
            for (server, number) in servers.iter().zip(1..) {
                println!("server{number}: {:?}\n{}", server.seen(), server.words());
            }
            panic!("{}: {what}", if has_failed { "a server failed".into() } else { format!("not within {SOON:?}") });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// This program as a server: the product as it is shipped on a root of its own, and what its status says, a line each time.
fn serve(number: usize) {
    assert_eq!(driver_of(TTY), std::env::var(DRIVER).unwrap());
    let name = format!("server{number}");
    rustix::system::sethostname(name.as_bytes()).unwrap();
    for line in ["link set lo up".to_string(), format!("addr add 192.168.0.{number}/32 dev lo")] {
        assert!(Command::new("ip").args(line.split(' ')).status().unwrap().success(), "ip {line}");
    }
    let root = Root::at(Path::new("/mnt").join(&name));
    let files = PathBuf::from(std::env::var_os(FILES).unwrap());
    fs::create_dir_all(root.trust()).unwrap();
    fs::copy(files.join("clp.conf"), root.conf()).unwrap();
    fs::copy(files.join("trust/cluster.key"), root.trust().join("cluster.key")).unwrap();
    let own = std::env::current_exe().unwrap();
    let program = own.parent().and_then(Path::parent).unwrap().join("clusterpro");
    assert!(program.exists(), "the product is not built: cargo build --workspace");
    let mut service = Command::new(program).env("CLP_ROOT", root.path()).stdin(Stdio::null()).spawn().unwrap();
    let mut watch = Watch::default();
    // Until the server is killed. A service that never answers shows in what the test waits for.
    loop {
        if let Some(status) = service.try_wait().unwrap() {
            let log = fs::read_to_string(root.log().join("clusterpro.log.cur")).unwrap_or_default();
            panic!("the cluster service ended ({status}): {log}");
        }
        let asked = clock::now();
        if let Ok(Reply::Status(status)) = client::engine(&root, &Request::Status) {
            let seen = seen_in(&status);
            watch.judge(asked, &seen);
            println!("sees {} {} {} {} {}", seen.path, seen.server, seen.received, seen.damaged, seen.refused);
        }
        std::thread::sleep(LOOK);
    }
}

fn seen_in(status: &ClusterStatus) -> Seen {
    let is_me = |server: &&ServerStatus| server.name == status.local;
    let path_of = |server: &ServerStatus| server.paths.iter().find(|path| path.name == PATH).unwrap().clone();
    let other = status.servers.iter().find(|server| !is_me(server)).unwrap();
    let mine = path_of(status.servers.iter().find(is_me).unwrap());
    let refused = |damaged: bool| {
        let counts = mine.refused.iter().filter(|refused| (refused.cause == "damaged") == damaged);
        counts.map(|refused| refused.count).sum()
    };
    Seen {
        path: path_of(other).status,
        server: other.status.clone(),
        received: mine.statistics.iter().map(|measured| measured.received).sum(),
        damaged: refused(true),
        refused: refused(false),
    }
}

/// How long a server has heard nothing, by its own clock: a busy machine that holds it up holds up what it is judged by, too.
#[derive(Default)]
struct Watch {
    received: u64,
    /// The newest frame came at this time at the latest.
    heard: Duration,
}

impl Watch {
    /// Fails when what was `seen` in the answer to a question of `asked` is older than it may be.
    fn judge(&mut self, asked: Duration, seen: &Seen) {
        if seen.received > self.received {
            (self.received, self.heard) = (seen.received, clock::now());
        } else if self.received > 0 {
            let silent = asked.saturating_sub(self.heard);
            assert!(silent <= SILENCE || seen.path != "Normal", "silent for {silent:?}, and the path is shown as normal");
            assert!(silent <= TIMEOUT || seen.server == "Offline", "silent for {silent:?}, and taken for {}", seen.server);
        }
    }
}

/// The type of a terminal's driver, as the kernel calls it in `/proc/tty/drivers` (name, node, major, minors, type).
fn driver_of(tty: &str) -> String {
    let device = fs::metadata(tty).unwrap().rdev();
    let (major, minor) = (rustix::fs::major(device).to_string(), rustix::fs::minor(device));
    let drivers = fs::read_to_string("/proc/tty/drivers").unwrap();
    let its = |line: &&str| {
        let mut from_behind = line.split_whitespace().rev().skip(1);
        let (minors, number) = (from_behind.next().unwrap_or_default(), from_behind.next().unwrap_or_default());
        let (first, last) = minors.split_once('-').unwrap_or((minors, minors));
        number == major && (first.parse().unwrap_or(0)..=last.parse().unwrap_or(0)).contains(&minor)
    };
    drivers.lines().find(its).and_then(|line| line.split_whitespace().last()).unwrap_or(&drivers).to_string()
}

fn parse(line: &str) -> Option<Seen> {
    let words: Vec<&str> = line.trim_end().strip_prefix("sees ")?.split(' ').collect();
    let number = |at: usize| words.get(at)?.parse().ok();
    Some(Seen {
        path: words.first()?.to_string(),
        server: words.get(1)?.to_string(),
        received: number(2)?,
        damaged: number(3)?,
        refused: number(4)?,
    })
}
