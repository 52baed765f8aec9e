//! P5: the group's resident process is killed and started again in place.

use anyhow::{Result, bail};
use clp_testbed::Lab;

use crate::conf::{Conf, FLOATING};
use crate::figures::Figures;
use crate::ground::{PROBE, SERVICE, lab_of, let_it_see, probing, reported, run, run_stamped, wait};

/// P5: from the kill to the process's next answer, its own start included.
pub fn of_ours(figures: &mut Figures) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let lab = lab_of(&Conf { resident: true, ..Conf::fast() }, directory.path())?;
    wait(&lab, "the process is watched", || {
        let text = lab.exec("server1", &["clpstat", "-m"]).map(|output| output.stdout).unwrap_or_default();
        text.contains("pidw1") && text.contains("Normal")
    })?;
    figures.add("P5", killed_to_answered(&lab)?);
    Ok(())
}

fn killed_to_answered(lab: &Lab) -> Result<f64> {
    let pattern = format!("^[^ ]*/testbed responder {FLOATING}:{SERVICE}");
    let process = run(lab, "server1", &["pgrep", "-f", &pattern])?.stdout.trim().to_string();
    let probe = probing(lab, FLOATING, SERVICE, PROBE)?;
    let_it_see();
    let begin = run_stamped(lab, "server1", &["kill", "-9", &process])?;
    let report = reported(probe)?;
    // By who answers and not by the longest silence: a loaded machine is silent for longer than a restart takes.
    let [_, restarted] = &report.reigns[..] else { bail!("the process was not killed and started again once: {report:?}") };
    let end = report.started_us + restarted.first_us;
    Ok(end as f64 / 1000.0 - begin as f64 / 1000.0)
}
