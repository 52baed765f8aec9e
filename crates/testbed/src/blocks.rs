//! An application that writes blocks which say whose they are, and the book in which the disk notes in whose turn each one comes.
//!
//! A *run* is one process of the application on one server. As long as one server at a time has the disk, the blocks of one run all
//! come before those of the next; a block of a run behind the first one of a later run is an overlapping write.

use anyhow::{Context, Result};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    fs::{File, OpenOptions},
    io::Write,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
    sync::Mutex,
    time::Duration,
};

use crate::tools::hold;

/// What a block of ours begins with.
const MAGIC: [u8; 16] = *b"mainstay block 1";
/// A block: what file systems and disks write at least.
const BLOCK: usize = 4096;
/// Behind the magic: the server's name, the run, which block of it.
const NAME: usize = 16;
const HEADER: usize = MAGIC.len() + NAME + 8;
/// Blocks that are written in turn.
const RING: u64 = 256;
/// Overlapping writes of a run that are noted one by one.
const NOTED_MAX: u32 = 1000;

/// A process of the application.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    /// Its server.
    pub server: String,
    /// When it began, in microseconds of the machine's clock since boot.
    pub began: u64,
}

impl Run {
    /// The run that a block belongs to; None: it is none of ours.
    pub fn of_block(block: &[u8]) -> Option<Run> {
        let rest = block.get(..HEADER)?.strip_prefix(&MAGIC)?;
        let (name, began) = rest.split_at(NAME);
        let server = String::from_utf8_lossy(name).trim_end_matches('\0').to_string();
        Some(Run { server, began: u64::from_be_bytes(began.try_into().ok()?) })
    }

    fn block(&self, number: u64) -> Vec<u8> {
        let mut block = MAGIC.to_vec();
        let name = self.server.bytes().chain(std::iter::repeat(0)).take(NAME);
        block.extend(name);
        block.extend(self.began.to_be_bytes());
        block.extend(number.to_be_bytes());
        block.resize(BLOCK, 0);
        block
    }
}

impl fmt::Display for Run {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.server, self.began)
    }
}

/// Room that begins where a disk wants it to.
#[repr(align(4096))]
struct Aligned([u8; BLOCK]);

/// Writes blocks to a device until it is killed or the device refuses, each on the disk before the next.
///
/// # Errors
/// The device cannot be opened, or refuses a block.
pub fn write(device: &Path, pause: Duration) -> Result<()> {
    let server = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let run = Run { server, began: now() };
    let flags = libc::O_DIRECT | libc::O_DSYNC;
    let file = OpenOptions::new().write(true).custom_flags(flags).open(device);
    let file = file.with_context(|| format!("cannot open {}", device.display()))?;
    let mut room = Box::new(Aligned([0; BLOCK]));
    for number in 0.. {
        room.0.copy_from_slice(&run.block(number));
        file.write_all_at(&room.0, number % RING * BLOCK as u64)
            .with_context(|| format!("cannot write block {number} to {}", device.display()))?;
        std::thread::sleep(pause);
    }
    Ok(())
}

fn now() -> u64 {
    clp_sys::clock::now().as_micros() as u64
}

/// Notes of the disk, in a file: a line when a run begins, and one for each block that comes behind the first one of a later run.
#[derive(Debug)]
pub struct Book {
    file: File,
    places: Mutex<BTreeMap<u64, Turns>>,
}

/// Of the runs at one place of the disk.
#[derive(Debug, Default)]
struct Turns {
    latest: Option<Run>,
    known: BTreeSet<Run>,
    noted: u32,
}

impl Book {
    /// A new book.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn new(path: &Path) -> Result<Book> {
        let file = File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Book { file, places: Mutex::default() })
    }

    /// A block that has reached the partition which ends there.
    pub fn note(&self, partition: u64, block: &[u8]) {
        let Some(run) = Run::of_block(block) else { return };
        let mut places = hold(&self.places);
        let turns = places.entry(partition).or_default();
        if turns.latest.as_ref() == Some(&run) {
            return;
        }
        let line = match &turns.latest {
            Some(latest) if turns.known.contains(&run) => {
                turns.noted += 1;
                if turns.noted > NOTED_MAX {
                    return;
                }
                format!("{} {partition} {run} overlaps {latest}\n", now())
            }
            _ => {
                let line = format!("{} {partition} {run} begins\n", now());
                turns.known.insert(run.clone());
                turns.latest = Some(run);
                line
            }
        };
        // One call: lines of several threads do not mix.
        let _ = (&self.file).write_all(line.as_bytes());
    }
}

/// What a book says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// Server and time of each run's first block, in their order.
    pub runs: Vec<(String, u64)>,
    /// Blocks that came behind the first one of a later run, and when.
    pub overlaps: Vec<u64>,
    /// The longest time from a run's first block to a block of an earlier one.
    pub longest: Duration,
}

/// Read a book, also while it is written.
pub fn read(path: &Path) -> Reading {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut reading = Reading::default();
    for line in text.lines() {
        let mut words = line.split(' ');
        let (Some(at), Some(_), Some(run), Some(what)) =
            (words.next().and_then(|at| at.parse().ok()), words.next(), words.next(), words.next())
        else {
            continue;
        };
        if what == "begins" {
            let server = run.split('.').next().unwrap_or_default();
            reading.runs.push((server.to_string(), at));
        } else {
            reading.overlaps.push(at);
            let since = reading.runs.last().map_or(at, |(_, began)| *began);
            reading.longest = reading.longest.max(Duration::from_micros(at.saturating_sub(since)));
        }
    }
    reading
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(server: &str, began: u64) -> Run {
        Run { server: server.into(), began }
    }

    #[test]
    fn a_block_says_whose_it_is_and_others_do_not() {
        let one = run("server1", 42);
        assert_eq!(Run::of_block(&one.block(7)), Some(one));
        assert_eq!(Run::of_block(&[0; BLOCK]), None);
        assert_eq!(Run::of_block(&MAGIC), None);
    }

    #[test]
    fn a_run_that_writes_behind_a_later_one_is_an_overlap_and_one_that_comes_back_as_another_run_is_not() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("book");
        let book = Book::new(&path).expect("made");
        let (first, second, third) = (run("server1", 1), run("server2", 2), run("server1", 3));
        for (turn, of) in [&first, &first, &second, &second, &third].into_iter().enumerate() {
            book.note(0, &of.block(turn as u64));
        }
        let reading = read(&path);
        assert_eq!(reading.runs.iter().map(|(server, _)| server.as_str()).collect::<Vec<_>>(), ["server1", "server2", "server1"]);
        assert_eq!(reading.overlaps.len(), 0);
        book.note(0, &first.block(9));
        book.note(0, &third.block(10));
        book.note(0, &second.block(11));
        // Another partition has turns of its own.
        book.note(8, &second.block(12));
        assert_eq!(read(&path).overlaps.len(), 2);
    }
}
