//! Looks after floating addresses that are active here: whether the others on the LAN find them here, announced until they do,
//! and whether another machine claims one, for as long as it is here. Off the loop and after the activation, which waits for none of it.
//!
//! Says alerts and decides nothing. One thread watches all addresses; one for each address lasts until the others find it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use clp_alerts::Alert;
use clp_config::PartitionKind;
use clp_core::cluster::Cluster;
use clp_core::ids::{ResourceId, ServerId};
use clp_core::message::ResourceState;
use clp_drivers::addresses::proof::{Sight, Witness, look};
use clp_drivers::addresses::watch::{Found, Watch};
use clp_drivers::addresses::{Lan, list};
use clp_sys::address::same_network;
use clp_sys::arp::mac_words;
use rustix::event::{EventfdFlags, eventfd};

use super::Input;
use crate::setup::Loaded;

/// How long the watch listens before it looks for orders, when nothing can wake it for one (no file was left for a bell).
const LISTEN: Duration = Duration::from_millis(200);
/// And when something can.
const LISTEN_WITH_BELL: Duration = Duration::from_secs(60);
/// How long a witness has time to answer; on a LAN it needs less than a millisecond.
const ANSWER_WAIT: Duration = Duration::from_millis(300);
/// Pause before the witnesses are asked first: other addresses of the same takeover may be under way, and they come first. Each next
/// pause is half as long again, up to the last.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LAST: Duration = Duration::from_secs(5);
/// After this, somebody who does not find the address is told to the operators: sooner, one lost frame would be news.
const UNSEEN_LIMIT: Duration = Duration::from_secs(3);

/// The loop's end: which addresses are active here.
pub struct Addresses {
    /// Resources with an address, as the configuration has them on this server.
    all: Vec<(ResourceId, IpAddr)>,
    active: BTreeSet<IpAddr>,
    orders: Sender<BTreeSet<IpAddr>>,
    bell: Option<Arc<OwnedFd>>,
}

impl Addresses {
    /// Start the thread that looks after them.
    pub fn start(loaded: &Arc<Loaded>, me: ServerId, inputs: Sender<Input>) -> Addresses {
        let server = &loaded.configuration.servers[me.index()].name;
        let resources = loaded.configuration.resources.iter().enumerate();
        let all =
            resources.filter_map(|(at, resource)| Some((ResourceId::at(at), resource.on(server).floating_address()?))).collect();
        let (orders, ordered) = channel();
        let witnesses = witnesses(loaded, me);
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok().map(Arc::new);
        let heard = bell.clone();
        std::thread::spawn(move || Keeper { witnesses, inputs, proofs: Vec::new(), bell: heard }.keep(&ordered));
        Addresses { all, active: BTreeSet::new(), orders, bell }
    }

    /// Look at what is active here now.
    pub fn tell(&mut self, cluster: &Cluster) {
        let is_on = |id: ResourceId| cluster.local_resource(id) == ResourceState::On;
        // Called at every turn of the loop: nothing is made as long as nothing changed.
        let changed = self.all.iter().any(|(id, address)| is_on(*id) != self.active.contains(address));
        if changed {
            self.active = self.all.iter().filter(|(id, _)| is_on(*id)).map(|(_, address)| *address).collect();
            let _ = self.orders.send(self.active.clone());
            if let Some(bell) = &self.bell {
                // Full: it rings already.
                let _ = rustix::io::write(bell, &1_u64.to_ne_bytes());
            }
        }
    }
}

/// Who can be asked, with the address of this server from which to ask in comparison.
#[derive(Debug, Clone)]
struct Witnesses {
    all: Vec<Witness>,
    own: Vec<IpAddr>,
}

/// The other servers by their LAN addresses, and the targets of ping resolutions, which are routers as a rule.
fn witnesses(loaded: &Loaded, me: ServerId) -> Witnesses {
    let configuration = &loaded.configuration;
    let mut all: Vec<Witness> = Vec::new();
    let others = configuration.servers.iter().enumerate().filter(|(at, _)| *at != me.index());
    let servers = others.flat_map(|(_, server)| server.lan_addresses().into_iter().map(|at| (server.name.clone(), at)));
    let pings = configuration.partitions.iter().filter_map(|partition| match &partition.kind {
        PartitionKind::Pingnp(pingnp) => Some(pingnp),
        _ => None,
    });
    let targets = pings.flat_map(|pingnp| pingnp.groups.iter().flatten().filter_map(|text| text.parse().ok()));
    for (name, address) in servers.chain(targets.map(|at: IpAddr| (format!("ping target {at}"), at))) {
        if all.iter().all(|witness| witness.address != address) {
            all.push(Witness { name, address });
        }
    }
    Witnesses { all, own: configuration.servers[me.index()].lan_addresses() }
}

