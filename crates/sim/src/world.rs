//! The world of one run: a queue of happenings in virtual time, servers, cables, disks and the arbiter. Faults come first,
//! then everything heals and must be well again within a bound. What passes between world and engine stands in `act.rs`, the
//! life of a server in `power.rs`, frames in `carry.rs`, the verdict in `arbiter.rs`, resources in `work.rs`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use clp_core::event::Event;
use clp_core::ids::ServerId;

use crate::Outcome;
use crate::arbiter::Store;
use crate::check::Checker;
use crate::fault::Planned;
use crate::faults::{Push, Window};
use crate::happening::Entry;
pub use crate::happening::Happening;
use crate::host::{Host, Pause, Slot};
use crate::network::Network;
use crate::options::Options;
use crate::plant::{Memory, Planted};
use crate::rng::Rng;
use crate::slots::Slots;
use crate::tally::Tally;
use crate::violation::Violation;

/// A double of a datagram may come so many time-outs after it.
const LATE_SCALES: u64 = 6;
/// By how many millionths a clock with a planted mistake runs slower.
const SLOW: i64 = 300_000;

/// One run.
pub struct World {
    /// What it is made of.
    pub options: Options,
    pub(crate) now: u64,
    /// For what belongs to no server.
    pub(crate) rng: Rng,
    /// A stream for each server, and for each pair of sender and receiver: what befalls one leaves the luck of others as it is,
    /// so that a fault can be taken from the list without changing everything.
    dice: Vec<Rng>,
    links: Vec<Rng>,
    queue: BinaryHeap<Reverse<Entry>>,
    number: u64,
    /// All servers.
    pub hosts: Vec<Host>,
    pub(crate) network: Network,
    pub(crate) slots: Slots,
    /// The list of faults.
    pub(crate) faults: Vec<Planned>,
    pub(crate) windows: Vec<Window>,
    pub(crate) pushing: Option<Push>,
    /// What disks give in place of what they hold, by fault.
    pub(crate) stale: Vec<(usize, Vec<Option<Slot>>)>,
    pub(crate) tally: Tally,
    pub(crate) store: Store,
    /// For planted mistakes.
    pub(crate) memory: Memory,
    pub(crate) healed: bool,
    /// It stays off while the rest heals.
    pub(crate) kept_off: Option<usize>,
    pub(crate) checker: Checker,
    pub(crate) command: u64,
    pub(crate) events: u64,
    trace: bool,
    pub(crate) story: Option<Vec<String>>,
    /// The run ends here, well or not.
    pub(crate) limit: u64,
    ended: bool,
}

impl World {
    /// A world before its first instant.
    pub fn new(options: Options, faults: Vec<Planned>, trace: bool) -> Self {
        let servers = options.plan.servers.len();
        let mut rng = Rng::new(options.seed ^ 0xabcd_ef01);
        let hosts = (0..servers)
            .map(|host| {
                let drift = i64::try_from(rng.below(2 * options.drift + 1)).expect("small")
                    - i64::try_from(options.drift).expect("small");
                let slow = host == 0 && options.planted == Some(Planted::ClockRunsSlow);
                let drift = if slow { drift - SLOW } else { drift };
                let base = rng.pick(&[0, 1_000_000, 86_400_000_000]);
                Host::new(options.plan.resources.len(), options.plan.monitors.len(), servers, options.lan.len(), base, drift)
            })
            .collect();
        let mut network = Network::new(servers, options.lan.clone());
        network.loss = options.loss;
        network.duplicate = options.duplicate;
        network.delay = options.delay;
        network.late = options.scale() * LATE_SCALES;
        let checker = Checker::new(&options);
        let mut stream = |number: usize| Rng::new(options.seed ^ ((number as u64 + 1) << 40));
        let dice = (0..servers).map(&mut stream).collect();
        let links = (servers..servers * (servers + 1)).map(&mut stream).collect();
        World {
            now: 0,
            rng,
            queue: BinaryHeap::new(),
            number: 0,
            hosts,
            network,
            slots: Slots::new(&options),
            windows: Vec::new(),
            pushing: None,
            stale: Vec::new(),
            tally: Tally::new(&options, faults.len()),
            faults,
            dice,
            links,
            store: Store::new(servers),
            memory: Memory::new(servers),
            healed: false,
            kept_off: None,
            checker,
            command: 0,
            events: 0,
            trace,
            story: None,
            limit: u64::MAX,
            ended: false,
            options,
        }
    }

    /// The same, with its story kept.
    pub fn recorded(mut self) -> Self {
        self.story = Some(Vec::new());
        self
    }

    /// To the end.
    pub fn run(mut self) -> Outcome {
        for host in 0..self.hosts.len() {
            let late = self.below(host, self.interval() * 30);
            self.after(late, Happening::PowerOn { host });
        }
        for number in 0..self.faults.len() {
            self.after(self.faults[number].at, Happening::Fault { number });
        }
        self.after(self.options.first_fault() + self.options.faulty, Happening::Heal);
        while let Some(Reverse(entry)) = self.queue.pop() {
            self.now = entry.at;
            self.happens(entry.happening);
            if self.ended || self.now > self.limit || !self.checker.violations.is_empty() {
                break;
            }
        }
        if self.trace {
            for violation in &self.checker.violations {
                println!("VIOLATION {violation}");
            }
        }
        Outcome {
            seed: self.options.seed,
            time: self.now,
            effects: self.effects(),
            takeovers: self.tally.takeovers,
            outside: self.tally.outside,
            stopped: self.tally.stopped,
            mixed: self.tally.mixed,
            story: self.story.unwrap_or_default(),
            violations: self.checker.violations,
            events: self.events,
        }
    }

