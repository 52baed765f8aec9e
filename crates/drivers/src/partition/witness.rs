//! A cluster's record at a witness (`clpwitness`), over HTTP and sealed (`clp_protocol::witness`).
//!
//! A connection is kept between questions; every step ends with the question. Which record the witness keeps is remembered on this
//! server's disk: one that was begun anew, because the witness lost its state, and one that went back to an old state are not
//! believed, since they have forgotten who may go on. An administrator says when a new one is to be trusted (`clpwitness --accept`).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clp_core::arbiter::Record;
use clp_protocol::witness::http;
use clp_protocol::witness::{Answer, Key, Request, SEALED_MAX, Ticket, Version, open_answer, seal_request};

use super::line::{Line, plain, words};
use super::memory::{Memory, Sign};
use super::{Register, Seen};

/// What helps when an old copy of its state was put back.
const REMEDY: &str = "on the witness remove the cluster, then add it";

/// The record of this cluster at a witness.
pub struct Witness {
    address: SocketAddr,
    key: Key,
    line: Option<Line>,
    /// From the last reading, for the swap that follows it.
    ticket: Option<Ticket>,
    memory: Memory,
}

impl Witness {
    /// At an address. `memory`: the file that remembers which record is trusted.
    pub fn new(address: SocketAddr, key: Key, memory: PathBuf) -> Witness {
        Witness { address, key, line: None, ticket: None, memory: Memory::new(memory, REMEDY.into()) }
    }

    /// Ask; `again`: once more on a new connection when the kept one is of no use.
    fn ask(&mut self, request: &Request, until: Instant, again: bool) -> Result<Answer, String> {
        let (sealed, salt) = seal_request(&self.key, request).map_err(|cause| cause.to_string())?;
        let bytes = http::request(&self.address.to_string(), &sealed);
        let kept = self.line.take().map(|line| {
            let now = Instant::now();
            // A connection that died unnoticed must not take all of the time.
            let until = if again { now + until.saturating_duration_since(now) / 2 } else { until };
            line.talk(&bytes, SEALED_MAX, until)
        });
        let talked = match kept {
            Some(Ok(talked)) => talked,
            Some(Err(cause)) if !again => return Err(words(&cause)),
            _ => Line::connect(self.address, until)
                .and_then(|line| line.talk(&bytes, SEALED_MAX, until))
                .map_err(|cause| words(&cause))?,
        };
        self.line = talked.line;
        if talked.status != 200 {
            return Err(format!("it says {}: {}", talked.status, plain(&talked.body)));
        }
        open_answer(&self.key, salt, &talked.body).map_err(|cause| format!("its answer is not used: {cause}"))
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
                self.memory.check(Some(&sign(version)))?;
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
                self.memory.wrote(sign(*version));
                Ok(true)
            }
            Answer::Other => Ok(false),
            Answer::Late => Err("it was started anew or is slow; its record was not written".into()),
            Answer::Failed { reason, .. } => Err(reason),
            other => Err(format!("it answers something else: {other:?}")),
        }
    }
}

fn sign(version: Version) -> Sign {
    Sign { record: version.record.iter().map(|byte| format!("{byte:02x}")).collect(), count: version.count, tag: version.tag }
}
