//! Scenarios of a directory: tried, and written anew where that is wanted.

use std::path::Path;
use std::process::ExitCode;

use clp_sim::case::Case;
use clp_sim::plant::Planted;
use clp_sim::scenario::Scenario;
use clp_sim::shrink::shrink;

/// Try them all; new ones are looked for among so many seeds.
pub fn all(directory: &Path, record: bool, seeds: u64) -> Result<ExitCode, String> {
    let wrong = |what: &str, cause: &dyn std::fmt::Display| format!("cannot {what} {}: {cause}", directory.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(|cause| wrong("read", &cause))? {
        files.push(entry.map_err(|cause| wrong("read", &cause))?.path());
    }
    files.sort();
    let (mut differ, mut shown) = (0, Vec::new());
    for file in &files {
        let scenario = Scenario::read(&crate::read(file)?).map_err(|reason| format!("{}: {reason}", file.display()))?;
        let difference = scenario.differs();
        shown.extend(scenario.mistake.filter(|_| difference.is_none() || !record));
        let Some(difference) = difference else { continue };
        println!("{}: {difference}", file.display());
        differ += 1;
        if record {
            let right = scenario.case.run_recorded();
            let still = scenario.broken().is_none_or(|case| {
                let kinds = case.run(false).violations;
                kinds.iter().any(|violation| violation.kind() == scenario.breaks)
            });
            if !right.violations.is_empty() {
                continue;
            }
            if still {
                shown.extend(scenario.mistake);
                let text = Scenario { story: right.story, ..scenario }.text();
                std::fs::write(file, text).map_err(|cause| wrong("write into", &cause))?;
            }
        }
    }
    for mistake in Planted::counted().filter(|mistake| record && !shown.contains(mistake)) {
        match found(mistake, seeds) {
            Some(scenario) => {
                let file = directory.join(format!("{}.txt", name(mistake)));
                println!("{}: {} faults", file.display(), scenario.case.faults.len());
                std::fs::write(&file, scenario.text()).map_err(|cause| wrong("write into", &cause))?;
            }
            None => println!("{mistake:?}: nothing found"),
        }
    }
    println!("SCENARIOS total={} differ={differ}", files.len());
    Ok(ExitCode::from(u8::from(differ > 0 && !record)))
}

/// The smallest run found that shows a mistake and breaks nothing without it.
fn found(mistake: Planted, seeds: u64) -> Option<Scenario> {
    let (seed, _) = clp_sim::catch(mistake, seeds)?;
    let shrunk = shrink(&Case::of(seed, Some(mistake)), None)?;
    let breaks = shrunk.words.split(':').next().unwrap_or_default().to_string();
    let case = shrunk.case.right();
    let right = case.run_recorded();
    if !right.violations.is_empty() {
        return None;
    }
    Some(Scenario { about: vec![shrunk.words], mistake: Some(mistake), breaks, case, story: right.story })
}

/// As file names are: small letters and hyphens.
fn name(mistake: Planted) -> String {
    let mut name = String::new();
    for letter in format!("{mistake:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.extend(letter.to_lowercase());
    }
    name
}
