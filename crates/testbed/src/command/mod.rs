//! From arguments to what they ask for. The hidden commands are the bench's own processes, the others are for people.

pub(crate) mod arguments;
mod by_hand;
mod clocked;
mod pauses;
mod storm;

use anyhow::{Context, Result};
use arguments::{Arguments, Task};
use clap::CommandFactory;
use clp_testbed::{blocks, completion, cost, gaps, machine, places::need_root, probe::respond, storm::Order, supervise};
use std::{io::Write, process::ExitCode, time::Duration};

/// Does what is asked for.
pub(crate) fn run(task: Task) -> Result<ExitCode> {
    match task {
        Task::Responder { address, process } => respond(address, process)?,
        Task::BootServer { plan } => machine::boot_server(&plan)?,
        Task::Init { plan } => machine::init(&plan)?,
        Task::Hang { point, seconds } => clp_testbed::hang::hang(&point, Duration::from_secs(seconds))?,
        Task::Supervise { name } => supervise::supervise(&name)?,
        Task::Complete { words } => {
            let found = completion::candidates(&Arguments::command(), &words, &completion::labs());
            return say(&found.iter().map(|word| format!("{word}\n")).collect::<String>());
        }
        Task::Janitor { name } => supervise::janitor(&name)?,
        Task::Stamp { command } => return clocked::stamp(&command),
        Task::Took { command } => return clocked::took(&command),
        Task::Take { address } => clocked::take(address)?,
        Task::Storm { seed, minutes, list, replay, name } => {
            let evidence = std::env::current_exe().context("cannot find this program")?.with_file_name("storm");
            let evidence = evidence.join(format!("seed-{seed}"));
            let length = Duration::from_secs(minutes * 60);
            let order = Order { seed, length, round: replay, name, evidence };
            return if list { say(&order.list()) } else { storm::run_storm(&order) };
        }
        Task::Pauses { method, stops, labs, seed, fence } => {
            return pauses::run_pauses(&method, stops, labs.max(1), seed, fence);
        }
        Task::Blocks { device, pause } => blocks::write(&device, Duration::from_millis(pause))?,
        Task::Gaps { interface, seconds } => {
            let longest = gaps::longest(&interface, Duration::try_from_secs_f64(seconds)?)?;
            return say(&format!("{}\n", longest.as_micros()));
        }
        Task::Cost { program, seconds } => {
            let cost = cost::measure(&program, Duration::try_from_secs_f64(seconds)?)?;
            return say(&format!("{:.3} {:.3}\n", cost.memory_mb, cost.processor_percent));
        }
        task => {
            need_root()?;
            return by_hand::by_hand(task);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints; whoever reads may have heard enough.
pub(crate) fn say(text: &str) -> Result<ExitCode> {
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(ExitCode::SUCCESS)
}
