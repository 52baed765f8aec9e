//! The checkers: they look at the world, not at what servers believe. Invariants *single-owner*, *no-orphan*, *ordered*,
//! *ladder*, and that a farewell or clean end is only said when nothing is active any more.

use clp_core::action::{Alert, Work};
use clp_core::ids::{GroupId, MonitorId, ResourceId, ServerId};
use clp_core::message::{Frame, Mode, Phase};
use clp_core::plan::{Exclusion, FinalAction};

use crate::needless::Upsets;
use crate::options::{Arbiter, Options};
use crate::violation::Violation;
use crate::waits::Waits;
use crate::world::World;

/// Good checks after which a ladder begins anew (the guide's behaviour as `core` has it).
const GOOD_CHECKS: u32 = 10;

/// What the checkers remember.
#[derive(Debug, Default)]
pub struct Checker {
    /// Found so far.
    pub violations: Vec<Violation>,
    /// Stage of the healing.
    pub stage: usize,
    /// Until when it must be well.
    pub stage_until: u64,
    pub(crate) upsets: Upsets,
    pub(crate) waits: Waits,
    /// The second copy came while the method allows it; it stays until servers can deal with it.
    double_excused: Vec<bool>,
    /// The operator said of the server that stays off that it is.
    pub(crate) declared: bool,
    /// Until when nothing is promised, since an arbiter lost its record.
    pub(crate) forgot_until: u64,
    /// For each pair: when it could last run both copies, as the method allows.
    excused: Vec<Option<u64>>,
    /// For each pair: which of them reached the target since they lost each other.
    apart: Vec<Option<(bool, bool)>>,
    tries: Vec<u32>,
    finals: Vec<u32>,
    /// How often final actions ended each server, as far as its disk could take it.
    reboots: Vec<u32>,
    good: Vec<u32>,
}

impl Checker {
    /// Nothing found yet.
    pub fn new(options: &Options) -> Self {
        let servers = options.plan.servers.len();
        Checker {
            upsets: Upsets::new(servers),
            waits: Waits::new(options),
            double_excused: vec![false; options.plan.groups.len()],
            excused: vec![None; servers * servers],
            apart: vec![None; servers * servers],
            tries: vec![0; servers * options.plan.resources.len()],
            finals: vec![0; servers * options.plan.monitors.len()],
            reboots: vec![0; servers],
            good: vec![0; servers * options.plan.monitors.len()],
            ..Checker::default()
        }
    }

    /// A monitor looked.
    pub fn checked(&mut self, host: usize, monitor: MonitorId, bad: bool) {
        let monitors = self.good.len() / self.servers();
        let at = host * monitors + monitor.index();
        self.good[at] = if bad { 0 } else { self.good[at] + 1 };
        if self.good[at] >= GOOD_CHECKS {
            self.finals[at] = 0;
        }
    }

    /// A new engine counts anew.
    pub fn engine_starts(&mut self, host: usize) {
        let monitors = self.good.len() / self.servers();
        self.finals[host * monitors..(host + 1) * monitors].fill(0);
        self.good[host * monitors..(host + 1) * monitors].fill(0);
    }

    fn servers(&self) -> usize {
        self.apart.len().isqrt()
    }
}

impl World {
    /// The contact between servers may have changed: what do ping and none allow from now on?
    pub(crate) fn contact_changed(&mut self) {
        self.note_cables();
        if self.options.is_sound() {
            return;
        }
        let servers = self.hosts.len();
        let acts: Vec<bool> = self.hosts.iter().map(|host| host.acts()).collect();
        let bad = self.network.is_bad(self.interval());
        let none = self.options.arbiter == Arbiter::None;
        for a in 0..servers {
            for b in a + 1..servers {
                let mut both = acts.clone();
                both[a] = true;
                both[b] = true;
                let at = a * servers + b;
                if !bad && self.network.part(a, &both, false)[b] {
                    if let Some((true, true)) = self.checker.apart[at].take() {
                        self.checker.excused[at] = Some(self.now);
                    }
                    continue;
                }
                let (was_a, was_b) = self.checker.apart[at].unwrap_or_default();
                // Who relies on the other's farewell asks nobody; that the other one comes back behind a cut is beyond ping.
                let reach = |host: usize, other: usize| {
                    none || self.network.arbiter_cuts[host] == 0 || self.relies_on_farewell(host, other)
                };
                let now = (was_a || reach(a, b), was_b || reach(b, a));
                self.checker.apart[at] = Some(now);
            }
        }
    }

