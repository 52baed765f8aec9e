//! genw: a script of one's own (clp-conf.md section 12).

use crate::section;
use crate::value::{Count, ExitCodes, Flag, Seconds, Text};

section! {
    /// Parameters of a custom monitor.
    pub struct Genw {
        /// Script; a bare name lies in scripts/monitor.s/MONITOR/.
        path: Text, path "parameters/path", default "genw.sh", range 0..=1023, apply SuspendMonitor;
        /// 1 the script beside the configuration, 0 an application of the user (absolute path).
        product: Flag, path "parameters/default", default "1", range 0..=1, apply SuspendMonitor;
        /// 1 wait for the script's end and judge its exit code, 0 leave it running and watch that it runs.
        sync: Flag, path "parameters/sync", default "1", range 0..=1, apply SuspendMonitor;
        /// Exit codes that mean normal: numbers and ranges with commas between, such as 0,2,10-19.
        normal: ExitCodes, path "parameters/normalval", default "0", range 0..=255, apply SuspendMonitor;
        /// Time after the start of a script that is left running before it is judged.
        start_wait: Seconds, path "parameters/waitmonstart", default "0", range 0..=9999, apply SuspendMonitor;
        /// The cluster's stop waits until the script has ended.
        stop_wait: Flag, path "parameters/waitstop", default "0", range 0..=1, apply SuspendMonitor;
        /// File that takes the script's output.
        userlog: Text, path "parameters/userlog", default "", range 0..=1023, apply SuspendMonitor;
        /// Rotate that file and put the time before each line.
        rotate: Flag, path "parameters/logrotate/use", default "0", range 0..=1, apply SuspendMonitor;
        /// Size at which it is rotated, in bytes.
        rotate_size: Count, path "parameters/logrotate/size", default "1000000", range 1..=999999999, apply SuspendMonitor;
    }
}
