//! How mistakes lie: what passes between a core and the world is changed on its way.

use std::time::Duration;

use clp_core::arbiter::{Answer, Record};
use clp_core::event::Event;
use clp_core::ids::{ServerId, ServerSet};
use clp_core::message::{Epoch, Frame, Message, Mode, NEVER, Phase, Report};
use clp_core::plan::{Exclusion, Plan};

use crate::options::{Options, RATIO_MAX};
use crate::plant::Planted;
use crate::world::World;

/// What mistakes need to remember, by (receiver, sender) where it is a list.
#[derive(Debug, Default)]
pub struct Memory {
    /// Newest frame sent.
    pub sent: Vec<(u64, u64)>,
    /// Newest frame heard.
    heard: Vec<Option<(u64, Frame)>>,
    /// True versions of the reports taken, by the number they were given.
    versions: Vec<(u64, Vec<u64>)>,
    /// A Yes was heard in this life.
    yes: Vec<u64>,
    /// When a Yes was asked last, and in which life.
    pub yes_asked: Vec<Option<(u64, u64)>>,
    /// The view that each server's newest frame names.
    views: Vec<Epoch>,
    /// The newest order that each server was given, by its life.
    orders: Vec<(u64, u64)>,
}

impl Memory {
    /// Nothing yet.
    pub fn new(servers: usize) -> Self {
        Memory {
            sent: vec![(0, 0); servers],
            heard: vec![None; servers * servers],
            versions: vec![(0, vec![0]); servers * servers],
            yes: vec![0; servers],
            yes_asked: vec![None; servers],
            views: vec![Epoch::default(); servers],
            orders: vec![(0, 0); servers],
        }
    }
}

/// The plan that the cores are given; the world keeps the true one.
pub fn plan(options: &Options) -> Plan {
    let mut plan = options.plan.clone();
    match options.planted {
        Some(Planted::IgnoresDependencies) => plan.resources.iter_mut().for_each(|resource| resource.depends.clear()),
        Some(Planted::WaitsForNobody) => plan.groups.iter_mut().for_each(|group| group.waits = Default::default()),
        Some(Planted::ExclusionIgnored) => plan.groups.iter_mut().for_each(|group| group.exclusion = Exclusion::None),
        Some(Planted::NobodyTakesOver) => plan.groups.iter_mut().for_each(|group| group.failover_auto = false),
        Some(Planted::OneReactivationMore) => plan.monitors.iter_mut().for_each(|monitor| monitor.restart_max += 1),
        Some(Planted::OneFailoverMore) => plan.monitors.iter_mut().for_each(|monitor| monitor.failover_max += 1),
        Some(Planted::OneRetryMore) => plan.resources.iter_mut().for_each(|resource| resource.activate_retry += 1),
        Some(Planted::RightNeverEnds) => {
            plan.timing.right_timeout = Duration::from_secs(3600);
            plan.timing.watchdog_hold = Duration::from_secs(3600);
        }
        Some(Planted::YieldsTooSoon) => {
            plan.timing.right_timeout = plan.timing.interval * 2;
            plan.timing.arbiter = Duration::ZERO;
        }
        _ => {}
    }
    plan
}

impl World {
    pub(crate) fn is_planted(&self, planted: Planted) -> bool {
        self.options.planted == Some(planted)
    }

    /// A frame as it leaves.
    pub(crate) fn distort_sent(&mut self, host: usize, frame: &mut Frame) {
        self.memory.sent[host] = (frame.incarnation, frame.seq);
        self.memory.views[host] = frame.view;
        if self.is_planted(Planted::LeavingIsLeft) && frame.mode == Mode::Leaving {
            frame.mode = Mode::Left;
            frame.farewell_to = ServerSet::all(self.hosts.len());
        }
        if self.is_planted(Planted::PromiseIsUnsaid) {
            frame.promised = frame.view;
        }
        if self.is_planted(Planted::PromiseFreezesNothing) {
            let servers = self.hosts.len();
            for ack in frame.acks.iter_mut().filter(|ack| ack.seq == 0) {
                if let Some((_, heard)) = &self.memory.heard[host * servers + ack.server.index()]
                    && heard.incarnation == ack.incarnation
                {
                    ack.seq = heard.seq;
                }
            }
        }
        if self.is_planted(Planted::LateReportIsNew) {
            let servers = self.hosts.len();
            for ack in &mut frame.acks {
                let (_, versions) = &self.memory.versions[host * servers + ack.server.index()];
                ack.report = usize::try_from(ack.report).ok().and_then(|at| versions.get(at).copied()).unwrap_or(0);
            }
        }
    }

    /// A frame as it arrives; None when it does not.
    pub(crate) fn distort_frame(&mut self, to: usize, from: usize, lan: bool, frame: &mut Frame) -> bool {
        if self.is_planted(Planted::AgesAreForgotten) {
            frame.ages.fill(NEVER);
        }
        if self.is_planted(Planted::HearingIsEnough) || (self.is_planted(Planted::DiskHearingIsEnough) && !lan) {
            let (life, seq) = self.memory.sent[to];
            let mine = frame.acks.iter_mut().filter(|ack| ack.server.index() == to && ack.incarnation == life);
            mine.for_each(|ack| ack.seq = seq);
        }
        if self.is_planted(Planted::RatioUnsaid) {
            frame.ratio = RATIO_MAX;
        }
        let heard = &mut self.memory.heard[to * self.hosts.len() + from];
        if heard.as_ref().is_none_or(|(_, old)| (old.incarnation, old.seq) < (frame.incarnation, frame.seq)) {
            *heard = Some((self.now, frame.clone()));
        }
        lan || !self.is_planted(Planted::DiskIsNoSign)
    }

