//! Everything the core can ask of the world.

use std::time::Duration;

use crate::arbiter::Ask;
use crate::ids::{GroupId, MonitorId, ResourceId, ServerId, ServerSet};
use crate::message::{Answer, Factor, Frame, Letter, Origin};
use crate::plan::{AfterStop, FinalAction};
use crate::proof::Proof;
use crate::recovery::{MonitorOrder, Step};
use crate::relocating::Relocation;
use crate::restarting::Restarted;

/// Something to be done.
#[derive(Debug, Clone)]
pub enum Action {
    /// Send the heartbeat to every server on every path.
    Beat(Frame),
    /// Send a message to one server on its best LAN path.
    Send(Letter),
    /// Ask the partition resolutions, one question after the other; answer with [`crate::event::Event::Verdict`].
    AskPartition {
        /// The question, as arbiters need it.
        ask: Ask,
    },
    /// Switch this server off and read back that it is; answer with [`crate::event::Event::ForcedStop`].
    ForceStop {
        /// Which.
        server: ServerId,
    },
    /// Look by other means than heartbeats whether this server lives: does its kernel answer for its own addresses? Answer with
    /// [`crate::event::Event::Searched`] within an interval.
    Search {
        /// Which.
        server: ServerId,
    },
    /// Act on a resource; answer with [`crate::event::Event::ResourceDone`].
    Resource {
        /// Number of the operation.
        op: u64,
        /// Which resource.
        resource: ResourceId,
        /// What to do.
        work: Work,
    },
    /// At once: remove all addresses, then end processes, shut file systems, make devices read-only; answer with
    /// [`crate::event::Event::EmergencyDone`].
    Emergency {
        /// Why.
        reason: String,
    },
    /// Start or stop the checks of a monitor here.
    Monitor {
        /// Which.
        monitor: MonitorId,
        /// Run it.
        run: bool,
    },
    /// Keep for the next start of this server, before anything that follows is done: the cluster is suspended, or no longer.
    /// The next life gets it as [`crate::cluster::Identity::suspended`].
    Remember {
        /// Is it suspended?
        suspended: bool,
    },
    /// Write the time-out ratio for the next start of this server, without waiting for it; answer with
    /// [`crate::event::Event::RatioKept`]. The next life gets it as [`crate::cluster::Identity::ratio`].
    KeepRatio {
        /// The greatest that others may rely upon.
        ratio: u32,
    },
    /// Monitors' time-outs on this server are multiplied by this from now on; 1: no longer.
    TimeoutRatio {
        /// By how much.
        ratio: u32,
    },
    /// Run the script before a step of a monitor's recovery; answer with [`crate::event::Event::MonitorScriptDone`].
    MonitorScript {
        /// Which monitor.
        monitor: MonitorId,
        /// Number of the script.
        script: u64,
        /// The step that waits for it.
        before: Step,
        /// How often such a step was taken, this one included.
        count: u32,
    },
    /// Run the script before a resource's final action; answer with [`crate::event::Event::FinalScriptDone`].
    FinalScript {
        /// Which resource.
        resource: ResourceId,
        /// Number of the script.
        script: u64,
        /// Its activation failed; else its deactivation.
        activation: bool,
    },
    /// Keep for the next start of this server, before anything that follows is done: how many final actions have ended it.
    /// The next life gets it as [`crate::cluster::Identity::reboots`].
    RememberReboots {
        /// So many.
        count: u32,
    },
    /// Keep for the next start of this server, before anything that follows is done: who runs while it says farewell. The next
    /// life gets it as [`crate::cluster::Identity::ran`].
    RememberRan {
        /// Which servers.
        servers: ServerSet,
    },
    /// End this server at once; nothing is stopped before. Nothing follows in this life: when the means does not work, the
    /// shell treats that as the death of the engine.
    EndServer {
        /// How; [`AfterStop::is_abrupt`].
        how: AfterStop,
        /// For what.
        blame: Blame,
    },
    /// Run the script of a resource that is active on another server, or is about to stop there; answer with
    /// [`crate::event::Event::RanElsewhere`].
    RunElsewhere {
        /// Number of the run.
        run: u64,
        /// Of which resource.
        resource: ResourceId,
        /// The start script, else the stop script.
        start: bool,
    },
    /// Tell the operators.
    Alert(Alert),
    /// A link of a group's cause chain was recorded.
    Cause {
        /// Which group.
        group: GroupId,
        /// Text.
        text: String,
    },
    /// The answer to an operator's command.
    Answer {
        /// Number of the command.
        id: u64,
        /// The answer.
        answer: Answer,
    },
    /// The engine has nothing more to do: end the service, then this.
    Exit {
        /// What follows.
        then: AfterStop,
        /// False when something may still be active: the parent must not treat it as a clean end.
        clean: bool,
    },
}

