//! One server's cluster: composes the parts and routes events. Holds no cleverness of its own.
//!
//! To follow a failover: a frame stops coming, [`Event::Deadline`] → `view.rs` (who is in) → `govern.rs` (where groups run)
//! → an order → `local.rs` (activation in order) → actions.

use crate::action::{Action, Alert};
use crate::command::Commands;
use crate::contact::Contact;
use crate::event::{Event, Failure};
use crate::fits::Limits;
use crate::govern::Orders;
use crate::ids::{GroupId, MonitorId, ResourceId, ServerId, ServerSet};
use crate::local::{Ended, Executor, locate};
use crate::message::{
    Answer, Command, Document, Factor, Frame, Intent, Letter, Message, Mode, Origin, Phase, Report, WantedAway,
};
use crate::partition::Partition;
use crate::plan::{AfterStop, FinalAction, Plan};
use crate::recovery::{MonitorOrder, Monitors, Step, targets};
use crate::time::Time;
use crate::view::Views;

/// Links kept of each group's cause chain: enough for several failovers with all their steps.
const CAUSES_MAX: usize = 100;
/// Between two looks at a resource that somebody else uses here: an operator who frees it waits for no longer.
const VERIFY_PAUSE: std::time::Duration = std::time::Duration::from_secs(3);
/// Partition resolutions in a report: more than a configuration can hold are not a report of ours.
const RESOLUTIONS_MAX: usize = 64;
/// Intervals without an event after which this server counts as having stood still.
const GAP_INTERVALS: u32 = 2;
/// Frames after which a report that they contradict is dropped: one is overtaken by the report that it does not know of.
const CONTRADICTED_FRAMES: u64 = 3;
/// Intervals for which a farewell is repeated, so that one lost frame does not turn it into a silence.
const FAREWELL_INTERVALS: u32 = 3;

/// Who this engine is.
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    /// Position of this server.
    pub me: ServerId,
    /// Life of this engine: greater than that of any earlier one on this server.
    pub incarnation: u64,
    /// Digest of the kernel's boot id.
    pub boot: u64,
    /// Number of heartbeat paths.
    pub paths: usize,
    /// Configuration generation.
    pub generation: u64,
    /// The cluster was suspended when this server last knew ([`Action::Remember`]): it starts nothing until it hears better.
    pub suspended: bool,
}

/// A service stop in progress.
#[derive(Debug, Clone)]
pub(crate) struct Leaving {
    pub then: AfterStop,
    /// Operators waiting for it.
    pub asked: Vec<u64>,
    /// Since when everything is off.
    pub farewell_since: Option<Time>,
    /// Every server stops: wait for the others' farewells.
    pub all: bool,
}

/// The decisions of one server.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub(crate) plan: Plan,
    pub(crate) identity: Identity,
    pub(crate) start: Time,
    pub(crate) contact: Contact,
    pub(crate) partition: Partition,
    pub(crate) views: Views,
    pub(crate) reports: Vec<Report>,
    /// My own last look at the partition resolutions.
    resolutions: Vec<Option<bool>>,
    /// Since which frame a server announces a lower version than that of its report here.
    contradicted: Vec<Option<u64>>,
    pub(crate) report_sent: Vec<Option<(u64, Time)>>,
    pub(crate) document: Document,
    pub(crate) document_seen: Vec<(crate::message::Epoch, u64)>,
    pub(crate) executor: Executor,
    pub(crate) monitors: Monitors,
    pub(crate) orders: Orders,
    pub(crate) commands: Commands,
    pub(crate) leaving: Option<Leaving>,
    pub(crate) emergency: bool,
    pub(crate) exited: bool,
    /// Since when all groups are verified in this life.
    pub(crate) clear_since: Option<Time>,
    pub(crate) causes: Vec<Vec<(Time, String)>>,
    phases: Vec<Phase>,
    suspended_told: bool,
    suspended_kept: bool,
    paths_up: Vec<Vec<bool>>,
    /// When this engine ran last.
    ran: Time,
    pub(crate) next_beat: Time,
    next_verify: Time,
    pub(crate) out: Vec<Action>,
}

