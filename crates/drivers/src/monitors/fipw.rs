//! fipw: tells whether a floating address is on this server, on no other machine, and, where wanted, whether its
//! interface has a link. The watch for duplicates never ends: two machines that claim one address each get half of the traffic.

use super::{CheckFailed, MonitorDriver, UnusableMonitor, floating::Floating};
use crate::addresses::Lan;
use clp_sys::{
    address::{self, Assigned, Uniqueness},
    arp::{self, Mac},
    link::{Carrier, carrier},
};
use std::{io, time::Duration};

/// How long another holder has time to answer; the question goes out three times meanwhile.
const ANSWER_LIMIT: Duration = Duration::from_millis(300);
const REMEDY: &str = "check the interface of the address (ip address, ip link)";

/// A floating address monitor.
#[derive(Debug)]
pub struct Fipw {
    floating: Floating,
    watches_link: bool,
    /// Kept between checks: closing it waits for the kernel.
    opened: Option<(u32, Lan)>,
}

impl Fipw {
    /// Watches the address written as `address` or `address%interface`, and the link of its interface.
    ///
    /// # Errors
    /// It is not an address.
    pub fn new(address: &str, watches_link: bool) -> Result<Fipw, UnusableMonitor> {
        Ok(Fipw { floating: Floating::new(address)?, watches_link, opened: None })
    }

    fn other_holder(&mut self, here: Assigned, limit: Duration) -> io::Result<Option<Mac>> {
        let fresh = match self.opened.take() {
            Some(opened) if opened.0 == here.interface => opened,
            _ => (here.interface, Lan::open(here.interface, here.address)?),
        };
        // An error leaves no socket behind, since the interface may have been made anew.
        let holder = fresh.1.holder(here.address, limit.min(ANSWER_LIMIT), &arp::own_macs()?)?;
        self.opened = Some(fresh);
        Ok(holder)
    }

    fn check_link(&self, here: Assigned) -> Result<(), CheckFailed> {
        let failed = |what: String| CheckFailed::error(what, "check the cable and the switch port");
        let name = arp::interface_name(here.interface).map_err(|cause| failed(cause.to_string()))?;
        match carrier(&name) {
            Ok(Carrier::Up) => Ok(()),
            Ok(_) => Err(failed(format!("{name}, which has the address {}, has no link", here.address))),
            Err(cause) => Err(failed(cause.to_string())),
        }
    }
}

