//! Operator messages: what an alert is, its text, its line of the alert record and its syslog text.
//!
//! Fence: pure. The messages themselves stand in `catalogue/`; who writes them to files and sockets is
//! `services/src/alertlog.rs`. Numbers, levels and texts below 900 are those of the product's event list
//! (`tests/data/events.csv`); ours begin at 900 in each module. Ids never change meaning.

mod catalogue;

use std::fmt;

/// How serious.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something is broken.
    Error,
    /// Something is impaired.
    Warning,
    /// Something happened.
    Info,
}

impl Level {
    /// As in logs and the manual.
    pub fn word(self) -> &'static str {
        match self {
            Level::Error => "ERROR",
            Level::Warning => "WARNING",
            Level::Info => "INFO",
        }
    }

    /// As in the alert record.
    pub fn number(self) -> u8 {
        match self {
            Level::Error => 1,
            Level::Warning => 2,
            Level::Info => 3,
        }
    }

    /// Severity of RFC 3164, table 2.
    pub fn severity(self) -> u8 {
        match self {
            Level::Error => 3,
            Level::Warning => 4,
            Level::Info => 6,
        }
    }
}

/// Where an alert goes unless the configuration says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destinations {
    /// The alert record.
    pub record: bool,
    /// Syslog.
    pub syslog: bool,
    /// Mail.
    pub mail: bool,
    /// SNMP trap.
    pub trap: bool,
}

impl Destinations {
    /// Record and syslog: nearly every alert.
    pub const USUAL: Destinations = Destinations { record: true, syslog: true, mail: false, trap: false };
    /// Everywhere: what must not be overlooked.
    pub const EVERYWHERE: Destinations = Destinations { record: true, syslog: true, mail: true, trap: true };
    /// Syslog alone: steps that would fill the record.
    pub const SYSLOG: Destinations = Destinations { record: false, syslog: true, mail: false, trap: false };

    /// As in the manual: `record, syslog`.
    pub fn words(self) -> String {
        let all = [(self.record, "record"), (self.syslog, "syslog"), (self.mail, "mail"), (self.trap, "trap")];
        all.into_iter().filter(|(goes, _)| *goes).map(|(_, name)| name).collect::<Vec<_>>().join(", ")
    }
}

/// An entry of the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Module type.
    pub module: &'static str,
    /// Event id.
    pub id: u32,
    /// Level.
    pub level: Level,
    /// Where it goes.
    pub destinations: Destinations,
    /// Text; `{1}`, `{2}`, … are the fields.
    pub text: &'static str,
    /// Name of what follows the text after a colon: the list's texts have no place for a reason, ours always have one.
    pub detail: Option<&'static str>,
    /// What it means.
    pub meaning: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

impl Entry {
    /// The text as the manual shows it, with the detail's name.
    pub fn template(&self) -> String {
        match self.detail {
            Some(detail) => format!("{}: {{{detail}}}", self.text),
            None => self.text.to_string(),
        }
    }
}

/// A message with its fields.
#[derive(Debug, Clone)]
pub struct Alert {
    entry: &'static Entry,
    fields: Vec<String>,
    detail: Option<String>,
    /// Those of the entry, but for a message of an administrator's own.
    id: u32,
    level: Level,
}

/// Bytes of a text at most: a reason that lists every server must not fill the record.
pub const TEXT_MAX: usize = 1500;

impl Alert {
    fn of(entry: &'static Entry, fields: Vec<String>, detail: Option<String>) -> Alert {
        Alert { entry, fields, detail, id: entry.id, level: entry.level }
    }

    /// With a number and a level that the writer chose: numbers of an administrator's own messages are his to give.
    pub fn numbered(self, id: u32, level: Level) -> Alert {
        Alert { id, level, ..self }
    }

    /// Its event id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// How serious it is.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Its entry.
    pub fn entry(&self) -> &'static Entry {
        self.entry
    }

    /// The text with its fields, on one line, at most [`TEXT_MAX`] bytes.
    pub fn text(&self) -> String {
        let mut text = expand(self.entry.text, &self.fields);
        if let Some(detail) = self.detail.as_deref().filter(|detail| !detail.is_empty()) {
            text.push_str(": ");
            text.push_str(detail);
        }
        one_line(&text)
    }
}

/// One pass from left to right: what a field holds is never looked at again.
fn expand(template: &str, fields: &[String]) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        text.push_str(&rest[..open]);
        let inside = &rest[open + 1..];
        let close = inside.find('}');
        let number = close.and_then(|close| inside[..close].parse::<usize>().ok());
        let field = number.and_then(|number| fields.get(number.checked_sub(1)?));
        match (field, close) {
            (Some(field), Some(close)) => {
                text.push_str(field);
                rest = &inside[close + 1..];
            }
            _ => {
                text.push('{');
                rest = inside;
            }
        }
    }
    text.push_str(rest);
    text
}

