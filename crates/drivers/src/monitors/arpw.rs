//! arpw: tells the neighbours at each check where a floating address is, so that tables that went wrong heal.
//!
//! IPv4 by ARP (RFC 5227, section 3), IPv6 by an unsolicited neighbour advertisement (RFC 4861, section 7.2.6).

use super::{CheckFailed, MonitorDriver, UnusableMonitor, floating::Floating};
use crate::addresses::Lan;
use clp_sys::address::Assigned;
use std::{io, time::Duration};

const REMEDY: &str = "check the interface of the address (ip address, ip link)";

/// An ARP monitor.
#[derive(Debug)]
pub struct Arpw {
    floating: Floating,
    /// Kept between checks: closing it waits for the kernel.
    opened: Option<(u32, Lan)>,
}

impl Arpw {
    /// Announces the address written as `address` or `address%interface`.
    ///
    /// # Errors
    /// It is not an address.
    pub fn new(address: &str) -> Result<Arpw, UnusableMonitor> {
        Ok(Arpw { floating: Floating::new(address)?, opened: None })
    }

    fn announce(&mut self, here: Assigned) -> io::Result<()> {
        let fresh = match self.opened.take() {
            Some(opened) if opened.0 == here.interface => opened,
            _ => (here.interface, Lan::open(here.interface, here.address)?),
        };
        self.opened.insert(fresh).1.announce(here.address)
    }
}

impl MonitorDriver for Arpw {
    fn check(&mut self, _limit: Duration) -> Result<(), CheckFailed> {
        let here = self.floating.here()?;
        let announced = self.announce(here);
        announced.map_err(|cause| {
            // A new socket next time: the interface may have been made anew.
            self.opened = None;
            CheckFailed::error(format!("{} cannot be announced: {cause}", here.address), REMEDY)
        })
    }
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
