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

/// Tell of every change of the group, or of all groups, until the program ends. The first look is over when this returns: what is
/// told are changes since then.
pub fn of_groups(root: &Root, group: Option<&str>) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let (root, group) = (root.clone(), group.map(String::from));
    let mut seen = look(&root, group.as_deref());
    let watch = move || {
        loop {
            std::thread::sleep(LOOK_INTERVAL);
            for (name, words) in look(&root, group.as_deref()) {
                if seen.get(&name).is_some_and(|before| *before != words) {
                    screen::error(&format!("  {name}: {words}"));
                }
                seen.insert(name, words);
            }
        }
    };
    // Without the thread the command only tells less.
    let _ = std::thread::Builder::new().spawn(watch);
}

/// The groups with what they do now; none while the cluster service does not answer.
fn look(root: &Root, group: Option<&str>) -> BTreeMap<String, String> {
    let Ok(Reply::Status(status)) = ask(root, None, &Request::Status) else { return BTreeMap::new() };
    let chosen = status.groups.into_iter().filter(|found| group.is_none_or(|name| *name == found.name));
    chosen
        .map(|found| match found.current {
            Some(server) => (found.name, format!("{} on {server}", found.status)),
            None => (found.name, found.status),
        })
        .collect()
}
