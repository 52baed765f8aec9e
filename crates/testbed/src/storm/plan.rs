//! The faults of a storm: each round is a pure function of the seed and its number, and can be listed and repeated alone.
//!
//! Only faults that the rules of membership bear with a ping resolution and a working watchdog (docs/safety.md) are made:
//! - never two sides of living servers that both reach the ping target and not each other: both would run (`is_split`);
//! - no server stands still behind cut links (frozen for longer than the time-out, or engine and parent killed at once): its
//!   addresses have no gate in the kernel, and nobody can see that it lives, so they would be on two servers until its watchdog
//!   resets it;
//! - no watchdog is taken away: nothing timed is proven without it;
//! - a server whose disk hangs is not frozen: what waits inside the kernel does not freeze.

use std::fmt;

use crate::{chance::Chance, options::Net};

/// Servers of the storm's lab.
pub const SERVERS: u32 = 4;
/// Groups by name, and what can be done to them.
pub const GROUPS: [GroupTraits; 6] = [
    GroupTraits { name: "data1", resident: true },
    GroupTraits { name: "data2", resident: false },
    GroupTraits { name: "web1", resident: false },
    GroupTraits { name: "job1", resident: true },
    GroupTraits { name: "only1", resident: false },
    GroupTraits { name: "only2", resident: false },
];
/// Silence after which a server is taken as gone, in milliseconds: short pauses are shorter, long ones longer.
pub const TIMEOUT_MS: u64 = 3000;
/// Heartbeat interval in milliseconds.
pub const INTERVAL_MS: u64 = 300;
/// How long after its end a cut may still be in somebody's mind.
const AFTERMATH_MS: u64 = TIMEOUT_MS;
/// Tries to find a fault that goes with those that are there.
const TRIES: u32 = 40;

/// What a fault must know of a group.
#[derive(Debug, Clone, Copy)]
pub struct GroupTraits {
    /// Its name.
    pub name: &'static str,
    /// Its application is the start script itself and watched by pidw; else scripts begin and end it and can fail.
    pub resident: bool,
}

/// One fault; servers by number, groups by index.
#[allow(missing_docs, reason = "the fields are called what they are")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A server loses one network or both, with or without its carrier.
    Cut { server: u32, net: Net, carrier: bool },
    /// A server hears nothing more on a network; what it sends arrives.
    Deaf { server: u32, net: Net },
    /// Two servers lose each other on a network.
    Pair { one: u32, other: u32, net: Net },
    /// A server does not reach the ping target.
    Gateway { server: u32 },
    /// The engine is killed.
    KillEngine { server: u32 },
    /// Its parent is killed.
    KillParent { server: u32 },
    /// Both are killed at once: only the watchdog is left.
    KillBoth { server: u32 },
    /// The monitor daemon is killed.
    KillMonitors { server: u32 },
    /// A group's application is killed, wherever it runs.
    KillApplication { group: usize },
    /// A server loses its power.
    Power { server: u32 },
    /// All servers lose their power at once.
    PowerLoss,
    /// Everything in a server stands still.
    Pause { server: u32 },
    /// A server's path to the shared disk fails.
    DiskFails { server: u32 },
    /// A server's path to the shared disk hangs.
    DiskHangs { server: u32 },
    /// A group's start script exits with 1, on one server or on all (0).
    StartFails { group: usize, server: u32 },
    /// A group's stop script hangs until its time-out.
    StopHangs { group: usize },
    /// An operator moves a group.
    Move { group: usize, to: u32 },
    /// An operator stops a group, and starts it at the end.
    Stop { group: usize },
    /// An operator stops the service of a server, and starts it at the end.
    Service { server: u32 },
    /// An operator reboots a server.
    Reboot { server: u32 },
}

/// A fault with its times in milliseconds since the beginning of its round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// When it begins.
    pub at: u64,
    /// When it ends.
    pub until: u64,
    /// What happens.
    pub fault: Fault,
}

/// Some faults, beginning in a healthy cluster; after them everything is healed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// Its number, from 1.
    pub number: u32,
    /// In the order of their beginnings.
    pub steps: Vec<Step>,
}

impl Round {
    /// The round of a seed.
    pub fn of(seed: u64, number: u32) -> Round {
        let mut chance = Chance::of(seed, u64::from(number) << 32 | 0x5354_4F52);
        let count = 1 + chance.below(4);
        let mut steps: Vec<Step> = Vec::new();
        while steps.len() < count as usize {
            let Some(step) = (0..TRIES).map(|_| draw(&mut chance)).find(|step| goes_with(*step, &steps)) else { break };
            steps.push(step);
        }
        steps.sort_by_key(|step| step.at);
        Round { number, steps }
    }

    /// When its last fault ends.
    pub fn length(&self) -> u64 {
        self.steps.iter().map(|step| step.until).max().unwrap_or(0)
    }

