//! The shared disk: one image, and for each server and each boot a path of its own to it that can fail, hang or be slow.
//!
//! A path is a FUSE file (answered by the bench from the image) under a loop device of the server's own, so caches and
//! read-only flags are separate as on a SAN, and a fault sits below every process of the server. A flush is answered at
//! once: what the image has taken survives everything that the bench does to a server.

use anyhow::{Context, Result, bail};
use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    blocks::Book,
    fuse::{Node, Operation, Request, errno},
    options::{DiskState, FileSystem, PARTITIONS_MAX},
    table::{self, SECTOR},
    tools::{hold, run, succeeds, wait_until},
};

/// Start of the first partition, in sectors: 1 MiB, as partitioning tools align.
const FIRST: u64 = 2048;
/// Size of the partition for the disk heartbeat in sectors: 12 MiB.
const HEARTBEAT: u64 = 12 * 2048;
/// How long a loop device may stay busy after its server is gone: file systems are unmounted by the kernel's workers.
const DETACH_LIMIT: Duration = Duration::from_secs(10);

/// Where the partitions of a disk of `size` bytes begin and how long they are, in sectors: one for the disk heartbeat, and `data` equal
/// ones for file systems.
fn layout(size: u64, data: u32) -> Vec<(u64, u64)> {
    let rest = FIRST + HEARTBEAT;
    // Each begins at a whole MiB, as the first.
    let each = (size / SECTOR).saturating_sub(rest + table::AT_END) / u64::from(data) / FIRST * FIRST;
    let data = (0..u64::from(data)).map(|index| (rest + index * each, each));
    std::iter::once((FIRST, HEARTBEAT)).chain(data).collect()
}

/// Makes the image with its partition table: partition 1 for the disk heartbeat, and `data` others for file systems.
///
/// # Errors
/// The file cannot be written.
pub fn make_image(path: &Path, mib: u64, data: u32) -> Result<File> {
    let image = File::options().read(true).write(true).create_new(true).open(path);
    let image = image.with_context(|| format!("cannot make the image {}", path.display()))?;
    image.set_len(mib << 20).with_context(|| format!("cannot make the image {} of {mib} MiB", path.display()))?;
    table::write(&image, mib << 20, &layout(mib << 20, data))
        .with_context(|| format!("cannot partition the image {}", path.display()))?;
    Ok(image)
}

/// One server's path to the image for one boot.
pub struct DiskPath {
    image: Arc<File>,
    book: Arc<Book>,
    size: u64,
    state: Mutex<PathState>,
    changed: Condvar,
    /// First byte behind each partition, and when something was last written to it through this path (boot clock, microseconds).
    writes: Vec<(u64, AtomicU64)>,
}

struct PathState {
    state: DiskState,
    /// The server is without power: nothing reaches the image any more, whatever is healed.
    dead: bool,
    held: Vec<Request>,
}

impl DiskPath {
    /// A healthy path to an image with so many partitions for data; blocks that say whose they are are noted in the book.
    ///
    /// # Errors
    /// The size of the image cannot be read.
    pub fn new(image: Arc<File>, data: u32, book: Arc<Book>) -> Result<DiskPath> {
        let size = image.metadata()?.len();
        let state = PathState { state: DiskState::Healthy, dead: false, held: Vec::new() };
        let ends = layout(size, data).into_iter().map(|(start, length)| ((start + length) * SECTOR, AtomicU64::new(0)));
        Ok(DiskPath { image, book, size, state: Mutex::new(state), changed: Condvar::new(), writes: ends.collect() })
    }

    /// When something last reached each partition for data through this path, in microseconds of the clock since boot; 0: never.
    pub fn last_writes(&self) -> Vec<u64> {
        self.writes.iter().skip(1).map(|(_, at)| at.load(Ordering::Relaxed)).collect()
    }

    fn note_write(&self, offset: u64, data: &[u8]) {
        if let Some((end, at)) = self.writes.iter().find(|(end, _)| offset < *end) {
            at.store(clp_sys::clock::now().as_micros() as u64, Ordering::Relaxed);
            self.book.note(*end, data);
        }
    }

