//! One value that several servers change by compare-and-swap on a shared disk, where each writes a sector of its own and reads all.
//!
//! The rounds are those of Disk Paxos (Gafni and Lamport, 2003), with a new value made of the one before as in CASPaxos. Here are the steps
//! alone; who takes them reads and writes the disk. It is assumed that a sector is written whole or not at all, that a server has one write
//! under way at the most, and that none of an earlier life lands after the first look of the next one (rule R11).

/// Numbers a try: rises, and no two servers have the same; 0: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Ballot(u64);

impl Ballot {
    /// The first one of a server above another.
    fn above(self, me: usize, servers: usize) -> Ballot {
        let servers = servers as u64;
        Ballot((self.0 / servers + 1) * servers + me as u64)
    }
}

/// What stands in a server's sector; an empty disk holds defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sector<V> {
    /// It has begun this try and ends no older one.
    pub promised: Ballot,
    /// In this try it wrote the value.
    pub written: Ballot,
    /// In this one the value was made; a server that ends the try of another leaves it as it is.
    pub version: Ballot,
    /// None: as at the beginning.
    pub value: Option<V>,
}

/// No disk is written so often; what stands above it is damage, and counting on from there would end.
const BALLOT_MAX: Ballot = Ballot(1 << 60);

impl<V> Sector<V> {
    fn is_sound(&self) -> bool {
        let is_value = self.value.is_some() == (self.version > Ballot(0));
        self.version <= self.written && self.written <= self.promised && self.promised < BALLOT_MAX && is_value
    }
}

impl<V> Default for Sector<V> {
    fn default() -> Self {
        Sector { promised: Ballot(0), written: Ballot(0), version: Ballot(0), value: None }
    }
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<V> {
    /// Read all sectors, each after the step before has ended.
    Look,
    /// Write the own sector.
    Write(Sector<V>),
    /// Nothing more.
    Done(Outcome<V>),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<V> {
    /// This stood there at a moment since the first look.
    Stands(Ballot, Option<V>),
    /// The new value stands, with this version.
    Written(Ballot),
    /// Another value stood there than was expected; nothing was changed.
    Replaced,
    /// Another server was faster; nothing was changed.
    Busy,
    /// Another server was faster; it may find the new value, or the one before.
    Unsure,
    /// Numbers stand there that no server wrote; nothing was changed.
    Foreign,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    First,
    /// A reading saw this try written last.
    Again(Ballot),
    Promised(Ballot),
    Written(Ballot),
}

/// One reading or swap.
#[derive(Debug, Clone)]
pub struct Turn<V> {
    me: usize,
    /// Of a swap: the version that is replaced, and by what.
    swap: Option<(Ballot, V)>,
    stage: Stage,
    /// What is written: version and value.
    chosen: (Ballot, Option<V>),
}

impl<V: Clone> Turn<V> {
    /// Read. The first step is to look.
    pub fn read(me: usize) -> Turn<V> {
        Turn { me, swap: None, stage: Stage::First, chosen: (Ballot(0), None) }
    }

    /// Replace the value with that version. The first step is to look.
    pub fn swap(me: usize, version: Ballot, value: V) -> Turn<V> {
        Turn { swap: Some((version, value)), ..Turn::read(me) }
    }

    /// All sectors were read, by number of the server, those of servers that are not configured any more among them: how many a disk has
    /// never changes.
    pub fn looked(&mut self, sectors: &[Sector<V>]) -> Step<V> {
        let promised = sectors.iter().map(|sector| sector.promised).max().unwrap_or_default();
        let last = sectors.iter().max_by_key(|sector| sector.written);
        let Some(last) = last.filter(|_| sectors.iter().all(Sector::is_sound)) else {
            return Step::Done(if let Stage::Written(_) = self.stage { Outcome::Unsure } else { Outcome::Foreign });
        };
        let is_other = self.swap.as_ref().is_some_and(|(version, _)| *version != last.version);
        match self.stage {
            Stage::First if self.swap.is_none() && promised == last.written => {
                self.stage = Stage::Again(last.written);
                Step::Look
            }
            // Whoever begins a try after this look finds that value, as it was there before it.
            Stage::Again(written) if promised == written => Step::Done(Outcome::Stands(last.version, last.value.clone())),
            Stage::First | Stage::Again(_) => {
                let ballot = promised.above(self.me, sectors.len());
                self.stage = Stage::Promised(ballot);
                Step::Write(Sector { promised: ballot, ..sectors[self.me].clone() })
            }
            Stage::Promised(ballot) if promised > ballot => Step::Done(Outcome::Busy),
            Stage::Promised(_) if is_other => Step::Done(Outcome::Replaced),
            Stage::Promised(ballot) => {
                self.stage = Stage::Written(ballot);
                self.chosen = match &self.swap {
                    Some((_, value)) => (ballot, Some(value.clone())),
                    None => (last.version, last.value.clone()),
                };
                let (version, value) = self.chosen.clone();
                Step::Write(Sector { promised: ballot, written: ballot, version, value })
            }
            Stage::Written(ballot) if promised > ballot && self.swap.is_some() => Step::Done(Outcome::Unsure),
            Stage::Written(ballot) if promised > ballot => Step::Done(Outcome::Busy),
            Stage::Written(ballot) if self.swap.is_some() => Step::Done(Outcome::Written(ballot)),
            Stage::Written(_) => Step::Done(Outcome::Stands(self.chosen.0, self.chosen.1.clone())),
        }
    }
}

#[cfg(test)]
mod tests;
