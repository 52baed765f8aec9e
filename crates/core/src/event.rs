//! Everything that can happen to a cluster, as the core hears of it.

use std::time::Duration;

use crate::arbiter::Answer;
use crate::ids::{MonitorId, ResourceId, ServerId};
use crate::message::{Command, Frame, Letter};
use crate::plan::AfterStop;
use crate::recovery::MonitorOrder;
use crate::single::ResourceOrder;

/// What a monitor's check found wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// In words.
    pub reason: String,
    /// The check did not end in time; what follows can be configured apart.
    pub timed_out: bool,
    /// It was late because it had no processor.
    pub starved: bool,
}

impl Failure {
    /// The object answered badly or is gone.
    pub fn error(reason: impl Into<String>) -> Failure {
        Failure { reason: reason.into(), timed_out: false, starved: false }
    }
}

/// Why an operation on a resource, or a script of one, failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkError {
    /// Exit code of what failed, or the kernel's number; 1 where there is none.
    pub code: i32,
    /// What is wrong and what helps.
    pub reason: String,
}

impl<T: Into<String>> From<T> for WorkError {
    fn from(reason: T) -> WorkError {
        WorkError { code: 1, reason: reason.into() }
    }
}

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The deadline of [`crate::cluster::Cluster::next_deadline`] is here.
    Deadline,
    /// A heartbeat frame opened with the cluster's key arrived on a path.
    Frame {
        /// Sender.
        from: ServerId,
        /// Position of the path among the configured heartbeats.
        path: usize,
        /// True for a LAN, false for disk and COM.
        lan: bool,
        /// What it says.
        frame: Frame,
    },
    /// A datagram that claims to come from this server did not open with the cluster's key: nothing in it is believed, but
    /// somebody sends there.
    ForeignFrame {
        /// As it claims.
        from: ServerId,
    },
    /// A message opened with the cluster's key arrived.
    Message {
        /// Sender.
        from: ServerId,
        /// What it says, and to whom.
        letter: Letter,
    },
    /// The partition resolutions answered the question with this number.
    Verdict {
        /// Number of the [`crate::action::Action::AskPartition`].
        ask: u64,
        /// What each said, in the order of the plan; None: this server does not use it, or nobody needs to be asked.
        answers: Vec<Option<Answer>>,
        /// So long before the question was put each Yes was true at the latest.
        age: Duration,
        /// What was measured.
        reason: String,
    },
    /// The [`crate::action::Action::ForceStop`] of a server ended.
    ForcedStop {
        /// Of which.
        server: ServerId,
        /// How its power was read back off; or why that is not certain.
        result: Result<String, String>,
    },
    /// Would a forced stop of each server work, as far as was looked? None: not looked at yet, or this server itself.
    ForcedStopSeen {
        /// By server.
        works: Vec<Option<bool>>,
    },
    /// Floating addresses of this server are behind the kernel's gate from now on, or no longer; not before it was told.
    GateSeen {
        /// They are.
        works: bool,
    },
    /// The watchdog of this server works from now on, or there is none.
    WatchdogSeen {
        /// It would end this server.
        works: bool,
    },
    /// A look of this server at the targets of its partition resolutions ended, in the order of the configuration; shown only.
    PartitionSeen {
        /// None: this server does not use it.
        reachable: Vec<Option<bool>>,
    },
    /// The [`crate::action::Action::Search`] for a server whose heartbeats fell silent ended.
    Searched {
        /// For which.
        server: ServerId,
        /// What showed that it lives ("10.0.0.1 answers ARP on eth0"); None: nothing did.
        sign: Option<String>,
    },
    /// An operation on a resource ended.
    ResourceDone {
        /// Number of the operation.
        op: u64,
        /// On which resource.
        resource: ResourceId,
        /// What the driver said; failures name cause and remedy.
        result: Result<(), WorkError>,
    },
    /// A verification found that somebody else uses the resource here (a disk mounted by hand): nothing of ours is to be taken
    /// off, and nobody may activate it meanwhile. Verified again later.
    ResourceOccupied {
        /// Number of the operation.
        op: u64,
        /// Which resource.
        resource: ResourceId,
        /// Who uses it, and what helps.
        reason: String,
    },
    /// A check of a monitor ended.
    MonitorResult {
        /// Which monitor.
        monitor: MonitorId,
        /// None: normal.
        failure: Option<Failure>,
    },
    /// The [`crate::action::Action::KeepRatio`] ended.
    RatioKept {
        /// Which.
        ratio: u32,
        /// Is it on the disk?
        result: Result<(), String>,
    },
    /// The script before a step of a monitor's recovery has ended, well or not: what it was for goes on.
    MonitorScriptDone {
        /// Which monitor.
        monitor: MonitorId,
        /// Number of the [`crate::action::Action::MonitorScript`].
        script: u64,
    },
    /// The script before a resource's final action has ended, well or not: the action goes on if the failure still stands.
    FinalScriptDone {
        /// Which resource.
        resource: ResourceId,
        /// Number of the [`crate::action::Action::FinalScript`].
        script: u64,
    },
    /// An operator orders something for the monitors of this server alone.
    MonitorOrder {
        /// Number chosen by the shell; the answer carries it.
        id: u64,
        /// None: all of them.
        monitor: Option<MonitorId>,
        /// What.
        order: MonitorOrder,
    },
    /// An operator orders something for one resource of a group that is active on this server.
    ResourceOrder {
        /// Number chosen by the shell; the answer carries it.
        id: u64,
        /// Which resource.
        resource: ResourceId,
        /// What.
        order: ResourceOrder,
    },
    /// An operator asks this server; the answer carries the same number.
    Operator {
        /// Number chosen by the shell.
        id: u64,
        /// What is asked.
        command: Command,
    },
    /// An operator asks this server alone to stop its service.
    StopService {
        /// Number chosen by the shell.
        id: u64,
        /// What follows.
        then: AfterStop,
    },
    /// The script of an [`crate::action::Action::RunElsewhere`] ended.
    RanElsewhere {
        /// Number of the run.
        run: u64,
        /// What it said.
        result: Result<(), WorkError>,
    },
    /// All addresses, processes and file systems of this server's groups were given up after [`crate::action::Action::Emergency`].
    EmergencyDone,
    /// That could not be done, or not be verified, for something of them: it may still act.
    EmergencyFailed {
        /// What, and why.
        reason: String,
    },
}
