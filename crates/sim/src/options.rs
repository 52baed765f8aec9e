//! Everything a run is made of, drawn from its seed before the run starts: cluster, times, faults that may happen.

mod plan;

use std::time::Duration;

use clp_core::plan::{Plan, Timing};
use clp_core::verdict::MethodKind;

use plan::{draw_plan, draw_restraints, with_scripts_elsewhere};

use crate::plant::Planted;
use crate::rng::Rng;

/// How the partition question is answered in the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arbiter {
    /// Always Yes.
    None,
    /// Yes where the target answers.
    Ping,
    /// Yes for the part with more than half of the configured servers.
    Majority,
    /// Yes for the part that asked first, as long as it keeps the record.
    Witness,
    /// Majority, and a witness for exactly half.
    Tie,
}

impl Arbiter {
    /// What the cores are told.
    fn methods(self) -> Vec<MethodKind> {
        match self {
            Arbiter::None => Vec::new(),
            Arbiter::Ping => vec![MethodKind::Ping],
            Arbiter::Majority => vec![MethodKind::Majority],
            Arbiter::Witness => vec![MethodKind::Arbiter],
            Arbiter::Tie => vec![MethodKind::Majority, MethodKind::Arbiter],
        }
    }
}

impl Arbiter {
    /// All of them.
    pub const ALL: &[Arbiter] = &[Arbiter::None, Arbiter::Ping, Arbiter::Majority, Arbiter::Witness, Arbiter::Tie];
}

/// Kinds of faults that a run may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Fault {
    Crash,
    PowerLoss,
    EngineRestart,
    EngineDeath,
    PauseServer,
    PauseEngine,
    IsolateServer,
    CutPair,
    CutOneWay,
    CutPath,
    CutLans,
    Split,
    Loss,
    Delay,
    ArbiterAway,
    ArbiterSlow,
    ArbiterWrong,
    ArbiterForgets,
    ControllerAway,
    ClockTurns,
    MonitorBad,
    MonitorFlaps,
    StartFails,
    StopFails,
    Stuck,
    TornSlots,
    StaleSlots,
    DiskFull,
    WatchdogLate,
    Push,
    Operator,
}

/// All of them.
pub const FAULTS: &[Fault] = &[
    Fault::Crash,
    Fault::PowerLoss,
    Fault::EngineRestart,
    Fault::EngineDeath,
    Fault::PauseServer,
    Fault::PauseEngine,
    Fault::IsolateServer,
    Fault::CutPair,
    Fault::CutOneWay,
    Fault::CutPath,
    Fault::CutLans,
    Fault::Split,
    Fault::Loss,
    Fault::Delay,
    Fault::ArbiterAway,
    Fault::ArbiterSlow,
    Fault::ArbiterWrong,
    Fault::ArbiterForgets,
    Fault::ControllerAway,
    Fault::ClockTurns,
    Fault::MonitorBad,
    Fault::MonitorFlaps,
    Fault::StartFails,
    Fault::StopFails,
    Fault::Stuck,
    Fault::TornSlots,
    Fault::StaleSlots,
    Fault::DiskFull,
    Fault::WatchdogLate,
    Fault::Push,
    Fault::Operator,
];

/// Those that take a server away.
pub const BREAKING: &[Fault] = &[Fault::Crash, Fault::EngineDeath, Fault::PauseServer];

/// Clusters up to this size are usual; in so many of a thousand runs there are more servers.
const FEW_SERVERS: usize = 5;
const MANY_IN_THOUSAND: u64 = 8;
const MANY_SERVERS: &[usize] = &[8, 8, 12, 16, 32];
/// T_s of the guide's times, in microseconds.
const GUIDE_TIMEOUT: u64 = 90_000_000;

/// An arbiter answers within an interval, and half of one later where two write at once: Q is well above that, as `config` has it.
const ARBITER_INTERVALS: u64 = 3;

/// Greatest time-out ratio that an operator orders.
pub const RATIO_MAX: u32 = 4;
/// The longest time for which he does, in time-outs.
pub const RATIO_TIMEOUTS: u64 = 20;

