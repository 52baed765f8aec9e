//! Requests of operators: read into what the core knows, and answered when the core has an answer.

use std::sync::mpsc::Sender;

use clp_core::event::Event;
use clp_core::ids::{GroupId, MonitorId, ResourceId, ServerId};
use clp_core::message::{Answer, Command};
use clp_core::plan::AfterStop;
use clp_core::recovery::MonitorOrder;
use clp_core::single::ResourceOrder;
use clp_protocol::control::{AfterStop as Then, Reply, Request};

use super::{Engine, asked, monitors};

/// Who waits for the answer to a request.
pub(super) struct Waiting {
    pub(super) reply: Sender<Reply>,
    /// The order that is told with who gave it.
    order: Option<asked::Order>,
    by: String,
}

/// A request in the core's words.
enum Asked {
    Command(Command),
    Stop(AfterStop),
    Monitors(Option<MonitorId>, MonitorOrder),
    Resource(ResourceId, ResourceOrder),
}

impl Engine {
    pub(super) fn answer(&mut self, id: u64, answer: Answer) {
        let Some(Waiting { reply: sender, order, by }) = self.waiting.remove(&id) else { return };
        if let (Answer::Refused { reason, .. }, Some(order)) = (&answer, order) {
            self.record.say(&order.failed(&self.given(&by), reason));
        }
        let _ = sender.send(match answer {
            Answer::Done { details } => Reply::Done { details: details.into_iter().filter(|d| !d.is_empty()).collect() },
            Answer::Refused { reason, remedy } => Reply::Refused { reason, remedy },
        });
    }

    /// What a given order is told with.
    fn given<'a>(&'a self, by: &'a str) -> asked::Given<'a> {
        let configuration = &self.loaded.configuration;
        asked::Given { cluster: &configuration.cluster.name, server: &configuration.servers[self.me().index()].name, by }
    }

    pub(super) fn control(&mut self, request: Request, by: String, reply: Sender<Reply>) -> Option<u8> {
        let order = asked::Order::of(&request);
        let event = match self.event_of(request) {
            Ok(event) => event,
            Err(answer) => {
                let _ = reply.send(*answer);
                return None;
            }
        };
        let id = self.next_request;
        self.next_request += 1;
        for alert in order.map(|order| order.given(&self.given(&by))).unwrap_or_default() {
            self.record.say(&alert);
        }
        self.waiting.insert(id, Waiting { reply, order, by });
        self.step(match event {
            Asked::Command(command) => Event::Operator { id, command },
            Asked::Stop(then) => Event::StopService { id, then },
            Asked::Monitors(monitor, order) => Event::MonitorOrder { id, monitor, order },
            Asked::Resource(resource, order) => Event::ResourceOrder { id, resource, order },
        })
    }

    fn event_of(&self, request: Request) -> Result<Asked, Box<Reply>> {
        let me = self.me();
        let command = match request {
            Request::Status => return Err(Box::new(Reply::Status(Box::new(self.status())))),
            Request::Why { group } => {
                let group = self.group(&group)?;
                return Err(Box::new(Reply::Why { chain: self.causes(group) }));
            }
            Request::Picture => return Err(Box::new(Reply::Picture(self.picture()))),
            Request::GroupStart { group, server } => {
                let server = server.map(|name| self.server(&name)).transpose()?;
                let group = group.map(|name| self.group(&name)).transpose()?;
                let server = if group.is_some() { Some(server.unwrap_or(me)) } else { server };
                Command::GroupStart { group, server }
            }
            Request::GroupStop { group, server } => {
                let server = server.map(|name| self.server(&name)).transpose()?;
                let group = group.map(|name| self.group(&name)).transpose()?;
                let server = if group.is_none() { Some(server.unwrap_or(me)) } else { server };
                Command::GroupStop { group, server }
            }
            Request::GroupMove { group, from, to } => {
                let from = from.map(|name| self.server(&name)).transpose()?;
                let to = to.map(|name| self.server(&name)).transpose()?;
                let group = group.map(|name| self.group(&name)).transpose()?;
                let from = if group.is_none() { Some(from.unwrap_or(me)) } else { from };
                Command::GroupMove { group, from, to }
            }
            Request::StopService { then, all } => {
                let then = match then {
                    Then::Nothing | Then::Restart => AfterStop::Nothing,
                    Then::Shutdown => AfterStop::Shutdown,
                    Then::Reboot => AfterStop::Reboot,
                };
                if !all {
                    return Ok(Asked::Stop(then));
                }
                Command::StopAll { then }
            }
            Request::Resource { resource, on, others } => {
                return Ok(Asked::Resource(self.resource(&resource)?, ResourceOrder { on, others }));
            }
            Request::DeclareOff { server } => Command::DeclareOff { server: self.server(&server)? },
            Request::TimeoutRatio { ratio, seconds } => Command::TimeoutRatio { ratio, span: seconds.saturating_mul(1_000_000) },
            Request::Suspend => Command::Suspend { on: true },
            Request::Resume => Command::Suspend { on: false },
            Request::Monitors { monitor, order } => {
                let monitor = monitor.map(|name| self.monitor(&name)).transpose()?;
                self.can_be_tried(monitor, order)?;
                return Ok(Asked::Monitors(monitor, monitors::core_order(order)));
            }
            Request::MonitorCounts { monitor } => {
                let only = monitor.map(|name| self.monitor(&name)).transpose()?;
                return Err(Box::new(Reply::MonitorCounts { counts: self.monitor_counts(only) }));
            }
        };
        Ok(Asked::Command(command))
    }

    fn group(&self, name: &str) -> Result<GroupId, Box<Reply>> {
        let groups = &self.cluster.plan().groups;
        let found = groups.iter().position(|group| group.name == name);
        found.map(GroupId::at).ok_or_else(|| unknown("group", name, groups.iter().map(|group| group.name.clone())))
    }

    fn monitor(&self, name: &str) -> Result<MonitorId, Box<Reply>> {
        let monitors = &self.cluster.plan().monitors;
        let found = monitors.iter().position(|monitor| monitor.name == name);
        found.map(MonitorId::at).ok_or_else(|| unknown("monitor", name, monitors.iter().map(|monitor| monitor.name.clone())))
    }

    fn resource(&self, name: &str) -> Result<ResourceId, Box<Reply>> {
        let resources = &self.cluster.plan().resources;
        let found = resources.iter().position(|resource| resource.name == name);
        let known = || resources.iter().map(|resource| resource.name.clone());
        found.map(ResourceId::at).ok_or_else(|| unknown("group resource", name, known()))
    }

    fn server(&self, name: &str) -> Result<ServerId, Box<Reply>> {
        let servers = &self.loaded.configuration.servers;
        let found = servers.iter().position(|server| {
            server.name == name || server.devices.iter().any(|device| device.kind.is_lan() && device.info == name)
        });
        found.map(ServerId::at).ok_or_else(|| unknown("server", name, servers.iter().map(|server| server.name.clone())))
    }
}

/// What is answered when the service has ended before there was an answer.
pub(super) fn stopped() -> Reply {
    Reply::Refused { reason: "the cluster service stopped".into(), remedy: "start it with clpcl -s".into() }
}

fn unknown(kind: &str, name: &str, known: impl Iterator<Item = String>) -> Box<Reply> {
    Box::new(Reply::Unknown { kind: kind.into(), name: name.into(), known: known.collect() })
}
