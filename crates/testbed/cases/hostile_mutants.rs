//! Hostile input: random bytes, and valid input that was changed. The same in every run. Not a case itself.

/// A long run: `LONG=1`, as with `make bench`.
pub const LONG: &str = "LONG";

/// Does somebody want a long run?
pub fn is_long() -> bool {
    std::env::var_os(LONG).is_some_and(|value| !value.is_empty())
}

/// Inputs of each kind for each door: a hundred thousand, a million in a long run.
pub fn inputs() -> u64 {
    if is_long() { 1_000_000 } else { 100_000 }
}

/// Longest random input: a packet of an ordinary LAN.
const RANDOM_MAX: usize = 1400;
/// Nothing grows beyond this by splicing and extending.
const MUTANT_MAX: usize = 3800;
/// Numbers that counts and lengths do not expect.
const EXTREMES: [u64; 8] = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF_FFFF, 0xFFFF_FFFF, u64::MAX];

/// Numbers without a pattern (xorshift64).
pub struct Random(u64);

impl Random {
    /// The same numbers for the same seed, which is not zero.
    pub fn new(seed: u64) -> Random {
        Random(seed | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `limit`, which is not zero.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// Random bytes; now and then with the beginning of something valid, so that they get further.
    pub fn bytes(&mut self, valid: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = vec![0; self.below(RANDOM_MAX)];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
        if self.below(2) == 0 && !valid.is_empty() {
            let whole = &valid[self.below(valid.len())];
            let head = self.below(whole.len().min(bytes.len()) + 1);
            bytes[..head].copy_from_slice(&whole[..head]);
        }
        bytes
    }

    /// One of the valid inputs, changed in one to four ways.
    pub fn mutant(&mut self, valid: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = valid[self.below(valid.len())].clone();
        for _ in 0..=self.below(4) {
            self.change(&mut bytes, valid);
        }
        bytes.truncate(MUTANT_MAX);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, valid: &[Vec<u8>]) {
        if bytes.is_empty() {
            bytes.push(self.next().to_le_bytes()[0]);
        }
        let at = self.below(bytes.len());
        match self.below(9) {
            0 => bytes[at] ^= 1 << self.below(8),
            1 => bytes[at] = self.next().to_le_bytes()[0],
            // A field or a count of one, two, four or eight bytes.
            2 | 3 => {
                let extreme = EXTREMES[self.below(EXTREMES.len())].wrapping_add(self.next() & 1).to_be_bytes();
                let width = [1, 2, 4, 8][self.below(4)].min(bytes.len() - at);
                bytes[at..at + width].copy_from_slice(&extreme[8 - width..]);
            }
            4 => bytes.truncate(at),
            5 => bytes.extend_from_within(at..),
            6 => drop(bytes.drain(at..(at + 1 + self.below(8)).min(bytes.len()))),
            7 => {
                let more = self.next().to_le_bytes();
                bytes.splice(at..at, more.into_iter().take(1 + (at & 7)));
            }
            _ => {
                let other = &valid[self.below(valid.len())];
                bytes.truncate(at);
                bytes.extend_from_slice(&other[self.below(other.len() + 1)..]);
            }
        }
    }
}
