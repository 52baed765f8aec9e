//! The watchdog stand-in: a file that takes the ioctls of Documentation/watchdog/watchdog-api.rst and resets its server.
//!
//! It counts in the bench, outside every process of the server, so it also bites a server that is frozen as a whole. A
//! regular file stands for the character device: the product's code for real devices runs unchanged.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use crate::{
    fuse::{Node, Operation, Request, errno},
    tools::hold,
};

/// Time-out until one is set: what the kernel's drivers start with.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Longest time-out in seconds.
const TIMEOUT_MAX: i32 = 3600;
const IDENTITY: &[u8] = b"Mainstay bench watchdog";
/// `WDIOF_SETTIMEOUT | WDIOF_MAGICCLOSE | WDIOF_KEEPALIVEPING`.
const ABILITIES: u32 = 0x0080 | 0x0100 | 0x8000;

const WDIOC_GETSUPPORT: u32 = 0x8028_5700;
const WDIOC_GETSTATUS: u32 = 0x8004_5701;
const WDIOC_GETBOOTSTATUS: u32 = 0x8004_5702;
const WDIOC_KEEPALIVE: u32 = 0x8004_5705;
const WDIOC_SETTIMEOUT: u32 = 0xC004_5706;
const WDIOC_GETTIMEOUT: u32 = 0x8004_5707;
const WDIOC_GETTIMELEFT: u32 = 0x8004_570A;

/// One server's watchdog for one boot.
pub struct Watchdog {
    state: Mutex<State>,
    /// Whether the last reset was the watchdog's (`WDIOC_GETBOOTSTATUS`).
    caused_boot: bool,
}

struct State {
    open: bool,
    timeout: Duration,
    /// When it bites; `None` while it does not count.
    bites_at: Option<Instant>,
    /// Whether `V` was the last thing written.
    may_stop: bool,
}

impl Watchdog {
    /// A watchdog that does not count yet.
    pub fn new(caused_boot: bool) -> Watchdog {
        let state = State { open: false, timeout: TIMEOUT, bites_at: None, may_stop: false };
        Watchdog { state: Mutex::new(state), caused_boot }
    }

    /// When the server is reset unless someone feeds; `None` while it does not count.
    pub fn bites_at(&self) -> Option<Instant> {
        hold(&self.state).bites_at
    }

    /// Stops for good: its server is down.
    pub fn stop(&self) {
        hold(&self.state).bites_at = None;
    }

    fn ioctl(&self, number: u32, input: &[u8]) -> Result<Vec<u8>, i32> {
        let mut state = hold(&self.state);
        let seconds = |duration: Duration| (duration.as_secs() as i32).to_ne_bytes().to_vec();
        match number {
            WDIOC_GETSUPPORT => {
                let mut answer = ABILITIES.to_ne_bytes().to_vec();
                answer.extend(1_u32.to_ne_bytes());
                answer.extend(IDENTITY);
                answer.resize(40, 0);
                Ok(answer)
            }
            WDIOC_GETSTATUS => Ok(vec![0; 4]),
            // WDIOF_CARDRESET
            WDIOC_GETBOOTSTATUS => Ok(if self.caused_boot { 0x20_u32 } else { 0 }.to_ne_bytes().to_vec()),
            WDIOC_KEEPALIVE => {
                state.feed();
                Ok(vec![0; 4])
            }
            WDIOC_SETTIMEOUT => {
                let wanted = input.try_into().map(i32::from_ne_bytes).map_err(|_| libc::EINVAL)?;
                if !(1..=TIMEOUT_MAX).contains(&wanted) {
                    return Err(libc::EINVAL);
                }
                state.timeout = Duration::from_secs(wanted as u64);
                state.feed();
                Ok(seconds(state.timeout))
            }
            WDIOC_GETTIMEOUT => Ok(seconds(state.timeout)),
            WDIOC_GETTIMELEFT => {
                let left = state.bites_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()));
                Ok(seconds(left))
            }
            _ => Err(errno::ENOTTY),
        }
    }
}

impl State {
    fn feed(&mut self) {
        if self.open {
            self.bites_at = Some(Instant::now() + self.timeout);
        }
    }
}

impl Node for Watchdog {
    fn size(&self) -> u64 {
        0
    }

    fn open(&self) -> Result<(), i32> {
        let mut state = hold(&self.state);
        if state.open {
            return Err(errno::EBUSY);
        }
        state.open = true;
        state.may_stop = false;
        state.feed();
        Ok(())
    }

    fn closed(&self) {
        let mut state = hold(&self.state);
        state.open = false;
        if state.may_stop {
            state.bites_at = None;
        }
    }

    fn handle(self: Arc<Self>, request: Request) {
        match &request.operation {
            Operation::Write { data, .. } => {
                let mut state = hold(&self.state);
                state.may_stop = data.contains(&b'V');
                state.feed();
                drop(state);
                let count = data.len() as u32;
                request.written(count);
            }
            Operation::Ioctl { number, input, room } => match self.ioctl(*number, input) {
                Ok(mut output) => {
                    output.truncate(*room as usize);
                    request.ioctl_done(&output);
                }
                Err(number) => request.answer(Err(number)),
            },
            Operation::Read { .. } | Operation::Flush => request.answer(Ok(&[])),
            Operation::Clear { .. } => request.answer(Err(errno::EOPNOTSUPP)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_from_the_opening_and_every_feed_starts_again() {
        let watchdog = Watchdog::new(false);
        assert_eq!(watchdog.bites_at(), None);
        watchdog.open().unwrap();
        let first = watchdog.bites_at().unwrap();
        assert_eq!(watchdog.ioctl(WDIOC_SETTIMEOUT, &5_i32.to_ne_bytes()).unwrap(), 5_i32.to_ne_bytes());
        let second = watchdog.bites_at().unwrap();
        assert!(second < first);
        watchdog.ioctl(WDIOC_KEEPALIVE, &[]).unwrap();
        assert!(watchdog.bites_at().unwrap() >= second);
    }

    #[test]
    fn a_second_opening_is_refused_and_a_close_without_the_letter_leaves_it_counting() {
        let watchdog = Watchdog::new(false);
        watchdog.open().unwrap();
        assert_eq!(watchdog.open(), Err(errno::EBUSY));
        watchdog.closed();
        assert!(watchdog.bites_at().is_some());
    }

    #[test]
    fn a_time_out_of_nothing_is_refused() {
        let watchdog = Watchdog::new(true);
        assert_eq!(watchdog.ioctl(WDIOC_SETTIMEOUT, &0_i32.to_ne_bytes()), Err(libc::EINVAL));
        assert_eq!(watchdog.ioctl(WDIOC_GETBOOTSTATUS, &[]).unwrap(), 0x20_u32.to_ne_bytes());
        assert_eq!(watchdog.ioctl(WDIOC_GETSUPPORT, &[]).unwrap().len(), 40);
    }
}
