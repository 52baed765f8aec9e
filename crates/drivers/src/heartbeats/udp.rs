//! Heartbeats in UDP datagrams, what lanhb and lankhb share: one socket, one receiving thread.
//!
//! The socket is bound to the server's own interconnect address even while that address is not there yet (free bind), so
//! an interface that comes later or goes down and up needs no new socket.

use super::{
    DropCount, Dropped, LAN_MAX, PathStatus, Received, STOP_CHECK, Sink, StatusCell, StopFlag, Transport, boottime, check_length,
};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

/// After so many datagrams the thread rests: a flood must not keep it from blocking, least of all a real-time thread.
const DATAGRAMS_BEFORE_REST: u32 = 128;
const REST: Duration = Duration::from_micros(500);
/// Receive buffer asked for; the kernel's default holds a few hundred frames, a flood fills it.
const RECEIVE_BUFFER: usize = 1 << 20;
/// Priority of the packets in the interface's queue (`TC_PRIO_INTERACTIVE`) and their DSCP class (CS6, network control).
const PACKET_PRIORITY: u32 = 6;
const TRAFFIC_CLASS: u32 = 0xC0;

/// From so many frames without one that came back a server counts as silent here: what the kernel has to find out to reach it may hang
/// from then on.
const SILENT_FROM: u32 = 3;

/// A UDP heartbeat path.
#[derive(Debug)]
pub struct UdpPath {
    name: String,
    peers: Vec<Option<SocketAddr>>,
    sent: Arc<[AtomicU32]>,
    socket: Arc<OnceLock<Socket>>,
    status: StatusCell,
    note: Arc<Mutex<Option<String>>>,
    dropped: DropCount,
    stop: StopFlag,
}

pub(super) struct Opening<'a> {
    pub(super) kind: &'static str,
    pub(super) path: usize,
    pub(super) my_address: IpAddr,
    pub(super) port: u16,
    pub(super) peers: &'a [Option<IpAddr>],
    pub(super) sink: Sink,
    /// Run first on the receiving thread; its answer becomes the path's note.
    pub(super) prepare: fn() -> Option<String>,
}

pub(super) fn open(opening: Opening<'_>) -> io::Result<UdpPath> {
    let Opening { kind, path, my_address, port, peers, sink, prepare } = opening;
    let udp = UdpPath {
        name: format!("{kind} {my_address}"),
        peers: peers.iter().map(|peer| peer.map(|address| SocketAddr::new(address, port))).collect(),
        sent: peers.iter().map(|_| AtomicU32::new(0)).collect(),
        socket: Arc::default(),
        status: StatusCell::new(),
        note: Arc::default(),
        dropped: DropCount::default(),
        stop: StopFlag::default(),
    };
    let receiver = Receiver {
        path,
        local: SocketAddr::new(my_address, port),
        peers: peers.to_vec(),
        sent: Arc::clone(&udp.sent),
        socket: Arc::clone(&udp.socket),
        status: udp.status.clone(),
        dropped: udp.dropped.clone(),
        stop: udp.stop.clone(),
        sink,
    };
    let note = Arc::clone(&udp.note);
    // Owner: the path; ends within STOP_CHECK of its drop. Cut short, frames in the socket are lost, as on the wire.
    thread::Builder::new().name(format!("{kind}{path}")).spawn(move || {
        *note.lock().unwrap_or_else(PoisonError::into_inner) = prepare();
        receiver.run();
    })?;
    Ok(udp)
}

impl Transport for UdpPath {
    fn name(&self) -> &str {
        &self.name
    }

