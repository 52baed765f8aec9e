//! `make bench`: the figures of the product beside keepalived and beside a floor of the machine, alternating in one run.
//!
//! Raw samples go to target/bench/. What each figure says stands in `figures.rs`; how it is taken, in the file of its kind. The
//! address moves without a kernel gate so far: the grade of P1 and P2 is *timed, ungated*.

mod alarms;
mod conf;
mod failover;
mod figures;
mod files;
mod ground;
mod idle;
mod moves;
mod restart;
mod start;
mod whatif;

use anyhow::Result;
use clap::Parser;
use figures::Figures;

/// Samples of the figure that needs no lab.
const WHATIFS: usize = 3;

#[derive(Parser)]
#[command(about = "Figures beside their alternatives")]
struct Arguments {
    /// Samples of each figure that is an instant
    #[arg(long, default_value_t = 10)]
    samples: usize,
    /// One JSON object in place of text
    #[arg(long)]
    json: bool,
    /// Only this product's figures
    #[arg(long)]
    no_peers: bool,
    /// The long forms: half an hour of load for the false alarms, ten minutes of idleness
    #[arg(long)]
    long: bool,
    /// Only these, such as P1,P5
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

impl Arguments {
    fn wants(&self, figures: &[&str]) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| figures.contains(&only.as_str()))
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    figures::check_names(&arguments.only)?;
    let mut figures = Figures::default();
    let outcome = measure(&arguments, &mut figures);
    // What was measured before something failed is still worth reading.
    figures.keep()?;
    if arguments.json {
        figures.print_json();
    } else {
        figures.print();
    }
    outcome
}

fn measure(arguments: &Arguments, figures: &mut Figures) -> Result<()> {
    let peers = !arguments.no_peers;
    for round in 0..arguments.samples {
        eprintln!("round {} of {}", round + 1, arguments.samples);
        if arguments.wants(&["P1", "P1s", "P2"]) {
            failover::of_ours(figures)?;
            failover::without_detection(figures)?;
            if peers {
                failover::of_keepalived(figures)?;
            }
        }
        if arguments.wants(&["P2g"]) {
            failover::of_many_groups(figures)?;
        }
        if arguments.wants(&["P4", "P4o"]) {
            moves::of_one_group(figures)?;
        }
        if arguments.wants(&["P5"]) {
            restart::of_ours(figures)?;
        }
        if arguments.wants(&["P6"]) {
            start::of_all(figures)?;
        }
        if arguments.wants(&["P10", "P10m"]) {
            moves::of_many_addresses(figures)?;
        }
        if arguments.wants(&["P10f", "P10fm"]) {
            moves::of_file_systems(figures)?;
        }
        if arguments.wants(&["P11"]) {
            files::stopped(figures)?;
        }
    }
    if arguments.wants(&["whatif"]) {
        (0..WHATIFS).try_for_each(|_| whatif::measure(figures))?;
    }
    if arguments.wants(&["P7", "P7cpu"]) {
        idle::measure(figures, peers, arguments.long)?;
    }
    if arguments.wants(&["P9"]) {
        alarms::measure(figures, peers, arguments.long)?;
    }
    Ok(())
}