/// Work on a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Make sure that nothing of an earlier life is left; make devices read-only.
    Verify,
    /// Activate.
    Activate {
        /// What brought the group here; after a failure scripts see FAILOVER in place of START.
        origin: Origin,
    },
    /// Deactivate.
    Deactivate {
        /// Why.
        factor: Factor,
    },
    /// The deactivation failed: detach so that nothing more can be written or answered, and verify that.
    Detach,
}

/// What a final action is carried out for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The activation of a resource failed.
    Activation(ResourceId),
    /// The deactivation of a resource failed.
    Deactivation(ResourceId),
    /// A monitor found an error.
    Monitor(MonitorId),
}

/// Why a final action, or a whole recovery, is not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restraint {
    /// Recovery from such failures is switched off.
    Disabled,
    /// No other server runs.
    Alone,
    /// Final actions have ended this server as often as is allowed.
    Reboots(u32),
}

/// How a wait for another group ended, or that it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// It begins.
    Begins,
    /// The other group is as it was waited for.
    Over,
    /// The time is up.
    Expired,
    /// The other group failed and will not get there by itself.
    Failed,
}

/// How the wait of a server that starts ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncWaitEnd {
    /// Every server is there.
    AllArrived,
    /// The time is over; these are silent.
    Expired(ServerSet),
    /// The time is over, and no LAN reaches these, which live.
    Unreached(ServerSet),
    /// The cluster runs already or was started by hand, or the service stops.
    Cancelled(String),
}

