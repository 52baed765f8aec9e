//! An Ethernet interface whose other end is this process (TUN/TAP, Documentation/networking/tuntap.rst). For the test bench.

#![allow(unsafe_code, reason = "the ioctls of TUN/TAP have no safe wrapper")]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

/// The process's end; dropping it removes the interface.
#[derive(Debug)]
pub struct Tap {
    file: File,
}

impl Tap {
    /// Makes the interface `name` in the calling thread's network namespace. It stays there, whoever holds this end.
    ///
    /// # Errors
    /// Not root, no `/dev/net/tun`, or the name is in use or longer than 15 bytes.
    pub fn create(name: &str) -> io::Result<Tap> {
        let file = File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun")?;
        if name.len() > 15 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: ifreq is plain data for which zero is valid; the kernel reads and writes it during the call.
        let made = unsafe {
            let mut request: libc::ifreq = std::mem::zeroed();
            for (place, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
                *place = byte as libc::c_char;
            }
            request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
            libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &mut request)
        };
        if made == 0 { Ok(Tap { file }) } else { Err(io::Error::last_os_error()) }
    }

    /// Plugs a cable in, or pulls it: the interface has a carrier, or none.
    ///
    /// # Errors
    /// The interface is set down or has gone with its namespace.
    pub fn set_carrier(&self, up: bool) -> io::Result<()> {
        let up = libc::c_int::from(up);
        // SAFETY: the kernel reads one int.
        let done = unsafe { libc::ioctl(self.file.as_raw_fd(), TUNSETCARRIER as _, &up) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// The next frame that the interface sends.
    ///
    /// # Errors
    /// None is waiting ([`io::ErrorKind::WouldBlock`]), or the interface has gone.
    pub fn read(&self, frame: &mut [u8]) -> io::Result<usize> {
        (&self.file).read(frame)
    }

    /// Hands a frame to the interface.
    ///
    /// # Errors
    /// The interface is down or has gone.
    pub fn write(&self, frame: &[u8]) -> io::Result<()> {
        (&self.file).write(frame).map(drop)
    }
}

/// `TUNSETCARRIER` of include/uapi/linux/if_tun.h: `_IOW('T', 226, int)`.
const TUNSETCARRIER: u32 = 0x4004_54e2;

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
