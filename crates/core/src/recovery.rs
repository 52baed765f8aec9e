//! Monitors on this server: which of them run, when failures count, and which step of the ladder comes next
//! (reactivation, failover, final action; invariant *ladder*).

use crate::event::Failure;
use crate::ids::{GroupId, MonitorId, ServerId};
use crate::local::Executor;
use crate::message::{MonitorReport, MonitorState, Phase, ResourceState};
use crate::plan::{FinalAction, Plan, RecoveryTarget};

/// Normal results in a row, where its target is, after which earlier recovery steps of a monitor no longer count.
const NORMAL_TO_FORGET: u32 = 10;

/// Checks in a row that may be late for want of a processor before they count as failures: a server that is starved for longer
/// than this does not serve anybody either.
const STARVED_MAX: u32 = 3;

#[derive(Debug, Clone, Default)]
struct Local {
    running: bool,
    state: MonitorState,
    reason: String,
    failures: u32,
    /// Checks in a row that had no processor.
    starved: u32,
    normal: u32,
    restarts: u32,
    wishes: u64,
    final_done: bool,
    /// By an operator, on this server.
    suspended: bool,
    /// By an operator, on this server: every check counts as failed.
    dummy: bool,
    /// Number of the last script before a step.
    scripts: u64,
    /// The step that waits for it.
    held: Option<Step>,
}

/// What a dummy failure says.
const DUMMY: &str = "dummy failure (clpmonctrl -e); switch it off with clpmonctrl -n";

/// What an operator orders for the monitors of one server. It holds until the opposite or the end of that server's service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MonitorOrder {
    /// Rest.
    Suspend,
    /// End that.
    Resume,
    /// Let every check fail, to try what follows.
    FailureOn,
    /// End that.
    FailureOff,
    /// Forget the recovery steps of the past: reactivations here, failovers of the whole cluster.
    ClearCounts,
}

/// Recovery steps of a monitor so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Reactivations on this server.
    pub restarts: u32,
    /// Failovers in the cluster.
    pub failovers: u32,
    /// Every check counts as failed.
    pub dummy: bool,
}

impl Local {
    fn told_reason(&self) -> &str {
        if self.state == MonitorState::Failed { &self.reason } else { "" }
    }

    fn is_steady(&self) -> bool {
        self.running && self.normal >= NORMAL_TO_FORGET
    }
}

/// All monitors on this server.
#[derive(Debug, Clone)]
pub struct Monitors {
    monitors: Vec<Local>,
}

/// What follows a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    None,
    /// The monitor turned normal.
    Recovered,
    /// Error, but nothing to be done (group not here or in transition, or the ladder is at its end).
    Error,
    /// Error, and the configuration wants no recovery after a time-out.
    Withheld,
    /// Error, and the configuration wants no recovery from monitors at all.
    Disabled,
    /// Reactivate the target; this is the given time.
    Reactivate(u32),
    /// Ask for a failover; the serial of the wish.
    Failover(u64),
    /// Carry out the final action.
    Final(FinalAction),
}

/// Groups that a monitor's recovery acts upon here, with their phase.
pub fn targets(plan: &Plan, monitor: MonitorId, executor: &Executor) -> Vec<(GroupId, Phase)> {
    let groups: Vec<GroupId> = match plan.monitor(monitor).recovery {
        RecoveryTarget::LocalServer => plan.group_ids().collect(),
        RecoveryTarget::Group(group) => vec![group],
        RecoveryTarget::Resource(resource) => vec![plan.resource(resource).group],
    };
    // A group that failed to start here rests, and its own ladder is at its end: it holds up nothing that is done to the server.
    let on_server = plan.monitor(monitor).recovery == RecoveryTarget::LocalServer;
    let counts = |phase: Phase| phase.is_held() && !(on_server && phase == Phase::OnlineFailure);
    groups.into_iter().map(|group| (group, executor.phase(group))).filter(|(_, phase)| counts(*phase)).collect()
}

