//! The kernel's gate before floating addresses: puts it up before anything else happens, sees to it that it stands where addresses
//! come, and is told by the loop, after every event, until when it is open. What the core says goes there and nowhere else.
//!
//! A thread looks after new interfaces, and whether somebody took the gate away; it lasts as long as the engine.

use std::net::IpAddr;
use std::sync::mpsc::Sender;
use std::time::Duration;

use clp_alerts::Alert;
use clp_core::event::Event;
use clp_core::ids::ServerId;
use clp_core::time::Time;
use clp_drivers::addresses::gate;
use clp_sys::link::LinkNews;

use super::Input;
use crate::setup::Loaded;

/// Between two looks whether it still stands, where nothing is heard of interfaces.
const LOOK: Duration = Duration::from_secs(5);
/// After news of interfaces: a new one gets its addresses in the meantime, and many that come together are one look.
const SETTLE: Duration = Duration::from_millis(50);

/// What is known of the gate here.
pub struct Gate {
    /// Why floating addresses are not behind it; None: they are.
    pub missing: Option<String>,
    /// There are floating addresses in this cluster.
    pub wanted: bool,
}

impl Gate {
    /// Put it up, closed, and start to look after it.
    pub fn start(loaded: &Loaded, me: ServerId, inputs: Sender<Input>) -> Gate {
        let server = &loaded.configuration.servers[me.index()].name;
        let resources = loaded.configuration.resources.iter();
        let addresses: Vec<IpAddr> = resources.filter_map(|resource| resource.on(server).floating_address()).collect();
        if addresses.is_empty() {
            return Gate { missing: None, wanted: false };
        }
        let news = LinkNews::subscribe();
        let missing = gate::put_up(&addresses).err().map(|reason| reason.to_string());
        let mut stands = missing.is_none();
        std::thread::spawn(move || {
            let mut news = news.ok();
            loop {
                match news.as_mut().map(|news| news.wait(LOOK)) {
                    Some(Ok(clp_sys::link::News::None)) => {}
                    Some(Ok(_)) => std::thread::sleep(SETTLE),
                    Some(Err(_)) | None => {
                        std::thread::sleep(LOOK);
                        news = LinkNews::subscribe().ok();
                    }
                }
                let missing = gate::tend(&addresses).err().map(|reason| reason.to_string());
                if missing.is_none() != std::mem::replace(&mut stands, missing.is_none())
                    && inputs.send(Input::GateSeen(missing)).is_err()
                {
                    return;
                }
            }
        });
        Gate { missing, wanted: true }
    }

    /// What became of it.
    pub fn seen(&mut self, missing: Option<String>) -> (Event, Alert) {
        let alert = match &missing {
            Some(reason) => Alert::addresses_ungated(reason),
            None => Alert::addresses_gated(),
        };
        self.missing = missing;
        (Event::GateSeen { works: self.missing.is_none() }, alert)
    }

    /// Open until then, or closed.
    pub fn renew(&self, until: Option<Time>) {
        gate::lease(until.map_or(Duration::ZERO, |until| Duration::from_micros(until.0)));
    }
}

/// Nothing of the cluster's is here any more: what an operator adds by hand must answer.
pub fn take_away() {
    if let Err(cause) = gate::take_away() {
        crate::setup::complain(&format!(
            "the gate before floating addresses stays: {cause}; tc filter show dev INTERFACE egress"
        ));
    }
}
