//! Which rows of `docs/rows.txt` are proven: ids that stand at tests, joined with the tests that passed.
//!
//! An id counts when it stands in the comment lines directly above `#[test]` and the log says that a test of this name
//! passed and none of this name failed, was ignored or skipped. A test that cannot run on this machine prints
//! `skipped: why` and passes in the runner's eyes; the log shows its output (`--show-output`), and it does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// The list, below the top of the checkout.
const LIST: &str = "docs/rows.txt";

/// What to print.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// The rows that are not proven, one a line with their titles, in place of the table.
    pub missing: bool,
    /// This area only.
    pub area: Option<&'a str>,
}

/// Print rows by area; the last line is for machines.
pub fn print(log: &Path, shown: Shown) -> Result<()> {
    let rows = listed()?;
    let cited = all_cited()?;
    known(&rows, &cited)?;
    let log = fs::read_to_string(log).with_context(|| format!("reading {} (`make test` writes it)", log.display()))?;
    let (proven, waiting) = join(&cited, &passed(&log));
    if let Some(area) = shown.area
        && !rows.iter().any(|row| row.area == area)
    {
        let areas: BTreeSet<&str> = rows.iter().map(|row| row.area.as_str()).collect();
        bail!("there is no area {area}; areas are {}", areas.into_iter().collect::<Vec<_>>().join(" "));
    }
    let rows: Vec<&Row> = rows.iter().filter(|row| shown.area.is_none_or(|area| row.area == area)).collect();
    if shown.missing {
        for row in rows.iter().filter(|row| !proven.contains(&row.id)) {
            println!("{:21} {}", row.id, row.title);
        }
    } else {
        for (area, (ids, total)) in by_area(&rows, &proven) {
            println!("{area:5} {:3} / {total:3}  {}", ids.len(), ids.join(" "));
        }
    }
    if !waiting.is_empty() {
        println!("cited, but their tests did not pass here: {}", waiting.into_iter().collect::<Vec<_>>().join(" "));
    }
    println!("ROWS proven={} total={}", rows.iter().filter(|row| proven.contains(&row.id)).count(), rows.len());
    Ok(())
}

/// The list holds together, and every id at a test is in it.
pub fn check() -> Result<()> {
    known(&listed()?, &all_cited()?)
}

/// A line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    id: String,
    area: String,
    title: String,
}

/// A test with the ids above it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Citation {
    file: String,
    test: String,
    ids: Vec<String>,
}

fn listed() -> Result<Vec<Row>> {
    let path = super::top().join(LIST);
    read(&fs::read_to_string(&path).with_context(|| format!("reading {LIST}"))?)
}

fn read(text: &str) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    let mut seen = BTreeSet::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let (id, area) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let title = words.collect::<Vec<_>>().join(" ");
        let at = format!("{LIST}:{}", number + 1);
        if ids(id) != [id] || title.is_empty() {
            bail!("{at}: a line is an id, its area and a title");
        }
        if id.split('-').nth(1) != Some(area) {
            bail!("{at}: {id} is not of the area {area}");
        }
        if !seen.insert(id) {
            bail!("{at}: {id} is there twice");
        }
        rows.push(Row { id: id.into(), area: area.into(), title });
    }
    Ok(rows)
}

/// Ids at tests that no row has: mistyped ones would count for nothing, or for something that nobody asked for.
fn known(rows: &[Row], cited: &[Citation]) -> Result<()> {
    let list: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let strange: Vec<String> = cited
        .iter()
        .flat_map(|citation| citation.ids.iter().map(move |id| (id, citation)))
        .filter(|(id, _)| !list.contains(id.as_str()))
        .map(|(id, citation)| format!("{id} at {} ({})", citation.test, citation.file))
        .collect();
    if strange.is_empty() {
        return Ok(());
    }
    bail!("ids at tests that are not in {LIST}:\n  {}", strange.join("\n  "))
}

/// Proven ids, and those whose tests did not pass.
fn join(cited: &[Citation], passed: &BTreeSet<String>) -> (BTreeSet<String>, BTreeSet<String>) {
    let of = |wanted: bool| {
        cited
            .iter()
            .filter(|citation| passed.contains(&citation.test) == wanted)
            .flat_map(|citation| citation.ids.iter().cloned())
            .collect::<BTreeSet<_>>()
    };
    let proven = of(true);
    let waiting = of(false).difference(&proven).cloned().collect();
    (proven, waiting)
}

/// Areas in the order of the list, with the proven ids and the number of rows.
fn by_area<'a>(rows: &[&'a Row], proven: &BTreeSet<String>) -> Vec<(&'a str, (Vec<&'a str>, usize))> {
    let mut areas: Vec<(&str, (Vec<&str>, usize))> = Vec::new();
    let mut place: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        let index = *place.entry(&row.area).or_insert_with(|| {
            areas.push((&row.area, (Vec::new(), 0)));
            areas.len() - 1
        });
        let (ids, total) = &mut areas[index].1;
        *total += 1;
        if proven.contains(&row.id) {
            ids.push(&row.id);
        }
    }
    areas
}

