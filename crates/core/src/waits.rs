//! Waits between groups (clp-conf.md 8, `depend`): a group starts when others are online, and stops when others are off.
//!
//! The coordinator keeps the start waits and those of an operator's stop; each server those of its own end. A wait ends
//! when what is waited for is true, when it has failed for good, or with its time: then the start is given up, and the stop
//! goes on. No wait holds up what a server must give up because it lost its right (rule R0 knows nothing of them).

use std::time::Duration;

use crate::action::{Action, Alert, Wait};
use crate::cluster::Cluster;
use crate::ids::{GroupId, ServerId, ServerSet};
use crate::message::{OrderKind, Phase};
use crate::time::Time;

/// A wait of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// Since when; it does not begin anew when another group is waited for next.
    since: Time,
    on: GroupId,
}

/// What a look at a wait says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Nothing is waited for.
    Free,
    /// Go on waiting, until then at the latest.
    Until(Time),
    /// It ended without what was waited for.
    Vain(Wait, GroupId),
}

impl Cluster {
    /// Must the group wait before it starts on this server? A wait in vain gives the start up until an operator orders it.
    pub(crate) fn must_wait_to_start(&mut self, now: Time, group: GroupId, on: ServerId) -> bool {
        let awaited = self.start_awaits(group, on);
        let failed = awaited.is_some_and(|awaited| self.failed_for_good(awaited));
        let limit = self.plan.group(group).waits.start_limit;
        let mut waiting = self.orders.start_waits[group.index()];
        let verdict = judge(now, &mut waiting, awaited, failed, limit);
        let before = std::mem::replace(&mut self.orders.start_waits[group.index()], waiting);
        self.tell_wait(group, before, awaited, verdict, true);
        self.orders.nowhere[group.index()] = false;
        match (verdict, awaited) {
            (Verdict::Free, _) => {
                if let Some(before) = before {
                    let name = self.plan.group(before.on).name.clone();
                    self.cause(now, group, format!("the wait for {name} is over"));
                }
                false
            }
            (Verdict::Until(at), Some(awaited)) => {
                self.wake_at(at);
                let name = &self.plan.group(awaited).name;
                let why = self.why_not_online(awaited);
                let reason = format!("waiting until {name} is online, at most {} s{why}", limit.as_secs());
                self.note_stranded(now, group, &reason);
                true
            }
            (Verdict::Until(_), None) => true,
            (Verdict::Vain(wait, awaited), _) => {
                let name = &self.plan.group(awaited).name;
                let how = match wait {
                    Wait::Failed => format!("{name}, which it waits for, failed"),
                    _ => format!("{name} did not come online within {} s", limit.as_secs()),
                };
                let why = format!("its start was given up: {how}{}", self.why_not_online(awaited));
                let intent = &mut self.document.groups[group.index()];
                intent.run = false;
                intent.target = None;
                intent.why.clone_from(&why);
                self.orders.stranded[group.index()].clear();
                self.cause(now, group, why);
                self.document_changed(now);
                true
            }
        }
    }

    /// The first group that is not yet as this one needs it for a start on a server.
    pub(crate) fn start_awaits(&self, group: GroupId, on: ServerId) -> Option<GroupId> {
        let members = self.views.members();
        let phase = |server: ServerId, of: GroupId| self.report_of(server, of).map_or(Phase::Off, |report| report.phase);
        // A server that has just started holds everything as possible until it has looked: that hides nobody who really has it.
        let open = |after: &&crate::plan::StartAfter| {
            let is = |wanted: fn(Phase) -> bool| members.iter().any(|server| wanted(phase(*server, after.group)));
            if is(|phase| phase == Phase::On) {
                return false;
            }
            if !after.same_server || phase(on, after.group).is_held() {
                return true;
            }
            !is(|phase| phase.is_held() && phase != Phase::Possible) && self.is_to_start_on(after.group, on)
        };
        self.plan.group(group).waits.start.iter().find(open).map(|after| after.group)
    }

