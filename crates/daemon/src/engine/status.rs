//! The status view, made from what the core knows, in the words of `clpstat`.

use clp_core::ids::{GroupId, ServerId};
use clp_core::message::{MonitorState, Phase, ResourceState};
use clp_core::status::PathView;
use clp_protocol::control::{
    CONTROL_VERSION, Cause, ClusterStatus, GroupStatus, MonitorStatus, PathStatistics, PathStatus, Picture, RatioStatus, ResourceStatus,
    ServerStatus,
};

use super::Engine;

fn phase_words(phase: Phase) -> &'static str {
    match phase {
        Phase::Off => "Offline",
        Phase::Possible => "Unknown",
        Phase::Starting => "Online Pending",
        Phase::On => "Online",
        Phase::Stopping => "Offline Pending",
        Phase::OnlineFailure => "Online Failure",
        Phase::OfflineFailure => "Offline Failure",
    }
}

fn resource_words(state: ResourceState) -> &'static str {
    match state {
        ResourceState::Off => "Offline",
        ResourceState::Unverified => "Unknown",
        ResourceState::Activating => "Online Pending",
        ResourceState::On => "Online",
        ResourceState::Deactivating => "Offline Pending",
        ResourceState::ActivateFailed => "Online Failure",
        ResourceState::DeactivateFailed => "Offline Failure",
    }
}

impl Engine {
    pub(super) fn status(&self) -> ClusterStatus {
        let configuration = &self.loaded.configuration;
        let at = super::now();
        let name = |server: ServerId| configuration.servers[server.index()].name.clone();
        ClusterStatus {
            version: CONTROL_VERSION,
            cluster: configuration.cluster.name.clone(),
            comment: configuration.cluster.comment.clone(),
            suspended: self.cluster.is_suspended(),
            timeout_ratio: self.ratio_status(),
            local: name(self.me()),
            coordinator: self.cluster.coordinator().map(name),
            right: self.cluster.right_words(at),
            servers: self.cluster.plan().server_ids().map(|server| self.server_status(server)).collect(),
            groups: self.cluster.plan().group_ids().map(|group| self.group_status(group)).collect(),
            monitors: (0..configuration.monitors.len()).map(|index| self.monitor_status(index)).collect(),
        }
    }

    /// What is known here, for a command that goes on from it: in that command's own process, so that nothing that happens in its world
    /// can hold up this loop or end this engine.
    pub(super) fn picture(&self) -> Picture {
        let configuration = &self.loaded.configuration;
        Picture {
            time: crate::setup::wall_time(std::time::Duration::ZERO),
            server: configuration.servers[self.me().index()].name.clone(),
            present: clp_protocol::picture::text(&self.cluster.present(super::now())),
            took: self.took.told(&configuration.resources),
        }
    }

    fn server_status(&self, server: ServerId) -> ServerStatus {
        let config = &self.loaded.configuration.servers[server.index()];
        let view = self.cluster.server_view(super::now(), server);
        let paths = self.path_statuses(server);
        let impaired = paths.iter().any(|path| matches!(path.status.as_str(), "Offline" | "Caution" | "Error"));
        let (status, note) = if !view.alive {
            ("Offline", String::new())
        } else if view.out_of_reach {
            ("Caution", "alive, but no LAN reaches it: its groups are left as they are".into())
        } else if view.leaving {
            ("Caution", "its cluster service is stopping".into())
        } else if !view.member {
            ("Caution", "it is joining the cluster".into())
        } else if impaired {
            ("Caution", "a heartbeat path or a partition resolution target is down".into())
        } else {
            ("Online", String::new())
        };
        ServerStatus { name: config.name.clone(), comment: config.comment.clone(), status: status.into(), note, paths }
    }

    fn path_statuses(&self, server: ServerId) -> Vec<PathStatus> {
        let configuration = &self.loaded.configuration;
        let mut paths: Vec<PathStatus> = configuration
            .heartbeats
            .iter()
            .enumerate()
            .map(|(path, heartbeat)| {
                let uses = |id: ServerId| configuration.servers[id.index()].uses(heartbeat.device);
                let peers: Vec<String> = self
                    .cluster
                    .plan()
                    .server_ids()
                    .map(|peer| self.pair_status(server, peer, path, uses(server) && uses(peer)).to_string())
                    .collect();
                let mine = server == self.me();
                PathStatus {
                    name: heartbeat.name.clone(),
                    kind: heartbeat.kind.word().into(),
                    status: self.path_status(server, path, uses(server)).into(),
                    peers,
                    note: self.path_note(server, path),
                    refused: if mine { self.refused.status(super::now(), path) } else { Vec::new() },
                    statistics: if mine { self.statistics(path) } else { Vec::new() },
                    role: configuration.role(heartbeat).map_or(String::new(), |role| role.word().into()),
                }
            })
            .collect();
        for (index, partition) in configuration.partitions.iter().enumerate() {
            let uses = configuration.servers[server.index()].uses(partition.device);
            let view = self.cluster.server_view(super::now(), server);
            // Each server measures for itself and reports what it saw; the words are known for this server only.
            let words = match self.partition_seen.get(index) {
                Some(Some((_, words))) if server == self.me() => words.clone(),
                _ => "measured by that server itself".into(),
            };
            let (status, note) = match self.cluster.resolution(server, index) {
                _ if !uses => ("Unused", String::new()),
                _ if !view.alive => ("Offline", String::new()),
                Some(true) => ("Normal", words),
                Some(false) => ("Error", words),
                None => ("Unknown", "not measured yet".into()),
            };
            paths.push(PathStatus {
                name: partition.name.clone(),
                kind: "pingnp".into(),
                status: status.into(),
                peers: Vec::new(),
                note,
                refused: Vec::new(),
                statistics: Vec::new(),
                role: String::new(),
            });
        }
        paths
    }

