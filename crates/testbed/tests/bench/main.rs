//! The bench proves its own faults, with `dd`, `ping` and plain files instead of the cluster's daemon.
//!
//! Each test has a lab of its own and runs beside the others. Needs root; without it the tests say that they are skipped.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod command;
mod disk;
mod life;
mod links;
mod server;

use clp_testbed::{Cut, DiskState, FileSystem, Lab, Net, Options, Output, Phase, places};
use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const SOON: Duration = Duration::from_secs(10);

/// A lab, or nothing without root.
fn lab(options: Options) -> Option<Lab> {
    if !is_root() {
        return None;
    }
    let programs = std::path::Path::new(env!("CARGO_BIN_EXE_testbed")).parent().unwrap().to_path_buf();
    Some(Lab::up(Options { programs: Some(programs), restart_delay_ms: 0, ..options }).unwrap())
}

/// A name that no other run uses.
fn name_of(what: &str) -> String {
    format!("bench-{what}-{}", std::process::id())
}

/// The bench's command, as people run it.
fn testbed(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_testbed"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs it and waits for its end.
fn by_hand(arguments: &[&str]) -> Output {
    gather(&mut testbed(arguments))
}

fn gather(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    Output {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// What there is of a lab, without any command that would sweep it up: files, control groups, loop devices, processes.
fn left_of(name: &str) -> Vec<String> {
    let places = places::Places::of(name).unwrap();
    let mut left = clp_testbed::disk::loops_over(&places.mark());
    let files = [places.directory.clone(), places.new_group()];
    left.extend(files.iter().filter(|file| file.exists()).map(|file| file.display().to_string()));
    left.extend(processes_of(name).into_iter().map(|(_, words)| words));
    left
}

/// The bench's own processes that work for a lab, with their command lines.
fn processes_of(name: &str) -> Vec<(u32, String)> {
    let numbers = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let with_words = numbers.filter_map(|pid: u32| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        Some((pid, String::from_utf8_lossy(&words).replace('\0', " ")))
    });
    let roles = ["supervise", "janitor", "boot-server", "init"].map(|role| format!("testbed {role} "));
    let is_meant = |words: &str| words.split([' ', '/']).any(|word| word == name);
    with_words.filter(|(_, words)| is_meant(words) && roles.iter().any(|role| words.contains(role))).collect()
}

/// Waits until nothing is left of a lab.
fn nothing_is_left_of(name: &str) {
    let gone = clp_testbed::tools::wait_until("nothing is left", SOON, || left_of(name).is_empty());
    assert!(gone.is_ok(), "left behind: {:?}", left_of(name));
}

/// Says that a test needs root, if it is missing.
fn is_root() -> bool {
    let is_root = places::need_root().is_ok();
    if !is_root {
        println!("skipped: needs root");
    }
    is_root
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
