//! Mounted file systems: what is mounted, who holds it, and the last resorts that stop it from writing.
//!
//! What may wait for a disk or a file server is done in a child with a time limit ([`crate::aside`]).

#![allow(unsafe_code, reason = "file-system shutdown has no safe wrapper; calls between fork and exit")]

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, StatxFlags};

use crate::aside::{self, CallError};

/// One line of `/proc/self/mountinfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// Device number, `major:minor`.
    pub device: String,
    /// Mount point.
    pub point: String,
    /// Mount options.
    pub options: String,
    /// File system type.
    pub kind: String,
    /// Source as given to mount.
    pub source: String,
    /// Options of the file system itself.
    pub super_options: String,
}

impl Mounted {
    /// Can it be written?
    pub fn is_writable(&self) -> bool {
        let writable = |options: &str| options.split(',').next() == Some("rw");
        writable(&self.options) && writable(&self.super_options)
    }
}

/// Everything that is mounted in this namespace.
pub fn mounts() -> Vec<Mounted> {
    parse(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())
}

fn parse(text: &str) -> Vec<Mounted> {
    text.lines()
        .filter_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let left: Vec<&str> = left.split(' ').collect();
            let right: Vec<&str> = right.split(' ').collect();
            Some(Mounted {
                device: left.get(2)?.to_string(),
                point: unescape(left.get(4)?),
                options: left.get(5)?.to_string(),
                kind: right.first()?.to_string(),
                source: unescape(right.get(1)?),
                super_options: right.get(2).unwrap_or(&"").to_string(),
            })
        })
        .collect()
}

fn unescape(text: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(text.to_string(), |text, (from, to)| text.replace(from, to))
}

/// `major:minor` of a block device node.
pub fn device_number(device: &Path) -> Option<String> {
    let number = fs::metadata(device).ok()?.rdev();
    Some(format!("{}:{}", rustix::fs::major(number), rustix::fs::minor(number)))
}

/// What is mounted at a directory (the topmost), or from a device.
pub fn at_point(point: &Path) -> Option<Mounted> {
    let wanted = point.to_string_lossy();
    let wanted = wanted.trim_end_matches('/');
    mounts().into_iter().rev().find(|mounted| mounted.point.trim_end_matches('/') == wanted)
}

/// Where a block device is mounted.
pub fn of_device(device: &Path) -> Vec<Mounted> {
    let Some(number) = device_number(device) else { return Vec::new() };
    mounts().into_iter().filter(|mounted| mounted.device == number).collect()
}

/// Where a block device is mounted in other mount namespaces (a container's copy of a mount survives our unmount): a process of
/// each, and the mount point under which this process reaches it.
pub fn elsewhere(device: &Path) -> Vec<(Holder, PathBuf)> {
    let Some(number) = device_number(device) else { return Vec::new() };
    let space = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
    let mut known: BTreeSet<PathBuf> = space("self").into_iter().collect();
    let mut found = Vec::new();
    for pid in processes() {
        if !space(&pid.to_string()).is_some_and(|space| known.insert(space)) {
            continue;
        }
        let mounted = parse(&fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default());
        for mounted in mounted.into_iter().filter(|mounted| mounted.device == number) {
            let inside = Path::new(&mounted.point).strip_prefix("/").unwrap_or(Path::new("")).to_path_buf();
            found.push((Holder::of(pid), Path::new(&format!("/proc/{pid}/root")).join(inside)));
        }
    }
    found
}

/// A process that holds a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Its name.
    pub name: String,
}

impl Holder {
    pub(crate) fn of(pid: u32) -> Holder {
        Holder { pid, name: fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_string() }
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}

pub(crate) fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok()))
}

/// The device of what a path leads to, as the kernel has it in its memory: nobody else is asked, since a process may hold files of a
/// server that does not answer.
fn device_at(path: &Path) -> Option<(u32, u32)> {
    let flags = AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
    let known = rustix::fs::statx(CWD, path, flags, StatxFlags::empty()).ok()?;
    Some((known.stx_dev_major, known.stx_dev_minor))
}

/// Processes with a file, working directory or root below a mount point.
pub fn holders(point: &Path) -> Vec<Holder> {
    let Some(device) = device_at(point) else { return Vec::new() };
    let below = |path: &Path| device_at(path) == Some(device);
    let mut found = Vec::new();
    for pid in processes() {
        let base = PathBuf::from(format!("/proc/{pid}"));
        let open = fs::read_dir(base.join("fd")).into_iter().flatten().flatten().any(|fd| below(&fd.path()));
        if open || below(&base.join("cwd")) || below(&base.join("root")) || below(&base.join("exe")) {
            found.push(Holder::of(pid));
        }
    }
    found
}

/// Every further write to the mounted file system fails from now on (`EXT4_IOC_SHUTDOWN`, the same call for xfs and f2fs);
/// with `flush`, what was written before reaches the disk first, which may take as long as the disk takes.
///
/// # Errors
/// The file system does not offer it, or the disk does not answer within `limit`.
pub fn shut_down(point: &Path, flush: bool, limit: Duration) -> Result<(), CallError> {
    /// `_IOR('X', 125, __u32)`.
    const GOINGDOWN: libc::c_ulong = 0x8004_587d;
    /// Without writing the log back.
    const NO_LOG_FLUSH: u32 = 2;
    /// Freeze, which writes everything back, then shut down.
    const FLUSH: u32 = 0;
    let flags: u32 = if flush { FLUSH } else { NO_LOG_FLUSH };
    let point = path_of(point)?;
    aside::call(limit, || {
        // SAFETY: system calls on a string that lives as long; the kernel reads one u32.
        unsafe {
            let directory = libc::open(point.as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC);
            if directory < 0 || libc::ioctl(directory, GOINGDOWN as _, &flags) != 0 { last_error() } else { 0 }
        }
    })
}

/// Take a mount out of the tree now; it ends when its last user does.
///
/// # Errors
/// As umount2(2), or it does not return within `limit`.
pub fn detach(point: &Path, limit: Duration) -> Result<(), CallError> {
    let point = path_of(point)?;
    // SAFETY: one system call on a string that lives as long.
    aside::call(limit, || if unsafe { libc::umount2(point.as_ptr(), libc::MNT_DETACH) } == 0 { 0 } else { last_error() })
}

fn path_of(path: &Path) -> Result<CString, CallError> {
    CString::new(path.as_os_str().as_bytes()).map_err(|cause| CallError::Refused(cause.into()))
}

fn last_error() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_is_read_with_its_escapes() {
        let text = "36 35 98:0 /mnt1 /mnt/with\\040blank rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n";
        let mounted = parse(text);
        assert_eq!(mounted[0].point, "/mnt/with blank");
        assert_eq!(mounted[0].kind, "ext3");
        assert!(mounted[0].is_writable());
    }
}
