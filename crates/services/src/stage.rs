//! A configuration on its way in: kept ready first, then switched by one rename, so that a crash leaves the old or the new
//! one, whole.
//!
//! `etc/conf.N/` holds clp.conf and scripts of generation N; `etc/current` is a link to the one in force; `etc/clp.conf` and
//! `scripts` are links through it. The generation before stays as a backup. What was put there by hand becomes a generation
//! of its own before the switch (see `adopt`), so that the switch itself is always that one rename.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use clp_sys::paths::Root;
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};

use crate::request::StagedFile;
use crate::trust::{hex, unhex};

/// Bytes of a configuration with its scripts: in base 16, with names, it fits the longest message (32 MiB) with room.
pub const CONFIGURATION_MAX: usize = 15 * 1024 * 1024;
/// Files of a configuration: some scripts for each of a thousand groups; bounds the directories that a push can make.
pub const FILES_MAX: usize = 20_000;

/// The files of a configuration directory: clp.conf and everything below scripts.
///
/// # Errors
/// A part is missing, cannot be read or is no ordinary file, or it is too much.
pub fn collect(directory: &Path) -> Result<Vec<StagedFile>, String> {
    let conf = directory.join("clp.conf");
    if !conf.is_file() {
        return Err(format!("{} does not exist: clp.conf and scripts belong together", conf.display()));
    }
    let mut found = Found { files: Vec::new(), bytes: 0 };
    found.read(&conf, "clp.conf")?;
    found.scripts(&directory.join("scripts"))?;
    Ok(found.files)
}

/// The files in force on this server: clp.conf and scripts, whether they were pushed or put there by hand.
///
/// # Errors
/// As [`collect`].
pub fn in_use(root: &Root) -> Result<Vec<StagedFile>, String> {
    let mut found = Found { files: Vec::new(), bytes: 0 };
    found.read(&root.conf(), "clp.conf")?;
    found.scripts(&root.scripts())?;
    Ok(found.files)
}

/// The scripts of a configuration alone, from the directory that holds them; none when there is no such directory.
///
/// # Errors
/// As [`collect`].
pub fn scripts(directory: &Path) -> Result<Vec<StagedFile>, String> {
    let mut found = Found { files: Vec::new(), bytes: 0 };
    found.scripts(directory)?;
    Ok(found.files)
}

struct Found {
    files: Vec<StagedFile>,
    bytes: usize,
}

impl Found {
    fn scripts(&mut self, directory: &Path) -> Result<(), String> {
        if directory.is_dir() { self.walk(directory, "scripts") } else { Ok(()) }
    }

    fn walk(&mut self, directory: &Path, below: &str) -> Result<(), String> {
        let failed = |cause: io::Error| format!("cannot read {}: {cause}", directory.display());
        let mut entries: Vec<fs::DirEntry> = fs::read_dir(directory).and_then(Iterator::collect).map_err(failed)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let name = entry.file_name();
            let name = name.to_str().ok_or_else(|| format!("the name of {} is not UTF-8", path.display()))?;
            let name = format!("{below}/{name}");
            if path.is_dir() {
                self.walk(&path, &name)?;
            } else {
                self.read(&path, &name)?;
            }
        }
        Ok(())
    }

    fn read(&mut self, path: &Path, name: &str) -> Result<(), String> {
        let failed = |cause: io::Error| format!("cannot read {}: {cause}", path.display());
        let metadata = fs::metadata(path).map_err(failed)?;
        if !metadata.is_file() {
            return Err(format!("{} is no ordinary file", path.display()));
        }
        // Looked at before it is read: a script directory may hold anything.
        self.bytes = self.bytes.saturating_add(usize::try_from(metadata.len()).unwrap_or(usize::MAX));
        if self.bytes > CONFIGURATION_MAX || self.files.len() >= FILES_MAX {
            return Err(format!(
                "{} and what was read before it are too much: a configuration has at most {} MiB in {FILES_MAX} files",
                path.display(),
                CONFIGURATION_MAX >> 20
            ));
        }
        let bytes = fs::read(path).map_err(failed)?;
        // Scripts are run as they are; a file that begins with "#!" is meant to be.
        let executable = metadata.permissions().mode() & 0o111 != 0 || bytes.starts_with(b"#!");
        self.files.push(StagedFile { path: name.to_string(), executable, hex: hex(&bytes) });
        Ok(())
    }
}

