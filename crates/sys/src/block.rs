//! Block devices: the read-only flag of a device as this server sees it.

#![allow(unsafe_code, reason = "block ioctls have no safe wrapper")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// `_IO(0x12, 93)`, linux/fs.h.
const BLKROSET: libc::c_ulong = 0x125d;
/// `_IO(0x12, 94)`.
const BLKROGET: libc::c_ulong = 0x125e;

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

/// Make the device read-only or writable for this server; reads the flag back.
///
/// # Errors
/// The kernel refuses, or the flag is not what was set.
pub fn set_read_only(device: &Path, read_only: bool) -> io::Result<()> {
    let file = open(device)?;
    let value = libc::c_int::from(read_only);
    // SAFETY: the kernel reads one int during the call.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), BLKROSET as _, &value) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    if is_read_only(device)? == read_only {
        Ok(())
    } else {
        Err(io::Error::other("the kernel took the read-only flag but does not show it"))
    }
}
