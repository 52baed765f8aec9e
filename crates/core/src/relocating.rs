//! Groups on their way to another server, told from begin to end: moves, failovers and failbacks.
//!
//! Decides nothing. The coordinator remembers what it told to begin; one that took over meanwhile reads from the document
//! which way a group came, so that every way that begins has an end in somebody's record.

use crate::action::{Action, Alert};
use crate::cluster::Cluster;
use crate::ids::{GroupId, ServerId};

/// Why a group goes to another server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relocation {
    /// An operator wants it there.
    Move,
    /// It failed where it was, or its server did.
    Failover,
    /// The first server of its policy is back.
    Failback,
}

impl Cluster {
    /// A group leaves for another server; told once a destination.
    pub(crate) fn relocation_begins(&mut self, group: GroupId, kind: Relocation, to: ServerId, reason: &str) {
        if self.orders.relocating.insert(group, (kind, to)) != Some((kind, to)) {
            self.out.push(Action::Alert(Alert::RelocationBegins { group, kind, to, reason: reason.to_string() }));
        }
    }

    /// What the operator's or a failback's target means for a group.
    pub(crate) fn wanted_relocation(&self, group: GroupId) -> Relocation {
        if self.document.groups[group.index()].failback { Relocation::Failback } else { Relocation::Move }
    }

    /// A group is online: did it come from elsewhere?
    pub(crate) fn relocation_ends(&mut self, group: GroupId, on: ServerId) {
        let intent = &self.document.groups[group.index()];
        let arrived = intent.target == Some(on);
        let Some(kind) = self.relocation_of(group, on) else { return };
        self.orders.relocating.remove(&group);
        let alert = if arrived || kind == Relocation::Failover {
            Alert::RelocationEnded { group, kind, on }
        } else {
            let reason = format!("it stays on {}: its destination cannot take it any more", self.plan.server(on));
            Alert::RelocationFailed { group, kind, reason }
        };
        self.out.push(Action::Alert(alert));
    }

    /// It could not be activated on a server: had it come there from elsewhere?
    pub(crate) fn relocation_failed_on(&mut self, group: GroupId, on: ServerId, reason: &str) {
        if let Some(kind) = self.relocation_of(group, on) {
            self.orders.relocating.remove(&group);
            let reason = format!("{reason} failed on {}", self.plan.server(on));
            self.out.push(Action::Alert(Alert::RelocationFailed { group, kind, reason }));
        }
    }

    /// It does not come where it was to go.
    pub(crate) fn relocation_breaks_off(&mut self, group: GroupId, reason: &str) {
        if let Some((kind, _)) = self.orders.relocating.remove(&group) {
            self.out.push(Action::Alert(Alert::RelocationFailed { group, kind, reason: reason.to_string() }));
        }
    }

    fn relocation_of(&self, group: GroupId, on: ServerId) -> Option<Relocation> {
        let intent = &self.document.groups[group.index()];
        let elsewhere = intent.last.is_some_and(|last| last != on);
        match self.orders.relocating.get(&group) {
            Some((kind, _)) => Some(*kind),
            None if intent.after_failure => Some(Relocation::Failover),
            None if intent.target == Some(on) && elsewhere => Some(self.wanted_relocation(group)),
            None => None,
        }
    }
}
