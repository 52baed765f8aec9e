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
        let life = self.hosts[host].life;
        self.hosts[host].work[resource.index()] += 1;
        let number = self.hosts[host].work[resource.index()];
        let fault = !self.healed;
        let fails = fault && self.rng.percent(self.options.operation_fails);
        let hangs = fault && self.rng.percent(self.options.operation_hangs);
        let rarely = fault && self.options.operation_fails > 0 && self.rng.percent(3);
        let time = if hangs { self.options.operation_limit } else { 200 + self.rng.below(self.options.operation) };
        let early = self.rng.below(time);
        let effect = |on: bool| Happening::Effect { host, work: number, resource, on };
        let failed = match work {
            Work::Activate { .. } => {
                let failed = fails || hangs;
                if !failed || self.rng.percent(60) {
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
                if !failed || self.rng.percent(30) {
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
        let result = if failed { Err(if hangs { "time limit".into() } else { "it failed".into() }) } else { Ok(()) };
        self.after(time, Happening::Done { host, life, op, resource, result });
    }

    /// Everything of the server is given up within F, or hangs.
    pub(crate) fn emergency(&mut self, host: usize) {
        let life = self.hosts[host].life;
        let hangs = !self.healed && self.rng.percent(self.options.operation_hangs * 2);
        let longest = if hangs { self.options.watchdog * 3 } else { self.options.emergency };
        let whole = 200 + self.rng.below(longest);
        for index in 0..self.options.plan.resources.len() {
            let resource = ResourceId::at(index);
            self.hosts[host].work[index] += 1;
            let work = self.hosts[host].work[index];
            if self.options.planted == Some(Planted::EmergencyDoesNothing) {
                continue;
            }
            let at = self.rng.below(whole);
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
        let chance = !self.healed && self.rng.percent(self.options.monitor_fails);
        let bad = chance || self.now < self.hosts[host].bad_until[monitor.index()];
        self.checker.checked(host, monitor, bad);
        let failure = bad.then(|| "it does not answer".to_string());
        let failure = failure.map(clp_core::event::Failure::error);
        self.handle(host, Event::MonitorResult { monitor, failure });
    }
}
