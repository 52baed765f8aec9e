//! Power controllers in the world: they switch servers off and tell whether they are, as `drivers/src/forced_stop` does.

use clp_core::event::Event;
use clp_core::ids::ServerId;

use crate::fault::What;
use crate::plant::Planted;
use crate::world::{Happening, World};

impl World {
    /// An engine wants a server switched off: the order goes to that one's controller, which no cable of the run's network joins.
    pub(crate) fn force_stop(&mut self, host: usize, life: u64, server: usize) {
        let way = 200 + self.below(host, self.interval());
        self.after(way, Happening::PowerOrder { host, life, server });
    }

    /// The order arrives; the power goes a while later.
    pub(crate) fn power_order(&mut self, host: usize, life: u64, server: usize) {
        let away = self.befalls(server, |what| matches!(what, What::ControllerAway));
        if let Some(fault) = away {
            self.took_effect(fault);
        }
        let unread = self.is_planted(Planted::AcceptedIsOff);
        if away.is_some() && !unread {
            let limit = self.options.scale();
            self.after(limit, Happening::PowerRead { host, life, server, order: None });
            return;
        }
        let delay = self.below(server, self.options.scale() / 2);
        let boot = self.hosts[server].boot;
        if away.is_none() {
            self.after(delay, Happening::PowerCut { server });
        }
        let read = if unread { 0 } else { delay + 1 + self.below(host, self.interval()) };
        self.after(read, Happening::PowerRead { host, life, server, order: Some(boot) });
    }

    /// The power goes, and somebody brings it back after a while.
    pub(crate) fn power_cut(&mut self, server: usize) {
        if !self.hosts[server].powered {
            return;
        }
        self.say(|| format!("s{server} is switched off by its controller"));
        self.tally.stopped += 1;
        self.power_off(server);
        let back = self.interval() * 5 + self.below(server, self.options.scale() * 6);
        self.after(back, Happening::PowerOn { host: server });
    }

    /// The power is read: off, in the boot that was to end, or not for certain.
    pub(crate) fn power_read(&mut self, host: usize, life: u64, server: usize, order: Option<u64>) {
        if !self.alive(host, life) {
            return;
        }
        let is_off = !self.hosts[server].powered || self.is_planted(Planted::AcceptedIsOff);
        let result = match order {
            None => Err("its controller does not answer".to_string()),
            Some(boot) if is_off && self.hosts[server].boot == boot => Ok("its power was read back off".to_string()),
            Some(_) => Err("its power is on".to_string()),
        };
        self.handle(host, Event::ForcedStop { server: ServerId::at(server), result });
    }
}
