//! P6: the whole cluster is started.

use anyhow::Result;

use crate::conf::{Conf, FLOATING};
use crate::figures::Figures;
use crate::ground::{ADDRESS, PROBE, lab_of, let_it_see, probing, reported, run, run_stamped, wait};

/// P6: from `clpcl -s -a`, with the service stopped on every server, to the address answered.
pub fn of_all(figures: &mut Figures) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let lab = lab_of(&Conf::fast(), directory.path())?;
    run(&lab, "server1", &["clpcl", "-t", "-a"])?;
    for server in lab.servers() {
        let runs = || lab.exec(&server, &["pgrep", "-f", "clusterpro [e]ngine"]).is_ok_and(|output| output.is_ok());
        wait(&lab, "the service has stopped", || !runs())?;
    }
    let probe = probing(&lab, FLOATING, ADDRESS, PROBE * 2)?;
    let_it_see();
    let begin = run_stamped(&lab, "server1", &["clpcl", "-s", "-a"])?;
    let report = reported(probe)?;
    let first = report.reigns.first().map(|reign| report.started_us + reign.first_us);
    let first = first.ok_or_else(|| anyhow::anyhow!("the address was never answered: {report:?}"))?;
    figures.add("P6", first as f64 / 1000.0 - begin as f64 / 1000.0);
    Ok(())
}
