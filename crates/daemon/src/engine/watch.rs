//! The engine's side of the monitor daemon: tells it what to watch, hands on what it found.
//!
//! The monitor daemon is another process, so that a hanging probe cannot delay a heartbeat. When it comes back after a
//! death it is told again everything that runs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::sync::mpsc::{Sender, channel};

use super::Input;
use super::control::{bind, connections, is_root_peer};
use crate::ipc;

/// What the monitor daemon should be doing.
pub struct Watch {
    running: BTreeMap<String, ipc::Watch>,
    daemon: Option<Sender<ipc::Order>>,
    ratio: u32,
    /// Monitors whose end is waited for, told to stop.
    ending: BTreeSet<String>,
}

impl Watch {
    /// Listen for the monitor daemon on `run/monitord.sock`.
    pub fn listen(root: &clp_sys::paths::Root, inputs: Sender<Input>) -> Result<Watch, String> {
        let listener = bind(&root.run().join("monitord.sock"))?;
        std::thread::spawn(move || {
            for stream in connections(listener) {
                if !is_root_peer(&stream) {
                    continue;
                }
                let Ok(mut writer) = stream.try_clone() else { continue };
                let (sender, orders) = channel::<ipc::Order>();
                std::thread::spawn(move || {
                    for order in orders {
                        let Ok(text) = serde_json::to_string(&order) else { continue };
                        if writer.write_all((text + "\n").as_bytes()).is_err() {
                            return;
                        }
                    }
                });
                if inputs.send(Input::MonitordHere(sender)).is_err() {
                    return;
                }
                let inputs = inputs.clone();
                std::thread::spawn(move || {
                    for line in BufReader::new(stream).lines().map_while(Result::ok) {
                        let Ok(told) = serde_json::from_str(&line) else { continue };
                        if inputs.send(Input::Monitord(told)).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Ok(Watch { running: BTreeMap::new(), daemon: None, ratio: 1, ending: BTreeSet::new() })
    }

    /// The monitor daemon is there (again).
    pub fn connected(&mut self, daemon: Sender<ipc::Order>) {
        // What the last one ran has ended with it.
        self.ending.clear();
        let _ = daemon.send(ipc::Order::Ratio(self.ratio));
        for order in self.running.values() {
            let _ = daemon.send(ipc::Order::Watch(order.clone()));
        }
        self.daemon = Some(daemon);
    }

    /// Run or stop a monitor; `waited`: the end of the service waits until it has stopped.
    pub fn tell(&mut self, order: ipc::Watch, waited: bool) {
        if order.run {
            self.ending.remove(&order.monitor);
            self.running.insert(order.monitor.clone(), order.clone());
        } else if self.running.remove(&order.monitor).is_some() && waited && self.daemon.is_some() {
            self.ending.insert(order.monitor.clone());
        }
        if let Some(daemon) = &self.daemon {
            let _ = daemon.send(ipc::Order::Watch(order));
        }
    }

    /// Time-outs of all checks are multiplied by this from now on.
    pub fn multiply(&mut self, ratio: u32) {
        self.ratio = ratio;
        if let Some(daemon) = &self.daemon {
            let _ = daemon.send(ipc::Order::Ratio(ratio));
        }
    }

    /// Is it told to run a monitor?
    pub fn is_running(&self, monitor: &str) -> bool {
        self.running.contains_key(monitor)
    }

    /// A monitor has stopped.
    pub fn ended(&mut self, monitor: &str) {
        self.ending.remove(monitor);
    }

    /// Nothing is waited for any more.
    pub fn wait_no_more(&mut self) {
        self.ending.clear();
    }

    /// Is the end of a monitor still waited for?
    pub fn is_ending(&self) -> bool {
        !self.ending.is_empty()
    }
}