    fn ratio_status(&self) -> Option<RatioStatus> {
        let (ratio, left) = self.cluster.timeout_ratio(super::now());
        (ratio > 1).then(|| RatioStatus { ratio, left_s: left.as_secs(), ends: crate::setup::wall_time_ahead(left) })
    }

    fn path_note(&self, server: ServerId, path: usize) -> String {
        let mut notes = Vec::new();
        if self.loaded.configuration.heartbeats[path].kind == clp_config::HeartbeatKind::Lankhb {
            notes.push("no kernel form on this system: a realtime thread sends it");
        }
        if server != self.me() && self.cluster.path_view(super::now(), server, path).unsteady {
            notes.push("frames come, but it fell silent again and again lately");
        }
        notes.join("; ")
    }

    fn statistics(&self, path: usize) -> Vec<PathStatistics> {
        let interval = self.cluster.plan().timing.interval;
        let servers = self.loaded.configuration.servers.iter().enumerate();
        let statistics = &self.net.statistics;
        servers
            .filter_map(|(index, server)| statistics.status(super::now(), interval, path, ServerId::at(index), &server.name))
            .collect()
    }

    /// A path to another server, as it is heard here.
    fn heard_status(&self, peer: ServerId, path: usize) -> &'static str {
        match self.cluster.path_view(super::now(), peer, path) {
            PathView { up: true, .. } => "Normal",
            PathView { unsteady: true, .. } => "Caution",
            PathView { .. } => "Offline",
        }
    }

    fn pair_status(&self, of: ServerId, peer: ServerId, path: usize, used: bool) -> &'static str {
        let me = self.me();
        if !used {
            "Unused"
        } else if of == peer {
            "Normal"
        } else if of == me || peer == me {
            let other = if of == me { peer } else { of };
            self.heard_status(other, path)
        } else {
            "Unknown"
        }
    }

    /// This path of this server: for another server, whether it is heard here; for this one, over all living peers.
    fn path_status(&self, server: ServerId, path: usize, used: bool) -> &'static str {
        if !used {
            return "Unused";
        }
        if server != self.me() {
            return self.heard_status(server, path);
        }
        if !self.net.is_open(path) {
            return "Error";
        }
        let uses = |id: &ServerId| {
            let device = self.loaded.configuration.heartbeats[path].device;
            *id != server && self.loaded.configuration.servers[id.index()].uses(device)
        };
        let living: Vec<ServerId> = self
            .cluster
            .plan()
            .server_ids()
            .filter(uses)
            .filter(|id| self.cluster.server_view(super::now(), *id).alive)
            .collect();
        let status = |word: &str| living.iter().filter(|id| self.heard_status(**id, path) == word).count();
        match (status("Normal"), status("Offline"), living.len()) {
            (normal, _, all) if normal == all => "Normal",
            (_, offline, all) if offline == all => "Offline",
            _ => "Caution",
        }
    }

    fn group_status(&self, group: GroupId) -> GroupStatus {
        let configuration = &self.loaded.configuration;
        let config = &configuration.groups[group.index()];
        let view = self.cluster.group_view(super::now(), group);
        let planned = self.cluster.plan().group(group);
        let resources = planned
            .resources
            .iter()
            .zip(&view.resources)
            .map(|(id, state)| {
                let resource = &configuration.resources[id.index()];
                ResourceStatus {
                    name: resource.name.clone(),
                    kind: resource.kind.word().into(),
                    comment: resource.comment.clone(),
                    status: resource_words(*state).into(),
                }
            })
            .collect();
        GroupStatus {
            name: config.name.clone(),
            comment: config.comment.clone(),
            kind: config.kind.word().into(),
            status: phase_words(view.phase).into(),
            current: view.holder.map(|server| configuration.servers[server.index()].name.clone()),
            resources,
            note: view.note,
        }
    }

    fn monitor_status(&self, index: usize) -> MonitorStatus {
        let config = &self.loaded.configuration.monitors[index];
        let planned = &self.cluster.plan().monitors[index];
        let mut note = String::new();
        let mut words = Vec::new();
        for server in self.cluster.plan().server_ids() {
            let report = self.cluster.monitors_of(super::now(), server).and_then(|monitors| monitors.get(index));
            words.push(match report {
                _ if !planned.servers.has(server) => "Unused",
                None => "Offline",
                Some(report) => match report.state {
                    MonitorState::Off => "Offline",
                    MonitorState::Normal => "Online",
                    MonitorState::Suspended => "Suspend",
                    MonitorState::Failed => {
                        note.clone_from(&report.reason);
                        "Online Failure"
                    }
                },
            });
        }
        let count = |word: &str| words.iter().filter(|w| **w == word).count();
        let status = match (count("Online"), count("Online Failure"), count("Suspend")) {
            (0, 0, 0) => "Offline",
            (0, 0, _) => "Suspend",
            (0, _, _) => "Error",
            (_, 0, _) => "Normal",
            _ => "Caution",
        };
        MonitorStatus {
            name: config.name.clone(),
            kind: config.kind.word().into(),
            comment: config.comment.clone(),
            status: status.into(),
            servers: words.into_iter().map(String::from).collect(),
            note,
        }
    }

    pub(super) fn causes(&self, group: GroupId) -> Vec<Cause> {
        let at = super::now();
        let causes = self.cluster.causes_of(group);
        causes
            .iter()
            .map(|(time, text)| {
                let (server, text) = text.split_once(": ").unwrap_or(("", text));
                Cause { time: crate::setup::wall_time(at.since(*time)), server: server.into(), text: text.into() }
            })
            .collect()
    }
}
