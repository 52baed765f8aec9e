//! The program `clusterpro_trn`: starts the cluster service when another server asks, relays control requests, takes
//! configurations. Runs also while the cluster is stopped.
//!
//! Two doors: TCP with mutual TLS for the other servers, a root-only unix socket for this server's commands. Every order is
//! written to `log/transfer.log`.

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clp_sys::paths::Root;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned};

use crate::request::{Reply, Request};
use crate::{stage, tls, trust, wire};

/// Connections served at once.
const CONNECTIONS_MAX: usize = 64;
/// For connecting and the handshake: a dead server must not hold a command up.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// For an ordinary exchange.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(30);
/// For a relayed command: scripts may take their time.
const COMMAND_LIMIT: Duration = Duration::from_secs(4 * 3600);
/// How long the engine may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(15);

/// Run the program; see its help.
pub fn main(arguments: &[String]) -> ExitCode {
    let result = match arguments.first().map(String::as_str) {
        Some("--make-trust") if arguments.len() >= 3 => trust::make(Path::new(&arguments[1]), &arguments[2..]),
        None => serve(&Root::from_env()),
        Some(_) => Err("usage: clusterpro_trn            run the transfer service in the foreground\n       clusterpro_trn --make-trust DIRECTORY SERVER…   make keys and certificates of a new cluster".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("clusterpro_trn: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Everything a connection needs.
#[derive(Clone)]
pub struct Service {
    root: Root,
    client: Arc<ClientConfig>,
}

/// Serve until killed.
///
/// # Errors
/// The trust or the port cannot be used.
pub fn serve(root: &Root) -> Result<(), String> {
    let port = configured(root).map_or(29002, |configuration| configuration.cluster.ports.transfer);
    let listener = TcpListener::bind(("0.0.0.0", port)).map_err(|cause| format!("cannot listen on TCP port {port}: {cause}"))?;
    serve_on(root, listener)
}

/// Serve on a listener of the caller's.
///
/// # Errors
/// As [`serve`].
pub fn serve_on(root: &Root, listener: TcpListener) -> Result<(), String> {
    let server = tls::server(&root.trust())?;
    let service = Service { root: root.clone(), client: tls::client(&root.trust())? };
    std::fs::create_dir_all(root.run()).map_err(|cause| format!("cannot create {}: {cause}", root.run().display()))?;
    let path = root.run().join("trn.sock");
    let _ = std::fs::remove_file(&path);
    let local = UnixListener::bind(&path).map_err(|cause| format!("cannot listen on {}: {cause}", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(|cause| cause.to_string())?;
    let doors = service.clone();
    std::thread::spawn(move || {
        for stream in local.incoming().flatten() {
            let service = doors.clone();
            spawn_bounded(move || service.local(stream));
        }
    });
    for stream in listener.incoming().flatten() {
        let (service, server) = (service.clone(), server.clone());
        spawn_bounded(move || service.remote(stream, server));
    }
    Ok(())
}

fn spawn_bounded(work: impl FnOnce() + Send + 'static) {
    static OPEN: AtomicUsize = AtomicUsize::new(0);
    if OPEN.fetch_add(1, Ordering::SeqCst) >= CONNECTIONS_MAX {
        OPEN.fetch_sub(1, Ordering::SeqCst);
        return;
    }
    std::thread::spawn(move || {
        work();
        OPEN.fetch_sub(1, Ordering::SeqCst);
    });
}

fn configured(root: &Root) -> Option<clp_config::Configuration> {
    let bytes = std::fs::read(root.conf()).ok()?;
    let document = clp_config::Document::read(&bytes).ok()?;
    clp_config::Configuration::from_document(&document).ok()
}

impl Service {
    fn local(&self, mut stream: UnixStream) {
        let is_root = rustix::net::sockopt::socket_peercred(&stream).is_ok_and(|peer| peer.uid.is_root());
        let _ = stream.set_read_timeout(Some(EXCHANGE_LIMIT));
        let Ok(request) = wire::read::<Request>(&mut stream) else { return };
        if !is_root {
            return;
        }
        let reply = match request {
            Request::Forward { server, addresses, inner } => self.forward(&server, &addresses, &inner),
            own => self.carry_out("this server", own),
        };
        let _ = wire::write(&mut stream, &reply);
    }

    fn remote(&self, stream: TcpStream, server: Arc<ServerConfig>) {
        let from = stream.peer_addr().map(|address| address.to_string()).unwrap_or_default();
        let _ = stream.set_read_timeout(Some(CONNECT_LIMIT));
        let _ = stream.set_write_timeout(Some(EXCHANGE_LIMIT));
        let _ = stream.set_nodelay(true);
        let Ok(connection) = ServerConnection::new(server) else { return };
        let mut stream = StreamOwned::new(connection, stream);
        let request = match wire::read::<Request>(&mut stream) {
            Ok(request) => request,
            Err(cause) => {
                self.log(&format!("{from}: refused: {cause}"));
                return;
            }
        };
        let reply = match request {
            Request::Forward { .. } => Reply::Failed { reason: "a server does not ask on behalf of another".into() },
            own => self.carry_out(&from, own),
        };
        let _ = wire::write(&mut stream, &reply);
        stream.conn.send_close_notify();
        let _ = stream.flush();
    }

    fn carry_out(&self, from: &str, request: Request) -> Reply {
        if !matches!(request, Request::Version | Request::Relay { .. }) {
            let mut words = format!("{request:?}");
            words.truncate(200);
            self.log(&format!("{from}: {words}"));
        }
        let done = |result: Result<(), String>| result.map_or_else(|reason| Reply::Failed { reason }, |()| Reply::Done);
        match request {
            Request::Version => {
                let engine = UnixStream::connect(self.root.run().join("clusterpro.sock")).is_ok();
                Reply::Version { version: env!("CARGO_PKG_VERSION").into(), engine }
            }
            Request::StartDaemon => done(self.start_daemon()),
            Request::Relay { request } => self.relay(&request),
            Request::Stage { generation, files } => done(stage::stage(&self.root, generation, &files)),
            Request::Commit { generation } => done(stage::commit(&self.root, generation)),
            Request::Abort { generation } => {
                stage::abort(&self.root, generation);
                Reply::Done
            }
            Request::Forward { .. } => Reply::Failed { reason: "asked twice to forward".into() },
        }
    }

    fn log(&self, line: &str) {
        let _ = std::fs::create_dir_all(self.root.log());
        let path = self.root.log().join("transfer.log");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        let _ = file.and_then(|mut file| writeln!(file, "{} {line}", clp_sys::clock::wall().as_secs()));
    }

    fn engine_answers(&self) -> bool {
        UnixStream::connect(self.root.run().join("clusterpro.sock")).is_ok()
    }

    fn start_daemon(&self) -> Result<(), String> {
        if self.engine_answers() {
            return Err("the cluster service is running already".into());
        }
        let program = self.root.bin().join("clusterpro");
        let said = self.root.log().join("start.out");
        let _ = std::fs::create_dir_all(self.root.log());
        let output = std::fs::File::create(&said).map_err(|cause| format!("cannot write {}: {cause}", said.display()))?;
        let mut command = Command::new(&program);
        command.stdin(Stdio::null()).stderr(output).stdout(Stdio::null()).current_dir("/").process_group(0);
        command.env("CLP_ROOT", self.root.path());
        let mut child = command.spawn().map_err(|cause| format!("cannot start {}: {cause}", program.display()))?;
        let until = Instant::now() + START_LIMIT;
        loop {
            if self.engine_answers() {
                // Reaped when it ends, so that it does not stay behind as a dead entry.
                std::thread::spawn(move || drop(child.wait()));
                return Ok(());
            }
            if let Ok(Some(status)) = child.try_wait() {
                let words = std::fs::read_to_string(&said).unwrap_or_default();
                return Err(format!("the cluster service ended at once ({status}): {}", words.trim()));
            }
            if Instant::now() >= until {
                return Err(format!(
                    "the cluster service does not answer within {} s; see {}",
                    START_LIMIT.as_secs(),
                    said.display()
                ));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn relay(&self, request: &serde_json::Value) -> Reply {
        match ask_engine(&self.root, request, COMMAND_LIMIT) {
            Ok(Some(reply)) => Reply::Relayed { reply },
            Ok(None) => Reply::NotRunning { server: clp_sys::identity::hostname() },
            Err(reason) => Reply::Failed { reason },
        }
    }

    fn forward(&self, server: &str, addresses: &[String], inner: &Request) -> Reply {
        let known = configured(&self.root);
        let port = known.as_ref().map_or(29002, |configuration| configuration.cluster.ports.transfer);
        let mut targets: Vec<IpAddr> = addresses.iter().filter_map(|address| address.parse().ok()).collect();
        if targets.is_empty() {
            let found = known.iter().flat_map(|configuration| &configuration.servers).find(|s| s.name == server);
            targets = found.map(clp_config::Server::lan_addresses).unwrap_or_default();
        }
        let mut reason = format!("{server} has no address in the configuration");
        for target in targets {
            match self.ask_remote(server, SocketAddr::new(target, port), inner) {
                Ok(reply) => return reply,
                Err(cause) => reason = format!("{server} ({target}): {cause}"),
            }
        }
        Reply::Failed { reason }
    }

    fn ask_remote(&self, server: &str, address: SocketAddr, request: &Request) -> Result<Reply, String> {
        let text = |cause: &dyn std::fmt::Display| cause.to_string();
        let stream = TcpStream::connect_timeout(&address, CONNECT_LIMIT).map_err(|cause| text(&cause))?;
        let _ = stream.set_nodelay(true);
        let limit = if matches!(request, Request::Relay { .. }) { COMMAND_LIMIT } else { EXCHANGE_LIMIT };
        stream.set_write_timeout(Some(CONNECT_LIMIT)).map_err(|cause| text(&cause))?;
        stream.set_read_timeout(Some(limit)).map_err(|cause| text(&cause))?;
        // A server that vanishes during a long command is noticed by the kernel's probes.
        let _ = rustix::net::sockopt::set_socket_keepalive(&stream, true);
        let _ = rustix::net::sockopt::set_tcp_keepidle(&stream, Duration::from_secs(5));
        let _ = rustix::net::sockopt::set_tcp_keepintvl(&stream, Duration::from_secs(2));
        let _ = rustix::net::sockopt::set_tcp_keepcnt(&stream, 3);
        let name = ServerName::try_from(server.to_string()).map_err(|cause| text(&cause))?;
        let connection = ClientConnection::new(self.client.clone(), name).map_err(|cause| text(&cause))?;
        let mut stream = StreamOwned::new(connection, stream);
        wire::write(&mut stream, request).map_err(|cause| text(&cause))?;
        wire::read(&mut stream).map_err(|cause| text(&cause))
    }
}

/// Ask this server's engine; None when it does not run.
///
/// # Errors
/// It ended during the question, or answered nonsense.
pub fn ask_engine(root: &Root, request: &serde_json::Value, limit: Duration) -> Result<Option<serde_json::Value>, String> {
    let Ok(mut stream) = UnixStream::connect(root.run().join("clusterpro.sock")) else { return Ok(None) };
    let text = |cause: &dyn std::fmt::Display| format!("the engine: {cause}");
    stream.set_read_timeout(Some(limit)).map_err(|cause| text(&cause))?;
    stream.write_all(format!("{request}\n").as_bytes()).map_err(|cause| text(&cause))?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).map_err(|cause| text(&cause))?;
    if line.is_empty() {
        return Err("the engine ended before it answered".into());
    }
    serde_json::from_str(&line).map(Some).map_err(|cause| text(&cause))
}
