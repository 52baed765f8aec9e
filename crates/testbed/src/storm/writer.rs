//! A client that writes numbers through a group's address for the whole storm, and knows which were acknowledged.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Result;

use crate::{http::ask, storm::ground::TRACES, tools::hold};

/// How long one write may take, and the pause between two.
const TRY: Duration = Duration::from_millis(250);
const PAUSE: Duration = Duration::from_millis(40);
/// How long the list of all numbers may take.
const LOOK: Duration = Duration::from_secs(10);

/// The client of one group.
pub struct Writer {
    server: String,
    acknowledged: Mutex<Vec<i64>>,
}

impl Writer {
    /// The client of a group that has an address and data.
    pub fn of(group: usize) -> Writer {
        let traces = TRACES[group];
        let server = format!("{}:{}", traces.address.unwrap_or_default(), traces.port);
        Writer { server, acknowledged: Mutex::new(Vec::new()) }
    }

    /// Writes until it is told to stop; on the client's network.
    pub fn run(&self, stop: &AtomicBool) {
        let mut n = 0_i64;
        while !stop.load(Ordering::Relaxed) {
            n += 1;
            let written = ask(&self.server, &format!("/write?client=storm&n={n}"), TRY);
            if written.is_ok_and(|body| body.trim() == n.to_string()) {
                hold(&self.acknowledged).push(n);
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// How many numbers were acknowledged.
    pub fn count(&self) -> usize {
        hold(&self.acknowledged).len()
    }

    /// Acknowledged numbers that are not there; on the client's network.
    ///
    /// # Errors
    /// The application does not answer.
    pub fn lost(&self) -> Result<Vec<i64>> {
        // What is acknowledged after the list was made cannot be missed in it.
        let known: Vec<i64> = hold(&self.acknowledged).clone();
        let list = ask(&self.server, "/list?client=storm", LOOK)?;
        let kept: BTreeSet<i64> = list.lines().filter_map(|line| line.parse().ok()).collect();
        Ok(known.into_iter().filter(|n| !kept.contains(n)).collect())
    }
}
