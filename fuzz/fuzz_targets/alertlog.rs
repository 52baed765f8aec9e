//! The alert record as somebody left it: it is read, and the next alert is written behind it, with a number and whole.
#![no_main]

use std::cell::RefCell;

use clp_services::alertlog;
use libfuzzer_sys::fuzz_target;

thread_local! {
    static FOLDER: RefCell<tempfile::TempDir> = RefCell::new(folder());
}

/// In memory where there is such a place: each input is a file.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("folder")
}

fuzz_target!(|bytes: &[u8]| FOLDER.with_borrow(|folder| {
    let path = folder.path().join("alertlog.alt");
    let _ = std::fs::remove_file(alertlog::older(&path));
    std::fs::write(&path, bytes).expect("record");
    let before = alertlog::read(&path);
    let alert = clp_alerts::Alert::daemon_started();
    alertlog::append(&path, &alert, "2026/01/02 03:04:05.678", "server1", 100).expect("written");
    let after = alertlog::read(&path);
    let last = after.last().expect("the alert");
    assert!(last.ends_with(&alert.text()), "{last}");
    assert!(after[..after.len() - 1] == before[..], "what was whole stays");
}));
