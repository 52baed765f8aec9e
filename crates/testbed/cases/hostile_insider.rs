//! What somebody with the cluster's key, or with root's access to a socket, can make: valid input to be changed, and what must be
//! left out because it would be an order. Not a case itself.
#![allow(dead_code, reason = "each file of cases uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

use super::{cluster::Cluster, mutants::Random};
use clp_core::{
    ids::{GroupId, ServerId, ServerSet},
    message::{Ack, Carried, Command, Document, Epoch, Frame, Letter, Member, Message, Order, OrderKind, Origin, Report, Row},
};
use clp_protocol::{
    control,
    datagram::{KIND_FRAME, KIND_MESSAGE, frame_body, message_body, read_body},
    seal::Sealer,
};
use clp_services::request::{Request, StagedFile};
use std::{fs, sync::Arc};

/// The name of the sample's cluster: part of every key.
const CLUSTER: &str = "cluster";

/// Seals with the true key as one of the servers.
pub struct Insider {
    sealer: Sealer,
    bodies: Vec<Vec<u8>>,
    messages: usize,
    datagrams: Vec<Vec<u8>>,
}

impl Insider {
    /// In the name of the server at this position.
    pub fn new(cluster: &Cluster, position: u8) -> Insider {
        let key = fs::read(cluster.directory().join("server1/opt/mainstay/etc/trust/cluster.key")).unwrap();
        let key = clp_services::trust::read_cluster_key(&key).unwrap();
        let messages: Vec<Vec<u8>> =
            messages(position).into_iter().map(|message| message_body(&letter(position, message))).collect();
        let count = messages.len();
        let bodies = messages.into_iter().chain([frame_body(&frame(position))]).collect();
        let sealer = Sealer::new(&key, CLUSTER, position).unwrap();
        let mut insider = Insider { sealer, bodies, messages: count, datagrams: Vec::new() };
        insider.datagrams = (0..=count).map(|index| insider.seal(insider.kind(index), &insider.bodies[index].clone())).collect();
        insider
    }

    /// Seals anything.
    pub fn seal(&mut self, kind: u8, body: &[u8]) -> Vec<u8> {
        self.sealer.seal(kind, body)
    }

    /// A sealed datagram that was changed: what the servers send, or one of another life of the sender. Never one of the latter as
    /// it was, which would be an order.
    pub fn changed(&self, random: &mut Random, captured: &[Vec<u8>]) -> Vec<u8> {
        loop {
            let valid = if random.below(2) == 0 { captured } else { &self.datagrams };
            let mutant = random.mutant(valid);
            if !self.datagrams.contains(&mutant) {
                return mutant;
            }
        }
    }

    fn kind(&self, index: usize) -> u8 {
        if index < self.messages { KIND_MESSAGE } else { KIND_FRAME }
    }

    /// A valid body that was changed until it cannot be read, sealed with the true key.
    pub fn unreadable(&mut self, random: &mut Random) -> Vec<u8> {
        loop {
            let body = random.mutant(&self.bodies);
            let kind = if random.below(50) == 0 { random.next().to_le_bytes()[0] } else { 1 + random.below(2) as u8 };
            if read_body(kind, &body).is_err() {
                return self.seal(kind, &body);
            }
        }
    }
}

fn epoch() -> Epoch {
    Epoch { counter: 3, server: ServerId(0) }
}

fn members() -> Vec<Member> {
    (0..2).map(|server| Member { server: ServerId(server), incarnation: 1_700_000_000 }).collect()
}

/// A frame as a server of two sends it.
pub fn frame(position: u8) -> Frame {
    let other = ServerId(1 - position);
    Frame {
        incarnation: 1_700_000_000,
        boot: 0x1234_5678_9ABC_DEF0,
        seq: 1000,
        promised: epoch(),
        view: epoch(),
        ages: vec![0, 100_000],
        acks: vec![Ack { server: other, incarnation: 1_700_000_000, seq: 999, report: 7 }],
        rows: vec![Row { server: ServerId(position), incarnation: 1, seq: 1000, lan: ServerSet(3), any: ServerSet(3) }],
        carried: vec![Carried { by: other, of: ServerId(position), incarnation: 1, seq: 9 }],
        report: 7,
        generation: 0x1111,
        ..Frame::default()
    }
}

