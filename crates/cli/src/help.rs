//! Help for a terminal, made from the declaration and folded to the terminal's width.

use crate::declaration::{Command, Form};
use crate::waiting;

/// Narrowest and widest text: beyond that lines are hard to read.
const WIDTHS: std::ops::RangeInclusive<usize> = 40..=100;
/// Where nothing is known about the reader.
const WIDTH: usize = 80;
/// Up to so many forms an error shows all of them.
const FORMS_SHOWN: usize = 6;

/// Forms of use, for an error: the one that was meant if that is known.
pub fn usage(command: &Command, form: Option<&Form>) -> String {
    let forms: Vec<String> = match form {
        Some(form) => vec![command.line(form)],
        None => command.forms.iter().take(FORMS_SHOWN).map(|form| command.line(form)).collect(),
    };
    let more = if form.is_some() || command.forms.len() > FORMS_SHOWN {
        format!("\n       {} --help shows all", command.name)
    } else {
        String::new()
    };
    format!("usage: {}{more}", forms.join("\n       "))
}

/// The width of the terminal that reads, if it is one.
pub fn width() -> usize {
    let known = rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col)).filter(|w| *w > 0);
    known.unwrap_or(WIDTH).clamp(*WIDTHS.start(), *WIDTHS.end())
}

/// The whole help.
pub fn help(command: &Command, width: usize) -> String {
    let mut text = fold(&format!("{}: {}", command.name, command.summary), width, 0, 0);
    text.push_str("\nusage:\n");
    for form in command.forms {
        text.push_str(&fold(&command.line(form), width, 2, 6));
        text.push_str(&fold(form.help, width, 6, 6));
    }
    text.push_str("\noptions:\n");
    for option in command.options {
        text.push_str(&entry(&command.spellings(option), option.help, width));
    }
    text.push_str(&entry("--help", "this text", width));
    text.push_str(&entry("--version", "the version", width));
    for note in command.notes {
        text.push('\n');
        text.push_str(&fold(note, width, 0, 0));
    }
    text.push_str("\nexamples:\n");
    for example in command.examples {
        text.push_str(&fold(example.line, width, 2, 6));
        text.push_str(&fold(example.what, width, 6, 6));
    }
    text.push('\n');
    text.push_str(&fold(&format!("exit codes: {}", EXITS.map(|(code, what)| format!("{code} {what}")).join("; ")), width, 0, 4));
    text
}

/// Exit codes of all commands.
pub const EXITS: [(u8, &str); 4] = [
    (0, "done"),
    (1, "not done, or not wholly; the reason is on standard error"),
    (waiting::ASSUMED, "answered, but an answer holds only under what is named with it (clpstat --whatif)"),
    (130, "the wait was ended by Ctrl-C (143 by SIGTERM, 129 by SIGHUP); what was ordered goes on"),
];

/// A name and what it means, the latter in a column where there is room.
fn entry(name: &str, what: &str, width: usize) -> String {
    const COLUMN: usize = 20;
    if width < 60 || name.len() + 4 > COLUMN {
        return fold(name, width, 2, 2) + &fold(what, width, 6, 6);
    }
    let folded = fold(what, width, COLUMN, COLUMN);
    format!("  {name:<width$}{}", folded.trim_start(), width = COLUMN - 2)
}

/// Words in lines: `first` blanks before the first, `rest` before the others. A word that is too long stands alone.
fn fold(text: &str, width: usize, first: usize, rest: usize) -> String {
    let mut lines = String::new();
    let mut line = " ".repeat(first);
    let mut is_empty = true;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > width {
            lines.push_str(&line);
            lines.push('\n');
            line = " ".repeat(rest);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    lines + &line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::COMMANDS;

    #[test]
    fn help_fits_narrow_and_wide_terminals() {
        for command in COMMANDS {
            for width in [40, 80, 100] {
                let text = help(command, width);
                let long = text.lines().find(|line| line.chars().count() > width);
                assert_eq!(long, None, "{} at {width}", command.name);
                for form in command.forms {
                    assert!(text.replace(char::is_whitespace, "").contains(&command.line(form).replace(' ', "")));
                }
            }
        }
    }
}
