//! Heartbeat paths: bytes out, bytes in, one file per type.
//!
//! Frames are sealed, opened and judged by the engine; a path neither reads them nor keeps them. Sending never blocks.
//! Each path has threads of its own that end when it is dropped; a hanging device holds up only its own thread. A path
//! that fails says why in its status and recovers by itself.

pub mod comhb;
mod disk_label;
pub mod diskhb;
pub mod lanhb;
pub mod lankhb;
mod pending;
#[cfg(test)]
pub(crate) mod tests_support;
mod udp;

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// Longest frame in bytes that every path carries (a disk slot is one block of 4 KiB with its header).
pub const FRAME_MAX: usize = 3800;

/// Longest datagram in bytes of a LAN path: messages (a view with the wishes of a thousand groups) go by LAN only. The kernel
/// cuts it into packets (RFC 791; 65 507 bytes is what UDP allows).
pub const LAN_MAX: usize = 60_000 + 500;

/// A frame that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The number the path was opened with.
    pub path: usize,
    /// The frame as it was sent; nothing about it has been checked but the carrier's checksum.
    pub bytes: Vec<u8>,
    /// When it arrived, on the clock that counts suspended time (`CLOCK_BOOTTIME`). Never later than the arrival.
    pub at: Duration,
}

/// Takes what comes in, on the path's thread: it must be quick and must not block.
pub type Sink = Arc<dyn Fn(Received) + Send + Sync>;

/// A heartbeat path to the other servers.
pub trait Transport: Send {
    /// The type and what it runs over, for status and logs, as `lanhb 192.168.0.1`.
    fn name(&self) -> &str;

    /// Sends `frame` to the server with the index `to`, or hands it to the path's thread; never blocks. A path that
    /// all servers share (disk) or that has one other end (serial line) ignores `to`.
    ///
    /// # Errors
    /// Nothing was sent: no address for that server, frame too long, path down. The path goes on trying.
    fn send(&mut self, to: usize, frame: &[u8]) -> io::Result<()>;

    /// Whether the path works on this server, as far as it knows.
    fn status(&self) -> PathStatus;

    /// What it dropped itself since it was opened.
    fn dropped(&self) -> Dropped;

    /// Something the operator should know about this path although it works.
    fn note(&self) -> Option<String> {
        None
    }
}

/// The state of a path on this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathStatus {
    /// Not open yet.
    Opening,
    /// The last operation worked.
    Working,
    /// The last operation failed; the text names object, cause and remedy. Tried again all the time.
    Failed(String),
}

/// What a path dropped itself, before anybody above could look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dropped {
    /// From an address that no server of the configuration has on this path.
    pub strangers: u64,
    /// Damaged on its way, or longer than any frame: no server of ours sent it so.
    pub damaged: u64,
}

/// Where a path's threads count what they drop.
#[derive(Debug, Clone, Default)]
struct DropCount(Arc<[AtomicU64; 2]>);

impl DropCount {
    fn stranger(&self) {
        self.0[0].fetch_add(1, Ordering::Relaxed);
    }

    fn damaged(&self, count: u64) {
        self.0[1].fetch_add(count, Ordering::Relaxed);
    }

    fn current(&self) -> Dropped {
        Dropped { strangers: self.0[0].load(Ordering::Relaxed), damaged: self.0[1].load(Ordering::Relaxed) }
    }
}

/// Where a path's threads leave its state; never held while anything can block.
#[derive(Debug, Clone)]
struct StatusCell(Arc<Mutex<PathStatus>>);

impl StatusCell {
    fn new() -> StatusCell {
        StatusCell(Arc::new(Mutex::new(PathStatus::Opening)))
    }

    fn current(&self) -> PathStatus {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn works(&self) {
        let mut status = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *status != PathStatus::Working {
            *status = PathStatus::Working;
        }
    }

    fn failed(&self, text: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = PathStatus::Failed(text);
    }
}

/// Ends a path's threads when the path is dropped; they look at it at least every [`STOP_CHECK`] unless their device hangs.
#[derive(Debug, Clone, Default)]
struct StopFlag(Arc<AtomicBool>);

/// How long a thread may wait for its device before it looks whether it should end.
const STOP_CHECK: Duration = Duration::from_millis(200);

impl StopFlag {
    fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Time since the server's start, suspended time included.
fn boottime() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(now.tv_sec.max(0) as u64, now.tv_nsec.clamp(0, 999_999_999) as u32)
}

fn check_length(frame: &[u8], longest: usize) -> io::Result<()> {
    if frame.len() <= longest {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("a frame of {} bytes is longer than {longest}", frame.len())))
}
