//! What the kernel has found out of neighbours' hardware addresses, and asking anew.
//!
//! A question that nobody answered (a cable was pulled) is repeated only a second later, and what is sent to that neighbour waits for it,
//! even when the neighbour is heard again meanwhile: it has this machine's hardware address still and asks nothing itself.

use std::io;
use std::net::IpAddr;

use netlink_packet_core::NLM_F_ACK;
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::netlink::{converse, list_whole};

/// Forget the open question for this neighbour, on whatever interface: the next packet to it asks at once. True if there was one; what
/// is known stays.
///
/// # Errors
/// The kernel does not list its neighbours, or does not forget (not root).
pub fn ask_anew(neighbour: IpAddr) -> io::Result<bool> {
    let (family, address) = match neighbour {
        IpAddr::V4(address) => (AddressFamily::Inet, NeighbourAddress::Inet(address)),
        IpAddr::V6(address) => (AddressFamily::Inet6, NeighbourAddress::Inet6(address)),
    };
    let mut question = NeighbourMessage::default();
    question.header.family = family;
    let wanted = NeighbourAttribute::Destination(address);
    let open = list_whole(&RouteNetlinkMessage::GetNeighbour(question))?.into_iter().filter_map(|answer| match answer {
        RouteNetlinkMessage::NewNeighbour(entry) if entry.attributes.contains(&wanted) => Some(entry),
        _ => None,
    });
    let unanswered = |entry: &NeighbourMessage| matches!(entry.header.state, NeighbourState::Incomplete | NeighbourState::Failed);
    let requests: Vec<_> = open
        .filter(unanswered)
        .map(|entry| {
            let mut forgotten = NeighbourMessage::default();
            forgotten.header.family = family;
            forgotten.header.ifindex = entry.header.ifindex;
            forgotten.attributes.push(wanted.clone());
            (RouteNetlinkMessage::DelNeighbour(forgotten), NLM_F_ACK)
        })
        .collect();
    if requests.is_empty() {
        return Ok(false);
    }
    let mut refused = None;
    converse(requests, |_, answer| match answer {
        // Answered or forgotten meanwhile.
        Err(Some(cause)) if cause.raw_os_error() != Some(libc::ENOENT) => refused = Some(cause),
        _ => {}
    })?;
    refused.map_or(Ok(true), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn ip(words: &str) -> String {
        let output = Command::new("ip").args(words.split(' ')).output().expect("ip");
        assert!(output.status.success(), "{words}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[test]
    fn an_open_question_is_forgotten_and_what_is_known_stays() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        let test = std::thread::spawn(|| {
            crate::link::isolate_this_thread().expect("own network namespace");
            ip("link add a0 type veth peer name b0");
            ip("link set b0 up");
            ip("link set a0 up");
            ip("address add 10.78.0.1/24 dev a0");
            ip("neigh add 10.78.0.2 lladdr 02:00:00:00:00:02 dev a0 nud reachable");
            for address in ["10.78.0.3", "fd78::3"] {
                ip(&format!("neigh add {address} dev a0 nud failed"));
            }
            let known =
                |address: &str| ip("neigh show dev a0 nud all").lines().any(|line| line.starts_with(&format!("{address} ")));
            for (address, is_open) in [("10.78.0.2", false), ("10.78.0.3", true), ("fd78::3", true), ("10.78.0.4", false)] {
                let there = known(address);
                assert_eq!(ask_anew(address.parse().expect("address")).expect("asked"), is_open, "{address}");
                assert_eq!(known(address), there && !is_open, "{address}");
            }
        });
        test.join().expect("the thread's assertions");
    }
}
