//! gate: how long a server whose engine stands still goes on answering for its address, while sixteen busy loops want the processor.
//!
//! Nothing of it runs meanwhile but the kernel; the answers of its responder are what the gate holds back.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::alarms::Load;
use crate::conf::{Conf, FLOATING};
use crate::figures::Figures;
use crate::ground::{ADDRESS, PROBE, lab_of, let_it_see, logs, probing, reported, run, run_stamped};

/// Busy loops.
const LOOPS: usize = 16;

/// From the stop of the engine to its server's last answer, at the fastest setting; the successor must not have answered before that.
pub fn measure(figures: &mut Figures) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let lab = lab_of(&Conf::fast(), directory.path())?;
    let engine = run(&lab, "server1", &["pgrep", "-f", "[c]lusterpro engine"])?.stdout;
    let engine = engine.trim();
    let _load = Load::begin(LOOPS, PROBE + Duration::from_secs(2))?;
    let probe = probing(&lab, FLOATING, ADDRESS, PROBE)?;
    let_it_see();
    // It goes on by itself, whatever becomes of this program.
    run(&lab, "server1", &["sh", "-c", &format!("(sleep 3; kill -CONT {engine}) >/dev/null 2>&1 &")])?;
    let stopped = run_stamped(&lab, "server1", &["kill", "-STOP", engine])?;
    let report = reported(probe)?;
    let reign = |who: &str| report.reigns.iter().find(|reign| reign.who == who);
    let (first, second) = (reign("server1").context("server1 never answered")?, reign("server2"));
    if report.reigns.len() > 2 || second.is_none_or(|second| second.first_us < first.last_us) {
        bail!("the address did not change hands once: {report:?}\n{}", logs(&lab));
    }
    figures.add("gate", (report.started_us + first.last_us) as f64 / 1000.0 - stopped as f64 / 1000.0);
    Ok(())
}
