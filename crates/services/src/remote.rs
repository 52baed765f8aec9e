//! Asking another server over mutual TLS: all its addresses at once, and the request on one connection only.
//!
//! A request that was sent is never sent again by itself: it may have been carried out although its answer was lost.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::door::Bounded;
use crate::request::{Reply, Request};
use crate::{ask, script, wire};

/// For connecting and the handshake together: a dead or silent server must not hold a command up.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// For an ordinary exchange: a configuration of many scripts over a slow LAN.
pub const EXCHANGE_LIMIT: Duration = Duration::from_secs(30);

type Line = StreamOwned<ClientConnection, Bounded>;

/// Ask `server` at the first of its addresses where it answers with its certificate.
///
/// # Errors
/// In words: it has no address, cannot be reached, or broke off.
pub fn ask(client: &Arc<ClientConfig>, server: &str, targets: &[SocketAddr], request: &Request) -> Result<Reply, String> {
    if targets.is_empty() {
        return Err(format!("{server} has no address in the configuration"));
    }
    let mut line = connect(client, server, targets)?;
    let limit = match request {
        Request::Relay { request } if !ask::is_question(request) => ask::COMMAND_LIMIT,
        // Ended there at its limit, and that takes a moment.
        Request::Script { limit_s, .. } => Duration::from_secs(*limit_s).min(script::LIMIT_MAX) + EXCHANGE_LIMIT,
        _ => EXCHANGE_LIMIT,
    };
    line.sock.allow(limit);
    let broken = |cause: std::io::Error| format!("{server} broke off: {cause}");
    wire::write(&mut line, request).map_err(broken)?;
    wire::read(&mut line).map_err(broken)
}

fn connect(client: &Arc<ClientConfig>, server: &str, targets: &[SocketAddr]) -> Result<Line, String> {
    let name = ServerName::try_from(server.to_string()).map_err(|cause| format!("{server}: {cause}"))?;
    let (results, lines) = channel();
    for target in targets {
        let (client, name, target, results) = (client.clone(), name.clone(), *target, results.clone());
        // A thread that cannot be made counts as an address without an answer.
        let _ = std::thread::Builder::new().spawn(move || {
            let _ = results.send((target, handshake(client, name, target)));
        });
    }
    drop(results);
    let mut failed: Vec<(SocketAddr, String)> = Vec::new();
    for (target, line) in lines {
        match line {
            Ok(line) => return Ok(line),
            Err(cause) => failed.push((target, cause)),
        }
    }
    failed.sort_by_key(|(target, _)| targets.iter().position(|known| known == target));
    let same = failed.iter().all(|(_, cause)| *cause == failed[0].1);
    Err(match failed.first() {
        Some((_, cause)) if same => {
            let addresses: Vec<String> = failed.iter().map(|(target, _)| target.ip().to_string()).collect();
            format!("{server} ({}) cannot be reached: {cause}", addresses.join(", "))
        }
        _ => {
            let each: Vec<String> = failed.iter().map(|(target, cause)| format!("{}: {cause}", target.ip())).collect();
            format!("{server} cannot be reached: {}", each.join("; "))
        }
    })
}

fn handshake(client: Arc<ClientConfig>, name: ServerName<'static>, target: SocketAddr) -> Result<Line, String> {
    let text = |cause: &dyn std::fmt::Display| cause.to_string();
    let begin = Instant::now();
    let stream = TcpStream::connect_timeout(&target, CONNECT_LIMIT).map_err(|cause| text(&cause))?;
    let _ = stream.set_nodelay(true);
    // A server that vanishes during a long command is noticed by the kernel's probes.
    let _ = rustix::net::sockopt::set_socket_keepalive(&stream, true);
    let _ = rustix::net::sockopt::set_tcp_keepidle(&stream, Duration::from_secs(5));
    let _ = rustix::net::sockopt::set_tcp_keepintvl(&stream, Duration::from_secs(2));
    let _ = rustix::net::sockopt::set_tcp_keepcnt(&stream, 3);
    let connection = ClientConnection::new(client, name).map_err(|cause| text(&cause))?;
    let sock = Bounded::new(stream, CONNECT_LIMIT.saturating_sub(begin.elapsed()));
    let mut line = StreamOwned::new(connection, sock);
    while line.conn.is_handshaking() {
        line.conn.complete_io(&mut line.sock).map_err(|cause| text(&cause))?;
    }
    Ok(line)
}
