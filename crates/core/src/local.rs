//! This server's resources: in which order they are activated and deactivated, and what each state of a group is made of.
//!
//! Independent resources go in parallel; a resource is activated only while all it depends on are online, and deactivated
//! only when nothing that depends on it is left (invariant *ordered*). Who decides to start or stop stands in `govern.rs`.

mod present;

use crate::action::{Action, Work};
use crate::depends::{locate, positions};
use crate::event::WorkError;
use crate::ids::{GroupId, ResourceId};
use crate::message::{Factor, FailedResource, GroupReport, Origin, Phase, ResourceState, WantedAway};
use crate::plan::{FinalAction, Plan};

/// What a group is meant to be here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Off.
    Off,
    /// On.
    On,
}

#[derive(Debug, Clone, Default)]
struct LocalResource {
    state: ResourceState,
    tries: u32,
    op: Option<u64>,
    detaching: bool,
    /// To be taken off and activated again.
    cycle: bool,
    /// Kept off by a final action although the group is on.
    held_off: bool,
    /// It was left over from an earlier life, whose right to it nobody knows.
    left_over: bool,
    /// Used here by somebody else: counts as not off, and is verified again instead of being deactivated.
    occupied: bool,
}

/// One group on this server.
#[derive(Debug, Clone)]
pub struct LocalGroup {
    goal: Goal,
    factor: Factor,
    origin: Origin,
    resources: Vec<LocalResource>,
    /// Serial of the last order taken.
    pub order: u64,
    /// Why it was refused.
    pub refused: Option<String>,
    /// The resource that stopped the activation.
    pub failed: Option<FailedResource>,
    /// A monitor's wish.
    pub wanted_away: Option<WantedAway>,
    /// The final action of the failed resource was carried out.
    pub final_done: bool,
    /// A final action stopped the group.
    pub given_up: bool,
}

/// What an ended operation means beyond its resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Nothing else.
    Step,
    /// An activation failed and is tried again.
    ActivateAgain(WorkError),
    /// An activation failed for good.
    ActivateFailed(WorkError),
    /// A deactivation failed; it is tried again, or the resource is detached.
    DeactivateAgain(WorkError),
    /// What could not be deactivated was detached.
    Detached,
    /// A deactivation failed for good, detaching included.
    DeactivateFailed(WorkError),
}

/// All groups on this server.
#[derive(Debug, Clone)]
pub struct Executor {
    groups: Vec<LocalGroup>,
    next_op: u64,
}

impl Executor {
    /// Nothing is verified yet: anything may be left from an earlier life (rule R5).
    pub fn new(plan: &Plan) -> Self {
        let groups = plan
            .groups
            .iter()
            .map(|group| LocalGroup {
                goal: Goal::Off,
                factor: Factor::GroupStop,
                origin: Origin::Fresh,
                resources: vec![
                    LocalResource { state: ResourceState::Unverified, ..LocalResource::default() };
                    group.resources.len()
                ],
                order: 0,
                refused: None,
                failed: None,
                wanted_away: None,
                final_done: false,
                given_up: false,
            })
            .collect();
        Executor { groups, next_op: 1 }
    }

    /// One group.
    pub fn group(&self, id: GroupId) -> &LocalGroup {
        &self.groups[id.index()]
    }

    /// One group, to change its notes.
    pub fn group_mut(&mut self, id: GroupId) -> &mut LocalGroup {
        &mut self.groups[id.index()]
    }

    /// State of the group as a whole.
    pub fn phase(&self, id: GroupId) -> Phase {
        self.group(id).phase()
    }

    /// The resource that stopped the activation of a group.
    pub fn failed_resource(&self, plan: &Plan, id: GroupId) -> Option<ResourceId> {
        let position = self.group(id).failed.as_ref()?.position;
        plan.group(id).resources.get(usize::from(position)).copied()
    }

    /// State of one resource.
    pub fn resource(&self, plan: &Plan, id: ResourceId) -> ResourceState {
        let (group, position) = locate(plan, id);
        self.group(group).resources[position].state
    }

    /// Does the group act here by this engine's doing? What somebody else uses, or may be left from an earlier life, is no reason
    /// for an emergency; as long as it is there without a right, the watchdog is not fed.
    pub fn acts(&self, id: GroupId) -> bool {
        let group = self.group(id);
        let only_occupied = group.resources.iter().all(|resource| resource.occupied || resource.state == ResourceState::Off);
        !matches!(group.phase(), Phase::Off | Phase::Possible) && !only_occupied
    }

