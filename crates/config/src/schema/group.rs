//! Failover groups (clp-conf.md sections 8 and 17).

use crate::section;
use crate::value::{Code, Count, Flag, Seconds, Text};

section! {
    /// Parameters of a group besides its lists.
    pub struct GroupCommon {
        /// failover, cluster (management group) or virtualmachine.
        kind: Text, path "type", default "failover", range 0..=31, apply StopGroup;
        /// Comment.
        comment: Text, path "comment", default "", range 0..=255, apply UploadOnly;
        /// Number of the group.
        gid: Count, path "gid", default "0", range 0..=9999, apply StopCluster;
        /// Startup attribute: 1 automatic, 0 manual.
        start_auto: Flag, path "start", default "1", range 0..=1, apply UploadOnly;
        /// Failover attribute: 1 automatic, 0 manual.
        failover_auto: Flag, path "failover", default "1", range 0..=1, apply UploadOnly;
        /// Failback attribute: 1 automatic, 0 manual.
        failback_auto: Flag, path "failback", default "0", range 0..=1, apply UploadOnly;
        /// Failover exclusion: 0 none, 1 normal, 2 full.
        exclusive: Code, path "exclusive", default "0", range 0..=2, apply StopGroup;
        /// How long a start waits for other groups (depend/act/depend@GROUP); then it is given up.
        start_wait: Seconds, path "depend/act/timeout", default "1800", range 0..=9999, apply UploadOnly;
        /// How long a stop waits for other groups (depend/deact/depend@GROUP); then it goes on.
        stop_wait: Seconds, path "depend/deact/timeout", default "1800", range 0..=9999, apply UploadOnly;
        /// 1: it waits for them when the cluster stops.
        stop_wait_cluster: Flag, path "depend/deact/cluster/use", default "1", range 0..=1, apply UploadOnly;
        /// 1: it waits for those on the same server when that server stops.
        stop_wait_server: Flag, path "depend/deact/server/use", default "0", range 0..=1, apply UploadOnly;
        /// 1: it waits for them when an operator stops it.
        stop_wait_group: Flag, path "depend/deact/other/use", default "0", range 0..=1, apply UploadOnly;
        /// Least proof of death before a takeover: none, timed, arbiter, reserved, stopped.
        minproof: Text, path "mainstay/minproof", default "", range 0..=15, apply StopGroup;
        /// What a sign of life does to a takeover: refuse or proceed.
        lifesign: Text, path "mainstay/lifesign", default "", range 0..=15, apply UploadOnly;
    }
}
