//! Faults at random moments, the healing of all of them, and the administrator who looks after what is left.

use clp_core::event::Event;
use clp_core::ids::{GroupId, ResourceId, ServerId};
use clp_core::message::{Command, Phase};
use clp_core::plan::AfterStop;
use clp_core::single::ResourceOrder;

use crate::host::Pause;
use crate::network::Cut;
use crate::options::{Fault, RATIO_MAX, RATIO_TIMEOUTS};
use crate::world::{Happening, World};

impl World {
    /// One fault now, the next one later.
    pub(crate) fn fault(&mut self) {
        if self.healed {
            return;
        }
        let gap = self.rng.below(2 * self.options.fault_gap);
        self.after(gap, Happening::Fault);
        let kind = self.rng.pick(&self.options.faults.clone());
        let host = self.rng.index(self.hosts.len());
        self.say(|| format!("FAULT {kind:?} at s{host}"));
        let scale = (self.options.plan.timing.timeout.as_micros() as u64).max(self.options.watchdog);
        let span = match self.rng.below(3) {
            0 => self.rng.below(scale / 2),
            1 => self.rng.below(scale * 2),
            _ => self.rng.below(scale * 6),
        };
        match kind {
            Fault::Crash => {
                if self.hosts[host].powered {
                    self.power_off(host);
                    self.after(span, Happening::PowerOn { host });
                }
            }
            Fault::EngineRestart | Fault::EngineDeath => self.engine_dies(host, kind, span),
            Fault::PauseServer => self.pause(host, Pause::Server, span),
            Fault::PauseEngine => self.pause(host, Pause::Engine, span),
            Fault::ArbiterAway => {
                self.network.arbiter_cuts[host] += 1;
                self.contact_changed();
                self.after(span, Happening::ArbiterBack { host });
            }
            Fault::MonitorBad => {
                if !self.options.plan.monitors.is_empty() {
                    let monitor = self.rng.index(self.options.plan.monitors.len());
                    self.hosts[host].bad_until[monitor] = self.now + span;
                }
            }
            Fault::Operator => self.random_command(host),
            Fault::Loss => {
                self.network.loss = self.rng.range(20, 90);
                self.contact_changed();
                self.after(span, Happening::Calm);
            }
            Fault::Delay => {
                self.network.delay = self.rng.range(self.interval(), scale * 2);
                self.contact_changed();
                self.after(span, Happening::Calm);
            }
            _ => self.cut(host, kind, span),
        }
    }

    fn engine_dies(&mut self, host: usize, kind: Fault, span: u64) {
        if !self.hosts[host].powered || self.hosts[host].engine.is_none() {
            return;
        }
        let (boot, life) = (self.hosts[host].boot, self.hosts[host].life);
        self.hosts[host].end_engine();
        if kind == Fault::EngineRestart {
            self.after(span, Happening::EngineStart { host, boot });
        } else {
            self.after(1000, Happening::Fence { host, boot, life });
        }
        self.contact_changed();
    }

    fn pause(&mut self, host: usize, pause: Pause, span: u64) {
        if !self.hosts[host].powered || self.hosts[host].pause != Pause::No {
            return;
        }
        self.hosts[host].pause = pause;
        self.hosts[host].pauses += 1;
        self.hosts[host].paused_at = self.now;
        let pauses = self.hosts[host].pauses;
        self.after(span, Happening::Resume { host, pauses });
        self.contact_changed();
    }

