//! The `clp*` commands in one binary, chosen by the program's name or by the first argument.

mod commands;
mod format;
mod options;
mod screen;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let program = arguments.first().map_or("", |path| path.rsplit('/').next().unwrap_or(path)).to_string();
    arguments.drain(..1.min(arguments.len()));
    if let Some(command) = commands::find(&program) {
        return commands::run(command, &arguments);
    }
    match arguments.first().map(String::as_str) {
        Some("--list") => {
            for command in commands::COMMANDS {
                screen::line(command.name);
            }
            ExitCode::SUCCESS
        }
        Some("--man") => match arguments.get(1).and_then(|name| commands::find(name)) {
            Some(command) => {
                screen::text(&options::manual(command));
                ExitCode::SUCCESS
            }
            None => usage(),
        },
        Some("--completion") if arguments.get(1).is_none_or(|shell| shell == "bash") => {
            screen::text(&options::completion(commands::COMMANDS));
            ExitCode::SUCCESS
        }
        Some(name) => match commands::find(name) {
            Some(command) => commands::run(command, &arguments[1..]),
            None => usage(),
        },
        None => usage(),
    }
}

fn usage() -> ExitCode {
    let names: Vec<&str> = commands::COMMANDS.iter().map(|command| command.name).collect();
    screen::error(&format!(
        "usage: clp COMMAND …, where COMMAND is one of {}; clp --list | --man COMMAND | --completion bash",
        names.join(", ")
    ));
    ExitCode::FAILURE
}
