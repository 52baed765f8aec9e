//! SCSI commands to a disk by the kernel's generic interface (scsi-generic HOWTO; SPC-4 for commands and sense data).

#![allow(unsafe_code, reason = "the SG_IO ioctl has no safe wrapper")]

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use thiserror::Error;

/// scsi/sg.h.
const SG_IO: libc::c_ulong = 0x2285;
const SG_DXFER_NONE: libc::c_int = -1;
/// Sense data that is looked at: key and codes lie in the first 14 bytes of either format.
const SENSE: usize = 32;
/// A disk tells of each reset once; more than this in a row is a fault of its own.
const ATTENTIONS_MAX: u32 = 4;

/// `struct sg_io_hdr` of scsi/sg.h.
#[repr(C)]
struct Header {
    interface_id: libc::c_int,
    dxfer_direction: libc::c_int,
    cmd_len: u8,
    mx_sb_len: u8,
    iovec_count: u16,
    dxfer_len: u32,
    dxferp: *mut libc::c_void,
    cmdp: *const u8,
    sbp: *mut u8,
    timeout: u32,
    flags: u32,
    pack_id: libc::c_int,
    usr_ptr: *mut libc::c_void,
    status: u8,
    masked_status: u8,
    msg_status: u8,
    sb_len_wr: u8,
    host_status: u16,
    driver_status: u16,
    resid: libc::c_int,
    duration: u32,
    info: u32,
}

/// Why a disk is not ready.
#[derive(Debug, Error)]
pub enum NotReady {
    /// It cannot be opened or takes no SCSI commands.
    #[error("{0}")]
    NoScsi(#[source] io::Error),
    /// The command did not get to the disk, or no answer came back (host status of the driver).
    #[error("the path to it failed (host status {0:#04x})")]
    Path(u16),
    /// It answered, but not with good status.
    #[error("it answered with status {status:#04x}, sense key {key:#03x}, code {code:#04x}/{qualifier:#04x}")]
    Status {
        /// SCSI status byte.
        status: u8,
        /// Sense key.
        key: u8,
        /// Additional sense code.
        code: u8,
        /// Its qualifier.
        qualifier: u8,
    },
}

/// Asks the disk whether it is ready (TEST UNIT READY), at most `limit` each time it is asked.
///
/// That a disk was reset, or is reserved by another server, is an answer: it is ready.
///
/// # Errors
/// See [`NotReady`].
pub fn test_unit_ready(device: &Path, limit: Duration) -> Result<(), NotReady> {
    let open = OpenOptions::new().read(true).custom_flags(libc::O_CLOEXEC | libc::O_NONBLOCK).open(device);
    let file = open.map_err(NotReady::NoScsi)?;
    let mut attentions = 0;
    loop {
        let command = [0u8; 6];
        let mut sense = [0u8; SENSE];
        let mut header = Header {
            interface_id: libc::c_int::from(b'S'),
            dxfer_direction: SG_DXFER_NONE,
            cmd_len: 6,
            mx_sb_len: SENSE as u8,
            iovec_count: 0,
            dxfer_len: 0,
            dxferp: std::ptr::null_mut(),
            cmdp: command.as_ptr(),
            sbp: sense.as_mut_ptr(),
            timeout: u32::try_from(limit.as_millis()).unwrap_or(u32::MAX).max(1),
            flags: 0,
            pack_id: 0,
            usr_ptr: std::ptr::null_mut(),
            status: 0,
            masked_status: 0,
            msg_status: 0,
            sb_len_wr: 0,
            host_status: 0,
            driver_status: 0,
            resid: 0,
            duration: 0,
            info: 0,
        };
        // SAFETY: the kernel reads the command and writes header and sense data, all of which outlive the call.
        if unsafe { libc::ioctl(file.as_raw_fd(), SG_IO as _, &mut header) } != 0 {
            return Err(NotReady::NoScsi(io::Error::last_os_error()));
        }
        match answer(header.status, header.host_status, &sense) {
            Answer::Ready => return Ok(()),
            Answer::Attention if attentions < ATTENTIONS_MAX => attentions += 1,
            Answer::Attention => return Err(status(header.status, &sense)),
            Answer::NotReady(reason) => return Err(reason),
        }
    }
}

#[derive(Debug)]
enum Answer {
    Ready,
    /// Something happened before; told once.
    Attention,
    NotReady(NotReady),
}

const CHECK_CONDITION: u8 = 0x02;
const RESERVATION_CONFLICT: u8 = 0x18;
const UNIT_ATTENTION: u8 = 0x06;

fn answer(status_byte: u8, host_status: u16, sense: &[u8; SENSE]) -> Answer {
    match (status_byte, host_status) {
        (0 | RESERVATION_CONFLICT, 0) => Answer::Ready,
        (CHECK_CONDITION, 0) if key(sense) == UNIT_ATTENTION => Answer::Attention,
        (_, 0) => Answer::NotReady(status(status_byte, sense)),
        (_, host) => Answer::NotReady(NotReady::Path(host)),
    }
}

/// Response codes 0x72 and 0x73 have the descriptor format, others the fixed one.
fn is_descriptor(sense: &[u8; SENSE]) -> bool {
    matches!(sense[0] & 0x7f, 0x72 | 0x73)
}

fn key(sense: &[u8; SENSE]) -> u8 {
    (if is_descriptor(sense) { sense[1] } else { sense[2] }) & 0x0f
}

fn status(status: u8, sense: &[u8; SENSE]) -> NotReady {
    let (code, qualifier) = if is_descriptor(sense) { (sense[2], sense[3]) } else { (sense[12], sense[13]) };
    NotReady::Status { status, key: key(sense), code, qualifier }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(key: u8, code: u8, qualifier: u8) -> [u8; SENSE] {
        let mut sense = [0; SENSE];
        (sense[0], sense[2], sense[12], sense[13]) = (0x70, key, code, qualifier);
        sense
    }

    #[test]
    fn answers_are_told_apart() {
        let none = [0; SENSE];
        assert!(matches!(answer(0, 0, &none), Answer::Ready));
        assert!(matches!(answer(0x18, 0, &none), Answer::Ready), "reserved by another server");
        assert!(matches!(answer(2, 0, &fixed(6, 0x29, 0)), Answer::Attention), "power on or reset");
        assert!(matches!(answer(0, 1, &none), Answer::NotReady(NotReady::Path(1))), "no connection");
        assert!(matches!(answer(8, 0, &none), Answer::NotReady(NotReady::Status { status: 8, .. })), "busy");
        let Answer::NotReady(reason) = answer(2, 0, &fixed(2, 0x3a, 1)) else { panic!("medium not present") };
        assert_eq!(reason.to_string(), "it answered with status 0x02, sense key 0x2, code 0x3a/0x01");
        let mut sense = [0; SENSE];
        (sense[0], sense[1], sense[2], sense[3]) = (0x72, 2, 0x04, 0x03);
        let Answer::NotReady(reason) = answer(2, 0, &sense) else { panic!("manual intervention required") };
        assert_eq!(reason.to_string(), "it answered with status 0x02, sense key 0x2, code 0x04/0x03");
    }

    #[test]
    fn what_takes_no_scsi_commands_is_an_error() {
        let second = Duration::from_secs(1);
        assert!(matches!(test_unit_ready(Path::new("/dev/null"), second), Err(NotReady::NoScsi(_))));
        assert!(matches!(test_unit_ready(Path::new("/no/such/disk"), second), Err(NotReady::NoScsi(_))));
    }
}
