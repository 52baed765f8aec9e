//! Neighbour discovery on one interface: what `arp` is for IPv4, for IPv6 (RFC 4861). Who answers for an address, and telling
//! that it is here now.
//!
//! The kernel's own duplicate address detection ends when an address is in use; this goes on asking, and hears claims.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::arp::{Claim, Mac, interface_name, next_claim, own_mac, repeat_question};
use crate::icmp::only_type;

const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// Option of a solicitation: hardware address of who asks.
const SOURCE_LINK: u8 = 1;
/// Option of an advertisement: hardware address of who has the address.
const TARGET_LINK: u8 = 2;
/// This holds from now on, whatever was known before.
const OVERRIDE: u8 = 0x20;
/// Type, code, checksum, flags, target, one option.
const LENGTH: usize = 32;
/// All nodes of the link.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// Neighbours ignore what could have crossed a router.
const HOP_LIMIT: u32 = 255;
/// Messages that a socket's buffer may hold; more than that arrive only in a flood.
const WAITING_MAX: usize = 4096;

/// A socket for neighbour discovery on one interface. Unlike one for ARP it costs nothing to close.
#[derive(Debug)]
pub struct Neighbours {
    socket: Socket,
    interface: u32,
    mac: Mac,
}

impl Neighbours {
    /// Open it.
    ///
    /// # Errors
    /// Not root, no such interface, or none of Ethernet's kind.
    pub fn open(interface: u32) -> io::Result<Neighbours> {
        let name = interface_name(interface)?;
        let mac = own_mac(&name)?;
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
        only_type(&socket, true, ADVERTISEMENT)?;
        socket.bind_device(Some(name.as_bytes()))?;
        socket.set_multicast_if_v6(interface)?;
        socket.set_multicast_hops_v6(HOP_LIMIT)?;
        socket.set_multicast_loop_v6(false)?;
        Ok(Neighbours { socket, interface, mac })
    }

    /// The kernel fills in source and checksum.
    fn send(&self, kind: u8, flags: u8, target: Ipv6Addr, option: u8, to: Ipv6Addr) -> io::Result<()> {
        let mut message = [0u8; LENGTH];
        message[0] = kind;
        message[4] = flags;
        message[8..24].copy_from_slice(&target.octets());
        message[24..26].copy_from_slice(&[option, 1]);
        message[26..32].copy_from_slice(&self.mac);
        self.socket.send_to(&message, &SocketAddrV6::new(to, 0, 0, self.interface).into()).map(drop)
    }

    /// Tell every neighbour that the address is here, and that this holds from now on (section 7.2.6).
    ///
    /// # Errors
    /// The interface is down or has no usable address.
    pub fn announce(&self, address: Ipv6Addr) -> io::Result<()> {
        self.send(ADVERTISEMENT, OVERRIDE, address, TARGET_LINK, ALL_NODES)
    }

    /// Ask who has the address, without claiming it.
    ///
    /// # Errors
    /// As [`Neighbours::announce`].
    pub fn ask(&self, address: Ipv6Addr) -> io::Result<()> {
        let last = address.octets();
        let to = Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, last[13], last[14], last[15]]);
        self.send(SOLICITATION, 0, address, SOURCE_LINK, to)
    }

    /// The next claim of another machine that has arrived or arrives within `wait`; zero: that has arrived.
    ///
    /// # Errors
    /// The interface is down.
    pub fn heard(&self, wait: Duration) -> io::Result<Option<Claim>> {
        next_claim(&self.socket, wait, |message| claim_of(message).filter(|claim| claim.mac != self.mac))
    }

    /// Who else has the address: the first hardware address that answers within `wait`, as [`crate::arp::Arp::holder_besides`].
    ///
    /// # Errors
    /// As [`Neighbours::announce`].
    pub fn holder_besides(&self, address: Ipv6Addr, wait: Duration, own: &[Mac]) -> io::Result<Option<Mac>> {
        for _ in 0..WAITING_MAX {
            if self.heard(Duration::ZERO)?.is_none() {
                break;
            }
        }
        let claimed = repeat_question(
            wait,
            || self.ask(address),
            |pause| self.heard(pause),
            |claim| claim.address == address && !own.contains(&claim.mac),
        )?;
        Ok(claimed.map(|claim| claim.mac))
    }
}

impl AsFd for Neighbours {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// An advertisement that names the hardware address of its target; one without is an answer to somebody who knew it.
fn claim_of(message: &[u8]) -> Option<Claim> {
    if message.len() < 24 || message[0] != ADVERTISEMENT || message[1] != 0 {
        return None;
    }
    let target: [u8; 16] = message[8..24].try_into().ok()?;
    let mut options = &message[24..];
    while options.len() >= 8 {
        // In units of eight bytes; zero is nonsense.
        let length = usize::from(options[1]) * 8;
        if length == 0 || length > options.len() {
            return None;
        }
        if options[0] == TARGET_LINK {
            return Some(Claim { address: IpAddr::V6(Ipv6Addr::from(target)), mac: options[2..8].try_into().ok()? });
        }
        options = &options[length..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_advertisement_with_a_hardware_address_is_a_claim() {
        let mut message = vec![0u8; 24];
        message[0] = ADVERTISEMENT;
        message[8..24].copy_from_slice(&Ipv6Addr::LOCALHOST.octets());
        assert_eq!(claim_of(&message), None, "no option");
        message.extend([14, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(claim_of(&message), None, "another option");
        message.extend([TARGET_LINK, 1, 2, 0, 0, 0, 0, 9]);
        let claim = Claim { address: IpAddr::V6(Ipv6Addr::LOCALHOST), mac: [2, 0, 0, 0, 0, 9] };
        assert_eq!(claim_of(&message), Some(claim));
        for end in 0..message.len() {
            assert_eq!(claim_of(&message[..end]), None, "{end} bytes");
        }
        message[25] = 0;
        assert_eq!(claim_of(&message), None, "an option of no length");
        message[25] = 1;
        message[0] = SOLICITATION;
        assert_eq!(claim_of(&message), None, "a question");
    }
}
