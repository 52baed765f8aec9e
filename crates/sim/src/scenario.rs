//! Scenarios: a run written down whole (options, faults, what it once broke), independent of what seeds draw, so that it is tried
//! for ever. They stand in `crates/sim/scenarios`, a file each, named after the bug or the mistake. `clp-sim scenarios --record` writes
//! them anew: the difference is read as carefully as code.

use std::fmt::Write;

use clp_core::plan::Plan;

use crate::case::Case;
use crate::fault::Planned;
use crate::options::Options;
use crate::plant::Planted;
use crate::text::{Reader, Text};

/// A run with its story.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What it is about: the lines at the top.
    pub about: Vec<String>,
    /// The mistake that it shows; None: a bug that the core once had.
    pub mistake: Option<Planted>,
    /// The invariant that is broken with the mistake, or was by the bug.
    pub breaks: String,
    /// The run, without the mistake.
    pub case: Case,
    /// What happens in it without the mistake, as it was recorded.
    pub story: Vec<String>,
}

macro_rules! scalars {
    ($($field:ident)*) => {
        fn scalars_put(options: &Options) -> String {
            let mut text = String::new();
            $(let _ = writeln!(text, concat!(stringify!($field), " {}"), options.$field.put());)*
            text
        }
        fn scalar_take(options: &mut Options, name: &str, from: &mut Reader<'_>) -> Result<bool, String> {
            match name {
                $(stringify!($field) => options.$field = Text::take(from)?,)*
                _ => return Ok(false),
            }
            Ok(true)
        }
    };
}
scalars! {
    seed lan arbiter watchdog watchdog_grain emergency drift faults fault_gap loss duplicate delay operation_fails operation_hangs
    operation operation_limit monitor_fails faulty gated away quiet
}

/// The options of a run, a line each; times without a point are microseconds.
pub fn options_text(options: &Options) -> String {
    let plan = &options.plan;
    let mut text = scalars_put(options);
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name} {value}");
    };
    line("servers", plan.servers.put());
    line("timing", plan.timing.put());
    line("partition", plan.partition.put());
    line("forced_stop", plan.forced_stop.put());
    line("partition_action", plan.partition_action.put());
    line("restraints", plan.restraints.put());
    plan.groups.iter().for_each(|group| line("group", group.put()));
    plan.resources.iter().for_each(|resource| line("resource", resource.put()));
    plan.monitors.iter().for_each(|monitor| line("monitor", monitor.put()));
    text
}

fn option_take(options: &mut Options, line: &str) -> Result<(), String> {
    let (name, value) = line.trim().split_once(' ').ok_or_else(|| format!("{line:?} has no value"))?;
    let mut from = Reader::new(value);
    let known = scalar_take(options, name, &mut from)?;
    let Plan { servers, timing, partition, forced_stop, partition_action, groups, resources, monitors, restraints } =
        &mut options.plan;
    match name {
        _ if known => {}
        "servers" => *servers = Text::take(&mut from)?,
        "timing" => *timing = Text::take(&mut from)?,
        "partition" => *partition = Text::take(&mut from)?,
        "forced_stop" => *forced_stop = Text::take(&mut from)?,
        "partition_action" => *partition_action = Text::take(&mut from)?,
        "restraints" => *restraints = Text::take(&mut from)?,
        "group" => groups.push(Text::take(&mut from)?),
        "resource" => resources.push(Text::take(&mut from)?),
        "monitor" => monitors.push(Text::take(&mut from)?),
        _ => return Err(format!("there is no option {name:?}")),
    }
    from.end()
}

/// Faults from lines; empty ones and those that begin with `#` say nothing, a number before the moment neither.
///
/// # Errors
/// A line is no fault.
pub fn faults_of<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<Planned>, String> {
    lines.map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::parse).collect()
}

impl Scenario {
    /// Read one.
    ///
    /// # Errors
    /// The text is none; the line is named.
    pub fn read(text: &str) -> Result<Scenario, String> {
        let mut options = Options::draw(0);
        options.plan.groups.clear();
        options.plan.resources.clear();
        options.plan.monitors.clear();
        options.away = None;
        let (mut about, mut mistake, mut breaks) = (Vec::new(), None, String::new());
        let mut lines = text.lines();
        for line in lines.by_ref() {
            if line.trim() == "faults" {
                break;
            }
            match line.split_once(' ') {
                Some(("#", words)) => about.push(words.to_string()),
                Some(("mistake", name)) => mistake = Some(Planted::named(name)?),
                Some(("breaks", kind)) => breaks = kind.to_string(),
                _ if line.trim().is_empty() => {}
                _ => option_take(&mut options, line).map_err(|reason| format!("in {line:?}: {reason}"))?,
            }
        }
        let faults: Vec<&str> = lines.by_ref().take_while(|line| line.trim() != "story").collect();
        let case = Case::new(options, faults_of(faults.into_iter())?);
        let story = lines.map(str::trim).filter(|line| !line.is_empty()).map(str::to_string).collect();
        Ok(Scenario { about, mistake, breaks, case, story })
    }

    /// As text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.about.iter().for_each(|line| text.push_str(&format!("# {line}\n")));
        if let Some(mistake) = self.mistake {
            let _ = writeln!(text, "mistake {mistake:?}");
        }
        let _ = writeln!(text, "breaks {}\n\n{}\nfaults", self.breaks, options_text(&self.case.options));
        for fault in &self.case.faults {
            let _ = writeln!(text, "{fault}");
        }
        let _ = writeln!(text, "\nstory\n{}", self.story.join("\n"));
        text
    }

    /// What is not as the scenario says; None: all of it is.
    pub fn differs(&self) -> Option<String> {
        let right = self.case.run_recorded();
        if let Some(violation) = right.violations.first() {
            return Some(format!("it breaks {violation}"));
        }
        let shown = self.broken().map(|case| case.run(false).violations.iter().any(|violation| violation.kind() == self.breaks));
        if shown == Some(false) {
            return Some(format!("its mistake no longer breaks {}", self.breaks));
        }
        let at = right.story.iter().zip(&self.story).position(|(new, old)| new != old);
        let at = at.or_else(|| (right.story.len() != self.story.len()).then(|| right.story.len().min(self.story.len())))?;
        let line = |story: &[String]| story.get(at).map_or("nothing".to_string(), |line| format!("{line:?}"));
        Some(format!("line {} of its story is {} and was {}", at + 1, line(&right.story), line(&self.story)))
    }

    /// The run with its mistake.
    pub fn broken(&self) -> Option<Case> {
        let mut case = self.case.clone();
        case.options = case.options.planted(self.mistake?);
        Some(case)
    }
}
