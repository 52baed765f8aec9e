//! pidw: tells at once when the process that an exec resource left running has ended.
//!
//! Holds the process by a pid file descriptor from the start, so that a number given to another process does not deceive.

use super::{CheckFailed, MonitorDriver};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::OwnedFd,
    process::{Pid, PidfdFlags, pidfd_open},
};
use std::{thread, time::Duration};

const REMEDY: &str = "see the application's own log for why it ended";

/// A PID monitor.
#[derive(Debug)]
pub struct Pidw {
    pid: Option<u32>,
    process: Option<OwnedFd>,
    /// The end was told; not to be told again before the next check.
    is_reported: bool,
}

impl Pidw {
    /// Watches the process `pid`; `None` when the exec resource has no resident process.
    pub fn new(pid: Option<u32>) -> Pidw {
        let number = pid.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        Pidw { pid, process: number.and_then(|number| pidfd_open(number, PidfdFlags::empty()).ok()), is_reported: false }
    }
}

impl MonitorDriver for Pidw {
    fn check(&mut self, _limit: Duration) -> Result<(), CheckFailed> {
        match (&self.process, self.pid) {
            (Some(process), Some(pid)) if has_ended(process, Duration::ZERO) => {
                Err(CheckFailed::error(format!("the process {pid} has ended"), REMEDY))
            }
            (Some(_), _) => Ok(()),
            (None, Some(pid)) => Err(CheckFailed::error(format!("there is no process {pid}"), REMEDY)),
            (None, None) => {
                let remedy = "set the start script of the exec resource to asynchronous, or watch it by another monitor";
                Err(CheckFailed::error("the exec resource has no resident process", remedy))
            }
        }
    }

    fn hears_events(&self) -> bool {
        self.process.is_some()
    }

    fn wait_event(&mut self, time: Duration) -> bool {
        match &self.process {
            Some(process) if !self.is_reported => {
                self.is_reported = has_ended(process, time);
                self.is_reported
            }
            _ => {
                thread::sleep(time);
                false
            }
        }
    }
}

fn has_ended(process: &OwnedFd, time: Duration) -> bool {
    let time = Timespec { tv_sec: time.as_secs() as _, tv_nsec: time.subsec_nanos() as _ };
    poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&time)).is_ok_and(|count| count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{process::Command, time::Instant};

    #[test]
    fn a_killed_process_is_told_at_once() {
        let mut child = Command::new("sleep").arg("300").spawn().expect("sleep");
        let mut monitor = Pidw::new(Some(child.id()));
        monitor.check(Duration::ZERO).expect("alive");
        assert!(!monitor.wait_event(Duration::from_millis(10)));
        let begin = Instant::now();
        let killer = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            child.kill().expect("kill");
            child
        });
        assert!(monitor.wait_event(Duration::from_secs(60)), "the kernel's word did not come");
        assert!(begin.elapsed() < Duration::from_secs(20));
        assert!(monitor.check(Duration::ZERO).expect_err("dead").what.contains("has ended"));
        let mut child = killer.join().expect("killer");
        let pid = child.id();
        child.wait().expect("reaped");
        assert!(monitor.check(Duration::ZERO).is_err(), "reaped or not, it stays ended");
        assert!(!monitor.wait_event(Duration::from_millis(10)), "told once, or the loop would spin");
        assert!(Pidw::new(Some(pid)).check(Duration::ZERO).is_err());
        assert!(Pidw::new(None).check(Duration::ZERO).expect_err("none").what.contains("no resident process"));
    }
}
