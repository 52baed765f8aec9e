//! The program `clusterpro_trn`: starts the cluster service when another server asks, relays control requests, takes
//! configurations, runs scripts that are kept for that (`script.rs`). Runs also while the cluster is stopped.
//!
//! Two doors: TCP with mutual TLS for the other servers of the configuration in force, a root-only unix socket for this
//! server's commands. Every order is written to `log/transfer.log`.

use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clp_alerts::Alert;
use clp_sys::paths::Root;
use rustls::{ClientConfig, ServerConfig, ServerConnection, StreamOwned};

use crate::door::{Bounded, Door, Place, REFUSED_PAUSE};
use crate::hold::{self, Holds};
use crate::remote::{self, CONNECT_LIMIT, EXCHANGE_LIMIT};
use crate::request::{Reply, Request, Target};
use crate::script::{self, Asked, Scripts};
use crate::{alertlog, ask, stage, tls, trust, wire};

/// Authenticated connections, and commands of this server, served at once: each server may ask twice at the same time.
const SERVED_MAX: usize = 64;
/// How long the engine may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(15);
/// Size of `transfer.log` from which it is put aside: strangers write to it too, and must not fill the disk.
const LOG_MAX: u64 = 1024 * 1024;

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
            let _ = writeln!(std::io::stderr(), "clusterpro_trn: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Everything a connection needs.
struct Service {
    root: Root,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    served: Arc<AtomicUsize>,
    commands: Arc<AtomicUsize>,
    /// Two starts at once would be two parents.
    starting: Mutex<()>,
    holds: Arc<Holds>,
    scripts: Scripts,
}

/// Serve until killed.
///
/// # Errors
/// The trust or the port cannot be used.
pub fn serve(root: &Root) -> Result<(), String> {
    let _ = clp_sys::shortage::spare_me();
    let port = configured(root).map_or(29002, |configuration| configuration.cluster.ports.transfer);
    let listener = TcpListener::bind(("0.0.0.0", port)).map_err(|cause| format!("cannot listen on TCP port {port}: {cause}"))?;
    serve_on(root, listener)
}

/// Serve on a listener of the caller's.
///
/// # Errors
/// As [`serve`].
pub fn serve_on(root: &Root, listener: TcpListener) -> Result<(), String> {
    let service = Arc::new(Service {
        root: root.clone(),
        client: tls::client(&root.trust())?,
        server: tls::server(&root.trust())?,
        served: Arc::default(),
        commands: Arc::default(),
        starting: Mutex::default(),
        holds: Arc::default(),
        scripts: Scripts::default(),
    });
    std::fs::create_dir_all(root.run()).map_err(|cause| format!("cannot create {}: {cause}", root.run().display()))?;
    let path = root.run().join("trn.sock");
    let _ = std::fs::remove_file(&path);
    let local = UnixListener::bind(&path).map_err(|cause| format!("cannot listen on {}: {cause}", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(|cause| cause.to_string())?;
    let inside = service.clone();
    std::thread::spawn(move || inside.listen_local(&local));
    let door = Arc::new(Door::default());
    loop {
        let Ok((stream, from)) = listener.accept() else {
            service.short_of_files();
            continue;
        };
        let Ok(place) = door.enter(&stream, from.ip()) else { continue };
        let service = service.clone();
        // Without a thread the connection is closed, and its place left.
        let _ = std::thread::Builder::new().spawn(move || service.remote(stream, from, place));
    }
}

/// One of a bounded number; given back when dropped, also by a panic.
struct Share(Arc<AtomicUsize>);

impl Share {
    fn of(all: &Arc<AtomicUsize>) -> Option<Share> {
        let share = Share(all.clone());
        (all.fetch_add(1, Ordering::SeqCst) < SERVED_MAX).then_some(share)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

const BUSY: &str = "too many requests at once; try again";

pub(crate) fn configured(root: &Root) -> Option<clp_config::Configuration> {
    let bytes = std::fs::read(root.conf()).ok()?;
    let document = clp_config::Document::read(&bytes).ok()?;
    clp_config::Configuration::from_document(&document).ok()
}

impl Service {
    fn listen_local(self: &Arc<Service>, listener: &UnixListener) {
        loop {
            let Ok((mut stream, _)) = listener.accept() else {
                self.short_of_files();
                continue;
            };
            let _ = stream.set_write_timeout(Some(EXCHANGE_LIMIT));
            let Some(share) = Share::of(&self.commands) else {
                let _ = wire::write(&mut stream, &Reply::Failed { reason: BUSY.into() });
                continue;
            };
            let service = self.clone();
            let _ = std::thread::Builder::new().spawn(move || {
                service.local(stream);
                drop(share);
            });
        }
    }

    /// The kernel refused a connection, most often for want of files: a limit that somebody lowered is raised again.
    fn short_of_files(&self) {
        if let Some((was, now)) = clp_sys::shortage::keep_files() {
            let words = format!("its limit was {was} and is {now} again");
            self.say(&Alert::files_short("clusterpro_trn", &words));
        }
        std::thread::sleep(REFUSED_PAUSE);
    }

    fn local(&self, mut stream: UnixStream) {
        if !rustix::net::sockopt::socket_peercred(&stream).is_ok_and(|peer| peer.uid.is_root()) {
            return;
        }
        let _ = stream.set_read_timeout(Some(EXCHANGE_LIMIT));
        let Ok(request) = wire::read::<Request>(&mut stream) else { return };
        let reply = match request {
            Request::Forward { server, addresses, inner } => self.forward(&server, &addresses, &inner),
            Request::Switch { generation, checksum, servers, by } => self.switch(generation, &checksum, &servers, &by),
            own => self.carry_out("this server", own),
        };
        let _ = wire::write(&mut stream, &reply);
    }

    fn remote(&self, stream: TcpStream, from: SocketAddr, place: Place) {
        let _ = stream.set_nodelay(true);
        let Ok(connection) = ServerConnection::new(self.server.clone()) else { return };
        let mut stream = StreamOwned::new(connection, Bounded::new(stream, CONNECT_LIMIT));
        while stream.conn.is_handshaking() {
            if let Err(cause) = stream.conn.complete_io(&mut stream.sock) {
                self.log(&format!("{from}: refused: {cause}"));
                return;
            }
        }
        // Its certificate is the cluster's: from here on it is no stranger.
        drop(place);
        stream.sock.allow(EXCHANGE_LIMIT);
        let reply = match self.answer(&mut stream, from) {
            Ok(reply) => reply,
            Err(cause) => {
                self.log(&format!("{from}: no request: {cause}"));
                return;
            }
        };
        stream.sock.allow(EXCHANGE_LIMIT);
        let _ = wire::write(&mut stream, &reply);
        stream.conn.send_close_notify();
        let _ = stream.flush();
    }

    fn answer(&self, stream: &mut StreamOwned<ServerConnection, Bounded>, from: SocketAddr) -> std::io::Result<Reply> {
        let Some(_share) = Share::of(&self.served) else { return Ok(Reply::Failed { reason: BUSY.into() }) };
        // Read before it is judged: who is refused while still writing would see a broken pipe in place of the reason.
        let request = wire::read::<Request>(stream)?;
        let certificate = stream.conn.peer_certificates().and_then(<[_]>::first);
        if let Some(configuration) = configured(&self.root) {
            let names = configuration.servers.iter().map(|server| server.name.as_str());
            if !certificate.is_some_and(|certificate| tls::is_for_one_of(certificate, names)) {
                self.log(&format!("{from}: refused: its certificate is for no server of the configuration in force"));
                let own = clp_sys::identity::hostname();
                let reason = format!("your certificate is for no server of the configuration in force on {own}");
                return Ok(Reply::Failed { reason });
            }
        }
        Ok(match request {
            Request::Forward { .. } | Request::Switch { .. } => {
                Reply::Failed { reason: "a server does not ask on behalf of another".into() }
            }
            own => self.carry_out(&self.named(from), own),
        })
    }

    /// The server behind an address, as the record shows it.
    fn named(&self, from: SocketAddr) -> String {
        let servers = configured(&self.root).map(|configuration| configuration.servers).unwrap_or_default();
        let server = servers.iter().find(|server| server.lan_addresses().contains(&from.ip()));
        server.map_or_else(|| from.to_string(), |server| format!("server {} ({from})", server.name))
    }

    fn carry_out(&self, from: &str, request: Request) -> Reply {
        if let Some(words) = order_in_words(&request) {
            self.log(&format!("{from}: {words}"));
        }
        let done = |result: Result<(), String>| result.map_or_else(|reason| Reply::Failed { reason }, |()| Reply::Done);
        match request {
            Request::Version => Reply::Version { version: env!("CARGO_PKG_VERSION").into(), engine: self.engine_answers() },
            Request::StartDaemon => done(self.start_asked(from)),
            Request::Relay { request } => self.relay(&request),
            Request::Script { shelf, name, limit_s } => {
                let asked = Asked { from, shelf, name: &name, limit: Duration::from_secs(limit_s) };
                done(script::run(&self.root, &self.scripts, asked))
            }
            Request::Configuration => match std::fs::read(self.root.conf()) {
                Ok(bytes) => Reply::Configuration { hex: trust::hex(&bytes) },
                Err(cause) => Reply::Failed {
                    reason: format!("{}: {} cannot be read: {cause}", clp_sys::identity::hostname(), self.root.conf().display()),
                },
            },
            Request::Stage { generation, checksum, files } => done(stage::stage(&self.root, generation, &checksum, &files)),
            Request::Hold { generation } => done(self.hold(generation)),
            Request::Commit { generation, checksum, by } => done(self.commit(generation, &checksum, &by)),
            Request::Release { generation } => {
                self.holds.release(generation);
                Reply::Done
            }
            Request::Abort { generation } => {
                self.holds.release(generation);
                done(stage::abort(&self.root, generation))
            }
            Request::Forward { .. } | Request::Switch { .. } => Reply::Failed { reason: "asked twice to forward".into() },
        }
    }

    fn log(&self, line: &str) {
        let _ = std::fs::create_dir_all(self.root.log());
        let path = self.root.log().join("transfer.log");
        if std::fs::metadata(&path).is_ok_and(|file| file.len() > LOG_MAX) {
            let _ = std::fs::rename(&path, path.with_extension("log.1"));
        }
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        let _ = file.and_then(|mut file| writeln!(file, "{} {line}", clp_sys::clock::wall().as_secs()));
    }

    /// Does an engine run? One that is being ended may still take connections, and answers none; one that is stuck runs.
    fn engine_answers(&self) -> bool {
        match ask::engine(&self.root, &serde_json::json!({ "request": "status" })) {
            Ok(answer) => answer.is_some(),
            Err(_) => UnixStream::connect(self.root.run().join("clusterpro.sock")).is_ok(),
        }
    }

    /// Does the cluster service run, once it has arrived where it is going? One that was just stopped is still on its way out,
    /// and one that was just started does not answer yet.
    fn service_runs(&self) -> Result<bool, String> {
        let until = Instant::now() + START_LIMIT;
        loop {
            if self.engine_answers() {
                return Ok(true);
            }
            if !hold::is_locked(&self.root) {
                return Ok(false);
            }
            if Instant::now() >= until {
                let own = clp_sys::identity::hostname();
                return Err(format!("the cluster service of {own} neither answers nor ends within {} s", START_LIMIT.as_secs()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A start that is under way ends first: it is running then.
    fn hold(&self, generation: u64) -> Result<(), String> {
        let _turn = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        // Where a push holds it nothing runs.
        let is_running = !self.holds.keeps_service() && self.service_runs()?;
        self.holds.take(&self.root, generation, is_running)
    }

    fn commit(&self, generation: u64, checksum: &str, by: &str) -> Result<(), String> {
        let is_held = self.holds.has(generation);
        if !is_held {
            self.hold(generation)?;
        }
        let result = stage::commit(&self.root, generation, checksum);
        if result.is_ok() {
            self.say(&Alert::configuration_uploaded(if by.is_empty() { "clpcfctrl" } else { by }));
        }
        if !is_held {
            self.holds.release(generation);
        }
        result
    }

    /// What was kept ready everywhere is switched to: every server is held first, so that no cluster service starts between
    /// the question and the switch; one that cannot be held, and nothing changes anywhere.
    fn switch(&self, generation: u64, checksum: &str, servers: &[Target], by: &str) -> Reply {
        let own = clp_sys::identity::hostname();
        let ask = |server: &Target, request: Request| {
            let reply = if server.name == own {
                self.carry_out("this server", request)
            } else {
                self.forward(&server.name, &server.addresses, &request)
            };
            match reply {
                Reply::Done => Ok(()),
                // Who cannot be reached is named already.
                Reply::Failed { reason } if reason.starts_with(&server.name) => Err(reason),
                Reply::Failed { reason } => Err(format!("{}: {reason}", server.name)),
                other => Err(format!("{}: unexpected reply: {other:?}", server.name)),
            }
        };
        if let Err(reason) = servers.iter().try_for_each(|server| ask(server, Request::Hold { generation })) {
            for server in servers {
                let _ = ask(server, Request::Abort { generation });
            }
            return Reply::Failed { reason: format!("{reason}; nothing was changed on any server") };
        }
        // The others are not left behind for the sake of one: its answer may have been lost after the switch.
        let behind: Vec<String> = servers
            .iter()
            .filter_map(|server| {
                ask(server, Request::Commit { generation, checksum: checksum.to_string(), by: by.to_string() }).err()
            })
            .collect();
        for server in servers {
            let _ = ask(server, Request::Release { generation });
        }
        if behind.is_empty() {
            return Reply::Done;
        }
        let behind = behind.join("; ");
        Reply::Failed { reason: format!("{behind}; there the old configuration may still be in force: push again") }
    }

    /// Start the cluster service, and record who wanted it.
    fn start_asked(&self, from: &str) -> Result<(), String> {
        let object = format!("server {}", clp_sys::identity::hostname());
        self.say(&Alert::cluster_start_asked(&object, from));
        self.start_daemon().inspect_err(|reason| self.say(&Alert::cluster_start_failed(&object, reason)))
    }

    /// Record an alert; what it tells of is true whether it can be recorded or not.
    fn say(&self, alert: &Alert) {
        if let Err(cause) = alertlog::write(&self.root, alert, alertlog::records_kept(&self.root)) {
            self.log(&format!("an alert could not be recorded: {cause}: {alert}"));
        }
    }

    fn start_daemon(&self) -> Result<(), String> {
        let _turn = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if self.holds.keeps_service() {
            return Err("a configuration is being distributed to this server just now; try again in a moment".into());
        }
        if self.service_runs()? {
            return Err(format!("the cluster service of {} is running already", clp_sys::identity::hostname()));
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
        match ask::engine(&self.root, request) {
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
        let targets: Vec<SocketAddr> = targets.into_iter().map(|target| SocketAddr::new(target, port)).collect();
        remote::ask(&self.client, server, &targets, inner).unwrap_or_else(|reason| Reply::Failed { reason })
    }
}

/// What the log says about a request; nothing about questions. Never its content, which may be long.
fn order_in_words(request: &Request) -> Option<String> {
    match request {
        Request::Version | Request::Relay { .. } | Request::Configuration => None,
        Request::Script { shelf, name, limit_s } => {
            Some(format!("run {}/{} for {limit_s} s at most", shelf.word(), name.escape_default()))
        }
        Request::StartDaemon => Some("start the cluster service".into()),
        Request::Stage { generation, files, .. } => Some(format!("keep generation {generation} of {} files ready", files.len())),
        Request::Hold { generation } => Some(format!("hold the cluster service for generation {generation}")),
        Request::Release { generation } => Some(format!("generation {generation} no longer holds the cluster service")),
        Request::Switch { generation, servers, .. } => {
            Some(format!("switch {} servers to generation {generation}", servers.len()))
        }
        Request::Commit { generation, .. } => Some(format!("use generation {generation}")),
        Request::Abort { generation } => Some(format!("forget generation {generation}")),
        Request::Forward { server, .. } => Some(format!("forward to {}", server.escape_default())),
    }
}
