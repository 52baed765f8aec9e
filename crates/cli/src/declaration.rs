//! What a command is: one declaration feeds parsing, help, manual page, manual chapter and completion.
//!
//! A form is a use of the command with its own options. What a form does not name is refused with it, so that no command
//! ever takes one of two options and drops the other. Parsing is in `parse.rs`, texts in `help.rs` and `manual.rs`.

use clp_services::request::Shelf;

use crate::parse::Parsed;

/// A command.
pub struct Command {
    /// Name.
    pub name: &'static str,
    /// What it does, in a line without a full stop.
    pub summary: &'static str,
    /// Ways to use it.
    pub forms: &'static [Form],
    /// Options of all forms; `--help` and `--version` come by themselves.
    pub options: &'static [Opt],
    /// Options of the product's other releases and what stands in their way here.
    pub absent: &'static [Absent],
    /// What one has to know besides, a paragraph each.
    pub notes: &'static [&'static str],
    /// Lines to begin with.
    pub examples: &'static [Example],
    /// Carry it out.
    pub run: fn(&Parsed) -> Result<(), Failure>,
}

/// One use of a command.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// The option that chooses it, and the value that it has then: `-s`, `-t EXEC_SCRIPT`; empty: used when no option chooses
    /// another.
    pub mode: &'static str,
    /// What else it takes.
    pub parts: &'static [Part],
    /// What it does, a sentence without a full stop.
    pub help: &'static str,
}

/// What a form takes besides its mode.
#[derive(Debug, Clone, Copy)]
pub enum Part {
    /// Each of these options may be given.
    Any(&'static [&'static str]),
    /// Each of these options must be given.
    All(&'static [&'static str]),
    /// At most one of these.
    One(&'static [&'static str]),
    /// A word that must be given.
    Word(Value),
    /// A word that may be given.
    MaybeWord(Value),
}

/// An option.
#[derive(Debug, Clone, Copy)]
pub struct Opt {
    /// As written, such as `-h` or `--long`.
    pub name: &'static str,
    /// Other spellings.
    pub also: &'static [&'static str],
    /// Its value, if it takes one.
    pub value: Option<Value>,
    /// What it does, a sentence without a full stop.
    pub help: &'static str,
}

/// What has to be given in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value {
    /// Its name in help texts.
    pub word: &'static str,
    /// What it is.
    pub kind: Kind,
}

/// What a value is: completion offers those that exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Name or address of a server.
    Server,
    /// Name of a server group.
    ServerGroup,
    /// Name of a group.
    Group,
    /// Name of a group resource.
    Resource,
    /// Name of a monitor resource.
    Monitor,
    /// Name of a heartbeat resource.
    Heartbeat,
    /// A shared disk: its device, or a resource on it.
    Disk,
    /// Name of a network partition resolution resource.
    Partition,
    /// Name of a script that other servers may ask for.
    Script(Shelf),
    /// A directory.
    Directory,
    /// Whole seconds, 1 to 9999.
    Seconds,
    /// A whole number, 1 to 99999.
    Number,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Whatever is given.
    Text,
    /// A time-out ratio, 1 to 10000.
    Ratio,
    /// Whole minutes, hours or days with their letter, 30 days at most.
    Span,
}

impl Kind {
    /// What is wrong with a value, seen without the configuration.
    pub fn fault(self, value: &str) -> Option<String> {
        let number = |max: u64| value.parse::<u64>().is_ok_and(|number| (1..=max).contains(&number));
        match self {
            Kind::Seconds if !number(9999) => Some("needs whole seconds from 1 to 9999".into()),
            Kind::Number if !number(99_999) => Some("needs a whole number from 1 to 99999".into()),
            Kind::Ratio if !number(10_000) => Some("needs a whole number from 1 to 10000".into()),
            Kind::Span if span(value).is_none() => {
                Some("needs a whole number with m, h or d, such as 1h; 30 days at most".into())
            }
            Kind::Choice(words) if !words.contains(&value) => Some(format!("needs one of {}", words.join(", "))),
            _ => None,
        }
    }
}

/// `30m`, `1h`, `2d` in seconds; None: it is no such time, or longer than thirty days.
pub fn span(text: &str) -> Option<u64> {
    let (unit, factor) = [("m", 60), ("h", 3600), ("d", 86_400)].into_iter().find(|(unit, _)| text.ends_with(unit))?;
    let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
    number.checked_mul(factor).filter(|seconds| (1..=30 * 86_400).contains(seconds))
}

