//! The test bench's command: makes labs of servers on this machine, breaks them, looks into them.
//!
//! Only arguments and printing (`command/`); everything else is in the library.

mod command;
mod list;

use clap::Parser;
use clp_testbed::{completion, machine};
use command::{
    arguments::{Arguments, Shell},
    run, say,
};
use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    let name = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&name).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let result = match name.as_str() {
        "reboot" | "poweroff" | "halt" => machine::reboot_here(&name).map(|()| ExitCode::SUCCESS),
        _ => match Arguments::parse() {
            Arguments { command: Some(task), .. } => run(task),
            Arguments { completion: Some(Shell::Bash), .. } => say(completion::BASH),
            // Without either the help has been shown.
            _ => Ok(ExitCode::FAILURE),
        },
    };
    result.unwrap_or_else(|error| {
        eprintln!("testbed: {error:#}");
        ExitCode::FAILURE
    })
}
