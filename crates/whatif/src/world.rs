//! The world: servers whose cores go on from a picture of the present, cables between them, and a queue in virtual time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use clp_core::cluster::{Cluster, Identity};
use clp_core::event::{Event, Failure, WorkError};
use clp_core::ids::{GroupId, MonitorId, ResourceId, ServerId, ServerSet};
use clp_core::message::{Frame, Letter, Mode, MonitorState, Phase, ResourceState};
use clp_core::plan::Plan;
use clp_core::present::Present;
use clp_core::time::{Time, micros};

use crate::around::Surroundings;
use crate::fault::Fault;

/// The clock at the moment of the picture: later after zero than anything lasts.
const START: u64 = 1 << 50;
/// Intervals after a loss before anybody can have noticed nothing: what was under way has arrived.
const SETTLING_INTERVALS: u64 = 5;
/// How often the longest silence that anything waits for may pass before a world that is still busy is given up.
const PATIENCE: u32 = 8;

/// Why nothing can be asked of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CannotAsk {
    /// It was taken under another configuration.
    OtherConfiguration,
    /// There is no view yet, or the servers still wait for each other.
    NotStarted,
    /// Whoever took it is no member of the view.
    NoMember,
    /// Every server stops its service.
    Stopping,
}

#[derive(Debug, Clone)]
pub(crate) enum Happening {
    Frame { from: usize, path: usize, frame: Arc<Frame> },
    Letter { from: usize, letter: Arc<Letter> },
    Done { host: usize, life: u32, op: u64, resource: ResourceId, result: Result<(), WorkError> },
    Told { host: usize, life: u32, event: Box<Event> },
    Check { host: usize, life: u32, monitor: MonitorId, run: u64 },
}

#[derive(Debug, Clone)]
struct Entry(u64, u64, Happening);

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// A server.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) powered: bool,
    /// The core, while its service runs.
    pub(crate) core: Option<Cluster>,
    /// Raised at its end: what was for it then is for nobody.
    pub(crate) life: u32,
    wake: u64,
    /// Running monitors, with the number of their start.
    pub(crate) monitors: Vec<Option<u64>>,
    /// Disks that answer with errors here.
    pub(crate) lost: Vec<bool>,
    /// When each group was last told to be online here.
    pub(crate) online: Vec<Option<u64>>,
}

/// A world at one moment of its clock; a copy of it is asked for each loss.
#[derive(Debug, Clone)]
pub struct World {
    pub(crate) plan: Arc<Plan>,
    pub(crate) around: Arc<Surroundings>,
    pub(crate) now: u64,
    queue: BinaryHeap<Reverse<Entry>>,
    number: u64,
    /// Entries of the queue that are no frames and no checks.
    pub(crate) pending: usize,
    pub(crate) hosts: Vec<Host>,
    /// Cut, by path, sender and receiver.
    cuts: Vec<bool>,
    /// What the targets of each server's partition resolution answer.
    pub(crate) yes: Vec<bool>,
    /// The partition question was asked since the loss.
    pub(crate) asked: bool,
    /// When something happened last beside heartbeats.
    pub(crate) changed: u64,
    /// The last reason that was given for each group.
    pub(crate) causes: Vec<String>,
    /// Events that cores took.
    pub(crate) events: u64,
    notes: Vec<String>,
}

