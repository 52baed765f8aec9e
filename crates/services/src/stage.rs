//! A configuration on its way in: kept ready first, then switched by one rename, so that a crash leaves the old or the new
//! one, whole.
//!
//! `etc/conf.N/` holds clp.conf and scripts of generation N; `etc/current` is a link to the one in force; `etc/clp.conf` and
//! `scripts` are links through it. The generation before stays as a backup.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use clp_sys::paths::Root;

use crate::request::StagedFile;
use crate::trust::{hex, unhex};

/// The files of a configuration directory: clp.conf and everything below scripts.
///
/// # Errors
/// A part is missing or cannot be read.
pub fn collect(directory: &Path) -> Result<Vec<StagedFile>, String> {
    let conf = directory.join("clp.conf");
    if !conf.is_file() {
        return Err(format!("{} does not exist: clp.conf and scripts belong together", conf.display()));
    }
    let mut files = vec![read(&conf, "clp.conf")?];
    let scripts = directory.join("scripts");
    if scripts.is_dir() {
        walk(&scripts, "scripts", &mut files)?;
    }
    Ok(files)
}

fn walk(directory: &Path, below: &str, files: &mut Vec<StagedFile>) -> Result<(), String> {
    let failed = |cause: std::io::Error| format!("cannot read {}: {cause}", directory.display());
    let mut entries: Vec<_> = fs::read_dir(directory).map_err(failed)?.flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = format!("{below}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            walk(&entry.path(), &name, files)?;
        } else {
            files.push(read(&entry.path(), &name)?);
        }
    }
    Ok(())
}

fn read(path: &Path, name: &str) -> Result<StagedFile, String> {
    let failed = |cause: std::io::Error| format!("cannot read {}: {cause}", path.display());
    let bytes = fs::read(path).map_err(failed)?;
    // Scripts are run as they are; a file that begins with "#!" is meant to be.
    let executable = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o111 != 0 || bytes.starts_with(b"#!");
    Ok(StagedFile { path: name.to_string(), executable, hex: hex(&bytes) })
}

fn directory(root: &Root, generation: u64) -> PathBuf {
    root.etc().join(format!("conf.{generation}"))
}

/// Keep a configuration ready.
///
/// # Errors
/// It is broken or cannot be written; nothing in force was touched.
pub fn stage(root: &Root, generation: u64, files: &[StagedFile]) -> Result<(), String> {
    let target = directory(root, generation);
    let _ = fs::remove_dir_all(&target);
    for file in files {
        let relative = Path::new(&file.path);
        let safe = relative.components().all(|part| matches!(part, Component::Normal(_)));
        if !safe || !(file.path == "clp.conf" || file.path.starts_with("scripts/")) {
            return Err(format!("{} is no path of a configuration", file.path));
        }
        let bytes = unhex(&file.hex).ok_or_else(|| format!("{} arrived broken", file.path))?;
        if file.path == "clp.conf" {
            clp_config::Document::read(&bytes).map_err(|cause| format!("clp.conf: {cause}"))?;
        }
        let path = target.join(relative);
        let failed = |cause: std::io::Error| format!("cannot write {}: {cause}", path.display());
        fs::create_dir_all(path.parent().unwrap_or(&target)).map_err(failed)?;
        let mut out = fs::File::create(&path).map_err(failed)?;
        out.write_all(&bytes).map_err(failed)?;
        let mode = if file.executable { 0o755 } else { 0o644 };
        out.set_permissions(fs::Permissions::from_mode(mode)).map_err(failed)?;
        out.sync_all().map_err(failed)?;
    }
    fs::create_dir_all(target.join("scripts")).map_err(|cause| cause.to_string())?;
    if !target.join("clp.conf").is_file() {
        return Err("the configuration has no clp.conf".into());
    }
    Ok(())
}

/// Switch to the configuration that was kept ready.
///
/// # Errors
/// It was not kept ready, or the switch failed; the old one is then still in force.
pub fn commit(root: &Root, generation: u64) -> Result<(), String> {
    let target = directory(root, generation);
    if !target.join("clp.conf").is_file() {
        return Err(format!("generation {generation} was not kept ready here"));
    }
    let failed = |cause: std::io::Error| format!("cannot switch to generation {generation}: {cause}");
    let before = fs::read_link(root.etc().join("current")).ok();
    link_first(root, before.is_some()).map_err(failed)?;
    let fresh = root.etc().join("current.new");
    let _ = fs::remove_file(&fresh);
    symlink(format!("conf.{generation}"), &fresh).map_err(failed)?;
    fs::rename(&fresh, root.etc().join("current")).map_err(failed)?;
    for (link, through) in [(root.conf(), "current/clp.conf"), (root.scripts(), "etc/current/scripts")] {
        point(&link, through).map_err(failed)?;
    }
    clean(root, generation, before.as_deref());
    Ok(())
}

/// Before the first switch: what was put there by hand becomes generation 0.
fn link_first(root: &Root, linked: bool) -> std::io::Result<()> {
    if linked {
        return Ok(());
    }
    let first = directory(root, 0);
    fs::create_dir_all(&first)?;
    if root.conf().is_file() {
        fs::copy(root.conf(), first.join("clp.conf"))?;
    }
    if root.scripts().is_dir() && !root.scripts().is_symlink() {
        let _ = fs::remove_dir_all(first.join("scripts"));
        fs::rename(root.scripts(), first.join("scripts"))?;
        symlink("etc/current/scripts", root.scripts())?;
    }
    symlink("conf.0", root.etc().join("current"))
}

fn point(link: &Path, through: &str) -> std::io::Result<()> {
    if fs::read_link(link).is_ok_and(|target| target == Path::new(through)) {
        return Ok(());
    }
    let fresh = link.with_extension("new");
    let _ = fs::remove_file(&fresh);
    symlink(through, &fresh)?;
    fs::rename(&fresh, link)
}

/// The generation in force and the one before it stay.
fn clean(root: &Root, generation: u64, before: Option<&Path>) {
    let keep = [format!("conf.{generation}"), before.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()];
    for entry in fs::read_dir(root.etc()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("conf.") && !keep.contains(&name) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Forget what was kept ready.
pub fn abort(root: &Root, generation: u64) {
    let _ = fs::remove_dir_all(directory(root, generation));
}
