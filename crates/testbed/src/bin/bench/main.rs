//! `make bench`: P1, P2 and P4 beside keepalived and a floor without detection, alternating in one run.
//!
//! On every server a responder answers at port 7000 of every address, so that the client, which asks the floating address every
//! millisecond, sees the address alone; the group's own process answers at port 7001, printed beside as P1s. Times run from the
//! instant of the power-off, all on one clock. Raw samples go to target/bench/. The address moves without a kernel gate so
//! far: its grade is *timed, ungated*.

mod conf;
mod figures;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use clp_testbed::probe::Report;
use clp_testbed::{Lab, Options};
use figures::Figures;

/// Port of the responder that runs always.
const ADDRESS: u16 = 7000;
/// Port of the group's process.
const SERVICE: u16 = 7001;
/// Heartbeat time-out of the fastest profile, in milliseconds.
const TIMEOUT_MS: f64 = 50.0;
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a probe runs: long enough for the slowest peer after its beginning.
const PROBE: Duration = Duration::from_millis(2500);

#[derive(Parser)]
#[command(about = "Figures beside their alternatives")]
struct Arguments {
    /// Samples a figure
    #[arg(long, default_value_t = 10)]
    samples: usize,
    /// One JSON object in place of text
    #[arg(long)]
    json: bool,
    /// Only this product's figures
    #[arg(long)]
    no_peers: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut figures = Figures::default();
    for round in 0..arguments.samples {
        eprintln!("round {} of {}", round + 1, arguments.samples);
        failover_of_ours(&mut figures)?;
        move_of_ours(&mut figures)?;
        takeover_without_detection(&mut figures)?;
        if !arguments.no_peers {
            failover_of_keepalived(&mut figures)?;
        }
    }
    figures.keep()?;
    if arguments.json {
        figures.print_json()
    } else {
        figures.print(TIMEOUT_MS)
    }
    Ok(())
}

/// A lab whose servers run a group of one address and one process at 10 ms heartbeats and a 50 ms time-out.
fn lab_of_ours(directory: &Path) -> Result<Lab> {
    let conf = conf::write(directory, SERVICE)?;
    let lab = Lab::up(Options { conf: Some(conf), ..Options::default() })?;
    respond_everywhere(&lab)?;
    wait(&lab, "the group answers from server1", || answerer(&lab, SERVICE).as_deref() == Some("server1"))?;
    wait(&lab, "server2 is in the view", || {
        let text = lab.exec("server1", &["clpstat"]).map(|output| output.stdout).unwrap_or_default();
        text.lines().any(|line| line.contains("server2 .") && line.contains(": Online"))
    })?;
    Ok(lab)
}

fn respond_everywhere(lab: &Lab) -> Result<()> {
    for server in lab.servers() {
        let line = format!("setsid /opt/mainstay/bin/testbed responder 0.0.0.0:{ADDRESS} >/dev/null 2>&1 &");
        lab.exec(&server, &["sh", "-c", &line])?;
    }
    Ok(())
}

fn wait(lab: &Lab, what: &str, condition: impl FnMut() -> bool) -> Result<()> {
    lab.wait_for(what, PATIENCE, condition).map(drop)
}

/// One question.
fn answerer(lab: &Lab, port: u16) -> Option<String> {
    let report = reported(probing(lab, port, Duration::from_millis(20)).ok()?).ok()?;
    report.reigns.last().map(|reign| reign.who.clone())
}

/// A probe that runs beside what follows.
fn probing(lab: &Lab, port: u16, time: Duration) -> Result<Child> {
    let testbed = std::env::current_exe()?.with_file_name("testbed");
    let (target, seconds) = (format!("{}:{port}", conf::FLOATING), format!("{:.3}", time.as_secs_f64()));
    let child = std::process::Command::new(testbed)
        .args(["probe", &target, "--json", "--for", &seconds, "--name", lab.name()])
        .stdout(Stdio::piped())
        .spawn()?;
    Ok(child)
}

fn reported(probe: Child) -> Result<Report> {
    let output = probe.wait_with_output()?;
    serde_json::from_slice(&output.stdout).with_context(|| format!("the probe said {}", String::from_utf8_lossy(&output.stdout)))
}

/// Let a probe see the present owner for a while.
fn let_it_see() {
    std::thread::sleep(Duration::from_millis(700));
}

