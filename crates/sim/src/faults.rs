//! Faults of the list are carried out when their moment is there; some take effect at once, others only on what meets them.

use clp_core::action::Work;
use clp_core::ids::{MonitorId, ResourceId};

use crate::fault::{Cutting, What};
use crate::host::Pause;
use crate::network::Cut;
use crate::world::{Happening, World};

/// A fault that waits for something to meet it.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    fault: usize,
    until: u64,
}

/// No lease is longer.
const LEASE_MAX: u64 = 3_600_000_000;

/// A configuration on its way.
#[derive(Debug, Clone, Copy)]
pub struct Push {
    fault: usize,
    generation: u64,
    until: u64,
}

impl World {
    /// The moment of a fault.
    pub(crate) fn fault(&mut self, number: usize) {
        if self.healed {
            return;
        }
        let planned = self.faults[number].clone();
        self.say(|| format!("FAULT {number}: {}", planned.to_string().trim_start()));
        self.tell(|| format!("fault at s{}: {}", planned.host, planned.what));
        let (host, span) = (planned.host, planned.span);
        let took = match planned.what {
            What::Crash { torn } => self.crash(host, span, torn.then_some(number)),
            What::PowerLoss { back } => {
                let lost = (0..self.hosts.len()).filter(|host| self.crash(*host, span + back[*host], None)).count();
                lost > 0
            }
            What::EngineRestart => self.engine_dies(host, Some(span)),
            What::EngineDeath => self.engine_dies(host, None),
            What::PauseServer => self.pause(host, Pause::Server, span),
            What::PauseEngine => self.pause(host, Pause::Engine, span),
            What::ArbiterAway => self.lose_arbiter(host, span),
            What::Cut { cut, arbiter } => self.cut(host, &cut, arbiter, span),
            What::Loss { percent } => {
                self.network.loss = percent;
                self.contact_changed();
                self.after(span, Happening::Calm);
                true
            }
            What::Delay { longest } => {
                self.network.delay = longest;
                self.contact_changed();
                self.after(span, Happening::Calm);
                true
            }
            What::Operator(order) => self.order(host, order),
            What::TornSlots { path } => self.spoil(path, host, true, span),
            What::StaleSlots { path, older } => {
                self.freeze_slots(number, path, older);
                self.spoil(path, host, false, span)
            }
            What::Push => self.push(number, host, span),
            What::ArbiterForgets => self.forget_record(),
            What::ClockTurns { drift } => self.turn_clock(host, drift),
            What::MonitorBad { .. }
            | What::MonitorFlaps { .. }
            | What::StartFails { .. }
            | What::StopFails { .. }
            | What::Stuck { .. }
            | What::DiskFull
            | What::ArbiterSlow { .. }
            | What::ArbiterWrong { .. }
            | What::ControllerAway
            | What::WatchdogLate { .. } => false,
        };
        if took {
            self.took_effect(number);
        }
        self.windows.retain(|window| window.until > self.now);
        self.windows.push(Window { fault: number, until: self.now + span });
    }

    /// The fault for which this is true and which befalls the server at this moment.
    pub(crate) fn befalls(&self, host: usize, is: impl Fn(&What) -> bool) -> Option<usize> {
        let mut open = self.windows.iter().filter(|window| window.until > self.now).map(|window| window.fault);
        open.find(|fault| self.faults[*fault].host == host && is(&self.faults[*fault].what))
    }

    fn crash(&mut self, host: usize, span: u64, torn: Option<usize>) -> bool {
        if !self.hosts[host].powered {
            return false;
        }
        if let Some(fault) = torn {
            self.tear_slots(host, fault);
        }
        self.power_off(host);
        self.after(span, Happening::PowerOn { host });
        true
    }

