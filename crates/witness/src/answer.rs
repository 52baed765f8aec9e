//! What a request gets: the record, a swap, or words that say why not.

use std::sync::Arc;
use std::time::Instant;

use clp_core::arbiter::Record;
use clp_protocol::seal::OpenError;
use clp_protocol::witness::{self, Answer, Request, SWAP_WITHIN, Ticket};

use crate::pace::{Matter, Pace};
use crate::state::WriteError;
use crate::store::{Cluster, Kept, Store};

/// What answers all clusters.
pub struct Witness {
    /// Their records.
    pub store: Store,
    /// The log.
    pub pace: Pace,
    /// Names this run in tickets.
    run: u64,
    begun: Instant,
}

/// An answer.
pub enum Reply {
    /// To a request that opened.
    Sealed(Vec<u8>, Arc<Cluster>),
    /// To anything else: a status and words.
    Plain(u16, &'static str),
}

impl Witness {
    /// For a run that nobody has seen yet. `run`: at random.
    pub fn new(store: Store, run: u64) -> Witness {
        Witness { store, pace: Pace::default(), run, begun: Instant::now() }
    }

    /// Answer a sealed request.
    pub fn answer(&self, bytes: &[u8]) -> Reply {
        let words = |error| match error {
            OpenError::Version => "the request is of another version of this product",
            OpenError::Foreign => "this is no request of this product",
            _ => "the request does not open with the key of its cluster",
        };
        let id = match witness::claimed(bytes) {
            Ok(id) => id,
            Err(error) => return Reply::Plain(400, words(error)),
        };
        let cluster = match self.store.find(id) {
            Ok(Some(cluster)) => cluster,
            Ok(None) => return Reply::Plain(404, "this witness does not know the cluster: clpwitness --add on the witness"),
            Err(cause) => {
                let name = crate::store::path(std::path::Path::new(""), id);
                self.pace.tell(Matter::Storage, &format!("{} cannot be read: {cause}", name.display()));
                return Reply::Plain(503, "the cluster's state on the witness cannot be read");
            }
        };
        let (request, salt) = match witness::open_request(&cluster.key, bytes) {
            Ok(opened) => opened,
            Err(error) => return Reply::Plain(403, words(error)),
        };
        let answer = self.carry_out(&cluster, request);
        match witness::seal_answer(&cluster.key, salt, &answer) {
            Ok(sealed) => Reply::Sealed(sealed, cluster),
            Err(_) => Reply::Plain(503, "the witness has no random numbers"),
        }
    }

    fn carry_out(&self, cluster: &Cluster, request: Request) -> Answer {
        let failed = |reason: String, unsure| Answer::Failed { reason, unsure };
        let Some(mut kept) = cluster.kept() else {
            return failed("too many requests wait for the disk of the witness".into(), false);
        };
        if let Some(cause) = &kept.unsure {
            return failed(format!("a write failed on the witness ({cause}): mend its disk and start clpwitness again"), true);
        }
        let now = self.begun.elapsed();
        let at = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        match request {
            Request::Read => Answer::Stands {
                version: kept.state.version,
                record: kept.state.record.clone(),
                stood: u64::try_from(kept.since.elapsed().as_millis()).unwrap_or(u64::MAX),
                ticket: Ticket { run: self.run, at },
            },
            Request::Swap { version, ticket, record } => {
                let age = at.checked_sub(ticket.at).filter(|_| ticket.run == self.run);
                if age.is_none_or(|age| u128::from(age) > SWAP_WITHIN.as_millis()) {
                    return Answer::Late;
                }
                if version != kept.state.version {
                    return Answer::Other;
                }
                self.swap(cluster, &mut kept, record)
            }
        }
    }

    fn swap(&self, cluster: &Cluster, kept: &mut Kept, record: Record) -> Answer {
        let Ok(tag) = crate::setup::random() else {
            return Answer::Failed { reason: "the witness has no random numbers".into(), unsure: false };
        };
        let members = |record: Option<&Record>| record.map(|record| record.members).unwrap_or_default();
        let before = members(kept.state.record.as_ref());
        let after = record.members;
        let words = format!("{}: {} may go on, written by server {}", cluster.name, named(after), record.by.index() + 1);
        match kept.replace(kept.state.next(u64::from_be_bytes(tag), record)) {
            Ok(()) => {
                if before != after {
                    self.pace.tell(Matter::Records, &words);
                }
                Answer::Swapped
            }
            Err(error) => {
                self.pace.tell(Matter::Storage, &format!("the record of {}: {error}", cluster.name));
                let unsure = matches!(error, WriteError::Unsure(_));
                Answer::Failed { reason: format!("the record on the witness: {error}"), unsure }
            }
        }
    }
}

/// Servers by their place in the configuration, the first one is 1.
pub fn named(members: clp_core::ids::ServerSet) -> String {
    let numbers: Vec<String> = members.iter().map(|server| (server.index() + 1).to_string()).collect();
    match numbers.as_slice() {
        [] => "whoever asks first".into(),
        [one] => format!("server {one}"),
        _ => format!("servers {}", numbers.join(", ")),
    }
}
