//! Random runs hold every invariant, recorded ones go as they went, and mistakes put in on purpose are found (the checkers check).

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use clp_sim::plant::{Area, Planted};
use clp_sim::scenario::Scenario;

/// A run is long; `make sim` has many more.
const SEEDS: u64 = 400;

fn in_two_threads(one: impl Fn() -> Vec<String> + Sync) -> Vec<String> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(&one)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a thread of runs ends")).collect()
    })
}

// A resource that is active anywhere makes its server an owner of the group, so that a group split over two servers is one with
// two owners.
// S-GRP-UNIT
#[test]
fn hundreds_of_runs_hold_every_invariant() {
    let next = AtomicU64::new(0);
    let violations = in_two_threads(|| {
        let mut found = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= SEEDS {
                return found;
            }
            let outcome = clp_sim::run(seed, None, false);
            found.extend(outcome.violations.iter().map(|violation| format!("{violation}; repeat: {}", clp_sim::rerun(seed))));
        }
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

/// Each scenario holds without its mistake, breaks what it says with it, and goes as it was recorded.
#[test]
fn recorded_runs_go_as_they_were_recorded() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut files: Vec<_> =
        std::fs::read_dir(&directory).expect("the scenarios").map(|file| file.expect("a file").path()).collect();
    files.sort();
    let next = AtomicU64::new(0);
    let differences = in_two_threads(|| {
        let mut found = Vec::new();
        while let Some(file) = files.get(usize::try_from(next.fetch_add(1, Ordering::Relaxed)).expect("few")) {
            let text = std::fs::read_to_string(file).expect("a scenario");
            let scenario = Scenario::read(&text).unwrap_or_else(|reason| panic!("{}: {reason}", file.display()));
            assert_eq!(Scenario::read(&scenario.text()).expect("its own text").text(), scenario.text());
            found.extend(scenario.differs().map(|difference| format!("{}: {difference}", file.display())));
        }
        found
    });
    let advice = "record them anew with: clp-sim scenarios --record, and read the difference";
    assert!(differences.is_empty(), "{}\n{advice}", differences.join("\n"));
    assert!(files.len() >= 30, "{} scenarios", files.len());
}

#[test]
fn enough_mistakes_are_made_where_they_are_hard_to_see() {
    let counted: Vec<Planted> = Planted::counted().collect();
    let hard = counted.iter().filter(|planted| planted.area() != Area::Other).count();
    assert!(counted.len() >= 30 && hard * 3 >= counted.len(), "{hard} of {}", counted.len());
}

/// The search itself; all mistakes are searched for by `make sim-planted`, and each has a scenario.
#[test]
fn mistakes_are_found_by_the_checkers_meant_for_them() {
    for planted in [Planted::EmergencyDoesNothing, Planted::AbsentIsGone, Planted::RecordIsNotWritten, Planted::DiskIsNoSign] {
        assert!(clp_sim::catch(planted, 400).is_some(), "{planted:?} is not found as {}", planted.word());
    }
}
