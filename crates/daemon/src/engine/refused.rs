//! What arrived and was refused: counted by path and cause for the status view, told to the operator once a source and cause.
//!
//! Decides nothing: what is refused, and why, say the paths, the opener and the decoder. Judges only when an operator is told.

use std::collections::BTreeMap;
use std::time::Duration;

use clp_alerts::Alert;
use clp_core::event::Event;
use clp_core::ids::ServerId;
use clp_core::time::Time;
use clp_drivers::heartbeats::Dropped;
use clp_protocol::control::RefusedStatus;
use clp_protocol::seal::OpenError;

use super::{Engine, now};

/// Between the first two alerts of one source and cause; each further pause is twice as long.
const PAUSE_MIN: Duration = Duration::from_secs(60);
/// Longest pause: who floods a port for weeks must not push everything else out of the alert record.
const PAUSE_MAX: Duration = Duration::from_secs(3600);
/// So many of a cause that a sound path knows too (doubled by a bond, damaged on a serial line) are no news.
const USUAL: u64 = 100;
/// They are forgotten after this long.
const USUAL_SPAN: Duration = Duration::from_secs(60);

/// Why something was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// From an address that no server has on this path.
    Stranger,
    /// Damaged on its way, or longer than any frame.
    Damaged,
    /// It came faster than it could be read.
    Overrun,
    /// No sealed datagram.
    Foreign,
    /// Sealed by another version.
    Version,
    /// Its sender is not configured.
    Sender,
    /// It was seen before.
    Repeated,
    /// It does not open with this cluster's key.
    Key,
    /// It opened, and was sent by this server itself.
    Own,
    /// It opened, and its body cannot be read.
    Unreadable,
}

impl From<OpenError> for Cause {
    fn from(error: OpenError) -> Cause {
        match error {
            OpenError::Foreign => Cause::Foreign,
            OpenError::Version => Cause::Version,
            OpenError::Sender => Cause::Sender,
            OpenError::Repeated => Cause::Repeated,
            OpenError::Key => Cause::Key,
        }
    }
}

impl Cause {
    /// For machines; never changes.
    fn word(self) -> &'static str {
        match self {
            Cause::Stranger => "stranger",
            Cause::Damaged => "damaged",
            Cause::Overrun => "overrun",
            Cause::Foreign => "foreign",
            Cause::Version => "version",
            Cause::Sender => "sender",
            Cause::Repeated => "repeated",
            Cause::Key => "key",
            Cause::Own => "own",
            Cause::Unreadable => "unreadable",
        }
    }

    /// For operators.
    fn words(self) -> &'static str {
        match self {
            Cause::Stranger => "from an address that no server has on this path",
            Cause::Damaged => "damaged, or longer than any frame",
            Cause::Overrun => "faster than it can be read",
            Cause::Foreign => "no sealed datagram of this product",
            Cause::Version => "sealed by another version",
            Cause::Sender => "its sender is not configured",
            Cause::Repeated => "seen before",
            Cause::Key => "does not open with this cluster's key",
            Cause::Own => "sent by this server itself",
            Cause::Unreadable => "opens with this cluster's key, but cannot be read",
        }
    }

    /// Does a sound path know it too, now and then?
    fn is_usual(self) -> bool {
        matches!(self, Cause::Damaged | Cause::Repeated | Cause::Overrun)
    }
}

/// Something that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub cause: Cause,
    /// The server it claims to come from; proven only for [`Cause::Own`] and [`Cause::Unreadable`].
    pub claimed: Option<ServerId>,
}

#[derive(Debug, Clone, Copy)]
struct Counted {
    all: u64,
    last: Time,
    /// In the span of [`USUAL_SPAN`] that began then.
    recent: u64,
    since: Time,
}

/// When an operator was told of a source and cause last, and how long nothing more is said.
#[derive(Debug, Clone, Copy)]
struct Told {
    at: Time,
    pause: Duration,
}