/// A fact for operators; the shell turns it into a catalogue entry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant's fields are the names in its sentence")]
pub enum Alert {
    /// A server joined.
    ServerUp { server: ServerId },
    /// A server is gone: silent, or with a farewell.
    ServerDown { server: ServerId, reason: String },
    /// A heartbeat path to a server is silent.
    PathDown { server: ServerId, path: usize },
    /// It is heard again.
    PathUp { server: ServerId, path: usize },
    /// This server lost its right to act; `answered` when the partition resolution said No, else it said nothing in time.
    RightLost { reason: String, answered: bool },
    /// A group started to be activated here.
    GroupStarting { group: GroupId },
    /// A group is online here.
    GroupOnline { group: GroupId },
    /// A group is being deactivated here.
    GroupStopping { group: GroupId },
    /// A group is off here.
    GroupOffline { group: GroupId },
    /// A group could not be activated here.
    GroupFailed { group: GroupId, reason: String },
    /// A group could not be deactivated here.
    GroupStopFailed { group: GroupId, reason: String },
    /// The coordinator lets a group go to another server.
    RelocationBegins { group: GroupId, kind: Relocation, to: ServerId, reason: String },
    /// It is online there.
    RelocationEnded { group: GroupId, kind: Relocation, on: ServerId },
    /// It did not come there.
    RelocationFailed { group: GroupId, kind: Relocation, reason: String },
    /// A group that should run must wait; `nowhere` when no server can take it.
    GroupStranded { group: GroupId, reason: String, nowhere: bool },
    /// A lost server is to be switched off before its groups are taken over.
    StopForced { server: ServerId },
    /// It was: its power was read back off.
    StopProven { server: ServerId, how: String },
    /// It could not be.
    StopUnproven { server: ServerId, reason: String },
    /// If a server were lost now, the best proof of its death would be weaker than the group accepts.
    ProofShort { group: GroupId, best: Proof, least: Proof },
    /// It would do again.
    ProofEnough { group: GroupId },
    /// A group was found active on two servers.
    DoubleOwner { group: GroupId, first: ServerId, second: ServerId },
    /// An activation failed; `again` when it is tried once more here.
    ActivateFailed { resource: ResourceId, code: i32, reason: String, again: bool },
    /// A deactivation failed; `again` when it is tried once more, at the end by detaching.
    DeactivateFailed { resource: ResourceId, code: i32, reason: String, again: bool },
    /// Another server was asked to run the start script, else the stop script, of a resource of this one.
    ElsewhereAsked { resource: ResourceId, server: ServerId, start: bool },
    /// It ran well.
    ElsewhereDone { resource: ResourceId, server: ServerId, start: bool },
    /// It failed, or nothing was heard of it.
    ElsewhereFailed { resource: ResourceId, server: ServerId, start: bool, code: i32, reason: String },
    /// A monitor found an error.
    MonitorError { monitor: MonitorId, reason: String },
    /// A monitor is normal again.
    MonitorNormal { monitor: MonitorId },
    /// A monitor's check did not end in time, and no recovery is wanted then.
    RecoveryWithheld { monitor: MonitorId },
    /// A step of the recovery ladder.
    Recovery { monitor: MonitorId, rung: Step, step: String },
    /// A monitor's recovery deactivates something here and activates it again.
    RestartBegins { what: Restarted },
    /// It is active again.
    RestartEnded { what: Restarted },
    /// It is not.
    RestartFailed { what: Restarted, reason: String },
    /// An operator's order for one monitor of this server, or for all of them.
    MonitorOrdered { monitor: Option<MonitorId>, order: MonitorOrder },
    /// It cannot be carried out.
    MonitorOrderRefused { monitor: MonitorId, order: MonitorOrder, reason: String },
    /// What became of an operator's order for one resource of a group that is active here.
    SingleResource { resource: ResourceId, step: SingleStep },
    /// An operator states that a server is switched off.
    DeclaredOff { server: ServerId },
    /// Time-outs are multiplied for a time, and this server knows of it; with 1 that is over.
    TimeoutRatio { ratio: u32, span: Duration },
    /// This server waits for the others before any group is started, at most this long.
    SyncWaitBegins { limit: Duration },
    /// It waits no longer.
    SyncWaitOver { how: SyncWaitEnd },
    /// A server is alive, but no LAN has reached it for longer than the time-out.
    Unreachable { server: ServerId },
    /// A LAN reaches it again.
    Reachable { server: ServerId },
    /// Every server stops its service, and this one with them.
    ClusterStops { then: AfterStop },
    /// No recovery follows a monitor's error, because what it would act on is not active here.
    RecoveryWithoutTarget { monitor: MonitorId },
    /// The cluster was suspended or resumed, and this server knows of it.
    Suspended { on: bool },
    /// A group waits for another one before it starts, or no longer; when that expires or fails the start is given up.
    StartWait { group: GroupId, on: GroupId, wait: Wait },
    /// A group waits for another one before it stops, or no longer; when that expires or fails it stops all the same.
    StopWait { group: GroupId, on: GroupId, wait: Wait },
    /// The server chosen for a group lies in this server group, by its position in the plan.
    ServerGroupChosen { group: GroupId, to: ServerId, server_group: usize },
    /// No server of this server group can take the group.
    ServerGroupExhausted { group: GroupId, server_group: usize },
    /// One of two copies was found on a server that is exempt, and stays.
    ExemptServer { server: ServerId, other: ServerId },
    /// A final action, or a whole recovery, is withheld.
    Withheld { blame: Blame, action: FinalAction, restraint: Restraint },
    /// The final action of a resource is carried out: after its activation failed, else after its deactivation failed.
    FinalAction { resource: ResourceId, activation: bool, action: FinalAction, reason: String },
}

/// A step of an order for one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SingleStep {
    /// It is being activated.
    Starting,
    /// It is active.
    Started,
    /// It could not be activated; why.
    StartFailed(String),
    /// It is not activated here; why.
    Refused(String),
    /// It is being deactivated.
    Stopping,
    /// It is not active any more.
    Stopped,
    /// It could not be deactivated; why.
    StopFailed(String),
}
