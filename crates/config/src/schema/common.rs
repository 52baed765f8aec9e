//! What all resources and all monitors have (clp-conf.md sections 9 and 11).

use crate::section;
use crate::value::{Code, Count, Flag, Seconds, Text};

section! {
    /// Parameters of every group resource.
    pub struct ResourceCommon {
        /// Comment.
        comment: Text, path "comment", default "", range 0..=255, apply UploadOnly;
        /// Further tries after a failed activation.
        act_retry: Count, path "act/retry", default "0", range 0..=99, apply UploadOnly;
        /// Failovers after a failed activation before the final action.
        act_failover: Count, path "act/fo", default "1", range 0..=99, apply UploadOnly;
        /// Final action of a failed activation (clp-conf.md 13.4).
        act_action: Code, path "act/action", default "1", range 0..=15, apply UploadOnly;
        /// Seconds after which an activation counts as stalled; empty: script time and 180 s.
        act_timeout: Text, path "act/timeout", default "", range 0..=5, apply UploadOnly;
        /// 1: a script runs before the final action of a failed activation.
        act_script: Flag, path "act/preaction/use", default "0", range 0..=1, apply UploadOnly;
        /// 1 the script beside the configuration, 0 an application of the user (absolute path).
        act_script_product: Flag, path "act/preaction/default", default "1", range 0..=1, apply UploadOnly;
        /// That script; a bare name lies in scripts/GROUP/RESOURCE/.
        act_script_path: Text, path "act/preaction/path", default "preaction.sh", range 0..=1023, apply UploadOnly;
        /// Time it may take; then it is killed and the final action follows.
        act_script_timeout: Seconds, path "act/preaction/timeout", default "5", range 1..=9999, apply UploadOnly;
        /// Further tries after a failed deactivation.
        deact_retry: Count, path "deact/retry", default "0", range 0..=99, apply UploadOnly;
        /// Final action of a failed deactivation (clp-conf.md 13.4).
        deact_action: Code, path "deact/action", default "4", range 0..=15, apply UploadOnly;
        /// Seconds after which a deactivation counts as stalled; empty: script time and 180 s.
        deact_timeout: Text, path "deact/timeout", default "", range 0..=5, apply UploadOnly;
        /// 1: a script runs before the final action of a failed deactivation.
        deact_script: Flag, path "deact/preaction/use", default "0", range 0..=1, apply UploadOnly;
        /// 1 the script beside the configuration, 0 an application of the user (absolute path).
        deact_script_product: Flag, path "deact/preaction/default", default "1", range 0..=1, apply UploadOnly;
        /// That script; a bare name lies in scripts/GROUP/RESOURCE/.
        deact_script_path: Text, path "deact/preaction/path", default "preaction.sh", range 0..=1023, apply UploadOnly;
        /// Time it may take; then it is killed and the final action follows.
        deact_script_timeout: Seconds, path "deact/preaction/timeout", default "5", range 1..=9999, apply UploadOnly;
    }
}

section! {
    /// Parameters of every monitor resource.
    pub struct MonitorCommon {
        /// Comment.
        comment: Text, path "comment", default "", range 0..=255, apply UploadOnly;
        /// Resource whose activation switches the monitor on.
        target: Text, path "target", default "", range 0..=31, apply SuspendMonitor;
        /// Time between two checks.
        interval: Seconds, path "polling/interval", default "30", range 1..=999, apply SuspendMonitor;
        /// Time one check may take before it counts as failed.
        timeout: Seconds, path "polling/timeout", default "60", range 1..=9999, apply SuspendMonitor;
        /// Failures in a row, beyond the first, before recovery begins.
        retry: Count, path "polling/reconfirmation", default "0", range 0..=999, apply SuspendMonitor;
        /// 1: an error at once when a check exceeds its time, no retry; empty: 1 in files of version 4 or later, else 0.
        timeout_once: Text, path "emergency/timeout/notreconfirmation/use", default "", range 0..=1, apply SuspendMonitor;
        /// 1: no recovery when a check exceeds its time; empty: 1 in files of version 4 or later, else 0.
        timeout_no_recovery: Text, path "emergency/timeout/notrecovery/use", default "", range 0..=1, apply SuspendMonitor;
        /// Record what the probes waited for when a check exceeds its time (log/timeout.MONITOR.log).
        timeout_evidence: Flag, path "emergency/dumpcollect/use", default "0", range 0..=1, apply SuspendMonitor;
        /// 0 always, 1 while the target is active.
        timing: Code, path "polling/timing", default "0", range 0..=1, apply SuspendMonitor;
        /// Wait after the start before the first check.
        start_wait: Seconds, path "firstmonwait", default "0", range 0..=9999, apply SuspendMonitor;
        /// Kind of the recovery target: cls, grp or rsc.
        recovery_type: Text, path "relation/type", default "cls", range 0..=15, apply SuspendMonitor;
        /// Name of the recovery target.
        recovery_name: Text, path "relation/name", default "LocalServer", range 0..=31, apply SuspendMonitor;
        /// Reactivations before a failover; empty: 3, with LocalServer 0.
        restart_threshold: Text, path "emergency/threshold/restart", default "", range 0..=2, apply SuspendMonitor;
        /// Failovers before the final action; empty: 1, with LocalServer 0.
        failover_threshold: Text, path "emergency/threshold/fo", default "", range 0..=2, apply SuspendMonitor;
        /// Final action (clp-conf.md 13.5).
        action: Code, path "emergency/action", default "1", range 1..=16, apply SuspendMonitor;
        /// Run a script before the final action.
        preaction: Flag, path "emergency/preaction/use", default "0", range 0..=1, apply SuspendMonitor;
        /// Run it before a reactivation.
        preaction_restart: Flag, path "emergency/preaction/userestart", default "0", range 0..=1, apply SuspendMonitor;
        /// Run it before a failover.
        preaction_failover: Flag, path "emergency/preaction/usefailover", default "0", range 0..=1, apply SuspendMonitor;
        /// 1 the script beside the configuration, 0 an application of the user (absolute path).
        preaction_product: Flag, path "emergency/preaction/default", default "1", range 0..=1, apply SuspendMonitor;
        /// That script; a bare name lies in scripts/monitor.s/MONITOR/.
        preaction_path: Text, path "emergency/preaction/path", default "preaction.sh", range 0..=1023, apply SuspendMonitor;
        /// Time it may take; then it is killed and the recovery goes on.
        preaction_timeout: Seconds, path "emergency/preaction/timeout", default "5", range 1..=9999, apply SuspendMonitor;
    }
}
