//! psw: processes by their command line (clp-conf.md section 12).

use crate::section;
use crate::value::{Count, Text};

section! {
    /// Parameters of a process name monitor.
    pub struct Psw {
        /// Command line as `ps -eo cmd` shows it; a * stands for any characters.
        name: Text, path "parameters/processname", default "", range 0..=1023, apply SuspendMonitor;
        /// Processes that must be there.
        count: Count, path "parameters/processnum", default "1", range 1..=999, apply SuspendMonitor;
    }
}