    /// Says whether a group may legitimately fail in it, so that an operator must start it again: something of it was broken.
    pub fn may_fail_groups(&self) -> bool {
        self.steps.iter().any(|step| {
            matches!(
                step.fault,
                Fault::DiskFails { .. }
                    | Fault::DiskHangs { .. }
                    | Fault::StartFails { .. }
                    | Fault::StopHangs { .. }
                    | Fault::KillApplication { .. }
            )
        })
    }

    /// Groups that an operator stopped in it.
    pub fn stopped(&self) -> impl Iterator<Item = usize> {
        self.steps.iter().filter_map(|step| if let Fault::Stop { group } = step.fault { Some(group) } else { None })
    }
}

/// A fault that could be next, whatever else happens.
fn draw(chance: &mut Chance) -> Step {
    let server = 1 + chance.below(u64::from(SERVERS)) as u32;
    let other = 1 + (server - 1 + 1 + chance.below(u64::from(SERVERS) - 1) as u32) % SERVERS;
    let net = if chance.below(2) == 0 { Net::Public } else { Net::Interconnect };
    let group = chance.below(GROUPS.len() as u64) as usize;
    let some = |resident: bool, chance: &mut Chance| {
        let fitting: Vec<usize> = (0..GROUPS.len()).filter(|group| GROUPS[*group].resident == resident).collect();
        fitting[chance.below(fitting.len() as u64) as usize]
    };
    let at = chance.below(6000);
    let short = 1000 + chance.below(3000);
    let long = 5000 + chance.below(8000);
    let either = if chance.below(2) == 0 { short } else { long };
    let (fault, lasts) = match chance.below(100) {
        0..8 => (Fault::Cut { server, net, carrier: chance.below(2) == 0 }, either),
        8..15 => (Fault::Cut { server, net: Net::All, carrier: chance.below(2) == 0 }, either),
        15..19 => (Fault::Deaf { server, net }, either),
        19..26 => (Fault::Pair { one: server, other, net }, long),
        26..29 => (Fault::Gateway { server }, long),
        29..34 => (Fault::KillEngine { server }, 0),
        34..37 => (Fault::KillParent { server }, 0),
        37..40 => (Fault::KillBoth { server }, 0),
        40..43 => (Fault::KillMonitors { server }, 0),
        43..48 => (Fault::KillApplication { group: some(true, chance) }, 0),
        48..59 => (Fault::Power { server }, either),
        59..61 => (Fault::PowerLoss, short),
        61..68 => {
            // Under the time-out, with room for both ends of it, or well over it.
            let under = chance.below(2) == 0;
            (Fault::Pause { server }, if under { 400 + chance.below(1400) } else { 2 * TIMEOUT_MS + chance.below(4000) })
        }
        68..73 => (Fault::DiskFails { server }, either),
        73..76 => (Fault::DiskHangs { server }, either),
        76..80 => {
            let where_ = if chance.below(3) == 0 { 0 } else { server };
            (Fault::StartFails { group: some(false, chance), server: where_ }, long)
        }
        80..84 => (Fault::StopHangs { group: some(false, chance) }, long),
        84..91 => (Fault::Move { group, to: server }, 0),
        91..94 => (Fault::Stop { group }, either),
        94..97 => (Fault::Service { server }, either),
        _ => (Fault::Reboot { server }, 0),
    };
    Step { at, until: at + lasts, fault }
}

/// Says whether a fault may happen beside the others.
fn goes_with(step: Step, others: &[Step]) -> bool {
    if others.iter().any(|other| matches!(other.fault, Fault::PowerLoss)) {
        return false;
    }
    if matches!(step.fault, Fault::PowerLoss) {
        return others.is_empty();
    }
    // One thing at a time with a server's body and with a group; nobody knows how long the consequences last.
    let same = |other: &Step| match (step.fault.body(), other.fault.body()) {
        (Some(one), Some(two)) => one == two,
        _ => step.fault.group().is_some() && step.fault.group() == other.fault.group(),
    };
    if others.iter().any(same) {
        return false;
    }
    let all: Vec<Step> = others.iter().copied().chain([step]).collect();
    let still = all.iter().any(Step::stands_still);
    let cuts: Vec<&Step> = all.iter().filter(|step| step.fault.is_cut()).collect();
    if still && !cuts.is_empty() {
        return false;
    }
    let may_be_down: Vec<u32> = all.iter().filter_map(|step| step.fault.may_end()).collect();
    cuts.iter().all(|cut| {
        // Cuts that are there at the same time as this one.
        let beside = cuts.iter().filter(|other| other.at <= cut.until + AFTERMATH_MS && cut.at <= other.until + AFTERMATH_MS);
        !subsets(&beside.map(|step| step.fault).collect::<Vec<_>>())
            .any(|cuts| subsets(&may_be_down).any(|down| is_split(&cuts, &down)))
    })
}

