//! Final actions of resources in the world: the script before them, the count that is kept over lives, and the end at once.

use std::time::Duration;

use clp_alerts::Alert;
use clp_core::action::Blame;
use clp_core::event::Event;
use clp_core::ids::ResourceId;
use clp_core::plan::AfterStop;
use clp_drivers::resources::preaction::{self, Failure};

use super::{Engine, Input};
use crate::{exit, setup};

/// How long the record may take before a server ends at once: what is written is all that tells why.
const RECORD_LIMIT: Duration = Duration::from_secs(1);

/// The script before a final action has ended.
#[derive(Debug)]
pub struct Ended {
    resource: ResourceId,
    script: u64,
    path: String,
    failure: Failure,
    result: Result<(), String>,
}

impl Engine {
    /// Run the script on a thread of its own.
    pub(super) fn run_final_script(&mut self, resource: ResourceId, script: u64, activation: bool) {
        let failure = if activation { Failure::Activation } else { Failure::Deactivation };
        let config = &self.loaded.configuration.resources[resource.index()];
        self.record.say(&Alert::final_script_begins(failure.words(), &config.name));
        let wanted = if activation { config.act_script.clone() } else { config.deact_script.clone() };
        let context = setup::context(&self.loaded, self.me().index(), config);
        self.work.aside(move |inputs| {
            let result = preaction::run(&context, &wanted.path, wanted.timeout, failure);
            let _ = inputs.send(Input::FinalScriptEnded(Ended { resource, script, path: wanted.path, failure, result }));
        });
    }

    /// It has ended: tell, and let the core go on.
    pub(super) fn final_script_ended(&mut self, ended: &Ended) -> Option<u8> {
        let resource = &self.cluster.plan().resource(ended.resource).name;
        self.record.say(&match &ended.result {
            Ok(()) => Alert::final_script_done(ended.failure.words(), resource),
            Err(reason) => Alert::final_script_failed(&ended.path, resource, reason),
        });
        self.step(Event::FinalScriptDone { resource: ended.resource, script: ended.script })
    }

    /// Keep how many final actions have ended this server. Before one does it must be on the disk; that it is forgotten need not.
    pub(super) fn remember_reboots(&mut self, count: u32) {
        if count == 0 {
            let root = self.loaded.root.clone();
            self.work.aside(move |_| {
                if let Err(reason) = setup::remember_reboots(&root, 0) {
                    setup::write_note(&root, &reason);
                }
            });
        } else if let Err(reason) = setup::remember_reboots(&self.loaded.root, count) {
            self.record.note(format!("{reason}: the next start of this server will count one final action less"));
        }
    }

    /// End this server at once. Returns when it does not work: then the parent gives everything up.
    pub(super) fn end_server(&mut self, how: AfterStop, blame: Blame) -> u8 {
        self.feed.close(false);
        self.watch.wait_no_more();
        self.record.flush(RECORD_LIMIT);
        let reason = match setup::end_server(&self.loaded.root, how) {
            Ok(()) => "the kernel went on".to_string(),
            Err(reason) => reason.to_string(),
        };
        self.record.say(&not_ended(how, blame, self.cluster.plan(), &reason));
        exit::NOT_ENDED
    }
}

fn not_ended(how: AfterStop, blame: Blame, plan: &clp_core::plan::Plan, reason: &str) -> Alert {
    let name = match blame {
        Blame::Activation(resource) | Blame::Deactivation(resource) => &plan.resource(resource).name,
        Blame::Monitor(monitor) => &plan.monitor(monitor).name,
    };
    match (blame, how) {
        (Blame::Activation(_), AfterStop::KeepaliveReset) => Alert::activation_keepalive_reset_failed(name, reason),
        (Blame::Activation(_), AfterStop::KeepalivePanic) => Alert::activation_keepalive_panic_failed(name, reason),
        (Blame::Activation(_), _) => Alert::activation_sysrq_panic_failed(name, reason),
        (Blame::Deactivation(_), AfterStop::KeepaliveReset) => Alert::deactivation_keepalive_reset_failed(name, reason),
        (Blame::Deactivation(_), AfterStop::KeepalivePanic) => Alert::deactivation_keepalive_panic_failed(name, reason),
        (Blame::Deactivation(_), _) => Alert::deactivation_sysrq_panic_failed(name, reason),
        (Blame::Monitor(_), AfterStop::KeepaliveReset) => Alert::recovery_keepalive_reset_failed(name, reason),
        (Blame::Monitor(_), AfterStop::KeepalivePanic) => Alert::recovery_keepalive_panic_failed(name, reason),
        (Blame::Monitor(_), _) => Alert::recovery_sysrq_panic_failed(name, reason),
    }
}
