//! The control API: what commands and the console ask of the local engine, as one JSON value a line on a root-only unix socket.
//!
//! Every request has exactly one reply. The status view is what leaves the engine of the cluster; text layouts are made
//! from it elsewhere (`cli`). Names, not numbers, stand in every message; but for [`Picture`], which is for cores alone.

use serde::{Deserialize, Serialize};

/// Version of this API; raised when a field changes its meaning.
pub const CONTROL_VERSION: u32 = 1;

/// Longest request or reply line in bytes: a status of 32 servers and 1 000 groups fits many times.
pub const CONTROL_LINE_MAX: usize = 8 * 1024 * 1024;

/// Field beside those of a [`Request`]: who asks, in words for the alert record. Not proven: whoever may ask may say anything.
pub const BY: &str = "by";

/// Longest such text that is taken, in bytes.
pub const BY_MAX: usize = 200;

/// A question or an order to the engine of one server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// The whole status view.
    Status,
    /// The recorded cause chain of a group, newest last.
    Why {
        /// Name of the group.
        group: String,
    },
    /// What this server knows, for a command that drives cores itself (`clpstat --whatif`).
    Picture,
    /// Start a group (all groups of the cluster that can start when `group` is absent).
    GroupStart {
        /// Name of the group, or every group.
        group: Option<String>,
        /// Server on which to start; absent = the one that the request reached.
        server: Option<String>,
    },
    /// Stop a group (every group active on `server` when `group` is absent).
    GroupStop {
        /// Name of the group, or every group.
        group: Option<String>,
        /// Only if it is active on this server.
        server: Option<String>,
    },
    /// Move a group to another server.
    GroupMove {
        /// Name of the group, or every group active on `from`.
        group: Option<String>,
        /// Only groups active here; absent = the server that the request reached.
        from: Option<String>,
        /// Destination; absent = the next server of the failover policy.
        to: Option<String>,
    },
    /// Stop the cluster service on this server: its groups are stopped, or fail over when other servers run.
    StopService {
        /// What follows the stop.
        then: AfterStop,
        /// True when every server stops at the same time (nothing fails over).
        all: bool,
    },
    /// Suspend monitoring and heartbeats' consequences on every server; groups go on.
    Suspend,
    /// End the suspension.
    Resume,
    /// Start or stop one resource of a group that is active on the server that the request reached.
    Resource {
        /// Name of the resource.
        resource: String,
        /// Start it, or stop it.
        on: bool,
        /// Also what it depends on (start) or what depends on it (stop).
        others: bool,
    },
    /// A server that may not know that a suspension is over is switched off; its groups are not waited for any more.
    DeclareOff {
        /// Name of the server.
        server: String,
    },
    /// Multiply the time-outs of heartbeats and monitors on every server for a time.
    TimeoutRatio {
        /// By this; 1 ends it.
        ratio: u32,
        /// For so long.
        seconds: u64,
    },
    /// Do something with the monitors of the server that the request reached.
    Monitors {
        /// Name of the monitor, or every one.
        monitor: Option<String>,
        /// What.
        order: MonitorOrder,
    },
    /// The recovery steps of monitors so far.
    MonitorCounts {
        /// Name of the monitor, or every one.
        monitor: Option<String>,
    },
}

/// What is done with monitors; it holds until the opposite or the end of that server's service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MonitorOrder {
    /// They rest.
    Suspend,
    /// They go on.
    Resume,
    /// Every check counts as failed, to try what follows.
    FailureOn,
    /// Checks count again.
    FailureOff,
    /// Recovery steps of the past no longer count: reactivations on that server, failovers in the cluster.
    ClearCounts,
}

/// Recovery steps of one monitor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorCount {
    /// Name.
    pub name: String,
    /// Reactivations on the server that answers.
    pub reactivations: u32,
    /// Failovers in the cluster.
    pub failovers: u32,
    /// It is made to fail on that server.
    pub dummy: bool,
}

/// What a server does once its cluster service has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterStop {
    /// The operating system keeps running.
    Nothing,
    /// As before; who asks starts the cluster service again afterwards.
    Restart,
    /// The operating system is shut down.
    Shutdown,
    /// The operating system is rebooted.
    Reboot,
}

/// The engine's reply to one request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// The effect asked for is true on every server that must carry it.
    Done {
        /// One sentence a server or group that was acted upon.
        details: Vec<String>,
    },
    /// Nothing, or not everything, was done.
    Refused {
        /// What and why, naming the object.
        reason: String,
        /// What the operator can do.
        remedy: String,
    },
    /// The name does not exist; these do.
    Unknown {
        /// `server`, `group`, …
        kind: String,
        /// The name given.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// The status view.
    Status(Box<ClusterStatus>),
    /// The picture asked for by [`Request::Picture`].
    Picture(Picture),
    /// The counts asked for by [`Request::MonitorCounts`].
    MonitorCounts {
        /// In the order of the file.
        counts: Vec<MonitorCount>,
    },
    /// The cause chain asked for by [`Request::Why`].
    Why {
        /// Oldest first.
        chain: Vec<Cause>,
    },
}

/// What a core is made of at a moment, and what was measured around it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// Wall-clock time, local, `YYYY/MM/DD hh:mm:ss.mmm`.
    pub time: String,
    /// Server that took it.
    pub server: String,
    /// The present as [`crate::picture`] writes it.
    pub present: String,
    /// How long work on resources took that server last; those that it never activated are absent.
    pub took: Vec<Took>,
}

/// How long work on a resource took last, in microseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Took {
    /// Name of the resource.
    pub resource: String,
    /// To activate it.
    pub activate_us: Option<u64>,
    /// To deactivate it.
    pub deactivate_us: Option<u64>,
}

