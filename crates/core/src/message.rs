//! What servers say to each other: the heartbeat frame and the messages of views, reports, orders and commands.
//!
//! All fields are numbered so that an older server skips what it does not know; a number is never reused. Every message
//! may be lost, doubled or late: each is answered by state in frames or repeated by its sender, and is harmless twice.

use minicbor::{Decode, Encode};

use crate::ids::{GroupId, MonitorId, ServerId, ServerSet};
use crate::plan::AfterStop;

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
}

/// State of a group on one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub enum Phase {
    /// Verified off.
    #[default]
    #[n(0)]
    Off,
    /// Left over from an earlier life of the engine and not yet verified off (rule R5).
    #[n(1)]
    Possible,
    /// Resources are being activated.
    #[n(2)]
    Starting,
    /// All resources are active.
    #[n(3)]
    On,
    /// Resources are being deactivated.
    #[n(4)]
    Stopping,
    /// An activation failed.
    #[n(5)]
    OnlineFailure,
    /// A deactivation failed: something may still act.
    #[n(6)]
    OfflineFailure,
}

impl Phase {
    /// May anything of the group still act here?
    pub fn is_held(self) -> bool {
        self != Phase::Off
    }
}

/// State of a resource on one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub enum ResourceState {
    /// Verified inactive.
    #[default]
    #[n(0)]
    Off,
    /// Not verified since this engine started.
    #[n(1)]
    Unverified,
    /// Being activated.
    #[n(2)]
    Activating,
    /// Active.
    #[n(3)]
    On,
    /// Being deactivated.
    #[n(4)]
    Deactivating,
    /// Activation failed; what it did was undone as far as possible.
    #[n(5)]
    ActivateFailed,
    /// Deactivation failed.
    #[n(6)]
    DeactivateFailed,
}

/// State of a monitor on one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub enum MonitorState {
    /// Not running here.
    #[default]
    #[n(0)]
    Off,
    /// Running, last check good (or none finished yet).
    #[n(1)]
    Normal,
    /// Error found.
    #[n(2)]
    Failed,
    /// Suspended.
    #[n(3)]
    Suspended,
}

/// One group in a report.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct GroupReport {
    /// State as a whole.
    #[n(0)]
    pub phase: Phase,
    /// State of each resource in the plan's order.
    #[n(1)]
    pub resources: Vec<ResourceState>,
    /// Serial of the last order accepted or refused.
    #[n(2)]
    pub order: u64,
    /// Why that order was refused.
    #[n(3)]
    pub refused: Option<String>,
    /// Position in the group of the resource whose activation failed, with the reason.
    #[n(4)]
    pub failed: Option<FailedResource>,
    /// A monitor asks for the group to be failed over.
    #[n(5)]
    pub wanted_away: Option<WantedAway>,
    /// The final action of the failed resource was carried out.
    #[n(6)]
    pub final_done: bool,
    /// A final action stopped the group: it shall not run anywhere until an operator starts it.
    #[n(7)]
    pub given_up: bool,
}

/// The resource that stopped an activation.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct FailedResource {
    /// Position in the group's list.
    #[n(0)]
    pub position: u16,
    /// What the driver said.
    #[n(1)]
    pub reason: String,
}

/// A monitor's wish to have the group elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct WantedAway {
    /// The monitor.
    #[n(0)]
    pub monitor: MonitorId,
    /// Raised by each wish, so that one wish counts once.
    #[n(1)]
    pub serial: u64,
    /// What the monitor found.
    #[n(2)]
    pub reason: String,
}

/// One monitor in a report.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct MonitorReport {
    /// State here.
    #[n(0)]
    pub state: MonitorState,
    /// What it found last, empty when normal.
    #[n(1)]
    pub reason: String,
}

/// The true local state of one server; a higher version replaces a lower one of the same life.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Report {
    /// Life of the reporting engine.
    #[n(0)]
    pub incarnation: u64,
    /// Raised by every change.
    #[n(1)]
    pub version: u64,
    /// All groups in the plan's order.
    #[n(2)]
    pub groups: Vec<GroupReport>,
    /// All monitors in the plan's order.
    #[n(3)]
    pub monitors: Vec<MonitorReport>,
    /// Whether the targets of each configured partition resolution answered its last look; None: not used or not looked at yet.
    /// For showing only: no right comes from another server's measurement.
    #[n(4)]
    pub resolutions: Vec<Option<bool>>,
}

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
}

impl Document {
    /// Is this one newer than the other? What a running cluster knows is never replaced by the blank one of a server that
    /// just started, whatever number its first view had.
    pub fn is_newer_than(&self, other: &Document) -> bool {
        (self.started, self.epoch, self.version) > (other.started, other.epoch, other.version)
    }
}

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
}