/// All counts of this engine's life. Bounded: paths, causes and servers are few.
#[derive(Debug, Default)]
pub struct Refused {
    counts: BTreeMap<(usize, Cause), Counted>,
    told: BTreeMap<(usize, Cause, Option<ServerId>), Told>,
    signs: BTreeMap<ServerId, Time>,
}

impl Refused {
    /// Count what was refused on a path. All of that path and cause so far, when an operator is to be told.
    pub fn add(&mut self, now: Time, path: usize, refusal: Refusal, count: u64) -> Option<u64> {
        let fresh = Counted { all: 0, last: now, recent: 0, since: now };
        let counted = self.counts.entry((path, refusal.cause)).or_insert(fresh);
        if now.since(counted.since) >= USUAL_SPAN {
            (counted.since, counted.recent) = (now, 0);
        }
        counted.all += count;
        counted.recent += count;
        counted.last = now;
        if refusal.cause.is_usual() && counted.recent <= USUAL {
            return None;
        }
        let source = (path, refusal.cause, refusal.claimed);
        let pause = match self.told.get(&source) {
            None => PAUSE_MIN,
            Some(told) if now.since(told.at) < told.pause => return None,
            Some(told) if now.since(told.at) >= PAUSE_MAX * 2 => PAUSE_MIN,
            Some(told) => (told.pause * 2).min(PAUSE_MAX),
        };
        self.told.insert(source, Told { at: now, pause });
        Some(counted.all)
    }

    /// What a path dropped itself and is not counted yet.
    pub fn uncounted(&self, path: usize, dropped: Dropped, overrun: u64) -> impl Iterator<Item = (Refusal, u64)> + use<> {
        let known = |cause| self.counts.get(&(path, cause)).map_or(0, |counted| counted.all);
        let causes = [(Cause::Stranger, dropped.strangers), (Cause::Damaged, dropped.damaged), (Cause::Overrun, overrun)];
        causes
            .map(|(cause, all)| (Refusal { cause, claimed: None }, all.saturating_sub(known(cause))))
            .into_iter()
            .filter(|(_, count)| *count > 0)
    }

    /// Is something with another key a sign of life that the core does not know yet? One an interval is enough: each costs a
    /// whole turn, and they may come by the thousand.
    pub fn is_news(&mut self, now: Time, from: ServerId, interval: Duration) -> bool {
        let news = self.signs.get(&from).is_none_or(|at| now.since(*at) >= interval);
        if news {
            self.signs.insert(from, now);
        }
        news
    }

    /// What was refused on a path, one entry a cause.
    pub fn status(&self, now: Time, path: usize) -> Vec<RefusedStatus> {
        let entries = self.counts.iter().filter(|((at, _), _)| *at == path);
        entries
            .map(|((_, cause), counted)| RefusedStatus {
                cause: cause.word().into(),
                words: cause.words().into(),
                count: counted.all,
                last: crate::setup::wall_time(now.since(counted.last)),
            })
            .collect()
    }
}

/// The message for an operator; `path` and `server` are names.
pub fn alert(path: &str, cause: Cause, claimed: Option<&str>, all: u64) -> Alert {
    match (cause, claimed) {
        (Cause::Key, Some(server)) => Alert::foreign_key(server, path),
        (_, None) => Alert::data_refused(path, cause.words(), &format!("{all} so far")),
        (_, Some(server)) => Alert::data_refused(path, cause.words(), &format!("from {server}, as it says; {all} so far")),
    }
}

impl Engine {
    /// Count what was refused; somebody with another key may still be a sign of life.
    pub(super) fn refuse(&mut self, path: usize, refusal: Refusal) -> Option<u8> {
        self.count_refused(path, refusal, 1);
        let from = refusal.claimed.filter(|_| refusal.cause == Cause::Key)?;
        let news = self.refused.is_news(now(), from, self.cluster.plan().timing.interval);
        if news { self.step(Event::ForeignFrame { from }) } else { None }
    }

