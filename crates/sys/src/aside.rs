//! Kernel calls that may never return (a dead disk, a file server that is away), made in a child with a time limit.
//!
//! A thread in such a call could not be ended, and the process with it: nobody could take note of its death. What a child makes
//! is only system calls; the engine's locks, sockets and watchdog are closed in it first, so that one that hangs holds nothing.

#![allow(unsafe_code, reason = "fork, and waiting for a child that std did not start")]

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process, pidfd_open, waitid};

/// How long a killed child may take to be gone before it is left to a thread of its own.
const KILL_GRACE: Duration = Duration::from_millis(200);

/// How a call ended that was not done.
#[derive(Debug)]
pub enum CallError {
    /// The kernel refused it.
    Refused(io::Error),
    /// It did not return in time; what it waits for.
    Hangs(String),
}

impl CallError {
    /// The kernel's number; `ETIMEDOUT` for a call that hangs.
    pub fn code(&self) -> i32 {
        match self {
            CallError::Refused(cause) => cause.raw_os_error().unwrap_or(libc::EIO),
            CallError::Hangs(_) => libc::ETIMEDOUT,
        }
    }
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CallError::Refused(cause) => write!(f, "{cause}"),
            CallError::Hangs(evidence) => write!(f, "it does not return ({evidence})"),
        }
    }
}

/// Make `work` in a child: it returns 0 or an error number, and may only make system calls (it runs in a copy of a process
/// with many threads: an allocation may wait for ever for a lock that nobody holds any more).
///
/// # Errors
/// The error number, or that it was not done within `limit`.
pub(crate) fn call(limit: Duration, work: impl Fn() -> i32) -> Result<(), CallError> {
    // SAFETY: the child makes system calls only and ends by _exit.
    let pid = unsafe { libc::fork() };
    match pid {
        -1 => Err(CallError::Refused(io::Error::last_os_error())),
        0 => {
            // SAFETY: plain system calls; nothing of this copy is used after them.
            unsafe {
                libc::syscall(libc::SYS_close_range, 0, libc::c_uint::MAX, 0);
                let _ = crate::realtime::reset_in_child();
                libc::_exit(work());
            }
        }
        _ => ended(Pid::from_raw(pid).expect("fork gives a number above 0"), limit),
    }
}

fn ended(pid: Pid, limit: Duration) -> Result<(), CallError> {
    let fd = pidfd_open(pid, PidfdFlags::empty()).map_err(|cause| CallError::Refused(cause.into()))?;
    if !ends(&fd, limit) {
        let evidence = crate::process::evidence(pid.as_raw_nonzero().get().unsigned_abs());
        let _ = kill_process(pid, Signal::KILL);
        if ends(&fd, KILL_GRACE) {
            let _ = status(pid);
        } else {
            // It ends when the kernel lets it, and is waited for then.
            std::thread::spawn(move || status(pid));
        }
        return Err(CallError::Hangs(evidence));
    }
    match status(pid) {
        Some(0) => Ok(()),
        Some(number) => Err(CallError::Refused(io::Error::from_raw_os_error(number))),
        None => Err(CallError::Refused(io::Error::other("the child that made the call was killed"))),
    }
}

fn ends(fd: &OwnedFd, limit: Duration) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    let limit = Timespec { tv_sec: limit.as_secs().cast_signed(), tv_nsec: limit.subsec_nanos().into() };
    matches!(poll(&mut fds, Some(&limit)), Ok(1..))
}

/// Waits for the child; its exit code, None when a signal ended it.
fn status(pid: Pid) -> Option<i32> {
    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED).ok().flatten()?.exit_status()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn what_the_call_said_comes_back_and_one_that_hangs_is_left_behind() {
        let limit = Duration::from_secs(10);
        assert!(call(limit, || 0).is_ok());
        assert!(matches!(call(limit, || libc::EBUSY), Err(CallError::Refused(e)) if e.raw_os_error() == Some(libc::EBUSY)));
        let began = Instant::now();
        // SAFETY: pause(2) only waits.
        let hangs = call(Duration::from_millis(100), || unsafe { libc::pause() });
        assert!(matches!(&hangs, Err(CallError::Hangs(evidence)) if evidence.contains("wait channel")), "{hangs:?}");
        assert!(began.elapsed() < limit);
    }

    #[test]
    fn the_child_holds_none_of_our_descriptors() {
        let (read, write) = std::io::pipe().expect("pipe");
        let number = std::os::fd::AsRawFd::as_raw_fd(&write);
        // SAFETY: fcntl on a number only asks.
        let result = call(Duration::from_secs(10), || unsafe { if libc::fcntl(number, libc::F_GETFD) == -1 { 0 } else { 1 } });
        assert!(result.is_ok(), "{result:?}");
        drop((read, write));
    }
}
