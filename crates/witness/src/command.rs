//! The declaration of `clpwitness`, and which part of the program carries out which form.

use std::path::PathBuf;

use clp_cli::declaration::{Command, DIRECTORY, Example, Failure, Form, Kind, Opt, Part, Value};
use clp_cli::parse::Parsed;

use crate::{serve, setup};

/// Where states lie unless told otherwise.
const STATE: &str = "/var/lib/clpwitness";
const FILE: Value = Value { word: "FILE", kind: Kind::Text };
const CLUSTER: Value = Value { word: "CLUSTER", kind: Kind::Text };
const ADDRESS: Value = Value { word: "ADDRESS:PORT", kind: Kind::Text };
const RESOLUTION: Value = Value { word: "RESOLUTION", kind: Kind::Partition };

/// Its declaration.
pub const COMMAND: Command = Command {
    name: "clpwitness",
    summary: "a witness that decides which side of a cut cluster goes on",
    forms: &[
        Form {
            mode: "",
            parts: &[Part::Any(&["--listen", "--state"])],
            help: "answer the clusters that were added; runs in the foreground, as any user",
        },
        Form {
            mode: "--add",
            parts: &[Part::Any(&["--state"]), Part::MaybeWord(FILE)],
            help: "add a cluster by the line that --key prints on its servers, from FILE or standard input",
        },
        Form { mode: "--list", parts: &[Part::Any(&["--state", "--json"])], help: "show the clusters and their records" },
        Form {
            mode: "--remove",
            parts: &[Part::Any(&["--state"])],
            help: "forget a cluster, named by its name or its number in --list, and its record",
        },
        Form {
            mode: "--key",
            parts: &[Part::Any(&["--cluster", "--from"])],
            help: "on a server of the cluster: print the line that makes it known to a witness; keep it as secret as a key",
        },
        Form {
            mode: "--accept",
            parts: &[],
            help: "on a server of the cluster: trust the record that a witness or an etcd has begun anew",
        },
    ],
    options: &[
        Opt { name: "--listen", also: &[], value: Some(ADDRESS), help: "where to listen; else port 29020 of every address" },
        Opt { name: "--state", also: &[], value: Some(DIRECTORY), help: "where records are kept; else /var/lib/clpwitness" },
        Opt { name: "--add", also: &[], value: None, help: "add a cluster" },
        Opt { name: "--list", also: &[], value: None, help: "show them" },
        Opt { name: "--json", also: &[], value: None, help: "for programs" },
        Opt { name: "--remove", also: &[], value: Some(CLUSTER), help: "forget a cluster" },
        Opt { name: "--key", also: &[], value: None, help: "print a cluster's line" },
        Opt { name: "--cluster", also: &[], value: Some(CLUSTER), help: "its name; else that of the configuration in force" },
        Opt { name: "--from", also: &[], value: Some(FILE), help: "its key; else etc/trust/cluster.key" },
        Opt { name: "--accept", also: &[], value: Some(RESOLUTION), help: "a resolution such as httpnp1 or etcdnp1" },
    ],
    absent: &[],
    notes: &[
        "A witness runs on a machine that is none of the cluster's servers, best where it is reached on another way than they reach each other. It holds a key that is derived from the cluster's: with it nobody can command the cluster. One witness serves many clusters.",
        "For bash, words are completed after eval \"$(clpwitness --completion)\".",
        "A cluster that is added while the witness runs is answered at once. A state directory that was lost loses the clusters as well: they are answered nothing until they are added again, and their servers do not trust the new record before they are told to (--accept, on every server, when all servers are online or those that are not are switched off). Never put an old copy of the directory back: remove the cluster and add it again.",
    ],
    examples: &[
        Example { line: "clpwitness --key >cluster.line", what: "on a server of the cluster" },
        Example { line: "clpwitness --add cluster.line", what: "on the witness" },
        Example { line: "clpwitness --listen 10.0.0.9:29020", what: "answer on one address" },
        Example { line: "clpwitness --list", what: "who may go on, by each record" },
        Example { line: "clpwitness --accept httpnp1", what: "on each server, after the witness lost its state" },
    ],
    run,
};

fn run(parsed: &Parsed) -> Result<(), Failure> {
    let state = PathBuf::from(parsed.value("--state").unwrap_or(STATE));
    match parsed.mode {
        "--add" => setup::add(&state, parsed.word.as_deref()),
        "--list" => setup::list(&state, parsed.has("--json")),
        "--remove" => setup::remove(&state, parsed.value("--remove").unwrap_or_default()),
        "--key" => setup::key(parsed.value("--cluster"), parsed.value("--from")),
        "--accept" => setup::accept(parsed.value("--accept").unwrap_or_default()),
        _ => serve::run(&state, parsed.value("--listen")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clp_cli::{completion, help, parse};

    #[test]
    fn what_the_help_shows_is_what_is_taken() {
        for example in COMMAND.examples {
            let words: Vec<String> = example.line.split(" >").next().unwrap_or_default().split(' ').map(String::from).collect();
            if let Err(Failure(reason)) = parse::parse(&COMMAND, &words[1..]) {
                panic!("{}: {reason}", example.line);
            }
        }
        for width in [40, 80] {
            let text = help::help(&COMMAND, width);
            assert_eq!(text.lines().find(|line| line.chars().count() > width), None, "at {width}");
        }
        let words = ["clpwitness", "--list", ""].map(String::from);
        assert_eq!(completion::candidates_of(&COMMAND, &words, 2), ["--state", "--json"]);
    }
}
