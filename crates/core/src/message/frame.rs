//! The heartbeat frame.

use minicbor::{Decode, Encode};

use crate::ids::{ServerId, ServerSet};

/// Age that stands for "never" in a frame, in microseconds.
pub const NEVER: u64 = u64::MAX;

/// Number of a view: the counter decides, the coordinator's number breaks ties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Encode, Decode)]
pub struct Epoch {
    /// Raised by every proposal.
    #[n(0)]
    pub counter: u64,
    /// The coordinator that proposed it.
    #[n(1)]
    pub server: ServerId,
}

/// What a server says about its own service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub enum Mode {
    /// Taking part.
    #[default]
    #[n(0)]
    Running,
    /// Stopping its groups on its way out; starts nothing.
    #[n(1)]
    Leaving,
    /// Farewell: all its groups are verified off and it starts nothing more in this incarnation.
    #[n(2)]
    Left,
}

/// "The newest frame of `server` that I saw", and the newest report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Ack {
    /// Whose frames.
    #[n(0)]
    pub server: ServerId,
    /// Which life of that server.
    #[n(1)]
    pub incarnation: u64,
    /// Newest sequence number; 0 when withheld by rule R4.
    #[n(2)]
    pub seq: u64,
    /// Newest report version held.
    #[n(3)]
    pub report: u64,
}

/// Whom a server hears, as told by itself (first hand or relayed).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct Row {
    /// Who tells.
    #[n(0)]
    pub server: ServerId,
    /// Which life.
    #[n(1)]
    pub incarnation: u64,
    /// Of which frame; relayed rows are compared by (incarnation, sequence), rule R8.
    #[n(2)]
    pub seq: u64,
    /// Servers heard on a LAN.
    #[n(3)]
    pub lan: ServerSet,
    /// Servers heard on any path.
    #[n(4)]
    pub any: ServerSet,
}

/// An acknowledgement carried for two servers that have no direct contact: `by` saw `of`'s frame `seq`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Carried {
    /// Who acknowledged.
    #[n(0)]
    pub by: ServerId,
    /// Whose frame.
    #[n(1)]
    pub of: ServerId,
    /// Which life of `of`.
    #[n(2)]
    pub incarnation: u64,
    /// Which frame.
    #[n(3)]
    pub seq: u64,
}

/// The heartbeat: sent to every server on every path, once an interval.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Frame {
    /// Life of the sending engine, raised at each start.
    #[n(0)]
    pub incarnation: u64,
    /// Digest of the kernel's boot id: a new one means that the server rebooted and owns nothing.
    #[n(1)]
    pub boot: u64,
    /// Sequence number within this life.
    #[n(2)]
    pub seq: u64,
    /// What the sender does.
    #[n(3)]
    pub mode: Mode,
    /// Highest epoch promised.
    #[n(4)]
    pub promised: Epoch,
    /// Epoch of the committed view.
    #[n(5)]
    pub view: Epoch,
    /// Age in microseconds of the last direct frame of each server, [`NEVER`] when none.
    #[n(6)]
    pub ages: Vec<u64>,
    /// Acknowledgements.
    #[n(7)]
    pub acks: Vec<Ack>,
    /// The sender's own row and the rows it relays.
    #[n(8)]
    pub rows: Vec<Row>,
    /// Acknowledgements carried for others.
    #[n(9)]
    pub carried: Vec<Carried>,
    /// Newest version of the sender's own report.
    #[n(10)]
    pub report: u64,
    /// Configuration generation in force.
    #[n(11)]
    pub generation: u64,
    /// By how much the sender multiplies its time-out towards each receiver that sees this (`patience.rs`); 0 and 1: not at all.
    #[n(12)]
    #[cbor(default)]
    pub ratio: u32,
    /// With [`Mode::Left`]: for whom the farewell counts. Others take the sender as one that falls silent.
    #[n(13)]
    #[cbor(default)]
    pub farewell_to: ServerSet,
}
