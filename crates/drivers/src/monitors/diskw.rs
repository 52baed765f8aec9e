//! diskw: reads from a disk and tells whether it answers.
//!
//! Reads bypass the page cache; a cached answer would hide a disk that is gone. A read that hangs is reported as a
//! time-out and never repeated beside itself. A question to the disk (TUR) reads nothing.

use super::{CheckFailed, MonitorDriver, UnusableMonitor, bounded};
use clp_sys::direct_io::{Access, AlignedBuffer, BUFFER_MAX, DirectFile};
use clp_sys::scsi::{self, NotReady};
use rustix::fs::{Advice, fadvise};
use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
    time::Duration,
};

const REMEDY: &str = "check the disk, its cable and its path (dmesg)";

/// How the disk is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Not read, but asked whether it is ready (SCSI TEST UNIT READY).
    Tur,
    /// Past the page cache where the file can be read so, else an ordinary read whose cached copy is dropped first.
    DummyRead,
    /// Past the page cache only.
    Read,
    /// Through the raw device of that name where the kernel has one; else from the block device past the page cache.
    ReadRaw,
    /// From the raw device of a VxVM volume (/dev/vx/rdsk/GROUP/VOLUME), which is there while its disk group is imported;
    /// without one named, from its block device past the page cache.
    ReadVxvm,
}

/// A disk monitor.
#[derive(Debug)]
pub struct Diskw {
    method: Method,
    device: PathBuf,
    size: usize,
}

impl Diskw {
    /// From the configuration.
    pub(super) fn configured(parameters: &clp_config::schema::monitors::diskw::Diskw) -> Result<Diskw, UnusableMonitor> {
        let path = |text: &String| (!text.is_empty()).then(|| PathBuf::from(text));
        let size = usize::try_from(parameters.size).unwrap_or(usize::MAX);
        Diskw::new(method_of(parameters.method), path(&parameters.object), path(&parameters.rawdevice), size)
    }

    /// Watches `device` (for [`Method::ReadRaw`]: the block device behind `raw_device`) by reading `size` bytes from its
    /// start, rounded up to whole blocks.
    ///
    /// # Errors
    /// No device named, or a size beyond 16 MiB.
    pub fn new(
        method: Method,
        device: Option<PathBuf>,
        raw_device: Option<PathBuf>,
        size: usize,
    ) -> Result<Diskw, UnusableMonitor> {
        if size > BUFFER_MAX {
            return Err(UnusableMonitor {
                what: format!("the I/O size {size} is beyond {BUFFER_MAX} bytes"),
                remedy: "lower parameters/size".into(),
            });
        }
        let raw = raw_device.filter(|raw| match method {
            Method::ReadRaw => is_device(raw),
            // A volume comes and goes with its disk group; that it is gone is found by the check.
            Method::ReadVxvm => true,
            Method::Tur | Method::DummyRead | Method::Read => false,
        });
        let device = raw.or(device).ok_or_else(|| UnusableMonitor {
            what: "no device to monitor is named, or only a raw device that this kernel does not have".into(),
            remedy: "name the block device in parameters/object".into(),
        })?;
        Ok(Diskw { method, device, size: size.max(1) })
    }
}

/// The codes of parameters/method (clp-conf.md section 17).
fn method_of(code: u32) -> Method {
    match code {
        0 => Method::Tur,
        1 => Method::DummyRead,
        3 => Method::ReadRaw,
        4 => Method::ReadVxvm,
        // The declared range ends at 4.
        _ => Method::Read,
    }
}

impl MonitorDriver for Diskw {
    fn check(&mut self, limit: Duration) -> Result<(), CheckFailed> {
        let (method, device, size) = (self.method, self.device.clone(), self.size);
        let name = format!("reading {}", device.display());
        let work = Box::new(move || {
            if method == Method::Tur {
                return scsi::test_unit_ready(&device, limit).map_err(|reason| not_ready(&device, &reason));
            }
            read(method, &device, size).map_err(|error| cannot_read(method, &device, &error))
        });
        bounded::run(&name, limit, REMEDY, work)
    }
}

fn not_ready(device: &Path, reason: &NotReady) -> CheckFailed {
    let remedy = match reason {
        NotReady::NoScsi(_) => "check the device's name; what takes no SCSI commands is watched by READ (parameters/method 2)",
        NotReady::Path(_) | NotReady::Status { .. } => REMEDY,
    };
    CheckFailed::error(format!("{} is not ready: {reason}", device.display()), remedy)
}

fn cannot_read(method: Method, device: &Path, error: &io::Error) -> CheckFailed {
    let remedy = match (method, error.kind()) {
        (Method::ReadVxvm, io::ErrorKind::NotFound) => {
            "its disk group is not imported here: monitor while the volume's resource is active (polling/timing 1), or see vxprint"
        }
        _ => REMEDY,
    };
    CheckFailed::error(format!("cannot read {}: {error}", device.display()), remedy)
}

