//! fip: a floating address. Looked for before it is added, announced when it is, gone at once when it must go.
//!
//! Of IPv6 the kernel looks, too (duplicate address detection), and its result is waited for. Proof that others find the
//! address here, and the watch for a second holder, are not of the activation: see `addresses`.

use super::{Context, Outcome, ResourceDriver, ResourceError, Status};
use crate::addresses::{self, Lan};
use clp_config::schema::resources::fip::Fip;
use clp_sys::address::{self, Assigned, Change, Uniqueness};
use clp_sys::arp::{Mac, mac_words};
use clp_sys::link::LinkNews;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long another holder has time to answer; one lost frame does not hide it, the question goes out three times.
const DUPLICATE_WAIT: Duration = Duration::from_millis(250);
/// The same when a failed server's address is taken over: a host of the same LAN answers within a millisecond.
const TAKEOVER_WAIT: Duration = Duration::from_millis(4);
/// How long a lost server that still answers may take to be reset by its watchdog.
const LAST_HOLDER_WAIT: Duration = Duration::from_secs(8);
/// Between two questions meanwhile.
const HOLDER_PAUSE: Duration = Duration::from_millis(20);
/// How long the kernel may take to see whether an IPv6 address is in use (one second by default, more on some interfaces).
const DETECTION_LIMIT: Duration = Duration::from_secs(5);
/// Pauses before further announcements: some switches and neighbours miss the first, and every one that is missed is outage. Who
/// can be asked is told until it has understood (`addresses::proof`); these are for all the others.
const ANNOUNCE_PAUSES_MS: [u64; 10] = [5, 20, 50, 100, 200, 400, 1000, 2000, 4000, 8000];

/// A floating address.
pub struct FipDriver {
    parameters: Fip,
}

impl FipDriver {
    /// With its parameters.
    pub fn new(parameters: Fip) -> Self {
        FipDriver { parameters }
    }

    fn address(&self) -> Result<IpAddr, ResourceError> {
        let wrong = || ResourceError::new(format!("{:?} is not an address", self.parameters.ip), "correct parameters/ip");
        self.parameters.address().ok_or_else(wrong)
    }

    /// Only the addresses of the interface in `ADDRESS%INTERFACE`, where one is given.
    fn on_named_interface(&self, mut existing: Vec<Assigned>) -> Result<Vec<Assigned>, ResourceError> {
        let Some(name) = self.parameters.interface() else { return Ok(existing) };
        existing.retain(|assigned| clp_sys::arp::interface_name(assigned.interface).is_ok_and(|found| found == name));
        if existing.is_empty() {
            return Err(ResourceError::new(
                format!("interface {name} does not exist or has no address"),
                "check parameters/ip and the interfaces (ip address)",
            ));
        }
        Ok(existing)
    }

    fn present(&self, address: IpAddr) -> Result<Vec<Assigned>, ResourceError> {
        let all = list()?;
        Ok(all.into_iter().filter(|assigned| assigned.address == address).collect())
    }

    /// Who still has the address. After a failure the question is short, because the outage lasts meanwhile; an answer is a
    /// sign of life of the lost server, which then has the time of its watchdog to go.
    fn remaining_holder(&self, lan: &Lan, address: IpAddr, context: &Context) -> std::io::Result<Option<Mac>> {
        if !context.owner_known {
            return lan.holder(address, DUPLICATE_WAIT, &[]);
        }
        // A planned move: the server that had it has verified that it is gone.
        if !context.after_failure {
            return Ok(None);
        }
        let until = Instant::now() + LAST_HOLDER_WAIT;
        loop {
            let holder = lan.holder(address, TAKEOVER_WAIT, &[])?;
            if holder.is_none() || Instant::now() >= until {
                return Ok(holder);
            }
            std::thread::sleep(HOLDER_PAUSE);
        }
    }

    /// IPv6: the kernel asks (duplicate address detection, RFC 4862) and says how that ended; the address is taken back when
    /// somebody has it.
    fn wait_unique(&self, address: IpAddr, lan: &Lan, news: &mut LinkNews) -> Result<(), ResourceError> {
        let until = Instant::now() + DETECTION_LIMIT;
        let (what, is_doubled) = loop {
            let rest = until.saturating_duration_since(Instant::now());
            match address::uniqueness(address) {
                Ok(Uniqueness::Unique) => return Ok(()),
                Ok(Uniqueness::Duplicate) => break (String::new(), true),
                Ok(Uniqueness::Unknown) if rest.is_zero() => {
                    break (format!("it cannot be told whether {address} is in use elsewhere"), false);
                }
                Ok(Uniqueness::Unknown) => {
                    if let Err(cause) = news.wait(rest) {
                        break (format!("the kernel does not tell whether {address} is in use elsewhere: {cause}"), false);
                    }
                }
                Err(cause) => break (format!("address {address} cannot be read back: {cause}"), false),
            }
        };
        let more = self.remove().err().map_or(String::new(), |undo| format!("; undoing it failed too: {}", undo.what));
        if !is_doubled {
            return Err(ResourceError::new(format!("{what}{more}"), "see the kernel log and the interface (ip address)"));
        }
        // The kernel does not say who.
        let holder = lan.holder(address, DUPLICATE_WAIT, &[]).ok().flatten();
        Err(in_use(address, &format!("{}{more}", holder.map_or("another machine".to_string(), |mac| mac_words(&mac)))))
    }

