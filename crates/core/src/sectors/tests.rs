//! Many orders of the steps of several servers that crash, with a checker that knows which value was made of which.

use std::collections::BTreeMap;

use super::*;

/// What is different from what the product does and assumes, so that the checker can be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Planted {
    Nothing,
    /// A write of an earlier life lands after the next one has begun.
    LateWrite,
    /// A reading believes its first look.
    OneLook,
    /// A swap does not look once more after its value was written.
    NoLastLook,
    /// A reading that ends the try of another does not.
    NoLastLookOfReading,
}

struct Server {
    turn: Option<Turn<u64>>,
    /// Sectors that this look has read.
    seen: Vec<Sector<u64>>,
    writing: Option<Sector<u64>>,
    late: Option<Sector<u64>>,
    /// The newest version that was known to stand when its turn began.
    floor: Ballot,
    /// What it read last.
    version: Ballot,
}

struct World {
    seed: u64,
    planted: Planted,
    disk: Vec<Sector<u64>>,
    servers: Vec<Server>,
    /// Of which version each was made.
    made_of: BTreeMap<Ballot, Ballot>,
    last: Ballot,
    swaps: u64,
}

impl World {
    fn new(seed: u64, servers: usize, planted: Planted) -> World {
        let empty = || Server { turn: None, seen: vec![], writing: None, late: None, floor: Ballot(0), version: Ballot(0) };
        let servers: Vec<Server> = (0..servers).map(|_| empty()).collect();
        let disk = vec![Sector::default(); servers.len()];
        World { seed: seed * 2 + 1, planted, disk, servers, made_of: BTreeMap::new(), last: Ballot(0), swaps: 0 }
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33) % below
    }

    fn is_made_of(&self, old: Ballot, mut new: Ballot) -> bool {
        while new > old {
            new = self.made_of.get(&new).copied().unwrap_or_default();
        }
        new == old
    }

    /// A version stood: after the floor of who says so, and on one line with all that stood.
    fn stood(&mut self, floor: Ballot, version: Ballot) -> Result<(), String> {
        if !self.is_made_of(floor, version) {
            return Err(format!("{version:?} does not follow {floor:?}, which stood before the question"));
        }
        if self.is_made_of(self.last, version) {
            self.last = version;
        } else if !self.is_made_of(version, self.last) {
            return Err(format!("{version:?} and {:?} both stood", self.last));
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), String> {
        let (me, chance) = (self.draw(self.servers.len() as u64) as usize, self.draw(40));
        let (begins_swap, lands) = (self.draw(2) == 0, self.draw(2) == 0);
        let (planted, floor) = (self.planted, self.last);
        let server = &mut self.servers[me];
        if chance == 0 {
            let pending = server.writing.take();
            match planted {
                Planted::LateWrite => server.late = pending,
                _ => self.disk[me] = pending.filter(|_| lands).unwrap_or_else(|| self.disk[me].clone()),
            }
            (server.turn, server.seen) = (None, vec![]);
            return Ok(());
        }
        if chance == 1
            && let Some(late) = server.late.take()
        {
            self.disk[me] = late;
            return Ok(());
        }
        let Some(turn) = &mut server.turn else {
            let value = u64::from(begins_swap);
            server.turn = Some(if begins_swap { Turn::swap(me, server.version, value) } else { Turn::read(me) });
            server.floor = floor;
            return Ok(());
        };
        if let Some(sector) = server.writing.take() {
            let is_value = sector.written == sector.promised;
            self.disk[me] = sector.clone();
            return match planted {
                Planted::NoLastLook if is_value && turn.swap.is_some() => self.done(me, Outcome::Written(sector.written)),
                Planted::NoLastLookOfReading if is_value && turn.swap.is_none() => {
                    self.done(me, Outcome::Stands(sector.version, sector.value))
                }
                _ => Ok(()),
            };
        }
        server.seen.push(self.disk[server.seen.len()].clone());
        if server.seen.len() < self.disk.len() {
            return Ok(());
        }
        let seen = std::mem::take(&mut server.seen);
        let mut step = turn.looked(&seen);
        if planted == Planted::OneLook && matches!(turn.stage, Stage::Again(_)) && step == Step::Look {
            step = turn.looked(&seen);
        }
        match step {
            Step::Look => {}
            Step::Write(sector) => {
                if sector.version == sector.promised {
                    let of = turn.swap.as_ref().map(|(version, _)| *version).unwrap_or_default();
                    self.made_of.insert(sector.version, of);
                }
                server.writing = Some(sector);
            }
            Step::Done(outcome) => return self.done(me, outcome),
        }
        Ok(())
    }

    fn done(&mut self, me: usize, outcome: Outcome<u64>) -> Result<(), String> {
        self.servers[me].turn = None;
        let floor = self.servers[me].floor;
        match outcome {
            Outcome::Stands(version, value) => {
                assert_eq!(value.is_some(), version != Ballot(0));
                self.servers[me].version = version;
                self.stood(floor, version)
            }
            Outcome::Written(version) => {
                self.swaps += 1;
                self.stood(floor, version)
            }
            Outcome::Replaced | Outcome::Busy | Outcome::Unsure => Ok(()),
            Outcome::Foreign => Err("what the servers wrote is not taken for theirs".into()),
        }
    }
}

