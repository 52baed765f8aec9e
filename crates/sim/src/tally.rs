//! What a run was worth: faults that took effect, and takeovers. Quiet hours prove nothing.

use std::collections::BTreeMap;

use clp_core::action::Work;
use clp_core::ids::{GroupId, ResourceId};
use clp_core::message::Origin;

use crate::options::{Fault, Options};
use crate::world::World;

/// Counts of one run.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Which faults of the list took effect.
    pub took: Vec<bool>,
    /// Groups that started after a failure on another server than before.
    pub takeovers: u64,
    /// Servers that were switched off by their controllers.
    pub stopped: u64,
    /// Moments at which something was wrong that is outside what is promised: a watchdog later than W + r, an arbiter that forgot.
    pub outside: u64,
    /// Servers that came into a view with another generation of the configuration than that of who formed it.
    pub mixed: u64,
    last_on: Vec<Option<usize>>,
    after_failure: Vec<bool>,
}

impl Tally {
    /// Nothing counted.
    pub fn new(options: &Options, faults: usize) -> Self {
        let groups = options.plan.groups.len();
        Tally { took: vec![false; faults], last_on: vec![None; groups], after_failure: vec![false; groups], ..Tally::default() }
    }
}

impl World {
    /// This fault of the list had an effect.
    pub(crate) fn took_effect(&mut self, fault: usize) {
        self.tally.took[fault] = true;
    }

    /// Faults that took effect, by kind; orders of operators are in it and are no faults.
    pub(crate) fn effects(&self) -> BTreeMap<Fault, u64> {
        let mut effects = BTreeMap::new();
        for (planned, _) in self.faults.iter().zip(&self.tally.took).filter(|(_, took)| **took) {
            *effects.entry(planned.what.kind()).or_default() += 1;
        }
        effects
    }

    pub(crate) fn note_origin(&mut self, resource: ResourceId, work: Work) {
        if let Work::Activate { origin } = work {
            self.tally.after_failure[self.options.plan.resource(resource).group.index()] = origin == Origin::Failure;
        }
    }

    /// A group is whole on a server.
    pub(crate) fn note_takeover(&mut self, host: usize, group: GroupId) {
        let before = self.tally.last_on[group.index()].replace(host);
        if before.is_some_and(|before| before != host) && self.tally.after_failure[group.index()] {
            self.tally.takeovers += 1;
            self.say(|| format!("s{host} TAKEOVER of g{} that was on s{}", group.0, before.unwrap_or_default()));
        }
    }
}
