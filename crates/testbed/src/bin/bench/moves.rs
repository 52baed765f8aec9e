//! P4, P10: an operator moves a group.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::conf::{Conf, FLOATING};
use crate::figures::Figures;
use crate::ground::{ADDRESS, PROBE, TESTBED, lab_of, let_it_see, probing, reported, run, run_stamped, until_answer};

/// Addresses that move at once in P10.
const ADDRESSES: usize = 80;
/// Heartbeat interval of P10 in milliseconds: what a new cluster gets.
pub const INTERVAL_MS: f64 = 100.0;
/// How long the frames are watched around the move.
const WATCHED: Duration = Duration::from_secs(4);

/// P4: from the command to the address answered by the other server; P4o: how long the client had no answer.
pub fn of_one_group(figures: &mut Figures) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let lab = lab_of(&Conf::fast(), directory.path())?;
    let probe = probing(&lab, FLOATING, ADDRESS, PROBE)?;
    let_it_see();
    let begin = run_stamped(&lab, "server1", &["clpgrp", "-m", "web"])?;
    let report = reported(probe)?;
    figures.add("P4", until_answer(&lab, &report, begin)?);
    let outage = report.reigns.windows(2).map(|pair| pair[1].first_us.saturating_sub(pair[0].last_us)).max();
    figures.add("P4o", outage.unwrap_or_default() as f64 / 1000.0);
    Ok(())
}

/// P10: the longest time without a frame of either server on the interconnect while a group of eighty addresses moves.
pub fn of_many_addresses(figures: &mut Figures) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let conf = Conf { more_addresses: ADDRESSES - 1, interval_ms: INTERVAL_MS as u64, timeout_ms: 1000, ..Conf::fast() };
    let lab = lab_of(&conf, directory.path())?;
    let seconds = format!("{:.3}", WATCHED.as_secs_f64());
    let watch = |server: &str| -> Result<_> {
        let command = [TESTBED, "gaps", "eth1", "--for", &seconds];
        Ok(lab.command(server, &command)?.stdout(Stdio::piped()).spawn()?)
    };
    let watchers = [watch("server1")?, watch("server2")?];
    let_it_see();
    run(&lab, "server1", &["clpgrp", "-m", "web"])?;
    for watcher in watchers {
        let said = watcher.wait_with_output()?.stdout;
        let gap_us: f64 = String::from_utf8_lossy(&said).trim().parse().context("no gap was said")?;
        figures.add("P10", gap_us / 1000.0);
    }
    Ok(())
}
