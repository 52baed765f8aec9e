//! comhb: heartbeats over a serial line between two servers.
//!
//! Carries presence only; frames can be lost or damaged (then they are dropped) but not reordered. The line is opened
//! again when it goes away.

use super::{
    DropCount, Dropped, FRAME_MAX, PathStatus, Received, STOP_CHECK, Sink, StatusCell, StopFlag, Transport, boottime,
    check_length, pending::PendingFrame,
};
use clp_sys::serial::{Decoder, SerialLine, encode};
use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How long a line may take nothing before that counts as a failure: nobody reads at the other end.
const JAM_LIMIT: Duration = Duration::from_secs(1);
const JAMMED: &str = "the serial line takes no data; check that the other server runs and the cable is connected";

/// A serial heartbeat path.
#[derive(Debug)]
pub struct ComPath {
    name: String,
    pending: PendingFrame,
    status: StatusCell,
    dropped: DropCount,
    stop: StopFlag,
}

/// Opens the path number `path` over `tty`; a missing or broken line shows in the status and is tried again.
///
/// # Errors
/// No thread could be started.
pub fn open(path: usize, tty: &Path, sink: Sink) -> io::Result<ComPath> {
    let com = ComPath {
        name: format!("comhb {}", tty.display()),
        pending: PendingFrame::default(),
        status: StatusCell::new(),
        dropped: DropCount::default(),
        stop: StopFlag::default(),
    };
    let line = Arc::new(Mutex::new(None));
    let reader = Reader {
        path,
        tty: tty.to_path_buf(),
        line: Arc::clone(&line),
        status: com.status.clone(),
        dropped: com.dropped.clone(),
        stop: com.stop.clone(),
        sink,
    };
    let writer = Writer { line, pending: com.pending.clone(), status: com.status.clone(), stop: com.stop.clone() };
    // Owner of both: the path; they end within STOP_CHECK of its drop. Cut short, a frame is lost.
    thread::Builder::new().name(format!("comhb{path}-read")).spawn(move || reader.run())?;
    let started = thread::Builder::new().name(format!("comhb{path}-write")).spawn(move || writer.run());
    if let Err(error) = started {
        com.stop.set();
        return Err(error);
    }
    Ok(com)
}

impl Transport for ComPath {
    fn name(&self) -> &str {
        &self.name
    }

    fn send(&mut self, _to: usize, frame: &[u8]) -> io::Result<()> {
        check_length(frame, FRAME_MAX)?;
        self.pending.put(frame);
        match self.status.current() {
            PathStatus::Failed(text) => Err(io::Error::new(io::ErrorKind::BrokenPipe, text)),
            PathStatus::Opening | PathStatus::Working => Ok(()),
        }
    }

    fn status(&self) -> PathStatus {
        self.status.current()
    }

    fn dropped(&self) -> Dropped {
        self.dropped.current()
    }
}

impl Drop for ComPath {
    fn drop(&mut self) {
        self.stop.set();
    }
}

type SharedLine = Arc<Mutex<Option<Arc<SerialLine>>>>;

struct Reader {
    path: usize,
    tty: PathBuf,
    line: SharedLine,
    status: StatusCell,
    dropped: DropCount,
    stop: StopFlag,
    sink: Sink,
}

impl Reader {
    fn run(self) {
        while !self.stop.is_set() {
            let result = SerialLine::open(&self.tty).and_then(|line| {
                let line = Arc::new(line);
                *self.line.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&line));
                self.status.works();
                self.read(&line)
            });
            *self.line.lock().unwrap_or_else(PoisonError::into_inner) = None;
            if let Err(error) = result {
                self.status.failed(format!(
                    "cannot use the serial line {}: {error}; check the cable and the device name",
                    self.tty.display()
                ));
                thread::sleep(STOP_CHECK);
            }
        }
    }

    fn read(&self, line: &SerialLine) -> io::Result<()> {
        let mut decoder = Decoder::default();
        let mut damaged = 0;
        let mut bytes = [0; 1024];
        while !self.stop.is_set() {
            if !line.wait_readable(STOP_CHECK)? {
                continue;
            }
            let length = line.read(&mut bytes)?;
            let at = boottime();
            decoder.take(&bytes[..length], |frame| (self.sink)(Received { path: self.path, bytes: frame, at }));
            self.dropped.damaged(decoder.damaged() - damaged);
            damaged = decoder.damaged();
        }
        Ok(())
    }
}

struct Writer {
    line: SharedLine,
    pending: PendingFrame,
    status: StatusCell,
    stop: StopFlag,
}

impl Writer {
    fn run(self) {
        while !self.stop.is_set() {
            let Some(frame) = self.pending.take_within(STOP_CHECK) else { continue };
            let line = self.line.lock().unwrap_or_else(PoisonError::into_inner).clone();
            // Without a line the frame is dropped; the reader's thread says why.
            let (Some(line), Some(encoded)) = (line, encode(&frame)) else { continue };
            // On an error the reader's thread sees the same and opens the line again.
            if let Ok(true) = self.write_whole(&line, &encoded) {
                self.status.works();
            }
        }
    }