impl World {
    /// Go on from a picture until all is quiet.
    ///
    /// # Errors
    /// There is nothing to go on from.
    pub fn continued(plan: Plan, around: Surroundings, present: &Present) -> Result<World, CannotAsk> {
        let plan = Arc::new(plan);
        if !present.fits(&plan) || usize::from(present.paths) != around.paths.len() {
            return Err(CannotAsk::OtherConfiguration);
        }
        if present.document.stopping.is_some() {
            return Err(CannotAsk::Stopping);
        }
        if present.members.is_empty() || !present.document.started {
            return Err(CannotAsk::NotStarted);
        }
        if !present.has(present.me) {
            return Err(CannotAsk::NoMember);
        }
        let core = |server: ServerId| {
            let running = present.has(server) && present.servers[server.index()].mode != Mode::Left;
            running.then(|| Cluster::continued(plan.clone(), present, server, Time(START)))
        };
        let cores: Vec<Option<Cluster>> = plan.server_ids().map(core).collect();
        let notes = notes(&plan, &around, present);
        let mut world = World::of(plan, around, cores);
        world.notes = notes;
        world.yes = present.reports.iter().map(|report| report.resolutions.iter().flatten().all(|answers| *answers)).collect();
        world.cut_as_seen(present);
        if !world.run() {
            world.notes.push("the cluster is changing at this moment; the answers begin in the midst of it".into());
        }
        Ok(world)
    }

    /// All servers of a configuration started together, and all is well: what is to be expected of it before it runs.
    pub fn booted(plan: Plan, around: Surroundings) -> World {
        let plan = Arc::new(plan);
        let core = |me: ServerId| {
            let (boot, paths) = (u64::from(me.0) + 1, around.paths.len());
            let identity = Identity { me, incarnation: 1, boot, paths, generation: 0, suspended: false, ratio: 1, reboots: 0 };
            Some(Cluster::new(plan.clone(), identity, Time(START)))
        };
        let cores = plan.server_ids().map(core).collect();
        let mut world = World::of(plan, around, cores);
        for host in 0..world.hosts.len() {
            world.handle(host, vec![Event::PartitionSeen { reachable: vec![Some(true); world.around.resolutions] }]);
        }
        if !world.run() {
            world.notes.push("the groups of this configuration do not come to rest after a start".into());
        }
        world
    }

    fn of(plan: Arc<Plan>, around: Surroundings, cores: Vec<Option<Cluster>>) -> World {
        let (servers, groups) = (plan.servers.len(), plan.groups.len());
        let host = |core: Option<Cluster>| Host {
            powered: core.is_some(),
            core,
            life: 0,
            wake: START,
            monitors: vec![None; plan.monitors.len()],
            lost: vec![false; around.disks.len()],
            online: vec![None; groups],
        };
        World {
            hosts: cores.into_iter().map(host).collect(),
            cuts: vec![false; around.paths.len() * servers * servers],
            notes: Vec::new(),
            plan,
            around: Arc::new(around),
            now: START,
            queue: BinaryHeap::new(),
            number: 0,
            pending: 0,
            yes: vec![true; servers],
            asked: false,
            changed: START,
            causes: vec![String::new(); groups],
            events: 0,
        }
    }

    /// What a server knows at this moment; None when its service does not run.
    pub fn present(&self, server: ServerId) -> Option<Present> {
        self.hosts[server.index()].core.as_ref().map(|core| core.present(Time(self.now)))
    }

