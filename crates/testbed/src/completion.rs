//! Completion of this command's words in a shell: options and words from the declarations, labs and servers from this machine.
//!
//! The shell asks `testbed complete -- WORDS` at each tab. Needs no root and changes nothing.

use clap::{Arg, Command};

use crate::places::living;

/// What bash reads; words that the command does not know (files, commands) are completed as anywhere.
pub const BASH: &str = "_testbed() {
    local IFS=$'\\n'
    COMPREPLY=($(\"${COMP_WORDS[0]}\" complete -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null))
}
complete -o bashdefault -o default -F _testbed testbed
";

/// A lab and its servers.
pub type Names = (String, Vec<String>);

/// The labs of this machine.
pub fn labs() -> Vec<Names> {
    let servers = |count: u32| (1..=count).map(|number| format!("server{number}")).collect();
    living().unwrap_or_default().into_iter().map(|record| (record.name, servers(record.options.servers))).collect()
}

/// What the last word may become; the words before it are complete.
pub fn candidates(command: &Command, words: &[String], labs: &[Names]) -> Vec<String> {
    let Some((begun, before)) = words.split_last() else { return Vec::new() };
    if before.iter().any(|word| word == "--") {
        return Vec::new();
    }
    let mut found: Vec<String> = match before.split_first() {
        None => subcommands(command).chain(options(command)).collect(),
        Some((name, rest)) => match command.find_subcommand(name) {
            Some(task) => of_task(task, rest, begun, labs),
            None => Vec::new(),
        },
    };
    found.retain(|word| word.starts_with(begun.as_str()));
    found
}

fn of_task(task: &Command, before: &[String], begun: &str, labs: &[Names]) -> Vec<String> {
    let value_of = |argument: &Arg| match argument.get_id().as_str() {
        "lab" => labs.iter().map(|(name, _)| name.clone()).collect(),
        "server" => servers(before, labs),
        "from" | "towards" => servers(before, labs).into_iter().chain(["client", "gateway"].map(String::from)).collect(),
        _ => argument.get_possible_values().iter().map(|value| value.get_name().to_string()).collect::<Vec<_>>(),
    };
    let option = |word: &String| {
        let long = word.strip_prefix("--")?;
        task.get_arguments().find(|argument| argument.get_long() == Some(long))
    };
    let takes_value = |argument: &Arg| argument.get_action().takes_values();
    if let Some(argument) = before.last().and_then(option).filter(|argument| takes_value(argument)) {
        return value_of(argument);
    }
    if begun.starts_with('-') {
        return options(task).collect();
    }
    // How many words are neither options nor their values.
    let mut given = 0;
    let mut rest = before.iter();
    while let Some(word) = rest.next() {
        if option(word).is_some_and(takes_value) {
            rest.next();
        } else if !word.starts_with('-') {
            given += 1;
        }
    }
    task.get_positionals().filter(|argument| !argument.is_last_set()).nth(given).map(value_of).unwrap_or_default()
}

fn subcommands(command: &Command) -> impl Iterator<Item = String> {
    command.get_subcommands().filter(|task| !task.is_hide_set()).map(|task| task.get_name().to_string())
}

fn options(command: &Command) -> impl Iterator<Item = String> {
    let own = command.get_arguments().filter(|argument| !argument.is_hide_set()).filter_map(Arg::get_long);
    own.map(|long| format!("--{long}")).chain(["--help".to_string()])
}

/// The servers of the lab that is named among the words; of all labs when none is.
fn servers(before: &[String], labs: &[Names]) -> Vec<String> {
    let named = before.windows(2).find(|pair| pair[0] == "--name").map(|pair| &pair[1]);
    let mut servers: Vec<String> = labs
        .iter()
        .filter(|(name, _)| named.is_none_or(|named| named == name))
        .flat_map(|(_, servers)| servers.clone())
        .collect();
    let number = |server: &String| server.trim_start_matches("server").parse::<u32>().unwrap_or_default();
    servers.sort_by_key(number);
    servers.dedup();
    servers
}
