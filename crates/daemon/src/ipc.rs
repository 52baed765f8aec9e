//! Between engine and monitor daemon: one JSON value a line on the unix socket `run/monitord.sock`.

use serde::{Deserialize, Serialize};

/// From the engine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Order {
    /// Run or stop the checks of a monitor.
    Watch(Watch),
    /// Time-outs of checks are multiplied by this from now on.
    Ratio(u32),
}

/// Run or stop the checks of a monitor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Watch {
    /// Name of the monitor.
    pub monitor: String,
    /// Run it.
    pub run: bool,
    /// Process id of the target's asynchronous start script, where the monitor needs it.
    pub pid: Option<u32>,
}

/// From the monitor daemon.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Told {
    /// A check ended.
    Found(Found),
    /// A check exceeded its time, and what the probes wait for is being recorded.
    EvidenceBegins {
        /// Name of the monitor.
        monitor: String,
        /// The time, in milliseconds.
        timeout_ms: u64,
    },
    /// What the probes waited for when a check exceeded its time was recorded.
    Evidence {
        /// Name of the monitor.
        monitor: String,
        /// The file, or why there is none.
        written: Result<String, String>,
    },
    /// A check could not be made, the first of a row.
    Unable {
        /// Name of the monitor.
        monitor: String,
        /// Why.
        reason: String,
    },
    /// The limit on open files was lowered by somebody: what to tell.
    FilesShort(String),
    /// A monitor that was to stop has stopped: nothing of it runs any more. Its name.
    Ended(String),
}

/// A check ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Found {
    /// Name of the monitor.
    pub monitor: String,
    /// None: normal.
    pub failure: Option<String>,
    /// The check did not end in time.
    pub timed_out: bool,
    /// It had no processor for most of that time: the figures, in words.
    pub starved: Option<String>,
    /// How long the check took, in milliseconds.
    pub took_ms: u64,
}