    fn engine_dies(&mut self, host: usize, again: Option<u64>) -> bool {
        if !self.hosts[host].powered || self.hosts[host].engine.is_none() {
            return false;
        }
        let (boot, life) = (self.hosts[host].boot, self.hosts[host].life);
        self.hosts[host].end_engine();
        match again {
            Some(span) => self.after(span, Happening::EngineStart { host, boot }),
            None => self.after(1000, Happening::Fence { host, boot, life }),
        }
        self.contact_changed();
        true
    }

    fn pause(&mut self, host: usize, pause: Pause, span: u64) -> bool {
        if !self.hosts[host].powered || self.hosts[host].pause != Pause::No {
            return false;
        }
        self.hosts[host].pause = pause;
        self.hosts[host].pauses += 1;
        self.hosts[host].paused_at = self.now;
        let pauses = self.hosts[host].pauses;
        self.after(span, Happening::Resume { host, pauses });
        self.contact_changed();
        true
    }

    /// True when it was reached before by somebody who could ask.
    fn lose_arbiter(&mut self, host: usize, span: u64) -> bool {
        let took = self.network.arbiter_cuts[host] == 0 && self.hosts[host].acts();
        self.network.arbiter_cuts[host] += 1;
        self.contact_changed();
        self.after(span, Happening::ArbiterBack { host });
        took
    }

    /// The arbiter starts from nothing. What was promised by its record is excused until it would have run out.
    fn forget_record(&mut self) -> bool {
        let had = self.store.forget();
        let lease = u64::try_from(self.options.plan.timing.lease().as_micros()).unwrap_or(u64::MAX);
        self.checker.forgot_until = self.now + lease * u64::from(self.options.stretch() * 2);
        had
    }

    fn turn_clock(&mut self, host: usize, drift: i64) -> bool {
        let now = self.now;
        let clock = &mut self.hosts[host];
        let lease = clock.clock(clock.lease.min(now + LEASE_MAX));
        let turned = clock.turn(now, drift);
        if clock.lease > now {
            clock.lease = clock.real(lease);
        }
        clock.wake = u64::MAX;
        self.schedule(host);
        turned
    }

    fn spoil(&mut self, path: usize, host: usize, torn: bool, span: u64) -> bool {
        self.network.spoil(path, host, torn, true);
        self.contact_changed();
        self.after(span, Happening::SlotsWhole { path, host, torn });
        // Only who meets them tells.
        false
    }

    /// True when a cable that was whole is cut.
    fn cut(&mut self, host: usize, cut: &Cutting, arbiter: bool, span: u64) -> bool {
        let mut cuts = self.cables(host, cut);
        cuts.sort_unstable();
        cuts.dedup();
        let took = cuts.iter().any(|cut| self.network.is_whole(*cut));
        self.network.change(&cuts, true);
        // A cut that also cuts one side from the arbiter.
        if arbiter {
            self.network.arbiter_cuts[host] += 1;
            self.after(span, Happening::ArbiterBack { host });
        }
        self.contact_changed();
        self.after(span, Happening::Mend { cuts });
        took
    }

    fn cables(&self, host: usize, cut: &Cutting) -> Vec<Cut> {
        let servers = self.hosts.len();
        let all_of = |all: bool| {
            let others = (0..servers).filter(|one| *one != host);
            others.flat_map(|one| self.network.between(host, one, all)).collect::<Vec<Cut>>()
        };
        match cut {
            Cutting::Isolate => all_of(true),
            Cutting::Lans => all_of(false),
            Cutting::Pair { other, all } => self.network.between(host, *other, *all),
            Cutting::OneWay { other } => {
                let lans = self.network.between(host, *other, false);
                lans.into_iter().filter(|(_, from, _)| *from == host).collect()
            }
            Cutting::Path { path } => all_of(true).into_iter().filter(|cut| cut.0 == *path).collect(),
            Cutting::Split { side, all } => {
                let others: Vec<usize> = (0..servers).filter(|server| !side.contains(server)).collect();
                let pairs = side.iter().flat_map(|a| others.iter().map(move |b| (*a, *b)));
                pairs.flat_map(|(a, b)| self.network.between(a, b, *all)).collect()
            }
        }
    }

