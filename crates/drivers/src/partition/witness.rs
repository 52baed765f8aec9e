//! A cluster's record at a witness (`clpwitness`), over HTTP and sealed (`clp_protocol::witness`).
//!
//! A connection is kept between questions; every step ends with the question. Which record the witness keeps is remembered on this
//! server's disk: one that was begun anew, because the witness lost its state, and one that went back to an old state are not
//! believed, since they have forgotten who may go on. An administrator says when a new one is to be trusted (`clpwitness --accept`).

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clp_core::arbiter::Record;
use clp_protocol::witness::http::{self, HEAD_MAX};
use clp_protocol::witness::{Answer, Key, Request, SEALED_MAX, Ticket, Version, open_answer, seal_request};

use super::{Register, Seen};

/// Of what a witness says in plain words so much is shown.
const WORDS_MAX: usize = 120;

/// The record of this cluster at a witness.
pub struct Witness {
    address: SocketAddr,
    key: Key,
    line: Option<TcpStream>,
    /// From the last reading, for the swap that follows it.
    ticket: Option<Ticket>,
    memory: Memory,
}

impl Witness {
    /// At an address. `memory`: the file that remembers which record is trusted.
    pub fn new(address: SocketAddr, key: Key, memory: PathBuf) -> Witness {
        Witness {
            address,
            key,
            line: None,
            ticket: None,
            memory: Memory { path: memory, trusted: None, newest: None, wrote: false },
        }
    }

    /// Ask; `again`: once more on a new connection when the kept one is of no use.
    fn ask(&mut self, request: &Request, until: Instant, again: bool) -> Result<Answer, String> {
        let (sealed, salt) = seal_request(&self.key, request).map_err(|cause| cause.to_string())?;
        let bytes = http::request(&self.address.to_string(), &sealed);
        let kept = self.line.take().map(|line| {
            let now = Instant::now();
            // A connection that died unnoticed must not take all of the time.
            talk(line, &bytes, if again { now + until.saturating_duration_since(now) / 2 } else { until })
        });
        let talked = match kept {
            Some(Ok(talked)) => talked,
            Some(Err(cause)) if !again => return Err(words(&cause)),
            _ => self.connect(until).and_then(|line| talk(line, &bytes, until)).map_err(|cause| words(&cause))?,
        };
        self.line = talked.line;
        if talked.status != 200 {
            return Err(format!("it says {}: {}", talked.status, plain(&talked.body)));
        }
        open_answer(&self.key, salt, &talked.body).map_err(|cause| format!("its answer is not used: {cause}"))
    }

    fn connect(&self, until: Instant) -> io::Result<TcpStream> {
        let line = TcpStream::connect_timeout(&self.address, left(until)?)?;
        line.set_nodelay(true)?;
        Ok(line)
    }
}

impl Register for Witness {
    type Version = Version;

    fn place(&self) -> String {
        format!("witness {}", self.address)
    }

    fn read(&mut self, until: Instant) -> Result<Seen<Version>, String> {
        self.ticket = None;
        match self.ask(&Request::Read, until, true)? {
            Answer::Stands { version, record, stood, ticket } => {
                self.memory.check(version)?;
                self.ticket = Some(ticket);
                Ok(Seen { record, version, stood: Duration::from_millis(stood) })
            }
            Answer::Failed { reason, .. } => Err(reason),
            other => Err(format!("it answers something else: {other:?}")),
        }
    }

    fn swap(&mut self, version: &Version, record: &Record, until: Instant) -> Result<bool, String> {
        let ticket = self.ticket.take().ok_or("its record was not read before")?;
        let swap = Request::Swap { version: *version, ticket, record: record.clone() };
        match self.ask(&swap, until, false).map_err(|cause| format!("whether its record was written is not known: {cause}"))? {
            Answer::Swapped => {
                self.memory.wrote(*version);
                Ok(true)
            }
            Answer::Other => Ok(false),
            Answer::Late => Err("it was started anew or is slow; its record was not written".into()),
            Answer::Failed { reason, .. } => Err(reason),
            other => Err(format!("it answers something else: {other:?}")),
        }
    }
}

/// What came back.
struct Talked {
    status: u16,
    body: Vec<u8>,
    /// The connection, if it goes on.
    line: Option<TcpStream>,
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn talk(mut line: TcpStream, mut request: &[u8], until: Instant) -> io::Result<Talked> {
    while !request.is_empty() {
        line.set_write_timeout(Some(left(until)?))?;
        let count = line.write(request)?;
        request = &request[count..];
    }
    let mut bytes = Vec::new();
    loop {
        let malformed = |cause: &dyn std::fmt::Display| io::Error::new(io::ErrorKind::InvalidData, cause.to_string());
        if let Some(head) = http::read_answer(&bytes).map_err(|cause| malformed(&cause))? {
            if head.body > SEALED_MAX {
                return Err(malformed(&"its answer is too long"));
            }
            if bytes.len() >= head.length + head.body {
                let body = bytes[head.length..head.length + head.body].to_vec();
                let is_over = head.closes || bytes.len() > head.length + head.body;
                return Ok(Talked { status: head.first, body, line: (!is_over).then_some(line) });
            }
        }
        let mut more = [0u8; HEAD_MAX];
        line.set_read_timeout(Some(left(until)?))?;
        match line.read(&mut more)? {
            0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended the connection")),
            count => bytes.extend_from_slice(&more[..count]),
        }
    }
}

fn words(cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "no answer in time".into(),
        _ => cause.to_string(),
    }
}

