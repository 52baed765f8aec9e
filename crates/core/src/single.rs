//! Operators' orders for single resources of a group that is active on this server (`clprsc`).
//!
//! A resource is stopped as by the final action "stop the resource": the group goes on without it, until it is started again or
//! the group is. Where a group runs is not decided here: nothing starts where its group is not active by right already.

use std::time::Duration;

use crate::action::{Action, Alert, SingleStep};
use crate::cluster::Cluster;
use crate::command::refused;
use crate::depends::{needed_by, with_dependents};
use crate::ids::{GroupId, ResourceId};
use crate::message::{Answer, Phase, ResourceState};
use crate::time::Time;

/// An order that has no effect after this long is answered as not done; long scripts may take their time.
const SINGLE_LIMIT: Duration = Duration::from_secs(3 * 3600);

/// What an operator wants of one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceOrder {
    /// Active, or not.
    pub on: bool,
    /// Also what it depends on, or what depends on it; without this such a resource stands in the way.
    pub others: bool,
}

/// An order whose effect is waited for.
#[derive(Debug, Clone)]
pub(crate) struct Single {
    id: u64,
    resource: ResourceId,
    on: bool,
    /// All that was ordered with it, itself included.
    all: Vec<ResourceId>,
    since: Time,
}

impl Cluster {
    /// An operator asks this server alone; the answer comes when the effect is true.
    pub(crate) fn resource_order(&mut self, now: Time, id: u64, resource: ResourceId, order: ResourceOrder) {
        if resource.index() >= self.plan.resources.len() {
            let answer = refused("there is no such resource", "see clpstat --rsc");
            self.out.push(Action::Answer { id, answer });
            return;
        }
        let all = match self.check_resource_order(now, resource, order) {
            Ok(all) => all,
            Err(answer) => {
                if let (true, Answer::Refused { reason, .. }) = (order.on, &answer) {
                    self.tell_single(resource, SingleStep::Refused(reason.clone()));
                }
                self.out.push(Action::Answer { id, answer });
                return;
            }
        };
        if all.is_empty() {
            let state = if order.on { "active" } else { "not active" };
            let details = vec![format!("{} is {state} already", self.plan.resource(resource).name)];
            self.out.push(Action::Answer { id, answer: Answer::Done { details } });
            return;
        }
        let group = self.plan.resource(resource).group;
        let names: Vec<&str> = all.iter().map(|one| self.plan.resource(*one).name.as_str()).collect();
        let verb = if order.on { "started" } else { "stopped" };
        let text = format!("{} {verb} here by an operator", names.join(", "));
        self.cause(now, group, text);
        for one in &all {
            self.tell_single(*one, if order.on { SingleStep::Starting } else { SingleStep::Stopping });
        }
        let mut out = std::mem::take(&mut self.out);
        if order.on {
            self.executor.release(&self.plan, group, &all, &mut out);
        } else {
            self.executor.hold_off(&self.plan, group, &all, &mut out);
        }
        self.out = out;
        self.singles.push(Single { id, resource, on: order.on, all, since: now });
    }

    /// The resources that the order changes, or why it is not carried out.
    fn check_resource_order(&self, now: Time, resource: ResourceId, order: ResourceOrder) -> Result<Vec<ResourceId>, Answer> {
        let planned = self.plan.resource(resource);
        let group = planned.group;
        self.check_group_is_here(group)?;
        if self.leaving.is_some() || self.emergency || self.document.stopping.is_some() {
            return Err(refused("the cluster service is stopping here", "start it again with clpcl -s"));
        }
        let state = |one: ResourceId| self.executor.resource(&self.plan, one);
        if !order.on {
            let all = with_dependents(&self.plan, group, &[resource]);
            let all: Vec<ResourceId> = all.into_iter().filter(|one| state(*one) != ResourceState::Off).collect();
            return match all.iter().find(|other| **other != resource) {
                Some(other) if !order.others => Err(refused(
                    format!("{} is active and depends on {}", self.plan.resource(*other).name, planned.name),
                    "stop it too with -f",
                )),
                _ => Ok(all),
            };
        }
        if self.document.suspended {
            return Err(refused("the cluster is suspended", "resume it with clpcl --resume"));
        }
        if let Err(lost) = self.contact.right(now, &self.partition) {
            let name = self.plan.server(lost.server);
            let reason = format!("no right to act here: {name} is silent and {}", self.partition.reason);
            return Err(refused(reason, "repair the interconnect, see clpstat -n"));
        }
        let all: Vec<ResourceId> =
            needed_by(&self.plan, resource).into_iter().filter(|one| state(*one) != ResourceState::On).collect();
        match all.iter().find(|other| **other != resource) {
            Some(other) if !order.others => Err(refused(
                format!("{} depends on {}, which is not active", planned.name, self.plan.resource(*other).name),
                "start it too with -f",
            )),
            _ => Ok(all),
        }
    }

