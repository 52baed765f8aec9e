//! What the coordinator orders one server to do with one group.

use minicbor::{Decode, Encode};

use super::Epoch;
use crate::ids::{GroupId, ServerSet};

/// Why scripts are run: what stop.sh sees as CLP_FACTOR (environment.md section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Factor {
    /// The operator stopped the group.
    #[n(0)]
    GroupStop,
    /// The operator moved the group, or it fails back.
    #[n(1)]
    GroupMove,
    /// A failure moves the group.
    #[n(2)]
    GroupFailover,
    /// A resource is reactivated.
    #[n(3)]
    ResourceRestart,
    /// The whole cluster stops.
    #[n(4)]
    ClusterShutdown,
    /// This server stops.
    #[n(5)]
    ServerShutdown,
    /// The whole group is reactivated.
    #[n(6)]
    GroupRestart,
}

/// What brings a group to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub enum Origin {
    /// An operator or the start of the cluster: nobody is known to have had it before.
    #[default]
    #[n(0)]
    Fresh,
    /// Another server had it and reports it off.
    #[n(1)]
    Moved,
    /// A failure; scripts see FAILOVER.
    #[n(2)]
    Failure,
}

/// What a coordinator orders.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum OrderKind {
    /// Activate the group.
    #[n(0)]
    Start {
        /// What brought it here.
        #[n(0)]
        origin: Origin,
        /// Servers that were silent when this was decided; the target must not hear them either.
        #[n(1)]
        absent: ServerSet,
    },
    /// Deactivate the group.
    #[n(1)]
    Stop {
        /// Why.
        #[n(0)]
        factor: Factor,
    },
    /// The ladder is at its end: carry out the final action of the failed resource at this position.
    #[n(2)]
    Final {
        /// Position in the group.
        #[n(0)]
        position: u16,
    },
}

/// An order for one group at one server.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Order {
    /// The view under which it is given.
    #[n(0)]
    pub epoch: Epoch,
    /// Life of the target.
    #[n(1)]
    pub incarnation: u64,
    /// Unique and rising under one coordinator's life.
    #[n(2)]
    pub serial: u64,
    /// Which group.
    #[n(3)]
    pub group: GroupId,
    /// What.
    #[n(4)]
    pub kind: OrderKind,
    /// The reason in words.
    #[n(5)]
    pub why: String,
}
