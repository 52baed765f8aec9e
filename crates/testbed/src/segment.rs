//! Who answers for an address in the client's segment: two at a time are one too many.

use anyhow::{Context, Result};
use std::{net::IpAddr, time::Duration};

use clp_sys::arp::{Arp, Mac};

/// How long an answer is waited for.
const WAIT: Duration = Duration::from_millis(25);

/// The client's place in the segment.
pub struct Segment {
    arp: Arp,
}

impl Segment {
    /// From the client's network; the calling thread is on the client already.
    ///
    /// # Errors
    /// The client has no address.
    pub fn open() -> Result<Segment> {
        let own = clp_sys::address::list().context("cannot list the client's addresses")?;
        let own = own.iter().find(|address| address.address.to_string() == crate::wires::CLIENT_ADDRESS);
        let interface = own.context("the client has lost its address")?.interface;
        Ok(Segment { arp: Arp::open(interface).context("cannot ask by ARP on the client")? })
    }

    /// Asks for an address; two that answer the same question, and again, have it both.
    pub fn double(&self, address: &str) -> Option<[String; 2]> {
        let address = match address.parse().ok()? {
            IpAddr::V4(address) => address,
            IpAddr::V6(_) => return None,
        };
        let others = |known: &[Mac]| self.arp.holder_besides(address, WAIT, known).ok().flatten();
        let first = others(&[])?;
        let second = others(&[first])?;
        // The first has gone when it does not answer beside the second any more: a move in between.
        let again = others(&[second])?;
        let third = others(&[again])?;
        Some([again, third].map(|mac| format!("server{}", mac[4])))
    }
}
