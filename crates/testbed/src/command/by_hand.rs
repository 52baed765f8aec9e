//! What people do with labs: make them, look into them, break them, ask an address.

use super::{
    arguments::{Fault, Task, Which},
    say,
};
use crate::list;
use anyhow::{Context, Result, bail};
use clp_testbed::{
    DiskState, FileSystem, Lab, Options, Weather, options,
    places::{checkout, living, sweep_dead},
    probe::{Way, probe},
};
use std::{
    net::ToSocketAddrs,
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
    time::Duration,
};

/// The commands for people.
pub(super) fn by_hand(task: Task) -> Result<ExitCode> {
    let find = |which: &Which| Lab::find(which.lab.as_deref());
    match task {
        Task::Up { servers, conf, name, fs, disk, partitions, switch, no_watchdog, no_boot } => {
            let named = || conf.as_deref().and_then(FileSystem::named_in);
            let file_system = fs.or_else(named).unwrap_or(Options::default().file_system);
            let wanted = conf.as_deref().map(options::wanted_by).transpose()?;
            let (servers_wanted, partitions_wanted) = wanted.unwrap_or((Options::default().servers, 1));
            let options = Options {
                servers: servers.unwrap_or(servers_wanted),
                conf,
                name,
                file_system,
                disk_mib: disk,
                data_partitions: partitions.unwrap_or(partitions_wanted),
                switch,
                watchdog: !no_watchdog,
                boot: !no_boot,
                ..Options::default()
            };
            let lab = Lab::up(options)?;
            let name = lab.name();
            println!("lab {name} is up: {}", lab.servers().join(", "));
            println!("`testbed shell server1 --name {name}` looks into it, `testbed down --name {name}` takes it down");
            lab.keep()?;
        }
        Task::Down { which, all: false } => find(&which)?.down()?,
        Task::Down { all: true, .. } => return down_all(),
        Task::List { json } => return say(&list::list(json)?),
        Task::Exec { which, server, command } => {
            let command: Vec<&str> = command.iter().map(String::as_str).collect();
            return go_on_as(find(&which)?.command(&server, &command)?);
        }
        Task::Shell { which, server } => return go_on_as(find(&which)?.command(&server, &["/bin/bash", "-i"])?),
        Task::Client { which, command } => {
            let command: Vec<&str> = command.iter().map(String::as_str).collect();
            return go_on_as(find(&which)?.client_command(&command)?);
        }
        Task::PowerOff { which, server } => drop(find(&which)?.power_off(&server)?),
        Task::PowerOn { which, server } => find(&which)?.power_on(&server)?,
        Task::Pause { which, server } => find(&which)?.pause(&server)?,
        Task::Resume { which, server } => find(&which)?.resume(&server)?,
        Task::Cut(cable) => find(&cable.which)?.cut_as(cable.cut())?,
        Task::Heal(cable) => find(&cable.which)?.heal_as(cable.cut())?,
        Task::Weather { which, announcements, towards, keep_entries, delay, loss, reorder, seed } => {
            find(&which)?.weather(Weather {
                announcements,
                towards,
                keep_entries,
                delay_ms: delay,
                loss_percent: loss,
                reorder_percent: reorder,
                seed,
            })?;
        }
        Task::Disk { which, fault, server, delay, seconds } => {
            let state = match fault {
                Fault::Fail => DiskState::Failing,
                Fault::Hang => DiskState::Hanging,
                Fault::Slow => DiskState::Slow { delay_ms: delay },
                Fault::Heal => DiskState::Healthy,
            };
            find(&which)?.disk_as(&server, state, seconds.map(Duration::from_secs))?;
        }
        Task::Probe { which, target, tcp, http, seconds, json } => {
            let way = match (tcp, http) {
                (true, _) => Way::Tcp,
                (_, true) => Way::Http,
                _ => Way::Udp,
            };
            ask_address(&find(&which)?, &target, way, seconds, json)?;
        }
        _ => bail!("this command is not for people"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Becomes the command, so that terminal, signals and exit status are its own.
fn go_on_as(mut command: Command) -> Result<ExitCode> {
    Err(command.exec()).context("cannot run nsenter (package util-linux)")
}

/// Takes down all labs of this checkout, one by one; one that will not go keeps none of the others.
fn down_all() -> Result<ExitCode> {
    let own = checkout();
    let mut left = sweep_dead()?;
    let records = living()?;
    for record in records.iter().filter(|record| record.checkout == own) {
        match Lab::of(record)?.down() {
            Ok(()) => println!("lab {} is down", record.name),
            Err(error) => left.push(error),
        }
    }
    left.iter().for_each(|error| eprintln!("testbed: {error:#}"));
    Ok(if left.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn ask_address(lab: &Lab, target: &str, way: Way, seconds: f64, json: bool) -> Result<()> {
    let address = target.to_socket_addrs().ok().and_then(|mut found| found.next());
    let address = address.with_context(|| format!("{target} is no address; say ADDRESS:PORT, such as 10.0.0.1:80"))?;
    if !address.is_ipv4() {
        bail!("{target} cannot be asked: the client has addresses of version 4 only");
    }
    let limit = Duration::try_from_secs_f64(seconds).context("--for takes seconds")?;
    lab.enter_client()?;
    let report = probe(
        address,
        way,
        limit,
        || false,
        |reign| {
            if !json {
                println!("{:10.3} ms  {}", reign.first_us as f64 / 1000.0, reign.who);
            }
        },
    )?;
    if json {
        println!("{}", serde_json::to_string(&report)?);
        return Ok(());
    }
    println!(
        "{} questions, {} answers, longest gap {:.3} ms at {:.3} ms",
        report.questions,
        report.answers,
        report.longest_gap_us as f64 / 1000.0,
        report.longest_gap_at_us as f64 / 1000.0
    );
    Ok(())
}
