//! What commands use: this server's engine, and other servers through this server's `clusterpro_trn`. Holds no key.

use clp_protocol::control;
use clp_sys::paths::Root;

use crate::request::{Reply, Request, Shelf, StagedFile, Target};
use crate::{ask, stage, trust, wire};

/// Why a server could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReachError {
    /// Its cluster service does not run.
    #[error("the cluster service of {0} is not running; start it with clpcl -s")]
    NotRunning(String),
    /// The transfer service of this server does not run.
    #[error("the transfer service of this server is not running; start clusterpro_trn")]
    NoTransfer,
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// A request with who asks, for the record.
fn asking(request: &control::Request) -> Result<serde_json::Value, ReachError> {
    let mut value = serde_json::to_value(request).map_err(|cause| ReachError::Failed(cause.to_string()))?;
    if let Some(fields) = value.as_object_mut() {
        fields.insert(control::BY.into(), who().into());
    }
    Ok(value)
}

/// Who runs this program: its name, the person behind sudo, this server.
pub fn who() -> String {
    let program = std::env::args().next().unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or_default();
    let person = std::env::var("SUDO_USER").map(|user| format!(" (sudo by {user})")).unwrap_or_default();
    format!("{name}{person} on {}", clp_sys::identity::hostname())
}

/// Ask this server's engine.
///
/// # Errors
/// [`ReachError`].
pub fn engine(root: &Root, request: &control::Request) -> Result<control::Reply, ReachError> {
    let value = asking(request)?;
    match ask::engine(root, &value) {
        Ok(Some(reply)) => serde_json::from_value(reply).map_err(|cause| ReachError::Failed(cause.to_string())),
        Ok(None) => Err(ReachError::NotRunning(clp_sys::identity::hostname())),
        Err(reason) => Err(ReachError::Failed(reason)),
    }
}

/// Ask the transfer service of this server.
///
/// # Errors
/// [`ReachError`].
pub fn transfer(root: &Root, request: &Request) -> Result<Reply, ReachError> {
    let mut stream = ask::connect_to(&root.run().join("trn.sock")).map_err(|_| ReachError::NoTransfer)?;
    let failed = |cause: std::io::Error| ReachError::Failed(format!("the transfer service of this server: {cause}"));
    wire::write(&mut stream, request).map_err(failed)?;
    // It asks others for a long time, and itself answers at once.
    let is_alive = || matches!(request, Request::Version) || transfer(root, &Request::Version).is_ok();
    let limit = if matches!(request, Request::Version) { ask::ANSWER_LIMIT } else { ask::COMMAND_LIMIT };
    ask::wait_for_answer(&stream, limit, is_alive)
        .map_err(|words| ReachError::Failed(format!("the transfer service of this server (clusterpro_trn) {words}")))?;
    stream.set_read_timeout(Some(ask::ANSWER_LIMIT)).map_err(failed)?;
    match wire::read(&mut stream).map_err(failed)? {
        Reply::Failed { reason } => Err(ReachError::Failed(reason)),
        Reply::NotRunning { server } => Err(ReachError::NotRunning(server)),
        reply => Ok(reply),
    }
}

fn there(server: &str, addresses: &[String], inner: Request) -> Request {
    Request::Forward { server: server.into(), addresses: addresses.to_vec(), inner: Box::new(inner) }
}

/// Start the cluster service of a server (of this one when `server` is its name).
///
/// # Errors
/// [`ReachError`].
pub fn start_daemon(root: &Root, server: &str) -> Result<(), ReachError> {
    let request =
        if server == clp_sys::identity::hostname() { Request::StartDaemon } else { there(server, &[], Request::StartDaemon) };
    transfer(root, &request).map(drop)
}