struct Keeper {
    witnesses: Witnesses,
    inputs: Sender<Input>,
    /// One for each active address, dropped when it is no longer active: its thread ends then.
    proofs: Vec<(IpAddr, Sender<()>)>,
    /// Can be read when an order has come.
    bell: Option<Arc<OwnedFd>>,
}

impl Keeper {
    fn keep(mut self, ordered: &Receiver<BTreeSet<IpAddr>>) {
        let mut watch = Watch::default();
        loop {
            let mut order = None;
            if self.proofs.is_empty() {
                match ordered.recv() {
                    Ok(active) => order = Some(active),
                    Err(_) => return,
                }
            }
            if let Some(bell) = &self.bell {
                // Silent before the orders are looked at, so that none rings in vain.
                let _ = rustix::io::read(bell, &mut [0; 8]);
            }
            // Many groups come at one moment: only the last word counts.
            loop {
                match ordered.try_recv() {
                    Ok(active) => order = Some(active),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            if let Some(active) = order {
                self.prove(&active);
                watch.hold(&active);
            }
            let listen = if self.bell.is_some() { LISTEN_WITH_BELL } else { LISTEN };
            for found in watch.turn_or(listen, self.bell.as_deref().map(AsFd::as_fd)) {
                let alert = match found {
                    Found::Doubled { address, mac, interface } => {
                        Alert::address_doubled(&address.to_string(), &format!("by {}, heard on {interface}", mac_words(&mac)))
                    }
                    Found::Single { address, mac } => Alert::address_single(&address.to_string(), &mac_words(&mac)),
                };
                if self.inputs.send(Input::Say(alert)).is_err() {
                    return;
                }
            }
        }
    }

    fn prove(&mut self, active: &BTreeSet<IpAddr>) {
        self.proofs.retain(|(address, _)| active.contains(address));
        for address in active {
            if self.proofs.iter().all(|(proven, _)| proven != address) {
                let (alive, ended) = channel();
                let proof = Proof {
                    address: *address,
                    witnesses: self.witnesses.clone(),
                    inputs: self.inputs.clone(),
                    lan: None,
                    reported: BTreeSet::new(),
                };
                std::thread::spawn(move || proof.until_seen(&ended));
                self.proofs.push((*address, alive));
            }
        }
    }
}

/// Of one address: that the others find it here.
struct Proof {
    address: IpAddr,
    witnesses: Witnesses,
    inputs: Sender<Input>,
    /// To announce again; closed at the end, when nobody waits for it.
    lan: Option<Lan>,
    /// Names of those who were told not to find it.
    reported: BTreeSet<String>,
}

impl Proof {
    /// Ends when every witness that answers finds the address, or when it is no longer active.
    fn until_seen(mut self, ended: &Receiver<()>) {
        let since = Instant::now();
        let mut pause = PAUSE_FIRST;
        while matches!(ended.recv_timeout(pause), Err(RecvTimeoutError::Timeout)) && !self.is_seen(since) {
            pause = (pause * 3 / 2).min(PAUSE_LAST);
        }
    }

    fn is_seen(&mut self, since: Instant) -> bool {
        let address = self.address;
        let Some(place) = list().ok().and_then(|all| all.into_iter().find(|place| place.address == address)) else {
            // Its end is on the way to here, or somebody took it away: a monitor's matter.
            return false;
        };
        let is_near = |other: &IpAddr| same_network(*other, address, place.prefix);
        let near: Vec<Witness> = self.witnesses.all.iter().filter(|witness| is_near(&witness.address)).cloned().collect();
        if near.is_empty() {
            return true;
        }
        let own = self.witnesses.own.iter().find(|own| is_near(own)).copied();
        let Ok(sights) = look(address, own, &near, ANSWER_WAIT) else { return false };
        for (witness, sight) in near.iter().zip(&sights) {
            match sight {
                Sight::Seen if self.reported.remove(&witness.name) => {
                    let _ = self.inputs.send(Input::Say(Alert::address_seen(&address.to_string(), &witness.name)));
                }
                Sight::Unseen if since.elapsed() >= UNSEEN_LIMIT && self.reported.insert(witness.name.clone()) => {
                    let reason =
                        format!("it answers at {}; its neighbour entry or a switch holds the former place", witness.address);
                    let _ = self.inputs.send(Input::Say(Alert::address_unseen(&address.to_string(), &witness.name, &reason)));
                }
                _ => {}
            }
        }
        let is_seen = !sights.contains(&Sight::Unseen);
        if !is_seen {
            if self.lan.is_none() {
                self.lan = Lan::open(place.interface, address).ok();
            }
            if self.lan.as_ref().is_some_and(|lan| lan.announce(address).is_err()) {
                self.lan = None;
            }
        }
        is_seen
    }
}
