//! The operator's temporary time-out ratio on this server: in force from the document until its time is over, promised to others
//! only once the disk knows it (`patience.rs` says what a promise means).

use std::time::Duration;

use crate::action::{Action, Alert};
use crate::cluster::Cluster;
use crate::command::{Goal, refused};
use crate::fits::is_extension;
use crate::ids::ServerId;
use crate::message::{Answer, Document, Extension};
use crate::patience::RATIO_MAX;
use crate::time::{Time, micros};

/// Longest time for which a ratio can be ordered: thirty days.
pub const EXTENSION_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long servers may take to write the ratio down before an operator is told that one does not.
const WRITE_LIMIT: Duration = Duration::from_secs(20);
/// Intervals after which a failed write is tried again.
const AGAIN_INTERVALS: u32 = 50;

/// What this server does about the ratio.
#[derive(Debug, Clone)]
pub(crate) struct Extending {
    /// When it ends by this server's clock.
    until: Option<Time>,
    /// What the disk holds at least.
    kept: u32,
    /// A write failed since: the disk may hold more, and the next life would wait for longer than it has to.
    unsure: bool,
    /// What is being written, since then.
    writing: Option<u32>,
    not_before: Time,
    /// The last ratio that was told to the shell.
    told: u32,
}

impl Extending {
    pub(crate) fn new(kept: u32, now: Time) -> Extending {
        Extending { until: None, kept: kept.max(1), unsure: false, writing: None, not_before: now, told: 1 }
    }

    /// What may be promised: a write on its way may have reached the disk or not.
    fn promisable(&self) -> u32 {
        self.writing.map_or(self.kept, |writing| writing.min(self.kept))
    }
}

impl Cluster {
    /// The ratio in force here and how long it still lasts.
    pub fn timeout_ratio(&self, now: Time) -> (u32, Duration) {
        let left = self.extending.until.map_or(Duration::ZERO, |until| until.since(now));
        match &self.document.extension {
            Some(extension) if !left.is_zero() => (extension.ratio, left),
            _ => (1, Duration::ZERO),
        }
    }

    /// By how much this server multiplies its time-out towards another at this moment: after the end until that one knows.
    pub fn ratio_towards(&self, server: ServerId) -> u32 {
        if server == self.identity.me { 1 } else { self.contact.ratio_towards(server) }
    }

    /// Order a ratio, or the end of it. The document is changed by the caller.
    pub(crate) fn begin_extension(&mut self, now: Time, ratio: u32, span: Duration) -> Result<Vec<Goal>, Answer> {
        if !self.document.started {
            return Err(refused("the cluster is starting: its servers wait for each other", "try again in a moment"));
        }
        if !is_extension(ratio, micros(span)) {
            return Err(refused(format!("a time-out ratio is 1 to {RATIO_MAX}, for at most 30 days"), "give less"));
        }
        self.document.extension = (ratio > 1).then_some(Extension { ratio, left: micros(span) });
        self.extending.until = (ratio > 1).then(|| now + span);
        let until = now + WRITE_LIMIT + self.plan.timing.timeout;
        Ok(vec![Goal::DocumentHeld, Goal::Ratio { ratio, until }])
    }

    /// Do all members' frames say it, and have they seen it in mine?
    pub(crate) fn ratio_state(&self, now: Time, ratio: u32, until: Time) -> Result<Option<String>, Answer> {
        match self.behind_ratio(ratio) {
            None => Ok(Some(String::new())),
            Some(server) if now >= until => Err(refused(
                format!("{} does not use it for heartbeats: it cannot write it down", self.plan.server(server)),
                "see its log and whether its disk is full; its monitors use it",
            )),
            Some(_) => Ok(None),
        }
    }

    /// Hold this document in place of the one before.
    pub(crate) fn adopt(&mut self, now: Time, document: Document) {
        self.extending.until = document.extension.as_ref().map(|extension| now + Duration::from_micros(extension.left));
        self.document = document;
    }

    /// The document as it is sent: what is left of the ratio is counted from the sending.
    pub(crate) fn document_to_send(&self, now: Time) -> Document {
        let mut document = self.document.clone();
        if let (Some(extension), Some(until)) = (&mut document.extension, self.extending.until) {
            extension.left = micros(until.since(now));
        }
        document
    }

    /// Bring everything in line with the ratio of this moment.
    pub(crate) fn follow_ratio(&mut self, now: Time) {
        let (ratio, left) = self.timeout_ratio(now);
        if left.is_zero() && self.document.extension.is_some() && self.is_governing() {
            self.document.extension = None;
            self.document_changed(now);
        }
        self.contact.set_ratio(now, ratio, ratio.min(self.extending.promisable()));
        if std::mem::replace(&mut self.extending.told, ratio) != ratio {
            self.out.push(Action::TimeoutRatio { ratio });
            self.out.push(Action::Alert(Alert::TimeoutRatio { ratio, span: left }));
        }
        let wanted = ratio.max(self.contact.ratio_to_keep());
        let differs = wanted != self.extending.kept || self.extending.unsure;
        if differs && self.extending.writing.is_none() && now >= self.extending.not_before {
            self.extending.writing = Some(wanted);
            self.out.push(Action::KeepRatio { ratio: wanted });
        }
    }

    /// A write ended.
    pub(crate) fn ratio_kept(&mut self, now: Time, ratio: u32, result: Result<(), String>) {
        if self.extending.writing != Some(ratio) {
            return;
        }
        self.extending.writing = None;
        self.extending.unsure = result.is_err();
        if result.is_ok() {
            self.extending.kept = ratio;
        } else {
            // What is there now is not known.
            self.extending.kept = self.extending.kept.min(ratio);
            self.extending.not_before = now + self.plan.timing.interval * AGAIN_INTERVALS;
        }
    }

    /// A member whose frames do not say the ratio yet, or that has not seen mine say it: it could not rely on me yet.
    fn behind_ratio(&self, ratio: u32) -> Option<ServerId> {
        let knows = |server: ServerId| match server == self.identity.me {
            true => self.contact.promised_ratio() == ratio,
            false => self.contact.ratio_of(server) == ratio && self.contact.has_seen_ratio(server),
        };
        self.views.members().into_iter().find(|server| !knows(*server))
    }
}
