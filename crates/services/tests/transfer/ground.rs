//! A root directory with trust and configuration, the service on it, and a client that can misbehave.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use clp_services::{
    request::{Reply, Request},
    stage, transfer, trust,
};
use clp_sys::paths::Root;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tempfile::TempDir;

/// Longest wait for something that takes milliseconds.
pub const SOON: Duration = Duration::from_secs(10);

/// A server's files.
pub struct Ground {
    directory: TempDir,
    pub root: Root,
    pub port: u16,
}

/// An open connection with its handshake done.
pub type Line = StreamOwned<ClientConnection, TcpStream>;

impl Ground {
    /// The place of `server1` in a cluster of `server1` and `server2`; the authority also knows `server3`, which is not
    /// in the configuration.
    pub fn new() -> Ground {
        let directory = tempfile::tempdir().unwrap();
        let names = ["server1", "server2", "server3"].map(String::from);
        trust::make(&directory.path().join("trust"), &names).unwrap();
        let root = Root::at(directory.path().join("root"));
        for place in [root.trust(), root.scripts(), root.log(), root.bin()] {
            fs::create_dir_all(place).unwrap();
        }
        for (from, to) in [("ca.pem", "ca.pem"), ("server1.pem", "server.pem"), ("server1.key", "server.key")] {
            fs::copy(directory.path().join("trust").join(from), root.trust().join(to)).unwrap();
        }
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let ground = Ground { directory, root, port };
        fs::write(ground.root.conf(), ground.conf("by hand")).unwrap();
        fs::create_dir_all(ground.root.scripts().join("failover1/exec1")).unwrap();
        fs::write(ground.root.scripts().join("failover1/exec1/start.sh"), "#!/bin/sh\necho by hand\n").unwrap();
        ground
    }

    /// A configuration of server1 and server2 with a word of its own.
    pub fn conf(&self, word: &str) -> String {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/two-node-disk/clp.conf");
        let port = format!("<mainstay><port><transfer>{}</transfer></port>", self.port);
        let text = fs::read_to_string(sample).unwrap().replace("<mainstay>", &port);
        text.replace("two servers, one shared disk", word)
    }

    /// A configuration to push: clp.conf and three scripts, all with the word.
    pub fn files(&self, word: &str) -> Vec<clp_services::request::StagedFile> {
        let directory = self.directory.path().join(format!("push-{word}"));
        for script in ["failover1/exec1/start.sh", "failover1/exec1/stop.sh", "monitor.s/genw1/genw.sh"] {
            let file = directory.join("scripts").join(script);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, format!("#!/bin/sh\necho {word}\n")).unwrap();
        }
        fs::write(directory.join("clp.conf"), self.conf(word)).unwrap();
        stage::collect(&directory).unwrap()
    }

    pub fn stage_request(&self, generation: u64, word: &str) -> Request {
        let files = self.files(word);
        Request::Stage { generation, checksum: stage::checksum(&files), files }
    }

    pub fn commit_request(&self, generation: u64, word: &str) -> Request {
        Request::Commit { generation, checksum: stage::checksum(&self.files(word)), by: "a test".into() }
    }

    /// The word of the configuration in force; fails unless clp.conf and every script have the same.
    pub fn word(&self) -> String {
        let files = in_force(&self.root);
        let words: Vec<&str> = ["by hand", "first", "second"]
            .into_iter()
            .filter(|word| {
                files.values().any(|text| text.contains(&format!("<comment>{word}<")) || text.contains(&format!("echo {word}\n")))
            })
            .collect();
        assert_eq!(words.len(), 1, "a mixture of {words:?}: {:?}", files.keys());
        let expected = if words[0] == "by hand" { 2 } else { 4 };
        assert_eq!(files.len(), expected, "{} is not whole: {:?}", words[0], files.keys());
        words[0].to_string()
    }

    /// Runs the service in this process; its address.
    pub fn serve(&self) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let root = self.root.clone();
        std::thread::spawn(move || transfer::serve_on(&root, listener).unwrap());
        until("the service listens", || self.root.run().join("trn.sock").exists());
        address
    }

    /// Certificates and keys that `--make-trust` made.
    pub fn trust(&self) -> PathBuf {
        self.directory.path().join("trust")
    }

    /// A place for other files of this test.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.root.log().join("transfer.log")).unwrap_or_default()
    }

    /// Asks as a server that has a certificate of this cluster.
    pub fn ask_as(&self, server: &str, address: SocketAddr, request: &Request) -> io::Result<Reply> {
        exchange(&mut connect(&self.trust(), Some((&self.trust(), server)), address)?, request)
    }

    /// Asks as server2; it must be answered.
    pub fn ask(&self, address: SocketAddr, request: &Request) -> Reply {
        self.ask_as("server2", address, request).unwrap()
    }
}

