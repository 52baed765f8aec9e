//! The coordinator's work: where each group runs, by orders to members (rules R1, R2; invariants *single-owner*, *no-orphan*).
//!
//! Run after every event. Everything is derived from what servers report and from the document of wishes and counters;
//! an order that got lost is repeated until the target's report names it.

use std::time::Duration;

use crate::action::{Action, Alert};
use crate::cluster::Cluster;
use crate::fits::{first_serial, is_serial};
use crate::ids::{GroupId, ServerId, ServerSet};
use crate::message::{Factor, GroupReport, Member, Message, Mode, Order, OrderKind, Origin, Phase};
use crate::placement::{Candidates, Decision, choose};
use crate::plan::Exclusion;
use crate::time::Time;
use crate::view::View;

/// Intervals after which a refused start is tried again.
const REFUSED_INTERVALS: u32 = 5;
/// Intervals between the verification of everything and the first start in a life: meanwhile the watchdog is opened, which
/// is not done before the right is proven while anything may be left (rule R5).
const CLEAR_INTERVALS: u32 = 2;

#[derive(Debug, Clone)]
struct Outstanding {
    order: Order,
    to: Member,
    sent: Time,
}

/// Orders of this coordinator.
#[derive(Debug, Clone)]
pub struct Orders {
    open: Vec<Option<Outstanding>>,
    not_before: Vec<Time>,
    stranded: Vec<String>,
    /// No server can take it, whatever is waited for.
    nowhere: Vec<bool>,
    /// The last stop by a final action that was taken note of: where, and under which order it had been started.
    given_up: Vec<Option<(Member, u64)>>,
    serial: u64,
    /// When waiting alone lets a group start.
    pub wake: Option<Time>,
}

impl Orders {
    /// None given.
    pub fn new(groups: usize) -> Self {
        Orders {
            open: vec![None; groups],
            not_before: vec![Time::default(); groups],
            stranded: vec![String::new(); groups],
            nowhere: vec![false; groups],
            given_up: vec![None; groups],
            serial: 0,
            wake: None,
        }
    }

    /// Orders of an older view are void; serials go on above those of any older coordinator.
    pub fn new_view(&mut self, view: &View) {
        self.open.iter_mut().for_each(|open| *open = None);
        self.serial = first_serial(view.epoch);
    }

    /// Why a group that should run does not, empty otherwise.
    pub fn stranded(&self, group: GroupId) -> &str {
        &self.stranded[group.index()]
    }

    /// Is it so because no server can take it?
    pub fn goes_nowhere(&self, group: GroupId) -> bool {
        !self.stranded(group).is_empty() && self.nowhere[group.index()]
    }
}

/// Why a group may not be started yet.
#[derive(Debug, Clone, PartialEq, Eq)]
enum NotYet {
    /// Look again at this time.
    Until(Time, String),
    /// Something else must change.
    Else(String),
}

impl Cluster {
    /// Does this server govern a committed view at this moment?
    pub(crate) fn is_governing(&self) -> bool {
        let view = self.views.committed.as_ref();
        view.is_some_and(|view| view.epoch == self.views.promised && view.epoch.server == self.identity.me)
            && !self.views.is_forming()
            && !self.emergency
            && self.mode() != Mode::Left
    }

