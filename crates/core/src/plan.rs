//! The part of a configuration that decisions need: names become positions, units become durations.
//!
//! Made by the daemon from a checked configuration, by the simulator from a seed. Nothing here is read from a file.

use std::time::Duration;

use crate::ids::{GroupId, MonitorId, ResourceId, ServerId, ServerSet};
use crate::proof::Proof;
use crate::verdict::MethodKind;

/// Everything a cluster was configured to be.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Names by priority, at most [`crate::ids::SERVERS_MAX`].
    pub servers: Vec<String>,
    /// The times of the safety sum.
    pub timing: Timing,
    /// How the question "may my side go on" is answered, by priority; none: always Yes.
    pub partition: Vec<MethodKind>,
    /// Lost servers are switched off before anything of them is taken over.
    pub forced_stop: bool,
    /// What a server does after it gave up its groups because its side may not go on.
    pub partition_action: AfterStop,
    /// Groups in the order of the file.
    pub groups: Vec<GroupPlan>,
    /// Resources of all groups.
    pub resources: Vec<ResourcePlan>,
    /// Monitors in the order of the file.
    pub monitors: Vec<MonitorPlan>,
    /// When recovery and final actions are withheld.
    pub restraints: Restraints,
}

/// A switch for each kind of failure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Switches {
    /// Activation failures of resources.
    pub activation: bool,
    /// Deactivation failures of resources.
    pub deactivation: bool,
    /// Errors that monitors find.
    pub monitor: bool,
}

/// When recovery and final actions are withheld.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restraints {
    /// No final action while no other server runs (`cluster/survive`).
    pub survive: Switches,
    /// Nothing follows a failure (`rc/errordetect`, `rm/errordetect`).
    pub no_recovery: Switches,
    /// Final actions that end a server before they are withheld there; 0: no limit.
    pub reboot_max: u32,
    /// Running in one life after which they are forgotten; zero: never.
    pub reboot_reset: Duration,
    /// Servers that keep their copy of a group that was found active on two (`server@NAME/survive`).
    pub exempt: ServerSet,
}

/// The times of the safety sum (names of `docs/safety.md`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timing {
    /// h: between two heartbeat frames.
    pub interval: Duration,
    /// T_s: silence after which a server is taken as gone.
    pub timeout: Duration,
    /// T_x: age of the last acknowledgement after which a server gives up its right. Less than `timeout`.
    pub right_timeout: Duration,
    /// Q: longest wait for an answer of the partition resolution.
    pub arbiter: Duration,
    /// K: age of the last acknowledgement after which an uncovered server no longer feeds its watchdog.
    pub watchdog_hold: Duration,
    /// G: after the right of an acknowledgement has run out, addresses behind the kernel's gate are served for so long. At most Q.
    pub gate: Duration,
    /// D for groups without shared data, while the lost server's addresses are behind its kernel's gate; `takeover_data` else.
    pub takeover_addresses: Duration,
    /// D for groups with shared data and no proof of death.
    pub takeover_data: Duration,
    /// W + r: from the last feeding of a watchdog to the end of the reset.
    pub reset: Duration,
    /// How long starting servers wait for each other.
    pub sync_wait: Duration,
}

impl Timing {
    /// How long a Yes is good for a start, from the moment at which it was asked: an answer takes up to Q and the next question
    /// follows within two intervals.
    pub fn answer_valid(&self) -> Duration {
        self.arbiter + self.interval * 2
    }

    /// How long an acknowledgement, or a Yes from the moment at which it was asked, keeps what is held.
    pub fn keeps(&self) -> Duration {
        self.right_timeout + self.arbiter
    }

    /// How long an arbiter's record of another side must have stood unchanged until its writers are quiet: the validity of a Yes,
    /// the right that an acknowledgement gives and then keeps (one may be under way), the evaluation, and the watchdog.
    pub fn lease(&self) -> Duration {
        let bound = self.answer_valid() + self.right_timeout + self.keeps() + self.interval * 3 + self.reset;
        bound + bound / 50
    }
}

/// What follows when the cluster service stops on a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum AfterStop {
    /// The service ends, the operating system goes on.
    #[n(0)]
    Nothing,
    /// The operating system shuts down.
    #[n(1)]
    Shutdown,
    /// The operating system reboots.
    #[n(2)]
    Reboot,
    /// The kernel panics by a system request.
    #[n(3)]
    SysrqPanic,
    /// The server is reset at once, with the watchdog behind it.
    #[n(4)]
    KeepaliveReset,
    /// The kernel panics, with the watchdog behind it.
    #[n(5)]
    KeepalivePanic,
}

