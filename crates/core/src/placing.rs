//! The coordinator places a group that nobody holds: may it be started at all (rules R1, R2), and where.
//!
//! The choice among candidates itself is `placement.rs`, a plain function.

use std::time::Duration;

use crate::action::{Action, Alert};
use crate::cluster::Cluster;
use crate::ids::{GroupId, ServerId, ServerSet};
use crate::message::{OrderKind, Origin};
use crate::placement::{Candidates, Decision, choose};
use crate::plan::Exclusion;
use crate::relocating::Relocation;
use crate::time::Time;

/// Why a group may not be started yet.
#[derive(Debug, Clone, PartialEq, Eq)]
enum NotYet {
    /// Look again at this time.
    Until(Time, String),
    /// Something else must change.
    Else(String),
}

impl Cluster {
    /// Nobody holds the group: start it where it belongs, once it is certain that nobody else can hold it.
    pub(crate) fn place(&mut self, now: Time, group: GroupId, frozen: ServerSet) {
        let intent = &self.document.groups[group.index()];
        if !intent.run || self.document.stopping.is_some() {
            let why = if intent.run { "every server stops".into() } else { intent.why.clone() };
            self.relocation_breaks_off(group, &why);
            self.orders.stranded[group.index()].clear();
            self.orders.start_waits[group.index()] = None;
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
        // Where its server has rebooted within the time-out it goes on elsewhere if it can, as if that server were still away;
        // where a failback would bring it home at once it stays.
        let reborn = self.reborn(group);
        let planned = self.plan.group(group);
        let away =
            reborn.filter(|server| planned.failover_auto && !(planned.failback_auto && planned.policy.first() == Some(server)));
        let elsewhere = away.map(|server| self.candidates(group, [server].into_iter().collect()));
        let decision = elsewhere.filter(|decision| decision.chosen.is_some());
        let decision = decision.unwrap_or_else(|| self.candidates(group, ServerSet::EMPTY));
        let Some(chosen) = decision.chosen else {
            let reason = format!("no server can take it: {}", self.rejections(&decision));
            if self.orders.stranded[group.index()].is_empty() {
                for server_group in 0..self.plan.group(group).server_groups.len() {
                    self.out.push(Action::Alert(Alert::ServerGroupExhausted { group, server_group }));
                }
            }
            self.relocation_breaks_off(group, &reason);
            self.strand(now, group, reason, true);
            return;
        };
        if self.must_wait_to_start(now, group, chosen) {
            return;
        }
        self.orders.stranded[group.index()].clear();
        let lists = &self.plan.group(group).server_groups;
        if let Some(server_group) = lists.iter().position(|list| list.servers.has(chosen)) {
            self.out.push(Action::Alert(Alert::ServerGroupChosen { group, to: chosen, server_group }));
        }
        let intent = &mut self.document.groups[group.index()];
        let fails_over = lost.is_some() || reborn.is_some_and(|server| server != chosen);
        let after_failure = fails_over || intent.after_failure;
        let moved = intent.target == Some(chosen) && intent.last.is_some();
        let origin = match (after_failure, intent.last) {
            (true, _) => Origin::Failure,
            (false, Some(_)) => Origin::Moved,
            (false, None) => Origin::Fresh,
        };
        intent.after_failure = after_failure;
        let why = match (lost, reborn) {
            (Some(lost), _) if self.contact.is_left(lost) => format!("failover: {} is gone", self.plan.server(lost)),
            (Some(lost), _) => format!("failover: {} is gone ({})", self.plan.server(lost), self.proof_words(lost)),
            (None, Some(reborn)) => {
                format!("{} rebooted within the time-out and runs nothing of before", self.plan.server(reborn))
            }
            (None, None) => intent.why.clone(),
        };
        let mut text = format!("start on {}: {why}", self.plan.server(chosen));
        if !decision.rejected.is_empty() {
            text.push_str(&format!(" (passed over: {})", self.rejections(&decision)));
        }
        self.cause(now, group, text);
        if after_failure {
            self.relocation_begins(group, Relocation::Failover, chosen, &why);
        } else if moved {
            self.relocation_begins(group, self.wanted_relocation(group), chosen, &why);
        }
        let absent = self.plan.server_ids().filter(|server| !self.views.members().contains(server)).collect();
        self.order(now, group, chosen, OrderKind::Start { origin, absent }, why);
    }

    /// The server on which the group ran, when another life of it is a member now and no operator or failback says where next.
    fn reborn(&self, group: GroupId) -> Option<ServerId> {
        let intent = &self.document.groups[group.index()];
        let last = intent.last.filter(|_| intent.target.is_none() && intent.last_life != 0)?;
        let member = self.member(last);
        (self.views.has(member) && member.incarnation != intent.last_life).then_some(last)
    }

    pub(crate) fn wake_at(&mut self, at: Time) {
        self.orders.wake = Some(self.orders.wake.map_or(at, |wake| wake.min(at)));
    }

    /// A group that should run is not started, for this reason; `nowhere` when no server can take it.
    pub(crate) fn strand(&mut self, now: Time, group: GroupId, reason: String, nowhere: bool) {
        self.orders.nowhere[group.index()] = nowhere;
        if self.note_stranded(now, group, &reason) {
            self.out.push(Action::Alert(Alert::GroupStranded { group, reason, nowhere }));
        }
    }

    /// Keep for showing why a group is not started; true when nothing was kept before.
    pub(crate) fn note_stranded(&mut self, now: Time, group: GroupId, reason: &str) -> bool {
        let noted = std::mem::replace(&mut self.orders.stranded[group.index()], reason.to_string());
        // Figures change with every millisecond of a wait; that is no news.
        let words = |text: &str| text.chars().filter(|letter| !letter.is_ascii_digit()).collect::<String>();
        if words(&noted) != words(reason) {
            self.cause(now, group, format!("not started: {reason}"));
        }
        noted.is_empty()
    }

    /// Where the group would go if an operator wanted it there now.
    pub(crate) fn choice_for(&self, group: GroupId, target: ServerId) -> Option<ServerId> {
        self.choose_among_members(group, Some(target), ServerSet::EMPTY).chosen
    }

    pub(crate) fn candidates(&self, group: GroupId, besides: ServerSet) -> Decision {
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

    pub(crate) fn rejections(&self, decision: &Decision) -> String {
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
            if self.views.has(self.member(server)) || self.contact.is_gone(server) {
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
            if let Some(words) = self.lacks_proof(group, server) {
                return Err(NotYet::Else(words));
            }
            let needed = self.silence_needed(group, server, sign.is_some());
            let silent = now.since(peer.sign);
            if silent < needed {
                let words = format!("waiting until {name} has been silent for {} ms", needed.as_millis());
                return Err(NotYet::Until(peer.sign + needed, words));
            }
            if !self.partition.held(now, server, peer.sign + peer.timeout(self.plan.timing.timeout), needed) {
                let words =
                    format!("{name} is silent and the partition resolution has not said Yes for {} ms", needed.as_millis());
                return Err(NotYet::Until(now + self.plan.timing.interval, words));
            }
        }
        Ok(())
    }

    /// A server that shows that it lives gets the time in which its watchdog would reset it, and so does one whose addresses no gate
    /// silences when it hangs.
    fn silence_needed(&self, group: GroupId, server: ServerId, lives: bool) -> Duration {
        let delay = self.plan.takeover_delay(group);
        let timeout = self.contact.peer(server).timeout(self.plan.timing.timeout);
        let timed = lives || !self.reports[server.index()].gated;
        timeout + if timed { delay.max(self.plan.timing.takeover_data) } else { delay }
    }
}