    /// Nobody holds the group: will it be started on this server next?
    fn is_to_start_on(&self, group: GroupId, on: ServerId) -> bool {
        let ordered = self.orders.open[group.index()].as_ref().filter(|open| matches!(open.order.kind, OrderKind::Start { .. }));
        match ordered {
            Some(open) => open.to.server == on,
            None => self.document.groups[group.index()].run && self.candidates(group, ServerSet::EMPTY).chosen == Some(on),
        }
    }

    /// Its activation failed and its ladder is at the end.
    fn failed_for_good(&self, group: GroupId) -> bool {
        let failed = |server: &ServerId| {
            self.report_of(*server, group).is_some_and(|report| report.phase == Phase::OnlineFailure && report.final_done)
        };
        self.views.members().iter().any(failed)
    }

    fn why_not_online(&self, group: GroupId) -> String {
        let intent = &self.document.groups[group.index()];
        let name = &self.plan.group(group).name;
        if intent.run { String::new() } else { format!("; {name} does not run: {}", intent.why) }
    }

    /// Must an operator's stop of the group, which a server holds, wait?
    pub(crate) fn must_wait_to_stop(&mut self, now: Time, group: GroupId) -> bool {
        let asked = self.document.groups[group.index()].stop_waits && self.plan.group(group).waits.stop_at.group;
        let awaited = if asked { self.stop_awaits(group, None) } else { None };
        let mut waiting = self.orders.stop_waits[group.index()];
        let goes_on = self.stop_verdict(now, group, &mut waiting, awaited, None);
        self.orders.stop_waits[group.index()] = waiting;
        !goes_on
    }

    /// This server goes: groups that wait stop when they need not any more.
    pub(crate) fn release_stops(&mut self, now: Time) {
        let Some(leaving) = &mut self.leaving else { return };
        let all = leaving.all;
        for (group, mut waiting) in std::mem::take(&mut leaving.waiting) {
            if matches!(self.executor.phase(group), Phase::Off | Phase::Possible) || self.emergency {
                continue;
            }
            let only = (!all).then_some(self.identity.me);
            let awaited = if self.waits_at_end(group, all) { self.stop_awaits(group, only) } else { None };
            if self.stop_verdict(now, group, &mut waiting, awaited, only) {
                let factor = self.leaving_factor();
                self.stop_here(now, group, factor, "the cluster service stops");
            } else if let Some(leaving) = &mut self.leaving {
                leaving.waiting.push((group, waiting));
            }
        }
    }

    /// Does the group wait for others when the cluster (`all`) or this server stops?
    pub(crate) fn waits_at_end(&self, group: GroupId, all: bool) -> bool {
        let waits = &self.plan.group(group).waits;
        let at = waits.stop_at;
        !waits.stop.is_empty() && if all { at.cluster } else { at.server }
    }

    /// The first group that is not off yet, anywhere or on one server. What could not be stopped is waited for last.
    fn stop_awaits(&self, group: GroupId, only: Option<ServerId>) -> Option<GroupId> {
        let mut held = Vec::new();
        for awaited in self.plan.group(group).waits.stop.iter().copied() {
            match self.held_phase(awaited, only) {
                None => {}
                Some(Phase::OfflineFailure) => held.push(awaited),
                Some(_) => return Some(awaited),
            }
        }
        held.first().copied()
    }

    /// How a group is held: by any member, or by this server alone.
    fn held_phase(&self, group: GroupId, only: Option<ServerId>) -> Option<Phase> {
        match only {
            Some(_) => Some(self.executor.phase(group)).filter(|phase| phase.is_held()),
            None => self.holder(group).map(|(_, phase)| phase),
        }
    }

