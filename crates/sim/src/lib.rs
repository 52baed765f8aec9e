//! The decisions of a cluster under thousands of random failures: the same [`clp_core::cluster::Cluster`] for every server,
//! in a world with its own clock, network, disks, scripts and watchdogs. One seed is one run.
//!
//! Binary and library; nothing here touches a real machine. Start at `world.rs`; what is checked stands in `check.rs`.

mod act;
mod arbiter;
mod carry;
pub mod check;
pub mod faults;
pub mod host;
mod needless;
pub mod network;
pub mod options;
pub mod plant;
mod power;
pub mod rng;
mod waits;
pub mod work;
pub mod world;

/// What a run gave.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Virtual microseconds.
    pub time: u64,
    /// What was broken; empty when nothing was.
    pub violations: Vec<String>,
    /// Events that the cores handled.
    pub events: u64,
}

/// Run one seed.
pub fn run(seed: u64, planted: Option<plant::Planted>, trace: bool) -> Outcome {
    let mut options = options::Options::draw(seed);
    if let Some(planted) = planted {
        options = options.planted(planted);
    }
    world::World::new(options, trace).run()
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
        for _ in 0..2 {
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
                    // A core that stops itself by an assertion found the mistake too, but not as it was meant.
                    let Ok(outcome) = std::panic::catch_unwind(|| run(seed, Some(planted), false)) else { continue };
                    let hit = outcome.violations.into_iter().find(|violation| violation.contains(planted.word()));
                    if let (Some(hit), Ok(mut found)) = (hit, found.lock()) {
                        found.get_or_insert((seed, hit));
                    }
                }
            });
        }
    });
    found.into_inner().ok().flatten()
}
