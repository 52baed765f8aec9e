//! diskhb: heartbeats through a dedicated partition of a shared disk, one slot of 4 KiB per server.
//!
//! One thread per disk writes this server's slot and reads all others each interval, past the page cache. A hanging disk
//! holds up only that thread. Writes happen only while the partition carries our label. Content that was there before
//! this path looked, or that may have been written during a gap in looking, is no sign of life and is not reported.

pub use super::disk_label::{LabelError, init, is_label};
use super::{
    DropCount, Dropped, FRAME_MAX, PathStatus, Received, STOP_CHECK, Sink, StatusCell, StopFlag, Transport, boottime,
    check_length,
    disk_label::{BLOCK, SLOTS, open_labelled, slot_offset},
    pending::PendingFrame,
};
use clp_sys::direct_io::{AlignedBuffer, DirectFile};
use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Slot header: magic, length, sequence, slot, CRC-32C of those and the frame; little-endian.
const HEADER: usize = 28;
const MAGIC: &[u8; 8] = b"MSTAYHB1";
const _: () = assert!(HEADER + FRAME_MAX <= BLOCK);
/// A disk that takes longer than this, or three intervals, for one turn is reported as hanging.
const HANG_LIMIT: Duration = Duration::from_secs(2);
const INTERVALS_TO_HANG: u32 = 3;

/// A disk heartbeat path.
#[derive(Debug)]
pub struct DiskPath {
    name: String,
    interval: Duration,
    pending: PendingFrame,
    status: StatusCell,
    /// When the turn in progress began (milliseconds of `boottime`, never 0); 0 while the thread waits for the next.
    turn_began: Arc<AtomicU64>,
    dropped: DropCount,
    stop: StopFlag,
}

/// Opens the path number `path` over the partition `device`. This server writes slot `my_slot`; slots 0 to `servers` - 1
/// are read. A missing, foreign or failing device shows in the status and is tried again each interval.
///
/// # Errors
/// `InvalidInput` for a slot outside the partition's 64; or no thread could be started.
pub fn open(path: usize, device: &Path, my_slot: usize, servers: usize, interval: Duration, sink: Sink) -> io::Result<DiskPath> {
    if my_slot >= servers || servers > SLOTS {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("slot {my_slot} of {servers} servers: a disk heartbeat has {SLOTS} slots"),
        ));
    }
    let disk = DiskPath {
        name: format!("diskhb {}", device.display()),
        interval,
        pending: PendingFrame::default(),
        status: StatusCell::new(),
        turn_began: Arc::default(),
        dropped: DropCount::default(),
        stop: StopFlag::default(),
    };
    let worker = Worker {
        path,
        device: device.to_path_buf(),
        my_slot,
        interval,
        pending: disk.pending.clone(),
        status: disk.status.clone(),
        turn_began: Arc::clone(&disk.turn_began),
        dropped: disk.dropped.clone(),
        stop: disk.stop.clone(),
        sink,
        sequence: boottime().as_nanos() as u64,
        seen: vec![None; servers],
        damaged: vec![EMPTY; servers],
        last_look: None,
        buffer: AlignedBuffer::new(BLOCK),
        slots: AlignedBuffer::new(servers * BLOCK),
    };
    // Owner: the path; ends within STOP_CHECK of its drop, or when the disk answers. Cut short, a slot is old or its
    // checksum is wrong; both are no sign of life.
    thread::Builder::new().name(format!("diskhb{path}")).spawn(move || worker.run())?;
    Ok(disk)
}

impl Transport for DiskPath {
    fn name(&self) -> &str {
        &self.name
    }

    fn send(&mut self, _to: usize, frame: &[u8]) -> io::Result<()> {
        check_length(frame, FRAME_MAX)?;
        self.pending.put(frame);
        match self.status() {
            PathStatus::Failed(text) => Err(io::Error::new(io::ErrorKind::TimedOut, text)),
            PathStatus::Opening | PathStatus::Working => Ok(()),
        }
    }

    fn status(&self) -> PathStatus {
        let began = self.turn_began.load(Ordering::Acquire);
        let busy = boottime().saturating_sub(Duration::from_millis(began));
        if began != 0 && busy > HANG_LIMIT.max(self.interval * INTERVALS_TO_HANG) {
            let device = self.name.trim_start_matches("diskhb ");
            return PathStatus::Failed(format!("{device} has not answered for {} s; check the path to the disk", busy.as_secs()));
        }
        self.status.current()
    }

    fn dropped(&self) -> Dropped {
        self.dropped.current()
    }
}

impl Drop for DiskPath {
    fn drop(&mut self) {
        self.stop.set();
    }
}

/// Stands for the checksum of a slot that nobody has written yet.
const EMPTY: u32 = 0;

/// What identifies the content of a slot: its sequence and checksum.
pub type Seen = (u64, u32);

