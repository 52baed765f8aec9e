//! Block devices as this server sees them: the read-only flag, who claims one or writes to it, what is still on its way to the disk.

#![allow(unsafe_code, reason = "block ioctls have no safe wrapper; calls between fork and exit")]

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, StatxFlags, makedev, statx};

use crate::aside::{self, CallError};
use crate::direct_io::{ALIGNMENT, AlignedBuffer};
use crate::mount::{self, Holder};

/// `_IO(0x12, 93)`, linux/fs.h.
const BLKROSET: libc::c_ulong = 0x125d;
/// `_IO(0x12, 94)`.
const BLKROGET: libc::c_ulong = 0x125e;
/// `_IO(0x12, 97)`.
const BLKFLSBUF: libc::c_ulong = 0x1261;
/// `_IOR(0x12, 114, size_t)`, linux/fs.h; the number holds the size of a word.
const BLKGETSIZE64: libc::c_ulong = if usize::BITS == 64 { 0x8008_1272 } else { 0x8004_1272 };

fn open(device: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_CLOEXEC | libc::O_NONBLOCK).open(device)
}

/// Is there a block device at this path?
pub fn is_block_device(device: &Path) -> bool {
    std::fs::metadata(device).is_ok_and(|meta| meta.file_type().is_block_device())
}

/// Is the device read-only for this server?
///
/// # Errors
/// It is no block device or cannot be opened.
pub fn is_read_only(device: &Path) -> io::Result<bool> {
    let file = open(device)?;
    let mut value: libc::c_int = 0;
    // SAFETY: the kernel writes one int during the call.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), BLKROGET as _, &mut value) };
    if result == 0 { Ok(value != 0) } else { Err(io::Error::last_os_error()) }
}

/// How long one of these calls may take: some drivers wait in open(2) until they have recovered the path to their disk.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// Make `work` with the opened device in a child.
fn on_device(device: &Path, flags: libc::c_int, limit: Duration, work: impl Fn(libc::c_int) -> bool) -> Result<(), CallError> {
    let device = CString::new(device.as_os_str().as_bytes()).map_err(|cause| CallError::Refused(cause.into()))?;
    aside::call(limit, || {
        // SAFETY: a system call on a string that lives as long.
        let fd = unsafe { libc::open(device.as_ptr(), libc::O_RDONLY | libc::O_NONBLOCK | libc::O_CLOEXEC | flags) };
        if fd >= 0 && work(fd) { 0 } else { io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO) }
    })
}

fn plain(error: CallError) -> io::Error {
    match error {
        CallError::Refused(cause) => cause,
        hangs @ CallError::Hangs(_) => io::Error::new(io::ErrorKind::TimedOut, hangs.to_string()),
    }
}

/// Make the device read-only or writable for this server; reads the flag back.
///
/// # Errors
/// The kernel refuses, or the flag is not what was set.
pub fn set_read_only(device: &Path, read_only: bool) -> io::Result<()> {
    let wanted = libc::c_int::from(read_only);
    let set = on_device(device, 0, CALL_LIMIT, |fd| {
        // SAFETY: the kernel reads one int during the call.
        unsafe { libc::ioctl(fd, BLKROSET as _, &wanted) == 0 }
    });
    set.map_err(plain)?;
    if is_read_only(device)? == read_only {
        Ok(())
    } else {
        Err(io::Error::other("the kernel took the read-only flag but does not show it"))
    }
}

/// Is the device there and ready: a disk that is still starting has no size, or cannot be opened?
pub fn is_ready(device: &Path) -> bool {
    let size = || {
        let file = open(device).ok()?;
        let mut size: u64 = 0;
        // SAFETY: the kernel writes one u64 during the call.
        (unsafe { libc::ioctl(file.as_raw_fd(), BLKGETSIZE64 as _, &mut size) } == 0).then_some(size)
    };
    is_block_device(device) && size().is_some_and(|size| size > 0)
}

