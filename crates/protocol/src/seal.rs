//! Sealed datagrams: clear header (magic, version, kind, sender, salt, counter), body under ChaCha20-Poly1305.
//!
//! One key a sender and boot of its engine, derived from the cluster's key, the cluster's name, the sender and a random
//! salt; the counter is the nonce and feeds a replay window. What does not open is dropped before parsing; who opens counts
//! it (`daemon/src/engine/refused.rs`).

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::rand::fill;

const MAGIC: [u8; 4] = *b"MSHB";
const VERSION: u8 = 1;
pub(crate) const SALT: usize = 16;
/// Magic, version, kind, sender, one byte for later, salt, counter.
const HEADER: usize = 4 + 4 + SALT + 8;
pub(crate) const TAG: usize = 16;
/// Bytes by which sealing makes a body longer.
pub const OVERHEAD: usize = HEADER + TAG;
/// Counters behind the newest one that are still told apart.
const WINDOW: u64 = 64;

/// Why a datagram was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not one of ours, or cut short.
    #[error("it is no sealed datagram of this product")]
    Foreign,
    /// A version that is not spoken here.
    #[error("it is of another version")]
    Version,
    /// The sender does not exist in the configuration.
    #[error("its sender is not configured")]
    Sender,
    /// The same datagram came before on this path, or it is too old to tell.
    #[error("it was seen before")]
    Repeated,
    /// Another key, another cluster, or changed on the way.
    #[error("it does not open with this cluster's key")]
    Key,
}

/// The system gave no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers, so nothing can be sealed; check /dev/urandom")]
pub struct NoRandomness;

struct KeyLength;
impl KeyType for KeyLength {
    fn len(&self) -> usize {
        32
    }
}

fn derive(key: &[u8; 32], cluster: &str, sender: u8, salt: &[u8; SALT]) -> LessSafeKey {
    cipher(expand(key, salt, &[b"mainstay heartbeat", cluster.as_bytes(), &[sender]]))
}

/// A key out of a key, for one use that salt and info name.
pub(crate) fn expand(key: &[u8; 32], salt: &[u8], info: &[&[u8]]) -> [u8; 32] {
    let mut bytes = [0u8; 32];
    Salt::new(HKDF_SHA256, salt)
        .extract(key)
        .expand(info, KeyLength)
        .and_then(|okm| okm.fill(&mut bytes))
        .expect("32 bytes are within the bounds of HKDF");
    bytes
}

/// What seals and opens with a key.
pub(crate) fn cipher(mut key: [u8; 32]) -> LessSafeKey {
    let unbound = UnboundKey::new(&CHACHA20_POLY1305, &key).expect("the key has the cipher's length");
    zeroize::Zeroize::zeroize(&mut key);
    LessSafeKey::new(unbound)
}

pub(crate) fn nonce(counter: u64) -> Nonce {
    let mut bytes = [0u8; NONCE_LEN];
    bytes[NONCE_LEN - 8..].copy_from_slice(&counter.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// Seals what this engine sends.
pub struct Sealer {
    key: LessSafeKey,
    header: [u8; HEADER],
    counter: u64,
}

impl Sealer {
    /// With a fresh salt.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn new(key: &[u8; 32], cluster: &str, sender: u8) -> Result<Sealer, NoRandomness> {
        let mut salt = [0u8; SALT];
        fill(&mut salt).map_err(|_| NoRandomness)?;
        Ok(Self::with_salt(key, cluster, sender, salt))
    }

    fn with_salt(key: &[u8; 32], cluster: &str, sender: u8, salt: [u8; SALT]) -> Sealer {
        let mut header = [0u8; HEADER];
        header[..4].copy_from_slice(&MAGIC);
        header[4] = VERSION;
        header[6] = sender;
        header[8..8 + SALT].copy_from_slice(&salt);
        Sealer { key: derive(key, cluster, sender, &salt), header, counter: 0 }
    }

    /// A datagram.
    pub fn seal(&mut self, kind: u8, body: &[u8]) -> Vec<u8> {
        self.counter += 1;
        let mut header = self.header;
        header[5] = kind;
        header[HEADER - 8..].copy_from_slice(&self.counter.to_be_bytes());
        let mut sealed = body.to_vec();
        self.key
            .seal_in_place_append_tag(nonce(self.counter), Aad::from(&header), &mut sealed)
            .expect("a datagram is far below the cipher's limit");
        let mut datagram = header.to_vec();
        datagram.append(&mut sealed);
        datagram
    }
}

/// An opened datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Position of the sender.
    pub sender: u8,
    /// Kind byte.
    pub kind: u8,
    /// The body.
    pub body: Vec<u8>,
}

#[derive(Default, Clone)]
struct Window {
    newest: u64,
    seen: u64,
}

impl Window {
    fn is_new(&self, counter: u64) -> bool {
        if counter > self.newest {
            return true;
        }
        let behind = self.newest - counter;
        behind < WINDOW && self.seen & (1 << behind) == 0
    }

    fn take(&mut self, counter: u64) {
        if counter > self.newest {
            let ahead = counter - self.newest;
            self.seen = if ahead >= WINDOW { 0 } else { self.seen << ahead };
            self.newest = counter;
            self.seen |= 1;
        } else {
            self.seen |= 1 << (self.newest - counter);
        }
    }
}

struct Known {
    salt: [u8; SALT],
    key: LessSafeKey,
    windows: Vec<(usize, Window)>,
}