/// As much of what a stranger may have said as is fit to be shown.
fn plain(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    text.trim().chars().take(WORDS_MAX).map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// Which record is trusted.
struct Memory {
    path: PathBuf,
    /// By this life, and whether the file says the same.
    trusted: Option<([u8; 16], bool)>,
    /// The newest version that was read.
    newest: Option<Version>,
    /// This life replaced it.
    wrote: bool,
}

impl Memory {
    fn check(&mut self, version: Version) -> Result<(), String> {
        self.trust(version.record)?;
        if let Some(newest) = self.newest.filter(|newest| newest.record == version.record) {
            let least = newest.count + u64::from(self.wrote);
            if version.count < least || (version.count == newest.count && version.tag != newest.tag) {
                return Err(format!(
                    "its record went back from write {least} to {}: an old copy of its state was put back; on the witness remove the cluster, then add it",
                    version.count
                ));
            }
        }
        (self.newest, self.wrote) = (Some(version), false);
        Ok(())
    }

    /// The version was replaced by another one of this server.
    fn wrote(&mut self, version: Version) {
        (self.newest, self.wrote) = (Some(version), true);
    }

    fn trust(&mut self, record: [u8; 16]) -> Result<(), String> {
        if self.trusted == Some((record, true)) {
            return Ok(());
        }
        let anew = || {
            let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            format!(
                "its record was begun anew, so it has forgotten who may go on; when every server is online or switched off, say clpwitness --accept {name} on each"
            )
        };
        match std::fs::read_to_string(&self.path) {
            Ok(text) if text.trim() == name(record) => {}
            Ok(_) => return Err(anew()),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                // What could not be remembered on the disk is remembered by this life all the same.
                if self.trusted.is_some_and(|(trusted, kept)| trusted != record && !kept) {
                    return Err(anew());
                }
                self.trusted = Some((record, keep(&self.path, &name(record)).is_ok()));
                return Ok(());
            }
            Err(cause) => return Err(format!("{} cannot be read: {cause}", self.path.display())),
        }
        self.trusted = Some((record, true));
        Ok(())
    }
}

fn name(record: [u8; 16]) -> String {
    record.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Write the file, so that it is there whole or not at all.
fn keep(path: &Path, text: &str) -> io::Result<()> {
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(directory)?;
    let fresh = path.with_extension("new");
    let mut file = std::fs::File::create(&fresh)?;
    file.write_all(format!("{text}\n").as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    std::fs::File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(record: u8, count: u64, tag: u64) -> Version {
        Version { record: [record; 16], count, tag }
    }

    fn memory(path: PathBuf) -> Memory {
        Memory { path, trusted: None, newest: None, wrote: false }
    }

    #[test]
    fn a_record_that_was_begun_anew_is_trusted_when_that_is_said_and_by_no_restart() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("witness/httpnp1");
        let mut first = memory(path.clone());
        assert_eq!(first.check(version(1, 5, 5)), Ok(()));
        for life in [&mut first, &mut memory(path.clone())] {
            let refused = life.check(version(2, 0, 0)).expect_err("forgotten");
            assert!(refused.contains("clpwitness --accept httpnp1"), "{refused}");
            assert_eq!(life.check(version(1, 6, 6)), Ok(()), "the one before is still trusted");
        }
        std::fs::remove_file(&path).expect("there");
        assert_eq!(first.check(version(2, 0, 0)), Ok(()));
        assert!(first.check(version(1, 7, 7)).is_err());
        assert_eq!(memory(path).check(version(2, 1, 1)), Ok(()), "it is remembered");
    }

    #[test]
    fn a_record_that_went_back_is_not_believed() {
        let directory = tempfile::tempdir().expect("directory");
        let mut memory = memory(directory.path().join("httpnp1"));
        assert_eq!(memory.check(version(1, 5, 55)), Ok(()));
        assert_eq!(memory.check(version(1, 5, 55)), Ok(()));
        assert!(memory.check(version(1, 4, 44)).expect_err("old").contains("from write 5 to 4"));
        assert!(memory.check(version(1, 5, 56)).is_err(), "the same number of another write");
        assert_eq!(memory.check(version(1, 6, 66)), Ok(()));
        memory.wrote(version(1, 6, 66));
        assert!(memory.check(version(1, 6, 66)).expect_err("its own write is gone").contains("from write 7 to 6"));
        assert_eq!(memory.check(version(1, 7, 77)), Ok(()));
    }

    #[test]
    fn what_cannot_be_remembered_on_the_disk_is_remembered_by_this_life() {
        let directory = tempfile::tempdir().expect("directory");
        let file = directory.path().join("file");
        std::fs::write(&file, "").expect("written");
        // A file where a directory would have to be.
        let mut memory = memory(file.join("httpnp1"));
        let refused = memory.check(version(1, 0, 0));
        // Not a directory is not the same as not there: then nothing is believed.
        assert!(refused.is_err(), "{refused:?}");
        let folder = directory.path().join("folder");
        let mut memory = Memory { path: folder.join("httpnp1"), trusted: Some(([1; 16], false)), newest: None, wrote: false };
        assert!(memory.check(version(2, 0, 0)).is_err());
        assert_eq!(memory.check(version(1, 0, 0)), Ok(()));
        assert!(folder.join("httpnp1").exists(), "it is tried again");
    }
}