/// Checksum (SHA-256, base 16) of a configuration; the order of the files does not matter.
pub fn checksum(files: &[StagedFile]) -> String {
    let mut sorted: Vec<&StagedFile> = files.iter().collect();
    sorted.sort_by(|a, b| a.path.cmp(&b.path));
    let mut context = Context::new(&SHA256);
    for file in sorted {
        // Lengths keep a name and the content after it apart.
        context.update(&(file.path.len() as u64).to_be_bytes());
        context.update(file.path.as_bytes());
        context.update(&[u8::from(file.executable)]);
        context.update(&(file.hex.len() as u64).to_be_bytes());
        context.update(file.hex.as_bytes());
    }
    hex(context.finish().as_ref())
}

/// Where a generation lies.
pub(crate) fn directory(root: &Root, generation: u64) -> PathBuf {
    root.etc().join(format!("conf.{generation}"))
}

fn generation_of(name: &str) -> Option<u64> {
    name.strip_prefix("conf.")?.parse().ok()
}

/// The generation in force, unless everything was put there by hand.
pub fn in_force(root: &Root) -> Option<u64> {
    generation_of(fs::read_link(root.etc().join("current")).ok()?.to_str()?)
}

/// One change at a time, also between processes; ends when the file is closed.
fn turn(root: &Root) -> Result<File, String> {
    let etc = root.etc();
    let failed = |cause: io::Error| format!("cannot use {}: {cause}", etc.display());
    fs::create_dir_all(&etc).map_err(failed)?;
    let file = File::open(&etc).map_err(failed)?;
    flock(&file, FlockOperation::LockExclusive).map_err(|cause| failed(cause.into()))?;
    Ok(file)
}

/// Keep a configuration ready.
///
/// # Errors
/// It is broken or cannot be written; nothing in force was touched and nothing of it is left.
pub fn stage(root: &Root, generation: u64, wanted: &str, files: &[StagedFile]) -> Result<(), String> {
    check(files, wanted)?;
    let _turn = turn(root)?;
    if in_force(root) == Some(generation) {
        return Err(format!("generation {generation} is in force here: it is not replaced while it is used"));
    }
    forget_unused(root);
    let (part, target) = (part(root, generation), directory(root, generation));
    let _ = fs::remove_dir_all(&part);
    let _ = fs::remove_dir_all(&target);
    let written = write_all(&part, files).and_then(|()| {
        let failed = |cause: io::Error| format!("cannot keep {} ready: {cause}", target.display());
        fs::rename(&part, &target).and_then(|()| sync(&root.etc())).map_err(failed)
    });
    if written.is_err() {
        // A full disk is not left full.
        let _ = fs::remove_dir_all(&part);
    }
    written
}

fn part(root: &Root, generation: u64) -> PathBuf {
    root.etc().join(format!("conf.{generation}.part"))
}

/// Everything that can be wrong with a configuration that arrived, before anything is written.
///
/// # Errors
/// Names the file and what is wrong with it.
pub fn check(files: &[StagedFile], wanted: &str) -> Result<(), String> {
    if checksum(files) != wanted {
        return Err("the configuration arrived broken: its checksum differs".into());
    }
    if files.len() > FILES_MAX {
        return Err(format!("{} files are too much for a configuration", files.len()));
    }
    let mut has_conf = false;
    for file in files {
        let safe = Path::new(&file.path).components().all(|part| matches!(part, Component::Normal(_)));
        if !safe || !(file.path == "clp.conf" || file.path.starts_with("scripts/")) {
            return Err(format!("{} is no path of a configuration", file.path));
        }
        let bytes = unhex(&file.hex).ok_or_else(|| format!("{} arrived broken", file.path))?;
        if file.path == "clp.conf" {
            has_conf = true;
            clp_config::Document::read(&bytes).map_err(|cause| format!("clp.conf: {cause}"))?;
        }
    }
    if !has_conf {
        return Err("the configuration has no clp.conf".into());
    }
    Ok(())
}

fn write_all(target: &Path, files: &[StagedFile]) -> Result<(), String> {
    let scripts = target.join("scripts");
    fs::create_dir_all(&scripts).map_err(|cause| format!("cannot write {}: {cause}", scripts.display()))?;
    for file in files {
        let path = target.join(&file.path);
        let bytes = unhex(&file.hex).ok_or_else(|| format!("{} arrived broken", file.path))?;
        let is_secret = file.path == "clp.conf"
            && clp_config::Document::read(&bytes).is_ok_and(|document| clp_config::holds_password(&document));
        let mode = match (file.executable, is_secret) {
            (_, true) => 0o600,
            (true, false) => 0o755,
            (false, false) => 0o644,
        };
        write(&path, &bytes, mode).map_err(|cause| format!("cannot write {}: {cause}", path.display()))?;
    }
    sync_tree(target).map_err(|cause| format!("cannot write {}: {cause}", target.display()))
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    // New: two files of one name would be one file and two checksums. Nobody else reads it before it has its mode.
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    out.write_all(bytes)?;
    out.set_permissions(fs::Permissions::from_mode(mode))?;
    out.sync_all()
}

