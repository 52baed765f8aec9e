//! The `clp*` commands in one program, chosen by its name or by the first argument.
//!
//! Binary and library: the library is for `xtask`, which makes manual pages and a chapter of the manual from [`commands`].

pub mod commands;
pub mod completion;
pub mod declaration;
mod format;
pub mod help;
pub mod manual;
pub mod parse;
mod properties;
pub mod screen;
mod waiting;

use std::process::ExitCode;

/// The program.
pub fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let program = arguments.first().map_or("", |path| path.rsplit('/').next().unwrap_or(path)).to_string();
    arguments.drain(..1.min(arguments.len()));
    if let Some(command) = commands::find(&program) {
        return commands::run(command, &arguments);
    }
    let rest = arguments.get(1..).unwrap_or_default();
    match arguments.first().map(String::as_str) {
        Some("--list") => commands::COMMANDS.iter().for_each(|command| screen::line(command.name)),
        Some("--man") => match rest.first().and_then(|name| commands::find(name)) {
            Some(command) => screen::text(&manual::page(command, commands::COMMANDS)),
            None => return usage(),
        },
        Some("--completion") if rest.first().is_none_or(|shell| shell == "bash") => {
            screen::text(&completion::bash(commands::COMMANDS));
        }
        Some("--complete") => {
            let at = rest.first().and_then(|at| at.parse().ok()).unwrap_or(0);
            completion::candidates(rest.get(1..).unwrap_or_default(), at).iter().for_each(|word| screen::line(word));
        }
        Some("--version") => screen::line(&version("clp")),
        Some("--help") => screen::line(&own_usage()),
        Some(name) => match commands::find(name) {
            Some(command) => return commands::run(command, rest),
            None => return usage(),
        },
        None => return usage(),
    }
    ExitCode::SUCCESS
}

/// Name and version of the product.
pub fn version(name: &str) -> String {
    format!("{name} (Mainstay) {}", env!("CARGO_PKG_VERSION"))
}

fn own_usage() -> String {
    let names: Vec<&str> = commands::COMMANDS.iter().map(|command| command.name).collect();
    format!(
        "usage: clp COMMAND ..., where COMMAND is one of {}\n       clp --list | --man COMMAND | --completion bash | --version",
        names.join(", ")
    )
}

fn usage() -> ExitCode {
    screen::error(&own_usage());
    ExitCode::FAILURE
}
