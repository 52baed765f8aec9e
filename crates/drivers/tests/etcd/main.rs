//! The driver of `etcdnp` against a real etcd: who goes on, and how long one that is dead, frozen, forgetful or late is waited for.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ground;
mod hostile;
mod tls;

use clp_core::arbiter::{Answer, Record};
use clp_core::ids::ServerId;
use clp_drivers::partition::{Method, Register};
use clp_protocol::etcd::{RANGE, TXN, range};
use ground::{Ground, KEY, LIMIT, SOON, ask, until};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

fn record(server: usize, number: u64) -> Record {
    let by = ServerId::at(server);
    Record { members: [by].into_iter().collect(), lasting: false, by, incarnation: 1, number }
}

fn soon() -> Instant {
    Instant::now() + LIMIT
}

#[test]
fn of_two_sides_one_goes_on_and_the_record_outlives_any_member() {
    let Some(mut ground) = Ground::start(3) else { return };
    let mut servers = [0, 1].map(|server| ground.keeper(server, &ground.addresses()));
    for (me, server) in servers.iter_mut().enumerate() {
        assert_eq!(ask(server, me, &[0, 1], 1).answer, Answer::Yes);
    }
    assert_eq!(ask(&mut servers[1], 1, &[1], 2).answer, Answer::Yes, "the first one after the cut");
    let mut number = 2;
    for member in 0..3 {
        ground.kill(member);
        // Until those that are left have a leader again nobody is told anything, each time within the time.
        until("the rest goes on", || {
            number += 1;
            let other = ask(&mut servers[0], 0, &[0], number);
            assert_eq!(other.answer, Answer::Wait);
            other.words.contains("is held by server2") && ask(&mut servers[1], 1, &[1], number).answer == Answer::Yes
        });
        ground.run(member);
        ground.healthy();
    }
    // Of three, two are needed.
    ground.kill(0);
    ground.kill(2);
    for (me, server) in servers.iter_mut().enumerate() {
        let reply = ask(server, me, &[me], 1000);
        assert!(reply.answer == Answer::Wait && !reply.reachable, "{}", reply.words);
        assert!(reply.words.contains("refused") && reply.words.contains("no answer in time"), "{}", reply.words);
    }
    ground.run(0);
    ground.run(2);
    ground.healthy();
    assert_eq!(ask(&mut servers[0], 0, &[0], 1001).answer, Answer::Wait, "it has forgotten nothing");
    assert_eq!(ask(&mut servers[1], 1, &[1], 1001).answer, Answer::Yes);
}

