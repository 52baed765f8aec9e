//! The healing of all faults, and the administrator who looks after what is left.

use clp_core::ids::ServerId;
use clp_core::message::{Command, Phase};

use crate::world::{Happening, World};

impl World {
    /// The end of all faults.
    pub(crate) fn heal(&mut self) {
        self.say(|| "HEALED".into());
        self.healed = true;
        self.network.heal();
        self.windows.clear();
        self.stale.clear();
        self.pushing = None;
        self.network.loss = self.options.loss;
        self.network.duplicate = self.options.duplicate;
        self.network.delay = self.options.delay;
        for host in 0..self.hosts.len() {
            self.resume(host);
        }
        // What is left must go on without it first.
        if let Some(away) = self.options.away {
            self.kept_off = Some(away);
            self.power_off(away);
        }
        self.contact_changed();
        self.checker.stage_until = self.now + self.options.quiet;
        self.after(self.interval() * 5, Happening::Help);
    }

    /// Look how far healing came; help where an administrator has to, and start all groups in the end.
    pub(crate) fn help(&mut self) {
        self.after(self.interval() * 5, Happening::Help);
        let stage = self.checker.stage;
        let problem = self.what_is_wrong(stage < 3, stage > 0);
        if let Some(problem) = problem {
            // The server that took the resume may have been the one that was switched off with it: nobody was told that it is done.
            if stage == 1
                && let Some(host) = self.coordinator()
                && self.hosts[host].engine.as_ref().is_some_and(|engine| engine.is_suspended())
            {
                self.operate(host, Command::Suspend { on: false });
            }
            if self.now > self.checker.stage_until && self.declare_away() {
                return;
            }
            if self.now > self.checker.stage_until {
                let stages = ["by themselves", "after resume", "after stopping what failed", "after starting all groups"];
                self.violation(format!("no-orphan: not well {}: {problem}", stages[stage]));
            }
            return;
        }
        let Some(host) = self.coordinator() else { return };
        self.say(|| format!("stage {stage} is well"));
        self.checker.stage += 1;
        self.checker.stage_until = self.now + self.options.quiet;
        match stage {
            0 => {
                if let Some(away) = self.kept_off.take() {
                    self.power_on(away);
                }
                self.operate(host, Command::Suspend { on: false });
                for broken in 0..self.hosts.len() {
                    if self.phases(broken).contains(&Phase::OfflineFailure) {
                        self.power_off(broken);
                        self.after(self.interval() * 50, Happening::PowerOn { host: broken });
                    }
                }
            }
            1 => {
                for group in self.options.plan.group_ids() {
                    let failed = (0..self.hosts.len()).any(|h| self.phases(h)[group.index()] == Phase::OnlineFailure);
                    if failed {
                        self.operate(host, Command::GroupStop { group: Some(group), server: None });
                    }
                }
            }
            2 => self.operate(host, Command::GroupStart { group: None, server: None }),
            _ => self.after(0, Happening::End),
        }
    }

    /// An arbiter's record, or what a server remembers of a farewell, may forbid to go on without the one that is off until an operator
    /// says that it is. True when he says it now, so that there is time again.
    fn declare_away(&mut self) -> bool {
        let Some(away) = self.kept_off.filter(|_| self.options.is_sound() && !self.checker.declared) else { return false };
        let mut acting = (0..self.hosts.len()).filter(|host| self.hosts[*host].acts());
        let Some(host) = self.coordinator().or(acting.next_back()) else { return false };
        self.checker.declared = true;
        self.checker.stage_until = self.now + self.options.quiet;
        self.operate(host, Command::DeclareOff { server: ServerId::at(away) });
        true
    }

    pub(crate) fn phases(&self, host: usize) -> Vec<Phase> {
        let engine = self.hosts[host].engine.as_ref();
        let phase = |group| engine.map_or(Phase::Off, |engine| engine.local_phase(group));
        self.options.plan.group_ids().map(phase).collect()
    }

    fn coordinator(&self) -> Option<usize> {
        let engine = self.hosts.iter().find_map(|host| host.engine.as_ref());
        let coordinator = engine.and_then(|engine| engine.coordinator()).map(ServerId::index);
        coordinator.filter(|host| self.hosts[*host].acts())
    }
}
