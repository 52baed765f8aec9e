//! How groups change while a command waits for them, told to a person who watches.
//!
//! Only on a terminal, on standard error: what scripts read is the same with and without it.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use clp_protocol::control::{Reply, Request};
use clp_sys::paths::Root;

use super::ask;
use crate::screen;

/// Often enough to see what happens, rarely enough not to be in its way.
const LOOK_INTERVAL: Duration = Duration::from_millis(300);

/// Tell of every change of the group, or of all groups, until the program ends.
pub fn of_groups(root: &Root, group: Option<&str>) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let (root, group) = (root.clone(), group.map(String::from));
    let look = move || {
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        loop {
            if let Ok(Reply::Status(status)) = ask(&root, None, &Request::Status) {
                for found in status.groups.into_iter().filter(|found| group.as_ref().is_none_or(|name| *name == found.name)) {
                    let words = match found.current {
                        Some(server) => format!("{} on {server}", found.status),
                        None => found.status,
                    };
                    let before = seen.insert(found.name.clone(), words.clone());
                    // What it was at the beginning is known to whoever gave the order.
                    if before.is_some_and(|before| before != words) {
                        screen::error(&format!("  {}: {words}", found.name));
                    }
                }
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    };
    // Without the thread the command only tells less.
    let _ = std::thread::Builder::new().spawn(look);
}
