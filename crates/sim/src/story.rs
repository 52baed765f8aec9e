//! What happened in a run, for people and for comparing: faults, servers that come and go, groups that start and stop, without times,
//! until the healing. Scenarios keep it, so that a changed decision shows as a changed line.

use clp_core::action::Alert;

use crate::world::World;

impl World {
    /// Another line.
    pub(crate) fn tell(&mut self, words: impl FnOnce() -> String) {
        if !self.healed
            && let Some(story) = &mut self.story
        {
            story.push(words());
        }
    }

    /// What of an alert belongs to it.
    pub(crate) fn tell_alert(&mut self, host: usize, alert: &Alert) {
        let words = match alert {
            Alert::GroupOnline { group } => format!("g{} is online on s{host}", group.0),
            Alert::GroupOffline { group } => format!("g{} is off on s{host}", group.0),
            Alert::GroupFailed { group, .. } => format!("g{} fails to start on s{host}", group.0),
            Alert::GroupStopFailed { group, .. } => format!("g{} fails to stop on s{host}", group.0),
            Alert::ServerDown { server, .. } => format!("s{host} takes s{} as gone", server.0),
            Alert::RightLost { .. } => format!("s{host} gives up everything"),
            Alert::StopProven { server, .. } => format!("s{host} knows that s{} is off", server.0),
            _ => return,
        };
        self.tell(|| words);
    }
}