    fn check_group_is_here(&self, group: GroupId) -> Result<(), Answer> {
        let name = &self.plan.group(group).name;
        let here = self.executor.phase(group);
        if here == Phase::On {
            return Ok(());
        }
        Err(match self.holder(group) {
            Some((server, _)) if server != self.identity.me => {
                let on = self.plan.server(server);
                refused(format!("{name} is active on {on}"), format!("name that server with -h {on}"))
            }
            _ if here.is_held() => refused(format!("{name} is {here:?} here"), "wait until it is online, see clpstat"),
            _ => refused(format!("{name} is not active"), format!("start it with clpgrp -s {name}")),
        })
    }

    /// Answer what has come true, or cannot.
    pub(crate) fn watch_resource_orders(&mut self, now: Time) {
        let singles = std::mem::take(&mut self.singles);
        for single in singles {
            let Some(result) = self.single_result(now, &single) else {
                self.singles.push(single);
                continue;
            };
            let step = match (single.on, &result) {
                (true, Ok(_)) => SingleStep::Started,
                (true, Err((reason, _))) => SingleStep::StartFailed(reason.clone()),
                (false, Ok(_)) => SingleStep::Stopped,
                (false, Err((reason, _))) => SingleStep::StopFailed(reason.clone()),
            };
            let done = matches!(step, SingleStep::Started | SingleStep::Stopped);
            for one in single.all.iter().filter(|one| done || **one == single.resource) {
                self.tell_single(*one, step.clone());
            }
            let answer = match result {
                Ok(details) => Answer::Done { details },
                Err((reason, remedy)) => refused(reason, remedy),
            };
            self.out.push(Action::Answer { id: single.id, answer });
        }
    }

    /// None while it is being done.
    fn single_result(&self, now: Time, single: &Single) -> Option<Result<Vec<String>, (String, String)>> {
        let planned = self.plan.resource(single.resource);
        let name = &planned.name;
        let group = &self.plan.group(planned.group).name;
        let why = format!("see clpstat --why {group}");
        let wanted = if single.on { ResourceState::On } else { ResourceState::Off };
        let is = |state: ResourceState| move |one: &ResourceId| self.executor.resource(&self.plan, *one) == state;
        if single.all.iter().all(is(wanted)) {
            let word = if single.on { "active" } else { "not active any more" };
            return Some(Ok(single.all.iter().map(|one| format!("{} is {word}", self.plan.resource(*one).name)).collect()));
        }
        if single.all.iter().any(is(ResourceState::DeactivateFailed)) {
            return Some(Err((format!("{name} could not be stopped"), why)));
        }
        if let (true, Some(failed)) = (single.on, &self.executor.group(planned.group).failed) {
            return Some(Err((format!("{name} could not be started: {}", failed.reason), why)));
        }
        let phase = self.executor.phase(planned.group);
        // The group is whole again without it: somebody ordered otherwise.
        if phase == Phase::On || (single.on && phase != Phase::Starting) {
            return Some(Err((format!("{name}: {group} was started or stopped meanwhile"), why)));
        }
        (now.since(single.since) > SINGLE_LIMIT).then(|| Err((format!("{name}: no result within three hours"), why)))
    }

    fn tell_single(&mut self, resource: ResourceId, step: SingleStep) {
        self.out.push(Action::Alert(Alert::SingleResource { resource, step }));
    }
}