    fn send(&mut self, to: usize, frame: &[u8]) -> io::Result<()> {
        check_length(frame, LAN_MAX)?;
        let Some(Some(peer)) = self.peers.get(to) else {
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, format!("server {to} has no address on {}", self.name)));
        };
        let Some(socket) = self.socket.get() else {
            return Err(io::Error::new(io::ErrorKind::NotConnected, format!("{} is not open yet", self.name)));
        };
        self.sent[to].fetch_add(1, Ordering::Relaxed);
        match socket.send_to_with_flags(frame, &SockAddr::from(*peer), NOT_WAITING) {
            Ok(_) => {
                self.status.works();
                Ok(())
            }
            Err(error) => {
                self.status
                    .failed(format!("cannot send from {} to {peer}: {error}; check the interface and its address", self.name));
                Err(error)
            }
        }
    }

    fn status(&self) -> PathStatus {
        self.status.current()
    }

    fn dropped(&self) -> Dropped {
        self.dropped.current()
    }

    fn note(&self) -> Option<String> {
        self.note.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

const NOT_WAITING: i32 = rustix::net::SendFlags::DONTWAIT.bits() as i32;

impl Drop for UdpPath {
    fn drop(&mut self) {
        self.stop.set();
    }
}

struct Receiver {
    path: usize,
    local: SocketAddr,
    peers: Vec<Option<IpAddr>>,
    /// Frames to each since one came from there.
    sent: Arc<[AtomicU32]>,
    socket: Arc<OnceLock<Socket>>,
    status: StatusCell,
    dropped: DropCount,
    stop: StopFlag,
    sink: Sink,
}

impl Receiver {
    fn run(self) {
        let Some(socket) = self.bind() else { return };
        let mut datagram = vec![0; LAN_MAX + 1];
        let mut without_rest = 0;
        while !self.stop.is_set() {
            let (length, from) = match socket.recv_from(&mut datagram) {
                Ok(received) => received,
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
                    ) =>
                {
                    continue;
                }
                Err(error) => {
                    self.status.failed(format!("cannot receive on {}: {error}; check the interface", self.local));
                    thread::sleep(STOP_CHECK);
                    continue;
                }
            };
            let at = boottime();
            without_rest += 1;
            if without_rest >= DATAGRAMS_BEFORE_REST {
                without_rest = 0;
                thread::sleep(REST);
            }
            let Some(peer) = self.peers.iter().position(|peer| *peer == Some(from.ip())) else {
                self.dropped.stranger();
                continue;
            };
            if self.sent[peer].swap(0, Ordering::Relaxed) >= SILENT_FROM {
                ask_anew(from.ip());
            }
            if length > LAN_MAX {
                self.dropped.damaged(1);
            } else {
                (self.sink)(Received { path: self.path, bytes: datagram[..length].to_vec(), at });
            }
        }
    }

    /// Binds, trying until it works; `None` when the path was dropped before. Gives a second handle for receiving.
    fn bind(&self) -> Option<UdpSocket> {
        while !self.stop.is_set() {
            match bind(self.local).and_then(|socket| Ok((socket.try_clone()?, socket))) {
                Ok((receiving, sending)) => {
                    if self.socket.set(sending).is_ok() {
                        self.status.works();
                    }
                    return Some(receiving.into());
                }
                Err(error) => {
                    self.status.failed(format!("cannot open {}: {error}; stop the program that uses the port", self.local))
                }
            }
            thread::sleep(STOP_CHECK);
        }
        None
    }
}

/// A server is heard again: what is sent to it must not wait for the kernel's next question for its hardware address, or it would
/// hear nothing for up to a second. On a thread of its own, since the receiving one waits for nothing.
fn ask_anew(peer: IpAddr) {
    // Where it cannot be done the kernel asks in its own time.
    let _ = thread::Builder::new().spawn(move || clp_sys::resolution::ask_anew(peer));
}

fn bind(local: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
    if local.is_ipv4() {
        socket.set_freebind_v4(true)?;
        // A preference only: the path works without it.
        let _ = socket.set_tos_v4(TRAFFIC_CLASS);
    } else {
        socket.set_only_v6(true)?;
        socket.set_freebind_v6(true)?;
    }
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    let _ = socket.set_priority(PACKET_PRIORITY);
    socket.set_read_timeout(Some(STOP_CHECK))?;
    socket.bind(&SockAddr::from(local))?;
    Ok(socket)
}
