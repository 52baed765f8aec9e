//! P4, P10, P10f: an operator moves a group.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::conf::{Conf, FLOATING};
use crate::figures::Figures;
use crate::ground::{
    ADDRESS, PROBE, TESTBED, lab_of, let_it_see, logs, mounted, probing, reported, run_stamped, run_timed, until_answer, wait,
};

/// Addresses that move at once in P10.
const ADDRESSES: usize = 80;
/// File systems that move with them in P10f.
const FILE_SYSTEMS: u32 = 10;
/// Heartbeat interval of P10 in milliseconds: what a new cluster gets.
pub const INTERVAL_MS: f64 = 100.0;
/// How long the frames are watched around the move.
const WATCHED: Duration = Duration::from_secs(6);

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

/// P10: the longest time without a frame of either server on the interconnect while a group of eighty addresses moves; P10m: how
/// long the move took.
pub fn of_many_addresses(figures: &mut Figures) -> Result<()> {
    longest_gaps(figures, ["P10", "P10m"], 0)
}

/// P10f, P10fm: the same with ten file systems in the group.
pub fn of_file_systems(figures: &mut Figures) -> Result<()> {
    longest_gaps(figures, ["P10f", "P10fm"], FILE_SYSTEMS)
}

fn longest_gaps(figures: &mut Figures, [gap, whole]: [&'static str; 2], file_systems: u32) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let times = Conf { interval_ms: INTERVAL_MS as u64, timeout_ms: 1000, ..Conf::fast() };
    let lab = lab_of(&Conf { more_addresses: ADDRESSES - 1, file_systems, ..times }, directory.path())?;
    wait(&lab, "the file systems are mounted", || mounted(&lab, "server1").is_ok_and(|count| count == file_systems as usize))?;
    let seconds = format!("{:.3}", WATCHED.as_secs_f64());
    let begin = Instant::now();
    let watch = |server: &str| -> Result<_> {
        let command = [TESTBED, "gaps", "eth1", "--for", &seconds];
        Ok(lab.command(server, &command)?.stdout(Stdio::piped()).spawn()?)
    };
    let watchers = [watch("server1")?, watch("server2")?];
    let_it_see();
    let took = run_timed(&lab, "server1", &["clpgrp", "-m", "web"]).with_context(|| logs(&lab))?;
    if begin.elapsed() >= WATCHED {
        bail!("the move took longer than the frames were watched: {:?}\n{}", begin.elapsed(), logs(&lab));
    }
    let (left, came) = (mounted(&lab, "server1")?, mounted(&lab, "server2")?);
    if (left, came) != (0, file_systems as usize) {
        bail!("after the move {left} file systems are mounted on server1 and {came} on server2");
    }
    figures.add(whole, took);
    for watcher in watchers {
        let said = watcher.wait_with_output()?.stdout;
        let gap_us: f64 = String::from_utf8_lossy(&said).trim().parse().context("no gap was said")?;
        figures.add(gap, gap_us / 1000.0);
    }
    Ok(())
}
