//! The commands, one file each, and what they share: root check, asking, answers.

mod clpcfctrl;
mod clpcl;
mod clpdown;
mod clpgrp;
mod clpstat;
mod clpstdn;
mod difference;

use std::process::ExitCode;

use clp_config::{Configuration, Document};
use clp_protocol::control::{Reply, Request};
use clp_services::client::{self, ReachError};
use clp_sys::paths::Root;

use crate::options::{self, Command, Failure};
use crate::screen;

/// All of them.
pub const COMMANDS: &[&Command] =
    &[&clpcfctrl::COMMAND, &clpcl::COMMAND, &clpdown::COMMAND, &clpgrp::COMMAND, &clpstat::COMMAND, &clpstdn::COMMAND];

/// By name.
pub fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().copied().find(|command| command.name == name)
}

/// Parse, check, run.
pub fn run(command: &Command, arguments: &[String]) -> ExitCode {
    if arguments.iter().any(|argument| argument == "--help") {
        screen::text(&options::help(command));
        return ExitCode::SUCCESS;
    }
    if !rustix::process::geteuid().is_root() {
        screen::error("Log in as root.");
        return ExitCode::FAILURE;
    }
    match options::parse(command, arguments).and_then(|parsed| (command.run)(&parsed)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            screen::error(&failure.0);
            ExitCode::FAILURE
        }
    }
}

/// Where the product lives.
fn root() -> Root {
    Root::from_env()
}

/// The configuration in force on this server.
fn configuration(root: &Root) -> Result<Configuration, Failure> {
    let path = root.conf();
    let bytes = std::fs::read(&path).map_err(|cause| {
        Failure::new(format!("{} cannot be read: {cause}; distribute one with clpcfctrl --push", path.display()))
    })?;
    parse(&bytes, &path.display().to_string())
}

fn parse(bytes: &[u8], name: &str) -> Result<Configuration, Failure> {
    let document = Document::read(bytes).map_err(|cause| Failure::new(format!("{name}: {cause}")))?;
    Configuration::from_document(&document).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure::new(format!("{name} cannot be used:\n  {}", lines.join("\n  ")))
    })
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

/// Ask an engine: this server's, or another's.
fn ask(root: &Root, server: Option<&str>, request: &Request) -> Result<Reply, ReachError> {
    match server {
        None => client::engine(root, request),
        Some(server) => client::relay(root, server, request),
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
