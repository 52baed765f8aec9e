//! Who is let in, and what a stranger can do: nothing, and not for long.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    time::{Duration, Instant},
};

use clp_services::{
    request::{Reply, Request},
    trust,
};

use crate::ground::{Ground, SOON, answer, connect, exchange, until};

/// Longest life of a connection without a certificate, with room for a slow machine.
const STRANGER_LIMIT: Duration = Duration::from_secs(6);

fn is_version(reply: &Reply) -> bool {
    matches!(reply, Reply::Version { .. })
}

/// Waits for the end of a connection; how long it took.
fn closed(mut stream: TcpStream) -> Duration {
    let begin = Instant::now();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let mut bytes = Vec::new();
    if let Err(cause) = stream.read_to_end(&mut bytes) {
        assert_eq!(cause.kind(), std::io::ErrorKind::ConnectionReset, "it was not closed: {cause}");
    }
    begin.elapsed()
}

#[test]
fn a_server_of_the_cluster_is_answered() {
    let ground = Ground::new();
    let address = ground.serve();
    assert!(is_version(&ground.ask(address, &Request::Version)));
}

#[test]
fn a_certificate_of_a_foreign_authority_is_refused_and_recorded() {
    let (ground, foreign) = (Ground::new(), Ground::new());
    let address = ground.serve();
    let reply = connect(&ground.trust(), Some((&foreign.trust(), "server2")), address)
        .and_then(|mut line| exchange(&mut line, &ground.stage_request(5, "first")));
    assert!(reply.is_err(), "{reply:?}");
    until("the refusal is in the log", || ground.log().contains("refused"));
    assert!(!ground.root.etc().join("conf.5").exists());
}

#[test]
fn a_client_without_a_certificate_is_refused() {
    let ground = Ground::new();
    let address = ground.serve();
    let reply = connect(&ground.trust(), None, address).and_then(|mut line| exchange(&mut line, &Request::Version));
    assert!(reply.is_err(), "{reply:?}");
}

