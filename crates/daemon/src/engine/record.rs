//! Alerts and causes on their way out: one thread writes the alert record, syslog and the log, so that the loop never waits.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use clp_alerts::Alert;
use clp_core::action::Alert as Fact;
use clp_core::ids::ServerId;
use clp_core::plan::Plan;

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
        let me = self.me.as_str();
        let group = |id: clp_core::ids::GroupId| plan.group(id).name.as_str();
        let server = |id: ServerId| plan.server(id);
        let alert = match &fact {
            Fact::ServerUp { server: s } => Alert::server_up(server(*s)),
            Fact::ServerDown { server: s, reason } => Alert::server_down(server(*s), reason),
            Fact::PathDown { server: s, path } => Alert::heartbeat_down(server(*s), &self.heartbeats[*path]),
            Fact::PathUp { server: s, path } => Alert::heartbeat_up(server(*s), &self.heartbeats[*path]),
            Fact::RightLost { reason } => Alert::right_lost(me, reason),
            Fact::GroupStarting { group: g } => Alert::group_starting(group(*g)),
            Fact::GroupOnline { group: g } => Alert::group_online(group(*g)),
            Fact::GroupStopping { group: g } => Alert::group_stopping(group(*g)),
            Fact::GroupOffline { group: g } => Alert::group_offline(group(*g)),
            Fact::GroupFailed { group: g, reason } => Alert::group_failed(group(*g), reason),
            Fact::GroupFailover { group: g, to, reason } => Alert::group_failover(group(*g), server(*to), reason),
            Fact::GroupMove { group: g, to } => Alert::group_move(group(*g), server(*to)),
            Fact::GroupStranded { group: g, reason } => Alert::group_stranded(group(*g), reason),
            Fact::DoubleOwner { group: g, first, second } => Alert::double_owner(group(*g), server(*first), server(*second)),
            Fact::ActivateFailed { resource, reason } => Alert::activation_failed(&plan.resource(*resource).name, reason),
            Fact::DeactivateFailed { resource, reason } => Alert::deactivation_failed(&plan.resource(*resource).name, reason),
            Fact::MonitorError { monitor, reason } => Alert::monitor_error(&plan.monitor(*monitor).name, reason),
            Fact::MonitorNormal { monitor } => Alert::monitor_recovered(&plan.monitor(*monitor).name),
            Fact::Recovery { monitor, step } => Alert::recovery_step(&plan.monitor(*monitor).name, step),
            Fact::Suspended { on: true } => Alert::cluster_suspended(),
            Fact::Suspended { on: false } => Alert::cluster_resumed(),
            Fact::FinalAction { what, reason } => Alert::final_action(what, reason),
        };
        self.say(&alert);
    }
}