    /// Does anything of any group still act, or may it?
    pub fn holds_anything(&self) -> bool {
        self.groups.iter().any(|group| group.phase().is_held())
    }

    /// Make sure that nothing is left from an earlier life.
    pub fn verify_all(&mut self, plan: &Plan, out: &mut Vec<Action>) {
        for group in plan.group_ids() {
            for position in 0..self.group(group).resources.len() {
                self.issue(plan, group, position, Work::Verify, out);
            }
        }
    }

    /// Activate the group.
    pub fn start(&mut self, plan: &Plan, id: GroupId, origin: Origin, out: &mut Vec<Action>) {
        let group = self.group_mut(id);
        group.goal = Goal::On;
        group.origin = origin;
        group.failed = None;
        group.wanted_away = None;
        group.final_done = false;
        group.given_up = false;
        for resource in &mut group.resources {
            resource.tries = 0;
            resource.cycle = false;
            resource.held_off = false;
        }
        self.pump(plan, id, out);
    }

    /// Deactivate the group.
    pub fn stop(&mut self, plan: &Plan, id: GroupId, factor: Factor, out: &mut Vec<Action>) {
        let group = self.group_mut(id);
        group.goal = Goal::Off;
        group.factor = factor;
        group.wanted_away = None;
        for resource in &mut group.resources {
            resource.cycle = false;
            resource.held_off = false;
            if resource.state == ResourceState::DeactivateFailed && resource.op.is_none() && !resource.occupied {
                // Asked again: one more round of the ladder.
                resource.state = ResourceState::On;
                resource.tries = 0;
                resource.detaching = false;
            }
        }
        self.pump(plan, id, out);
    }

    /// A verification found somebody else's use of the resource: its group is held, so that nobody starts it, until a later
    /// verification finds it free. True when that is news.
    pub fn occupied(&mut self, plan: &Plan, op: u64, id: ResourceId) -> bool {
        let (group, position) = locate(plan, id);
        let resource = &mut self.group_mut(group).resources[position];
        let verifying = resource.state == ResourceState::Unverified || resource.occupied;
        if resource.op != Some(op) || !verifying {
            return false;
        }
        resource.op = None;
        resource.state = ResourceState::DeactivateFailed;
        !std::mem::replace(&mut resource.occupied, true)
    }

    /// Is anything used here by somebody else?
    pub fn has_occupied(&self) -> bool {
        self.groups.iter().flat_map(|group| &group.resources).any(|resource| resource.occupied)
    }

    /// Look again at everything that somebody else used.
    pub fn verify_occupied(&mut self, plan: &Plan, out: &mut Vec<Action>) {
        for group in plan.group_ids() {
            for position in 0..self.group(group).resources.len() {
                let resource = &self.group(group).resources[position];
                if resource.occupied && resource.op.is_none() {
                    self.issue(plan, group, position, Work::Verify, out);
                }
            }
        }
    }

    /// Could something not be deactivated, by this server's own doing?
    pub fn has_failed(&self) -> bool {
        let failed = |resource: &LocalResource| resource.state == ResourceState::DeactivateFailed && !resource.occupied;
        self.groups.iter().flat_map(|group| &group.resources).any(failed)
    }

    /// Try again to detach it: what it waits for may have been repaired.
    pub fn detach_again(&mut self, plan: &Plan, out: &mut Vec<Action>) {
        for group in plan.group_ids() {
            for position in 0..self.group(group).resources.len() {
                let resource = &self.group(group).resources[position];
                if resource.state == ResourceState::DeactivateFailed && !resource.occupied && resource.op.is_none() {
                    let work = if resource.left_over { Work::Verify } else { Work::Detach };
                    self.issue(plan, group, position, work, out);
                }
            }
        }
    }

    /// Take these resources and all that depend on them off, then on again: a start like one by hand.
    pub fn reactivate(&mut self, plan: &Plan, id: GroupId, from: &[ResourceId], factor: Factor, out: &mut Vec<Action>) {
        for position in positions(plan, id, from) {
            let resource = &mut self.group_mut(id).resources[position];
            resource.cycle = true;
            resource.tries = 0;
        }
        let group = self.group_mut(id);
        group.factor = factor;
        group.origin = Origin::Fresh;
        self.pump(plan, id, out);
    }

    /// Take these resources and all that depend on them off and leave them so.
    pub fn hold_off(&mut self, plan: &Plan, id: GroupId, from: &[ResourceId], out: &mut Vec<Action>) {
        for position in positions(plan, id, from) {
            self.group_mut(id).resources[position].held_off = true;
        }
        self.pump(plan, id, out);
    }

