//! What the coordinator does about a group in trouble: a failed activation, a monitor's wish, two copies after a split.

use crate::action::{Action, Alert};
use crate::cluster::Cluster;
use crate::ids::{GroupId, MonitorId, ServerId, ServerSet};
use crate::message::{Factor, GroupReport, MonitorState, OrderKind, Phase};
use crate::plan::RecoveryTarget;
use crate::relocating::Relocation;
use crate::time::Time;

impl Cluster {
    /// An activation failed on a server: failover while its count lasts, then the final action there.
    pub(crate) fn activation_failed(
        &mut self,
        now: Time,
        group: GroupId,
        server: ServerId,
        report: &GroupReport,
        frozen: ServerSet,
    ) {
        let Some(failed) = &report.failed else { return };
        let position = usize::from(failed.position);
        let Some(resource) = self.plan.group(group).resources.get(position).copied() else { return };
        if !self.document.groups[group.index()].run {
            let why = self.document.groups[group.index()].why.clone();
            self.order(now, group, server, OrderKind::Stop { factor: Factor::GroupStop }, why);
            return;
        }
        if self.plan.restraints.no_recovery.activation {
            return;
        }
        let planned = self.plan.resource(resource);
        let count = self.document.groups[group.index()].activation_failovers[position];
        let decision = self.candidates(group, [server].into_iter().collect());
        let allowed = self.plan.group(group).failover_auto && frozen.is_empty() && count < planned.activate_failover;
        if let Some(next) = decision.chosen.filter(|_| allowed) {
            let why = format!(
                "{} failed on {}, failover {} of {} to {}",
                failed.reason,
                self.plan.server(server),
                count + 1,
                planned.activate_failover,
                self.plan.server(next)
            );
            self.relocation_failed_on(group, server, &failed.reason);
            self.leave_failed(group, server, &why);
            self.relocation_begins(group, Relocation::Failover, next, &why);
            self.document.groups[group.index()].activation_failovers[position] = count + 1;
            self.document_changed(now);
            self.order(now, group, server, OrderKind::Stop { factor: Factor::GroupFailover }, why);
        } else if !report.final_done {
            let words = self.rejections(&decision);
            let why = format!(
                "{} failed and no failover is left ({count} of {} used{}{words})",
                failed.reason,
                planned.activate_failover,
                if words.is_empty() { "" } else { "; " }
            );
            self.relocation_failed_on(group, server, &failed.reason);
            self.order(now, group, server, OrderKind::Final { position: failed.position }, why);
        }
    }

    pub(crate) fn leave_failed(&mut self, group: GroupId, server: ServerId, why: &str) {
        let intent = &mut self.document.groups[group.index()];
        intent.excluded.insert(server);
        intent.target = None;
        intent.after_failure = true;
        intent.why = why.to_string();
    }

    /// A monitor on the group's server wants it elsewhere: one wish counts once, whether it can be fulfilled or not.
    pub(crate) fn serve_wish(
        &mut self,
        now: Time,
        group: GroupId,
        server: ServerId,
        report: &GroupReport,
        frozen: ServerSet,
    ) -> bool {
        let Some(wish) = &report.wanted_away else { return false };
        let monitor = wish.monitor;
        // One wish names several groups when a monitor watches the whole server; each group is served once.
        let served = self.document.served.contains(&(server, group, monitor, wish.serial));
        if served || report.phase != Phase::On {
            return false;
        }
        let first = !self.document.served.iter().any(|(s, _, m, serial)| (*s, *m, *serial) == (server, monitor, wish.serial));
        self.document.served.retain(|(s, g, m, _)| (*s, *g, *m) != (server, group, monitor));
        self.document.served.push((server, group, monitor, wish.serial));
        if first {
            let count = &mut self.document.monitor_failovers[monitor.index()];
            *count = count.saturating_add(1);
        }
        let decision = self.candidates(group, [server].into_iter().collect());
        let allowed = self.plan.group(group).failover_auto && frozen.is_empty();
        let why = format!("{} on {}", wish.reason, self.plan.server(server));
        match decision.chosen.filter(|_| allowed) {
            Some(next) => {
                let why = format!("{why}; failover to {}", self.plan.server(next));
                self.leave_failed(group, server, &why);
                self.relocation_begins(group, Relocation::Failover, next, &why);
                self.document_changed(now);
                self.order(now, group, server, OrderKind::Stop { factor: Factor::GroupFailover }, why);
                true
            }
            None => {
                let words =
                    if frozen.is_empty() { self.rejections(&decision) } else { "a server is alive but out of reach".into() };
                self.document_changed(now);
                self.cause(now, group, format!("{why}; it stays, no failover is possible: {words}"));
                false
            }
        }
    }

    /// Failovers that a monitor has counted are forgotten when it has found all well for long wherever its target is: what it
    /// finds next is another failure, and has its own number of failovers.
    pub(crate) fn forget_old_failovers(&mut self, now: Time) {
        let counted = self.plan.monitor_ids().filter(|id| self.document.monitor_failovers[id.index()] > 0);
        let over: Vec<MonitorId> = counted.filter(|id| self.is_steady(*id)).collect();
        for id in &over {
            self.document.monitor_failovers[id.index()] = 0;
        }
        if !over.is_empty() {
            self.document_changed(now);
        }
    }

    fn is_steady(&self, id: MonitorId) -> bool {
        let group = match self.plan.monitor(id).recovery {
            RecoveryTarget::LocalServer => None,
            RecoveryTarget::Group(group) => Some(group),
            RecoveryTarget::Resource(resource) => Some(self.plan.resource(resource).group),
        };
        let mut is_watched = false;
        for server in self.views.members() {
            // Of one that has not told yet nobody knows what it holds, or how that does.
            let Some(report) = self.current_report(server) else { return false };
            let Some(monitor) = report.monitors.get(id.index()) else { return false };
            let is_here = match group {
                Some(group) => report.groups.get(group.index()).is_none_or(|report| report.phase.is_held()),
                None => monitor.state != MonitorState::Off,
            };
            if is_here && !monitor.steady {
                return false;
            }
            is_watched |= is_here;
        }
        is_watched
    }

    /// Decision 5 of the protocol: two copies met after a split.
    pub(crate) fn double_owner(&mut self, now: Time, group: GroupId, first: ServerId, second: ServerId) {
        self.out.push(Action::Alert(Alert::DoubleOwner { group, first, second }));
        let exempt = self.plan.restraints.exempt;
        let swapped = exempt.has(second) && !exempt.has(first) && !self.plan.group(group).shared_data;
        let (first, second) = if swapped { (second, first) } else { (first, second) };
        if exempt.has(first) && !self.plan.group(group).shared_data {
            self.out.push(Action::Alert(Alert::ExemptServer { server: first, other: second }));
        }
        let names = format!("active on {} and {} at once", self.plan.server(first), self.plan.server(second));
        if self.plan.group(group).shared_data {
            let intent = &mut self.document.groups[group.index()];
            intent.run = false;
            intent.stop_waits = false;
            intent.why = format!("{names}: both copies are stopped because they share data; check it, then start the group");
            self.document_changed(now);
            let why = self.document.groups[group.index()].why.clone();
            // One order at a time: the other copy is the only holder afterwards and is stopped because it shall not run.
            self.order(now, group, second, OrderKind::Stop { factor: Factor::GroupStop }, why);
        } else {
            let why = format!("{names}: the copy on {} stays", self.plan.server(first));
            self.order(now, group, second, OrderKind::Stop { factor: Factor::GroupStop }, why);
        }
    }
}
