//! One run as data: its options, its list of faults, and the mistake in it. Everything else follows from these.

use std::fmt::Write;
use std::panic::AssertUnwindSafe;

use crate::Outcome;
use crate::fault::Planned;
use crate::options::Options;
use crate::plant::Planted;
use crate::violation::Violation;
use crate::weather::Weather;
use crate::world::World;

/// A run, and how it came from its seed.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it is made of.
    pub options: Options,
    /// What goes wrong.
    pub faults: Vec<Planned>,
    /// Number of each fault in the list that the seed draws.
    pub numbers: Vec<usize>,
    /// What the seed's weather is without.
    pub calm: Vec<Weather>,
    /// Where to end while something is looked for that happened before.
    pub limit: Option<u64>,
}

impl Case {
    /// The whole run of a seed.
    pub fn of(seed: u64, planted: Option<Planted>) -> Case {
        let drawn = Options::draw(seed);
        let faults = crate::fault::draw::draw(&drawn);
        Case::new(planted.map_or(drawn.clone(), |planted| drawn.planted(planted)), faults)
    }

    /// A run with this list.
    pub fn new(options: Options, faults: Vec<Planned>) -> Case {
        let numbers = (0..faults.len()).collect();
        Case { options, faults, numbers, calm: Vec::new(), limit: None }
    }

    /// The same run with these faults of its list alone, in order; a position may carry another span.
    pub fn with_only(&self, keep: &[(usize, Option<u64>)]) -> Case {
        let mut faults = Vec::new();
        for (at, span) in keep {
            let mut fault = self.faults[*at].clone();
            fault.span = span.unwrap_or(fault.span);
            faults.push(fault);
        }
        let numbers = keep.iter().map(|(at, _)| self.numbers[*at]).collect();
        Case { faults, numbers, ..self.clone() }
    }

    /// The same run without something of its weather.
    pub fn without(&self, weather: Weather) -> Case {
        let mut case = self.clone();
        case.options.quieten(weather);
        case.calm.push(weather);
        case
    }

    /// The same run, healed so many microseconds after faults may begin.
    pub fn healed_after(&self, faulty: u64) -> Case {
        let mut case = self.clone();
        case.options.faulty = faulty;
        case
    }

    /// The same run without the mistake in it.
    pub fn right(&self) -> Case {
        let drawn = Options::draw(self.options.seed).plan.timing;
        let mut case = self.clone();
        if case.options.planted.take().is_some() {
            case.options.plan.timing = drawn;
        }
        case
    }

    /// Run it; a core that stops itself by an assertion is a violation, too.
    pub fn run(&self, trace: bool) -> Outcome {
        if trace {
            print!("{}", crate::scenario::options_text(&self.options));
            println!("faults (number, moment, seconds, server, kind)");
            for (number, fault) in self.numbers.iter().zip(&self.faults) {
                println!("{number:>4} {fault}");
            }
        }
        let mut world = World::new(self.options.clone(), self.faults.clone(), trace);
        world.limit = self.limit.unwrap_or(u64::MAX);
        self.to_the_end(world)
    }

    /// The same, with its story.
    pub fn run_recorded(&self) -> Outcome {
        self.to_the_end(World::new(self.options.clone(), self.faults.clone(), false).recorded())
    }

    fn to_the_end(&self, world: World) -> Outcome {
        let seed = self.options.seed;
        std::panic::catch_unwind(AssertUnwindSafe(|| world.run())).unwrap_or_else(|cause| {
            let words = cause.downcast_ref::<String>().cloned();
            let words = words.or_else(|| cause.downcast_ref::<&str>().map(|words| (*words).to_string())).unwrap_or_default();
            let violations = vec![Violation { seed, at: 0, words: format!("panic: {words}") }];
            Outcome { seed, violations, ..Outcome::default() }
        })
    }

    /// The command that repeats it.
    pub fn rerun(&self) -> String {
        let mut line = crate::rerun(self.options.seed);
        if let Some(planted) = self.options.planted {
            let _ = write!(line, " --mistake {planted:?}");
        }
        let whole = Case::of(self.options.seed, self.options.planted);
        if self.numbers.len() != whole.faults.len() || self.faults != whole.faults {
            let kept = self.numbers.iter().zip(&self.faults).map(|(number, fault)| {
                let same = whole.faults.get(*number).is_some_and(|drawn| drawn.span == fault.span);
                if same { number.to_string() } else { format!("{number}:{}", crate::fault::text::seconds(fault.span)) }
            });
            let kept: Vec<String> = kept.collect();
            let _ = write!(line, " --keep {}", if kept.is_empty() { "none".into() } else { kept.join(",") });
        }
        if !self.calm.is_empty() {
            let calm: Vec<String> = self.calm.iter().map(|weather| format!("{weather:?}").to_lowercase()).collect();
            let _ = write!(line, " --calm {}", calm.join(","));
        }
        if self.options.faulty != whole.options.faulty {
            let _ = write!(line, " --heal-after {}", crate::fault::text::seconds(self.options.faulty));
        }
        line
    }
}