/// The files in force, as the engine finds them.
pub fn in_force(root: &Root) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    files.insert("clp.conf".to_string(), fs::read_to_string(root.conf()).unwrap());
    gather(&root.scripts(), &mut files);
    files
}

fn gather(directory: &Path, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, files);
        } else {
            files.insert(path.display().to_string(), fs::read_to_string(&path).unwrap());
        }
    }
}

/// A TLS connection to `server1` that trusts the authority in `authority` and shows `own`'s certificate.
pub fn connect(authority: &Path, own: Option<(&Path, &str)>, address: SocketAddr) -> io::Result<Line> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.join("ca.pem")).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let config = match own {
        Some((trust, server)) => {
            let chain = vec![CertificateDer::from_pem_file(trust.join(format!("{server}.pem"))).unwrap()];
            let key = PrivateKeyDer::from_pem_file(trust.join(format!("{server}.key"))).unwrap();
            config.with_client_auth_cert(chain, key).unwrap()
        }
        None => config.with_no_client_auth(),
    };
    let mut stream = TcpStream::connect_timeout(&address, SOON)?;
    stream.set_read_timeout(Some(SOON))?;
    stream.set_write_timeout(Some(SOON))?;
    let mut connection = ClientConnection::new(Arc::new(config), "server1".try_into().unwrap()).map_err(io::Error::other)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(connection, stream))
}

/// One question and its answer.
pub fn exchange(line: &mut Line, request: &Request) -> io::Result<Reply> {
    let bytes = serde_json::to_vec(request).unwrap();
    line.write_all(&u32::try_from(bytes.len()).unwrap().to_be_bytes())?;
    line.write_all(&bytes)?;
    line.flush()?;
    answer(line)
}

pub fn answer(line: &mut Line) -> io::Result<Reply> {
    let mut length = [0; 4];
    line.read_exact(&mut length)?;
    let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
    line.read_exact(&mut bytes)?;
    serde_json::from_slice(&bytes).map_err(io::Error::other)
}

pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let limit = Instant::now() + SOON;
    while !condition() {
        assert!(Instant::now() < limit, "{what}: not within {SOON:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The built program on a root, killed when dropped.
pub struct Shipped(pub Child);

impl Shipped {
    /// `prefix` may be a command that runs the program, such as `unshare`.
    pub fn start(ground: &Ground, root: &Path, prefix: &[&str]) -> Shipped {
        let own = std::env::current_exe().unwrap();
        let program = own.parent().and_then(Path::parent).unwrap().join("clusterpro");
        assert!(program.exists(), "the product is not built: cargo build --workspace");
        let socket = ground.root.run().join("trn.sock");
        let _ = fs::remove_file(&socket);
        let mut words: Vec<&str> = prefix.to_vec();
        let program = program.to_string_lossy().into_owned();
        words.extend([program.as_str(), "clusterpro_trn"]);
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .env("CLP_ROOT", root)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ground.port));
        until("the program serves", || {
            if let Some(status) = child.try_wait().unwrap() {
                let mut said = String::new();
                child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
                panic!("the program ended ({status}): {said}");
            }
            TcpStream::connect(address).is_ok()
        });
        Shipped(child)
    }

    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Shipped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
