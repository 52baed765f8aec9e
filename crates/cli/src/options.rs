//! One declaration a command feeds parsing, help, manual page and completion.

/// An option of a command.
#[derive(Debug, Clone, Copy)]
pub struct Opt {
    /// As written, such as `-h` or `--long`.
    pub name: &'static str,
    /// Name of its value, if it takes one.
    pub value: Option<&'static str>,
    /// One sentence.
    pub help: &'static str,
}

/// A command.
pub struct Command {
    /// Name.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Forms of use.
    pub usage: &'static [&'static str],
    /// Options.
    pub options: &'static [Opt],
    /// Carry it out.
    pub run: fn(&Parsed) -> Result<(), Failure>,
}

/// What was asked.
#[derive(Debug, Clone, Default)]
pub struct Parsed {
    /// Options with their values.
    pub options: Vec<(&'static str, Option<String>)>,
    /// Words that are no options.
    pub words: Vec<String>,
}

impl Parsed {
    /// Was the option given?
    pub fn has(&self, name: &str) -> bool {
        self.options.iter().any(|(option, _)| *option == name)
    }

    /// Its value.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(option, _)| *option == name).and_then(|(_, value)| value.as_deref())
    }
}

/// Why a command failed; exit code 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(pub String);

impl Failure {
    /// With its words.
    pub fn new(words: impl Into<String>) -> Self {
        Failure(words.into())
    }
}

/// The guide prints en dashes in places, and one dash before long words: all mean the same option.
fn canonical(argument: &str, command: &Command) -> String {
    let plain = argument.replace(['–', '—'], "-").replacen("---", "--", 1);
    if command.options.iter().any(|option| option.name == plain) {
        return plain;
    }
    let long = format!("--{}", plain.trim_start_matches('-'));
    if plain.starts_with('-') && plain.len() > 2 && command.options.iter().any(|option| option.name == long) {
        return long;
    }
    plain
}

/// Read arguments.
pub fn parse(command: &Command, arguments: &[String]) -> Result<Parsed, Failure> {
    let mut parsed = Parsed::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let name = canonical(argument, command);
        if !name.starts_with('-') {
            parsed.words.push(argument.clone());
            continue;
        }
        let Some(option) = command.options.iter().find(|option| option.name == name) else {
            return Err(Failure::new(format!("{}: invalid option {argument}\n{}", command.name, usage(command))));
        };
        if option.value.is_some() && parsed.has(option.name) {
            return Err(Failure::new(format!("{}: {name} is given twice\n{}", command.name, usage(command))));
        }
        let value = match option.value {
            None => None,
            Some(word) => Some(
                rest.next()
                    .cloned()
                    .ok_or_else(|| Failure::new(format!("{}: {name} needs a {word}\n{}", command.name, usage(command))))?,
            ),
        };
        parsed.options.push((option.name, value));
    }
    Ok(parsed)
}

/// Forms of use.
pub fn usage(command: &Command) -> String {
    let lines: Vec<String> = command
        .usage
        .iter()
        .enumerate()
        .map(|(index, form)| format!("{} {} {form}", if index == 0 { "usage:" } else { "      " }, command.name))
        .collect();
    lines.join("\n")
}

/// The whole help.
pub fn help(command: &Command) -> String {
    let mut text = format!("{}: {}\n\n{}\n\n", command.name, command.summary, usage(command));
    for option in command.options {
        let shown = option.value.map_or(option.name.to_string(), |value| format!("{} {value}", option.name));
        text.push_str(&format!("  {shown:<16} {}\n", option.help));
    }
    text.push_str("  --help           this text\n\nexit codes: 0 done, 1 not done (the reason is on standard error)\n");
    text
}

/// A manual page.
pub fn manual(command: &Command) -> String {
    let mut page = format!(
        ".TH {} 8 \"\" Mainstay\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n",
        command.name.to_uppercase(),
        command.name,
        command.summary
    );
    for form in command.usage {
        page.push_str(&format!(".B {}\n{}\n.br\n", command.name, form.replace('-', "\\-")));
    }
    page.push_str(".SH OPTIONS\n");
    for option in command.options {
        let shown = option.value.map_or(option.name.to_string(), |value| format!("{} {value}", option.name));
        page.push_str(&format!(".TP\n.B {}\n{}\n", shown.replace('-', "\\-"), option.help));
    }
    page.push_str(".SH EXIT STATUS\n0 done, 1 not done.\n");
    page
}

/// Completion for bash.
pub fn completion(commands: &[&Command]) -> String {
    let names: Vec<&str> = commands.iter().map(|command| command.name).collect();
    let own = format!("complete -W \"{} --list --man --completion\" clp\n", names.join(" "));
    commands
        .iter()
        .map(|command| {
            let options: Vec<&str> = command.options.iter().map(|option| option.name).collect();
            format!("complete -W \"{} --help\" {}\n", options.join(" "), command.name)
        })
        .fold(own, |all, line| all + &line)
}
