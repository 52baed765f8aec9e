//! clpcl: start, stop, suspend and resume the cluster service.

use std::time::{Duration, Instant};

use clp_protocol::control::{AfterStop, Request};
use clp_services::client::{self, ReachError};
use clp_sys::paths::Root;

use super::{ask, configuration, failure, joined, order, root, server_name};
use crate::declaration::{Absent, Command, Example, Failure, Form, HOST, Opt, Part, WAIT};
use crate::parse::Parsed;
use crate::{screen, waiting};

/// Its declaration.
pub const COMMAND: Command = Command {
    name: "clpcl",
    summary: "start, stop, restart, suspend and resume the cluster service",
    forms: &[
        Form {
            mode: "-s",
            parts: &[Part::One(&["-a", "-h"]), Part::Any(&["-w", "--md"])],
            help: "start the cluster service of this server, of all servers or of HOST",
        },
        Form {
            mode: "-t",
            parts: &[Part::One(&["-a", "-h"]), Part::Any(&["-w", "--md"])],
            help: "stop it, the operating system goes on; with -a groups stop everywhere, else the groups of that server fail over",
        },
        Form { mode: "-r", parts: &[Part::One(&["-a", "-h"]), Part::Any(&["-w"])], help: "stop it, then start it" },
        Form {
            mode: "--suspend",
            parts: &[Part::Any(&["-a", "-w", "--force"])],
            help: "rest monitoring and takeovers on all servers; groups go on",
        },
        Form {
            mode: "--resume",
            parts: &[Part::Any(&["-a", "-w", "--dead", "--force"])],
            help: "end that; with --dead also for a server that never comes back, whose groups then start elsewhere",
        },
    ],
    options: &[
        Opt { name: "-s", also: &[], value: None, help: "start" },
        Opt { name: "-t", also: &[], value: None, help: "stop" },
        Opt { name: "-r", also: &[], value: None, help: "restart" },
        Opt { name: "--suspend", also: &[], value: None, help: "suspend the cluster" },
        Opt { name: "--resume", also: &[], value: None, help: "resume the cluster" },
        Opt { name: "-a", also: &[], value: None, help: "all servers; suspend and resume always mean all" },
        Opt { name: "-h", also: &[], value: Some(HOST), help: "this server" },
        WAIT,
        Opt { name: "--md", also: &[], value: None, help: "accepted for old scripts: there is no mirror agent in this version" },
        Opt {
            name: "--force",
            also: &[],
            value: None,
            help: "with --dead: do not ask; with --suspend accepted for old scripts: a cluster is suspended also while a server is down",
        },
        Opt {
            name: "--dead",
            also: &[],
            value: Some(HOST),
            help: "HOST is switched off and was so when the suspension ended: nobody waits for it any more; asks for a yes",
        },
    ],
    absent: &[
        Absent { names: &["--web", "--webmgr"], why: "there is no WebManager in this version; nothing was done" },
        Absent { names: &["--alert"], why: "there is no alert synchronisation in this version; nothing was done" },
        Absent { names: &["--ib", "--api"], why: "there is no such service in this version; nothing was done" },
    ],
    notes: &[
        "A server that cannot be reached is named, and the others are started or stopped all the same.",
        "A cluster that is suspended takes no group over, whatever happens; start and move of groups are refused until it is resumed.",
        "A server that did not hear of the resumption still holds its groups, for all that the others know: they wait for it. Only who has seen that it is switched off may say so with --dead. If it still ran, its groups would be active twice.",
    ],
    examples: &[
        Example { line: "clpcl -s -a", what: "start the cluster service of all servers" },
        Example { line: "clpcl -t -a", what: "stop it on all servers, with all groups" },
        Example { line: "clpcl -t -h server2", what: "stop that of server2; its groups fail over" },
        Example { line: "clpcl --suspend", what: "before work on the network that must move nothing" },
        Example { line: "clpcl --resume --dead server2", what: "resume without server2, which burned down meanwhile" },
    ],
    run,
};

/// How long a stopped service may take to be gone before it is started again.
const GONE_LIMIT: Duration = Duration::from_secs(60);

