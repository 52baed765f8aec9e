//! How this server goes: by an operator's stop, in good order with a farewell, or because it has no right to act any more.

use crate::action::{Action, Alert};
use crate::cluster::Cluster;
use crate::ids::{GroupId, ServerId, ServerSet};
use crate::message::{Factor, Mode, Phase};
use crate::plan::AfterStop;
use crate::time::Time;
use crate::waits::Waiting;

/// Intervals for which a farewell is repeated, so that one lost frame does not turn it into a silence.
const FAREWELL_INTERVALS: u32 = 3;

/// A service stop in progress.
#[derive(Debug, Clone)]
pub(crate) struct Leaving {
    pub then: AfterStop,
    /// Operators waiting for it.
    pub asked: Vec<u64>,
    /// Since when everything is off.
    pub farewell_since: Option<Time>,
    /// Every server stops: wait for the others' farewells.
    pub all: bool,
    /// Groups that stop only when others are off (`waits.rs`).
    pub waiting: Vec<(GroupId, Option<Waiting>)>,
}

impl Cluster {
    /// Rule R0: who has no right gives up addresses, then groups, within the bound, and starts nothing.
    pub(crate) fn yield_right(&mut self, now: Time) {
        if self.emergency || self.is_at_rest() || !self.executor.holds_anything() {
            return;
        }
        // What was never verified in this life is being taken off already.
        let acting = self.plan.group_ids().any(|group| self.executor.acts(group));
        let Err(lost) = self.contact.must_yield(now, &self.partition) else { return };
        if !acting {
            return;
        }
        let reason = format!(
            "no acknowledgement from {} for {} ms and the partition resolution does not let this side go on ({})",
            self.plan.server(lost.server),
            lost.age.as_millis(),
            self.partition.reason,
        );
        for group in self.plan.group_ids() {
            if self.executor.phase(group).is_held() {
                self.cause(now, group, format!("given up here at once: {reason}"));
            }
        }
        self.emergency = true;
        self.executor.emergency();
        self.elsewhere.emergency();
        self.out.push(Action::Alert(Alert::RightLost { reason: reason.clone(), answered: self.partition.said_no() }));
        self.out.push(Action::Emergency { reason });
    }

    pub(crate) fn emergency_done(&mut self, now: Time) {
        if !self.emergency {
            return;
        }
        self.executor.emergency_done();
        // It can tell nobody of a stop of all any more: it goes alone.
        if let Some(leaving) = &mut self.leaving {
            leaving.all = false;
        }
        let then = self.plan.partition_action;
        self.leave(now, None, then, false);
    }

    /// Something may still act without a right: no farewell, which would let others start it. What ends it is the action that follows, or
    /// the watchdog, which is no longer fed.
    pub(crate) fn emergency_failed(&mut self, now: Time, reason: &str) {
        if !self.emergency {
            return;
        }
        for group in self.plan.group_ids() {
            if self.executor.phase(group).is_held() {
                self.cause(now, group, format!("it may still act here: {reason}"));
            }
        }
        if self.plan.partition_action != AfterStop::Nothing {
            self.exited = true;
            self.out.push(Action::Exit { then: self.plan.partition_action, clean: false });
        }
    }

    /// Stop the service here: groups off, farewell, exit.
    pub(crate) fn leave(&mut self, now: Time, asked: Option<u64>, then: AfterStop, all: bool) {
        if let Some(leaving) = &mut self.leaving {
            leaving.asked.extend(asked);
            leaving.all |= all;
            return;
        }
        let asked = asked.into_iter().collect();
        self.leaving = Some(Leaving { then, asked, farewell_since: None, all, waiting: Vec::new() });
        let active = |group: &GroupId| !matches!(self.executor.phase(*group), Phase::Off | Phase::Possible);
        let (wait, stop): (Vec<_>, Vec<_>) =
            self.plan.group_ids().filter(active).partition(|group| self.waits_at_end(*group, all));
        for group in stop {
            let factor = self.leaving_factor();
            self.stop_here(now, group, factor, "the cluster service stops");
        }
        if let Some(leaving) = &mut self.leaving {
            leaving.waiting = wait.into_iter().map(|group| (group, None)).collect();
        }
        self.release_stops(now);
    }

