//! P9: false alarms under load, at the fastest setting.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use clp_testbed::Lab;

use crate::conf::{self, Conf, FLOATING};
use crate::failover::keepalived_lab;
use crate::figures::Figures;
use crate::ground::{ADDRESS, lab_of, probing, reported};
use crate::stalls::{Stall, Watch};

/// Busy loops and for how long, as the peers were measured.
const LOADS: [(usize, Duration); 2] = [(4, Duration::from_secs(30)), (16, Duration::from_secs(60))];

/// What lies between a stall of a processor and the alarm for it: the time-out and the way into the record.
const NEAR: Duration = Duration::from_millis(150);

/// P9: under each load the changes of the address's owner, and for ours also the servers that were taken for dead. Beside it what no
/// program can help: how often a processor let the most important thread wait for as long as makes a server silent for the time-out
/// (one interval passes before each frame anyway). Each alarm is printed with the stalls around it.
pub fn measure(figures: &mut Figures, peers: bool, _long: bool) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let fast = Conf::fast();
    let lab = lab_of(&fast, directory.path())?;
    let silencing = Duration::from_millis(fast.timeout_ms - fast.interval_ms);
    for (loops, time) in LOADS {
        let before = accusations(&lab);
        let watch = Watch::begin();
        let changes = changes_under(&lab, loops, time)?;
        let stalls = watch.end();
        let mut accusations = accusations(&lab);
        accusations.retain(|line| !before.contains(line));
        figures.add("P9", (changes + accusations.len()) as f64);
        if let Some(stalls) = &stalls {
            figures.add("P9stalls", stalls.iter().filter(|stall| stall.lasted >= silencing).count() as f64);
        }
        tell(loops, changes, &accusations, stalls.as_deref());
    }
    drop(lab);
    if peers {
        let lab = keepalived_lab(conf::ADVERTS_FAST)?;
        for (loops, time) in LOADS {
            figures.add("P9keepalived", changes_under(&lab, loops, time)? as f64);
        }
    }
    Ok(())
}

/// Busy loops that end with this value, or by themselves soon after their time.
pub struct Load(Vec<Child>);

impl Load {
    /// Begin so many.
    ///
    /// # Errors
    /// A program is missing.
    pub fn begin(loops: usize, time: Duration) -> Result<Load> {
        let limit = format!("{}", time.as_secs() + 5);
        let one = |_| {
            let mut command = Command::new("timeout");
            command.args(["--kill-after=1", &limit, "sh", "-c", "while :; do :; done"]).stdin(Stdio::null());
            command.spawn().context("cannot run timeout (package coreutils)")
        };
        Ok(Load((0..loops).map(one).collect::<Result<_>>()?))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &self.0 {
            if let Some(process) = rustix::process::Pid::from_raw(child.id() as i32) {
                // timeout passes it on to the loop.
                let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
            }
        }
        for child in &mut self.0 {
            let _ = child.wait();
        }
    }
}

fn changes_under(lab: &Lab, loops: usize, time: Duration) -> Result<usize> {
    let probe = probing(lab, FLOATING, ADDRESS, time)?;
    let _load = Load::begin(loops, time)?;
    Ok(reported(probe)?.reigns.len().saturating_sub(1))
}

/// Each alarm, with what the machine did to everybody at that moment.
fn tell(loops: usize, changes: usize, accusations: &[String], stalls: Option<&[Stall]>) {
    let longest = stalls.map(|stalls| (stalls.len(), stalls.iter().max_by_key(|stall| stall.lasted)));
    let words = match longest {
        None => "not watched, no priority for it".into(),
        Some((count, Some(longest))) => format!("{count} of 10 ms and more; {longest}"),
        Some((_, None)) => "none of 10 ms".into(),
    };
    eprintln!("P9 {loops} loops: {} alarms, {changes} changes of owner; stalls of the machine: {words}", accusations.len());
    for accusation in accusations {
        let time = accusation.split_whitespace().nth(2).unwrap_or_default();
        let near = stalls.unwrap_or_default().iter().filter(|stall| stall.is_near(time, NEAR));
        let near = near.map(|stall| format!(", {stall}")).collect::<String>();
        let near = if near.is_empty() && stalls.is_some() { ", no stall of the machine near it".into() } else { near };
        eprintln!("P9   {accusation}{near}");
    }
}

/// The records of servers that were taken for dead (event nm/2).
fn accusations(lab: &Lab) -> Vec<String> {
    let record = |server: &String| {
        let file = lab.directory().join(server).join("opt/mainstay/alert/log/alertlog.alt");
        std::fs::read_to_string(file).unwrap_or_default()
    };
    let lines = lab.servers().iter().map(record).collect::<String>();
    lines.lines().filter(|line| is_accusation(line)).map(String::from).collect()
}

/// A line of the alert record: number, date and time twice, host, module, event, level, text.
fn is_accusation(line: &str) -> bool {
    let mut columns = line.split_whitespace().skip(6);
    columns.next() == Some("nm") && columns.next() == Some("2")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accusation_is_known_by_its_number() {
        let line =
            |event: &str| format!("7 2026/11/30 22:00:00.001 2026/11/30 22:00:00.001 server1 {event} 3 server server2 went down");
        assert!(is_accusation(&line("nm 2")));
        assert!(!is_accusation(&line("nm 20")) && !is_accusation(&line("rc 2")) && !is_accusation(""));
    }
}
