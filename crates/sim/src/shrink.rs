//! Delta debugging: of a run that breaks a promise, the fewest and shortest faults that still break the same one.

use crate::case::Case;
use crate::weather::Weather;

/// Runs after which shrinking ends with what it has.
const RUNS_MAX: usize = 3000;
/// It may break the same a little later, by so many time-outs.
const LATER_SCALES: u64 = 12;
/// Halvings of a span that are tried.
const HALVINGS: usize = 6;

/// A run that was made smaller.
#[derive(Debug, Clone)]
pub struct Shrunk {
    /// The smallest run found.
    pub case: Case,
    /// What it breaks.
    pub words: String,
    /// Faults of the run before.
    pub before: usize,
    /// Runs that were needed.
    pub runs: usize,
}

struct Shrinker<'a> {
    kind: &'a str,
    best: Case,
    words: String,
    runs: usize,
}

impl Shrinker<'_> {
    /// Is the same promise broken by this one, too? Then it is the best so far.
    fn holds(&mut self, case: Case) -> bool {
        if self.runs >= RUNS_MAX {
            return false;
        }
        self.runs += 1;
        let outcome = case.run(false);
        let Some(same) = outcome.violations.into_iter().find(|violation| violation.kind() == self.kind) else { return false };
        self.words = same.words;
        self.best = case;
        self.best.limit = self.best.limit.map(|_| limit(&self.best, same.at));
        true
    }

    fn part(&self, keep: impl Fn(usize) -> bool) -> Case {
        let kept: Vec<(usize, Option<u64>)> = (0..self.best.faults.len()).filter(|at| keep(*at)).map(|at| (at, None)).collect();
        self.best.with_only(&kept)
    }

    /// Remove halves, then quarters, and so on to single ones.
    fn fewer(&mut self) {
        let mut size = self.best.faults.len().div_ceil(2);
        while size > 0 && !self.best.faults.is_empty() {
            let mut begin = 0;
            let mut removed = false;
            while begin < self.best.faults.len() {
                let without = self.part(|at| at < begin || at >= begin + size);
                if self.holds(without) {
                    removed = true;
                } else {
                    begin += size;
                }
            }
            size = if size == 1 && !removed { 0 } else { (size / 2).max(usize::from(removed || size > 1)) };
        }
    }

    fn calmer(&mut self) {
        for weather in Weather::ALL {
            if !self.best.calm.contains(weather) && self.best.options.has(*weather) {
                let case = self.best.without(*weather);
                self.holds(case);
            }
        }
    }

    fn shorter(&mut self) {
        for at in 0..self.best.faults.len() {
            for _ in 0..HALVINGS {
                let span = self.best.faults[at].span / 2;
                let kept: Vec<(usize, Option<u64>)> =
                    (0..self.best.faults.len()).map(|one| (one, (one == at).then_some(span))).collect();
                let case = self.best.with_only(&kept);
                if span == 0 || !self.holds(case) {
                    break;
                }
            }
        }
    }

    /// Heal soon after the last fault.
    fn sooner(&mut self) {
        let first = self.best.options.first_fault();
        let last = self.best.faults.iter().map(|fault| fault.at.saturating_sub(first)).max().unwrap_or(0);
        for later in [1, 4, 12] {
            let faulty = last + later * self.best.options.scale();
            let case = self.best.healed_after(faulty);
            if faulty < self.best.options.faulty && self.holds(case) {
                return;
            }
        }
    }
}

/// How long a smaller run is watched for what the run before broke at this moment.
fn limit(case: &Case, at: u64) -> u64 {
    at + case.options.scale() * LATER_SCALES
}

/// The smallest run that breaks the promise of this kind as the given one does; None when that one does not.
pub fn shrink(case: &Case, kind: Option<&str>) -> Option<Shrunk> {
    let outcome = case.run(false);
    let found = outcome.violations.into_iter().find(|violation| kind.is_none_or(|kind| violation.kind() == kind))?;
    let kind = found.kind().to_string();
    let mut case = case.clone();
    // What is not well in the end shows only then.
    case.limit = (kind != "no-orphan").then(|| limit(&case, found.at));
    let mut shrinker = Shrinker { kind: &kind, best: case.clone(), words: found.words.clone(), runs: 1 };
    loop {
        let before = (shrinker.best.faults.len(), shrinker.best.calm.len());
        shrinker.fewer();
        shrinker.calmer();
        if (shrinker.best.faults.len(), shrinker.best.calm.len()) == before {
            break;
        }
    }
    shrinker.shorter();
    shrinker.sooner();
    let Shrinker { mut best, words, runs, .. } = shrinker;
    best.limit = None;
    Some(Shrunk { case: best, words, before: case.faults.len(), runs })
}
