//! Completion: what can stand at the cursor, from the declaration and the configuration in force.
//!
//! The shell only asks (`clp --complete`), so that it never knows more or less than the parser.

use crate::commands;
use crate::declaration::{Command, Form, Kind};
use crate::parse::meant;

/// Said in place of names when directories are wanted: the shell knows those better.
pub const DIRECTORIES: &str = "/";

/// The completion for bash: every command, and `clp` itself.
pub fn bash(all: &[&Command]) -> String {
    let names: Vec<&str> = all.iter().map(|command| command.name).collect();
    format!(
        "_clp() {{\n    local IFS=$'\\n'\n    COMPREPLY=($(clp --complete \"$COMP_CWORD\" \"${{COMP_WORDS[@]}}\" 2>/dev/null))\n    \
         if [ \"${{COMPREPLY[0]-}}\" = {DIRECTORIES} ]; then\n        COMPREPLY=($(compgen -d -- \"$2\"))\n        \
         compopt -o filenames 2>/dev/null\n    fi\n}}\ncomplete -F _clp clp {}\n",
        names.join(" ")
    )
}

/// What can stand at the cursor; `words` begins with the command's name, and the cursor is in word `at`.
pub fn candidates(words: &[String], at: usize) -> Vec<String> {
    let name = words.first().map_or("", |word| word.rsplit('/').next().unwrap_or(word));
    let current = words.get(at).map_or("", String::as_str);
    let found = match commands::find(name) {
        Some(command) => of_command(command, words.get(1..at).unwrap_or_default(), current),
        None if at <= 1 => {
            let own = ["--list", "--man", "--completion", "--version", "--help"];
            commands::COMMANDS.iter().map(|command| command.name).chain(own).map(String::from).collect()
        }
        None if words.get(1).is_some_and(|word| word == "--man") => {
            commands::COMMANDS.iter().map(|command| command.name.to_string()).collect()
        }
        None => return candidates(words.get(1..).unwrap_or_default(), at - 1),
    };
    found.into_iter().filter(|word| word.starts_with(current) || word == DIRECTORIES).collect()
}

fn of_command(command: &Command, before: &[String], current: &str) -> Vec<String> {
    let mut given: Vec<&'static str> = Vec::new();
    let mut has_word = false;
    let mut words = before.iter().peekable();
    while let Some(word) = words.next() {
        match meant(command, word) {
            Some(option) => {
                given.push(option.name);
                if let Some(value) = option.value {
                    match words.next() {
                        Some(_) => {}
                        None => return names(value.kind),
                    }
                }
            }
            None => has_word = true,
        }
    }
    let fitting: Vec<&Form> = command.forms.iter().filter(|form| given.iter().all(|option| form.takes(option))).collect();
    let chosen = |form: &&&Form| form.mode.is_empty() || given.contains(&form.chooser().0);
    let word = fitting.iter().filter(chosen).find_map(|form| form.word());
    let mut found = match word {
        Some((value, _)) if !has_word && !current.starts_with('-') => names(value.kind),
        _ => Vec::new(),
    };
    if found.is_empty() || current.starts_with('-') {
        let can_follow = |name: &&&str| !given.contains(*name) && fitting.iter().any(|form| form.takes(name));
        found.extend(command.options.iter().map(|option| &option.name).filter(can_follow).map(|name| name.to_string()));
        if given.is_empty() && !has_word {
            found.extend(["--help".to_string(), "--version".to_string()]);
        }
    }
    found
}

/// What is configured.
fn names(kind: Kind) -> Vec<String> {
    let root = commands::root();
    match kind {
        Kind::Directory => return vec![DIRECTORIES.to_string()],
        Kind::Choice(words) => return words.iter().map(|word| word.to_string()).collect(),
        // Those of this server: mostly the others have the same.
        Kind::Script(shelf) => return files(&root.work().join(shelf.word())),
        _ => {}
    }
    let Ok((_, configuration)) = commands::in_force(&root) else { return Vec::new() };
    match kind {
        Kind::Server => configuration.servers.into_iter().map(|server| server.name).collect(),
        Kind::ServerGroup => configuration.server_groups.into_iter().map(|list| list.name).collect(),
        Kind::Group => configuration.groups.into_iter().map(|group| group.name).collect(),
        Kind::Resource => configuration.resources.into_iter().map(|resource| resource.name).collect(),
        Kind::Monitor => configuration.monitors.into_iter().map(|monitor| monitor.name).collect(),
        Kind::Heartbeat => configuration.heartbeats.into_iter().map(|heartbeat| heartbeat.name).collect(),
        Kind::Partition => configuration.partitions.into_iter().map(|partition| partition.name).collect(),
        Kind::Disk => {
            let around = clp_whatif::Surroundings::of(&configuration);
            commands::disks(&configuration, &around)
        }
        Kind::Directory
        | Kind::Choice(_)
        | Kind::Script(_)
        | Kind::Seconds
        | Kind::Ratio
        | Kind::Span
        | Kind::Number
        | Kind::Text => Vec::new(),
    }
}

fn files(directory: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}
