//! What an administrator does: a cluster's line on one of its servers, adding, showing and removing clusters on the witness.

use std::io::Read;
use std::path::{Path, PathBuf};

use clp_cli::declaration::Failure;
use clp_cli::screen;
use clp_protocol::witness::{Key, Version};
use clp_services::trust::{hex, read_cluster_key, unhex};
use clp_sys::paths::Root;
use serde::Serialize;

use crate::answer::named;
use crate::state::{self, NAME_MAX, State};
use crate::store;

/// What a cluster's line begins with.
const LINE: &str = "clpwitness-1";
/// More is no line.
const LINE_MAX: u64 = 4096;

/// Bytes that nobody can guess.
///
/// # Errors
/// The system has none.
pub fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0u8; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Failure::new("the system gives no random numbers; check /dev/urandom"))?;
    Ok(bytes)
}

/// Print the line of the cluster whose server this is.
pub fn key(cluster: Option<&str>, from: Option<&str>) -> Result<(), Failure> {
    let root = Root::from_env();
    let path = from.map_or_else(|| root.trust().join("cluster.key"), PathBuf::from);
    let text = std::fs::read(&path).map_err(|cause| Failure::new(format!("{} cannot be read: {cause}", path.display())))?;
    let key = read_cluster_key(&text).map_err(|cause| Failure::new(format!("{}: {cause}", path.display())))?;
    let name = match cluster {
        Some(name) => name.to_string(),
        None => configured_name(&root)?,
    };
    screen::line(&line(&Key::derive(&key, &name), &name)?);
    Ok(())
}

fn configured_name(root: &Root) -> Result<String, Failure> {
    let path = root.conf();
    let other = "give the cluster's name with --cluster";
    let bytes =
        std::fs::read(&path).map_err(|cause| Failure::new(format!("{} cannot be read: {cause}; {other}", path.display())))?;
    let document =
        clp_config::Document::read(&bytes).map_err(|cause| Failure::new(format!("{}: {cause}; {other}", path.display())))?;
    let name = document.root().text_at("cluster/name").filter(|name| !name.is_empty());
    name.ok_or_else(|| Failure::new(format!("{} names no cluster; {other}", path.display())))
}

fn line(key: &Key, name: &str) -> Result<String, Failure> {
    if name.is_empty() || name.len() > NAME_MAX || name.chars().any(char::is_control) {
        return Err(Failure::new(format!("{name:?} is no name of a cluster")));
    }
    Ok(format!("{LINE} {} {name}", hex(key.bytes())))
}

fn of_line(text: &str) -> Option<(Key, String)> {
    let (head, rest) = text.trim_end_matches(['\n', '\r']).split_once(' ')?;
    let (digits, name) = rest.split_once(' ')?;
    let key = Key::from_bytes(unhex(digits)?.try_into().ok()?);
    // Only what would be printed so is read.
    (head == LINE && line(&key, name).is_ok()).then(|| (key, name.to_string()))
}

/// Add the cluster of a line.
pub fn add(directory: &Path, file: Option<&str>) -> Result<(), Failure> {
    let source = file.filter(|file| *file != "-").unwrap_or("standard input");
    let mut text = String::new();
    let read = match file {
        None | Some("-") => std::io::stdin().take(LINE_MAX).read_to_string(&mut text),
        Some(file) => std::fs::File::open(file).and_then(|file| file.take(LINE_MAX).read_to_string(&mut text)),
    };
    read.map_err(|cause| Failure::new(format!("{source} cannot be read: {cause}")))?;
    let (key, name) = of_line(&text).ok_or_else(|| {
        Failure::new(format!("{source} holds no line of a cluster; clpwitness --key prints it on one of its servers"))
    })?;
    let at = |cause: std::io::Error| Failure::new(format!("{}: {cause}", directory.display()));
    store::make(directory).map_err(at)?;
    let version = Version { record: random()?, count: 0, tag: u64::from_be_bytes(random()?) };
    let path = store::path(directory, key.id());
    state::make(&path, &State::fresh(&name, &key, version)).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::new(format!("{name} was added before; its record is left as it is")),
        _ => Failure::new(format!("{} cannot be made: {cause}", path.display())),
    })?;
    screen::line(&format!("{name} added as {}.", hex(&key.id().0)));
    Ok(())
}

/// A cluster, as shown.
#[derive(Debug, Serialize)]
struct Shown {
    number: String,
    name: String,
    /// Names the record.
    record: String,
    writes: u64,
    /// By their place in the configuration, the first one is 1.
    members: Vec<usize>,
    /// Does it run out when it is not renewed?
    runs_out: bool,
    /// By which server it was written.
    by: Option<usize>,
    /// In local time.
    written: String,
    /// Why it cannot be read; empty: it can.
    problem: String,
}

