//! The partition question: is the last Yes usable, and since when has it been Yes without a break (rules R2, R9).
//!
//! Measuring is the shell's work; a Yes is dated by the moment at which it was *asked*.

use std::time::Duration;

use crate::plan::{PartitionMethod, Timing};
use crate::time::Time;

/// What is known of the answer.
#[derive(Debug, Clone)]
pub struct Partition {
    method: PartitionMethod,
    valid: Duration,
    /// How long a Yes keeps what is held, as an acknowledgement does.
    keeps: Duration,
    interval: Duration,
    asked_last: Option<Time>,
    pending: Option<(u64, Time)>,
    next_ask: u64,
    last_yes: Option<Time>,
    yes_since: Option<Time>,
    said_no: bool,
    /// What was measured last, for operators.
    pub reason: String,
}

impl Partition {
    /// Nothing asked yet.
    pub fn new(method: PartitionMethod, timing: &Timing) -> Self {
        Partition {
            method,
            // An answer takes up to Q and the next question follows within two intervals.
            valid: timing.arbiter + timing.interval * 2,
            keeps: timing.right_timeout.max(timing.arbiter + timing.interval * 2),
            interval: timing.interval,
            asked_last: None,
            pending: None,
            next_ask: 1,
            last_yes: None,
            yes_since: None,
            said_no: false,
            reason: "not asked yet".into(),
        }
    }

    /// Ask now unless a question is open or was asked within the interval; the number of the new question.
    pub fn ask(&mut self, now: Time) -> Option<u64> {
        if self.method == PartitionMethod::None {
            self.yes(now, now);
            self.reason = "no partition resolution is configured".into();
            return None;
        }
        // An answer that never comes is given up after twice its bound, so that the question is asked again.
        if let Some((_, asked)) = self.pending
            && now.since(asked) < self.valid * 2
        {
            return None;
        }
        if self.asked_last.is_some_and(|asked| now.since(asked) < self.interval) {
            return None;
        }
        self.asked_last = Some(now);
        let ask = self.next_ask;
        self.next_ask += 1;
        self.pending = Some((ask, now));
        Some(ask)
    }

    /// Take an answer; late answers to older questions change nothing.
    pub fn answer(&mut self, now: Time, ask: u64, yes: bool, reason: String) {
        let Some((open, asked)) = self.pending else { return };
        if open != ask {
            return;
        }
        self.pending = None;
        self.reason = reason;
        self.said_no = !yes;
        if yes {
            self.yes(now, asked);
        } else {
            self.last_yes = None;
            self.yes_since = None;
        }
    }

    /// Was the last answer a No? Otherwise a Yes that is too old, or none at all.
    pub fn said_no(&self) -> bool {
        self.said_no
    }

    fn yes(&mut self, now: Time, asked: Time) {
        if self.last_yes.is_none_or(|last| now.since(last) > self.valid) {
            self.yes_since = Some(asked);
        }
        self.last_yes = Some(asked);
    }

    /// Does a Yes hold now that was asked after `heard`, the last frame of the silent server?
    pub fn covers(&self, now: Time, heard: Time) -> bool {
        self.last_yes.is_some_and(|asked| asked > heard && now.since(asked) <= self.valid)
    }

    /// Is a Yes that was asked after `heard` young enough to keep what is held? Nobody else's Yes held meanwhile for long enough
    /// to start it, so that a question or two may be late.
    pub fn keeps(&self, now: Time, heard: Time) -> bool {
        self.last_yes.is_some_and(|asked| asked > heard && now.since(asked) <= self.keeps)
    }

    /// Has it been Yes since `moment`, or for at least `span`, without a break (a Yes that arrives only after the other
    /// side lost its own must wait out the whole delay)?
    pub fn held(&self, now: Time, moment: Time, span: Duration) -> bool {
        let fresh = self.last_yes.is_some_and(|asked| now.since(asked) <= self.valid);
        fresh && self.yes_since.is_some_and(|since| since <= moment || now.since(since) >= span)
    }
}
