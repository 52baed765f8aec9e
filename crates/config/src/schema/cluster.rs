//! The cluster as a whole (clp-conf.md sections 4, 5, 13 and 17).

use crate::section;
use crate::value::{Code, Count, Flag, Millis, Minutes, Percent, Port, Text};

section! {
    /// Parameters below the root that hold for the whole cluster.
    pub struct Cluster {
        /// Name of the cluster.
        name: Text, path "cluster/name", default "", range 0..=31, apply StopCluster;
        /// Comment.
        comment: Text, path "cluster/comment", default "", range 0..=255, apply UploadOnly;
        /// Silence after which a server is taken as gone.
        heartbeat_timeout: Millis, path "cluster/heartbeat/timeout", default "90000", range 50..=9999000, apply SuspendCluster;
        /// Time between two heartbeats.
        heartbeat_interval: Millis, path "cluster/heartbeat/interval", default "3000", range 10..=99000, apply SuspendCluster;
        /// Server sync wait time: how long starting servers wait for each other.
        sync_wait_minutes: Minutes, path "cluster/bootwait", default "5", range 0..=99, apply UploadOnly;
        /// Server sync wait time in milliseconds; wins over cluster/bootwait.
        sync_wait_millis: Text, path "mainstay/bootwait", default "", range 0..=7, apply UploadOnly;
        /// Takeover delay in milliseconds, taken as it is; derived from the safety rule when empty, longer where a lost server has no address gate.
        takeover_delay: Text, path "mainstay/takeoverdelay", default "", range 0..=6, apply SuspendCluster;
        /// Self-fence bound in milliseconds; derived from the watchdog when empty.
        self_fence: Text, path "mainstay/selffence", default "", range 0..=6, apply SuspendCluster;
        /// Detection profile that was chosen: fast, standard, guide or custom.
        profile: Text, path "mainstay/profile", default "guide", range 0..=15, apply UploadOnly;
        /// What a server does when its side may not go on after a network partition (clp-conf.md 13.3).
        np_action: Code, path "cluster/networkpartition/npaction", default "2", range 0..=11, apply SuspendCluster;
        /// Go on without network partition resolution although groups have shared disks: every cut of all paths lets all sides run.
        no_resolution: Flag, path "mainstay/networkpartition/none", default "0", range 0..=1, apply SuspendCluster;
        /// What follows when an activation or deactivation exceeds its time (clp-conf.md 13.2).
        rsc_timeout_action: Code, path "cluster/rsctimeout/rsctoaction", default "2", range 0..=15, apply UploadOnly;
        /// What follows when a process of the cluster service dies (clp-conf.md 13.1).
        pm_action: Code, path "pm/exec0/recover", default "2", range 0..=12, apply UploadOnly;
        /// No final action on activation errors while no other server runs.
        survive_activation: Flag, path "cluster/survive/rscact", default "0", range 0..=1, apply UploadOnly;
        /// No final action on deactivation errors while no other server runs.
        survive_deactivation: Flag, path "cluster/survive/rscdeact", default "0", range 0..=1, apply UploadOnly;
        /// No final action on monitor errors while no other server runs.
        survive_monitor: Flag, path "cluster/survive/monitor", default "0", range 0..=1, apply UploadOnly;
        /// Nothing follows an activation failure: no retry, failover or final action.
        no_recovery_activation: Flag, path "rc/errordetect/rscact/norecovery", default "0", range 0..=1, apply UploadOnly;
        /// Nothing follows a deactivation failure: no retry or final action.
        no_recovery_deactivation: Flag, path "rc/errordetect/rscdeact/norecovery", default "0", range 0..=1, apply UploadOnly;
        /// Nothing follows an error that a monitor finds.
        no_recovery_monitor: Flag, path "rm/errordetect/norecovery", default "0", range 0..=1, apply UploadOnly;
        /// Final actions that end a server before they are withheld there; 0: no limit.
        reboot_max: Count, path "mainstay/reboot/max", default "3", range 0..=99, apply UploadOnly;
        /// Part of a monitor's time-out after which a check that ends is reported as slow; 0 reports each, 100 none.
        monitor_delay_warning: Percent, path "mainstay/delaywarn/monitor", default "80", range 0..=100, apply UploadOnly;
        /// Alert records kept on a server.
        alert_records: Count, path "webalert/main/alertlog/maxrecordcount", default "10000", range 1..=99999, apply UploadOnly;
        /// Minutes of normal running after which those are forgotten; 0: never.
        reboot_reset: Minutes, path "mainstay/reboot/reset_min", default "60", range 0..=999, apply UploadOnly;
    }
}

section! {
    /// Port numbers (guide chapter 1).
    pub struct Ports {
        /// TCP, internal communication.
        control: Port, path "mainstay/port/control", default "29001", range 1..=65535, apply StopCluster;
        /// TCP, data transfer.
        transfer: Port, path "mainstay/port/transfer", default "29002", range 1..=65535, apply StopCluster;
        /// UDP, heartbeat.
        heartbeat: Port, path "mainstay/port/heartbeat", default "29002", range 1..=65535, apply StopCluster;
        /// UDP, kernel-mode heartbeat.
        kernel_heartbeat: Port, path "mainstay/port/kernelheartbeat", default "29006", range 1..=65535, apply StopCluster;
        /// UDP, alert synchronisation.
        alert: Port, path "mainstay/port/alert", default "29003", range 1..=65535, apply StopCluster;
        /// TCP, WebManager.
        web: Port, path "mainstay/port/web", default "29003", range 1..=65535, apply RestartManager;
    }
}
