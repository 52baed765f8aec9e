//! exec: an application started and stopped by scripts (clp-conf.md section 10).

use crate::section;
use crate::value::{Count, Flag, Seconds, Text};

section! {
    /// Parameters of an exec resource.
    pub struct Exec {
        /// Start script; a bare name lies in scripts/GROUP/RESOURCE/.
        start_path: Text, path "parameters/act/path", default "start.sh", range 0..=1023, apply StopGroup;
        /// Stop script.
        stop_path: Text, path "parameters/deact/path", default "stop.sh", range 0..=1023, apply StopGroup;
        /// Wait for the end of the start script.
        start_sync: Flag, path "parameters/act/sync", default "1", range 0..=1, apply StopGroup;
        /// Wait for the end of the stop script.
        stop_sync: Flag, path "parameters/deact/sync", default "1", range 0..=1, apply StopGroup;
        /// Time limit of the start script.
        start_timeout: Seconds, path "parameters/timeout/start", default "1800", range 1..=9999, apply UploadOnly;
        /// Time limit of the stop script.
        stop_timeout: Seconds, path "parameters/timeout/stop", default "1800", range 1..=9999, apply UploadOnly;
        /// Run the start script on the other servers too, when it has ended here (CLP_EVENT is STANDBY there).
        start_others: Flag, path "parameters/act/postrunothers", default "0", range 0..=1, apply StopGroup;
        /// Time limit of the start script there.
        start_others_timeout: Seconds, path "parameters/timeout/startothers", default "1800", range 1..=9999, apply UploadOnly;
        /// Run the stop script on the other servers too, before it runs here.
        stop_others: Flag, path "parameters/deact/prerunothers", default "0", range 0..=1, apply StopGroup;
        /// Time limit of the stop script there.
        stop_others_timeout: Seconds, path "parameters/timeout/stopothers", default "1800", range 1..=9999, apply UploadOnly;
        /// File that takes the scripts' output.
        userlog: Text, path "parameters/userlog", default "", range 0..=1023, apply UploadOnly;
        /// Rotate that file and put the time before each line.
        rotate: Flag, path "parameters/logrotate/use", default "0", range 0..=1, apply UploadOnly;
        /// Size at which it is rotated, in bytes.
        rotate_size: Count, path "parameters/logrotate/size", default "1000000", range 1..=999999999, apply UploadOnly;
    }
}
