//! The commands, one file each, and what they share: root check, asking, answers.

mod clpcfctrl;
mod clpcl;
mod clpdown;
mod clpgrp;
mod clplogcmd;
mod clpmonctrl;
mod clprexec;
mod clprsc;
mod clpstat;
mod clpstdn;
mod clptoratio;
mod clptrnreq;
mod difference;
mod progress;
mod request;

pub(crate) use clpstat::whatif::disks;
use std::process::ExitCode;
use std::time::Duration;

use clp_config::{Configuration, Document};
use clp_protocol::control::{ClusterStatus, Reply, Request};
use clp_services::client::{self, ReachError};
use clp_sys::paths::Root;

use crate::declaration::{Command, Failure};
use crate::{help, parse as arguments, screen, waiting};

/// All of them.
pub const COMMANDS: &[&Command] = &[
    &clpcfctrl::COMMAND,
    &clpcl::COMMAND,
    &clpdown::COMMAND,
    &clpgrp::COMMAND,
    &clplogcmd::COMMAND,
    &clpmonctrl::COMMAND,
    &clprexec::COMMAND,
    &clprsc::COMMAND,
    &clpstat::COMMAND,
    &clpstdn::COMMAND,
    &clptoratio::COMMAND,
    &clptrnreq::COMMAND,
];

/// By name.
pub fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().copied().find(|command| command.name == name)
}

/// Parse, check, run.
pub fn run(command: &'static Command, given: &[String]) -> ExitCode {
    if given.iter().any(|argument| argument == "--help") {
        screen::text(&help::help(command, help::width()));
        return ExitCode::SUCCESS;
    }
    if given.iter().any(|argument| argument == "--version") {
        screen::line(&crate::version(command.name));
        return ExitCode::SUCCESS;
    }
    if !rustix::process::geteuid().is_root() {
        screen::error("Log in as root.");
        return ExitCode::FAILURE;
    }
    let given = match arguments::parse(command, given) {
        Ok(given) => given,
        Err(failure) => {
            screen::error(&failure.0);
            return ExitCode::FAILURE;
        }
    };
    // The parser has let through nothing but whole seconds.
    let limit = given.value("-w").and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    waiting::run(limit, move || (command.run)(&given))
}

/// Where the product lives.
pub(crate) fn root() -> Root {
    Root::from_env()
}

/// The configuration in force on this server.
pub(crate) fn configuration(root: &Root) -> Result<Configuration, Failure> {
    in_force(root).map(|(_, configuration)| configuration)
}

/// The file in force on this server, and what it means.
pub(crate) fn in_force(root: &Root) -> Result<(Document, Configuration), Failure> {
    let path = root.conf();
    let bytes = std::fs::read(&path).map_err(|cause| {
        Failure::new(format!("{} cannot be read: {cause}; distribute one with clpcfctrl --push", path.display()))
    })?;
    parse(&bytes, &path.display().to_string())
}

fn parse(bytes: &[u8], name: &str) -> Result<(Document, Configuration), Failure> {
    let document = Document::read(bytes).map_err(|cause| Failure::new(format!("{name}: {cause}")))?;
    let configuration = Configuration::from_document(&document).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure::new(format!("{name} cannot be used:\n  {}", lines.join("\n  ")))
    })?;
    Ok((document, configuration))
}

/// The name of a server given by name or address; the error lists those that exist.
fn server_name(root: &Root, given: &str) -> Result<String, Failure> {
    let configuration = configuration(root)?;
    let found = configuration
        .servers
        .iter()
        .find(|server| server.name == given || server.lan_addresses().iter().any(|address| address.to_string() == given));
    found.map(|server| server.name.clone()).ok_or_else(|| {
        let names: Vec<&str> = configuration.servers.iter().map(|server| server.name.as_str()).collect();
        Failure::new(format!("there is no server {given}; servers are {}", names.join(", ")))
    })
}

/// The name behind a name or address; what the configuration does not know is left to the engine to refuse.
fn named(root: &Root, given: &str) -> String {
    server_name(root, given).unwrap_or_else(|_| given.to_string())
}

/// Names and whether they are of this server: `server1` or `server1 and server2`.
fn joined(names: &[String]) -> String {
    match names {
        [all @ .., last] if !all.is_empty() => format!("{} and {last}", all.join(", ")),
        names => names.join(""),
    }
}

/// Ask an engine: this server's, or another's.
fn ask(root: &Root, server: Option<&str>, request: &Request) -> Result<Reply, ReachError> {
    match server {
        None => client::engine(root, request),
        Some(server) => client::relay(root, server, request),
    }
}

/// What this server's engine shows.
fn status(root: &Root) -> Result<ClusterStatus, Failure> {
    match ask(root, None, &Request::Status).map_err(|cause| Failure::new(cause.to_string()))? {
        Reply::Status(status) => Ok(*status),
        other => Err(failure(&other)),
    }
}

/// A reply that is no success, in words.
fn failure(reply: &Reply) -> Failure {
    match reply {
        Reply::Refused { reason, remedy } if remedy.is_empty() => Failure::new(reason.clone()),
        Reply::Refused { reason, remedy } => Failure::new(format!("{reason}; {remedy}")),
        Reply::Unknown { kind, name, known } if known.is_empty() => {
            Failure::new(format!("there is no {kind} {name}: none is configured"))
        }
        Reply::Unknown { kind, name, known } => {
            Failure::new(format!("there is no {kind} {name}; there are {}", known.join(", ")))
        }
        other => Failure::new(format!("unexpected reply: {other:?}")),
    }
}

/// Ask for something to be done and say that it was.
fn order(root: &Root, server: Option<&str>, request: &Request) -> Result<(), Failure> {
    match ask(root, server, request) {
        Ok(Reply::Done { .. }) => Ok(()),
        Ok(reply) => Err(failure(&reply)),
        Err(cause) => Err(Failure::new(cause.to_string())),
    }
}

/// Stop the cluster service of a server, or of all, and shut down or reboot.
fn shutdown(host: Option<&str>, then: clp_protocol::control::AfterStop, all: bool) -> Result<(), Failure> {
    let root = root();
    let server = host.map(|host| server_name(&root, host)).transpose()?;
    let name = server.clone().unwrap_or_else(clp_sys::identity::hostname);
    let what = if all { "all servers".to_string() } else { name.clone() };
    waiting::goes_on(format!("the shutdown of {what} goes on; see clpstat"));
    match ask(&root, server.as_deref(), &Request::StopService { then, all }) {
        Ok(Reply::Done { .. }) => {
            screen::line("Command succeeded.");
            Ok(())
        }
        Ok(reply) => Err(failure(&reply)),
        Err(ReachError::NotRunning(_)) => Err(Failure::new(format!(
            "the cluster service of {name} is not running, nothing was shut down; start it with clpcl -s, or shut the server down with poweroff"
        ))),
        Err(cause) => Err(Failure::new(cause.to_string())),
    }
}
