//! Mistakes put in on purpose, to see that the checkers find them: each breaks one rule of `docs/safety.md` or one invariant
//! by lying to the core between it and the world. Nothing of this is in the core, so nothing of it can be shipped.

use std::time::Duration;

use clp_core::arbiter::Answer;
use clp_core::event::Event;
use clp_core::ids::{ServerId, ServerSet};
use clp_core::message::{Frame, Message, Mode, Report};
use clp_core::plan::Plan;

use crate::options::{Options, RATIO_MAX};
use crate::world::World;

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// The emergency says that it is done and does nothing.
    EmergencyDoesNothing,
    /// No takeover delay, and a witness whose lease is not waited for.
    NoTakeoverDelay,
    /// The watchdog never resets.
    NoWatchdog,
    /// Groups are activated without regard to dependencies.
    IgnoresDependencies,
    /// The kernel's address gate never closes.
    GateStaysOpen,
    /// R0: the right does not end with the acknowledgements.
    RightNeverEnds,
    /// R1: whoever is silent for the time-out counts as gone.
    AbsentIsGone,
    /// R1: a server that boots counts the absent as silent for long.
    BootForgetsAbsent,
    /// R2: the first Yes holds for ever.
    OneYesIsEnough,
    /// R9: the arbiter says Yes and does not remember it.
    RecordIsNotWritten,
    /// R3: a frame that arrives counts as acknowledging everything.
    HearingIsEnough,
    /// R4: a promise withholds no acknowledgement.
    PromiseFreezesNothing,
    /// R5: an engine restarted on the same boot takes everything as off.
    RestartOwnsNothing,
    /// R6: the clock stands still while the server does.
    ClockStopsInPause,
    /// R6: a pause counts as silence of the others.
    PauseIsSilence,
    /// What is held is given up with the first acknowledgement that is two intervals old.
    YieldsTooSoon,
    /// R7: what is read from disks is no sign of life.
    DiskIsNoSign,
    /// R8: a late report replaces a newer one.
    LateReportIsNew,
    /// A longer time-out of others is relied upon although none of them said so.
    RatioUnsaid,
    /// One more retry than configured.
    OneRetryMore,
    /// No order to another server arrives.
    OrdersGetLost,
    /// Groups start and stop without regard to those that they wait for.
    WaitsForNobody,
}

/// All of them.
pub const PLANTS: &[Planted] = &[
    Planted::EmergencyDoesNothing,
    Planted::NoTakeoverDelay,
    Planted::NoWatchdog,
    Planted::IgnoresDependencies,
    Planted::GateStaysOpen,
    Planted::RightNeverEnds,
    Planted::AbsentIsGone,
    Planted::OneYesIsEnough,
    Planted::RecordIsNotWritten,
    Planted::HearingIsEnough,
    Planted::RestartOwnsNothing,
    Planted::PauseIsSilence,
    Planted::YieldsTooSoon,
    Planted::DiskIsNoSign,
    Planted::LateReportIsNew,
    Planted::RatioUnsaid,
    Planted::OneRetryMore,
    Planted::OrdersGetLost,
    Planted::WaitsForNobody,
];

// OPEN(sim): which faults make a clock that stands still during a pause harmful?
/// Mistakes that no seed has shown yet: 20 000 runs with each found nothing. They are not counted as caught.
pub const UNSHOWN: &[Planted] = &[Planted::ClockStopsInPause];

/// Mistakes that no run can tell, because another rule holds alone what they break; they are not counted.
///
/// *Promise freezes nothing* (R4): a frame that acknowledges X also carries the age at which its sender heard X, so whoever
/// takes note of the frame counts X's silence anew (R1). Acknowledgements are carried only over edges that both ends hear,
/// and over those X is in the view. A member that still acknowledges X and whose frames no longer come leaves its coordinator
/// without right (R0), and X needs an acknowledgement or a verdict for the coordinator as well.
///
/// *Boot forgets the absent* (R1): the Yes must have held for the whole silence and takeover delay (R2), and nobody asks
/// before its own start.
pub const REDUNDANT: &[Planted] = &[Planted::PromiseFreezesNothing, Planted::BootForgetsAbsent];

impl Planted {
    /// The mistake of this name.
    ///
    /// # Errors
    /// There is none; all names are given.
    pub fn named(name: &str) -> Result<Planted, String> {
        let known = || PLANTS.iter().chain(UNSHOWN).chain(REDUNDANT);
        let found = known().find(|planted| format!("{planted:?}") == name).copied();
        let names: Vec<String> = known().map(|planted| format!("{planted:?}")).collect();
        found.ok_or_else(|| format!("there is no mistake {name:?}; there are {}", names.join(", ")))
    }

    /// The invariant that must be reported: a plant caught by another checker proves nothing about its own.
    pub fn word(self) -> &'static str {
        match self {
            Planted::EmergencyDoesNothing => "farewell",
            Planted::IgnoresDependencies => "ordered:",
            Planted::WaitsForNobody => "ordered between groups",
            Planted::OneRetryMore => "ladder",
            Planted::OrdersGetLost => "no-orphan",
            Planted::PauseIsSilence => "no-false-accusation",
            Planted::YieldsTooSoon => "no-needless-stop",
            _ => "single-owner",
        }
    }
}

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
}

impl Memory {
    /// Nothing yet.
    pub fn new(servers: usize) -> Self {
        Memory {
            sent: vec![(0, 0); servers],
            heard: vec![None; servers * servers],
            versions: vec![(0, vec![0]); servers * servers],
            yes: vec![0; servers],
        }
    }
}

/// The plan that the cores are given; the world keeps the true one.
pub fn plan(options: &Options) -> Plan {
    let mut plan = options.plan.clone();
    match options.planted {
        Some(Planted::IgnoresDependencies) => plan.resources.iter_mut().for_each(|resource| resource.depends.clear()),
        Some(Planted::WaitsForNobody) => plan.groups.iter_mut().for_each(|group| group.waits = Default::default()),
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
        if self.is_planted(Planted::HearingIsEnough) {
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
        if !self.is_planted(Planted::LateReportIsNew) {
            return !(self.is_planted(Planted::OrdersGetLost) && matches!(message, Message::Order(_)));
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
        if forgets { Answer::Yes } else { answer }
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
