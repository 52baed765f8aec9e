//! Who answers at an address, asked every millisecond; and the small server that answers with its host's name.
//!
//! The longest gap is the time between two answers that follow each other, and at the end the time since the last one.
//! Runs on whatever network the calling thread is on (see `Lab::enter_client`).

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

/// Time between two questions.
pub const INTERVAL: Duration = Duration::from_millis(1);
/// How long a TCP or HTTP question may take; questions follow each other there.
const TCP_LIMIT: Duration = Duration::from_millis(50);

/// How the address is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A datagram each time; any datagram back is an answer.
    Udp,
    /// A connection each time; the first line is the answer.
    Tcp,
    /// `GET /` each time; the body is the answer.
    Http,
}

/// One answerer's reign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reign {
    /// What it answers: its name.
    pub who: String,
    /// First answer, in microseconds since the start.
    pub first_us: u64,
    /// Last answer, in microseconds since the start.
    pub last_us: u64,
    /// Number of answers.
    pub answers: u64,
}

/// What a probe saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Report {
    /// Who answered, in order; the same name again after another one is a new reign.
    pub reigns: Vec<Reign>,
    /// When the probe began, in microseconds of the machine's clock since boot.
    pub started_us: u64,
    /// Questions asked.
    pub questions: u64,
    /// Answers received.
    pub answers: u64,
    /// Longest time without an answer, in microseconds.
    pub longest_gap_us: u64,
    /// When the longest gap began, in microseconds since the start.
    pub longest_gap_at_us: u64,
    /// How long the probe ran, in microseconds.
    pub elapsed_us: u64,
}

/// Takes the answers one by one and keeps the report.
struct Account {
    start: Instant,
    last: Duration,
    report: Report,
}

impl Account {
    fn new() -> Account {
        let started_us = clp_sys::clock::now().as_micros() as u64;
        Account { start: Instant::now(), last: Duration::ZERO, report: Report { started_us, ..Report::default() } }
    }

    fn answer(&mut self, who: &str, changed: &mut impl FnMut(&Reign)) {
        let now = self.start.elapsed();
        self.close_gap(now);
        self.report.answers += 1;
        let at = now.as_micros() as u64;
        match self.report.reigns.last_mut() {
            Some(reign) if reign.who == who => {
                reign.last_us = at;
                reign.answers += 1;
            }
            _ => {
                let reign = Reign { who: who.to_string(), first_us: at, last_us: at, answers: 1 };
                changed(&reign);
                self.report.reigns.push(reign);
            }
        }
        self.last = now;
    }

    fn close_gap(&mut self, now: Duration) {
        let gap = now.saturating_sub(self.last).as_micros() as u64;
        if gap > self.report.longest_gap_us {
            self.report.longest_gap_us = gap;
            self.report.longest_gap_at_us = self.last.as_micros() as u64;
        }
    }

    fn close(mut self) -> Report {
        let now = self.start.elapsed();
        self.close_gap(now);
        self.report.elapsed_us = now.as_micros() as u64;
        self.report
    }
}

/// Asks `target` every millisecond until `done` says so or `limit` has passed; tells `changed` of each new answerer.
///
/// # Errors
/// No socket can be made. That nobody answers is no error.
pub fn probe(
    target: SocketAddr,
    way: Way,
    limit: Duration,
    mut done: impl FnMut() -> bool,
    mut changed: impl FnMut(&Reign),
) -> Result<Report> {
    let mut account = Account::new();
    let socket = UdpSocket::bind("0.0.0.0:0").context("cannot make a socket")?;
    socket.set_nonblocking(true)?;
    let mut next = account.start;
    while account.start.elapsed() < limit && !done() {
        if Instant::now() >= next {
            // After a pause of the whole machine the missed questions are not asked later.
            next = (next + INTERVAL).max(Instant::now());
            account.report.questions += 1;
            match way {
                // Refused while nobody listens or no neighbour answers: that is a gap, not an error.
                Way::Udp => drop(socket.send_to(&account.report.questions.to_be_bytes(), target)),
                Way::Tcp | Way::Http => {
                    if let Some(who) = ask_stream(target, way) {
                        account.answer(&who, &mut changed);
                    }
                }
            }
        }
        if way == Way::Udp {
            receive(&socket, next, &mut account, &mut changed);
        } else if let Some(pause) = next.checked_duration_since(Instant::now()) {
            std::thread::sleep(pause);
        }
    }
    Ok(account.close())
}

