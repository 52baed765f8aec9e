//! Pause runs from the command line, several labs side by side.

use anyhow::{Context, Result};
use clp_testbed::{
    pauses::{
        self, Order, Outcome,
        ground::{Fence, Method},
    },
    places::need_root,
};
use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// All runs until their end or a signal; the last lines, one for each method, are for machines.
pub(super) fn run_pauses(methods: &[Method], stops: u32, labs: u32, seed: u64, fence: Fence) -> Result<ExitCode> {
    need_root()?;
    // Before the first thread, so that none of them is ended by a signal and the labs are always taken down in order.
    let signals = clp_sys::signals::Ending::hold().context("cannot hold signals back")?;
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    std::thread::spawn(move || {
        signals.wait();
        told.store(true, Ordering::Relaxed);
    });
    let evidence = std::env::current_exe().context("cannot find this program")?.with_file_name("pauses");
    let orders: Vec<Vec<Order>> = methods
        .iter()
        .map(|method| {
            let order = |lab: u32| Order {
                method: *method,
                // The first labs have one more when it does not come out even.
                stops: stops / labs + u32::from(lab < stops % labs),
                seed: seed + u64::from(lab) * 1000,
                fence,
                evidence: evidence.clone(),
            };
            (0..labs).map(order).collect()
        })
        .collect();
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let stop = &*stop;
        let running: Vec<Vec<_>> =
            orders.iter().map(|orders| orders.iter().map(|order| scope.spawn(move || one(order, stop))).collect()).collect();
        let ended = |threads: Vec<std::thread::ScopedJoinHandle<'_, Outcome>>| {
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| failed("a thread has panicked")))
                .fold(Outcome::default(), Outcome::and)
        };
        running.into_iter().map(ended).collect()
    });
    let mut is_ok = true;
    for (orders, outcome) in orders.iter().zip(&outcomes) {
        let Some(order) = orders.first() else { continue };
        outcome.found.iter().for_each(|words| println!("found: {words}"));
        println!("{}", outcome.line(order));
        is_ok &= outcome.is_ok(order);
    }
    Ok(if is_ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn one(order: &Order, stop: &AtomicBool) -> Outcome {
    pauses::run(order, stop).unwrap_or_else(|error| failed(&format!("{error:#}")))
}

fn failed(words: &str) -> Outcome {
    Outcome { found: vec![words.to_string()], ..Outcome::default() }
}