    /// A message as it arrives; false when it does not.
    pub(crate) fn distort_message(&mut self, to: usize, from: usize, message: &mut Message) -> bool {
        match (self.options.planted, &mut *message) {
            (Some(Planted::OrdersGetLost), Message::Order(_)) => return false,
            (Some(Planted::PromiseIsUnsaid), Message::TooOld { .. }) => return false,
            (Some(Planted::AgesAreForgotten), Message::Promise { ages, .. }) => ages.fill(NEVER),
            (Some(Planted::PossibleIsOff), Message::Report(report) | Message::Promise { report, .. }) => {
                let possible = report.groups.iter_mut().filter(|group| group.phase == Phase::Possible);
                possible.for_each(|group| group.phase = Phase::Off);
            }
            (Some(Planted::LateOrderIsNew), Message::Order(order)) => {
                let (life, newest) = &mut self.memory.orders[to];
                if *life != self.hosts[to].life {
                    (*life, *newest) = (self.hosts[to].life, 0);
                }
                let view = self.memory.views[to];
                if order.serial < *newest && view.server.index() == from {
                    order.epoch = view;
                    order.incarnation = *life;
                    order.serial = *newest + 1;
                }
                *newest = (*newest).max(order.serial);
            }
            _ => {}
        }
        if !self.is_planted(Planted::LateReportIsNew) {
            return true;
        }
        let at = to * self.hosts.len() + from;
        let mut number = |report: &mut Report| {
            let (life, versions) = &mut self.memory.versions[at];
            if *life != report.incarnation {
                *life = report.incarnation;
                *versions = vec![0];
            }
            versions.push(report.version);
            report.version = versions.len() as u64 - 1;
        };
        match message {
            Message::Report(report) | Message::Promise { report, .. } => number(report),
            _ => {}
        }
        true
    }

    /// The end of a pause: the core is made to believe that it ran all the time and heard nothing.
    pub(crate) fn distort_pause(&mut self, host: usize) {
        if !self.is_planted(Planted::PauseIsSilence) {
            return;
        }
        let step = usize::try_from(self.interval()).expect("an interval is short");
        for moment in (self.hosts[host].paused_at..self.now).step_by(step) {
            let at = self.hosts[host].clock(moment);
            let engine = self.hosts[host].engine.as_mut();
            let actions = engine.map(|engine| engine.handle(at, Event::Deadline)).unwrap_or_default();
            for action in actions {
                self.act(host, action);
            }
        }
    }

    /// A verdict as it arrives.
    pub(crate) fn distort_verdict(&mut self, host: usize, life: u64, answer: Answer) -> Answer {
        if answer == Answer::Yes {
            self.memory.yes[host] = life;
        }
        let forgets = self.is_planted(Planted::OneYesIsEnough) && self.memory.yes[host] == life;
        let forgets = forgets || (self.is_planted(Planted::WaitIsYes) && answer == Answer::Wait);
        if forgets { Answer::Yes } else { answer }
    }

    /// Is the last Yes repeated in place of a question?
    pub(crate) fn remembers_yes(&mut self, host: usize, life: u64) -> bool {
        if !self.is_planted(Planted::AnswersFromMemory) {
            return false;
        }
        let known = self.memory.yes_asked[host].filter(|(of, at)| *of == life && self.now - at < self.options.timeout());
        if known.is_none() {
            self.memory.yes_asked[host] = None;
        }
        known.is_some()
    }

    /// The arbiter's record as a server reads it.
    pub(crate) fn distort_record(&self, host: usize) -> Option<Record> {
        let mut record = self.store.record.clone()?;
        if self.is_planted(Planted::LastingRecordRunsOut) {
            record.lasting = false;
        }
        if self.is_planted(Planted::StrangerMayNarrow) && !record.members.is_empty() {
            record.members.insert(ServerId::at(host));
        }
        Some(record)
    }

    /// Farewells that nobody said.
    pub(crate) fn forge(&mut self, host: usize) {
        if !self.is_planted(Planted::AbsentIsGone) {
            return;
        }
        let servers = self.hosts.len();
        let timeout = self.options.plan.timing.timeout.as_micros() as u64;
        for from in (0..servers).filter(|from| *from != host) {
            let Some((at, frame)) = self.memory.heard[host * servers + from].clone() else { continue };
            if self.now - at > timeout && frame.mode != Mode::Left {
                let farewell_to = ServerSet::all(servers);
                let frame = Frame { seq: frame.seq + 1, mode: Mode::Left, farewell_to, ..frame };
                self.memory.heard[host * servers + from] = Some((at, frame.clone()));
                self.handle(host, Event::Frame { from: ServerId::at(from), path: 0, lan: true, frame });
            }
        }
    }
}
