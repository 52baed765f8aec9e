//! Small programs that the bench runs in servers and that say when they did what.

use anyhow::{Context, Result};
use std::{
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
};

/// Prints the clock since boot in microseconds and becomes the command.
pub(super) fn stamp(command: &[String]) -> Result<ExitCode> {
    println!("{}", clp_sys::clock::now().as_micros());
    let (program, arguments) = command.split_first().context("no command")?;
    Err(Command::new(program).args(arguments).exec()).with_context(|| format!("cannot run {program}"))
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
