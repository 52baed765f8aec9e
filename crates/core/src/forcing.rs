//! Proof of death: lost servers are switched off where that is configured, and what is proven decides what may be taken over
//! (rule R12).

use std::time::Duration;

use crate::action::{Action, Alert};
use crate::cluster::Cluster;
use crate::ids::{GroupId, ServerId, ServerSet};
use crate::message::Member;
use crate::proof::Proof;
use crate::time::Time;
use crate::verdict::MethodKind;

/// Between two attempts to switch a server off, at least.
const AGAIN: Duration = Duration::from_secs(5);
/// Longest head start of the stronger side: by then a power controller has done it. Where a dead owner leaves the weaker side behind, as is
/// usual, this is what the head start costs.
const HEAD_START_MAX: Duration = Duration::from_secs(10);

/// What is known of the forced stop of one server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Forced {
    /// The attempt under way.
    asked: Option<Time>,
    /// Why the last one failed, and when.
    failed: Option<(Time, String)>,
    /// When it was proven off.
    proven: Option<Time>,
    /// Would it work?
    works: Option<bool>,
}

impl Cluster {
    /// The coordinator of a side that may go on switches off whom it takes for lost. The weaker side waits for another time-out, of 10 s at
    /// most, so that two do not switch each other off.
    pub(crate) fn force_stops(&mut self, now: Time) {
        if !self.plan.forced_stop || !self.is_governing() || !self.document.started || self.document.suspended {
            return;
        }
        if self.contact.right(now, &self.partition).is_err() {
            return;
        }
        let members: ServerSet = self.views.members().into_iter().collect();
        let lost: ServerSet =
            self.contact.others().filter(|server| !members.has(*server) && !self.contact.is_gone(*server)).collect();
        let timeout = self.plan.timing.timeout;
        let head_start = if self.is_weaker(members, lost) { timeout.min(HEAD_START_MAX) } else { Duration::ZERO };
        for server in lost.iter() {
            let peer = self.contact.peer(server);
            let silence = peer.timeout(timeout) + head_start;
            let forced = &self.forced[server.index()];
            let paused = forced.failed.as_ref().is_some_and(|(at, _)| now.since(*at) < AGAIN.max(timeout));
            if now.since(peer.sign) < silence {
                self.wake_at(peer.sign + silence);
            } else if forced.asked.is_none() && !paused {
                let news = forced.failed.is_none();
                self.forced[server.index()].asked = Some(now);
                self.out.push(Action::ForceStop { server });
                if news {
                    self.out.push(Action::Alert(Alert::StopForced { server }));
                }
            }
        }
    }

    pub(crate) fn forced_stop(&mut self, now: Time, server: ServerId, result: Result<String, String>) {
        let Some(forced) = self.forced.get_mut(server.index()) else { return };
        let Some(asked) = forced.asked.take() else { return };
        match result {
            Ok(how) => {
                // Was it heard after it was asked to go, it is another life, or another server was switched off.
                if self.proven_off(now, server, asked) {
                    for group in self.plan.group_ids() {
                        if self.document.groups[group.index()].last == Some(server) {
                            self.cause(now, group, format!("{} is off: {how}", self.plan.server(server)));
                        }
                    }
                    self.out.push(Action::Alert(Alert::StopProven { server, how }));
                }
            }
            Err(reason) => {
                let news = forced.failed.as_ref().is_none_or(|(_, before)| *before != reason);
                forced.failed = Some((now, reason.clone()));
                if news {
                    self.out.push(Action::Alert(Alert::StopUnproven { server, reason }));
                }
            }
        }
    }

    /// This server is known to be off since `asked` at the earliest; false when it was heard after that.
    pub(crate) fn proven_off(&mut self, now: Time, server: ServerId, asked: Time) -> bool {
        if !self.contact.stopped(server, asked) {
            return false;
        }
        let forced = &mut self.forced[server.index()];
        forced.failed = None;
        forced.proven = Some(now);
        if self.is_governing() {
            let dead = Member { server, incarnation: self.contact.peer(server).incarnation };
            self.document.dead.retain(|member| member.server != server);
            self.document.dead.push(dead);
            self.document.dead.sort_by_key(|member| member.server);
            self.document_changed(now);
        }
        true
    }

    pub(crate) fn forced_stop_seen(&mut self, works: &[Option<bool>]) {
        for (forced, works) in self.forced.iter_mut().zip(works) {
            forced.works = *works;
        }
    }

    /// Which servers could be switched off from here, for the report: whoever is left has to do it.
    pub(crate) fn stoppable(&self) -> Vec<Option<bool>> {
        if self.plan.forced_stop { self.forced.iter().map(|forced| forced.works).collect() } else { Vec::new() }
    }

    /// Would the others switch this server off, if it were lost now? What was not looked at yet counts as working.
    fn is_stoppable(&self, server: ServerId) -> bool {
        let fails = |by: ServerId| self.reports[by.index()].stoppable.get(server.index()) == Some(&Some(false));
        self.plan.forced_stop && !self.views.members().into_iter().any(|member| member != server && fails(member))
    }