    pub(crate) fn interval(&self) -> u64 {
        self.options.interval()
    }

    /// From a server's own stream: below `bound`.
    pub(crate) fn below(&mut self, host: usize, bound: u64) -> u64 {
        self.dice[host].below(bound)
    }

    /// From a server's own stream: from `low` up to `high`.
    pub(crate) fn range(&mut self, host: usize, low: u64, high: u64) -> u64 {
        self.dice[host].range(low, high)
    }

    /// From a server's own stream: true in `percent` of a hundred.
    pub(crate) fn percent(&mut self, host: usize, percent: u64) -> bool {
        self.dice[host].percent(percent)
    }

    /// Delays of the copies that arrive of a datagram.
    pub(crate) fn arrivals(&mut self, from: usize, to: usize) -> Vec<u64> {
        let servers = self.hosts.len();
        self.network.arrivals(&mut self.links[from * servers + to])
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
        let (seed, at) = (self.options.seed, self.now);
        self.checker.violations.push(Violation { seed, at, words });
    }

    pub(crate) fn alive(&self, host: usize, life: u64) -> bool {
        self.hosts[host].engine.is_some() && self.hosts[host].life == life
    }

    pub(crate) fn happens(&mut self, happening: Happening) {
        use Happening::*;
        // A server that stands still takes nothing; a standing engine takes no events, its scripts go on.
        let stands = match &happening {
            Frame { to, .. } | Message { to, .. } => (self.hosts[*to].pause != Pause::No).then_some(*to),
            Wake { host }
            | Verdict { host, .. }
            | Done { host, .. }
            | EmergencyDone { host, .. }
            | Check { host, .. }
            | FinalScriptDone { host, .. }
            | Ran { host, .. }
            | PowerRead { host, .. }
            | Searched { host, .. }
            | LookAtArbiter { host, .. } => (self.hosts[*host].pause != Pause::No).then_some(*host),
            DiskRead { host, .. } | EngineStart { host, .. } | Fence { host, .. } | RatioKept { host, .. } => {
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
                    if self.distort_frame(to, from, lan, &mut frame) {
                        self.handle(to, Event::Frame { from: ServerId::at(from), path, lan, frame });
                    }
                }
            }
            Message { to, from, letter } => {
                if self.hosts[to].engine.is_some() {
                    let mut letter = (*letter).clone();
                    if self.distort_message(to, from, &mut letter.message) {
                        self.handle(to, Event::Message { from: ServerId::at(from), letter });
                    }
                }
            }
            Wake { host } => self.wake(host),
            DiskWrite { host, path, frame } => self.disk_write(host, path, frame),
            DiskRead { host, life, path } => self.disk_read(host, life, path),
            Question { host, life, ask } => self.question(host, life, ask),
            LookAtArbiter { host, life } => self.look_at_arbiter(host, life),
            Swap { host, life, ask, version, record, answer } => self.swap(host, life, ask, version, record, answer),
            Verdict { host, life, ask, answer, age } => self.answered(host, life, ask, answer, age),
            Searched { host, life, server } => {
                let (to, back) = (self.network.lan(host, server.index()), self.network.lan(server.index(), host));
                let answers = self.hosts[server.index()].powered && to && back;
                if self.alive(host, life) && self.hosts[host].pause == Pause::No {
                    self.handle(host, Event::Searched { server, sign: answers.then(|| "it answers ARP".to_string()) });
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
            FinalScriptDone { host, life, resource, script } => {
                if self.alive(host, life) {
                    self.handle(host, Event::FinalScriptDone { resource, script });
                }
            }
            Ran { host, life, run } => {
                if self.alive(host, life) {
                    let result = if run % 3 == 0 { Err("the script failed".into()) } else { Ok(()) };
                    self.handle(host, Event::RanElsewhere { run, result });
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
                    let back = self.range(host, self.interval(), self.interval() * 40);
                    self.after(back, PowerOn { host });
                }
            }
            RatioKept { host, life, ratio } => {
                if self.alive(host, life) {
                    self.keep_ratio(host, ratio);
                }
            }
            PowerOn { host } => self.power_on(host),
            PowerOrder { host, life, server } => self.power_order(host, life, server),
            PowerCut { server } => self.power_cut(server),
            PowerRead { host, life, server, order } => self.power_read(host, life, server, order),
            EngineStart { host, boot } => self.engine_start(host, boot),
            Fence { host, boot, life } => {
                let same = self.hosts[host].boot == boot && self.hosts[host].powered && self.hosts[host].life == life;
                if same && self.hosts[host].engine.is_none() {
                    self.say(|| format!("s{host} is shut down by its parent process"));
                    self.power_off(host);
                    let back = self.range(host, self.interval(), self.interval() * 40);
                    self.after(back, PowerOn { host });
                }
            }
            Resume { host, pauses } => {
                if self.hosts[host].pauses == pauses {
                    self.resume(host);
                }
            }
            Fault { number } => self.fault(number),
            SlotsWhole { path, host, torn } => {
                if !self.healed {
                    self.stale.retain(|(fault, _)| self.faults[*fault].at + self.faults[*fault].span > self.now);
                    self.network.spoil(path, host, torn, false);
                    self.contact_changed();
                }
            }
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
}
