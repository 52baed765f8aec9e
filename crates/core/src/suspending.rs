//! The suspended cluster: who knows of it, and when everybody does.

use crate::cluster::Cluster;
use crate::ids::ServerSet;
use crate::time::Time;

impl Cluster {
    /// Others go on as suspended, giving up nothing, until they know that it is over; nobody does where one never knew of it.
    pub(crate) fn end_suspension(&mut self) {
        if self.document.suspended {
            let me = self.identity.me;
            let others = self.plan.server_ids().filter(|server| *server != me && !self.contact.is_left(*server));
            self.document.unsure = if self.document.unaware.is_empty() { others.collect() } else { ServerSet::EMPTY };
            self.document.unaware = ServerSet::EMPTY;
            self.document.suspended = false;
            self.document.all_know = false;
        }
    }

    /// The coordinator of a suspended cluster: does every configured server know? Everybody hears that nobody is unaware any
    /// more before anybody acts upon it, so that no older document says otherwise afterwards.
    pub(crate) fn spread_suspension(&mut self, now: Time) {
        if !self.document.suspended || !self.members_behind().is_empty() {
            return;
        }
        let members: ServerSet = self.views.members().into_iter().collect();
        let unaware = self.document.unaware.minus(members);
        let absent = self.plan.server_ids().any(|server| !self.views.has(self.member(server)));
        if unaware != self.document.unaware {
            self.document.unaware = unaware;
            self.document_changed(now);
        } else if !self.document.all_know && !absent && unaware.is_empty() {
            self.document.all_know = true;
            self.document_changed(now);
        }
    }

    /// Members that do not hold the document yet.
    pub(crate) fn members_behind(&self) -> ServerSet {
        let held = (self.document.epoch, self.document.version);
        let others = self.views.members().into_iter().filter(|server| *server != self.identity.me);
        others.filter(|server| self.document_seen[server.index()] < held).collect()
    }
}
