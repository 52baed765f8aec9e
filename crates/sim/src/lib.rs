//! The decisions of a cluster under thousands of random failures: the same [`clp_core::cluster::Cluster`] for every server,
//! in a world with its own clock, network, disks, scripts and watchdogs. One seed is one run.
//!
//! Binary and library; nothing here touches a real machine. Start at `world.rs`; what is checked stands in `check.rs`, what goes
//! wrong in `fault.rs`, how a run that broke something is made small in `shrink.rs`. Clocks are those of the cores, which count
//! from a start and cannot step: steps of the wall clock concern the shell alone.

mod act;
mod arbiter;
mod carry;
pub mod case;
pub mod check;
pub mod fault;
pub mod faults;
mod forced;
mod happening;
mod heal;
pub mod host;
mod needless;
pub mod network;
pub mod operator;
pub mod options;
pub mod plant;
mod power;
pub mod rng;
pub mod scenario;
pub mod shrink;
pub mod slots;
mod story;
pub mod tally;
pub mod text;
pub mod violation;
mod waits;
pub mod weather;
pub mod work;
pub mod world;

use std::collections::BTreeMap;

use case::Case;
use options::Fault;
use violation::Violation;

/// What a run gave.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Virtual microseconds.
    pub time: u64,
    /// What was broken; empty when nothing was.
    pub violations: Vec<Violation>,
    /// What happened until the healing, where it was asked for.
    pub story: Vec<String>,
    /// Events that the cores handled.
    pub events: u64,
    /// Faults of the list that took effect, by kind.
    pub effects: BTreeMap<Fault, u64>,
    /// Groups that started after a failure on another server than before.
    pub takeovers: u64,
    /// Moments that are beyond what is promised: a watchdog was later than W + r, or an arbiter forgot.
    pub outside: u64,
    /// Servers that were switched off by their controllers.
    pub stopped: u64,
    /// Servers that came into a view with another configuration than that of who formed it.
    pub mixed: u64,
}

impl Outcome {
    /// Faults that took effect; what an operator orders is none.
    pub fn faults(&self) -> u64 {
        self.effects.iter().filter(|(kind, _)| **kind != Fault::Operator).map(|(_, count)| count).sum()
    }
}

/// Run one seed.
pub fn run(seed: u64, planted: Option<plant::Planted>, trace: bool) -> Outcome {
    Case::of(seed, planted).run(trace)
}

/// One thread a processor.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// The command that repeats a run.
pub fn rerun(seed: u64) -> String {
    format!("cargo run -p clp-sim --release -- seed {seed} --trace")
}

/// The first seed below a limit, with its violation, at which a planted mistake is found by the checker meant for it.
pub fn catch(planted: plant::Planted, seeds: u64) -> Option<(u64, String)> {
    let next = std::sync::atomic::AtomicU64::new(0);
    let found = std::sync::Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Ok(done) = found.lock().map(|found: std::sync::MutexGuard<'_, Option<(u64, String)>>| found.is_some())
                    else {
                        return;
                    };
                    if seed >= seeds || done {
                        return;
                    }
                    if !planted.concerns(&options::Options::draw(seed)) {
                        continue;
                    }
                    // A core that stops itself by an assertion found the mistake too, but not as it was meant.
                    let violations = run(seed, Some(planted), false).violations;
                    let mut hits = violations.iter().map(Violation::to_string);
                    let hit = hits.find(|violation| violation.contains(planted.word()));
                    if let (Some(hit), Ok(mut found)) = (hit, found.lock()) {
                        found.get_or_insert((seed, hit));
                    }
                }
            });
        }
    });
    found.into_inner().ok().flatten()
}
