//! Control groups of resources: what a script starts, however far it forks away, can be found and ended.
//!
//! Version 2 only, alone or beside version 1 (`unified`). Where no writable tree is found, process groups have to do.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A control group of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup(PathBuf);

/// Where the version 2 tree is mounted.
fn tree() -> Option<PathBuf> {
    [Path::new("/sys/fs/cgroup/unified"), Path::new("/sys/fs/cgroup")]
        .into_iter()
        .find(|path| path.join("cgroup.procs").exists() && path.join("cgroup.controllers").exists())
        .map(Path::to_path_buf)
}

impl Cgroup {
    /// Make (or find) the group `mainstay/GROUP/RESOURCE`; None where the kernel or the permissions offer no tree.
    pub fn make(group: &str, resource: &str) -> Option<Cgroup> {
        let path = tree()?.join("mainstay").join(group).join(resource);
        fs::create_dir_all(&path).ok()?;
        Some(Cgroup(path))
    }

    /// The file that takes a process in.
    pub fn procs(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }

    /// Processes inside.
    pub fn members(&self) -> Vec<u32> {
        let text = fs::read_to_string(self.procs()).unwrap_or_default();
        text.lines().filter_map(|line| line.trim().parse().ok()).filter(|pid| *pid != 0).collect()
    }

    /// Kill everything inside and wait until it is empty, at most `limit`; false when something is left.
    pub fn kill(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        loop {
            if fs::write(self.0.join("cgroup.kill"), "1").is_err() {
                for pid in self.members() {
                    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
                        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                    }
                }
            }
            if self.members().is_empty() {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Take the empty group away; false when it stays. The kernel lets go of a process a moment after its end.
    pub fn remove(&self) -> bool {
        fs::remove_dir(&self.0).is_ok() || !self.0.exists()
    }
}