    fn cut(&mut self, host: usize, kind: Fault, span: u64) {
        let servers = self.hosts.len();
        let other = (host + 1 + self.rng.index(servers - 1)) % servers;
        let all = self.rng.percent(50);
        let others: Vec<usize> = (0..servers).filter(|one| *one != host).collect();
        let mut cuts: Vec<Cut> = match kind {
            Fault::IsolateServer => others.iter().flat_map(|one| self.network.between(host, *one, true)).collect(),
            Fault::CutLans => others.iter().flat_map(|one| self.network.between(host, *one, false)).collect(),
            Fault::CutPair => self.network.between(host, other, all),
            Fault::CutOneWay => {
                let lans = self.network.between(host, other, false);
                lans.into_iter().filter(|(_, from, _)| *from == host).collect()
            }
            Fault::CutPath => {
                let path = self.rng.index(self.network.paths());
                others.iter().flat_map(|one| self.network.between(host, *one, true)).filter(|cut| cut.0 == path).collect()
            }
            _ => {
                let mut sides: Vec<bool> = (0..servers).map(|_| self.rng.percent(50)).collect();
                sides[host] = true;
                sides[other] = false;
                let mut cuts = Vec::new();
                for a in 0..servers {
                    for b in (0..servers).filter(|b| sides[a] && !sides[*b]) {
                        cuts.extend(self.network.between(a, b, all));
                    }
                }
                cuts
            }
        };
        cuts.sort_unstable();
        cuts.dedup();
        self.network.change(&cuts, true);
        // A cut that also cuts one side from the arbiter.
        if self.rng.percent(40) {
            self.network.arbiter_cuts[host] += 1;
            self.after(span, Happening::ArbiterBack { host });
        }
        self.contact_changed();
        self.after(span, Happening::Mend { cuts });
    }

    fn random_command(&mut self, host: usize) {
        if !self.hosts[host].acts() {
            return;
        }
        let any = |world: &mut World| Some(ServerId::at(world.rng.index(world.hosts.len()))).filter(|_| world.rng.percent(60));
        let group = Some(GroupId::at(self.rng.index(self.options.plan.groups.len()))).filter(|_| self.rng.percent(80));
        let then = self.rng.pick(&[AfterStop::Nothing, AfterStop::Shutdown, AfterStop::Reboot]);
        let command = match self.rng.below(24) {
            0..=2 => Command::GroupStart { group, server: any(self) },
            3 | 4 => Command::GroupStop { group, server: None },
            5..=7 => Command::GroupMove { group, from: None, to: any(self) },
            8 => Command::StopAll { then },
            9 | 10 => Command::Suspend { on: true },
            11..=13 => Command::Suspend { on: false },
            14..=17 => {
                let resource = ResourceId::at(self.rng.index(self.options.plan.resources.len()));
                let order = ResourceOrder { on: self.rng.percent(50), others: self.rng.percent(70) };
                self.operate_resource(host, resource, order);
                return;
            }
            // An operator looks first whether the server is really off.
            18 => match (0..self.hosts.len()).find(|other| !self.hosts[*other].powered) {
                Some(off) => Command::DeclareOff { server: ServerId::at(off) },
                None => return,
            },
            19..=21 => Command::TimeoutRatio {
                ratio: u32::try_from(self.rng.range(2, u64::from(RATIO_MAX))).expect("small"),
                span: self.rng.below(RATIO_TIMEOUTS * self.options.plan.timing.timeout.as_micros() as u64),
            },
            22 => Command::TimeoutRatio { ratio: 1, span: 0 },
            _ => {
                self.command += 1;
                let id = self.command;
                self.say(|| format!("operator at s{host}: stop the service, then {then:?}"));
                self.handle(host, Event::StopService { id, then });
                return;
            }
        };
        self.operate(host, command);
    }

    /// The end of all faults.
    pub(crate) fn heal(&mut self) {
        self.say(|| "HEALED".into());
        self.healed = true;
        self.network.heal();
        self.network.loss = self.options.loss;
        self.network.duplicate = self.options.duplicate;
        self.network.delay = self.options.delay;
        for host in 0..self.hosts.len() {
            self.hosts[host].bad_until.fill(0);
            self.resume(host);
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
            if self.now > self.checker.stage_until {
                let stages = ["by themselves", "after resume", "after stopping what failed", "after starting all groups"];
                self.violation(format!("no-orphan: not well {}: {problem}", stages[stage]));
            }
            return;
        }
        self.say(|| format!("stage {stage} is well"));
        self.checker.stage += 1;
        self.checker.stage_until = self.now + self.options.quiet;
        let Some(host) = self.coordinator() else { return };
        match stage {
            0 => {
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

    pub(crate) fn phases(&self, host: usize) -> Vec<Phase> {
        let engine = self.hosts[host].engine.as_ref();
        let phase = |group| engine.map_or(Phase::Off, |engine| engine.local_phase(group));
        self.options.plan.group_ids().map(phase).collect()
    }

    fn coordinator(&self) -> Option<usize> {
        let engine = self.hosts.iter().find_map(|host| host.engine.as_ref());
        engine.and_then(|engine| engine.coordinator()).map(ServerId::index)
    }
}
