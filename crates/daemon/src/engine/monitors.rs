//! What concerns this server's monitors: what the monitor daemon tells, what operators ask, what the service's end waits for.

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use clp_alerts::Alert;
use clp_config::MonitorKind;
use clp_core::event::{Event, Failure};
use clp_core::ids::MonitorId;
use clp_core::message::MonitorState;
use clp_core::recovery::MonitorOrder;
use clp_protocol::control::{self, MonitorCount, Reply, Request};

use super::requests::stopped;
use super::{Engine, Input, ordered, scripts};
use crate::ipc::{Found, Told};

/// How long a monitor's script may take beyond its time-out until it is killed and gone.
const MONITOR_GRACE: Duration = Duration::from_secs(10);

/// In the core's words.
pub(super) fn core_order(order: control::MonitorOrder) -> MonitorOrder {
    match order {
        control::MonitorOrder::Suspend => MonitorOrder::Suspend,
        control::MonitorOrder::Resume => MonitorOrder::Resume,
        control::MonitorOrder::FailureOn => MonitorOrder::FailureOn,
        control::MonitorOrder::FailureOff => MonitorOrder::FailureOff,
        control::MonitorOrder::ClearCounts => MonitorOrder::ClearCounts,
    }
}

impl Engine {
    pub(super) fn monitord_told(&mut self, told: Told) -> Option<u8> {
        let found = match told {
            Told::Ended(monitor) => {
                self.watch.ended(&monitor);
                return None;
            }
            Told::Unable { monitor, reason } => {
                self.record.say(&Alert::monitor_unable(&monitor, &reason));
                return None;
            }
            Told::FilesShort(limit) => {
                self.record.say(&Alert::files_short("clusterpro monitord", &limit));
                return None;
            }
            Told::EvidenceBegins { monitor, timeout_ms } => {
                self.record.say(&Alert::evidence_begins(&monitor, &format!("{timeout_ms} ms")));
                return None;
            }
            Told::Evidence { monitor, written } => {
                self.record.say(&match written {
                    Ok(file) => Alert::evidence_written(&monitor, &file),
                    Err(reason) => Alert::evidence_missing(&monitor, &reason),
                });
                return None;
            }
            Told::Found(found) => found,
        };
        let monitor = self.loaded.configuration.monitors.iter().position(|m| m.name == found.monitor)?;
        let is_userw = matches!(self.loaded.configuration.monitors[monitor].kind, MonitorKind::Userw(_));
        // What comes after its stop no longer counts.
        if is_userw && self.watch.is_running(&found.monitor) {
            self.feed.veto(found.failure.is_some());
        }
        self.tell_of_delay(monitor, &found);
        if let Some(figures) = &found.starved {
            self.record.say(&Alert::monitor_starved(&found.monitor, figures));
        }
        let starved = found.starved.is_some();
        let failure = found.failure.map(|reason| Failure { reason, timed_out: found.timed_out, starved });
        self.step(Event::MonitorResult { monitor: MonitorId::at(monitor), failure })
    }

    /// A trial of the user-space monitor would end this server at once, without a recovery that could be tried.
    pub(super) fn can_be_tried(&self, monitor: Option<MonitorId>, order: control::MonitorOrder) -> Result<(), Box<Reply>> {
        let monitor = monitor.filter(|_| order == control::MonitorOrder::FailureOn);
        let config = monitor.map(|monitor| &self.loaded.configuration.monitors[monitor.index()]);
        let Some(config) = config.filter(|config| matches!(config.kind, MonitorKind::Userw(_))) else { return Ok(()) };
        let reason = format!("{} has no recovery to be tried: the watchdog would reset this server", config.name);
        self.record.say(&Alert::dummy_on_failed(&config.name, &reason));
        Err(Box::new(Reply::Refused { reason, remedy: "choose another monitor".into() }))
    }