#[test]
fn a_swap_replaces_what_was_read_and_nothing_else() {
    let Some(ground) = Ground::start(1) else { return };
    let mut registers = [0, 1].map(|server| ground.register(server, &ground.addresses()));
    // Both before there is any record.
    let first = registers.each_mut().map(|register| register.read(soon()).unwrap().version);
    assert_eq!(registers[0].swap(&first[0], &record(0, 1), soon()), Ok(true));
    assert_eq!(registers[1].swap(&first[1], &record(1, 1), soon()), Ok(false));
    let seen = registers.each_mut().map(|register| register.read(soon()).unwrap());
    assert_eq!(seen[1].record, Some(record(0, 1)));
    assert!(seen[0].version == seen[1].version);
    // The same text again is another version.
    assert_eq!(registers[0].swap(&seen[0].version, &record(0, 1), soon()), Ok(true));
    assert_eq!(registers[1].swap(&seen[1].version, &record(1, 2), soon()), Ok(false));
    // And of others' keys the record knows nothing.
    let before = registers[1].read(soon()).unwrap().version;
    ground.say(0, "/v3/kv/put", r#"{"key":"eA==","value":"eQ=="}"#).unwrap();
    assert!(registers[1].read(soon()).unwrap().version == before);
    assert_eq!(registers[1].swap(&before, &record(1, 3), soon()), Ok(true));
}

#[test]
fn a_member_that_stands_still_costs_no_question() {
    let Some(ground) = Ground::start(3) else { return };
    let leader = ground.leader();
    let others: Vec<usize> = (0..3).filter(|member| *member != leader).collect();
    let addresses = [others[0], others[1], leader].map(|member| ground.address(member));
    let mut server = ground.keeper(0, &addresses);
    assert_eq!(ask(&mut server, 0, &[0], 1).answer, Answer::Yes);
    ground.freeze(others[0], true);
    for number in 2..5 {
        let reply = ask(&mut server, 0, &[0], number);
        assert_eq!(reply.answer, Answer::Yes, "{}", reply.words);
    }
    // A server that begins anew knows of nobody who answered.
    let mut next_life = ground.keeper(0, &addresses);
    let begun = Instant::now();
    assert_eq!(ask(&mut next_life, 0, &[0], 5).answer, Answer::Yes);
    assert!(begun.elapsed() > LIMIT / 4, "the frozen one was asked first");
    // Nobody answers who has no leader; and that is said within the time.
    ground.freeze(leader, true);
    let reply = ask(&mut server, 0, &[0], 6);
    assert!(reply.answer == Answer::Wait && reply.words.contains("no answer in time"), "{}", reply.words);
    let begun = Instant::now();
    assert!(!server.look(begun + LIMIT).0 && begun.elapsed() < LIMIT * 2);
    ground.freeze(others[0], false);
    ground.freeze(leader, false);
    let mut number = 6;
    until("it answers again", || {
        number += 1;
        ask(&mut server, 0, &[0], number).answer == Answer::Yes
    });
}

#[test]
fn one_that_was_made_anew_is_not_believed_until_that_is_said() {
    let Some(mut ground) = Ground::start(3) else { return };
    let mut servers = [0, 1].map(|server| ground.keeper(server, &ground.addresses()));
    for (me, server) in servers.iter_mut().enumerate() {
        assert_eq!(ask(server, me, &[0, 1], 1).answer, Answer::Yes);
    }
    assert_eq!(ask(&mut servers[0], 0, &[0], 2).answer, Answer::Yes);
    let id = |ground: &Ground| {
        let said = ground.say(0, RANGE, &String::from_utf8(range(KEY)).unwrap()).unwrap();
        said.split("\"cluster_id\":\"").nth(1).unwrap().split('"').next().unwrap().to_string()
    };
    let before = id(&ground);
    for member in 0..3 {
        ground.kill(member);
        std::fs::remove_dir_all(ground.data(member)).unwrap();
    }
    ground.start_all();
    assert_eq!(id(&ground), before, "its id follows from its members, so that alone it tells nothing");
    let lost = ask(&mut servers[1], 1, &[1], 3);
    assert!(lost.answer == Answer::Wait && lost.words.contains("its record is gone"), "{}", lost.words);
    // A server that knows of nothing begins a record.
    assert_eq!(ask(&mut ground.keeper(2, &ground.addresses()), 1, &[1], 4).answer, Answer::Yes);
    let mut next_life = ground.keeper(1, &ground.addresses());
    for server in [&mut servers[1], &mut next_life] {
        let forgot = ask(server, 1, &[1], 5);
        assert!(forgot.answer == Answer::Wait && forgot.words.contains("begun anew"), "{}", forgot.words);
        assert!(forgot.words.contains("clpwitness --accept etcdnp1"), "{}", forgot.words);
    }
    std::fs::remove_file(ground.memory(1)).unwrap();
    assert_eq!(ask(&mut servers[1], 1, &[1], 6).answer, Answer::Yes);
}

#[test]
fn one_whose_old_data_were_put_back_is_not_believed_until_the_key_is_removed() {
    let Some(mut ground) = Ground::start(1) else { return };
    let mut server = ground.keeper(0, &ground.addresses());
    assert_eq!(ask(&mut server, 0, &[0, 1], 1).answer, Answer::Yes);
    let directory = ground.directory.path().to_path_buf();
    let copy = |from: &str, to: &str| {
        let path = |name: &str| directory.join(name);
        let _ = std::fs::remove_dir_all(path(to));
        assert!(std::process::Command::new("cp").arg("-a").args([path(from), path(to)]).status().unwrap().success());
    };
    ground.kill(0);
    copy("m0", "old");
    ground.start_all();
    assert_eq!(ask(&mut server, 0, &[0], 2).answer, Answer::Yes);
    ground.kill(0);
    copy("old", "m0");
    ground.start_all();
    let reply = ask(&mut server, 0, &[0], 3);
    assert!(reply.answer == Answer::Wait && reply.words.contains("went back from write 3 to 2"), "{}", reply.words);
    assert!(reply.words.contains("remove /mainstay/c from it"), "{}", reply.words);
    ground.say(0, "/v3/kv/deleterange", &String::from_utf8(range(KEY)).unwrap()).unwrap();
    assert!(ask(&mut server, 0, &[0], 4).words.contains("clpwitness --accept etcdnp1"));
    std::fs::remove_file(ground.memory(0)).unwrap();
    assert_eq!(ask(&mut server, 0, &[0], 5).answer, Answer::Yes);
}

#[test]
fn what_is_no_record_of_this_cluster_is_left_alone() {
    let Some(ground) = Ground::start(1) else { return };
    ground.say(0, "/v3/kv/put", r#"{"key":"L21haW5zdGF5L2M=","value":"eQ=="}"#).unwrap();
    let mut server = ground.keeper(0, &ground.addresses());
    let reply = ask(&mut server, 0, &[0], 1);
    assert!(reply.answer == Answer::Wait && reply.words.contains("something else stands under /mainstay/c"), "{}", reply.words);
    ground.say(0, "/v3/kv/deleterange", &String::from_utf8(range(KEY)).unwrap()).unwrap();
    assert_eq!(ask(&mut server, 0, &[0], 2).answer, Answer::Yes);
    let other = clp_protocol::witness::Key::derive(&[8; 32], "c").id();
    let mut other = clp_drivers::partition::etcd::Etcd::new(&ground.addresses(), KEY.into(), other, ground.memory(5));
    assert!(other.read(soon()).unwrap_err().contains("the record of another cluster"));
}

/// Hands everything on to an address, but for transactions: those it holds back, each until that is said.
struct Between {
    address: SocketAddr,
    held: Receiver<()>,
    release: Sender<()>,
    /// An answer came to one that was held back.
    answered: Receiver<()>,
}

fn between(to: SocketAddr) -> Between {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, held) = channel();
    let (release, released) = channel::<()>();
    let (tell_answer, answered) = channel();
    let released = Arc::new(Mutex::new(released));
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, mut server) = (client.unwrap(), TcpStream::connect(to).unwrap());
            let (mut back_from, mut back_to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            let (has_held, tell_answer) = (Arc::new(AtomicBool::new(false)), tell_answer.clone());
            let holds = has_held.clone();
            std::thread::spawn(move || {
                let mut bytes = [0u8; 4096];
                while let Ok(count @ 1..) = back_from.read(&mut bytes) {
                    if has_held.load(Ordering::SeqCst) {
                        tell_answer.send(()).unwrap();
                    }
                    let _ = back_to.write_all(&bytes[..count]);
                }
            });
            let (tell, released) = (tell.clone(), released.clone());
            std::thread::spawn(move || {
                let mut bytes = [0u8; 4096];
                while let Ok(count @ 1..) = client.read(&mut bytes) {
                    if bytes.windows(TXN.len()).any(|part| part == TXN.as_bytes()) {
                        holds.store(true, Ordering::SeqCst);
                        tell.send(()).unwrap();
                        released.lock().unwrap().recv().unwrap();
                    }
                    let _ = server.write_all(&bytes[..count]);
                    bytes.fill(0);
                }
            });
        }
    });
    Between { address, held, release, answered }
}