/// All selections of a short list.
fn subsets<T: Copy>(list: &[T]) -> impl Iterator<Item = Vec<T>> {
    (0_u32..1 << list.len())
        .map(|mask| list.iter().enumerate().filter(|(index, _)| mask & (1 << index) != 0).map(|(_, item)| *item).collect())
}

/// Says whether servers that reach the ping target would be on two sides that do not hear each other by any network, not even
/// through others. The disk heartbeat is not counted on.
fn is_split(cuts: &[Fault], down: &[u32]) -> bool {
    let alive: Vec<u32> = (1..=SERVERS).filter(|server| !down.contains(server)).collect();
    let has_net = |server: u32, net: Net| {
        !cuts.iter().any(|cut| match *cut {
            Fault::Cut { server: lost, net: cut, .. } | Fault::Deaf { server: lost, net: cut } => {
                lost == server && (cut == net || cut == Net::All)
            }
            _ => false,
        })
    };
    let hears = |one: u32, two: u32| {
        [Net::Public, Net::Interconnect].into_iter().any(|net| {
            let pair = |cut: &Fault| {
                matches!(*cut, Fault::Pair { one: a, other: b, net: lost }
                    if lost == net && [(one, two), (two, one)].contains(&(a, b)))
            };
            has_net(one, net) && has_net(two, net) && !cuts.iter().any(pair)
        })
    };
    let pings = |server: u32| {
        has_net(server, Net::Public) && !cuts.iter().any(|cut| matches!(*cut, Fault::Gateway { server: lost } if lost == server))
    };
    let Some(first) = alive.iter().copied().find(|server| pings(*server)) else { return false };
    let mut side = vec![first];
    let mut looked = 0;
    while looked < side.len() {
        let here = side[looked];
        looked += 1;
        let more: Vec<u32> = alive.iter().copied().filter(|server| !side.contains(server) && hears(here, *server)).collect();
        side.extend(more);
    }
    alive.iter().any(|server| pings(*server) && !side.contains(server))
}

impl Fault {
    /// Its kind in one word.
    pub fn kind(self) -> &'static str {
        match self {
            Fault::Cut { .. } => "cut",
            Fault::Deaf { .. } => "deaf",
            Fault::Pair { .. } => "link",
            Fault::Gateway { .. } => "gateway",
            Fault::KillEngine { .. } => "kill-engine",
            Fault::KillParent { .. } => "kill-parent",
            Fault::KillBoth { .. } => "kill-both",
            Fault::KillMonitors { .. } => "kill-monitord",
            Fault::KillApplication { .. } => "kill-application",
            Fault::Power { .. } => "power",
            Fault::PowerLoss => "power-loss",
            Fault::Pause { .. } => "pause",
            Fault::DiskFails { .. } => "disk-fails",
            Fault::DiskHangs { .. } => "disk-hangs",
            Fault::StartFails { .. } => "start-fails",
            Fault::StopHangs { .. } => "stop-hangs",
            Fault::Move { .. } => "move",
            Fault::Stop { .. } => "stop",
            Fault::Service { .. } => "service",
            Fault::Reboot { .. } => "reboot",
        }
    }

    fn is_cut(self) -> bool {
        matches!(self, Fault::Cut { .. } | Fault::Deaf { .. } | Fault::Pair { .. } | Fault::Gateway { .. })
    }

    /// The server whose body it meets.
    fn body(self) -> Option<u32> {
        match self {
            Fault::KillEngine { server }
            | Fault::KillParent { server }
            | Fault::KillBoth { server }
            | Fault::KillMonitors { server }
            | Fault::Power { server }
            | Fault::Pause { server }
            | Fault::DiskFails { server }
            | Fault::DiskHangs { server }
            | Fault::Service { server }
            | Fault::Reboot { server } => Some(server),
            _ => None,
        }
    }

    /// The group that it meets.
    fn group(self) -> Option<usize> {
        match self {
            Fault::KillApplication { group }
            | Fault::StartFails { group, .. }
            | Fault::StopHangs { group }
            | Fault::Move { group, .. }
            | Fault::Stop { group } => Some(group),
            _ => None,
        }
    }

    /// The server that may go down by it, and be missing when something else is cut.
    fn may_end(self) -> Option<u32> {
        match self {
            Fault::KillMonitors { .. } => None,
            // Cut off, it stops; and whoever does not reach the ping target may be cut off as well.
            Fault::Cut { server, .. } | Fault::Deaf { server, .. } | Fault::Gateway { server } => Some(server),
            other => other.body(),
        }
    }
}

