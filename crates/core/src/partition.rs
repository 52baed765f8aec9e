//! The partition question: is the last Yes usable, and since when has it been Yes without a break (rules R2, R9).
//!
//! Measuring is the shell's work; a Yes is dated by the moment at which it was *asked*.

use std::time::Duration;

use crate::arbiter::Answer;
use crate::ids::{ServerId, ServerSet};
use crate::plan::Timing;
use crate::time::Time;
use crate::verdict::{MethodKind, Votes, by_votes, combine, combine_arbiters};

/// What is known of the answer.
#[derive(Debug, Clone)]
pub struct Partition {
    methods: Vec<MethodKind>,
    /// Configured servers.
    servers: usize,
    valid: Duration,
    /// How long a Yes keeps what is held, as an acknowledgement does.
    keeps: Duration,
    interval: Duration,
    asked_last: Option<Time>,
    pending: Option<(u64, Time)>,
    next_ask: u64,
    /// When others last voted for this side, newest first.
    votes: Vec<Time>,
    /// By server: the Yes that lets this side go on without it.
    yes: Vec<Option<Yes>>,
    said_no: bool,
    /// The ping targets had been dead before anybody was in doubt: they say nothing about this side.
    blind: bool,
    /// What was measured last, for operators.
    pub reason: String,
}

/// A Yes without a break, by the moments at which it was asked.
#[derive(Debug, Clone, Copy)]
struct Yes {
    since: Time,
    last: Time,
}

impl Partition {
    /// Nothing asked yet.
    pub fn new(methods: &[MethodKind], servers: usize, timing: &Timing) -> Self {
        let valid = timing.answer_valid();
        Partition {
            methods: methods.to_vec(),
            servers,
            valid,
            keeps: timing.keeps(),
            interval: timing.interval,
            asked_last: None,
            pending: None,
            next_ask: 1,
            votes: Vec::new(),
            yes: vec![None; servers],
            said_no: false,
            blind: false,
            reason: "not asked yet".into(),
        }
    }

    /// What is known without a question: that nothing is configured, that nothing can be known, or who votes for this side.
    pub fn follow(&mut self, now: Time, votes: Vec<Time>) {
        self.votes = votes;
        if self.methods.is_empty() {
            self.yes(now, now, ServerSet::EMPTY);
            self.reason = "no partition resolution is configured".into();
            return;
        }
        if self.blind {
            // It goes on without proof, however long the dead targets let each question wait.
            self.yes(now, now, ServerSet::EMPTY);
        }
        let count = self.count(now);
        let Some(answer) = by_votes(&self.methods, count) else { return };
        self.said_no = answer == Answer::No;
        self.reason = format!("{} of {} servers are in contact here", count.mine, count.all);
        if answer == Answer::Yes {
            self.yes(now, self.voted_since(now, self.servers / 2 + 1), ServerSet::EMPTY);
        }
    }

    /// Servers of this side whose votes are young enough.
    fn count(&self, now: Time) -> Votes {
        let others = self.votes.iter().filter(|vote| now.since(**vote) <= self.valid).count();
        Votes { mine: others + 1, all: self.servers }
    }

    /// The moment of the youngest votes that make so many servers, this one included.
    fn voted_since(&self, now: Time, servers: usize) -> Time {
        servers.checked_sub(2).and_then(|at| self.votes.get(at)).copied().unwrap_or(now)
    }

    /// Is more than half of the servers in contact here?
    pub fn is_majority(&self, now: Time) -> bool {
        let count = self.count(now);
        count.mine * 2 > count.all
    }

    /// Do votes decide at this moment, so that nobody needs to be asked?
    pub fn by_votes(&self, now: Time) -> Option<Answer> {
        by_votes(&self.methods, self.count(now))
    }

    /// Is there anything to be asked?
    pub fn can_ask(&self) -> bool {
        self.methods.iter().any(|method| *method != MethodKind::Majority)
    }

    /// Does its Yes exclude a Yes of another side?
    pub fn is_sound(&self) -> bool {
        self.methods.iter().any(|method| method.is_sound())
    }

    /// Does an arbiter decide, or a tie of votes?
    pub fn has_arbiter(&self) -> bool {
        self.methods.contains(&MethodKind::Arbiter)
    }

    /// Ask now unless a question is open or was asked within the interval; the number of the new question.
    pub fn ask(&mut self, now: Time) -> Option<u64> {
        // An answer that never comes is given up after twice its bound, so that the question is asked again.
        if let Some((_, asked)) = self.pending
            && now.since(asked) < self.valid * 2
        {
            return None;
        }
        if self.asked_last.is_some_and(|asked| now.since(asked) < self.interval) {
            return None;
        }
        Some(self.ask_at_once(now))
    }

