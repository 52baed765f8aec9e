//! Waits between groups in the world: drawn for a run, and checked (invariant *ordered*, between groups).
//!
//! Who starts or stops a group knows the others from reports, so the checker allows for what the world was a while ago.

use clp_core::action::Wait;
use clp_core::ids::{GroupId, ServerId};
use clp_core::message::{Factor, Order, OrderKind, Phase};
use clp_core::plan::{FinalAction, Plan, RecoveryTarget, StartAfter, StopOccasions};

use crate::options::Options;
use crate::rng::Rng;
use crate::world::World;

/// Give some groups others to wait for, without a cycle.
pub fn draw(rng: &mut Rng, plan: &mut Plan) {
    let timeout = plan.timing.timeout;
    let groups = plan.groups.len();
    if groups < 2 || !rng.percent(40) {
        return;
    }
    let upwards = rng.percent(50);
    for group in 0..groups {
        let others: Vec<GroupId> =
            (0..groups).filter(|other| if upwards { *other > group } else { *other < group }).map(GroupId::at).collect();
        let mut some = || others.iter().copied().filter(|_| rng.percent(60)).collect::<Vec<_>>();
        let (before, last) = (some(), some());
        let same_server = rng.percent(30);
        let waits = &mut plan.groups[group].waits;
        waits.start = before.into_iter().map(|group| StartAfter { group, same_server }).collect();
        waits.stop = last;
        waits.start_limit = timeout * rng.pick(&[4, 12]);
        waits.stop_limit = timeout * rng.pick(&[1, 3]);
        waits.stop_at = StopOccasions { cluster: rng.percent(70), server: rng.percent(50), group: rng.percent(50) };
    }
}

/// What the checker remembers.
#[derive(Debug, Default)]
pub struct Waits {
    /// When each group was last whole on some server.
    whole: Vec<Option<u64>>,
    /// Since when each group has been whole there without a break, by server and group.
    since: Vec<Option<u64>>,
    /// Groups of which an operator stopped a resource since they were whole: they are online without it.
    emptied: Vec<bool>,
    /// Waits for a stop that ended in vain in the engine's present life, by server and group.
    vain: Vec<Option<u64>>,
    /// The newest order to start each group that another server sent: its serial, and when it was sent first, by server and group.
    ordered: Vec<(u64, u64)>,
    /// When the newest start of each group was ordered, by server and group.
    begun: Vec<u64>,
}

impl Waits {
    /// Nothing seen yet.
    pub fn new(options: &Options) -> Self {
        let (servers, groups) = (options.plan.servers.len(), options.plan.groups.len());
        Waits {
            whole: vec![None; groups],
            since: vec![None; servers * groups],
            emptied: vec![false; groups],
            vain: vec![None; servers * groups],
            ordered: vec![(0, 0); servers * groups],
            begun: vec![0; servers * groups],
        }
    }
}

impl World {
    /// The truth about resources changed.
    pub(crate) fn note_whole(&mut self) {
        let groups = self.options.plan.groups.len();
        for group in self.options.plan.group_ids() {
            for host in 0..self.hosts.len() {
                let members = &self.options.plan.group(group).resources;
                let whole = members.iter().all(|resource| self.hosts[host].active[resource.index()]);
                let since = &mut self.checker.waits.since[host * groups + group.index()];
                if whole && since.is_none() {
                    *since = Some(self.now);
                    self.checker.waits.emptied[group.index()] = false;
                    self.note_takeover(host, group);
                } else if whole {
                    continue;
                } else if since.take().is_some() {
                    self.checker.waits.whole[group.index()] = Some(self.now);
                }
            }
        }
    }

    /// An operator stops a resource of the group.
    pub(crate) fn note_emptied(&mut self, group: GroupId) {
        self.checker.waits.emptied[group.index()] = true;
    }

    /// May a monitor or an operator have stopped resources of the group, so that it is online without them?
    fn may_be_hollow(&self, group: GroupId) -> bool {
        let plan = &self.options.plan;
        if self.checker.waits.emptied[group.index()] {
            return true;
        }
        plan.monitors.iter().filter(|monitor| monitor.action == FinalAction::StopResource).any(|monitor| match monitor.recovery {
            RecoveryTarget::LocalServer => true,
            RecoveryTarget::Group(target) => target == group,
            RecoveryTarget::Resource(resource) => plan.resource(resource).group == group,
        })
    }

