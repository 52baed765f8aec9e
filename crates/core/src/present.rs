//! What one server knows of the whole cluster at a moment, to be gone on from elsewhere in virtual time: the question *what if*.
//!
//! [`Cluster::present`] takes the picture, [`Cluster::continued`] makes the core of any server from it as that server must be now. No running
//! cluster is ever changed by either. Who drives those cores stands in the crate `whatif`.

use std::sync::Arc;

use minicbor::{Decode, Encode};

use crate::cluster::{Cluster, Identity};
use crate::ids::{ServerId, ServerSet};
use crate::local::Executor;
use crate::message::{Document, Epoch, Member, Mode, MonitorState, Report};
use crate::plan::Plan;
use crate::recovery::MonitorOrder;
use crate::telling::SyncWait;
use crate::time::Time;
use crate::view::View;

/// One server as it is seen by the one who took the picture; itself among them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Seen {
    /// Newest life heard, 0: it never was.
    #[n(0)]
    pub incarnation: u64,
    /// Boot id digest of that life.
    #[n(1)]
    pub boot: u64,
    /// What it said it does.
    #[n(2)]
    pub mode: Mode,
    /// Is there any sign of it within the time-out?
    #[n(3)]
    pub alive: bool,
    /// Age in microseconds of its newest sign.
    #[n(4)]
    pub age: u64,
    /// Whom it hears on a LAN.
    #[n(5)]
    pub lan: ServerSet,
    /// Whom it hears on any path.
    #[n(6)]
    pub any: ServerSet,
    /// For each heartbeat path: does it bring frames from there here at this moment? Of the server itself: empty.
    #[n(7)]
    pub paths: Vec<bool>,
}

/// The picture.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Present {
    /// Who took it.
    #[n(0)]
    pub me: ServerId,
    /// All servers, by priority.
    #[n(1)]
    pub servers: Vec<Seen>,
    /// Number of the committed view.
    #[n(2)]
    pub epoch: Epoch,
    /// Who is in it; empty: there is none yet.
    #[n(3)]
    pub members: Vec<Member>,
    /// The document.
    #[n(4)]
    pub document: Document,
    /// The newest report of every server.
    #[n(5)]
    pub reports: Vec<Report>,
    /// By how much time-outs are multiplied.
    #[n(6)]
    pub ratio: u32,
    /// Number of heartbeat paths.
    #[n(7)]
    pub paths: u16,
    /// Configuration generation.
    #[n(8)]
    pub generation: u64,
}

impl Present {
    /// Was it taken under this plan?
    pub fn fits(&self, plan: &Plan) -> bool {
        let servers = plan.servers.len();
        let report = |report: &Report| {
            report.version == 0
                || (report.groups.len() == plan.groups.len()
                    && report.monitors.len() == plan.monitors.len()
                    && report.groups.iter().zip(&plan.groups).all(|(r, group)| r.resources.len() == group.resources.len()))
        };
        let document = &self.document;
        self.me.index() < servers
            && self.servers.len() == servers
            && self.reports.len() == servers
            && self.members.iter().all(|member| member.server.index() < servers)
            && self.reports.iter().all(report)
            && document.monitor_failovers.len() == plan.monitors.len()
            && document.groups.len() == plan.groups.len()
            && document.groups.iter().zip(&plan.groups).all(|(g, group)| g.activation_failovers.len() == group.resources.len())
    }

    /// Is the server a member of the view, in the life that is known?
    pub fn has(&self, server: ServerId) -> bool {
        let seen = self.servers.get(server.index());
        seen.is_some_and(|seen| self.members.contains(&Member { server, incarnation: seen.incarnation }) && seen.alive)
    }

    fn member_set(&self) -> ServerSet {
        self.members.iter().map(|member| member.server).collect()
    }
}

impl Cluster {
    /// What this server knows at this moment.
    pub fn present(&self, now: Time) -> Present {
        let me = self.identity.me;
        let mut servers = self.contact.seen(now);
        servers[me.index()].mode = self.mode();
        Present {
            me,
            servers,
            epoch: self.views.epoch(),
            members: self.views.committed.as_ref().map(|view| view.members.clone()).unwrap_or_default(),
            document: self.document_to_send(now),
            reports: self.reports.clone(),
            ratio: self.timeout_ratio(now).0,
            paths: u16::try_from(self.identity.paths).unwrap_or(u16::MAX),
            generation: self.identity.generation,
        }
    }

    /// The core of a member as it must be at the moment of the picture, in full contact with those that it hears. What is on its way
    /// on a resource begins anew. `now` must lie later after zero than any time-out.
    ///
    /// # Panics
    /// The picture was not taken under this plan, or the server is no member of its view ([`Present::fits`], [`Present::has`]).
    pub fn continued(plan: Arc<Plan>, present: &Present, me: ServerId, now: Time) -> Cluster {
        assert!(present.fits(&plan) && present.has(me), "a picture is gone on from by its members, under its own plan");
        let seen = &present.servers[me.index()];
        let identity = Identity {
            me,
            incarnation: seen.incarnation,
            boot: seen.boot,
            paths: usize::from(present.paths),
            generation: present.generation,
            suspended: present.document.suspended,
            ratio: present.ratio.max(1),
            reboots: 0,
        };
        let mut cluster = Cluster::new(plan, identity, now);
        let members = present.member_set();
        cluster.contact.go_on(now, &present.servers, members, present.epoch);
        for server in members.iter().filter(|server| *server != me) {
            let (report, mine) = (present.reports[server.index()].version, present.reports[me.index()].version);
            let peer = &mut cluster.contact.peers[server.index()];
            (peer.report, peer.report_acked) = (report, mine);
            cluster.document_seen[server.index()] = (present.document.epoch, present.document.version);
        }
        cluster.reports.clone_from(&present.reports);
        let view = View { epoch: present.epoch, members: present.members.clone() };
        if view.epoch.server == me {
            cluster.orders.new_view(&view);
        }
        cluster.views.promised = present.epoch;
        cluster.views.committed = Some(view);
        cluster.adopt(now, present.document.clone());
        let mut out = Vec::new();
        cluster.executor = Executor::continued(&cluster.plan, &present.reports[me.index()], &mut out);
        cluster.out = out;
        cluster.phases = cluster.plan.group_ids().map(|group| cluster.executor.phase(group)).collect();
        let unverified = cluster.phases.contains(&crate::message::Phase::Possible);
        cluster.clear_since = (!unverified).then_some(Time::default());
        cluster.sync_wait = SyncWait::Over;
        cluster.suspended_told = present.document.suspended;
        for (monitor, report) in cluster.plan.monitor_ids().zip(&present.reports[me.index()].monitors) {
            if report.state == MonitorState::Suspended && !present.document.suspended {
                // It is configured to run here, or it would not rest here.
                let _ = cluster.monitors.order(&cluster.plan, me, Some(monitor), MonitorOrder::Suspend);
            }
        }
        cluster
    }

    /// Does nothing go on here but time, and can no time that passes change anything? Every other server is either heard at this
    /// moment or has been silent for longer than anything is waited for. Work on resources is known to who drives this core.
    pub fn is_quiet(&self, now: Time) -> bool {
        let orders = &self.orders;
        let waits = orders.wake.is_some()
            || orders.open.iter().any(Option::is_some)
            || orders.start_waits.iter().chain(&orders.stop_waits).any(Option::is_some);
        let busy = self.views.is_forming() || self.leaving.is_some() || self.emergency || waits;
        let resting = self.singles.is_empty() && self.clear_since.is_some() && self.document.started;
        !busy && resting && self.contact.is_settled(now)
    }
}
