//! `make bench`: P1, P2 and P4 beside keepalived and a floor without detection, alternating in one run.
//!
//! Each server of the lab answers over UDP at the floating address; the client asks every millisecond. Power-off is the
//! bench's own: no flush, disk and links gone, everything killed. Raw samples go to target/bench/. The address moves without
//! a kernel gate so far: its grade is *timed, ungated*.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use clp_testbed::{Lab, Options};

/// The service address, with its port.
const SERVICE: &str = "10.0.0.12:7000";
/// Heartbeat time-out of the fastest profile, in milliseconds.
const TIMEOUT_MS: f64 = 50.0;
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Parser)]
#[command(about = "Figures beside their alternatives")]
struct Arguments {
    /// Samples a figure
    #[arg(long, default_value_t = 10)]
    samples: usize,
    /// One JSON object in place of text
    #[arg(long)]
    json: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut ours = Vec::new();
    let mut peer = Vec::new();
    let mut floor = Vec::new();
    let mut moves = Vec::new();
    for round in 0..arguments.samples {
        eprintln!("round {} of {}", round + 1, arguments.samples);
        ours.push(failover_of_ours()?);
        peer.push(failover_of_keepalived()?);
        floor.push(takeover_without_detection()?);
        moves.push(move_of_ours()?);
    }
    let raw = serde_json::json!({ "P1": ours, "P1_keepalived_50ms": peer, "floor": floor, "P4": moves });
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/bench");
    fs::create_dir_all(&directory)?;
    fs::write(directory.join("samples.json"), raw.to_string())?;
    let beyond: Vec<f64> = ours.iter().map(|ms| (ms - TIMEOUT_MS).max(0.0)).collect();
    if arguments.json {
        println!("{raw}");
        return Ok(());
    }
    let floor = median(&floor);
    line("P1", &ours, "55", &format!("keepalived-50ms:{:.1}", median(&peer)), floor);
    line("P2", &beyond, "3", "-", floor);
    line("P4", &moves, "20", "-", floor);
    Ok(())
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

fn median(values: &[f64]) -> f64 {
    sorted(values).get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn line(name: &str, values: &[f64], goal: &str, peer: &str, floor: f64) {
    let sorted = sorted(values);
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
    println!(
        "BENCH {name} ours={:.1} unit=ms n={} min={:.1} max={:.1} p99={:.1} goal={goal} peer={peer} floor={floor:.1}",
        median(values),
        values.len(),
        at(0.0),
        at(1.0),
        at(0.99)
    );
}

/// A lab whose servers run a group of one address and one process at 10 ms heartbeats and a 50 ms time-out.
fn lab_of_ours(directory: &Path) -> Result<Lab> {
    let conf = directory.join("conf");
    let scripts = conf.join("scripts/web/exec1");
    fs::create_dir_all(&scripts)?;
    fs::write(conf.join("clp.conf"), CONF)?;
    fs::write(
        scripts.join("start.sh"),
        "#! /bin/sh\nsetsid \"$CLP_PATH/bin/testbed\" responder 10.0.0.12:7000 >/dev/null 2>&1 &\n",
    )?;
    fs::write(scripts.join("stop.sh"), "#! /bin/sh\npkill -f 'testbed responder' || true\n")?;
    let lab = Lab::up(Options { conf: Some(conf), ..Options::default() })?;
    wait(&lab, "the group answers from server1", || answerer(&lab).as_deref() == Some("server1"))?;
    wait(&lab, "server2 is in the view", || {
        let text = lab.exec("server1", &["clpstat"]).map(|output| output.stdout).unwrap_or_default();
        text.lines().any(|line| line.contains("server2 .") && line.contains(": Online"))
    })?;
    Ok(lab)
}

const CONF: &str = r#"<?xml version="1.0" encoding="ASCII"?>
<root>
<all><charset>ASCII</charset><serveros>linux</serveros></all>
<cluster><name>bench</name><heartbeat><timeout>50</timeout><interval>10</interval></heartbeat></cluster>
<mainstay><bootwait>20000</bootwait></mainstay>
<server name="server1"><priority>0</priority>
<device id="0"><type>lan</type><info>192.168.0.1</info></device><device id="1"><type>lan</type><info>10.0.0.1</info></device>
<device id="10200"><type>ping</type><info>1</info></device></server>
<server name="server2"><priority>1</priority>
<device id="0"><type>lan</type><info>192.168.0.2</info></device><device id="1"><type>lan</type><info>10.0.0.2</info></device>
<device id="10200"><type>ping</type><info>1</info></device></server>
<heartbeat><lanhb name="lanhb1"><priority>0</priority><device>0</device></lanhb><lanhb name="lanhb2"><priority>1</priority><device>1</device></lanhb></heartbeat>
<networkpartition><pingnp name="pingnp1"><priority>0</priority><device>10200</device><grp id="0"><list id="0"><ip>192.168.0.254</ip></list></grp></pingnp></networkpartition>
<group name="web"><gid>0</gid><resource name="fip@fip1"/><resource name="exec@exec1"/></group>
<resource><fip name="fip1"><parameters><ip>10.0.0.12</ip></parameters></fip><exec name="exec1"><parameters/></exec></resource>
<monitor/>
</root>
"#;

fn wait(lab: &Lab, what: &str, condition: impl FnMut() -> bool) -> Result<()> {
    lab.wait_for(what, PATIENCE, condition).map(drop)
}

/// One question to the service.
fn answerer(lab: &Lab) -> Option<String> {
    let report = probe(lab, Duration::from_millis(20)).ok()?;
    report["reigns"].as_array()?.last()?["who"].as_str().map(String::from)
}

fn probe(lab: &Lab, time: Duration) -> Result<serde_json::Value> {
    probing(lab, time)?.wait_with_output().map_err(Into::into).and_then(|output| {
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("the probe said {}", String::from_utf8_lossy(&output.stdout)))
    })
}

/// A probe that runs beside what follows.
fn probing(lab: &Lab, time: Duration) -> Result<std::process::Child> {
    let testbed = std::env::current_exe()?.with_file_name("testbed");
    let seconds = format!("{:.3}", time.as_secs_f64());
    let child = std::process::Command::new(testbed)
        .args(["probe", SERVICE, "--json", "--for", &seconds, "--name", lab.name()])
        .stdout(std::process::Stdio::piped())
        .spawn()?;
    Ok(child)
}

/// Longest gap of a probe, in milliseconds; the service must have changed hands.
fn gap(lab: &Lab, report: &serde_json::Value) -> Result<f64> {
    let reigns = report["reigns"].as_array().map_or(0, Vec::len);
    if reigns < 2 {
        let log = fs::read_to_string(lab.directory().join("server2/opt/mainstay/log/clusterpro.log.cur")).unwrap_or_default();
        bail!("the service did not change hands: {report}\nserver2: {log}");
    }
    Ok(report["longest_gap_us"].as_f64().unwrap_or(f64::NAN) / 1000.0)
}

/// P1: from the power-off to the client's first answer from the other server.
fn failover_of_ours() -> Result<f64> {
    let directory = tempfile::tempdir()?;
    let lab = lab_of_ours(directory.path())?;
    let child = probing(&lab, Duration::from_millis(2500))?;
    std::thread::sleep(Duration::from_millis(700));
    lab.power_off("server1")?;
    let output = child.wait_with_output()?;
    gap(&lab, &serde_json::from_slice(&output.stdout)?)
}

/// P4: from the command to the service answered by the other server.
fn move_of_ours() -> Result<f64> {
    let directory = tempfile::tempdir()?;
    let lab = lab_of_ours(directory.path())?;
    let child = probing(&lab, Duration::from_millis(2500))?;
    std::thread::sleep(Duration::from_millis(500));
    let begin = Instant::now();
    let output = lab.exec("server1", &["clpgrp", "-m", "web"])?;
    let took = begin.elapsed().as_secs_f64() * 1000.0;
    if !output.is_ok() {
        bail!("clpgrp -m web: {}", output.stderr);
    }
    let report = child.wait_with_output()?;
    gap(&lab, &serde_json::from_slice(&report.stdout)?)?;
    Ok(took)
}

/// The same power-off with keepalived at 50 ms adverts.
fn failover_of_keepalived() -> Result<f64> {
    let directory = tempfile::tempdir()?;
    let lab = Lab::up(Options::default())?;
    for (server, priority) in [("server1", 150), ("server2", 100)] {
        let conf = format!(
            "global_defs {{\n vrrp_garp_master_delay 0\n}}\nvrrp_instance V {{\n state BACKUP\n interface eth0\n virtual_router_id 5\n priority {priority}\n advert_int 0.05\n version 3\n virtual_ipaddress {{\n 10.0.0.12/24\n }}\n}}\n"
        );
        let conf = conf.replace("global_defs {", "global_defs {\n vrrp_version 3").replace(" version 3\n", "");
        let path = directory.path().join(server);
        fs::write(&path, conf)?;
        let text = fs::read_to_string(&path)?;
        let written = lab.exec(server, &["sh", "-c", &format!("cat > /etc/keepalived.conf <<'X'\n{text}X\n")])?;
        if !written.is_ok() {
            bail!("writing keepalived's configuration on {server}: {}", written.stderr);
        }
        let line = "setsid /opt/mainstay/bin/testbed responder 0.0.0.0:7000 >/dev/null 2>&1 & setsid keepalived -n -P -f /etc/keepalived.conf -p /run/k.pid -r /run/v.pid >/run/k.log 2>&1 &";
        lab.exec(server, &["sh", "-c", line])?;
    }
    wait(&lab, "keepalived answers from server1", || answerer(&lab).as_deref() == Some("server1"))?;
    // Its start-up elections are over once the address has stayed for a while.
    let settled = probe(&lab, Duration::from_millis(1000))?;
    if settled["reigns"].as_array().map_or(0, Vec::len) != 1 {
        bail!("keepalived's address did not settle: {settled}");
    }
    let child = probing(&lab, Duration::from_millis(2500))?;
    std::thread::sleep(Duration::from_millis(700));
    lab.power_off("server1")?;
    let output = child.wait_with_output()?;
    gap(&lab, &serde_json::from_slice(&output.stdout)?)
}

/// The floor: the address is added on the other server at the instant of the power-off, nothing is detected.
fn takeover_without_detection() -> Result<f64> {
    let lab = Lab::up(Options::default())?;
    for server in ["server1", "server2"] {
        lab.exec(server, &["sh", "-c", "setsid /opt/mainstay/bin/testbed responder 0.0.0.0:7000 >/dev/null 2>&1 &"])?;
    }
    lab.exec("server1", &["ip", "addr", "add", "10.0.0.12/24", "dev", "eth0"])?;
    wait(&lab, "server1 answers", || answerer(&lab).as_deref() == Some("server1"))?;
    let mut ready = lab
        .command("server2", &["sh", "-c", "read go; ip addr add 10.0.0.12/24 dev eth0; arping -q -c 1 -U -I eth0 10.0.0.12"])?
        .stdin(std::process::Stdio::piped())
        .spawn()?;
    let child = probing(&lab, Duration::from_millis(2500))?;
    std::thread::sleep(Duration::from_millis(700));
    lab.power_off("server1")?;
    std::io::Write::write_all(ready.stdin.as_mut().context("the shell's input")?, b"\n")?;
    let _ = ready.wait();
    let output = child.wait_with_output()?;
    gap(&lab, &serde_json::from_slice(&output.stdout)?)
}
