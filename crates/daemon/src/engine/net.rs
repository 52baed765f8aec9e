//! The heartbeat paths: seals and sends frames and messages, opens what arrives.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;

use clp_config::HeartbeatKind;
use clp_core::cluster::Cluster;
use clp_core::event::Event;
use clp_core::ids::ServerId;
use clp_core::message::{Frame, Letter};
use clp_core::time::{Time, micros};
use clp_drivers::heartbeats::{Dropped, FRAME_MAX, PathStatus, Received, Sink, Transport, comhb, diskhb, lanhb, lankhb};
use clp_protocol::datagram::{DATAGRAM_MAX, Datagram, KIND_FRAME, KIND_MESSAGE, frame_body, message_body, read_body};
use clp_protocol::seal::{OVERHEAD, Opener, Sealer, claimed_sender};

use super::Input;
use super::paths::Statistics;
use super::refused::{Cause, Refusal};
use crate::setup::Loaded;

/// Datagrams of one path that may wait for the loop: what 32 servers send in half a second at the shortest interval. A flood
/// must not fill the memory, and of what waits longer nothing is new.
const WAITING_MAX: usize = 2048;

struct Way {
    transport: Option<Box<dyn Transport>>,
    lan: bool,
}

/// What of one path waits in the loop's queue.
#[derive(Default)]
struct Waiting {
    now: AtomicUsize,
    overrun: AtomicU64,
}

impl Waiting {
    /// Is there room for one more? It has been taken then.
    fn enter(&self) -> bool {
        if self.now.fetch_add(1, Ordering::Relaxed) < WAITING_MAX {
            return true;
        }
        self.leave();
        self.overrun.fetch_add(1, Ordering::Relaxed);
        false
    }