/// From an instant to the first answer of server2, in milliseconds.
fn until_answer(lab: &Lab, report: &Report, since_us: u64) -> Result<f64> {
    let Some(reign) = report.reigns.iter().find(|reign| reign.who == "server2") else {
        let log = fs::read_to_string(lab.directory().join("server2/opt/mainstay/log/clusterpro.log.cur")).unwrap_or_default();
        bail!("the address did not change hands: {report:?}\nserver2: {log}");
    };
    Ok((report.started_us + reign.first_us) as f64 / 1000.0 - since_us as f64 / 1000.0)
}

/// P1 and P1s: from the power-off to the client's first answer from the other server.
fn failover_of_ours(figures: &mut Figures) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let lab = lab_of_ours(directory.path())?;
    let (address, service) = (probing(&lab, ADDRESS, PROBE)?, probing(&lab, SERVICE, PROBE)?);
    let_it_see();
    let cut = lab.power_off("server1")?;
    figures.add("P1", until_answer(&lab, &reported(address)?, cut.at_us)?);
    figures.add("P1s", until_answer(&lab, &reported(service)?, cut.at_us)?);
    figures.add("cut", cut.took_us as f64 / 1000.0);
    Ok(())
}

/// P4: from the command to the address answered by the other server; P4o: how long the client had no answer.
fn move_of_ours(figures: &mut Figures) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let lab = lab_of_ours(directory.path())?;
    let probe = probing(&lab, ADDRESS, PROBE)?;
    let_it_see();
    let output = lab.exec("server1", &["/opt/mainstay/bin/testbed", "stamp", "--", "clpgrp", "-m", "web"])?;
    if !output.is_ok() {
        bail!("clpgrp -m web: {}", output.stderr);
    }
    let begin = output.stdout.lines().next().and_then(|line| line.parse().ok()).context("no time was said")?;
    let report = reported(probe)?;
    figures.add("P4", until_answer(&lab, &report, begin)?);
    let outage = report.reigns.windows(2).map(|pair| pair[1].first_us.saturating_sub(pair[0].last_us)).max();
    figures.add("P4o", outage.unwrap_or_default() as f64 / 1000.0);
    Ok(())
}

/// The same power-off with keepalived at 50 ms adverts.
fn failover_of_keepalived(figures: &mut Figures) -> Result<()> {
    let lab = Lab::up(Options::default())?;
    respond_everywhere(&lab)?;
    for (server, priority) in [("server1", 150), ("server2", 100)] {
        let text = conf::keepalived(priority);
        let written = lab.exec(server, &["sh", "-c", &format!("cat > /etc/keepalived.conf <<'X'\n{text}X\n")])?;
        if !written.is_ok() {
            bail!("writing keepalived's configuration on {server}: {}", written.stderr);
        }
        let line = "setsid keepalived -n -P -f /etc/keepalived.conf -p /run/k.pid -r /run/v.pid >/run/k.log 2>&1 &";
        lab.exec(server, &["sh", "-c", line])?;
    }
    wait(&lab, "keepalived answers from server1", || answerer(&lab, ADDRESS).as_deref() == Some("server1"))?;
    // Its start-up elections are over once the address has stayed for a while.
    let settled = reported(probing(&lab, ADDRESS, Duration::from_millis(1000))?)?;
    if settled.reigns.len() != 1 {
        bail!("keepalived's address did not settle: {settled:?}");
    }
    let probe = probing(&lab, ADDRESS, PROBE)?;
    let_it_see();
    let cut = lab.power_off("server1")?;
    figures.add("keepalived", until_answer(&lab, &reported(probe)?, cut.at_us)?);
    Ok(())
}

/// The floor: a prepared program adds and announces the address at a word, nothing is detected.
fn takeover_without_detection(figures: &mut Figures) -> Result<()> {
    let lab = Lab::up(Options::default())?;
    respond_everywhere(&lab)?;
    lab.exec("server1", &["ip", "addr", "add", &format!("{}/24", conf::FLOATING), "dev", "eth0"])?;
    wait(&lab, "server1 answers", || answerer(&lab, ADDRESS).as_deref() == Some("server1"))?;
    let mut ready = lab
        .command("server2", &["/opt/mainstay/bin/testbed", "take", conf::FLOATING])?
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let probe = probing(&lab, ADDRESS, PROBE)?;
    let_it_see();
    lab.power_off("server1")?;
    ready.stdin.take().context("its input")?.write_all(b"\n")?;
    let said = ready.wait_with_output()?;
    let begin = String::from_utf8_lossy(&said.stdout).trim().parse().context("no time was said")?;
    figures.add("floor", until_answer(&lab, &reported(probe)?, begin)?);
    Ok(())
}
