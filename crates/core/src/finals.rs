//! Final actions on this server: whether they are carried out, the script before them, and how.
//!
//! When a ladder is at its end stands in `failing.rs` (activations), `cluster.rs` (deactivations) and `ladder.rs` (monitors).

use crate::action::{Action, Alert, Blame, Restraint};
use crate::cluster::Cluster;
use crate::ids::{GroupId, ResourceId, ServerId};
use crate::message::{Factor, Phase, ResourceState};
use crate::plan::{AfterStop, FinalAction};
use crate::time::Time;

/// A final action that waits for the script before it.
#[derive(Debug, Clone)]
pub(crate) struct HeldFinal {
    resource: ResourceId,
    script: u64,
    activation: bool,
    reason: String,
}

/// What this server knows of final actions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Finals {
    held: Vec<HeldFinal>,
    scripts: u64,
    /// Final actions that ended this server; kept over its lives.
    reboots: u32,
    /// This server ends at once, for this.
    ending: Option<(AfterStop, Blame)>,
}

impl Finals {
    /// With what earlier lives counted.
    pub fn new(reboots: u32) -> Self {
        Finals { reboots, ..Finals::default() }
    }

    /// Is this server about to end at once?
    pub fn is_ending(&self) -> bool {
        self.ending.is_some()
    }
}

impl Cluster {
    /// The ladder of a resource is at its end here: its final action, after its script, unless something withholds it.
    pub(crate) fn resource_final(&mut self, now: Time, resource: ResourceId, activation: bool, reason: &str) {
        let planned = self.plan.resource(resource);
        let group = planned.group;
        let (action, script, blame) = match activation {
            true => (planned.activate_action, planned.activate_script, Blame::Activation(resource)),
            false => (planned.deactivate_action, planned.deactivate_script, Blame::Deactivation(resource)),
        };
        if !action.acts() || self.is_withheld(now, &[group], blame, action) {
            return;
        }
        if script {
            self.finals.scripts += 1;
            let script = self.finals.scripts;
            self.finals.held.retain(|held| held.resource != resource);
            self.finals.held.push(HeldFinal { resource, script, activation, reason: reason.into() });
            self.out.push(Action::FinalScript { resource, script, activation });
            return;
        }
        self.resource_final_now(now, resource, activation, reason);
    }

    /// The script has ended: the action follows if the failure still stands.
    pub(crate) fn final_script_done(&mut self, now: Time, resource: ResourceId, script: u64) {
        let found = self.finals.held.iter().position(|held| held.resource == resource && held.script == script);
        let Some(held) = found.map(|at| self.finals.held.remove(at)) else { return };
        let group = self.plan.resource(resource).group;
        let stands = match held.activation {
            true => {
                let failed = self.executor.failed_resource(&self.plan, group) == Some(resource);
                failed && self.executor.phase(group) == Phase::OnlineFailure
            }
            false => self.executor.resource(&self.plan, resource) == ResourceState::DeactivateFailed,
        };
        if stands && !self.emergency {
            self.resource_final_now(now, resource, held.activation, &held.reason);
        }
    }

    fn resource_final_now(&mut self, now: Time, resource: ResourceId, activation: bool, reason: &str) {
        let planned = self.plan.resource(resource);
        let group = planned.group;
        let (action, blame, text) = match activation {
            true => (planned.activate_action, Blame::Activation(resource), reason.to_string()),
            false => {
                let text = format!("{} could not be deactivated: {reason}", planned.name);
                (planned.deactivate_action, Blame::Deactivation(resource), text)
            }
        };
        self.out.push(Action::Alert(Alert::FinalAction { resource, activation, action, reason: reason.into() }));
        self.final_action(now, group, &[resource], action, blame, &text);
    }

    /// Is the final action not to be carried out? Then operators and the groups' chains are told why.
    pub(crate) fn is_withheld(&mut self, now: Time, groups: &[GroupId], blame: Blame, action: FinalAction) -> bool {
        let Some(restraint) = self.restraint(blame, action) else { return false };
        self.out.push(Action::Alert(Alert::Withheld { blame, action, restraint }));
        let why = match restraint {
            Restraint::Disabled => "recovery is switched off".to_string(),
            Restraint::Alone => "no other server runs".to_string(),
            Restraint::Reboots(count) => format!("final actions have ended this server {count} times"),
        };
        for group in groups {
            self.cause(now, *group, format!("final action withheld ({}): {why}", final_words(action)));
        }
        true
    }

