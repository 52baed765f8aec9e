//! An operator's word that a lost server is switched off: proof of its death, as if its power had been read back off.

use crate::action::{Action, Alert};
use crate::cluster::Cluster;
use crate::command::refused;
use crate::ids::ServerId;
use crate::message::Answer;
use crate::time::Time;

impl Cluster {
    /// At the coordinator: do not wait any more for what the server may hold since the suspension.
    pub(crate) fn declare_off(&mut self, now: Time, server: ServerId) -> Result<(), Answer> {
        let name = self.plan.server(server).to_string();
        if self.document.suspended {
            return Err(refused("the cluster is suspended", "resume it first with clpcl --resume"));
        }
        if self.views.members().contains(&server) || self.contact.is_alive(now, server) {
            return Err(refused(format!("{name} is not switched off: its heartbeat arrives"), "see clpstat -n"));
        }
        if let Some(sign) = self.contact.sign_of_life(now, server) {
            return Err(refused(format!("{name} is not switched off: it lives ({sign})"), format!("power {name} off")));
        }
        if !self.document.unsure.has(server) && self.contact.is_gone(server) {
            return Err(refused(
                format!("nothing waits for {name}: it is known to hold nothing"),
                "see clpstat --why GROUP for what a group waits for",
            ));
        }
        self.document.unsure.remove(server);
        self.proven_off(now, server, now);
        for group in self.plan.group_ids() {
            self.cause(now, group, format!("an operator states that {name} is switched off: it is not waited for any more"));
        }
        self.out.push(Action::Alert(Alert::DeclaredOff { server }));
        Ok(())
    }
}
