//! clpgrp: start, stop and move groups.

use clp_protocol::control::{Reply, Request};

use super::{ask, failure, named, order, root};
use crate::options::{Command, Failure, Opt, Parsed, usage};
use crate::screen;

/// Its declaration.
pub const COMMAND: Command = Command {
    name: "clpgrp",
    summary: "start, stop and move failover groups",
    usage: &["-s [GROUP] [-h HOST]", "-t [GROUP] [-h HOST]", "-m [GROUP] [-h HOST] [-a DESTINATION]", "-n GROUP"],
    options: &[
        Opt { name: "-s", value: None, help: "start the group (all groups) on this server, or on HOST" },
        Opt { name: "-t", value: None, help: "stop the group (all groups of this server, or of HOST)" },
        Opt { name: "-m", value: None, help: "move the group (all groups of this server, or of HOST)" },
        Opt { name: "-n", value: None, help: "print the server on which the group is active" },
        Opt { name: "-h", value: Some("HOST"), help: "the server meant" },
        Opt { name: "-a", value: Some("DESTINATION"), help: "move to this server; default: the next of the failover policy" },
        Opt { name: "-f", value: None, help: "accepted for old scripts" },
    ],
    run,
};

fn run(parsed: &Parsed) -> Result<(), Failure> {
    let root = root();
    if parsed.words.len() > 1 {
        return Err(Failure::new(format!("clpgrp: one group at a time\n{}", usage(&COMMAND))));
    }
    let group = parsed.words.first().cloned();
    let server = parsed.value("-h").map(|host| named(&root, host));
    let request = match (parsed.has("-s"), parsed.has("-t"), parsed.has("-m"), parsed.has("-n")) {
        (true, false, false, false) => Request::GroupStart { group, server },
        (false, true, false, false) => Request::GroupStop { group, server },
        (false, false, true, false) => {
            Request::GroupMove { group, from: server, to: parsed.value("-a").map(|host| named(&root, host)) }
        }
        (false, false, false, true) => {
            let group = group.ok_or_else(|| Failure::new(format!("clpgrp: -n needs a group\n{}", usage(&COMMAND))))?;
            return print_holder(&group);
        }
        _ => return Err(Failure::new(format!("clpgrp: give one of -s, -t, -m, -n\n{}", usage(&COMMAND)))),
    };
    screen::progress("waiting for the group …");
    order(&root, None, &request)?;
    screen::line("Command succeeded.");
    Ok(())
}

fn print_holder(group: &str) -> Result<(), Failure> {
    match ask(&root(), None, &Request::Status).map_err(|cause| Failure::new(cause.to_string()))? {
        Reply::Status(status) => match status.groups.iter().find(|known| known.name == group) {
            Some(found) => {
                if let Some(server) = &found.current {
                    screen::line(server);
                }
                Ok(())
            }
            None => {
                let known = status.groups.iter().map(|group| group.name.clone()).collect();
                Err(failure(&Reply::Unknown { kind: "group".into(), name: group.into(), known }))
            }
        },
        other => Err(failure(&other)),
    }
}
