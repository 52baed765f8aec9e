//! Addresses of this server's interfaces, by netlink: list, add, remove; many changes in one conversation.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};

use crate::netlink::{converse, list_whole};

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

/// Changes sent at once: the kernel answers each, and all its answers must fit the socket's buffer.
const CHANGES_AT_ONCE: usize = 64;

/// One that is missing though it is there would be left behind by who looks for it.
fn dump() -> io::Result<Vec<AddressMessage>> {
    let answers = list_whole(&RouteNetlinkMessage::GetAddress(AddressMessage::default()))?;
    let addresses = answers.into_iter().filter_map(|answer| match answer {
        RouteNetlinkMessage::NewAddress(message) => Some(message),
        _ => None,
    });
    Ok(addresses.collect())
}

/// Every address of every interface.
///
/// # Errors
/// The kernel does not answer.
pub fn list() -> io::Result<Vec<Assigned>> {
    Ok(dump()?.iter().filter_map(assigned).collect())
}

fn assigned(message: &AddressMessage) -> Option<Assigned> {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let plain = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Address(address) => Some(*address),
        _ => None,
    });
    Some(Assigned { interface: message.header.index, address: local.or(plain)?, prefix: message.header.prefix_len })
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
    let all = dump()?;
    let Some(message) = all.iter().find(|message| assigned(message).is_some_and(|found| found.address == address)) else {
        return Ok(Uniqueness::Unknown);
    };
    let flags = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Flags(flags) => Some(*flags),
        _ => None,
    });
    let flags = flags.unwrap_or(AddressFlags::from_bits_retain(u32::from(message.header.flags.bits())));
    Ok(if flags.contains(AddressFlags::Dadfailed) {
        Uniqueness::Duplicate
    } else if flags.contains(AddressFlags::Tentative) {
        Uniqueness::Unknown
    } else {
        Uniqueness::Unique
    })
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
        // The kernel looks for a duplicate first; see `uniqueness`. Where optimistic detection is allowed on the interface
        // (RFC 4429, sysctl optimistic_dad) the address serves meanwhile; elsewhere the kernel drops this flag.
        IpAddr::V6(_) => {
            message.header.family = AddressFamily::Inet6;
            message.attributes.push(AddressAttribute::Flags(AddressFlags::Optimistic));
        }
    }
    message
}

/// One change of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Add the address; already there: nothing to do.
    Add(Assigned),
    /// Remove it; not there: nothing to do.
    Remove(Assigned),
}

impl Change {
    fn request(self) -> (RouteNetlinkMessage, u16) {
        match self {
            Change::Add(assigned) => (RouteNetlinkMessage::NewAddress(message(assigned)), NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL),
            Change::Remove(assigned) => (RouteNetlinkMessage::DelAddress(message(assigned)), NLM_F_ACK),
        }
    }

    /// An answer to it: was there anything to do?
    fn outcome(self, refused: Option<io::Error>) -> io::Result<bool> {
        let Some(cause) = refused else { return Ok(true) };
        match (self, cause.raw_os_error()) {
            (Change::Add(_), Some(libc::EEXIST)) => Ok(false),
            (Change::Remove(_), Some(libc::EADDRNOTAVAIL | libc::ENODEV)) => Ok(false),
            _ => Err(cause),
        }
    }
}

/// Carry out changes in their order, in one conversation with the kernel however many there are; one that is refused keeps
/// none of the others. The outcomes in the same order: false when there was nothing to do.
///
/// # Errors
/// There is no conversation.
pub fn change(changes: &[Change]) -> io::Result<Vec<io::Result<bool>>> {
    let mut outcomes = Vec::new();
    for part in changes.chunks(CHANGES_AT_ONCE) {
        let mut answered: Vec<Option<io::Result<bool>>> = part.iter().map(|_| None).collect();
        converse(part.iter().map(|change| change.request()).collect(), |position, answer| {
            if let (Err(refused), Some(change)) = (answer, part.get(position)) {
                answered[position] = Some(change.outcome(refused));
            }
        })?;
        outcomes.extend(answered.into_iter().map(|outcome| outcome.unwrap_or_else(|| Err(io::ErrorKind::InvalidData.into()))));
    }
    Ok(outcomes)
}

fn change_one(wanted: Change) -> io::Result<bool> {
    change(&[wanted])?.pop().unwrap_or_else(|| Err(io::ErrorKind::InvalidData.into()))
}

