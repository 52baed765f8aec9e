//! Many seeds: what they broke, what each was worth, and the few faults that matter of the first that broke something.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clp_sim::case::Case;
use clp_sim::options::Fault;
use clp_sim::shrink::shrink;

/// Violations up to which each is made small.
const SHRUNK_MAX: usize = 5;
/// Faults and takeovers that a run must have had on the average: quiet hours prove nothing.
const WORTH_MIN: u64 = 10;
/// Of fewer seeds the mean says little.
const MEAN_SEEDS: u64 = 1000;

#[derive(Default)]
struct Sum {
    time: u64,
    broken: Vec<u64>,
    violations: usize,
    takeovers: u64,
    outside: u64,
    stopped: u64,
    mixed: u64,
    effects: BTreeMap<Fault, u64>,
}

/// Run them.
pub fn run(seeds: u64, from: u64, threads: usize) -> ExitCode {
    let begin = Instant::now();
    let next = AtomicU64::new(from);
    let sum: Mutex<Sum> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds {
                        return;
                    }
                    let outcome = clp_sim::run(seed, None, false);
                    let Ok(mut sum) = sum.lock() else { return };
                    sum.time += outcome.time;
                    sum.violations += outcome.violations.len();
                    sum.takeovers += outcome.takeovers;
                    sum.outside += outcome.outside;
                    sum.stopped += outcome.stopped;
                    sum.mixed += outcome.mixed;
                    outcome.violations.iter().for_each(|violation| println!("{violation}; repeat: {}", clp_sim::rerun(seed)));
                    sum.broken.extend((!outcome.violations.is_empty()).then_some(seed));
                    for (kind, count) in outcome.effects {
                        *sum.effects.entry(kind).or_default() += count;
                    }
                }
            });
        }
    });
    let sum = sum.into_inner().unwrap_or_default();
    for seed in sum.broken.iter().take(SHRUNK_MAX) {
        if let Some(shrunk) = shrink(&Case::of(*seed, None), None) {
            crate::tell(&shrunk);
        }
    }
    let effects: Vec<String> = sum.effects.iter().map(|(kind, count)| format!("{kind:?} {count}")).collect();
    println!("took effect: {}", effects.join(", "));
    println!(
        "outside the promise (a watchdog later than W + r, an arbiter that forgot): {}; forced stops: {}; mixed configurations in a view: {}",
        sum.outside, sum.stopped, sum.mixed
    );
    let minutes = begin.elapsed().as_secs_f64() / 60.0;
    crate::speed::tell();
    let faults: u64 = sum.effects.iter().filter(|(kind, _)| **kind != Fault::Operator).map(|(_, count)| count).sum();
    let mean = |count: u64| count as f64 / seeds.max(1) as f64;
    println!(
        "SIM seeds={seeds} hours={} violations={} minutes={:.1} faults={:.1} takeovers={:.1}",
        sum.time / 3_600_000_000,
        sum.violations,
        minutes,
        mean(faults),
        mean(sum.takeovers)
    );
    let worth = seeds < MEAN_SEEDS || (faults >= WORTH_MIN * seeds && sum.takeovers >= WORTH_MIN * seeds);
    if !worth {
        println!("too quiet: {WORTH_MIN} faults and as many takeovers a seed are asked for");
    }
    ExitCode::from(u8::from(sum.violations > 0 || !worth))
}
