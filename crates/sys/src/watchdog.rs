//! The watchdog device: open, set its time-out, feed it, close it in order (Documentation/watchdog/watchdog-api.rst).
//!
//! Does not decide when to feed: one owner (the engine's heartbeat thread) does. A stand-in (a file that answers the same
//! ioctls) may be opened everywhere; a real device resets the whole machine, whatever namespace it is fed from, so it is
//! opened only where the machine is ours (see `power`).
#![allow(unsafe_code, reason = "the watchdog ioctls have no safe wrapper")]

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{FileTypeExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    time::Duration,
};
use thiserror::Error;

/// Longest time-out that is asked for; drivers refuse more than their hardware can count.
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);
const IOCTL_TYPE: u32 = b'W' as u32;
/// `WDIOF_MAGICCLOSE`: writing `V` before closing stops the watchdog.
const MAGIC_CLOSE: u32 = 0x0100;

const fn ioctl_number(direction: u32, number: u32, size: usize) -> libc::c_ulong {
    // The generic layout of include/uapi/asm-generic/ioctl.h (x86, arm64, riscv, s390).
    ((direction << 30) | ((size as u32) << 16) | (IOCTL_TYPE << 8) | number) as libc::c_ulong
}
const READ: u32 = 2;
const WRITE: u32 = 1;
const WDIOC_GETSUPPORT: libc::c_ulong = ioctl_number(READ, 0, size_of::<WatchdogInfo>());
const WDIOC_KEEPALIVE: libc::c_ulong = ioctl_number(READ, 5, size_of::<libc::c_int>());
const WDIOC_SETTIMEOUT: libc::c_ulong = ioctl_number(READ | WRITE, 6, size_of::<libc::c_int>());

#[repr(C)]
struct WatchdogInfo {
    options: u32,
    firmware_version: u32,
    identity: [u8; 32],
}

/// Why the watchdog cannot be used.
#[derive(Debug, Error)]
pub enum WatchdogError {
    /// A real device on a machine that is not ours.
    #[error("refused to open the watchdog {}: feeding it could reset a machine without the package's marker; install the package", device.display())]
    Refused {
        /// The device.
        device: PathBuf,
    },
    /// Another program feeds it.
    #[error("the watchdog {} is in use; stop its other user (systemd's RuntimeWatchdogSec, sbd, watchdogd)", device.display())]
    InUse {
        /// The device.
        device: PathBuf,
    },
    /// The device cannot be opened or does not answer as a watchdog.
    #[error("cannot {what} the watchdog {}: {cause}; load the driver (for example softdog) or name the right device", device.display())]
    Device {
        /// The step that failed.
        what: &'static str,
        /// The device.
        device: PathBuf,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
}

/// An open watchdog that counts. Dropping it without [`Watchdog::close`] leaves it counting: the server is then reset.
#[derive(Debug)]
pub struct Watchdog {
    device: PathBuf,
    file: File,
    timeout: Duration,
    identity: String,
    stops_on_close: bool,
}

impl Watchdog {
    /// Opens `device`, sets its time-out (whole seconds, rounded up, at least 1 s) and feeds it once. Opening starts the counting.
    ///
    /// # Errors
    /// [`WatchdogError`]; after an error behind the open the device is closed in order, so it does not bite.
    pub fn open(device: &Path, timeout: Duration, root: &Path) -> Result<Watchdog, WatchdogError> {
        let failed = |what: &'static str, cause: io::Error| WatchdogError::Device { what, device: device.to_path_buf(), cause };
        let kind = std::fs::metadata(device).map_err(|cause| failed("find", cause))?.file_type();
        if kind.is_char_device() && crate::power::machine_is_ours(root).is_none() {
            return Err(WatchdogError::Refused { device: device.to_path_buf() });
        }
        let file = OpenOptions::new().write(true).custom_flags(libc::O_CLOEXEC).open(device).map_err(|cause| {
            if cause.raw_os_error() == Some(libc::EBUSY) {
                WatchdogError::InUse { device: device.to_path_buf() }
            } else {
                failed("open", cause)
            }
        })?;
        let mut watchdog =
            Watchdog { device: device.to_path_buf(), file, timeout, identity: String::new(), stops_on_close: false };
        match watchdog.prepare(timeout) {
            Ok(()) => Ok(watchdog),
            Err(error) => {
                let _ = watchdog.file.write_all(b"V");
                Err(error)
            }
        }
    }

