//! Switches lost servers off, and looks once in an interval whether it could. Two threads for each other server, so that neither a BMC
//! that does not answer nor a look keeps another server's forced stop waiting. What they find comes back as inputs.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use clp_core::event::Event;
use clp_core::ids::ServerId;
use clp_drivers::forced_stop::{Stopper, stopper};

use super::Input;
use crate::setup::Loaded;

/// A look takes no longer than this, whatever a forced stop may take.
const LOOK_MAX: Duration = Duration::from_secs(15);

/// A look ended.
#[derive(Debug)]
pub struct Looked {
    /// At the forced stop of this server.
    pub server: ServerId,
    /// Would it work, and in words.
    pub works: bool,
    /// What was seen, or why not.
    pub words: String,
}

/// The ways to the threads.
pub struct ForcedStops {
    /// By server; None: this one.
    orders: Vec<Option<Sender<()>>>,
}

impl ForcedStops {
    /// Start the threads, which end with the engine; none where no forced stop is configured.
    pub fn start(loaded: &Loaded, me: ServerId, inputs: &Sender<Input>) -> ForcedStops {
        let configuration = &loaded.configuration;
        let (Some(forced_stop), local) = (&configuration.forced_stop, &configuration.servers[me.index()]) else {
            return ForcedStops { orders: Vec::new() };
        };
        let begin = |(index, server)| {
            let id = ServerId::at(index);
            let stopper: Arc<dyn Stopper> = stopper(configuration, &loaded.root, local, server).filter(|_| id != me)?.into();
            look(id, stopper.clone(), forced_stop.interval, inputs.clone());
            Some(obey(id, stopper, forced_stop.timeout, inputs.clone()))
        };
        ForcedStops { orders: configuration.servers.iter().enumerate().map(begin).collect() }
    }

    /// Switch this server off; how that ended arrives as [`Event::ForcedStop`].
    pub fn begin(&self, server: ServerId) {
        if let Some(orders) = self.orders.get(server.index()).and_then(Option::as_ref) {
            let _ = orders.send(());
        }
    }
}

fn obey(server: ServerId, stopper: Arc<dyn Stopper>, timeout: Duration, inputs: Sender<Input>) -> Sender<()> {
    let (orders, queue) = channel::<()>();
    std::thread::spawn(move || {
        for () in queue {
            let result = stopper.stop(Instant::now() + timeout).map_err(|failed| failed.to_string());
            if inputs.send(Input::Event(Event::ForcedStop { server, result })).is_err() {
                return;
            }
        }
    });
    orders
}

fn look(server: ServerId, stopper: Arc<dyn Stopper>, interval: Duration, inputs: Sender<Input>) {
    std::thread::spawn(move || {
        loop {
            let begun = Instant::now();
            let (works, words) = match stopper.look(begun + LOOK_MAX) {
                Ok(words) => (true, words),
                Err(failed) => (false, failed.to_string()),
            };
            if inputs.send(Input::ForcedStopLooked(Looked { server, works, words })).is_err() {
                return;
            }
            std::thread::sleep(interval);
        }
    });
}
