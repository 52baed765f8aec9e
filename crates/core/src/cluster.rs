//! One server's cluster: composes the parts and routes events. Holds no cleverness of its own.
//!
//! To follow a failover: a frame stops coming, [`Event::Deadline`] → `view.rs` (who is in) → `govern.rs` (where groups run)
//! → an order → `local.rs` (activation in order) → actions.

use std::sync::Arc;

use crate::action::{Action, Alert, Blame};
use crate::command::Commands;
use crate::contact::Contact;
use crate::depends::locate;
use crate::elsewhere::Elsewhere;
use crate::event::{Event, WorkError};
use crate::finals::Finals;
use crate::fits::Limits;
use crate::ids::{GroupId, ResourceId, ServerId};
use crate::leaving::Leaving;
use crate::local::{Ended, Executor};
use crate::message::{Document, Factor, Frame, Intent, Letter, Message, Mode, Origin, Phase, Report, ResourceState};
use crate::orders::Orders;
use crate::partition::Partition;
use crate::plan::{AfterStop, Plan};
use crate::ratio::Extending;
use crate::recovery::Monitors;
use crate::restarting::Restarted;
use crate::single::Single;
use crate::telling::SyncWait;
use crate::time::Time;
use crate::view::Views;

/// Between two looks at a resource that somebody else uses here: an operator who frees it waits for no longer.
const VERIFY_PAUSE: std::time::Duration = std::time::Duration::from_secs(3);
/// Intervals between two attempts to detach what could not be stopped: each may leave a process behind that waits for a dead disk.
const DETACH_INTERVALS: u32 = 100;
/// Intervals without an event after which this server counts as having stood still.
const GAP_INTERVALS: u32 = 2;

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
    /// The time-out ratio that others may rely upon ([`Action::KeepRatio`]); 1: none.
    pub ratio: u32,
    /// How many final actions have ended this server ([`Action::RememberReboots`]).
    pub reboots: u32,
}

/// The decisions of one server.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub(crate) plan: Arc<Plan>,
    pub(crate) identity: Identity,
    pub(crate) start: Time,
    pub(crate) contact: Contact,
    pub(crate) partition: Partition,
    pub(crate) views: Views,
    pub(crate) reports: Vec<Report>,
    /// My own last look at the partition resolutions.
    pub(crate) resolutions: Vec<Option<bool>>,
    /// Since which frame a server announces a lower version than that of its report here.
    pub(crate) contradicted: Vec<Option<u64>>,
    pub(crate) report_sent: Vec<Option<(u64, Time)>>,
    pub(crate) document: Document,
    pub(crate) document_seen: Vec<(crate::message::Epoch, u64)>,
    pub(crate) executor: Executor,
    pub(crate) monitors: Monitors,
    pub(crate) orders: Orders,
    pub(crate) commands: Commands,
    pub(crate) singles: Vec<Single>,
    pub(crate) finals: Finals,
    pub(crate) elsewhere: Elsewhere,
    pub(crate) leaving: Option<Leaving>,
    pub(crate) emergency: bool,
    pub(crate) exited: bool,
    /// Since when all groups are verified in this life.
    pub(crate) clear_since: Option<Time>,
    pub(crate) causes: Vec<Vec<(Time, String)>>,
    pub(crate) phases: Vec<Phase>,
    /// What is being reactivated of each group here.
    pub(crate) restarts: Vec<Option<Restarted>>,
    pub(crate) suspended_told: bool,
    pub(crate) sync_wait: SyncWait,
    /// Since when a server is alive and no LAN reaches it, and whether that was told.
    pub(crate) unreached: Vec<Option<(Time, bool)>>,
    suspended_kept: bool,
    pub(crate) extending: Extending,
    /// When this engine ran last.
    ran: Time,
    pub(crate) next_beat: Time,
    next_verify: Time,
    next_detach: Time,
    pub(crate) out: Vec<Action>,
}

