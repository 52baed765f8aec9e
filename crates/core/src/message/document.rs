//! What cannot be observed: the wishes and counters that the coordinator keeps and every member holds.

use minicbor::{Decode, Encode};

use super::{Epoch, Member};
use crate::ids::{GroupId, MonitorId, ServerId, ServerSet};
use crate::plan::AfterStop;

/// What cannot be observed and so travels with the view: wishes and counters of one group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Intent {
    /// It should run somewhere.
    #[n(0)]
    pub run: bool,
    /// Where the operator or a failback wants it next.
    #[n(1)]
    pub target: Option<ServerId>,
    /// Servers on which it failed and is not tried again for now.
    #[n(2)]
    pub excluded: ServerSet,
    /// Failovers counted for failed activations, by position of the resource in the group.
    #[n(3)]
    pub activation_failovers: Vec<u32>,
    /// The next start follows a failure (scripts see FAILOVER).
    #[n(4)]
    pub after_failure: bool,
    /// Last decision, in words.
    #[n(5)]
    pub why: String,
    /// Server on which it was last seen active.
    #[n(6)]
    pub last: Option<ServerId>,
    /// An operator stopped it: groups that it waits for before a stop are waited for. No other stop waits.
    #[n(7)]
    #[cbor(default)]
    pub stop_waits: bool,
    /// Which life of the server on which it was last seen active.
    #[n(9)]
    #[cbor(default)]
    pub last_life: u64,
    /// The target is a failback's, not an operator's.
    #[n(8)]
    #[cbor(default)]
    pub failback: bool,
}

/// The small versioned document that the coordinator keeps and every member holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Document {
    /// Epoch under which it was last changed.
    #[n(0)]
    pub epoch: Epoch,
    /// Raised by every change inside the epoch.
    #[n(1)]
    pub version: u64,
    /// The start of the cluster is over (server sync wait passed, groups were started).
    #[n(2)]
    pub started: bool,
    /// Monitoring and takeover are suspended by the operator: whoever knows it starts nothing.
    #[n(3)]
    pub suspended: bool,
    /// Every server is stopping.
    #[n(4)]
    pub stopping: Option<AfterStop>,
    /// All groups in the plan's order.
    #[n(5)]
    pub groups: Vec<Intent>,
    /// Failovers counted for each monitor.
    #[n(6)]
    pub monitor_failovers: Vec<u32>,
    /// Wishes of monitors already served: the last serial by server, group and monitor.
    #[n(7)]
    pub served: Vec<(ServerId, GroupId, MonitorId, u64)>,
    /// Servers that may not know that a suspension is over: they do not give up their groups, so their silence says nothing
    /// until they are members that know it, or say farewell.
    #[n(8)]
    #[cbor(default)]
    pub unsure: ServerSet,
    /// Every configured server knows that the cluster is suspended, and none starts anything: only then does nobody give up
    /// what it holds, whatever contact it loses.
    #[n(9)]
    #[cbor(default)]
    pub all_know: bool,
    /// Servers that were not there when the cluster was suspended, and have not been since: they do not know of it, so that
    /// `all_know` was never true.
    #[n(10)]
    #[cbor(default)]
    pub unaware: ServerSet,
    /// Time-outs are multiplied for a time.
    #[n(11)]
    #[cbor(default)]
    pub extension: Option<Extension>,
    /// Lives that ended for certain: the power of their servers was read back off, and they have not been heard since.
    #[n(12)]
    #[cbor(default)]
    pub dead: Vec<Member>,
}

/// The temporary time-out ratio.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Extension {
    /// By which time-outs are multiplied, above 1.
    #[n(0)]
    pub ratio: u32,
    /// How long it still lasts when the document is sent, in microseconds. Each server counts down by its own clock.
    #[n(1)]
    pub left: u64,
}

impl Document {
    /// Is this one newer than the other? What a running cluster knows is never replaced by the blank one of a server that
    /// just started, whatever number its first view had.
    pub fn is_newer_than(&self, other: &Document) -> bool {
        (self.started, self.epoch, self.version) > (other.started, other.epoch, other.version)
    }
}
