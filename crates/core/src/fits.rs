//! What a frame or a message of this cluster cannot say: every number that others send is judged here, once, before anything
//! else looks at it. What came whole and opened with the key may still be a lie or a fault of memory; it must not end an engine.
//!
//! Behind this fence positions are within the plan and counters leave room for those that follow. Lengths of lists are another
//! matter: a server with another configuration is refused where they are used, and its frames still count as signs of life.

use crate::ids::{GroupId, MonitorId, ResourceId, SERVERS_MAX, ServerId, ServerSet};
use crate::message::{Command, Document, Epoch, Frame, Letter, Member, Message, OrderKind, Report};
use crate::patience::RATIO_MAX;
use crate::plan::Plan;
use crate::ratio::EXTENSION_MAX;
use crate::time::micros;

/// How far a life may be ahead of this one's: lives are numbered by the last one plus one or by seconds of the wall clock, so
/// this is the age of a wall clock that was never set, five times over. Beyond it a made-up life would shut the true one out.
const LIFE_AHEAD: u64 = 1 << 33;
/// How far an epoch may be above every one seen: views rise by one each; this many, one every 50 ms, take six years.
const COUNTER_AHEAD: u64 = 1 << 32;
/// No counter of views reaches this: orders are numbered by the view's, shifted ([`first_serial`]).
const COUNTER_MAX: u64 = 1 << 39;
/// Orders of one view: more than what lies between two views' numbers, since a view that lasts may give more.
const SERIALS: u64 = 1 << 32;
/// Orders that may have gone to others since the last one for the same group.
const SERIALS_AHEAD: u64 = 1 << 24;
/// Versions rise by one a change; none reaches this.
const VERSION_MAX: u64 = 1 << 48;

/// Below the serials of a view's orders: above those of any older coordinator.
pub(crate) fn first_serial(view: Epoch) -> u64 {
    view.counter << 24
}

/// Can this be the serial of an order under the view, after this one?
pub(crate) fn is_serial(view: Epoch, before: u64, serial: u64) -> bool {
    let first = first_serial(view);
    let ahead = serial.saturating_sub(before.max(first));
    serial >= first && serial - first < SERIALS && ahead <= SERIALS_AHEAD
}

/// Can a time-out ratio be this great, for so many microseconds?
pub(crate) fn is_extension(ratio: u32, span: u64) -> bool {
    (1..=RATIO_MAX).contains(&ratio) && span <= micros(EXTENSION_MAX)
}

/// What is believed of numbers that come from outside.
#[derive(Debug, Clone, Copy)]
pub struct Limits<'a> {
    /// Who and what exists.
    pub plan: &'a Plan,
    /// Life of this engine.
    pub incarnation: u64,
    /// Highest counter of an epoch that was seen.
    pub counter: u64,
}

