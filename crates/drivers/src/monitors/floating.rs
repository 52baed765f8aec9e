//! A floating address as its monitors see it: is it here, and on which interface?

use super::{CheckFailed, UnusableMonitor};
use clp_config::schema::resources::fip::Fip;
use clp_sys::{
    address::{self, Assigned},
    arp,
};
use std::net::IpAddr;

/// A floating address of the configuration.
#[derive(Debug, Clone)]
pub(super) struct Floating {
    address: IpAddr,
    /// Only there, where the configuration names an interface.
    interface: Option<String>,
}

impl Floating {
    /// From `address` or `address%interface`.
    pub(super) fn new(text: &str) -> Result<Floating, UnusableMonitor> {
        let fip = Fip { ip: text.to_string() };
        let remedy = "correct parameters/ip of the resource, or the name of the resource in the monitor";
        let address = fip.address().ok_or_else(|| UnusableMonitor::new(format!("{text:?} is not an address"), remedy))?;
        Ok(Floating { address, interface: fip.interface().map(String::from) })
    }

    /// Where it is on this server; not being there is a failed check.
    pub(super) fn here(&self) -> Result<Assigned, CheckFailed> {
        let all = address::list()
            .map_err(|cause| CheckFailed::error(format!("the kernel does not list addresses: {cause}"), "see the kernel log"))?;
        let fits = |assigned: &Assigned| {
            let named = |name: &String| arp::interface_name(assigned.interface).is_ok_and(|found| found == *name);
            assigned.address == self.address && self.interface.as_ref().is_none_or(named)
        };
        all.into_iter().find(fits).ok_or_else(|| {
            let place =
                self.interface.as_ref().map_or("on any interface of this server".to_string(), |name| format!("on {name}"));
            CheckFailed::error(
                format!("the address {} is not {place}", self.address),
                "somebody removed it, or the interface went down; the recovery adds it again",
            )
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use crate::heartbeats::tests_support::ip;
    use std::process::{Child, Command};

    /// Another machine on the link: a network namespace of its own, held by a process that does nothing.
    pub(crate) struct Neighbour {
        holder: Child,
    }

    impl Neighbour {
        /// Makes `own` here and `b0` there, joined.
        pub(crate) fn beside(own: &str) -> Neighbour {
            let holder = Command::new("unshare").args(["-n", "sleep", "300"]).spawn().expect("unshare");
            let mine = std::fs::read_link("/proc/thread-self/ns/net").expect("own namespace");
            let theirs = format!("/proc/{}/ns/net", holder.id());
            crate::heartbeats::tests_support::until("the neighbour has a network of its own", || {
                std::fs::read_link(&theirs).is_ok_and(|namespace| namespace != mine)
                    && std::fs::read_to_string(format!("/proc/{}/comm", holder.id())).is_ok_and(|name| name.trim() == "sleep")
            });
            ip(&format!("link add {own} type veth peer name b0 netns {}", holder.id()));
            ip(&format!("link set {own} up"));
            ip("link set lo up");
            let neighbour = Neighbour { holder };
            neighbour.run("ip link set b0 up");
            neighbour
        }

        /// Runs a command there; it must succeed. Returns what it printed.
        pub(crate) fn run(&self, words: &str) -> String {
            let mut command = Command::new("nsenter");
            command.arg(format!("--net=/proc/{}/ns/net", self.holder.id())).arg("--").args(words.split(' '));
            let output = command.output().expect("nsenter");
            assert!(output.status.success(), "{words}: {output:?}");
            String::from_utf8_lossy(&output.stdout).into_owned()
        }

        /// Does something on a thread of its own there; sockets opened there stay there.
        pub(crate) fn within<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
            use std::os::fd::AsFd;
            let there = std::fs::File::open(format!("/proc/{}/ns/net", self.holder.id())).expect("namespace");
            let kind = rustix::thread::LinkNameSpaceType::Network;
            let enter = move || rustix::thread::move_into_link_name_space(there.as_fd(), Some(kind)).expect("entered");
            std::thread::scope(|scope| {
                scope
                    .spawn(move || {
                        enter();
                        body()
                    })
                    .join()
                    .expect("body")
            })
        }

        /// A socket for ARP on its side of the link, where it needs an address.
        pub(crate) fn arp(&self) -> clp_sys::arp::Arp {
            self.within(|| {
                let all = clp_sys::address::list().expect("addresses");
                let there = all.iter().find(|assigned| !assigned.address.is_loopback()).expect("an address on b0");
                clp_sys::arp::Arp::open(there.interface).expect("socket")
            })
        }

        /// Does it take `mac` for the hardware address of `address`?
        pub(crate) fn knows(&self, address: &str, mac: &str) -> bool {
            self.run(&format!("ip neigh show {address}")).contains(mac)
        }

        /// Hardware address of an interface on this side.
        pub(crate) fn mac_of(&self, interface: &str) -> String {
            let output = Command::new("ip").args(["-o", "link", "show", "dev", interface]).output().expect("ip");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let mac = text.split("link/ether ").nth(1).and_then(|rest| rest.split(' ').next());
            mac.expect("an Ethernet address").to_string()
        }
    }

    impl Drop for Neighbour {
        fn drop(&mut self) {
            let _ = self.holder.kill();
            let _ = self.holder.wait();
        }
    }
}
