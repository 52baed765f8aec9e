//! Echo requests (ping) to many addresses at once, IPv4 and IPv6, over raw sockets.
//!
//! Measures only: who answered, to a request sent when. Whether that means anything is the caller's judgement. Names are
//! not resolved, and link-local IPv6 targets, which need an interface, are not supported.
#![allow(unsafe_code, reason = "the kernel's filter for ICMP types has no safe wrapper")]

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::RecvFlags,
};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd, AsRawFd},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};
use thiserror::Error;

/// Most addresses of one call; a sequence number holds address and attempt.
pub const TARGETS_MAX: usize = 1024;
/// Requests per address within the time limit, so that one lost packet is not taken for silence.
const ATTEMPTS: u32 = 3;

/// Why nothing could be asked. Targets that cannot be reached are not errors but stay without an answer.
#[derive(Debug, Error)]
pub enum PingError {
    /// No raw socket.
    #[error("cannot open a raw socket for echo requests: {0}; run as root or with CAP_NET_RAW")]
    Socket(#[source] io::Error),
    /// More than [`TARGETS_MAX`] addresses.
    #[error("{0} addresses to ping are more than {TARGETS_MAX}; name fewer")]
    TooMany(usize),
}

/// The first answer of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// When the request was sent that was answered: the address was reachable then or later, nothing more.
    pub sent: Instant,
    /// From that sending to the answer.
    pub round_trip: Duration,
}

/// Asks all `targets` and returns, in their order, the first answer of each; ends early once all have answered.
/// Every request is sent after the call began. Blocks for at most `timeout`.
///
/// # Errors
/// [`PingError`], only when nothing could be asked at all.
pub fn ping(targets: &[IpAddr], timeout: Duration) -> Result<Vec<Option<Answer>>, PingError> {
    ping_until(targets, timeout, |_| false)
}

/// As [`ping`], and ends as soon as `enough` says so of the answers so far.
///
/// # Errors
/// As [`ping`].
pub fn ping_until(
    targets: &[IpAddr],
    timeout: Duration,
    enough: impl FnMut(&[Option<Answer>]) -> bool,
) -> Result<Vec<Option<Answer>>, PingError> {
    ping_as(None, targets, timeout, enough)
}

/// As [`ping`], asked from an address of this machine: an answer shows that the target, and all between, find that address here.
///
/// # Errors
/// As [`ping`]; or the address is not here.
pub fn ping_from(source: IpAddr, targets: &[IpAddr], timeout: Duration) -> Result<Vec<Option<Answer>>, PingError> {
    ping_as(Some(source), targets, timeout, |_| false)
}

fn ping_as(
    source: Option<IpAddr>,
    targets: &[IpAddr],
    timeout: Duration,
    mut enough: impl FnMut(&[Option<Answer>]) -> bool,
) -> Result<Vec<Option<Answer>>, PingError> {
    if targets.len() > TARGETS_MAX {
        return Err(PingError::TooMany(targets.len()));
    }
    let mut round = Round::new(targets)?;
    if let Some(source) = source {
        for socket in [&round.v4, &round.v6].into_iter().flatten() {
            socket.bind(&SockAddr::from(SocketAddr::new(source, 0))).map_err(PingError::Socket)?;
        }
    }
    let deadline = Instant::now() + timeout;
    let pause = timeout / ATTEMPTS;
    let mut attempt = 0;
    let mut next_attempt = Instant::now();
    loop {
        let now = Instant::now();
        let all_answered = round.answers.iter().all(Option::is_some);
        if all_answered || enough(&round.answers) || now >= deadline && attempt > 0 {
            return Ok(round.answers);
        }
        if attempt < ATTEMPTS && now >= next_attempt {
            round.send_all(attempt);
            attempt += 1;
            next_attempt = now + pause;
        }
        let wake = if attempt < ATTEMPTS { next_attempt.min(deadline) } else { deadline };
        round.wait(wake.saturating_duration_since(Instant::now()));
        round.receive_all();
    }
}

struct Round<'a> {
    targets: &'a [IpAddr],
    v4: Option<Socket>,
    v6: Option<Socket>,
    identifier: u16,
    nonce: u64,
    sent: Vec<Vec<Instant>>,
    answers: Vec<Option<Answer>>,
}

/// Tells rounds of one process apart that run at the same time.
static ROUNDS: AtomicU32 = AtomicU32::new(0);

