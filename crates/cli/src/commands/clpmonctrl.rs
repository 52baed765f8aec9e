//! clpmonctrl: suspend, resume and try monitors of one server, show and clear their recovery counts.

use clp_protocol::control::{MonitorCount, MonitorOrder, Reply, Request};

use super::{ask, failure, order, root, server_name};
use crate::declaration::{Command, Example, Failure, Form, HOST, Kind, Opt, Part, Value, WAIT};
use crate::parse::Parsed;
use crate::screen;

/// A monitor.
const MONITOR: Value = Value { word: "MONITOR", kind: Kind::Monitor };
const PARTS: &[Part] = &[Part::Any(&["-m", "-h", "-w"])];

/// Its declaration.
pub const COMMAND: Command = Command {
    name: "clpmonctrl",
    summary: "suspend, resume and try monitors, show and clear their recovery counts",
    forms: &[
        Form { mode: "-s", parts: PARTS, help: "let the monitor rest on this server or on HOST; without -m every monitor" },
        Form { mode: "-r", parts: PARTS, help: "end that" },
        // A whole server whose monitors all fail is hardly what somebody wants to try.
        Form {
            mode: "-e",
            parts: &[Part::All(&["-m"]), Part::Any(&["-h", "-w"])],
            help: "let every check of the monitor fail there, to try what follows",
        },
        Form { mode: "-n", parts: PARTS, help: "end that; without -m for every monitor" },
        Form {
            mode: "-v",
            parts: PARTS,
            help: "show the recovery counts: reactivations on that server, failovers of the cluster",
        },
        Form { mode: "-c", parts: PARTS, help: "clear the recovery counts" },
    ],
    options: &[
        Opt { name: "-s", also: &[], value: None, help: "suspend" },
        Opt { name: "-r", also: &[], value: None, help: "resume" },
        Opt { name: "-e", also: &[], value: None, help: "switch a dummy failure on" },
        Opt { name: "-n", also: &[], value: None, help: "switch it off" },
        Opt { name: "-v", also: &[], value: None, help: "show counts" },
        Opt { name: "-c", also: &[], value: None, help: "clear counts" },
        Opt { name: "-m", also: &[], value: Some(MONITOR), help: "this monitor only" },
        Opt { name: "-h", also: &[], value: Some(HOST), help: "the server meant; without it this one" },
        WAIT,
    ],
    absent: &[],
    notes: &[
        "What is ordered holds on that server until the opposite is, or until its cluster service ends.",
        "Counts are forgotten by themselves after ten normal checks in a row where the monitor's target is, and when an operator starts, stops or moves the group.",
    ],
    examples: &[
        Example { line: "clpmonctrl -s -m diskw1 -h server2", what: "let diskw1 rest on server2" },
        Example { line: "clpmonctrl -r", what: "let every monitor of this server go on" },
        Example { line: "clpmonctrl -v", what: "show what the recovery of each monitor has done" },
    ],
    run,
};

fn run(parsed: &Parsed) -> Result<(), Failure> {
    let root = root();
    let monitor = parsed.value("-m").map(String::from);
    let server = parsed.value("-h").map(|host| server_name(&root, host)).transpose()?;
    let what = match parsed.mode {
        "-s" => MonitorOrder::Suspend,
        "-r" => MonitorOrder::Resume,
        "-e" => MonitorOrder::FailureOn,
        "-n" => MonitorOrder::FailureOff,
        "-c" => MonitorOrder::ClearCounts,
        _ => {
            return match ask(&root, server.as_deref(), &Request::MonitorCounts { monitor }) {
                Ok(Reply::MonitorCounts { counts }) => {
                    counts.iter().for_each(|count| screen::line(&shown(count)));
                    Ok(())
                }
                Ok(reply) => Err(failure(&reply)),
                Err(cause) => Err(Failure::new(cause.to_string())),
            };
        }
    };
    order(&root, server.as_deref(), &Request::Monitors { monitor, order: what })?;
    screen::line("Command succeeded.");
    Ok(())
}

/// Scripts look at the first three words.
fn shown(count: &MonitorCount) -> String {
    let dummy = if count.dummy { ", dummy failure on" } else { "" };
    format!("Resource : {} reactivation {}, failover {}{dummy}", count.name, count.reactivations, count.failovers)
}
