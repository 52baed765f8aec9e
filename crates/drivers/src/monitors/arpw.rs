//! arpw: tells the neighbours at each check where a floating address is, so that tables that went wrong heal.
//!
//! IPv4 by ARP (RFC 5227, section 3), IPv6 by an unsolicited neighbour advertisement (RFC 4861, section 7.2.6).

use super::{CheckFailed, MonitorDriver, UnusableMonitor, floating::Floating};
use clp_sys::{
    address::Assigned,
    arp::{Arp, Mac},
};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io,
    net::{IpAddr, Ipv6Addr, SocketAddrV6},
    time::Duration,
};

const REMEDY: &str = "check the interface of the address (ip address, ip link)";
/// All nodes of the link.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// Neighbours ignore advertisements that could have crossed a router.
const HOP_LIMIT: u32 = 255;

/// An ARP monitor.
#[derive(Debug)]
pub struct Arpw {
    floating: Floating,
    /// Kept between checks: closing it waits for the kernel.
    opened: Option<(u32, Arp)>,
}

impl Arpw {
    /// Announces the address written as `address` or `address%interface`.
    ///
    /// # Errors
    /// It is not an address.
    pub fn new(address: &str) -> Result<Arpw, UnusableMonitor> {
        Ok(Arpw { floating: Floating::new(address)?, opened: None })
    }

    fn arp(&mut self, interface: u32) -> io::Result<&Arp> {
        let fresh = match self.opened.take() {
            Some(opened) if opened.0 == interface => opened,
            _ => (interface, Arp::open(interface)?),
        };
        Ok(&self.opened.insert(fresh).1)
    }
}

impl MonitorDriver for Arpw {
    fn check(&mut self, _limit: Duration) -> Result<(), CheckFailed> {
        let here = self.floating.here()?;
        let announced = match here.address {
            IpAddr::V4(address) => self.arp(here.interface).and_then(|arp| arp.announce(address)),
            IpAddr::V6(address) => advertise(address, here),
        };
        announced.map_err(|cause| {
            // A new socket next time: the interface may have been made anew.
            self.opened = None;
            CheckFailed::error(format!("{} cannot be announced: {cause}", here.address), REMEDY)
        })
    }
}

/// Tell every neighbour that the address is here, and that this holds from now on (flag O).
fn advertise(address: Ipv6Addr, here: Assigned) -> io::Result<()> {
    let mac: Mac = clp_sys::arp::own_mac(&clp_sys::arp::interface_name(here.interface)?)?;
    let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
    socket.set_multicast_if_v6(here.interface)?;
    socket.set_multicast_hops_v6(HOP_LIMIT)?;
    socket.set_multicast_loop_v6(false)?;
    socket.bind(&SocketAddrV6::new(address, 0, 0, here.interface).into())?;
    // Type 136, code 0; the kernel fills in the checksum of raw ICMPv6. Option 2 holds the hardware address.
    let mut message = [0u8; 32];
    message[0] = 136;
    message[4] = 0x20;
    message[8..24].copy_from_slice(&address.octets());
    message[24..26].copy_from_slice(&[2, 1]);
    message[26..32].copy_from_slice(&mac);
    socket.send_to(&message, &SocketAddrV6::new(ALL_NODES, 0, 0, here.interface).into()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeats::tests_support::{in_own_network, ip, until};
    use crate::monitors::floating::tests::Neighbour;

    // S-MON-ARPW
    #[test]
    fn a_neighbour_with_a_wrong_table_is_put_right() {
        in_own_network(|| {
            let neighbour = Neighbour::beside("a0");
            ip("addr add 10.77.0.1/24 dev a0");
            ip("addr add fd77::1/64 dev a0 nodad");
            neighbour.run("ip addr add 10.77.0.2/24 dev b0");
            neighbour.run("ip addr add fd77::2/64 dev b0 nodad");
            let mac = neighbour.mac_of("a0");
            for (floating, add) in [("10.77.0.9", "10.77.0.9/24"), ("fd77::9", "fd77::9/64")] {
                let mut monitor = Arpw::new(floating).expect("monitor");
                let limit = Duration::from_secs(5);
                assert!(monitor.check(limit).expect_err("absent").what.contains("is not on any interface"));
                let nodad = if floating.contains(':') { " nodad" } else { "" };
                ip(&format!("addr add {add} dev a0{nodad}"));
                neighbour.run(&format!("ip neigh replace {floating} lladdr 02:00:00:00:00:99 dev b0 nud stale"));
                assert!(!neighbour.knows(floating, &mac));
                // Told again and again, since one frame may be lost.
                until("the neighbour's table is right", || {
                    monitor.check(limit).expect("announced");
                    neighbour.knows(floating, &mac)
                });
                ip("link set a0 down");
                monitor.check(limit).expect_err("the interface is down");
                ip("link set a0 up");
                ip(&format!("addr replace {add} dev a0{nodad}"));
                until("it goes on with a new socket", || monitor.check(limit).is_ok());
            }
            Arpw::new("floating").expect_err("no address");
        });
    }
}
