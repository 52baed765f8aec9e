//! Scripts that the other servers of a group run when one of its resources has started or is about to stop (`postrunothers`,
//! `prerunothers`): asked by the server that has the group, repeated until answered, run once.
//!
//! A deactivation waits for those that run before it, as long as their limit; what they say is told and decides nothing. Nobody is asked
//! in an emergency, and whoever is not reached by a LAN is not asked either.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::action::{Action, Alert, Work};
use crate::cluster::Cluster;
use crate::event::WorkError;
use crate::ids::{ResourceId, ServerId};
use crate::message::{Message, Phase};
use crate::plan::Plan;
use crate::time::Time;

/// Answers remembered of each asking server, for what comes again: more than one server has resources at work at once.
const REMEMBERED: usize = 64;

/// What this server asked and was asked.
#[derive(Debug, Clone, Default)]
pub struct Elsewhere {
    asked: u64,
    open: Vec<Open>,
    /// Deactivations that wait for the answers to what was asked for them.
    held: Vec<Held>,
    /// Resources that were activated here and for whose stop nobody was asked yet.
    started: Vec<ResourceId>,
    runs: u64,
    taken: Vec<Taken>,
    /// The highest number of each server's present life that is no longer remembered: none up to it is run.
    forgotten: BTreeMap<ServerId, u64>,
}

/// A question that is not answered yet.
#[derive(Debug, Clone)]
struct Open {
    id: u64,
    to: ServerId,
    resource: ResourceId,
    start: bool,
    sent: Time,
    until: Time,
}

#[derive(Debug, Clone)]
struct Held {
    op: u64,
    resource: ResourceId,
    work: Work,
}

/// A question of another server's present life.
#[derive(Debug, Clone)]
struct Taken {
    from: ServerId,
    id: u64,
    /// Number of the run here.
    run: u64,
    /// None while it runs.
    result: Option<Result<(), WorkError>>,
}

impl Elsewhere {
    /// A new life of the server counts anew and waits for nothing of the last one.
    pub fn forget(&mut self, server: ServerId) {
        self.taken.retain(|taken| taken.from != server);
        self.forgotten.remove(&server);
        self.open.retain(|open| open.to != server);
    }

    /// Deactivations that were held back are not carried out: everything is given up at once.
    pub fn emergency(&mut self) {
        self.held.clear();
        self.open.clear();
    }

    fn make_room(&mut self, from: ServerId) -> bool {
        let of_it = || self.taken.iter().filter(|taken| taken.from == from);
        if of_it().count() < REMEMBERED {
            return true;
        }
        let Some(lowest) = of_it().filter(|taken| taken.result.is_some()).map(|taken| taken.id).min() else { return false };
        self.taken.retain(|taken| (taken.from, taken.id) != (from, lowest));
        let forgotten = self.forgotten.entry(from).or_default();
        *forgotten = lowest.max(*forgotten);
        true
    }
}

/// How long a script on another server may take; None: there is none.
fn limit(plan: &Plan, resource: ResourceId, start: bool) -> Option<Duration> {
    let elsewhere = &plan.resource(resource).elsewhere;
    if start { elsewhere.start } else { elsewhere.stop }
}

impl Cluster {
    /// Ask the others of the group's policy that a LAN reaches; true when there is anybody to wait for.
    fn ask_elsewhere(&mut self, now: Time, resource: ResourceId, start: bool) -> bool {
        let Some(limit) = limit(&self.plan, resource, start) else { return false };
        let group = self.plan.resource(resource).group;
        let others: Vec<ServerId> = self.plan.group(group).policy.clone();
        let mut any = false;
        for to in others {
            if to == self.identity.me || !self.contact.is_heard(now, to, true) || self.contact.is_left(to) {
                continue;
            }
            any = true;
            self.elsewhere.asked += 1;
            let id = self.elsewhere.asked;
            // The other server ends its script at the limit and says so; one that has died meanwhile is silent by then.
            let until = now + limit + self.plan.timing.timeout;
            self.elsewhere.open.push(Open { id, to, resource, start, sent: now, until });
            self.out.push(Action::Alert(Alert::ElsewhereAsked { resource, server: to, start }));
            self.send(to, Message::RunElsewhere { id, resource, start });
        }
        any
    }

    /// A resource was activated here: its script runs on the others now.
    pub(crate) fn started_here(&mut self, now: Time, resource: ResourceId) {
        self.elsewhere.started.push(resource);
        self.ask_elsewhere(now, resource, true);
    }

