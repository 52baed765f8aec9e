//! A command waits in a thread of its own, so that Ctrl-C, a signal or `-w` can end the wait with a word about what goes on.
//!
//! An order that was given is the cluster's: it goes on whether anybody waits or not.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::declaration::Failure;
use crate::screen;

/// What was asked is answered, but only under what is taken for granted with it.
pub const ASSUMED: u8 = 2;

static CODE: AtomicU8 = AtomicU8::new(0);
static UNDER_WAY: Mutex<Option<String>> = Mutex::new(None);

/// Note what goes on by itself from here on if nobody waits: a sentence without a full stop.
pub fn goes_on(what: impl Into<String>) {
    *UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner) = Some(what.into());
}

/// The exit code when the command ends well.
pub fn ends_with(code: u8) {
    CODE.store(code, Ordering::Relaxed);
}

fn under_way() -> String {
    let noted = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner).clone();
    noted.unwrap_or_else(|| "nothing was ordered yet".into())
}

enum News {
    Ended(Result<(), Failure>),
    Signal(i32),
}

/// Carry out `work`, waiting for it no longer than `limit`.
pub fn run(limit: Option<Duration>, work: impl FnOnce() -> Result<(), Failure> + Send + 'static) -> ExitCode {
    // Before the first thread; where it fails the signals only end the program without a word.
    let ending = clp_sys::signals::Ending::hold();
    let (ended, news) = channel();
    if let Ok(ending) = ending {
        let ended = ended.clone();
        std::thread::spawn(move || {
            let _ = ended.send(News::Signal(ending.wait()));
        });
    }
    std::thread::spawn(move || {
        let work = std::panic::AssertUnwindSafe(work);
        // Only words are left to be said after a panic, and no state to be used.
        let result = std::panic::catch_unwind(work).unwrap_or_else(|_| Err(Failure::new(format!("failed; {}", under_way()))));
        let _ = ended.send(News::Ended(result));
    });
    match news.recv_timeout(limit.unwrap_or(Duration::MAX)) {
        Ok(News::Ended(Ok(()))) => ExitCode::from(CODE.load(Ordering::Relaxed)),
        Ok(News::Ended(Err(failure))) => {
            screen::error(&failure.0);
            ExitCode::FAILURE
        }
        Ok(News::Signal(number)) => {
            screen::error(&format!("interrupted: {}", under_way()));
            // As a shell shows a program that a signal ended.
            ExitCode::from(u8::try_from(128 + number).unwrap_or(1))
        }
        Err(RecvTimeoutError::Timeout) => {
            screen::error(&format!("no result within {} s: {}", limit.unwrap_or_default().as_secs(), under_way()));
            ExitCode::FAILURE
        }
        Err(RecvTimeoutError::Disconnected) => ExitCode::FAILURE,
    }
}