#[test]
fn a_write_that_arrives_late_replaces_what_it_was_meant_to_replace_or_nothing() {
    let Some(ground) = Ground::start(1) else { return };
    let between = between(ground.address(0));
    let mut direct = ground.register(1, &ground.addresses());
    let version = direct.read(soon()).unwrap().version;
    assert_eq!(direct.swap(&version, &record(1, 1), soon()), Ok(true));
    for somebody_was_faster in [true, false] {
        let mut late = ground.register(0, &[between.address]);
        let before = late.read(soon()).unwrap();
        let unsure = late.swap(&before.version, &record(0, 7), soon()).unwrap_err();
        assert!(unsure.starts_with("whether its record was written is not known"), "{unsure}");
        between.held.recv_timeout(SOON).unwrap();
        assert_eq!(direct.read(soon()).unwrap().record, before.record, "it is still on its way");
        if somebody_was_faster {
            assert_eq!(direct.swap(&before.version, &record(1, 2), soon()), Ok(true));
        }
        between.release.send(()).unwrap();
        between.answered.recv_timeout(SOON).unwrap();
        let wanted = if somebody_was_faster { record(1, 2) } else { record(0, 7) };
        assert_eq!(direct.read(soon()).unwrap().record, Some(wanted.clone()));
        assert_eq!(late.read(soon()).unwrap().record, Some(wanted), "what came of it is seen by the next question");
    }
}