    fn leave(&self) {
        self.now.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All paths of this server.
pub struct Net {
    me: ServerId,
    servers: usize,
    ways: Vec<Way>,
    sealer: Sealer,
    opener: Opener,
    waiting: Arc<[Waiting]>,
    /// What is measured of each path.
    pub statistics: Statistics,
}

impl Net {
    /// Open every configured path that this server uses; one that cannot be opened now is reported and stays closed.
    pub fn open(loaded: &Loaded, me: ServerId, incarnation: u64, key: [u8; 32], inputs: Sender<Input>) -> Result<Net, String> {
        let configuration = &loaded.configuration;
        let number = u8::try_from(me.index()).map_err(|_| "more than 32 servers".to_string())?;
        let name = &configuration.cluster.name;
        let sealer = Sealer::new(&key, name, number).map_err(|cause| cause.to_string())?;
        let opener = Opener::new(&key, name, configuration.servers.len());
        let waiting: Arc<[Waiting]> = configuration.heartbeats.iter().map(|_| Waiting::default()).collect();
        // Called on the paths' own real-time threads: a queue that never waits, never a lock that work could hold.
        let room = waiting.clone();
        let sink: Sink = Arc::new(move |received| {
            if room[received.path].enter() {
                drop(inputs.send(Input::Datagram(received)));
            }
        });
        let mut ways = Vec::new();
        for (path, heartbeat) in configuration.heartbeats.iter().enumerate() {
            let info =
                |server: &clp_config::Server| server.device(heartbeat.device).map(|d| d.info.clone()).filter(|i| !i.is_empty());
            let mine = info(&configuration.servers[me.index()]);
            let lan = matches!(heartbeat.kind, HeartbeatKind::Lanhb | HeartbeatKind::Lankhb);
            let opened = match mine {
                None => None,
                Some(mine) => {
                    let peers: Vec<Option<IpAddr>> = configuration
                        .servers
                        .iter()
                        .enumerate()
                        .map(|(index, server)| if index == me.index() { None } else { info(server).and_then(|i| i.parse().ok()) })
                        .collect();
                    match open_way(loaded, heartbeat.kind, path, &mine, me, &peers, &sink) {
                        Ok(transport) => Some(transport),
                        Err(reason) => {
                            crate::setup::complain(&format!("heartbeat {} on {mine} cannot be opened: {reason}", heartbeat.name));
                            None
                        }
                    }
                }
            };
            ways.push(Way { transport: opened, lan });
        }
        let servers = configuration.servers.len();
        let statistics = Statistics::new(me, incarnation, servers, ways.len());
        Ok(Net { me, servers, ways, sealer, opener, waiting, statistics })
    }

    /// Position of this server.
    pub fn me(&self) -> ServerId {
        self.me
    }

    /// Is the path open here?
    pub fn is_open(&self, path: usize) -> bool {
        self.ways[path].transport.is_some()
    }

    /// How each path is on this server; None where it is not used.
    pub fn states(&self) -> impl Iterator<Item = Option<PathStatus>> {
        self.ways.iter().map(|way| way.transport.as_ref().map(|transport| transport.status()))
    }

    /// The heartbeat goes to everybody on every path.
    pub fn beat(&mut self, frame: &Frame) {
        self.statistics.beat(super::now(), frame.seq);
        let body = frame_body(frame);
        let short = short_body(frame, &body);
        for way in &mut self.ways {
            let Some(transport) = &mut way.transport else { continue };
            let body = short.as_ref().filter(|_| !way.lan).unwrap_or(&body);
            let sealed = self.sealer.seal(KIND_FRAME, body);
            if way.lan {
                for to in (0..self.servers).filter(|to| *to != self.me.index()) {
                    // A path that cannot send shows in its status and in the peers' acknowledgements.
                    let _ = transport.send(to, &sealed);
                }
            } else {
                let _ = transport.send(0, &sealed);
            }
        }
    }

    /// A message goes on the first LAN path by priority that is up; where none is, on the one that was heard last.
    pub fn send(&mut self, letter: &Letter, cluster: &Cluster) {
        let (to, now) = (letter.to.server, super::now());
        let usable = || (0..self.ways.len()).filter(|path| self.ways[*path].lan && self.ways[*path].transport.is_some());
        let first = usable().find(|path| cluster.path_view(now, to, *path).up);
        let age = |path: &usize| cluster.path_view(now, to, *path).age.unwrap_or(std::time::Duration::MAX);
        let Some(path) = first.or_else(|| usable().min_by_key(age)) else { return };
        let body = message_body(letter);
        if body.len() > DATAGRAM_MAX {
            crate::setup::complain(&format!("a message of {} bytes does not fit a datagram", body.len()));
            return;
        }
        let sealed = self.sealer.seal(KIND_MESSAGE, &body);
        if let Some(transport) = &mut self.ways[path].transport {
            let _ = transport.send(to.index(), &sealed);
            self.statistics.message(path, to);
        }
    }

    /// Open a datagram that waited in the queue.
    pub fn open_datagram(&mut self, received: &Received) -> Result<Event, Refusal> {
        self.waiting[received.path].leave();
        let opened = self.opener.open(received.path, &received.bytes).map_err(|error| {
            let claimed = claimed_sender(&received.bytes).map(|sender| ServerId::at(usize::from(sender)));
            let claimed = claimed.filter(|from| *from != self.me && from.index() < self.servers);
            Refusal { cause: error.into(), claimed }
        })?;
        let from = ServerId::at(usize::from(opened.sender));
        if from == self.me {
            return Err(Refusal { cause: Cause::Own, claimed: None });
        }
        let lan = self.ways[received.path].lan;
        match read_body(opened.kind, &opened.body) {
            Ok(Datagram::Frame(frame)) => {
                let at = Time(micros(received.at));
                self.statistics.frame(at, received.path, from, &frame);
                Ok(Event::Frame { from, path: received.path, lan, frame })
            }
            Ok(Datagram::Message(letter)) => Ok(Event::Message { from, letter }),
            Err(_) => Err(Refusal { cause: Cause::Unreadable, claimed: Some(from) }),
        }
    }

    /// What each open path dropped itself, and what the queue had no room for.
    pub fn dropped(&self) -> impl Iterator<Item = (usize, Dropped, u64)> {
        self.ways.iter().zip(self.waiting.iter()).enumerate().filter_map(|(path, (way, waiting))| {
            let dropped = way.transport.as_ref()?.dropped();
            Some((path, dropped, waiting.overrun.load(Ordering::Relaxed)))
        })
    }
}

/// The frame for paths that carry less than a LAN, where this body is too long for them: without what it carries for others. That
/// is for servers that hear each other by LAN over a third one, so it is of no use there.
fn short_body(frame: &Frame, body: &[u8]) -> Option<Vec<u8>> {
    (body.len() + OVERHEAD > FRAME_MAX).then(|| frame_body(&Frame { carried: Vec::new(), ..frame.clone() }))
}

fn open_way(
    loaded: &Loaded,
    kind: HeartbeatKind,
    path: usize,
    mine: &str,
    me: ServerId,
    peers: &[Option<IpAddr>],
    sink: &Sink,
) -> Result<Box<dyn Transport>, String> {
    let cluster = &loaded.configuration.cluster;
    let text = |cause: std::io::Error| cause.to_string();
    let address = || mine.parse::<IpAddr>().map_err(|_| format!("{mine} is not an address"));
    Ok(match kind {
        HeartbeatKind::Lanhb => {
            Box::new(lanhb::open(path, address()?, cluster.ports.heartbeat, peers, sink.clone()).map_err(text)?)
        }
        HeartbeatKind::Lankhb => {
            Box::new(lankhb::open(path, address()?, cluster.ports.kernel_heartbeat, peers, sink.clone()).map_err(text)?)
        }
        HeartbeatKind::Diskhb => Box::new(
            diskhb::open(path, Path::new(mine), me.index(), peers.len(), cluster.heartbeat_interval, sink.clone())
                .map_err(|cause| cause.to_string())?,
        ),
        HeartbeatKind::Comhb => Box::new(comhb::open(path, Path::new(mine), sink.clone()).map_err(text)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clp_core::ids::{SERVERS_MAX, ServerSet};
    use clp_core::message::{Ack, Carried, Row};

    /// All numbers as great as they are ever believed, every server heard, and each carrying for each.
    fn greatest() -> Frame {
        let servers = || (0..SERVERS_MAX).map(ServerId::at);
        let all = ServerSet::all(SERVERS_MAX);
        let big = u64::MAX - 1;
        let pairs = servers().flat_map(|by| servers().map(move |of| (by, of))).filter(|(by, of)| by != of);
        Frame {
            incarnation: big,
            boot: big,
            seq: big,
            ages: vec![big; SERVERS_MAX],
            acks: servers().map(|server| Ack { server, incarnation: big, seq: big, report: big }).collect(),
            rows: servers().map(|server| Row { server, incarnation: big, seq: big, lan: all, any: all }).collect(),
            carried: pairs.map(|(by, of)| Carried { by, of, incarnation: big, seq: big }).collect(),
            report: big,
            generation: big,
            ratio: u32::MAX,
            ..Frame::default()
        }
    }

    #[test]
    fn a_frame_of_32_servers_fits_every_path() {
        let frame = greatest();
        let body = frame_body(&frame);
        assert!(body.len() <= DATAGRAM_MAX, "{} bytes on a LAN", body.len());
        let short = short_body(&frame, &body).expect("too long for a disk");
        assert!(short.len() + OVERHEAD <= FRAME_MAX, "{} bytes on a disk", short.len() + OVERHEAD);
        let few = Frame { carried: frame.carried[..20].to_vec(), ..frame };
        assert_eq!(short_body(&few, &frame_body(&few)), None, "as long as it fits it is whole");
    }
}
