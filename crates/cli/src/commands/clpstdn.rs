//! clpstdn: shut the whole cluster down.

use clp_protocol::control::AfterStop;

use super::shutdown;
use crate::declaration::{Command, Example, Failure, Form, HOST, Opt, Part};
use crate::parse::Parsed;

/// Its declaration.
pub const COMMAND: Command = Command {
    name: "clpstdn",
    summary: "stop the cluster service of every server and shut all servers down; nothing fails over",
    forms: &[Form {
        mode: "",
        parts: &[Part::Any(&["-r", "-h"])],
        help: "stop all groups, then the cluster service of every server, then the servers",
    }],
    options: &[
        Opt { name: "-r", also: &[], value: None, help: "reboot in place of shutting down" },
        Opt { name: "-h", also: &[], value: Some(HOST), help: "give the order through this server" },
    ],
    absent: &[],
    notes: &["Servers whose cluster service does not run are not shut down."],
    examples: &[
        Example { line: "clpstdn", what: "shut all servers down" },
        Example { line: "clpstdn -r", what: "reboot all servers" },
    ],
    run,
};

fn run(parsed: &Parsed) -> Result<(), Failure> {
    let then = if parsed.has("-r") { AfterStop::Reboot } else { AfterStop::Shutdown };
    shutdown(parsed.value("-h"), then, true)
}
