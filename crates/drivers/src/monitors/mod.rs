//! Monitor resources: one check each, one file per type.
//!
//! A driver measures once, within a time limit, and says what it found. Intervals, retries and recovery are the core's.

mod bounded;
pub mod diskw;
pub mod ipw;
pub mod miiw;
pub mod pidw;
pub mod userw;

use std::{thread, time::Duration};
use thiserror::Error;

/// A monitor resource that runs.
pub trait MonitorDriver: Send {
    /// Checks once. Returns within `limit` and a little, whatever the object does.
    ///
    /// # Errors
    /// What is wrong with the object.
    fn check(&mut self, limit: Duration) -> Result<(), CheckFailed>;

    /// Waits for at most `time` and says whether something happened that is worth a check now. A type that hears
    /// nothing from the kernel just waits.
    fn wait_event(&mut self, time: Duration) -> bool {
        thread::sleep(time);
        false
    }
}

/// How a check failed: the configuration can treat a time-out in another way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The object answered badly or is gone.
    Error,
    /// The check did not end in time.
    TimedOut,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what}; {remedy}")]
pub struct CheckFailed {
    /// Error or time-out.
    pub kind: FailureKind,
    /// What is wrong, naming the object.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl CheckFailed {
    /// The object answered badly or is gone.
    pub fn error(what: impl Into<String>, remedy: impl Into<String>) -> CheckFailed {
        CheckFailed { kind: FailureKind::Error, what: what.into(), remedy: remedy.into() }
    }

    /// The check did not end in time.
    pub fn timed_out(what: impl Into<String>, remedy: impl Into<String>) -> CheckFailed {
        CheckFailed { kind: FailureKind::TimedOut, what: what.into(), remedy: remedy.into() }
    }
}

/// Why a monitor resource cannot run as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what}; {remedy}")]
pub struct UnusableMonitor {
    /// What is wrong.
    pub what: String,
    /// What to change.
    pub remedy: String,
}