/// All options of a run. Times are in microseconds.
#[derive(Debug, Clone)]
pub struct Options {
    /// The seed.
    pub seed: u64,
    /// What the cores are given.
    pub plan: Plan,
    /// For each heartbeat path: is it a LAN?
    pub lan: Vec<bool>,
    /// The verdict.
    pub arbiter: Arbiter,
    /// Watchdog time W.
    pub watchdog: u64,
    /// Longest time of the reset itself, r.
    pub watchdog_grain: u64,
    /// Longest time of an emergency that does not hang, F.
    pub emergency: u64,
    /// Clock drift at most, in millionths.
    pub drift: u64,
    /// Faults that may happen.
    pub faults: Vec<Fault>,
    /// Mean time between two faults.
    pub fault_gap: u64,
    /// Usual loss in percent.
    pub loss: u64,
    /// Usual duplication in percent.
    pub duplicate: u64,
    /// Usual delay at most.
    pub delay: u64,
    /// Operations that fail, in percent.
    pub operation_fails: u64,
    /// Operations that hang until their time limit, in percent.
    pub operation_hangs: u64,
    /// Longest time of an operation that does not hang.
    pub operation: u64,
    /// Time limit of an operation.
    pub operation_limit: u64,
    /// Checks of a monitor that fail by chance, in percent.
    pub monitor_fails: u64,
    /// Length of the phase with faults.
    pub faulty: u64,
    /// Whose kernel has an address gate.
    pub gated: Vec<bool>,
    /// Who stays off when all else heals, until the rest is well.
    pub away: Option<usize>,
    /// Length of the wait after healing.
    pub quiet: u64,
    /// Something wrong on purpose.
    pub planted: Option<Planted>,
}

fn us(value: u64) -> Duration {
    Duration::from_micros(value)
}

impl Options {
    /// Draw everything from a seed.
    pub fn draw(seed: u64) -> Options {
        let mut rng = Rng::new(seed);
        let servers = rng.pick(&[2usize, 2, 2, 2, 3, 3, 3, 4, 5]);
        let mut many = Rng::new(seed ^ 0x0032_0032);
        let servers = if many.below(1000) < MANY_IN_THOUSAND { many.pick(MANY_SERVERS) } else { servers };
        // (h, T_s, T_x, K, W, r) in milliseconds: profiles of the protocol, but K of five intervals (or T_x): an
        // acknowledgement over a disk path in perfect order is often four intervals old.
        let profile: (u64, u64, u64, u64, u64, u64) = rng.pick(&[
            (100, 1000, 600, 500, 1000, 100),
            (100, 1000, 600, 500, 1000, 100),
            (10, 50, 30, 30, 300, 50),
            (500, 5000, 3000, 2500, 2000, 500),
            (3000, 90_000, 60_000, 38_000, 30_000, 5000),
        ]);
        let (h, ts, tx, k, w, r) =
            (profile.0 * 1000, profile.1 * 1000, profile.2 * 1000, profile.3 * 1000, profile.4 * 1000, profile.5 * 1000);
        let arbiter = if servers == 2 {
            rng.pick(&[Arbiter::None, Arbiter::Ping, Arbiter::Ping, Arbiter::Witness, Arbiter::Witness, Arbiter::Tie])
        } else {
            rng.pick(&[Arbiter::Ping, Arbiter::Witness, Arbiter::Majority, Arbiter::Tie])
        };
        // An arbiter may take longer than what the time-out leaves; the delays have it then.
        let mut slow = Rng::new(seed ^ 0x000a_4b17);
        let asked = matches!(arbiter, Arbiter::Witness | Arbiter::Tie);
        let longer = if asked { slow.pick(&[0, 0, ts / 4, ts]) } else { 0 };
        let floor = if asked { h * ARBITER_INTERVALS } else { 0 };
        let arbiter_time = (ts - tx - h).min(3_000_000).max(floor) + longer;
        let drift: u64 = rng.pick(&[0, 50, 200]);
        let bound = (k + 2 * h + w + r + h).max(tx + h + arbiter_time);
        let bound = bound + bound * 2 * drift / 1_000_000;
        let data = bound.saturating_sub(ts);
        let addresses = if rng.percent(50) { data } else { (tx + h + arbiter_time).saturating_sub(ts) };
        let timing = Timing {
            interval: us(h),
            timeout: us(ts),
            right_timeout: us(tx),
            arbiter: us(arbiter_time),
            watchdog_hold: us(k),
            gate: us((longer + h.min(arbiter_time / 2)).min(arbiter_time)),
            takeover_addresses: us(addresses),
            takeover_data: us(data),
            reset: us(w + r),
            sync_wait: us(rng.range(ts, 6 * ts)),
        };
        let mut lan = vec![true; rng.pick(&[1usize, 2, 2])];
        lan.truncate(if servers > FEW_SERVERS { 1 } else { 2 });
        lan.resize(lan.len() + rng.pick(&[0usize, 1, 1]), false);
        let scale = ts.max(w);
        let mut faults: Vec<Fault> = FAULTS.to_vec();
        rng.shuffle(&mut faults);
        let kinds = usize::try_from(rng.range(1, FAULTS.len() as u64)).expect("small");
        faults.truncate(kinds);
        // Few runs without anything that takes a server away.
        if !BREAKING.iter().any(|kind| faults.contains(kind)) && rng.percent(70) {
            faults.push(rng.pick(BREAKING));
        }
        let dense = rng.percent(20);
        let mut plan = draw_plan(&mut rng, servers, timing, arbiter);
        // Drawn apart, so that what else a seed is made of stays.
        let mut apart = Rng::new(seed ^ 0x5eed_0a17);
        crate::waits::draw(&mut apart, &mut plan);
        draw_restraints(&mut apart, &mut plan);
        with_scripts_elsewhere(&mut plan, seed);
        plan.forced_stop = Rng::new(seed ^ 0x00b3_c0de).percent(25);
        let mut kernels = Rng::new(seed ^ 0x006a_7e00);
        let all = kernels.percent(60);
        let gated = (0..servers).map(|_| all || kernels.percent(50)).collect();
        Options {
            seed,
            plan,
            lan,
            arbiter,
            watchdog: w,
            watchdog_grain: r,
            emergency: h.max(20_000),
            drift,
            faults,
            fault_gap: if dense { rng.range(scale / 4, scale) } else { rng.range(scale * 2, scale * 6) },
            loss: rng.pick(&[0, 0, 1, 5]),
            duplicate: rng.pick(&[0, 0, 2, 10]),
            delay: rng.pick(&[h / 50, h / 10, h / 2]),
            operation_fails: rng.pick(&[0, 0, 2, 10, 30]),
            operation_hangs: rng.pick(&[0, 0, 1, 5]),
            operation: rng.pick(&[h / 2, h * 3, ts]),
            operation_limit: 2 * ts,
            monitor_fails: rng.pick(&[0, 0, 1, 5]),
            faulty: faulty(&mut rng, servers, scale, ts),
            gated,
            away: Some(kernels.index(servers)).filter(|_| kernels.percent(40)),
            quiet: 0,
            planted: None,
        }
        .with_quiet()
    }