/// The names in a directory are on the disk only after this.
fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn sync_tree(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        }
    }
    sync(directory)
}

/// Switch to the configuration that was kept ready; the one that is in force already is success.
///
/// # Errors
/// It was not kept ready or has changed since, or the switch failed; the old one is then still in force.
pub fn commit(root: &Root, generation: u64, wanted: &str) -> Result<(), String> {
    let _turn = turn(root)?;
    if in_force(root) == Some(generation) {
        return Ok(());
    }
    let target = directory(root, generation);
    if !target.join("clp.conf").is_file() {
        return Err(format!("generation {generation} was not kept ready here, or another push came between"));
    }
    if checksum(&collect(&target)?) != wanted {
        return Err(format!("{} is not what was kept ready: its checksum differs", target.display()));
    }
    let failed = |cause: io::Error| format!("cannot switch to generation {generation}: {cause}");
    adopt(root).map_err(failed)?;
    let before = in_force(root);
    switch(root, generation).map_err(failed)?;
    clean(root, &[Some(generation), before]);
    Ok(())
}

/// The one rename.
fn switch(root: &Root, generation: u64) -> io::Result<()> {
    link(&root.etc().join("current"), &format!("conf.{generation}"))?;
    sync(&root.etc())
}

/// What lies in `etc/clp.conf` and `scripts` by hand becomes a generation of its own, and both become links through
/// `current`. Each step leaves the same configuration in force; a step that was cut off is done again.
fn adopt(root: &Root) -> io::Result<()> {
    let links = [(root.conf(), "current/clp.conf"), (root.scripts(), "etc/current/scripts")];
    let is_linked = |(link, through): &(PathBuf, &str)| fs::read_link(link).is_ok_and(|target| target == Path::new(through));
    if in_force(root).is_some() && links.iter().all(is_linked) {
        return Ok(());
    }
    let free = |generation: &u64| !directory(root, *generation).exists();
    let generation = (0..).find(free).unwrap_or_default();
    let part = part(root, generation);
    let _ = fs::remove_dir_all(&part);
    fs::create_dir_all(part.join("scripts"))?;
    if root.conf().is_file() {
        copy(&root.conf(), &part.join("clp.conf"))?;
    }
    if root.scripts().is_dir() {
        copy_tree(&root.scripts(), &part.join("scripts"))?;
    }
    sync_tree(&part)?;
    fs::rename(&part, directory(root, generation))?;
    switch(root, generation)?;
    for wanted in links.iter().filter(|wanted| !is_linked(wanted)) {
        link(&wanted.0, wanted.1)?;
        sync(wanted.0.parent().unwrap_or(root.path()))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    // With its mode.
    fs::copy(from, to)?;
    File::open(to)?.sync_all()
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let metadata = fs::metadata(entry.path())?;
        if metadata.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else if metadata.is_file() {
            copy(&entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Makes `path` a link to `through`, at one instant, whatever it was.
fn link(path: &Path, through: &str) -> io::Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    remove(&fresh)?;
    symlink(through, &fresh)?;
    if path.is_dir() && !path.is_symlink() {
        // A rename cannot replace a directory by a link; both change places.
        renameat_with(CWD, &fresh, CWD, path, RenameFlags::EXCHANGE)?;
        remove(&fresh)
    } else {
        fs::rename(&fresh, path)
    }
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        _ => Ok(()),
    }
}

/// Removes what is not kept.
fn clean(root: &Root, keep: &[Option<u64>]) {
    for entry in fs::read_dir(root.etc()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("conf.") && !generation_of(&name).is_some_and(|number| keep.contains(&Some(number))) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// What pushes that came to no end left: newer than the generation in force, or half written.
fn forget_unused(root: &Root) {
    let Some(current) = in_force(root) else { return clean(root, &[]) };
    let names = fs::read_dir(root.etc()).into_iter().flatten().flatten();
    let numbers = names.filter_map(|entry| generation_of(entry.file_name().to_str()?));
    let keep: Vec<Option<u64>> = numbers.filter(|number| *number <= current).map(Some).collect();
    clean(root, &keep);
}

/// Forget what was kept ready; what is in force stays.
///
/// # Errors
/// The directory cannot be used.
pub fn abort(root: &Root, generation: u64) -> Result<(), String> {
    let _turn = turn(root)?;
    if in_force(root) != Some(generation) {
        let _ = fs::remove_dir_all(directory(root, generation));
        let _ = fs::remove_dir_all(part(root, generation));
    }
    Ok(())
}