impl<'a> Round<'a> {
    fn new(targets: &'a [IpAddr]) -> Result<Round<'a>, PingError> {
        let number = ROUNDS.fetch_add(1, Ordering::Relaxed);
        let nonce = (u64::from(std::process::id()) << 32) | u64::from(number);
        let open = |wanted: bool, is_v6: bool| {
            if wanted { raw_socket(is_v6).map(Some).map_err(PingError::Socket) } else { Ok(None) }
        };
        Ok(Round {
            targets,
            v4: open(targets.iter().any(IpAddr::is_ipv4), false)?,
            v6: open(targets.iter().any(IpAddr::is_ipv6), true)?,
            identifier: (std::process::id() ^ number.wrapping_mul(0x9E37)) as u16,
            nonce,
            sent: vec![Vec::new(); targets.len()],
            answers: vec![None; targets.len()],
        })
    }

    fn send_all(&mut self, attempt: u32) {
        for (index, target) in self.targets.iter().enumerate() {
            let Some(socket) = (if target.is_ipv4() { &self.v4 } else { &self.v6 }) else {
                continue;
            };
            let request =
                echo_request(target.is_ipv6(), self.identifier, (attempt as usize * TARGETS_MAX + index) as u16, self.nonce);
            self.sent[index].push(Instant::now());
            // An address that cannot be reached now stays without an answer.
            let _ = socket.send_to(&request, &SockAddr::from(SocketAddr::new(*target, 0)));
        }
    }

    fn wait(&self, time: Duration) {
        let sockets = [self.v4.as_ref(), self.v6.as_ref()];
        let mut ready: Vec<PollFd> =
            sockets.iter().flatten().map(|socket| PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN)).collect();
        let time = Timespec { tv_sec: time.as_secs() as _, tv_nsec: time.subsec_nanos() as _ };
        // Interrupted or not: what has arrived is read next.
        let _ = poll(&mut ready, Some(&time));
    }

    fn receive_all(&mut self) {
        let mut packet = [0_u8; 2048];
        for is_v6 in [false, true] {
            // Bounded, so that a flood does not hold the deadline off.
            for _ in 0..4 * TARGETS_MAX {
                let Some(socket) = (if is_v6 { &self.v6 } else { &self.v4 }) else {
                    break;
                };
                let Ok((length, from)) = receive(socket, &mut packet) else {
                    break;
                };
                let arrived = Instant::now();
                let message = if is_v6 { Some(&packet[..length]) } else { behind_ipv4_header(&packet[..length]) };
                let Some((sequence, from)) =
                    message.and_then(|message| parse_reply(message, is_v6, self.identifier, self.nonce)).zip(from)
                else {
                    continue;
                };
                let (attempt, index) = (usize::from(sequence) / TARGETS_MAX, usize::from(sequence) % TARGETS_MAX);
                let Some(sent) = self.sent.get(index).and_then(|sent| sent.get(attempt)) else {
                    continue;
                };
                if self.targets[index] == from && self.answers[index].is_none() {
                    self.answers[index] = Some(Answer { sent: *sent, round_trip: arrived.saturating_duration_since(*sent) });
                }
            }
        }
    }
}

fn receive(socket: &Socket, packet: &mut [u8]) -> io::Result<(usize, Option<IpAddr>)> {
    let (length, _, from) = rustix::net::recvfrom(socket, packet, RecvFlags::empty())?;
    Ok((length, from.and_then(|from| SocketAddr::try_from(from).ok()).map(|from| from.ip())))
}

fn raw_socket(is_v6: bool) -> io::Result<Socket> {
    let (domain, protocol) = if is_v6 { (Domain::IPV6, Protocol::ICMPV6) } else { (Domain::IPV4, Protocol::ICMPV4) };
    let socket = Socket::new(domain, Type::RAW, Some(protocol))?;
    socket.set_nonblocking(true)?;
    only_replies(&socket, is_v6)?;
    Ok(socket)
}

/// Lets the kernel drop all but echo replies, which come in by the thousand on a busy server.
fn only_replies(socket: &Socket, is_v6: bool) -> io::Result<()> {
    only_type(socket, is_v6, if is_v6 { REPLY_V6 } else { REPLY_V4 })
}