    /// What is taken for granted in every answer.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Servers whose service runs.
    pub fn running(&self) -> ServerSet {
        (0..self.hosts.len()).filter(|host| self.hosts[*host].core.is_some()).map(ServerId::at).collect()
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What lies around the cores.
    pub fn around(&self) -> &Surroundings {
        &self.around
    }

    /// Events that cores took so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Where a group is whole.
    pub fn holders(&self, group: GroupId) -> Vec<ServerId> {
        let on = |host: &usize| self.hosts[*host].core.as_ref().is_some_and(|core| core.local_phase(group) == Phase::On);
        (0..self.hosts.len()).filter(on).map(ServerId::at).collect()
    }

    /// Paths that bring nothing at the moment of the picture: those of its taker as measured, between others as far as they say whom
    /// they hear.
    fn cut_as_seen(&mut self, present: &Present) {
        let me = present.me.index();
        for from in 0..self.hosts.len() {
            for to in (0..self.hosts.len()).filter(|to| *to != from) {
                for path in 0..self.around.paths.len() {
                    let brings = if to == me {
                        present.servers[from].paths.get(path).copied().unwrap_or(true)
                    } else {
                        let heard = &present.servers[to];
                        let hears = if self.around.paths[path].lan { heard.lan } else { heard.any };
                        from == me && present.servers[to].paths.get(path).copied().unwrap_or(true)
                            || from != me && hears.has(ServerId::at(from))
                    };
                    let at = self.at(path, from, to);
                    self.cuts[at] = !brings;
                }
            }
        }
    }

    fn at(&self, path: usize, from: usize, to: usize) -> usize {
        (path * self.hosts.len() + from) * self.hosts.len() + to
    }

    /// Does the path bring anything from one to the other?
    fn passes(&self, path: usize, from: usize, to: usize) -> bool {
        let place = &self.around.paths[path];
        let used = place.servers.has(ServerId::at(from)) && place.servers.has(ServerId::at(to));
        let disk = |host: usize| place.disk.is_some_and(|disk| self.hosts[host].lost[disk]);
        used && !self.cuts[self.at(path, from, to)] && !disk(from) && !disk(to)
    }

    /// Does any LAN?
    pub(crate) fn reaches(&self, from: usize, to: usize) -> bool {
        (0..self.around.paths.len()).any(|path| self.around.paths[path].lan && self.passes(path, from, to))
    }

    pub(crate) fn interval(&self) -> u64 {
        micros(self.plan.timing.interval)
    }

    pub(crate) fn after(&mut self, span: u64, happening: Happening) {
        self.number += 1;
        if !matches!(happening, Happening::Frame { .. } | Happening::Check { .. }) {
            self.pending += 1;
        }
        self.queue.push(Reverse(Entry(self.now + span, self.number, happening)));
    }

    /// This is lost now.
    pub(crate) fn lose(&mut self, fault: Fault) {
        match fault {
            Fault::Server(server) => self.end(server.index(), false),
            Fault::Path(server, path) => {
                for other in 0..self.hosts.len() {
                    let (out, back) = (self.at(path, server.index(), other), self.at(path, other, server.index()));
                    (self.cuts[out], self.cuts[back]) = (true, true);
                }
            }
            Fault::Disk(server, disk) => {
                let host = server.index();
                self.hosts[host].lost[disk] = true;
                for monitor in self.plan.clone().monitor_ids() {
                    if self.hosts[host].monitors[monitor.index()].is_some() && self.around.looks_at(monitor, host, disk) {
                        // It looked just before: the longest that it can take.
                        self.check_after(host, monitor, self.around.looks[monitor.index()].interval);
                    }
                }
            }
        }
    }

    /// The service of a server ends.
    pub(crate) fn end(&mut self, host: usize, powered: bool) {
        let host = &mut self.hosts[host];
        host.powered = powered;
        host.core = None;
        host.life += 1;
        host.wake = u64::MAX;
        host.monitors.fill(None);
        self.changed = self.now;
    }

    pub(crate) fn check_after(&mut self, host: usize, monitor: MonitorId, span: u64) {
        let Some(run) = self.hosts[host].monitors[monitor.index()] else { return };
        let life = self.hosts[host].life;
        self.after(span, Happening::Check { host, life, monitor, run });
    }

    /// Go on until nothing but time goes on; false when that takes longer than anything should.
    pub(crate) fn run(&mut self) -> bool {
        let since = self.now;
        let settling = self.interval() * SETTLING_INTERVALS;
        let end = since + self.patience();
        let mut look = since + settling;
        while self.now < end {
            // Between a question and its answer is no moment to judge.
            if self.now >= look && self.pending == 0 {
                look = self.now + self.interval();
                if self.is_quiet() {
                    return true;
                }
            }
            if !self.step() {
                return true;
            }
        }
        self.is_quiet()
    }

    /// How long the world is given to become quiet.
    fn patience(&self) -> u64 {
        let timing = &self.plan.timing;
        let ratio = self.hosts.iter().filter_map(|host| host.core.as_ref()).map(|core| core.timeout_ratio(Time(self.now)).0).max();
        let silence = timing.timeout * ratio.unwrap_or(1).max(1) + timing.takeover_data.max(timing.takeover_addresses) + timing.arbiter;
        let waits: Duration = self.plan.groups.iter().map(|group| group.waits.start_limit.max(group.waits.stop_limit)).sum();
        let work: u64 = self.around.times.iter().map(|times| times.activate.unwrap_or(0) + times.deactivate.unwrap_or(0)).sum();
        let ladders = self.around.looks.iter().zip(&self.plan.monitors);
        let looks: u64 = ladders
            .map(|(look, monitor)| {
                let steps = u64::from(monitor.restart_max + monitor.failover_max + 2);
                (look.interval * u64::from(look.checks) + look.start_wait) * steps
            })
            .max()
            .unwrap_or(0);
        micros(silence * PATIENCE + waits) + work * u64::from(PATIENCE) + looks + self.interval() * 200
    }

    fn is_quiet(&self) -> bool {
        // A monitor that goes on failing has done what it can when so many checks changed nothing.
        let failing = self.plan.monitor_ids().filter(|monitor| {
            (0..self.hosts.len()).any(|host| {
                let host_ref = &self.hosts[host];
                let lost = (0..host_ref.lost.len()).any(|disk| host_ref.lost[disk] && self.around.looks_at(*monitor, host, disk));
                lost && host_ref.monitors[monitor.index()].is_some()
            })
        });
        let looks = failing.map(|monitor| {
            let look = &self.around.looks[monitor.index()];
            look.interval * u64::from(look.checks + 1) + look.start_wait
        });
        let still = looks.max().is_none_or(|span| self.now >= self.changed + span);
        let cores = self.hosts.iter().filter_map(|host| host.core.as_ref());
        still && self.pending == 0 && cores.into_iter().all(|core| core.is_quiet(Time(self.now)))
    }

    /// To the next instant at which something happens; false when nothing will.
    fn step(&mut self) -> bool {
        let queued = self.queue.peek().map_or(u64::MAX, |Reverse(entry)| entry.0);
        let woken = self.hosts.iter().map(|host| host.wake).min().unwrap_or(u64::MAX);
        let at = queued.min(woken);
        if at == u64::MAX {
            return false;
        }
        self.now = at;
        let mut events: Vec<Vec<Event>> = vec![Vec::new(); self.hosts.len()];
        while self.queue.peek().is_some_and(|Reverse(entry)| entry.0 == at) {
            let Some(Reverse(Entry(_, _, happening))) = self.queue.pop() else { break };
            self.happens(happening, &mut events);
        }
        for (host, events) in events.into_iter().enumerate() {
            if !events.is_empty() || self.hosts[host].wake <= at {
                self.handle(host, events);
            }
        }
        true
    }

    fn happens(&mut self, happening: Happening, events: &mut [Vec<Event>]) {
        if !matches!(happening, Happening::Frame { .. } | Happening::Check { .. }) {
            self.pending -= 1;
        }
        match happening {
            Happening::Frame { from, path, frame } => {
                let lan = self.around.paths[path].lan;
                for (to, events) in events.iter_mut().enumerate().filter(|(to, _)| *to != from) {
                    if self.hosts[to].core.is_some() && self.passes(path, from, to) {
                        events.push(Event::Frame { from: ServerId::at(from), path, lan, frame: (*frame).clone() });
                    }
                }
            }
            Happening::Letter { from, letter } => {
                let to = letter.to.server.index();
                events[to].push(Event::Message { from: ServerId::at(from), letter: (*letter).clone() });
            }
            Happening::Done { host, life, op, resource, result } => {
                if self.hosts[host].life == life {
                    events[host].push(Event::ResourceDone { op, resource, result });
                }
            }
            Happening::Told { host, life, event } => {
                if self.hosts[host].life == life {
                    events[host].push(*event);
                }
            }
            Happening::Check { host, life, monitor, run } => {
                let same = self.hosts[host].life == life && self.hosts[host].monitors[monitor.index()] == Some(run);
                if same {
                    let failure = self.failure_of(host, monitor).map(Failure::error);
                    self.check_after(host, monitor, self.around.looks[monitor.index()].interval);
                    events[host].push(Event::MonitorResult { monitor, failure });
                }
            }
        }
    }

    /// What a monitor finds wrong on a server.
    pub(crate) fn failure_of(&self, host: usize, monitor: MonitorId) -> Option<String> {
        let lost = &self.hosts[host].lost;
        let disk = (0..lost.len()).find(|disk| lost[*disk] && self.around.looks_at(monitor, host, *disk))?;
        Some(format!("cannot read {}: it is lost here", self.around.disks[disk].name))
    }

    fn handle(&mut self, host: usize, events: Vec<Event>) {
        self.events += events.len() as u64 + 1;
        let now = Time(self.now);
        let Some(core) = &mut self.hosts[host].core else {
            self.hosts[host].wake = u64::MAX;
            return;
        };
        let actions = core.handle_all(now, events);
        self.hosts[host].wake = core.next_deadline(now).0.max(self.now + 1);
        for action in actions {
            self.act(host, action);
        }
    }
}

/// What cannot be seen in a picture, and how it is taken.
fn notes(plan: &Plan, around: &Surroundings, present: &Present) -> Vec<String> {
    let mut notes = Vec::new();
    let names = |servers: Vec<ServerId>| servers.iter().map(|server| plan.server(*server)).collect::<Vec<_>>().join(", ");
    let alive = plan.server_ids().filter(|server| present.servers[server.index()].alive && !present.has(*server));
    let joining: Vec<ServerId> = alive.collect();
    if !joining.is_empty() {
        notes.push(format!("{} is joining at this moment and is taken as not running", names(joining)));
    }
    let members = || plan.server_ids().filter(|server| present.has(*server));
    let leaving: Vec<ServerId> = members().filter(|server| present.servers[server.index()].mode != Mode::Running).collect();
    if !leaving.is_empty() {
        notes.push(format!("{} stops its service at this moment and is taken as staying", names(leaving)));
    }
    let untold: Vec<ServerId> = members().filter(|server| present.reports[server.index()].version == 0).collect();
    if !untold.is_empty() {
        notes.push(format!("{} has not told yet what it runs", names(untold)));
    }
    let busy = |state: &ResourceState| {
        matches!(state, ResourceState::Activating | ResourceState::Deactivating | ResourceState::Unverified)
    };
    let groups = || members().flat_map(|server| &present.reports[server.index()].groups);
    if groups().any(|group| group.resources.iter().any(busy)) {
        notes.push("groups are being started or stopped at this moment; the losses happen when that has ended".into());
    }
    let failing = |monitor: &MonitorId| {
        let state = |server: ServerId| present.reports[server.index()].monitors.get(monitor.index()).map(|report| report.state);
        members().any(|server| state(server) == Some(MonitorState::Failed))
    };
    let failing: Vec<&str> = plan.monitor_ids().filter(failing).map(|id| plan.monitor(id).name.as_str()).collect();
    if !failing.is_empty() {
        notes.push(format!("monitors that find an error now are taken as finding none: {}", failing.join(", ")));
    }
    let unseen = |server: &ServerId| present.reports[server.index()].resolutions.iter().all(Option::is_none);
    let unseen: Vec<ServerId> = members().filter(unseen).collect();
    if around.resolutions > 0 && !unseen.is_empty() {
        notes.push(format!("no look at the partition resolution's targets is known of {}: they are taken as answering", names(unseen)));
    }
    notes
}
