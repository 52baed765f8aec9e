//! Arguments become a form with its options, or a reason that says which words do not go together.

use crate::declaration::{Command, Failure, Form, Opt, Part};
use crate::help;

/// What was asked.
#[derive(Debug, Clone, Default)]
pub struct Parsed {
    /// The option that chose the form; empty for the form without one.
    pub mode: &'static str,
    options: Vec<(&'static str, Option<String>)>,
    /// The word that the form takes.
    pub word: Option<String>,
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

/// The option that an argument means. The guide prints en dashes in places, and one dash before long words.
pub fn meant(command: &Command, argument: &str) -> Option<&'static Opt> {
    let plain = plain(argument);
    let long = format!("--{}", plain.trim_start_matches('-'));
    let spelled = |name: &str| command.options.iter().find(|option| option.name == name || option.also.contains(&name));
    spelled(&plain).or_else(|| spelled(&long).filter(|_| plain.starts_with('-') && plain.len() > 2))
}

fn plain(argument: &str) -> String {
    argument.replace(['–', '—', '−'], "-").replacen("---", "--", 1)
}

/// Read arguments.
///
/// # Errors
/// Words that do not go together, with the forms that there are.
pub fn parse(command: &Command, arguments: &[String]) -> Result<Parsed, Failure> {
    let wrong =
        |form: Option<&Form>, words: String| Failure::new(format!("{}: {words}\n{}", command.name, help::usage(command, form)));
    let mut options: Vec<(&'static Opt, Option<String>)> = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if !plain(argument).starts_with('-') {
            words.push(argument.clone());
            continue;
        }
        let (name, glued) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_string())),
            None => (argument.as_str(), None),
        };
        let Some(option) = meant(command, name) else {
            let known = command.absent.iter().find(|absent| absent.names.contains(&plain(name).as_str()));
            return Err(wrong(
                None,
                known.map_or(format!("invalid option {argument}"), |known| format!("{name}: {}", known.why)),
            ));
        };
        let value = match (option.value, glued) {
            (None, None) => None,
            (None, Some(_)) => return Err(wrong(None, format!("{} takes no value", option.name))),
            (Some(_), Some(value)) => Some(value),
            (Some(value), None) => match rest.next() {
                // Forgotten values must not swallow the next option.
                Some(next) if meant(command, next).is_none() => Some(next.clone()),
                _ if option.name == "-h" => {
                    return Err(wrong(None, format!("-h needs a {}; help is shown by --help", value.word)));
                }
                _ => return Err(wrong(None, format!("{} needs a {}", option.name, value.word))),
            },
        };
        if let Some(fault) = option.value.and_then(|expected| expected.kind.fault(value.as_deref().unwrap_or_default())) {
            return Err(wrong(None, format!("{} {fault}", option.name)));
        }
        if option.value.is_some() && options.iter().any(|(given, _)| given.name == option.name) {
            return Err(wrong(None, format!("{} is given twice", option.name)));
        }
        options.push((option, value));
    }
    let given: Vec<&'static str> = options.iter().map(|(option, _)| option.name).collect();
    let form = choose(command, &options).map_err(|(form, words)| wrong(form, words))?;
    if let Some(missing) = form.needed().find(|option| !given.contains(option)) {
        return Err(wrong(Some(form), format!("{} needs {}", form.mode, command.shown(missing))));
    }
    for part in form.parts {
        if let Part::One(alternatives) = part {
            let both: Vec<&str> = alternatives.iter().copied().filter(|option| given.contains(option)).collect();
            if both.len() > 1 {
                return Err(wrong(Some(form), format!("{} cannot be given together", both.join(" and "))));
            }
        }
    }
    let takes = usize::from(form.word().is_some());
    if let Some(extra) = words.get(takes) {
        let hint = if takes == 0 && form.takes("-h") { "; a server is named with -h" } else { "" };
        return Err(wrong(Some(form), format!("{extra} is not expected{hint}")));
    }
    if let Some((value, true)) = form.word()
        && words.is_empty()
    {
        return Err(wrong(Some(form), format!("{} needs a {}", form.mode, value.word)));
    }
    let options = options.into_iter().map(|(option, value)| (option.name, value)).collect();
    Ok(Parsed { mode: form.mode, options, word: words.into_iter().next() })
}

type Mismatch = (Option<&'static Form>, String);

/// The form that takes everything that was given.
fn choose(command: &Command, options: &[(&'static Opt, Option<String>)]) -> Result<&'static Form, Mismatch> {
    let modes = command.modes();
    let given: Vec<&'static str> = options.iter().map(|(option, _)| option.name).collect();
    let is_chosen = |form: &&Form| {
        let (chooser, wanted) = form.chooser();
        let fits = |value: &Option<String>| wanted.is_none_or(|wanted| value.as_deref() == Some(wanted));
        options.iter().any(|(option, value)| option.name == chooser && fits(value))
    };
    let chosen: Vec<&'static Form> = command.forms.iter().filter(is_chosen).collect();
    let chosen = if chosen.is_empty() { command.forms.iter().filter(|form| form.mode.is_empty()).collect() } else { chosen };
    if let Some(form) = chosen.iter().find(|form| given.iter().all(|option| form.takes(option))) {
        return Ok(form);
    }
    match chosen.as_slice() {
        [] if modes.len() == 1 => Err((None, format!("give {}", modes[0]))),
        [] => Err((None, format!("give one of {}", modes.join(", ")))),
        [form] => {
            let stranger = given.iter().find(|option| !form.takes(option)).copied().unwrap_or_default();
            let with = if form.mode.is_empty() { "does not go here" } else { "does not go with" };
            Err((Some(form), format!("{stranger} {with} {}", form.mode).trim_end().to_string()))
        }
        [first, second, ..] => Err((None, format!("{} and {} cannot be given together", first.mode, second.mode))),
    }
}

#[cfg(test)]
mod tests;
