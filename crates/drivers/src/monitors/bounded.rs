//! Runs work that may hang (reading a dead disk, starting a process) so that only the work hangs.
//!
//! Each piece of work has a thread of its own. At most one runs per name in the whole process, also over suspending and
//! resuming a monitor: a disk that never answers costs one thread, not one per check.

use super::CheckFailed;
use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

type Work = Box<dyn FnOnce() -> Result<(), CheckFailed> + Send>;

#[derive(Debug, Default)]
struct Slot {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_busy: bool,
    began: Option<Instant>,
    result: Option<Result<(), CheckFailed>>,
}

static SLOTS: Mutex<BTreeMap<String, Arc<Slot>>> = Mutex::new(BTreeMap::new());

/// Runs `work` under `name` and waits for at most `limit`; if earlier work of that name still runs, waits for its end
/// first. Failing to end in time is [`CheckFailed::timed_out`] with `remedy`.
pub(super) fn run(name: &str, limit: Duration, remedy: &str, work: Work) -> Result<(), CheckFailed> {
    let deadline = Instant::now() + limit;
    let slot = Arc::clone(SLOTS.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_string()).or_default());
    let timed_out = |began: Option<Instant>| {
        let age = began.map_or(limit, |began| began.elapsed());
        CheckFailed::timed_out(format!("{name} has not ended for {:.1} s", age.as_secs_f32()), remedy)
    };
    let idle = wait(&slot, deadline);
    let Some(mut state) = idle else {
        return Err(timed_out(slot.state.lock().unwrap_or_else(PoisonError::into_inner).began));
    };
    *state = State { is_busy: true, began: Some(Instant::now()), result: None };
    drop(state);
    let worker = Arc::clone(&slot);
    // Owner: the slot; ends with the work. Cut short (the process ends) nothing is lost.
    let started = thread::Builder::new().name(name.chars().take(15).collect()).spawn(move || {
        let result = work();
        let mut state = worker.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_busy = false;
        state.result = Some(result);
        worker.ended.notify_all();
    });
    if let Err(error) = started {
        slot.state.lock().unwrap_or_else(PoisonError::into_inner).is_busy = false;
        return Err(CheckFailed::error(
            format!("cannot start a thread for {name}: {error}"),
            "look for what uses up threads or memory",
        ));
    }
    match wait(&slot, deadline) {
        Some(mut state) => state.result.take().unwrap_or(Ok(())),
        None => Err(timed_out(slot.state.lock().unwrap_or_else(PoisonError::into_inner).began)),
    }
}

/// Waits until nothing runs; `None` at the deadline.
fn wait(slot: &Slot, deadline: Instant) -> Option<std::sync::MutexGuard<'_, State>> {
    let state = slot.state.lock().unwrap_or_else(PoisonError::into_inner);
    let time = deadline.saturating_duration_since(Instant::now());
    let (state, _) = slot.ended.wait_timeout_while(state, time, |state| state.is_busy).unwrap_or_else(PoisonError::into_inner);
    (!state.is_busy).then_some(state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        atomic::{AtomicU32, Ordering},
        mpsc::channel,
    };

    #[test]
    fn hanging_work_is_never_started_twice() {
        let started = Arc::new(AtomicU32::new(0));
        let (release, released) = channel::<()>();
        let mut released = Some(released);
        for _ in 0..5 {
            let (count, gate) = (Arc::clone(&started), released.take());
            let work: Work = Box::new(move || {
                count.fetch_add(1, Ordering::SeqCst);
                if let Some(gate) = gate {
                    let _ = gate.recv();
                }
                Ok(())
            });
            let failed = run("hanging test work", Duration::from_millis(20), "wait", work).expect_err("it hangs");
            assert_eq!(failed.kind, super::super::FailureKind::TimedOut);
        }
        assert_eq!(started.load(Ordering::SeqCst), 1);
        release.send(()).expect("released");
        let count = Arc::clone(&started);
        let work: Work = Box::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
            Err(CheckFailed::error("found", "repair"))
        });
        let failed = run("hanging test work", Duration::from_secs(20), "wait", work).expect_err("its own result");
        assert_eq!(failed.what, "found");
        assert_eq!(started.load(Ordering::SeqCst), 2);
    }
}
