//! The world of one run: a queue of happenings in virtual time, servers, cables, disks and the arbiter. Faults come first,
//! then everything heals and must be well again within a bound. What actions do to resources stands in `work.rs`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;

use clp_core::action::Action;
use clp_core::cluster::{Cluster, Identity};
use clp_core::event::Event;
use clp_core::ids::{MonitorId, ResourceId, ServerId};
use clp_core::message::{Command, Frame, Message};
use clp_core::plan::AfterStop;

use crate::check::Checker;
use crate::host::{Host, Pause, Slot};
use crate::network::{Cut, Network};
use crate::options::{Arbiter, Options, Planted};
use crate::rng::Rng;
use crate::{Outcome, rerun};

/// Something that happens at an instant.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Happening {
    /// A frame arrives.
    Frame { to: usize, from: usize, path: usize, frame: Rc<Frame> },
    /// A message arrives.
    Message { to: usize, from: usize, message: Rc<Message> },
    /// An engine's deadline.
    Wake { host: usize },
    /// A frame reaches the shared disk.
    DiskWrite { host: usize, path: usize, frame: Rc<Frame> },
    /// A server reads the slots.
    DiskRead { host: usize, life: u64, path: usize },
    /// A question reaches the arbiter.
    Question { host: usize, life: u64, ask: u64 },
    /// Its answer arrives.
    Verdict { host: usize, life: u64, ask: u64, yes: bool },
    /// The truth about a resource changes.
    Effect { host: usize, work: u64, resource: ResourceId, on: bool },
    /// An operation ends.
    Done { host: usize, life: u64, op: u64, resource: ResourceId, result: Result<(), String> },
    /// The emergency ends.
    EmergencyDone { host: usize, life: u64 },
    /// A monitor checks.
    Check { host: usize, run: u64, monitor: MonitorId },
    /// The heartbeat thread looks at the watchdog.
    Feed { host: usize, boot: u64 },
    /// The watchdog may be at its end.
    Watchdog { host: usize, boot: u64 },
    /// The watchdog's reset takes effect.
    Reset { host: usize, boot: u64 },
    /// A server is switched on.
    PowerOn { host: usize },
    /// The service is started.
    EngineStart { host: usize, boot: u64 },
    /// A parent shuts its server down after the death of the engine.
    Fence { host: usize, boot: u64, life: u64 },
    /// A pause ends.
    Resume { host: usize, pauses: u64 },
    /// The next fault.
    Fault,
    /// A fault of the network ends.
    Mend { cuts: Vec<Cut> },
    /// The arbiter is reached again.
    ArbiterBack { host: usize },
    /// Loss and delay are usual again.
    Calm,
    /// The end of the faults.
    Heal,
    /// An administrator looks after what is left.
    Help,
    /// The end.
    End,
}

struct Entry {
    at: u64,
    number: u64,
    happening: Happening,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
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
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// One run.
pub struct World {
    /// What it is made of.
    pub options: Options,
    pub(crate) now: u64,
    pub(crate) rng: Rng,
    queue: BinaryHeap<Reverse<Entry>>,
    number: u64,
    /// All servers.
    pub hosts: Vec<Host>,
    pub(crate) network: Network,
    slots: Vec<Vec<Option<Slot>>>,
    slot_serial: u64,
    lease: Option<(Vec<bool>, u64)>,
    /// Who is not in the committed view of whom after a farewell, as the arbiter records it.
    excludes: Vec<Vec<bool>>,
    /// Newest frame sent, for a planted mistake.
    sent: Vec<(u64, u64)>,
    pub(crate) healed: bool,
    pub(crate) checker: Checker,
    pub(crate) command: u64,
    pub(crate) events: u64,
    trace: bool,
    ended: bool,
}

impl World {
    /// A world before its first instant.
    pub fn new(options: Options, trace: bool) -> Self {
        let servers = options.plan.servers.len();
        let mut rng = Rng::new(options.seed ^ 0xabcd_ef01);
        let hosts = (0..servers)
            .map(|_| {
                let drift = i64::try_from(rng.below(2 * options.drift + 1)).expect("small")
                    - i64::try_from(options.drift).expect("small");
                let base = rng.pick(&[0, 1_000_000, 86_400_000_000]);
                Host::new(options.plan.resources.len(), options.plan.monitors.len(), servers, base, drift)
            })
            .collect();
        let mut network = Network::new(servers, options.lan.clone());
        network.loss = options.loss;
        network.duplicate = options.duplicate;
        network.delay = options.delay;
        let slots = vec![vec![None; servers]; options.lan.len()];
        let checker = Checker::new(&options);
        if trace {
            println!("{options:#?}");
        }
        World {
            now: 0,
            rng,
            queue: BinaryHeap::new(),
            number: 0,
            hosts,
            network,
            slots,
            slot_serial: 0,
            lease: None,
            excludes: vec![vec![false; servers]; servers],
            sent: vec![(0, 0); servers],
            healed: false,
            checker,
            command: 0,
            events: 0,
            trace,
            ended: false,
            options,
        }
    }

