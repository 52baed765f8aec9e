//! A cluster on the disk: its key and its record in one file, so that who has lost the record has lost the key too.
//!
//! The file has two places, each of a block. A write goes in place to the one that holds the older state, and is on the disk before
//! anybody hears of it. So a full disk stops no write, and a write that a crash tore leaves the state before it, of which nobody was
//! told otherwise. The file never grows, shrinks or moves.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use clp_core::arbiter::Record;
use clp_protocol::witness::{Key, Version};
use minicbor::{Decode, Encode};

/// What a place begins with; the last byte is the version of what follows.
const MAGIC: [u8; 8] = *b"CLPWIT\0\x01";
/// A block of the usual disks.
const PLACE: usize = 4096;
/// Magic, length, checksum.
const HEADER: usize = 16;
/// Longest name of a cluster in bytes.
pub const NAME_MAX: usize = 255;

/// What is kept of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct State {
    /// For people; keys tell clusters apart.
    #[n(0)]
    pub name: String,
    #[cbor(n(1), with = "minicbor::bytes")]
    key: [u8; 32],
    /// Which write this is.
    #[n(2)]
    pub version: Version,
    /// None: nothing was ever written.
    #[n(3)]
    pub record: Option<Record>,
    /// When, in seconds of the wall clock; for showing.
    #[n(4)]
    pub written: u64,
}

impl State {
    /// Of a cluster that was never written for.
    pub fn fresh(name: &str, key: &Key, version: Version) -> State {
        State { name: name.into(), key: *key.bytes(), version, record: None, written: clp_sys::clock::wall().as_secs() }
    }

    /// The key it shares with its cluster.
    pub fn key(&self) -> Key {
        Key::from_bytes(self.key)
    }

    /// With another record in place of this one. `tag`: at random.
    pub fn next(&self, tag: u64, record: Record) -> State {
        let version = Version { count: self.version.count + 1, tag, ..self.version };
        State { version, record: Some(record), written: clp_sys::clock::wall().as_secs(), ..self.clone() }
    }

    fn place(&self) -> u64 {
        (self.version.count % 2) * PLACE as u64
    }

    fn block(&self) -> Vec<u8> {
        let body = minicbor::to_vec(self).expect("encoding into memory cannot fail");
        assert!(HEADER + body.len() <= PLACE, "a name is short and all else has a length");
        let mut block = vec![0u8; PLACE];
        block[..8].copy_from_slice(&MAGIC);
        block[8..12].copy_from_slice(&u32::try_from(body.len()).expect("shorter than a block").to_be_bytes());
        block[12..16].copy_from_slice(&crc32c::crc32c(&body).to_be_bytes());
        block[HEADER..HEADER + body.len()].copy_from_slice(&body);
        block
    }

    fn of_block(block: &[u8]) -> Option<State> {
        let number = |at: usize| Some(u32::from_be_bytes(block.get(at..at + 4)?.try_into().ok()?));
        let body = block.get(HEADER..)?.get(..usize::try_from(number(8)?).ok()?)?;
        (block[..8] == MAGIC && number(12)? == crc32c::crc32c(body)).then(|| minicbor::decode(body).ok())?
    }
}

