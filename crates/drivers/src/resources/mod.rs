//! Group resources: one file per type. A driver does what it is told on one resource of this server and says what came of it.
//!
//! Activating what is active and deactivating what is absent are successes. A failed step undoes what it did. Retries,
//! order and recovery are the core's.

pub mod disk;
pub mod exec;
pub mod fip;

use clp_config::{Resource, ResourceKind};
use clp_sys::paths::Root;
use std::time::Duration;
use thiserror::Error;

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
        let marker = self.marker();
        let written = marker
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::write(&marker, clp_sys::identity::boot_id()));
        written.map_err(|cause| {
            ResourceError::new(
                format!("{} cannot be written: {cause}", marker.display()),
                "make room and check the rights of that directory",
            )
        })
    }

    fn is_marked(&self) -> bool {
        std::fs::read_to_string(self.marker()).is_ok_and(|boot| boot == clp_sys::identity::boot_id())
    }

    fn unmark(&self) {
        let _ = std::fs::remove_file(self.marker());
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
}

impl ResourceError {
    fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        ResourceError { what: what.into(), remedy: remedy.into() }
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