/// Names of tests that passed and of which no namesake did anything else.
fn passed(log: &str) -> BTreeSet<String> {
    let mut passed = BTreeSet::new();
    let mut other = BTreeSet::new();
    let mut shown = "";
    for line in log.lines().map(str::trim) {
        if let Some((name, outcome)) = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ")) {
            let name = last(name.trim_end_matches(" - should panic"));
            if outcome == "ok" {
                passed.insert(name)
            } else {
                other.insert(name)
            };
        } else if let Some(name) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
            shown = last(name);
        } else if line.starts_with("skipped:") && !shown.is_empty() {
            other.insert(shown);
        }
    }
    passed.difference(&other).map(ToString::to_string).collect()
}

fn last(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path)
}

fn all_cited() -> Result<Vec<Citation>> {
    let mut all = Vec::new();
    let top = super::top();
    for file in super::tree::files()?.iter().filter(|file| file.starts_with("crates/") && file.ends_with(".rs")) {
        let text = fs::read_to_string(top.join(file)).with_context(|| format!("reading {file}"))?;
        all.extend(cited(file, &text));
    }
    Ok(all)
}

/// Tests with the row ids in the comment right above them.
fn cited(file: &str, text: &str) -> Vec<Citation> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        if *line != "#[test]" {
            continue;
        }
        let above = lines[..index].iter().rev().take_while(|line| line.starts_with("//") || line.starts_with("#["));
        let ids: Vec<String> = above.filter(|line| line.starts_with("//")).flat_map(|line| ids(line)).collect();
        let name = lines[index + 1..].iter().find_map(|line| line.strip_prefix("fn ")?.split('(').next());
        if let (Some(name), false) = (name, ids.is_empty()) {
            found.push(Citation { file: file.into(), test: name.into(), ids });
        }
    }
    found
}

fn ids(line: &str) -> Vec<String> {
    line.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-'))
        .map(|word| word.trim_end_matches('-'))
        .filter(|word| word.starts_with("S-") && word.split('-').count() >= 3)
        .map(String::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn citation(test: &str, ids: &[&str]) -> Citation {
        Citation { file: "a.rs".into(), test: test.into(), ids: ids.iter().map(ToString::to_string).collect() }
    }

    #[test]
    fn ids_count_only_directly_above_a_test() {
        let text = "// S-VER-HB and S-VER-MON; not S-RSC-… as a whole\n#[test]\nfn walk() {\n// S-RSC-FIP\n}\n\n// S-HB-PRIO\n\n#[test]\nfn other() {}\n";
        assert_eq!(cited("a.rs", text), [citation("walk", &["S-VER-HB", "S-VER-MON"])]);
    }

    #[test]
    fn a_name_has_passed_when_none_of_its_namesakes_did_otherwise() {
        let log = "test a::walk ... ok\ntest other ... FAILED\ntest b::twice ... ok\ntest c::twice ... ignored, slow\n\
                   test d::panics - should panic ... ok\n";
        assert_eq!(passed(log), set(&["walk", "panics"]));
    }

    #[test]
    fn a_skipped_test_proves_nothing() {
        let log = "test a::walk ... ok\ntest other ... ok\n\n---- a::walk stdout ----\nskipped: needs root\n\n---- other stdout ----\nhello\n";
        assert_eq!(passed(log), set(&["other"]));
    }

    #[test]
    fn a_row_is_proven_by_one_test_and_waits_only_without_one() {
        let cited =
            [citation("one", &["S-VER-HB"]), citation("two", &["S-VER-HB", "S-VER-MON"]), citation("three", &["S-VER-ALL"])];
        assert_eq!(join(&cited, &set(&["one", "three"])), (set(&["S-VER-HB", "S-VER-ALL"]), set(&["S-VER-MON"])));
    }

    #[test]
    fn a_mistyped_id_is_named_with_its_test() {
        let rows = read("S-VER-HB VER servers\n").unwrap();
        assert!(known(&rows, &[citation("walk", &["S-VER-HB"])]).is_ok());
        // In halves, so that nobody takes it for a citation.
        let mistyped = concat!("S-VER-", "HBB");
        let error = known(&rows, &[citation("walk", &["S-VER-HB", mistyped])]).unwrap_err().to_string();
        assert!(error.contains(&format!("{mistyped} at walk (a.rs)")) && !error.contains("S-VER-HB at"), "{error}");
    }

    #[test]
    fn a_list_that_does_not_hold_together_is_refused() {
        for (text, reason) in [
            ("S-VER-HB VER servers\n# remark\n\nS-VER-HB VER again\n", ":4: S-VER-HB is there twice"),
            ("S-VER-HB HB servers\n", ":1: S-VER-HB is not of the area HB"),
            ("S-VER-HB VER\n", ":1: a line is"),
            ("VER-HB VER servers\n", ":1: a line is"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn areas_come_in_the_order_of_the_list_with_proven_and_total() {
        let rows = read("S-VER-HB VER a\nS-HB-PRIO HB b\nS-VER-MON VER c\n").unwrap();
        let rows: Vec<&Row> = rows.iter().collect();
        assert_eq!(by_area(&rows, &set(&["S-VER-MON"])), [("VER", (vec!["S-VER-MON"], 2)), ("HB", (vec![], 1))]);
    }

    #[test]
    fn the_committed_list_and_the_tests_fit() {
        check().unwrap();
    }
}
