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
pub mod network;
pub mod options;
mod power;
pub mod rng;
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
pub fn run(seed: u64, planted: Option<options::Planted>, trace: bool) -> Outcome {
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