impl Monitors {
    /// None runs.
    pub fn new(plan: &Plan) -> Self {
        Monitors { monitors: vec![Local::default(); plan.monitors.len()] }
    }

    /// Which monitors must be started (true) or stopped (false) now.
    pub fn sync(
        &mut self,
        plan: &Plan,
        me: ServerId,
        executor: &Executor,
        suspended: bool,
        leaving: bool,
    ) -> Vec<(MonitorId, bool)> {
        let mut changes = Vec::new();
        for id in plan.monitor_ids() {
            let planned = plan.monitor(id);
            let timing = planned.target.is_none_or(|target| executor.resource(plan, target) == ResourceState::On);
            let local = &mut self.monitors[id.index()];
            let rests = (suspended || local.suspended) && planned.servers.has(me);
            let run = timing && !rests && !leaving && planned.servers.has(me);
            if run != local.running {
                local.running = run;
                local.failures = 0;
                local.starved = 0;
                local.normal = 0;
                local.reason.clear();
                local.held = None;
                local.state = match (run, rests) {
                    (true, _) => MonitorState::Normal,
                    (false, true) => MonitorState::Suspended,
                    (false, false) => MonitorState::Off,
                };
                changes.push((id, run));
            } else if !run && local.suspended && rests {
                // Also one whose target is not active here: what an operator did is shown.
                local.state = MonitorState::Suspended;
            } else if !run && local.state == MonitorState::Suspended && !suspended {
                local.state = MonitorState::Off;
            }
        }
        changes
    }

    /// A check ended. `failovers` is the number already counted for this monitor in the whole cluster.
    pub fn result(&mut self, plan: &Plan, id: MonitorId, failure: Option<Failure>, executor: &Executor, failovers: u32) -> Step {
        let planned = plan.monitor(id);
        let here = targets(plan, id, executor);
        let local = &mut self.monitors[id.index()];
        if !local.running {
            return Step::None;
        }
        let failure = if local.dummy { Some(Failure::error(DUMMY)) } else { failure };
        let starved = failure.as_ref().is_some_and(|failure| failure.starved);
        local.starved = if starved { local.starved + 1 } else { 0 };
        if starved && local.starved <= STARVED_MAX {
            // Neither good nor bad: nothing was seen.
            return Step::None;
        }
        let Some(failure) = failure else {
            local.failures = 0;
            local.normal += 1;
            if local.is_steady() {
                local.restarts = 0;
                local.final_done = false;
            }
            local.reason.clear();
            let was = std::mem::replace(&mut local.state, MonitorState::Normal);
            return if was == MonitorState::Failed { Step::Recovered } else { Step::None };
        };
        local.normal = 0;
        local.failures += 1;
        local.reason = failure.reason;
        let final_word = failure.timed_out && !planned.on_timeout.retries;
        if local.failures <= planned.retry && !final_word {
            return Step::None;
        }
        local.state = MonitorState::Failed;
        if plan.restraints.no_recovery.monitor {
            return Step::Disabled;
        }
        if failure.timed_out && !planned.on_timeout.recovers {
            return Step::Withheld;
        }
        // The ladder waits while its group is in transition, and leaves groups alone that run elsewhere.
        let settled = here.iter().all(|(_, phase)| *phase == Phase::On);
        let on_server = planned.recovery == RecoveryTarget::LocalServer;
        if !settled || (here.is_empty() && !on_server) || local.held.is_some() {
            return Step::Error;
        }
        local.failures = 0;
        if !here.is_empty() && local.restarts < planned.restart_max {
            local.restarts += 1;
            Step::Reactivate(local.restarts)
        } else if !here.is_empty() && failovers < planned.failover_max {
            local.wishes += 1;
            Step::Failover(local.wishes)
        } else if !local.final_done {
            local.final_done = true;
            Step::Final(planned.action)
        } else {
            Step::Error
        }
    }

