//! The other machines of one LAN, asked and told about an address of either version: ARP or neighbour discovery.

use clp_sys::{
    arp::{Arp, Claim, Mac},
    neighbour::Neighbours,
};
use std::{
    io,
    net::IpAddr,
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

/// A socket on one interface for addresses of one version. Closing it may wait for a grace period of the kernel; see [`Arp`].
#[derive(Debug)]
pub enum Lan {
    /// IPv4.
    V4(Arp),
    /// IPv6.
    V6(Neighbours),
}

impl Lan {
    /// Open it for addresses of the version of `address`.
    ///
    /// # Errors
    /// Not root, no such interface, or none of Ethernet's kind.
    pub fn open(interface: u32, address: IpAddr) -> io::Result<Lan> {
        match address {
            IpAddr::V4(_) => Arp::open(interface).map(Lan::V4),
            IpAddr::V6(_) => Neighbours::open(interface).map(Lan::V6),
        }
    }

    /// Tell everybody that the address is here now.
    ///
    /// # Errors
    /// The interface is down.
    pub fn announce(&self, address: IpAddr) -> io::Result<()> {
        match (self, address) {
            (Lan::V4(arp), IpAddr::V4(address)) => arp.announce(address),
            (Lan::V6(neighbours), IpAddr::V6(address)) => neighbours.announce(address),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Ask who has the address; answers are claims.
    ///
    /// # Errors
    /// The interface is down.
    pub fn ask(&self, address: IpAddr) -> io::Result<()> {
        match (self, address) {
            (Lan::V4(arp), IpAddr::V4(address)) => arp.ask(address),
            (Lan::V6(neighbours), IpAddr::V6(address)) => neighbours.ask(address),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// The next claim of another machine that has arrived.
    ///
    /// # Errors
    /// The interface is down.
    pub fn heard(&self) -> io::Result<Option<Claim>> {
        match self {
            Lan::V4(arp) => arp.heard(Duration::ZERO),
            Lan::V6(neighbours) => neighbours.heard(Duration::ZERO),
        }
    }

    /// Who else has the address: the first hardware address besides `own` that answers within `wait`.
    ///
    /// # Errors
    /// The interface is down.
    pub fn holder(&self, address: IpAddr, wait: Duration, own: &[Mac]) -> io::Result<Option<Mac>> {
        match (self, address) {
            (Lan::V4(arp), IpAddr::V4(address)) => arp.holder_besides(address, wait, own),
            (Lan::V6(neighbours), IpAddr::V6(address)) => neighbours.holder_besides(address, wait, own),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

impl AsFd for Lan {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Lan::V4(arp) => arp.as_fd(),
            Lan::V6(neighbours) => neighbours.as_fd(),
        }
    }
}
