//! Real-time priority, locked memory and the brake against a runaway real-time thread.
//!
//! Only heartbeat and watchdog threads use it. A real-time thread that never blocks would starve the machine, so the
//! kernel's limit on uninterrupted real-time run time is set: past the soft limit the thread is put back to ordinary
//! priority. The hard limit stays as it was: lowered, it could not be lifted again for child processes without
//! CAP_SYS_RESOURCE.
#![allow(unsafe_code, reason = "scheduling class and signal action have no safe wrapper")]

use rustix::{
    mm::MlockAllFlags,
    process::{Resource, Rlimit},
};
use std::{
    cell::Cell,
    io,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use thiserror::Error;

/// Priority of heartbeat threads: above ordinary real-time work of applications (1 to 9), below the kernel's own threads (50).
pub const HEARTBEAT_PRIORITY: i32 = 20;
/// Run time without blocking after which a real-time thread loses its priority. A heartbeat turn takes under 1 ms.
pub const RUNAWAY_LIMIT: Duration = Duration::from_millis(200);

static DEMOTED: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// This thread lost its priority and has not regained it. No destructor and no lazy value: a signal handler sets it.
    static LOST: Cell<bool> = const { Cell::new(false) };
}

/// Why a thread did not become a real-time thread.
#[derive(Debug, Error)]
#[error("cannot {what}: {cause}; {remedy}")]
pub struct RealtimeError {
    what: &'static str,
    #[source]
    cause: io::Error,
    remedy: &'static str,
}

/// Keeps all present and future memory of the process from being paged out once it has been touched.
///
/// # Errors
/// Not root, or the limit on locked memory is too low.
pub fn lock_memory() -> Result<(), RealtimeError> {
    // On-fault: without it every thread's whole stack would be made resident.
    rustix::mm::mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT).map_err(|cause| RealtimeError {
        what: "lock the daemon's memory",
        cause: cause.into(),
        remedy: "run as root or raise LimitMEMLOCK",
    })
}

/// Gives the calling thread real-time priority (round robin, 1 to 99), not handed on to child processes.
/// Sets the runaway limit of the process first.
///
/// # Errors
/// Not root, or a control group that has no real-time share.
pub fn promote_this_thread(priority: i32) -> Result<(), RealtimeError> {
    limit_runaways(RUNAWAY_LIMIT)?;
    schedule(libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, priority).map_err(|cause| RealtimeError {
        what: "give the heartbeat thread real-time priority",
        cause,
        remedy: "run as root, and outside a control group without a real-time share (cpu.rt_runtime_us)",
    })
}

/// Says whether a thread of this process lost its real-time priority because it ran too long without blocking.
pub fn has_been_demoted() -> bool {
    DEMOTED.load(Ordering::Relaxed)
}

/// Gives the calling thread back the priority that it lost by running too long; says whether it had lost it. To be called when it is
/// about to wait: a burst must not leave it at ordinary priority for ever, and one that never waits stays there.
pub fn regain(priority: i32) -> bool {
    LOST.replace(false) && schedule(libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, priority).is_ok()
}

/// Undoes what a child process would inherit: scheduling class, runaway limit, the handler of its signal, and that the kernel
/// spares it when memory is used up.
/// Fit to be called between fork and exec (only plain system calls); locked memory is not inherited.
pub fn reset_in_child() -> io::Result<()> {
    let maximum = rustix::process::getrlimit(Resource::Rttime).maximum;
    rustix::process::setrlimit(Resource::Rttime, Rlimit { current: maximum, maximum })?;
    // SAFETY: restores the default action; no handler code is involved.
    unsafe { libc::signal(libc::SIGXCPU, libc::SIG_DFL) };
    crate::shortage::spare_no_more();
    schedule(libc::SCHED_OTHER, 0)
}

fn schedule(policy: libc::c_int, priority: libc::c_int) -> io::Result<()> {
    // SAFETY: sched_param is a plain struct for which zero is a valid value on every libc.
    let mut parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    parameters.sched_priority = priority;
    // The system call itself: some C libraries refuse their wrapper. Thread 0 is the calling thread.
    // SAFETY: the kernel reads the struct during the call only.
    let result = unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &parameters as *const libc::sched_param) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn limit_runaways(soft: Duration) -> Result<(), RealtimeError> {
    let failed = |cause: io::Error| RealtimeError { what: "limit runaway real-time threads", cause, remedy: "run as root" };
    // SAFETY: the handler makes one system call and one atomic store, both allowed in a signal handler; the struct is
    // plain data for which zero is a valid value.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = demote as extern "C" fn(libc::c_int) as usize;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(libc::SIGXCPU, &action, std::ptr::null_mut())
    };
    if result != 0 {
        return Err(failed(io::Error::last_os_error()));
    }
    let maximum = rustix::process::getrlimit(Resource::Rttime).maximum;
    let soft = (soft.as_micros() as u64).min(maximum.unwrap_or(u64::MAX));
    let limit = Rlimit { current: Some(soft), maximum };
    rustix::process::setrlimit(Resource::Rttime, limit).map_err(|cause| failed(cause.into()))
}

/// The kernel's notice goes to the thread that ran too long, as it is the one running.
extern "C" fn demote(_signal: libc::c_int) {
    // The interrupted code must find its errno again.
    // SAFETY: points to this thread's errno for as long as the thread lives.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    let _ = schedule(libc::SCHED_OTHER, 0);
    DEMOTED.store(true, Ordering::Relaxed);
    LOST.set(true);
    // SAFETY: as above.
    unsafe { *errno = before };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn policy_of_this_thread() -> libc::c_int {
        // SAFETY: a system call without pointers.
        (unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) }) as libc::c_int
    }

    #[test]
    fn a_runaway_thread_loses_its_priority() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        let runner = std::thread::spawn(|| {
            if let Err(error) = promote_this_thread(1) {
                println!("skipped: {error}");
                return;
            }
            assert_eq!(policy_of_this_thread() & !libc::SCHED_RESET_ON_FORK, libc::SCHED_RR);
            let deadline = Instant::now() + Duration::from_secs(5);
            while !has_been_demoted() && Instant::now() < deadline {
                std::hint::spin_loop();
            }
            assert!(has_been_demoted());
            assert_eq!(policy_of_this_thread(), libc::SCHED_OTHER);
            assert!(regain(1));
            assert_eq!(policy_of_this_thread() & !libc::SCHED_RESET_ON_FORK, libc::SCHED_RR);
            assert!(!regain(1), "it has it");
            reset_in_child().expect("limits lifted");
            assert_eq!(rustix::process::getrlimit(Resource::Rttime).current, None);
        });
        runner.join().expect("the thread's assertions");
    }
}
