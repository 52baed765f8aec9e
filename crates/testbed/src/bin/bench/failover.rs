//! P1, P2, P2g: a server loses its power; beside keepalived, and beside a takeover that needs no detection.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clp_testbed::{Lab, Options};

use crate::conf::{self, Conf, FLOATING};
use crate::figures::Figures;
use crate::ground::{
    ADDRESS, PROBE, SERVICE, TESTBED, answerer, lab_of, let_it_see, probing, reported, respond_everywhere, run, run_beside,
    until_answer, wait,
};

/// Groups that are taken over at once in P2g.
const GROUPS: usize = 100;

/// P1 and P1s: from the power-off to the client's first answer from the other server.
pub fn of_ours(figures: &mut Figures) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let lab = lab_of(&Conf::fast(), directory.path())?;
    let (address, service) = (probing(&lab, FLOATING, ADDRESS, PROBE)?, probing(&lab, FLOATING, SERVICE, PROBE)?);
    let_it_see();
    let cut = lab.power_off("server1")?;
    figures.add("P1", until_answer(&lab, &reported(address)?, cut.at_us)?);
    figures.add("P1s", until_answer(&lab, &reported(service)?, cut.at_us)?);
    figures.add("cut", cut.took_us as f64 / 1000.0);
    Ok(())
}

/// P2g: the same with a hundred groups of one address each, until the last one's address answers.
pub fn of_many_groups(figures: &mut Figures) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let lab = lab_of(&Conf { more_groups: GROUPS - 1, ..Conf::fast() }, directory.path())?;
    let last = conf::address_of(GROUPS - 2);
    wait(&lab, "the last group answers", || answerer(&lab, &last, ADDRESS).as_deref() == Some("server1"))?;
    let probe = probing(&lab, &last, ADDRESS, PROBE)?;
    let_it_see();
    let cut = lab.power_off("server1")?;
    let last_of_them = until_answer(&lab, &reported(probe)?, cut.at_us)?;
    figures.add("P2g", last_of_them);
    Ok(())
}

/// The same power-off with keepalived at 50 ms adverts.
pub fn of_keepalived(figures: &mut Figures) -> Result<()> {
    let lab = keepalived_lab(conf::ADVERTS_FAST)?;
    let probe = probing(&lab, FLOATING, ADDRESS, PROBE)?;
    let_it_see();
    let cut = lab.power_off("server1")?;
    figures.add("keepalived", until_answer(&lab, &reported(probe)?, cut.at_us)?);
    Ok(())
}

/// A lab in which keepalived holds the address, at server1.
///
/// # Errors
/// It does not settle there.
pub fn keepalived_lab(adverts: &str) -> Result<Lab> {
    let lab = Lab::up(Options::default())?;
    respond_everywhere(&lab)?;
    for (server, priority) in [("server1", 150), ("server2", 100)] {
        let text = conf::keepalived(priority, adverts);
        run(&lab, server, &["sh", "-c", &format!("cat > /etc/keepalived.conf <<'X'\n{text}X\n")])?;
        run_beside(&lab, server, "keepalived -n -P -f /etc/keepalived.conf -p /run/k.pid -r /run/v.pid")?;
    }
    wait(&lab, "keepalived answers from server1", || answerer(&lab, FLOATING, ADDRESS).as_deref() == Some("server1"))?;
    // Its start-up elections are over once the address has stayed for a while.
    let settled = reported(probing(&lab, FLOATING, ADDRESS, Duration::from_millis(1000))?)?;
    if settled.reigns.len() != 1 {
        bail!("keepalived's address did not settle: {settled:?}");
    }
    Ok(lab)
}

/// The floor: a prepared program adds and announces the address at a word, nothing is detected.
pub fn without_detection(figures: &mut Figures) -> Result<()> {
    let lab = Lab::up(Options::default())?;
    respond_everywhere(&lab)?;
    run(&lab, "server1", &["ip", "addr", "add", &format!("{FLOATING}/24"), "dev", "eth0"])?;
    wait(&lab, "server1 answers", || answerer(&lab, FLOATING, ADDRESS).as_deref() == Some("server1"))?;
    let mut ready = lab.command("server2", &[TESTBED, "take", FLOATING])?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let probe = probing(&lab, FLOATING, ADDRESS, PROBE)?;
    let_it_see();
    lab.power_off("server1")?;
    ready.stdin.take().context("its input")?.write_all(b"\n")?;
    let said = ready.wait_with_output()?;
    let begin = String::from_utf8_lossy(&said.stdout).trim().parse().context("no time was said")?;
    figures.add("floor", until_answer(&lab, &reported(probe)?, begin)?);
    Ok(())
}
