//! clpgrp: start, stop and move groups.

use clp_protocol::control::{ClusterStatus, Reply, Request};
use clp_sys::paths::Root;

use super::{failure, named, order, progress, root, status};
use crate::declaration::{Command, DESTINATION, Example, Failure, Form, GROUP, HOST, Opt, Part, WAIT};
use crate::parse::Parsed;
use crate::{screen, waiting};

/// Its declaration.
pub const COMMAND: Command = Command {
    name: "clpgrp",
    summary: "start, stop and move failover groups",
    forms: &[
        Form {
            mode: "-s",
            parts: &[Part::MaybeWord(GROUP), Part::Any(&["-h", "-f", "-w"])],
            help: "start the group on this server or on HOST; without GROUP every group that is not active anywhere",
        },
        Form {
            mode: "-t",
            parts: &[Part::MaybeWord(GROUP), Part::Any(&["-h", "-f", "-w"])],
            help: "stop the group wherever it is active, with -h only if that is HOST; without GROUP every group that is active on this server or on HOST",
        },
        Form {
            mode: "-m",
            parts: &[Part::MaybeWord(GROUP), Part::Any(&["-h", "-a", "-w"])],
            help: "move the group to DESTINATION, else to the next server of its failover policy; without GROUP every group that is active on this server or on HOST",
        },
        Form {
            mode: "-n",
            parts: &[Part::Word(GROUP)],
            help: "print the name of the server on which the group is active, or nothing",
        },
    ],
    options: &[
        Opt { name: "-s", also: &[], value: None, help: "start" },
        Opt { name: "-t", also: &[], value: None, help: "stop" },
        Opt { name: "-m", also: &[], value: None, help: "move" },
        Opt { name: "-n", also: &[], value: None, help: "name the server" },
        Opt {
            name: "-h",
            also: &[],
            value: Some(HOST),
            help: "the server meant; with -m the one on which the group is active now",
        },
        Opt { name: "-a", also: &[], value: Some(DESTINATION), help: "the server to move to" },
        Opt {
            name: "-f",
            also: &[],
            value: None,
            help: "with -s: a group that is active on another server is moved here; with -t: accepted for old scripts",
        },
        WAIT,
    ],
    absent: &[],
    notes: &[
        "The answer comes when the group is online or offline as asked, or when that has failed; clpstat --why GROUP says why it is where it is.",
    ],
    examples: &[
        Example { line: "clpgrp -s failover1 -h server2", what: "start failover1 on server2" },
        Example { line: "clpgrp -t failover1", what: "stop failover1" },
        Example { line: "clpgrp -m failover1", what: "move failover1 to the next server of its policy" },
        Example { line: "clpgrp -m -h server1 -a server2", what: "move every group from server1 to server2" },
        Example { line: "clpgrp -n failover1", what: "print where failover1 is active" },
    ],
    run,
};

/// Groups started at once when all are: each waits for its scripts.
const AT_ONCE: usize = 32;

fn run(parsed: &Parsed) -> Result<(), Failure> {
    let root = root();
    let group = parsed.word.clone();
    let server = parsed.value("-h").map(|host| named(&root, host));
    let what = group.clone().unwrap_or_else(|| "the groups".into());
    if parsed.mode != "-n" {
        progress::of_groups(&root, group.as_deref());
    }
    match parsed.mode {
        "-s" => {
            announce("start", &what);
            start(&root, group, server, parsed.has("-f"))?;
        }
        "-t" => {
            announce("stop", &what);
            order(&root, None, &Request::GroupStop { group, server })?;
        }
        "-m" => {
            announce("move", &what);
            let to = parsed.value("-a").map(|host| named(&root, host));
            order(&root, None, &Request::GroupMove { group, from: server, to })?;
        }
        _ => return print_holder(&root, &what),
    }
    screen::line("Command succeeded.");
    Ok(())
}

fn announce(verb: &str, what: &str) {
    waiting::goes_on(format!("the {verb} of {what} goes on; see clpstat"));
    screen::progress(&format!("waiting for the {verb} of {what} (Ctrl-C ends the wait, not the {verb}) ..."));
}

fn start(root: &Root, group: Option<String>, server: Option<String>, by_force: bool) -> Result<(), Failure> {
    if group.is_some() && !by_force {
        return order(root, None, &Request::GroupStart { group, server });
    }
    let status = status(root)?;
    let wanted = server.unwrap_or_else(|| status.local.clone());
    if let Some(group) = &group {
        known(&status, group)?;
    }
    if !status.servers.iter().any(|server| server.name == wanted) {
        let known = status.servers.iter().map(|server| server.name.clone()).collect();
        return Err(failure(&Reply::Unknown { kind: "server".into(), name: wanted, known }));
    }
    let requests: Vec<Request> = status
        .groups
        .iter()
        .filter(|found| group.as_ref().is_none_or(|group| *group == found.name))
        .filter_map(|found| {
            let name = Some(found.name.clone());
            match &found.current {
                Some(current) if *current != wanted && by_force => {
                    Some(Request::GroupMove { group: name, from: None, to: Some(wanted.clone()) })
                }
                // It is active: where all are asked for, that is what was wanted.
                Some(current) if *current != wanted => None,
                _ => Some(Request::GroupStart { group: name, server: Some(wanted.clone()) }),
            }
        })
        .collect();
    let mut failed = Vec::new();
    for some in requests.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            let asked: Vec<_> = some.iter().map(|request| scope.spawn(move || order(root, None, request))).collect();
            for thread in asked {
                match thread.join() {
                    Ok(Ok(())) => {}
                    Ok(Err(Failure(words))) => failed.push(words),
                    Err(_) => failed.push("the command failed".into()),
                }
            }
        });
    }
    if failed.is_empty() { Ok(()) } else { Err(Failure::new(failed.join("\n"))) }
}

fn known<'a>(status: &'a ClusterStatus, group: &str) -> Result<&'a clp_protocol::control::GroupStatus, Failure> {
    status.groups.iter().find(|known| known.name == group).ok_or_else(|| {
        let known = status.groups.iter().map(|group| group.name.clone()).collect();
        failure(&Reply::Unknown { kind: "group".into(), name: group.into(), known })
    })
}

fn print_holder(root: &Root, group: &str) -> Result<(), Failure> {
    if let Some(server) = &known(&status(root)?, group)?.current {
        screen::line(server);
    }
    Ok(())
}
