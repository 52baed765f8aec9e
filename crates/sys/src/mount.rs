//! Mounted file systems: what is mounted, who holds it, and the last resorts that stop it from writing.

#![allow(unsafe_code, reason = "file-system shutdown has no safe wrapper")]

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

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

/// A process that holds a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Its name.
    pub name: String,
}

/// Processes with a file, working directory or root below a mount point.
pub fn holders(point: &Path) -> Vec<Holder> {
    let Ok(device) = fs::metadata(point).map(|meta| meta.dev()) else { return Vec::new() };
    let below = |path: &Path| fs::metadata(path).is_ok_and(|meta| meta.dev() == device);
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let base = entry.path();
        let open = fs::read_dir(base.join("fd")).into_iter().flatten().flatten().any(|fd| below(&fd.path()));
        if open || below(&base.join("cwd")) || below(&base.join("root")) || below(&base.join("exe")) {
            let name = fs::read_to_string(base.join("comm")).unwrap_or_default().trim().to_string();
            found.push(Holder { pid, name });
        }
    }
    found
}

/// Every further write to the mounted file system fails from now on (`EXT4_IOC_SHUTDOWN`, the same call for xfs and f2fs);
/// with `flush`, what was written before reaches the disk first, which may take as long as the disk takes.
///
/// # Errors
/// The file system does not offer it.
pub fn shut_down(point: &Path, flush: bool) -> std::io::Result<()> {
    /// `_IOR('X', 125, __u32)`.
    const GOINGDOWN: libc::c_ulong = 0x8004_587d;
    /// Without writing the log back.
    const NO_LOG_FLUSH: u32 = 2;
    /// Freeze, which writes everything back, then shut down.
    const FLUSH: u32 = 0;
    let flags: u32 = if flush { FLUSH } else { NO_LOG_FLUSH };
    let directory = File::open(point)?;
    // SAFETY: the kernel reads one u32 during the call.
    let result = unsafe { libc::ioctl(directory.as_raw_fd(), GOINGDOWN as _, &flags) };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Take a mount out of the tree now; it ends when its last user does.
///
/// # Errors
/// As umount2(2).
pub fn detach(point: &Path) -> std::io::Result<()> {
    Ok(rustix::mount::unmount(point, rustix::mount::UnmountFlags::DETACH)?)
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
