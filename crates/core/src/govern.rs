//! The coordinator's work: where each group runs, by orders to members (rules R1, R2; invariants *single-owner*, *no-orphan*).
//!
//! Run after every event. Everything is derived from what servers report and from the document of wishes and counters;
//! an order that got lost is repeated until the target's report names it.

use crate::action::{Action, Alert};
use crate::cluster::Cluster;
use crate::ids::{GroupId, ServerId, ServerSet};
use crate::message::{Factor, GroupReport, Member, Mode, OrderKind, Phase, Report};
use crate::time::Time;

impl Cluster {
    /// Does this server govern a committed view at this moment?
    pub(crate) fn is_governing(&self) -> bool {
        let view = self.views.committed.as_ref();
        view.is_some_and(|view| view.epoch == self.views.promised && view.epoch.server == self.identity.me)
            && !self.views.is_forming()
            && !self.emergency
            && self.mode() != Mode::Left
    }

    /// What a server of this life has told of itself; None before it has.
    pub(crate) fn current_report(&self, server: ServerId) -> Option<&Report> {
        let report = &self.reports[server.index()];
        (report.incarnation == self.member(server).incarnation && report.version != 0).then_some(report)
    }

    pub(crate) fn report_of(&self, server: ServerId, group: GroupId) -> Option<&GroupReport> {
        self.current_report(server)?.groups.get(group.index())
    }

    /// A view of mine was committed: what its newcomers mean for wishes.
    pub(crate) fn welcome(&mut self, now: Time, joined: &[Member]) {
        let failed = self.views.members().into_iter().any(|member| self.failed_to_stop(member));
        if !joined.is_empty() && self.document.stopping.is_some() && failed {
            // The stop of all ended where it could, and failed somewhere; a server that starts now is not to be stopped by it.
            self.document.stopping = None;
        }
        for member in joined {
            for group in self.plan.group_ids() {
                let planned = self.plan.group(group);
                let first = planned.policy.first() == Some(&member.server);
                let intent = &mut self.document.groups[group.index()];
                intent.excluded.remove(member.server);
                let elsewhere = intent.last.is_some_and(|last| last != member.server);
                if planned.failback_auto && first && intent.run && elsewhere && self.document.started {
                    intent.target = Some(member.server);
                    intent.failback = true;
                    let why = format!("failback: {} is back", self.plan.server(member.server));
                    intent.why.clone_from(&why);
                    self.cause(now, group, why);
                }
            }
        }
    }

    /// The document changed: new version, spread at once.
    pub(crate) fn document_changed(&mut self, now: Time) {
        self.document.epoch = self.views.epoch();
        self.document.version += 1;
        self.send_document(now);
    }

    /// What the document asks of every member: stopping of all.
    pub(crate) fn follow_document(&mut self, now: Time) {
        match self.document.stopping {
            Some(then) if !self.emergency && self.leaving.as_ref().is_none_or(|leaving| !leaving.all) => {
                self.out.push(Action::Alert(Alert::ClusterStops { then }));
                self.leave(now, None, then, true);
            }
            // It is over where it failed. Who said farewell goes.
            None if self.leaving.as_ref().is_some_and(|leaving| leaving.all && leaving.farewell_since.is_none()) => {
                self.stay("the stop of the cluster ended: a group could not be stopped and another server has started since");
            }
            _ => {}
        }
    }

    pub(crate) fn govern(&mut self, now: Time) {
        self.orders.wake = None;
        if !self.is_governing() {
            if self.views.coordinator() != Some(self.identity.me) {
                self.orders.forget_waits();
            }
            return;
        }
        if !self.document.started && self.document.stopping.is_none() {
            self.start_cluster(now);
        }
        self.spread_suspension(now);
        if !self.document.started || self.document.suspended {
            return;
        }
        let members: ServerSet = self.views.members().into_iter().collect();
        let unsure = self.document.unsure.minus(members.minus(self.members_behind()));
        if unsure != self.document.unsure {
            self.document.unsure = unsure;
            self.document_changed(now);
        }
        self.forget_old_failovers(now);
        let frozen = self.out_of_reach(now);
        for index in 0..self.orders.sequence.len() {
            self.govern_group(now, self.orders.sequence[index], frozen);
        }
    }

    /// Server sync wait: all servers are there, or the wait is over (guide chapter 9).
    fn start_cluster(&mut self, now: Time) {
        let all = self.plan.server_ids().all(|server| self.views.has(self.member(server)));
        let until = self.start + self.plan.timing.sync_wait;
        if !all && now < until {
            self.orders.wake = Some(until);
            return;
        }
        // Who is not there may hold its groups as suspended. When all have started anew, nobody does.
        if self.document.suspended && !all {
            return;
        }
        self.document.suspended = false;
        self.document.started = true;
        for group in self.plan.group_ids() {
            let planned = self.plan.group(group);
            let intent = &mut self.document.groups[group.index()];
            // A group that already runs (its server kept it while this coordinator was away) goes on.
            let runs = self
                .reports
                .iter()
                .any(|report| report.groups.get(group.index()).is_some_and(|r| matches!(r.phase, Phase::On | Phase::Starting)));
            intent.run = planned.start_auto || runs;
            intent.why =
                if planned.start_auto { "started with the cluster".into() } else { "startup attribute is manual".into() };
        }
        self.document_changed(now);
    }

