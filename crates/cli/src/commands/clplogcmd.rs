//! clplogcmd: write a message of one's own to the alert log and to syslog.

use std::path::Path;

use clp_alerts::{Alert, Level};
use clp_services::alertlog;

use super::root;
use crate::declaration::{Command, Example, Failure, Form, Kind, Opt, Part, Value};
use crate::parse::Parsed;
use crate::screen;

const MESSAGE: Value = Value { word: "MESSAGE", kind: Kind::Text };
const ID: Value = Value { word: "ID", kind: Kind::Number };
const LEVEL: Value = Value { word: "LEVEL", kind: Kind::Choice(&["INFO", "WARN", "ERR", "ERROR"]) };

/// Its declaration.
pub const COMMAND: Command = Command {
    name: "clplogcmd",
    summary: "write a message of one's own to the alert log and to syslog",
    forms: &[Form {
        mode: "-m",
        parts: &[Part::Any(&["-i", "-l", "--alert", "--syslog", "--mail", "--trap"])],
        help: "write the message on this server; without a destination to the alert log and to syslog",
    }],
    options: &[
        Opt { name: "-m", also: &[], value: Some(MESSAGE), help: "the message; one line of it, at most 1500 bytes, is kept" },
        Opt { name: "-i", also: &[], value: Some(ID), help: "its event id, 1 to 99999; default 1" },
        Opt { name: "-l", also: &["-L"], value: Some(LEVEL), help: "INFO, WARN, ERR or ERROR; default INFO" },
        Opt { name: "--alert", also: &[], value: None, help: "to the alert log" },
        Opt { name: "--syslog", also: &[], value: None, help: "to syslog" },
        Opt {
            name: "--mail",
            also: &[],
            value: None,
            help: "there is no mail in this version: other destinations get the message, and the exit code is 1",
        },
        Opt { name: "--trap", also: &[], value: None, help: "there are no SNMP traps in this version, as with --mail" },
    ],
    absent: &[],
    notes: &["Works also while the cluster service is stopped. The module of such a message is logcmd."],
    examples: &[
        Example { line: "clplogcmd -m \"backup begins\"", what: "note something beside the cluster's own messages" },
        Example { line: "clplogcmd -m \"tape is full\" -i 10 -l ERR --syslog", what: "to syslog alone, as an error" },
    ],
    run,
};

fn run(parsed: &Parsed) -> Result<(), Failure> {
    let message = parsed.value("-m").unwrap_or_default();
    if message.trim().is_empty() {
        return Err(Failure::new("clplogcmd: the message is empty"));
    }
    // The parser has let through nothing else.
    let id = parsed.value("-i").and_then(|id| id.parse().ok()).unwrap_or(1);
    let level = match parsed.value("-l") {
        Some("ERR" | "ERROR") => Level::Error,
        Some("WARN") => Level::Warning,
        _ => Level::Info,
    };
    let alert = Alert::operator_message(message).numbered(id, level);
    let everywhere = !["--alert", "--syslog", "--mail", "--trap"].iter().any(|option| parsed.has(option));
    let root = root();
    let mut failed = Vec::new();
    if (everywhere || parsed.has("--alert"))
        && let Err(cause) = alertlog::record(&root, &alert)
    {
        failed.push(format!("{} cannot be written: {cause}", alertlog::path(&root).display()));
    }
    // A server without syslog has the alert log; who asks for syslog wants it there.
    if everywhere || parsed.has("--syslog") {
        let sent = alertlog::send(Path::new(alertlog::SYSLOG), &alert);
        if let (true, Err(cause)) = (parsed.has("--syslog"), sent) {
            failed.push(format!("syslog ({}) does not take the message: {cause}", alertlog::SYSLOG));
        }
    }
    let absent = [("--mail", "there is no mail in this version"), ("--trap", "there are no SNMP traps in this version")];
    failed.extend(absent.iter().filter(|(option, _)| parsed.has(option)).map(|(option, why)| format!("{option}: {why}")));
    if !failed.is_empty() {
        return Err(Failure::new(failed.join("\n")));
    }
    screen::line("Command succeeded.");
    Ok(())
}
