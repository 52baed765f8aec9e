//! How far a server's frame numbers can have come: they rise by one an interval, so one that runs ahead of time is a lie or
//! the first after a time that this server's clock did not count (a virtual machine's pause).

use std::time::Duration;

use crate::time::{Time, micros};

/// Numbers that a frame may be ahead besides what time explains: beats come early or late by a part of an interval, and a
/// delayed frame is overtaken. A made-up frame makes its server unheard for no longer than this many intervals, which is less
/// than any time-out of the safety sum.
const AHEAD: u64 = 3;

/// The newest number of one life.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    newest: u64,
    at: Time,
    /// A number too far ahead, to be believed when the server goes on from there.
    jump: Option<u64>,
}

impl Pace {
    /// A life that was not heard yet.
    pub fn new(now: Time) -> Pace {
        Pace { newest: 0, at: now, jump: None }
    }

    /// May the server have come to this number by now? The first number of a life is free; one that is too far ahead is believed
    /// when a second one goes on from it, so that no single frame shuts out those that follow, and a true server is heard
    /// from its second frame on whatever its numbers are.
    pub fn allows(&mut self, now: Time, interval: Duration, seq: u64) -> bool {
        if seq <= self.newest {
            return true;
        }
        let passed = micros(now.since(self.at)) / micros(interval).max(1);
        // Clocks differ by far less than a quarter.
        let limit = self.newest.saturating_add(passed + passed / 4 + AHEAD);
        let goes_on = self.jump.is_some_and(|jump| seq > jump && seq - jump <= AHEAD);
        if self.newest != 0 && seq > limit && !goes_on {
            self.jump = Some(seq);
            return false;
        }
        // A jump is still believed after frames from below it: old ones, said again, must not hold back the true ones.
        (self.newest, self.at) = (seq, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(100);

    fn at(millis: u64) -> Time {
        Time(millis * 1000)
    }

    #[test]
    fn numbers_rise_with_time_whatever_is_lost_between() {
        let mut pace = Pace::new(at(0));
        assert!(pace.allows(at(0), INTERVAL, 900), "the first of a life");
        assert!(pace.allows(at(0), INTERVAL, 903), "overtaken ones");
        assert!(pace.allows(at(60_000), INTERVAL, 1503), "a minute later");
        assert!(pace.allows(at(60_000), INTERVAL, 1400), "late ones are judged elsewhere");
    }

    #[test]
    fn a_number_ahead_of_time_is_believed_when_the_server_goes_on_from_it() {
        for lie in [15, 1000, u64::MAX - 1, u64::MAX] {
            let mut pace = Pace::new(at(0));
            assert!(pace.allows(at(0), INTERVAL, 10));
            assert!(!pace.allows(at(100), INTERVAL, lie), "{lie}");
            assert!(!pace.allows(at(100), INTERVAL, lie), "{lie}: the same once more, by another path");
            assert!(pace.allows(at(100), INTERVAL, 11), "{lie}: the true one");
            assert!(!pace.allows(at(200), INTERVAL, 5000));
            assert!(pace.allows(at(200), INTERVAL, 12), "an old one, said again");
            assert!(pace.allows(at(300), INTERVAL, 5001), "it went on: this clock stood still");
        }
    }
}