impl Limits<'_> {
    fn server(&self, server: ServerId) -> bool {
        server.index() < self.plan.servers.len()
    }

    fn group(&self, group: GroupId) -> bool {
        group.index() < self.plan.groups.len()
    }

    fn resource(&self, resource: ResourceId) -> bool {
        resource.index() < self.plan.resources.len()
    }

    fn monitor(&self, monitor: MonitorId) -> bool {
        monitor.index() < self.plan.monitors.len()
    }

    fn set(&self, set: ServerSet) -> bool {
        set.minus(ServerSet::all(self.plan.servers.len())).is_empty()
    }

    fn life(&self, incarnation: u64) -> bool {
        incarnation <= self.incarnation.saturating_add(LIFE_AHEAD)
    }

    fn counter(&self, counter: u64) -> bool {
        counter < COUNTER_MAX && counter <= self.counter.saturating_add(COUNTER_AHEAD)
    }

    fn epoch(&self, epoch: Epoch) -> bool {
        self.server(epoch.server) && self.counter(epoch.counter)
    }

    /// Members come in order of their numbers, each once.
    fn members(&self, members: &[Member]) -> bool {
        members.iter().all(|member| self.server(member.server) && self.life(member.incarnation))
            && members.windows(2).all(|pair| pair[0].server < pair[1].server)
    }

    fn report(&self, report: &Report) -> bool {
        let wishes = report.groups.iter().filter_map(|group| group.wanted_away.as_ref());
        self.life(report.incarnation) && report.version < VERSION_MAX && wishes.into_iter().all(|wish| self.monitor(wish.monitor))
    }

    fn document(&self, document: &Document) -> bool {
        let served_max = self.plan.servers.len() * self.plan.groups.len() * self.plan.monitors.len();
        self.epoch(document.epoch)
            && document.version < VERSION_MAX
            && document.groups.iter().all(|intent| {
                intent.target.into_iter().chain(intent.last).all(|server| self.server(server)) && self.set(intent.excluded)
            })
            && document.served.len() <= served_max
            && document.served.iter().all(|(s, g, m, _)| self.server(*s) && self.group(*g) && self.monitor(*m))
            && document.stopping.is_none_or(|then| !then.is_abrupt())
            && self.set(document.unsure)
            && self.set(document.unaware)
            && self.members(&document.dead)
            && document.extension.as_ref().is_none_or(|extension| is_extension(extension.ratio, extension.left))
    }

    fn command(&self, command: &Command) -> bool {
        let (group, one, other) = match command {
            Command::TimeoutRatio { ratio, span } => return is_extension(*ratio, *span),
            Command::ClearCounts { monitor } => return monitor.is_none_or(|monitor| self.monitor(monitor)),
            Command::DeclareOff { server } => return self.server(*server),
            Command::GroupStart { group, server } | Command::GroupStop { group, server } => (*group, *server, None),
            Command::GroupMove { group, from, to } => (*group, *from, *to),
            // No operator can order such an end of servers.
            Command::StopAll { then } if then.is_abrupt() => return false,
            Command::StopAll { .. } | Command::Suspend { .. } => (None, None, None),
        };
        group.is_none_or(|group| self.group(group)) && one.into_iter().chain(other).all(|server| self.server(server))
    }
}

impl Frame {
    /// Could a server of this cluster have said it? Positions in its lists are looked up by who uses them, because a server of
    /// another configuration lives all the same; they stay below the greatest number of servers here.
    pub fn fits(&self, limits: &Limits) -> bool {
        let servers = self.acks.iter().map(|ack| ack.server).chain(self.rows.iter().map(|row| row.server));
        let carried = self.carried.iter().flat_map(|carried| [carried.by, carried.of]);
        let epochs = [self.promised, self.view];
        self.seq != 0
            && limits.life(self.incarnation)
            && self.report < VERSION_MAX
            && self.ratio <= RATIO_MAX
            && epochs.iter().all(|epoch| epoch.server.index() < SERVERS_MAX && limits.counter(epoch.counter))
            && servers.chain(carried).all(|server| server.index() < SERVERS_MAX)
    }
}

impl Letter {
    /// Could a server of this cluster have written it?
    pub fn fits(&self, limits: &Limits) -> bool {
        match &self.message {
            Message::Prepare { epoch, members } => limits.epoch(*epoch) && limits.members(members),
            Message::Promise { epoch, report, document, .. } => {
                limits.epoch(*epoch) && limits.report(report) && limits.document(document)
            }
            Message::TooOld { promised } => limits.epoch(*promised),
            Message::Commit { epoch, members, document } => {
                limits.epoch(*epoch) && limits.members(members) && limits.document(document)
            }
            Message::Report(report) => limits.report(report),
            Message::Order(order) => {
                let absent = match &order.kind {
                    OrderKind::Start { absent, .. } => *absent,
                    OrderKind::Stop { .. } | OrderKind::Final { .. } => ServerSet::EMPTY,
                };
                limits.epoch(order.epoch) && limits.group(order.group) && limits.set(absent)
            }
            Message::Document { epoch, document } => limits.epoch(*epoch) && limits.document(document),
            Message::Command { command, .. } => limits.command(command),
            Message::Answer { .. } => true,
            Message::Cause { group, .. } => limits.group(*group),
            Message::RunElsewhere { resource, .. } => limits.resource(*resource),
            Message::RanElsewhere { .. } => true,
            Message::DocumentSeen { epoch, version } => limits.epoch(*epoch) && *version < VERSION_MAX,
        }
    }
}