    fn prepare(&mut self, timeout: Duration) -> Result<(), WatchdogError> {
        let mut information = WatchdogInfo { options: 0, firmware_version: 0, identity: [0; 32] };
        self.ioctl("identify", WDIOC_GETSUPPORT, &mut information)?;
        let end = information.identity.iter().position(|byte| *byte == 0).unwrap_or(information.identity.len());
        self.identity = String::from_utf8_lossy(&information.identity[..end]).into_owned();
        self.stops_on_close = information.options & MAGIC_CLOSE != 0;
        let mut seconds = timeout.min(TIMEOUT_MAX).as_millis().div_ceil(1000).max(1) as libc::c_int;
        self.ioctl("set the time-out of", WDIOC_SETTIMEOUT, &mut seconds)?;
        self.timeout = Duration::from_secs(seconds.max(0) as u64);
        self.feed()
    }

    /// The time-out in force; the driver may have rounded it.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// What the driver calls itself.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Says whether closing in order stops the counting (not so with the kernel's "nowayout").
    pub fn stops_on_close(&self) -> bool {
        self.stops_on_close
    }

    /// Feeds the watchdog: it counts from the start again.
    ///
    /// # Errors
    /// The device has gone or does not answer; the server will be reset.
    pub fn feed(&mut self) -> Result<(), WatchdogError> {
        let mut unused: libc::c_int = 0;
        self.ioctl("feed", WDIOC_KEEPALIVE, &mut unused)
    }

    /// Stops the watchdog and closes it.
    ///
    /// # Errors
    /// The device did not take the closing letter; it may still reset the server.
    pub fn close(mut self) -> Result<(), WatchdogError> {
        self.file.write_all(b"V").map_err(|cause| WatchdogError::Device { what: "stop", device: self.device.clone(), cause })
    }

    fn ioctl<T>(&self, what: &'static str, request: libc::c_ulong, value: &mut T) -> Result<(), WatchdogError> {
        // SAFETY: each request number is built from the size of the value it is used with, so the kernel writes within it.
        let result = unsafe { libc::ioctl(self.file.as_raw_fd(), request as _, value as *mut T) };
        if result == 0 {
            return Ok(());
        }
        Err(WatchdogError::Device { what, device: self.device.clone(), cause: io::Error::last_os_error() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_numbers_are_the_kernels() {
        // As printed by a C program with linux/watchdog.h.
        assert_eq!(WDIOC_GETSUPPORT, 0x8028_5700);
        assert_eq!(WDIOC_KEEPALIVE, 0x8004_5705);
        assert_eq!(WDIOC_SETTIMEOUT, 0xC004_5706);
    }

    #[test]
    fn a_real_device_on_a_machine_that_is_not_ours_is_refused() {
        let root = tempfile::tempdir().expect("temporary directory");
        if crate::power::machine_is_ours(root.path()).is_some() {
            println!("skipped: the machine is ours");
            return;
        }
        // Any character device will do: the refusal comes before the open.
        let refused = Watchdog::open(Path::new("/dev/null"), Duration::from_secs(5), root.path());
        assert!(matches!(refused, Err(WatchdogError::Refused { .. })), "{refused:?}");
    }

    #[test]
    fn what_is_no_watchdog_is_closed_in_order() {
        let root = tempfile::tempdir().expect("temporary directory");
        let file = root.path().join("watchdog");
        std::fs::write(&file, "").expect("file");
        let refused = Watchdog::open(&file, Duration::from_secs(5), root.path()).expect_err("a plain file has no ioctl");
        assert!(matches!(refused, WatchdogError::Device { what: "identify", .. }), "{refused}");
        assert_eq!(std::fs::read(&file).expect("file"), b"V");
        let missing = Watchdog::open(&root.path().join("none"), Duration::from_secs(5), root.path());
        assert!(matches!(missing, Err(WatchdogError::Device { what: "find", .. })));
    }
}
