//! Where a lab keeps its things, which checkout it belongs to, whether its supervisor lives; and how a dead one is swept up.
//!
//! Knows no servers' insides. A lab is a directory below [`LABS`]; its supervisor is one process. Who makes or sweeps a lab holds
//! the lock on [`LABS`], so that several sweepers (the janitor, `down`, any other command) do not meet and no name is lost.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{disk, options::Options, tools::wait_until};

/// Directory of all labs of this machine.
pub const LABS: &str = "/run/mainstay-lab";
/// How long killed processes may take to vanish.
const VANISH: Duration = Duration::from_secs(10);

/// What is written down about a lab when it is made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// Its name.
    pub name: String,
    /// The checkout (or directory) it was started from.
    pub checkout: PathBuf,
    /// The supervisor's process.
    pub supervisor: ProcessId,
    /// The lab's control group, below that of whoever made it: others look for it from other groups.
    #[serde(default)]
    pub group: PathBuf,
    /// What was asked for.
    pub options: Options,
}

/// A process that is not confused with a later one of the same number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its number.
    pub pid: u32,
    /// When it began, in clock ticks since the machine's start.
    pub started: u64,
}

impl ProcessId {
    /// The process with this number, if there is one.
    pub fn of(pid: u32) -> Option<ProcessId> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // Field 22; the name in field 2 may hold spaces and ends with the last parenthesis. A zombie is no process.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        if fields.first() == Some(&"Z") {
            return None;
        }
        Some(ProcessId { pid, started: fields.get(19)?.parse().ok()? })
    }

    /// Says whether it still runs.
    pub fn lives(&self) -> bool {
        ProcessId::of(self.pid).as_ref() == Some(self)
    }
}

/// The places of one lab.
#[derive(Debug, Clone)]
pub struct Places {
    /// Its name.
    pub name: String,
    /// Its directory.
    pub directory: PathBuf,
}

impl Places {
    /// The places of the lab `name`, whether it exists or not.
    ///
    /// # Errors
    /// A name that is no plain word of at most 40 letters, digits, `-` and `_`.
    pub fn of(name: &str) -> Result<Places> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 40 || !name.chars().all(plain) {
            bail!("{name:?} is no name for a lab; use letters, digits, - and _, 40 at most");
        }
        Ok(Places { name: name.to_string(), directory: Path::new(LABS).join(name) })
    }

    /// What was written down about the lab.
    ///
    /// # Errors
    /// There is no such lab.
    pub fn record(&self) -> Result<Record> {
        match fs::read(self.directory.join("record.json")) {
            Ok(text) => serde_json::from_slice(&text).with_context(|| format!("the record of lab {} is damaged", self.name)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                bail!("there is no lab {}; `testbed list` shows the labs", self.name)
            }
            Err(error) => Err(error).with_context(|| format!("cannot read the record of lab {}", self.name)),
        }
    }

    /// Writes the record.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_record(&self, record: &Record) -> Result<()> {
        let beside = self.directory.join("record.new");
        let written = fs::write(&beside, serde_json::to_vec_pretty(record)?);
        let written = written.and_then(|()| fs::rename(&beside, self.directory.join("record.json")));
        written.with_context(|| format!("cannot write to {}; a lab needs some MiB there", self.directory.display()))
    }

    /// The supervisor's socket.
    pub fn control(&self) -> PathBuf {
        self.directory.join("control")
    }

    /// What the supervisor has to say.
    pub fn log(&self) -> PathBuf {
        self.directory.join("supervisor.log")
    }

    /// Whose blocks came to the shared disk in which turn ([`crate::blocks`]).
    pub fn book(&self) -> PathBuf {
        self.directory.join("blocks.log")
    }

    /// What belongs to one server and outlives its boots.
    pub fn server(&self, server: &str) -> PathBuf {
        self.directory.join(server)
    }

    /// Process number of a server's pid 1 as this machine sees it; the file is absent while the server is off.
    pub fn server_pid(&self, server: &str) -> PathBuf {
        self.server(server).join("pid")
    }

    /// Name of the control group of the server's present boot, relative to [`Places::group`].
    pub fn server_group(&self, server: &str) -> PathBuf {
        self.server(server).join("group")
    }

    /// The process that keeps the client's network namespace.
    pub fn client_pid(&self) -> PathBuf {
        self.directory.join("client.pid")
    }

    /// The process that keeps the switches' network namespace.
    pub fn switch_pid(&self) -> PathBuf {
        self.directory.join("switch.pid")
    }

    /// Part of the name of every file that backs a loop device of this lab.
    pub fn mark(&self) -> String {
        format!("mainstay-lab={}=", self.name)
    }

    /// The lab's control group.
    pub fn group(&self) -> PathBuf {
        match self.record() {
            // Written by a version that kept the group of whoever asks.
            Ok(record) if record.group.as_os_str().is_empty() => self.new_group(),
            Ok(record) => record.group,
            Err(_) => self.new_group(),
        }
    }

    /// The control group of a lab that this process makes.
    pub fn new_group(&self) -> PathBuf {
        own_group().join(format!("mainstay-lab-{}", self.name))
    }

    /// The control group of the bench's own processes: the supervisor and what it starts.
    pub fn bench_group(&self) -> PathBuf {
        self.group().join("bench")
    }

    /// The control group of the programs that run on the client.
    pub fn client_group(&self) -> PathBuf {
        self.group().join("client")
    }

    /// The network namespace of a lab's switches or client, kept by the process whose number stands in `file`.
    ///
    /// # Errors
    /// The lab is down.
    pub fn net_namespace(&self, file: &Path) -> Result<String> {
        let pid = fs::read_to_string(file).with_context(|| format!("the lab {} is not up", self.name))?;
        Ok(format!("/proc/{}/ns/net", pid.trim()))
    }

    /// Removes what a dead lab left: processes, control groups, loop devices, its directory. Does nothing to a living lab.
    ///
    /// # Errors
    /// Something would not go, or it cannot be told whether the lab lives.
    pub fn sweep(&self) -> Result<()> {
        let _lock = lock()?;
        match self.supervisor()? {
            Some(supervisor) if supervisor.lives() => Ok(()),
            _ => self.remove(),
        }
    }

    /// The supervisor as the record has it, whatever else is in it: another checkout's bench may be of another version.
    fn supervisor(&self) -> Result<Option<ProcessId>> {
        #[derive(Deserialize)]
        struct Owner {
            supervisor: ProcessId,
        }
        let file = self.directory.join("record.json");
        match fs::read(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
            Ok(text) => match serde_json::from_slice::<Owner>(&text) {
                Ok(owner) => Ok(Some(owner.supervisor)),
                Err(_) => bail!("{} is damaged and says not whose it is; remove it when the lab is not needed", file.display()),
            },
        }
    }

    /// The same for a lab whose maker found that it cannot be made: the record may still name the maker.
    ///
    /// # Errors
    /// Something would not go.
    pub fn clear(&self) -> Result<()> {
        let _lock = lock()?;
        self.remove()
    }

    fn remove(&self) -> Result<()> {
        remove_group(&self.group())?;
        for device in disk::loops_over(&self.mark()) {
            disk::detach(&device)?;
        }
        match fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.directory.display()))
            }
            _ => Ok(()),
        }
    }
}

