//! Whoever answers in etcd's place: nothing of it is believed, and nothing takes longer than a question.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::ground::{LIMIT, ask};
use clp_core::arbiter::Answer;
use clp_drivers::partition::Keeper;
use clp_drivers::partition::etcd::Etcd;
use clp_protocol::witness::Key;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

/// Says this to whatever is asked, in one piece or byte by byte.
fn stranger(said: String, slowly: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, said) = (client.unwrap(), said.clone());
            std::thread::spawn(move || {
                let mut bytes = [0u8; 4096];
                while let Ok(1..) = client.read(&mut bytes) {
                    for part in said.as_bytes().chunks(if slowly { 1 } else { said.len().max(1) }) {
                        if client.write_all(part).is_err() {
                            return;
                        }
                        if slowly {
                            std::thread::sleep(Duration::from_millis(20));
                        }
                    }
                }
            });
        }
    });
    address
}

fn answer(status: &str, length: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{length}\r\n\r\n{body}")
}

#[test]
fn nothing_that_a_stranger_says_is_believed_or_waited_for() {
    let nothing = r#"{"header":{"cluster_id":"7","member_id":"3","revision":"9","raft_term":"2"}}"#;
    let sized = |status: &str, body: &str| answer(status, &format!("Content-Length: {}", body.len()), body);
    let table = [
        (String::new(), false, "no answer in time"),
        (sized("200 OK", nothing), true, "no answer in time"),
        ("SSH-2.0-OpenSSH\r\n".into(), false, "it is no HTTP"),
        (answer("200 OK", "Transfer-Encoding: chunked", "0\r\n\r\n"), false, "the length of its body is not given"),
        (answer("200 OK", "Content-Length: 99999999", nothing), false, "its answer is too long"),
        (answer("200 OK", "Content-Length: 500", nothing), false, "no answer in time"),
        (sized("200 OK", "{}"), false, "it is no answer of etcd"),
        (sized("302 Found", nothing), false, "it is no answer of etcd"),
        (sized("503 No", r#"{"error":"etcdserver: no\u001b[31m leader"}"#), false, "etcdserver: no [31m leader"),
        // There is no record, and one cannot be written, again and again: the time ends somewhere in between.
        (sized("200 OK", nothing), false, ""),
    ];
    let directory = tempfile::tempdir().unwrap();
    for (index, (said, slowly, wanted)) in table.into_iter().enumerate() {
        let memory = directory.path().join(format!("{index}/etcdnp1"));
        let address = stranger(said, slowly);
        let register = Etcd::new(&[address, address], "/m/c".into(), Key::derive(&[7; 32], "c").id(), memory);
        let begun = Instant::now();
        let reply = ask(&mut Keeper::new(register, vec!["server1".into(), "server2".into()]), 0, &[0], 1);
        assert!(reply.answer == Answer::Wait && reply.words.contains(wanted), "{wanted}: {}", reply.words);
        assert!(begun.elapsed() < LIMIT * 2, "{wanted}");
    }
}
