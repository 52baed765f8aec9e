//! The watch for a second holder of addresses that are here: it hears who claims one, and asks, for ever. Two machines that hold
//! one address each get a part of its traffic.
//!
//! A claim alone is no proof: it may have been on the way since before the address came here. So whoever claims is asked a
//! moment later, and counts when it answers that question while the address is still here.
//!
//! ```text
//!  nobody ── claim ──► suspected ── answers the question ──► known (told) ── silent for long ──► nobody (told)
//!                          └── does not answer ──► nobody
//! ```

use super::Lan;
use clp_sys::{
    address::Assigned,
    arp::{Claim, Mac, interface_name, own_macs},
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

/// Between two questions about one address: a second holder that never speaks by itself is found within this time.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// From a claim to the question: what was on the way then has arrived before it.
const SETTLE: Duration = Duration::from_millis(200);
/// How long somebody who claimed may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);
/// Questions without an answer after which a second holder is gone.
const SILENT_ROUNDS: u32 = 4;
/// Second holders of one address that are kept apart; more are somebody's play.
const OTHERS_MAX: usize = 8;
/// Claims taken from one socket in one turn: a flood delays no question.
const CLAIMS_MAX: usize = 1024;

/// What the watch found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Another machine has the address, too.
    Doubled {
        /// The address.
        address: IpAddr,
        /// That machine's hardware address.
        mac: Mac,
        /// Interface on which it was heard.
        interface: String,
    },
    /// That machine no longer has it.
    Single {
        /// The address.
        address: IpAddr,
        /// That machine's hardware address.
        mac: Mac,
    },
}

#[derive(Debug, Clone, Copy)]
enum Other {
    /// It claimed at this time and is asked at that.
    Suspected { ask_at: Instant, asked: bool },
    /// It answered last at this time.
    Known { heard: Instant },
}

/// The watch; [`Watch::turn`] must be called again and again.
#[derive(Debug)]
pub struct Watch {
    every: Duration,
    held: BTreeMap<IpAddr, BTreeMap<Mac, Other>>,
    /// Where the addresses were at the last look.
    places: Vec<Assigned>,
    own: Vec<Mac>,
    /// By interface and version; kept open, since closing one waits for the kernel.
    lans: BTreeMap<(u32, bool), Lan>,
    next_round: Option<Instant>,
}

impl Default for Watch {
    fn default() -> Self {
        Watch::asking_every(ASK_EVERY)
    }
}

impl Watch {
    /// With this pause between two questions about one address.
    pub fn asking_every(every: Duration) -> Watch {
        Watch { every, held: BTreeMap::new(), places: Vec::new(), own: Vec::new(), lans: BTreeMap::new(), next_round: None }
    }

    /// Which addresses are watched from now on.
    pub fn hold(&mut self, addresses: &BTreeSet<IpAddr>) {
        self.held.retain(|address, _| addresses.contains(address));
        for address in addresses {
            self.held.entry(*address).or_default();
        }
        self.next_round = None;
    }

    /// Asks what is due and hears until the next question, for at most `wait`; what was found meanwhile.
    pub fn turn(&mut self, wait: Duration) -> Vec<Found> {
        self.turn_or(wait, None)
    }

    /// The same, and returns as soon as `bell` can be read.
    pub fn turn_or(&mut self, wait: Duration, bell: Option<BorrowedFd<'_>>) -> Vec<Found> {
        let now = Instant::now();
        if self.next_round.is_none_or(|next| next <= now) {
            self.next_round = Some(now + self.every);
            self.look();
            self.places.clone().iter().for_each(|place| self.ask(place));
        }
        let suspected: Vec<Assigned> = self.places.iter().filter(|place| self.is_due(place.address, now)).copied().collect();
        for place in suspected {
            self.ask(&place);
            for other in self.held.get_mut(&place.address).into_iter().flat_map(BTreeMap::values_mut) {
                if let Other::Suspected { ask_at, asked } = other
                    && *ask_at <= now
                {
                    *asked = true;
                }
            }
        }
        self.await_claims(self.until_question(now).min(wait), bell);
        let mut found = Vec::new();
        for (interface, claim) in self.claims() {
            self.claimed(interface, claim.address, claim.mac, &mut found);
        }
        self.expire(Instant::now(), &mut found);
        found
    }

