//! The partition resolution of the world: ping target, majority, or a witness with a lease (rule R9).

use clp_core::ids::ServerId;

use crate::host::Host;
use crate::options::Arbiter;
use crate::plant::Planted;
use crate::world::{Happening, World};

impl World {
    pub(crate) fn question(&mut self, host: usize, life: u64, ask: u64) {
        if !self.alive(host, life) || self.network.arbiter_cuts[host] > 0 {
            // A target that does not answer is a No after a while; the question's time limit is Q.
            let wait = self.options.plan.timing.arbiter.as_micros() as u64 * 3 / 4;
            self.after(wait, Happening::Verdict { host, life, ask, yes: false });
            return;
        }
        let acts: Vec<bool> = self.hosts.iter().map(Host::acts).collect();
        // Rule R9: the arbiter holds the committed view, so whoever said farewell and returns behind a cut is not in it.
        let hosts = 0..self.hosts.len();
        let mut part = self.network.part(host, &acts, true);
        let works = !self.network.is_bad(self.interval());
        if !works {
            // Too much is lost or late for any two to count as being in contact.
            part.fill(false);
            part[host] = true;
        }
        let excluded = hosts.clone().any(|x| !part[x] && hosts.clone().any(|of| part[of] && self.excludes[x][of]));
        self.say(|| format!("question {ask} of s{host}: part {part:?}, excluded {excluded}"));
        let yes = match self.options.arbiter {
            Arbiter::Majority | Arbiter::Witness if excluded => false,
            Arbiter::None | Arbiter::Ping => true,
            Arbiter::Majority => part.iter().filter(|in_it| **in_it).count() * 2 > self.hosts.len(),
            Arbiter::Witness => {
                let timing = &self.options.plan.timing;
                let valid = timing.arbiter + timing.interval * 2;
                let stopped = timing.interval * 3 + timing.right_timeout * 2;
                let mut held = (valid + stopped).as_micros() as u64 + self.options.watchdog + self.options.watchdog_grain;
                if self.options.planted == Some(Planted::NoTakeoverDelay) {
                    held = self.interval();
                }
                let holder = self.lease.as_ref().is_none_or(|(members, until)| members[host] || *until < self.now);
                if holder {
                    self.lease = Some((part, self.now + held + held / 50));
                }
                holder
            }
        };
        if !yes {
            self.note_upset(host);
        }
        let way = self.rng.below(self.interval() / 4 + 1);
        self.after(way, Happening::Verdict { host, life, ask, yes });
    }

    pub(crate) fn record_view(&mut self, host: usize) {
        for of in 0..self.hosts.len() {
            let left = self.relies_on_farewell(host, of);
            let now = self.hosts[host].clock(self.now);
            let engine = self.hosts[host].engine.as_ref();
            let apart = engine.is_some_and(|engine| !engine.server_view(now, ServerId::at(of)).member);
            self.excludes[host][of] = apart && (left || self.excludes[host][of]);
        }
    }
}