#[test]
fn a_server_that_is_not_in_the_configuration_is_refused_in_words_although_the_authority_is_right() {
    let ground = Ground::new();
    let address = ground.serve();
    for request in [Request::Version, ground.stage_request(5, "first")] {
        match ground.ask_as("server3", address, &request).unwrap() {
            Reply::Failed { reason } => assert!(reason.contains("no server of the configuration"), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
    assert!(!ground.root.etc().join("conf.5").exists());
    assert!(ground.log().contains("its certificate is for no server"), "{}", ground.log());
}

#[test]
fn without_a_configuration_every_server_of_the_authority_may_bring_the_first_one() {
    let ground = Ground::new();
    std::fs::remove_file(ground.root.conf()).unwrap();
    std::fs::remove_dir_all(ground.root.scripts()).unwrap();
    let address = ground.serve();
    let files = ground.stage_request(5, "first");
    assert_eq!(ground.ask_as("server3", address, &files).unwrap(), Reply::Done);
    assert_eq!(ground.ask_as("server3", address, &ground.commit_request(5, "first")).unwrap(), Reply::Done);
    assert_eq!(ground.word(), "first");
    assert!(matches!(ground.ask_as("server3", address, &files).unwrap(), Reply::Failed { .. }), "it is not in the new one");
}

#[test]
fn a_server_that_pretends_to_be_another_is_not_believed_by_those_who_ask_it() {
    let ground = Ground::new();
    // The stranger has a right certificate, but not that of the server that is asked.
    std::fs::copy(ground.trust().join("server2.pem"), ground.root.trust().join("server.pem")).unwrap();
    std::fs::copy(ground.trust().join("server2.key"), ground.root.trust().join("server.key")).unwrap();
    let address = ground.serve();
    let line = connect(&ground.trust(), Some((&ground.trust(), "server2")), address);
    assert!(line.is_err(), "the client asked for server1");
    let request =
        Request::Forward { server: "server1".into(), addresses: vec!["127.0.0.1".into()], inner: Box::new(Request::Version) };
    let outside = Ground::new();
    std::fs::write(outside.root.conf(), outside.conf("by hand").replace(&outside.port.to_string(), &address.port().to_string()))
        .unwrap();
    outside.serve();
    let reason = clp_services::client::transfer(&outside.root, &request).unwrap_err().to_string();
    assert!(reason.contains("server1 (127.0.0.1)") && reason.contains("certificate"), "{reason}");
}

#[test]
fn garbage_is_closed_and_a_good_client_is_answered_after_it() {
    let ground = Ground::new();
    let address = ground.serve();
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 5000], &[0xFF; 70_000], b"\x16\x03\x01\xff\xff\x01"] {
        let mut stream = TcpStream::connect(address).unwrap();
        let _ = stream.write_all(bytes);
        assert!(closed(stream) < STRANGER_LIMIT);
    }
    assert!(is_version(&ground.ask(address, &Request::Version)));
}

#[test]
fn a_silent_connection_and_one_that_trickles_are_closed_within_the_limit() {
    let ground = Ground::new();
    let address = ground.serve();
    let silent = TcpStream::connect(address).unwrap();
    let mut trickling = TcpStream::connect(address).unwrap();
    // The head of a long TLS record, then a byte now and then.
    trickling.write_all(b"\x16\x03\x01\x40\x00").unwrap();
    let begin = Instant::now();
    while trickling.write_all(&[1]).is_ok() {
        assert!(begin.elapsed() < STRANGER_LIMIT, "a byte now and then keeps a connection open");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(closed(silent) < STRANGER_LIMIT);
}

#[test]
fn a_request_that_never_ends_is_given_up() {
    let ground = Ground::new();
    let address = ground.serve();
    let mut line = connect(&ground.trust(), Some((&ground.trust(), "server2")), address).unwrap();
    line.write_all(&(1024_u32 * 1024).to_be_bytes()).unwrap();
    let begin = Instant::now();
    while line.write_all(b"[").and_then(|()| line.flush()).is_ok() {
        assert!(begin.elapsed() < Duration::from_secs(40), "30 s for an exchange are over");
        std::thread::sleep(Duration::from_millis(200));
    }
    until("it is in the log", || ground.log().contains("no request"));
}

#[test]
fn a_length_beyond_the_limit_is_refused_before_anything_is_read() {
    let ground = Ground::new();
    let address = ground.serve();
    for length in [u32::MAX, 32 * 1024 * 1024 + 1] {
        let mut line = connect(&ground.trust(), Some((&ground.trust(), "server2")), address).unwrap();
        line.write_all(&length.to_be_bytes()).unwrap();
        line.flush().unwrap();
        assert!(answer(&mut line).is_err());
    }
    until("it is in the log", || ground.log().contains("too long"));
    assert!(is_version(&ground.ask(address, &Request::Version)));
}

#[test]
fn a_request_that_is_cut_or_is_no_request_does_nothing() {
    let ground = Ground::new();
    let address = ground.serve();
    let whole = serde_json::to_vec(&ground.stage_request(5, "first")).unwrap();
    let deep = format!("{{\"ask\":\"relay\",\"request\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let nested = format!(
        "{}{{\"ask\":\"version\"}}{}",
        "{\"ask\":\"forward\",\"server\":\"a\",\"addresses\":[],\"inner\":".repeat(5000),
        "}".repeat(5000)
    );
    let bodies =
        [&whole[..whole.len() / 2], deep.as_bytes(), nested.as_bytes(), b"{\"ask\":\"erase\"}", b"null", b"\xff\xfe", b""];
    for (number, bytes) in bodies.into_iter().enumerate() {
        let mut line = connect(&ground.trust(), Some((&ground.trust(), "server2")), address).unwrap();
        let length = if number == 0 { whole.len() } else { bytes.len() };
        line.write_all(&u32::try_from(length).unwrap().to_be_bytes()).unwrap();
        line.write_all(bytes).unwrap();
        line.flush().unwrap();
        if number == 0 {
            drop(line);
            continue;
        }
        assert!(answer(&mut line).is_err(), "{number}");
    }
    let forward = Request::Forward { server: "server2".into(), addresses: vec![], inner: Box::new(Request::StartDaemon) };
    assert!(matches!(ground.ask(address, &forward), Reply::Failed { .. }), "only commands of this server may forward");
    until("all were given up", || ground.log().matches("no request").count() == 7);
    assert!(!ground.root.etc().join("conf.5").exists());
    assert!(is_version(&ground.ask(address, &Request::Version)));
}

#[test]
fn five_hundred_idle_connections_do_not_keep_a_good_client_waiting() {
    let ground = Ground::new();
    let address = ground.serve();
    let mut idle: Vec<TcpStream> = (0..500).map(|_| TcpStream::connect(address).unwrap()).collect();
    let begin = Instant::now();
    assert!(is_version(&ground.ask(address, &Request::Version)));
    assert!(begin.elapsed() < Duration::from_secs(1), "it took {:?}", begin.elapsed());
    // Bounded: the surplus was closed at once, the rest stays until its time is over.
    let open = idle.iter_mut().filter_map(|stream| is_open(stream).then_some(())).count();
    assert!(open <= 64, "{open} strangers are let wait");
    let request = Request::Version;
    assert!(is_version(&clp_services::client::transfer(&ground.root, &request).unwrap()), "this server's commands as well");
}

fn is_open(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    matches!(stream.read(&mut [0]), Err(cause) if cause.kind() == std::io::ErrorKind::WouldBlock)
}

#[test]
fn a_file_name_in_any_language_costs_no_place() {
    let ground = Ground::new();
    let address = ground.serve();
    // More often than there are places: a request that ends badly must give its own back.
    for _ in 0..70 {
        let mut files = ground.files("first");
        files[1].path = format!("../{}", "高可用".repeat(40));
        let request = Request::Stage { generation: 5, checksum: clp_services::stage::checksum(&files), files };
        assert!(matches!(ground.ask(address, &request), Reply::Failed { .. }));
    }
    assert!(is_version(&ground.ask(address, &Request::Version)));
}

#[test]
fn a_silent_server_does_not_hold_a_command_up() {
    let ground = Ground::new();
    ground.serve();
    // Accepts (in the kernel's queue) and never answers.
    let listener = std::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], ground.port))).unwrap();
    let inner = Box::new(Request::Relay { request: serde_json::json!({ "request": "status" }) });
    let request = Request::Forward { server: "server2".into(), addresses: vec!["127.0.0.1".into()], inner };
    let begin = Instant::now();
    let reason = clp_services::client::transfer(&ground.root, &request).unwrap_err().to_string();
    assert!(reason.contains("server2 (127.0.0.1)"), "{reason}");
    assert!(begin.elapsed() < STRANGER_LIMIT, "{:?}", begin.elapsed());
    drop(listener);
}

