//! `clp-sim run --seeds N [--from S]` runs seeds and stops at nothing; `clp-sim seed S --trace` repeats one and tells it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::{Parser, Subcommand};
use clp_sim::plant::{PLANTS, REDUNDANT, UNSHOWN};

#[derive(Parser)]
#[command(about = "Runs the cluster's decisions through random failures in virtual time")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run many seeds.
    Run {
        /// How many.
        #[arg(long, default_value_t = 2000)]
        seeds: u64,
        /// The first.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Threads.
        #[arg(long, default_value_t = 2)]
        threads: u64,
    },
    /// Run every planted mistake until it is caught.
    Planted {
        /// Seeds to try for each.
        #[arg(long, default_value_t = 20000)]
        seeds: u64,
    },
    /// Run one seed.
    Seed {
        /// Which.
        seed: u64,
        /// Print its options and everything that happens.
        #[arg(long)]
        trace: bool,
        /// With this mistake in it, by the name that `planted` prints.
        #[arg(long)]
        mistake: Option<String>,
    },
}

fn main() -> std::process::ExitCode {
    let (seeds, from, threads) = match Arguments::parse().command {
        Command::Seed { seed, trace, mistake } => {
            let known = || PLANTS.iter().chain(UNSHOWN).chain(REDUNDANT);
            let planted = mistake.as_ref().map(|name| known().find(|planted| format!("{planted:?}") == *name).copied());
            let Some(planted) = planted.map_or(Some(None), |found| found.map(Some)) else {
                let names: Vec<String> = known().map(|planted| format!("{planted:?}")).collect();
                eprintln!("no such mistake; there are {}", names.join(", "));
                return std::process::ExitCode::from(2);
            };
            let outcome = clp_sim::run(seed, planted, trace);
            for violation in &outcome.violations {
                println!("{violation}");
            }
            println!("SIM seed={seed} seconds={} violations={}", outcome.time / 1_000_000, outcome.violations.len());
            return std::process::ExitCode::from(u8::from(!outcome.violations.is_empty()));
        }
        Command::Planted { seeds } => return planted(seeds),
        Command::Run { seeds, from, threads } => (seeds, from, threads),
    };
    let begin = Instant::now();
    let next = AtomicU64::new(from);
    let sum: Mutex<(u64, usize)> = Mutex::new((0, 0));
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds {
                        return;
                    }
                    let outcome = std::panic::catch_unwind(|| clp_sim::run(seed, None, false));
                    let Ok(mut sum) = sum.lock() else { return };
                    match outcome {
                        Ok(outcome) => {
                            sum.0 += outcome.time;
                            sum.1 += outcome.violations.len();
                            outcome.violations.iter().for_each(|violation| println!("{violation}"));
                        }
                        Err(_) => {
                            sum.1 += 1;
                            println!("seed {seed}: the core panicked; repeat: {}", clp_sim::rerun(seed));
                        }
                    }
                }
            });
        }
    });
    let (time, violations) = sum.into_inner().unwrap_or_default();
    let hours = time / 3_600_000_000;
    let minutes = begin.elapsed().as_secs_f64() / 60.0;
    println!("SIM seeds={seeds} hours={hours} violations={violations} minutes={minutes:.1}");
    std::process::ExitCode::from(u8::from(violations > 0))
}

/// Each mistake must be found, and by the checker it is meant for.
fn planted(seeds: u64) -> std::process::ExitCode {
    let mut caught = 0;
    for mistake in PLANTS {
        match clp_sim::catch(*mistake, seeds) {
            Some((seed, words)) => {
                caught += 1;
                println!("{mistake:?}: caught by seed {seed}: {words}");
            }
            None => println!("{mistake:?}: not caught by {seeds} seeds"),
        }
    }
    println!("not counted: {UNSHOWN:?} (no seed has shown it yet), {REDUNDANT:?} (other rules hold alone what it breaks)");
    println!("PLANTED total={} caught={caught}", PLANTS.len());
    std::process::ExitCode::from(u8::from(caught != PLANTS.len()))
}
