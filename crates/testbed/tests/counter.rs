//! The demo's application by itself, over loopback: what it acknowledges is on the disk, what fails is never acknowledged or
//! shown in part, and its client finds writes that were dropped on purpose. Needs no root.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

use rusqlite::Connection;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

/// A running server; killed, not stopped, when the value is dropped.
struct Counter {
    process: Child,
    address: String,
}

impl Counter {
    fn start(data: &Path, more: &[&str]) -> Counter {
        let mut command = Command::new(env!("CARGO_BIN_EXE_counter"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).args(more);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().to_string();
        Counter { process, address }
    }

    /// Says something and returns status and body of the answer.
    fn say(&self, words: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(words).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_string())
    }

    fn get(&self, target: &str) -> (u16, String) {
        self.say(format!("GET {target} HTTP/1.1\r\nHost: counter\r\n\r\n").as_bytes())
    }

    fn is_kept(&self, numbers: &str) {
        assert_eq!(self.get("/list?client=c"), (200, numbers.to_string()));
    }

    /// The checking client, as the demo runs it.
    fn check(&self, seconds: &str) -> Output {
        let client = ["client", "--server", &self.address, "--client", "check", "--seconds", seconds];
        Command::new(env!("CARGO_BIN_EXE_counter")).args(client).output().unwrap()
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn value_of(output: &Output, name: &str) -> u64 {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = text.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    words.unwrap_or_else(|| panic!("{output:?}")).parse().unwrap()
}

#[test]
fn an_acknowledged_write_outlives_the_server() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("counter.db");
    let first = Counter::start(&data, &[]);
    first.is_kept("");
    for n in [3, 1, -2, 3] {
        assert_eq!(first.get(&format!("/write?client=c&n={n}")), (200, format!("{n}\n")));
    }
    assert_eq!(first.get("/write?n=9&client=other").0, 200);
    drop(first);
    let second = Counter::start(&data, &[]);
    second.is_kept("-2\n1\n3\n");
    assert!(second.get("/").1.ends_with(" 4\n"), "{:?}", second.get("/"));
}

#[test]
fn what_is_no_question_is_refused_and_writes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let counter = Counter::start(&place.path().join("counter.db"), &[]);
    let long = format!("/write?client=c&n={}", "1".repeat(9000));
    for target in [
        "/write",
        "/write?client=c",
        "/write?n=1",
        "/write?client=&n=1",
        "/write?client=c&n=",
        "/write?client=c&n=one",
        "/write?client=c&n=1.5",
        "/write?client=c&n=99999999999999999999",
        "/write?client=a%20b&n=1",
        "/list",
        "/list?client=",
        &long,
    ] {
        let (status, body) = counter.get(target);
        assert!(status == 400 && body.parse::<i64>().is_err(), "{target:.60}: {status} {body}");
    }
    for place in ["/writes?client=c&n=1", "/listing?client=c", "/favicon.ico"] {
        assert_eq!(counter.get(place).0, 404, "{place}");
    }
    let words: [&[u8]; 6] = [
        b"",
        &[0xff; 64],
        b"\r\n",
        b"POST /write?client=c&n=1 HTTP/1.1\r\n\r\n",
        b"GET /write?client=c&n=1",
        b"GET /write?client=c&n=12 HTTP/1",
    ];
    for words in words {
        assert_eq!(counter.say(words).0, 400, "{words:?}");
    }
    assert!(counter.get("/").1.ends_with(" 0\n"), "nothing was written: {:?}", counter.get("/"));
}

#[test]
fn a_locked_database_refuses_a_write_that_then_is_not_there() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("counter.db");
    let counter = Counter::start(&data, &[]);
    assert_eq!(counter.get("/write?client=c&n=1").0, 200);
    let other = Connection::open(&data).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    for target in ["/write?client=c&n=2", "/list?client=c", "/"] {
        let (status, body) = counter.get(target);
        assert!(status == 503 && body.contains("locked"), "{target}: {status} {body}");
    }
    other.execute_batch("ROLLBACK").unwrap();
    counter.is_kept("1\n");
    assert_eq!(counter.get("/write?client=c&n=2").0, 200);
    counter.is_kept("1\n2\n");
}

#[test]
fn a_failed_database_gives_an_error_and_neither_an_acknowledgement_nor_a_part() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("counter.db");
    let counter = Counter::start(&data, &[]);
    assert_eq!(counter.get("/write?client=c&n=1").0, 200);
    let other = Connection::open(&data).unwrap();
    // A row that cannot be read: the others alone would look like a loss, or hide one.
    other.execute("INSERT INTO numbers VALUES ('c', 'no number')", []).unwrap();
    let (status, body) = counter.get("/list?client=c");
    assert!(status == 503 && body.contains("database failed"), "{status} {body}");
    other.execute_batch("DROP TABLE numbers").unwrap();
    for target in ["/write?client=c&n=2", "/list?client=c", "/"] {
        let (status, body) = counter.get(target);
        assert!(status == 503 && body.contains("no such table"), "{target}: {status} {body}");
    }
}

#[test]
fn the_check_finds_writes_that_were_dropped_on_purpose_and_no_others() {
    let place = tempfile::tempdir().unwrap();
    let honest = Counter::start(&place.path().join("honest.db"), &[]).check("1");
    assert!(honest.status.success() && value_of(&honest, "lost") == 0 && value_of(&honest, "acknowledged") > 0, "{honest:?}");
    let liar = Counter::start(&place.path().join("liar.db"), &["--lie-every", "7"]);
    let found = liar.check("1");
    let (acknowledged, lost) = (value_of(&found, "acknowledged"), value_of(&found, "lost"));
    assert!(!found.status.success() && lost > 0, "{found:?}");
    // A write that the client gave up may have been one of the lies.
    assert!(lost <= acknowledged / 7 + 1, "every seventh at most: {found:?}");
    // Nothing written is nothing shown.
    assert!(!liar.check("0").status.success());
}