/// As the server writes it to the other one.
fn letter(position: u8, message: Message) -> Letter {
    Letter { incarnation: 1_700_000_000, to: members()[usize::from(1 - position)], message }
}

/// One message of each kind.
pub fn messages(position: u8) -> Vec<Message> {
    let document = Document { epoch: epoch(), version: 9, started: true, ..Document::default() };
    vec![
        Message::Prepare { epoch: epoch(), members: members() },
        Message::Promise { epoch: epoch(), report: Report::default(), document: document.clone(), ages: vec![0, 1] },
        Message::TooOld { promised: epoch() },
        Message::Commit { epoch: epoch(), members: members(), document: document.clone() },
        Message::Report(Report { incarnation: 1, version: 2, ..Report::default() }),
        Message::Order(Order {
            epoch: epoch(),
            incarnation: 1,
            serial: 1,
            group: GroupId(1),
            kind: OrderKind::Start { origin: Origin::Fresh, absent: ServerSet(0) },
            why: "why not".into(),
        }),
        Message::Document { epoch: epoch(), document },
        Message::Command {
            id: 1,
            command: Command::GroupMove { group: Some(GroupId(1)), from: None, to: Some(ServerId(position)) },
        },
        Message::Answer { id: 1, answer: clp_core::message::Answer::Done { details: vec!["done".into()] } },
        Message::Cause { group: GroupId(1), text: "a cause".into() },
        Message::DocumentSeen { epoch: epoch(), version: 9 },
        Message::RunElsewhere { id: 1, resource: clp_core::ids::ResourceId(1), start: true },
        Message::RanElsewhere { id: 1, failed: Some((1, "no".into())) },
    ]
}

/// Requests of the control API, one of each kind.
pub fn control_requests() -> Vec<Vec<u8>> {
    let name = |name: &str| Some(name.to_string());
    let requests = [
        control::Request::Status,
        control::Request::Why { group: "failover1".into() },
        control::Request::GroupStart { group: name("failover1"), server: name("server2") },
        control::Request::GroupStop { group: name("failover1"), server: None },
        control::Request::GroupMove { group: name("failover1"), from: None, to: name("server2") },
        control::Request::StopService { then: control::AfterStop::Shutdown, all: true },
        control::Request::Suspend,
    ];
    requests.iter().map(|request| serde_json::to_vec(request).unwrap()).collect()
}

/// Would the engine carry it out? Then it is no hostile input but an operator's.
pub fn is_order(line: &[u8]) -> bool {
    let request = serde_json::from_slice::<control::Request>(line);
    request.is_ok_and(|request| !matches!(request, control::Request::Status | control::Request::Why { .. }))
}

/// Requests to the transfer service, framed, one of each kind.
pub fn transfer_requests() -> Vec<Vec<u8>> {
    let file = StagedFile { path: "clp.conf".into(), executable: false, hex: "3c726f6f742f3e".into() };
    let requests = [
        Request::Version,
        Request::StartDaemon,
        Request::Relay { request: serde_json::json!({ "request": "status" }) },
        Request::Stage { generation: 7, checksum: "00".into(), files: vec![file] },
        Request::Commit { generation: 7, checksum: "00".into(), by: String::new() },
        Request::Abort { generation: 7 },
        Request::Forward { server: "server2".into(), addresses: Vec::new(), inner: Box::new(Request::Version) },
    ];
    let framed = requests.iter().map(|request| {
        let mut bytes = Vec::new();
        clp_services::wire::write(&mut bytes, request).unwrap();
        bytes
    });
    framed.collect()
}

/// Is it a request that starts, relays or asks elsewhere? Those are orders, not hostile input.
pub fn is_harmful(bytes: &[u8]) -> bool {
    let request = clp_services::wire::read::<Request>(&mut &bytes[..]);
    matches!(request, Ok(Request::StartDaemon | Request::Relay { .. } | Request::Forward { .. }))
}

/// What a client of TLS says first: for another server and for none of this cluster.
pub fn hellos() -> Vec<Vec<u8>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let config = Arc::new(config);
    let hello = |name: &'static str| {
        let mut client = rustls::ClientConnection::new(config.clone(), name.try_into().unwrap()).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    };
    vec![hello("server1"), hello("stranger.example")]
}
