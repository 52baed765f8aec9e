//! A storm from the command line.

use anyhow::{Context, Result};
use clp_testbed::{
    places::need_root,
    storm::{self, Order, Outcome},
};
use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// A storm until its end or a signal; the last line is for machines.
pub(super) fn run_storm(order: &Order) -> Result<ExitCode> {
    need_root()?;
    // Before the first thread, so that none of them is ended by a signal and the lab is always taken down in order.
    let signals = clp_sys::signals::Ending::hold().context("cannot hold signals back")?;
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    std::thread::spawn(move || {
        signals.wait();
        told.store(true, Ordering::Relaxed);
    });
    let outcome = match storm::run(order, &stop) {
        Ok(outcome) => outcome,
        Err(error) => Outcome { found: vec![format!("{error:#}")], ..Outcome::default() },
    };
    for words in &outcome.found {
        println!("found: {words}");
    }
    println!(
        "rounds={} acknowledged={} longest settling {:.1} s, longest overlap without a gate {} ms",
        outcome.rounds,
        outcome.acknowledged,
        outcome.settle_max.as_secs_f64(),
        outcome.overlap.as_millis()
    );
    println!("{}", outcome.line(order.seed));
    Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
