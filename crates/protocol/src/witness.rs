//! What a server and a witness (`clpwitness`) say to each other: a cluster's record is read, and changed by compare-and-swap.
//!
//! Everything is sealed with a key that is derived from the cluster's, so that a witness can command nobody. Each request has a salt of
//! its own, and its answer opens for that request alone: an old answer is of no use. An old request is none either: reading
//! changes nothing, and a swap names the version that it replaces, which never comes again, and a ticket that runs out
//! ([`SWAP_WITHIN`]), so that one that was held back on its way cannot be delivered later. HTTP around it is in `witness/http.rs`.

pub mod http;

use std::time::Duration;

use aws_lc_rs::aead::Aad;
use aws_lc_rs::rand::fill;
use clp_core::arbiter::Record;
use minicbor::{Decode, Encode};
use zeroize::Zeroize;

use crate::seal::{NoRandomness, OpenError, SALT, TAG, cipher, expand, nonce};

/// Where a witness listens unless told otherwise.
pub const PORT: u16 = 29_020;
/// A swap has to follow the reading that it is based on within this, by the witness's clock; longer than any bound of an arbiter.
pub const SWAP_WITHIN: Duration = Duration::from_secs(5);
/// Longest request and answer in bytes: several times what the largest one has.
pub const SEALED_MAX: usize = 1024;

const MAGIC: [u8; 4] = *b"MSWT";
const VERSION: u8 = 1;
const REQUEST: u8 = 1;
const ANSWER: u8 = 2;
const ID: usize = 16;
/// Magic, version, kind, two bytes for later, which cluster, salt.
const REQUEST_HEADER: usize = 8 + ID + SALT;
/// Magic, version, kind, two bytes for later, salt.
const ANSWER_HEADER: usize = 8 + SALT;

/// The key that a cluster shares with its witnesses.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

/// Names a key without showing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId(pub [u8; ID]);

/// What makes a request the only one of its kind; its answer is sealed for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestSalt([u8; SALT]);

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({:?})", self.id())
    }
}

impl Key {
    /// For the witnesses of a cluster. The cluster's own key cannot be found from it.
    pub fn derive(cluster_key: &[u8; 32], cluster: &str) -> Key {
        Key(expand(cluster_key, b"mainstay witness", &[b"key", cluster.as_bytes()]))
    }

    /// As it was handed over.
    pub fn from_bytes(bytes: [u8; 32]) -> Key {
        Key(bytes)
    }

    /// To be handed over.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Its name.
    pub fn id(&self) -> KeyId {
        let bytes = expand(&self.0, b"mainstay witness", &[b"id"]);
        KeyId(bytes[..ID].try_into().expect("a key is longer than its name"))
    }
}

/// Which write of a record: no two are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Version {
    /// Names the record itself: one that was begun anew, because it was lost, is another one.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub record: [u8; 16],
    /// Writes so far.
    #[n(1)]
    pub count: u64,
    /// At random, so that a record that was put back to an old state does not repeat its versions.
    #[n(2)]
    pub tag: u64,
}

/// Permits a swap soon after a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Ticket {
    /// Which run of the witness.
    #[n(0)]
    pub run: u64,
    /// When it was read, in milliseconds of that run.
    #[n(1)]
    pub at: u64,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    /// What stands there.
    #[n(0)]
    Read,
    /// Write the record in place of that version.
    #[n(1)]
    Swap {
        /// The one that was read.
        #[n(0)]
        version: Version,
        /// That came with it.
        #[n(1)]
        ticket: Ticket,
        /// To be written.
        #[n(2)]
        record: Record,
    },
}

/// What a witness says to it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Answer {
    /// To a reading.
    #[n(0)]
    Stands {
        /// Which write.
        #[n(0)]
        version: Version,
        /// None: nothing was ever written.
        #[n(1)]
        record: Option<Record>,
        /// So long it has stood there at least, in milliseconds.
        #[n(2)]
        stood: u64,
        /// For a swap.
        #[n(3)]
        ticket: Ticket,
    },
    /// Written, and on the disk.
    #[n(1)]
    Swapped,
    /// Another version stands there; nothing was written.
    #[n(2)]
    Other,
    /// The ticket has run out or is of an earlier run: read again; nothing was written.
    #[n(3)]
    Late,
    /// The witness cannot do it.
    #[n(4)]
    Failed {
        /// Why, for operators.
        #[n(0)]
        reason: String,
        /// It may have been written all the same.
        #[n(1)]
        unsure: bool,
    },
}

fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0u8; N];
    fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

fn seal<T: Encode<()>>(key: [u8; 32], header: &[u8], body: &T) -> Vec<u8> {
    let mut body = minicbor::to_vec(body).expect("encoding into memory cannot fail");
    // A key is used for one message.
    cipher(key)
        .seal_in_place_append_tag(nonce(0), Aad::from(header), &mut body)
        .expect("a message is far below the cipher's limit");
    [header, &body].concat()
}

fn open<T: for<'b> Decode<'b, ()>>(key: [u8; 32], header: &[u8], body: &[u8]) -> Result<T, OpenError> {
    let mut body = body.to_vec();
    let body = cipher(key).open_in_place(nonce(0), Aad::from(header), &mut body).map_err(|_| OpenError::Key)?;
    let mut decoder = minicbor::Decoder::new(body);
    // What is sealed with the key and cannot be read was written by another version.
    let read = decoder.decode().map_err(|_| OpenError::Version)?;
    if decoder.position() == body.len() { Ok(read) } else { Err(OpenError::Version) }
}

fn check(bytes: &[u8], header: usize, kind: u8) -> Result<(), OpenError> {
    if bytes.len() < header + TAG || bytes.len() > SEALED_MAX || bytes[..4] != MAGIC || bytes[5] != kind {
        return Err(OpenError::Foreign);
    }
    if bytes[4] != VERSION { Err(OpenError::Version) } else { Ok(()) }
}

fn request_key(key: &Key, salt: &[u8]) -> [u8; 32] {
    expand(&key.0, salt, &[b"request"])
}

fn answer_key(key: &Key, salt: &[u8], request: RequestSalt) -> [u8; 32] {
    expand(&key.0, salt, &[b"answer", &request.0])
}

/// A request, and what its answer opens with.
///
/// # Errors
/// [`NoRandomness`].
pub fn seal_request(key: &Key, request: &Request) -> Result<(Vec<u8>, RequestSalt), NoRandomness> {
    let salt: [u8; SALT] = random()?;
    let mut header = [0u8; REQUEST_HEADER];
    header[..4].copy_from_slice(&MAGIC);
    (header[4], header[5]) = (VERSION, REQUEST);
    header[8..8 + ID].copy_from_slice(&key.id().0);
    header[8 + ID..].copy_from_slice(&salt);
    Ok((seal(request_key(key, &salt), &header, request), RequestSalt(salt)))
}

/// The key with which a request claims to be sealed; proves nothing.
///
/// # Errors
/// [`OpenError`]: it is no request.
pub fn claimed(bytes: &[u8]) -> Result<KeyId, OpenError> {
    check(bytes, REQUEST_HEADER, REQUEST)?;
    Ok(KeyId(bytes[8..8 + ID].try_into().map_err(|_| OpenError::Foreign)?))
}

/// What a request says, and what its answer is to be sealed for.
///
/// # Errors
/// [`OpenError`]; nothing in it may be believed.
pub fn open_request(key: &Key, bytes: &[u8]) -> Result<(Request, RequestSalt), OpenError> {
    check(bytes, REQUEST_HEADER, REQUEST)?;
    let (header, body) = bytes.split_at(REQUEST_HEADER);
    let salt = RequestSalt(header[8 + ID..].try_into().map_err(|_| OpenError::Foreign)?);
    Ok((open(request_key(key, &salt.0), header, body)?, salt))
}

/// An answer to that request. Its own salt keeps two answers to a repeated request apart.
///
/// # Errors
/// [`NoRandomness`].
pub fn seal_answer(key: &Key, request: RequestSalt, answer: &Answer) -> Result<Vec<u8>, NoRandomness> {
    let salt: [u8; SALT] = random()?;
    let mut header = [0u8; ANSWER_HEADER];
    header[..4].copy_from_slice(&MAGIC);
    (header[4], header[5]) = (VERSION, ANSWER);
    header[8..].copy_from_slice(&salt);
    Ok(seal(answer_key(key, &salt, request), &header, answer))
}

