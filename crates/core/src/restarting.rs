//! Reactivations on behalf of monitors, told to operators from begin to end.

use crate::action::{Action, Alert};
use crate::cluster::Cluster;
use crate::ids::{GroupId, ResourceId};
use crate::message::Phase;

/// What is being reactivated of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restarted {
    /// All of it.
    Group(GroupId),
    /// A resource with those that depend on it.
    Resource(ResourceId),
}

impl Cluster {
    /// It begins.
    pub(crate) fn restart_begins(&mut self, group: GroupId, what: Restarted) {
        self.restarts[group.index()] = Some(what);
        self.out.push(Action::Alert(Alert::RestartBegins { what }));
    }

    /// A group turned into something else here: a reactivation that was under way may be over. One that an operator's stop cut
    /// short neither came to its end nor failed.
    pub(crate) fn restart_turns(&mut self, group: GroupId, phase: Phase) {
        let Some(what) = self.restarts[group.index()] else { return };
        let alert = match phase {
            Phase::Starting | Phase::Possible => return,
            Phase::Off | Phase::Stopping => None,
            Phase::On => Some(Alert::RestartEnded { what }),
            Phase::OnlineFailure | Phase::OfflineFailure => {
                let failed = self.executor.group(group).failed.as_ref();
                let reason = failed.map_or_else(|| "a resource could not be deactivated".into(), |failed| failed.reason.clone());
                Some(Alert::RestartFailed { what, reason })
            }
        };
        self.restarts[group.index()] = None;
        self.out.extend(alert.map(Action::Alert));
    }
}
