//! A server for the commands to talk to: a root directory with a configuration, an engine and a transfer service that
//! answer as the test says and keep what they were asked. It knows the two sockets' formats, not the product's behaviour.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use clp_protocol::control::{
    CONTROL_VERSION, ClusterStatus, GroupStatus, MonitorStatus, PathStatus, Picture, Reply, Request, ResourceStatus, ServerStatus, Took,
};
use clp_services::request as transfer;

/// Where the commands under test live.
pub struct StandIn {
    directory: tempfile::TempDir,
    own: String,
    /// What the engine of this server was asked.
    pub asked: Arc<Mutex<Vec<Request>>>,
    /// What the transfer service of this server was asked.
    pub carried: Arc<Mutex<Vec<transfer::Request>>>,
}

impl StandIn {
    /// With the sample configuration in force, this server being its first; `None` (and a word) without root.
    pub fn new(test: &str) -> Option<StandIn> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: {test}: the commands need root");
            return None;
        }
        let stand_in = StandIn::empty();
        std::fs::write(stand_in.root().join("etc/clp.conf"), stand_in.sample()).unwrap();
        Some(stand_in)
    }

    /// Without a configuration.
    pub fn empty() -> StandIn {
        let directory = tempfile::tempdir().unwrap();
        for part in ["etc", "run"] {
            std::fs::create_dir(directory.path().join(part)).unwrap();
        }
        let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
        StandIn { directory, own, asked: Arc::default(), carried: Arc::default() }
    }

    /// The product's root.
    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    /// Name of this server.
    pub fn own(&self) -> &str {
        &self.own
    }

    /// The sample configuration, this server being its first.
    pub fn sample(&self) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/two-node-disk/clp.conf");
        std::fs::read_to_string(path).unwrap().replace("server1", &self.own)
    }

    /// An engine that answers.
    pub fn engine(&self, answer: impl Fn(&Request) -> Reply + Send + 'static) {
        let listener = UnixListener::bind(self.root().join("run/clusterpro.sock")).unwrap();
        let asked = self.asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut line = String::new();
                BufReader::new(&stream).read_line(&mut line).unwrap();
                let request: Request = serde_json::from_str(&line).unwrap();
                let reply = answer(&request);
                asked.lock().unwrap().push(request);
                let _ = (&stream).write_all((serde_json::to_string(&reply).unwrap() + "\n").as_bytes());
            }
        });
    }

    /// A transfer service that answers.
    pub fn transfer(&self, answer: impl Fn(&transfer::Request) -> transfer::Reply + Send + 'static) {
        let listener = UnixListener::bind(self.root().join("run/trn.sock")).unwrap();
        let carried = self.carried.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let request = read(&mut stream);
                let bytes = serde_json::to_vec(&answer(&request)).unwrap();
                carried.lock().unwrap().push(request);
                let _ = stream.write_all(&u32::try_from(bytes.len()).unwrap().to_be_bytes());
                let _ = stream.write_all(&bytes);
            }
        });
    }

    /// Run a command.
    pub fn run(&self, words: &[&str]) -> Ran {
        self.spawn(Command::new(env!("CARGO_BIN_EXE_clp")).args(words))
    }

    /// Run a pipeline in which every command is callable by its own name.
    pub fn shell(&self, line: &str) -> Ran {
        let bin = self.root().join("bin");
        if !bin.exists() {
            std::fs::create_dir(&bin).unwrap();
            for name in std::iter::once("clp").chain(clp_cli::commands::COMMANDS.iter().map(|command| command.name)) {
                std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_clp"), bin.join(name)).unwrap();
            }
        }
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        self.spawn(Command::new("bash").args(["-c", line]).env("PATH", path))
    }

    /// Run a program with the product's root.
    pub fn spawn(&self, command: &mut Command) -> Ran {
        let output = command.env("CLP_ROOT", self.root()).stdin(Stdio::null()).output().unwrap();
        Ran::from(output)
    }

    /// What the engine hands out of the sample: both servers run, the group is on this one.
    pub fn picture(&self) -> Picture {
        let document = clp_config::Document::read(self.sample().as_bytes()).unwrap();
        let configuration = clp_config::Configuration::from_document(&document).unwrap();
        let plan = clp_core::configured::plan(&configuration);
        let world = clp_whatif::World::booted(plan, clp_whatif::Surroundings::of(&configuration));
        let present = world.present(clp_core::ids::ServerId(0)).unwrap();
        let took = vec![Took { resource: "exec1".into(), activate_us: Some(2_000_000), deactivate_us: None }];
        let present = clp_protocol::picture::text(&present);
        Picture { time: "2030/01/02 03:04:05.678".into(), server: self.own().into(), present, took }
    }

    /// What the engine shows: two servers, one group that is active on this server.
    pub fn status(&self) -> ClusterStatus {
        let peers = || vec!["Normal".to_string(); 2];
        let path = |name: &str, kind: &str| PathStatus {
            name: name.into(),
            kind: kind.into(),
            status: "Normal".into(),
            peers: peers(),
            note: String::new(),
            refused: Vec::new(),
            statistics: Vec::new(),
            role: String::new(),
        };
        let server = |name: &str| ServerStatus {
            name: name.into(),
            comment: String::new(),
            status: "Online".into(),
            note: String::new(),
            paths: vec![path("lankhb1", "lankhb"), path("pingnp1", "pingnp")],
        };
        ClusterStatus {
            version: CONTROL_VERSION,
            cluster: "cluster".into(),
            comment: String::new(),
            suspended: false,
            timeout_ratio: None,
            local: self.own.clone(),
            coordinator: Some(self.own.clone()),
            right: "held".into(),
            servers: vec![server(&self.own), server("server2")],
            groups: vec![GroupStatus {
                name: "failover1".into(),
                comment: String::new(),
                kind: "failover".into(),
                status: "Online".into(),
                current: Some(self.own.clone()),
                resources: vec![ResourceStatus {
                    name: "fip1".into(),
                    kind: "fip".into(),
                    comment: String::new(),
                    status: "Online".into(),
                }],
                note: String::new(),
            }],
            monitors: vec![MonitorStatus {
                name: "userw".into(),
                kind: "userw".into(),
                comment: String::new(),
                status: "Normal".into(),
                servers: vec!["Online".into(); 2],
                note: String::new(),
            }],
        }
    }

    /// An engine that shows [`StandIn::status`] and does whatever else is asked.
    pub fn healthy(&self) {
        let status = self.status();
        self.engine(move |request| match request {
            Request::Status => Reply::Status(Box::new(status.clone())),
            _ => Reply::Done { details: Vec::new() },
        });
    }

    /// What the engine was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }
}

fn read(stream: &mut UnixStream) -> transfer::Request {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut bytes).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; -1 after a signal.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
