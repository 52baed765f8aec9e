//! Orders to members: given by the coordinator, repeated until the target's report names them, taken and carried out here.
//!
//! Which order is given stands in `govern.rs`. A target checks its own right before it starts anything (rule R2).

use std::collections::BTreeMap;

use crate::cluster::Cluster;
use crate::fits::{first_serial, is_serial};
use crate::ids::{GroupId, ServerId, ServerSet};
use crate::message::{Member, Message, Order, OrderKind, Phase};
use crate::plan::Plan;
use crate::relocating::Relocation;
use crate::time::Time;
use crate::view::View;
use crate::waits::Waiting;

/// Intervals after which a refused start is tried again.
const REFUSED_INTERVALS: u32 = 5;
/// Intervals for the opening of the watchdog before the first start in a life. They begin when everything is verified and it may be
/// opened: while anything may be left, not before the right is proven (rule R5).
const CLEAR_INTERVALS: u32 = 2;

#[derive(Debug, Clone)]
pub(crate) struct Outstanding {
    pub order: Order,
    pub to: Member,
    sent: Time,
}

/// Orders of this coordinator.
#[derive(Debug, Clone)]
pub struct Orders {
    /// In which order groups are looked at.
    pub(crate) sequence: Vec<GroupId>,
    pub(crate) open: Vec<Option<Outstanding>>,
    pub(crate) not_before: Vec<Time>,
    pub(crate) stranded: Vec<String>,
    /// No server can take it, whatever is waited for.
    pub(crate) nowhere: Vec<bool>,
    /// The last stop by a final action that was taken note of: where, and under which order it had been started.
    pub(crate) given_up: Vec<Option<(Member, u64)>>,
    /// Groups that were told to leave for another server, and which.
    pub(crate) relocating: BTreeMap<GroupId, (Relocation, ServerId)>,
    serial: u64,
    /// Groups that wait for others to be online.
    pub(crate) start_waits: Vec<Option<Waiting>>,
    /// Groups whose stop waits for others to be off.
    pub(crate) stop_waits: Vec<Option<Waiting>>,
    /// When waiting alone lets a group start.
    pub wake: Option<Time>,
}

impl Orders {
    /// None given.
    pub fn new(plan: &Plan) -> Self {
        let groups = plan.groups.len();
        Orders {
            sequence: plan.groups_awaited_first(),
            open: vec![None; groups],
            not_before: vec![Time::default(); groups],
            stranded: vec![String::new(); groups],
            nowhere: vec![false; groups],
            given_up: vec![None; groups],
            relocating: BTreeMap::new(),
            serial: 0,
            start_waits: vec![None; groups],
            stop_waits: vec![None; groups],
            wake: None,
        }
    }

    /// Orders of an older view are void; serials go on above those of any older coordinator.
    pub fn new_view(&mut self, view: &View) {
        self.open.iter_mut().for_each(|open| *open = None);
        self.serial = first_serial(view.epoch);
    }

    /// Somebody else keeps the times of waits from now on.
    pub(crate) fn forget_waits(&mut self) {
        self.start_waits.fill(None);
        self.stop_waits.fill(None);
    }

    /// Why a group that should run does not, empty otherwise.
    pub fn stranded(&self, group: GroupId) -> &str {
        &self.stranded[group.index()]
    }

    /// Is it so because no server can take it?
    pub fn goes_nowhere(&self, group: GroupId) -> bool {
        !self.stranded(group).is_empty() && self.nowhere[group.index()]
    }
}

impl Cluster {
    /// Is an order for the group on its way? Repeats it when due.
    pub(crate) fn order_is_open(&mut self, now: Time, group: GroupId) -> bool {
        let Some(open) = self.orders.open[group.index()].clone() else { return false };
        let report = self.report_of(open.to.server, group);
        // A higher serial than any that was given is no order of mine; the next one is numbered above it.
        let taken = report.is_some_and(|report| report.order >= open.order.serial);
        if taken || !self.views.has(open.to) {
            let refused = report.filter(|report| report.order == open.order.serial).and_then(|report| report.refused.clone());
            self.orders.open[group.index()] = None;
            if let Some(reason) = refused {
                self.orders.not_before[group.index()] = now + self.plan.timing.interval * REFUSED_INTERVALS;
                self.cause(now, group, format!("{} refused: {reason}", self.plan.server(open.to.server)));
            }
            return false;
        }
        if now.since(open.sent) >= self.plan.timing.interval {
            if let Some(open) = &mut self.orders.open[group.index()] {
                open.sent = now;
            }
            self.send(open.to.server, Message::Order(open.order));
        }
        true
    }

