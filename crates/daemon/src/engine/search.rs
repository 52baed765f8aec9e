//! Looks for a server whose heartbeats fell silent: does its kernel still answer ARP for its own addresses? A server that
//! is frozen does, one that lost its power does not.

use std::net::Ipv4Addr;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use clp_config::{Configuration, HeartbeatKind};
use clp_core::event::Event;
use clp_core::ids::ServerId;
use clp_core::plan::Timing;
use clp_sys::address;
use clp_sys::arp::Arp;

use super::Input;

/// Shortest wait for an answer: a LAN answers in less than a millisecond.
const WAIT_MIN: Duration = Duration::from_millis(3);

/// One LAN with the addresses of the servers on it.
struct Lan {
    mine: Ipv4Addr,
    theirs: Vec<Option<Ipv4Addr>>,
    /// Kept open: closing one waits for the kernel.
    arp: Option<Arp>,
}

/// The thread that looks.
pub struct Search {
    servers: Sender<ServerId>,
}

impl Search {
    /// Ready to look on every LAN on which this server has an IPv4 heartbeat address.
    pub fn start(configuration: &Configuration, me: ServerId, timing: &Timing, inputs: Sender<Input>) -> Search {
        let mut lans = lans(configuration, me);
        let whole = timing.interval / 2;
        let (servers, asked) = channel::<ServerId>();
        std::thread::spawn(move || {
            while let Ok(first) = asked.recv() {
                let wanted: Vec<ServerId> = std::iter::once(first).chain(asked.try_iter()).collect();
                let share = u32::try_from(wanted.len()).unwrap_or(u32::MAX);
                for server in wanted {
                    let sign = look(&mut lans, server, (whole / share).max(WAIT_MIN));
                    if inputs.send(Input::Event(Event::Searched { server, sign })).is_err() {
                        return;
                    }
                }
            }
        });
        Search { servers }
    }

    /// Look for this server; what was found arrives as [`Event::Searched`].
    pub fn begin(&self, server: ServerId) {
        let _ = self.servers.send(server);
    }
}

fn lans(configuration: &Configuration, me: ServerId) -> Vec<Lan> {
    let mut lans: Vec<Lan> = Vec::new();
    for heartbeat in &configuration.heartbeats {
        if !matches!(heartbeat.kind, HeartbeatKind::Lanhb | HeartbeatKind::Lankhb) {
            continue;
        }
        let address = |server: &clp_config::Server| server.device(heartbeat.device)?.info.parse::<Ipv4Addr>().ok();
        let Some(mine) = address(&configuration.servers[me.index()]) else { continue };
        // A LAN may carry heartbeats of both kinds.
        if lans.iter().all(|lan| lan.mine != mine) {
            lans.push(Lan { mine, theirs: configuration.servers.iter().map(address).collect(), arp: None });
        }
    }
    lans
}

/// Ask on all LANs at once; the first answer in words.
fn look(lans: &mut [Lan], server: ServerId, wait: Duration) -> Option<String> {
    std::thread::scope(|scope| {
        let asked: Vec<_> = lans.iter_mut().map(|lan| scope.spawn(move || lan.ask(server, wait))).collect();
        asked.into_iter().filter_map(|thread| thread.join().ok().flatten()).next()
    })
}

impl Lan {
    /// Nothing that cannot be asked is a sign of life: an interface without a link reaches nobody.
    fn ask(&mut self, server: ServerId, wait: Duration) -> Option<String> {
        let theirs = self.theirs[server.index()]?;
        if self.arp.is_none() {
            let own = address::list().ok()?.into_iter().find(|assigned| assigned.address == self.mine)?;
            self.arp = Arp::open(own.interface).ok();
        }
        match self.arp.as_ref()?.holder(theirs, wait) {
            Ok(holder) => holder.map(|_| format!("{theirs} answers ARP")),
            Err(_) => {
                self.arp = None;
                None
            }
        }
    }
}
