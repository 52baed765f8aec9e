//! A witness that runs, and clients that speak to it over real sockets. Not a test itself.
#![allow(dead_code, reason = "each file of tests uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clp_core::arbiter::Record;
use clp_core::ids::{ServerId, ServerSet};
use clp_protocol::witness::{self, Answer, Key, Request, Ticket, Version, http};
use clp_services::trust::hex;

/// Longest wait for something that takes milliseconds.
pub const SOON: Duration = Duration::from_secs(20);

/// The program.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_clpwitness"));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Runs the program to its end; its exit code, what it printed, and what it complained of.
pub fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = program().args(arguments).stdout(Stdio::piped()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// A directory for states, and the line of a cluster.
pub struct Ground {
    pub directory: tempfile::TempDir,
}

impl Ground {
    pub fn new() -> Ground {
        Ground { directory: tempfile::tempdir().unwrap() }
    }

    pub fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// Add the cluster of that name, by its line.
    pub fn add(&self, name: &str) -> Key {
        let key = key(name);
        let line = self.directory.path().join("line");
        std::fs::write(&line, format!("clpwitness-1 {} {name}\n", hex(key.bytes()))).unwrap();
        let (code, _, problem) = run(&["--add", line.to_str().unwrap(), "--state", self.state().to_str().unwrap()]);
        assert_eq!((code, problem.as_str()), (0, ""));
        key
    }

    pub fn start(&self) -> Witness {
        Witness::start(&self.state())
    }
}

pub fn key(name: &str) -> Key {
    Key::derive(&[7; 32], name)
}

/// The program, listening.
pub struct Witness {
    pub child: Child,
    pub address: SocketAddr,
    pub log: PathBuf,
}

impl Witness {
    pub fn start(state: &Path) -> Witness {
        Witness::start_at("127.0.0.1:0".parse().unwrap(), state)
    }

    /// At an address; port 0: one that is free.
    pub fn start_at(address: SocketAddr, state: &Path) -> Witness {
        let log = state.with_extension("log");
        let file = std::fs::File::create(&log).unwrap();
        let address = address.to_string();
        let child = program().args(["--listen", &address, "--state"]).arg(state).stderr(file).spawn().unwrap();
        let mut witness = Witness { child, address: ([127, 0, 0, 1], 0).into(), log };
        let begun = Instant::now();
        while witness.address.port() == 0 {
            assert!(begun.elapsed() < SOON, "it does not listen: {}", witness.said());
            let said = witness.said();
            let at = said.split_once("listening at ").and_then(|(_, rest)| rest.split_once(';'));
            match at {
                Some((at, _)) => witness.address = at.parse().unwrap(),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        witness
    }

    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn client(&self, key: &Key) -> Client {
        Client { key: key.clone(), address: self.address, stream: None }
    }

    /// Resident memory in KiB, of the process and of its largest moment.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server of a cluster would ask.
pub struct Client {
    pub key: Key,
    pub address: SocketAddr,
    pub stream: Option<TcpStream>,
}

impl Client {
    pub fn ask(&mut self, request: &Request) -> Answer {
        let (bytes, salt) = witness::seal_request(&self.key, request).unwrap();
        let (status, body) = self.post(&bytes);
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        witness::open_answer(&self.key, salt, &body).unwrap()
    }

    /// Status and body; the connection is kept when the witness keeps it.
    pub fn post(&mut self, bytes: &[u8]) -> (u16, Vec<u8>) {
        let mut stream = self.stream.take().unwrap_or_else(|| connect(self.address));
        stream.write_all(&http::request("w", bytes)).unwrap();
        let (status, body, closes) = answer(&mut stream).unwrap();
        if !closes {
            self.stream = Some(stream);
        }
        (status, body)
    }

    pub fn read(&mut self) -> (Version, Option<Record>, Ticket) {
        match self.ask(&Request::Read) {
            Answer::Stands { version, record, ticket, .. } => (version, record, ticket),
            other => panic!("{other:?}"),
        }
    }

    /// Read and write the record of a server with its number.
    pub fn write(&mut self, server: usize, number: u64) -> Answer {
        let (version, _, ticket) = self.read();
        self.ask(&Request::Swap { version, ticket, record: record(server, number) })
    }
}

pub fn record(server: usize, number: u64) -> Record {
    let by = ServerId::at(server);
    Record { members: [by].into_iter().collect::<ServerSet>(), lasting: false, by, incarnation: 1, number }
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, SOON).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.set_write_timeout(Some(SOON)).unwrap();
    stream
}

/// An answer: status, body, and whether the connection ends; None when it ends without one.
pub fn answer(stream: &mut TcpStream) -> Option<(u16, Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(head) = http::read_answer(&bytes).unwrap()
            && bytes.len() >= head.length + head.body
        {
            return Some((head.first, bytes[head.length..head.length + head.body].to_vec(), head.closes));
        }
        let mut more = [0u8; 2048];
        match stream.read(&mut more) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&more[..count]),
        }
    }
}

/// Reproducible noise.
pub struct Noise(pub u64);

impl Noise {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn bytes(&mut self, most: u64) -> Vec<u8> {
        let length = self.next() % most;
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}