/// Lets the kernel drop all messages of a raw socket but those of one type (of version 4: below 32).
pub(crate) fn only_type(socket: &Socket, is_v6: bool, kind: u8) -> io::Result<()> {
    let mut filter = [u32::MAX; 8];
    let (level, name, size) = if is_v6 {
        filter[usize::from(kind) / 32] &= !(1 << (kind % 32));
        (libc::IPPROTO_ICMPV6, ICMP6_FILTER, size_of_val(&filter))
    } else {
        filter[0] = !(1 << kind);
        (libc::SOL_RAW, ICMP_FILTER, size_of::<u32>())
    };
    // SAFETY: the kernel reads `size` bytes, which the array holds.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, filter.as_ptr().cast(), size as libc::socklen_t) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `ICMP_FILTER` of include/uapi/linux/icmp.h and `ICMPV6_FILTER` of include/uapi/linux/icmpv6.h.
const ICMP_FILTER: libc::c_int = 1;
const ICMP6_FILTER: libc::c_int = 1;
const REPLY_V4: u8 = 0;
const REPLY_V6: u8 = 129;
const REQUEST_V4: u8 = 8;
const REQUEST_V6: u8 = 128;

fn echo_request(is_v6: bool, identifier: u16, sequence: u16, nonce: u64) -> [u8; 16] {
    let mut packet = [0; 16];
    packet[0] = if is_v6 { REQUEST_V6 } else { REQUEST_V4 };
    packet[4..6].copy_from_slice(&identifier.to_be_bytes());
    packet[6..8].copy_from_slice(&sequence.to_be_bytes());
    packet[8..16].copy_from_slice(&nonce.to_be_bytes());
    if !is_v6 {
        // For ICMPv6 the kernel computes the checksum, as it covers the addresses.
        let checksum = internet_checksum(&packet);
        packet[2..4].copy_from_slice(&checksum.to_be_bytes());
    }
    packet
}

fn internet_checksum(bytes: &[u8]) -> u16 {
    let sum: u32 = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0))).sum();
    let folded = (sum & 0xFFFF) + (sum >> 16);
    !((folded & 0xFFFF) + (folded >> 16)) as u16
}

fn behind_ipv4_header(packet: &[u8]) -> Option<&[u8]> {
    packet.get(usize::from(packet.first()? & 0x0F) * 4..)
}

fn parse_reply(message: &[u8], is_v6: bool, identifier: u16, nonce: u64) -> Option<u16> {
    let is_reply = *message.first()? == if is_v6 { REPLY_V6 } else { REPLY_V4 };
    let is_ours = message.get(4..6)? == identifier.to_be_bytes() && message.get(8..16)? == nonce.to_be_bytes();
    (is_reply && is_ours).then(|| u16::from_be_bytes([message[6], message[7]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_answer_and_unused_ones_do_not() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        let targets: Vec<IpAddr> =
            ["127.0.0.1", "127.0.0.77", "0.0.0.1", "::1"].iter().map(|text| text.parse().expect("address")).collect();
        let begin = Instant::now();
        let answers = ping(&targets, Duration::from_millis(300)).expect("raw sockets");
        assert!(begin.elapsed() < Duration::from_secs(3));
        assert!(answers[0].is_some_and(|answer| answer.sent >= begin) && answers[1].is_some(), "{answers:?}");
        assert!(answers[2].is_none(), "{answers:?}");
        if std::net::UdpSocket::bind("[::1]:0").is_ok() {
            assert!(answers[3].is_some(), "{answers:?}");
        }
        let begin = Instant::now();
        let answers = ping_until(&targets, Duration::from_secs(20), |answers| answers[0].is_some()).expect("raw sockets");
        assert!(answers[0].is_some() && begin.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn foreign_and_short_replies_are_ignored() {
        let mut reply = echo_request(false, 7, 9, 11);
        assert_eq!(internet_checksum(&reply), 0, "a packet with its checksum sums to zero");
        assert_eq!(parse_reply(&reply, false, 7, 11), None, "a request is no reply");
        reply[0] = REPLY_V4;
        assert_eq!(parse_reply(&reply, false, 7, 11), Some(9));
        assert_eq!(parse_reply(&reply, false, 8, 11), None);
        assert_eq!(parse_reply(&reply, false, 7, 12), None);
        for end in 0..reply.len() {
            assert_eq!(parse_reply(&reply[..end], false, 7, 11), None);
        }
        assert_eq!(behind_ipv4_header(&[]), None);
        assert_eq!(behind_ipv4_header(&[0x4F, 0, 0]), None);
    }
}
