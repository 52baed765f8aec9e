//! Group resources: one file per type. A driver does what it is told on one resource of this server and says what came of it.
//!
//! Activating what is active and deactivating what is absent are successes. A failed step undoes what it did. Retries,
//! order and recovery are the core's.

pub mod disk;
pub mod exec;
pub mod fip;
mod notes;
pub mod preaction;

use clp_config::{Resource, ResourceKind};
use clp_sys::paths::Root;
use std::net::IpAddr;
use std::time::Duration;
use thiserror::Error;

pub use notes::{Note, Notes};

/// Bytes of the note that a resource may be active here: a boot id.
const NOTE_LENGTH: usize = 64;

/// What a driver is told besides its parameters.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Group of the resource.
    pub group: String,
    /// Name of the resource.
    pub resource: String,
    /// This server.
    pub server: String,
    /// Where the product lives.
    pub root: Root,
    /// The group came here because of a failure: scripts see FAILOVER in place of START.
    pub after_failure: bool,
    /// It is known who had the group before: that server verified it off, or is gone.
    pub owner_known: bool,
    /// The disks of the group are usable (CLP_DISK); None: as they were when it was activated.
    pub disk_ok: Option<bool>,
    /// This server is the first of the group's failover policy (CLP_SERVER).
    pub home: bool,
    /// Rank of this server in the failover policy, 1 first (CLP_PRIORITY).
    pub priority: usize,
    /// Why it is stopped (CLP_FACTOR).
    pub cause: Option<Cause>,
    /// What becomes of this server when its service has stopped (CLP_LASTACTION).
    pub last_action: LastAction,
    /// Longest time for an emergency; zero: the driver's own limit.
    pub deadline: Duration,
    /// Who is told of what happens on the way.
    pub notes: Notes,
}

impl Context {
    fn marker(&self) -> std::path::PathBuf {
        self.root.run().join("active").join(&self.resource)
    }

    /// Leave a note, before anything is done, that the resource may be active here; it holds the boot id, since a reset ends
    /// everything that it stands for, and what scripts were told at the start: they are told the same at the stop.
    fn mark(&self, told: Told) -> Result<(), ResourceError> {
        let boot = Some(clp_sys::identity::boot_id()).filter(|boot| !boot.is_empty());
        let text = boot.map(|boot| format!("{boot}\n{} {}", told.event(), told.disk()));
        text.ok_or(std::io::ErrorKind::NotFound.into()).and_then(|text| self.note(&text)).map_err(|cause: std::io::Error| {
            ResourceError::new(
                format!("{} cannot be written: {cause}", self.marker().display()),
                "make room and check the rights of that directory",
            )
        })
    }

    /// What scripts were told when the resource was activated here during this boot.
    fn marked(&self) -> Option<Told> {
        let text = std::fs::read_to_string(self.marker()).ok()?;
        let mut lines = text.lines();
        let boot = lines.next().unwrap_or_default().trim();
        if boot.is_empty() || boot != clp_sys::identity::boot_id() {
            return None;
        }
        let words = lines.next().unwrap_or_default().trim();
        Some(Told { after_failure: words.starts_with("FAILOVER"), disk_ok: words.ends_with("SUCCESS") })
    }

    fn is_marked(&self) -> bool {
        self.marked().is_some()
    }

    fn unmark(&self) {
        if self.note("").is_err() {
            let _ = std::fs::remove_file(self.marker());
        }
    }

    /// Make room for the note that the resource may be active here, so that a disk that is full later does not keep it from
    /// being activated. What is noted stays.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn make_room(&self) -> std::io::Result<()> {
        if std::fs::metadata(self.marker()).is_ok_and(|note| note.len() == NOTE_LENGTH as u64) {
            return Ok(());
        }
        let note = std::fs::read_to_string(self.marker()).unwrap_or_default();
        self.note(note.trim())
    }

    /// Write in place what is always of one length: that needs no room.
    fn note(&self, text: &str) -> std::io::Result<()> {
        let marker = self.marker();
        if let Some(folder) = marker.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = std::fs::OpenOptions::new().create(true).write(true).truncate(false).open(marker)?;
        std::io::Write::write_all(&mut file, format!("{text:<NOTE_LENGTH$}").as_bytes())
    }
}

/// What scripts are told at the start of their group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    after_failure: bool,
    disk_ok: bool,
}

impl Told {
    fn now(context: &Context) -> Told {
        Told { after_failure: context.after_failure, disk_ok: context.disk_ok == Some(true) }
    }

    fn event(self) -> &'static str {
        if self.after_failure { "FAILOVER" } else { "START" }
    }

    fn disk(self) -> &'static str {
        if self.disk_ok { "SUCCESS" } else { "FAILURE" }
    }
}

/// What becomes of a server when its cluster service has stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LastAction {
    /// Nothing, or the service does not stop.
    #[default]
    None,
    /// It shuts down.
    Halt,
    /// It reboots.
    Reboot,
}

impl LastAction {
    /// As scripts see it.
    pub fn word(self) -> &'static str {
        match self {
            LastAction::None => "NONE",
            LastAction::Halt => "HALT",
            LastAction::Reboot => "REBOOT",
        }
    }
}