#[test]
fn the_local_socket_is_for_root_alone_and_garbage_on_it_is_harmless() {
    let ground = Ground::new();
    ground.serve();
    let path = ground.root.run().join("trn.sock");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for bytes in [&b"hello"[..], &[0xFF; 64], &[0, 0, 0, 2, b'{', b'}']] {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
    }
    if rustix::process::geteuid().is_root() {
        let reply = clp_services::client::transfer(&ground.root, &Request::Version).unwrap();
        assert!(is_version(&reply));
    }
}

#[test]
fn the_log_that_strangers_write_to_is_bounded() {
    let ground = Ground::new();
    let log = ground.root.log().join("transfer.log");
    std::fs::write(&log, vec![b'x'; 2 << 20]).unwrap();
    let address = ground.serve();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"garbage\n").unwrap();
    assert!(closed(stream) < STRANGER_LIMIT);
    until("the log was put aside", || ground.root.log().join("transfer.log.1").exists());
    until("the refusal is in the new one", || ground.log().contains("refused"));
    assert!(std::fs::metadata(&log).unwrap().len() < 1000);
}

#[test]
fn keys_are_made_for_root_alone_and_never_overwritten() {
    let ground = Ground::new();
    for entry in std::fs::read_dir(ground.trust()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }
    let key = std::fs::read(ground.trust().join("ca.key")).unwrap();
    let reason = trust::make(&ground.trust(), &["server1".to_string()]).unwrap_err();
    assert!(reason.contains("ca.pem"), "{reason}");
    assert_eq!(std::fs::read(ground.trust().join("ca.key")).unwrap(), key);
    assert!(trust::read_cluster_key(&std::fs::read(ground.trust().join("cluster.key")).unwrap()).is_ok());
    assert!(trust::read_cluster_key(b"00ff").is_err());
}