    /// Hold back what must wait for the others; called with everything that is about to be carried out.
    pub(crate) fn hold_for_others(&mut self, now: Time, actions: Vec<Action>) -> Vec<Action> {
        let mut kept = Vec::with_capacity(actions.len());
        for action in actions {
            match action {
                Action::Resource { op, resource, work: work @ Work::Deactivate { .. } }
                    if self.elsewhere.started.contains(&resource) =>
                {
                    self.elsewhere.started.retain(|started| *started != resource);
                    if self.ask_elsewhere(now, resource, false) {
                        self.elsewhere.held.push(Held { op, resource, work });
                    } else {
                        kept.push(Action::Resource { op, resource, work });
                    }
                }
                other => kept.push(other),
            }
        }
        // What was asked just now goes out with the rest.
        kept.append(&mut self.out);
        kept
    }

    /// Give up on servers that are gone or silent for too long, and let go on what waited for them.
    pub(crate) fn watch_elsewhere(&mut self, now: Time) {
        let (gone, open): (Vec<Open>, Vec<Open>) = std::mem::take(&mut self.elsewhere.open)
            .into_iter()
            .partition(|open| now >= open.until || !self.contact.is_heard(now, open.to, true));
        self.elsewhere.open = open;
        for Open { to, resource, start, .. } in gone {
            let reason = "it does not answer".to_string();
            self.out.push(Action::Alert(Alert::ElsewhereFailed { resource, server: to, start, code: 1, reason }));
        }
        self.release();
    }

    fn release(&mut self) {
        let open = &self.elsewhere.open;
        let waits = |held: &Held| open.iter().any(|open| !open.start && open.resource == held.resource);
        let (held, free): (Vec<Held>, Vec<Held>) = std::mem::take(&mut self.elsewhere.held).into_iter().partition(waits);
        self.elsewhere.held = held;
        for Held { op, resource, work } in free {
            self.out.push(Action::Resource { op, resource, work });
        }
    }

    /// Ask again what was not answered.
    pub(crate) fn repeat_elsewhere(&mut self, now: Time) {
        let interval = self.plan.timing.interval;
        let due: Vec<(ServerId, u64, ResourceId, bool)> = self
            .elsewhere
            .open
            .iter_mut()
            .filter(|open| now.since(open.sent) >= interval)
            .map(|open| {
                open.sent = now;
                (open.to, open.id, open.resource, open.start)
            })
            .collect();
        for (to, id, resource, start) in due {
            self.send(to, Message::RunElsewhere { id, resource, start });
        }
    }

    /// Another server asks this one to run a script.
    pub(crate) fn run_elsewhere(&mut self, from: ServerId, id: u64, resource: ResourceId, start: bool) {
        if let Some(taken) = self.elsewhere.taken.iter().find(|taken| (taken.from, taken.id) == (from, id)) {
            if let Some(result) = taken.result.clone() {
                self.send(from, Message::RanElsewhere { id, failed: result.err().map(|error| (error.code, error.reason)) });
            }
            return;
        }
        if self.elsewhere.forgotten.get(&from).is_some_and(|forgotten| id <= *forgotten) || !self.elsewhere.make_room(from) {
            return;
        }
        self.elsewhere.runs += 1;
        let run = self.elsewhere.runs;
        let phase = self.executor.phase(self.plan.resource(resource).group);
        let refused = if limit(&self.plan, resource, start).is_none() {
            Some("no script of it runs on other servers here".to_string())
        } else if phase != Phase::Off || self.emergency {
            Some(format!("the group is not off there ({phase:?})"))
        } else {
            None
        };
        self.elsewhere.taken.push(Taken { from, id, run, result: None });
        match refused {
            Some(reason) => self.ran_here(run, Err(reason.into())),
            None => self.out.push(Action::RunElsewhere { run, resource, start }),
        }
    }

    /// A script that was run for another server ended.
    pub(crate) fn ran_here(&mut self, run: u64, result: Result<(), WorkError>) {
        let found = self.elsewhere.taken.iter_mut().find(|taken| taken.run == run && taken.result.is_none());
        let Some(taken) = found else { return };
        taken.result = Some(result.clone());
        let (to, id) = (taken.from, taken.id);
        self.send(to, Message::RanElsewhere { id, failed: result.err().map(|error| (error.code, error.reason)) });
    }

    /// Another server ran what it was asked to.
    pub(crate) fn ran_elsewhere(&mut self, from: ServerId, id: u64, failed: Option<(i32, String)>) {
        let Some(at) = self.elsewhere.open.iter().position(|open| open.to == from && open.id == id) else { return };
        let Open { resource, start, .. } = self.elsewhere.open.remove(at);
        self.out.push(Action::Alert(match failed {
            None => Alert::ElsewhereDone { resource, server: from, start },
            Some((code, reason)) => Alert::ElsewhereFailed { resource, server: from, start, code, reason },
        }));
        self.release();
    }
}