    /// May both copies run, by what the method of this run promises?
    fn is_excused(&self, a: usize, b: usize) -> bool {
        // Nothing is taken over before it was read that the power of whoever had it is off.
        if self.options.is_sound() || self.options.plan.forced_stop {
            return false;
        }
        let at = a.min(b) * self.hosts.len() + a.max(b);
        let timing = &self.options.plan.timing;
        let lasts = (timing.timeout * self.options.stretch() + timing.takeover_data + timing.interval * 20).as_micros() as u64
            + self.options.operation_limit * 2;
        self.checker.apart[at] == Some((true, true)) || self.checker.excused[at].is_some_and(|at| self.now - at < lasts)
    }

    /// Invariant *single-owner*.
    pub(crate) fn truth_changed(&mut self) {
        self.note_whole();
        for group in self.options.plan.group_ids() {
            let owners: Vec<usize> = (0..self.hosts.len()).filter(|host| self.serves(*host, group)).collect();
            let owners = self.without_overdue(owners);
            let [first, second, ..] = owners.as_slice() else {
                self.checker.double_excused[group.index()] = false;
                continue;
            };
            let (first, second) = (*first, *second);
            if self.now < self.checker.forgot_until && !self.options.plan.forced_stop {
                self.tally.outside += 1;
                self.checker.double_excused[group.index()] = true;
                continue;
            }
            if self.checker.double_excused[group.index()] || self.is_excused(first, second) {
                self.checker.double_excused[group.index()] = true;
                continue;
            }
            self.violation(format!("single-owner: g{} is active on s{first} and s{second}", group.0));
        }
    }

    /// Does this server write the group's data, or answer for its address? What else of a group without data may act longer.
    fn serves(&self, host: usize, group: GroupId) -> bool {
        let gated = self.options.gated[host] && !self.options.plan.group(group).shared_data;
        self.owns(host, group) && (!gated || self.now < self.hosts[host].lease)
    }

    pub(crate) fn owns(&self, host: usize, group: GroupId) -> bool {
        self.options.plan.group(group).resources.iter().any(|resource| self.hosts[host].active[resource.index()])
    }

    fn active_names(&self, host: usize) -> String {
        let active = &self.hosts[host].active;
        (0..active.len()).filter(|at| active[*at]).map(|at| format!("r{at} ")).collect()
    }

    /// A farewell says that nothing is active.
    pub(crate) fn check_frame(&mut self, host: usize, frame: &Frame) {
        let active = self.active_names(host);
        if frame.mode == Mode::Left && !active.is_empty() {
            self.violation(format!("farewell: s{host} says farewell while {active}is active"));
        }
    }

    pub(crate) fn check_clean_exit(&mut self, host: usize) {
        let active = self.active_names(host);
        if !active.is_empty() {
            self.violation(format!("clean end: the engine of s{host} ends while {active}is active"));
        }
    }

    /// Invariant *ordered*, and the retries of *ladder*.
    pub(crate) fn check_order(&mut self, host: usize, resource: ResourceId, work: Work) {
        let plan = self.options.plan.clone();
        if let Work::Deactivate { factor } = work {
            self.check_stop_wait(host, plan.resource(resource).group, factor);
        }
        let active = |id: ResourceId| self.hosts[host].active[id.index()];
        match work {
            Work::Activate { .. } => {
                let missing =
                    plan.resource(resource).depends.iter().copied().find(|needed| {
                        !active(*needed) && plan.resource(*needed).activate_action != FinalAction::NothingContinue
                    });
                if let Some(needed) = missing {
                    self.violation(format!("ordered: r{} is activated on s{host} while r{} is not active", resource.0, needed.0));
                }
                let at = host * plan.resources.len() + resource.index();
                self.checker.tries[at] += 1;
                if self.checker.tries[at] > plan.resource(resource).activate_retry + 1 {
                    let limit = plan.resource(resource).activate_retry;
                    self.violation(format!("ladder: r{} is retried more than {limit} times on s{host}", resource.0));
                }
            }
            Work::Deactivate { .. } => {
                let left = (0..plan.resources.len())
                    .map(ResourceId::at)
                    .find(|other| plan.resource(*other).depends.contains(&resource) && active(*other));
                if let Some(other) = left {
                    self.violation(format!("ordered: r{} is deactivated on s{host} while r{} is active", resource.0, other.0));
                }
                let at = host * plan.resources.len() + resource.index();
                self.checker.tries[at] = 0;
            }
            Work::Verify | Work::Detach => {
                let at = host * plan.resources.len() + resource.index();
                self.checker.tries[at] = 0;
            }
        }
    }