    /// Activate resources that were left off although their group is on; scripts see a start by an operator.
    pub fn release(&mut self, plan: &Plan, id: GroupId, which: &[ResourceId], out: &mut Vec<Action>) {
        let members = &plan.group(id).resources;
        let group = self.group_mut(id);
        group.origin = Origin::Fresh;
        for (_, resource) in members.iter().zip(&mut group.resources).filter(|(member, _)| which.contains(member)) {
            resource.held_off = false;
            resource.tries = 0;
        }
        self.pump(plan, id, out);
    }

    /// Everything is being given up at once: results of running operations no longer count.
    pub fn emergency(&mut self) {
        for group in &mut self.groups {
            group.goal = Goal::Off;
            group.wanted_away = None;
            for resource in &mut group.resources {
                resource.op = None;
                resource.cycle = false;
                if resource.state != ResourceState::Off {
                    resource.state = ResourceState::Deactivating;
                }
            }
        }
    }

    /// The emergency is over: everything is verified off.
    pub fn emergency_done(&mut self) {
        for resource in self.groups.iter_mut().flat_map(|group| &mut group.resources) {
            *resource = LocalResource::default();
        }
    }

    /// An operation ended; None when it is not the one that is waited for.
    pub fn done(
        &mut self,
        plan: &Plan,
        op: u64,
        id: ResourceId,
        result: Result<(), WorkError>,
        out: &mut Vec<Action>,
    ) -> Option<(GroupId, Ended)> {
        let (group_id, position) = locate(plan, id);
        let planned = plan.resource(id);
        let off = plan.restraints.no_recovery;
        let retries = (
            if off.activation { 0 } else { planned.activate_retry },
            if off.deactivation { 0 } else { planned.deactivate_retry },
        );
        let group = self.group_mut(group_id);
        let resource = &mut group.resources[position];
        if resource.op != Some(op) {
            return None;
        }
        resource.op = None;
        let mut ended = Ended::Step;
        match (resource.state, result) {
            (ResourceState::Activating, Ok(())) => {
                resource.state = ResourceState::On;
                resource.tries = 0;
            }
            (ResourceState::Activating, Err(error)) if group.goal == Goal::On && resource.tries < retries.0 => {
                resource.tries += 1;
                resource.state = ResourceState::Off;
                ended = Ended::ActivateAgain(error);
            }
            (ResourceState::Activating, Err(error)) => {
                resource.state = ResourceState::ActivateFailed;
                if group.goal == Goal::On {
                    let position = u16::try_from(position).expect("a group's list fits the plan's limits");
                    group.failed = Some(FailedResource { position, reason: format!("{}: {}", planned.name, error.reason) });
                    // Nothing is left to follow when recovery is switched off.
                    group.final_done = off.activation;
                    ended = Ended::ActivateFailed(error);
                }
            }
            (ResourceState::Unverified | ResourceState::Deactivating, Ok(())) => {
                resource.state = ResourceState::Off;
                resource.occupied = false;
                resource.tries = 0;
                if std::mem::take(&mut resource.detaching) {
                    ended = Ended::Detached;
                }
            }
            (ResourceState::Unverified, Err(error)) => {
                resource.state = ResourceState::DeactivateFailed;
                resource.left_over = true;
                ended = Ended::DeactivateFailed(error);
            }
            (ResourceState::Deactivating, Err(error)) if !resource.detaching && resource.tries < retries.1 => {
                resource.tries += 1;
                resource.state = ResourceState::On;
                ended = Ended::DeactivateAgain(error);
            }
            (ResourceState::Deactivating, Err(error)) if !resource.detaching => {
                resource.detaching = true;
                self.issue(plan, group_id, position, Work::Detach, out);
                ended = Ended::DeactivateAgain(error);
            }
            (ResourceState::Deactivating, Err(error)) => {
                resource.state = ResourceState::DeactivateFailed;
                ended = Ended::DeactivateFailed(error);
            }
            (ResourceState::DeactivateFailed, Ok(())) if resource.occupied => {
                *resource = LocalResource { held_off: resource.held_off, ..LocalResource::default() };
            }
            (ResourceState::DeactivateFailed, Ok(())) => {
                *resource = LocalResource { held_off: resource.held_off, ..LocalResource::default() };
                ended = Ended::Detached;
            }
            // It is not free yet, and what is wrong was told.
            (ResourceState::DeactivateFailed, Err(_)) => {}
            (state, _) => unreachable!("no operation runs on a resource that is {state:?}"),
        }
        self.pump(plan, group_id, out);
        Some((group_id, ended))
    }