    /// May the stop go on?
    fn stop_verdict(
        &mut self,
        now: Time,
        group: GroupId,
        waiting: &mut Option<Waiting>,
        awaited: Option<GroupId>,
        only: Option<ServerId>,
    ) -> bool {
        let failed = awaited.is_some_and(|awaited| self.held_phase(awaited, only) == Some(Phase::OfflineFailure));
        let limit = self.plan.group(group).waits.stop_limit;
        let before = *waiting;
        let verdict = judge(now, waiting, awaited, failed, limit);
        self.tell_wait(group, before, awaited, verdict, false);
        let name = |id: GroupId| self.plan.group(id).name.clone();
        let text = match verdict {
            Verdict::Free => before.map(|before| format!("the wait for the stop of {} is over", name(before.on))),
            Verdict::Until(_) => {
                let news = awaited.filter(|awaited| before.is_none_or(|before| before.on != *awaited));
                news.map(|on| format!("its stop waits until {} is off, at most {} s", name(on), limit.as_secs()))
            }
            Verdict::Vain(Wait::Failed, on) => {
                Some(format!("{} could not be stopped, so its own stop waits no longer", name(on)))
            }
            Verdict::Vain(_, on) => Some(format!("{} was not off within {} s; it stops all the same", name(on), limit.as_secs())),
        };
        if let Some(text) = text {
            self.cause(now, group, text);
        }
        if let Verdict::Until(at) = verdict {
            self.wake_at(at);
        }
        !matches!(verdict, Verdict::Until(_))
    }

    fn tell_wait(&mut self, group: GroupId, before: Option<Waiting>, awaited: Option<GroupId>, verdict: Verdict, start: bool) {
        let told = match (verdict, before, awaited) {
            (Verdict::Free, Some(before), _) => Some((before.on, Wait::Over)),
            (Verdict::Until(_), None, Some(on)) => Some((on, Wait::Begins)),
            (Verdict::Until(_), Some(before), Some(on)) if before.on != on => Some((on, Wait::Begins)),
            (Verdict::Vain(wait, on), ..) => Some((on, wait)),
            _ => None,
        };
        if let Some((on, wait)) = told {
            let alert = if start { Alert::StartWait { group, on, wait } } else { Alert::StopWait { group, on, wait } };
            self.out.push(Action::Alert(alert));
        }
    }
}

/// Look at a wait. It ends with `Free` or `Vain`; its time counts from its beginning, whoever is waited for.
fn judge(now: Time, waiting: &mut Option<Waiting>, awaited: Option<GroupId>, failed: bool, limit: Duration) -> Verdict {
    let Some(on) = awaited else {
        *waiting = None;
        return Verdict::Free;
    };
    let since = waiting.map_or(now, |waiting| waiting.since);
    if failed || now.since(since) >= limit {
        *waiting = None;
        return Verdict::Vain(if failed { Wait::Failed } else { Wait::Expired }, on);
    }
    *waiting = Some(Waiting { since, on });
    Verdict::Until(since + limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_with_its_reason_its_failure_or_its_time() {
        let (one, two) = (GroupId(1), GroupId(2));
        let at = |seconds: u64| Time(seconds * 1_000_000);
        let limit = Duration::from_secs(10);
        let mut waiting = None;
        let table = [
            (at(1), None, false, Verdict::Free),
            (at(2), Some(one), false, Verdict::Until(at(12))),
            (at(5), Some(two), false, Verdict::Until(at(12))),
            (at(11), Some(two), false, Verdict::Until(at(12))),
            (at(12), Some(two), false, Verdict::Vain(Wait::Expired, two)),
            (at(13), Some(one), false, Verdict::Until(at(23))),
            (at(14), Some(one), true, Verdict::Vain(Wait::Failed, one)),
            (at(15), Some(one), false, Verdict::Until(at(25))),
            (at(16), None, false, Verdict::Free),
        ];
        for (now, awaited, failed, expected) in table {
            assert_eq!(judge(now, &mut waiting, awaited, failed, limit), expected, "at {now:?}");
            assert_eq!(waiting.is_some(), matches!(expected, Verdict::Until(_)));
        }
    }
}
