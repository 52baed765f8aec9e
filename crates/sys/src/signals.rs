//! The signals by which a person or a script ends a program, taken by a thread that waits for them.
//!
//! For programs that have something to say before they end. A signal that was ignored when the program started stays ignored.

#![allow(unsafe_code, reason = "signal sets have no safe wrapper")]

use std::io;

const ENDING: [libc::c_int; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// SIGINT, SIGTERM and SIGHUP, held back from their default action.
pub struct Ending(libc::sigset_t);

impl Ending {
    /// Hold them back in the calling thread and in all threads that it starts afterwards: to be called before the first.
    ///
    /// # Errors
    /// The kernel refuses; never seen.
    pub fn hold() -> io::Result<Ending> {
        hold(&ENDING).map(Ending)
    }

    /// Wait for the next one; its number.
    pub fn wait(&self) -> i32 {
        loop {
            let mut signal = 0;
            // SAFETY: both pointers are to live values; the set was filled by `hold`.
            if unsafe { libc::sigwait(&self.0, &mut signal) } == 0 {
                return signal;
            }
        }
    }
}

/// A write beyond the limit of a file's size is an error from now on, and does not end the program: for the calling thread and all
/// threads that it starts afterwards.
///
/// # Errors
/// The kernel refuses; never seen.
pub fn survive_file_size_limit() -> io::Result<()> {
    hold(&[libc::SIGXFSZ]).map(drop)
}

fn hold(signals: &[libc::c_int]) -> io::Result<libc::sigset_t> {
    // SAFETY: sigset_t is plain data for which zero is a valid value; the calls write to it and read it only.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for signal in signals {
            libc::sigaddset(&mut set, *signal);
        }
        match libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) {
            0 => Ok(set),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_is_held_back_is_waited_for_and_ends_nothing() {
        let signals = Ending::hold().unwrap();
        // To this thread alone: other tests' threads have not held it back.
        // SAFETY: a system call without pointers.
        unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGTERM) };
        assert_eq!(signals.wait(), libc::SIGTERM);
    }
}
