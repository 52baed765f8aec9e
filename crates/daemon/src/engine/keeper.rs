//! Writes down the time-out ratio for the next start, on a thread of its own: the disk may be as busy as the machine is when a
//! ratio ends, and heartbeats wait for nothing.

use std::sync::mpsc::{Sender, channel};

use clp_alerts::Alert;
use clp_core::event::Event;
use clp_sys::paths::Root;

use super::Input;
use crate::setup;

/// The way to its thread.
pub struct Keeper(Sender<u32>);

impl Keeper {
    /// Owner of the thread: the engine; it ends with it. Cut short, the file is as before or as after.
    pub fn start(root: &Root, inputs: Sender<Input>) -> Keeper {
        let (sender, orders) = channel::<u32>();
        let root = root.clone();
        std::thread::spawn(move || {
            for ratio in orders {
                let result = setup::keep_ratio(&root, ratio);
                if let Err(reason) = &result {
                    let what = "the time-out ratio, which heartbeats therefore do not use";
                    let _ = inputs.send(Input::Say(Alert::state_not_kept(what, reason)));
                }
                if inputs.send(Input::Event(Event::RatioKept { ratio, result })).is_err() {
                    return;
                }
            }
        });
        Keeper(sender)
    }

    /// Write this down; the answer comes as an event.
    pub fn keep(&self, ratio: u32) {
        // Its thread ends only with this engine.
        let _ = self.0.send(ratio);
    }
}