    fn is_due(&self, address: IpAddr, now: Instant) -> bool {
        let others = self.held.get(&address).into_iter().flat_map(BTreeMap::values);
        others.into_iter().any(|other| matches!(other, Other::Suspected { ask_at, asked: false } if *ask_at <= now))
    }

    /// Where the addresses are, and which hardware addresses are this machine's own.
    fn look(&mut self) {
        if let Ok(all) = super::list() {
            self.places = all.into_iter().filter(|place| self.held.contains_key(&place.address)).collect();
        }
        if let Ok(own) = own_macs() {
            self.own = own;
        }
    }

    fn ask(&mut self, place: &Assigned) {
        let key = (place.interface, place.address.is_ipv6());
        // An interface that is gone or was made anew: the next look says where the address is.
        let kept = self.lans.remove(&key);
        if let Ok(lan) = kept.map_or_else(|| Lan::open(place.interface, place.address), Ok)
            && lan.ask(place.address).is_ok()
        {
            self.lans.insert(key, lan);
        }
    }

    /// From `now` to the next question, whoever is asked.
    fn until_question(&self, now: Instant) -> Duration {
        let suspected = self.held.values().flat_map(BTreeMap::values).filter_map(|other| match other {
            Other::Suspected { ask_at, asked: false } => Some(*ask_at),
            _ => None,
        });
        suspected.chain(self.next_round).min().map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }

    fn await_claims(&self, wait: Duration, bell: Option<BorrowedFd<'_>>) {
        let heard = self.lans.values().map(AsFd::as_fd).chain(bell);
        let mut wanted: Vec<PollFd> = heard.map(|one| PollFd::from_borrowed_fd(one, PollFlags::IN)).collect();
        let wait = Timespec { tv_sec: wait.as_secs() as _, tv_nsec: wait.subsec_nanos() as _ };
        // Interrupted or not: what has arrived is read next.
        let _ = poll(&mut wanted, Some(&wait));
    }

    fn claims(&mut self) -> Vec<(u32, Claim)> {
        let mut claims = Vec::new();
        self.lans.retain(|key, lan| {
            for _ in 0..CLAIMS_MAX {
                match lan.heard() {
                    Ok(Some(claim)) => claims.push((key.0, claim)),
                    Ok(None) => return true,
                    Err(_) => return false,
                }
            }
            true
        });
        claims
    }

    fn claimed(&mut self, interface: u32, address: IpAddr, mac: Mac, found: &mut Vec<Found>) {
        if self.own.contains(&mac) {
            return;
        }
        let now = Instant::now();
        let Some(others) = self.held.get_mut(&address) else { return };
        let room = others.len() < OTHERS_MAX;
        match others.get_mut(&mac) {
            None if room => {
                others.insert(mac, Other::Suspected { ask_at: now + SETTLE, asked: false });
            }
            None | Some(Other::Suspected { asked: false, .. }) => {}
            Some(Other::Known { heard }) => *heard = now,
            Some(other) => {
                // Whoever took over from here has it only after it was gone here.
                if !super::list().is_ok_and(|all| all.iter().any(|place| place.address == address)) {
                    return;
                }
                *other = Other::Known { heard: now };
                let interface = interface_name(interface).unwrap_or_else(|_| format!("interface {interface}"));
                found.push(Found::Doubled { address, mac, interface });
            }
        }
    }