impl Cluster {
    /// A server that just started: it owns nothing that is not verified, and has seen everybody at this moment.
    pub fn new(plan: Plan, identity: Identity, now: Time) -> Self {
        let servers = plan.servers.len();
        let mut cluster = Cluster {
            contact: Contact::new(identity.me, servers, identity.paths, identity.incarnation, identity.boot, now, plan.timing),
            partition: Partition::new(plan.partition, &plan.timing),
            views: Views::new(now),
            reports: vec![Report::default(); servers],
            resolutions: Vec::new(),
            contradicted: vec![None; servers],
            report_sent: vec![None; servers],
            document: Document {
                groups: plan
                    .groups
                    .iter()
                    .map(|group| Intent { activation_failovers: vec![0; group.resources.len()], ..Intent::default() })
                    .collect(),
                monitor_failovers: vec![0; plan.monitors.len()],
                suspended: identity.suspended,
                ..Document::default()
            },
            document_seen: vec![Default::default(); servers],
            executor: Executor::new(&plan),
            monitors: Monitors::new(&plan),
            orders: Orders::new(plan.groups.len()),
            commands: Commands::default(),
            leaving: None,
            emergency: false,
            exited: false,
            clear_since: None,
            causes: vec![Vec::new(); plan.groups.len()],
            phases: vec![Phase::Possible; plan.groups.len()],
            suspended_told: false,
            suspended_kept: identity.suspended,
            paths_up: vec![vec![false; identity.paths]; servers],
            ran: now,
            next_beat: now,
            next_verify: now,
            out: Vec::new(),
            start: now,
            plan,
            identity,
        };
        let mut out = Vec::new();
        cluster.executor.verify_all(&cluster.plan, &mut out);
        cluster.out = out;
        cluster.refresh_report();
        cluster
    }

    /// Take one event; what is to be done comes back in order.
    pub fn handle(&mut self, now: Time, event: Event) -> Vec<Action> {
        if self.exited {
            return Vec::new();
        }
        self.note_gap(now);
        match event {
            Event::Deadline => {}
            Event::Frame { from, path, lan, frame } => self.frame(now, from, path, lan, &frame),
            Event::ForeignFrame { from } => self.contact.hear_foreign(now, from),
            Event::Message { from, letter } => self.message(now, from, letter),
            Event::Verdict { ask, yes, reason } => self.partition.answer(now, ask, yes, reason),
            Event::Searched { server, sign } => self.contact.searched(now, server, sign),
            Event::PartitionSeen { reachable } => self.resolutions = reachable,
            Event::ResourceDone { op, resource, result } => self.resource_done(now, op, resource, result),
            Event::ResourceOccupied { op, resource, reason } => self.resource_occupied(now, op, resource, &reason),
            Event::MonitorResult { monitor, failure } => self.monitor_result(now, monitor, failure),
            Event::MonitorScriptDone { monitor, script } => self.monitor_script_done(now, monitor, script),
            Event::MonitorOrder { id, monitor, order } => self.monitor_order(now, id, monitor, order),
            Event::Operator { id, command } => self.operator(now, id, command),
            Event::StopService { id, then } => self.leave(now, Some(id), then, false),
            Event::EmergencyDone => self.emergency_done(now),
        }
        self.settle(now);
        let mut out = std::mem::take(&mut self.out);
        // While somebody may not know that it is over, a restart must not make this server forget it either.
        let suspended = self.document.suspended || !self.document.unsure.is_empty();
        if std::mem::replace(&mut self.suspended_kept, suspended) != suspended {
            out.insert(0, Action::Remember { suspended });
        }
        out
    }

    /// Does everybody know that nobody takes anything over, so that nothing needs to be given up either?
    fn is_at_rest(&self) -> bool {
        self.document.suspended && self.document.all_know
    }

    /// Rule R6: whoever did not run accuses nobody for it. There is a beat in every interval.
    fn note_gap(&mut self, now: Time) {
        let gap = now.since(std::mem::replace(&mut self.ran, now));
        if gap > self.plan.timing.interval * GAP_INTERVALS {
            self.contact.stood_still(gap);
        }
    }

    /// When [`Event::Deadline`] is due at the latest.
    pub fn next_deadline(&self, now: Time) -> Time {
        let mut next = self.next_beat;
        for at in self.contact.next_expiry(now).into_iter().chain(self.orders.wake).filter(|at| *at > now) {
            next = next.min(at);
        }
        next
    }

    /// May the watchdog be fed at this moment: does nothing uncovered hold anything here? An emergency that hangs is ended
    /// by the watchdog, even when contact is back meanwhile: others may have taken over already.
    pub fn may_feed_watchdog(&self, now: Time) -> bool {
        let covered = self.is_at_rest() || self.contact.may_feed(now, &self.partition);
        !self.executor.holds_anything() || (covered && !self.emergency)
    }

