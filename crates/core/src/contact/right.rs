//! The right to act, to keep and to feed the watchdog (rules R0 and R2): from acknowledgements, proofs and verdicts alone.

use std::time::Duration;

use crate::contact::Contact;
use crate::ids::{ServerId, ServerSet};
use crate::partition::Partition;
use crate::time::Time;

/// Intervals for which a server that was silent may speak without acknowledging what was sent meanwhile, while the verdict
/// goes on to cover it: its first frames after a pause acknowledge only what it had read before, and it may die over them.
const RETURN_INTERVALS: u32 = 3;

/// Intervals that the newest acknowledgement may be older than the frame that brought it: mine waited for the other's beat,
/// one of them was lost, and silence is looked at once in an interval.
const LAG_INTERVALS: u32 = 3;

/// Intervals without an acknowledgement from which on it is asked which side may go on.
const DOUBT_INTERVALS: u32 = 2;

/// Half intervals for which an acknowledgement makes its server a part of this side towards arbiters: without any fault the newest
/// one is up to two intervals and the way old, and who is told one moment to be out is shut out by the record.
const PART_HALVES: u32 = 5;

/// Why the right is not held.
#[derive(Debug, Clone, PartialEq)]
pub struct NoRight {
    /// The server that is not covered.
    pub server: ServerId,
    /// Age of its last acknowledgement.
    pub age: Duration,
}

impl Contact {
    /// Rule R0 for one server, leaving the verdict aside: proven gone, or acknowledged within `limit`.
    fn is_covered_by_contact(&self, now: Time, server: ServerId, limit: Duration) -> bool {
        self.is_gone(server) || self.peer(server).acknowledged_until(limit, None).is_some_and(|until| now < until)
    }

    /// Does the verdict cover this server, silent for this long? A server that I still hear and that does not acknowledge me
    /// knows that it lives, so its side may act.
    fn is_covered_by_verdict(&self, now: Time, server: ServerId, silence: Duration, partition: &Partition) -> bool {
        let peer = self.peer(server);
        let silent = peer.news.is_none_or(|at| now.since(at) >= silence);
        // It may run alone by this server's farewell, without asking anybody.
        let unknown = peer.ran && partition.is_sound();
        silent && !unknown && partition.covers(now, server, peer.news.unwrap_or(self.start))
    }

    /// Rule R0: may this server start something now?
    pub fn right(&self, now: Time, partition: &Partition) -> Result<(), NoRight> {
        self.uncovered(now, self.timing.right_timeout, self.timing.right_timeout, partition)
    }

    /// Silence from which a verdict covers what is held. It must come before the last acknowledgement is too old: that one is
    /// older than the last frame by its lag, and by a whole such silence when the server was paused for almost as long, spoke
    /// once and died.
    pub(super) fn keep_silence(&self) -> Duration {
        let (timing, interval) = (&self.timing, self.timing.interval);
        let limit = timing.right_timeout + timing.arbiter;
        let half = limit.saturating_sub(interval * LAG_INTERVALS) / 2;
        half.max(interval * 2).min(timing.right_timeout)
    }

    /// Must this server give up what it holds? Later than the loss of [`Contact::right`] by the arbiter's bound Q, and not
    /// before T_x + Q of its life.
    pub fn must_yield(&self, now: Time, partition: &Partition) -> Result<(), NoRight> {
        for server in self.others() {
            let peer = self.peer(server);
            let acked = peer.acked.unwrap_or(self.start);
            let until = peer.acknowledged_until(self.timing.right_timeout, Some(self.start)).unwrap_or(self.start);
            let kept = self.kept_until(now, server, partition).is_some_and(|until| now <= until);
            if !(self.is_gone(server) || now < until + self.timing.arbiter || kept) {
                return Err(NoRight { server, age: now.since(acked) });
            }
        }
        Ok(())
    }

    /// Until when a verdict keeps what is held here without this server, which is silent or just speaks again.
    fn kept_until(&self, now: Time, server: ServerId, partition: &Partition) -> Option<Time> {
        let peer = self.peer(server);
        let returns = peer.returned.and_then(|back| {
            let spoke = peer.news.map_or(Duration::ZERO, |news| news.since(back.at));
            let returning = self.timing.interval * RETURN_INTERVALS;
            let patience = if back.acquainted { returning } else { returning.max(self.timing.right_timeout) };
            partition.keeps_until(server, back.silent_since).filter(|_| spoke < patience)
        });
        let silent = peer.news.is_none_or(|at| now.since(at) >= self.keep_silence());
        let kept = partition.keeps_until(server, peer.news.unwrap_or(self.start)).filter(|_| silent);
        kept.max(returns)
    }

