//! What the committed files must look like beyond what the compiler sees: no paths of somebody's machine, heads that say why
//! a crate exists; and two lists that only remind: files that ask to be divided, doubts left as `// OPEN(topic)`.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// A file longer than this asks to be divided.
const LONG: usize = 500;

/// Beginnings of paths that exist on one machine only. `/root/` alone is the top of every clp.conf path. Written in halves,
/// so that this file does not find itself.
const MACHINE: &[&str] =
    &[concat!("/wo", "rk/"), concat!("/tmp/", "tgt"), concat!("/tmp/", "w/"), concat!("/root", "/."), concat!("/ho", "me/")];

/// Committed files, and new ones that are not ignored, relative to the top of the checkout.
pub fn files() -> Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(super::top())
        .output()
        .context("git ls-files")?;
    if !output.status.success() {
        bail!("git ls-files failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let mut files: Vec<String> =
        output.stdout.split(|byte| *byte == 0).map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    files.retain(|name| super::top().join(name).is_file());
    Ok(files)
}

/// Fail on what must not be; print what should be looked at.
pub fn check() -> Result<()> {
    let (mut wrong, mut long, mut open) = (Vec::new(), Vec::new(), Vec::new());
    for file in files()? {
        // Text only: what is not UTF-8 is a sample of another coding.
        let Ok(text) = fs::read_to_string(super::top().join(&file)) else { continue };
        wrong.extend(
            machine_paths(&text).into_iter().map(|(line, path)| format!("{file}:{line}: {path}… is a path of one machine")),
        );
        if file.ends_with(".rs") {
            let lines = text.lines().count();
            if lines > LONG {
                long.push(format!("{file} ({lines})"));
            }
            open.extend(doubts(&text).into_iter().map(|(line, doubt)| format!("{file}:{line}: {doubt}")));
        }
        if file.starts_with("crates/") && file.ends_with("/src/lib.rs") && !says_why(&text) {
            wrong.push(format!("{file}: its head says neither \"Fence: …\" nor \"Binary …\""));
        }
    }
    if !long.is_empty() {
        println!("warning: over {LONG} lines: {}", long.join(", "));
    }
    for doubt in open {
        println!("open: {doubt}");
    }
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("{}", wrong.join("\n"))
}

fn machine_paths(text: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let begins = |path: &&&str| line.match_indices(**path).any(|(at, _)| !line[..at].ends_with(continues_a_path));
        found.extend(MACHINE.iter().filter(begins).map(|path| (number + 1, *path)));
    }
    found
}

/// Behind this a slash goes on with a path and begins none: the product's own work directory is no machine's.
fn continues_a_path(letter: char) -> bool {
    letter.is_alphanumeric() || "_-.}$*".contains(letter)
}

fn doubts(text: &str) -> Vec<(usize, String)> {
    let mark = concat!("// OP", "EN(");
    text.lines()
        .enumerate()
        .filter_map(|(number, line)| Some((number + 1, line.trim().strip_prefix(mark)?.replacen(')', "", 1))))
        .collect()
}

/// A crate exists because it is a fence or because it is a binary; its head says which, and of what.
fn says_why(text: &str) -> bool {
    text.lines().take_while(|line| line.starts_with("//!")).any(|line| {
        let words = line.trim_start_matches("//!").trim_start();
        ["Fence: ", "Binary"].iter().any(|begin| words.starts_with(begin))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_a_machine_are_found_and_paths_of_a_configuration_are_not() {
        let text = format!("see {}main/x\n/root/server@server1\n{}cargo\n", MACHINE[0], MACHINE[3]);
        assert_eq!(machine_paths(&text), [(1, MACHINE[0]), (3, MACHINE[3])]);
        assert_eq!(machine_paths(&format!("see /opt/mainstay{0}x and \"{0}y\"", MACHINE[0])), [(1, MACHINE[0])]);
        assert_eq!(machine_paths(&format!("see /opt/mainstay{0}x and {{root}}{0}y", MACHINE[0])), []);
    }

    #[test]
    fn doubts_are_listed_with_their_topic() {
        let mark = concat!("// OP", "EN(time)");
        assert_eq!(doubts(&format!("fn a() {{\n    {mark}: how long?\n}}\n")), [(2, "time: how long?".to_string())]);
    }

    #[test]
    fn a_head_says_fence_or_binary_before_the_code_begins() {
        assert!(says_why("//! Words.\n//!\n//! Fence: pure. More.\n"));
        assert!(says_why("//! Words.\n//!\n//! Binary and library.\n"));
        assert!(!says_why("//! A fence of sorts.\n"));
        assert!(!says_why("//! Words.\nuse std::fs;\n//! Fence: late\n"));
    }

    #[test]
    fn the_committed_files_hold() {
        check().unwrap();
    }
}