    fn govern_group(&mut self, now: Time, group: GroupId, frozen: ServerSet) {
        if self.order_is_open(now, group) {
            return;
        }
        let mut holders: Vec<(ServerId, GroupReport)> = Vec::new();
        for server in self.views.members() {
            match self.report_of(server, group) {
                None => return,
                Some(report) if report.phase.is_held() => holders.push((server, report.clone())),
                Some(report) if report.given_up && self.document.groups[group.index()].run => {
                    // The same stop counts once, even when an operator starts the group before its server took note.
                    let stop = Some((self.member(server), report.order));
                    if self.orders.given_up[group.index()] == stop {
                        continue;
                    }
                    self.orders.given_up[group.index()] = stop;
                    let intent = &mut self.document.groups[group.index()];
                    intent.run = false;
                    intent.target = None;
                    intent.why = "stopped by the final action of its ladder".into();
                    self.document_changed(now);
                }
                Some(_) => {}
            }
        }
        let acting: Vec<ServerId> =
            holders.iter().filter(|(_, r)| matches!(r.phase, Phase::On | Phase::Starting)).map(|(s, _)| *s).collect();
        let waits = if holders.is_empty() { &mut self.orders.stop_waits } else { &mut self.orders.start_waits };
        waits[group.index()] = None;
        match (acting.as_slice(), holders.as_slice()) {
            ([first, second, ..], _) => self.double_owner(now, group, *first, *second),
            (_, []) => self.place(now, group, frozen),
            (_, [(server, report)]) => self.keep(now, group, *server, report, frozen),
            // Several hold it: what failed to start on one of them is taken off, the rest is waited for.
            (acting, held) => {
                let keeper = acting.first().copied().or_else(|| held.first().map(|(server, _)| *server));
                let failed = held.iter().find(|(s, r)| r.phase == Phase::OnlineFailure && Some(*s) != keeper);
                if let Some((server, _)) = failed {
                    let why = "it failed to start here and another server holds it as well".to_string();
                    self.order(now, group, *server, OrderKind::Stop { factor: Factor::GroupStop }, why);
                }
            }
        }
    }

    /// Exactly one server holds the group.
    fn keep(&mut self, now: Time, group: GroupId, server: ServerId, report: &GroupReport, frozen: ServerSet) {
        if self.serve_wish(now, group, server, report, frozen) {
            return;
        }
        let intent = &self.document.groups[group.index()];
        if intent.run {
            self.orders.stop_waits[group.index()] = None;
        }
        let leaving = self.leaving_members().has(server);
        match report.phase {
            Phase::On | Phase::Starting if leaving => {}
            Phase::On | Phase::Starting if !intent.run => {
                let why = intent.why.clone();
                if self.must_wait_to_stop(now, group) {
                    return;
                }
                self.order(now, group, server, OrderKind::Stop { factor: Factor::GroupStop }, why);
            }
            Phase::On => {
                let target = intent.target.filter(|target| *target != server);
                // What it waits for may be on its way there too: it goes where it is wanted when it can start there.
                let waits = target.is_some_and(|target| self.start_awaits(group, target).is_some());
                let usable = target.filter(|target| !waits && self.candidates(group, ServerSet::EMPTY).chosen == Some(*target));
                let life = self.member(server).incarnation;
                let same = (intent.last, intent.last_life) == (Some(server), life);
                let settled = same && !intent.after_failure && intent.excluded.is_empty();
                if let Some(target) = usable
                    && frozen.is_empty()
                    && self.contact.right(now, &self.partition).is_ok()
                {
                    let why = format!("move to {}: {}", self.plan.server(target), intent.why);
                    self.relocation_begins(group, self.wanted_relocation(group), target, &why);
                    self.order(now, group, server, OrderKind::Stop { factor: Factor::GroupMove }, why);
                } else if !settled || (intent.target.is_some() && usable.is_none() && !waits) {
                    self.relocation_ends(group, server);
                    let intent = &mut self.document.groups[group.index()];
                    intent.last = Some(server);
                    intent.last_life = life;
                    intent.after_failure = false;
                    intent.excluded = ServerSet::EMPTY;
                    intent.target = target.filter(|_| waits);
                    intent.activation_failovers.fill(0);
                    self.document_changed(now);
                }
            }
            Phase::OnlineFailure => self.activation_failed(now, group, server, report, frozen),
            Phase::OfflineFailure => {
                let reason = format!("it could not be stopped on {}", self.plan.server(server));
                self.relocation_breaks_off(group, &reason);
            }
            _ => {}
        }
    }
}
