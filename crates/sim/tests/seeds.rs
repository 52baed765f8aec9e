//! Two thousand random runs hold every invariant, and mistakes put in on purpose are found (the checkers check).

use std::sync::atomic::{AtomicU64, Ordering};

use clp_sim::plant::Planted;

const SEEDS: u64 = 2000;

// A resource that is active anywhere makes its server an owner of the group, so that a group split over two servers is one with
// two owners.
// S-GRP-UNIT
#[test]
fn two_thousand_runs_hold_every_invariant() {
    let next = AtomicU64::new(0);
    let violations: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut found = Vec::new();
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= SEEDS {
                            return found;
                        }
                        match std::panic::catch_unwind(|| clp_sim::run(seed, None, false)) {
                            Ok(outcome) => found.extend(outcome.violations),
                            Err(_) => found.push(format!("seed {seed}: panic; repeat: {}", clp_sim::rerun(seed))),
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a thread of runs ends")).collect()
    });
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..20 {
        let (one, two) = (clp_sim::run(seed, None, false), clp_sim::run(seed, None, false));
        assert_eq!((one.time, one.events), (two.time, two.events), "seed {seed}");
    }
}

#[test]
fn mistakes_are_found_by_the_checkers_meant_for_them() {
    for planted in Planted::counted() {
        assert!(clp_sim::catch(planted, 3_000).is_some(), "{planted:?} is not found as {}", planted.word());
    }
}
