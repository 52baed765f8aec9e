//! The figures: what each says and the goal that it is held against; their samples; the lines that are printed.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Result, bail};

/// A figure that is printed.
struct Figure {
    name: &'static str,
    unit: &'static str,
    goal: &'static str,
    /// The samples of another product, with the name under which they are printed.
    peer: Option<(&'static str, &'static str)>,
    /// The samples of what the machine needs in any case.
    floor: Option<&'static str>,
    /// Printed less this.
    less: Less,
    /// Samples under another name.
    of: Option<&'static str>,
}

enum Less {
    Nothing,
    Constant(f64),
}

/// Heartbeat time-out of the fastest profile, in milliseconds.
pub const TIMEOUT_MS: f64 = 50.0;

const fn figure(name: &'static str, unit: &'static str, goal: &'static str) -> Figure {
    Figure { name, unit, goal, peer: None, floor: None, less: Less::Nothing, of: None }
}

const KEEPALIVED: &str = "keepalived-50ms";

/// What is printed, in this order. Milliseconds run from the instant of the fault, on one clock.
const FIGURES: &[Figure] = &[
    // Power-off to the address answered by another server, at 10 ms heartbeats and a 50 ms time-out.
    Figure { peer: Some((KEEPALIVED, "keepalived")), floor: Some("floor"), ..figure("P1", "ms", "55") },
    // The same beyond the time-out.
    Figure { floor: Some("floor"), less: Less::Constant(TIMEOUT_MS), of: Some("P1"), ..figure("P2", "ms", "3") },
    // The same, until the address of the last of a hundred groups answers.
    Figure { less: Less::Constant(TIMEOUT_MS), ..figure("P2g", "ms", "3") },
    // As P1, until the group's own process answers.
    figure("P1s", "ms", "-"),
    // From an operator's order to the address answered elsewhere, and how long a client had no answer.
    figure("P4", "ms", "20"),
    figure("P4o", "ms", "8"),
    // From the kill of a resident process to its answer, its own start included (the goal excludes that).
    figure("P5", "ms", "15"),
    // From `clpcl -s -a`, nothing running on any server, to the address answered.
    figure("P6", "ms", "500"),
    // All daemons of one of two idle servers, 100 ms heartbeats, 20 monitors. The web server is not there yet.
    Figure { peer: Some(("keepalived-1s", "P7keepalived")), ..figure("P7", "MB", "15") },
    Figure { peer: Some(("keepalived-1s", "P7keepalivedcpu")), ..figure("P7cpu", "%", "0.5") },
    // Changes of the address's owner and servers taken for dead, under load.
    Figure { peer: Some((KEEPALIVED, "P9keepalived")), ..figure("P9", "alarms", "0") },
    // Longest time without a frame on the interconnect while 80 addresses move, beyond the interval.
    Figure { less: Less::Constant(crate::moves::INTERVAL_MS), ..figure("P10", "ms", "100") },
    // How long that move took, from the command to its answer.
    figure("P10m", "ms", "-"),
    // The same two with ten file systems in the group.
    Figure { less: Less::Constant(crate::moves::INTERVAL_MS), ..figure("P10f", "ms", "100") },
    figure("P10fm", "ms", "-"),
    // Ten idle file systems of one group stopped; the floor: unmounted by hand, one after the other. Nobody runs Pacemaker here.
    Figure { peer: Some(("pacemaker", "pacemaker")), floor: Some("P11floor"), ..figure("P11", "ms", "500") },
    // All single and double losses of 8 servers with 40 groups, asked of the cores in virtual time (`clpstat --whatif --double`).
    figure("whatif", "s", "10"),
    // How long the power-off itself took.
    figure("cut", "ms", "-"),
];

/// Are these figures?
///
/// # Errors
/// One is not; the message names those that are.
pub fn check_names(names: &[String]) -> Result<()> {
    let known: Vec<&str> = FIGURES.iter().map(|figure| figure.name).collect();
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => bail!("there is no figure {name}; there are {}", known.join(", ")),
        None => Ok(()),
    }
}

/// All samples of a run.
#[derive(Default)]
pub struct Figures(BTreeMap<&'static str, Vec<f64>>);

impl Figures {
    /// One more sample.
    pub fn add(&mut self, figure: &'static str, value: f64) {
        self.0.entry(figure).or_default().push(value);
    }

    /// Write the raw samples to target/bench/samples.json.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn keep(&self) -> Result<()> {
        let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/bench");
        fs::create_dir_all(&directory)?;
        fs::write(directory.join("samples.json"), serde_json::to_vec(&self.0)?)?;
        Ok(())
    }

    /// The raw samples as one object.
    pub fn print_json(&self) {
        println!("{}", serde_json::json!(self.0));
    }

    /// A line per figure that was measured.
    pub fn print(&self) {
        FIGURES.iter().filter_map(|figure| self.line(figure)).for_each(|line| println!("{line}"));
    }

    fn line(&self, figure: &Figure) -> Option<String> {
        let less = match figure.less {
            Less::Nothing => 0.0,
            Less::Constant(less) => less,
        };
        let samples = self.0.get(figure.of.unwrap_or(figure.name))?;
        let values = sorted(&samples.iter().map(|value| (value - less).max(0.0)).collect::<Vec<_>>());
        let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
        // A peer that a figure has and that did not run is named as such: no number is no advantage.
        let peer = figure.peer.map(|(label, key)| match self.median(key) {
            Some(median) => format!("{label}:{median:.1}"),
            None => format!("{label}:not-measured"),
        });
        let floor = figure.floor.and_then(|key| Some(format!("{:.1}", self.median(key)?)));
        Some(format!(
            "BENCH {} ours={:.1} unit={} n={} min={:.1} max={:.1} p99={:.1} goal={} peer={} floor={}",
            figure.name,
            median(&values)?,
            figure.unit,
            values.len(),
            at(0.0),
            at(1.0),
            at(0.99),
            figure.goal,
            peer.unwrap_or_else(|| "-".into()),
            floor.unwrap_or_else(|| "-".into()),
        ))
    }

    fn median(&self, key: &str) -> Option<f64> {
        median(self.0.get(key)?)
    }
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

/// None of nothing.
fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let half = sorted.len() / 2;
    let upper = *sorted.get(half)?;
    Some(if sorted.len() % 2 == 1 { upper } else { (sorted[half - 1] + upper) / 2.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn a_line_is_printed_of_what_was_measured_and_less_what_is_not_its_own() {
        let mut figures = Figures::default();
        figures.add("P1", 54.0);
        figures.add("P1", 58.0);
        figures.add("keepalived", 160.0);
        figures.add("P11", 90.0);
        let lines: Vec<String> = FIGURES.iter().filter_map(|figure| figures.line(figure)).collect();
        assert_eq!(
            lines,
            [
                "BENCH P1 ours=56.0 unit=ms n=2 min=54.0 max=58.0 p99=58.0 goal=55 peer=keepalived-50ms:160.0 floor=-",
                "BENCH P2 ours=6.0 unit=ms n=2 min=4.0 max=8.0 p99=8.0 goal=3 peer=- floor=-",
                "BENCH P11 ours=90.0 unit=ms n=1 min=90.0 max=90.0 p99=90.0 goal=500 peer=pacemaker:not-measured floor=-",
            ]
        );
    }

    #[test]
    fn a_name_that_is_no_figure_is_named_with_those_that_are() {
        assert!(check_names(&["P1".into(), "P9".into()]).is_ok());
        let said = check_names(&["P99".into()]).expect_err("no such figure").to_string();
        assert!(said.contains("P99") && said.contains("P10"), "{said}");
    }
}