impl Cluster {
    /// A server that just started: it owns nothing that is not verified, and has seen everybody at this moment.
    pub fn new(plan: impl Into<Arc<Plan>>, identity: Identity, now: Time) -> Self {
        let plan = plan.into();
        let servers = plan.servers.len();
        let mut cluster = Cluster {
            contact: Contact::new(&identity, servers, now, plan.timing),
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
            orders: Orders::new(&plan),
            commands: Commands::default(),
            singles: Vec::new(),
            finals: Finals::new(identity.reboots),
            elsewhere: Elsewhere::default(),
            leaving: None,
            emergency: false,
            exited: false,
            clear_since: None,
            causes: vec![Vec::new(); plan.groups.len()],
            restarts: vec![None; plan.groups.len()],
            phases: vec![Phase::Possible; plan.groups.len()],
            suspended_told: false,
            sync_wait: SyncWait::Untold,
            unreached: vec![None; servers],
            suspended_kept: identity.suspended,
            extending: Extending::new(identity.ratio, now),
            ran: now,
            next_beat: now,
            next_verify: now,
            next_detach: now,
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
        self.handle_all(now, [event])
    }

    /// Take events of one instant, in order; what follows from all of them together comes back.
    pub fn handle_all(&mut self, now: Time, events: impl IntoIterator<Item = Event>) -> Vec<Action> {
        if self.exited {
            return Vec::new();
        }
        self.note_gap(now);
        for event in events {
            self.take(now, event);
            if self.exited {
                break;
            }
        }
        self.settle(now);
        let out = std::mem::take(&mut self.out);
        let mut out = self.hold_for_others(now, out);
        // While somebody may not know that it is over, a restart must not make this server forget it either.
        let suspended = self.document.suspended || !self.document.unsure.is_empty();
        if std::mem::replace(&mut self.suspended_kept, suspended) != suspended {
            out.insert(0, Action::Remember { suspended });
        }
        out
    }

    fn take(&mut self, now: Time, event: Event) {
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
            Event::RatioKept { ratio, result } => self.ratio_kept(now, ratio, result),
            Event::FinalScriptDone { resource, script } => self.final_script_done(now, resource, script),
            Event::MonitorOrder { id, monitor, order } => self.monitor_order(now, id, monitor, order),
            Event::ResourceOrder { id, resource, order } => self.resource_order(now, id, resource, order),
            Event::Operator { id, command } => self.operator(now, id, command),
            Event::StopService { id, then } => self.leave(now, Some(id), then, false),
            Event::RanElsewhere { run, result } => self.ran_here(run, result),
            Event::EmergencyDone => self.emergency_done(now),
            Event::EmergencyFailed { reason } => self.emergency_failed(now, &reason),
        }
    }

    /// Does everybody know that nobody takes anything over, so that nothing needs to be given up either?
    pub(crate) fn is_at_rest(&self) -> bool {
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
        let alone = self.contact.next_expiry(now).into_iter().chain(self.contact.next_path_change()).chain(self.orders.wake);
        for at in alone.filter(|at| *at > now) {
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
        self.follow_ratio(now);
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
        self.release_stops(now);
        self.watch_commands(now);
        self.watch_resource_orders(now);
        self.sync_monitors();
        self.note_sync_wait(now);
        self.note_phases(now);
        self.finish_leaving(now);
        self.forget_reboots(now);
        self.watch_occupied(now);
        self.watch_paths(now);
        self.watch_failed(now);
        self.watch_elsewhere(now);
        if self.refresh_report() {
            self.spread_report(now, true);
        }
        if now >= self.next_beat {
            self.beat(now);
        }
        self.end_at_once();
    }

    fn beat(&mut self, now: Time) {
        self.next_beat = now + self.plan.timing.interval;
        let held: Vec<u64> = self.reports.iter().map(|report| report.version).collect();
        let mode = self.mode();
        let report = self.reports[self.identity.me.index()].version;
        let frame =
            self.contact.frame(now, mode, self.views.promised, self.views.epoch(), report, &held, self.identity.generation);
        self.out.push(Action::Beat(frame));
        self.watch_reach(now);
        self.spread_report(now, false);
        self.repeat_view_messages(now);
        self.repeat_command(now);
        self.repeat_elsewhere(now);
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
            self.elsewhere.forget(from);
        }
        self.doubt_report(from);
        if heard.mode_changed && self.contact.is_left(from) {
            self.out.push(Action::Alert(Alert::ServerDown { server: from, reason: "it stopped its cluster service".into() }));
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
            Message::RunElsewhere { id, resource, start } => self.run_elsewhere(from, id, resource, start),
            Message::RanElsewhere { id, failed } => self.ran_elsewhere(from, id, failed),
            Message::Document { epoch, document } => self.take_document(now, from, epoch, document),
            Message::DocumentSeen { epoch, version } => self.document_told(now, from, epoch, version),
            view => self.view_message(now, from, view),
        }
    }

