//! The true state of one server, as it reports it.

use minicbor::{Decode, Encode};

use crate::ids::MonitorId;

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
    /// It has found all well so many times in a row that what was counted before belongs to another failure.
    #[n(2)]
    pub steady: bool,
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
    /// A watchdog works here.
    #[n(5)]
    #[cbor(default)]
    pub watchdog: bool,
    /// By server, whether this one could switch it off now; None: not looked at. Empty where nothing is switched off.
    #[n(6)]
    #[cbor(default)]
    pub stoppable: Vec<Option<bool>>,
    /// Its floating addresses are behind the kernel's gate: they are silent when its right has run out, whatever hangs there.
    #[n(7)]
    #[cbor(default)]
    pub gated: bool,
}
