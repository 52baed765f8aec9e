//! What `clptrnreq` and `clprexec` share: several servers are asked for the same, a script or a failover.

use clp_protocol::control::Request;
use clp_services::client;
use clp_services::request::Shelf;
use clp_sys::paths::Root;

use super::{joined, order, server_name};
use crate::declaration::Failure;
use crate::parse::Parsed;
use crate::{screen, waiting};

/// Seconds for a script when none are given.
const SCRIPT_LIMIT_S: u64 = 30;

/// The servers of `-h`, each once; every one of them exists.
pub fn servers(root: &Root, parsed: &Parsed) -> Result<Vec<String>, Failure> {
    let mut servers = Vec::new();
    for host in parsed.value("-h").unwrap_or_default().split(',') {
        let server = server_name(root, host.trim())?;
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    Ok(servers)
}

/// Let each server run a script of its own with this name.
pub fn script(root: &Root, parsed: &Parsed, shelf: Shelf, name: &str) -> Result<(), Failure> {
    let servers = servers(root, parsed)?;
    // The parser has let through nothing but whole seconds.
    let limit = parsed.value("-w").and_then(|seconds| seconds.parse().ok()).unwrap_or(SCRIPT_LIMIT_S);
    waiting::goes_on(format!("{name} is ended on {} when its time is over; see the alert log there", joined(&servers)));
    each(&servers, |server| client::script(root, server, shelf, name, limit).map_err(|cause| Failure::new(cause.to_string())))
}

/// Let each server give up a group, or all of its groups, to the next server of the failover policy.
pub fn failover(root: &Root, parsed: &Parsed, group: Option<&str>) -> Result<(), Failure> {
    let servers = servers(root, parsed)?;
    waiting::goes_on("the failover goes on; see clpstat");
    each(&servers, |server| {
        let request = Request::GroupMove { group: group.map(String::from), from: Some(server.into()), to: None };
        order(root, Some(server), &request)
    })
}

/// At the same time: one that does not answer does not hold the others up.
fn each(servers: &[String], ask: impl Fn(&str) -> Result<(), Failure> + Sync) -> Result<(), Failure> {
    let failed: Vec<String> = std::thread::scope(|scope| {
        let ask = &ask;
        let asked: Vec<_> = servers.iter().map(|server| scope.spawn(move || ask(server))).collect();
        let ended = asked.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(Failure::new("the command failed"))));
        ended.filter_map(|result| result.err().map(|Failure(words)| words)).collect()
    });
    if !failed.is_empty() {
        return Err(Failure::new(failed.join("\n")));
    }
    screen::line("Command succeeded.");
    Ok(())
}