    fn resource_done(&mut self, now: Time, op: u64, resource: ResourceId, result: Result<(), WorkError>) {
        let mut out = std::mem::take(&mut self.out);
        let said = result.as_ref().err().cloned();
        let was = self.executor.resource(&self.plan, resource);
        let ended = self.executor.done(&self.plan, op, resource, result, &mut out);
        self.out = out;
        let Some((group, ended)) = ended else { return };
        let name = self.plan.resource(resource).name.clone();
        if let Some(said) = said.filter(|_| was != ResourceState::DeactivateFailed) {
            self.cause(now, group, format!("{name}: {}", said.reason));
        }
        match ended {
            Ended::Step
                if was == ResourceState::Activating && self.executor.resource(&self.plan, resource) == ResourceState::On =>
            {
                self.started_here(now, resource);
            }
            Ended::Step => {}
            Ended::ActivateAgain(WorkError { code, reason }) => {
                self.out.push(Action::Alert(Alert::ActivateFailed { resource, code, reason, again: true }));
            }
            Ended::ActivateFailed(WorkError { code, reason }) => {
                self.out.push(Action::Alert(Alert::ActivateFailed { resource, code, reason, again: false }));
                if self.plan.restraints.no_recovery.activation {
                    let action = self.plan.resource(resource).activate_action;
                    self.is_withheld(now, &[group], Blame::Activation(resource), action);
                }
            }
            Ended::DeactivateAgain(WorkError { code, reason }) => {
                self.out.push(Action::Alert(Alert::DeactivateFailed { resource, code, reason, again: true }));
            }
            Ended::Detached => {
                self.cause(
                    now,
                    group,
                    format!("{name} could not be stopped in order and was detached: nothing of it acts here any more"),
                );
            }
            Ended::DeactivateFailed(WorkError { code, reason }) => {
                self.out.push(Action::Alert(Alert::DeactivateFailed { resource, code, reason: reason.clone(), again: false }));
                self.resource_final(now, resource, false, &reason);
            }
        }
    }

    fn resource_occupied(&mut self, now: Time, op: u64, resource: ResourceId, reason: &str) {
        let news = self.executor.occupied(&self.plan, op, resource);
        let group = self.plan.resource(resource).group;
        if news {
            let text = format!("{}: {reason}", self.plan.resource(resource).name);
            self.out.push(Action::Alert(Alert::DeactivateFailed { resource, code: 1, reason: reason.to_string(), again: false }));
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

    /// Look from time to time whether what could not be stopped can be detached now, so that its group goes on somewhere.
    fn watch_failed(&mut self, now: Time) {
        let pause = self.plan.timing.interval * DETACH_INTERVALS;
        if !self.executor.has_failed() || self.emergency {
            self.next_detach = now + pause;
        } else if now >= self.next_detach {
            self.next_detach = now + pause;
            let mut out = std::mem::take(&mut self.out);
            self.executor.detach_again(&self.plan, &mut out);
            self.out = out;
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

    /// What becomes of this server when its service has stopped; nothing while it does not stop.
    pub fn after_stop(&self) -> AfterStop {
        self.leaving.as_ref().map_or(AfterStop::Nothing, |leaving| leaving.then)
    }

    /// Does this server stop with all others?
    pub fn stops_with_all(&self) -> bool {
        self.document.stopping.is_some()
    }

    /// Name of the group that a resource belongs to, for the shell's messages.
    pub fn group_of(&self, resource: ResourceId) -> GroupId {
        locate(&self.plan, resource).0
    }
}
