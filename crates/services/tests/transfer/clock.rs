//! A wall clock that is years off, in a small kernel of its own (user-mode Linux): this machine's clock is everybody's and is never
//! set. Certificates are checked all the same, against no clock.

use std::{
    net::{Ipv4Addr, TcpListener},
    process::Command,
};

use clp_services::{
    client,
    request::{Reply, Request},
    transfer,
};
use clp_small_kernel::SmallKernel;

use crate::ground::{Ground, until};

#[test]
fn servers_talk_to_each_other_whatever_the_clock_says() {
    let test = "clock::servers_talk_to_each_other_whatever_the_clock_says";
    let ground = SmallKernel::of(test).first("mount -t tmpfs tmpfs /mnt").first("ip link set lo up");
    ground.with("TMPDIR", "/mnt").run(inside);
}

fn inside() {
    let set = |date: &str| {
        let done = Command::new("date").args(["--utc", "--set", date]).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    let began = clp_sys::clock::now();
    for date in ["2026-11-30", "2027-11-30", "2025-11-30", "1970-01-02", "2099-01-01"] {
        set(date);
        // A service of its own each time: one that has talked before would resume without looking at certificates again.
        let ground = Ground::new();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, ground.port)).unwrap();
        let root = ground.root.clone();
        std::thread::spawn(move || transfer::serve_on(&root, listener).unwrap());
        until("the service listens", || ground.root.run().join("trn.sock").exists());
        // The service asks itself as it would ask another server: both ends check certificates.
        let inner = Box::new(Request::Version);
        let question = Request::Forward { server: "server1".into(), addresses: vec!["127.0.0.1".into()], inner };
        let answer = client::transfer(&ground.root, &question);
        assert!(matches!(answer, Ok(Reply::Version { .. })), "on {date}: {answer:?} {}", ground.log());
    }
    assert!((clp_sys::clock::now() - began).as_secs() < 60, "what is measured knows nothing of it");
}
