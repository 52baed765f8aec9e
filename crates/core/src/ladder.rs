//! What follows on this server when a monitor finds an error: the rungs of its ladder and the final actions.

use crate::action::{Action, Alert, Blame, Restraint};
use crate::cluster::Cluster;
use crate::event::Failure;
use crate::finals::final_words;
use crate::ids::{GroupId, MonitorId, ResourceId};
use crate::message::{Answer, Command, Factor, Phase, WantedAway};
use crate::recovery::{MonitorOrder, Step, targets};
use crate::restarting::Restarted;
use crate::time::Time;

impl Cluster {
    pub(crate) fn monitor_result(&mut self, now: Time, id: MonitorId, failure: Option<Failure>) {
        if id.index() >= self.plan.monitors.len() {
            return;
        }
        let counted = self.document.monitor_failovers[id.index()];
        let before = self.monitors.report()[id.index()].state;
        let step = self.monitors.result(&self.plan, id, failure, &self.executor, counted);
        let reason = self.monitors.reason(id).to_string();
        let now_failed = self.monitors.report()[id.index()].state;
        if before != now_failed && now_failed == crate::message::MonitorState::Failed {
            self.out.push(Action::Alert(Alert::MonitorError { monitor: id, reason: reason.clone() }));
            if step == Step::Withheld {
                self.out.push(Action::Alert(Alert::RecoveryWithheld { monitor: id }));
            }
            if step == Step::Disabled {
                let (blame, action) = (Blame::Monitor(id), self.plan.monitor(id).action);
                self.out.push(Action::Alert(Alert::Withheld { blame, action, restraint: Restraint::Disabled }));
            }
            let on_server = self.plan.monitor(id).recovery == crate::plan::RecoveryTarget::LocalServer;
            if step == Step::Error && !on_server && targets(&self.plan, id, &self.executor).is_empty() {
                self.out.push(Action::Alert(Alert::RecoveryWithoutTarget { monitor: id }));
            }
        }
        if let Step::Final(action) = step {
            let groups: Vec<GroupId> = targets(&self.plan, id, &self.executor).into_iter().map(|(group, _)| group).collect();
            if action.acts() && self.is_withheld(now, &groups, Blame::Monitor(id), action) {
                return;
            }
        }
        if let Some(script) = self.monitors.hold(&self.plan, id, &step) {
            let count = match step {
                Step::Reactivate(count) => count,
                Step::Failover(_) => counted + 1,
                _ => 1,
            };
            self.out.push(Action::MonitorScript { monitor: id, script, before: step, count });
            return;
        }
        self.climb(now, id, step);
    }

    /// What waited for its script goes on, if its groups are as they were.
    pub(crate) fn monitor_script_done(&mut self, now: Time, id: MonitorId, script: u64) {
        if id.index() >= self.plan.monitors.len() {
            return;
        }
        let Some(step) = self.monitors.release(id, script) else { return };
        let here = targets(&self.plan, id, &self.executor);
        let on_server = self.plan.monitor(id).recovery == crate::plan::RecoveryTarget::LocalServer;
        if here.iter().all(|(_, phase)| *phase == Phase::On) && (on_server || !here.is_empty()) {
            self.climb(now, id, step);
        }
    }

    /// Carry out a rung of a monitor's ladder.
    fn climb(&mut self, now: Time, id: MonitorId, step: Step) {
        let counted = self.document.monitor_failovers[id.index()];
        let reason = self.monitors.reason(id).to_string();
        let name = self.plan.monitor(id).name.clone();
        let here = targets(&self.plan, id, &self.executor);
        let rung = step.clone();
        let tell = |cluster: &mut Cluster, step: String| {
            for (group, _) in &here {
                cluster.cause(now, *group, format!("monitor {name} found: {reason}; {step}"));
            }
            cluster.out.push(Action::Alert(Alert::Recovery { monitor: id, rung: rung.clone(), step }));
        };
        match step {
            Step::None | Step::Error | Step::Withheld | Step::Disabled => {}
            Step::Recovered => self.out.push(Action::Alert(Alert::MonitorNormal { monitor: id })),
            Step::Reactivate(count) => {
                tell(self, format!("reactivation {count} of {}", self.plan.monitor(id).restart_max));
                self.reactivate(id, &here);
            }
            Step::Failover(serial) => {
                tell(self, format!("failover {} of {} is asked for", counted + 1, self.plan.monitor(id).failover_max));
                for (group, _) in &here {
                    let wish = WantedAway { monitor: id, serial, reason: format!("monitor {name} found: {reason}") };
                    self.executor.group_mut(*group).wanted_away = Some(wish);
                }
            }
            Step::Final(action) => {
                tell(self, format!("the ladder ends: {}", final_words(action)));
                let text = format!("monitor {name} found: {reason}");
                if here.is_empty() {
                    self.final_action_server(now, action, Blame::Monitor(id), &text);
                }
                for (group, _) in here.clone() {
                    let resources = self.recovery_resources(id, group);
                    self.final_action(now, group, &resources, action, Blame::Monitor(id), &text);
                }
            }
        }
    }

    /// An operator's order for this server's monitors is true at once, but for counters that the whole cluster holds.
    pub(crate) fn monitor_order(&mut self, now: Time, id: u64, monitor: Option<MonitorId>, order: MonitorOrder) {
        let known = monitor.filter(|monitor| monitor.index() < self.plan.monitors.len());
        if let (Err(reason), Some(monitor)) = (self.monitors.order(&self.plan, self.identity.me, known, order), known) {
            self.out.push(Action::Alert(Alert::MonitorOrderRefused { monitor, order, reason: reason.clone() }));
            let remedy = "name another server with -h, or another monitor with -m".into();
            self.out.push(Action::Answer { id, answer: Answer::Refused { reason, remedy } });
            return;
        }
        self.out.push(Action::Alert(Alert::MonitorOrdered { monitor: known, order }));
        match order {
            MonitorOrder::ClearCounts => self.operator(now, id, Command::ClearCounts { monitor: known }),
            _ => self.out.push(Action::Answer { id, answer: Answer::Done { details: Vec::new() } }),
        }
    }

    fn recovery_resources(&self, id: MonitorId, group: GroupId) -> Vec<ResourceId> {
        match self.plan.monitor(id).recovery {
            crate::plan::RecoveryTarget::Resource(resource) => vec![resource],
            _ => self.plan.group(group).resources.clone(),
        }
    }

    fn reactivate(&mut self, id: MonitorId, here: &[(GroupId, Phase)]) {
        for (group, _) in here {
            let resources = self.recovery_resources(id, *group);
            let (what, factor) = match self.plan.monitor(id).recovery {
                crate::plan::RecoveryTarget::Resource(resource) => (Restarted::Resource(resource), Factor::ResourceRestart),
                _ => (Restarted::Group(*group), Factor::GroupRestart),
            };
            self.restart_begins(*group, what);
            self.executor.reactivate(&self.plan, *group, &resources, factor, &mut self.out);
        }
    }

    pub(crate) fn sync_monitors(&mut self) {
        let leaving = self.leaving.is_some() || self.emergency;
        let changes = self.monitors.sync(&self.plan, self.identity.me, &self.executor, self.document.suspended, leaving);
        for (monitor, run) in changes {
            self.out.push(Action::Monitor { monitor, run });
        }
    }

    /// The coordinator took note that a final action stopped a group: a later start is not to be mistaken for before it.
    pub(crate) fn forget_given_up(&mut self) {
        for group in self.plan.group_ids() {
            if !self.document.groups[group.index()].run {
                self.executor.group_mut(group).given_up = false;
            }
        }
    }
}
