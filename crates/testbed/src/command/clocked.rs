//! Small programs that the bench runs in servers and that say when they did what, on the clock that all servers of a lab share.

use anyhow::{Context, Result};
use std::{
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
};

/// Prints the instant in microseconds since boot, then becomes the command.
///
/// # Errors
/// It cannot be run.
pub(super) fn stamp(command: &[String]) -> Result<ExitCode> {
    println!("{}", clp_sys::clock::now().as_micros());
    let (program, mut command) = split(command)?;
    Err(command.exec()).with_context(|| format!("cannot run {program}"))
}

/// Runs the command to its end, then prints how many microseconds that took; exits as it did.
///
/// # Errors
/// It cannot be run.
pub(super) fn took(command: &[String]) -> Result<ExitCode> {
    let (program, mut command) = split(command)?;
    let begin = clp_sys::clock::now();
    let status = command.status().with_context(|| format!("cannot run {program}"))?;
    let end = clp_sys::clock::now();
    println!("{}", end.as_micros() - begin.as_micros());
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// A takeover without detection: the least that any product has to do, with everything prepared.
pub(super) fn take(address: std::net::Ipv4Addr) -> Result<()> {
    let existing = clp_sys::address::list()?;
    let assigned = clp_sys::address::network_of(address.into(), &existing).context("no interface is in its network")?;
    let arp = clp_sys::arp::Arp::open(assigned.interface)?;
    std::io::stdin().read_line(&mut String::new())?;
    println!("{}", clp_sys::clock::now().as_micros());
    clp_sys::address::add(assigned)?;
    arp.announce(address)?;
    Ok(())
}

fn split(command: &[String]) -> Result<(&str, Command)> {
    let (program, arguments) = command.split_first().context("no command")?;
    let mut command = Command::new(program);
    command.args(arguments);
    Ok((program, command))
}
