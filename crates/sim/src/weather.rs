//! What goes on all the time in a run, beside its list of faults: a little loss, operations that fail by chance, clocks that drift.

use std::str::FromStr;

use crate::options::Options;

/// A part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Usual loss.
    Loss,
    /// Usual duplication.
    Duplicates,
    /// Operations that fail by chance.
    Failures,
    /// Operations and emergencies that hang by chance.
    Hangs,
    /// Monitors that find errors by chance.
    Monitors,
    /// Clocks that drift.
    Drift,
}

impl Weather {
    /// All of it.
    pub const ALL: &[Weather] =
        &[Weather::Loss, Weather::Duplicates, Weather::Failures, Weather::Hangs, Weather::Monitors, Weather::Drift];
}

impl FromStr for Weather {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let name = |weather: &Weather| format!("{weather:?}").to_lowercase();
        let found = Weather::ALL.iter().find(|weather| name(weather) == word).copied();
        let all: Vec<String> = Weather::ALL.iter().map(name).collect();
        found.ok_or_else(|| format!("{word:?} is no weather; there are {}", all.join(", ")))
    }
}

impl Options {
    fn rate(&mut self, weather: Weather) -> &mut u64 {
        match weather {
            Weather::Loss => &mut self.loss,
            Weather::Duplicates => &mut self.duplicate,
            Weather::Failures => &mut self.operation_fails,
            Weather::Hangs => &mut self.operation_hangs,
            Weather::Monitors => &mut self.monitor_fails,
            Weather::Drift => &mut self.drift,
        }
    }

    /// Is there any of it in this run?
    pub fn has(&self, weather: Weather) -> bool {
        *self.clone().rate(weather) > 0
    }

    /// None of it from now on.
    pub fn quieten(&mut self, weather: Weather) {
        *self.rate(weather) = 0;
    }
}