    /// What the coordinator proved counts here too, until the server is heard; the coordinator forgets it then.
    pub(crate) fn follow_dead(&mut self, now: Time) {
        if self.is_governing() {
            let heard = |member: &Member| self.contact.is_alive(now, member.server) && !self.contact.is_off(member.server);
            let left: Vec<Member> = self.document.dead.iter().filter(|member| !heard(member)).copied().collect();
            if left.len() != self.document.dead.len() {
                self.document.dead = left;
                self.document_changed(now);
            }
        }
        for member in self.views.members() {
            // Its next loss is told and tried anew.
            self.forced[member.index()].failed = None;
        }
        for member in &self.document.dead {
            self.contact.told_off(now, member.server, member.incarnation);
        }
    }

    /// Servers that this one proved off, and how long ago the last proof was.
    pub(crate) fn switched_off(&self, now: Time) -> (ServerSet, Duration) {
        let proven = |server: ServerId| self.forced[server.index()].proven.filter(|_| self.contact.is_off(server));
        let off: ServerSet = self.contact.others().filter(|server| proven(*server).is_some()).collect();
        let since = off.iter().filter_map(proven).max();
        (off, since.map_or(Duration::ZERO, |since| now.since(since)))
    }

    /// Why the server is not proven off, for operators.
    pub(crate) fn unproven_words(&self, server: ServerId) -> String {
        let forced = &self.forced[server.index()];
        match (&forced.failed, forced.asked) {
            (Some((_, reason)), _) => format!("it could not be switched off: {reason}"),
            (None, Some(_)) => "it is being switched off".into(),
            (None, None) => "nothing has switched it off".into(),
        }
    }

    /// How certain it is that this server, lost, runs nothing.
    pub(crate) fn proof(&self, server: ServerId) -> Proof {
        if self.contact.is_off(server) {
            Proof::Stopped
        } else if self.plan.partition.iter().any(|method| method.is_sound()) {
            Proof::Arbiter
        } else if self.plan.partition.is_empty() || self.partition.is_blind() {
            Proof::None
        } else {
            Proof::Timed
        }
    }

    /// Standing warning: could each group that runs be taken over, if its server were lost now?
    pub(crate) fn watch_proof(&mut self) {
        if !self.is_governing() || !self.document.started {
            return;
        }
        for group in self.plan.group_ids() {
            let Some(server) = self.document.groups[group.index()].last else { continue };
            if self.plan.group(group).policy.len() < 2 {
                continue;
            }
            let (best, least) = (self.best_proof(server), self.plan.least_proof(group));
            let short = best < least;
            if short != std::mem::replace(&mut self.proof_short[group.index()], short) {
                let alert = if short { Alert::ProofShort { group, best, least } } else { Alert::ProofEnough { group } };
                self.out.push(Action::Alert(alert));
            }
        }
    }

    /// The best proof that could be had now. What was not looked at yet counts as working.
    fn best_proof(&self, server: ServerId) -> Proof {
        if self.is_stoppable(server) {
            return Proof::Stopped;
        }
        let answers = |kind: MethodKind| {
            let seen = self.plan.partition.iter().zip(&self.resolutions).filter(move |(method, _)| **method == kind);
            seen.map(|(_, answers)| *answers)
        };
        let sound = self.plan.partition.iter().any(|method| method.is_sound());
        if sound {
            let arbiters = answers(MethodKind::Arbiter).any(|seen| seen == Some(false));
            let majority = self.plan.partition.contains(&MethodKind::Majority);
            if majority || !arbiters { Proof::Arbiter } else { Proof::None }
        } else if self.plan.partition.is_empty() || answers(MethodKind::Ping).any(|seen| seen == Some(false)) {
            Proof::None
        } else {
            Proof::Timed
        }
    }

    /// In words, for the cause chain of a takeover.
    pub(crate) fn proof_words(&self, server: ServerId) -> String {
        let grade = self.proof(server);
        let watchdog = self.reports[server.index()].watchdog;
        let unwatched = if grade < Proof::Reserved && !watchdog { ", no watchdog was known to work there" } else { "" };
        format!("proof of death: {}{unwatched}", grade.word())
    }

    /// Is what is proven of a lost server enough for the group? A bare wish of the configuration counts only with a watchdog.
    pub(crate) fn lacks_proof(&self, group: GroupId, server: ServerId) -> Option<String> {
        let least = self.plan.least_proof(group);
        let name = self.plan.server(server);
        let grade = self.proof(server);
        let watched = self.reports[server.index()].watchdog;
        let asked = self.plan.group(group).min_proof.is_some();
        let proven = if asked && !watched && grade < Proof::Reserved { Proof::None } else { grade };
        if proven >= least {
            return None;
        }
        let unwatched = if proven < grade { " (no watchdog was known to work there)" } else { "" };
        let forced = if self.plan.forced_stop { format!(", {}", self.unproven_words(server)) } else { String::new() };
        Some(format!(
            "{name} is silent and its death is proven no better than {}{unwatched}{forced}; the group needs {}: power {name} off",
            proven.word(),
            least.word()
        ))
    }
}