    fn count_refused(&mut self, path: usize, refusal: Refusal, count: u64) {
        if let Some(all) = self.refused.add(now(), path, refusal, count) {
            let configuration = &self.loaded.configuration;
            let claimed = refusal.claimed.map(|server| configuration.servers[server.index()].name.as_str());
            self.record.say(&alert(&configuration.heartbeats[path].name, refusal.cause, claimed, all));
        }
    }

    /// Count what the paths dropped themselves since the last turn.
    pub(super) fn count_dropped(&mut self) {
        let dropped: Vec<_> = self.net.dropped().collect();
        for (path, dropped, overrun) in dropped {
            for (refusal, count) in self.refused.uncounted(path, dropped, overrun) {
                self.count_refused(path, refusal, count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time(seconds * 1_000_000)
    }

    fn refusal(cause: Cause, claimed: Option<ServerId>) -> Refusal {
        Refusal { cause, claimed }
    }

    #[test]
    fn everything_counts_and_an_operator_is_told_ever_more_seldom() {
        let mut refused = Refused::default();
        let key = refusal(Cause::Key, Some(ServerId(1)));
        // Ten a second for a day.
        let told: Vec<u64> = (0..864_000).filter(|tenth| refused.add(Time(tenth * 100_000), 0, key, 1).is_some()).collect();
        let minutes: Vec<u64> = told.iter().take(6).map(|tenth| tenth / 600).collect();
        assert_eq!(minutes, [0, 1, 3, 7, 15, 31]);
        assert!((24..=30).contains(&told.len()), "{}", told.len());
        assert_eq!(refused.status(at(86_400), 0)[0].count, 864_000);
        assert_eq!(refused.status(at(86_400), 1), []);
        assert!(refused.add(at(200_000), 0, key, 1).is_some(), "after hours of peace it is news");
        assert!(refused.add(at(200_060), 0, key, 1).is_some(), "and begins anew");
    }

    #[test]
    fn each_source_and_cause_is_told_of() {
        let mut refused = Refused::default();
        for path in 0..2 {
            for cause in [Cause::Foreign, Cause::Key, Cause::Unreadable, Cause::Stranger] {
                for claimed in [None, Some(ServerId(1)), Some(ServerId(2))] {
                    assert!(refused.add(at(1), path, refusal(cause, claimed), 1).is_some(), "{path} {cause:?} {claimed:?}");
                    assert!(refused.add(at(1), path, refusal(cause, claimed), 1).is_none());
                }
            }
        }
    }

    #[test]
    fn a_doubled_frame_now_and_then_is_no_news() {
        let mut refused = Refused::default();
        let repeated = refusal(Cause::Repeated, Some(ServerId(1)));
        assert!((0..10_000).all(|second| refused.add(at(second), 0, repeated, 1).is_none()));
        assert!(refused.add(at(10_001), 0, repeated, USUAL + 1).is_some(), "a flood of them is");
    }

    #[test]
    fn what_a_path_dropped_itself_counts_once() {
        let mut refused = Refused::default();
        let dropped = Dropped { strangers: 7, damaged: 0 };
        let new: Vec<_> = refused.uncounted(2, dropped, 3).collect();
        assert_eq!(new, [(refusal(Cause::Stranger, None), 7), (refusal(Cause::Overrun, None), 3)]);
        for (refusal, count) in new {
            refused.add(at(1), 2, refusal, count);
        }
        assert_eq!(refused.uncounted(2, dropped, 3).count(), 0);
        assert_eq!(
            refused.uncounted(2, Dropped { strangers: 9, ..dropped }, 3).next(),
            Some((refusal(Cause::Stranger, None), 2))
        );
    }

    #[test]
    fn one_sign_of_life_an_interval_reaches_the_core() {
        let mut refused = Refused::default();
        let interval = Duration::from_millis(100);
        let news = (0..100_000).filter(|n| refused.is_news(Time(n * 10), ServerId(1), interval)).count();
        assert_eq!(news, 10);
        assert!(refused.is_news(Time(0), ServerId(2), interval));
    }
}