/// Ask the engine of a server (of this one when `server` is its name).
///
/// # Errors
/// [`ReachError`].
pub fn relay(root: &Root, server: &str, request: &control::Request) -> Result<control::Reply, ReachError> {
    if server == clp_sys::identity::hostname() {
        return engine(root, request);
    }
    let request = asking(request)?;
    match transfer(root, &there(server, &[], Request::Relay { request }))? {
        Reply::Relayed { reply } => serde_json::from_value(reply).map_err(|cause| ReachError::Failed(cause.to_string())),
        other => Err(ReachError::Failed(format!("unexpected reply of {server}: {other:?}"))),
    }
}

/// Run a script that is kept on a server for that purpose, for `limit_s` seconds at most.
///
/// # Errors
/// [`ReachError`]; it may not be run there, or did not end well.
pub fn script(root: &Root, server: &str, shelf: Shelf, name: &str, limit_s: u64) -> Result<(), ReachError> {
    let request = Request::Script { shelf, name: name.into(), limit_s };
    let request = if server == clp_sys::identity::hostname() { request } else { there(server, &[], request) };
    transfer(root, &request).map(drop)
}

/// The configuration file in force on a server.
///
/// # Errors
/// [`ReachError`].
pub fn configuration(root: &Root, server: &str) -> Result<Vec<u8>, ReachError> {
    let own = server == clp_sys::identity::hostname();
    let request = if own { Request::Configuration } else { there(server, &[], Request::Configuration) };
    let reply = transfer(root, &request)?;
    let bytes = match &reply {
        Reply::Configuration { hex } => trust::unhex(hex),
        _ => None,
    };
    bytes.ok_or_else(|| ReachError::Failed(format!("unexpected reply of {server}: {reply:?}")))
}

/// Is the engine of a server answering?
///
/// # Errors
/// [`ReachError`].
pub fn is_running(root: &Root, server: &str, addresses: &[String]) -> Result<bool, ReachError> {
    let own = server == clp_sys::identity::hostname();
    let request = if own { Request::Version } else { there(server, addresses, Request::Version) };
    match transfer(root, &request)? {
        Reply::Version { engine, .. } => Ok(engine),
        other => Err(ReachError::Failed(format!("unexpected reply of {server}: {other:?}"))),
    }
}

/// Distribute a configuration to servers (name and addresses): kept ready everywhere first, then switched
/// everywhere by this server's transfer service, while no cluster service can start; if one cannot take it nothing changes
/// anywhere. Each switches to the old or the new one, whole. `switching` is called when the order to switch is given, from
/// where on it goes on without the caller.
///
/// # Errors
/// Names the servers that stood in the way.
pub fn push(
    root: &Root,
    files: &[StagedFile],
    servers: &[(String, Vec<String>)],
    mut progress: impl FnMut(&str),
    switching: impl FnOnce(),
) -> Result<(), ReachError> {
    let checksum = stage::checksum(files);
    // Numbers rise whatever the clock says: a clock that was set back must not make the data before look newer.
    let wall = clp_sys::clock::wall().as_millis().try_into().unwrap_or(u64::MAX);
    let generation = stage::in_force(root).map_or(wall, |before| wall.max(before.saturating_add(1)));
    let own = clp_sys::identity::hostname();
    let ask = |server: &(String, Vec<String>), request: Request| {
        if server.0 == own { transfer(root, &request) } else { transfer(root, &there(&server.0, &server.1, request)) }
    };
    for (index, server) in servers.iter().enumerate() {
        if let Err(cause) = ask(server, Request::Stage { generation, checksum: checksum.clone(), files: files.to_vec() }) {
            for server in &servers[..=index] {
                let _ = ask(server, Request::Abort { generation });
            }
            // Who cannot be reached is named already.
            let cause = cause.to_string();
            let whose = if cause.starts_with(&server.0) { String::new() } else { format!("{}: ", server.0) };
            return Err(ReachError::Failed(format!("{whose}{cause}; nothing was changed on any server")));
        }
        progress(&format!("{}: kept ready", server.0));
    }
    let servers = servers.iter().map(|(name, addresses)| Target { name: name.clone(), addresses: addresses.clone() }).collect();
    switching();
    transfer(root, &Request::Switch { generation, checksum, servers, by: who() }).map(drop)
}
