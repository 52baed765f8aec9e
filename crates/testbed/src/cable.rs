//! The serial cable between server1 and server2: two pseudo terminals and a thread that carries bytes between them.
//!
//! The slaves are bound as `/dev/ttyS0`. A cut cable loses what is sent; speed and signals of a line are not imitated.

use crate::tools::hold;
use anyhow::{Context, Result};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{OptionalActions, tcgetattr, tcsetattr},
};
use std::{
    os::fd::OwnedFd,
    sync::{Arc, Mutex},
};

/// The cable; its ends are the two paths.
pub struct Cable {
    /// Path of the pseudo terminal for server1 and for server2.
    pub ends: [String; 2],
    gate: Arc<Gate>,
    /// Kept open so that the line does not hang up between two users.
    _slaves: [OwnedFd; 2],
}

impl Cable {
    /// Makes the cable and starts its thread, which ends with the process.
    ///
    /// # Errors
    /// No pseudo terminal is free.
    pub fn new() -> Result<Cable> {
        let (master1, end1, slave1) = terminal()?;
        let (master2, end2, slave2) = terminal()?;
        let gate = Arc::new(Gate { masters: [master1, master2], is_cut: Mutex::new(false) });
        let gate_there = gate.clone();
        std::thread::Builder::new()
            .name("cable".to_string())
            .spawn(move || gate_there.carry())
            .context("cannot start a thread")?;
        Ok(Cable { ends: [end1, end2], gate, _slaves: [slave1, slave2] })
    }

    /// Cuts the cable or joins it again.
    pub fn set_cut(&self, cut: bool) {
        let mut is_cut = hold(&self.gate.is_cut);
        // What was sent before this moment met the cable as it was.
        for (from, to) in DIRECTIONS {
            self.gate.pass(from, to, *is_cut);
        }
        *is_cut = cut;
    }

    /// Says whether it is cut.
    pub fn is_cut(&self) -> bool {
        *hold(&self.gate.is_cut)
    }
}

fn terminal() -> Result<(OwnedFd, String, OwnedFd)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).context("no pseudo terminal is free")?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?.to_string_lossy().into_owned();
    let slave = open(name.as_str(), OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    let mut modes = tcgetattr(&slave)?;
    modes.make_raw();
    tcsetattr(&slave, OptionalActions::Now, &modes)?;
    rustix::io::ioctl_fionbio(&master, true)?;
    Ok((master, name, slave))
}

/// From which end to which.
const DIRECTIONS: [(usize, usize); 2] = [(0, 1), (1, 0)];

struct Gate {
    masters: [OwnedFd; 2],
    is_cut: Mutex<bool>,
}

impl Gate {
    fn carry(&self) {
        loop {
            let mut wanted = [0, 1].map(|end: usize| PollFd::new(&self.masters[end], PollFlags::IN));
            if poll(&mut wanted, None).is_err() {
                continue;
            }
            let is_cut = hold(&self.is_cut);
            for (from, to) in DIRECTIONS {
                self.pass(from, to, *is_cut);
            }
        }
    }

    /// Takes what one end has sent and hands it to the other, or loses it.
    fn pass(&self, from: usize, to: usize, is_cut: bool) {
        let mut buffer = [0_u8; 4096];
        while let Ok(count) = rustix::io::read(&self.masters[from], &mut buffer[..]) {
            if count == 0 {
                return;
            }
            if !is_cut {
                // A full line at the other end loses bytes, as a real one without flow control does.
                let _ = rustix::io::write(&self.masters[to], &buffer[..count]);
            }
        }
    }
}
