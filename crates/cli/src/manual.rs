//! Manual pages and the chapter of the manual, made from the declarations.

use crate::declaration::Command;
use crate::help::EXITS;

/// A page for `man`, section 8.
pub fn page(command: &Command, all: &[&Command]) -> String {
    let mut page = format!(
        ".\\\" made by `cargo xtask generate`; do not edit\n.TH {} 8 \"\" Mainstay \"Mainstay manual\"\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n.nf\n",
        command.name.to_uppercase(),
        command.name,
        roff(command.summary)
    );
    for form in command.forms {
        page.push_str(&format!(".B {}\n", roff(&command.line(form))));
    }
    page.push_str(".fi\n.SH DESCRIPTION\n");
    for form in command.forms {
        page.push_str(&format!(".TP\n.B {}\n{}.\n", roff(&command.line(form)), roff(form.help)));
    }
    for note in command.notes {
        page.push_str(&format!(".PP\n{}\n", roff(note)));
    }
    page.push_str(".SH OPTIONS\n");
    for option in command.options {
        page.push_str(&format!(".TP\n.B {}\n{}.\n", roff(&command.spellings(option)), roff(option.help)));
    }
    page.push_str(".TP\n.B \\-\\-help\nHelp.\n.TP\n.B \\-\\-version\nThe version.\n.SH EXAMPLES\n");
    for example in command.examples {
        page.push_str(&format!(".TP\n.B {}\n{}.\n", roff(example.line), roff(example.what)));
    }
    page.push_str(".SH EXIT STATUS\n");
    for (code, what) in EXITS {
        page.push_str(&format!(".TP\n.B {code}\n{}.\n", roff(what)));
    }
    if !command.absent.is_empty() {
        page.push_str(".SH NOT IN THIS VERSION\nOptions of other releases that are refused.\n");
        for absent in command.absent {
            page.push_str(&format!(".TP\n.B {}\n{}.\n", roff(&absent.names.join(", ")), roff(absent.why)));
        }
    }
    let others: Vec<String> =
        all.iter().filter(|other| other.name != command.name).map(|other| format!("{}(8)", other.name)).collect();
    page.push_str(&format!(".SH SEE ALSO\n{}\n", others.join(", ")));
    page
}

/// A line that roff takes as text.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

/// The chapter.
pub fn chapter(all: &[&Command]) -> String {
    let mut text = String::from(
        "# Commands\n\nEvery command is for root; another user reads `Log in as root.` HOST is a server's name or one of its LAN addresses.\n\
         Options may stand in any order, and dashes as word processors print them are understood. `--help` and `--version` work\n\
         with every command. Output is the same on a terminal, in a pipe and in a file.\n\n\
         A command that gives an order waits until its effect is true. Ctrl-C or `-w SECONDS` end the wait and not the order.\n\n\
         | exit code | meaning |\n|---|---|\n",
    );
    for (code, what) in EXITS {
        text.push_str(&format!("| {code} | {what} |\n"));
    }
    text.push_str(
        "\nThe commands are names of one program, `clp`: `clp --list` names them, `clp --man COMMAND` prints a manual page and\n\
         `clp --completion bash` a completion for bash (`source <(clp --completion bash)`).\n",
    );
    for command in all {
        text.push_str(&format!("\n## {}\n\n{}.\n\n| form | what it does |\n|---|---|\n", command.name, upper(command.summary)));
        for form in command.forms {
            text.push_str(&format!("| `{}` | {} |\n", cell(&command.line(form)), cell(form.help)));
        }
        text.push_str("\n| option | meaning |\n|---|---|\n");
        for option in command.options {
            text.push_str(&format!("| `{}` | {} |\n", command.spellings(option), cell(option.help)));
        }
        for note in command.notes {
            text.push_str(&format!("\n{note}\n"));
        }
        text.push_str("\nExamples:\n\n");
        for example in command.examples {
            text.push_str(&format!("    {:<44} # {}\n", example.line, example.what));
        }
        if !command.absent.is_empty() {
            text.push_str("\nOptions of other releases that are refused:\n\n");
            for absent in command.absent {
                text.push_str(&format!("- `{}`: {}\n", absent.names.join("`, `"), absent.why));
            }
        }
    }
    text
}

fn upper(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().collect::<String>() + letters.as_str())
}

/// In a table a bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