    /// The cluster is stopped, and every engine that ends takes the new configuration and starts with it.
    fn push(&mut self, fault: usize, host: usize, span: u64) -> bool {
        let newest = self.hosts.iter().map(|host| host.generation).max().unwrap_or(1);
        let stop = crate::operator::Order::StopAll { then: clp_core::plan::AfterStop::Nothing };
        if self.order(host, stop) {
            self.pushing = Some(Push { fault, generation: newest + 1, until: self.now + span });
        }
        false
    }

    /// An engine has ended by itself: with a push on its way it starts again soon, with the new configuration.
    pub(crate) fn take_push(&mut self, host: usize) -> Option<u64> {
        let push = self.pushing.filter(|push| push.until > self.now)?;
        self.took_effect(push.fault);
        self.hosts[host].generation = push.generation;
        Some(self.range(host, self.interval() / 2, self.interval() * 4))
    }

    /// Does a fault of the list let this operation fail?
    pub(crate) fn planned_failure(&mut self, host: usize, resource: ResourceId, work: Work) -> bool {
        let fault = self.befalls(host, |what| match (what, work) {
            (What::StartFails { resource: of }, Work::Activate { .. }) => *of == resource,
            (What::StopFails { resource: of, .. }, Work::Deactivate { .. }) => *of == resource,
            (What::StopFails { resource: of, detach }, Work::Detach | Work::Verify) => *of == resource && *detach,
            _ => false,
        });
        fault.into_iter().for_each(|fault| self.took_effect(fault));
        fault.is_some()
    }

    /// Until when operations on this resource, or on any, do not end.
    pub(crate) fn stuck_until(&mut self, host: usize, resource: Option<ResourceId>) -> Option<u64> {
        let is_it = |of: ResourceId| resource.is_none_or(|resource| of == resource);
        let fault = self.befalls(host, |what| matches!(what, What::Stuck { resource: of } if is_it(*of)))?;
        self.took_effect(fault);
        let healed = self.options.first_fault() + self.options.faulty;
        Some((self.faults[fault].at + self.faults[fault].span).min(healed).max(self.now))
    }

    /// Does a fault of the list let this check find an error?
    pub(crate) fn planned_error(&mut self, host: usize, monitor: MonitorId, pause: u64) -> bool {
        let fault = self.befalls(host, |what| match what {
            What::MonitorBad { monitor: of } | What::MonitorFlaps { monitor: of, .. } => *of == monitor,
            _ => false,
        });
        let Some(fault) = fault else { return false };
        self.took_effect(fault);
        match self.faults[fault].what {
            What::MonitorFlaps { every, .. } => ((self.now - self.faults[fault].at) / pause / every).is_multiple_of(2),
            _ => true,
        }
    }

    /// How late the watchdog's reset is by a fault of the list.
    pub(crate) fn planned_lateness(&mut self, host: usize) -> Option<u64> {
        let fault = self.befalls(host, |what| matches!(what, What::WatchdogLate { .. }))?;
        self.took_effect(fault);
        let What::WatchdogLate { by } = self.faults[fault].what else { return None };
        let grain = self.options.watchdog_grain;
        if by > grain {
            self.hosts[host].overdue = Some(self.now + grain);
        }
        Some(by)
    }

    /// Those whose watchdog should have reset them are beyond what is promised; that is counted alone.
    pub(crate) fn without_overdue(&mut self, owners: Vec<usize>) -> Vec<usize> {
        let is_overdue = |host: &usize| self.hosts[*host].overdue.is_some_and(|from| self.now >= from);
        if owners.len() < 2 || !owners.iter().any(is_overdue) {
            return owners;
        }
        let rest: Vec<usize> = owners.iter().copied().filter(|host| !is_overdue(host)).collect();
        self.tally.outside += 1;
        rest
    }
}
