//! The driver of `httpnp` against the real program: who goes on, and how long a witness that is dead, slow or forgetful is waited for.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ground;

use clp_core::arbiter::{Answer, Ask, AskKind};
use clp_core::ids::{ServerId, ServerSet};
use clp_drivers::partition::witness::Witness as Driver;
use clp_drivers::partition::{Keeper, Method, Question, Reply};
use clp_protocol::witness::Key;
use ground::{Ground, Witness};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

/// Q of the fast profile.
const LIMIT: Duration = Duration::from_millis(300);
/// A machine that is busy otherwise may be late by this.
const LATE: Duration = Duration::from_millis(200);

fn keeper(address: SocketAddr, key: &Key, server: usize, ground: &Ground) -> Keeper<Driver> {
    let memory = ground.directory.path().join(format!("server{server}/work/witness/httpnp1"));
    Keeper::new(Driver::new(address, key.clone(), memory), vec!["server1".into(), "server2".into()])
}

fn question(me: usize, part: &[usize], number: u64, lease: Duration) -> Question {
    let now = Instant::now();
    let ask = Ask {
        number,
        me: ServerId::at(me),
        incarnation: 1,
        servers: 2,
        part: part.iter().map(|server| ServerId::at(*server)).collect(),
        gone: ServerSet::EMPTY,
        off: ServerSet::EMPTY,
        off_for: Duration::ZERO,
        lease,
        renewal: Duration::ZERO,
        kind: AskKind::Claim,
    };
    Question { ask, put: now, until: now + LIMIT }
}

fn ask(keeper: &mut Keeper<Driver>, me: usize, part: &[usize], number: u64) -> Reply {
    let begun = Instant::now();
    let reply = keeper.ask(&question(me, part, number, Duration::from_secs(3600)));
    assert!(begun.elapsed() < LIMIT + LATE, "{:?}: {}", begun.elapsed(), reply.words);
    reply
}

fn signal(witness: &Witness, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(witness.child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

#[test]
fn of_two_sides_one_goes_on_and_the_record_outlives_the_witness() {
    let ground = Ground::new();
    let key = ground.add("c");
    let mut witness = ground.start();
    let mut servers = [0, 1].map(|server| keeper(witness.address, &key, server, &ground));
    assert_eq!(ask(&mut servers[0], 0, &[0, 1], 1).answer, Answer::Yes);
    assert_eq!(ask(&mut servers[1], 1, &[0, 1], 1).answer, Answer::Yes);
    assert_eq!(ask(&mut servers[1], 1, &[1], 2).answer, Answer::Yes, "the first one after the cut");
    let other = ask(&mut servers[0], 0, &[0], 2);
    assert_eq!(other.answer, Answer::Wait);
    assert!(other.words.contains("is held by server2"), "{}", other.words);
    // Dead: nobody is told anything, and that is known within the time.
    witness.kill();
    for (me, server) in servers.iter_mut().enumerate() {
        let reply = ask(server, me, &[me], 3);
        assert!(reply.answer == Answer::Wait && !reply.reachable && reply.words.contains("refused"), "{}", reply.words);
    }
    let again = Witness::start_at(witness.address, &ground.state());
    assert_eq!(ask(&mut servers[0], 0, &[0], 4).answer, Answer::Wait, "it has forgotten nothing");
    assert_eq!(ask(&mut servers[1], 1, &[1], 4).answer, Answer::Yes);
    drop(again);
}

#[test]
fn one_that_is_stopped_or_swallows_everything_is_waited_for_no_longer_than_the_question() {
    let ground = Ground::new();
    let key = ground.add("c");
    let witness = ground.start();
    let mut server = keeper(witness.address, &key, 0, &ground);
    assert_eq!(ask(&mut server, 0, &[0], 1).answer, Answer::Yes);
    signal(&witness, rustix::process::Signal::STOP);
    for number in 2..5 {
        let reply = ask(&mut server, 0, &[0], number);
        assert!(reply.answer == Answer::Wait && reply.words.contains("no answer in time"), "{}", reply.words);
    }
    signal(&witness, rustix::process::Signal::CONT);
    assert_eq!(ask(&mut server, 0, &[0], 5).answer, Answer::Yes);
    // One that takes connections and says nothing; no address at all.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let begun = Instant::now();
    let (works, words) = keeper(silent.local_addr().unwrap(), &key, 0, &ground).look(begun + LIMIT);
    assert!(!works && words.contains("no answer in time") && begun.elapsed() < LIMIT + LATE, "{words}");
    let begun = Instant::now();
    let (works, _) = keeper("192.0.2.1:29020".parse().unwrap(), &key, 0, &ground).look(begun + LIMIT);
    assert!(!works && begun.elapsed() < LIMIT + LATE);
}

#[test]
fn a_kept_connection_that_died_unnoticed_costs_no_question() {
    use std::io::{Read, Write};
    let ground = Ground::new();
    let key = ground.add("c");
    let witness = ground.start();
    // In between is somebody who hands everything on, until it swallows what comes on the first connection.
    let between = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, to) = (between.local_addr().unwrap(), witness.address);
    let swallow = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let swallows = swallow.clone();
    std::thread::spawn(move || {
        for (number, client) in between.incoming().enumerate() {
            let (mut client, mut server) = (client.unwrap(), ground::connect(to));
            let (mut back_from, mut back_to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut back_from, &mut back_to));
            let swallows = swallows.clone();
            std::thread::spawn(move || {
                let mut bytes = [0u8; 4096];
                while let Ok(count @ 1..) = client.read(&mut bytes) {
                    if number > 0 || !swallows.load(std::sync::atomic::Ordering::Relaxed) {
                        server.write_all(&bytes[..count]).unwrap();
                    }
                }
            });
        }
    });
    let mut server = keeper(address, &key, 0, &ground);
    assert_eq!(ask(&mut server, 0, &[0], 1).answer, Answer::Yes);
    swallow.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(ask(&mut server, 0, &[0], 2).answer, Answer::Yes, "on a new connection, in the same question");
}

