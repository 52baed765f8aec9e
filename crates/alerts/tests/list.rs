//! The catalogue beside the product's event list: below 900 number, level and text are the list's own.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::BTreeMap;

use clp_alerts::{Alert, Level};

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