    /// Everything that follows from the present state, whatever the event was.
    fn settle(&mut self, now: Time) {
        if self.contact.is_doubtful(now)
            && let Some(ask) = self.partition.ask(now)
        {
            self.out.push(Action::AskPartition { ask });
        }
        for server in self.contact.to_search(now) {
            self.out.push(Action::Search { server });
        }
        let unverified = self.plan.group_ids().any(|group| self.executor.phase(group) == Phase::Possible);
        if self.clear_since.is_none() && !unverified {
            self.clear_since = Some(now);
        }
        self.yield_right(now);
        self.consider_view(now);
        self.follow_document(now);
        self.forget_given_up();
        self.govern(now);
        self.watch_commands(now);
        self.sync_monitors();
        self.note_phases(now);
        self.finish_leaving(now);
        self.watch_occupied(now);
        if self.refresh_report() {
            self.spread_report(now, true);
        }
        if now >= self.next_beat {
            self.beat(now);
        }
    }

    fn beat(&mut self, now: Time) {
        self.next_beat = now + self.plan.timing.interval;
        let held: Vec<u64> = self.reports.iter().map(|report| report.version).collect();
        let mode = self.mode();
        let report = self.reports[self.identity.me.index()].version;
        let frame =
            self.contact.frame(now, mode, self.views.promised, self.views.epoch(), report, &held, self.identity.generation);
        self.out.push(Action::Beat(frame));
        self.watch_paths(now);
        self.spread_report(now, false);
        self.repeat_view_messages(now);
        self.repeat_command(now);
    }

    pub(crate) fn mode(&self) -> Mode {
        match &self.leaving {
            None => Mode::Running,
            Some(leaving) if leaving.farewell_since.is_some() => Mode::Left,
            Some(_) => Mode::Leaving,
        }
    }

