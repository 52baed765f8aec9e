//! Alerts and causes on their way out: one thread writes the alert record, syslog and the log, so that the loop never waits.
//!
//! Syslog is told at once. What cannot be recorded because the disk is full waits here and is recorded later with its own time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use clp_alerts::Alert;
use clp_core::action::Alert as Fact;
use clp_core::ids::ServerId;
use clp_core::plan::Plan;
use clp_services::alertlog;
use clp_sys::paths::Root;

use super::words;
use crate::setup::{self, Loaded};

/// Between two looks at the room that is left, and two tries to record what could not be.
const LOOK_PAUSE: Duration = Duration::from_secs(3);
/// Bytes below which a file system counts as full: an alert still fits in, a configuration may not.
const ROOM_MIN: u64 = 256 << 10;
/// Alerts that wait to be recorded; of more only the number is kept, syslog has them.
const LATE_MAX: usize = 1000;

enum Line {
    Alert(Alert),
    Note(String),
    Keep(&'static str, String),
    Flush(Sender<()>),
}

/// The loop's end of the writer.
pub struct Record {
    lines: Sender<Line>,
    heartbeats: Vec<String>,
    me: String,
}

impl Record {
    /// Start the writer.
    pub fn open(root: &Root, loaded: Arc<Loaded>, me: ServerId) -> Record {
        let (lines, queue) = channel();
        let records_max = loaded.configuration.cluster.alert_records;
        let mut writer = Writer {
            root: root.clone(),
            records_max,
            late: VecDeque::new(),
            lost: 0,
            is_shut: false,
            recorded: 0,
            is_full: false,
        };
        // Owner: the record; ends with it. Cut short, alerts that could not be recorded stand in syslog only.
        std::thread::spawn(move || {
            let mut next = Instant::now();
            loop {
                if next <= Instant::now() {
                    writer.look();
                    next = Instant::now() + LOOK_PAUSE;
                }
                match queue.recv_timeout(next.saturating_duration_since(Instant::now())) {
                    Ok(Line::Alert(alert)) => writer.say(alert),
                    Ok(Line::Note(text)) => setup::write_note(&writer.root, &text),
                    Ok(Line::Keep(file, text)) => writer.keep(file, &text),
                    Ok(Line::Flush(done)) => drop(done.send(())),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        });
        let heartbeats = loaded.configuration.heartbeats.iter().map(|heartbeat| heartbeat.name.clone()).collect();
        Record { lines, heartbeats, me: loaded.configuration.servers[me.index()].name.clone() }
    }

    /// Record an alert.
    pub fn say(&self, alert: &Alert) {
        let _ = self.lines.send(Line::Alert(alert.clone()));
    }

    /// Record a line for engineers.
    pub fn note(&self, text: String) {
        let _ = self.lines.send(Line::Note(text));
    }

    /// Keep a file of the work directory for the next start, whole or as before.
    pub fn keep(&self, file: &'static str, text: String) {
        let _ = self.lines.send(Line::Keep(file, text));
    }

    /// Record a link of a group's cause chain.
    pub fn cause(&self, group: &str, text: &str) {
        self.note(format!("{group}: {text}"));
    }

    /// Wait until everything so far is written, at most this long.
    pub fn flush(&self, limit: Duration) {
        let (done, written) = channel();
        if self.lines.send(Line::Flush(done)).is_ok() {
            match written.recv_timeout(limit) {
                Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
    }

    /// Record a fact of the core in the words of the catalogue.
    pub fn alert(&self, fact: Fact, plan: &Plan) {
        for alert in words::alerts(&fact, plan, &self.heartbeats, &self.me) {
            self.say(&alert);
        }
    }
}

/// What the thread owns.
struct Writer {
    root: Root,
    /// Records that are kept.
    records_max: u64,
    /// Not recorded yet, oldest first.
    late: VecDeque<(String, Alert)>,
    /// Beyond those.
    lost: u64,
    /// Nothing can be recorded since then.
    is_shut: bool,
    /// Recorded late.
    recorded: u64,
    is_full: bool,
}

impl Writer {
    fn say(&mut self, alert: Alert) {
        alertlog::tell_syslog(&alert);
        setup::write_note(&self.root, &alert.to_string());
        if !alert.entry().destinations.record {
            return;
        }
        if self.late.len() < LATE_MAX {
            self.late.push_back((setup::wall_time(Duration::ZERO), alert));
        } else {
            self.lost += 1;
        }
        self.record();
    }

    fn keep(&mut self, file: &str, text: &str) {
        if let Err(reason) = setup::keep(&self.root, file, text) {
            self.say(Alert::state_not_kept(&format!("what work/{file} says"), &reason));
        }
    }

    fn record(&mut self) {
        while let Some((time, alert)) = self.late.front() {
            if let Err(cause) = alertlog::record_of(&self.root, alert, time, self.records_max) {
                self.shut(&cause);
                return;
            }
            self.late.pop_front();
            self.recorded += u64::from(self.is_shut);
        }
        if std::mem::take(&mut self.is_shut) {
            let (recorded, lost) = (std::mem::take(&mut self.recorded), std::mem::take(&mut self.lost));
            let words = if lost == 0 { String::new() } else { format!("{lost} more stand in syslog only") };
            self.say(Alert::record_written(&recorded.to_string(), &words));
        }
    }

    /// Nothing can be recorded: told once, to whom it can be told.
    fn shut(&mut self, cause: &std::io::Error) {
        if std::mem::replace(&mut self.is_shut, true) {
            return;
        }
        let reason = format!("{}: {cause}", alertlog::path(&self.root).display());
        setup::complain(&reason.to_string());
        let alert = Alert::record_unwritable(&reason);
        alertlog::tell_syslog(&alert);
        self.late.push_back((setup::wall_time(Duration::ZERO), alert));
    }

    /// Tell when the file system becomes full and when it has room again, and try what could not be recorded.
    fn look(&mut self) {
        let place = self.root.path().display().to_string();
        if let Ok(room) = rustix::fs::statvfs(self.root.path()) {
            let left = room.f_bfree.saturating_mul(room.f_frsize);
            let no_files = room.f_files > 0 && room.f_ffree == 0;
            match (self.is_full, left < ROOM_MIN || no_files) {
                (false, true) => {
                    self.is_full = true;
                    let words =
                        if no_files { "no further file can be made".into() } else { format!("{} KiB are left", left >> 10) };
                    self.say(Alert::room_short(&place, &words));
                }
                // Twice as much, so that a log that comes and goes does not tell it again and again.
                (true, false) if left >= 2 * ROOM_MIN => {
                    self.is_full = false;
                    self.say(Alert::room_back(&place));
                }
                _ => {}
            }
        }
        self.record();
    }
}
