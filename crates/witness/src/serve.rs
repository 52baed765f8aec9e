//! The network: connections, each with a thread, a limit of time for everything and a limit of bytes.
//!
//! Who has not shown a key yet waits at the door (`clp_services::door`), where few wait, for a short time, and a flood is shed fairly.
//! Who has shown one is counted to its cluster, so that no cluster takes the room of the others. Whatever comes, the memory that
//! it takes is bounded by these numbers.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use clp_cli::declaration::Failure;
use clp_protocol::witness::http::{self, HEAD_MAX};
use clp_protocol::witness::{PORT, SEALED_MAX};
use clp_services::door::{Bounded, Door, REFUSED_PAUSE};

use crate::answer::{Reply, Witness};
use crate::pace::{Matter, say};
use crate::store::{Cluster, Store};

/// Connections that have shown a key: a hundred clusters of the usual size.
const KNOWN_MAX: u32 = 1024;
/// Of one cluster: each of 32 servers, and those of before that have not ended yet.
const OF_A_CLUSTER_MAX: u32 = 96;
/// From the first byte of a request to the last, and for an answer to be taken.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);
/// A connection of a cluster that says nothing: its servers look every few seconds.
const IDLE_LIMIT: Duration = Duration::from_secs(90);
/// Buffers are small and nothing recurses.
const STACK: usize = 256 * 1024;

/// Answer clusters until the program is ended.
pub fn run(state: &Path, listen: Option<&str>) -> Result<(), Failure> {
    clp_sys::signals::survive_file_size_limit().map_err(|cause| Failure::new(cause.to_string()))?;
    let store = Store::open(state).map_err(|cause| Failure::new(format!("{}: {cause}", state.display())))?;
    let count = store.count().map_err(|cause| Failure::new(format!("{} cannot be read: {cause}", state.display())))?;
    let witness = Arc::new(Witness::new(store, u64::from_be_bytes(crate::setup::random()?)));
    let listener = bind(listen)?;
    let at = listener.local_addr().map_err(|cause| Failure::new(cause.to_string()))?;
    say(&format!("listening at {at}; {count} {} in {}", if count == 1 { "cluster" } else { "clusters" }, state.display()));
    accept(&listener, &witness)
}

fn bind(listen: Option<&str>) -> Result<TcpListener, Failure> {
    let addresses: Vec<SocketAddr> = match listen {
        Some(text) => {
            let wrong = |_| Failure::new(format!("--listen needs an address and a port, such as 10.0.0.9:{PORT}, not {text}"));
            vec![text.parse().map_err(wrong)?]
        }
        // All of them; where there is no IPv6, those of IPv4.
        None => vec![(Ipv6Addr::UNSPECIFIED, PORT).into(), (Ipv4Addr::UNSPECIFIED, PORT).into()],
    };
    let bound = TcpListener::bind(addresses.as_slice());
    bound.map_err(|cause| Failure::new(format!("{} cannot be listened at: {cause}", listen.unwrap_or("port 29020"))))
}