/// Why a state is not on the disk.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It was not written, and the one before it stands.
    #[error("it cannot be written: {0}")]
    Refused(#[source] io::Error),
    /// Only the next start shows which of the two stands.
    #[error("it is not certain that it was written: {0}")]
    Unsure(#[source] io::Error),
}

/// Make the file of a new cluster; on the disk when this returns, and there whole or not at all.
///
/// # Errors
/// It is there already, or cannot be made.
pub fn make(path: &Path, state: &State) -> io::Result<()> {
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    let fresh = path.with_extension("new");
    let _ = std::fs::remove_file(&fresh);
    let made = (|| {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        // Whoever adds a cluster may be root, and the witness is not.
        let owner = std::fs::metadata(directory)?;
        if owner.uid() != file.metadata()?.uid() {
            std::os::unix::fs::fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
        }
        file.write_all_at(&[0u8; PLACE * 2], 0)?;
        file.write_all_at(&state.block(), state.place())?;
        file.sync_all()?;
        // A link fails where the file is there, as a rename would not.
        std::fs::hard_link(&fresh, path)
    })();
    let _ = std::fs::remove_file(&fresh);
    made?;
    File::open(directory)?.sync_all()
}

/// Open the file of a cluster.
///
/// # Errors
/// It is not there, cannot be read, or holds no state.
pub fn open(path: &Path, write: bool) -> io::Result<(File, State)> {
    let file = OpenOptions::new().read(true).write(write).open(path)?;
    let mut bytes = [0u8; PLACE * 2];
    file.read_exact_at(&mut bytes, 0)?;
    let states = bytes.chunks(PLACE).filter_map(State::of_block);
    let newest = states.max_by_key(|state| state.version.count);
    let state = newest.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it holds no state that can be read"))?;
    Ok((file, state))
}

/// Write a state in place of the older one; on the disk when this returns.
///
/// # Errors
/// [`WriteError`].
pub fn write(file: &File, state: &State) -> Result<(), WriteError> {
    if let Err(cause) = file.write_all_at(&state.block(), state.place()) {
        // What came through may be all that the next start needs; a part of it passes for no state.
        let mut block = [0u8; PLACE];
        let refused = file.read_exact_at(&mut block, state.place()).is_ok() && State::of_block(&block).as_ref() != Some(state);
        return Err(if refused { WriteError::Refused(cause) } else { WriteError::Unsure(cause) });
    }
    file.sync_data().map_err(WriteError::Unsure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clp_core::ids::{ServerId, ServerSet};

    fn states(count: u64) -> Vec<State> {
        let key = Key::derive(&[7; 32], "c");
        let state = |count| {
            let version = Version { record: [1; 16], count, tag: count * 7 };
            let members = ServerSet::all(usize::try_from(count % 3).expect("small"));
            let record = Record { members, lasting: false, by: ServerId::at(0), incarnation: 1, number: count };
            State { record: Some(record), ..State::fresh(&"n".repeat(NAME_MAX), &key, version) }
        };
        (0..count).map(state).collect()
    }

    #[test]
    fn a_write_that_was_torn_anywhere_leaves_the_state_before_it() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("c");
        let states = states(6);
        make(&path, &states[0]).expect("made");
        assert!(make(&path, &states[0]).is_err(), "nothing is made anew");
        assert_eq!(std::fs::read_dir(directory.path()).expect("directory").count(), 1);
        for pair in states.windows(2) {
            let (file, seen) = open(&path, true).expect("whole");
            assert_eq!(seen, pair[0]);
            let block = pair[1].block();
            let end = HEADER + minicbor::to_vec(&pair[1]).expect("memory").len();
            let before = std::fs::read(&path).expect("whole");
            // Its last bytes may be those that stood there.
            let place = &before[usize::try_from(pair[1].place()).expect("small")..][..end];
            let differs = (0..end).rev().find(|at| place[*at] != block[*at]).expect("another state");
            for torn in (0..differs).step_by(7) {
                file.write_all_at(&before, 0).expect("written");
                file.write_all_at(&block[..torn], pair[1].place()).expect("written");
                assert_eq!(open(&path, false).expect("whole").1, pair[0], "{torn} bytes");
            }
            write(&file, &pair[1]).expect("written");
            assert_eq!(open(&path, false).expect("whole").1, pair[1]);
        }
    }

    #[test]
    fn what_is_damaged_is_no_empty_record() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("c");
        make(&path, &states(1)[0]).expect("made");
        for length in [0, PLACE as u64, PLACE as u64 * 2] {
            let file = OpenOptions::new().write(true).open(&path).expect("there");
            file.set_len(0).and_then(|()| file.set_len(length)).expect("cut");
            assert!(open(&path, false).is_err(), "{length}");
        }
    }
}
