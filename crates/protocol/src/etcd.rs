//! What a server and an etcd say to each other: its JSON gateway (`/v3/kv`), for one key that holds a cluster's record.
//!
//! Reading is linearizable (the gateway's default), writing is a transaction that compares the key's `mod_revision` and value with
//! what was read. Numbers of 64 bits are texts in this JSON, keys and values are base64, and what is zero or empty is left out. HTTP
//! around it is in `witness/http.rs`. Source: etcd's `api/etcdserverpb/rpc.proto`; the answers in the tests are of etcd 3.4.

use aws_lc_rs::rand::fill;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clp_core::arbiter::Record;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::seal::NoRandomness;

/// Where a key is read.
pub const RANGE: &str = "/v3/kv/range";
/// Where a key is written.
pub const TXN: &str = "/v3/kv/txn";
/// Longest answer in bytes: several times what the largest one has, and less than what etcd sends in chunks.
pub const ANSWER_MAX: usize = 2048;

/// What is kept under the key.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Stored {
    /// Names the record itself, drawn when the key was first written: one that was begun anew is another one.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub name: [u8; 16],
    /// Names the key of the cluster that it belongs to.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub cluster: [u8; 16],
    /// Who may go on.
    #[n(2)]
    pub record: Record,
}

impl Stored {
    /// What is written first.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn fresh(cluster: [u8; 16], record: Record) -> Result<Stored, NoRandomness> {
        let mut name = [0u8; 16];
        fill(&mut name).map_err(|_| NoRandomness)?;
        Ok(Stored { name, cluster, record })
    }

    /// The key's value.
    pub fn to_bytes(&self) -> Vec<u8> {
        minicbor::to_vec(self).expect("encoding into memory cannot fail")
    }

    /// From the key's value; None: something else stands there.
    pub fn from_bytes(bytes: &[u8]) -> Option<Stored> {
        let mut decoder = minicbor::Decoder::new(bytes);
        let read = decoder.decode().ok()?;
        (decoder.position() == bytes.len()).then_some(read)
    }
}

/// A store at a moment: which, and how many writes it has taken, of all keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// `cluster_id`: follows from the members' addresses and their token, so that an etcd made anew may have the same.
    pub store: u64,
    /// `revision`: rises with every write, and never goes back in one history.
    pub revision: u64,
}

/// A key's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// `mod_revision`: the revision of the write that put it there; none is used twice in one history, also where the key is removed
    /// meanwhile.
    pub revision: u64,
    /// As it was written.
    pub value: Vec<u8>,
}

/// Why an answer is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It is no answer of this interface.
    #[error("it is no answer of etcd")]
    Foreign,
    /// Etcd says why not.
    #[error("{0}")]
    Refused(String),
}

/// Ask for the key; every member answers with what the last write of whichever member left.
pub fn range(key: &str) -> Vec<u8> {
    json!({ "key": STANDARD.encode(key) }).to_string().into_bytes()
}

/// Write the value if the key stands as it was read (None: it was not there).
pub fn swap(key: &str, seen: Option<&Kept>, value: &[u8]) -> Vec<u8> {
    let key = STANDARD.encode(key);
    let compare = |target: &str, field: &str, with: String| {
        let mut compare = json!({ "key": key, "target": target, "result": "EQUAL" });
        compare[field] = Value::String(with);
        compare
    };
    // A key that is not there has the revision 0.
    let mut compared = vec![compare("MOD", "mod_revision", seen.map_or(0, |kept| kept.revision).to_string())];
    compared.extend(seen.map(|kept| compare("VALUE", "value", STANDARD.encode(&kept.value))));
    let put = json!({ "request_put": { "key": key, "value": STANDARD.encode(value) } });
    json!({ "compare": compared, "success": [put] }).to_string().into_bytes()
}

#[derive(Deserialize)]
struct Header {
    #[serde(deserialize_with = "number")]
    cluster_id: u64,
    #[serde(deserialize_with = "number")]
    revision: u64,
}