fn accept(listener: &TcpListener, witness: &Arc<Witness>) -> ! {
    let door = Arc::new(Door::default());
    let known = Arc::new(AtomicU32::new(0));
    loop {
        let (stream, from) = match listener.accept() {
            Ok((stream, from)) => (stream, plain(from.ip())),
            Err(cause) => {
                witness.pace.tell(Matter::Connections, &format!("a connection cannot be taken: {cause}"));
                std::thread::sleep(REFUSED_PAUSE);
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let Ok(place) = door.enter(&stream, from) else { continue };
        let conversation = Conversation {
            connection: Bounded::new(stream, REQUEST_LIMIT),
            from,
            buffer: Vec::new(),
            witness: witness.clone(),
            seats: known.clone(),
            seat: None,
        };
        let begun = std::thread::Builder::new().stack_size(STACK).spawn(move || conversation.run(place));
        if let Err(cause) = begun {
            witness.pace.tell(Matter::Connections, &format!("a connection gets no thread: {cause}"));
            std::thread::sleep(REFUSED_PAUSE);
        }
    }
}

/// An address of IPv4 that came over IPv6 is one of IPv4.
fn plain(from: IpAddr) -> IpAddr {
    from.to_canonical()
}

/// Room for a connection that has shown a key; left when dropped.
struct Seat {
    all: Arc<AtomicU32>,
    cluster: Arc<Cluster>,
}

impl Seat {
    fn take(all: &Arc<AtomicU32>, cluster: &Arc<Cluster>) -> Option<Seat> {
        // Dropped when one of the two has no room.
        all.fetch_add(1, Ordering::Relaxed);
        cluster.connections.fetch_add(1, Ordering::Relaxed);
        let seat = Seat { all: all.clone(), cluster: cluster.clone() };
        let fits =
            seat.all.load(Ordering::Relaxed) <= KNOWN_MAX && seat.cluster.connections.load(Ordering::Relaxed) <= OF_A_CLUSTER_MAX;
        fits.then_some(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::Relaxed);
        self.cluster.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection and what has come on it.
struct Conversation {
    connection: Bounded,
    from: IpAddr,
    buffer: Vec<u8>,
    witness: Arc<Witness>,
    seats: Arc<AtomicU32>,
    seat: Option<Seat>,
}

/// A request that has come whole.
struct Received {
    method: String,
    target: String,
    body: Vec<u8>,
    closes: bool,
}

/// Why there is none.
enum Nothing {
    /// The connection is over.
    Over,
    /// It is refused with this status.
    Refused(u16, String),
}

impl From<io::Error> for Nothing {
    fn from(_: io::Error) -> Nothing {
        Nothing::Over
    }
}

impl Conversation {
    /// Until the other side ends it, or has to. The place at the door is for those who have not shown a key.
    fn run(mut self, place: clp_services::door::Place) {
        let mut place = Some(place);
        loop {
            let received = match self.receive() {
                Ok(received) => received,
                Err(Nothing::Over) => return,
                Err(Nothing::Refused(status, words)) => return self.refuse(status, &words),
            };
            let body = match (received.method.as_str(), received.target.as_str()) {
                ("POST", http::TARGET) => received.body,
                ("GET", "/") => {
                    // For a person who looks whether a witness is here.
                    let words = format!("{}\n", clp_cli::version("clpwitness"));
                    let _ = self.send(&http::answer(200, "text/plain", words.as_bytes(), false));
                    return;
                }
                ("POST" | "GET", _) => return self.refuse(404, "there is nothing here"),
                _ => return self.refuse(405, "records are asked for by POST"),
            };
            let (sealed, cluster) = match self.witness.answer(&body) {
                Reply::Sealed(sealed, cluster) => (sealed, cluster),
                Reply::Plain(status, words) => return self.refuse(status, words),
            };
            if self.seat.is_none() {
                let Some(seat) = Seat::take(&self.seats, &cluster) else {
                    self.witness.pace.tell(Matter::Connections, &format!("{} has too many connections", cluster.name));
                    return self.refuse(503, "too many connections");
                };
                self.seat = Some(seat);
                place = None;
            }
            let kept = !received.closes;
            if self.send(&http::answer(200, "application/octet-stream", &sealed, kept)).is_err() || !kept {
                break;
            }
        }
        drop(place);
    }

    fn receive(&mut self) -> Result<Received, Nothing> {
        if self.buffer.is_empty() && self.seat.is_some() {
            self.connection.allow(IDLE_LIMIT);
            self.more()?;
        }
        self.connection.allow(REQUEST_LIMIT);
        let head = loop {
            match http::read_request(&self.buffer) {
                Ok(Some(head)) => break head,
                Ok(None) => self.more()?,
                Err(error) => return Err(Nothing::Refused(error.status(), error.to_string())),
            }
        };
        if head.body > SEALED_MAX {
            return Err(Nothing::Refused(413, "the request is too long".into()));
        }
        while self.buffer.len() < head.length + head.body {
            self.more()?;
        }
        let rest = self.buffer.split_off(head.length + head.body);
        let body = self.buffer.split_off(head.length);
        self.buffer = rest;
        let (method, target) = head.first;
        Ok(Received { method, target, body, closes: head.closes })
    }

    /// What has come; at least a byte.
    fn more(&mut self) -> io::Result<()> {
        let mut bytes = [0u8; 1024];
        if self.buffer.len() > HEAD_MAX + SEALED_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "too much at once"));
        }
        let count = self.connection.read(&mut bytes)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.buffer.extend_from_slice(&bytes[..count]);
        Ok(())
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.connection.allow(REQUEST_LIMIT);
        self.connection.write_all(bytes)
    }

    fn refuse(mut self, status: u16, words: &str) {
        self.witness.pace.tell(Matter::Refused, &format!("{} is refused: {words}", self.from));
        let _ = self.send(&http::answer(status, "text/plain", format!("{words}\n").as_bytes(), false));
    }
}