impl MonitorDriver for Fipw {
    fn check(&mut self, limit: Duration) -> Result<(), CheckFailed> {
        let here = self.floating.here()?;
        if self.watches_link {
            self.check_link(here)?;
        }
        let address = here.address;
        let unknown = |cause: io::Error| {
            CheckFailed::error(format!("it cannot be told whether {address} is in use elsewhere: {cause}"), REMEDY)
        };
        let other = match self.other_holder(here, limit).map_err(unknown)? {
            Some(mac) => Some(format!("by {}", arp::mac_words(&mac))),
            // The kernel looks when an IPv6 address is added or its link comes back, and keeps one that is in use unusable.
            None if address.is_ipv6() && address::uniqueness(address).map_err(unknown)? == Uniqueness::Duplicate => {
                Some("by another machine".to_string())
            }
            None => None,
        };
        match other {
            None => Ok(()),
            Some(other) => {
                let remedy = "find that machine and remove the address there";
                Err(CheckFailed::error(format!("the address {address} is in use elsewhere too, {other}"), remedy))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeats::tests_support::{in_own_network, ip};
    use crate::monitors::floating::tests::Neighbour;
    use clp_sys::arp::Arp;

    const LIMIT: Duration = Duration::from_secs(5);

    #[test]
    fn an_address_that_is_gone_or_elsewhere_too_is_an_error() {
        in_own_network(|| {
            let neighbour = Neighbour::beside("a0");
            ip("addr add 10.78.0.1/24 dev a0");
            neighbour.run("ip addr add 10.78.0.2/24 dev b0");
            let mut monitor = Fipw::new("10.78.0.9", false).expect("monitor");
            assert!(monitor.check(LIMIT).expect_err("absent").what.contains("is not on any interface"));
            ip("addr add 10.78.0.9/24 dev a0");
            monitor.check(LIMIT).expect("here and nowhere else");
            neighbour.run("ip addr add 10.78.0.9/24 dev b0");
            let failed = monitor.check(LIMIT).expect_err("twice");
            assert!(failed.what.contains("in use elsewhere too, by "), "{failed}");
            neighbour.run("ip addr del 10.78.0.9/24 dev b0");
            monitor.check(LIMIT).expect("only here again");
            ip("addr del 10.78.0.9/24 dev a0");
            assert!(monitor.check(LIMIT).is_err());
            // On the named interface only.
            ip("addr add 10.78.0.9/24 dev a0");
            Fipw::new("10.78.0.9%a0", false).expect("monitor").check(LIMIT).expect("on a0");
            let failed = Fipw::new("10.78.0.9%lo", false).expect("monitor").check(LIMIT).expect_err("not on lo");
            assert_eq!(failed.what, "the address 10.78.0.9 is not on lo");
            // The link counts only where it is watched.
            let mut linked = Fipw::new("10.78.0.9", true).expect("monitor");
            linked.check(LIMIT).expect("linked");
            neighbour.run("ip link set b0 down");
            assert!(linked.check(LIMIT).expect_err("no link").what.contains("a0, which has the address 10.78.0.9, has no link"));
        });
    }

    /// A socket that is kept open has heard the neighbour speak for itself before: that is no answer to a later question.
    #[test]
    fn what_was_said_before_the_question_is_no_answer() {
        in_own_network(|| {
            let neighbour = Neighbour::beside("a0");
            ip("addr add 10.78.0.1/24 dev a0");
            neighbour.run("ip addr add 10.78.0.2/24 dev b0");
            let all = clp_sys::address::list().expect("addresses");
            let here = all.iter().find(|assigned| assigned.address.to_string() == "10.78.0.1").expect("a0");
            let arp = Arp::open(here.interface).expect("socket");
            let address = "10.78.0.2".parse().expect("address");
            let wait = Duration::from_millis(200);
            crate::heartbeats::tests_support::until("the neighbour answers", || {
                arp.holder(address, wait).expect("asked").is_some()
            });
            // Its own question tells everybody its address; then it is gone.
            neighbour.run("ip neigh flush dev b0");
            neighbour.run("ping -c 1 -W 5 10.78.0.1");
            neighbour.run("ip addr del 10.78.0.2/24 dev b0");
            assert_eq!(arp.holder(address, wait).expect("asked"), None);
        });
    }

    /// Two interfaces of one server on one LAN: the other one answers for the address as well.
    #[test]
    fn an_answer_of_an_own_interface_is_no_duplicate() {
        in_own_network(|| {
            ip("link add br0 type bridge");
            for name in ["a0", "c0"] {
                ip(&format!("link add {name} type veth peer name p{name}"));
                ip(&format!("link set p{name} master br0 up"));
                ip(&format!("link set {name} up"));
            }
            ip("link set br0 up");
            ip("link set lo up");
            ip("addr add 10.79.0.9/24 dev a0");
            ip("addr add 10.79.0.1/24 dev c0");
            let index = clp_sys::address::list().expect("addresses");
            let here = index.iter().find(|assigned| assigned.address.to_string() == "10.79.0.9").expect("a0");
            let arp = Arp::open(here.interface).expect("socket");
            let address = "10.79.0.9".parse().expect("address");
            crate::heartbeats::tests_support::until("the other interface answers", || {
                arp.holder(address, Duration::from_millis(200)).expect("asked").is_some()
            });
            Fipw::new("10.79.0.9", false).expect("monitor").check(LIMIT).expect("no duplicate");
        });
    }
}
