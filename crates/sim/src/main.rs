//! `clp-sim run --seeds N [--from S]` runs seeds and stops at nothing; `clp-sim seed S --trace` repeats one and tells it;
//! `clp-sim shrink S` finds the few faults that matter.

mod many;
mod recording;
mod speed;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use clp_sim::case::Case;
use clp_sim::fault::text::micros;
use clp_sim::plant::{Area, Planted, REDUNDANT, UNSHOWN};
use clp_sim::scenario::{Scenario, faults_of};
use clp_sim::shrink::{Shrunk, shrink};

#[derive(Parser)]
#[command(about = "Runs the cluster's decisions through random failures in virtual time")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run many seeds.
    Run {
        /// How many.
        #[arg(long, default_value_t = 2000)]
        seeds: u64,
        /// The first.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Threads; as many as there are processors unless given.
        #[arg(long)]
        threads: Option<usize>,
    },
    /// Run every planted mistake until it is caught.
    Planted {
        /// Seeds to try for each.
        #[arg(long, default_value_t = 20000)]
        seeds: u64,
        /// Only these, by name.
        #[arg(long)]
        only: Option<String>,
    },
    /// Run one seed.
    Seed(SeedArguments),
    /// Find the fewest faults of a seed that still break what it breaks.
    Shrink {
        /// Which.
        seed: u64,
        /// With this mistake in it, by the name that `planted` prints.
        #[arg(long)]
        mistake: Option<String>,
        /// Write it to this file as a scenario.
        #[arg(long)]
        scenario: Option<std::path::PathBuf>,
    },
    /// Run every scenario of a directory, right and with its mistake.
    Scenarios {
        /// Where they stand.
        #[arg(long, default_value = "crates/sim/scenarios")]
        directory: std::path::PathBuf,
        /// Write those anew that are not as they say, and one for each mistake that has none.
        #[arg(long)]
        record: bool,
        /// Seeds to try for each of these.
        #[arg(long, default_value_t = 20000)]
        seeds: u64,
    },
    /// Measure how much a processor simulates in a minute.
    Speed,
    /// Run a scenario, with its mistake if it has one.
    Scenario {
        /// The file.
        file: std::path::PathBuf,
        /// Leave the mistake out.
        #[arg(long)]
        right: bool,
        /// Print everything that happens.
        #[arg(long)]
        trace: bool,
    },
}

#[derive(clap::Args)]
struct SeedArguments {
    /// Which.
    seed: u64,
    /// Print its options, its faults and everything that happens.
    #[arg(long)]
    trace: bool,
    /// With this mistake in it, by the name that `planted` prints.
    #[arg(long)]
    mistake: Option<String>,
    /// With the faults of this file (lines as --trace prints them, without their numbers) in place of its own.
    #[arg(long)]
    faults: Option<std::path::PathBuf>,
    /// With these of its faults alone: numbers, each with a span in seconds where it differs (3,7:0.25), or none.
    #[arg(long)]
    keep: Option<String>,
    /// Without these of what goes on all the time: loss, duplicates, failures, hangs, monitors, drift.
    #[arg(long, value_delimiter = ',')]
    calm: Vec<clp_sim::weather::Weather>,
    /// Heal so many seconds after faults may begin.
    #[arg(long)]
    heal_after: Option<String>,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Seed(arguments) => seed_case(&arguments).map(|case| one(&case, arguments.trace)),
        Command::Planted { seeds, only } => planted(seeds, only.as_deref()),
        Command::Run { seeds, from, threads } => Ok(many::run(seeds, from, threads.unwrap_or_else(clp_sim::threads))),
        Command::Shrink { seed, mistake, scenario } => smallest(seed, mistake.as_deref(), scenario.as_deref()),
        Command::Scenarios { directory, record, seeds } => recording::all(&directory, record, seeds),
        Command::Speed => Ok(speed::tell()),
        Command::Scenario { file, right, trace } => read(&file).and_then(|text| {
            let scenario = Scenario::read(&text)?;
            let broken = scenario.broken().filter(|_| !right);
            Ok(one(&broken.unwrap_or(scenario.case), trace))
        }),
    };
    done.unwrap_or_else(|reason| {
        eprintln!("{reason}");
        ExitCode::from(2)
    })
}

fn read(file: &std::path::Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|cause| format!("cannot read {}: {cause}", file.display()))
}