    /// Reactivations and final actions of *ladder*.
    pub(crate) fn alerted(&mut self, host: usize, alert: &Alert) {
        let monitors = self.options.plan.monitors.len();
        match alert {
            Alert::Recovery { monitor, step, .. } => {
                let at = host * monitors + monitor.index();
                let number = |words: &str, at: usize| words.split(' ').nth(at).and_then(|n| n.parse::<u32>().ok());
                let planned = self.options.plan.monitor(*monitor);
                let limit = match step {
                    _ if step.starts_with("reactivation") => Some(planned.restart_max),
                    _ if step.starts_with("failover") => Some(planned.failover_max),
                    _ => None,
                };
                if let Some(limit) = limit.filter(|limit| number(step, 1).is_none_or(|count| count > *limit)) {
                    self.violation(format!("ladder: {step} of m{}, {limit} are configured", monitor.0));
                }
                if step.starts_with("the ladder ends") {
                    self.checker.finals[at] += 1;
                    if self.checker.finals[at] > 1 {
                        self.violation(format!("ladder: m{} carries out its final action twice on s{host}", monitor.0));
                    }
                }
            }
            Alert::ServerDown { server, reason } if reason.starts_with("no heartbeat") => {
                self.check_accusation(host, server.index())
            }
            Alert::ServerUp { server } if self.hosts[host].generation != self.hosts[server.index()].generation => {
                self.tally.mixed += 1;
            }
            Alert::StopWait { group, wait, .. } => self.note_stop_wait(host, *group, *wait),
            Alert::GroupStarting { group } => {
                self.check_exclusion(host, *group);
                self.check_start_wait(host, *group);
                for monitor in self.options.plan.monitor_ids() {
                    self.checker.finals[host * monitors + monitor.index()] = 0;
                }
                for resource in &self.options.plan.group(*group).resources {
                    let at = host * self.options.plan.resources.len() + resource.index();
                    let issued = self.checker.tries[at];
                    self.checker.tries[at] = issued.min(1);
                }
            }
            _ => {}
        }
    }

    /// Another final action ends the server (with zero: it has run for long enough), and that is written down.
    pub(crate) fn reboots_counted(&mut self, host: usize, count: u32) {
        let max = self.options.plan.restraints.reboot_max;
        let kept = self.remember_reboots(host, count);
        let ended = &mut self.checker.reboots[host];
        *ended = if count == 0 { 0 } else { *ended + u32::from(kept) };
        let ended = (*ended).max(count);
        if max > 0 && ended > max {
            self.violation(format!("ladder: final actions end s{host} for the {ended}th time, {max} are allowed"));
        }
    }

    /// Failover exclusion: a group that excludes another fully is not started beside it.
    fn check_exclusion(&mut self, host: usize, group: GroupId) {
        let other =
            self.options.plan.group_ids().find(|other| self.excludes_each_other(group, *other) && self.owns(host, *other));
        if let Some(other) = other {
            self.violation(format!("exclusion: g{} is started on s{host} beside g{}", group.0, other.0));
        }
    }

    fn excludes_each_other(&self, one: GroupId, other: GroupId) -> bool {
        let exclusions = [one, other].map(|id| self.options.plan.group(id).exclusion);
        one != other && !exclusions.contains(&Exclusion::None) && exclusions.contains(&Exclusion::Full)
    }

    /// Is a server of its policy closed to it by another group there? Then it may have to wait for an operator.
    fn is_shut_out(&self, group: GroupId) -> bool {
        let policy = &self.options.plan.group(group).policy;
        policy.iter().any(|server| {
            let phases = self.phases(server.index());
            self.options.plan.group_ids().any(|other| self.excludes_each_other(group, other) && phases[other.index()].is_held())
        })
    }

