//! Samples by figure, and the lines that are printed of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::Result;

/// All samples of a run, in milliseconds.
#[derive(Default)]
pub struct Figures(BTreeMap<&'static str, Vec<f64>>);

impl Figures {
    /// One more sample.
    pub fn add(&mut self, figure: &'static str, ms: f64) {
        self.0.entry(figure).or_default().push(ms);
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

    /// A line per figure.
    pub fn print(&self, timeout_ms: f64) {
        let floor = self.median("floor");
        let peer = self.median("keepalived");
        let peer = if peer.is_nan() { "-".to_string() } else { format!("keepalived-50ms:{peer:.1}") };
        let beyond: Vec<f64> = self.of("P1").iter().map(|ms| (ms - timeout_ms).max(0.0)).collect();
        line("P1", self.of("P1"), "55", &peer, floor);
        line("P2", &beyond, "3", "-", floor);
        line("P1s", self.of("P1s"), "-", "-", floor);
        line("P4", self.of("P4"), "20", "-", floor);
        line("P4o", self.of("P4o"), "8", "-", floor);
        line("cut", self.of("cut"), "-", "-", f64::NAN);
    }

    fn of(&self, figure: &str) -> &[f64] {
        self.0.get(figure).map_or(&[], Vec::as_slice)
    }

    fn median(&self, figure: &str) -> f64 {
        median(self.of(figure))
    }
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    let middle = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 { middle(half) } else { (middle(half.wrapping_sub(1)) + middle(half)) / 2.0 }
}

fn line(name: &str, values: &[f64], goal: &str, peer: &str, floor: f64) {
    if values.is_empty() {
        return;
    }
    let sorted = sorted(values);
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
    println!(
        "BENCH {name} ours={:.1} unit=ms n={} min={:.1} max={:.1} p99={:.1} goal={goal} peer={peer} floor={floor:.1}",
        median(values),
        values.len(),
        at(0.0),
        at(1.0),
        at(0.99)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert!(median(&[]).is_nan());
    }
}