/// The sender that a datagram claims in its clear header; proves nothing.
pub fn claimed_sender(datagram: &[u8]) -> Option<u8> {
    (datagram.len() >= HEADER + TAG && datagram[..4] == MAGIC).then(|| datagram[6])
}

/// Opens what other servers send.
pub struct Opener {
    key: [u8; 32],
    cluster: String,
    /// Newest life of each sender; the one before it, whose last datagrams may still be on their way, is behind it.
    senders: Vec<Vec<Known>>,
}

impl Drop for Opener {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.key);
    }
}

impl Opener {
    /// For a number of servers.
    pub fn new(key: &[u8; 32], cluster: &str, servers: usize) -> Opener {
        Opener { key: *key, cluster: cluster.to_string(), senders: (0..servers).map(|_| Vec::new()).collect() }
    }

    /// Open a datagram that came on a path.
    ///
    /// # Errors
    /// [`OpenError`]; nothing in it may be believed.
    pub fn open(&mut self, path: usize, datagram: &[u8]) -> Result<Opened, OpenError> {
        if datagram.len() < HEADER + TAG || datagram[..4] != MAGIC {
            return Err(OpenError::Foreign);
        }
        let (header, body) = datagram.split_at(HEADER);
        if header[4] != VERSION {
            return Err(OpenError::Version);
        }
        let sender = header[6];
        let salt: [u8; SALT] = header[8..8 + SALT].try_into().map_err(|_| OpenError::Foreign)?;
        let counter = u64::from_be_bytes(header[HEADER - 8..].try_into().map_err(|_| OpenError::Foreign)?);
        let known = self.senders.get_mut(usize::from(sender)).ok_or(OpenError::Sender)?;
        let mut body = body.to_vec();
        let open = |key: &LessSafeKey, body: &mut Vec<u8>| {
            let length = key.open_in_place(nonce(counter), Aad::from(header), body).map_err(|_| OpenError::Key)?.len();
            body.truncate(length);
            Ok(())
        };
        match known.iter_mut().find(|life| life.salt == salt) {
            Some(life) => {
                let index = life.windows.iter().position(|(at, _)| *at == path).unwrap_or_else(|| {
                    life.windows.push((path, Window::default()));
                    life.windows.len() - 1
                });
                if !life.windows[index].1.is_new(counter) {
                    return Err(OpenError::Repeated);
                }
                open(&life.key, &mut body)?;
                life.windows[index].1.take(counter);
            }
            None => {
                // A new salt replaces an old one only after it has proven to hold the cluster's key.
                let key = derive(&self.key, &self.cluster, sender, &salt);
                open(&key, &mut body)?;
                let mut window = Window::default();
                window.take(counter);
                known.insert(0, Known { salt, key, windows: vec![(path, window)] });
                known.truncate(2);
            }
        }
        Ok(Opened { sender, kind: header[5], body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    #[test]
    fn opens_once_on_each_path_and_only_with_the_cluster_s_key() {
        let mut sealer = Sealer::with_salt(&KEY, "c", 1, [3; SALT]);
        let datagram = sealer.seal(9, b"words");
        let mut opener = Opener::new(&KEY, "c", 2);
        let opened = opener.open(0, &datagram).expect("own key");
        assert_eq!((opened.sender, opened.kind, opened.body.as_slice()), (1, 9, b"words".as_slice()));
        assert_eq!(opener.open(0, &datagram), Err(OpenError::Repeated));
        assert!(opener.open(1, &datagram).is_ok());
        assert_eq!(Opener::new(&[8; 32], "c", 2).open(0, &datagram), Err(OpenError::Key));
        assert_eq!(Opener::new(&KEY, "other", 2).open(0, &datagram), Err(OpenError::Key));
        assert_eq!(Opener::new(&KEY, "c", 1).open(0, &datagram), Err(OpenError::Sender));
    }

    #[test]
    fn late_datagrams_inside_the_window_open_once() {
        let mut sealer = Sealer::with_salt(&KEY, "c", 0, [3; SALT]);
        let datagrams: Vec<Vec<u8>> = (0..100).map(|_| sealer.seal(1, b"x")).collect();
        let mut opener = Opener::new(&KEY, "c", 1);
        assert!(opener.open(0, &datagrams[99]).is_ok());
        assert!(opener.open(0, &datagrams[50]).is_ok());
        assert_eq!(opener.open(0, &datagrams[50]), Err(OpenError::Repeated));
        assert_eq!(opener.open(0, &datagrams[10]), Err(OpenError::Repeated));
    }

    #[test]
    fn a_hundred_thousand_random_and_mutated_datagrams_are_dropped() {
        let mut sealer = Sealer::with_salt(&KEY, "c", 0, [3; SALT]);
        let good = sealer.seal(1, &[0x55; 300]);
        let mut opener = Opener::new(&KEY, "c", 2);
        let mut state = 0x1234_5678_9abc_def0_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for round in 0..100_000u32 {
            let mut datagram = good.clone();
            if round % 2 == 0 {
                let length = usize::try_from(random() % 400).expect("small");
                datagram = (0..length).map(|_| random().to_le_bytes()[0]).collect();
            } else {
                let at = usize::try_from(random()).unwrap_or(0) % datagram.len();
                // Byte 7 is reserved and authenticated as well, so any change must be found.
                datagram[at] ^= 1 << (random() % 8);
            }
            assert!(opener.open(0, &datagram).is_err(), "round {round}");
        }
        assert!(opener.open(0, &good).is_ok());
    }
}
