//! Looks at the world the whole time: who has what of which group. Two owners at the same moment are found here.
//!
//! Nothing is asked of the servers: mounts, addresses and listening sockets are read from the kernel, writes are told by the bench,
//! which answers for the disk. A double is believed only when both are looked at again, the first once before and once after the second.

use anyhow::Result;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{
    control::{Phase, ServerStatus},
    lab::Lab,
    storm::{
        ground::{TRACES, UNGATED_MS},
        plan::GROUPS,
    },
};

/// Greatest distance of two looks between which nobody can have unmounted, been followed and mounted again.
const CLOSE: Duration = Duration::from_millis(400);

/// A part of a group that only one server may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The file system is mounted.
    Mount,
    /// The address is on an interface.
    Address,
    /// The application listens.
    Application,
}

impl Part {
    fn words(self) -> &'static str {
        match self {
            Part::Mount => "has the file system mounted",
            Part::Address => "has the address",
            Part::Application => "runs the application",
        }
    }
}

/// What one server has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// How often it had booted.
    boots: u32,
    /// Groups by index and their parts.
    has: BTreeSet<(usize, Part)>,
}

impl Look {
    /// Says whether the server has a part of a group.
    pub fn has(&self, group: usize, part: Part) -> bool {
        self.has.contains(&(group, part))
    }
}

/// Reads what the servers of a lab have.
pub struct Watch<'a> {
    lab: &'a Lab,
    /// Overlaps that go on: since when.
    overlaps: BTreeMap<(usize, Part, String, String), Instant>,
    /// What each server had at the last look, and when that was over (boot clock, microseconds).
    last: BTreeMap<String, (Look, u64)>,
    /// Longest overlap of a part without a gate.
    pub overlap_max: Duration,
}