/// The first seed at which something was wrong, and how many swaps succeeded.
fn run(planted: Planted, seeds: u64) -> (Option<(u64, String)>, u64) {
    let mut swaps = 0;
    for seed in 0..seeds {
        let mut world = World::new(seed, 2 + (seed % 3) as usize, planted);
        for _ in 0..400 {
            if let Err(wrong) = world.step() {
                return (Some((seed, wrong)), swaps);
            }
        }
        swaps += world.swaps;
    }
    (None, swaps)
}

#[test]
fn in_any_order_and_with_crashes_all_values_that_stood_follow_each_other() {
    let (wrong, swaps) = run(Planted::Nothing, 3000);
    assert_eq!(wrong, None);
    assert!(swaps > 4000, "{swaps} swaps");
}

#[test]
fn what_the_rounds_need_is_needed() {
    for planted in [Planted::LateWrite, Planted::OneLook, Planted::NoLastLook, Planted::NoLastLookOfReading] {
        assert!(run(planted, 30_000).0.is_some(), "{planted:?} is not found");
    }
}

/// Take all steps of a turn alone, or crash after so many writes.
fn take(disk: &mut [Sector<u64>], mut turn: Turn<u64>, writes: usize) -> Option<Outcome<u64>> {
    let mut written = 0;
    loop {
        match turn.looked(disk) {
            Step::Look => {}
            Step::Write(_) if written == writes => return None,
            Step::Write(sector) => {
                disk[turn.me] = sector;
                written += 1;
                if written == writes {
                    return None;
                }
            }
            Step::Done(outcome) => return Some(outcome),
        }
    }
}

#[test]
fn what_a_server_left_half_done_is_ended_by_others_under_the_version_that_it_gave() {
    let none = Ballot(0);
    for (by, writes, left) in [(0, 1, None), (0, 2, Some(7)), (2, 1, None), (2, 2, Some(7))] {
        let mut disk = vec![Sector::default(); 3];
        assert_eq!(take(&mut disk, Turn::swap(by, none, 7), writes), None);
        let Some(Outcome::Stands(version, value)) = take(&mut disk, Turn::read(1), 9) else { panic!("{disk:?}") };
        assert_eq!((value, version), (left, disk[by].version));
        let stands = Some(Outcome::Stands(version, value));
        for reader in [2, 1, 0] {
            let before = disk.clone();
            assert_eq!(take(&mut disk, Turn::read(reader), 9), stands, "its age goes on");
            assert_eq!(before, disk, "who only reads writes nothing more");
        }
        let Some(Outcome::Written(next)) = take(&mut disk, Turn::swap(2, version, 8), 9) else { panic!("{disk:?}") };
        assert_eq!(take(&mut disk, Turn::swap(0, version, 9), 9), Some(Outcome::Replaced));
        assert_eq!(take(&mut disk, Turn::read(0), 9), Some(Outcome::Stands(next, Some(8))));
    }
}

#[test]
fn numbers_that_no_server_wrote_are_not_counted_on() {
    let sector = |promised, written, version, value| Sector {
        promised: Ballot(promised),
        written: Ballot(written),
        version: Ballot(version),
        value,
    };
    let sound = sector(9, 6, 3, Some(1));
    let damaged = [sector(5, 6, 3, Some(1)), sector(9, 2, 3, Some(1)), sector(9, 6, 3, None), sector(u64::MAX, 6, 3, Some(1))];
    let mut disk = vec![sound; 3];
    assert_eq!(take(&mut disk, Turn::read(1), 9), Some(Outcome::Stands(Ballot(3), Some(1))));
    for sector in damaged {
        disk[2] = sector.clone();
        for turn in [Turn::read(1), Turn::swap(1, Ballot(3), 2)] {
            assert_eq!(take(&mut disk, turn, 9), Some(Outcome::Foreign), "{sector:?}");
        }
        let mut turn = Turn::swap(1, Ballot(3), 2);
        turn.stage = Stage::Written(Ballot(13));
        assert_eq!(turn.looked(&disk), Step::Done(Outcome::Unsure), "{sector:?}");
    }
}