    /// Writes all of `bytes`, waiting for as long as the line takes nothing; false when it was given up after a jam.
    fn write_whole(&self, line: &SerialLine, mut bytes: &[u8]) -> io::Result<bool> {
        let mut last_progress = Instant::now();
        let mut is_jammed = false;
        while !bytes.is_empty() && !self.stop.is_set() {
            let written = line.write(bytes)?;
            bytes = &bytes[written..];
            if written > 0 && is_jammed {
                // Somebody reads again: what stands in the line is old, the newest frame waits behind it.
                line.drop_unsent();
                return Ok(false);
            }
            if written > 0 {
                last_progress = Instant::now();
            } else {
                if last_progress.elapsed() > JAM_LIMIT {
                    is_jammed = true;
                    self.status.failed(JAMMED.to_string());
                }
                line.wait_writable(STOP_CHECK)?;
            }
        }
        Ok(bytes.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests_support::{Inbox, until};
    use super::*;
    use rustix::{
        fd::OwnedFd,
        pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    };

    fn pty() -> (OwnedFd, PathBuf) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("pty");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("pty");
        let name = ptsname(&master, Vec::new()).expect("name").into_string().expect("name");
        (master, name.into())
    }

    fn copy(from: OwnedFd, to: OwnedFd) {
        std::thread::spawn(move || {
            let mut bytes = [0; 512];
            // Ends when a terminal is closed at both ends of the test.
            while let Ok(length) = rustix::io::read(&from, &mut bytes) {
                if rustix::io::write(&to, &bytes[..length]).is_err() {
                    break;
                }
            }
        });
    }

    /// Works over a pty pair.
    #[test]
    fn frames_cross_a_line_with_garbage_on_it() {
        let ((left, left_name), (right, right_name)) = (pty(), pty());
        let noise = left.try_clone().expect("descriptor");
        copy(left.try_clone().expect("descriptor"), right.try_clone().expect("descriptor"));
        copy(right, left);
        let ((left_inbox, left_sink), (right_inbox, right_sink)) = (Inbox::new(), Inbox::new());
        let mut first = open(1, &left_name, left_sink).expect("first");
        let mut second = open(2, &right_name, right_sink).expect("second");
        until("both are open", || first.status() == PathStatus::Working && second.status() == PathStatus::Working);
        for round in 0..30_u8 {
            let frame = vec![round; 1 + usize::from(round) * 20];
            // Noise towards the left side, zero bytes and control characters included.
            rustix::io::write(&noise, &[round, 0, 3, 17, 19, 4, 255, 0, 26, 28, round]).expect("noise");
            until("frames cross in both directions", || {
                let _ = (first.send(0, &frame), second.send(0, &frame));
                left_inbox.any(|received| received.bytes == frame && received.path == 1)
                    && right_inbox.any(|received| received.bytes == frame)
            });
        }
        assert!(first.dropped().damaged >= 30, "the garbage is counted: {:?}", first.dropped());
        assert!(
            left_inbox.all(|received| received.bytes.iter().all(|byte| *byte == received.bytes[0])),
            "garbage was taken for a frame"
        );
    }

    #[test]
    fn a_line_that_goes_away_and_comes_back_is_used_again() {
        let folder = tempfile::tempdir().expect("folder");
        let tty = folder.path().join("ttyS0");
        let (inbox, sink) = Inbox::new();
        let mut path = open(0, &tty, sink).expect("path");
        until("the missing line shows", || matches!(path.status(), PathStatus::Failed(text) if text.contains("ttyS0")));
        for _ in 0..2 {
            let (master, name) = pty();
            std::os::unix::fs::symlink(&name, &tty).expect("link");
            until("the line is open", || path.status() == PathStatus::Working);
            until("its frames arrive", || {
                rustix::io::write(&master, &encode(b"hello").expect("short")).expect("write");
                inbox.any(|received| received.bytes == b"hello")
            });
            std::fs::remove_file(&tty).expect("unlink");
            drop(master);
            until("the loss shows", || matches!(path.status(), PathStatus::Failed(_)));
            assert!(path.send(0, b"x").is_err());
            inbox.clear();
        }
    }

    #[test]
    fn a_line_that_nobody_reads_does_not_block_the_sender() {
        let (_master, name) = pty();
        let mut path = open(0, &name, Inbox::new().1).expect("path");
        let begin = Instant::now();
        let mut slowest = Duration::ZERO;
        while !matches!(path.status(), PathStatus::Failed(_)) {
            let before = Instant::now();
            let _ = path.send(0, &[1; 3000]);
            slowest = slowest.max(before.elapsed());
            assert!(begin.elapsed() < Duration::from_secs(20), "the jam never showed");
            thread::sleep(Duration::from_millis(5));
        }
        assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    }
}