/// Holds all others who make or sweep labs off until the value is dropped.
///
/// # Errors
/// There is no directory of labs.
pub fn lock() -> Result<File> {
    let directory = File::open(LABS).with_context(|| format!("cannot open {LABS}"))?;
    directory.lock().with_context(|| format!("cannot lock {LABS}"))?;
    Ok(directory)
}

/// The control group version 2 tree of this machine: pure layout or the `unified` corner of the hybrid one.
pub fn group_tree() -> PathBuf {
    let unified = Path::new("/sys/fs/cgroup/unified");
    if unified.join("cgroup.procs").exists() { unified.to_path_buf() } else { PathBuf::from("/sys/fs/cgroup") }
}

/// The control group that this process is in; labs are made below it.
fn own_group() -> PathBuf {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    // A group made by a lab is none of ours: `testbed` may be run from a shell that the bench opened.
    let own = own.split("mainstay-lab-").next().unwrap_or_default();
    group_tree().join(own)
}

/// Kills everything in a control group and the groups below it, and removes them.
///
/// # Errors
/// A process in it would not die.
pub fn remove_group(group: &Path) -> Result<()> {
    if !group.exists() {
        return Ok(());
    }
    // Takes frozen processes and groups below too; since Linux 5.14.
    let _ = fs::write(group.join("cgroup.kill"), "1");
    wait_until(&format!("the processes of {} are gone", group.display()), VANISH, || {
        remove_below(group);
        !group.exists()
    })?;
    Ok(())
}

fn remove_below(group: &Path) {
    if let Ok(entries) = fs::read_dir(group) {
        for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            remove_below(&entry.path());
        }
    }
    let _ = fs::remove_dir(group);
}

/// The checkout that the current directory belongs to; else the directory itself.
pub fn checkout() -> PathBuf {
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    here.ancestors().find(|directory| directory.join(".git").exists()).map_or(here.clone(), Path::to_path_buf)
}

/// All labs of this machine whose supervisor lives, by name; nothing is changed.
///
/// # Errors
/// The directory of labs cannot be read.
pub fn living() -> Result<Vec<Record>> {
    let records = all()?.into_iter().filter_map(|places| places.record().ok());
    Ok(records.filter(|record| record.supervisor.lives()).collect())
}

/// Sweeps up what killed benches left, and says what of it would not go: other labs are none the worse for it.
///
/// # Errors
/// The directory of labs cannot be read.
pub fn sweep_dead() -> Result<Vec<anyhow::Error>> {
    let is_dead = |places: &Places| !matches!(places.supervisor(), Ok(Some(supervisor)) if supervisor.lives());
    let dead = all()?.into_iter().filter(is_dead);
    Ok(dead.filter_map(|places| places.sweep().context(format!("what is left of lab {} stays", places.name)).err()).collect())
}

/// The places of all labs of this machine, dead or alive, by name.
fn all() -> Result<Vec<Places>> {
    let entries = match fs::read_dir(LABS) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {LABS}")),
    };
    let places = entries.flatten().filter_map(|entry| Places::of(&entry.file_name().to_string_lossy()).ok());
    let mut all: Vec<Places> = places.collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// Refuses without root, in a sentence.
///
/// # Errors
/// The caller is not root.
pub fn need_root() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("the test bench needs root: it makes namespaces, mounts and loop devices; run it with sudo");
    }
    Ok(())
}

/// Ends a process that has outlived its time; the caller started it.
pub fn end(process: &ProcessId) {
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
    let handle = Pid::from_raw(process.pid as i32).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    // The handle was taken before the look: the number cannot be another's by then.
    if let Some(handle) = handle
        && process.lives()
    {
        let _ = pidfd_send_signal(handle, Signal::KILL);
    }
}