/// Why a group or resource is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// By an operator.
    GroupStop,
    /// Moved by an operator.
    GroupMove,
    /// Failed over.
    GroupFailover,
    /// Reactivated, or a resource that it needs is.
    ResourceRestart,
    /// The whole group is reactivated.
    GroupRestart,
    /// The cluster stops.
    ClusterShutdown,
    /// The server stops.
    ServerShutdown,
}

impl Cause {
    /// As scripts see it.
    pub fn word(self) -> &'static str {
        match self {
            Cause::GroupStop => "GROUPSTOP",
            Cause::GroupMove => "GROUPMOVE",
            Cause::GroupFailover => "GROUPFAILOVER",
            Cause::ResourceRestart => "RESOURCERESTART",
            Cause::GroupRestart => "GROUPRESTART",
            Cause::ClusterShutdown => "CLUSTERSHUTDOWN",
            Cause::ServerShutdown => "SERVERSHUTDOWN",
        }
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The resource changed.
    Changed,
    /// It was already as asked.
    AlreadyDone,
}

/// What a resource is at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Active here.
    Online,
    /// Verified inactive here.
    Offline,
    /// Not ours, but used here by somebody else: who, and what helps. It must not be activated anywhere meanwhile.
    Occupied(String),
    /// It cannot be told.
    Unknown(String),
}

/// Why a resource could not be activated, deactivated or given up.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what}; {remedy}")]
pub struct ResourceError {
    /// The exit code of the script or tool that failed ([`code`] has those of one that did not end by itself), else the
    /// kernel's number, else 1.
    pub code: i32,
    /// What is wrong, naming the object and the cause.
    pub what: String,
    /// What helps.
    pub remedy: String,
    /// It is an address that another machine has: which one, and who.
    pub doubled: Option<(IpAddr, String)>,
}

impl ResourceError {
    fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        ResourceError { code: 1, what: what.into(), remedy: remedy.into(), doubled: None }
    }

    fn coded(self, code: i32) -> Self {
        ResourceError { code, ..self }
    }
}

/// Codes of programs as shells have them.
pub mod code {
    use clp_sys::process::Outcome;

    /// It did not end in time, as timeout(1) has it.
    pub const TIMED_OUT: i32 = 124;
    /// It could not be started.
    pub const NOT_STARTED: i32 = 126;
    /// It is not there.
    pub const MISSING: i32 = 127;
    /// It was ended by the signal that is added to this.
    pub const SIGNALED: i32 = 128;

    /// The code of how a program ended.
    pub fn of(outcome: &Outcome) -> i32 {
        match outcome {
            Outcome::Exited { code, .. } => *code,
            Outcome::Signaled { signal, .. } => SIGNALED + signal,
            Outcome::TimedOut { .. } => TIMED_OUT,
            Outcome::NotStarted { .. } => NOT_STARTED,
        }
    }
}

/// A group resource on this server.
pub trait ResourceDriver: Send + Sync {
    /// Make it active.
    ///
    /// # Errors
    /// It is not active; what was done is undone.
    fn activate(&self, context: &Context) -> Result<Outcome, ResourceError>;

    /// Make it inactive.
    ///
    /// # Errors
    /// Something of it may still act.
    fn deactivate(&self, context: &Context) -> Result<Outcome, ResourceError>;

    /// What it is.
    fn status(&self, context: &Context) -> Status;

    /// It could not be made inactive in order: take everything from it by which it could still act, keeping what was written as far as
    /// the disk takes it. Success means verified: nothing more is answered or written from here afterwards.
    ///
    /// # Errors
    /// Something of it may still act; what it waits for.
    fn detach(&self, context: &Context) -> Result<Outcome, ResourceError> {
        self.emergency(context)
    }

    /// Run what the other servers of the group run when it is activated (`start`) or before it is deactivated elsewhere.
    ///
    /// # Errors
    /// It failed.
    fn elsewhere(&self, _context: &Context, _start: bool) -> Result<(), ResourceError> {
        Ok(())
    }

    /// Is what it stands on there? A disk may be found later than the service starts.
    fn is_there(&self) -> bool {
        true
    }

    /// Give it up at once, without asking anybody: nothing more is answered or written from here afterwards.
    ///
    /// # Errors
    /// Something of it may still act.
    fn emergency(&self, context: &Context) -> Result<Outcome, ResourceError>;

    /// Before anything is known about the cluster: keep this server from touching what it may not own.
    ///
    /// # Errors
    /// The fence could not be set.
    fn fence_at_start(&self, _context: &Context) -> Result<(), ResourceError> {
        Ok(())
    }
}

/// The driver of a configured resource with the parameters that hold on a server.
pub fn driver(resource: &Resource, server: &str) -> Box<dyn ResourceDriver> {
    match resource.on(server) {
        ResourceKind::Exec(parameters) => Box::new(exec::ExecDriver::new(parameters.clone())),
        ResourceKind::Disk(parameters) => Box::new(disk::DiskDriver::new(parameters.clone())),
        ResourceKind::Fip(parameters) => Box::new(fip::FipDriver::new(parameters.clone())),
    }
}

/// Process id of the asynchronous start script of an exec resource that runs in this process.
pub fn resident_pid(resource: &str) -> Option<u32> {
    exec::resident_pid(resource)
}

#[cfg(test)]
mod tests;
