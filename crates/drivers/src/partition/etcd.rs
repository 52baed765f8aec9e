//! A cluster's record in an etcd, under one key, over its JSON gateway (`clp_protocol::etcd`).
//!
//! Any member answers for all of them, so one is asked after the other, beginning with the one that answered last: each gets an equal part
//! of the time that is left, so that a member that is dead or stands still does not use it up. A swap is sent to one member only. Which
//! record is trusted is remembered as that of a witness is (`memory.rs`): its name holds etcd's `cluster_id` and a number that is drawn when
//! the key is first written, and etcd's revision must not go back.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

use clp_core::arbiter::Record;
use clp_protocol::etcd::{ANSWER_MAX, At, Kept, RANGE, Stored, TXN, range, read_range, read_swap, swap};
use clp_protocol::witness::{KeyId, http};

use super::line::{Line, Talked, is_late, plain, words};
use super::memory::{Memory, Sign};
use super::tls::Files;
use super::{Register, Seen};

const JSON: &str = "application/json";

/// The record of this cluster in an etcd.
pub struct Etcd {
    members: Vec<Member>,
    /// Who is asked first.
    first: usize,
    /// None: without TLS.
    tls: Option<Files>,
    key: String,
    /// Which cluster the record is of.
    cluster: [u8; 16],
    memory: Memory,
}

/// Where a member listens for clients.
struct Member {
    address: SocketAddr,
    line: Option<Line>,
}

/// What was read.
#[derive(Debug, Clone)]
pub struct Version {
    at: At,
    kept: Option<Kept>,
    /// Of the record; None: there is none.
    name: Option<[u8; 16]>,
}

/// Other keys are written, too: the store's revision says nothing about this one.
impl PartialEq for Version {
    fn eq(&self, other: &Version) -> bool {
        self.at.store == other.at.store && self.kept == other.kept
    }
}

impl Etcd {
    /// With its members, the key, which cluster the record is of, and the file that remembers which record is trusted; without TLS.
    pub fn new(members: &[SocketAddr], key: String, cluster: KeyId, memory: PathBuf) -> Etcd {
        let remedy = format!("remove {key} from it (etcdctl del), then trust what is written there next");
        let members = members.iter().map(|address| Member { address: *address, line: None }).collect();
        Etcd { members, first: 0, tls: None, key, cluster: cluster.0, memory: Memory::new(memory, remedy) }
    }

    /// With TLS.
    #[must_use]
    pub fn with_tls(mut self, files: Files) -> Etcd {
        self.tls = Some(files);
        self
    }

    /// Read from one member.
    fn read_from(&mut self, index: usize, until: Instant) -> Result<Seen<Version>, String> {
        let alone = self.members.len() == 1;
        let member = &mut self.members[index];
        let bytes = http::post(RANGE, &member.address.to_string(), JSON, &range(&self.key));
        let kept = member.line.take().map(|line| {
            let now = Instant::now();
            // A connection that died unnoticed must not take all of the time, unless others are asked after it.
            let until = if alone { now + until.saturating_duration_since(now) / 2 } else { until };
            line.talk(&bytes, ANSWER_MAX, until)
        });
        let talked = match kept {
            Some(Ok(talked)) => talked,
            Some(Err(cause)) if is_late(&cause) && !alone => return Err(words(&cause)),
            _ => member
                .fresh(self.tls.as_ref(), until)
                .and_then(|line| line.talk(&bytes, ANSWER_MAX, until))
                .map_err(|cause| words(&cause))?,
        };
        member.line = talked.line;
        let (at, kept) =
            read_range(&self.key, talked.status, &talked.body).map_err(|cause| plain(cause.to_string().as_bytes()))?;
        let stored = match &kept {
            None => None,
            Some(kept) => Some(Stored::from_bytes(&kept.value).ok_or_else(|| {
                format!("something else stands under {}; give the resolution another prefix, or remove that key", self.key)
            })?),
        };
        if stored.as_ref().is_some_and(|stored| stored.cluster != self.cluster) {
            return Err(format!(
                "{} holds the record of another cluster, or of this one before it had its key; give the resolution another prefix, or remove that key",
                self.key
            ));
        }
        self.memory.check(stored.as_ref().zip(kept.as_ref()).map(|(stored, kept)| sign(at, stored.name, kept)).as_ref())?;
        let name = stored.as_ref().map(|stored| stored.name);
        let record = stored.map(|stored| stored.record);
        Ok(Seen { record, version: Version { at, kept, name }, stood: std::time::Duration::ZERO })
    }

    /// Send it to one member, to another only where nothing was sent.
    fn send(&mut self, bytes: impl Fn(SocketAddr) -> Vec<u8>, until: Instant) -> Result<io::Result<Talked>, String> {
        let mut problems = Vec::new();
        for index in self.order() {
            let share = self.share(problems.len(), until);
            let member = &mut self.members[index];
            let line = match member.line.take() {
                Some(line) => line,
                None => match member.fresh(self.tls.as_ref(), share) {
                    Ok(line) => line,
                    Err(cause) => {
                        problems.push((member.address, words(&cause)));
                        continue;
                    }
                },
            };
            self.first = index;
            return Ok(line.talk(&bytes(member.address), ANSWER_MAX, until));
        }
        Err(told(&problems))
    }