    /// Keep a step back until the script before it has ended; the number of that script. None: no script is configured.
    pub fn hold(&mut self, plan: &Plan, id: MonitorId, step: &Step) -> Option<u64> {
        let before = plan.monitor(id).script_before;
        let wanted = match step {
            Step::Reactivate(_) => before.reactivation,
            Step::Failover(_) => before.failover,
            Step::Final(_) => before.final_action,
            Step::None | Step::Recovered | Step::Error | Step::Withheld | Step::Disabled => false,
        };
        let local = &mut self.monitors[id.index()];
        wanted.then(|| {
            local.scripts += 1;
            local.held = Some(step.clone());
            local.scripts
        })
    }

    /// The script with this number has ended: the step that waited for it, if it is still wanted. It is not when the monitor
    /// found all well meanwhile, or was stopped; then it does not count either.
    pub fn release(&mut self, id: MonitorId, script: u64) -> Option<Step> {
        let local = &mut self.monitors[id.index()];
        let step = local.held.take_if(|_| local.scripts == script)?;
        if local.state == MonitorState::Failed {
            return Some(step);
        }
        match step {
            Step::Reactivate(_) => local.restarts = local.restarts.saturating_sub(1),
            Step::Final(_) => local.final_done = false,
            _ => {}
        }
        None
    }

    /// Carry out an operator's order for one monitor or all of this server; the error says why it cannot be.
    pub fn order(&mut self, plan: &Plan, me: ServerId, which: Option<MonitorId>, order: MonitorOrder) -> Result<(), String> {
        if let Some(id) = which
            && !plan.monitor(id).servers.has(me)
        {
            return Err(format!("monitor {} is not configured to run on {}", plan.monitor(id).name, plan.server(me)));
        }
        for id in which.map_or_else(|| plan.monitor_ids().collect::<Vec<_>>(), |id| vec![id]) {
            let local = &mut self.monitors[id.index()];
            match order {
                MonitorOrder::Suspend => local.suspended = true,
                MonitorOrder::Resume => local.suspended = false,
                MonitorOrder::FailureOn => local.dummy = true,
                MonitorOrder::FailureOff => local.dummy = false,
                MonitorOrder::ClearCounts => {
                    local.restarts = 0;
                    local.final_done = false;
                }
            }
        }
        Ok(())
    }

    /// Reactivations of a monitor here so far, and whether it is made to fail.
    pub fn counts(&self, id: MonitorId, failovers: u32) -> Counts {
        let local = &self.monitors[id.index()];
        Counts { restarts: local.restarts, failovers, dummy: local.dummy }
    }

    /// The operator acted on the group, or it went elsewhere: earlier steps no longer count.
    pub fn forget(&mut self, plan: &Plan, group: GroupId) {
        for id in plan.monitor_ids() {
            let concerned = match plan.monitor(id).recovery {
                RecoveryTarget::LocalServer => false,
                RecoveryTarget::Group(target) => target == group,
                RecoveryTarget::Resource(resource) => plan.resource(resource).group == group,
            };
            if concerned {
                let local = &mut self.monitors[id.index()];
                local.restarts = 0;
                // What it found while its target was elsewhere says nothing of how the target does here.
                local.normal = 0;
                local.final_done = false;
                local.held = None;
            }
        }
    }

    /// What the last failure of a monitor said.
    pub fn reason(&self, id: MonitorId) -> &str {
        &self.monitors[id.index()].reason
    }

    /// The monitors' part of the report.
    pub fn report(&self) -> Vec<MonitorReport> {
        let report = |local: &Local| MonitorReport {
            state: local.state,
            reason: local.told_reason().to_string(),
            steady: local.is_steady(),
        };
        self.monitors.iter().map(report).collect()
    }

    /// Does the report still say all of this?
    pub(crate) fn are_as(&self, told: &[MonitorReport]) -> bool {
        let same = |(local, told): (&Local, &MonitorReport)| {
            (local.state, local.is_steady()) == (told.state, told.steady) && local.told_reason() == told.reason
        };
        self.monitors.len() == told.len() && self.monitors.iter().zip(told).all(same)
    }
}
