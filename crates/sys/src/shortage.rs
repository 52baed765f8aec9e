//! What keeps a service at work while files or memory run short: its own limit on open files, and what the kernel kills first.
//!
//! Knows nothing of disks that are full: who writes sees that itself.
#![allow(unsafe_code, reason = "a child's value is written between fork and exec")]

use rustix::{
    io::Errno,
    process::{Resource, Rlimit},
};
use std::{fs, io};

/// Files that one of our processes may have open at least: 128 connections, the paths and the work on some hundred resources are
/// far below it. It is what most systems give to everybody.
pub const FILES_MIN: u64 = 1024;
/// The kernel never chooses a process with this value (proc_pid_oom_score_adj(5)).
const NEVER: &str = "-1000";

/// Raises this process's limit on open files to [`FILES_MIN`], or as far as it may be raised, if somebody lowered it. Returns
/// what it was then and is now; cheap when there is nothing to raise.
pub fn keep_files() -> Option<(u64, u64)> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let current = limit.current.filter(|current| *current < FILES_MIN)?;
    let raise = |to: u64, maximum: Option<u64>| {
        rustix::process::setrlimit(Resource::Nofile, Rlimit { current: Some(to), maximum }).ok().map(|()| (current, to))
    };
    let lowered = limit.maximum.filter(|maximum| *maximum < FILES_MIN);
    // Beyond its maximum only CAP_SYS_RESOURCE raises it; some containers withhold that.
    match lowered {
        None => raise(FILES_MIN, limit.maximum),
        Some(maximum) => raise(FILES_MIN, Some(FILES_MIN))
            .or_else(|| Some(maximum).filter(|maximum| *maximum > current).and_then(|maximum| raise(maximum, Some(maximum)))),
    }
}

/// Why this process cannot open any file now, whatever it is: its own limit or the machine's is reached. `None`: it can.
pub fn cannot_open() -> Option<io::Error> {
    let opened =
        rustix::fs::open("/dev/null", rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC, rustix::fs::Mode::empty());
    match opened {
        Err(cause @ (Errno::MFILE | Errno::NFILE)) => Some(cause.into()),
        _ => None,
    }
}

/// Lets the kernel end other processes, and not this one and what it starts of ours, when memory is used up.
///
/// # Errors
/// Not allowed, as above.
pub fn spare_me() -> io::Result<()> {
    fs::write("/proc/self/oom_score_adj", NEVER)
}

/// Undoes [`spare_me`] for a program of somebody else. Fit to be called between fork and exec (plain system calls only).
pub(crate) fn spare_no_more() {
    // SAFETY: both strings are constants that end in zero; the file is ours until it is closed.
    unsafe {
        let file = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if file >= 0 {
            libc::write(file, c"0".as_ptr().cast(), 1);
            libc::close(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Outcome, Program, run};
    use std::{process::Command, time::Duration};

    const INSIDE: &str = "MAINSTAY_SHORTAGE";

    /// The limit and the value are the whole process's: a process of its own tries them.
    #[test]
    fn a_lowered_limit_is_raised_again_and_other_programs_are_not_spared() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        if std::env::var_os(INSIDE).is_none() {
            let mut inside = Command::new(std::env::current_exe().expect("this program"));
            inside.args([
                "--exact",
                "shortage::tests::a_lowered_limit_is_raised_again_and_other_programs_are_not_spared",
                "--nocapture",
            ]);
            let ended = inside.env(INSIDE, "1").output().expect("this program again");
            assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
            return;
        }
        assert_eq!(keep_files(), None);
        assert!(cannot_open().is_none());
        let lower = |current, maximum| {
            let limit = Rlimit { current: Some(current), maximum: Some(maximum) };
            rustix::process::setrlimit(Resource::Nofile, limit).expect("lowered");
        };
        lower(1, FILES_MIN + 1);
        assert_eq!(cannot_open().and_then(|cause| cause.raw_os_error()), Some(libc::EMFILE));
        assert_eq!(keep_files(), Some((1, FILES_MIN)));
        assert!(cannot_open().is_none());
        lower(1, 70);
        let (_, now) = keep_files().expect("raised");
        assert!(now == FILES_MIN || now == 70, "{now}");
        assert_eq!(keep_files(), None, "nothing is left to raise");
        if let Err(cause) = spare_me() {
            println!("skipped: no process is spared here: {cause}");
            return;
        }
        let program = Program {
            argv: ["/bin/cat", "/proc/self/oom_score_adj"].map(String::from).to_vec(),
            limit: Duration::from_secs(20),
            ..Program::default()
        };
        assert_eq!(run(&program), Outcome::Exited { code: 0, output: "0\n".into() });
        assert_eq!(fs::read_to_string("/proc/self/oom_score_adj").expect("ours").trim(), NEVER);
    }
}
