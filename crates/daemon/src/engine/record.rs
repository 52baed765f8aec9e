//! Alerts and causes on their way out: one thread writes the alert record, syslog and the log, so that the loop never waits.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use clp_alerts::Alert;
use clp_core::action::Alert as Fact;
use clp_core::ids::ServerId;
use clp_core::plan::Plan;

use super::words;
use crate::setup::{self, Loaded};

enum Line {
    Alert(Alert),
    Note(String),
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
    pub fn open(root: &clp_sys::paths::Root, loaded: Arc<Loaded>, me: ServerId) -> Record {
        let (lines, queue) = channel();
        let root = root.clone();
        std::thread::spawn(move || {
            for line in queue {
                match line {
                    Line::Alert(alert) => setup::write_alert(&root, &alert),
                    Line::Note(text) => setup::write_note(&root, &text),
                    Line::Flush(done) => drop(done.send(())),
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
