//! What one server tells: its report to the others, what happened to operators and to each group's cause chain.

use crate::action::{Action, Alert, SyncWaitEnd};
use crate::cluster::Cluster;
use crate::ids::{GroupId, ServerId, ServerSet};
use crate::message::{Message, Phase, Report};
use crate::time::Time;

/// Links kept of each group's cause chain: enough for several failovers with all their steps.
const CAUSES_MAX: usize = 100;
/// Partition resolutions in a report: more than a configuration can hold are not a report of ours.
const RESOLUTIONS_MAX: usize = 64;
/// Frames after which a report that they contradict is dropped: one is overtaken by the report that it does not know of.
const CONTRADICTED_FRAMES: u64 = 3;

/// What was told of the server sync wait of this start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SyncWait {
    Untold,
    Waiting,
    Over,
}

impl Cluster {
    /// A report with a version above what its server itself announces, frame after frame, is none of its own: it is dropped, or
    /// no true one would be taken in this life.
    pub(crate) fn doubt_report(&mut self, from: ServerId) {
        let peer = self.contact.peer(from);
        let contradicted = &mut self.contradicted[from.index()];
        if self.reports[from.index()].version <= peer.report {
            *contradicted = None;
        } else if peer.seq >= contradicted.get_or_insert(peer.seq).saturating_add(CONTRADICTED_FRAMES) {
            *contradicted = None;
            self.reports[from.index()] = Report::default();
        }
    }

    /// The newest report of a server's present life is kept (rule R8).
    pub(crate) fn take_report(&mut self, from: ServerId, report: Report) {
        let held = &mut self.reports[from.index()];
        let fits = report.groups.len() == self.plan.groups.len()
            && report.monitors.len() == self.plan.monitors.len()
            && report.resolutions.len() <= RESOLUTIONS_MAX
            && report.groups.iter().zip(&self.plan.groups).all(|(r, plan)| r.resources.len() == plan.resources.len());
        let newer = (report.incarnation, report.version) > (held.incarnation, held.version);
        if fits && newer && report.incarnation == self.contact.peer(from).incarnation {
            *held = report;
        }
    }

    /// Make my own report new when anything changed; true when it did.
    pub(crate) fn refresh_report(&mut self) -> bool {
        let mine = &self.reports[self.identity.me.index()];
        // Looked at after every event, and seldom other than before.
        let mut told = mine.groups.iter();
        let same = self.plan.group_ids().all(|group| told.next().is_some_and(|told| self.executor.group(group).is_as(told)));
        if mine.version != 0 && same && self.monitors.are_as(&mine.monitors) && mine.resolutions == self.resolutions {
            return false;
        }
        let groups = self.plan.group_ids().map(|group| self.executor.group(group).report()).collect();
        let monitors = self.monitors.report();
        let mine = &mut self.reports[self.identity.me.index()];
        let resolutions = self.resolutions.clone();
        *mine = Report { incarnation: self.identity.incarnation, version: mine.version + 1, groups, monitors, resolutions };
        true
    }

    pub(crate) fn spread_report(&mut self, now: Time, changed: bool) {
        let newest = self.reports[self.identity.me.index()].version;
        for server in self.contact.others() {
            let peer = self.contact.peer(server);
            if !self.contact.is_heard(now, server, true) || peer.report_acked >= newest {
                continue;
            }
            let sent = &mut self.report_sent[server.index()];
            let due =
                sent.is_none_or(|(version, at)| (changed && version < newest) || now.since(at) >= self.plan.timing.interval);
            if due {
                *sent = Some((newest, now));
                let report = self.reports[self.identity.me.index()].clone();
                self.send(server, Message::Report(report));
            }
        }
    }

    /// Tell operators what each group here turned into, and that the cluster was suspended or resumed.
    pub(crate) fn note_phases(&mut self, now: Time) {
        if std::mem::replace(&mut self.suspended_told, self.document.suspended) != self.document.suspended {
            self.out.push(Action::Alert(Alert::Suspended { on: self.document.suspended }));
        }
        for group in self.plan.group_ids() {
            let phase = self.executor.phase(group);
            let before = std::mem::replace(&mut self.phases[group.index()], phase);
            if before == phase {
                continue;
            }
            self.restart_turns(group, phase);
            let alert = match phase {
                Phase::Starting if before == Phase::Off => Alert::GroupStarting { group },
                Phase::On => Alert::GroupOnline { group },
                Phase::Stopping => Alert::GroupStopping { group },
                Phase::Off if before != Phase::Possible => Alert::GroupOffline { group },
                Phase::OnlineFailure => {
                    let reason = self.executor.group(group).failed.as_ref().map_or(String::new(), |f| f.reason.clone());
                    Alert::GroupFailed { group, reason }
                }
                Phase::OfflineFailure => Alert::GroupStopFailed { group, reason: "a resource could not be deactivated".into() },
                _ => continue,
            };
            match phase {
                Phase::On => self.cause(now, group, "online here".into()),
                Phase::Off => self.cause(now, group, "offline here".into()),
                _ => {}
            }
            self.out.push(Action::Alert(alert));
        }
    }