/// Read the first block from the disk itself, past every cache.
///
/// # Errors
/// The disk refuses, or does not answer within `limit`.
pub fn read_first(device: &Path, limit: Duration) -> Result<(), CallError> {
    let buffer = AlignedBuffer::new(ALIGNMENT);
    let (start, length) = (buffer.bytes().as_ptr().cast_mut().cast(), buffer.bytes().len());
    // SAFETY: the buffer lives as long, and the kernel writes into the child's copy of it.
    on_device(device, libc::O_DIRECT, limit, |fd| unsafe { libc::pread(fd, start, length, 0) >= 0 })
}

/// Does a file system (mounted in whatever mount namespace), a volume manager or another program claim the device for itself alone?
///
/// # Errors
/// It cannot be opened for another reason.
pub fn is_claimed(device: &Path) -> io::Result<bool> {
    match on_device(device, libc::O_EXCL, CALL_LIMIT, |_| true).map_err(plain) {
        Ok(()) => Ok(false),
        Err(cause) if cause.raw_os_error() == Some(libc::EBUSY) => Ok(true),
        Err(cause) => Err(cause),
    }
}

/// Processes that have the device open for writing, through whatever name of it.
pub fn writers(device: &Path) -> Vec<Holder> {
    let Ok(number) = std::fs::metadata(device).map(|meta| meta.rdev()) else { return Vec::new() };
    let has_open = |pid: &u32| {
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        descriptors.map(|entry| entry.file_name()).any(|descriptor| {
            let descriptor = descriptor.to_string_lossy();
            is_descriptor_of(&format!("/proc/{pid}/fd/{descriptor}"), number)
                && can_write(&std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{descriptor}")).unwrap_or_default())
        })
    };
    mount::processes().filter(has_open).map(Holder::of).collect()
}

/// Without asking a file server that may not answer.
fn is_descriptor_of(path: &str, number: u64) -> bool {
    let known = statx(CWD, path, AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT, StatxFlags::TYPE);
    known.is_ok_and(|known| {
        rustix::fs::FileType::from_raw_mode(known.stx_mode.into()) == rustix::fs::FileType::BlockDevice
            && makedev(known.stx_rdev_major, known.stx_rdev_minor) == number
    })
}

/// The `flags` of `/proc/PID/fdinfo` are octal (proc_pid_fdinfo(5)).
fn can_write(information: &str) -> bool {
    let flags = information.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| libc::c_int::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & libc::O_ACCMODE != libc::O_RDONLY)
}

/// Write what the device's own cache still holds (a journal's blocks are written back there long after they were committed), so
/// that nothing is written later.
///
/// # Errors
/// The disk refuses, or does not answer within `limit`.
pub fn write_back(device: &Path, limit: Duration) -> Result<(), CallError> {
    // SAFETY: this request takes no memory.
    on_device(device, 0, limit, |fd| unsafe { libc::ioctl(fd, BLKFLSBUF as _, 0) == 0 })
}

/// Writes that the disk has not answered yet: they may reach it at any later time.
///
/// # Errors
/// The kernel does not count them for this device.
pub fn writes_in_flight(device: &Path) -> io::Result<u64> {
    let number = mount::device_number(device).ok_or_else(|| io::Error::other("it is no device"))?;
    let place = PathBuf::from(format!("/sys/dev/block/{number}"));
    // The counters belong to the statistics, which belong to the disk of a partition.
    let disk = if place.join("partition").exists() { place.join("..") } else { place.clone() };
    if std::fs::read_to_string(disk.join("queue/iostats"))?.trim() == "0" {
        return Err(io::Error::other(format!("its statistics are off ({}/queue/iostats)", disk.display())));
    }
    let text = std::fs::read_to_string(place.join("inflight"))?;
    let writes = text.split_whitespace().nth(1).and_then(|count| count.parse().ok());
    writes.ok_or_else(|| io::Error::other(format!("{}/inflight is {text:?}", place.display())))
}