    /// Ask whatever else is open.
    pub fn ask_at_once(&mut self, now: Time) -> u64 {
        self.asked_last = Some(now);
        let ask = self.next_ask;
        self.next_ask += 1;
        self.pending = Some((ask, now));
        ask
    }

    /// Take the methods' answers, in the order of the configuration (None: not used here). Late ones to older questions change
    /// nothing. `part`: whom the arbiters were told to be on this side, so that they said nothing about them. `age`: so long before
    /// it was asked a Yes was true at the latest. True: this side may go on.
    pub fn answer(
        &mut self,
        now: Time,
        ask: u64,
        part: ServerSet,
        answers: &[Option<Answer>],
        age: Duration,
        reason: String,
    ) -> bool {
        let Some((open, asked)) = self.pending else { return false };
        if open != ask {
            return false;
        }
        let part = if self.has_arbiter() { part } else { ServerSet::EMPTY };
        let asked = asked - age;
        self.pending = None;
        let count = self.count(now);
        if let Some(answer) = by_votes(&self.methods, count) {
            // Votes decide; this was asked so that the arbiters know who is here.
            let yes = combine_arbiters(&self.methods, answers) == Answer::Yes;
            return yes && answer == Answer::Yes;
        }
        self.reason = reason;
        let said = combine(&self.methods, answers, count);
        let answer = if self.blind { Answer::Yes } else { said };
        self.blind &= said != Answer::Yes;
        self.said_no = answer == Answer::No;
        match answer {
            Answer::Yes => {
                let tie = self.methods.contains(&MethodKind::Majority);
                let voted = if tie { self.voted_since(now, self.servers / 2) } else { asked };
                self.yes(now, asked.min(voted), part);
            }
            Answer::Wait => {}
            Answer::No => {
                self.yes.fill(None);
            }
        }
        answer == Answer::Yes
    }

    /// Somebody is in doubt from now on: were all that ping decides upon dead before that?
    pub fn doubt_begins(&mut self, dead_before: bool) {
        self.blind = dead_before && !self.is_sound();
    }

    /// Do ping targets decide that had been dead before? Then nothing tells the sides apart, and both go on as without a resolution.
    pub fn is_blind(&self) -> bool {
        self.blind
    }

    /// Was the last answer a No? Otherwise a Yes that is too old, or none at all.
    pub fn said_no(&self) -> bool {
        self.said_no
    }

    /// This side may go on without the servers that are not in `part`.
    fn yes(&mut self, now: Time, asked: Time, part: ServerSet) {
        for (server, yes) in self.yes.iter_mut().enumerate() {
            if part.has(ServerId::at(server)) {
                *yes = None;
                continue;
            }
            match yes {
                Some(yes) if now.since(yes.last) <= self.valid => yes.last = yes.last.max(asked),
                _ => *yes = Some(Yes { since: asked, last: asked }),
            }
        }
    }

    fn yes_without(&self, server: ServerId) -> Option<Yes> {
        self.yes.get(server.index()).copied().flatten()
    }

    /// Does a Yes hold now that was asked after `heard`, the last frame of the silent server?
    pub fn covers(&self, now: Time, server: ServerId, heard: Time) -> bool {
        self.yes_without(server).is_some_and(|yes| yes.last > heard && now.since(yes.last) <= self.valid)
    }

    /// Is a Yes that was asked after `heard` young enough to keep what is held? Nobody else's Yes held meanwhile for long enough
    /// to start it, so that a question or two may be late.
    pub fn keeps(&self, now: Time, server: ServerId, heard: Time) -> bool {
        self.keeps_until(server, heard).is_some_and(|until| now <= until)
    }

    /// Until when such a Yes keeps it, if none follows.
    pub fn keeps_until(&self, server: ServerId, heard: Time) -> Option<Time> {
        self.yes_without(server).filter(|yes| yes.last > heard).map(|yes| yes.last + self.keeps)
    }

    /// Has it been Yes since `moment`, or for at least `span`, without a break (a Yes that arrives only after the other
    /// side lost its own must wait out the whole delay)?
    pub fn held(&self, now: Time, server: ServerId, moment: Time, span: Duration) -> bool {
        let fresh = self.yes_without(server).filter(|yes| now.since(yes.last) <= self.valid);
        fresh.is_some_and(|yes| yes.since <= moment || now.since(yes.since) >= span)
    }
}