/// What the answer to that request says.
///
/// # Errors
/// [`OpenError`]; nothing in it may be believed.
pub fn open_answer(key: &Key, request: RequestSalt, bytes: &[u8]) -> Result<Answer, OpenError> {
    check(bytes, ANSWER_HEADER, ANSWER)?;
    let (header, body) = bytes.split_at(ANSWER_HEADER);
    open(answer_key(key, &header[8..], request), header, body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clp_core::ids::{ServerId, ServerSet};

    const CLUSTER: [u8; 32] = [7; 32];

    fn version() -> Version {
        Version { record: [0xee; 16], count: u64::MAX, tag: u64::MAX }
    }

    /// As long as one can be.
    fn swap() -> Request {
        let record =
            Record { members: ServerSet::all(32), lasting: true, by: ServerId::at(31), incarnation: u64::MAX, number: u64::MAX };
        Request::Swap { version: version(), ticket: Ticket { run: u64::MAX, at: u64::MAX }, record }
    }

    #[test]
    fn a_request_opens_with_its_key_and_an_answer_for_its_request_alone() {
        let key = Key::derive(&CLUSTER, "c");
        let (bytes, salt) = seal_request(&key, &swap()).expect("random numbers");
        assert_eq!(claimed(&bytes), Ok(key.id()));
        assert_eq!(open_request(&key, &bytes), Ok((swap(), salt)));
        let answer = Answer::Stands { version: version(), record: None, stood: 9, ticket: Ticket { run: 1, at: 2 } };
        let sealed = seal_answer(&key, salt, &answer).expect("random numbers");
        assert_eq!(open_answer(&key, salt, &sealed), Ok(answer));
        let (_, other) = seal_request(&key, &Request::Read).expect("random numbers");
        assert_eq!(open_answer(&key, other, &sealed), Err(OpenError::Key), "an old answer is of no use");
        assert_eq!(open_answer(&key, salt, &bytes), Err(OpenError::Foreign), "nor is a request that comes back");
        assert!(bytes.len() * 4 < SEALED_MAX, "{}", bytes.len());
    }

    #[test]
    fn keys_of_clusters_differ_and_none_is_the_cluster_s_own() {
        let key = Key::derive(&CLUSTER, "c");
        for other in [Key::derive(&CLUSTER, "d"), Key::derive(&[8; 32], "c"), Key::from_bytes(CLUSTER)] {
            assert!(key != other && key.id() != other.id());
            let (bytes, _) = seal_request(&key, &Request::Read).expect("random numbers");
            assert_eq!(open_request(&other, &bytes), Err(OpenError::Key));
        }
        assert!(!format!("{key:?}").contains(&format!("{:?}", key.bytes())), "a key is not printed");
    }

    #[test]
    fn a_hundred_thousand_random_and_changed_requests_and_answers_are_refused() {
        let key = Key::derive(&CLUSTER, "c");
        let (good, salt) = seal_request(&key, &swap()).expect("random numbers");
        let answer = seal_answer(&key, salt, &Answer::Swapped).expect("random numbers");
        let mut state = 0x1234_5678_9abc_def0_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for round in 0..100_000u32 {
            let length = usize::try_from(random() % 1200).expect("small");
            let noise: Vec<u8> = (0..length).map(|_| random().to_le_bytes()[0]).collect();
            assert!(open_request(&key, &noise).is_err() && open_answer(&key, salt, &noise).is_err(), "round {round}");
            let mut changed = [good.clone(), answer.clone()];
            for changed in &mut changed {
                let at = usize::try_from(random()).unwrap_or(0) % changed.len();
                changed[at] ^= 1 << (random() % 8);
            }
            assert!(open_request(&key, &changed[0]).is_err() && open_answer(&key, salt, &changed[1]).is_err(), "round {round}");
        }
    }
}