    fn restraint(&self, blame: Blame, action: FinalAction) -> Option<Restraint> {
        let rules = &self.plan.restraints;
        let pick = |switches: &crate::plan::Switches| match blame {
            Blame::Activation(_) => switches.activation,
            Blame::Deactivation(_) => switches.deactivation,
            Blame::Monitor(_) => switches.monitor,
        };
        if pick(&rules.no_recovery) {
            return Some(Restraint::Disabled);
        }
        if pick(&rules.survive) && self.other_servers().next().is_none() {
            return Some(Restraint::Alone);
        }
        let spent = rules.reboot_max > 0 && self.finals.reboots >= rules.reboot_max;
        (spent && action.ends_server()).then_some(Restraint::Reboots(rules.reboot_max))
    }

    /// Members that run and stay.
    fn other_servers(&self) -> impl Iterator<Item = ServerId> + use<> {
        let leaving = self.leaving_members();
        let me = self.identity.me;
        self.views.members().into_iter().filter(move |server| *server != me && !leaving.has(*server))
    }

    /// The last rung for a group on this server.
    pub(crate) fn final_action(
        &mut self,
        now: Time,
        group: GroupId,
        resources: &[ResourceId],
        action: FinalAction,
        blame: Blame,
        reason: &str,
    ) {
        match action {
            FinalAction::Nothing | FinalAction::NothingContinue => {}
            FinalAction::StopResource => {
                let mut out = std::mem::take(&mut self.out);
                self.executor.hold_off(&self.plan, group, resources, &mut out);
                self.out = out;
            }
            FinalAction::StopGroup => {
                self.executor.group_mut(group).given_up = true;
                self.stop_here(now, group, Factor::GroupStop, reason);
            }
            FinalAction::StopService(_) => self.final_action_server(now, action, blame, reason),
        }
    }

    pub(crate) fn final_action_server(&mut self, now: Time, action: FinalAction, blame: Blame, reason: &str) {
        let FinalAction::StopService(then) = action else { return };
        if self.finals.is_ending() {
            return;
        }
        for group in self.plan.group_ids() {
            if self.executor.phase(group).is_held() {
                self.cause(now, group, format!("{reason}; {}", final_words(action)));
            }
        }
        // A stop that is under way already has its own end.
        if action.ends_server() && (then.is_abrupt() || self.leaving.is_none()) {
            self.count_reboots(self.finals.reboots.saturating_add(1));
        }
        if then.is_abrupt() {
            self.finals.ending = Some((then, blame));
        } else {
            self.leave(now, None, then, false);
        }
    }

    fn count_reboots(&mut self, count: u32) {
        self.finals.reboots = count;
        self.out.push(Action::RememberReboots { count });
    }

    /// A server that has run for long enough has come through.
    pub(crate) fn forget_reboots(&mut self, now: Time) {
        let after = self.plan.restraints.reboot_reset;
        if self.finals.reboots > 0 && !after.is_zero() && self.leaving.is_none() && now.since(self.start) >= after {
            self.count_reboots(0);
        }
    }

    /// What ends this server at once comes last of all that is to be done.
    pub(crate) fn end_at_once(&mut self) {
        if let Some((how, blame)) = self.finals.ending
            && !self.exited
        {
            self.exited = true;
            self.out.push(Action::EndServer { how, blame });
        }
    }
}

/// A final action in words.
pub fn final_words(action: FinalAction) -> &'static str {
    match action {
        FinalAction::Nothing | FinalAction::NothingContinue => "no final action",
        FinalAction::StopResource => "stop the resource",
        FinalAction::StopGroup => "stop the group",
        FinalAction::StopService(AfterStop::Nothing) => "stop the cluster service",
        FinalAction::StopService(AfterStop::Shutdown) => "stop the cluster service and shut down",
        FinalAction::StopService(AfterStop::Reboot) => "stop the cluster service and reboot",
        FinalAction::StopService(AfterStop::SysrqPanic) => "panic by a system request",
        FinalAction::StopService(AfterStop::KeepaliveReset) => "reset",
        FinalAction::StopService(AfterStop::KeepalivePanic) => "panic",
    }
}