    /// Makes the path fail, hang, slow or work; requests that hang or are late are then answered, unless it still hangs.
    pub fn set(self: &Arc<Self>, wanted: DiskState) {
        let held = {
            let mut state = hold(&self.state);
            state.state = wanted;
            if wanted == DiskState::Hanging && !state.dead { Vec::new() } else { std::mem::take(&mut state.held) }
        };
        self.changed.notify_all();
        for request in held {
            self.clone().handle(request);
        }
    }

    /// Ends the path for good: everything fails from now on and nothing more reaches the image.
    pub fn kill(self: &Arc<Self>) {
        let held = {
            let mut state = hold(&self.state);
            state.dead = true;
            std::mem::take(&mut state.held)
        };
        self.changed.notify_all();
        for request in held {
            self.clone().handle(request);
        }
    }

    /// Does what is asked when its time has come or the path has changed, as the path is then. A thread waits for each: a loop device
    /// has no more than 128 on their way.
    fn handle_late(self: Arc<Self>, request: Request, delay: Duration) {
        let waiting = move || {
            let state = hold(&self.state);
            let is_slow = |state: &mut PathState| !state.dead && matches!(state.state, DiskState::Slow { .. });
            let waited = self.changed.wait_timeout_while(state, delay, is_slow);
            let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if is_slow(&mut state) {
                drop(state);
                self.carry_out(request);
            } else {
                drop(state);
                self.handle(request);
            }
        };
        std::thread::spawn(waiting);
    }

    fn carry_out(&self, request: Request) {
        let failed = |error: std::io::Error| error.raw_os_error().unwrap_or(errno::EIO);
        match &request.operation {
            Operation::Read { offset, size } => {
                let mut data = vec![0; *size as usize];
                match self.image.read_at(&mut data, *offset) {
                    Ok(count) => request.answer(Ok(&data[..count])),
                    Err(error) => request.answer(Err(failed(error))),
                }
            }
            Operation::Write { offset, data } => match self.image.write_all_at(data, *offset) {
                Ok(()) => {
                    self.note_write(*offset, data);
                    let count = data.len() as u32;
                    request.written(count);
                }
                Err(error) => request.answer(Err(failed(error))),
            },
            Operation::Flush => request.answer(Ok(&[])),
            Operation::Clear { .. } => request.answer(Err(errno::EOPNOTSUPP)),
            Operation::Ioctl { .. } => request.answer(Err(errno::ENOTTY)),
        }
    }
}

impl Node for DiskPath {
    fn size(&self) -> u64 {
        self.size
    }

    fn open(&self) -> Result<(), i32> {
        Ok(())
    }

    fn closed(&self) {}

    fn handle(self: Arc<Self>, request: Request) {
        let mut state = hold(&self.state);
        let now = if state.dead { DiskState::Failing } else { state.state };
        if now == DiskState::Hanging {
            state.held.push(request);
            return;
        }
        drop(state);
        match now {
            DiskState::Failing => request.answer(Err(errno::EIO)),
            DiskState::Slow { delay_ms } => self.handle_late(request, Duration::from_millis(delay_ms)),
            DiskState::Hanging | DiskState::Healthy => self.carry_out(request),
        }
    }
}

/// An attached loop device with its partitions.
#[derive(Debug, Clone)]
pub struct Loop {
    /// The device, `/dev/loopN`.
    pub device: String,
    /// Device numbers (major, minor) of the disk and of its partitions.
    pub numbers: Vec<(u32, u32)>,
}

impl Loop {
    /// Attaches a loop device to the file `backing`, past the page cache of the machine, and makes its partitions known.
    ///
    /// # Errors
    /// No loop device is free or the kernel refuses.
    pub fn attach(backing: &Path, data: u32) -> Result<Loop> {
        let backing = backing.to_string_lossy();
        // The read-only flag of a loop device outlives its detaching: attach again with the flag off.
        for _ in 0..3 {
            let device = run(&["losetup", "--find", "--show", "--partscan", "--direct-io=on", &backing])?;
            let device = device.trim().to_string();
            let name = device.trim_start_matches("/dev/").to_string();
            if fs::read_to_string(format!("/sys/block/{name}/ro")).is_ok_and(|flag| flag.trim() == "1") {
                run(&["blockdev", "--setrw", &device])?;
                run(&["losetup", "--detach", &device])?;
                continue;
            }
            let first = format!("/sys/block/{name}/{name}p1/dev");
            // A kernel with parsers of its own finds them while it attaches.
            if !Path::new(&first).exists() && !succeeds(&["partx", "--add", &device]) && !Path::new(&first).exists() {
                succeeds(&["losetup", "--detach", &device]);
                bail!("cannot make the partitions of {device} known to the kernel");
            }
            let partitions = (1..=data + 1).map(|number| format!("/sys/block/{name}/{name}p{number}/dev"));
            let files = std::iter::once(format!("/sys/block/{name}/dev")).chain(partitions);
            let Ok(numbers) = files.map(|file| device_number(&file)).collect::<Result<Vec<_>>>() else {
                let _ = detach(&device);
                bail!("the partitions of {device} have gone again; does something else manage loop devices here?")
            };
            return Ok(Loop { device, numbers });
        }
        bail!("the loop device for {backing} stays read-only; detach unused loop devices (losetup --list)")
    }

