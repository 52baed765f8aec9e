//! A cluster service that starts while a configuration is pushed: it starts with the old one everywhere, or not yet.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    os::unix::net::UnixListener,
};

use clp_services::{
    client,
    request::{Reply, Request},
    transfer,
};
use clp_sys::paths::Root;

use crate::ground::{Ground, in_force, until};

/// A cluster service that runs, as others see it: it holds the lock (`parent.rs` of the daemon), and its engine takes connections.
struct Running {
    root: Root,
    _lock: File,
}

impl Drop for Running {
    fn drop(&mut self) {
        fs::remove_file(self.root.run().join("clusterpro.sock")).unwrap();
    }
}

/// A process that another test starts has copies of this one's locks until it becomes its program, so they are waited for.
fn lock(root: &Root) -> File {
    let lock = File::create(root.run().join("clusterpro.lock")).unwrap();
    until("nothing keeps it from starting", || lock.try_lock().is_ok());
    lock
}

fn start_service(root: &Root) -> Running {
    let lock = lock(root);
    let engine = UnixListener::bind(root.run().join("clusterpro.sock")).unwrap();
    std::thread::spawn(move || engine.incoming().for_each(drop));
    Running { root: root.clone(), _lock: lock }
}

/// What is in force on a server, to be compared with another's: contents without places.
fn contents(root: &Root) -> Vec<String> {
    in_force(root).into_values().collect()
}

/// The place of server2 beside that of server1, served on an address of its own.
fn second(ground: &Ground) -> Root {
    let root = Root::at(ground.beside("root2"));
    for place in [root.trust(), root.scripts().join("failover1/exec1"), root.log()] {
        fs::create_dir_all(place).unwrap();
    }
    for (from, to) in [("ca.pem", "ca.pem"), ("server2.pem", "server.pem"), ("server2.key", "server.key")] {
        fs::copy(ground.trust().join(from), root.trust().join(to)).unwrap();
    }
    fs::write(root.conf(), ground.conf("by hand")).unwrap();
    fs::write(root.scripts().join("failover1/exec1/start.sh"), "#!/bin/sh\necho by hand\n").unwrap();
    let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), ground.port)).unwrap();
    let served = root.clone();
    std::thread::spawn(move || transfer::serve_on(&served, listener).unwrap());
    until("server2 listens", || root.run().join("trn.sock").exists());
    root
}

/// Pushes to both servers; `between` happens when everything is kept ready and nothing is switched.
fn push(ground: &Ground, between: impl FnOnce()) -> Result<(), String> {
    let files = ground.files("first");
    let servers = [(clp_sys::identity::hostname(), vec![]), ("server2".to_string(), vec!["127.0.0.2".to_string()])];
    client::push(&ground.root, &files, &servers, |_| {}, between).map_err(|cause| cause.to_string())
}

#[test]
fn a_service_that_starts_between_question_and_switch_leaves_one_configuration() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: needs root");
        return;
    }
    for early in [1, 2] {
        let ground = Ground::new();
        ground.serve();
        let other = second(&ground);
        let before = contents(&ground.root);
        let mut service = None;
        let reason = push(&ground, || service = Some(start_service(if early == 1 { &ground.root } else { &other }))).unwrap_err();
        assert!(reason.contains("is running") && reason.contains("nothing was changed"), "{reason}");
        assert!(early == 1 || reason.contains("server2"), "{reason}");
        assert!(contents(&ground.root) == before && contents(&other) == before);
        // Nobody is kept from starting by a push that came to nothing.
        drop(service);
        drop((start_service(&ground.root), start_service(&other)));
        push(&ground, || {}).unwrap();
        assert!(contents(&ground.root) == contents(&other));
        assert_eq!(ground.word(), "first");
        drop((start_service(&ground.root), start_service(&other)));
    }
}

#[test]
fn a_held_server_does_not_start_until_the_push_is_over() {
    let ground = Ground::new();
    let address = ground.serve();
    let free = || File::create(ground.root.run().join("clusterpro.lock")).unwrap().try_lock().is_ok();
    for end in [Request::Release { generation: 7 }, Request::Abort { generation: 7 }] {
        assert_eq!(ground.ask(address, &ground.stage_request(7, "first")), Reply::Done);
        assert_eq!(ground.ask(address, &Request::Hold { generation: 7 }), Reply::Done);
        assert!(!free(), "a service started by hand could start");
        let Reply::Failed { reason } = ground.ask(address, &Request::StartDaemon) else { panic!("it started") };
        assert!(reason.contains("being distributed"), "{reason}");
        let Reply::Failed { reason } = ground.ask(address, &Request::Hold { generation: 8 }) else { panic!("two at once") };
        assert!(reason.contains("another push"), "{reason}");
        assert_eq!(ground.ask(address, &Request::Release { generation: 8 }), Reply::Done, "it holds nothing");
        assert!(!free());
        assert_eq!(ground.ask(address, &end), Reply::Done);
        until(&format!("a service can start after {end:?}"), free);
    }
}

#[test]
fn a_service_that_was_just_stopped_is_waited_for() {
    let ground = Ground::new();
    let address = ground.serve();
    let leaving = lock(&ground.root);
    assert_eq!(ground.ask(address, &ground.stage_request(7, "first")), Reply::Done);
    std::thread::scope(|scope| {
        let held = scope.spawn(|| ground.ask(address, &Request::Hold { generation: 7 }));
        until("it is asked", || ground.log().contains("hold the cluster service"));
        drop(leaving);
        assert_eq!(held.join().unwrap(), Reply::Done);
    });
}

#[test]
fn a_running_service_refuses_what_it_would_have_to_read_and_nothing_else() {
    let ground = Ground::new();
    let address = ground.serve();
    let _service = start_service(&ground.root);
    assert_eq!(ground.ask(address, &ground.stage_request(7, "first")), Reply::Done);
    for order in [Request::Hold { generation: 7 }, ground.commit_request(7, "first")] {
        let Reply::Failed { reason } = ground.ask(address, &order) else { panic!("it was switched") };
        assert!(reason.contains("clpcl -t -a"), "{reason}");
    }
    assert_eq!(ground.word(), "by hand");
    // Scripts are read when they are run.
    let mut files = ground.files("first");
    for file in &mut files {
        if file.path == "clp.conf" {
            file.hex = clp_services::trust::hex(ground.conf("by hand").as_bytes());
        }
    }
    let checksum = clp_services::stage::checksum(&files);
    assert_eq!(ground.ask(address, &Request::Stage { generation: 9, checksum: checksum.clone(), files }), Reply::Done);
    assert_eq!(ground.ask(address, &Request::Hold { generation: 9 }), Reply::Done);
    assert_eq!(ground.ask(address, &Request::Commit { generation: 9, checksum, by: String::new() }), Reply::Done);
    assert_eq!(clp_services::stage::in_force(&ground.root), Some(9));
}
