//! What strangers can do to a witness: nothing to its records, and little to its time and memory.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ground;

use clp_protocol::witness::{self, Answer, Key, Request, SEALED_MAX, http};
use ground::{Client, Ground, Noise, SOON, Witness, answer, connect, record};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Of each kind.
const INPUTS: u32 = 100_000;
/// A witness that holds some clusters takes a few MiB.
const MEMORY_KIB: u64 = 64 * 1024;

/// It still answers, with this number of writes, and has stayed small.
fn is_well(witness: &Witness, key: &Key, writes: u64) {
    let begun = Instant::now();
    assert_eq!(witness.client(key).read().0.count, writes);
    assert!(begun.elapsed() < Duration::from_secs(5), "it answers after {:?}", begun.elapsed());
    assert!(witness.memory() < MEMORY_KIB, "{} KiB", witness.memory());
}

#[test]
fn another_key_and_changed_requests_are_refused() {
    let ground = Ground::new();
    let key = ground.add("c");
    let witness = ground.start();
    assert_eq!(witness.client(&key).write(0, 1), Answer::Swapped);
    let stranger = Key::derive(&[8; 32], "c");
    assert_eq!(witness.client(&stranger).post(&witness::seal_request(&stranger, &Request::Read).unwrap().0).0, 404);
    // Another key under the name of this one.
    let (mut bytes, _) = witness::seal_request(&stranger, &Request::Read).unwrap();
    bytes[8..24].copy_from_slice(&key.id().0);
    assert_eq!(witness.client(&key).post(&bytes).0, 403);
    let long = vec![0u8; SEALED_MAX + 1];
    assert_eq!(witness.client(&key).post(&long).0, 413);
    assert_eq!(witness.client(&key).post(b"").0, 400);
    is_well(&witness, &key, 1);
}

#[test]
fn a_hundred_thousand_changed_requests_write_nothing() {
    let ground = Ground::new();
    let key = ground.add("c");
    let witness = ground.start();
    let mut client = witness.client(&key);
    assert_eq!(client.write(0, 1), Answer::Swapped);
    let mut noise = Noise(0x1234_5678_9abc_def0);
    let begun = Instant::now();
    let (mut good, mut round) = (Vec::new(), 0);
    while round < INPUTS {
        if round % 1000 == 0 {
            // What would be written, were it not changed.
            let (version, _, ticket) = witness.client(&key).read();
            good = witness::seal_request(&key, &Request::Swap { version, ticket, record: record(1, 2) }).unwrap().0;
        }
        let mut changed = good.clone();
        let at = usize::try_from(noise.next()).unwrap() % changed.len();
        changed[at] ^= 1 << (noise.next() % 8);
        let (status, _) = client.post(&changed);
        assert!(matches!(status, 400 | 403 | 404), "round {round}: {status}");
        round += 1;
    }
    is_well(&witness, &key, 1);
    let most = 3 + begun.elapsed().as_secs() / 10;
    let lines = witness.said().lines().count();
    assert!(lines as u64 <= most, "{lines} lines for {INPUTS} refusals in {:?}", begun.elapsed());
}

#[test]
fn a_hundred_thousand_random_requests_write_nothing() {
    let ground = Ground::new();
    let key = ground.add("c");
    let witness = ground.start();
    let mut noise = Noise(0xfeed_5678_9abc_def0);
    for round in 0..INPUTS {
        let body = noise.bytes(600);
        let bytes = match round % 3 {
            // Noise; noise behind a head; a head that was changed.
            0 => body,
            1 => http::request("w", &body),
            _ => {
                let mut bytes = http::request("w", &body);
                for _ in 0..3 {
                    let at = usize::try_from(noise.next()).unwrap() % bytes.len().min(110);
                    bytes[at] = noise.next().to_le_bytes()[0];
                }
                bytes
            }
        };
        let mut stream = connect(witness.address);
        // It may end the connection while this is still on its way.
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        assert!(!said.starts_with(b"HTTP/1.1 200 OK\r\nContent-Type: application"), "round {round}");
    }
    is_well(&witness, &key, 0);
}

#[test]
fn silent_slow_and_oversized_connections_keep_no_server_out() {
    let ground = Ground::new();
    let key = ground.add("c");
    let witness = ground.start();
    // A server that was there before keeps its connection, and new ones get in.
    let mut before = witness.client(&key);
    before.read();
    let flood: Vec<TcpStream> = (0..500).map(|_| connect(witness.address)).collect();
    let mut slow = connect(witness.address);
    slow.write_all(b"POST /v1/record HTTP/1.1\r\n").unwrap();
    let mut long = connect(witness.address);
    let _ = long.write_all(&vec![b'a'; 100_000]);
    assert_eq!(answer(&mut long).map_or(431, |(status, ..)| status), 431);
    assert_eq!(before.write(0, 1), Answer::Swapped);
    is_well(&witness, &key, 1);
    // Who says a byte now and then is not waited for.
    let begun = Instant::now();
    let over = loop {
        if slow.write_all(b"A").is_err() {
            break true;
        }
        slow.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        match slow.read(&mut [0u8; 64]) {
            Ok(0) => break true,
            Err(cause) if cause.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => break true,
            Ok(_) => {}
        }
        if begun.elapsed() > SOON {
            break false;
        }
    };
    assert!(over, "a slow request is waited for longer than {SOON:?}");
    drop(flood);
    is_well(&witness, &key, 1);
}

#[test]
fn one_cluster_does_not_take_the_room_of_the_others() {
    let ground = Ground::new();
    let (greedy, other) = (ground.add("greedy"), ground.add("other"));
    let witness = ground.start();
    let mut held: Vec<Client> = Vec::new();
    let mut refused = 0;
    for _ in 0..200 {
        let mut client = witness.client(&greedy);
        match client.post(&witness::seal_request(&greedy, &Request::Read).unwrap().0) {
            (200, _) => held.push(client),
            (status, _) => {
                assert_eq!(status, 503);
                refused += 1;
            }
        }
    }
    assert!(held.len() == 96 && refused == 104, "{} held, {refused} refused", held.len());
    is_well(&witness, &other, 0);
    drop(held);
    let begun = Instant::now();
    while witness.client(&greedy).post(&witness::seal_request(&greedy, &Request::Read).unwrap().0).0 != 200 {
        assert!(begun.elapsed() < SOON, "room is not given back");
    }
}
