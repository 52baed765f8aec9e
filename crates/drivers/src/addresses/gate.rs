//! The gate of this process before its floating addresses ([`clp_sys::gate`]): which addresses are behind it, and whether it stands
//! on every interface that matters. Until when it is open is told by the engine's loop alone, and decided by the core.

use clp_sys::address::{self, Assigned};
use clp_sys::gate::{self, Gate, GateError, Ungated};
use std::io;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;
use thiserror::Error;

static GATE: OnceLock<Gate> = OnceLock::new();

/// Why floating addresses are not behind a gate.
#[derive(Debug, Error)]
pub enum NoGate {
    /// There is none.
    #[error("{0}")]
    None(#[from] GateError),
    /// It does not stand on an interface that carries floating addresses.
    #[error("interface {interface} takes no packet program: {cause}; see tc filter show dev {interface} ingress (and egress)")]
    Interface {
        /// Name of the interface.
        interface: String,
        /// What the kernel said.
        #[source]
        cause: io::Error,
    },
    /// Addresses are not listed, or not taken.
    #[error("the addresses that are here cannot be put behind it: {0}")]
    Addresses(#[source] io::Error),
}

/// Put up the gate, in place of one that an earlier life left, with those of these addresses behind it that are here. It is closed.
///
/// # Errors
/// It cannot be had; [`tend`] tries again what an interface refused.
pub fn put_up(addresses: &[IpAddr]) -> Result<(), NoGate> {
    let gate = match GATE.get() {
        Some(gate) => gate,
        None => {
            let gate = Gate::build()?;
            GATE.get_or_init(|| gate)
        }
    };
    let here = super::list().map_err(NoGate::Addresses)?;
    for assigned in here.iter().filter(|assigned| addresses.contains(&assigned.address)) {
        gate.hold(assigned.address).map_err(NoGate::Addresses)?;
    }
    judge(gate.take_over()?, addresses, &here)
}

/// See to it that it stands where these addresses are or would be: on interfaces that came later, and on those from which somebody
/// took it.
///
/// # Errors
/// It does not.
pub fn tend(addresses: &[IpAddr]) -> Result<(), NoGate> {
    let Some(gate) = GATE.get() else { return Ok(()) };
    let ungated = gate.cover()?;
    if ungated.is_empty() {
        return Ok(());
    }
    judge(ungated, addresses, &super::list().map_err(NoGate::Addresses)?)
}

fn judge(ungated: Vec<Ungated>, addresses: &[IpAddr], here: &[Assigned]) -> Result<(), NoGate> {
    let carries = |interface: u32| {
        let at_home = |address: &IpAddr| address::network_of(*address, here).is_some_and(|place| place.interface == interface);
        let is_there = |address: &IpAddr| here.iter().any(|place| place.address == *address && place.interface == interface);
        addresses.iter().any(|address| at_home(address) || is_there(address))
    };
    match ungated.into_iter().find(|ungated| carries(ungated.interface)) {
        None => Ok(()),
        Some(Ungated { interface, cause }) => {
            let name = clp_sys::arp::interface_name(interface).unwrap_or_else(|_| interface.to_string());
            Err(NoGate::Interface { interface: name, cause })
        }
    }
}

/// Addresses behind it are served until then, on the clock of [`clp_sys::clock::now`]. Costs no call of the kernel.
pub fn lease(until: Duration) {
    if let Some(gate) = GATE.get() {
        gate.lease(until);
    }
}

/// Take the gate of any life away: nothing that it held is here.
///
/// # Errors
/// It still stands on an interface, and the address would be silent there when somebody else adds it.
pub fn take_away() -> io::Result<()> {
    gate::sweep()
}

/// An address comes: from now on it is served only while the gate is open.
pub(crate) fn hold(address: IpAddr) -> io::Result<()> {
    GATE.get().map_or(Ok(()), |gate| gate.hold(address))
}

/// It has gone.
pub(crate) fn release(address: IpAddr) {
    if let Some(gate) = GATE.get() {
        // What stays behind it is silent when it comes back by other hands, and is held anew when it comes by ours.
        let _ = gate.release(address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeats::tests_support::{in_own_network, ip, until};
    use crate::monitors::floating::tests::Neighbour;
    use std::process::Command;

    fn answers(neighbour: &Neighbour, words: &str) -> bool {
        neighbour.within(|| Command::new("sh").args(["-c", words]).output().is_ok_and(|output| output.status.success()))
    }

    fn tc(words: &str) -> (bool, String) {
        let output = Command::new("tc").args(words.split(' ')).output().expect("tc");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn interface(name: &str) -> u32 {
        let all = clp_sys::address::list().expect("addresses");
        let named = |place: &&Assigned| clp_sys::arp::interface_name(place.interface).is_ok_and(|found| found == name);
        all.iter().find(named).expect("there").interface
    }

    /// One test, since a process has one gate: what is open passes, what is over is silent to ARP, IPv4, neighbour discovery and
    /// IPv6, at once and without anything being removed; other addresses and other people's filters are let alone.
    #[test]
    fn an_address_is_served_while_the_lease_lasts_and_only_then() {
        in_own_network(|| {
            let neighbour = Neighbour::beside("a0");
            for words in ["10.78.0.1/24 dev a0", "fd78::1/64 dev a0 nodad", "10.78.0.9/24 dev a0", "fd78::9/64 dev a0 nodad"] {
                ip(&format!("addr add {words}"));
            }
            neighbour.run("ip addr add 10.78.0.2/24 dev b0");
            neighbour.run("ip addr add fd78::2/64 dev b0 nodad");
            let addresses: [IpAddr; 2] = ["10.78.0.9".parse().expect("v4"), "fd78::9".parse().expect("v6")];
            let (ping, own) = ("ping -c 1 -W 1 10.78.0.9", "ping -c 1 -W 1 10.78.0.1");
            let asks = [
                ping,
                "arping -c 1 -w 1 -I b0 10.78.0.9",
                "ping -c 1 -W 1 fd78::9",
                "ip -6 neigh flush dev b0; ping -c 1 -W 1 fd78::9",
            ];
            let open = || lease(clp_sys::clock::now() + Duration::from_secs(60));
            asks.iter().for_each(|ask| until(ask, || answers(&neighbour, ask)));

            put_up(&addresses).expect("a gate");
            assert!(asks.iter().all(|ask| !answers(&neighbour, ask)), "closed at first");
            assert!(answers(&neighbour, own), "other addresses are not behind it");
            open();
            // Nothing answered the neighbour's questions meanwhile: it asks anew only after a moment.
            asks.iter().for_each(|ask| until(ask, || answers(&neighbour, ask)));

            // It ends by itself, and what others know of the address does not help them.
            lease(clp_sys::clock::now() + Duration::from_millis(300));
            until("the lease runs out", || !answers(&neighbour, ping));
            asks.iter().for_each(|ask| assert!(!answers(&neighbour, ask), "{ask}"));
            // Nor does it speak by itself.
            let arp = clp_sys::arp::Arp::open(interface("a0")).expect("socket");
            let IpAddr::V4(address) = addresses[0] else { unreachable!("v4") };
            let refused = arp.announce(address).expect_err("nothing gets out");
            assert_eq!(refused.raw_os_error(), Some(rustix::io::Errno::NOBUFS.raw_os_error()), "{refused}");

            // What goes is no concern of the gate any more, and what comes is.
            release(addresses[0]);
            until("released", || answers(&neighbour, ping));
            hold(addresses[0]).expect("held");
            assert!(!answers(&neighbour, ping));

            // Somebody takes the programs away, and an interface comes.
            assert!(tc("qdisc del dev a0 clsact").0);
            assert!(answers(&neighbour, ping));
            ip("link add n0 type veth peer name n1");
            tend(&addresses).expect("put up again");
            assert!(tc("filter show dev n0 ingress").1.contains("mainstay_gate"));
            assert!(!answers(&neighbour, ping));

            // The first place is somebody else's: said, and nothing of theirs touched.
            take_away().expect("taken away");
            assert!(!tc("filter show dev a0 egress").1.contains("mainstay_gate"));
            until("no gate any more", || answers(&neighbour, ping));
            assert!(tc("filter add dev a0 ingress prio 1 protocol ip u32 match ip dst 192.0.2.1").0);
            let theirs = tc("filter show dev a0 ingress").1;
            let refused = tend(&addresses).expect_err("the place is taken").to_string();
            assert!(refused.contains("interface a0"), "{refused}");
            assert_eq!(tc("filter show dev a0 ingress").1, theirs);
            take_away().expect("taken away");
            assert_eq!(tc("filter show dev a0 ingress").1, theirs);
        });
    }
}
