//! Where threads that want the same kind of thing at one moment have it done together: the first goes at once, those who come
//! meanwhile share the next turn.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Takes wishes `W` and gives answers `A`.
pub(super) struct Desk<W, A> {
    state: Mutex<State<W, A>>,
    turned: Condvar,
}

struct State<W, A> {
    next: u64,
    waiting: Vec<(u64, W)>,
    answers: BTreeMap<u64, A>,
    is_busy: bool,
}

impl<W, A> Desk<W, A> {
    pub(super) const fn new() -> Self {
        let state = State { next: 0, waiting: Vec::new(), answers: BTreeMap::new(), is_busy: false };
        Desk { state: Mutex::new(state), turned: Condvar::new() }
    }

    /// Have a wish carried out. `converse` is what carries out many, with an answer for each in its place; it is called by one
    /// of the threads that wait, for all of them, and begins after each of them asked.
    pub(super) fn ask(&self, wish: W, converse: impl FnOnce(Vec<W>) -> Vec<A>) -> A {
        let mut state = self.hold();
        let ticket = state.next;
        state.next += 1;
        state.waiting.push((ticket, wish));
        let mut converse = Some(converse);
        loop {
            if let Some(answer) = state.answers.remove(&ticket) {
                return answer;
            }
            if state.is_busy {
                state = self.turned.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            // Nobody is at it and there is no answer: the wish still waits, and this is the first turn of this thread.
            let converse = converse.take().expect("a thread's own turn answers its wish");
            state.is_busy = true;
            let (tickets, wishes): (Vec<u64>, Vec<W>) = state.waiting.drain(..).unzip();
            drop(state);
            let answers = converse(wishes);
            assert_eq!(answers.len(), tickets.len(), "an answer for each wish");
            state = self.hold();
            state.answers.extend(tickets.into_iter().zip(answers));
            state.is_busy = false;
            self.turned.notify_all();
        }
    }

    fn hold(&self) -> MutexGuard<'_, State<W, A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeats::tests_support::until;
    use std::sync::mpsc::channel;

    #[test]
    fn those_who_come_meanwhile_share_one_turn() {
        let desk: Desk<u32, u32> = Desk::new();
        let (begun, begins) = channel();
        let (go, goes) = channel::<()>();
        let turns = Mutex::new(Vec::new());
        let carry_out = |wishes: Vec<u32>| {
            turns.lock().expect("turns").push(wishes.len());
            wishes.iter().map(|wish| wish * 2).collect()
        };
        std::thread::scope(|scope| {
            let (desk, carry_out) = (&desk, &carry_out);
            let first = scope.spawn(move || {
                desk.ask(0, |wishes| {
                    begun.send(()).expect("the test listens");
                    goes.recv().expect("the test says go");
                    carry_out(wishes)
                })
            });
            begins.recv().expect("the first turn begins at once");
            let others: Vec<_> = (1..=20).map(|wish| (wish, scope.spawn(move || desk.ask(wish, carry_out)))).collect();
            until("all wait", || desk.hold().waiting.len() == 20);
            go.send(()).expect("the first waits");
            assert_eq!(first.join().expect("answered"), 0);
            for (wish, answered) in others {
                assert_eq!(answered.join().expect("answered"), wish * 2);
            }
        });
        assert_eq!(*turns.lock().expect("turns"), [1, 20]);
        assert!(desk.hold().answers.is_empty());
    }
}
