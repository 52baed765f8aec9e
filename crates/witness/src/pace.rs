//! Lines for the log at a bounded pace: of one matter one in ten seconds, with how many there were between. A line that cannot be
//! written is dropped.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two lines of one matter.
const REST: Duration = Duration::from_secs(10);

/// What a line is about; each has a pace of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Matter {
    /// Strangers, and requests that do not open.
    Refused,
    /// Connections that the system did not give or this program has no room for.
    Connections,
    /// A state that cannot be read or written.
    Storage,
    /// Who may go on has changed.
    Records,
}

/// When each matter was told last.
#[derive(Default)]
pub struct Pace(Mutex<BTreeMap<Matter, (Option<Instant>, u64)>>);

impl Pace {
    /// Tell it, unless the same matter was told just now.
    pub fn tell(&self, matter: Matter, words: &str) {
        if let Some(line) = self.line(matter, words, Instant::now()) {
            say(&line);
        }
    }

    fn line(&self, matter: Matter, words: &str, now: Instant) -> Option<String> {
        let mut matters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (told, untold) = matters.entry(matter).or_default();
        if told.is_some_and(|told| now.saturating_duration_since(told) < REST) {
            *untold += 1;
            return None;
        }
        *told = Some(now);
        let more = std::mem::take(untold);
        Some(if more == 0 { words.to_string() } else { format!("{words} (and {more} more of this kind since the last line)") })
    }
}

/// A line of its own, without what a terminal would obey.
pub fn say(words: &str) {
    let plain: String = words.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let _ = writeln!(std::io::stderr(), "{plain}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_one_matter_is_one_line_and_hides_no_other() {
        let (pace, begin) = (Pace::default(), Instant::now());
        assert_eq!(pace.line(Matter::Refused, "a", begin).as_deref(), Some("a"));
        for _ in 0..1000 {
            assert_eq!(pace.line(Matter::Refused, "a", begin + REST / 2), None);
        }
        assert_eq!(pace.line(Matter::Storage, "b", begin + REST / 2).as_deref(), Some("b"));
        let later = pace.line(Matter::Refused, "a", begin + REST).expect("a line");
        assert_eq!(later, "a (and 1000 more of this kind since the last line)");
        assert_eq!(pace.line(Matter::Refused, "a", begin + REST * 2).as_deref(), Some("a"));
    }
}
