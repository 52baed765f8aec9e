//! clpcl: start, stop, suspend and resume the cluster service.

use std::time::{Duration, Instant};

use clp_protocol::control::{AfterStop, Request};
use clp_services::client::{self, ReachError};
use clp_sys::paths::Root;

use super::{ask, configuration, failure, order, root, server_name};
use crate::options::{Command, Failure, Opt, Parsed, usage};
use crate::screen;

/// Its declaration.
pub const COMMAND: Command = Command {
    name: "clpcl",
    summary: "start, stop, restart, suspend and resume the cluster service",
    usage: &["-s [-a | -h HOST]", "-t [-a | -h HOST]", "-r [-a | -h HOST]", "--suspend", "--resume"],
    options: &[
        Opt { name: "-s", value: None, help: "start the service here, on HOST or on all servers" },
        Opt { name: "-t", value: None, help: "stop it; groups fail over unless all servers stop" },
        Opt { name: "-r", value: None, help: "stop it, then start it" },
        Opt { name: "--suspend", value: None, help: "rest monitoring and takeovers on all servers; groups go on" },
        Opt { name: "--resume", value: None, help: "end that" },
        Opt { name: "-a", value: None, help: "on all servers" },
        Opt { name: "-h", value: Some("HOST"), help: "on this server" },
    ],
    run,
};

/// How long a stopped service may take to be gone before it is started again.
const GONE_LIMIT: Duration = Duration::from_secs(60);

fn run(parsed: &Parsed) -> Result<(), Failure> {
    let root = root();
    if !parsed.words.is_empty() {
        return Err(Failure::new(format!("clpcl: {} is not expected\n{}", parsed.words[0], usage(&COMMAND))));
    }
    let all = parsed.has("-a");
    if all && parsed.has("-h") {
        return Err(Failure::new(format!("clpcl: -a means all servers and -h one: give one of them\n{}", usage(&COMMAND))));
    }
    let servers = match parsed.value("-h") {
        Some(host) => vec![server_name(&root, host)?],
        None if all => configuration(&root)?.servers.into_iter().map(|server| server.name).collect(),
        None => vec![clp_sys::identity::hostname()],
    };
    match (parsed.has("-s"), parsed.has("-t"), parsed.has("-r"), parsed.has("--suspend"), parsed.has("--resume")) {
        (true, false, false, false, false) => report("Start", start(&root, &servers), all),
        (false, true, false, false, false) => report("Stop", stop(&root, &servers, all), all),
        (false, false, true, false, false) => restart(&root, &servers, all),
        (false, false, false, true, false) => spread(&root, &Request::Suspend),
        (false, false, false, false, true) => spread(&root, &Request::Resume),
        _ => Err(Failure::new(format!("clpcl: give one of -s, -t, -r, --suspend, --resume\n{}", usage(&COMMAND)))),
    }
}

fn spread(root: &Root, request: &Request) -> Result<(), Failure> {
    order(root, None, request)?;
    screen::line("Command succeeded.");
    Ok(())
}

/// What came of asking each server.
type Results = Vec<(String, Result<(), String>)>;

/// Stop, then start. What the start will need is tried before anything stops.
fn restart(root: &Root, servers: &[String], all: bool) -> Result<(), Failure> {
    for server in servers {
        client::is_running(root, server, &[]).map_err(|cause| Failure::new(format!("{server}: {cause}; nothing was stopped")))?;
    }
    let stopped = stop(root, servers, all);
    if all || stopped.iter().any(|(_, result)| result.is_err()) {
        report("Stop", stopped, all)?;
    }
    wait_until_gone(root, servers)?;
    report("Start", start(root, servers), all)
}

/// One line a server with -a; failures of single servers do not keep the others from being asked.
fn report(verb: &str, results: Results, all: bool) -> Result<(), Failure> {
    let mut failed = Vec::new();
    for (server, result) in results {
        match result {
            Ok(()) if all => screen::line(&format!("{verb} {server} : Command succeeded.")),
            Ok(()) => screen::line("Command succeeded."),
            Err(reason) => failed.push(if all { format!("{verb} {server} : {reason}") } else { reason }),
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(Failure::new(failed.join("\n"))) }
}

fn start(root: &Root, servers: &[String]) -> Results {
    screen::progress("starting …");
    std::thread::scope(|scope| {
        let asked: Vec<_> = servers
            .iter()
            .map(|server| {
                (server.clone(), scope.spawn(move || client::start_daemon(root, server).map_err(|cause| cause.to_string())))
            })
            .collect();
        asked
            .into_iter()
            .map(|(server, thread)| (server, thread.join().unwrap_or_else(|_| Err("the command failed".into()))))
            .collect()
    })
}

fn stop(root: &Root, servers: &[String], all: bool) -> Results {
    let request = Request::StopService { then: AfterStop::Nothing, all };
    screen::progress("stopping …");
    std::thread::scope(|scope| {
        let asked: Vec<_> = servers
            .iter()
            .map(|server| {
                let request = &request;
                (server.clone(), scope.spawn(move || stop_one(root, server, request, all)))
            })
            .collect();
        asked
            .into_iter()
            .map(|(server, thread)| (server, thread.join().unwrap_or_else(|_| Err("the command failed".into()))))
            .collect()
    })
}

/// With -a one server's request stops all: the others may be gone before theirs is answered.
pub(super) fn stop_one(root: &Root, server: &str, request: &Request, all: bool) -> Result<(), String> {
    match ask(root, Some(server), request) {
        Ok(clp_protocol::control::Reply::Done { .. }) => Ok(()),
        Ok(reply) => Err(failure(&reply).0),
        Err(ReachError::NotRunning(_)) if all => Ok(()),
        Err(cause) if all && client::is_running(root, server, &[]).is_ok_and(|running| !running) => {
            let _ = cause;
            Ok(())
        }
        Err(cause) => Err(cause.to_string()),
    }
}

fn wait_until_gone(root: &Root, servers: &[String]) -> Result<(), Failure> {
    let until = Instant::now() + GONE_LIMIT;
    for server in servers {
        while client::is_running(root, server, &[]).map_err(|cause| Failure::new(cause.to_string()))? {
            if Instant::now() >= until {
                return Err(Failure::new(format!("{server} has not stopped within {} s", GONE_LIMIT.as_secs())));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}
