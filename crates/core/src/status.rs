//! What one server knows, for showing: a plain copy that cannot influence decisions.

use std::time::Duration;

use crate::cluster::Cluster;
use crate::ids::{GroupId, MonitorId, ServerId};
use crate::message::{MonitorReport, Phase, ResourceState};
use crate::recovery::Counts;
use crate::time::Time;

/// A server as seen from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerView {
    /// Any sign within the time-out and no farewell.
    pub alive: bool,
    /// Member of the committed view.
    pub member: bool,
    /// Alive, but no LAN reaches it.
    pub out_of_reach: bool,
    /// Stopping its service.
    pub leaving: bool,
}

/// A heartbeat path to a server as it is heard here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathView {
    /// It is up: messages may go there.
    pub up: bool,
    /// Frames come, but it fell silent again and again lately.
    pub unsteady: bool,
    /// Age of its last frame, None when never.
    pub age: Option<Duration>,
}

/// A group as known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupView {
    /// The holder's state, or Off.
    pub phase: Phase,
    /// Where.
    pub holder: Option<ServerId>,
    /// Its resources there.
    pub resources: Vec<ResourceState>,
    /// Last decision, and why it does not run although it should.
    pub note: String,
}

impl Cluster {
    /// Did the targets of this partition resolution answer that server's last look? None: not known.
    pub fn resolution(&self, server: ServerId, index: usize) -> Option<bool> {
        self.reports[server.index()].resolutions.get(index).copied().flatten()
    }

    /// Could that server switch the others off at its last look? None: not known yet.
    pub fn stops_others(&self, server: ServerId) -> Option<bool> {
        let seen = self.reports[server.index()].stoppable.iter().flatten();
        seen.copied().reduce(|one, other| one && other)
    }

    /// Are that server's floating addresses behind its kernel's gate, as it reported? False while nothing is known.
    pub fn is_gated(&self, server: ServerId) -> bool {
        self.reports[server.index()].gated
    }

    /// One server.
    pub fn server_view(&self, now: Time, server: ServerId) -> ServerView {
        let me = server == self.identity.me;
        ServerView {
            alive: me || (self.contact.is_alive(now, server) && !self.contact.is_left(server)),
            member: self.views.members().contains(&server),
            out_of_reach: self.out_of_reach(now).has(server),
            leaving: if me { self.leaving.is_some() } else { self.contact.peer(server).mode != crate::message::Mode::Running },
        }
    }

    /// One heartbeat path to another server. Cheap: asked for each message.
    pub fn path_view(&self, now: Time, server: ServerId, path: usize) -> PathView {
        let state = &self.contact.peer(server).paths[path];
        PathView { up: state.is_up(now), unsteady: state.is_unsteady(now), age: state.heard().map(|at| now.since(at)) }
    }

    /// One group.
    pub fn group_view(&self, now: Time, group: GroupId) -> GroupView {
        let mut best: Option<(ServerId, Phase, Vec<ResourceState>)> = None;
        for server in self.plan.server_ids() {
            let present = server == self.identity.me || (self.contact.is_alive(now, server) && !self.contact.is_left(server));
            let Some(report) = self.report_of(server, group).filter(|r| present && r.phase.is_held()) else { continue };
            let acts = matches!(report.phase, Phase::On | Phase::Starting);
            if best.is_none() || acts {
                best = Some((server, report.phase, report.resources.clone()));
            }
        }
        let intent = &self.document.groups[group.index()];
        let stranded = self.orders.stranded(group);
        let note = if stranded.is_empty() { intent.why.clone() } else { stranded.to_string() };
        match best {
            Some((server, phase, resources)) => GroupView { phase, holder: Some(server), resources, note },
            None => GroupView {
                phase: Phase::Off,
                holder: None,
                resources: vec![ResourceState::Off; self.plan.group(group).resources.len()],
                note,
            },
        }
    }

    /// The monitors of a server, None while it is not heard.
    pub fn monitors_of(&self, now: Time, server: ServerId) -> Option<&[MonitorReport]> {
        let present = server == self.identity.me || (self.contact.is_alive(now, server) && !self.contact.is_left(server));
        let report = &self.reports[server.index()];
        (present && report.version != 0 && report.incarnation == self.member(server).incarnation).then_some(&report.monitors)
    }

    /// Recovery steps of a monitor: reactivations of this server, failovers of the cluster.
    pub fn monitor_counts(&self, monitor: MonitorId) -> Counts {
        self.monitors.counts(monitor, self.document.monitor_failovers[monitor.index()])
    }

    /// The recorded cause chain of a group, oldest first.
    pub fn causes_of(&self, group: GroupId) -> &[(Time, String)] {
        &self.causes[group.index()]
    }

    /// Coordinator of the committed view.
    pub fn coordinator(&self) -> Option<ServerId> {
        self.views.coordinator()
    }

    /// Is the cluster suspended?
    pub fn is_suspended(&self) -> bool {
        self.document.suspended
    }

    /// The right to act in words.
    pub fn right_words(&self, now: Time) -> String {
        match self.contact.right(now, &self.partition) {
            Ok(()) => "held".into(),
            Err(lost) => format!(
                "not held: no acknowledgement from {} for {} ms; {}",
                self.plan.server(lost.server),
                lost.age.as_millis(),
                self.partition.reason
            ),
        }
    }

    /// What was measured last by the partition resolution.
    pub fn partition_words(&self) -> &str {
        &self.partition.reason
    }

    /// Does this server rely on the farewell of another one?
    pub fn has_left(&self, server: ServerId) -> bool {
        self.contact.is_left(server)
    }

    /// What is wished for a group, as far as this server knows.
    pub fn wish(&self, group: GroupId) -> &crate::message::Intent {
        &self.document.groups[group.index()]
    }

    /// State of a group on this server.
    pub fn local_phase(&self, group: GroupId) -> Phase {
        self.executor.phase(group)
    }

    /// State of a resource on this server.
    pub fn local_resource(&self, resource: crate::ids::ResourceId) -> ResourceState {
        self.executor.resource(&self.plan, resource)
    }

    /// The plan in force.
    pub fn plan(&self) -> &crate::plan::Plan {
        &self.plan
    }
}
