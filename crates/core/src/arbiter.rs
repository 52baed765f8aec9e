//! What an arbiter (witness, etcd, disk lease) remembers and what that means for a server that asks (rule R9): plain functions
//! over one small record, which each method keeps in a store of its own and changes by compare-and-swap.
//!
//! The record names the servers that may go on. Any of them may narrow it to those that it is in contact with; nobody else may
//! touch it before it has run out. So of two sides of a cut the one that comes first has the record, and the other waits.

use std::time::Duration;

use minicbor::{Decode, Encode};

use crate::ids::{ServerId, ServerSet};

/// An answer to the partition question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// This side may not go on.
    No,
    /// Not now: the arbiter does not answer, or another side holds its record that may just have died.
    Wait,
    /// This side may go on.
    Yes,
}

/// What an arbiter remembers between two questions.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Record {
    /// Who may go on; empty: whoever asks first.
    #[n(0)]
    pub members: ServerSet,
    /// No other server can run anything, so that it holds until a member changes it. Otherwise it runs out when it is not renewed.
    #[n(1)]
    pub lasting: bool,
    /// Who wrote it.
    #[n(2)]
    pub by: ServerId,
    /// In which of its lives.
    #[n(3)]
    pub incarnation: u64,
    /// With which of its questions.
    #[n(4)]
    pub number: u64,
}

/// A question, as the core hands it to whoever asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Rises within a life; the answer carries it.
    pub number: u64,
    /// Who asks.
    pub me: ServerId,
    /// In which life.
    pub incarnation: u64,
    /// How many servers are configured.
    pub servers: usize,
    /// This server and those that acknowledge it now.
    pub part: ServerSet,
    /// Others that hold nothing: they said farewell after everything was verified off, or are proven dead.
    pub gone: ServerSet,
    /// Of those, the ones whose power was read back off.
    pub off: ServerSet,
    /// How long ago the last of these was.
    pub off_for: Duration,
    /// For how long a record of another side must stand unchanged until its writers are quiet, by the clock of who looks.
    pub lease: Duration,
    /// A record of this very side that another server wrote no longer ago than this is as good as one written anew.
    pub renewal: Duration,
    /// What.
    pub kind: AskKind,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskKind {
    /// May this side go on? The record is to name it and nobody else.
    Claim,
    /// The same by a server that has nothing to lose: it leaves it to others to shut somebody out.
    Join,
    /// This server leaves with everything verified off: it takes itself out of the record.
    Farewell,
}

impl Ask {
    /// Is every server either on this side or known to hold nothing?
    pub fn is_lasting(&self) -> bool {
        others(self.servers, self.part, self.gone).is_empty()
    }

    /// The record that this question asks for.
    fn record(&self) -> Record {
        let mut members = self.part;
        if self.kind == AskKind::Farewell {
            members.remove(self.me);
        }
        Record { members, lasting: self.is_lasting(), by: self.me, incarnation: self.incarnation, number: self.number }
    }
}

/// Servers that may run something, and of which this side knows nothing now.
pub(crate) fn others(servers: usize, part: ServerSet, gone: ServerSet) -> ServerSet {
    ServerSet::all(servers).minus(part).minus(gone)
}

/// What follows from a record for a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Write this in its place; then this is the answer, dated by the moment at which the record was asked for.
    Write(Record, Answer),
    /// Yes; nothing is to be written.
    Stands {
        /// So long ago the record was written at the most, so that the answer is dated by then; zero where it does not run out.
        age: Duration,
    },
    /// Not yes.
    Denied {
        /// [`Answer::No`] or [`Answer::Wait`].
        answer: Answer,
        /// Who may go on by the record.
        holders: ServerSet,
        /// When it runs out unless they renew it; None: never by itself.
        runs_out: Option<Duration>,
    },
}

/// For how long a record has stood as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// It was seen like this so long ago.
    pub at_least: Duration,
    /// It was seen otherwise so long ago; None: never, by this server.
    pub at_most: Option<Duration>,
}

/// Follows a record by the versions that are read, each of which names one write.
#[derive(Debug, Clone)]
pub struct Watch<V> {
    seen: Option<Version<V>>,
}

impl<V> Default for Watch<V> {
    fn default() -> Self {
        Watch { seen: None }
    }
}

