//! userw: a stalled user space is ended by the watchdog (clp-conf.md section 12).

use crate::section;
use crate::value::{Count, Flag, Text};

section! {
    /// Parameters of the user-space monitor.
    pub struct Userw {
        /// softdog, keepalive, ipmi or none.
        method: Text, path "parameters/method", default "softdog", range 0..=15, apply SuspendMonitor;
        /// RESET or PANIC.
        action: Text, path "parameters/action", default "RESET", range 0..=15, apply SuspendMonitor;
        /// Use interval and time-out of the heartbeat, but no less than 3 s and 30 s.
        usehb: Flag, path "parameters/usehb", default "1", range 0..=1, apply SuspendMonitor;
        /// Open a file at each check.
        repopen: Flag, path "parameters/repopen", default "0", range 0..=1, apply SuspendMonitor;
        /// Write it too.
        repwrite: Flag, path "parameters/repwrite", default "0", range 0..=1, apply SuspendMonitor;
        /// That many bytes.
        writesize: Count, path "parameters/writesize", default "10000", range 1..=9999999, apply SuspendMonitor;
        /// Make a thread at each check.
        mkthread: Flag, path "parameters/mkthread", default "0", range 0..=1, apply SuspendMonitor;
    }
}