fn is_device(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.file_type().is_char_device() || metadata.file_type().is_block_device())
}

fn read(method: Method, device: &Path, size: usize) -> io::Result<()> {
    // A raw device is a character device; its reads are direct by themselves but need aligned memory all the same.
    if device.metadata()?.file_type().is_char_device() {
        let mut buffer = AlignedBuffer::new(size);
        return File::open(device)?.read_exact(buffer.bytes_mut());
    }
    match DirectFile::open(device, Access::Read) {
        Ok(disk) => {
            let length = size.next_multiple_of(disk.block());
            disk.read_at(&mut AlignedBuffer::new(length), length, 0)
        }
        Err(error) if method == Method::DummyRead && error.kind() == io::ErrorKind::InvalidInput => {
            let mut file = File::open(device)?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
            file.read_exact(&mut vec![0; size])
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_readable_disk_is_normal_and_a_missing_or_short_one_is_named() {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("folder");
        let path = folder.path().join("disk");
        File::create(&path).expect("file").set_len(8192).expect("size");
        let limit = Duration::from_secs(20);
        for method in [Method::DummyRead, Method::Read, Method::ReadRaw] {
            let mut monitor = Diskw::new(method, Some(path.clone()), Some("/dev/raw/raw1".into()), 512).expect("monitor");
            monitor.check(limit).expect("readable");
            std::fs::rename(&path, folder.path().join("away")).expect("rename");
            let failed = monitor.check(limit).expect_err("gone");
            assert!(failed.to_string().contains("disk: No such file"), "{failed}");
            std::fs::rename(folder.path().join("away"), &path).expect("rename");
            monitor.check(limit).expect("back again");
        }
        let mut long = Diskw::new(Method::Read, Some(path.clone()), None, 16384).expect("monitor");
        long.check(limit).expect_err("longer than the disk");
        Diskw::new(Method::ReadRaw, None, Some("/dev/raw/raw1".into()), 512).expect_err("no raw driver and no block device");
        Diskw::new(Method::Read, Some(path), None, BUFFER_MAX + 1).expect_err("too much");
    }

    /// What takes the place of a volume's raw device is a character device as that is.
    #[test]
    fn a_volume_is_read_by_its_raw_device_while_that_is_there() {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("folder");
        let raw = folder.path().join("vol1");
        // Opening it would hang: the block device is not to be touched while there is a raw one.
        let block = folder.path().join("dsk");
        assert!(std::process::Command::new("mkfifo").arg(&block).status().expect("mkfifo").success());
        let mut monitor = Diskw::new(Method::ReadVxvm, Some(block), Some(raw.clone()), 512).expect("monitor");
        let limit = Duration::from_secs(20);
        let failed = monitor.check(limit).expect_err("not imported");
        assert_eq!(failed.kind, super::super::FailureKind::Error);
        assert!(failed.to_string().contains("vol1: No such file") && failed.remedy.contains("not imported here"), "{failed}");
        std::os::unix::fs::symlink("/dev/zero", &raw).expect("link");
        monitor.check(limit).expect("imported");
        // Reads nothing: the disk is shorter than what is asked for.
        std::fs::remove_file(&raw).expect("link");
        std::os::unix::fs::symlink("/dev/null", &raw).expect("link");
        monitor.check(limit).expect_err("no data");
        let disk = folder.path().join("disk");
        File::create(&disk).expect("file").set_len(8192).expect("size");
        Diskw::new(Method::ReadVxvm, Some(disk), None, 512).expect("monitor").check(limit).expect("by its block device");
    }

    #[test]
    fn what_cannot_be_asked_whether_it_is_ready_is_named_with_the_other_method() {
        let mut monitor = Diskw::new(Method::Tur, Some("/dev/null".into()), None, 512).expect("monitor");
        let failed = monitor.check(Duration::from_secs(20)).expect_err("no disk");
        assert!(failed.what.contains("/dev/null is not ready") && failed.remedy.contains("READ"), "{failed}");
    }

    /// A named pipe without a writer holds its opener as a dead disk does.
    #[test]
    fn a_hanging_disk_is_a_time_out_and_does_not_hold_the_monitor() {
        let folder = tempfile::tempdir().expect("folder");
        let pipe = folder.path().join("disk");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
        let begin = std::time::Instant::now();
        for _ in 0..3 {
            // A monitor that was stopped and started again must not add a reader.
            let mut monitor = Diskw::new(Method::DummyRead, Some(pipe.clone()), None, 512).expect("monitor");
            let failed = monitor.check(Duration::from_millis(50)).expect_err("hangs");
            assert_eq!(failed.kind, super::super::FailureKind::TimedOut, "{failed}");
        }
        assert!(begin.elapsed() < Duration::from_secs(10));
        // Lets the reader go.
        let _ = rustix::fs::open(&pipe, rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::NONBLOCK, rustix::fs::Mode::empty());
    }
}