    fn remove(&self) -> Result<Outcome, ResourceError> {
        let address = self.address()?;
        let mut outcome = Outcome::AlreadyDone;
        for assigned in self.present(address)? {
            let removed = addresses::change(Change::Remove(assigned)).map_err(|cause| {
                ResourceError::new(format!("address {address} cannot be removed: {cause}"), "remove it with ip address del")
            })?;
            if removed {
                outcome = Outcome::Changed;
            }
        }
        if self.present(address)?.is_empty() {
            addresses::gate::release(address);
            Ok(outcome)
        } else {
            Err(ResourceError::new(
                format!("address {address} is still there after its removal"),
                "remove it with ip address del",
            ))
        }
    }
}

fn list() -> Result<Vec<Assigned>, ResourceError> {
    addresses::list()
        .map_err(|cause| ResourceError::new(format!("the kernel does not list addresses: {cause}"), "see the kernel log"))
}

/// Behind the kernel's gate before it is here.
fn hold(address: IpAddr) -> Result<(), ResourceError> {
    addresses::gate::hold(address).map_err(|cause| {
        let what = format!("address {address} cannot be put behind the kernel's gate: {cause}");
        ResourceError::new(what, "see the kernel log")
    })
}

fn in_use(address: IpAddr, by: &str) -> ResourceError {
    let what = format!("address {address} is in use by {by}");
    let error = ResourceError::new(what, "find that machine and remove the address there, or choose another");
    ResourceError { doubled: Some((address, by.to_string())), ..error }
}

impl ResourceDriver for FipDriver {
    fn activate(&self, context: &Context) -> Result<Outcome, ResourceError> {
        let address = self.address()?;
        let existing = list()?;
        if let Some(there) = existing.iter().find(|assigned| assigned.address == address) {
            hold(address)?;
            if let Ok(lan) = Lan::open(there.interface, address) {
                announce(address, lan);
            }
            return Ok(Outcome::AlreadyDone);
        }
        let usable = self.on_named_interface(existing)?;
        let Some(assigned) = address::network_of(address, &usable) else {
            return Err(ResourceError::new(
                format!("no interface of this server is in the network of {address}"),
                "check parameters/ip and the addresses of the interfaces (ip address)",
            ));
        };
        let down = |cause: std::io::Error| {
            ResourceError::new(format!("the interface for {address} cannot be used: {cause}"), "check that it is up (ip link)")
        };
        let lan = Lan::open(assigned.interface, address).map_err(down)?;
        if let Some(mac) = self.remaining_holder(&lan, address, context).map_err(down)? {
            return Err(in_use(address, &mac_words(&mac)));
        }
        // Before the address is added: what the kernel says about it afterwards is not missed.
        let news = if address.is_ipv6() { Some(LinkNews::of_addresses_v6().map_err(down)?) } else { None };
        hold(address)?;
        addresses::change(Change::Add(assigned)).map_err(|cause| {
            addresses::gate::release(address);
            ResourceError::new(format!("address {address} cannot be added: {cause}"), "see the kernel log")
        })?;
        if let Some(mut news) = news {
            self.wait_unique(address, &lan, &mut news)?;
        }
        announce(address, lan);
        Ok(Outcome::Changed)
    }

    fn deactivate(&self, _context: &Context) -> Result<Outcome, ResourceError> {
        self.remove()
    }

    fn status(&self, _context: &Context) -> Status {
        match self.address().and_then(|address| self.present(address)) {
            Ok(present) if present.is_empty() => Status::Offline,
            Ok(_) => Status::Online,
            Err(error) => Status::Unknown(error.to_string()),
        }
    }

    fn emergency(&self, _context: &Context) -> Result<Outcome, ResourceError> {
        self.remove()
    }
}

/// The first announcement goes out at once, the others from a thread that ends when the address has gone. The socket is closed
/// there, too: that takes longer than the takeover.
fn announce(address: IpAddr, lan: Lan) {
    let _ = lan.announce(address);
    std::thread::spawn(move || {
        for pause in ANNOUNCE_PAUSES_MS {
            std::thread::sleep(Duration::from_millis(pause));
            let still = addresses::list().is_ok_and(|all| all.iter().any(|assigned| assigned.address == address));
            if !still {
                return;
            }
            // The gate may be closed for a moment, the interface down: the next one may get out.
            let _ = lan.announce(address);
        }
    });
}
