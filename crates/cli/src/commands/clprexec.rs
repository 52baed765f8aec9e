//! clprexec: ask servers from outside for a failover or a script.

use clp_services::request::Shelf;

use super::clptrnreq::SCRIPT_NOTES;
use super::{request, root};
use crate::declaration::{Absent, Command, Example, Failure, Form, GROUP, HOSTS, Kind, Opt, Part, Value, WAIT};
use crate::parse::Parsed;

const SCRIPT: Value = Value { word: "SCRIPT", kind: Kind::Script(Shelf::Rexec) };

/// Its declaration.
pub const COMMAND: Command = Command {
    name: "clprexec",
    summary: "ask a server for a failover or a script",
    forms: &[
        Form {
            mode: "--failover",
            parts: &[Part::All(&["-h"]), Part::Any(&["-w"])],
            help: "move the group, which is active on HOST, to the next server of its failover policy",
        },
        Form {
            mode: "--script",
            parts: &[Part::All(&["-h"]), Part::Any(&["-w"])],
            help: "run the script work/rexec/SCRIPT of each server named, on that server",
        },
    ],
    options: &[
        Opt { name: "--failover", also: &[], value: Some(GROUP), help: "failover of this group" },
        Opt { name: "--script", also: &[], value: Some(SCRIPT), help: "name of the script, without a directory" },
        Opt { name: "-h", also: &[], value: Some(HOSTS), help: "the servers that are asked" },
        WAIT,
    ],
    absent: &[
        Absent { names: &["-p"], why: "the port is the one of the configuration" },
        Absent { names: &["-o"], why: "the output of a script stays on its server, in log/script.log" },
        Absent { names: &["-r"], why: "name the group with --failover" },
        Absent { names: &["--notice", "--clear"], why: "there are no monitors of outside messages in this version" },
    ],
    notes: SCRIPT_NOTES,
    examples: &[
        Example { line: "clprexec --failover failover1 -h server1", what: "move failover1 away from server1" },
        Example { line: "clprexec --script report.sh -h 192.168.0.1,192.168.0.2", what: "run report.sh on both servers" },
    ],
    run,
};

fn run(parsed: &Parsed) -> Result<(), Failure> {
    let root = root();
    match parsed.mode {
        "--script" => request::script(&root, parsed, Shelf::Rexec, parsed.value("--script").unwrap_or_default()),
        _ => request::failover(&root, parsed, parsed.value("--failover")),
    }
}
