//! A simulated server: power, boot, engine, clock, watchdog, and what is truly active on it.

use std::collections::VecDeque;
use std::rc::Rc;

use clp_core::cluster::Cluster;
use clp_core::ids::ServerSet;
use clp_core::message::Frame;
use clp_core::time::Time;

use crate::world::Happening;

/// What of a server stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// Nothing.
    No,
    /// The engine's loop; scripts, kernel and network go on.
    Engine,
    /// Everything but the watchdog and what answers without a process.
    Server,
}

/// One server.
#[derive(Debug)]
pub struct Host {
    /// The hardware runs.
    pub powered: bool,
    /// Number of the boot.
    pub boot: u64,
    /// The engine, while its process lives.
    pub engine: Option<Cluster>,
    /// Number of engine starts; also the incarnation.
    pub life: u64,
    /// Standing still.
    pub pause: Pause,
    /// Raised by each pause, so that its end is recognised.
    pub pauses: u64,
    /// What waits for the end of a pause.
    pub waiting: VecDeque<Happening>,
    /// Instant of the scheduled deadline, real time.
    pub wake: u64,
    /// What is truly active, by resource.
    pub active: Vec<bool>,
    /// Number of the operation in force, by resource: effects of older ones no longer come.
    pub work: Vec<u64>,
    /// When the watchdog resets, once it is open.
    pub watchdog: Option<u64>,
    /// Until when its kernel's gate lets addresses be served, real time.
    pub lease: u64,
    /// Running monitors, with the number of their start.
    pub monitors: Vec<Option<u64>>,
    /// What was read last on each disk path.
    pub looks: Vec<Look>,
    /// Generation of the configuration on its disk.
    pub generation: u64,
    /// From when on its watchdog is later than anything promises.
    pub overdue: Option<u64>,
    /// What its disk remembers of a suspension.
    pub suspended: bool,
    /// The time-out ratio that its disk remembers.
    pub ratio: u32,
    /// How many final actions ended it, as its disk remembers.
    pub reboots: u32,
    /// Who ran when it left, as its disk remembers.
    pub ran: ServerSet,
    /// When the last pause began.
    pub paused_at: u64,
    /// Time that its clock did not count; none but with a planted mistake.
    pub stood: u64,
    /// Its clock: what it showed at a real instant, and by how many millionths it has run faster since.
    base: u64,
    from: u64,
    drift: i64,
}

/// A slot on a shared disk.
#[derive(Debug, Clone)]
pub struct Slot {
    /// Number of the write.
    pub serial: u64,
    /// What was written; None: a half of it, so that its checksum is wrong.
    pub frame: Option<Rc<Frame>>,
}

/// What an engine's reader of a shared disk remembers.
#[derive(Debug, Clone)]
pub struct Look {
    /// When it read last; None after a failure.
    pub at: Option<u64>,
    /// The last whole slot of each server.
    pub seen: Vec<Option<u64>>,
}

/// Writes to a slot before the newest that a disk may still give.
pub const SLOT_HISTORY: usize = 6;

/// Most datagrams kept by the sockets of a server that does not read.
const SOCKET: usize = 400;

impl Host {
    /// Off.
    pub fn new(resources: usize, monitors: usize, servers: usize, paths: usize, base: u64, drift: i64) -> Self {
        Host {
            powered: false,
            boot: 0,
            engine: None,
            life: 0,
            pause: Pause::No,
            pauses: 0,
            waiting: VecDeque::new(),
            wake: u64::MAX,
            active: vec![false; resources],
            work: vec![0; resources],
            watchdog: None,
            lease: 0,
            monitors: vec![None; monitors],
            looks: vec![Look { at: None, seen: vec![None; servers] }; paths],
            generation: 1,
            overdue: None,
            suspended: false,
            ratio: 1,
            reboots: 0,
            ran: ServerSet::EMPTY,
            paused_at: 0,
            stood: 0,
            base,
            from: 0,
            drift,
        }
    }

    /// This server's clock.
    pub fn clock(&self, real: u64) -> Time {
        let passed = real.saturating_sub(self.from);
        let drifted = i64::try_from(passed).expect("runs are short") * self.drift / 1_000_000;
        Time((self.base + passed.saturating_add_signed(drifted)).saturating_sub(self.stood))
    }

    /// The first real instant at which the clock shows `time` or more.
    pub fn real(&self, time: Time) -> u64 {
        let local = (time.0.saturating_add(self.stood)).saturating_sub(self.base);
        let drifted = i64::try_from(local).unwrap_or(i64::MAX / 2_000_000) * self.drift / (1_000_000 + self.drift);
        let mut real = self.from.saturating_add(local.saturating_add_signed(-drifted));
        while self.clock(real) < time {
            real += 1;
        }
        real
    }

    /// Its clock runs at another rate from now on; true when it does.
    pub fn turn(&mut self, real: u64, drift: i64) -> bool {
        self.base = self.clock(real).0 + self.stood;
        self.from = real;
        std::mem::replace(&mut self.drift, drift) != drift
    }

    /// Does its engine take events now?
    pub fn acts(&self) -> bool {
        self.powered && self.engine.is_some() && self.pause == Pause::No
    }

    /// Keep something for the end of the pause.
    pub fn keep(&mut self, happening: Happening) {
        let datagram = matches!(happening, Happening::Frame { .. } | Happening::Message { .. });
        if !datagram || self.waiting.len() < SOCKET {
            self.waiting.push_back(happening);
        }
    }

    /// The process is gone.
    pub fn end_engine(&mut self) {
        self.engine = None;
        self.wake = u64::MAX;
        self.monitors.fill(None);
        self.waiting.retain(|h| matches!(h, Happening::Effect { .. }));
    }

    /// Power gone: nothing is active any more.
    pub fn power_off(&mut self) {
        self.end_engine();
        self.powered = false;
        self.pause = Pause::No;
        self.waiting.clear();
        self.active.fill(false);
        self.work.iter_mut().for_each(|work| *work += 1);
        self.watchdog = None;
        self.overdue = None;
    }
}
