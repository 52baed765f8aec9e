//! What operations do to resources in the world: they take their time, fail, hang until their limit; and the emergency.

use clp_core::action::Work;
use clp_core::event::Event;
use clp_core::ids::{MonitorId, ResourceId};

use crate::plant::Planted;
use crate::world::{Happening, World};

impl World {
    /// Begin an operation; an older one on the same resource is ended by it.
    pub(crate) fn work(&mut self, host: usize, op: u64, resource: ResourceId, work: Work) {
        self.check_order(host, resource, work);
        self.note_origin(resource, work);
        let life = self.hosts[host].life;
        self.hosts[host].work[resource.index()] += 1;
        let number = self.hosts[host].work[resource.index()];
        let fault = !self.healed;
        let planned = self.planned_failure(host, resource, work);
        let stuck = self.stuck_until(host, Some(resource));
        let fails = (fault && self.percent(host, self.options.operation_fails)) || planned;
        let hangs = (fault && self.percent(host, self.options.operation_hangs)) || stuck.is_some();
        let rarely = (fault && self.options.operation_fails > 0 && self.percent(host, 3)) || planned || stuck.is_some();
        let limit = self.options.operation_limit;
        let time = if hangs { limit } else { 200 + self.below(host, self.options.operation) };
        let time = stuck.map_or(time, |end| end - self.now + limit);
        let early = self.below(host, time);
        let effect = |on: bool| Happening::Effect { host, work: number, resource, on };
        let failed = match work {
            Work::Activate { .. } => {
                let failed = fails || hangs;
                if !failed || self.percent(host, 60) {
                    self.after(early, effect(true));
                }
                if failed {
                    // A failed step undoes what it did.
                    self.after(time, effect(false));
                }
                failed
            }
            Work::Deactivate { .. } => {
                let failed = fails || hangs;
                if !failed || self.percent(host, 30) {
                    self.after(early, effect(false));
                }
                failed
            }
            Work::Verify | Work::Detach => {
                if !rarely {
                    self.after(early, effect(false));
                }
                rarely
            }
        };
        if work == Work::Verify && self.is_planted(Planted::RestartOwnsNothing) {
            self.hosts[host].work[resource.index()] += 1;
            self.after(1, Happening::Done { host, life, op, resource, result: Ok(()) });
            return;
        }
        let told = matches!(work, Work::Deactivate { .. }) && self.is_planted(Planted::StopFailureIsSuccess);
        let result = if failed && !told { Err(if hangs { "time limit".into() } else { "it failed".into() }) } else { Ok(()) };
        self.after(time, Happening::Done { host, life, op, resource, result });
    }

    /// Everything of the server is given up within F, or hangs.
    pub(crate) fn emergency(&mut self, host: usize) {
        let life = self.hosts[host].life;
        let rate = self.options.operation_hangs * 2;
        let hangs = !self.healed && self.percent(host, rate);
        let hangs = hangs || self.stuck_until(host, None).is_some();
        let longest = if hangs { self.options.watchdog * 3 } else { self.options.emergency };
        let whole = 200 + self.below(host, longest);
        for index in 0..self.options.plan.resources.len() {
            let resource = ResourceId::at(index);
            self.hosts[host].work[index] += 1;
            let work = self.hosts[host].work[index];
            if self.options.planted == Some(Planted::EmergencyDoesNothing) {
                continue;
            }
            let at = self.below(host, whole);
            self.after(at, Happening::Effect { host, work, resource, on: false });
        }
        self.after(whole, Happening::EmergencyDone { host, life });
    }

    pub(crate) fn set_active(&mut self, host: usize, resource: ResourceId, on: bool) {
        if self.hosts[host].active[resource.index()] != on {
            self.hosts[host].active[resource.index()] = on;
            self.say(|| format!("s{host} WORLD r{} is {}", resource.0, if on { "active" } else { "off" }));
            self.truth_changed();
        }
    }

    pub(crate) fn monitor(&mut self, host: usize, monitor: MonitorId, run: bool) {
        if run {
            self.command += 1;
            self.hosts[host].monitors[monitor.index()] = Some(self.command);
            let run = self.command;
            self.after(self.interval(), Happening::Check { host, run, monitor });
        } else {
            self.hosts[host].monitors[monitor.index()] = None;
        }
    }

    pub(crate) fn monitor_checks(&mut self, host: usize, run: u64, monitor: MonitorId) {
        if self.hosts[host].monitors[monitor.index()] != Some(run) {
            return;
        }
        let wait = self.interval() * 5;
        self.after(wait, Happening::Check { host, run, monitor });
        let rate = self.options.monitor_fails;
        let chance = !self.healed && self.percent(host, rate);
        let bad = self.planned_error(host, monitor, wait) || chance;
        self.checker.checked(host, monitor, bad);
        let failure = bad.then(|| "it does not answer".to_string());
        let failure = failure.map(clp_core::event::Failure::error);
        self.handle(host, Event::MonitorResult { monitor, failure });
    }
}