    /// What scripts are told while this server goes.
    pub(crate) fn leaving_factor(&self) -> Factor {
        let all = self.leaving.as_ref().is_some_and(|leaving| leaving.all);
        if all { Factor::ClusterShutdown } else { Factor::ServerShutdown }
    }

    pub(crate) fn finish_leaving(&mut self, now: Time) {
        if self.leaving.is_none() {
            return;
        }
        let interval = self.plan.timing.interval;
        let off = !self.executor.holds_anything();
        let stuck = self.plan.group_ids().any(|group| self.executor.phase(group) == Phase::OfflineFailure);
        let members = self.views.members();
        let failed: ServerSet = members.iter().copied().filter(|member| self.failed_to_stop(*member)).collect();
        let held = (self.document.epoch, self.document.version);
        // Who coordinates a stop of all says farewell only after everybody knows of it: nobody else would tell them.
        let untold = self.views.coordinator() == Some(self.identity.me)
            && members.iter().any(|member| {
                *member != self.identity.me
                    && self.document_seen[member.index()] < held
                    && self.contact.is_alive(now, *member)
                    && !self.contact.is_left(*member)
            });
        let settled = self.plan.group_ids().all(|group| matches!(self.executor.phase(group), Phase::Off | Phase::OfflineFailure));
        let Some(leaving) = &mut self.leaving else { return };
        if stuck && settled && leaving.then != AfterStop::Nothing {
            // A failed stop forbids the farewell; the shutdown itself is then what ends the group here.
            self.exited = true;
            self.out.push(Action::Exit { then: leaving.then, clean: false });
            return;
        }
        if stuck && settled && !leaving.all {
            // Ending the service would leave something active that nobody looks after: it goes on instead.
            self.stay("a group could not be stopped, so the cluster service goes on");
            return;
        }
        if !off || (leaving.all && untold && leaving.farewell_since.is_none()) {
            return;
        }
        let since = *leaving.farewell_since.get_or_insert(now);
        if since == now {
            self.next_beat = now;
        }
        let said = now.since(since) >= interval * FAREWELL_INTERVALS;
        // Others that stop too are waited for, but not one that cannot, or that goes on because the stop never reached it.
        let patient = now.since(since) < self.plan.timing.timeout * 2;
        let waits = leaving.all
            && members.iter().any(|member| {
                *member != self.identity.me
                    && self.contact.is_alive(now, *member)
                    && !self.contact.is_left(*member)
                    && !failed.has(*member)
                    && (patient || self.contact.peer(*member).mode == Mode::Leaving)
            });
        if said && !waits {
            let asked = std::mem::take(&mut leaving.asked);
            let then = leaving.then;
            let name = self.plan.server(self.identity.me).to_string();
            for id in asked {
                let answer = crate::message::Answer::Done { details: vec![format!("{name} stopped")] };
                self.out.push(Action::Answer { id, answer });
            }
            self.answer_on_exit();
            self.exited = true;
            self.out.push(Action::Exit { then, clean: true });
        }
    }

    /// The service goes on after all; whoever asked for its stop is told why.
    pub(crate) fn stay(&mut self, reason: &str) {
        for id in self.leaving.take().into_iter().flat_map(|leaving| leaving.asked) {
            let remedy = "see clpstat --why for that group; stop it by hand or reboot the server".to_string();
            self.out.push(Action::Answer { id, answer: crate::message::Answer::Refused { reason: reason.into(), remedy } });
        }
    }

    pub(crate) fn failed_to_stop(&self, server: ServerId) -> bool {
        let failed = |group| self.report_of(server, group).is_some_and(|report| report.phase == Phase::OfflineFailure);
        self.plan.group_ids().any(failed)
    }

    /// Members of the committed view that take orders and give candidates.
    pub(crate) fn leaving_members(&self) -> ServerSet {
        self.views
            .members()
            .into_iter()
            .filter(|server| {
                if *server == self.identity.me {
                    self.leaving.is_some() || self.emergency
                } else {
                    self.contact.peer(*server).mode != Mode::Running
                }
            })
            .collect()
    }
}