    /// Invariant *no-orphan*: what is not as it should be, None when all is well. `lenient` leaves out what failed for good.
    pub(crate) fn what_is_wrong(&self, lenient: bool, resumed: bool) -> Option<String> {
        let mut coordinators = Vec::new();
        let is_here = |number: &usize| self.kept_off != Some(*number);
        for (number, host) in self.hosts.iter().enumerate().filter(|(number, _)| is_here(number)) {
            let Some(engine) = &host.engine else { return Some(format!("s{number} has no engine")) };
            let is_member = |server: ServerId| engine.server_view(host.clock(self.now), server).member;
            if self.options.plan.server_ids().any(|server| is_member(server) != is_here(&server.index())) {
                return Some(format!("s{number} does not have everybody in its view, or somebody who is off"));
            }
            coordinators.push(engine.coordinator());
        }
        if coordinators.iter().any(|one| *one != coordinators[0]) {
            return Some(format!("coordinators {coordinators:?}"));
        }
        for (number, host) in self.hosts.iter().enumerate() {
            if self.kept_off.is_some() {
                break;
            }
            let stretched = |other| host.engine.as_ref().is_some_and(|engine| engine.ratio_towards(other) != 1);
            if let Some(other) = self.options.plan.server_ids().find(|other| stretched(*other)) {
                return Some(format!("s{number} still waits longer for {other:?}"));
            }
            if host.ratio != 1 {
                return Some(format!("s{number} still remembers a time-out ratio"));
            }
        }
        let governor = coordinators[0].map_or(0, ServerId::index);
        let engine = self.hosts[governor].engine.as_ref()?;
        if engine.is_suspended() {
            return if resumed { Some("it is suspended".into()) } else { None };
        }
        for group in self.options.plan.group_ids() {
            let owners: Vec<usize> = (0..self.hosts.len()).filter(|host| self.owns(*host, group)).collect();
            // A copy that could not be stopped is shown as such and waits for the administrator.
            let stuck = |host: &usize| self.phases(*host)[group.index()] == Phase::OfflineFailure;
            if owners.len() > 1 && !(lenient && owners.iter().any(stuck)) {
                return Some(format!("g{} is active on {owners:?}", group.0));
            }
            let phases: Vec<Phase> = (0..self.hosts.len()).map(|host| self.phases(host)[group.index()]).collect();
            if phases.iter().any(|phase| matches!(phase, Phase::Starting | Phase::Stopping | Phase::Possible)) {
                return Some(format!("g{} is in transition, phases {phases:?}", group.0));
            }
            if lenient && phases.iter().any(|phase| matches!(phase, Phase::OnlineFailure | Phase::OfflineFailure)) {
                continue;
            }
            // A start whose wait was in vain was given up; an operator orders it anew.
            let waits = !self.options.plan.group(group).waits.start.is_empty();
            let should = engine.wish(group).run || (!lenient && !waits);
            let on = phases.iter().position(|phase| *phase == Phase::On);
            let note = engine.group_view(self.hosts[governor].clock(self.now), group).note;
            if should && on.is_none() && note.starts_with("waiting until ") && note.contains(" is online, at most ") {
                return Some(format!("g{} waits: {note}", group.0));
            }
            // One failover attribute may say that only an operator brings it back.
            let planned = self.options.plan.group(group);
            let by_hand = lenient && (!planned.failover_auto || self.may_be_stranded(group, &note));
            if should && !by_hand && !(on.is_none() && self.is_shut_out(group)) {
                let Some(on) = on else {
                    return Some(format!("g{} does not run, phases {phases:?}, note: {note}", group.0));
                };
                let local = self.hosts[on].engine.as_ref()?;
                let false_on = self.options.plan.group(group).resources.iter().find(|resource| {
                    let believed = local.local_resource(**resource) == clp_core::message::ResourceState::On;
                    believed != self.hosts[on].active[resource.index()]
                });
                if let Some(resource) = false_on {
                    return Some(format!("r{} on s{on} is not what the server believes", resource.0));
                }
            }
        }
        None
    }

    /// While a server stays off: is there nobody left for the group, or does only an operator know what it has become of?
    fn may_be_stranded(&self, group: GroupId, note: &str) -> bool {
        let policy = &self.options.plan.group(group).policy;
        let left = policy.iter().any(|server| self.kept_off != Some(server.index()));
        self.kept_off.is_some()
            && (!left || note.contains("no server can take it") || note.contains("while the cluster was suspended"))
    }

    /// The last look.
    pub(crate) fn check_well(&mut self, when: &str) {
        if let Some(problem) = self.what_is_wrong(false, true) {
            self.violation(format!("no-orphan: not well {when}: {problem}"));
        }
    }
}