fn shown(path: &Path) -> Shown {
    let number = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    match state::open(path, false) {
        Ok((_, state)) => {
            let record = state.record.as_ref();
            let local = i64::try_from(state.written).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
            let local = local.map(|at| at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y/%m/%d %H:%M:%S").to_string());
            Shown {
                number,
                name: state.name.clone(),
                record: hex(&state.version.record),
                writes: state.version.count,
                members: record.into_iter().flat_map(|record| record.members.iter()).map(|server| server.index() + 1).collect(),
                runs_out: record.is_some_and(|record| !record.lasting && !record.members.is_empty()),
                by: record.map(|record| record.by.index() + 1),
                written: local.unwrap_or_default(),
                problem: String::new(),
            }
        }
        Err(cause) => Shown {
            number,
            name: String::new(),
            record: String::new(),
            writes: 0,
            members: Vec::new(),
            runs_out: false,
            by: None,
            written: String::new(),
            problem: format!("it cannot be read: {cause}"),
        },
    }
}

fn clusters(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    store::paths(directory).map_err(|cause| Failure::new(format!("{} cannot be read: {cause}", directory.display())))
}

/// Show all clusters.
pub fn list(directory: &Path, json: bool) -> Result<(), Failure> {
    let all: Vec<Shown> = clusters(directory)?.iter().map(|path| shown(path)).collect();
    if json {
        let text = serde_json::to_string_pretty(&all).map_err(|cause| Failure::new(cause.to_string()))?;
        screen::line(&text);
        return Ok(());
    }
    if all.is_empty() {
        screen::line("No cluster was added.");
    }
    for cluster in all {
        screen::line(&format!("{} {}", cluster.number, cluster.name));
        if !cluster.problem.is_empty() {
            screen::line(&format!("    {}", cluster.problem));
            continue;
        }
        let members = cluster.members.iter().map(|number| clp_core::ids::ServerId::at(number - 1)).collect();
        let runs_out = if cluster.runs_out { ", until it is not renewed" } else { "" };
        screen::line(&format!("    may go on: {}{runs_out}", named(members)));
        let by = cluster.by.map_or(String::new(), |by| format!(" by server {by}"));
        screen::line(&format!(
            "    writes: {}, the last one{by} at {}; record {}",
            cluster.writes, cluster.written, cluster.record
        ));
    }
    Ok(())
}

/// Forget a cluster.
pub fn remove(directory: &Path, given: &str) -> Result<(), Failure> {
    let all: Vec<(PathBuf, Shown)> = clusters(directory)?.into_iter().map(|path| (path.clone(), shown(&path))).collect();
    let fits = |cluster: &Shown| cluster.number == given || (cluster.problem.is_empty() && cluster.name == given);
    let found: Vec<&(PathBuf, Shown)> = all.iter().filter(|(_, cluster)| fits(cluster)).collect();
    let (path, cluster) = match found.as_slice() {
        [] => return Err(Failure::new(format!("there is no cluster {given}; clpwitness --list shows them"))),
        [one] => one,
        _ => {
            return Err(Failure::new(format!(
                "several clusters are called {given}; give the number of one from clpwitness --list"
            )));
        }
    };
    let gone = std::fs::remove_file(path).and_then(|()| std::fs::File::open(directory)?.sync_all());
    gone.map_err(|cause| Failure::new(format!("{} cannot be removed: {cause}", path.display())))?;
    screen::line(&format!("{} removed.", if cluster.name.is_empty() { &cluster.number } else { &cluster.name }));
    Ok(())
}

/// Trust the next record that the arbiter of a resolution shows.
pub fn accept(resolution: &str) -> Result<(), Failure> {
    let path = Root::from_env().witnessed(resolution);
    if resolution.is_empty() || resolution.contains('/') {
        return Err(Failure::new(format!("{resolution:?} is no name of a resolution")));
    }
    match std::fs::remove_file(&path) {
        Ok(()) => {
            screen::line(&format!("{resolution}: the record that it shows next is trusted on this server."));
            Ok(())
        }
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            Err(Failure::new(format!("{resolution} has no record that this server knows")))
        }
        Err(cause) => Err(Failure::new(format!("{} cannot be removed: {cause}", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_back_and_nothing_else_passes_for_one() {
        let key = Key::derive(&[7; 32], "my cluster");
        let text = line(&key, "my cluster").expect("a name");
        assert_eq!(of_line(&format!("{text}\n")), Some((key.clone(), "my cluster".to_string())));
        for wrong in
            ["", "clpwitness-1", &text[1..], &text.replace(" my", ""), &text.replacen("clpwitness-1 ", "clpwitness-1 0", 1)]
        {
            let found = of_line(wrong);
            assert!(found.is_none() || found != Some((key.clone(), "my cluster".into())), "{wrong}");
        }
        assert_eq!(of_line(&format!("clpwitness-1 {} ", hex(key.bytes()))), None, "no name");
        assert_eq!(of_line(&format!("clpwitness-1 {} c", &hex(key.bytes())[2..])), None, "a short key");
        assert!(line(&key, "a\u{1b}[31m").is_err());
    }
}
