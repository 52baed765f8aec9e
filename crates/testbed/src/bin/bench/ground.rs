//! What every figure stands on: labs, the responders in them, and the client's questions.
//!
//! On every server a responder answers at port 7000 of every address, so that the client, which asks every millisecond, sees the
//! address alone; the group's own process answers at port 7001.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clp_testbed::probe::Report;
use clp_testbed::{Lab, Options, Output};

use crate::conf::Conf;

/// Port of the responder that runs always.
pub const ADDRESS: u16 = 7000;
/// Port of the group's process.
pub const SERVICE: u16 = 7001;
/// How long a probe runs: long enough for the slowest peer after its beginning.
pub const PROBE: Duration = Duration::from_millis(2500);
const PATIENCE: Duration = Duration::from_secs(60);

/// The bench's own program in a server.
pub const TESTBED: &str = "/opt/mainstay/bin/testbed";

/// A lab of two servers with this configuration, both in the view, the address at server1.
///
/// # Errors
/// It cannot be made, or the cluster does not get there.
pub fn lab_of(conf: &Conf, directory: &Path) -> Result<Lab> {
    let options = Options { data_partitions: conf.data_partitions(), ..Options::default() };
    let lab = Lab::up(Options { conf: Some(conf.write(directory)?), ..options })?;
    respond_everywhere(&lab)?;
    settle(&lab)?;
    Ok(lab)
}

/// Wait until the address answers from server1 and both servers are in the view.
///
/// # Errors
/// It does not come to that.
pub fn settle(lab: &Lab) -> Result<()> {
    let answers = || answerer(lab, crate::conf::FLOATING, ADDRESS).as_deref() == Some("server1");
    let online = || {
        let text = lab.exec("server1", &["clpstat"]).map(|output| output.stdout).unwrap_or_default();
        text.lines().any(|line| line.contains("server2 .") && line.contains(": Online"))
    };
    wait(lab, "the address answers from server1", answers)
        .and_then(|()| wait(lab, "server2 is in the view", online))
        .with_context(|| logs(lab))
}

/// Start a responder on every server that answers on all its addresses.
///
/// # Errors
/// A command cannot be run.
pub fn respond_everywhere(lab: &Lab) -> Result<()> {
    for server in lab.servers() {
        run_beside(lab, &server, &format!("{TESTBED} responder 0.0.0.0:{ADDRESS}"))?;
    }
    Ok(())
}

/// Leave a command running on a server.
///
/// # Errors
/// It cannot be started.
pub fn run_beside(lab: &Lab, server: &str, line: &str) -> Result<()> {
    run(lab, server, &["sh", "-c", &format!("setsid {line} </dev/null >/dev/null 2>&1 &")]).map(drop)
}

/// Run a command that must succeed.
///
/// # Errors
/// It did not; the message has what it said.
pub fn run(lab: &Lab, server: &str, command: &[&str]) -> Result<Output> {
    let output = lab.exec(server, command)?;
    if !output.is_ok() {
        bail!("{server}: {} ended with {}: {}{}", command.join(" "), output.status, output.stdout, output.stderr);
    }
    Ok(output)
}

/// Run a command; the instant of its beginning in microseconds of the clock since boot.
///
/// # Errors
/// As [`run`].
pub fn run_stamped(lab: &Lab, server: &str, command: &[&str]) -> Result<u64> {
    let output = run(lab, server, &[&[TESTBED, "stamp", "--"], command].concat())?;
    output.stdout.lines().next().and_then(|line| line.parse().ok()).context("no time was said")
}

/// Run a command; how many milliseconds it took, in the server.
///
/// # Errors
/// As [`run`].
pub fn run_timed(lab: &Lab, server: &str, command: &[&str]) -> Result<f64> {
    let output = run(lab, server, &[&[TESTBED, "took", "--"], command].concat())?;
    let took_us: f64 = output.stdout.lines().last().and_then(|line| line.parse().ok()).context("no time was said")?;
    Ok(took_us / 1000.0)
}

/// Mounts of the shared disk in whatever mount namespace of a server.
///
/// # Errors
/// As [`run`].
pub fn mounted(lab: &Lab, server: &str) -> Result<usize> {
    // One process of each namespace would do; so few processes are counted by their largest.
    let count =
        "for file in /proc/[0-9]*/mountinfo; do grep -c ' - ext4 /dev/sdb' \"$file\" 2>/dev/null; done | sort -n | tail -1";
    let said = run(lab, server, &["sh", "-c", count])?.stdout;
    said.trim().parse().with_context(|| format!("the mounts of {server} were counted as {said:?}"))
}

/// Wait for a condition, patiently.
///
/// # Errors
/// It did not come true.
pub fn wait(lab: &Lab, what: &str, condition: impl FnMut() -> bool) -> Result<()> {
    lab.wait_for(what, PATIENCE, condition).map(drop)
}

/// Who answers one question.
pub fn answerer(lab: &Lab, address: &str, port: u16) -> Option<String> {
    let report = reported(probing(lab, address, port, Duration::from_millis(20)).ok()?).ok()?;
    report.reigns.last().map(|reign| reign.who.clone())
}

/// A probe that runs beside what follows.
///
/// # Errors
/// It cannot be started.
pub fn probing(lab: &Lab, address: &str, port: u16, time: Duration) -> Result<Child> {
    let testbed = std::env::current_exe()?.with_file_name("testbed");
    let (target, seconds) = (format!("{address}:{port}"), format!("{:.3}", time.as_secs_f64()));
    let child = Command::new(testbed)
        .args(["probe", &target, "--json", "--for", &seconds, "--name", lab.name()])
        .stdout(Stdio::piped())
        .spawn()?;
    Ok(child)
}

/// What a probe saw, once it has ended.
///
/// # Errors
/// It said something else.
pub fn reported(probe: Child) -> Result<Report> {
    let output = probe.wait_with_output()?;
    serde_json::from_slice(&output.stdout).with_context(|| format!("the probe said {}", String::from_utf8_lossy(&output.stdout)))
}

/// Let a probe see the present owner for a while.
pub fn let_it_see() {
    std::thread::sleep(Duration::from_millis(700));
}

/// What the servers wrote down, for a message.
pub fn logs(lab: &Lab) -> String {
    let log = |server: &String| {
        let file = lab.directory().join(server).join("opt/mainstay/log/clusterpro.log.cur");
        format!("{server}: {}\n", fs::read_to_string(file).unwrap_or_default())
    };
    lab.servers().iter().map(log).collect()
}

/// From an instant to the first answer of server2, in milliseconds.
///
/// # Errors
/// server2 never answered.
pub fn until_answer(lab: &Lab, report: &Report, since_us: u64) -> Result<f64> {
    let Some(reign) = report.reigns.iter().find(|reign| reign.who == "server2") else {
        bail!("the address did not change hands: {report:?}\n{}", logs(lab));
    };
    Ok((report.started_us + reign.first_us) as f64 / 1000.0 - since_us as f64 / 1000.0)
}
