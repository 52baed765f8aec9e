//! Whole servers stand still at random moments for 0.1 to 60 s, and nobody writes to the shared disk or answers for the address behind
//! a successor: twenty stops, five in each of four labs side by side. The thousand are `make pauses`.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

use clp_testbed::{
    bmc::Bmc,
    pauses::{
        self, Order, Outcome,
        ground::{Fence, Method},
    },
    places::need_root,
};
use std::{path::Path, sync::atomic::AtomicBool};

/// Stops in each lab.
const STOPS: u32 = 5;

fn run(method: Method, fence: Fence, seed: u64) -> (Order, Outcome) {
    let evidence = Path::new(env!("CARGO_BIN_EXE_testbed")).with_file_name("pauses");
    let order = Order { method, stops: STOPS, seed, fence, evidence };
    let outcome = pauses::run(&order, &AtomicBool::new(false)).unwrap();
    println!("{}", outcome.line(&order));
    (order, outcome)
}

#[test]
fn nobody_writes_or_answers_behind_a_successor_whatever_stands_still_and_for_how_long() {
    if need_root().is_err() {
        println!("skipped: needs root");
        return;
    }
    let mut labs =
        vec![(Method::Ping, Fence::Watchdog, 1), (Method::Majority, Fence::Watchdog, 2), (Method::Witness, Fence::Watchdog, 3)];
    match Bmc::is_possible() {
        Ok(()) => labs.push((Method::Majority, Fence::ForcedStop, 4)),
        Err(missing) => println!("without the lab with BMCs: {missing}"),
    }
    let outcomes: Vec<(Order, Outcome)> = std::thread::scope(|scope| {
        let begin = |(method, fence, seed)| scope.spawn(move || run(method, fence, seed));
        let running: Vec<_> = labs.into_iter().map(begin).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (order, outcome) in &outcomes {
        assert!(outcome.is_clean(), "{}: {:?}", outcome.line(order), outcome.found);
        assert_eq!(outcome.stops, STOPS);
    }
    let began_anew: usize = outcomes.iter().map(|(_, outcome)| outcome.runs - 1).sum();
    assert!(began_anew >= 4, "the group moved {began_anew} times only: nothing was tried");
}
