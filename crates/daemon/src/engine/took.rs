//! How long work on resources took on this server last: what `clpstat --whatif` counts with. Decides nothing.

use std::collections::BTreeMap;

use clp_config::Resource;
use clp_core::action::Work;
use clp_core::ids::ResourceId;
use clp_core::time::{Time, micros};
use clp_protocol::control::Took as Told;

/// The last time of each.
#[derive(Debug, Default)]
pub struct Took {
    begun: BTreeMap<u64, Time>,
    /// Activation, deactivation, in microseconds.
    last: BTreeMap<ResourceId, (Option<u64>, Option<u64>)>,
}

impl Took {
    /// A piece of work begins.
    pub fn begins(&mut self, op: u64, now: Time) {
        self.begun.insert(op, now);
    }

    /// It ended; only what went well says how long it takes.
    pub fn ended(&mut self, op: u64, resource: ResourceId, work: Option<Work>, well: bool, now: Time) {
        let Some(begun) = self.begun.remove(&op).filter(|_| well) else { return };
        let span = Some(micros(now.since(begun)));
        let last = self.last.entry(resource).or_default();
        match work {
            Some(Work::Activate { .. }) => last.0 = span,
            Some(Work::Deactivate { .. }) => last.1 = span,
            Some(Work::Verify | Work::Detach) | None => {}
        }
    }

    /// For telling.
    pub fn told(&self, resources: &[Resource]) -> Vec<Told> {
        let measured = self.last.iter().filter(|(_, (on, off))| on.is_some() || off.is_some());
        let told = measured.map(|(id, (activate_us, deactivate_us))| Told {
            resource: resources[id.index()].name.clone(),
            activate_us: *activate_us,
            deactivate_us: *deactivate_us,
        });
        told.collect()
    }
}
