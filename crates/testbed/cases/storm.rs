//! The storm's checkers are checked: each finds what is made wrong on purpose, on servers without the product. The storm itself is
//! `make storm`.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

use clp_testbed::{
    FileSystem, Lab, Options,
    places::need_root,
    segment::Segment,
    storm::{act::Hands, plan::Round, settle::Settle, watch::Watch, writer::Writer},
    tools::wait_until,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

const SOON: Duration = Duration::from_secs(15);

/// Four servers with nothing on them; `None` without root.
fn bare() -> Option<Arc<Lab>> {
    if need_root().is_err() {
        println!("skipped: needs root");
        return None;
    }
    let options =
        Options { servers: 4, file_system: FileSystem::Ext3, data_partitions: 2, watchdog: false, ..Options::default() };
    Some(Arc::new(Lab::up(options).unwrap()))
}

fn run(lab: &Lab, server: &str, line: &str) {
    let output = lab.exec(server, &["sh", "-c", line]).unwrap();
    assert!(output.is_ok(), "{server}: {line}: {output:?}");
}

/// Looks until the watch finds something that holds these words.
fn finds(lab: &Lab, words: &str) {
    let mut watch = Watch::new(lab);
    let mut found = Vec::new();
    let seen = wait_until(words, SOON, || {
        found = watch.look().unwrap();
        found.iter().any(|found| found.contains(words))
    });
    assert!(seen.is_ok(), "not found: {words}; found: {found:?}");
}

#[test]
fn two_owners_of_a_mount_an_address_and_a_port_are_found_and_one_is_not() {
    let Some(lab) = bare() else { return };
    let own = "mkdir -p /mnt/sdb2 && mount /dev/sdb2 /mnt/sdb2 && ip addr add 10.0.0.21/24 dev eth0 && \
               (setsid testbed responder 0.0.0.0:8084 </dev/null >/dev/null 2>&1 &)";
    run(&lab, "server1", own);
    let mut watch = Watch::new(&lab);
    wait_until("the port is seen", SOON, || {
        assert_eq!(watch.look().unwrap(), Vec::<String>::new(), "one owner");
        watch.last().any(|(name, look)| name == "server1" && look.has(3, clp_testbed::storm::watch::Part::Application))
    })
    .unwrap();
    run(&lab, "server3", "dd if=/dev/zero of=/dev/sdb3 bs=4096 count=1 oflag=direct");
    assert_eq!(watch.look().unwrap(), Vec::<String>::new(), "nobody has that one mounted");
    // A write below a file system of somebody else, again and again: a look sees only what lies between two looks.
    let writer = "setsid sh -c 'while sleep 0.02; do dd if=/dev/zero of=/dev/sdb2 bs=512 count=1 oflag=direct; done' </dev/null >/dev/null 2>&1 &";
    run(&lab, "server3", writer);
    finds(&lab, "data1: server3 wrote to the disk that server1 had mounted");
    run(&lab, "server2", own);
    finds(&lab, "data1: server1 has the file system mounted and server2 too");
    finds(&lab, "data1: server1 has the address and server2 too");
    finds(&lab, "job1: server1 runs the application and server2 too");
    let there = lab.clone();
    let segment = std::thread::spawn(move || {
        there.enter_client().unwrap();
        let segment = Segment::open().unwrap();
        assert_eq!(segment.double("10.0.0.22"), None, "nobody has that one");
        let mut found = None;
        wait_until("both answer", SOON, || {
            found = segment.double("10.0.0.21");
            found.is_some()
        })
        .unwrap();
        found.unwrap()
    });
    let mut both = segment.join().unwrap();
    both.sort();
    assert_eq!(both, ["server1", "server2"]);
}

#[test]
fn a_lost_write_and_a_group_that_does_not_run_are_found() {
    let Some(lab) = bare() else { return };
    run(&lab, "server1", "ip addr add 10.0.0.21/24 dev eth0 && mkdir -p /mnt/sdb2 && mount /dev/sdb2 /mnt/sdb2");
    let counter = "setsid /opt/mainstay/bin/counter serve --listen 10.0.0.21:8081 --data /mnt/sdb2/counter.db --lie-every 7 </dev/null >/dev/null 2>&1 &";
    run(&lab, "server1", counter);
    let there = lab.clone();
    let lost = std::thread::spawn(move || {
        there.enter_client().unwrap();
        let (writer, stop) = (Writer::of(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                there.enter_client().unwrap();
                writer.run(&stop);
            });
            wait_until("some numbers are acknowledged", SOON, || writer.count() > 20).unwrap();
            stop.store(true, Ordering::Relaxed);
        });
        writer.lost().unwrap()
    });
    assert!(lost.join().unwrap().len() >= 2);
    let hands = Hands::new(lab.clone());
    let settle = Settle::new(&lab, &hands, Duration::from_secs(2));
    let error = settle.wait(&Round { number: 1, steps: Vec::new() }, || false).unwrap_err().to_string();
    assert!(error.contains("job1: seen [{}]"), "{error}");
    hands.wait();
}