    /// Tell operators that this server waits for the others at its start, and how that ends.
    pub(crate) fn note_sync_wait(&mut self, now: Time) {
        let limit = self.plan.timing.sync_wait;
        match self.sync_wait {
            SyncWait::Over => {}
            SyncWait::Untold if limit.is_zero() || self.plan.servers.len() < 2 => self.sync_wait = SyncWait::Over,
            SyncWait::Untold => {
                self.sync_wait = SyncWait::Waiting;
                self.out.push(Action::Alert(Alert::SyncWaitBegins { limit }));
            }
            SyncWait::Waiting => {
                let Some(how) = self.sync_wait_end(now) else { return };
                self.sync_wait = SyncWait::Over;
                self.out.push(Action::Alert(Alert::SyncWaitOver { how }));
            }
        }
    }

    fn sync_wait_end(&self, now: Time) -> Option<SyncWaitEnd> {
        let stops = self.leaving.is_some() || self.emergency || self.document.stopping.is_some();
        if stops {
            return Some(SyncWaitEnd::Cancelled("the cluster service stops".into()));
        }
        if !self.document.started {
            return None;
        }
        let missing: ServerSet = self.plan.server_ids().filter(|server| !self.views.has(self.member(*server))).collect();
        let unreached = self.out_of_reach(now);
        if missing.is_empty() {
            Some(SyncWaitEnd::AllArrived)
        } else if now.since(self.start) < self.plan.timing.sync_wait {
            Some(SyncWaitEnd::Cancelled("the cluster runs".into()))
        } else if unreached.is_empty() {
            Some(SyncWaitEnd::Expired(missing))
        } else {
            Some(SyncWaitEnd::Unreached(unreached))
        }
    }

    /// Tell operators which servers are alive while no LAN reaches them; a moment of it, as at a start, is no news.
    pub(crate) fn watch_reach(&mut self, now: Time) {
        let out = self.out_of_reach(now);
        for server in self.contact.others() {
            let was = &mut self.unreached[server.index()];
            match (out.has(server), *was) {
                (true, None) => *was = Some((now, false)),
                (true, Some((since, false))) if now.since(since) >= self.plan.timing.timeout => {
                    *was = Some((since, true));
                    self.out.push(Action::Alert(Alert::Unreachable { server }));
                }
                (false, Some((_, told))) => {
                    *was = None;
                    // One that died meanwhile is told of as that.
                    if told && self.contact.is_heard(now, server, true) {
                        self.out.push(Action::Alert(Alert::Reachable { server }));
                    }
                }
                _ => {}
            }
        }
    }

    /// Tell operators which paths fell silent or came back. Those of a server that never was there or said farewell are no news.
    pub(crate) fn watch_paths(&mut self, now: Time) {
        for server in self.contact.others() {
            let gone = self.contact.peer(server).incarnation == 0 || self.contact.is_left(server);
            for (path, up) in self.contact.path_changes(now, server) {
                match up {
                    true => self.out.push(Action::Alert(Alert::PathUp { server, path })),
                    false if !gone => self.out.push(Action::Alert(Alert::PathDown { server, path })),
                    false => {}
                }
            }
        }
    }

    /// A link of the chain, recorded here and told to everybody.
    pub(crate) fn cause(&mut self, now: Time, group: GroupId, text: String) {
        for server in self.contact.others() {
            if self.contact.is_heard(now, server, true) {
                self.send(server, Message::Cause { group, text: text.clone() });
            }
        }
        let text = format!("{}: {text}", self.plan.server(self.identity.me));
        self.record(now, group, text);
    }

    pub(crate) fn record(&mut self, now: Time, group: GroupId, text: String) {
        let chain = &mut self.causes[group.index()];
        if chain.len() >= CAUSES_MAX {
            chain.remove(0);
        }
        chain.push((now, text.clone()));
        self.out.push(Action::Cause { group, text });
    }
}