fn run(parsed: &Parsed) -> Result<(), Failure> {
    let root = root();
    let all = parsed.has("-a");
    match parsed.mode {
        "--suspend" => return spread(&root, &Request::Suspend, "suspension"),
        "--resume" => return resume(&root, parsed),
        _ => {}
    }
    let servers = match parsed.value("-h") {
        Some(host) => vec![server_name(&root, host)?],
        None if all => configuration(&root)?.servers.into_iter().map(|server| server.name).collect(),
        None => vec![clp_sys::identity::hostname()],
    };
    match parsed.mode {
        "-s" => report("Start", start(&root, &servers), all),
        "-t" => report("Stop", stop(&root, &servers, AfterStop::Nothing, all, ""), all),
        _ => restart(&root, &servers, all),
    }
}

fn spread(root: &Root, request: &Request, what: &str) -> Result<(), Failure> {
    waiting::goes_on(format!("the {what} of the cluster goes on; see clpstat"));
    order(root, None, request)?;
    screen::line("Command succeeded.");
    Ok(())
}

fn resume(root: &Root, parsed: &Parsed) -> Result<(), Failure> {
    let Some(host) = parsed.value("--dead") else {
        return match parsed.has("--force") {
            true => Err(Failure::new("clpcl: --force needs --dead HOST here: name the server that is switched off")),
            false => spread(root, &Request::Resume, "resumption"),
        };
    };
    let server = server_name(root, host)?;
    if !parsed.has("--force") {
        confirm(&server)?;
    }
    waiting::goes_on("the resumption of the cluster goes on; see clpstat".to_string());
    order(root, None, &Request::Resume)?;
    order(root, None, &Request::DeclareOff { server })?;
    screen::line("Command succeeded.");
    Ok(())
}

/// Scripts may feed the answer.
fn confirm(server: &str) -> Result<(), Failure> {
    screen::error(&format!(
        "If {server} still runs a group it will be active twice, and its data are lost. Is {server} switched off? (yes/no)"
    ));
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    match (read, answer.trim()) {
        (Ok(_), "yes") => Ok(()),
        _ => Err(Failure::new("nothing was done: the answer was not yes (--force does not ask)")),
    }
}

/// What came of asking each server.
type Results = Vec<(String, Result<(), String>)>;

/// Stop, then start. What the start will need is tried before anything stops.
fn restart(root: &Root, servers: &[String], all: bool) -> Result<(), Failure> {
    for server in servers {
        client::is_running(root, server, &[]).map_err(|cause| Failure::new(format!("{cause}; nothing was stopped")))?;
    }
    let stopped = stop(root, servers, AfterStop::Restart, all, " and nothing is started afterwards, that takes clpcl -s");
    if all || stopped.iter().any(|(_, result)| result.is_err()) {
        report("Stop", stopped, all)?;
    }
    waiting::goes_on(format!("{} is stopped and not started again, that takes clpcl -s", joined(servers)));
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
    waiting::goes_on(format!("the start of {} goes on; see clpstat", joined(servers)));
    screen::progress(&format!("starting the cluster service of {} ...", joined(servers)));
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

fn stop(root: &Root, servers: &[String], then: AfterStop, all: bool, besides: &str) -> Results {
    let request = Request::StopService { then, all };
    let hint = if besides.is_empty() { "" } else { "; start it with clpcl -s" };
    waiting::goes_on(format!("the stop of {} goes on{besides}; see clpstat", joined(servers)));
    screen::progress(&format!("stopping the cluster service of {} ...", joined(servers)));
    std::thread::scope(|scope| {
        let asked: Vec<_> = servers
            .iter()
            .map(|server| {
                let request = &request;
                (server.clone(), scope.spawn(move || stop_one(root, server, request, all, hint)))
            })
            .collect();
        asked
            .into_iter()
            .map(|(server, thread)| (server, thread.join().unwrap_or_else(|_| Err("the command failed".into()))))
            .collect()
    })
}

/// With -a one server's request stops all: the others may be gone before theirs is answered.
fn stop_one(root: &Root, server: &str, request: &Request, all: bool, hint: &str) -> Result<(), String> {
    match ask(root, Some(server), request) {
        Ok(clp_protocol::control::Reply::Done { .. }) => Ok(()),
        Ok(reply) => Err(failure(&reply).0),
        Err(ReachError::NotRunning(_)) if all => Ok(()),
        Err(ReachError::NotRunning(server)) => Err(format!("the cluster service of {server} is not running{hint}")),
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
