//! What the cores ask of the world: everything works and takes its time, but for what is lost.

use std::sync::Arc;

use clp_core::action::{Action, Alert, Work};
use clp_core::event::{Event, WorkError};
use clp_core::ids::{ResourceId, ServerId};
use clp_core::plan::AfterStop;
use clp_core::time::{Time, micros};

use crate::around::UNMEASURED;
use crate::world::{Happening, World};

/// How long a datagram is on its way, in microseconds.
const WAY: u64 = 300;
/// How long it takes to make sure that nothing is left of a resource, to detach one, or to find that its disk is gone.
const LOOK: u64 = 20_000;
/// Intervals without a frame after which a server is missed.
const SILENT_INTERVALS: u32 = 3;
/// How long it takes to give everything up at once.
const EMERGENCY: u64 = 200_000;

impl World {
    pub(crate) fn act(&mut self, host: usize, action: Action) {
        let life = self.hosts[host].life;
        let told = |event: Event| Happening::Told { host, life, event: Box::new(event) };
        match action {
            Action::Beat(frame) => {
                let frame = Arc::new(frame);
                for path in 0..self.around.paths.len() {
                    // A disk is written by one turn and read by the next.
                    let way = if self.around.paths[path].lan { WAY } else { self.interval() + WAY };
                    self.after(way, Happening::Frame { from: host, path, frame: frame.clone() });
                }
            }
            Action::Send(letter) => {
                if self.reaches(host, letter.to.server.index()) {
                    self.after(WAY, Happening::Letter { from: host, letter: Arc::new(letter) });
                }
            }
            Action::AskPartition { ask } => {
                self.asked |= self.misses_somebody(host);
                let yes = self.yes[host];
                let words = if yes { "the targets answered at the last look" } else { "the targets did not answer at the last look" };
                // There and back within what a frame takes: one instant less to be looked at in each interval.
                self.after(WAY, told(Event::Verdict { ask, yes, reason: words.into() }));
            }
            Action::Search { server } => {
                let other = server.index();
                let lives = self.hosts[other].powered && self.reaches(host, other) && self.reaches(other, host);
                let sign = lives.then(|| "its kernel answers".to_string());
                self.after(self.interval() / 2, told(Event::Searched { server, sign }));
            }
            Action::Resource { op, resource, work } => self.work(host, op, resource, work),
            Action::RunElsewhere { run, .. } => self.after(LOOK, told(Event::RanElsewhere { run, result: Ok(()) })),
            Action::Emergency { .. } => self.after(EMERGENCY, told(Event::EmergencyDone)),
            Action::Monitor { monitor, run } => {
                self.changed = self.now;
                let number = self.now;
                self.hosts[host].monitors[monitor.index()] = run.then_some(number);
                if run && self.failure_of(host, monitor).is_some() {
                    self.check_after(host, monitor, self.around.looks[monitor.index()].start_wait + LOOK);
                }
            }
            Action::KeepRatio { ratio } => self.after(LOOK, told(Event::RatioKept { ratio, result: Ok(()) })),
            Action::MonitorScript { monitor, script, .. } => {
                self.after(LOOK, told(Event::MonitorScriptDone { monitor, script }));
            }
            Action::FinalScript { resource, script, .. } => self.after(LOOK, told(Event::FinalScriptDone { resource, script })),
            Action::EndServer { .. } => self.end(host, false),
            Action::Exit { then, .. } => self.end(host, then == AfterStop::Nothing),
            Action::Alert(alert) => {
                if let Alert::GroupOnline { group } = alert {
                    self.hosts[host].online[group.index()] = Some(self.now);
                }
                // A path that falls silent is no event of its own; what is done about a silence is.
                if !matches!(alert, Alert::PathDown { .. } | Alert::PathUp { .. }) {
                    self.changed = self.now;
                }
            }
            Action::Cause { group, text } => {
                let words = text.split_once(": ").map_or(text.as_str(), |(_, words)| words);
                let step = ["starting here", "stopping here", "online here", "offline here"];
                if !step.iter().any(|step| words.starts_with(step)) {
                    self.causes[group.index()] = words.to_string();
                }
            }
            Action::Remember { .. } | Action::RememberReboots { .. } | Action::TimeoutRatio { .. } | Action::Answer { .. } => {}
        }
    }

    /// Is another server silent here? A moment without an acknowledgement is doubted as well, and nothing hangs on the answer then.
    fn misses_somebody(&self, host: usize) -> bool {
        let Some(core) = &self.hosts[host].core else { return false };
        let limit = self.plan.timing.interval * SILENT_INTERVALS;
        let others = (0..self.hosts.len()).filter(|other| *other != host).map(ServerId::at);
        others.filter(|other| !core.has_left(*other)).any(|other| {
            let ages = (0..self.around.paths.len()).filter_map(|path| core.path_view(Time(self.now), other, path).age);
            ages.min().is_none_or(|age| age > limit)
        })
    }

    fn work(&mut self, host: usize, op: u64, resource: ResourceId, work: Work) {
        self.changed = self.now;
        let times = self.around.times.get(resource.index()).copied().unwrap_or_default();
        let lost = self.around.disk_of(resource).filter(|disk| self.hosts[host].lost[*disk]);
        let (span, result) = match (work, lost) {
            (Work::Activate { .. }, Some(disk)) => {
                (LOOK, Err(WorkError::from(format!("{} is lost here", self.around.disks[disk].name))))
            }
            (Work::Activate { .. }, None) => (times.activate.unwrap_or(micros(UNMEASURED)), Ok(())),
            // Nothing can be written any more, and a file system without its disk can be unmounted.
            (Work::Deactivate { .. }, _) => (times.deactivate.unwrap_or(micros(UNMEASURED)), Ok(())),
            (Work::Verify | Work::Detach, _) => (LOOK, Ok(())),
        };
        let life = self.hosts[host].life;
        self.after(span, Happening::Done { host, life, op, resource, result });
    }
}
