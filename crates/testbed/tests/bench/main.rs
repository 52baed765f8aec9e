//! The bench proves its own faults, with `dd`, `ping` and plain files instead of the cluster's daemon.
//!
//! Each test has a lab of its own and runs beside the others. Needs root; without it the tests say that they are skipped.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod command;
mod disk;
mod life;
mod links;
mod server;

use clp_testbed::{Cut, FileSystem, Lab, Net, Options, Phase, places};
use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const SOON: Duration = Duration::from_secs(10);

/// A lab, or nothing without root.
fn lab(options: Options) -> Option<Lab> {
    if places::need_root().is_err() {
        println!("skipped: needs root");
        return None;
    }
    let programs = std::path::Path::new(env!("CARGO_BIN_EXE_testbed")).parent().unwrap().to_path_buf();
    Some(Lab::up(Options { programs: Some(programs), restart_delay_ms: 0, ..options }).unwrap())
}

/// Runs a shell line in a server, which must succeed.
fn run(lab: &Lab, server: &str, line: &str) -> String {
    let output = lab.exec(server, &["sh", "-c", line]).unwrap();
    assert!(output.is_ok(), "{server}: {line}: {output:?}");
    output.stdout.trim().to_string()
}

fn succeeds(lab: &Lab, server: &str, line: &str) -> bool {
    lab.exec(server, &["sh", "-c", line]).unwrap().is_ok()
}

fn pings(lab: &Lab, server: &str, address: &str) -> bool {
    lab.exec(server, &["ping", "-c1", "-W1", address]).unwrap().is_ok()
}

/// Waits for an answer to ping: neighbours that were given up are asked again after a second.
fn reaches(lab: &Lab, server: &str, address: &str) {
    lab.wait_for(&format!("{server} reaches {address}"), SOON, || pings(lab, server, address)).unwrap();
}

fn client_reaches(lab: &Lab, address: &str) {
    lab.wait_for(&format!("the client reaches {address}"), SOON, || client_pings(lab, address)).unwrap();
}

fn client_pings(lab: &Lab, address: &str) -> bool {
    lab.client(&["ping", "-c1", "-W1", address]).unwrap().is_ok()
}

/// Mounts partition 2 of the shared disk on /mnt.
fn mount(lab: &Lab, server: &str) {
    run(lab, server, "mount /dev/sdb2 /mnt");
}

fn ended(child: &mut Child) -> bool {
    child.try_wait().unwrap().is_some()
}