    /// Detaches the device; waits until the kernel has let go of the file systems on it.
    ///
    /// # Errors
    /// It stays busy.
    pub fn detach(&self) -> Result<()> {
        detach(&self.device)
    }

    /// Puts the disk heartbeat's label on partition 1, with the product's own program; without it there is none.
    ///
    /// # Errors
    /// The program fails.
    pub fn label_heartbeat(&self, programs: &Path) -> Result<()> {
        let program = programs.join("clusterpro");
        if program.exists() {
            run(&[&program.to_string_lossy(), "diskhb-init", &format!("{}p1", self.device)])?;
        }
        Ok(())
    }

    /// Makes a file system on each partition for data.
    ///
    /// # Errors
    /// The tool is missing or fails.
    pub fn make_file_systems(&self, file_system: FileSystem) -> Result<()> {
        for number in 2..self.numbers.len() {
            let partition = format!("{}p{number}", self.device);
            match file_system {
                FileSystem::Ext3 => run(&["mkfs.ext3", "-q", "-F", "-E", "nodiscard,lazy_itable_init=1", &partition])?,
                FileSystem::Ext4 => run(&["mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=1", &partition])?,
                FileSystem::Xfs => run(&["mkfs.xfs", "-q", "-f", "-K", &partition])?,
            };
        }
        Ok(())
    }
}

/// Takes the partitions and the backing file from a loop device, with its read-only flags cleared first.
///
/// # Errors
/// It stays busy.
pub fn detach(device: &str) -> Result<()> {
    let name = device.trim_start_matches("/dev/").to_string();
    let parts: Vec<String> = (1..=PARTITIONS_MAX + 1).map(|number| format!("p{number}")).collect();
    for part in parts.iter().map(String::as_str).chain([""]) {
        let part = format!("{device}{part}");
        if Path::new(&part).exists() {
            succeeds(&["blockdev", "--setrw", &part]);
        }
    }
    wait_until(&format!("{device} is no longer busy"), DETACH_LIMIT, || {
        succeeds(&["partx", "--delete", device]);
        parts.iter().all(|part| !Path::new(&format!("/sys/block/{name}/{name}{part}")).exists())
    })?;
    run(&["losetup", "--detach", device])?;
    Ok(())
}

/// The loop devices whose backing file's name contains `mark`.
pub fn loops_over(mark: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir("/sys/block") else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names
        .filter(|name| fs::read_to_string(format!("/sys/block/{name}/loop/backing_file")).is_ok_and(|file| file.contains(mark)))
        .map(|name| format!("/dev/{name}"))
        .collect()
}

fn device_number(file: &str) -> Result<(u32, u32)> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
    let (major, minor) = text.trim().split_once(':').with_context(|| format!("{file} holds no device number"))?;
    Ok((major.parse()?, minor.parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_for_data_are_equal_and_do_not_overlap() {
        for data in 1..=PARTITIONS_MAX {
            let layout = layout(1200 << 20, data);
            assert_eq!(layout.len(), data as usize + 1);
            assert!(layout.windows(2).all(|pair| pair[0].0 + pair[0].1 == pair[1].0), "{layout:?}");
            assert!(layout[1..].iter().all(|(start, length)| start % FIRST == 0 && *length == layout[1].1));
            assert!(
                layout.last().is_some_and(|(start, length)| (start + length) * SECTOR <= (1200 << 20) - table::AT_END * SECTOR)
            );
        }
    }
}