impl<'a> Watch<'a> {
    /// Nothing seen yet.
    pub fn new(lab: &'a Lab) -> Watch<'a> {
        Watch { lab, overlaps: BTreeMap::new(), last: BTreeMap::new(), overlap_max: Duration::ZERO }
    }

    /// One look at every server; says what two servers have that only one may have.
    ///
    /// # Errors
    /// The lab is down.
    pub fn look(&mut self) -> Result<Vec<String>> {
        let begin = clp_sys::clock::now().as_micros() as u64;
        let statuses = self.lab.status()?;
        let looks: Vec<(ServerStatus, Look)> = statuses
            .into_iter()
            .filter_map(|status| {
                let look = self.server(&status)?;
                Some((status, look))
            })
            .collect();
        let end = clp_sys::clock::now().as_micros() as u64;
        let mut found = self.writes(&looks, begin);
        let mut going_on = BTreeSet::new();
        for (index, (one, first)) in looks.iter().enumerate() {
            for (two, second) in &looks[index + 1..] {
                for (group, part) in first.has.intersection(&second.has) {
                    if !self.is_double(one, two, *group, *part) {
                        continue;
                    }
                    let key = (*group, *part, one.name.clone(), two.name.clone());
                    going_on.insert(key.clone());
                    let since = *self.overlaps.entry(key).or_insert_with(Instant::now);
                    found.extend(self.judge(&one.name, &two.name, *group, *part, since.elapsed()));
                }
            }
        }
        self.overlaps.retain(|key, _| going_on.contains(key));
        self.last = looks.into_iter().map(|(status, look)| (status.name, (look, end))).collect();
        Ok(found)
    }

    /// What each server had at the last look.
    pub fn last(&self) -> impl Iterator<Item = (&str, &Look)> {
        self.last.iter().map(|(name, (look, _))| (name.as_str(), look))
    }

    /// A file system has the whole sum of protocol.md before it; the rest has no gate and the watchdog as its bound.
    fn judge(&mut self, one: &str, two: &str, group: usize, part: Part, lasted: Duration) -> Option<String> {
        if part != Part::Mount {
            self.overlap_max = self.overlap_max.max(lasted);
        }
        let is_double = part == Part::Mount || lasted > Duration::from_millis(UNGATED_MS);
        let (what, name) = (part.words(), GROUPS[group].name);
        is_double.then(|| format!("{name}: {one} {what} and {two} too, for {} ms by now", lasted.as_millis()))
    }

    /// Looks again: the first has it before and after the second, without a boot in between.
    fn is_double(&self, one: &ServerStatus, two: &ServerStatus, group: usize, part: Part) -> bool {
        let has = |status: &ServerStatus| self.server(status).is_some_and(|look| look.has(group, part));
        has(one)
            && has(two)
            && has(one)
            && self.lab.status().is_ok_and(|now| {
                [one, two].into_iter().all(|then| now.iter().any(|now| now.name == then.name && is_same_life(now, then)))
            })
    }

    /// Writes of one server to a partition while another one had it mounted.
    fn writes(&self, looks: &[(ServerStatus, Look)], begin: u64) -> Vec<String> {
        let mut found = Vec::new();
        for (owner, look) in looks {
            let Some((before, since)) = self.last.get(&owner.name) else { continue };
            if before.boots != look.boots || begin.saturating_sub(*since) > CLOSE.as_micros() as u64 {
                continue;
            }
            for (group, traces) in TRACES.iter().enumerate() {
                let Some(partition) = traces.partition else { continue };
                if !(before.has(group, Part::Mount) && look.has(group, Part::Mount)) {
                    continue;
                }
                for (other, _) in looks.iter().filter(|(other, _)| other.name != owner.name) {
                    let at = other.writes.get(partition).copied().unwrap_or(0);
                    if *since < at && at < begin {
                        let name = GROUPS[group].name;
                        found.push(format!("{name}: {} wrote to the disk that {} had mounted", other.name, owner.name));
                    }
                }
            }
        }
        found
    }

    /// What one server has; `None` when it is off or goes down at this moment.
    fn server(&self, status: &ServerStatus) -> Option<Look> {
        if !matches!(status.phase, Phase::Up | Phase::Paused) {
            return None;
        }
        let directory = self.lab.directory().join(&status.name);
        let pid = fs::read_to_string(directory.join("pid")).ok()?;
        let proc = PathBuf::from("/proc").join(pid.trim());
        let read = |file: &str| fs::read_to_string(proc.join(file)).ok();
        let (mounts, addresses, sockets) = (read("mountinfo")?, read("net/fib_trie")?, read("net/tcp")?);
        let (addresses, ports) = (local_addresses(&addresses), listening(&sockets));
        let mut has = BTreeSet::new();
        for (group, traces) in TRACES.iter().enumerate() {
            if traces.partition.is_some_and(|partition| is_mounted(&mounts, partition)) {
                has.insert((group, Part::Mount));
            }
            if traces.address.is_some_and(|address| addresses.contains(address)) {
                has.insert((group, Part::Address));
            }
            if ports.contains(&traces.port) {
                has.insert((group, Part::Application));
            }
        }
        Some(Look { boots: status.boots, has })
    }
}

fn is_same_life(now: &ServerStatus, then: &ServerStatus) -> bool {
    now.boots == then.boots && matches!(now.phase, Phase::Up | Phase::Paused)
}

/// Says whether a partition for data is mounted where its group mounts it.
fn is_mounted(mounts: &str, partition: usize) -> bool {
    let point = format!("/mnt/sdb{}", partition + 2);
    mounts.lines().any(|line| line.split(' ').nth(4) == Some(point.as_str()))
}

/// Addresses of this machine's own, from `/proc/net/fib_trie`.
fn local_addresses(table: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let mut last = "";
    for line in table.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address;
        } else if line.contains("/32 host LOCAL") {
            found.insert(last);
        }
    }
    found
}

/// Ports on which something listens, from `/proc/net/tcp`.
fn listening(table: &str) -> BTreeSet<u16> {
    let port = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, state) = (fields.next()?, fields.nth(1)?);
        (state == "0A").then(|| u16::from_str_radix(local.split_once(':')?.1, 16).ok()).flatten()
    };
    table.lines().skip(1).filter_map(port).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        let table = "Local:\n  +-- 10.0.0.0/24 2 0 2\n     |-- 10.0.0.21\n        /32 host LOCAL\n     |-- 10.0.0.255\n        /32 link BROADCAST\n";
        assert_eq!(local_addresses(table), BTreeSet::from(["10.0.0.21"]));
        let table = "  sl  local_address rem_address   st\n   0: 00000000:1F94 00000000:0000 0A 0\n   1: 0100000A:1F95 0200000A:1234 01 0\n";
        assert_eq!(listening(table), BTreeSet::from([8084]));
        let mounts = "30 1 7:3 / /mnt/sdb3 rw,relatime - ext3 /dev/sdb3 rw\n";
        assert!(is_mounted(mounts, 1) && !is_mounted(mounts, 0));
    }
}
