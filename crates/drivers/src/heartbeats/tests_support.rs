//! What the tests of heartbeat paths share: an inbox, waiting for conditions, own networks.

use super::{Received, Sink};
use std::{
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

#[derive(Clone, Default)]
pub(crate) struct Inbox(Arc<Mutex<Vec<Received>>>);

impl Inbox {
    pub(crate) fn new() -> (Inbox, Sink) {
        let inbox = Inbox::default();
        let store = inbox.clone();
        (inbox, Arc::new(move |received| store.0.lock().expect("inbox").push(received)))
    }

    pub(crate) fn any(&self, wanted: impl Fn(&Received) -> bool) -> bool {
        self.0.lock().expect("inbox").iter().any(wanted)
    }

    pub(crate) fn all(&self, wanted: impl Fn(&Received) -> bool) -> bool {
        self.0.lock().expect("inbox").iter().all(wanted)
    }

    pub(crate) fn clear(&self) {
        self.0.lock().expect("inbox").clear();
    }
}

/// Waits until `condition` holds; fails with `what` after 20 s.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs `test` on a thread with a network namespace of its own.
pub(crate) fn in_own_network(test: impl FnOnce() + Send) {
    if !is_root() {
        return;
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            clp_sys::link::isolate_this_thread().expect("own network namespace");
            test();
        });
    });
}

pub(crate) fn ip(words: &str) {
    let status = Command::new("ip").args(words.split(' ')).status().expect("ip");
    assert!(status.success(), "ip {words}");
}

pub(crate) fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("skipped: needs root");
    }
    is_root
}