    /// To the end.
    pub fn run(mut self) -> Outcome {
        for host in 0..self.hosts.len() {
            let late = self.rng.below(self.interval() * 30);
            self.after(late, Happening::PowerOn { host });
        }
        let first = self.options.plan.timing.sync_wait.as_micros() as u64 + self.interval() * 20;
        self.after(first, Happening::Fault);
        self.after(first + self.options.faulty, Happening::Heal);
        while let Some(Reverse(entry)) = self.queue.pop() {
            self.now = entry.at;
            self.happens(entry.happening);
            if self.ended || !self.checker.violations.is_empty() {
                break;
            }
        }
        if self.trace {
            for violation in &self.checker.violations {
                println!("VIOLATION {violation}");
            }
        }
        Outcome { seed: self.options.seed, time: self.now, violations: self.checker.violations, events: self.events }
    }

    pub(crate) fn interval(&self) -> u64 {
        self.options.plan.timing.interval.as_micros() as u64
    }

    pub(crate) fn after(&mut self, span: u64, happening: Happening) {
        self.number += 1;
        self.queue.push(Reverse(Entry { at: self.now + span, number: self.number, happening }));
    }

    pub(crate) fn say(&self, words: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>12.4} {}", self.now as f64 / 1e6, words());
        }
    }

    pub(crate) fn violation(&mut self, words: String) {
        let at = self.now as f64 / 1e6;
        self.checker.violations.push(format!(
            "seed {} at {at:.4} s: {words}; repeat: {}",
            self.options.seed,
            rerun(self.options.seed)
        ));
    }

    fn alive(&self, host: usize, life: u64) -> bool {
        self.hosts[host].engine.is_some() && self.hosts[host].life == life
    }

    fn happens(&mut self, happening: Happening) {
        use Happening::*;
        // A server that stands still takes nothing; a standing engine takes no events, its scripts go on.
        let stands = match &happening {
            Frame { to, .. } | Message { to, .. } => (self.hosts[*to].pause != Pause::No).then_some(*to),
            Wake { host } | Verdict { host, .. } | Done { host, .. } | EmergencyDone { host, .. } | Check { host, .. } => {
                (self.hosts[*host].pause != Pause::No).then_some(*host)
            }
            DiskRead { host, .. } | EngineStart { host, .. } | Fence { host, .. } => {
                (self.hosts[*host].pause != Pause::No).then_some(*host)
            }
            Effect { host, .. } => (self.hosts[*host].pause == Pause::Server).then_some(*host),
            _ => None,
        };
        if let Some(host) = stands {
            self.hosts[host].keep(happening);
            return;
        }
        match happening {
            Frame { to, from, path, frame } => {
                if self.hosts[to].engine.is_some() {
                    let lan = self.network.is_lan(path);
                    let mut frame = (*frame).clone();
                    if self.options.planted == Some(Planted::HearingIsEnough) {
                        let (life, seq) = self.sent[to];
                        let mine = frame.acks.iter_mut().filter(|ack| ack.server.index() == to && ack.incarnation == life);
                        mine.for_each(|ack| ack.seq = seq);
                    }
                    let event = Event::Frame { from: ServerId::at(from), path, lan, frame };
                    self.handle(to, event);
                }
            }
            Message { to, from, message } => {
                if self.hosts[to].engine.is_some() {
                    self.handle(to, Event::Message { from: ServerId::at(from), message: (*message).clone() });
                }
            }
            Wake { host } => self.wake(host),
            DiskWrite { host, path, frame } => {
                if self.network.passes(path, host, host) {
                    self.slot_serial += 1;
                    self.slots[path][host] = Some(Slot { serial: self.slot_serial, frame: (*frame).clone() });
                }
            }
            DiskRead { host, life, path } => self.disk_read(host, life, path),
            Question { host, life, ask } => self.question(host, life, ask),
            Verdict { host, life, ask, yes } => {
                if self.alive(host, life) {
                    self.handle(host, Event::Verdict { ask, yes, reason: format!("the arbiter said {yes}") });
                }
            }
            Effect { host, work, resource, on } => {
                if self.hosts[host].work[resource.index()] == work && self.hosts[host].powered {
                    self.set_active(host, resource, on);
                }
            }
            Done { host, life, op, resource, result } => {
                if self.alive(host, life) {
                    self.say(|| format!("s{host} operation {op} on r{} ended: {result:?}", resource.0));
                    self.handle(host, Event::ResourceDone { op, resource, result });
                }
            }
            EmergencyDone { host, life } => {
                if self.alive(host, life) {
                    self.handle(host, Event::EmergencyDone);
                }
            }
            Check { host, run, monitor } => self.monitor_checks(host, run, monitor),
            Feed { host, boot } => self.feed(host, boot),
            Watchdog { host, boot } => self.watchdog(host, boot),
            Reset { host, boot } => {
                if self.hosts[host].boot == boot && self.hosts[host].powered {
                    self.say(|| format!("s{host} is reset by its watchdog"));
                    self.power_off(host);
                    let back = self.rng.range(self.interval(), self.interval() * 40);
                    self.after(back, PowerOn { host });
                }
            }
            PowerOn { host } => self.power_on(host),
            EngineStart { host, boot } => self.engine_start(host, boot),
            Fence { host, boot, life } => {
                let same = self.hosts[host].boot == boot && self.hosts[host].powered && self.hosts[host].life == life;
                if same && self.hosts[host].engine.is_none() {
                    self.say(|| format!("s{host} is shut down by its parent process"));
                    self.power_off(host);
                    let back = self.rng.range(self.interval(), self.interval() * 40);
                    self.after(back, PowerOn { host });
                }
            }
            Resume { host, pauses } => {
                if self.hosts[host].pauses == pauses {
                    self.resume(host);
                }
            }
            Fault => self.fault(),
            Mend { cuts } => {
                if !self.healed {
                    self.network.change(&cuts, false);
                    self.say(|| format!("mended {cuts:?}"));
                    self.contact_changed();
                }
            }
            ArbiterBack { host } => {
                let cuts = &mut self.network.arbiter_cuts[host];
                *cuts = cuts.saturating_sub(1);
                self.contact_changed();
            }
            Calm => {
                if !self.healed {
                    self.network.loss = self.options.loss;
                    self.network.delay = self.options.delay;
                    self.contact_changed();
                }
            }
            Heal => self.heal(),
            Help => self.help(),
            End => {
                self.ended = true;
                self.check_well("in the end");
            }
        }
    }

    /// Give an event to an engine and do what it says.
    pub(crate) fn handle(&mut self, host: usize, event: Event) {
        let now = self.hosts[host].clock(self.now);
        let Some(engine) = &mut self.hosts[host].engine else { return };
        self.events += 1;
        let actions = engine.handle(now, event);
        for action in actions {
            self.act(host, action);
        }
        self.schedule(host);
    }

    fn schedule(&mut self, host: usize) {
        let now = self.hosts[host].clock(self.now);
        let Some(engine) = &self.hosts[host].engine else { return };
        let at = self.hosts[host].real(engine.next_deadline(now)).max(self.now);
        if at < self.hosts[host].wake || self.hosts[host].wake <= self.now {
            self.hosts[host].wake = at;
            self.after(at - self.now, Happening::Wake { host });
        }
    }

    fn wake(&mut self, host: usize) {
        let scheduled = &mut self.hosts[host];
        if scheduled.engine.is_none() || scheduled.wake > self.now {
            return;
        }
        scheduled.wake = u64::MAX;
        self.handle(host, Event::Deadline);
    }

    fn act(&mut self, host: usize, action: Action) {
        let life = self.hosts[host].life;
        if !matches!(action, Action::Beat(_) | Action::Send { message: Message::Report(_) | Message::Cause { .. }, .. }) {
            self.say(|| format!("s{host}.{life} {action:?}"));
        }
        match action {
            Action::Beat(frame) => self.beat(host, frame),
            Action::Send { to, message } => {
                let message = Rc::new(message);
                if self.network.lan(host, to.index()) {
                    for delay in self.network.arrivals(&mut self.rng) {
                        let message = message.clone();
                        self.after(delay, Happening::Message { to: to.index(), from: host, message });
                    }
                }
            }
            Action::AskPartition { ask } => {
                let way = self.rng.below(self.interval() / 4 + 1);
                self.after(way, Happening::Question { host, life, ask });
            }
            Action::Resource { op, resource, work } => self.work(host, op, resource, work),
            Action::Emergency { .. } => self.emergency(host),
            Action::Monitor { monitor, run } => self.monitor(host, monitor, run),
            Action::Alert(alert) => self.alerted(host, &alert),
            Action::Cause { .. } => {}
            Action::Answer { .. } => {}
            Action::Exit { then, clean } => self.exit(host, then, clean),
        }
    }

    fn beat(&mut self, host: usize, frame: Frame) {
        self.check_frame(host, &frame);
        self.sent[host] = (frame.incarnation, frame.seq);
        let frame = Rc::new(frame);
        for path in 0..self.network.paths() {
            if !self.network.is_lan(path) {
                let delay = 100 + self.rng.below(self.interval() / 10);
                self.after(delay, Happening::DiskWrite { host, path, frame: frame.clone() });
                continue;
            }
            for to in (0..self.hosts.len()).filter(|to| *to != host) {
                if !self.network.passes(path, host, to) {
                    continue;
                }
                for delay in self.network.arrivals(&mut self.rng) {
                    self.after(delay, Happening::Frame { to, from: host, path, frame: frame.clone() });
                }
            }
        }
    }

    fn disk_read(&mut self, host: usize, life: u64, path: usize) {
        if !self.alive(host, life) {
            return;
        }
        self.after(self.interval(), Happening::DiskRead { host, life, path });
        if !self.network.passes(path, host, host) {
            return;
        }
        for from in (0..self.hosts.len()).filter(|from| *from != host) {
            let Some(slot) = self.slots[path][from].clone() else { continue };
            if (life, slot.serial) > self.hosts[host].slots_read[from] {
                // What lay there before this engine started is no sign of life: the reader waits for a change.
                let (read_life, _) = self.hosts[host].slots_read[from];
                self.hosts[host].slots_read[from] = (life, slot.serial);
                if read_life == life && self.hosts[host].engine.is_some() {
                    self.handle(host, Event::Frame { from: ServerId::at(from), path, lan: false, frame: slot.frame });
                }
            }
        }
    }

    fn question(&mut self, host: usize, life: u64, ask: u64) {
        if !self.alive(host, life) || self.network.arbiter_cuts[host] > 0 {
            // A target that does not answer is a No after a while; the question's time limit is Q.
            let wait = self.options.plan.timing.arbiter.as_micros() as u64 * 3 / 4;
            self.after(wait, Happening::Verdict { host, life, ask, yes: false });
            return;
        }
        let acts: Vec<bool> = self.hosts.iter().map(Host::acts).collect();
        // Rule R9: the arbiter holds the committed view, so whoever said farewell and returns behind a cut is not in it.
        let hosts = 0..self.hosts.len();
        let mut part = self.network.part(host, &acts, true);
        let works = !self.network.is_bad(self.interval());
        if !works {
            // Too much is lost or late for any two to count as being in contact.
            part.fill(false);
            part[host] = true;
        }
        let excluded = hosts.clone().any(|x| !part[x] && hosts.clone().any(|of| part[of] && self.excludes[x][of]));
        self.say(|| format!("question {ask} of s{host}: part {part:?}, excluded {excluded}"));
        let yes = match self.options.arbiter {
            Arbiter::Majority | Arbiter::Witness if excluded => false,
            Arbiter::None | Arbiter::Ping => true,
            Arbiter::Majority => part.iter().filter(|in_it| **in_it).count() * 2 > self.hosts.len(),
            Arbiter::Witness => {
                let timing = &self.options.plan.timing;
                let valid = timing.arbiter + timing.interval * 2;
                let stopped = timing.interval * 3 + timing.right_timeout * 2;
                let mut held = (valid + stopped).as_micros() as u64 + self.options.watchdog + self.options.watchdog_grain;
                if self.options.planted == Some(Planted::NoTakeoverDelay) {
                    held = self.interval();
                }
                let holder = self.lease.as_ref().is_none_or(|(members, until)| members[host] || *until < self.now);
                if holder {
                    self.lease = Some((part, self.now + held + held / 50));
                }
                holder
            }
        };
        let way = self.rng.below(self.interval() / 4 + 1);
        self.after(way, Happening::Verdict { host, life, ask, yes });
    }

    pub(crate) fn power_on(&mut self, host: usize) {
        if self.hosts[host].powered {
            return;
        }
        let server = &mut self.hosts[host];
        server.powered = true;
        server.boot += 1;
        let boot = server.boot;
        self.say(|| format!("s{host} boots ({boot})"));
        self.after(self.interval(), Happening::Feed { host, boot });
        self.engine_start(host, boot);
    }

    pub(crate) fn power_off(&mut self, host: usize) {
        self.hosts[host].power_off();
        self.truth_changed();
        self.contact_changed();
    }

    fn engine_start(&mut self, host: usize, boot: u64) {
        let server = &mut self.hosts[host];
        if !server.powered || server.boot != boot || server.engine.is_some() {
            return;
        }
        server.life += 1;
        server.slots_read.fill((0, 0));
        let life = server.life;
        let identity = Identity {
            me: ServerId::at(host),
            incarnation: life,
            boot: boot * 1000 + host as u64,
            paths: self.options.lan.len(),
            generation: 1,
        };
        let now = server.clock(self.now);
        let mut plan = self.options.plan.clone();
        if self.options.planted == Some(Planted::IgnoresDependencies) {
            plan.resources.iter_mut().for_each(|resource| resource.depends.clear());
        }
        server.engine = Some(Cluster::new(plan, identity, now));
        server.wake = u64::MAX;
        self.checker.engine_starts(host);
        self.say(|| format!("s{host} engine starts, life {life}"));
        for path in (0..self.network.paths()).filter(|path| !self.network.is_lan(*path)).collect::<Vec<_>>() {
            self.after(0, Happening::DiskRead { host, life, path });
        }
        self.handle(host, Event::Deadline);
        self.contact_changed();
    }

    fn exit(&mut self, host: usize, then: AfterStop, clean: bool) {
        if clean {
            self.check_clean_exit(host);
            self.hosts[host].watchdog = None;
        }
        self.hosts[host].end_engine();
        let boot = self.hosts[host].boot;
        let back = self.rng.range(self.interval() * 5, self.interval() * 80);
        match then {
            AfterStop::Nothing => self.after(back, Happening::EngineStart { host, boot }),
            AfterStop::Shutdown | AfterStop::Reboot => {
                self.power_off(host);
                self.after(back, Happening::PowerOn { host });
            }
        }
        self.contact_changed();
    }

    pub(crate) fn resume(&mut self, host: usize) {
        if self.hosts[host].pause == Pause::No {
            return;
        }
        self.say(|| format!("s{host} goes on after its pause"));
        self.hosts[host].pause = Pause::No;
        let waiting = std::mem::take(&mut self.hosts[host].waiting);
        let first = self.rng.percent(50);
        if first {
            self.handle(host, Event::Deadline);
        }
        for happening in waiting {
            self.happens(happening);
        }
        self.handle(host, Event::Deadline);
        self.contact_changed();
    }

    fn record_view(&mut self, host: usize) {
        for of in 0..self.hosts.len() {
            let left = self.relies_on_farewell(host, of);
            let now = self.hosts[host].clock(self.now);
            let engine = self.hosts[host].engine.as_ref();
            let apart = engine.is_some_and(|engine| !engine.server_view(now, ServerId::at(of)).member);
            self.excludes[host][of] = apart && (left || self.excludes[host][of]);
        }
    }

    fn feed(&mut self, host: usize, boot: u64) {
        self.record_view(host);
        let server = &self.hosts[host];
        if server.boot != boot || !server.powered {
            return;
        }
        let now = server.clock(self.now);
        let allowed = server.pause == Pause::No && server.engine.as_ref().is_some_and(|engine| engine.may_feed_watchdog(now));
        self.after(self.interval(), Happening::Feed { host, boot });
        if !allowed || self.options.planted == Some(Planted::NoWatchdog) {
            return;
        }
        let end = self.now + self.options.watchdog;
        if self.hosts[host].watchdog.replace(end).is_none() {
            self.after(self.options.watchdog, Happening::Watchdog { host, boot });
        }
    }

    fn watchdog(&mut self, host: usize, boot: u64) {
        let server = &self.hosts[host];
        if server.boot != boot || !server.powered {
            return;
        }
        let Some(end) = server.watchdog else { return };
        if end > self.now {
            self.after(end - self.now, Happening::Watchdog { host, boot });
            return;
        }
        self.hosts[host].watchdog = None;
        let late = self.rng.below(self.options.watchdog_grain);
        self.after(late, Happening::Reset { host, boot });
    }

    /// Ask a server's engine as an operator does.
    pub(crate) fn operate(&mut self, host: usize, command: Command) {
        self.command += 1;
        self.say(|| format!("operator at s{host}: {command:?}"));
        let id = self.command;
        self.handle(host, Event::Operator { id, command });
    }
}