/// A version, by the clock of who reads.
#[derive(Debug, Clone)]
struct Version<V> {
    version: V,
    first: Duration,
    last: Duration,
    /// The last read before it that found another one.
    otherwise: Option<Duration>,
}

impl<V: PartialEq> Watch<V> {
    /// This version was read; `now`: when the read began.
    pub fn see(&mut self, version: V, now: Duration) -> Standing {
        let seen = match self.seen.take() {
            Some(seen) if seen.version == version => Version { last: now, ..seen },
            before => Version { version, first: now, last: now, otherwise: before.map(|before| before.last) },
        };
        let since = |at: Duration| now.saturating_sub(at);
        let standing = Standing { at_least: since(seen.first), at_most: seen.otherwise.map(since) };
        self.seen = Some(seen);
        standing
    }
}

/// What the record says to this question. `standing`: for how long it had stood as it is when the question was put.
pub fn decide(record: Option<&Record>, standing: Standing, ask: &Ask) -> Decision {
    let unchanged = standing.at_least;
    let stands = Decision::Stands { age: Duration::ZERO };
    let wanted = ask.record();
    let Some(record) = record.filter(|record| !record.members.is_empty()) else {
        return if ask.kind == AskKind::Farewell { stands } else { Decision::Write(wanted, Answer::Yes) };
    };
    let mine = record.members.has(ask.me);
    if ask.kind == AskKind::Farewell && !mine {
        return stands;
    }
    let ran_out = !record.lasting && unchanged >= ask.lease;
    // Who holds it was switched off, and nobody has touched it since before that.
    let switched_off = record.members.minus(ask.off).is_empty() && unchanged >= ask.off_for;
    if !mine && !ran_out && !switched_off {
        let runs_out = (!record.lasting).then(|| ask.lease.saturating_sub(unchanged));
        let answer = if record.lasting { Answer::No } else { Answer::Wait };
        return Decision::Denied { answer, holders: record.members, runs_out };
    }
    let shut_out = record.members.minus(wanted.members);
    if ask.kind == AskKind::Join && mine && !shut_out.is_empty() {
        let members = ServerSet(record.members.0 | wanted.members.0);
        return if members == record.members {
            Decision::Denied { answer: Answer::Wait, holders: shut_out, runs_out: None }
        } else {
            // Those who have something to lose are to find themselves in it.
            Decision::Write(Record { members, ..wanted }, Answer::Wait)
        };
    }
    if mine && record.members == wanted.members && record.lasting == wanted.lasting {
        if record.lasting {
            return stands;
        }
        // One of a side renews for all of it, so that many do not get into each other's way.
        if let Some(age) = standing.at_most.filter(|age| record.by != ask.me && *age <= ask.renewal) {
            return Decision::Stands { age };
        }
    }
    Decision::Write(wanted, Answer::Yes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_millis(100);
    const STANDS: Decision = Decision::Stands { age: Duration::ZERO };

    /// Seen like this for so long, and never otherwise.
    fn stood(at_least: Duration) -> Standing {
        Standing { at_least, at_most: None }
    }

    fn set(servers: &[usize]) -> ServerSet {
        servers.iter().map(|server| ServerId::at(*server)).collect()
    }

    fn ask(me: usize, part: &[usize], gone: &[usize]) -> Ask {
        Ask {
            number: 7,
            me: ServerId::at(me),
            incarnation: 1,
            servers: 3,
            part: set(part),
            gone: set(gone),
            off: ServerSet::EMPTY,
            off_for: Duration::ZERO,
            lease: LEASE,
            renewal: Duration::from_millis(12),
            kind: AskKind::Claim,
        }
    }

    fn written(decision: Decision) -> Record {
        match decision {
            Decision::Write(record, Answer::Yes) => record,
            other => panic!("nothing was written: {other:?}"),
        }
    }

    fn answer(decision: Decision) -> Answer {
        match decision {
            Decision::Denied { answer, .. } => answer,
            _ => Answer::Yes,
        }
    }

    #[test]
    fn whoever_comes_first_holds_it_and_the_rest_wait_until_it_is_not_renewed() {
        let all = written(decide(None, stood(Duration::ZERO), &ask(0, &[0, 1, 2], &[])));
        assert!(all.lasting && all.members == set(&[0, 1, 2]));
        assert_eq!(decide(Some(&all), stood(Duration::ZERO), &ask(1, &[0, 1, 2], &[])), STANDS);
        let pair = written(decide(Some(&all), stood(Duration::ZERO), &ask(2, &[1, 2], &[])));
        assert!(!pair.lasting && pair.members == set(&[1, 2]));
        assert_eq!(answer(decide(Some(&pair), stood(Duration::ZERO), &ask(0, &[0], &[]))), Answer::Wait);
        assert_eq!(answer(decide(Some(&pair), stood(LEASE - Duration::from_micros(1)), &ask(0, &[0], &[]))), Answer::Wait);
        // Renewing writes anew, so that whoever counts sees that it lives.
        assert_ne!(written(decide(Some(&pair), stood(Duration::ZERO), &Ask { number: 8, ..ask(2, &[1, 2], &[]) })), pair);
        assert_eq!(written(decide(Some(&pair), stood(LEASE), &ask(0, &[0], &[]))).members, set(&[0]));
    }

    #[test]
    fn where_all_others_hold_nothing_it_never_runs_out() {
        let alone = written(decide(None, stood(Duration::ZERO), &ask(0, &[0], &[1, 2])));
        assert!(alone.lasting);
        assert_eq!(answer(decide(Some(&alone), stood(LEASE * 1000), &ask(1, &[1, 2], &[0]))), Answer::No);
        let free =
            written(decide(Some(&alone), stood(Duration::ZERO), &Ask { kind: AskKind::Farewell, ..ask(0, &[0], &[1, 2]) }));
        assert_eq!(answer(decide(Some(&free), stood(Duration::ZERO), &ask(1, &[1], &[]))), Answer::Yes);
        assert_eq!(decide(Some(&free), stood(Duration::ZERO), &Ask { kind: AskKind::Farewell, ..ask(0, &[0], &[]) }), STANDS);
    }

    #[test]
    fn who_leaves_takes_itself_out_and_nobody_else() {
        let all = Record { members: set(&[0, 1, 2]), lasting: true, by: ServerId::at(1), incarnation: 1, number: 1 };
        let left =
            written(decide(Some(&all), stood(Duration::ZERO), &Ask { kind: AskKind::Farewell, ..ask(0, &[0, 1, 2], &[]) }));
        assert!(left.members == set(&[1, 2]) && left.lasting);
        assert_eq!(answer(decide(Some(&left), stood(LEASE * 1000), &ask(0, &[0], &[]))), Answer::No);
        let again = Ask { kind: AskKind::Farewell, ..ask(0, &[0], &[1, 2]) };
        assert_eq!(decide(Some(&left), stood(Duration::ZERO), &again), STANDS, "what others hold is left alone");
    }

    #[test]
    fn who_has_nothing_to_lose_shuts_nobody_out() {
        let join = |part: &[usize]| Ask { kind: AskKind::Join, ..ask(0, part, &[]) };
        let all = written(decide(None, stood(Duration::ZERO), &ask(1, &[0, 1, 2], &[])));
        assert_eq!(answer(decide(Some(&all), stood(LEASE * 9), &join(&[0, 1]))), Answer::Wait);
        let pair = written(decide(Some(&all), stood(Duration::ZERO), &ask(1, &[0, 1], &[])));
        let wider = decide(Some(&pair), stood(Duration::ZERO), &join(&[0, 2]));
        assert!(matches!(wider, Decision::Write(record, Answer::Wait) if record.members == set(&[0, 1, 2])));
        let renewed = written(decide(Some(&pair), stood(Duration::ZERO), &join(&[0, 1])));
        assert!(renewed.members == pair.members && renewed.by == ServerId::at(0), "what it relies upon lives on from now");
    }

    #[test]
    fn a_record_of_who_was_switched_off_is_taken_unless_it_was_touched_since() {
        let theirs = Record { members: set(&[1]), lasting: true, by: ServerId::at(1), incarnation: 1, number: 1 };
        let proven = Ask { off: set(&[1]), off_for: LEASE, ..ask(0, &[0], &[1]) };
        assert_eq!(answer(decide(Some(&theirs), stood(LEASE - Duration::from_micros(1)), &proven)), Answer::No);
        assert_eq!(written(decide(Some(&theirs), stood(LEASE), &proven)).members, set(&[0]));
        let wider = Record { members: set(&[1, 2]), ..theirs };
        assert_eq!(answer(decide(Some(&wider), stood(LEASE), &proven)), Answer::No);
    }
}