impl Step {
    /// Leaves a server standing still whose kernel answers and whose programs do nothing, for longer than the time-out.
    fn stands_still(&self) -> bool {
        matches!(self.fault, Fault::KillBoth { .. })
            || matches!(self.fault, Fault::Pause { .. } if self.until - self.at >= TIMEOUT_MS)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |ms: u64| ms as f64 / 1000.0;
        write!(out, "{:6.3}", seconds(self.at))?;
        match self.until > self.at {
            true => write!(out, " to {:6.3} s  ", seconds(self.until))?,
            false => write!(out, " s            ")?,
        }
        write!(out, "{}", self.fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = |net: Net| match net {
            Net::Public => "public",
            Net::Interconnect => "interconnect",
            Net::All | Net::Com => "both networks",
        };
        let name = |group: usize| GROUPS[group].name;
        match *self {
            Fault::Cut { server, net, carrier: true } => write!(out, "server{server} loses {}, with its carrier up", on(net)),
            Fault::Cut { server, net, carrier: false } => write!(out, "server{server} loses {}", on(net)),
            Fault::Deaf { server, net } => write!(out, "server{server} hears nothing on {}", on(net)),
            Fault::Pair { one, other, net } => write!(out, "server{one} and server{other} lose each other on {}", on(net)),
            Fault::Gateway { server } => write!(out, "server{server} does not reach the ping target"),
            Fault::KillEngine { server } => write!(out, "the engine of server{server} is killed"),
            Fault::KillParent { server } => write!(out, "the parent of server{server}'s engine is killed"),
            Fault::KillBoth { server } => write!(out, "engine and parent of server{server} are killed"),
            Fault::KillMonitors { server } => write!(out, "the monitor daemon of server{server} is killed"),
            Fault::KillApplication { group } => write!(out, "the application of {} is killed", name(group)),
            Fault::Power { server } => write!(out, "server{server} loses its power"),
            Fault::PowerLoss => write!(out, "all servers lose their power"),
            Fault::Pause { server } => write!(out, "server{server} stands still"),
            Fault::DiskFails { server } => write!(out, "the disk of server{server} fails"),
            Fault::DiskHangs { server } => write!(out, "the disk of server{server} hangs"),
            Fault::StartFails { group, server: 0 } => write!(out, "the start script of {} fails everywhere", name(group)),
            Fault::StartFails { group, server } => write!(out, "the start script of {} fails on server{server}", name(group)),
            Fault::StopHangs { group } => write!(out, "the stop script of {} hangs", name(group)),
            Fault::Move { group, to } => write!(out, "an operator moves {} to server{to}", name(group)),
            Fault::Stop { group } => write!(out, "an operator stops {} and starts it again", name(group)),
            Fault::Service { server } => write!(out, "an operator stops the service of server{server} and starts it again"),
            Fault::Reboot { server } => write!(out, "an operator reboots server{server}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_round_is_the_same_for_the_same_seed_and_differs_for_others() {
        assert_eq!(Round::of(7, 3), Round::of(7, 3));
        assert_ne!(Round::of(7, 3).steps, Round::of(8, 3).steps);
        assert_ne!(Round::of(7, 3).steps, Round::of(7, 4).steps);
    }

    #[test]
    fn every_kind_of_fault_occurs_in_an_hour() {
        let kinds: BTreeSet<&str> =
            (1..=120).flat_map(|number| Round::of(1, number).steps).map(|step| step.fault.kind()).collect();
        assert_eq!(kinds.len(), 20, "{kinds:?}");
    }

    #[test]
    fn two_sides_that_both_reach_the_target_are_never_made() {
        let public = |one, other| Fault::Pair { one, other, net: Net::Public };
        let inter = |one, other| Fault::Pair { one, other, net: Net::Interconnect };
        assert!(!is_split(&[public(1, 2), inter(2, 1)], &[]), "the others carry their words");
        assert!(is_split(&[public(1, 2), inter(2, 1)], &[3, 4]));
        assert!(!is_split(&[Fault::Cut { server: 1, net: Net::All, carrier: false }], &[2, 3]));
        assert!(!is_split(&[Fault::Cut { server: 1, net: Net::Public, carrier: false }], &[]));
        let across = [Fault::Cut { server: 1, net: Net::Interconnect, carrier: false }, public(1, 2), public(1, 3), public(1, 4)];
        assert!(is_split(&across, &[]));
        for seed in 0..200 {
            for number in 1..20 {
                let round = Round::of(seed, number);
                let cuts: Vec<Fault> = round.steps.iter().map(|step| step.fault).filter(|fault| fault.is_cut()).collect();
                let down: Vec<u32> = round.steps.iter().filter_map(|step| step.fault.may_end()).collect();
                let still = round.steps.iter().any(Step::stands_still);
                assert!(!still || cuts.is_empty(), "{round:?}");
                if round.steps.len() <= 2 {
                    assert!(!subsets(&down).any(|down| is_split(&cuts, &down)), "{round:?}");
                }
            }
        }
    }
}