fn one_line(text: &str) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.len() > TEXT_MAX {
        let mut end = TEXT_MAX - '…'.len_utf8();
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        line.truncate(end);
        line.push('…');
    }
    line
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}/{} {}", self.level.word(), self.entry.module, self.id, self.text())
    }
}

/// One line of the alert record: index, date and time of the record, date and time of the host, host, module, event id,
/// level (1 error, 2 warning, 3 information), text. `time` is `YYYY/MM/DD hh:mm:ss.mmm`.
pub fn record_line(index: u64, alert: &Alert, time: &str, host: &str) -> String {
    let module = alert.entry().module;
    format!("{index} {time} {time} {host} {module} {} {} {}", alert.id, alert.level.number(), alert.text())
}

/// A datagram as RFC 3164 has it on a local socket (facility daemon, no host name): `time` is `Mmm dd hh:mm:ss`, the tag
/// `expresscls`, and `<type: M><event: N>` goes before the text.
pub fn syslog_line(alert: &Alert, time: &str, pid: u32) -> String {
    const DAEMON: u8 = 3;
    let priority = DAEMON * 8 + alert.level.severity();
    let module = alert.entry().module;
    format!("<{priority}>{time} expresscls[{pid}]: <type: {module}><event: {}> {}", alert.id, alert.text())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_unique_and_every_field_shows() {
        let mut seen = BTreeSet::new();
        for alert in Alert::examples() {
            let entry = alert.entry();
            assert!(seen.insert((entry.module, entry.id)), "{}/{}", entry.module, entry.id);
            let text = alert.text();
            assert!(!text.contains('{'), "{text}");
            for field in alert.fields.iter().chain(&alert.detail) {
                assert!(text.contains(field.as_str()), "{field} in {text}");
            }
        }
    }

    #[test]
    fn every_message_has_meaning_and_remedy() {
        for alert in Alert::examples() {
            let entry = alert.entry();
            for words in [entry.meaning, entry.remedy] {
                assert!(words.len() >= 5 && words.ends_with('.'), "{}/{}: {words:?}", entry.module, entry.id);
            }
            // Who reads of an error wants to know what to do.
            assert!(entry.level != Level::Error || entry.remedy != "None.", "{}/{}", entry.module, entry.id);
        }
    }

    #[test]
    fn a_field_that_looks_like_a_place_is_not_expanded_again() {
        let alert = Alert::heartbeat_down("{2}", "server{1}");
        assert_eq!(alert.text(), "heartbeat or NP device {2} of server server{1} went down");
        let alert = Alert::server_down("{1}", "{1} {9} {x} {");
        assert_eq!(alert.text(), "server {1} went down: {1} {9} {x} {");
    }

    #[test]
    fn a_text_is_one_line_of_bounded_length() {
        let alert = Alert::server_down("a\nb\r\u{1b}c", &"é".repeat(TEXT_MAX));
        let text = alert.text();
        assert!(text.starts_with("server a b  c went down"), "{text}");
        assert!(text.len() <= TEXT_MAX && text.ends_with('…'));
    }

    #[test]
    fn going_down_is_event_pm_2_of_type_information() {
        let alert = Alert::daemon_stopped("");
        let line = syslog_line(&alert, "Nov 27 12:00:00", 7);
        assert_eq!(line, "<30>Nov 27 12:00:00 expresscls[7]: <type: pm><event: 2> cluster daemon is going down");
        let line = record_line(41, &alert, "2026/11/27 12:00:00.000", "server1");
        let time = "2026/11/27 12:00:00.000";
        assert_eq!(line, format!("41 {time} {time} server1 pm 2 3 cluster daemon is going down"));
    }

    #[test]
    fn an_own_message_has_the_number_and_the_level_that_its_writer_gave() {
        let alert = Alert::operator_message("disk is {1} full").numbered(77, Level::Error);
        let line = record_line(1, &alert, "2026/11/27 12:00:00.000", "server1");
        assert!(line.ends_with(" server1 logcmd 77 1 disk is {1} full"), "{line}");
        let line = syslog_line(&alert, "Nov 27 12:00:00", 7);
        assert_eq!(line, "<27>Nov 27 12:00:00 expresscls[7]: <type: logcmd><event: 77> disk is {1} full");
    }

    #[test]
    fn levels_are_the_severities_of_syslog() {
        let priorities = [Level::Error, Level::Warning, Level::Info].map(Level::severity);
        assert_eq!(priorities, [3, 4, 6]);
    }
}