struct Worker {
    path: usize,
    device: PathBuf,
    my_slot: usize,
    interval: Duration,
    pending: PendingFrame,
    status: StatusCell,
    turn_began: Arc<AtomicU64>,
    dropped: DropCount,
    stop: StopFlag,
    sink: Sink,
    sequence: u64,
    seen: Vec<Option<Seen>>,
    /// Checksum of the last damaged content of each slot: what stays there counts once.
    damaged: Vec<u32>,
    /// When the slots were last read; `None` after a failure.
    last_look: Option<Duration>,
    buffer: AlignedBuffer,
    slots: AlignedBuffer,
}

impl Worker {
    fn run(mut self) {
        let mut disk = None;
        while !self.stop.is_set() {
            let next = Instant::now() + self.interval;
            self.turn_began.store((boottime().as_millis() as u64).max(1), Ordering::Release);
            match self.turn(&mut disk) {
                Ok(()) => self.status.works(),
                Err(text) => {
                    disk = None;
                    self.last_look = None;
                    self.status.failed(text);
                }
            }
            self.turn_began.store(0, Ordering::Release);
            while !self.stop.is_set() && Instant::now() < next {
                thread::sleep(next.saturating_duration_since(Instant::now()).min(STOP_CHECK));
            }
        }
    }

    fn turn(&mut self, disk: &mut Option<DirectFile>) -> Result<(), String> {
        let disk = match disk {
            Some(disk) => disk,
            None => disk.insert(open_labelled(&self.device).map_err(|error| error.to_string())?),
        };
        let failed = |what: &str, error: io::Error| {
            format!("cannot {what} {}: {error}; check the path to the disk", self.device.display())
        };
        if let Some(frame) = self.pending.take() {
            self.sequence += 1;
            write_slot(self.buffer.bytes_mut(), self.my_slot, self.sequence, &frame);
            if let Err(error) = disk.write_at(&self.buffer, BLOCK, slot_offset(self.my_slot)) {
                self.pending.put_back(frame);
                return Err(failed("write to", error));
            }
        }
        let began = boottime();
        let length = self.seen.len() * BLOCK;
        disk.read_at(&mut self.slots, length, slot_offset(0)).map_err(|error| failed("read", error))?;
        self.report(began);
        self.last_look = Some(began);
        Ok(())
    }

    /// Reports slots that changed since the last look, if that is recent: what is new was written after it.
    fn report(&mut self, began: Duration) {
        let gap_limit = (self.interval * 2).max(Duration::from_millis(200));
        let has_watched = self.last_look.is_some_and(|last| began.saturating_sub(last) <= gap_limit);
        for (slot, block) in self.slots.bytes().chunks(BLOCK).enumerate().take(self.seen.len()) {
            if slot == self.my_slot {
                continue;
            }
            let Some((seen, frame)) = read_slot(block, slot) else {
                let content = if block.iter().all(|byte| *byte == 0) { EMPTY } else { crc32c::crc32c(block) };
                if content != EMPTY && content != self.damaged[slot] {
                    self.dropped.damaged(1);
                }
                self.damaged[slot] = content;
                continue;
            };
            let is_new = self.seen[slot] != Some(seen);
            self.seen[slot] = Some(seen);
            if is_new && has_watched {
                (self.sink)(Received { path: self.path, bytes: frame.to_vec(), at: began });
            }
        }
    }
}

/// Makes a block of 4 KiB the slot of a server with a frame of at most [`FRAME_MAX`] bytes.
pub fn write_slot(block: &mut [u8], slot: usize, sequence: u64, frame: &[u8]) {
    block.fill(0);
    block[..8].copy_from_slice(MAGIC);
    block[8..12].copy_from_slice(&(frame.len() as u32).to_le_bytes());
    block[12..20].copy_from_slice(&sequence.to_le_bytes());
    block[20..24].copy_from_slice(&(slot as u32).to_le_bytes());
    block[HEADER..HEADER + frame.len()].copy_from_slice(frame);
    let checksum = slot_checksum(block, frame.len());
    block[24..28].copy_from_slice(&checksum.to_le_bytes());
}

/// The frame in a block of 4 KiB, when that is whole and was written for this slot.
pub fn read_slot(block: &[u8], slot: usize) -> Option<(Seen, &[u8])> {
    let number = |range: std::ops::Range<usize>| block.get(range).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    let length = number(8..12)? as usize;
    let checksum = number(24..28)?;
    let is_whole =
        block.starts_with(MAGIC) && length <= FRAME_MAX && number(20..24)? as usize == slot && block.len() >= HEADER + length;
    if !is_whole || slot_checksum(block, length) != checksum {
        return None;
    }
    let sequence = u64::from_le_bytes(block[12..20].try_into().ok()?);
    Some(((sequence, checksum), &block[HEADER..HEADER + length]))
}

fn slot_checksum(block: &[u8], length: usize) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&block[..24]), &block[HEADER..HEADER + length])
}

#[cfg(test)]
#[path = "diskhb_tests.rs"]
mod tests;