    fn expire(&mut self, now: Instant, found: &mut Vec<Found>) {
        let silent_for = self.every * SILENT_ROUNDS;
        for (address, others) in &mut self.held {
            others.retain(|mac, other| match other {
                Other::Suspected { ask_at, .. } => now < *ask_at + ANSWER_LIMIT,
                Other::Known { heard } if now < *heard + silent_for => true,
                Other::Known { .. } => {
                    found.push(Found::Single { address: *address, mac: *mac });
                    false
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeats::tests_support::{in_own_network, ip};
    use crate::monitors::floating::tests::Neighbour;

    const WAIT: Duration = Duration::from_millis(50);

    fn turn_until(watch: &mut Watch, wanted: &Found) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let found = watch.turn(WAIT);
            assert!(found.iter().all(|found| found == wanted), "{found:?}");
            if !found.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "never {wanted:?}");
        }
    }

    fn turn_for(watch: &mut Watch, time: Duration) {
        let deadline = Instant::now() + time;
        while Instant::now() < deadline {
            assert_eq!(watch.turn(WAIT), []);
        }
    }

    /// Each address in turn, so that the other one is no part of it; the second holder says nothing by itself.
    #[test]
    fn a_second_holder_is_told_with_its_hardware_address_and_so_is_its_end() {
        in_own_network(|| {
            let neighbour = Neighbour::beside("a0");
            ip("addr add 10.78.0.1/24 dev a0");
            ip("addr add fd78::1/64 dev a0 nodad");
            neighbour.run("ip addr add 10.78.0.2/24 dev b0");
            neighbour.run("ip addr add fd78::2/64 dev b0 nodad");
            let mac = neighbour.arp().mac();
            for (text, length, nodad) in [("10.78.0.9", 24, ""), ("fd78::9", 64, " nodad")] {
                let address: IpAddr = text.parse().expect("address");
                ip(&format!("addr add {text}/{length} dev a0{nodad}"));
                let mut watch = Watch::asking_every(Duration::from_millis(300));
                watch.hold(&BTreeSet::from([address]));
                turn_for(&mut watch, Duration::from_millis(400));
                neighbour.run(&format!("ip addr add {text}/{length} dev b0{nodad}"));
                turn_until(&mut watch, &Found::Doubled { address, mac, interface: "a0".into() });
                // Told once, for as long as it lasts.
                turn_for(&mut watch, Duration::from_millis(1000));
                neighbour.run(&format!("ip addr del {text}/{length} dev b0"));
                turn_until(&mut watch, &Found::Single { address, mac });
            }
        });
    }

    /// The frames of a holder that has let go are no second holder, nor is the next holder after the address left here.
    #[test]
    fn a_late_claim_and_the_next_holder_are_no_duplicates() {
        in_own_network(|| {
            let neighbour = Neighbour::beside("a0");
            ip("addr add 10.78.0.1/24 dev a0");
            ip("addr add 10.78.0.9/24 dev a0");
            neighbour.run("ip addr add 10.78.0.2/24 dev b0");
            // Speaks by itself; its kernel, which would answer, does not have the address.
            let far = neighbour.arp();
            let address = IpAddr::from([10, 78, 0, 9]);
            let mut watch = Watch::default();
            watch.hold(&BTreeSet::from([address]));
            turn_for(&mut watch, WAIT);
            far.announce([10, 78, 0, 9].into()).expect("announced");
            let deadline = Instant::now() + Duration::from_secs(10);
            while watch.held[&address].is_empty() {
                assert!(Instant::now() < deadline, "the claim is heard");
                assert_eq!(watch.turn(WAIT), []);
            }
            while !watch.held[&address].is_empty() {
                assert!(Instant::now() < deadline, "a claim without an answer is forgotten");
                assert_eq!(watch.turn(WAIT), []);
            }
            // Suspected and asked; but when it answers the address has left this server.
            far.announce([10, 78, 0, 9].into()).expect("announced");
            let is_asked =
                |watch: &Watch| watch.held[&address].values().any(|o| matches!(o, Other::Suspected { asked: true, .. }));
            while !is_asked(&watch) {
                assert!(Instant::now() < deadline, "the claim is asked about");
                assert_eq!(watch.turn(WAIT), []);
            }
            ip("addr del 10.78.0.9/24 dev a0");
            far.announce([10, 78, 0, 9].into()).expect("announced");
            turn_for(&mut watch, Duration::from_millis(300));
        });
    }
}
