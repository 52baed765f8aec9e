//! Addresses of this server's interfaces, by netlink: list, add, remove.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// An address on an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assigned {
    /// Interface number.
    pub interface: u32,
    /// The address.
    pub address: IpAddr,
    /// Length of its network prefix.
    pub prefix: u8,
}

fn ask(message: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<RouteNetlinkMessage>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut request = NetlinkMessage::from(message);
    request.header.flags = NLM_F_REQUEST | flags;
    request.header.sequence_number = 1;
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let mut answers = Vec::new();
    loop {
        let (received, _) = socket.recv_from_full()?;
        let mut rest = received.as_slice();
        while !rest.is_empty() {
            let answer =
                NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).map_err(|cause| io::Error::other(cause.to_string()))?;
            let length = (answer.header.length as usize).next_multiple_of(4).min(rest.len());
            rest = &rest[length.max(1)..];
            match answer.payload {
                NetlinkPayload::Done(_) => return Ok(answers),
                NetlinkPayload::Error(error) => return if error.code.is_none() { Ok(answers) } else { Err(error.to_io()) },
                NetlinkPayload::InnerMessage(message) => answers.push(message),
                _ => {}
            }
        }
    }
}

/// Every address of every interface.
///
/// # Errors
/// The kernel does not answer.
pub fn list() -> io::Result<Vec<Assigned>> {
    let answers = ask(RouteNetlinkMessage::GetAddress(AddressMessage::default()), NLM_F_DUMP)?;
    Ok(answers
        .into_iter()
        .filter_map(|answer| {
            let RouteNetlinkMessage::NewAddress(message) = answer else { return None };
            let local = message.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Local(address) => Some(*address),
                _ => None,
            });
            let plain = message.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Address(address) => Some(*address),
                _ => None,
            });
            Some(Assigned { interface: message.header.index, address: local.or(plain)?, prefix: message.header.prefix_len })
        })
        .collect())
}

/// What the kernel found out about an IPv6 address of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uniqueness {
    /// Nobody else has it; it can be used.
    Unique,
    /// Another machine has it.
    Duplicate,
    /// The kernel is still asking, or the address is not there.
    Unknown,
}

/// The state of duplicate address detection (RFC 4862) of an address of ours; an IPv4 address has none and counts as unique.
///
/// # Errors
/// The kernel does not answer.
pub fn uniqueness(address: IpAddr) -> io::Result<Uniqueness> {
    for answer in ask(RouteNetlinkMessage::GetAddress(AddressMessage::default()), NLM_F_DUMP)? {
        let RouteNetlinkMessage::NewAddress(message) = answer else { continue };
        if !message.attributes.iter().any(|attribute| matches!(attribute, AddressAttribute::Address(found) | AddressAttribute::Local(found) if *found == address)) {
            continue;
        }
        let flags = message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Flags(flags) => Some(*flags),
            _ => None,
        });
        let flags = flags.unwrap_or(AddressFlags::from_bits_retain(u32::from(message.header.flags.bits())));
        return Ok(if flags.contains(AddressFlags::Dadfailed) {
            Uniqueness::Duplicate
        } else if flags.contains(AddressFlags::Tentative) {
            Uniqueness::Unknown
        } else {
            Uniqueness::Unique
        });
    }
    Ok(Uniqueness::Unknown)
}

fn message(assigned: Assigned) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = assigned.interface;
    message.header.prefix_len = assigned.prefix;
    message.attributes.push(AddressAttribute::Address(assigned.address));
    match assigned.address {
        IpAddr::V4(address) => {
            message.header.family = AddressFamily::Inet;
            message.attributes.push(AddressAttribute::Local(assigned.address));
            let mask = u32::MAX.checked_shr(u32::from(assigned.prefix)).unwrap_or(0);
            message.attributes.push(AddressAttribute::Broadcast(Ipv4Addr::from(u32::from(address) | mask)));
        }
        // Without a flag, the kernel looks for a duplicate first; see `uniqueness`.
        IpAddr::V6(_) => message.header.family = AddressFamily::Inet6,
    }
    message
}

/// Add an address. Already there: false.
///
/// # Errors
/// The kernel refuses.
pub fn add(assigned: Assigned) -> io::Result<bool> {
    match ask(RouteNetlinkMessage::NewAddress(message(assigned)), NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL) {
        Ok(_) => Ok(true),
        Err(cause) if cause.raw_os_error() == Some(libc::EEXIST) => Ok(false),
        Err(cause) => Err(cause),
    }
}

/// Remove an address. Not there: false.
///
/// # Errors
/// The kernel refuses.
pub fn remove(assigned: Assigned) -> io::Result<bool> {
    match ask(RouteNetlinkMessage::DelAddress(message(assigned)), NLM_F_ACK) {
        Ok(_) => Ok(true),
        Err(cause) if matches!(cause.raw_os_error(), Some(libc::EADDRNOTAVAIL | libc::ENODEV)) => Ok(false),
        Err(cause) => Err(cause),
    }
}

/// Do two addresses share their first bits?
pub fn same_network(left: IpAddr, right: IpAddr, prefix: u8) -> bool {
    match (left, right) {
        (IpAddr::V4(left), IpAddr::V4(right)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
            u32::from(left) & mask == u32::from(right) & mask
        }
        (IpAddr::V6(left), IpAddr::V6(right)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
            bits(left) & mask == bits(right) & mask
        }
        _ => false,
    }
}

fn bits(address: Ipv6Addr) -> u128 {
    u128::from_be_bytes(address.octets())
}

/// Interface and prefix of the network that an address belongs to, found by the servers' own addresses.
pub fn network_of(address: IpAddr, existing: &[Assigned]) -> Option<Assigned> {
    existing
        .iter()
        .filter(|own| own.address != address && own.prefix > 0 && own.prefix < if address.is_ipv4() { 32 } else { 128 })
        .filter(|own| !own.address.is_loopback() && same_network(own.address, address, own.prefix))
        .max_by_key(|own| own.prefix)
        .map(|own| Assigned { interface: own.interface, address, prefix: own.prefix })
}