    /// What is believed of the numbers in what others send.
    fn limits(&self) -> Limits<'_> {
        Limits { plan: &self.plan, incarnation: self.identity.incarnation, counter: self.highest_counter() }
    }

    /// Send a message to the life of the server that is heard.
    pub(crate) fn send(&mut self, to: ServerId, message: Message) {
        let letter = Letter { incarnation: self.identity.incarnation, to: self.member(to), message };
        self.out.push(Action::Send(letter));
    }

    fn frame(&mut self, now: Time, from: ServerId, path: usize, lan: bool, frame: &Frame) {
        if !frame.fits(&self.limits()) {
            // Somebody sends there, whoever it is.
            self.contact.hear_foreign(now, from);
            return;
        }
        let covered = self.contact.right(now, &self.partition).is_ok();
        let Some(heard) = self.contact.hear(now, from, path, lan, frame, covered) else { return };
        if heard.new_life {
            self.reports[from.index()] = Report::default();
            self.report_sent[from.index()] = None;
            self.contradicted[from.index()] = None;
            self.document_seen[from.index()] = Default::default();
            self.commands.forget(from);
        }
        self.doubt_report(from);
        if heard.mode_changed && self.contact.is_left(from) {
            self.out.push(Action::Alert(Alert::ServerDown { server: from, reason: "it stopped its cluster service".into() }));
        }
    }

    /// A report with a version above what its server itself announces, frame after frame, is none of its own: it is dropped, or
    /// no true one would be taken in this life.
    fn doubt_report(&mut self, from: ServerId) {
        let peer = self.contact.peer(from);
        let contradicted = &mut self.contradicted[from.index()];
        if self.reports[from.index()].version <= peer.report {
            *contradicted = None;
        } else if peer.seq >= contradicted.get_or_insert(peer.seq).saturating_add(CONTRADICTED_FRAMES) {
            *contradicted = None;
            self.reports[from.index()] = Report::default();
        }
    }

    /// A message counts between the present lives of both ends alone ([`Letter`]), and when everything that it names exists.
    fn message(&mut self, now: Time, from: ServerId, letter: Letter) {
        if from == self.identity.me || from.index() >= self.plan.servers.len() {
            return;
        }
        let present = letter.to == self.member(self.identity.me) && letter.incarnation == self.contact.peer(from).incarnation;
        if !present || !letter.fits(&self.limits()) {
            return;
        }
        match letter.message {
            Message::Report(report) => self.take_report(from, report),
            Message::Order(order) => self.take_order(now, from, order),
            Message::Cause { group, text } => {
                let text = format!("{}: {text}", self.plan.server(from));
                self.record(now, group, text);
            }
            Message::Command { id, command } => self.asked(now, from, id, command),
            Message::Answer { id, answer } => self.answered(id, answer),
            Message::Document { epoch, document } => self.take_document(from, epoch, document),
            Message::DocumentSeen { epoch, version } => self.document_told(now, from, epoch, version),
            view => self.view_message(now, from, view),
        }
    }

    /// The newest report of a server's present life is kept (rule R8).
    pub(crate) fn take_report(&mut self, from: ServerId, report: Report) {
        let held = &mut self.reports[from.index()];
        let fits = report.groups.len() == self.plan.groups.len()
            && report.monitors.len() == self.plan.monitors.len()
            && report.resolutions.len() <= RESOLUTIONS_MAX
            && report.groups.iter().zip(&self.plan.groups).all(|(r, plan)| r.resources.len() == plan.resources.len());
        let newer = (report.incarnation, report.version) > (held.incarnation, held.version);
        if fits && newer && report.incarnation == self.contact.peer(from).incarnation {
            *held = report;
        }
    }

    /// Make my own report new when anything changed; true when it did.
    pub(crate) fn refresh_report(&mut self) -> bool {
        let groups = self.plan.group_ids().map(|group| self.executor.group(group).report()).collect();
        let monitors = self.monitors.report();
        let mine = &mut self.reports[self.identity.me.index()];
        let same = mine.groups == groups && mine.monitors == monitors && mine.resolutions == self.resolutions;
        if mine.version != 0 && same {
            return false;
        }
        let resolutions = self.resolutions.clone();
        *mine = Report { incarnation: self.identity.incarnation, version: mine.version + 1, groups, monitors, resolutions };
        true
    }

    fn spread_report(&mut self, now: Time, changed: bool) {
        let report = self.reports[self.identity.me.index()].clone();
        for server in self.contact.others() {
            let peer = self.contact.peer(server);
            if !self.contact.is_heard(now, server, true) || peer.report_acked >= report.version {
                continue;
            }
            let sent = &mut self.report_sent[server.index()];
            let due = sent
                .is_none_or(|(version, at)| (changed && version < report.version) || now.since(at) >= self.plan.timing.interval);
            if due {
                *sent = Some((report.version, now));
                self.send(server, Message::Report(report.clone()));
            }
        }
    }

    fn resource_done(&mut self, now: Time, op: u64, resource: ResourceId, result: Result<(), String>) {
        let mut out = std::mem::take(&mut self.out);
        let said = result.as_ref().err().cloned();
        let ended = self.executor.done(&self.plan, op, resource, result, &mut out);
        self.out = out;
        let Some((group, ended)) = ended else { return };
        let name = self.plan.resource(resource).name.clone();
        if let Some(said) = said {
            self.cause(now, group, format!("{name}: {said}"));
        }
        match ended {
            Ended::Step => {}
            Ended::ActivateFailed(reason) => self.out.push(Action::Alert(Alert::ActivateFailed { resource, reason })),
            Ended::DeactivateFailed(reason) => {
                self.out.push(Action::Alert(Alert::DeactivateFailed { resource, reason: reason.clone() }));
                let action = self.plan.resource(resource).deactivate_action;
                self.tell_final(resource, false, action, &reason);
                self.final_action(now, group, &[resource], action, &format!("{name} could not be deactivated: {reason}"));
            }
        }
    }

    fn resource_occupied(&mut self, now: Time, op: u64, resource: ResourceId, reason: &str) {
        let news = self.executor.occupied(&self.plan, op, resource);
        let group = self.plan.resource(resource).group;
        if news {
            let text = format!("{}: {reason}", self.plan.resource(resource).name);
            self.out.push(Action::Alert(Alert::DeactivateFailed { resource, reason: reason.to_string() }));
            self.cause(now, group, format!("held here, started nowhere: {text}"));
        }
        self.next_verify = now + VERIFY_PAUSE;
    }

    /// Look from time to time whether what somebody else used is free.
    fn watch_occupied(&mut self, now: Time) {
        if now >= self.next_verify && self.executor.has_occupied() && !self.emergency {
            self.next_verify = now + VERIFY_PAUSE;
            let mut out = std::mem::take(&mut self.out);
            self.executor.verify_occupied(&self.plan, &mut out);
            self.out = out;
        }
    }

    fn monitor_result(&mut self, now: Time, id: MonitorId, failure: Option<Failure>) {
        if id.index() >= self.plan.monitors.len() {
            return;
        }
        let counted = self.document.monitor_failovers[id.index()];
        let before = self.monitors.report()[id.index()].state;
        let step = self.monitors.result(&self.plan, id, failure, &self.executor, counted);
        let reason = self.monitors.reason(id).to_string();
        let now_failed = self.monitors.report()[id.index()].state;
        if before != now_failed && now_failed == crate::message::MonitorState::Failed {
            self.out.push(Action::Alert(Alert::MonitorError { monitor: id, reason: reason.clone() }));
            if step == Step::Withheld {
                self.out.push(Action::Alert(Alert::RecoveryWithheld { monitor: id }));
            }
        }
        if let Some(script) = self.monitors.hold(&self.plan, id, &step) {
            let count = match step {
                Step::Reactivate(count) => count,
                Step::Failover(_) => counted + 1,
                _ => 1,
            };
            self.out.push(Action::MonitorScript { monitor: id, script, before: step, count });
            return;
        }
        self.climb(now, id, step);
    }

    /// What waited for its script goes on, if its groups are as they were.
    fn monitor_script_done(&mut self, now: Time, id: MonitorId, script: u64) {
        if id.index() >= self.plan.monitors.len() {
            return;
        }
        let Some(step) = self.monitors.release(id, script) else { return };
        let here = targets(&self.plan, id, &self.executor);
        let on_server = self.plan.monitor(id).recovery == crate::plan::RecoveryTarget::LocalServer;
        if here.iter().all(|(_, phase)| *phase == Phase::On) && (on_server || !here.is_empty()) {
            self.climb(now, id, step);
        }
    }

    /// Carry out a rung of a monitor's ladder.
    fn climb(&mut self, now: Time, id: MonitorId, step: Step) {
        let counted = self.document.monitor_failovers[id.index()];
        let reason = self.monitors.reason(id).to_string();
        let name = self.plan.monitor(id).name.clone();
        let here = targets(&self.plan, id, &self.executor);
        let rung = step.clone();
        let tell = |cluster: &mut Cluster, step: String| {
            for (group, _) in &here {
                cluster.cause(now, *group, format!("monitor {name} found: {reason}; {step}"));
            }
            cluster.out.push(Action::Alert(Alert::Recovery { monitor: id, rung: rung.clone(), step }));
        };
        match step {
            Step::None | Step::Error | Step::Withheld => {}
            Step::Recovered => self.out.push(Action::Alert(Alert::MonitorNormal { monitor: id })),
            Step::Reactivate(count) => {
                tell(self, format!("reactivation {count} of {}", self.plan.monitor(id).restart_max));
                self.reactivate(id, &here);
            }
            Step::Failover(serial) => {
                tell(self, format!("failover {} of {} is asked for", counted + 1, self.plan.monitor(id).failover_max));
                for (group, _) in &here {
                    let wish = WantedAway { monitor: id, serial, reason: format!("monitor {name} found: {reason}") };
                    self.executor.group_mut(*group).wanted_away = Some(wish);
                }
            }
            Step::Final(action) => {
                tell(self, format!("the ladder ends: {}", final_words(action)));
                let text = format!("monitor {name} found: {reason}");
                if here.is_empty() {
                    self.final_action_server(now, action, &text);
                }
                for (group, _) in here.clone() {
                    let resources = self.recovery_resources(id, group);
                    self.final_action(now, group, &resources, action, &text);
                }
            }
        }
    }

    /// An operator's order for this server's monitors is true at once, but for counters that the whole cluster holds.
    fn monitor_order(&mut self, now: Time, id: u64, monitor: Option<MonitorId>, order: MonitorOrder) {
        let known = monitor.filter(|monitor| monitor.index() < self.plan.monitors.len());
        if let (Err(reason), Some(monitor)) = (self.monitors.order(&self.plan, self.identity.me, known, order), known) {
            self.out.push(Action::Alert(Alert::MonitorOrderRefused { monitor, order, reason: reason.clone() }));
            let remedy = "name another server with -h, or another monitor with -m".into();
            self.out.push(Action::Answer { id, answer: Answer::Refused { reason, remedy } });
            return;
        }
        self.out.push(Action::Alert(Alert::MonitorOrdered { monitor: known, order }));
        match order {
            MonitorOrder::ClearCounts => self.operator(now, id, Command::ClearCounts { monitor: known }),
            _ => self.out.push(Action::Answer { id, answer: Answer::Done { details: Vec::new() } }),
        }
    }

    fn recovery_resources(&self, id: MonitorId, group: GroupId) -> Vec<ResourceId> {
        match self.plan.monitor(id).recovery {
            crate::plan::RecoveryTarget::Resource(resource) => vec![resource],
            _ => self.plan.group(group).resources.clone(),
        }
    }

    fn reactivate(&mut self, id: MonitorId, here: &[(GroupId, Phase)]) {
        let mut out = std::mem::take(&mut self.out);
        for (group, _) in here {
            let resources = self.recovery_resources(id, *group);
            self.executor.reactivate(&self.plan, *group, &resources, &mut out);
        }
        self.out = out;
    }

    /// The last rung for a group on this server.
    pub(crate) fn final_action(
        &mut self,
        now: Time,
        group: GroupId,
        resources: &[ResourceId],
        action: FinalAction,
        reason: &str,
    ) {
        match action {
            FinalAction::Nothing | FinalAction::NothingContinue => {}
            FinalAction::StopResource => {
                let mut out = std::mem::take(&mut self.out);
                self.executor.hold_off(&self.plan, group, resources, &mut out);
                self.out = out;
            }
            FinalAction::StopGroup => {
                self.executor.group_mut(group).given_up = true;
                self.stop_here(now, group, Factor::GroupStop, reason);
            }
            FinalAction::StopService(_) => self.final_action_server(now, action, reason),
        }
    }

    /// Tell operators of a resource's final action (a monitor's is told by its ladder).
    pub(crate) fn tell_final(&mut self, resource: ResourceId, activation: bool, action: FinalAction, reason: &str) {
        if !matches!(action, FinalAction::Nothing | FinalAction::NothingContinue) {
            self.out.push(Action::Alert(Alert::FinalAction { resource, activation, action, reason: reason.into() }));
        }
    }

    fn final_action_server(&mut self, now: Time, action: FinalAction, reason: &str) {
        if let FinalAction::StopService(then) = action {
            for group in self.plan.group_ids() {
                if self.executor.phase(group).is_held() {
                    self.cause(now, group, format!("{reason}; {}", final_words(action)));
                }
            }
            self.leave(now, None, then, false);
        }
    }

    pub(crate) fn stop_here(&mut self, now: Time, group: GroupId, factor: Factor, why: &str) {
        self.cause(now, group, format!("stopping here: {why}"));
        let mut out = std::mem::take(&mut self.out);
        self.executor.stop(&self.plan, group, factor, &mut out);
        self.out = out;
    }

    pub(crate) fn start_here(&mut self, now: Time, group: GroupId, origin: Origin, why: &str) {
        self.cause(now, group, format!("starting here: {why}"));
        self.monitors.forget(&self.plan, group);
        let mut out = std::mem::take(&mut self.out);
        self.executor.start(&self.plan, group, origin, &mut out);
        self.out = out;
    }

    /// Rule R0: who has no right gives up addresses, then groups, within the bound, and starts nothing.
    fn yield_right(&mut self, now: Time) {
        if self.emergency || self.is_at_rest() || !self.executor.holds_anything() {
            return;
        }
        // What was never verified in this life is being taken off already.
        let acting = self.plan.group_ids().any(|group| self.executor.acts(group));
        let Err(lost) = self.contact.must_yield(now, &self.partition) else { return };
        if !acting {
            return;
        }
        let reason = format!(
            "no acknowledgement from {} for {} ms and the partition resolution does not let this side go on ({})",
            self.plan.server(lost.server),
            lost.age.as_millis(),
            self.partition.reason,
        );
        for group in self.plan.group_ids() {
            if self.executor.phase(group).is_held() {
                self.cause(now, group, format!("given up here at once: {reason}"));
            }
        }
        self.emergency = true;
        self.executor.emergency();
        self.out.push(Action::Alert(Alert::RightLost { reason: reason.clone(), answered: self.partition.said_no() }));
        self.out.push(Action::Emergency { reason });
    }

    fn emergency_done(&mut self, now: Time) {
        if !self.emergency {
            return;
        }
        self.executor.emergency_done();
        // It can tell nobody of a stop of all any more: it goes alone.
        if let Some(leaving) = &mut self.leaving {
            leaving.all = false;
        }
        let then = self.plan.partition_action;
        self.leave(now, None, then, false);
    }

    /// Stop the service here: groups off, farewell, exit.
    pub(crate) fn leave(&mut self, now: Time, asked: Option<u64>, then: AfterStop, all: bool) {
        if let Some(leaving) = &mut self.leaving {
            leaving.asked.extend(asked);
            leaving.all |= all;
            return;
        }
        self.leaving = Some(Leaving { then, asked: asked.into_iter().collect(), farewell_since: None, all });
        let factor = if all { Factor::ClusterShutdown } else { Factor::ServerShutdown };
        for group in self.plan.group_ids() {
            if !matches!(self.executor.phase(group), Phase::Off | Phase::Possible) {
                self.stop_here(now, group, factor, "the cluster service stops");
            }
        }
    }

    fn finish_leaving(&mut self, now: Time) {
        let interval = self.plan.timing.interval;
        let off = !self.executor.holds_anything();
        let stuck = self.plan.group_ids().any(|group| self.executor.phase(group) == Phase::OfflineFailure);
        let members = self.views.members();
        let failed: ServerSet = members.iter().copied().filter(|member| self.failed_to_stop(*member)).collect();
        let held = (self.document.epoch, self.document.version);
        // Who coordinates a stop of all says farewell only after everybody knows of it: nobody else would tell them.
        let untold = self.views.coordinator() == Some(self.identity.me)
            && members.iter().any(|member| {
                *member != self.identity.me
                    && self.document_seen[member.index()] < held
                    && self.contact.is_alive(now, *member)
                    && !self.contact.is_left(*member)
            });
        let settled = self.plan.group_ids().all(|group| matches!(self.executor.phase(group), Phase::Off | Phase::OfflineFailure));
        let Some(leaving) = &mut self.leaving else { return };
        if stuck && settled && leaving.then != AfterStop::Nothing {
            // A failed stop forbids the farewell; the shutdown itself is then what ends the group here.
            self.exited = true;
            self.out.push(Action::Exit { then: leaving.then, clean: false });
            return;
        }
        if stuck && settled && !leaving.all {
            // Ending the service would leave something active that nobody looks after: it goes on instead.
            self.stay("a group could not be stopped, so the cluster service goes on");
            return;
        }
        if !off || (leaving.all && untold && leaving.farewell_since.is_none()) {
            return;
        }
        let since = *leaving.farewell_since.get_or_insert(now);
        if since == now {
            self.next_beat = now;
        }
        let said = now.since(since) >= interval * FAREWELL_INTERVALS;
        // Others that stop too are waited for, but not one that cannot, or that goes on because the stop never reached it.
        let patient = now.since(since) < self.plan.timing.timeout * 2;
        let waits = leaving.all
            && members.iter().any(|member| {
                *member != self.identity.me
                    && self.contact.is_alive(now, *member)
                    && !self.contact.is_left(*member)
                    && !failed.has(*member)
                    && (patient || self.contact.peer(*member).mode == Mode::Leaving)
            });
        if said && !waits {
            let asked = std::mem::take(&mut leaving.asked);
            let then = leaving.then;
            let name = self.plan.server(self.identity.me).to_string();
            for id in asked {
                let answer = crate::message::Answer::Done { details: vec![format!("{name} stopped")] };
                self.out.push(Action::Answer { id, answer });
            }
            self.answer_on_exit();
            self.exited = true;
            self.out.push(Action::Exit { then, clean: true });
        }
    }

    /// The service goes on after all; whoever asked for its stop is told why.
    pub(crate) fn stay(&mut self, reason: &str) {
        for id in self.leaving.take().into_iter().flat_map(|leaving| leaving.asked) {
            let remedy = "see clpstat --why for that group; stop it by hand or reboot the server".to_string();
            self.out.push(Action::Answer { id, answer: crate::message::Answer::Refused { reason: reason.into(), remedy } });
        }
    }

    pub(crate) fn failed_to_stop(&self, server: ServerId) -> bool {
        let failed = |group| self.report_of(server, group).is_some_and(|report| report.phase == Phase::OfflineFailure);
        self.plan.group_ids().any(failed)
    }

    fn sync_monitors(&mut self) {
        let leaving = self.leaving.is_some() || self.emergency;
        let changes = self.monitors.sync(&self.plan, self.identity.me, &self.executor, self.document.suspended, leaving);
        for (monitor, run) in changes {
            self.out.push(Action::Monitor { monitor, run });
        }
    }

    /// The coordinator took note that a final action stopped a group: a later start is not to be mistaken for before it.
    fn forget_given_up(&mut self) {
        for group in self.plan.group_ids() {
            if !self.document.groups[group.index()].run {
                self.executor.group_mut(group).given_up = false;
            }
        }
    }

    /// Tell operators what each group here turned into, and that the cluster was suspended or resumed.
    fn note_phases(&mut self, now: Time) {
        if std::mem::replace(&mut self.suspended_told, self.document.suspended) != self.document.suspended {
            self.out.push(Action::Alert(Alert::Suspended { on: self.document.suspended }));
        }
        for group in self.plan.group_ids() {
            let phase = self.executor.phase(group);
            let before = std::mem::replace(&mut self.phases[group.index()], phase);
            if before == phase {
                continue;
            }
            let alert = match phase {
                Phase::Starting if before == Phase::Off => Alert::GroupStarting { group },
                Phase::On => Alert::GroupOnline { group },
                Phase::Stopping => Alert::GroupStopping { group },
                Phase::Off if before != Phase::Possible => Alert::GroupOffline { group },
                Phase::OnlineFailure => {
                    let reason = self.executor.group(group).failed.as_ref().map_or(String::new(), |f| f.reason.clone());
                    Alert::GroupFailed { group, reason }
                }
                Phase::OfflineFailure => Alert::GroupStopFailed { group, reason: "a resource could not be deactivated".into() },
                _ => continue,
            };
            match phase {
                Phase::On => self.cause(now, group, "online here".into()),
                Phase::Off => self.cause(now, group, "offline here".into()),
                _ => {}
            }
            self.out.push(Action::Alert(alert));
        }
    }

    /// Tell operators which paths fell silent or came back.
    fn watch_paths(&mut self, now: Time) {
        let limit = self.plan.timing.interval * 2 + self.plan.timing.interval / 2;
        for server in self.contact.others() {
            let gone = self.contact.peer(server).incarnation == 0 || self.contact.is_left(server);
            for path in 0..self.identity.paths {
                let up = self.contact.peer(server).paths[path].is_some_and(|at| now.since(at) < limit);
                let was = &mut self.paths_up[server.index()][path];
                if up && !*was {
                    *was = true;
                    self.out.push(Action::Alert(Alert::PathUp { server, path }));
                } else if !up && *was {
                    *was = false;
                    if !gone {
                        self.out.push(Action::Alert(Alert::PathDown { server, path }));
                    }
                }
            }
        }
    }

    /// A link of the chain, recorded here and told to everybody.
    pub(crate) fn cause(&mut self, now: Time, group: GroupId, text: String) {
        for server in self.contact.others() {
            if self.contact.is_heard(now, server, true) {
                self.send(server, Message::Cause { group, text: text.clone() });
            }
        }
        let text = format!("{}: {text}", self.plan.server(self.identity.me));
        self.record(now, group, text);
    }

    fn record(&mut self, now: Time, group: GroupId, text: String) {
        let chain = &mut self.causes[group.index()];
        if chain.len() >= CAUSES_MAX {
            chain.remove(0);
        }
        chain.push((now, text.clone()));
        self.out.push(Action::Cause { group, text });
    }

    /// Members of the committed view that take orders and give candidates.
    pub(crate) fn leaving_members(&self) -> ServerSet {
        self.views
            .members()
            .into_iter()
            .filter(|server| {
                if *server == self.identity.me {
                    self.leaving.is_some() || self.emergency
                } else {
                    self.contact.peer(*server).mode != Mode::Running
                }
            })
            .collect()
    }

    /// Name of the group that a resource belongs to, for the shell's messages.
    pub fn group_of(&self, resource: ResourceId) -> GroupId {
        locate(&self.plan, resource).0
    }
}

/// A final action in words.
pub fn final_words(action: FinalAction) -> &'static str {
    match action {
        FinalAction::Nothing | FinalAction::NothingContinue => "no final action",
        FinalAction::StopResource => "stop the resource",
        FinalAction::StopGroup => "stop the group",
        FinalAction::StopService(AfterStop::Nothing) => "stop the cluster service",
        FinalAction::StopService(AfterStop::Shutdown) => "stop the cluster service and shut down",
        FinalAction::StopService(AfterStop::Reboot) => "stop the cluster service and reboot",
    }
}
