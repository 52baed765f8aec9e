//! Turning this server off or restarting it: the only caller of reboot(2) and of the magic system request.
//!
//! Does not decide when: that is the core's. Refuses in the machine's first process-id namespace unless the installed
//! package's marker or a kernel boot argument allows it, so that a build or a test never takes down the machine it runs on.
//! In a namespace of its own reboot(2) ends only that namespace. Orderly calls do not stop groups; do that before.
#![allow(unsafe_code, reason = "reboot(2) has no safe wrapper that keeps the choice not to write caches back")]

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};
use thiserror::Error;

/// File below the product's root that the package installs; absent in a source tree.
pub const MARKER_FILE: &str = "etc/installed";
/// A line of the marker file that starts with this word says "put here by the package".
pub const MARKER_WORD: &str = "package ";
/// Kernel boot argument that allows power control (for small kernels in tests).
pub const BOOT_ARGUMENT: &str = "mainstay.power=1";

/// Inode of the first process-id namespace (`PROC_PID_INIT_INO` of include/uapi/linux/nsfs.h, fixed since Linux 3.8).
const FIRST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;
/// How long writing back caches may take before an orderly restart goes on without it: a dead disk must not hold it up.
const SYNC_LIMIT: Duration = Duration::from_secs(10);
/// How long the service manager may take to accept a request.
const MANAGER_LIMIT: Duration = Duration::from_secs(10);

/// Why this program may end the server it runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// reboot(2) ends only the process-id namespace this program runs in.
    OwnNamespace,
    /// The installed package's marker was found.
    InstalledPackage,
    /// The kernel was booted with [`BOOT_ARGUMENT`].
    BootArgument,
}

/// Why the server was not turned off or restarted.
#[derive(Debug, Error)]
pub enum PowerError {
    /// This is the machine's first process-id namespace and nothing says that the machine is ours.
    #[error(
        "refused to {what} this machine: it is the first process-id namespace and {} has no package marker; install the package, or boot with {BOOT_ARGUMENT}", marker.display()
    )]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// The marker that was looked for.
        marker: PathBuf,
    },
    /// The kernel did not do it.
    #[error("cannot {what} this server: {cause}; check that the daemon runs as root")]
    Kernel {
        /// What was asked for.
        what: &'static str,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
}

/// Says whether this process runs in the machine's first process-id namespace; in doubt (no `/proc`) the answer is yes.
pub fn is_first_pid_namespace() -> bool {
    fs::metadata("/proc/self/ns/pid").map_or(true, |namespace| namespace.ino() == FIRST_PID_NAMESPACE)
}

/// Says whether the machine itself is ours to reset: the package's marker below `root`, or the boot argument.
pub fn machine_is_ours(root: &Path) -> Option<Permission> {
    let marker = fs::read_to_string(root.join(MARKER_FILE)).unwrap_or_default();
    let arguments = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    judge_machine(&marker, &arguments)
}

fn judge_machine(marker: &str, arguments: &str) -> Option<Permission> {
    if marker.lines().any(|line| line.starts_with(MARKER_WORD)) {
        return Some(Permission::InstalledPackage);
    }
    // What follows "--" belongs to init, not to the kernel.
    arguments
        .split_whitespace()
        .take_while(|word| *word != "--")
        .any(|word| word == BOOT_ARGUMENT)
        .then_some(Permission::BootArgument)
}

/// Says why ending this server is allowed; `root` is the product's root directory.
///
/// # Errors
/// [`PowerError::Refused`] in the first process-id namespace of a machine that is not ours.
pub fn permission(root: &Path, what: &'static str) -> Result<Permission, PowerError> {
    if !is_first_pid_namespace() {
        return Ok(Permission::OwnNamespace);
    }
    machine_is_ours(root).ok_or_else(|| PowerError::Refused { what, marker: root.join(MARKER_FILE) })
}

/// Shuts the operating system down in order and turns the server off; returns once the request is accepted.
///
/// # Errors
/// See [`PowerError`]. The caller keeps its own deadline and uses [`reset`] when the server is still there after it.
pub fn shutdown(root: &Path) -> Result<(), PowerError> {
    orderly(root, "shut down", "poweroff", libc::RB_POWER_OFF)
}

/// Restarts the operating system in order; returns once the request is accepted.
///
/// # Errors
/// As [`shutdown`].
pub fn reboot(root: &Path) -> Result<(), PowerError> {
    orderly(root, "reboot", "reboot", libc::RB_AUTOBOOT)
}

/// Resets the server now: nothing is stopped, no cache is written back. Does not return when it works.
///
/// # Errors
/// See [`PowerError`].
pub fn reset(root: &Path) -> Result<(), PowerError> {
    at_once(root, "reset", b"b")
}

/// Makes the kernel panic, for a crash dump; a reset where the kernel has no system request or only a namespace is ours.
///
/// # Errors
/// See [`PowerError`].
pub fn panic(root: &Path) -> Result<(), PowerError> {
    at_once(root, "panic", b"c")
}