    /// Keep on the disk what an operator ordered: a restart of the service ends it, and says so.
    pub(super) fn keep_order(&mut self, monitor: Option<MonitorId>, order: MonitorOrder) {
        let (plan, me) = (self.cluster.plan(), self.me());
        let named = plan.monitor_ids().filter(|id| monitor.is_none_or(|monitor| monitor == *id));
        let here: Vec<&str> =
            named.map(|id| plan.monitor(id)).filter(|plan| plan.servers.has(me)).map(|plan| plan.name.as_str()).collect();
        self.record.keep(ordered::FILE, self.ordered.take(here.into_iter(), order));
    }

    pub(super) fn script_ended(&mut self, ended: &scripts::Ended) -> Option<u8> {
        let monitor = &self.cluster.plan().monitor(ended.monitor).name;
        self.record.say(&match &ended.result {
            Ok(()) => Alert::preaction_done(ended.before, monitor),
            Err(reason) => Alert::preaction_failed(ended.before, monitor, reason),
        });
        self.step(Event::MonitorScriptDone { monitor: ended.monitor, script: ended.script })
    }

    /// The service has not ended before monitors that want it have (parameters/waitstop).
    pub(super) fn await_monitors(&mut self, queue: &Receiver<Input>) {
        let monitors = &self.loaded.configuration.monitors;
        let longest = monitors.iter().map(|monitor| monitor.common.timeout).max().unwrap_or_default();
        let (stretch, _) = self.cluster.timeout_ratio(super::now());
        let until = Instant::now() + longest * stretch + MONITOR_GRACE;
        // Others may ask for the same stop meanwhile.
        let mut late = Vec::new();
        while self.watch.is_ending() {
            let Some(left) = until.checked_duration_since(Instant::now()) else { break };
            match queue.recv_timeout(left) {
                Ok(Input::Monitord(Told::Ended(monitor))) => self.watch.ended(&monitor),
                Ok(Input::MonitordHere(sender)) => self.watch.connected(sender),
                Ok(Input::Control(Request::StopService { .. }, _, reply)) => late.push(reply),
                Ok(Input::Control(Request::Status, _, reply)) => drop(reply.send(Reply::Status(Box::new(self.status())))),
                Ok(Input::Control(_, _, reply)) => drop(reply.send(stopped())),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        for reply in late {
            let _ = reply.send(Reply::Done { details: Vec::new() });
        }
    }

    /// Tell of a check that ended, but late.
    fn tell_of_delay(&self, monitor: usize, found: &Found) {
        let ratio = self.loaded.configuration.cluster.monitor_delay_warning;
        let monitor = &self.loaded.configuration.monitors[monitor];
        let (stretch, _) = self.cluster.timeout_ratio(super::now());
        let limit = u64::try_from((monitor.common.timeout * stretch).as_millis()).unwrap_or(u64::MAX);
        if !found.timed_out && ratio < 100 && found.took_ms.saturating_mul(100) >= limit.saturating_mul(u64::from(ratio)) {
            let values = format!("timeout={limit} ms, actual time={} ms, warning ratio={ratio} %", found.took_ms);
            self.record.say(&match monitor.kind {
                MonitorKind::Userw(_) => Alert::userw_slow(&monitor.name, &values),
                _ => Alert::monitor_slow(&monitor.name, &values),
            });
        }
    }

    /// Does an operator let the monitor rest here?
    pub(super) fn rests(&self, monitor: MonitorId) -> bool {
        let reports = self.cluster.monitors_of(super::now(), self.me());
        reports.is_some_and(|reports| reports[monitor.index()].state == MonitorState::Suspended)
    }

    pub(super) fn monitor_counts(&self, only: Option<MonitorId>) -> Vec<MonitorCount> {
        let plan = self.cluster.plan();
        let wanted = plan.monitor_ids().filter(|id| only.is_none_or(|only| only == *id));
        wanted
            .map(|id| {
                let counts = self.cluster.monitor_counts(id);
                MonitorCount {
                    name: plan.monitor(id).name.clone(),
                    reactivations: counts.restarts,
                    failovers: counts.failovers,
                    dummy: counts.dummy,
                }
            })
            .collect()
    }
}
