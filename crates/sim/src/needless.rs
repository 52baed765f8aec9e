//! Invariant *no-needless-stop*: nobody gives up at once what it holds while nothing that the rules name has happened to it,
//! and nobody is taken as gone to whom nothing happened.
//!
//! What excuses an emergency is looked up in the world: a cable cut or worse than usual, a server that stood still itself or
//! has just started, a resolution that said No or could not be reached. Another server's death or pause is no excuse: a Yes
//! covers its silence.

use clp_core::verdict::MethodKind;

use crate::host::Host;
use crate::world::World;

/// When something last happened that may cost a server its right.
#[derive(Debug, Default)]
pub struct Upsets {
    /// To any cable, or between anybody and the arbiter.
    cables: Option<u64>,
    cables_bad: bool,
    /// To this server alone: a pause, a start, a No.
    own: Vec<u64>,
    /// It is not with more than half of the servers, where that decides.
    outvoted: Vec<bool>,
}

impl Upsets {
    /// Nothing happened yet.
    pub fn new(servers: usize) -> Self {
        Upsets { own: vec![0; servers], outvoted: vec![false; servers], ..Upsets::default() }
    }
}

impl World {
    /// The network may have changed.
    pub(crate) fn note_cables(&mut self) {
        let bad = self.network.is_touched() || self.network.loss != self.options.loss || self.network.delay != self.options.delay;
        let was = std::mem::replace(&mut self.checker.upsets.cables_bad, bad);
        if bad || was {
            self.checker.upsets.cables = Some(self.now);
        }
        if self.options.plan.partition.contains(&MethodKind::Majority) {
            let acts: Vec<bool> = self.hosts.iter().map(Host::acts).collect();
            for host in 0..self.hosts.len() {
                let part = self.network.part(host, &acts, true);
                let outvoted = part.iter().filter(|in_it| **in_it).count() * 2 <= self.hosts.len();
                let was = std::mem::replace(&mut self.checker.upsets.outvoted[host], outvoted);
                if outvoted || was {
                    self.note_upset(host);
                }
            }
        }
    }

    /// Something happened to this server.
    pub(crate) fn note_upset(&mut self, host: usize) {
        self.checker.upsets.own[host] = self.now;
    }

    /// A server gives up everything at once.
    pub(crate) fn check_needless(&mut self, host: usize) {
        if !self.is_excused_by_upset(host) {
            self.violation(format!("no-needless-stop: s{host} gives up everything although nothing happened to it"));
        }
    }

    /// A server says that another one is gone. Its own pause is no excuse (rule R6).
    pub(crate) fn check_accusation(&mut self, host: usize, of: usize) {
        if self.hosts[of].acts() && !self.is_excused_by_upset(of) {
            self.violation(format!("no-false-accusation: s{host} takes s{of} as gone, to which nothing happened"));
        }
    }

    /// Did anything happen lately to this server or to the cables? Where they lose or delay as a rule, a frame may be missed.
    fn is_excused_by_upset(&self, host: usize) -> bool {
        let timing = &self.options.plan.timing;
        let memory = ((timing.timeout + timing.right_timeout) * self.options.stretch() + timing.arbiter + timing.interval * 10)
            .as_micros() as u64;
        let upsets = &self.checker.upsets;
        let recent = |at: u64| self.now - at < memory;
        let rough = self.options.loss > 0 || self.options.delay * 4 > self.interval();
        rough || upsets.outvoted[host] || upsets.cables_bad || upsets.cables.is_some_and(recent) || recent(upsets.own[host])
    }
}
