//! Which rows of the requirement list are proven: ids that stand at tests, joined with the tests that passed.
//!
//! An id counts when it stands in the comment lines directly above `#[test]` and the test's name is in the log as passed.
//! A test that cannot run on this machine prints `skipped: why` and passes in the runner's eyes; the log shows its output
//! (`--show-output`), and it does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Print rows by area.
pub fn print(log: &Path) -> Result<()> {
    let log = fs::read_to_string(log).with_context(|| format!("reading {}", log.display()))?;
    let passed = passed(&log);
    let skipped = skipped(&log);
    let mut proven: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut waiting: BTreeSet<String> = BTreeSet::new();
    for file in sources(&super::top().join("crates")) {
        let text = fs::read_to_string(&file).unwrap_or_default();
        for (test, ids) in cited(&text) {
            for id in ids {
                if passed.contains(&test) && !skipped.contains(&test) {
                    proven.entry(area(&id)).or_default().insert(id);
                } else {
                    waiting.insert(id);
                }
            }
        }
    }
    let mut total = 0;
    for (area, ids) in &proven {
        total += ids.len();
        println!("{area:5} {:3}  {}", ids.len(), ids.iter().cloned().collect::<Vec<_>>().join(" "));
    }
    waiting.retain(|id| !proven.values().any(|ids| ids.contains(id)));
    if !waiting.is_empty() {
        println!("cited, but their tests did not pass here: {}", waiting.into_iter().collect::<Vec<_>>().join(" "));
    }
    println!("ROWS proven={total}");
    Ok(())
}

fn area(id: &str) -> String {
    id.split('-').nth(1).unwrap_or_default().to_string()
}

fn passed(log: &str) -> BTreeSet<String> {
    log.lines()
        .filter_map(|line| line.trim().strip_prefix("test ")?.strip_suffix(" ... ok"))
        .map(|name| name.rsplit("::").next().unwrap_or(name).to_string())
        .collect()
}

/// Tests whose shown output says that they were skipped.
fn skipped(log: &str) -> BTreeSet<String> {
    let mut current = "";
    let mut found = BTreeSet::new();
    for line in log.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
            current = name.rsplit("::").next().unwrap_or(name);
        } else if line.starts_with("skipped:") && !current.is_empty() {
            found.insert(current.to_string());
        }
    }
    found
}

/// Names of tests with the row ids in the comment right above them.
fn cited(text: &str) -> Vec<(String, Vec<String>)> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        if *line != "#[test]" {
            continue;
        }
        let above = lines[..index].iter().rev().take_while(|line| line.starts_with("//") || line.starts_with("#["));
        let ids: Vec<String> = above.flat_map(|line| ids(line)).collect();
        let name = lines[index + 1..].iter().find_map(|line| line.strip_prefix("fn ")?.split('(').next());
        if let (Some(name), false) = (name, ids.is_empty()) {
            found.push((name.to_string(), ids));
        }
    }
    found
}

fn ids(line: &str) -> Vec<String> {
    line.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-'))
        .filter(|word| word.starts_with("S-") && word.split('-').count() >= 3)
        .map(String::from)
        .collect()
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_count_only_directly_above_a_passed_test() {
        let text = "// S-VER-HB and S-VER-MON\n#[test]\nfn walk() {\n// S-RSC-FIP\n}\n\n// S-HB-PRIO\n\n#[test]\nfn other() {}\n";
        assert_eq!(cited(text), [("walk".to_string(), vec!["S-VER-HB".to_string(), "S-VER-MON".to_string()])]);
        let passed = passed("test a::walk ... ok\ntest other ... FAILED\n");
        assert!(passed.contains("walk") && !passed.contains("other"));
    }

    #[test]
    fn a_skipped_test_proves_nothing() {
        let log = "test a::walk ... ok\n\n---- a::walk stdout ----\nskipped: needs root\n\n---- other stdout ----\nhello\n";
        assert_eq!(skipped(log), ["walk".to_string()].into_iter().collect());
    }
}