/// One link of a cause chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// Wall-clock time, local, `YYYY/MM/DD hh:mm:ss.mmm`.
    pub time: String,
    /// Server that recorded it.
    pub server: String,
    /// What happened or was decided, with the values that decided.
    pub text: String,
}

/// The cluster as one server sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// [`CONTROL_VERSION`].
    pub version: u32,
    /// Name of the cluster.
    pub cluster: String,
    /// Comment of the cluster.
    pub comment: String,
    /// True while the cluster is suspended.
    pub suspended: bool,
    /// The temporary time-out ratio; absent: none is in force.
    #[serde(default)]
    pub timeout_ratio: Option<RatioStatus>,
    /// Server whose view this is.
    pub local: String,
    /// Coordinator of the committed view, if there is one.
    pub coordinator: Option<String>,
    /// Whether this server holds the right to act, and why not.
    pub right: String,
    /// By priority.
    pub servers: Vec<ServerStatus>,
    /// In the order of the file.
    pub groups: Vec<GroupStatus>,
    /// In the order of the file.
    pub monitors: Vec<MonitorStatus>,
}

/// The temporary time-out ratio in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RatioStatus {
    /// By which time-outs are multiplied.
    pub ratio: u32,
    /// How long it still lasts, in seconds.
    pub left_s: u64,
    /// Wall-clock time of its end, local, `YYYY/MM/DD hh:mm:ss.mmm`.
    pub ends: String,
}

/// One server in the status view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Host name.
    pub name: String,
    /// Comment from the configuration.
    pub comment: String,
    /// `Online`, `Offline`, `Caution`, `Unknown` (clpstat-formats section 7), plus a detail in `note`.
    pub status: String,
    /// Why it is so, empty when Online.
    pub note: String,
    /// Heartbeat and partition-resolution resources, heartbeats first, each by priority.
    pub paths: Vec<PathStatus>,
}

/// One heartbeat or partition-resolution resource of one server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathStatus {
    /// Such as `lanhb1`.
    pub name: String,
    /// Such as `lanhb`, `pingnp`.
    pub kind: String,
    /// `Normal`, `Caution`, `Error`, `Offline`, `Unused`, `Unknown`: this path of this server, merged over its peers.
    pub status: String,
    /// For `-n`: status between this server and each server in order of priority (itself: `Normal`); `Unused` where not configured.
    pub peers: Vec<String>,
    /// Such as `kernel-mode form not available: realtime thread`.
    pub note: String,
    /// What arrived here on this path and was refused, only for the server asked: one entry a cause that occurred.
    #[serde(default)]
    pub refused: Vec<RefusedStatus>,
    /// What the server asked measured of this path towards each other server, only on its own paths.
    #[serde(default)]
    pub statistics: Vec<PathStatistics>,
    /// Of a LAN: `dedicated` when no group has an address there, else `backup`; empty for other paths.
    #[serde(default)]
    pub role: String,
}

/// A heartbeat path from one server to the one asked, as measured there since its engine started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathStatistics {
    /// The other server.
    pub server: String,
    /// Frames that came.
    pub received: u64,
    /// Frames between those that came which did not.
    pub lost: u64,
    /// The newest frames that should have come, 128 at most.
    pub recent: u32,
    /// How many of those did not.
    pub recent_lost: u32,
    /// How long a frame is on its way, in microseconds, smoothed; absent before the first round trip. Of a disk it includes the
    /// wait for the next read.
    pub delay_us: Option<u64>,
    /// The longest so far.
    pub delay_max_us: Option<u64>,
    /// Control messages sent to that server on this path.
    pub messages: u64,
}

/// What arrived on a path of the server asked and was refused for one cause, since its engine started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedStatus {
    /// A word that does not change: `foreign`, `version`, `sender`, `own`, `repeated`, `key`, `unreadable`, `overrun`, `stranger`,
    /// `damaged`.
    pub cause: String,
    /// The cause in words.
    pub words: String,
    /// How many datagrams.
    pub count: u64,
    /// Wall-clock time of the last one, local, `YYYY/MM/DD hh:mm:ss.mmm`.
    pub last: String,
}

/// One group in the status view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupStatus {
    /// Name.
    pub name: String,
    /// Comment from the configuration.
    pub comment: String,
    /// `failover`, `cluster`, …
    pub kind: String,
    /// `Online`, `Offline`, `Online Pending`, `Offline Pending`, `Online Failure`, `Offline Failure`, `Unknown`.
    pub status: String,
    /// Server on which it is (or was last seen) active.
    pub current: Option<String>,
    /// The group's resources in the order of the file.
    pub resources: Vec<ResourceStatus>,
    /// Why it is not running although it should, empty otherwise.
    pub note: String,
}

/// One resource in the status view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResourceStatus {
    /// Name.
    pub name: String,
    /// Such as `fip`.
    pub kind: String,
    /// Comment from the configuration.
    pub comment: String,
    /// Words as for groups.
    pub status: String,
}

/// One monitor in the status view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MonitorStatus {
    /// Name.
    pub name: String,
    /// Such as `diskw`.
    pub kind: String,
    /// Comment from the configuration.
    pub comment: String,
    /// Merged over the servers: `Normal`, `Caution`, `Error`, `Suspend`, `Offline`, `Unknown`.
    pub status: String,
    /// For every server in order of priority: `Online`, `Offline`, `Online Failure`, `Suspend`, `Unused`, `Unknown`.
    pub servers: Vec<String>,
    /// Last failure, empty when normal.
    pub note: String,
}
