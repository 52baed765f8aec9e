//! When the partition question is asked, and what of it concerns an arbiter's record: which servers are on this side.

use std::time::Duration;

use crate::action::Action;
use crate::arbiter::{Answer, Ask, AskKind, others};
use crate::cluster::Cluster;
use crate::ids::ServerSet;
use crate::message::{Mode, Phase};
use crate::time::Time;
use crate::verdict::MethodKind;

/// Intervals by which the side with less to lose lets the other one ask an arbiter first (decision 4 of the protocol).
const HEAD_START_INTERVALS: u32 = 1;

/// What an arbiter is told of this side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Side {
    part: ServerSet,
    gone: ServerSet,
}

impl Side {
    /// Whoever may run something and is not of it.
    fn others(self, servers: usize) -> ServerSet {
        others(servers, self.part, self.gone)
    }
}

/// Questions to the partition resolutions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Resolving {
    /// Since when somebody is not in contact.
    doubt_since: Option<Time>,
    /// Since when a look has found that a ping target does not answer.
    dead_since: Option<Time>,
    /// The open question and what it said.
    asked: Option<(u64, Side, AskKind)>,
    /// What the arbiters know of this side, as far as this server told them.
    recorded: Option<Side>,
}

impl Cluster {
    /// Ask while anybody is in doubt (rule R2), and whenever the arbiters do not know who is on this side (rule R9).
    pub(crate) fn resolve(&mut self, now: Time) {
        self.partition.follow(now, self.contact.votes());
        let doubtful = self.contact.is_doubtful(now);
        if doubtful && self.resolving.doubt_since.is_none() {
            let timeout = self.plan.timing.timeout;
            let dead = self.resolving.dead_since.is_some_and(|since| now.since(since) >= timeout);
            self.partition.doubt_begins(dead);
            self.resolving.doubt_since = Some(now);
        } else if !doubtful {
            self.resolving.doubt_since = None;
        }
        if !self.partition.can_ask() || self.mode() == Mode::Left {
            return;
        }
        let side = Side { part: self.contact.part(now), gone: self.contact.gone() };
        let recorded = self.resolving.recorded;
        let claims = self.executor.holds_anything() || (self.is_governing() && self.document.started);
        // Who once had itself recorded tells of those who came since, also when it has nothing to lose any more: they cannot.
        let has_grown = recorded.is_some_and(|told| told.part.minus(side.part).is_empty());
        let unknown = self.partition.has_arbiter() && (claims || has_grown) && recorded != Some(side);
        let asks = match self.partition.by_votes(now) {
            Some(Answer::Yes) => unknown,
            Some(_) => false,
            // An arbiter says nothing about who is still counted to this side.
            None if doubtful && !(self.partition.has_arbiter() && side.others(self.plan.servers.len()).is_empty()) => {
                !self.gives_head_start(now, side)
            }
            None => unknown,
        };
        if asks && let Some(number) = self.partition.ask(now) {
            self.ask(now, number, side, if claims { AskKind::Claim } else { AskKind::Join });
        }
    }

    /// A look at what the partition resolutions ask. While questions are asked the answers say more.
    pub(crate) fn partition_seen(&mut self, now: Time, reachable: Vec<Option<bool>>) {
        let before = std::mem::replace(&mut self.resolutions, reachable);
        let seen = before.iter().zip(&self.resolutions).zip(&self.plan.partition);
        let is_back = |((before, now), method)| (before, now, method) == (&Some(false), &Some(true), &MethodKind::Arbiter);
        if seen.into_iter().any(is_back) {
            // It may have been away because it lost what it was told.
            self.resolving.recorded = None;
        }
        let dead = self.resolutions.contains(&Some(false));
        if self.resolving.doubt_since.is_none() {
            self.resolving.dead_since = dead.then(|| self.resolving.dead_since.unwrap_or(now));
        }
    }