fn mistake(name: Option<&str>) -> Result<Option<Planted>, String> {
    name.map(Planted::named).transpose()
}

fn seed_case(arguments: &SeedArguments) -> Result<Case, String> {
    let mut case = Case::of(arguments.seed, mistake(arguments.mistake.as_deref())?);
    if let Some(file) = &arguments.faults {
        case = Case::new(case.options, faults_of(read(file)?.lines())?);
    }
    if let Some(keep) = &arguments.keep {
        let one = |word: &str| {
            let (number, span) = word.split_once(':').map_or((word, None), |(number, span)| (number, Some(span)));
            let number = number.parse::<usize>().map_err(|cause| format!("{word:?} is no number of a fault: {cause}"))?;
            if number >= case.faults.len() {
                return Err(format!("there is no fault {number}: the list has {}", case.faults.len()));
            }
            Ok((number, span.map(micros).transpose()?))
        };
        let words = keep.split(',').filter(|word| *word != "none");
        case = case.with_only(&words.map(one).collect::<Result<Vec<(usize, Option<u64>)>, String>>()?);
    }
    for weather in &arguments.calm {
        case = case.without(*weather);
    }
    if let Some(faulty) = &arguments.heal_after {
        case = case.healed_after(micros(faulty)?);
    }
    Ok(case)
}

fn one(case: &Case, trace: bool) -> ExitCode {
    let outcome = case.run(trace);
    outcome.violations.iter().for_each(|violation| println!("{violation}"));
    let effects: Vec<String> = outcome.effects.iter().map(|(kind, count)| format!("{kind:?} {count}")).collect();
    println!("took effect: {}", effects.join(", "));
    println!(
        "SIM seed={} seconds={} violations={} faults={} takeovers={}",
        outcome.seed,
        outcome.time / 1_000_000,
        outcome.violations.len(),
        outcome.faults(),
        outcome.takeovers
    );
    ExitCode::from(u8::from(!outcome.violations.is_empty()))
}

/// A run that was made small, for people.
fn tell(shrunk: &Shrunk) {
    println!("{} faults of {} are enough ({} runs): {}", shrunk.case.faults.len(), shrunk.before, shrunk.runs, shrunk.words);
    for (number, fault) in shrunk.case.numbers.iter().zip(&shrunk.case.faults) {
        println!("{number:>4} {fault}");
    }
    println!("repeat: {}", shrunk.case.rerun());
}

fn smallest(seed: u64, name: Option<&str>, file: Option<&std::path::Path>) -> Result<ExitCode, String> {
    let planted = mistake(name)?;
    let case = Case::of(seed, planted);
    let Some(shrunk) = shrink(&case, None) else {
        println!("seed {seed} breaks nothing");
        return Ok(ExitCode::SUCCESS);
    };
    tell(&shrunk);
    if let Some(file) = file {
        let breaks = shrunk.words.split(':').next().unwrap_or_default().to_string();
        let about = vec![shrunk.words];
        let case = shrunk.case.right();
        let story = case.run_recorded().story;
        let text = Scenario { about, mistake: planted, breaks, case, story }.text();
        std::fs::write(file, text).map_err(|cause| format!("cannot write {}: {cause}", file.display()))?;
    }
    Ok(ExitCode::from(1))
}

/// Each mistake must be found, and by the checker it is meant for.
fn planted(seeds: u64, only: Option<&str>) -> Result<ExitCode, String> {
    let chosen: Vec<Planted> = match only {
        Some(names) => names.split(',').map(Planted::named).collect::<Result<_, String>>()?,
        None => Planted::counted().collect(),
    };
    let (mut caught, mut hard) = (0, 0);
    for mistake in &chosen {
        hard += usize::from(mistake.area() != Area::Other);
        match clp_sim::catch(*mistake, seeds) {
            Some((seed, words)) => {
                caught += 1;
                println!("{mistake:?} ({:?}): caught after {} seeds: {words}", mistake.area(), seed + 1);
            }
            None => println!("{mistake:?} ({:?}): not caught by {seeds} seeds", mistake.area()),
        }
    }
    println!("not counted: {UNSHOWN:?} (no seed has shown it yet), {REDUNDANT:?} (other rules hold alone what it breaks)");
    println!("of them {hard} in disk-only contact, restart inside the time-out, stale epochs, arbiter timing");
    println!("PLANTED total={} caught={caught}", chosen.len());
    Ok(ExitCode::from(u8::from(caught != chosen.len())))
}