    /// Begin every operation that the order allows.
    fn pump(&mut self, plan: &Plan, id: GroupId, out: &mut Vec<Action>) {
        self.end_cycles(id);
        let members = &plan.group(id).resources;
        for (position, resource_id) in members.iter().enumerate() {
            let group = self.group(id);
            let resource = &group.resources[position];
            if resource.op.is_some() {
                continue;
            }
            let wants_on = group.goal == Goal::On && !resource.cycle && !resource.held_off;
            let state = resource.state;
            let ready = plan.resource(*resource_id).depends.iter().all(|needed| {
                let (_, at) = locate(plan, *needed);
                let goes_on = plan.resource(*needed).activate_action == FinalAction::NothingContinue;
                let state = group.resources[at].state;
                state == ResourceState::On || (state == ResourceState::ActivateFailed && goes_on)
            });
            let free = members.iter().enumerate().all(|(at, other)| {
                !plan.resource(*other).depends.contains(resource_id) || group.resources[at].state == ResourceState::Off
            });
            if wants_on && state == ResourceState::Off && ready {
                let origin = group.origin;
                self.issue(plan, id, position, Work::Activate { origin }, out);
            } else if !wants_on && matches!(state, ResourceState::On | ResourceState::ActivateFailed) && free {
                let factor = group.factor;
                self.issue(plan, id, position, Work::Deactivate { factor }, out);
            }
        }
    }

    /// A reactivation turns round once everything it covers is off.
    fn end_cycles(&mut self, id: GroupId) {
        let group = self.group_mut(id);
        let turning = group.resources.iter().any(|resource| resource.cycle);
        let all_off = group.resources.iter().all(|r| !r.cycle || (r.state == ResourceState::Off && r.op.is_none()));
        if turning && all_off {
            group.resources.iter_mut().for_each(|resource| resource.cycle = false);
            group.factor = Factor::GroupStop;
        }
    }

    fn issue(&mut self, plan: &Plan, id: GroupId, position: usize, work: Work, out: &mut Vec<Action>) {
        let op = self.next_op;
        self.next_op += 1;
        let resource = &mut self.group_mut(id).resources[position];
        resource.op = Some(op);
        resource.state = match work {
            // Held until it is known to be free.
            Work::Verify | Work::Detach if resource.state == ResourceState::DeactivateFailed => ResourceState::DeactivateFailed,
            Work::Verify => ResourceState::Unverified,
            Work::Activate { .. } => ResourceState::Activating,
            Work::Deactivate { .. } | Work::Detach => ResourceState::Deactivating,
        };
        out.push(Action::Resource { op, resource: plan.group(id).resources[position], work });
    }
}

impl LocalGroup {
    /// State as a whole. One look at the resources: it is asked for after every event, of every group.
    pub fn phase(&self) -> Phase {
        let (mut unverified, mut off, mut whole) = (false, true, true);
        for resource in &self.resources {
            let state = resource.state;
            if state == ResourceState::DeactivateFailed {
                return Phase::OfflineFailure;
            }
            unverified |= state == ResourceState::Unverified;
            off &= state == ResourceState::Off;
            let left_off = resource.held_off && state == ResourceState::Off;
            whole &= !resource.cycle && (state == ResourceState::On || left_off);
        }
        match self.goal {
            _ if unverified => Phase::Possible,
            Goal::On if self.failed.is_some() => Phase::OnlineFailure,
            Goal::On if whole => Phase::On,
            Goal::On => Phase::Starting,
            Goal::Off if off => Phase::Off,
            Goal::Off => Phase::Stopping,
        }
    }

    /// Does the report still say all of this?
    pub(crate) fn is_as(&self, told: &GroupReport) -> bool {
        let states = self.resources.iter().map(|resource| &resource.state);
        states.eq(&told.resources)
            && (self.order, self.final_done, self.given_up) == (told.order, told.final_done, told.given_up)
            && (&self.refused, &self.failed, &self.wanted_away) == (&told.refused, &told.failed, &told.wanted_away)
            && self.phase() == told.phase
    }

    /// This group's part of the report.
    pub fn report(&self) -> GroupReport {
        GroupReport {
            phase: self.phase(),
            resources: self.resources.iter().map(|resource| resource.state).collect(),
            order: self.order,
            refused: self.refused.clone(),
            failed: self.failed.clone(),
            wanted_away: self.wanted_away.clone(),
            final_done: self.final_done,
            given_up: self.given_up,
        }
    }
}