    /// Who is asked, one after the other.
    fn order(&self) -> Vec<usize> {
        (0..self.members.len()).map(|turn| (self.first + turn) % self.members.len()).collect()
    }

    /// Until when the next one is waited for after so many.
    fn share(&self, asked: usize, until: Instant) -> Instant {
        let now = Instant::now();
        let missing = u32::try_from(self.members.len() - asked).unwrap_or(1).max(1);
        now + until.saturating_duration_since(now) / missing
    }
}

impl Member {
    fn fresh(&self, tls: Option<&Files>, until: Instant) -> io::Result<Line> {
        match tls {
            None => Line::connect(self.address, until),
            Some(files) => Line::connect_tls(self.address, files.read().map_err(io::Error::other)?, until),
        }
    }
}

/// Who said what; what several said is told once.
fn told(problems: &[(SocketAddr, String)]) -> String {
    let mut causes: Vec<(&str, Vec<String>)> = Vec::new();
    for (address, cause) in problems {
        match causes.iter_mut().find(|(known, _)| known == cause) {
            Some((_, addresses)) => addresses.push(address.to_string()),
            None => causes.push((cause, vec![address.to_string()])),
        }
    }
    let causes: Vec<String> = causes.iter().map(|(cause, addresses)| format!("{}: {cause}", addresses.join(", "))).collect();
    causes.join("; ")
}

fn sign(at: At, name: [u8; 16], kept: &Kept) -> Sign {
    let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
    // Of the key's revision the low half is enough beside that of the store.
    let tag = u64::from(crc32c::crc32c(&kept.value)) << 32 | (kept.revision & u64::from(u32::MAX));
    Sign { record: format!("{:016x}-{name}", at.store), count: at.revision, tag }
}

impl Register for Etcd {
    type Version = Version;

    fn place(&self) -> String {
        let first = self.members.first().map(|member| member.address.to_string()).unwrap_or_default();
        match self.members.len() - 1 {
            0 => format!("etcd {first}"),
            more => format!("etcd {first} and {more} more"),
        }
    }

    fn read(&mut self, until: Instant) -> Result<Seen<Version>, String> {
        let mut problems = Vec::new();
        for index in self.order() {
            let share = self.share(problems.len(), until);
            match self.read_from(index, share) {
                Ok(seen) => {
                    self.first = index;
                    return Ok(seen);
                }
                Err(cause) => problems.push((self.members[index].address, cause)),
            }
        }
        Err(told(&problems))
    }

    fn swap(&mut self, version: &Version, record: &Record, until: Instant) -> Result<bool, String> {
        let stored = match version.name {
            Some(name) => Stored { name, cluster: self.cluster, record: record.clone() },
            None => Stored::fresh(self.cluster, record.clone()).map_err(|cause| cause.to_string())?,
        };
        let value = stored.to_bytes();
        let body = swap(&self.key, version.kept.as_ref(), &value);
        let talked = self.send(|address| http::post(TXN, &address.to_string(), JSON, &body), until)?;
        let asked = self.first;
        let answered = talked.map_err(|cause| words(&cause)).and_then(|talked| {
            self.members[asked].line = talked.line;
            read_swap(talked.status, &talked.body).map_err(|cause| plain(cause.to_string().as_bytes()))
        });
        let unsure = |cause: &str| format!("whether its record was written is not known: {cause}");
        match answered {
            Ok((_, false)) => Ok(false),
            Ok((at, true)) if at.store == version.at.store => {
                let kept = Kept { revision: at.revision, value };
                self.memory.check(Some(&sign(at, stored.name, &kept))).map_err(|cause| unsure(&cause))?;
                Ok(true)
            }
            Ok((_, true)) => Err(unsure("another etcd answered than before")),
            Err(cause) => {
                // The next question begins with another member.
                self.first = (asked + 1) % self.members.len();
                Err(unsure(&format!("{}: {cause}", self.members[asked].address)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_members_said_is_told_once() {
        let at = |last: u8| SocketAddr::from(([10, 0, 0, last], 2379));
        let problems = [(at(1), "no".to_string()), (at(2), "late".to_string()), (at(3), "no".to_string())];
        assert_eq!(told(&problems), "10.0.0.1:2379, 10.0.0.3:2379: no; 10.0.0.2:2379: late");
        let members: Vec<SocketAddr> = (1..4).map(at).collect();
        let key = clp_protocol::witness::Key::derive(&[7; 32], "c").id();
        let mut etcd = Etcd::new(&members, "/m/c".into(), key, PathBuf::new());
        etcd.first = 2;
        assert_eq!(etcd.order(), [2, 0, 1], "beginning with the one that answered last, all of them");
    }
}