fn at_once(root: &Path, what: &'static str, request: &[u8]) -> Result<(), PowerError> {
    // The system request is machine-wide, whatever the namespace: only with the machine itself in our hands.
    if permission(root, what)? != Permission::OwnNamespace {
        // Failure is answered by the next step: many kernels have no such file.
        let _ = fs::write("/proc/sysrq-trigger", request);
    }
    call_kernel(what, libc::RB_AUTOBOOT)
}

fn orderly(root: &Path, what: &'static str, verb: &str, command: libc::c_int) -> Result<(), PowerError> {
    let permission = permission(root, what)?;
    if Path::new("/run/systemd/system").is_dir() && service_manager_accepts(verb) {
        return Ok(());
    }
    if permission != Permission::OwnNamespace {
        write_back_caches();
    }
    call_kernel(what, command)
}

fn service_manager_accepts(verb: &str) -> bool {
    let started = Command::new("systemctl")
        .args(["--no-block", verb])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = started else { return false };
    let deadline = Instant::now() + MANAGER_LIMIT;
    while Instant::now() < deadline {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => thread::sleep(Duration::from_millis(20)),
            Err(_) => return false,
        }
    }
    let _ = child.kill();
    false
}

fn write_back_caches() {
    let (done, finished) = mpsc::channel();
    // Owner: nobody; it ends with the sync or with the machine.
    let started = thread::Builder::new().name("write-back".into()).spawn(move || {
        rustix::fs::sync();
        let _ = done.send(());
    });
    if started.is_ok() {
        let _ = finished.recv_timeout(SYNC_LIMIT);
    }
}

fn call_kernel(what: &'static str, command: libc::c_int) -> Result<(), PowerError> {
    // SAFETY: reboot(2) takes a number and touches no memory of this process.
    if unsafe { libc::reboot(command) } == 0 {
        Ok(())
    } else {
        Err(PowerError::Kernel { what, cause: io::Error::last_os_error() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    /// The first test of this crate: on a machine that is not ours nothing gets as far as the kernel.
    #[test]
    fn a_machine_that_is_not_ours_is_refused() {
        let root = tempfile::tempdir().expect("temporary directory");
        if !is_first_pid_namespace() || machine_is_ours(root.path()).is_some() {
            println!("skipped: not in the first process-id namespace of a machine that is not ours");
            return;
        }
        // The question first: only when it is refused are the calls tried.
        assert!(matches!(permission(root.path(), "reset"), Err(PowerError::Refused { .. })));
        for call in [reset, reboot, shutdown, panic] {
            assert!(matches!(call(root.path()), Err(PowerError::Refused { .. })));
        }
        fs::create_dir(root.path().join("etc")).expect("etc");
        fs::write(root.path().join(MARKER_FILE), "source tree\n").expect("marker");
        let refused = permission(root.path(), "reset").expect_err("a marker without the package's line");
        assert!(refused.to_string().contains("first process-id namespace"), "{refused}");
    }

    #[test]
    fn marker_or_boot_argument_make_the_machine_ours() {
        assert_eq!(judge_machine("", ""), None);
        assert_eq!(judge_machine("# package\n package x\n", "quiet mainstay.power=10"), None);
        assert_eq!(judge_machine("made by\npackage mainstay 3.0.0\n", ""), Some(Permission::InstalledPackage));
        assert_eq!(judge_machine("", "quiet mainstay.power=1 panic=1"), Some(Permission::BootArgument));
        assert_eq!(judge_machine("", "quiet -- mainstay.power=1"), None);
    }

    #[test]
    fn reset_in_an_own_namespace_ends_only_that_namespace() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        let myself = std::env::current_exe().expect("path of the test program");
        for (call, signal) in [("reset", libc::SIGHUP), ("shutdown", libc::SIGINT)] {
            let status = Command::new("unshare")
                .args(["--pid", "--fork", "--mount", "--"])
                .arg(&myself)
                .args(["--ignored", "--exact", "power::tests::inside_a_namespace"])
                .env("POWER_TEST_CALL", call)
                .stdout(Stdio::null())
                .status()
                .expect("unshare");
            // unshare(1) ends by the signal that ended the namespace's first process.
            assert_eq!(status.signal().or(status.code().map(|code| code - 128)), Some(signal), "{call}: {status:?}");
        }
    }

    #[test]
    #[ignore = "run by reset_in_an_own_namespace_ends_only_that_namespace"]
    fn inside_a_namespace() {
        let Ok(call) = std::env::var("POWER_TEST_CALL") else {
            return;
        };
        assert!(!is_first_pid_namespace());
        let root = tempfile::tempdir().expect("temporary directory");
        assert_eq!(permission(root.path(), "reset").expect("allowed"), Permission::OwnNamespace);
        // A service manager of the machine must not be asked from here.
        if Path::new("/run/systemd/system").is_dir() {
            Command::new("mount").args(["-t", "tmpfs", "none", "/run"]).status().expect("mount");
        }
        match call.as_str() {
            "reset" => reset(root.path()),
            _ => shutdown(root.path()),
        }
        .expect("the kernel accepts");
        thread::sleep(Duration::from_secs(5));
    }
}
