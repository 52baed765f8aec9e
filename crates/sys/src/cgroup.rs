//! Control groups of resources: what a script starts, however far it forks away, can be found and ended.
//!
//! Version 2 only, alone or beside version 1 (`unified`). Where no writable tree is found, process groups have to do. What a
//! resource makes below its own group (a container engine does) counts as its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Between two looks whether a group is empty.
const LOOK: Duration = Duration::from_millis(5);

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

fn place(group: &str, resource: &str) -> Option<PathBuf> {
    Some(tree()?.join("mainstay").join(group).join(resource))
}

impl Cgroup {
    /// Make (or find) the group `mainstay/GROUP/RESOURCE`; None where the kernel or the permissions offer no tree.
    pub fn make(group: &str, resource: &str) -> Option<Cgroup> {
        let path = place(group, resource)?;
        fs::create_dir_all(&path).ok()?;
        Some(Cgroup(path))
    }

    /// The group if there is one.
    pub fn find(group: &str, resource: &str) -> Option<Cgroup> {
        place(group, resource).filter(|path| path.is_dir()).map(Cgroup)
    }

    /// The file that takes a process in.
    pub fn procs(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }

    /// This group and those below it, the lowest first.
    fn all(&self) -> Vec<PathBuf> {
        let mut all = vec![self.0.clone()];
        let mut next = 0;
        while let Some(path) = all.get(next) {
            let below: Vec<PathBuf> = fs::read_dir(path)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.is_dir())
                .collect();
            all.extend(below);
            next += 1;
        }
        all.reverse();
        all
    }

    /// Processes inside.
    pub fn members(&self) -> Vec<u32> {
        let texts = self.all().into_iter().map(|path| fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default());
        texts
            .flat_map(|text| text.lines().filter_map(|line| line.trim().parse().ok()).collect::<Vec<u32>>())
            .filter(|pid| *pid != 0)
            .collect()
    }

    /// Send a signal to everything inside.
    pub fn signal(&self, signal: Signal) {
        for pid in self.members() {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, signal);
            }
        }
    }

    /// Wait until nothing is inside, at most `limit`; false when something is left.
    pub fn wait_empty(&self, limit: Duration) -> bool {
        self.empties(limit, || {})
    }

    /// Kill everything inside and wait until it is empty, at most `limit`; false when something is left.
    pub fn kill(&self, limit: Duration) -> bool {
        self.empties(limit, || {
            if fs::write(self.0.join("cgroup.kill"), "1").is_err() {
                // An older kernel: who stands still cannot fork away from the signal, and is killed all the same.
                let _ = fs::write(self.0.join("cgroup.freeze"), "1");
                self.signal(Signal::KILL);
                let _ = fs::write(self.0.join("cgroup.freeze"), "0");
            }
        })
    }

    fn empties(&self, limit: Duration, act: impl Fn()) -> bool {
        let until = Instant::now() + limit;
        loop {
            act();
            if self.members().is_empty() {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Take the empty group away, with those below it; false when it stays. The kernel lets go of a process a moment after its end.
    pub fn remove(&self) -> bool {
        for path in self.all() {
            let _ = fs::remove_dir(path);
        }
        !self.0.exists()
    }
}