    /// How long after healing everything must be well again.
    fn with_quiet(mut self) -> Options {
        let timing = &self.plan.timing;
        let span = |duration: Duration| u64::try_from(duration.as_micros()).expect("fits");
        let h = span(timing.interval);
        let ts = span(timing.timeout);
        let chain = 8 * (self.operation + self.operation_limit);
        let waits =
            self.plan.groups.iter().map(|group| span(group.waits.start_limit.max(group.waits.stop_limit)) * 2).sum::<u64>();
        self.quiet = waits
            + span(timing.sync_wait)
            + 6 * ts
            + 2 * (ts + span(timing.takeover_data) + span(timing.lease()))
            + 60 * h
            + chain
            + 3 * self.watchdog;
        if self.plan.forced_stop {
            // Attempts are five seconds apart at least, and the weaker side waits for up to ten.
            self.quiet += 2 * ts.max(5_000_000) + ts.min(10_000_000) + 8 * self.scale();
        }
        if self.faults.contains(&Fault::PowerLoss) {
            self.quiet += 3 * self.scale();
        }
        if self.has_ratio() {
            self.quiet += (RATIO_TIMEOUTS + u64::from(RATIO_MAX)) * ts;
        }
        self
    }

    /// The same run with a mistake in it.
    pub fn planted(mut self, planted: Planted) -> Options {
        self.planted = Some(planted);
        if planted == Planted::NoTakeoverDelay {
            self.plan.timing.takeover_addresses = Duration::ZERO;
            self.plan.timing.takeover_data = Duration::ZERO;
        }
        self
    }

    /// Heartbeat interval in microseconds.
    pub fn interval(&self) -> u64 {
        u64::try_from(self.plan.timing.interval.as_micros()).expect("fits")
    }

    /// Time-out T_s in microseconds.
    pub fn timeout(&self) -> u64 {
        u64::try_from(self.plan.timing.timeout.as_micros()).expect("fits")
    }

    /// Are its times those that the guide proposes?
    pub fn has_usual_times(&self) -> bool {
        self.timeout() == GUIDE_TIMEOUT
    }

    /// The longer one of time-out and watchdog: what faults last is measured by it.
    pub fn scale(&self) -> u64 {
        self.timeout().max(self.watchdog)
    }

    /// When faults begin.
    pub fn first_fault(&self) -> u64 {
        u64::try_from(self.plan.timing.sync_wait.as_micros()).expect("fits") + self.interval() * 20
    }

    /// May time-outs be multiplied in this run?
    pub fn has_ratio(&self) -> bool {
        self.faults.contains(&Fault::Operator)
    }

    /// How much longer the times of the safety sum may be in this run.
    pub fn stretch(&self) -> u32 {
        if self.has_ratio() { RATIO_MAX } else { 1 }
    }

    /// Is one owner guaranteed under every fault?
    pub fn is_sound(&self) -> bool {
        matches!(self.arbiter, Arbiter::Majority | Arbiter::Witness | Arbiter::Tie)
    }
}

/// How long faults go on: as many can happen whatever the times are, fewer where there is much to be sent.
fn faulty(rng: &mut Rng, servers: usize, scale: u64, timeout: u64) -> u64 {
    let spans = rng.range(110, 270);
    let spans = if servers > FEW_SERVERS { spans / 8 } else { spans };
    // The guide's times have three times as many beats in a time-out.
    scale * if timeout >= GUIDE_TIMEOUT { spans / 2 } else { spans }
}
