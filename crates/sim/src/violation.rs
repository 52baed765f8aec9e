//! What a checker found.

use std::fmt;

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// In the run of this seed.
    pub seed: u64,
    /// At this microsecond of it.
    pub at: u64,
    /// Kind, colon, and what happened.
    pub words: String,
}

impl Violation {
    /// The invariant: what stands before the colon.
    pub fn kind(&self) -> &str {
        self.words.split(':').next().unwrap_or_default()
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {} at {:.4} s: {}", self.seed, self.at as f64 / 1e6, self.words)
    }
}
