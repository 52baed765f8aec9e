//! clprsc: start and stop a single resource of an active group.

use clp_protocol::control::{ClusterStatus, Reply, Request};

use super::{failure, order, progress, root, server_name, status};
use crate::declaration::{Command, Example, Failure, Form, HOST, Opt, Part, RESOURCE, WAIT};
use crate::parse::Parsed;
use crate::{screen, waiting};

const PARTS: &[Part] = &[Part::Word(RESOURCE), Part::Any(&["-h", "-f", "-w"])];

/// Its declaration.
pub const COMMAND: Command = Command {
    name: "clprsc",
    summary: "start and stop single resources of an active group",
    forms: &[
        Form { mode: "-s", parts: PARTS, help: "start the resource where its group is active" },
        Form { mode: "-t", parts: PARTS, help: "stop the resource; its group goes on without it" },
    ],
    options: &[
        Opt { name: "-s", also: &[], value: None, help: "start" },
        Opt { name: "-t", also: &[], value: None, help: "stop" },
        Opt {
            name: "-f",
            also: &[],
            value: None,
            help: "with -s: start also what it depends on; with -t: stop also what depends on it",
        },
        Opt { name: "-h", also: &[], value: Some(HOST), help: "only if the group is active on this server" },
        WAIT,
    ],
    absent: &[],
    notes: &[
        "The group has to be online. A resource that was stopped stays so until it is started with clprsc -s, or until its group is started or moved.",
        "A monitor whose target is the resource rests meanwhile; one that runs always may find an error, and its recovery follows: suspend it with clpmonctrl -s.",
        "When a start fails, what is configured for failed activations of the resource follows.",
    ],
    examples: &[
        Example { line: "clprsc -t exec1", what: "stop the application, keep its address and its disk" },
        Example { line: "clprsc -s exec1", what: "start it again" },
        Example { line: "clprsc -t disk1 -f", what: "stop the disk and all that depends on it" },
    ],
    run,
};

fn run(parsed: &Parsed) -> Result<(), Failure> {
    let root = root();
    let resource = parsed.word.clone().unwrap_or_default();
    let server = parsed.value("-h").map(|host| server_name(&root, host)).transpose()?;
    let server = match server {
        Some(server) => server,
        None => holder(&status(&root)?, &resource)?,
    };
    let on = parsed.mode == "-s";
    progress::of_groups(&root, None);
    waiting::goes_on(format!("the {} of {resource} goes on; see clpstat", if on { "start" } else { "stop" }));
    order(&root, Some(&server), &Request::Resource { resource, on, others: parsed.has("-f") })?;
    screen::line("Command succeeded.");
    Ok(())
}

/// The server on which the group of the resource is active.
fn holder(status: &ClusterStatus, resource: &str) -> Result<String, Failure> {
    let group = status.groups.iter().find(|group| group.resources.iter().any(|one| one.name == resource));
    let Some(group) = group else {
        let known = status.groups.iter().flat_map(|group| &group.resources).map(|one| one.name.clone()).collect();
        return Err(failure(&Reply::Unknown { kind: "group resource".into(), name: resource.into(), known }));
    };
    let name = &group.name;
    group.current.clone().ok_or_else(|| Failure::new(format!("{name} is not active; start it with clpgrp -s {name}")))
}