    /// Until when addresses may be served if nothing more is heard: for every other server T_x + G after what it acknowledged, or
    /// as long as a verdict keeps them. Other than what is held, nothing is served by the mere start of this engine.
    pub fn serves_until(&self, now: Time, partition: &Partition) -> Option<Time> {
        let mut until = self.serves_at_most(now);
        for server in self.others().filter(|server| !self.is_gone(*server)) {
            let acknowledged = self.peer(server).answered_until(self.timing.right_timeout);
            let covered = acknowledged.map(|at| at + self.timing.gate).max(self.kept_until(now, server, partition));
            until = until.min(covered?);
        }
        (now < until).then_some(until)
    }

    /// An engine that does nothing any more serves for no longer than this, whoever is gone: those that come back wait for longer.
    pub fn serves_at_most(&self, now: Time) -> Time {
        now + self.timing.right_timeout + self.timing.gate
    }

    /// May the watchdog be fed (K of the safety sum)? A verdict covers a silence from K on, so that a survivor goes on
    /// feeding.
    pub fn may_feed(&self, now: Time, partition: &Partition) -> bool {
        let limit = self.timing.watchdog_hold;
        self.uncovered(now, limit, limit.min(self.timing.right_timeout), partition).is_ok()
    }

    /// The first server that neither acknowledged within `limit` nor is covered by a verdict after `silence`.
    fn uncovered(&self, now: Time, limit: Duration, silence: Duration, partition: &Partition) -> Result<(), NoRight> {
        for server in self.others() {
            if self.is_covered_by_contact(now, server, limit) || self.is_covered_by_verdict(now, server, silence, partition) {
                continue;
            }
            let acked = self.peer(server).acked.unwrap_or(self.start);
            return Err(NoRight { server, age: now.since(acked) });
        }
        Ok(())
    }

    /// Must the partition question be asked (rule R2): is anybody unacknowledged for two intervals and not proven gone?
    pub fn is_doubtful(&self, now: Time) -> bool {
        let limit = self.timing.interval * DOUBT_INTERVALS;
        self.others().any(|server| !self.is_gone(server) && !self.answers(now, server, limit))
    }

    fn answers(&self, now: Time, server: ServerId, limit: Duration) -> bool {
        self.peer(server).answered.is_some_and(|at| now.since(at) < limit)
    }

    /// This server and those that acknowledge it now: its side, as an arbiter is told.
    pub fn part(&self, now: Time) -> ServerSet {
        let limit = self.timing.interval * PART_HALVES / 2;
        let answering = self.others().filter(|server| self.answers(now, *server, limit));
        answering.chain([self.me]).collect()
    }

    /// Others that ran when this server left last time, and of which nothing is known since.
    pub(crate) fn ran(&self) -> ServerSet {
        self.others().filter(|server| self.peer(*server).ran).collect()
    }

    /// What is kept for the next life of those that run while this server leaves; or that this one is in contact now.
    pub(crate) fn note_ran(&mut self, server: ServerId, ran: bool) {
        self.peers[server.index()].ran = ran;
    }

    /// Others that hold nothing.
    pub fn gone(&self) -> ServerSet {
        self.others().filter(|server| self.is_gone(*server)).collect()
    }

    /// When each other server last acknowledged over a LAN, by the send time of what it acknowledged; newest first.
    pub fn votes(&self) -> Vec<Time> {
        let mut votes: Vec<Time> = self.others().filter_map(|server| self.peer(server).voted).collect();
        votes.sort_unstable_by(|one, other| other.cmp(one));
        votes
    }

    /// The next instant at which silence alone changes something, after `now`.
    pub fn next_expiry(&self, now: Time) -> Option<Time> {
        let timing = &self.timing;
        self.others()
            .filter(|server| !self.is_gone(*server))
            .flat_map(|server| {
                let peer = self.peer(server);
                let acked = peer.acked.unwrap_or(self.start);
                let until = peer.acknowledged_until(timing.right_timeout, Some(self.start)).unwrap_or(acked);
                [
                    peer.sign + peer.timeout(timing.timeout),
                    until,
                    until + timing.arbiter,
                    acked + timing.interval * DOUBT_INTERVALS,
                    acked + timing.interval * PART_HALVES / 2,
                ]
            })
            .filter(|at| *at > now)
            .min()
    }
}
