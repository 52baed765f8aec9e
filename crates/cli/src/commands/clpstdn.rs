//! clpstdn: shut the whole cluster down.

use clp_protocol::control::{AfterStop, Request};

use super::{order, root, server_name};
use crate::options::{Command, Failure, Opt, Parsed, usage};
use crate::screen;

/// Its declaration.
pub const COMMAND: Command = Command {
    name: "clpstdn",
    summary: "stop the cluster service of every server and shut all servers down; nothing fails over",
    usage: &["[-r] [-h HOST]"],
    options: &[
        Opt { name: "-r", value: None, help: "reboot in place of shutting down" },
        Opt { name: "-h", value: Some("HOST"), help: "give the order through this server" },
    ],
    run,
};

fn run(parsed: &Parsed) -> Result<(), Failure> {
    // Who writes `clpstdn server2` means server2, not this server.
    if let Some(word) = parsed.words.first() {
        return Err(Failure::new(format!("clpstdn: {word} is not expected; a server is named with -h\n{}", usage(&COMMAND))));
    }
    let root = root();
    let server = parsed.value("-h").map(|host| server_name(&root, host)).transpose()?;
    let then = if parsed.has("-r") { AfterStop::Reboot } else { AfterStop::Shutdown };
    order(&root, server.as_deref(), &Request::StopService { then, all: true })?;
    screen::line("Command succeeded.");
    Ok(())
}
