//! Runs the machine's own tools (ip, losetup, mkfs …) and turns a failure into a sentence.
//!
//! Deliberately has no idea of labs. Everything here waits for the tool to end.

use anyhow::{Context, Result, bail};
use std::{
    io::Write,
    process::{Command, Output, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How often a condition is looked at again while waiting for it.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Runs a tool and returns what it printed.
///
/// # Errors
/// The tool is missing or exits unlike 0; the text holds its command line and what it said.
pub fn run(command: &[&str]) -> Result<String> {
    run_with_input(command, "")
}

/// Runs a tool with `input` on its standard input and returns what it printed.
///
/// # Errors
/// As [`run`].
pub fn run_with_input(command: &[&str], input: &str) -> Result<String> {
    let output = output(command, input)?;
    if !output.status.success() {
        bail!("`{}` failed ({}): {}", command.join(" "), output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a tool whose failure does not matter; says whether it succeeded.
pub fn succeeds(command: &[&str]) -> bool {
    output(command, "").is_ok_and(|output| output.status.success())
}

fn output(command: &[&str], input: &str) -> Result<Output> {
    let (program, arguments) = command.split_first().context("an empty command")?;
    let mut child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {program}; `make deps` installs what the bench needs"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A tool that ended early says why by its exit status.
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output().with_context(|| format!("cannot wait for {program}"))
}

/// Waits until `condition` holds and returns how long that took.
///
/// # Errors
/// It did not hold within `limit`; the text says what was waited for.
pub fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) -> Result<Duration> {
    let start = Instant::now();
    loop {
        if condition() {
            return Ok(start.elapsed());
        }
        if start.elapsed() >= limit {
            bail!("waited {limit:?} in vain for: {what}");
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Locks a mutex; a thread that panicked while it held the lock does not stop the others.
pub fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
