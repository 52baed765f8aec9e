//! Cables: which path brings what from whom to whom, and who reaches the arbiter or ping target.

use crate::rng::Rng;

/// The network of a run.
#[derive(Debug, Clone)]
pub struct Network {
    servers: usize,
    lan: Vec<bool>,
    /// Number of faults that cut a direction of a path, by path, sender, receiver. Disks are cut at (path, s, s).
    cuts: Vec<u32>,
    /// Number of faults that keep others from reading what a server writes to a disk, by path and server.
    torn: Vec<u32>,
    /// Number of faults that keep a server from reading what others write there.
    stale: Vec<u32>,
    /// Faults between a server and the arbiter.
    pub arbiter_cuts: Vec<u32>,
    /// Frames lost, in percent.
    pub loss: u64,
    /// Frames doubled, in percent.
    pub duplicate: u64,
    /// Longest delay.
    pub delay: u64,
    /// Longest delay of a few of the doubles, which come long after what they repeat.
    pub late: u64,
}

/// How many of a hundred doubles come late.
const LATE: u64 = 25;

/// One direction of one path.
pub type Cut = (usize, usize, usize);

impl Network {
    /// All cables plugged.
    pub fn new(servers: usize, lan: Vec<bool>) -> Self {
        let cuts = vec![0; lan.len() * servers * servers];
        let (torn, stale) = (vec![0; lan.len() * servers], vec![0; lan.len() * servers]);
        Network { servers, lan, cuts, torn, stale, arbiter_cuts: vec![0; servers], loss: 0, duplicate: 0, delay: 0, late: 0 }
    }

    fn at(&self, (path, from, to): Cut) -> usize {
        (path * self.servers + from) * self.servers + to
    }

    /// Does no fault cut this direction?
    pub fn is_whole(&self, cut: Cut) -> bool {
        self.cuts[self.at(cut)] == 0
    }

    /// Cut (or heal one cut of) these directions.
    pub fn change(&mut self, cuts: &[Cut], cut: bool) {
        for one in cuts {
            let at = self.at(*one);
            self.cuts[at] = if cut { self.cuts[at] + 1 } else { self.cuts[at].saturating_sub(1) };
        }
    }

    /// The slots that a server writes on a disk are half-written, or those that it reads are old, by one fault more or less.
    pub fn spoil(&mut self, path: usize, server: usize, torn: bool, more: bool) {
        let faults = &mut if torn { &mut self.torn } else { &mut self.stale }[path * self.servers + server];
        *faults = if more { *faults + 1 } else { faults.saturating_sub(1) };
    }

    /// Is the server's end of a disk path whole?
    pub fn reaches_disk(&self, path: usize, server: usize) -> bool {
        self.cuts[self.at((path, server, server))] == 0
    }

    /// Everything works again.
    pub fn heal(&mut self) {
        self.cuts.fill(0);
        self.torn.fill(0);
        self.stale.fill(0);
        self.arbiter_cuts.fill(0);
        self.loss = 0;
    }

    /// Does the path bring anything from one to the other?
    pub fn passes(&self, path: usize, from: usize, to: usize) -> bool {
        if self.lan[path] {
            self.cuts[self.at((path, from, to))] == 0
        } else {
            let fresh = self.torn[path * self.servers + from] == 0 && self.stale[path * self.servers + to] == 0;
            fresh && self.reaches_disk(path, from) && self.reaches_disk(path, to)
        }
    }

    /// Does any path bring something, LANs only or all?
    pub fn hears(&self, from: usize, to: usize, lan_only: bool) -> bool {
        (0..self.lan.len()).any(|path| (self.lan[path] || !lan_only) && self.passes(path, from, to))
    }

    /// The LANs that bring something from one to the other.
    pub fn lan(&self, from: usize, to: usize) -> bool {
        self.hears(from, to, true)
    }

    /// All directions between these two on LANs, or on all paths.
    pub fn between(&self, a: usize, b: usize, all: bool) -> Vec<Cut> {
        let mut cuts = Vec::new();
        for path in (0..self.lan.len()).filter(|path| self.lan[*path]) {
            cuts.push((path, a, b));
            cuts.push((path, b, a));
        }
        if all {
            for path in (0..self.lan.len()).filter(|path| !self.lan[*path]) {
                cuts.push((path, a, a));
            }
        }
        cuts
    }

    /// Is anything cut, the way to the arbiter included?
    pub fn is_touched(&self) -> bool {
        self.cuts.iter().chain(&self.arbiter_cuts).chain(&self.torn).chain(&self.stale).any(|cuts| *cuts > 0)
    }

    /// Is so much lost or late that contact is a matter of luck?
    pub fn is_bad(&self, interval: u64) -> bool {
        self.loss >= 20 || self.delay >= interval
    }

    /// Is the path a LAN?
    pub fn is_lan(&self, path: usize) -> bool {
        self.lan[path]
    }

    /// Number of paths.
    pub fn paths(&self) -> usize {
        self.lan.len()
    }

    /// Everybody in touch with `start` over edges that work both ways among those that act.
    pub fn part(&self, start: usize, acts: &[bool], lan_only: bool) -> Vec<bool> {
        let mut reached = vec![false; self.servers];
        let mut open = vec![start];
        while let Some(server) = open.pop() {
            if reached[server] || !acts[server] {
                continue;
            }
            reached[server] = true;
            open.extend((0..self.servers).filter(|other| {
                *other != server && self.hears(server, *other, lan_only) && self.hears(*other, server, lan_only)
            }));
        }
        reached
    }

    /// Delays of the copies that arrive of one datagram; none when it is lost.
    pub fn arrivals(&self, rng: &mut Rng) -> Vec<u64> {
        if rng.percent(self.loss) {
            return Vec::new();
        }
        let mut delays = vec![50 + rng.below(self.delay)];
        if rng.percent(self.duplicate) {
            let longest = if rng.percent(LATE) { self.late } else { self.delay * 4 };
            delays.push(50 + rng.below(longest));
        }
        delays
    }
}