    pub(crate) fn report_of(&self, server: ServerId, group: GroupId) -> Option<&GroupReport> {
        let report = &self.reports[server.index()];
        let current = report.incarnation == self.member(server).incarnation && report.version != 0;
        if current { report.groups.get(group.index()) } else { None }
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
        let frozen = self.out_of_reach(now);
        for group in self.plan.group_ids() {
            self.govern_group(now, group, frozen);
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

    /// Is an order for the group on its way? Repeats it when due.
    fn order_is_open(&mut self, now: Time, group: GroupId) -> bool {
        let Some(open) = self.orders.open[group.index()].clone() else { return false };
        let report = self.report_of(open.to.server, group);
        // A higher serial than any that was given is no order of mine; the next one is numbered above it.
        let taken = report.is_some_and(|report| report.order >= open.order.serial);
        if taken || !self.views.has(open.to) {
            let refused = report.filter(|report| report.order == open.order.serial).and_then(|report| report.refused.clone());
            self.orders.open[group.index()] = None;
            if let Some(reason) = refused {
                self.orders.not_before[group.index()] = now + self.plan.timing.interval * REFUSED_INTERVALS;
                self.cause(now, group, format!("{} refused: {reason}", self.plan.server(open.to.server)));
            }
            return false;
        }
        if now.since(open.sent) >= self.plan.timing.interval {
            if let Some(open) = &mut self.orders.open[group.index()] {
                open.sent = now;
            }
            self.send(open.to.server, Message::Order(open.order));
        }
        true
    }

    fn order(&mut self, now: Time, group: GroupId, to: ServerId, kind: OrderKind, why: String) {
        let taken = match to == self.identity.me {
            true => self.executor.group(group).order,
            false => self.report_of(to, group).map_or(0, |report| report.order),
        };
        let taken = Some(taken).filter(|taken| is_serial(self.views.epoch(), self.orders.serial, *taken));
        self.orders.serial = self.orders.serial.max(taken.unwrap_or(0)) + 1;
        let to = self.member(to);
        let order =
            Order { epoch: self.views.epoch(), incarnation: to.incarnation, serial: self.orders.serial, group, kind, why };
        if to.server == self.identity.me {
            self.carry_out(now, order);
            self.refresh_report();
            if let Some(reason) = self.executor.group(group).refused.clone() {
                self.orders.not_before[group.index()] = now + self.plan.timing.interval * REFUSED_INTERVALS;
                self.cause(now, group, format!("not started here: {reason}"));
            }
            return;
        }
        self.send(to.server, Message::Order(order.clone()));
        self.orders.open[group.index()] = Some(Outstanding { order, to, sent: now });
    }

    /// Nobody holds the group: start it where it belongs, once it is certain that nobody else can hold it.
    fn place(&mut self, now: Time, group: GroupId, frozen: ServerSet) {
        let intent = &self.document.groups[group.index()];
        if !intent.run || self.document.stopping.is_some() {
            self.orders.stranded[group.index()].clear();
            return;
        }
        if now < self.orders.not_before[group.index()] {
            self.wake_at(self.orders.not_before[group.index()]);
            return;
        }
        let lost = intent.last.filter(|last| !self.views.members().contains(last));
        if lost.is_some() && !self.plan.group(group).failover_auto && intent.target.is_none() {
            self.strand(now, group, "its failover attribute is manual".into(), false);
            return;
        }
        if let Some(server) = frozen.first() {
            let name = self.plan.server(server);
            self.strand(now, group, format!("{name} is alive but no LAN reaches it, so nothing is started meanwhile"), false);
            return;
        }
        match self.may_start(now, group) {
            Err(NotYet::Until(at, reason)) => {
                self.wake_at(at);
                self.strand(now, group, reason, false);
                return;
            }
            Err(NotYet::Else(reason)) => {
                self.strand(now, group, reason, false);
                return;
            }
            Ok(()) => {}
        }
        let decision = self.candidates(group, ServerSet::EMPTY);
        let Some(chosen) = decision.chosen else {
            let reason = format!("no server can take it: {}", self.rejections(&decision));
            self.strand(now, group, reason, true);
            return;
        };
        self.orders.stranded[group.index()].clear();
        let intent = &mut self.document.groups[group.index()];
        let after_failure = lost.is_some() || intent.after_failure;
        let moved = intent.target == Some(chosen);
        let origin = match (after_failure, intent.last) {
            (true, _) => Origin::Failure,
            (false, Some(_)) => Origin::Moved,
            (false, None) => Origin::Fresh,
        };
        intent.after_failure = after_failure;
        let why = match lost {
            Some(lost) => format!("failover: {} is gone", self.plan.server(lost)),
            None => intent.why.clone(),
        };
        let mut text = format!("start on {}: {why}", self.plan.server(chosen));
        if !decision.rejected.is_empty() {
            text.push_str(&format!(" (passed over: {})", self.rejections(&decision)));
        }
        self.cause(now, group, text);
        if after_failure {
            self.out.push(Action::Alert(Alert::GroupFailover { group, to: chosen, reason: why.clone() }));
        } else if moved {
            self.out.push(Action::Alert(Alert::GroupMove { group, to: chosen }));
        }
        let absent = self.plan.server_ids().filter(|server| !self.views.members().contains(server)).collect();
        self.order(now, group, chosen, OrderKind::Start { origin, absent }, why);
    }

    fn wake_at(&mut self, at: Time) {
        self.orders.wake = Some(self.orders.wake.map_or(at, |wake| wake.min(at)));
    }

    /// A group that should run is not started, for this reason; `nowhere` when no server can take it.
    fn strand(&mut self, now: Time, group: GroupId, reason: String, nowhere: bool) {
        self.orders.nowhere[group.index()] = nowhere;
        let noted = std::mem::replace(&mut self.orders.stranded[group.index()], reason.clone());
        // Figures change with every millisecond of a wait; that is no news.
        let words = |text: &str| text.chars().filter(|letter| !letter.is_ascii_digit()).collect::<String>();
        if words(&noted) != words(&reason) {
            self.cause(now, group, format!("not started: {reason}"));
        }
        if noted.is_empty() {
            self.out.push(Action::Alert(Alert::GroupStranded { group, reason, nowhere }));
        }
    }

    /// Where the group would go if an operator wanted it there now.
    pub(crate) fn choice_for(&self, group: GroupId, target: ServerId) -> Option<ServerId> {
        self.choose_among_members(group, Some(target), ServerSet::EMPTY).chosen
    }

    fn candidates(&self, group: GroupId, besides: ServerSet) -> Decision {
        let intent = &self.document.groups[group.index()];
        self.choose_among_members(group, intent.target, ServerSet(intent.excluded.0 | besides.0))
    }

    fn choose_among_members(&self, group: GroupId, target: Option<ServerId>, excluded: ServerSet) -> Decision {
        let (avoided, barred) = self.excluding(group);
        choose(Candidates {
            policy: &self.plan.group(group).policy,
            target,
            members: self.views.members().into_iter().collect(),
            leaving: self.leaving_members(),
            excluded,
            avoided,
            barred,
        })
    }

    /// Failover exclusion: members that hold another group with an exclusion, or were told to start one. Avoided where both
    /// are *normal*, barred where either is *full*.
    fn excluding(&self, group: GroupId) -> (ServerSet, ServerSet) {
        let (mut avoided, mut barred) = (ServerSet::EMPTY, ServerSet::EMPTY);
        let own = self.plan.group(group).exclusion;
        if own == Exclusion::None {
            return (avoided, barred);
        }
        for other in self.plan.group_ids().filter(|other| *other != group) {
            let hers = self.plan.group(other).exclusion;
            if hers == Exclusion::None {
                continue;
            }
            let ordered = self.orders.open[other.index()]
                .as_ref()
                .filter(|open| matches!(open.order.kind, OrderKind::Start { .. }))
                .map(|open| open.to.server);
            for server in self.views.members() {
                let held = self.report_of(server, other).is_some_and(|report| report.phase.is_held());
                if held || ordered == Some(server) {
                    let set = if own == Exclusion::Full || hers == Exclusion::Full { &mut barred } else { &mut avoided };
                    set.insert(server);
                }
            }
        }
        (avoided, barred)
    }

    fn rejections(&self, decision: &Decision) -> String {
        let words: Vec<String> =
            decision.rejected.iter().map(|(server, why)| format!("{} {why}", self.plan.server(*server))).collect();
        words.join(", ")
    }

    /// Rules R1 and R2: every configured server is a member (and reports the group off), said farewell, or has been silent
    /// for time-out and takeover delay under a Yes that still holds.
    fn may_start(&self, now: Time, group: GroupId) -> Result<(), NotYet> {
        if let Err(lost) = self.contact.right(now, &self.partition) {
            let name = self.plan.server(lost.server);
            let words = format!("no right to act: {name} is silent and {}", self.partition.reason);
            return Err(NotYet::Else(words));
        }
        for server in self.contact.others() {
            let peer = self.contact.peer(server);
            if self.views.has(self.member(server)) || self.contact.is_left(server) {
                continue;
            }
            let name = self.plan.server(server);
            if self.document.unsure.has(server) {
                let words = format!("{name} was cut off while the cluster was suspended and may still run it");
                return Err(NotYet::Else(words));
            }
            let sign = self.contact.sign_of_life(now, server);
            if let Some(sign) = sign
                && self.plan.group(group).life_forbids
            {
                let words = format!(
                    "{name} sends no heartbeat but lives ({sign}) and may still run it; it is taken over when that ends: power {name} off"
                );
                return Err(NotYet::Until(now + self.plan.timing.interval, words));
            }
            let needed = self.silence_needed(group, sign.is_some());
            let silent = now.since(peer.sign);
            if silent < needed {
                let words = format!("waiting until {name} has been silent for {} ms", needed.as_millis());
                return Err(NotYet::Until(peer.sign + needed, words));
            }
            if !self.partition.held(now, peer.sign + self.plan.timing.timeout, needed) {
                let words =
                    format!("{name} is silent and the partition resolution has not said Yes for {} ms", needed.as_millis());
                return Err(NotYet::Until(now + self.plan.timing.interval, words));
            }
        }
        Ok(())
    }

    /// A server that shows that it lives gets the time in which its watchdog would reset it.
    fn silence_needed(&self, group: GroupId, lives: bool) -> Duration {
        let delay = self.plan.takeover_delay(group);
        self.plan.timing.timeout + if lives { delay.max(self.plan.timing.takeover_data) } else { delay }
    }

    /// Exactly one server holds the group.
    fn keep(&mut self, now: Time, group: GroupId, server: ServerId, report: &GroupReport, frozen: ServerSet) {
        if self.serve_wish(now, group, server, report, frozen) {
            return;
        }
        let intent = &self.document.groups[group.index()];
        let leaving = self.leaving_members().has(server);
        match report.phase {
            Phase::On | Phase::Starting if leaving => {}
            Phase::On | Phase::Starting if !intent.run => {
                let why = intent.why.clone();
                self.order(now, group, server, OrderKind::Stop { factor: Factor::GroupStop }, why);
            }
            Phase::On => {
                let target = intent.target.filter(|target| *target != server);
                let usable = target.filter(|target| self.candidates(group, ServerSet::EMPTY).chosen == Some(*target));
                let settled = intent.last == Some(server) && !intent.after_failure && intent.excluded.is_empty();
                if let Some(target) = usable
                    && frozen.is_empty()
                    && self.contact.right(now, &self.partition).is_ok()
                {
                    let why = format!("move to {}: {}", self.plan.server(target), intent.why);
                    self.order(now, group, server, OrderKind::Stop { factor: Factor::GroupMove }, why);
                } else if !settled || (intent.target.is_some() && usable.is_none()) {
                    let intent = &mut self.document.groups[group.index()];
                    intent.last = Some(server);
                    intent.after_failure = false;
                    intent.excluded = ServerSet::EMPTY;
                    intent.target = None;
                    intent.activation_failovers.fill(0);
                    self.document_changed(now);
                }
            }
            Phase::OnlineFailure => self.activation_failed(now, group, server, report, frozen),
            _ => {}
        }
    }

    /// An activation failed on a server: failover while its count lasts, then the final action there.
    fn activation_failed(&mut self, now: Time, group: GroupId, server: ServerId, report: &GroupReport, frozen: ServerSet) {
        let Some(failed) = &report.failed else { return };
        let position = usize::from(failed.position);
        let Some(resource) = self.plan.group(group).resources.get(position).copied() else { return };
        if !self.document.groups[group.index()].run {
            let why = self.document.groups[group.index()].why.clone();
            self.order(now, group, server, OrderKind::Stop { factor: Factor::GroupStop }, why);
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
            self.leave_failed(group, server, &why);
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
            self.order(now, group, server, OrderKind::Final { position: failed.position }, why);
        }
    }

    fn leave_failed(&mut self, group: GroupId, server: ServerId, why: &str) {
        let intent = &mut self.document.groups[group.index()];
        intent.excluded.insert(server);
        intent.target = None;
        intent.after_failure = true;
        intent.why = why.to_string();
    }

    /// A monitor on the group's server wants it elsewhere: one wish counts once, whether it can be fulfilled or not.
    fn serve_wish(&mut self, now: Time, group: GroupId, server: ServerId, report: &GroupReport, frozen: ServerSet) -> bool {
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

    /// Decision 5 of the protocol: two copies met after a split.
    fn double_owner(&mut self, now: Time, group: GroupId, first: ServerId, second: ServerId) {
        self.out.push(Action::Alert(Alert::DoubleOwner { group, first, second }));
        let names = format!("active on {} and {} at once", self.plan.server(first), self.plan.server(second));
        if self.plan.group(group).shared_data {
            let intent = &mut self.document.groups[group.index()];
            intent.run = false;
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

    /// An order arrived from the coordinator.
    pub(crate) fn take_order(&mut self, now: Time, from: ServerId, order: Order) {
        let mine = order.incarnation == self.identity.incarnation;
        let current = order.epoch == self.views.epoch() && order.epoch == self.views.promised && order.epoch.server == from;
        let numbered = current && is_serial(order.epoch, self.executor.group(order.group).order, order.serial);
        if mine && numbered && !self.emergency {
            self.carry_out(now, order);
        }
    }

    fn carry_out(&mut self, now: Time, order: Order) {
        let group = order.group;
        if order.serial <= self.executor.group(group).order {
            return;
        }
        let refused = match &order.kind {
            OrderKind::Start { absent, .. } => self.refusal(now, group, *absent),
            OrderKind::Stop { .. } | OrderKind::Final { .. } => None,
        };
        let local = self.executor.group_mut(group);
        local.order = order.serial;
        local.refused.clone_from(&refused);
        if refused.is_some() {
            return;
        }
        match order.kind {
            OrderKind::Start { origin, .. } => self.start_here(now, group, origin, &order.why),
            OrderKind::Stop { factor } => self.stop_here(now, group, factor, &order.why),
            OrderKind::Final { position } => {
                let Some(resource) = self.plan.group(group).resources.get(usize::from(position)).copied() else { return };
                self.executor.group_mut(group).final_done = true;
                self.cause(now, group, order.why.clone());
                let action = self.plan.resource(resource).activate_action;
                self.tell_final(resource, true, action, &order.why);
                self.final_action(now, group, &[resource], action, &order.why);
            }
        }
    }

    /// Rule R2 at the target: the right must hold here too when the order is carried out.
    fn refusal(&self, now: Time, group: GroupId, absent: ServerSet) -> Option<String> {
        if self.leaving.is_some() {
            return Some("the cluster service is stopping here".into());
        }
        let phase = self.executor.phase(group);
        if phase != Phase::Off {
            return Some(format!("the group is not off here ({phase:?})"));
        }
        let clear = self.plan.timing.interval * CLEAR_INTERVALS;
        if self.clear_since.is_none_or(|since| now.since(since) < clear) {
            return Some("it is not yet certain that nothing is left here from before".into());
        }
        if let Err(lost) = self.contact.right(now, &self.partition) {
            return Some(format!(
                "no right to act here: {} is silent and {}",
                self.plan.server(lost.server),
                self.partition.reason
            ));
        }
        let lives = absent.iter().filter(|_| self.plan.group(group).life_forbids).find_map(|server| {
            let sign = self.contact.sign_of_life(now, server)?;
            Some(format!("{} lives ({sign}) although it is taken as gone", self.plan.server(server)))
        });
        if lives.is_some() {
            return lives;
        }
        let heard = absent
            .iter()
            .find(|server| *server != self.identity.me && self.contact.is_alive(now, *server) && !self.contact.is_left(*server));
        heard.map(|server| format!("{} is heard here although it is taken as gone", self.plan.server(server)))
    }
}
