//! An etcd that runs on the loopback, of one member or of several. Not a test itself.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use clp_core::arbiter::{Ask, AskKind};
use clp_core::ids::{ServerId, ServerSet};
use clp_drivers::partition::etcd::Etcd;
use clp_drivers::partition::{Keeper, Method, Question, Reply};
use clp_protocol::witness::{Key, http};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Q of a cluster that asks an etcd, at the least.
pub const LIMIT: Duration = Duration::from_millis(500);
/// A machine that is busy otherwise may be late by this.
const LATE: Duration = Duration::from_millis(300);
/// Longest wait for a start or an election, which take a second or two.
pub const SOON: Duration = Duration::from_secs(60);
pub const KEY: &str = "/mainstay/c";

/// Members with their data below one directory.
pub struct Ground {
    pub directory: tempfile::TempDir,
    /// Clients', peers'.
    ports: Vec<(u16, u16)>,
    members: Vec<Option<Child>>,
    /// More options, of an etcd with TLS.
    tls: Vec<String>,
}

impl Ground {
    /// None: there is no etcd here.
    pub fn start(members: usize) -> Option<Ground> {
        let mut ground = Ground::new(members)?;
        ground.start_all();
        Some(ground)
    }

    /// One member with `authority.pem`, `etcd.pem` and `etcd.key` in its directory; does it ask its clients for certificates?
    pub fn start_tls(asks: bool, make: impl Fn(&std::path::Path)) -> Option<Ground> {
        let mut ground = Ground::new(1)?;
        let directory = ground.directory.path();
        make(directory);
        let file = |option: &str, name: &str| format!("--{option}={}", directory.join(name).display());
        ground.tls = vec![file("cert-file", "etcd.pem"), file("key-file", "etcd.key")];
        if asks {
            ground.tls.extend([file("trusted-ca-file", "authority.pem"), "--client-cert-auth".into()]);
        }
        ground.run(0);
        Some(ground)
    }

    fn new(members: usize) -> Option<Ground> {
        if let Err(cause) = Command::new("etcd").arg("--version").stdout(Stdio::null()).status() {
            println!("skipped: etcd cannot be run: {cause}");
            return None;
        }
        // All at once, so that they are different ones.
        let held: Vec<TcpListener> = (0..members * 2).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports: Vec<u16> = held.iter().map(|held| held.local_addr().unwrap().port()).collect();
        let ports = ports.chunks(2).map(|pair| (pair[0], pair[1])).collect();
        drop(held);
        let members = (0..members).map(|_| None).collect();
        Some(Ground { directory: tempfile::tempdir().unwrap(), ports, members, tls: Vec::new() })
    }

    pub fn start_all(&mut self) {
        (0..self.members.len()).for_each(|member| self.run(member));
        self.healthy();
    }

    pub fn data(&self, member: usize) -> PathBuf {
        self.directory.path().join(format!("m{member}"))
    }

    pub fn run(&mut self, member: usize) {
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let (client, peer) = self.ports[member];
        let all: Vec<String> =
            self.ports.iter().enumerate().map(|(index, (_, peer))| format!("m{index}={}", url(*peer))).collect();
        let log = std::fs::File::create(self.directory.path().join(format!("m{member}.log"))).unwrap();
        let mut command = Command::new("etcd");
        command.args(["--name", &format!("m{member}"), "--data-dir"]).arg(self.data(member));
        for option in ["--listen-client-urls", "--advertise-client-urls"] {
            command.args([option, &url(client).replace("http:", if self.tls.is_empty() { "http:" } else { "https:" })]);
        }
        for option in ["--listen-peer-urls", "--initial-advertise-peer-urls"] {
            command.args([option, &url(peer)]);
        }
        command.args(["--initial-cluster", &all.join(",")]).args(&self.tls);
        self.members[member] = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    pub fn kill(&mut self, member: usize) {
        let mut child = self.members[member].take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub fn freeze(&self, member: usize, is_frozen: bool) {
        let signal = if is_frozen { Signal::STOP } else { Signal::CONT };
        let pid = Pid::from_child(self.members[member].as_ref().unwrap());
        kill_process(pid, signal).unwrap();
        if is_frozen {
            // Its last thread stands still a little later.
            waitpid(Some(pid), WaitOptions::UNTRACED).unwrap();
        }
    }

    pub fn address(&self, member: usize) -> SocketAddr {
        ([127, 0, 0, 1], self.ports[member].0).into()
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        (0..self.ports.len()).map(|member| self.address(member)).collect()
    }

    /// Until those that run answer for all.
    pub fn healthy(&self) {
        until("etcd answers", || {
            let running = (0..self.members.len()).filter(|member| self.members[*member].is_some());
            running.into_iter().all(|member| self.say(member, "/v3/kv/range", r#"{"key":"eA=="}"#).is_some())
        });
    }

    /// The member that leads.
    pub fn leader(&self) -> usize {
        let leads = |member: usize| {
            let status = self.say(member, "/v3/maintenance/status", "{}").unwrap_or_default();
            let id = |name: &str| Some(status.split(&format!("\"{name}\":\"")).nth(1)?.split('"').next()?.to_string());
            id("leader").is_some() && id("leader") == id("member_id")
        };
        (0..self.members.len()).find(|member| leads(*member)).expect("one leads")
    }

    /// What a member answers, if it is no failure.
    pub fn say(&self, member: usize, target: &str, body: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address(member)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream.write_all(&http::post(target, "etcd", "application/json", body.as_bytes())).ok()?;
        let mut bytes = Vec::new();
        loop {
            if let Some(head) = http::read_answer(&bytes).ok()?
                && bytes.len() >= head.length + head.body
            {
                return (head.first == 200).then(|| String::from_utf8_lossy(&bytes[head.length..]).into_owned());
            }
            let mut more = [0u8; 2048];
            match stream.read(&mut more) {
                Ok(count @ 1..) => bytes.extend_from_slice(&more[..count]),
                _ => return None,
            }
        }
    }

    /// The driver of a server, as it asks these.
    pub fn register(&self, server: usize, members: &[SocketAddr]) -> Etcd {
        Etcd::new(members, KEY.into(), Key::derive(&[7; 32], "c").id(), self.memory(server))
    }

    pub fn keeper(&self, server: usize, members: &[SocketAddr]) -> Keeper<Etcd> {
        Keeper::new(self.register(server, members), vec!["server1".into(), "server2".into()])
    }

    pub fn memory(&self, server: usize) -> PathBuf {
        self.directory.path().join(format!("server{server}/etcdnp1"))
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        for mut child in self.members.drain(..).flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < end, "{what}: not within {SOON:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A question is answered within its time.
pub fn ask(keeper: &mut Keeper<Etcd>, me: usize, part: &[usize], number: u64) -> Reply {
    let now = Instant::now();
    let ask = Ask {
        number,
        me: ServerId::at(me),
        incarnation: 1,
        servers: 2,
        part: part.iter().map(|server| ServerId::at(*server)).collect(),
        gone: ServerSet::EMPTY,
        off: ServerSet::EMPTY,
        off_for: Duration::ZERO,
        lease: Duration::from_secs(3600),
        renewal: Duration::ZERO,
        kind: AskKind::Claim,
    };
    let reply = keeper.ask(&Question { ask, put: now, until: now + LIMIT });
    assert!(now.elapsed() < LIMIT + LATE, "{:?}: {}", now.elapsed(), reply.words);
    reply
}
