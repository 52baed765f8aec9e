//! Asking an arbiter, whatever store keeps its record: read, decide, swap, and again while somebody else is faster.

use std::time::{Duration, Instant};

use clp_core::arbiter::{Answer, Decision, Record, Standing, Watch, decide};

use crate::partition::{Method, Question, Reply};

/// A store that keeps one record for this cluster and changes it by compare-and-swap. What it says has to be *linearizable*: a read
/// returns what the last successful swap wrote, by whichever server.
pub trait Register: Send {
    /// Names a write: equal versions are the same write.
    type Version: Clone + PartialEq + Send;

    /// Such as "witness 10.0.0.9:29010", for operators.
    fn place(&self) -> String;

    /// What stands there (None: nothing was ever written), and how long it has at least stood there unchanged, if the store itself
    /// can tell.
    ///
    /// # Errors
    /// It cannot be reached or read within the time: what, why, and what helps.
    fn read(&mut self, until: Instant) -> Result<Seen<Self::Version>, String>;

    /// Write the record in place of the version that was read; false when another one stands there by now.
    ///
    /// # Errors
    /// It is not certain that it was written; it may have been, or may still be.
    fn swap(&mut self, version: &Self::Version, record: &Record, until: Instant) -> Result<bool, String>;
}

/// What was read from a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen<V> {
    /// None: nothing was ever written.
    pub record: Option<Record>,
    /// Which write this is.
    pub version: V,
    /// How long it has stood there by the store's own clock; zero when the store cannot tell.
    pub stood: Duration,
}

/// Asks a store.
pub struct Keeper<R: Register> {
    register: R,
    /// Names of the servers by their numbers.
    servers: Vec<String>,
    watch: Watch<R::Version>,
    clock: fn() -> Duration,
}

impl<R: Register> Keeper<R> {
    /// Nothing seen yet. `servers`: names by number.
    pub fn new(register: R, servers: Vec<String>) -> Self {
        // A clock that counts suspended time: a lease runs out while this server sleeps.
        Keeper { register, servers, watch: Watch::default(), clock: clp_sys::clock::now }
    }

    fn try_ask(&mut self, question: &Question) -> Result<(Answer, Duration, String), String> {
        loop {
            let begun = (self.clock)();
            let seen = self.register.read(question.until)?;
            let since_put = question.put.elapsed();
            let standing = self.watch.see(seen.version.clone(), begun);
            let standing = Standing {
                at_least: standing.at_least.max(seen.stood).saturating_sub(since_put),
                at_most: standing.at_most.map(|age| age.saturating_sub(since_put)),
            };
            match decide(seen.record.as_ref(), standing, &question.ask) {
                Decision::Stands { age } => return Ok((Answer::Yes, age, "its record names this side".into())),
                Decision::Denied { answer, holders, runs_out } => {
                    let names: Vec<&str> =
                        holders.iter().map(|server| self.servers.get(server.index()).map_or("?", String::as_str)).collect();
                    let names = names.join(", ");
                    let words = match runs_out {
                        _ if answer == Answer::No => format!("its record lets {names} go on, and no other server"),
                        Some(left) => format!("its record is held by {names}, for {} ms more unless renewed", left.as_millis()),
                        None => format!("its record still lets {names} go on"),
                    };
                    return Ok((answer, Duration::ZERO, words));
                }
                Decision::Write(record, answer) => {
                    if self.register.swap(&seen.version, &record, question.until)? {
                        return Ok((answer, Duration::ZERO, "its record was written for this side".into()));
                    }
                    if Instant::now() >= question.until {
                        return Err("others write its record all the time".into());
                    }
                }
            }
        }
    }
}

impl<R: Register> Method for Keeper<R> {
    fn ask(&mut self, question: &Question) -> Reply {
        let place = self.register.place();
        match self.try_ask(question) {
            Ok((answer, age, words)) => Reply { answer, age, reachable: true, words: format!("{place}: {words}") },
            Err(problem) => {
                Reply { answer: Answer::Wait, age: Duration::ZERO, reachable: false, words: format!("{place}: {problem}") }
            }
        }
    }

    fn look(&mut self, until: Instant) -> (bool, String) {
        let place = self.register.place();
        match self.register.read(until) {
            Ok(seen) => {
                let members = seen.record.map(|record| record.members).unwrap_or_default();
                let names: Vec<&str> =
                    members.iter().filter_map(|server| self.servers.get(server.index()).map(String::as_str)).collect();
                let names = if names.is_empty() { "nobody".into() } else { names.join(", ") };
                (true, format!("{place} answers; its record names {names}"))
            }
            Err(problem) => (false, format!("{place}: {problem}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use clp_core::arbiter::{Ask, AskKind};
    use clp_core::ids::{ServerId, ServerSet};

    use super::*;

    /// A store that several keepers share.
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<(Option<Record>, u64)>>);

    impl Register for Shared {
        type Version = u64;

        fn place(&self) -> String {
            "store".into()
        }

        fn read(&mut self, _until: Instant) -> Result<Seen<u64>, String> {
            let (record, version) = self.0.lock().expect("store").clone();
            Ok(Seen { record, version, stood: Duration::ZERO })
        }

        fn swap(&mut self, version: &u64, record: &Record, _until: Instant) -> Result<bool, String> {
            let mut stored = self.0.lock().expect("store");
            let same = stored.1 == *version;
            if same {
                *stored = (Some(record.clone()), *version + 1);
            }
            Ok(same)
        }
    }

    static CLOCK: Mutex<Duration> = Mutex::new(Duration::from_secs(1000));

    fn clock() -> Duration {
        *CLOCK.lock().expect("clock")
    }

    fn question(me: usize, number: u64) -> Question {
        let now = Instant::now();
        let part: ServerSet = [ServerId::at(me)].into_iter().collect();
        let lease = Duration::from_secs(4);
        let ask = Ask {
            number,
            me: ServerId::at(me),
            incarnation: 1,
            servers: 2,
            part,
            gone: ServerSet::EMPTY,
            off: ServerSet::EMPTY,
            off_for: Duration::ZERO,
            lease,
            renewal: Duration::from_millis(600),
            kind: AskKind::Claim,
        };
        Question { ask, put: now, until: now + Duration::from_secs(5) }
    }

    #[test]
    fn who_waits_counts_by_its_own_clock_from_when_it_saw_the_record_first() {
        let store = Shared::default();
        let names = || vec!["server1".to_string(), "server2".to_string()];
        let mut keepers = [0, 1].map(|_| Keeper { clock, ..Keeper::new(store.clone(), names()) });
        assert_eq!(keepers[0].ask(&question(0, 1)).answer, Answer::Yes);
        let reply = keepers[1].ask(&question(1, 1));
        assert_eq!(reply.answer, Answer::Wait);
        assert!(reply.words.starts_with("store: its record is held by server1, for 4000 ms more"), "{}", reply.words);
        *CLOCK.lock().expect("clock") += Duration::from_millis(3500);
        assert_eq!(keepers[0].ask(&question(0, 2)).answer, Answer::Yes);
        *CLOCK.lock().expect("clock") += Duration::from_millis(3500);
        assert_eq!(keepers[1].ask(&question(1, 2)).answer, Answer::Wait, "it was renewed meanwhile");
        *CLOCK.lock().expect("clock") += Duration::from_millis(4100);
        assert_eq!(keepers[1].ask(&question(1, 3)).answer, Answer::Yes);
        assert_eq!(keepers[0].ask(&question(0, 3)).answer, Answer::Wait);
    }
}
