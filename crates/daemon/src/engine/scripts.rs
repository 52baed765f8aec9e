//! Scripts before steps of a monitor's recovery: each runs on a thread of its own, and its end comes back as an input.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use clp_core::ids::MonitorId;
use clp_core::recovery::Step;
use clp_drivers::monitors::Context;
use clp_drivers::monitors::preaction::{self, Before};

use super::Input;
use crate::setup::Loaded;

/// A script has ended.
#[derive(Debug)]
pub struct Ended {
    /// The monitor.
    pub monitor: MonitorId,
    /// Number of the script.
    pub script: u64,
    /// What follows, in words.
    pub before: &'static str,
    /// What the script said.
    pub result: Result<(), String>,
}

/// Runs scripts.
pub struct Scripts {
    orders: Sender<(MonitorId, u64, Before)>,
}

impl Scripts {
    /// Start the dispatcher: an ordinary thread, so that what it starts does not inherit the loop's real-time priority.
    pub fn start(loaded: Arc<Loaded>, inputs: Sender<Input>) -> Scripts {
        let (orders, queue) = channel::<(MonitorId, u64, Before)>();
        std::thread::spawn(move || {
            for (monitor, script, before) in queue {
                let (loaded, inputs) = (loaded.clone(), inputs.clone());
                // Ends with the script, at the latest soon after its time limit.
                std::thread::spawn(move || {
                    let config = &loaded.configuration.monitors[monitor.index()];
                    let context = Context { root: loaded.root.clone(), monitor: config.name.clone(), ..Context::default() };
                    let wanted = &config.common.preaction;
                    let result = preaction::run(&context, &wanted.path, wanted.timeout, before);
                    let _ = inputs.send(Input::ScriptEnded(Ended { monitor, script, before: before.words(), result }));
                });
            }
        });
        Scripts { orders }
    }

    /// Run the script before a step; `count` steps of that kind were taken, this one included.
    pub fn run(&self, monitor: MonitorId, script: u64, before: &Step, count: u32) {
        let before = match before {
            Step::Reactivate(_) => Before::Restart(count),
            Step::Failover(_) => Before::Failover(count),
            _ => Before::FinalAction,
        };
        let _ = self.orders.send((monitor, script, before));
    }
}
