//! `clpwitness`: a witness for network partition resolution (`httpnp`). It keeps one record for each of many clusters, which the
//! cluster's servers read and change by compare-and-swap; what a record means is decided by them (`clp_core::arbiter`).
//!
//! Binary and library: the library is for `xtask`, which makes the manual page from [`COMMAND`]. `state.rs` is a cluster on the disk,
//! `store.rs` all of them, `answer.rs` what a request gets, `serve.rs` the network. *Invariants:* what was answered as written is on the
//! disk; a cluster without its file is unknown and never one whose record is empty; nothing is parsed before it opened with a key.

mod answer;
mod command;
mod pace;
mod serve;
mod setup;
mod state;
mod store;

use std::process::ExitCode;

use clp_cli::{completion, help, parse, screen};

pub use command::COMMAND;

/// The program.
pub fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    if arguments.iter().any(|argument| argument == "--help") {
        screen::text(&help::help(&COMMAND, help::width()));
        return ExitCode::SUCCESS;
    }
    if arguments.iter().any(|argument| argument == "--version") {
        screen::line(&clp_cli::version(COMMAND.name));
        return ExitCode::SUCCESS;
    }
    match arguments.first().map(String::as_str) {
        Some("--completion") if arguments.get(1).is_none_or(|shell| shell == "bash") => {
            screen::text(&completion::bash_of(COMMAND.name, &[]));
            return ExitCode::SUCCESS;
        }
        Some("--complete") => {
            let at = arguments.get(1).and_then(|at| at.parse().ok()).unwrap_or(0);
            let words = arguments.get(2..).unwrap_or_default();
            completion::candidates_of(&COMMAND, words, at).iter().for_each(|word| screen::line(word));
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    match parse::parse(&COMMAND, &arguments).and_then(|parsed| (COMMAND.run)(&parsed)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            screen::error(&failure.0);
            ExitCode::FAILURE
        }
    }
}
