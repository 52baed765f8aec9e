//! userw: tells whether user space still works: a process can be started and, as configured, a file opened and written
//! and a thread made.
//!
//! The watchdog is fed by the engine; a failure here is a reason not to. Works in a thread of its own: what stalls is the
//! work, not the monitor.

use super::{CheckFailed, MonitorDriver, UnusableMonitor, bounded};
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

const REMEDY: &str = "look for what stalls user space: memory, process table, root file system";
const FILE_NAME: &str = "userw.tmp";
/// Written at a time, so that a large size needs no large memory.
const CHUNK: usize = 64 << 10;

/// What is tried besides starting a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extras {
    /// Open and close a file.
    pub open_file: bool,
    /// Write so many bytes to it (opens it as well); `None` writes nothing.
    pub write: Option<usize>,
    /// Make and end a thread.
    pub make_thread: bool,
}

/// A user space monitor.
#[derive(Debug)]
pub struct Userw {
    extras: Extras,
    folder: PathBuf,
}

impl Userw {
    /// From the configuration; the method names who resets the server, the work here is the same for all.
    pub(super) fn configured(
        parameters: &clp_config::schema::monitors::userw::Userw,
        folder: &Path,
    ) -> Result<Userw, UnusableMonitor> {
        if !matches!(parameters.method.as_str(), "softdog" | "keepalive" | "none" | "") {
            let what = format!("the method {} of the user space monitor is not in this version", parameters.method);
            return Err(UnusableMonitor::new(what, "set parameters/method to softdog or keepalive"));
        }
        let write = usize::try_from(parameters.writesize).ok().filter(|_| parameters.repwrite);
        Ok(Userw::new(Extras { open_file: parameters.repopen, write, make_thread: parameters.mkthread }, folder))
    }

    /// Tries what `extras` say; files are made in `folder`.
    pub fn new(extras: Extras, folder: &Path) -> Userw {
        Userw { extras, folder: folder.to_path_buf() }
    }
}

impl MonitorDriver for Userw {
    fn check(&mut self, limit: Duration) -> Result<(), CheckFailed> {
        let (extras, folder) = (self.extras, self.folder.clone());
        bounded::run("the user space check", limit, REMEDY, Box::new(move || try_everything(extras, &folder)))
    }
}

fn try_everything(extras: Extras, folder: &Path) -> Result<(), CheckFailed> {
    let failed = |what: String| CheckFailed::error(what, REMEDY);
    let status = Command::new("true").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => return Err(failed(format!("a process that does nothing ended with {status}"))),
        Err(error) => return Err(failed(format!("cannot start a process: {error}"))),
    }
    if extras.open_file || extras.write.is_some() {
        let path = folder.join(FILE_NAME);
        let tried = File::create(&path).and_then(|mut file| {
            let mut rest = extras.write.unwrap_or(0);
            while rest > 0 {
                let length = rest.min(CHUNK);
                file.write_all(&vec![0; length])?;
                rest -= length;
            }
            Ok(())
        });
        tried.and_then(|()| fs::remove_file(&path)).map_err(|error| cannot_write(&path, &error))?;
    }
    if extras.make_thread {
        let ended = thread::Builder::new().name("userw".into()).spawn(|| ()).map(thread::JoinHandle::join);
        ended
            .map_err(|error| failed(format!("cannot make a thread: {error}")))?
            .map_err(|_| failed("a thread that does nothing failed".into()))?;
    }
    Ok(())
}

/// A full disk answers at once: user space does not stall for it, and a reset would not empty it.
fn cannot_write(path: &Path, error: &io::Error) -> CheckFailed {
    let what = format!("cannot write {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => CheckFailed::unable(what, "make room on that file system"),
        _ => CheckFailed::error(what, REMEDY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_no_stall() {
        let failed =
            try_everything(Extras { open_file: true, ..Extras::default() }, Path::new("/nowhere")).expect_err("no folder");
        assert_eq!(failed.kind, super::super::FailureKind::Error);
        let mut full = File::options().write(true).open("/dev/full").expect("a device that is full");
        let failed = cannot_write(Path::new("/dev/full"), &full.write_all(b"x").expect_err("full"));
        assert_eq!(failed.kind, super::super::FailureKind::Unable, "{failed}");
    }

    #[test]
    fn a_working_user_space_is_normal_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("folder");
        let extras = Extras { open_file: true, write: Some(200_000), make_thread: true };
        Userw::new(extras, folder.path()).check(Duration::from_secs(20)).expect("works");
        assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 0);
        Userw::new(Extras::default(), Path::new("/nowhere")).check(Duration::from_secs(20)).expect("no file was asked for");
        let failed = Userw::new(extras, Path::new("/nowhere")).check(Duration::from_secs(20)).expect_err("no such folder");
        assert!(failed.what.contains("/nowhere/userw.tmp"), "{failed}");
    }
}
