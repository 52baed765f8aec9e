//! What the probes of this process were doing when one of them exceeded its time (emergency/dumpcollect): for engineers.

use clp_sys::process::evidence;
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// More threads or children than this say nothing new.
const LISTED_MAX: usize = 200;

/// Writes what all threads of this process and the processes that they started wait for into `timeout.MONITOR.log` of
/// `folder`; one older file is kept. Returns the file.
///
/// # Errors
/// It cannot be written.
pub fn collect(folder: &Path, monitor: &str, failure: &str) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let path = folder.join(format!("timeout.{monitor}.log"));
    if path.exists() {
        fs::rename(&path, path.with_extension("log.pre"))?;
    }
    let mut file = fs::File::create(&path)?;
    writeln!(file, "monitor {monitor}: {failure}")?;
    for task in fs::read_dir("/proc/self/task")?.flatten().take(LISTED_MAX) {
        let Some(thread) = task.file_name().to_str().and_then(|text| text.parse().ok()) else { continue };
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        writeln!(file, "thread {}: {}", name.trim(), evidence(thread))?;
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|text| text.parse().ok()).take(LISTED_MAX) {
            let line = fs::read_to_string(format!("/proc/{child}/cmdline")).unwrap_or_default().replace('\0', " ");
            writeln!(file, "process {}: {}", line.trim(), evidence(child))?;
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn threads_and_children_are_listed_with_what_they_wait_for_and_one_older_file_is_kept() {
        let folder = tempfile::tempdir().expect("folder");
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let (started, is_started) = std::sync::mpsc::channel::<u32>();
        let thread = std::thread::Builder::new()
            .name("reading a disk".into())
            .spawn(move || {
                let mut child = Command::new("sleep").arg("943").spawn().expect("sleep");
                started.send(child.id()).expect("told");
                let _ = wait.recv();
                child.kill().expect("kill");
                child.wait().expect("reaped");
            })
            .expect("thread");
        let child = is_started.recv().expect("started");
        for failure in ["first", "second"] {
            let path = collect(folder.path(), "diskw1", failure).expect("written");
            let text = fs::read_to_string(&path).expect("file");
            assert!(text.starts_with(&format!("monitor diskw1: {failure}\n")), "{text}");
            assert!(text.contains("\nthread reading a disk: pid "), "{text}");
            assert!(text.contains(&format!(": pid {child}, State:")), "{text}");
            assert!(text.contains("wait channel"), "{text}");
        }
        let before = fs::read_to_string(folder.path().join("timeout.diskw1.log.pre")).expect("the older one");
        assert!(before.starts_with("monitor diskw1: first\n"));
        drop(release);
        thread.join().expect("joined");
    }
}