    /// How old the knowledge of a server may be, with orders that come late.
    fn knowledge(&self) -> u64 {
        let scale = (self.options.plan.timing.timeout.as_micros() as u64).max(self.options.watchdog);
        scale * 12
    }

    fn was_whole(&self, group: GroupId) -> bool {
        let groups = self.options.plan.groups.len();
        let now = (0..self.hosts.len()).any(|host| self.checker.waits.since[host * groups + group.index()].is_some());
        now || self.checker.waits.whole[group.index()].is_some_and(|at| self.now - at < self.knowledge())
    }

    /// An order is sent, perhaps not for the first time.
    pub(crate) fn note_order(&mut self, to: usize, order: &Order) {
        if matches!(order.kind, OrderKind::Start { .. }) {
            let groups = self.options.plan.groups.len();
            let known = &mut self.checker.waits.ordered[to * groups + order.group.index()];
            if known.0 != order.serial {
                *known = (order.serial, self.now);
            }
        }
    }

    /// A group starts: those that it waits for were online. Of one that is to start here too, only that counts which was known when
    /// this start was ordered: orders may overtake each other.
    pub(crate) fn check_start_wait(&mut self, host: usize, group: GroupId) {
        let phases = self.phases(host);
        let groups = self.options.plan.groups.len();
        let governs = self.hosts[host].engine.as_ref().and_then(|engine| engine.coordinator()) == Some(ServerId::at(host));
        let ordered = if governs { self.now } else { self.checker.waits.ordered[host * groups + group.index()].1 };
        self.checker.waits.begun[host * groups + group.index()] = ordered;
        let early = self.options.plan.group(group).waits.start.iter().copied().find(|after| {
            let missed = !self.was_whole(after.group) && !self.may_be_hollow(after.group);
            let known = self.checker.waits.begun[host * groups + after.group.index()] <= ordered;
            missed && (!after.same_server || (known && phases[after.group.index()] == Phase::Starting))
        });
        if let Some(after) = early {
            let words = format!("g{} is started on s{host} before g{}, which it waits for", group.0, after.group.0);
            self.violation(format!("ordered between groups: {words}"));
        }
    }

    /// A wait for a stop ended in vain: what follows is allowed.
    pub(crate) fn note_stop_wait(&mut self, host: usize, group: GroupId, wait: Wait) {
        if matches!(wait, Wait::Expired | Wait::Failed) {
            let groups = self.options.plan.groups.len();
            self.checker.waits.vain[host * groups + group.index()] = Some(self.hosts[host].life);
        }
    }

    /// A group stops with its server or the cluster: those that it waits for were off, as far as this server can know.
    pub(crate) fn check_stop_wait(&mut self, host: usize, group: GroupId, factor: Factor) {
        let plan = &self.options.plan;
        let groups = plan.groups.len();
        let waits = &plan.group(group).waits;
        let at = |server: usize, group: GroupId| server * groups + group.index();
        let (asked, anywhere) = match factor {
            Factor::ClusterShutdown => (waits.stop_at.cluster, true),
            Factor::ServerShutdown => (waits.stop_at.server, false),
            _ => return,
        };
        let in_vain = self.checker.waits.vain[at(host, group)] == Some(self.hosts[host].life);
        if !asked || in_vain || self.network.is_bad(self.interval()) || self.network.is_touched() {
            return;
        }
        let clock = self.hosts[host].clock(self.now);
        let Some(engine) = &self.hosts[host].engine else { return };
        let long = self.knowledge();
        let left = waits.stop.iter().copied().find_map(|awaited| {
            let holder = (0..self.hosts.len()).filter(|other| anywhere || *other == host).find(|other| {
                let known = engine.server_view(clock, ServerId::at(*other)).member && self.hosts[*other].acts();
                let since = self.checker.waits.since[at(*other, awaited)];
                known && since.is_some_and(|since| self.now - since > long) && self.phases(*other)[awaited.index()] == Phase::On
            });
            holder.map(|holder| (awaited, holder))
        });
        if let Some((awaited, holder)) = left {
            let words = format!("g{} is stopped on s{host} while g{} is active on s{holder}", group.0, awaited.0);
            self.violation(format!("ordered between groups: {words}"));
        }
    }
}
