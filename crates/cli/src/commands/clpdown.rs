//! clpdown: shut one server down; its groups fail over.

use clp_protocol::control::AfterStop;

use super::shutdown;
use crate::declaration::{Command, Example, Failure, Form, HOST, Opt, Part};
use crate::parse::Parsed;

/// Its declaration.
pub const COMMAND: Command = Command {
    name: "clpdown",
    summary: "stop the cluster service of a server and shut it down; its groups fail over",
    forms: &[Form {
        mode: "",
        parts: &[Part::Any(&["-r", "-h"])],
        help: "stop the groups of this server, or of HOST, then the cluster service, then the server; the groups start on other servers",
    }],
    options: &[
        Opt { name: "-r", also: &[], value: None, help: "reboot in place of shutting down" },
        Opt { name: "-h", also: &[], value: Some(HOST), help: "another server" },
    ],
    absent: &[],
    notes: &["The answer comes when the groups and the cluster service have stopped, just before the server goes down."],
    examples: &[
        Example { line: "clpdown", what: "shut this server down" },
        Example { line: "clpdown -r -h server2", what: "reboot server2" },
    ],
    run,
};

fn run(parsed: &Parsed) -> Result<(), Failure> {
    let then = if parsed.has("-r") { AfterStop::Reboot } else { AfterStop::Shutdown };
    shutdown(parsed.value("-h"), then, false)
}
