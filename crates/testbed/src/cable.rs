//! The serial cable between server1 and server2: two pseudo terminals and a thread that carries bytes between them.
//!
//! The slaves are bound as `/dev/ttyS0`. A cut cable loses what is sent; speed and signals of a line are not imitated.

use anyhow::{Context, Result};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{OptionalActions, tcgetattr, tcsetattr},
};
use std::{
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// The cable; its ends are the two paths.
pub struct Cable {
    /// Path of the pseudo terminal for server1 and for server2.
    pub ends: [String; 2],
    cut: Arc<AtomicBool>,
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
        let cut = Arc::new(AtomicBool::new(false));
        let cut_here = cut.clone();
        std::thread::Builder::new()
            .name("cable".to_string())
            .spawn(move || carry(&[master1, master2], &cut_here))
            .context("cannot start a thread")?;
        Ok(Cable { ends: [end1, end2], cut, _slaves: [slave1, slave2] })
    }

    /// Cuts the cable or joins it again.
    pub fn set_cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
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

fn carry(masters: &[OwnedFd; 2], cut: &AtomicBool) {
    let mut buffer = [0_u8; 4096];
    loop {
        let mut wanted = [PollFd::new(&masters[0], PollFlags::IN), PollFd::new(&masters[1], PollFlags::IN)];
        if poll(&mut wanted, None).is_err() {
            continue;
        }
        let ready = [!wanted[0].revents().is_empty(), !wanted[1].revents().is_empty()];
        for (from, to) in [(0, 1), (1, 0)] {
            if !ready[from] {
                continue;
            }
            match rustix::io::read(&masters[from], &mut buffer[..]) {
                // A full line at the other end loses bytes, as a real one without flow control does.
                Ok(count) if !cut.load(Ordering::SeqCst) => {
                    let _ = rustix::io::write(&masters[to], &buffer[..count]);
                }
                Ok(_) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }
}
