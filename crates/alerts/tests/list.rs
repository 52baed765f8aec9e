//! The catalogue beside the product's event list: below 900 number, level and text are the list's own.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::BTreeMap;

use clp_alerts::{Alert, Destinations, Level};

fn list() -> BTreeMap<(&'static str, u32), (&'static str, &'static str)> {
    let rows = include_str!("data/events.csv").lines().filter(|line| !line.starts_with('#'));
    rows.map(|row| {
        let mut columns = row.splitn(4, ',');
        let mut next = || columns.next().unwrap();
        ((next(), next().parse().unwrap()), (next(), next()))
    })
    .collect()
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Info => "info",
    }
}

#[test]
fn every_message_below_900_is_the_one_of_the_event_list() {
    let list = list();
    assert!(list.len() > 300, "the list was read");
    for alert in Alert::examples().iter().filter(|alert| alert.entry().id < 900) {
        let entry = alert.entry();
        let name = format!("{}/{}", entry.module, entry.id);
        let found = list.get(&(entry.module, entry.id));
        assert_eq!(found, Some(&(level(entry.level), entry.text)), "{name} as the list has it");
    }
}

/// The list's default destinations where they are not the alert record and syslog.
const ELSEWHERE: [(&str, u32, Destinations); 16] = [
    ("pm", 11, Destinations::EVERYWHERE),
    ("pm", 13, Destinations::EVERYWHERE),
    ("pm", 20, Destinations::EVERYWHERE),
    ("pm", 22, Destinations::EVERYWHERE),
    ("nm", 2, Destinations::EVERYWHERE),
    ("nm", 10, Destinations::EVERYWHERE),
    ("nm", 20, Destinations::EVERYWHERE),
    ("rc", 30, Destinations::SYSLOG),
    ("rc", 31, Destinations::SYSLOG),
    ("rc", 32, Destinations::EVERYWHERE),
    ("rc", 40, Destinations::SYSLOG),
    ("rc", 41, Destinations::SYSLOG),
    ("rc", 42, Destinations::EVERYWHERE),
    ("rc", 92, Destinations::EVERYWHERE),
    ("rm", 7, Destinations::EVERYWHERE),
    ("rm", 9, Destinations::EVERYWHERE),
];

#[test]
fn every_message_goes_where_the_event_list_sends_it() {
    for alert in Alert::examples() {
        let entry = alert.entry();
        let found = ELSEWHERE.iter().find(|(module, id, _)| (*module, *id) == (entry.module, entry.id));
        let wanted = found.map_or(Destinations::USUAL, |(_, _, to)| *to);
        assert_eq!(entry.destinations, wanted, "{}/{}", entry.module, entry.id);
    }
}

#[test]
fn own_messages_have_numbers_that_the_list_does_not_use() {
    let list = list();
    for alert in Alert::examples().iter().filter(|alert| alert.entry().id >= 900) {
        let entry = alert.entry();
        assert!(!list.contains_key(&(entry.module, entry.id)), "{}/{}", entry.module, entry.id);
        // The list itself goes on beyond 900 in this module.
        assert_ne!(entry.module, "mm");
    }
}