impl AfterStop {
    /// Does it end the server at once, so that nothing is stopped before it as a final action?
    pub fn is_abrupt(self) -> bool {
        matches!(self, AfterStop::SysrqPanic | AfterStop::KeepaliveReset | AfterStop::KeepalivePanic)
    }
}

/// The last rung of a recovery ladder (clp-conf.md 13.4, 13.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinalAction {
    /// Nothing; for an activation failure the resources that depend on it go on all the same.
    NothingContinue,
    /// Nothing.
    Nothing,
    /// Stop the failed or monitored resource (and what depends on it).
    StopResource,
    /// Stop the group.
    StopGroup,
    /// Stop the cluster service of this server, then this; what is abrupt happens without the stop.
    StopService(AfterStop),
}

impl FinalAction {
    /// Does it do anything?
    pub fn acts(self) -> bool {
        !matches!(self, FinalAction::Nothing | FinalAction::NothingContinue)
    }

    /// Does the operating system go down or start anew?
    pub fn ends_server(self) -> bool {
        matches!(self, FinalAction::StopService(then) if then != AfterStop::Nothing)
    }
}

/// A group that another one waits for before it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartAfter {
    /// Which.
    pub group: GroupId,
    /// Only when it starts, or is to start, on the same server.
    pub same_server: bool,
}

/// At which stops a group waits for others to be off first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StopOccasions {
    /// The whole cluster stops.
    pub cluster: bool,
    /// The server stops; only groups on it are waited for.
    pub server: bool,
    /// An operator stops the group.
    pub group: bool,
}

/// Waits between groups (clp-conf.md 8, `depend`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waits {
    /// Online before this group starts.
    pub start: Vec<StartAfter>,
    /// Then the start is given up.
    pub start_limit: Duration,
    /// Off before this group stops.
    pub stop: Vec<GroupId>,
    /// Then it stops all the same.
    pub stop_limit: Duration,
    /// When.
    pub stop_at: StopOccasions,
}

/// A named list of servers that a group takes its policy from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerGroup {
    /// Name.
    pub name: String,
    /// Who belongs to it.
    pub servers: ServerSet,
}

/// Failover exclusion of a group (clp-conf.md 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Exclusion {
    /// Runs beside any group.
    #[default]
    None,
    /// Avoids servers where another group with an exclusion runs, unless there is no other.
    Normal,
    /// Never runs beside another group with an exclusion.
    Full,
}

/// A failover group.
#[derive(Debug, Clone)]
pub struct GroupPlan {
    /// Name.
    pub name: String,
    /// Servers on which it may run, best first.
    pub policy: Vec<ServerId>,
    /// Startup attribute: started with the cluster.
    pub start_auto: bool,
    /// Failover attribute: started elsewhere after a failure.
    pub failover_auto: bool,
    /// Failback attribute: returns to the first server of its policy when that server comes back.
    pub failback_auto: bool,
    /// Failover exclusion.
    pub exclusion: Exclusion,
    /// A sign of life of the lost server forbids its takeover for as long as it lasts; otherwise it only delays it for the
    /// self-fence bound.
    pub life_forbids: bool,
    /// Holds data that two servers could write.
    pub shared_data: bool,
    /// The weakest proof of a lost server's death upon which it is taken over; None: what is usual ([`Plan::least_proof`]).
    pub min_proof: Option<Proof>,
    /// Its resources.
    pub resources: Vec<ResourceId>,
    /// Groups that it waits for.
    pub waits: Waits,
    /// Server groups that its policy was taken from, best first; for telling only.
    pub server_groups: Vec<ServerGroup>,
}

/// Scripts of a resource that run on the other servers of its group, by their time limits; None: none is run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Elsewhere {
    /// After it was activated.
    pub start: Option<Duration>,
    /// Before it is deactivated; that waits for them.
    pub stop: Option<Duration>,
}

/// A group resource.
#[derive(Debug, Clone)]
pub struct ResourcePlan {
    /// Name.
    pub name: String,
    /// The group it belongs to.
    pub group: GroupId,
    /// Resources of the same group that must be online before it.
    pub depends: Vec<ResourceId>,
    /// Further tries after a failed activation.
    pub activate_retry: u32,
    /// Failovers after a failed activation before the final action.
    pub activate_failover: u32,
    /// Final action of a failed activation.
    pub activate_action: FinalAction,
    /// Further tries after a failed deactivation.
    pub deactivate_retry: u32,
    /// Final action of a failed deactivation.
    pub deactivate_action: FinalAction,
    /// A script runs before the final action of a failed activation.
    pub activate_script: bool,
    /// A script runs before the final action of a failed deactivation.
    pub deactivate_script: bool,
    /// What the other servers run.
    pub elsewhere: Elsewhere,
}

