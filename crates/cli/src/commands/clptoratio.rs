//! clptoratio: multiply the time-outs of heartbeats and monitors for a time.

use clp_protocol::control::{Reply, Request};

use super::{ask, failure, order, root};
use crate::declaration::{Command, Example, Failure, Form, Kind, Opt, Part, Value, span};
use crate::parse::Parsed;
use crate::screen;

const RATIO: Value = Value { word: "RATIO", kind: Kind::Ratio };
const TIME: Value = Value { word: "TIME", kind: Kind::Span };

/// Its declaration.
pub const COMMAND: Command = Command {
    name: "clptoratio",
    summary: "multiply time-outs for a time, on every server",
    forms: &[
        Form { mode: "-r", parts: &[Part::All(&["-t"])], help: "multiply them by RATIO for TIME" },
        Form { mode: "-i", parts: &[], help: "end that now" },
        Form { mode: "-s", parts: &[], help: "show the ratio in force and when it ends" },
    ],
    options: &[
        Opt { name: "-r", also: &[], value: Some(RATIO), help: "a whole number from 1 to 10000" },
        Opt {
            name: "-t",
            also: &[],
            value: Some(TIME),
            help: "how long: a whole number with m (minutes), h (hours) or d (days), such as 90m; 30 days at most",
        },
        Opt { name: "-i", also: &[], value: None, help: "back to normal" },
        Opt { name: "-s", also: &[], value: None, help: "show" },
    ],
    absent: &[],
    notes: &[
        "Meant for a time of high load, such as a backup: the heartbeat time-out and the time-outs of monitors are multiplied on every server of the cluster, so that slow answers are not taken for failures. A true failure is noticed later by as much.",
        "The ratio ends by itself. A server that starts meanwhile uses it too; when all servers have stopped it is over.",
    ],
    examples: &[
        Example { line: "clptoratio -r 3 -t 1h", what: "three times as long, for an hour" },
        Example { line: "clptoratio -i", what: "back to normal" },
        Example { line: "clptoratio -s", what: "what is in force" },
    ],
    run,
};

fn run(parsed: &Parsed) -> Result<(), Failure> {
    let root = root();
    match parsed.mode {
        "-s" => {
            let status = match ask(&root, None, &Request::Status) {
                Ok(Reply::Status(status)) => *status,
                Ok(reply) => return Err(failure(&reply)),
                Err(cause) => return Err(Failure::new(cause.to_string())),
            };
            screen::line(&match status.timeout_ratio {
                Some(ratio) => format!("Timeout ratio : {} (ends {}, in {})", ratio.ratio, ratio.ends, left(ratio.left_s)),
                None => "Timeout ratio : 1 (normal)".to_string(),
            });
            return Ok(());
        }
        "-i" => order(&root, None, &Request::TimeoutRatio { ratio: 1, seconds: 0 })?,
        _ => {
            let ratio = parsed.value("-r").and_then(|text| text.parse().ok()).unwrap_or(1);
            // The parser has let through nothing but times.
            let seconds = parsed.value("-t").and_then(span).unwrap_or_default();
            order(&root, None, &Request::TimeoutRatio { ratio, seconds })?;
        }
    }
    screen::line("Command succeeded.");
    Ok(())
}

fn left(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, _) => format!("{minutes} min"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_said_in_two_units_at_most() {
        for (seconds, words) in [(5, "5 s"), (3599, "59 min"), (3600, "1 h 0 min"), (90_061, "25 h 1 min")] {
            assert_eq!(left(seconds), words);
        }
    }
}
