//! What passes between the world and an engine: events in, deadlines kept, actions carried out, operators' questions.

use std::rc::Rc;

use clp_core::action::Action;
use clp_core::event::Event;
use clp_core::ids::ResourceId;
use clp_core::message::{Command, Letter, Message};
use clp_core::single::ResourceOrder;

use crate::plant::Planted;
use crate::world::{Happening, World};

impl World {
    /// Give an event to an engine and do what it says.
    pub(crate) fn handle(&mut self, host: usize, event: Event) {
        let now = self.hosts[host].clock(self.now);
        let Some(engine) = &mut self.hosts[host].engine else { return };
        self.events += 1;
        let actions = engine.handle(now, event);
        for action in actions {
            self.act(host, action);
        }
        self.renew_lease(host);
        self.schedule(host);
    }

    /// What the engine's loop tells its kernel's gate after every event.
    fn renew_lease(&mut self, host: usize) {
        let now = self.hosts[host].clock(self.now);
        let Some(engine) = &self.hosts[host].engine else { return };
        let until = engine.serves_until(now).map_or(0, |until| self.hosts[host].real(until));
        let until = if self.is_planted(Planted::GateStaysOpen) { u64::MAX } else { until };
        let was = std::mem::replace(&mut self.hosts[host].lease, until);
        if was <= self.now && self.now < until {
            self.truth_changed();
        }
    }

    pub(crate) fn schedule(&mut self, host: usize) {
        let now = self.hosts[host].clock(self.now);
        let Some(engine) = &self.hosts[host].engine else { return };
        let at = self.hosts[host].real(engine.next_deadline(now)).max(self.now);
        if at < self.hosts[host].wake || self.hosts[host].wake <= self.now {
            self.hosts[host].wake = at;
            self.after(at - self.now, Happening::Wake { host });
        }
    }

    pub(crate) fn wake(&mut self, host: usize) {
        let scheduled = &mut self.hosts[host];
        if scheduled.engine.is_none() || scheduled.wake > self.now {
            return;
        }
        scheduled.wake = u64::MAX;
        self.forge(host);
        self.handle(host, Event::Deadline);
    }

    pub(crate) fn act(&mut self, host: usize, action: Action) {
        let life = self.hosts[host].life;
        let seldom_told = |letter: &Letter| matches!(letter.message, Message::Report(_) | Message::Cause { .. });
        if !matches!(&action, Action::Beat(_)) && !matches!(&action, Action::Send(letter) if seldom_told(letter)) {
            self.say(|| format!("s{host}.{life} {action:?}"));
        }
        match action {
            Action::Beat(frame) => self.beat(host, frame),
            Action::Send(letter) => {
                let to = letter.to.server.index();
                if let Message::Order(order) = &letter.message {
                    self.note_order(to, order);
                }
                let letter = Rc::new(letter);
                if self.network.lan(host, to) {
                    for delay in self.arrivals(host, to) {
                        let letter = letter.clone();
                        self.after(delay, Happening::Message { to, from: host, letter });
                    }
                }
            }
            Action::AskPartition { mut ask } => {
                if self.is_planted(Planted::NoTakeoverDelay) || self.is_planted(Planted::RecordRunsOutAtOnce) {
                    ask.lease = self.options.plan.timing.interval;
                }
                let way = self.rng.below(self.interval() / 4 + 1);
                self.after(way, Happening::Question { host, life, ask });
            }
            Action::Search { server } => {
                let way = 100 + self.below(host, self.interval() / 2);
                self.after(way, Happening::Searched { host, life, server });
            }
            Action::Resource { op, resource, work } => self.work(host, op, resource, work),
            Action::RunElsewhere { run, resource, .. } => {
                let group = self.options.plan.resource(resource).group;
                if self.owns(host, group) {
                    self.violation(format!(
                        "elsewhere: a script of r{} runs for others on s{host}, which has g{}",
                        resource.0, group.0
                    ));
                }
                let time = 200 + self.below(host, self.options.operation_limit * 2);
                self.after(time, Happening::Ran { host, life, run });
            }
            Action::Emergency { .. } => {
                self.check_needless(host);
                self.emergency(host);
            }
            Action::Monitor { monitor, run } => self.monitor(host, monitor, run),
            Action::Remember { suspended } => self.remember(host, suspended),
            Action::RememberRan { servers } => self.hosts[host].ran = servers,
            Action::ForceStop { server } => self.force_stop(host, life, server.index()),
            Action::KeepRatio { ratio } => {
                let way = self.below(host, self.interval() * 2);
                self.after(way, Happening::RatioKept { host, life, ratio });
            }
            Action::TimeoutRatio { .. } => {}
            Action::MonitorScript { monitor, script, .. } => self.handle(host, Event::MonitorScriptDone { monitor, script }),
            Action::FinalScript { resource, script, .. } => {
                let span = self.below(host, self.interval() * 3);
                self.after(span, Happening::FinalScriptDone { host, life, resource, script });
            }
            Action::RememberReboots { count } => self.reboots_counted(host, count),
            Action::EndServer { .. } => self.end_server(host),
            Action::Alert(alert) => {
                self.tell_alert(host, &alert);
                self.alerted(host, &alert);
            }
            Action::Cause { .. } => {}
            Action::Answer { .. } => {}
            Action::Exit { then, clean } => self.exit(host, then, clean),
        }
    }

    /// Order something for one resource at a server's engine, as an operator does.
    pub(crate) fn operate_resource(&mut self, host: usize, resource: ResourceId, order: ResourceOrder) {
        self.command += 1;
        self.say(|| format!("operator at s{host}: {order:?} of r{}", resource.0));
        let id = self.command;
        if !order.on {
            self.note_emptied(self.options.plan.resource(resource).group);
        }
        self.handle(host, Event::ResourceOrder { id, resource, order });
    }

    /// Ask a server's engine as an operator does.
    pub(crate) fn operate(&mut self, host: usize, command: Command) {
        self.command += 1;
        self.say(|| format!("operator at s{host}: {command:?}"));
        let id = self.command;
        self.handle(host, Event::Operator { id, command });
    }
}