/// Takes all datagrams until the next question is due.
fn receive(socket: &UdpSocket, until: Instant, account: &mut Account, changed: &mut impl FnMut(&Reign)) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut buffer = [0_u8; 256];
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((count, _)) => account.answer(String::from_utf8_lossy(&buffer[..count]).trim(), changed),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let Some(left) = until.checked_duration_since(Instant::now()) else { return };
                let wait = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
                let _ = poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&wait));
            }
            // The network told of an unreachable host: asked again at the next turn.
            Err(_) => return,
        }
        if Instant::now() >= until {
            return;
        }
    }
}

/// One question over a connection; `None` when nothing came.
fn ask_stream(target: SocketAddr, way: Way) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&target, TCP_LIMIT).ok()?;
    stream.set_read_timeout(Some(TCP_LIMIT)).ok()?;
    if way == Way::Http {
        stream.write_all(format!("GET / HTTP/1.0\r\nHost: {target}\r\n\r\n").as_bytes()).ok()?;
    }
    let mut text = String::new();
    let read = stream.take(4096).read_to_string(&mut text);
    let answer = match way {
        Way::Http => text.split_once("\r\n\r\n")?.1,
        _ => text.lines().next()?,
    };
    (read.is_ok() || !answer.is_empty()).then(|| answer.trim().to_string())
}

/// Answers each datagram with this host's name (and its own process id, if wanted), and each TCP connection too (as HTTP when it is
/// asked so). Runs until killed.
///
/// # Errors
/// The address cannot be bound.
pub fn respond(address: SocketAddr, with_process: bool) -> Result<()> {
    let mut name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if with_process {
        name += &format!("/{}", std::process::id());
    }
    let datagrams = UdpSocket::bind(address).with_context(|| format!("cannot bind udp {address}"))?;
    let streams = TcpListener::bind(address).with_context(|| format!("cannot bind tcp {address}"))?;
    let stream_name = name.clone();
    std::thread::Builder::new().name("tcp".to_string()).spawn(move || {
        for stream in streams.incoming().flatten() {
            // One caller's trouble is not the next one's.
            let _ = respond_stream(stream, &stream_name);
        }
    })?;
    let mut buffer = [0_u8; 256];
    loop {
        if let Ok((_, from)) = datagrams.recv_from(&mut buffer) {
            let _ = datagrams.send_to(name.as_bytes(), from);
        }
    }
}

fn respond_stream(mut stream: TcpStream, name: &str) -> std::io::Result<()> {
    // Whoever speaks HTTP speaks first; others wait for the name.
    stream.set_read_timeout(Some(Duration::from_millis(5)))?;
    let mut request = [0_u8; 1024];
    match stream.read(&mut request) {
        Ok(count) if request[..count].starts_with(b"GET ") => {
            let length = name.len() + 1;
            write!(stream, "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{name}\n")
        }
        _ => writeln!(stream, "{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_answerer_begins_a_reign_and_the_gap_between_is_found() {
        let mut account = Account::new();
        let mut seen = Vec::new();
        account.answer("server1", &mut |reign| seen.push(reign.who.clone()));
        account.start -= Duration::from_millis(80);
        account.answer("server2", &mut |_| {});
        account.answer("server2", &mut |_| {});
        let report = account.close();
        assert_eq!(seen, ["server1"]);
        assert_eq!(report.reigns.len(), 2);
        assert_eq!(report.reigns[1].answers, 2);
        assert!((80_000..200_000).contains(&report.longest_gap_us), "{}", report.longest_gap_us);
    }

    #[test]
    fn silence_to_the_end_is_a_gap() {
        let mut account = Account::new();
        account.start -= Duration::from_millis(30);
        let report = account.close();
        assert!(report.longest_gap_us >= 30_000);
        assert_eq!(report.answers, 0);
    }
}
