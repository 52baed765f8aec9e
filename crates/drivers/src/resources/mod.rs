//! Group resources: one file per type. A driver does what it is told on one resource of this server and says what came of it.
//!
//! Activating what is active and deactivating what is absent are successes. A failed step undoes what it did. Retries,
//! order and recovery are the core's.

pub mod disk;
pub mod exec;
pub mod fip;
pub mod preaction;

use clp_config::{Resource, ResourceKind};
use clp_sys::paths::Root;
use std::net::IpAddr;
use std::time::Duration;
use thiserror::Error;

/// Bytes of the note that a resource may be active here: a boot id.
const NOTE_LENGTH: usize = 36;

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
    /// The disks of the group are usable (CLP_DISK).
    pub disk_ok: bool,
    /// This server is the first of the group's failover policy (CLP_SERVER).
    pub home: bool,
    /// Rank of this server in the failover policy, 1 first (CLP_PRIORITY).
    pub priority: usize,
    /// Why it is stopped (CLP_FACTOR).
    pub cause: Option<Cause>,
    /// Longest time for an emergency; zero: the driver's own limit.
    pub deadline: Duration,
}

impl Context {
    fn marker(&self) -> std::path::PathBuf {
        self.root.run().join("active").join(&self.resource)
    }

    /// Leave a note, before anything is done, that the resource may be active here; it holds the boot id, since a reset ends
    /// everything that it stands for.
    fn mark(&self) -> Result<(), ResourceError> {
        let boot = Some(clp_sys::identity::boot_id()).filter(|boot| !boot.is_empty());
        boot.ok_or(std::io::ErrorKind::NotFound.into()).and_then(|boot| self.note(&boot)).map_err(|cause: std::io::Error| {
            ResourceError::new(
                format!("{} cannot be written: {cause}", self.marker().display()),
                "make room and check the rights of that directory",
            )
        })
    }

    fn is_marked(&self) -> bool {
        let note = std::fs::read_to_string(self.marker()).unwrap_or_default();
        !note.trim().is_empty() && note.trim() == clp_sys::identity::boot_id()
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

/// Why a group or resource is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// By an operator.
    GroupStop,
    /// Moved by an operator.
    GroupMove,
    /// Failed over.
    GroupFailover,
    /// Reactivated.
    ResourceRestart,
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
    /// What is wrong, naming the object and the cause.
    pub what: String,
    /// What helps.
    pub remedy: String,
    /// It is an address that another machine has: which one, and who.
    pub doubled: Option<(IpAddr, String)>,
}

impl ResourceError {
    fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        ResourceError { what: what.into(), remedy: remedy.into(), doubled: None }
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
