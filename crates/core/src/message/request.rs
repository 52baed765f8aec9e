//! What an operator asks of the cluster, and what he is told.

use minicbor::{Decode, Encode};

use crate::ids::{GroupId, MonitorId, ServerId};
use crate::plan::AfterStop;

/// What an operator asks.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Command {
    /// Start groups on a server.
    #[n(0)]
    GroupStart {
        /// None: every group.
        #[n(0)]
        group: Option<GroupId>,
        /// None: by failover policy.
        #[n(1)]
        server: Option<ServerId>,
    },
    /// Stop groups.
    #[n(1)]
    GroupStop {
        /// None: every group on `server`.
        #[n(0)]
        group: Option<GroupId>,
        /// Only there.
        #[n(1)]
        server: Option<ServerId>,
    },
    /// Move groups.
    #[n(2)]
    GroupMove {
        /// None: every group on `from`.
        #[n(0)]
        group: Option<GroupId>,
        /// Only from there.
        #[n(1)]
        from: Option<ServerId>,
        /// None: the next of the policy.
        #[n(2)]
        to: Option<ServerId>,
    },
    /// Stop every server.
    #[n(3)]
    StopAll {
        /// What follows on each.
        #[n(0)]
        then: AfterStop,
    },
    /// Suspend or resume the cluster.
    #[n(4)]
    Suspend {
        /// True to suspend.
        #[n(0)]
        on: bool,
    },
    /// Forget the failovers that were counted for monitors.
    #[n(5)]
    ClearCounts {
        /// None: for all.
        #[n(0)]
        monitor: Option<MonitorId>,
    },
    /// Multiply time-outs for a time.
    #[n(6)]
    TimeoutRatio {
        /// By this; 1 ends it.
        #[n(0)]
        ratio: u32,
        /// For so long, in microseconds.
        #[n(1)]
        span: u64,
    },
    /// A server that may not know that a suspension is over is switched off: an operator says so, and its groups are not waited
    /// for any more.
    #[n(7)]
    DeclareOff {
        /// Which.
        #[n(0)]
        server: ServerId,
    },
}

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Answer {
    /// The effect is true.
    #[n(0)]
    Done {
        /// A sentence an object.
        #[n(0)]
        details: Vec<String>,
    },
    /// Not done, or not all of it.
    #[n(1)]
    Refused {
        /// What and why.
        #[n(0)]
        reason: String,
        /// What helps.
        #[n(1)]
        remedy: String,
    },
}
