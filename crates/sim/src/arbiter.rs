//! What answers the partition question in the world: a ping target, or a store that keeps an arbiter's record by compare-and-swap.
//! Votes need nobody. A question first reads the record and then swaps it, each on its way for a while.

use std::time::Duration;

use clp_core::arbiter::{Answer, Ask, Decision, Record, Watch, decide};
use clp_core::event::Event;
use clp_core::ids::ServerId;
use clp_core::verdict::MethodKind;

use crate::fault::What;
use crate::plant::Planted;
use crate::world::{Happening, World};

/// Intervals between two looks.
const LOOK_INTERVALS: u64 = 5;

/// The store: a record and the number of its write.
#[derive(Debug, Default)]
pub struct Store {
    pub(crate) record: Option<Record>,
    version: u64,
    /// What each server saw, by its own clock.
    watches: Vec<Watch<u64>>,
}

impl Store {
    /// Empty.
    pub fn new(servers: usize) -> Self {
        Store { watches: vec![Watch::default(); servers], ..Store::default() }
    }

    /// It starts from nothing; true when it held a record.
    pub fn forget(&mut self) -> bool {
        self.version += 1;
        self.record.take().is_some()
    }
}

impl World {
    /// A question reaches what answers it, or does not.
    pub(crate) fn question(&mut self, host: usize, life: u64, ask: Ask) {
        let arbiter = self.options.plan.partition.contains(&MethodKind::Arbiter);
        if self.remembers_yes(host, life) {
            return self.reply(host, life, ask.number, Answer::Yes, Duration::ZERO);
        }
        if self.network.arbiter_cuts[host] > 0 || !self.hosts[host].powered {
            // A target that does not answer is a No after a while; the question's time limit is Q.
            let wait = self.options.plan.timing.arbiter.as_micros() as u64 * 3 / 4;
            let answer = match arbiter {
                true if self.is_planted(Planted::FallsToWeaker) => Answer::Yes,
                true => Answer::Wait,
                false => Answer::No,
            };
            self.after(wait, Happening::Verdict { host, life, ask: ask.number, answer, age: Duration::ZERO });
            return;
        }
        if let Some(fault) = self.befalls(host, |what| matches!(what, What::ArbiterWrong { lost: false })) {
            self.took_effect(fault);
            return self.reply(host, life, ask.number, Answer::No, Duration::ZERO);
        }
        if !arbiter {
            return self.reply(host, life, ask.number, Answer::Yes, Duration::ZERO);
        }
        let now = Duration::from_micros(self.hosts[host].clock(self.now).0);
        let version = self.store.version;
        let standing = self.store.watches[host].see(version, now);
        let record = self.distort_record(host);
        let decision = decide(record.as_ref(), standing, &ask);
        self.say(|| format!("s{host} asks {ask:?} of {:?}, {standing:?}: {decision:?}", self.store.record));
        match decision {
            Decision::Stands { age } => self.reply(host, life, ask.number, Answer::Yes, age),
            Decision::Denied { answer, .. } => self.reply(host, life, ask.number, answer, Duration::ZERO),
            Decision::Write(_, answer) if self.is_planted(Planted::RecordIsNotWritten) => {
                self.reply(host, life, ask.number, answer, Duration::ZERO);
            }
            Decision::Write(record, answer) => {
                let way = self.rng.below(self.interval() / 2 + 1);
                self.after(way, Happening::Swap { host, life, ask, version, record, answer });
            }
        }
    }

    /// A look at what the partition resolutions ask, from time to time. Ping targets are not looked at: a look before anybody is in doubt
    /// decides whether they count at all.
    pub(crate) fn look_at_arbiter(&mut self, host: usize, life: u64) {
        if !self.alive(host, life) || !self.options.plan.partition.contains(&MethodKind::Arbiter) {
            return;
        }
        self.after(self.interval() * LOOK_INTERVALS, Happening::LookAtArbiter { host, life });
        let answers = self.network.arbiter_cuts[host] == 0;
        let kinds = self.options.plan.partition.iter();
        let reachable = kinds.map(|kind| (*kind == MethodKind::Arbiter).then_some(answers)).collect();
        self.handle(host, Event::PartitionSeen { reachable });
    }

    /// The write reaches the store, perhaps after its server died.
    pub(crate) fn swap(&mut self, host: usize, life: u64, ask: Ask, version: u64, record: Record, answer: Answer) {
        if self.network.arbiter_cuts[host] > 0 {
            return self.reply(host, life, ask.number, Answer::Wait, Duration::ZERO);
        }
        if version != self.store.version && !self.is_planted(Planted::NoCompareAndSwap) {
            return self.question(host, life, ask);
        }
        self.store.record = Some(record);
        self.store.version += 1;
        let lost = self.befalls(host, |what| matches!(what, What::ArbiterWrong { lost: true }));
        if let Some(fault) = lost {
            self.took_effect(fault);
            return self.reply(host, life, ask.number, Answer::Wait, Duration::ZERO);
        }
        self.reply(host, life, ask.number, answer, Duration::ZERO);
    }

    fn reply(&mut self, host: usize, life: u64, ask: u64, answer: Answer, age: Duration) {
        if answer != Answer::Yes {
            self.note_upset(host);
        } else if self.memory.yes_asked[host].is_none_or(|(of, _)| of != life) || !self.is_planted(Planted::AnswersFromMemory) {
            self.memory.yes_asked[host] = Some((life, self.now));
        }
        let mut way = self.rng.below(self.interval() / 4 + 1);
        if let Some(fault) = self.befalls(host, |what| matches!(what, What::ArbiterSlow { .. }))
            && let What::ArbiterSlow { by } = self.faults[fault].what
        {
            self.took_effect(fault);
            self.note_upset(host);
            way += by;
        }
        self.after(way, Happening::Verdict { host, life, ask, answer, age });
    }

    /// An answer arrives.
    pub(crate) fn answered(&mut self, host: usize, life: u64, ask: u64, answer: Answer, age: Duration) {
        if !self.alive(host, life) {
            return;
        }
        let answer = self.distort_verdict(host, life, answer);
        let kinds = self.options.plan.partition.iter();
        let answers = kinds.map(|kind| (*kind != MethodKind::Majority).then_some(answer)).collect();
        self.handle(host, Event::Verdict { ask, answers, age, reason: format!("the arbiter said {answer:?}") });
    }

    /// Does this server rely on the farewell of another one?
    pub(crate) fn relies_on_farewell(&self, host: usize, of: usize) -> bool {
        self.hosts[host].engine.as_ref().is_some_and(|engine| engine.has_left(ServerId::at(of)))
    }
}
