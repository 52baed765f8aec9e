//! The daemons of one server in one binary, chosen by the program's name or by the first argument:
//! `clusterpro` (parent), `clusterpro engine`, `clusterpro monitord`, `clusterpro_trn`.
//!
//! Decides nothing: the parent is in `parent.rs`, the engine in `engine/`, the monitor daemon in `monitord.rs`.
#![deny(clippy::print_stderr, reason = "it panics when standard error is a file on a full disk: setup::complain")]

mod engine;
mod exit;
mod ipc;
mod monitord;
mod parent;
mod setup;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().collect();
    let program = arguments.first().map_or("", |path| path.rsplit('/').next().unwrap_or(path)).to_string();
    arguments.drain(..1.min(arguments.len()));
    if program == "clusterpro_trn" {
        return clp_services::transfer::main(&arguments);
    }
    match arguments.first().map(String::as_str) {
        None => parent::main(),
        Some("engine") => engine::main(),
        Some("monitord") => monitord::main(),
        Some("clusterpro_trn") => clp_services::transfer::main(&arguments[1..]),
        Some("diskhb-init") => setup::initialise_disk_heartbeat(&arguments[1..]),
        Some("--version") => {
            println!("clusterpro {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Some("--help") => {
            println!("{HELP}");
            ExitCode::SUCCESS
        }
        Some(other) => {
            setup::complain(&format!("unknown argument {other}\n{HELP}"));
            ExitCode::FAILURE
        }
    }
}

const HELP: &str = "usage: clusterpro                     run the cluster service of this server in the foreground
       clusterpro diskhb-init DEVICE  label a partition for the disk heartbeat (refuses known data)
       clusterpro clusterpro_trn …    run the transfer service (see its --help)
       clusterpro --version | --help
The service is started with clpcl -s and stopped with clpcl -t.";
