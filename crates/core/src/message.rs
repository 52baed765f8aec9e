//! What servers say to each other: the heartbeat frame and the messages of views, reports, orders and commands.
//!
//! All fields are numbered so that an older server skips what it does not know; a number is never reused. Every message
//! may be lost, doubled or late: each is answered by state in frames or repeated by its sender, and is harmless twice.

mod document;
mod frame;
mod order;
mod report;
mod request;

use minicbor::{Decode, Encode};

pub use document::{Document, Extension, Intent};
pub use frame::{Ack, Carried, Epoch, Frame, Mode, NEVER, Row};
pub use order::{Factor, Order, OrderKind, Origin};
pub use report::{FailedResource, GroupReport, MonitorReport, MonitorState, Phase, Report, ResourceState, WantedAway};
pub use request::{Answer, Command};

use crate::ids::{GroupId, ResourceId, ServerId};

/// A server with the life that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Member {
    /// Who.
    #[n(0)]
    pub server: ServerId,
    /// Which life.
    #[n(1)]
    pub incarnation: u64,
}

/// A message with the lives between which it goes. A recorded one that comes again, in a later life of either end or to
/// another server, is for nobody: whoever has no key can repeat what was said, so nothing said may outlive those who said it.
/// What may come again within both lives changes nothing; the reasons stand at [`Message`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Letter {
    /// Life of the sending engine.
    #[n(0)]
    pub incarnation: u64,
    /// The receiver and the life of it that the sender hears.
    #[n(1)]
    pub to: Member,
    /// What is said.
    #[n(2)]
    pub message: Message,
}

/// What is said to one server. Each may come again while both engines live ([`Letter`] ends what is older), late, and out of order:
///
/// - `Prepare`, `TooOld`: epochs only rise. A promise given once more is true at that moment, and its proposer takes it only
///   while it forms that view. A view is committed once.
/// - `Promise`: a proposer never gives a number twice in one life, and takes promises until its commit alone.
/// - `Commit`: only one above the committed view counts.
/// - `Report`, `Document`: an older version changes nothing (rule R8).
/// - `DocumentSeen`: only rises, and no higher than what the coordinator holds.
/// - `Order`: a serial is carried out once.
/// - `Command`: a number is carried out once ([`crate::command`]). `Answer`: nobody waits for the number any more.
/// - `RunElsewhere`: a number is run once (`elsewhere.rs`). `RanElsewhere`: nobody waits for the number any more.
/// - `Cause`: writes a line into the record once more, which decides nothing.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Message {
    /// First phase of a view.
    #[n(0)]
    Prepare {
        /// Number of the view.
        #[n(0)]
        epoch: Epoch,
        /// Who shall be in it.
        #[n(1)]
        members: Vec<Member>,
    },
    /// The receiver of a Prepare ignores older epochs from now on and tells its true state.
    #[n(1)]
    Promise {
        /// The epoch promised.
        #[n(0)]
        epoch: Epoch,
        /// True local state at this moment.
        #[n(1)]
        report: Report,
        /// The newest document held.
        #[n(2)]
        document: Document,
        /// Age in microseconds of the last sign of each server.
        #[n(3)]
        ages: Vec<u64>,
    },
    /// A Prepare was too old: this epoch has been promised.
    #[n(2)]
    TooOld {
        /// Highest epoch promised.
        #[n(0)]
        promised: Epoch,
    },
    /// Second phase of a view; repeated until the member's frames show it.
    #[n(3)]
    Commit {
        /// Number of the view.
        #[n(0)]
        epoch: Epoch,
        /// Who is in it.
        #[n(1)]
        members: Vec<Member>,
        /// The document.
        #[n(2)]
        document: Document,
    },
    /// True local state, sent on change and until acknowledged in frames.
    #[n(4)]
    Report(#[n(0)] Report),
    /// An order, repeated until the target's report names its serial.
    #[n(5)]
    Order(#[n(0)] Order),
    /// The document changed under the committed epoch.
    #[n(6)]
    Document {
        /// The coordinator's view.
        #[n(0)]
        epoch: Epoch,
        /// The document.
        #[n(1)]
        document: Document,
    },
    /// A command for the coordinator, repeated until answered. Field 0 was the life of the asking engine.
    #[n(7)]
    Command {
        /// Number of the command in the asking life, above those before it.
        #[n(1)]
        id: u64,
        /// What is asked.
        #[n(2)]
        command: Command,
    },
    /// The answer to a command.
    #[n(8)]
    Answer {
        /// Number of the command.
        #[n(0)]
        id: u64,
        /// The answer.
        #[n(1)]
        answer: Answer,
    },
    /// A link of a group's cause chain, for everybody's record; may be lost.
    #[n(9)]
    Cause {
        /// Which group.
        #[n(0)]
        group: GroupId,
        /// What happened.
        #[n(1)]
        text: String,
    },
    /// Which version of the document the sender holds, in answer to Document.
    #[n(10)]
    DocumentSeen {
        /// Its epoch.
        #[n(0)]
        epoch: Epoch,
        /// Its version.
        #[n(1)]
        version: u64,
    },
    /// A resource was activated at the sender, or is about to be deactivated there: run its script for other servers; repeated until
    /// answered.
    #[n(11)]
    RunElsewhere {
        /// Number of the question in the asking life.
        #[n(0)]
        id: u64,
        /// Of which resource.
        #[n(1)]
        resource: ResourceId,
        /// The start script, else the stop script.
        #[n(2)]
        start: bool,
    },
    /// That script ended.
    #[n(12)]
    RanElsewhere {
        /// Number of the question.
        #[n(0)]
        id: u64,
        /// None: well; else the code and what is wrong.
        #[n(1)]
        failed: Option<(i32, String)>,
    },
}
