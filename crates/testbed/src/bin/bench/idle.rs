//! P7: what the daemons of an idle server cost.

use std::time::Duration;

use anyhow::{Context, Result};
use clp_testbed::Lab;

use crate::conf::{self, Conf};
use crate::failover::keepalived_lab;
use crate::figures::Figures;
use crate::ground::{TESTBED, lab_of, run};

/// Monitors in the configuration.
const MONITORS: usize = 20;
const WATCHED: Duration = Duration::from_secs(60);
const WATCHED_LONG: Duration = Duration::from_secs(600);

/// P7 and P7cpu: proportional memory in MB and share of one core in percent, of each server.
pub fn measure(figures: &mut Figures, peers: bool, long: bool) -> Result<()> {
    let time = if long { WATCHED_LONG } else { WATCHED };
    let directory = tempfile::tempdir()?;
    let lab = lab_of(&Conf { monitors: MONITORS, ..Conf::usual() }, directory.path())?;
    cost(figures, &lab, "clusterpro", time, ["P7", "P7cpu"])?;
    drop(lab);
    if peers {
        let lab = keepalived_lab(conf::ADVERTS_USUAL)?;
        cost(figures, &lab, "keepalived", time, ["P7keepalived", "P7keepalivedcpu"])?;
    }
    Ok(())
}

fn cost(figures: &mut Figures, lab: &Lab, program: &str, time: Duration, keys: [&'static str; 2]) -> Result<()> {
    let seconds = format!("{:.3}", time.as_secs_f64());
    for server in lab.servers() {
        let said = run(lab, &server, &[TESTBED, "cost", program, "--for", &seconds])?.stdout;
        let values: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [memory, processor] = values[..].try_into().ok().with_context(|| format!("the cost was said as {said}"))?;
        figures.add(keys[0], memory);
        figures.add(keys[1], processor);
    }
    Ok(())
}
