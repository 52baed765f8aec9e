//! A serial line as a carrier of frames: raw terminal mode, framing with a checksum, recovery after garbage.
//!
//! Framing: COBS (Cheshire and Baker, 1999) of the frame and its CRC-32C, between zero bytes. A zero byte never occurs
//! inside, so a receiver that starts in the middle or reads noise is in step again at the next one. Nothing is repeated:
//! a damaged frame is lost.

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags, open},
    io::{Errno, read, write},
    termios::{ControlModes, OptionalActions, QueueSelector, tcflush, tcgetattr, tcsetattr},
};
use std::{io, os::fd::OwnedFd, path::Path, time::Duration};

/// Longest frame in bytes.
pub const FRAME_MAX: usize = 4096;
/// Speed asked for; at it a frame of 300 bytes takes 26 ms.
const SPEED: u32 = 115_200;
const CHECKSUM: usize = 4;
/// Longest encoded frame: one code byte per 254 bytes begun.
const ENCODED_MAX: usize = FRAME_MAX + CHECKSUM + (FRAME_MAX + CHECKSUM) / 254 + 1;

/// An open serial line (or pseudo-terminal) in raw mode, not blocking.
#[derive(Debug)]
pub struct SerialLine {
    descriptor: OwnedFd,
}

impl SerialLine {
    /// Opens `tty`, sets raw mode and, where the driver lets us, 115200 bits per second.
    ///
    /// # Errors
    /// The kernel's answer; a file that is no terminal gives `ENOTTY`.
    pub fn open(tty: &Path) -> io::Result<SerialLine> {
        let descriptor = open(tty, OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
        let mut settings = tcgetattr(&descriptor)?;
        settings.make_raw();
        settings.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD;
        tcsetattr(&descriptor, OptionalActions::Now, &settings)?;
        // A step of its own: some drivers refuse a speed, and would refuse the raw mode with it.
        if settings.set_speed(SPEED).is_ok() {
            let _ = tcsetattr(&descriptor, OptionalActions::Now, &settings);
        }
        let _ = tcflush(&descriptor, QueueSelector::IOFlush);
        Ok(SerialLine { descriptor })
    }

    /// Waits at most `time` until there is something to read; says whether there is.
    ///
    /// # Errors
    /// The line has gone (`BrokenPipe`), or the kernel's answer.
    pub fn wait_readable(&self, time: Duration) -> io::Result<bool> {
        self.wait(PollFlags::IN, time)
    }

    /// Waits at most `time` until the line takes more; says whether it does.
    ///
    /// # Errors
    /// As [`SerialLine::wait_readable`].
    pub fn wait_writable(&self, time: Duration) -> io::Result<bool> {
        self.wait(PollFlags::OUT, time)
    }

    fn wait(&self, wanted: PollFlags, time: Duration) -> io::Result<bool> {
        let mut ready = [PollFd::new(&self.descriptor, wanted)];
        let time = Timespec { tv_sec: time.as_secs() as _, tv_nsec: time.subsec_nanos() as _ };
        match poll(&mut ready, Some(&time)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let events = ready[0].revents();
        let has_gone = events.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL);
        if has_gone && !events.contains(PollFlags::IN) {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the serial line has hung up"));
        }
        Ok(events.intersects(wanted))
    }

    /// Reads what has come; 0 when nothing has.
    ///
    /// # Errors
    /// The line has gone, or the kernel's answer.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match read(&self.descriptor, buffer) {
            Ok(0) => Err(io::Error::new(io::ErrorKind::BrokenPipe, "the serial line has hung up")),
            Ok(length) => Ok(length),
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes as much as the line takes now; 0 when it takes nothing.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match write(&self.descriptor, bytes) {
            Ok(length) => Ok(length),
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Drops what was written and not yet sent: after a jam, old frames are worth nothing.
    pub fn drop_unsent(&self) {
        let _ = tcflush(&self.descriptor, QueueSelector::OFlush);
    }
}

/// Encodes a frame for the line, zero bytes at both ends; `None` when it is longer than [`FRAME_MAX`].
pub fn encode(frame: &[u8]) -> Option<Vec<u8>> {
    if frame.len() > FRAME_MAX {
        return None;
    }
    let mut encoded = Vec::with_capacity(ENCODED_MAX + 2);
    // The first zero ends whatever garbage stood before.
    encoded.push(0);
    let mut code_at = encoded.len();
    encoded.push(1);
    for byte in frame.iter().copied().chain(crc32c::crc32c(frame).to_le_bytes()) {
        if byte != 0 {
            encoded.push(byte);
            encoded[code_at] += 1;
        }
        if byte == 0 || encoded[code_at] == u8::MAX {
            code_at = encoded.len();
            encoded.push(1);
        }
    }
    encoded.push(0);
    Some(encoded)
}

/// Finds frames in a stream of bytes.
#[derive(Debug, Default)]
pub struct Decoder {
    pending: Vec<u8>,
    is_overlong: bool,
    damaged: u64,
}

impl Decoder {
    /// Takes bytes from the line and hands every whole, undamaged frame to `found`.
    pub fn take(&mut self, bytes: &[u8], mut found: impl FnMut(Vec<u8>)) {
        for byte in bytes {
            if *byte != 0 {
                if self.pending.len() < ENCODED_MAX {
                    self.pending.push(*byte)
                } else {
                    self.is_overlong = true
                }
                continue;
            }
            if !self.pending.is_empty() {
                match decode(&self.pending).filter(|_| !self.is_overlong) {
                    Some(frame) => found(frame),
                    None => self.damaged += 1,
                }
            }
            self.pending.clear();
            self.is_overlong = false;
        }
    }

    /// How many damaged frames or stretches of garbage were dropped.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }
}

fn decode(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut frame = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((code, behind)) = rest.split_first() {
        let count = usize::from(*code).checked_sub(1)?;
        let (run, next) = behind.split_at_checked(count)?;
        frame.extend_from_slice(run);
        if *code != u8::MAX && !next.is_empty() {
            frame.push(0);
        }
        rest = next;
    }
    let body = frame.len().checked_sub(CHECKSUM)?;
    let checksum = u32::from_le_bytes(frame[body..].try_into().ok()?);
    frame.truncate(body);
    (crc32c::crc32c(&frame) == checksum && frame.len() <= FRAME_MAX).then_some(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers without a pattern, the same on every run (xorshift).
    struct Noise(u64);
    impl Noise {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }
        fn bytes(&mut self, length: usize) -> Vec<u8> {
            (0..length).map(|_| if self.next().is_multiple_of(4) { 0 } else { self.next() as u8 }).collect()
        }
    }

    fn decoded(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        Decoder::default().take(bytes, |frame| frames.push(frame));
        frames
    }

    #[test]
    fn frames_of_every_length_come_back() {
        let mut noise = Noise(1);
        for length in (0..600).chain([FRAME_MAX - 1, FRAME_MAX]) {
            for frame in [noise.bytes(length), vec![1; length], vec![0; length]] {
                let encoded = encode(&frame).expect("short enough");
                assert!(!encoded[1..encoded.len() - 1].contains(&0));
                assert!(encoded.len() <= ENCODED_MAX + 2);
                assert_eq!(decoded(&encoded), [frame]);
            }
        }
        assert_eq!(encode(&vec![0; FRAME_MAX + 1]), None);
    }

    #[test]
    fn after_garbage_the_next_frame_is_read() {
        let mut noise = Noise(2);
        let mut decoder = Decoder::default();
        for round in 0..2000_usize {
            let frame = noise.bytes(round % 300);
            let length = (noise.next() % 100) as usize;
            let mut garbage = noise.bytes(length);
            if round % 200 == 0 {
                garbage = vec![7; 3 * ENCODED_MAX];
            }
            let mut line = garbage;
            line.extend(encode(&frame).expect("short enough"));
            let mut frames = Vec::new();
            let split = (noise.next() as usize) % line.len();
            decoder.take(&line[..split], |frame| frames.push(frame));
            decoder.take(&line[split..], |frame| frames.push(frame));
            assert_eq!(frames.last(), Some(&frame), "round {round}");
        }
        assert!(decoder.damaged() > 100);
    }

    #[test]
    fn a_flipped_bit_never_passes() {
        let frame = Noise(3).bytes(200);
        let encoded = encode(&frame).expect("short enough");
        for bit in 0..encoded.len() * 8 {
            let mut damaged = encoded.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decoded(&damaged).iter().all(|found| *found == frame), "bit {bit}");
        }
    }
}