/// Add an address. Already there: false.
///
/// # Errors
/// The kernel refuses.
pub fn add(assigned: Assigned) -> io::Result<bool> {
    change_one(Change::Add(assigned))
}

/// Remove an address. Not there: false.
///
/// # Errors
/// The kernel refuses.
pub fn remove(assigned: Assigned) -> io::Result<bool> {
    change_one(Change::Remove(assigned))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    /// More than are sent at once, among them some that change nothing and one that the kernel refuses.
    #[test]
    fn many_changes_are_one_conversation_and_each_has_its_outcome() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        let test = std::thread::spawn(|| {
            crate::link::isolate_this_thread().expect("own network namespace");
            let made = Command::new("ip").args(["link", "set", "lo", "up"]).status().expect("ip");
            assert!(made.success());
            let at = |last: u32| Assigned {
                interface: 1,
                address: IpAddr::V4(Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 1, 0, 0)) + last)),
                prefix: 16,
            };
            let many = u32::try_from(CHANGES_AT_ONCE).expect("small") * 2 + 5;
            let mut changes: Vec<Change> = (1..=many).map(|last| Change::Add(at(last))).collect();
            changes[7] = Change::Add(at(7));
            changes[9] = Change::Add(Assigned { interface: 9999, ..at(10) });
            let outcomes = change(&changes).expect("a conversation");
            for (position, outcome) in outcomes.iter().enumerate() {
                match position {
                    7 => assert!(matches!(outcome, Ok(false)), "there already"),
                    9 => assert!(outcome.is_err(), "no such interface"),
                    _ => assert!(matches!(outcome, Ok(true)), "{position}: {outcome:?}"),
                }
            }
            let there = list().expect("addresses");
            assert_eq!(there.iter().filter(|found| found.prefix == 16).count(), changes.len() - 2);
            let back: Vec<Change> = (1..=many).rev().map(|last| Change::Remove(at(last))).collect();
            let outcomes = change(&back).expect("a conversation");
            let removed = outcomes.iter().filter(|outcome| matches!(outcome, Ok(true))).count();
            // The first one takes the others of its network along where addresses are not promoted; so it goes last.
            assert_eq!((removed, outcomes.iter().filter(|outcome| outcome.is_err()).count()), (changes.len() - 2, 0));
            assert!(list().expect("addresses").iter().all(|found| found.prefix != 16));
        });
        test.join().expect("the thread's assertions");
    }

    /// A list of several pieces, while others come and go before those that stay: none of these is ever missing.
    #[test]
    fn a_list_that_changes_while_it_is_read_is_whole() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        let test = std::thread::spawn(|| {
            crate::link::isolate_this_thread().expect("own network namespace");
            let made = Command::new("ip").args(["link", "set", "lo", "up"]).status().expect("ip");
            assert!(made.success());
            let staying = 600_u16;
            let at = |last: u16| Assigned {
                interface: 1,
                address: IpAddr::from([10, 2, last.to_be_bytes()[0], last.to_be_bytes()[1]]),
                prefix: 32,
            };
            let changes: Vec<Change> = (1..=staying).map(|last| Change::Add(at(last))).collect();
            assert!(change(&changes).expect("a conversation").iter().all(Result::is_ok));
            // A narrower scope comes first in the list.
            let lines =
                |what: &str| (1..=40).map(|last| format!("addr {what} 10.1.0.{last}/32 dev lo scope host\n")).collect::<String>();
            let passing = (lines("add") + &lines("del")).repeat(10);
            let (stop, stopped) = std::sync::mpsc::channel::<()>();
            // A thread begins in its maker's namespace.
            let others = std::thread::spawn(move || {
                while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                    let mut ip = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().expect("ip");
                    ip.stdin.take().expect("a pipe").write_all(passing.as_bytes()).expect("written");
                    assert!(ip.wait().expect("reaped").success());
                }
            });
            let stays = |found: &Assigned| matches!(found.address, IpAddr::V4(address) if address.octets()[1] == 2);
            for _ in 0..300 {
                let count = list().expect("addresses").iter().filter(|found| stays(found)).count();
                assert_eq!(count, usize::from(staying), "some that were there all the time are missing, or there twice");
            }
            drop(stop);
            others.join().expect("the other thread");
        });
        test.join().expect("the thread's assertions");
    }
}