    /// What the last looks found, in the order of the plan; votes are counted here.
    pub(crate) fn shown_resolutions(&self, now: Time) -> Vec<Option<bool>> {
        let mut shown = self.resolutions.clone();
        if self.plan.partition.contains(&MethodKind::Majority) {
            shown.resize(self.plan.partition.len(), None);
            let enough = self.partition.is_majority(now);
            let methods = self.plan.partition.iter().zip(&mut shown).filter(|(method, _)| **method == MethodKind::Majority);
            methods.for_each(|(_, shown)| *shown = Some(enough));
        }
        shown
    }

    /// Who hears a farewell may go on without asking anybody. So under a sound method it is said only to servers that this one
    /// remembers for its next life, and to those that are gone themselves: to the members of its view, also of one that is formed
    /// while it says farewell. What is known of a server ends that memory.
    pub(crate) fn follow_ran(&mut self) {
        let gone = self.contact.gone();
        if self.mode() == Mode::Left {
            let mut hears: ServerSet = self.contact.others().collect();
            if self.partition.is_sound() {
                let members: ServerSet = self.views.members().into_iter().collect();
                hears = hears.iter().filter(|server| members.has(*server) || gone.has(*server)).collect();
                for server in hears.minus(gone).iter() {
                    self.contact.note_ran(server, true);
                }
            }
            self.contact.say_farewell_to(hears);
        }
        for server in self.contact.ran().iter() {
            let is_member = self.mode() != Mode::Left && self.views.has(self.member(server));
            if gone.has(server) || is_member {
                self.contact.note_ran(server, false);
            }
        }
    }

    /// Everything here is verified off and stays so: the arbiters need not keep this server's place.
    pub(crate) fn resolve_farewell(&mut self, now: Time) {
        self.follow_ran();
        if self.partition.has_arbiter() {
            let side = Side { part: self.contact.part(now), gone: self.contact.gone() };
            let number = self.partition.ask_at_once(now);
            self.ask(now, number, side, AskKind::Farewell);
        }
    }

    fn ask(&mut self, now: Time, number: u64, side: Side, kind: AskKind) {
        self.resolving.asked = Some((number, side, kind));
        let (off, off_for) = self.switched_off(now);
        let ask = Ask {
            number,
            me: self.identity.me,
            incarnation: self.identity.incarnation,
            servers: self.plan.servers.len(),
            part: side.part,
            gone: side.gone,
            off,
            off_for,
            lease: self.plan.timing.lease(),
            renewal: self.plan.timing.interval * 5 / 4,
            kind,
        };
        self.out.push(Action::AskPartition { ask });
    }

    pub(crate) fn verdict(&mut self, now: Time, ask: u64, answers: &[Option<Answer>], age: Duration, reason: String) {
        let Some((number, side, kind)) = self.resolving.asked else { return };
        let yes = self.partition.answer(now, ask, side.part, answers, age, reason);
        if number == ask && yes && kind != AskKind::Farewell {
            self.resolving.recorded = Some(side);
        }
    }

    /// "The present owner keeps it": the side with fewer running groups asks an interval later, of equal ones that without the
    /// lowest number. A preference, never safety.
    fn gives_head_start(&self, now: Time, side: Side) -> bool {
        let begun = self.resolving.doubt_since.unwrap_or(now);
        if !self.partition.has_arbiter() || now.since(begun) >= self.plan.timing.interval * HEAD_START_INTERVALS {
            return false;
        }
        self.is_weaker(side.part, side.others(self.plan.servers.len()))
    }

    /// Has this side less to lose than the other?
    pub(crate) fn is_weaker(&self, part: ServerSet, others: ServerSet) -> bool {
        let weight = |servers: ServerSet| {
            let groups = servers.iter().flat_map(|server| &self.reports[server.index()].groups);
            groups.filter(|group| matches!(group.phase, Phase::On | Phase::Starting)).count()
        };
        let (mine, theirs) = (weight(part), weight(others));
        mine < theirs || (mine == theirs && others.first() < part.first() && !others.is_empty())
    }
}