#[derive(Deserialize)]
struct Pair {
    key: String,
    #[serde(deserialize_with = "number")]
    mod_revision: u64,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
struct Ranged {
    header: Header,
    #[serde(default)]
    kvs: Vec<Pair>,
    #[serde(default)]
    more: bool,
}

#[derive(Deserialize)]
struct Swapped {
    header: Header,
    #[serde(default)]
    succeeded: bool,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    message: String,
    #[serde(default)]
    error: String,
}

/// A number that is a text, or a number after all.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Text(String),
        Number(u64),
    }
    match Either::deserialize(deserializer)? {
        Either::Number(number) => Ok(number),
        Either::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

fn at(header: &Header) -> Result<At, AnswerError> {
    // Neither is ever zero.
    let at = At { store: header.cluster_id, revision: header.revision };
    if at.store == 0 || at.revision == 0 { Err(AnswerError::Foreign) } else { Ok(at) }
}

fn read<'a, T: Deserialize<'a>>(status: u16, body: &'a [u8]) -> Result<T, AnswerError> {
    if status == 200 {
        return serde_json::from_slice(body).map_err(|_| AnswerError::Foreign);
    }
    let refusal: Refusal = serde_json::from_slice(body).map_err(|_| AnswerError::Foreign)?;
    let words = if refusal.message.is_empty() { refusal.error } else { refusal.message };
    if words.is_empty() { Err(AnswerError::Foreign) } else { Err(AnswerError::Refused(words)) }
}

/// What the answer to [`range`] says.
///
/// # Errors
/// [`AnswerError`].
pub fn read_range(key: &str, status: u16, body: &[u8]) -> Result<(At, Option<Kept>), AnswerError> {
    let ranged: Ranged = read(status, body)?;
    let at = at(&ranged.header)?;
    let kept = match ranged.kvs.as_slice() {
        [] if !ranged.more => None,
        [pair] if !ranged.more => {
            let value = STANDARD.decode(&pair.value).map_err(|_| AnswerError::Foreign)?;
            let fits = pair.key == STANDARD.encode(key) && (1..=at.revision).contains(&pair.mod_revision);
            Some(Kept { revision: pair.mod_revision, value }).filter(|_| fits).ok_or(AnswerError::Foreign)?.into()
        }
        _ => return Err(AnswerError::Foreign),
    };
    Ok((at, kept))
}

/// What the answer to [`swap`] says: was it written? Then the store's revision is the key's.
///
/// # Errors
/// [`AnswerError`]; it may have been written.
pub fn read_swap(status: u16, body: &[u8]) -> Result<(At, bool), AnswerError> {
    let swapped: Swapped = read(status, body)?;
    Ok((at(&swapped.header)?, swapped.succeeded))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clp_core::ids::{ServerId, ServerSet};

    const KEY: &str = "/mainstay/c";
    const EMPTY: &str =
        r#"{"header":{"cluster_id":"324952591200643719","member_id":"3319814642761637952","revision":"1","raft_term":"2"}}"#;
    const ONE: &str = r#"{"header":{"cluster_id":"324952591200643719","member_id":"3319814642761637952","revision":"5","raft_term":"2"},"kvs":[{"key":"L21haW5zdGF5L2M=","create_revision":"2","mod_revision":"3","version":"2","value":"aGVsbG8="}],"count":"1"}"#;
    const WRITTEN: &str = r#"{"header":{"cluster_id":"324952591200643719","member_id":"3319814642761637952","revision":"2","raft_term":"2"},"succeeded":true,"responses":[{"response_put":{"header":{"revision":"2"}}}]}"#;
    const STORE: u64 = 324_952_591_200_643_719;

    #[test]
    fn recorded_answers_say_what_they_said() {
        assert_eq!(read_range(KEY, 200, EMPTY.as_bytes()), Ok((At { store: STORE, revision: 1 }, None)));
        let kept = Kept { revision: 3, value: b"hello".to_vec() };
        assert_eq!(read_range(KEY, 200, ONE.as_bytes()), Ok((At { store: STORE, revision: 5 }, Some(kept))));
        assert_eq!(read_swap(200, WRITTEN.as_bytes()), Ok((At { store: STORE, revision: 2 }, true)));
        assert_eq!(read_swap(200, EMPTY.as_bytes()), Ok((At { store: STORE, revision: 1 }, false)), "false is left out");
        let numbers = ONE.replace("\"3\"", "3");
        assert!(read_range(KEY, 200, numbers.as_bytes()).is_ok(), "numbers that are numbers");
        let refused = r#"{"error":"etcdserver: no leader","message":"etcdserver: no leader","code":14}"#;
        assert_eq!(read_swap(503, refused.as_bytes()), Err(AnswerError::Refused("etcdserver: no leader".into())));
    }

    #[test]
    fn what_is_no_answer_of_etcd_is_not_used() {
        let table = [
            String::new(),
            "{}".into(),
            "[]".into(),
            "<html>".into(),
            ONE.replace("324952591200643719", "0"),
            ONE.replace("324952591200643719", "-1"),
            ONE.replace("324952591200643719", "18446744073709551616"),
            ONE.replace("\"revision\":\"5\"", "\"revision\":\"0\""),
            ONE.replace("\"revision\":\"5\"", "\"revision\":\"2\""),
            ONE.replace("\"mod_revision\":\"3\"", "\"mod_revision\":\"0\""),
            ONE.replace("\"mod_revision\":\"3\",", ""),
            ONE.replace("L21haW5zdGF5L2M=", "L21haW5zdGF5L2Q="),
            ONE.replace("aGVsbG8=", "aGVsbG8"),
            ONE.replace("\"count\"", "\"more\":true,\"count\""),
            ONE.replace("}],", "},{\"key\":\"L21haW5zdGF5L2M=\",\"mod_revision\":\"3\"}],"),
            ONE[..ONE.len() - 1].into(),
            format!("{ONE}{ONE}"),
        ];
        for text in table {
            assert_eq!(read_range(KEY, 200, text.as_bytes()), Err(AnswerError::Foreign), "{text}");
        }
        for body in ["", "{}", "gateway time-out", ONE] {
            assert_eq!(read_range(KEY, 504, body.as_bytes()), Err(AnswerError::Foreign), "{body}");
            assert_eq!(read_swap(500, body.as_bytes()), Err(AnswerError::Foreign), "{body}");
        }
    }

    #[test]
    fn a_swap_compares_revision_and_value_and_one_of_a_missing_key_that_it_is_missing() {
        let first: Value = serde_json::from_slice(&swap(KEY, None, b"new")).expect("JSON");
        assert_eq!(
            first["compare"],
            json!([{ "key": "L21haW5zdGF5L2M=", "target": "MOD", "result": "EQUAL", "mod_revision": "0" }])
        );
        assert_eq!(first["success"][0]["request_put"]["value"], "bmV3");
        let kept = Kept { revision: 3, value: b"hello".to_vec() };
        let next: Value = serde_json::from_slice(&swap(KEY, Some(&kept), b"new")).expect("JSON");
        assert_eq!(next["compare"][0]["mod_revision"], "3");
        assert_eq!(
            next["compare"][1],
            json!({ "key": "L21haW5zdGF5L2M=", "target": "VALUE", "result": "EQUAL", "value": "aGVsbG8=" })
        );
    }

    #[test]
    fn a_value_comes_back_and_nothing_else_passes_for_one() {
        let by = ServerId::at(1);
        let record = Record { members: ServerSet::all(3), lasting: true, by, incarnation: u64::MAX, number: 9 };
        let stored = Stored { name: [1; 16], cluster: [2; 16], record };
        let bytes = stored.to_bytes();
        assert_eq!(Stored::from_bytes(&bytes), Some(stored));
        assert!(bytes.len() * 8 < ANSWER_MAX);
        for end in 0..bytes.len() {
            assert_eq!(Stored::from_bytes(&bytes[..end]), None, "{end}");
        }
        assert_eq!(Stored::from_bytes(&[&bytes[..], b"x"].concat()), None);
    }
}