/// A group resource.
pub const RESOURCE: Value = Value { word: "RESOURCE", kind: Kind::Resource };
/// One server or several, with commas between them.
pub const HOSTS: Value = Value { word: "HOST[,HOST...]", kind: Kind::Server };
/// A server.
pub const HOST: Value = Value { word: "HOST", kind: Kind::Server };
/// The server that a group goes to.
pub const DESTINATION: Value = Value { word: "DESTINATION", kind: Kind::Server };
/// A group.
pub const GROUP: Value = Value { word: "GROUP", kind: Kind::Group };
/// A directory.
pub const DIRECTORY: Value = Value { word: "DIRECTORY", kind: Kind::Directory };
/// Seconds.
pub const SECONDS: Value = Value { word: "SECONDS", kind: Kind::Seconds };

/// How long to wait, for commands that wait.
pub const WAIT: Opt = Opt {
    name: "-w",
    also: &["--apito"],
    value: Some(SECONDS),
    help: "wait no longer than that; what was ordered goes on, and the exit code is 1",
};

/// An option that this version does not have.
#[derive(Debug, Clone, Copy)]
pub struct Absent {
    /// As written in other releases.
    pub names: &'static [&'static str],
    /// Why not, or what to do in its place.
    pub why: &'static str,
}

/// A line that can be typed.
#[derive(Debug, Clone, Copy)]
pub struct Example {
    /// The line.
    pub line: &'static str,
    /// What it does.
    pub what: &'static str,
}

/// Why a command failed, in words for the operator; exit code 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(pub String);

impl Failure {
    /// With its words.
    pub fn new(words: impl Into<String>) -> Self {
        Failure(words.into())
    }
}

impl Command {
    /// The option with this name.
    pub fn option(&self, name: &str) -> Option<&'static Opt> {
        self.options.iter().find(|option| option.name == name)
    }

    /// Where the command is told what to do: options that choose a form.
    pub fn modes(&self) -> Vec<&'static str> {
        let mut modes: Vec<&str> = self.forms.iter().map(|form| form.mode).filter(|mode| !mode.is_empty()).collect();
        modes.dedup();
        modes
    }

    /// An option as shown: with the name of its value.
    pub fn shown(&self, name: &'static str) -> String {
        match self.option(name).and_then(|option| option.value) {
            Some(value) => format!("{name} {}", value.word),
            None => name.to_string(),
        }
    }

    /// An option in all its spellings: `-w SECONDS, --apito SECONDS`.
    pub fn spellings(&self, option: &Opt) -> String {
        let value = option.value.map_or(String::new(), |value| format!(" {}", value.word));
        let names = std::iter::once(&option.name).chain(option.also);
        names.map(|name| format!("{name}{value}")).collect::<Vec<_>>().join(", ")
    }

    /// A form as one line: `clpgrp -s [GROUP] [-h HOST]`.
    pub fn line(&self, form: &Form) -> String {
        let mut line = self.name.to_string();
        match form.chooser() {
            ("", _) => {}
            (option, None) => line.push_str(&format!(" {}", self.shown(option))),
            (_, Some(_)) => line.push_str(&format!(" {}", form.mode)),
        }
        for part in form.parts {
            let shown = match part {
                Part::Any(options) => {
                    options.iter().map(|option| format!("[{}]", self.shown(option))).collect::<Vec<_>>().join(" ")
                }
                Part::All(options) => options.iter().map(|option| self.shown(option)).collect::<Vec<_>>().join(" "),
                Part::One(options) => {
                    format!("[{}]", options.iter().map(|option| self.shown(option)).collect::<Vec<_>>().join(" | "))
                }
                Part::Word(value) => value.word.to_string(),
                Part::MaybeWord(value) => format!("[{}]", value.word),
            };
            line.push_str(&format!(" {shown}"));
        }
        line
    }
}

impl Form {
    /// The option that chooses it, empty when none does, and the value that it must have, if that matters.
    pub fn chooser(&self) -> (&'static str, Option<&'static str>) {
        self.mode.split_once(' ').map_or((self.mode, None), |(option, value)| (option, Some(value)))
    }

    /// Options that must be given besides.
    pub fn needed(&self) -> impl Iterator<Item = &'static str> {
        self.parts.iter().flat_map(|part| match part {
            Part::All(options) => options.iter().copied(),
            _ => [].iter().copied(),
        })
    }

    /// Does it take the option?
    pub fn takes(&self, name: &str) -> bool {
        (!name.is_empty() && self.chooser().0 == name)
            || self.parts.iter().any(|part| match part {
                Part::Any(options) | Part::All(options) | Part::One(options) => options.contains(&name),
                Part::Word(_) | Part::MaybeWord(_) => false,
            })
    }

    /// The word it takes, and whether it must be given.
    pub fn word(&self) -> Option<(Value, bool)> {
        self.parts.iter().find_map(|part| match part {
            Part::Word(value) => Some((*value, true)),
            Part::MaybeWord(value) => Some((*value, false)),
            Part::Any(_) | Part::All(_) | Part::One(_) => None,
        })
    }
}