    pub(crate) fn order(&mut self, now: Time, group: GroupId, to: ServerId, kind: OrderKind, why: String) {
        let taken = match to == self.identity.me {
            true => self.executor.group(group).order,
            false => self.report_of(to, group).map_or(0, |report| report.order),
        };
        let taken = Some(taken).filter(|taken| is_serial(self.views.epoch(), self.orders.serial, *taken));
        self.orders.serial = self.orders.serial.max(taken.unwrap_or(0)) + 1;
        let to = self.member(to);
        let order =
            Order { epoch: self.views.epoch(), incarnation: to.incarnation, serial: self.orders.serial, group, kind, why };
        if to.server == self.identity.me {
            self.carry_out(now, order);
            self.refresh_report(now);
            if let Some(reason) = self.executor.group(group).refused.clone() {
                self.orders.not_before[group.index()] = now + self.plan.timing.interval * REFUSED_INTERVALS;
                self.cause(now, group, format!("not started here: {reason}"));
            }
            return;
        }
        self.send(to.server, Message::Order(order.clone()));
        self.orders.open[group.index()] = Some(Outstanding { order, to, sent: now });
    }

    /// An order arrived from the coordinator.
    pub(crate) fn take_order(&mut self, now: Time, from: ServerId, order: Order) {
        let mine = order.incarnation == self.identity.incarnation;
        let current = order.epoch == self.views.epoch() && order.epoch == self.views.promised && order.epoch.server == from;
        let numbered = current && is_serial(order.epoch, self.executor.group(order.group).order, order.serial);
        if mine && numbered && !self.emergency {
            self.carry_out(now, order);
        }
    }

    fn carry_out(&mut self, now: Time, order: Order) {
        let group = order.group;
        if order.serial <= self.executor.group(group).order {
            return;
        }
        let refused = match &order.kind {
            OrderKind::Start { absent, .. } => self.refusal(now, group, *absent),
            OrderKind::Stop { .. } | OrderKind::Final { .. } => None,
        };
        let local = self.executor.group_mut(group);
        local.order = order.serial;
        local.refused.clone_from(&refused);
        if refused.is_some() {
            return;
        }
        match order.kind {
            OrderKind::Start { origin, .. } => self.start_here(now, group, origin, &order.why),
            OrderKind::Stop { factor } => self.stop_here(now, group, factor, &order.why),
            OrderKind::Final { position } => {
                let Some(resource) = self.plan.group(group).resources.get(usize::from(position)).copied() else { return };
                self.executor.group_mut(group).final_done = true;
                self.cause(now, group, order.why.clone());
                self.resource_final(now, resource, true, &order.why);
            }
        }
    }

    /// Rule R2 at the target: the right must hold here too when the order is carried out.
    fn refusal(&self, now: Time, group: GroupId, absent: ServerSet) -> Option<String> {
        if self.leaving.is_some() {
            return Some("the cluster service is stopping here".into());
        }
        let phase = self.executor.phase(group);
        if phase != Phase::Off {
            return Some(format!("the group is not off here ({phase:?})"));
        }
        let clear = self.plan.timing.interval * CLEAR_INTERVALS;
        if self.clear_since.is_none_or(|since| now.since(since) < clear) {
            return Some("it is not yet certain that nothing is left here from before".into());
        }
        if let Err(lost) = self.contact.right(now, &self.partition) {
            return Some(format!(
                "no right to act here: {} is silent and {}",
                self.plan.server(lost.server),
                self.partition.reason
            ));
        }
        let lives = absent.iter().filter(|_| self.plan.group(group).life_forbids).find_map(|server| {
            let sign = self.contact.sign_of_life(now, server)?;
            Some(format!("{} lives ({sign}) although it is taken as gone", self.plan.server(server)))
        });
        if lives.is_some() {
            return lives;
        }
        let heard = absent
            .iter()
            .find(|server| *server != self.identity.me && self.contact.is_alive(now, *server) && !self.contact.is_left(*server));
        heard.map(|server| format!("{} is heard here although it is taken as gone", self.plan.server(server)))
    }
}