#[test]
fn one_that_forgot_is_not_believed_until_that_is_said() {
    let ground = Ground::new();
    let key = ground.add("c");
    let mut witness = ground.start();
    let mut servers = [0, 1].map(|server| keeper(witness.address, &key, server, &ground));
    for (me, server) in servers.iter_mut().enumerate() {
        assert_eq!(ask(server, me, &[0, 1], 1).answer, Answer::Yes);
    }
    assert_eq!(ask(&mut servers[0], 0, &[0], 2).answer, Answer::Yes);
    witness.kill();
    // Lost with the whole directory: the cluster is unknown.
    std::fs::remove_dir_all(ground.state()).unwrap();
    let again = Witness::start_at(witness.address, &ground.state());
    let lost = ask(&mut servers[1], 1, &[1], 3);
    assert!(lost.answer == Answer::Wait && lost.words.contains("does not know the cluster"), "{}", lost.words);
    // Added again while the other side still relies on the record that is lost.
    ground.add("c");
    let forgot = ask(&mut servers[1], 1, &[1], 4);
    assert!(forgot.answer == Answer::Wait && forgot.words.contains("--accept httpnp1"), "{}", forgot.words);
    let mut next_life = keeper(witness.address, &key, 1, &ground);
    assert_eq!(ask(&mut next_life, 1, &[1], 5).answer, Answer::Wait, "nor by a restart");
    for server in 0..2 {
        let root = ground.directory.path().join(format!("server{server}"));
        let output = ground::program().args(["--accept", "httpnp1"]).env("CLP_ROOT", &root).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(ask(&mut servers[1], 1, &[1], 6).answer, Answer::Yes);
    assert_eq!(ask(&mut servers[0], 0, &[0], 3).answer, Answer::Wait);
    drop(again);
}

#[test]
fn a_record_that_was_put_back_to_an_old_state_is_not_believed() {
    let ground = Ground::new();
    let key = ground.add("c");
    let mut witness = ground.start();
    let mut server = keeper(witness.address, &key, 0, &ground);
    assert_eq!(ask(&mut server, 0, &[0, 1], 1).answer, Answer::Yes);
    let file = std::fs::read_dir(ground.state()).unwrap().map(|entry| entry.unwrap().path());
    let file = file.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "cluster")).unwrap();
    let old = std::fs::read(&file).unwrap();
    assert_eq!(ask(&mut server, 0, &[0], 2).answer, Answer::Yes);
    witness.kill();
    std::fs::write(&file, old).unwrap();
    let again = Witness::start_at(witness.address, &ground.state());
    let reply = ask(&mut server, 0, &[0], 3);
    assert!(reply.answer == Answer::Wait && reply.words.contains("went back from write 2 to 1"), "{}", reply.words);
    drop(again);
}
