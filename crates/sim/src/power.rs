//! The life of a server: power, boots, engine starts and ends, pauses, and the watchdog with the one who feeds it.

use clp_core::cluster::{Cluster, Identity};
use clp_core::event::Event;
use clp_core::ids::{ServerId, ServerSet};
use clp_core::plan::AfterStop;

use crate::host::{Look, Pause};
use crate::plant::{Planted, plan};
use crate::world::{Happening, World};

impl World {
    pub(crate) fn power_on(&mut self, host: usize) {
        if self.hosts[host].powered || self.kept_off == Some(host) {
            return;
        }
        let server = &mut self.hosts[host];
        server.powered = true;
        server.boot += 1;
        let boot = server.boot;
        self.say(|| format!("s{host} boots ({boot})"));
        self.tell(|| format!("s{host} boots"));
        self.after(self.interval(), Happening::Feed { host, boot });
        self.engine_start(host, boot);
    }

    pub(crate) fn power_off(&mut self, host: usize) {
        self.tell(|| format!("s{host} is without power"));
        self.hosts[host].power_off();
        self.truth_changed();
        self.contact_changed();
    }

    pub(crate) fn engine_start(&mut self, host: usize, boot: u64) {
        let server = &mut self.hosts[host];
        if !server.powered || server.boot != boot || server.engine.is_some() {
            return;
        }
        server.life += 1;
        server.looks.iter_mut().for_each(|look| *look = Look { at: None, seen: vec![None; look.seen.len()] });
        let life = server.life;
        let identity = Identity {
            me: ServerId::at(host),
            incarnation: if self.options.planted == Some(Planted::LifeIsNotCounted) { 1 } else { life },
            boot: boot * 1000 + host as u64,
            paths: self.options.lan.len(),
            generation: server.generation,
            suspended: server.suspended,
            ratio: if self.options.planted == Some(Planted::RatioNotKept) { 1 } else { server.ratio },
            reboots: if self.options.planted == Some(Planted::RebootsCountAnew) { 0 } else { server.reboots },
            ran: if self.options.planted == Some(Planted::RanIsForgotten) { ServerSet::EMPTY } else { server.ran },
        };
        let mut now = server.clock(self.now);
        if self.options.planted == Some(Planted::BootForgetsAbsent) {
            let timing = &self.options.plan.timing;
            now = now - (timing.timeout + timing.takeover_data + timing.sync_wait);
        }
        server.engine = Some(Cluster::new(plan(&self.options), identity, now));
        server.wake = u64::MAX;
        self.checker.engine_starts(host);
        self.note_upset(host);
        self.say(|| format!("s{host} engine starts, life {life}"));
        for path in (0..self.network.paths()).filter(|path| !self.network.is_lan(*path)).collect::<Vec<_>>() {
            self.after(0, Happening::DiskRead { host, life, path });
        }
        self.after(self.interval(), Happening::LookAtArbiter { host, life });
        let works = self.options.gated[host] || self.is_planted(Planted::UngatedSaysGated);
        self.handle(host, Event::GateSeen { works });
        self.contact_changed();
    }

    pub(crate) fn exit(&mut self, host: usize, then: AfterStop, clean: bool) {
        if clean {
            self.check_clean_exit(host);
            self.hosts[host].watchdog = None;
        }
        self.hosts[host].end_engine();
        let boot = self.hosts[host].boot;
        let back = self.range(host, self.interval() * 5, self.interval() * 80);
        let back = if then == AfterStop::Nothing { self.take_push(host).unwrap_or(back) } else { back };
        match then {
            AfterStop::Nothing => self.after(back, Happening::EngineStart { host, boot }),
            _ => {
                self.power_off(host);
                self.after(back, Happening::PowerOn { host });
            }
        }
        self.contact_changed();
    }

    /// A final action ends the server at once; sometimes its means does not work, and the parent shuts it down.
    pub(crate) fn end_server(&mut self, host: usize) {
        let (boot, life) = (self.hosts[host].boot, self.hosts[host].life);
        if self.percent(host, 20) {
            self.hosts[host].end_engine();
            self.after(1000, Happening::Fence { host, boot, life });
        } else {
            self.power_off(host);
            let back = self.range(host, self.interval() * 5, self.interval() * 80);
            self.after(back, Happening::PowerOn { host });
        }
        self.contact_changed();
    }

    pub(crate) fn resume(&mut self, host: usize) {
        if self.hosts[host].pause == Pause::No {
            return;
        }
        self.say(|| format!("s{host} goes on after its pause"));
        self.note_upset(host);
        self.hosts[host].pause = Pause::No;
        if self.is_planted(Planted::ClockStopsInPause) {
            let stood = self.now - self.hosts[host].paused_at;
            self.hosts[host].stood += stood;
            self.hosts[host].wake = u64::MAX;
        }
        self.distort_pause(host);
        let waiting = std::mem::take(&mut self.hosts[host].waiting);
        let first = self.percent(host, 50);
        if first {
            self.handle(host, Event::Deadline);
        }
        for happening in waiting {
            self.happens(happening);
        }
        self.handle(host, Event::Deadline);
        self.contact_changed();
    }

    pub(crate) fn feed(&mut self, host: usize, boot: u64) {
        let server = &self.hosts[host];
        if server.boot != boot || !server.powered {
            return;
        }
        let now = server.clock(self.now);
        let turns = server.pause == Pause::No && server.engine.is_some();
        let may_feed = turns && server.engine.as_ref().is_some_and(|engine| engine.may_feed_watchdog(now));
        let allowed = match self.options.planted {
            Some(Planted::FeedsWithoutRight) => turns,
            Some(Planted::FedInPause) => may_feed || server.pause == Pause::Engine,
            _ => may_feed,
        };
        self.after(self.interval(), Happening::Feed { host, boot });
        if !allowed || self.options.planted == Some(Planted::NoWatchdog) {
            return;
        }
        let end = self.now + self.options.watchdog;
        if self.hosts[host].watchdog.replace(end).is_none() {
            self.after(self.options.watchdog, Happening::Watchdog { host, boot });
        }
    }

    pub(crate) fn watchdog(&mut self, host: usize, boot: u64) {
        let server = &self.hosts[host];
        if server.boot != boot || !server.powered {
            return;
        }
        let Some(end) = server.watchdog else { return };
        if end > self.now {
            self.after(end - self.now, Happening::Watchdog { host, boot });
            return;
        }
        self.hosts[host].watchdog = None;
        let late = self.below(host, self.options.watchdog_grain);
        let late = self.planned_lateness(host).unwrap_or(late);
        self.after(late, Happening::Reset { host, boot });
    }
}