/// What a monitor's recovery acts upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecoveryTarget {
    /// Every group that runs on this server.
    LocalServer,
    /// One group.
    Group(GroupId),
    /// One resource (and what depends on it); failover moves its group.
    Resource(ResourceId),
}

/// What differs for a monitor when a check did not end in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnTimeout {
    /// Checked again as after any failure; else it is an error at once.
    pub retries: bool,
    /// Recovery follows as after any failure; else the error is shown and nothing follows.
    pub recovers: bool,
}

impl Default for OnTimeout {
    /// As any failure.
    fn default() -> Self {
        OnTimeout { retries: true, recovers: true }
    }
}

/// Steps of a monitor's recovery before which a script runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScriptBefore {
    /// Before each reactivation.
    pub reactivation: bool,
    /// Before each failover.
    pub failover: bool,
    /// Before the final action.
    pub final_action: bool,
}

/// A monitor resource.
#[derive(Debug, Clone)]
pub struct MonitorPlan {
    /// Name.
    pub name: String,
    /// While-activated timing: runs where and while this resource is online. None: always.
    pub target: Option<ResourceId>,
    /// Servers on which it runs.
    pub servers: ServerSet,
    /// Failures in a row, beyond the first, before recovery begins.
    pub retry: u32,
    /// What differs when a check did not end in time.
    pub on_timeout: OnTimeout,
    /// What recovery acts upon.
    pub recovery: RecoveryTarget,
    /// Reactivations before a failover.
    pub restart_max: u32,
    /// Failovers before the final action.
    pub failover_max: u32,
    /// Final action.
    pub action: FinalAction,
    /// Steps before which a script runs.
    pub script_before: ScriptBefore,
}

impl Plan {
    /// A group by identity.
    pub fn group(&self, id: GroupId) -> &GroupPlan {
        &self.groups[id.index()]
    }

    /// A resource by identity.
    pub fn resource(&self, id: ResourceId) -> &ResourcePlan {
        &self.resources[id.index()]
    }

    /// A monitor by identity.
    pub fn monitor(&self, id: MonitorId) -> &MonitorPlan {
        &self.monitors[id.index()]
    }

    /// Name of a server.
    pub fn server(&self, id: ServerId) -> &str {
        &self.servers[id.index()]
    }

    /// All groups.
    pub fn group_ids(&self) -> impl Iterator<Item = GroupId> + use<> {
        (0..self.groups.len()).map(GroupId::at)
    }

    /// All groups, those that others wait for before their start first; otherwise in the order of the file.
    pub fn groups_awaited_first(&self) -> Vec<GroupId> {
        fn visit(plan: &Plan, group: GroupId, seen: &mut Vec<bool>, order: &mut Vec<GroupId>) {
            if !std::mem::replace(&mut seen[group.index()], true) {
                for after in &plan.group(group).waits.start {
                    visit(plan, after.group, seen, order);
                }
                order.push(group);
            }
        }
        let (mut seen, mut order) = (vec![false; self.groups.len()], Vec::with_capacity(self.groups.len()));
        self.group_ids().for_each(|group| visit(self, group, &mut seen, &mut order));
        order
    }

    /// All monitors.
    pub fn monitor_ids(&self) -> impl Iterator<Item = MonitorId> + use<> {
        (0..self.monitors.len()).map(MonitorId::at)
    }

    /// All servers.
    pub fn server_ids(&self) -> impl Iterator<Item = ServerId> + use<> {
        (0..self.servers.len()).map(ServerId::at)
    }

    /// The weakest proof of death upon which the group is taken over. Unless it says so itself: the strongest that is configured
    /// where it holds data, any where it does not.
    pub fn least_proof(&self, group: GroupId) -> Proof {
        let planned = self.group(group);
        let usual = || match () {
            () if self.forced_stop => Proof::Stopped,
            () if !planned.shared_data || self.partition.is_empty() => Proof::None,
            () if self.partition.iter().any(|method| method.is_sound()) => Proof::Arbiter,
            () => Proof::Timed,
        };
        planned.min_proof.unwrap_or_else(usual)
    }

    /// D of the group: its takeover delay.
    pub fn takeover_delay(&self, group: GroupId) -> Duration {
        if self.group(group).shared_data { self.timing.takeover_data } else { self.timing.takeover_addresses }
    }
}
