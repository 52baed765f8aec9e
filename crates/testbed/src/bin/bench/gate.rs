//! gate: how long a server whose engine stands still goes on answering for its address, while sixteen busy loops want the processor.
//!
//! Nothing of it runs meanwhile but the kernel; the answers of its responder are what the gate holds back.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::alarms::Load;
use crate::conf::{Conf, FLOATING};
use crate::figures::Figures;
use crate::ground::{ADDRESS, PROBE, TESTBED, lab_of, let_it_see, logs, probing, reported, run};

/// Busy loops.
const LOOPS: usize = 16;
/// Of those who measure: below the heartbeats'.
const PRIORITY: &str = "10";

/// From the stop of the engine to its server's last answer, at the fastest setting; the successor must not have answered before that.
pub fn measure(figures: &mut Figures) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let lab = lab_of(&Conf::fast(), directory.path())?;
    let engine = run(&lab, "server1", &["pgrep", "-f", "[c]lusterpro engine"])?.stdout;
    let engine = engine.trim();
    let _load = Load::begin(LOOPS, PROBE + Duration::from_secs(2))?;
    let probe = probing(&lab, FLOATING, ADDRESS, PROBE)?;
    // The loops must not hold up who measures: neither the client nor the signal with its instant.
    let client = Command::new("chrt").args(["-f", "-p", PRIORITY, &probe.id().to_string()]).status();
    if !client.is_ok_and(|status| status.success()) {
        bail!("the client gets no real-time priority (chrt, package util-linux)");
    }
    let_it_see();
    // It goes on by itself, whatever becomes of this program.
    run(&lab, "server1", &["sh", "-c", &format!("(sleep 3; kill -CONT {engine}) >/dev/null 2>&1 &")])?;
    let stop = run(&lab, "server1", &["chrt", "-f", PRIORITY, TESTBED, "stamp", "--", "kill", "-STOP", engine])?.stdout;
    let stopped: u64 = stop.lines().next().and_then(|line| line.parse().ok()).context("no time was said")?;
    let report = reported(probe)?;
    let reign = |who: &str| report.reigns.iter().find(|reign| reign.who == who);
    let (first, second) = (reign("server1").context("server1 never answered")?, reign("server2"));
    if report.reigns.len() > 2 || second.is_none_or(|second| second.first_us < first.last_us) {
        bail!("the address did not change hands once: {report:?}\n{}", logs(&lab));
    }
    figures.add("gate", (report.started_us + first.last_us) as f64 / 1000.0 - stopped as f64 / 1000.0);
    Ok(())
}
