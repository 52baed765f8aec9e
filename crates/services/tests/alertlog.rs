//! The alert record on real files and syslog on real sockets.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clp_alerts::Alert;
use clp_services::alertlog::{self, append, read};

const TIME: &str = "2026/11/27 12:00:00.000";

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let place = std::env::temp_dir().join(format!("alertlog-{}-{name}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        Place(place)
    }

    fn record(&self) -> PathBuf {
        self.0.join("alertlog.alt")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn say(path: &Path, server: &str, records_max: u64) {
    append(path, &Alert::server_up(server), TIME, "server1", records_max).unwrap();
}

fn indexes(path: &Path) -> Vec<u64> {
    read(path).iter().map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn a_record_has_the_columns_of_the_product() {
    let place = Place::new("columns");
    say(&place.record(), "server2", 100);
    let line = fs::read_to_string(place.record()).unwrap();
    assert_eq!(line, format!("1 {TIME} {TIME} server1 nm 1 3 server server2 came up\n"));
}

#[test]
fn the_record_is_bounded_and_its_numbers_go_on() {
    let place = Place::new("bounded");
    for turn in 0..25 {
        say(&place.record(), &format!("s{turn}"), 10);
        assert!(read(&place.record()).len() <= 10);
    }
    assert_eq!(indexes(&place.record()), (16..=25).collect::<Vec<u64>>());
    assert_eq!(fs::read_dir(&place.0).unwrap().count(), 3, "the record, its predecessor and the lock");
    fs::remove_file(place.record()).unwrap();
    say(&place.record(), "after", 10);
    assert_eq!(indexes(&place.record()).last(), Some(&21), "numbers go on from the predecessor");
}

#[test]
fn a_line_cut_short_by_a_crash_is_dropped() {
    let place = Place::new("torn");
    let path = place.record();
    for torn in ["3 2026/11/27 12:0", "3", "3 2026/11/27 12:00:00.000 2026/11/27 12:00:00.000 server1 nm 1 3 server se", "\0\0\0"]
    {
        let _ = fs::remove_file(&path);
        say(&path, "a", 100);
        say(&path, "b", 100);
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(torn.as_bytes()).unwrap();
        assert_eq!(indexes(&path), [1, 2], "a reader does not see {torn:?}");
        say(&path, "c", 100);
        assert_eq!(indexes(&path), [1, 2, 3]);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 3, "nothing of {torn:?} is left");
    }
    fs::write(&path, "torn from the first line on").unwrap();
    say(&path, "d", 100);
    assert_eq!(indexes(&path), [1]);
}

#[test]
fn writers_at_the_same_time_lose_nothing() {
    let place = Place::new("together");
    let path = place.record();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let path = &path;
            scope.spawn(move || (0..25).for_each(|turn| say(path, &format!("w{writer}-{turn}"), 1000)));
        }
    });
    assert_eq!(indexes(&path), (1..=100).collect::<Vec<u64>>());
}

#[test]
fn a_writer_that_hangs_with_the_lock_silences_nobody() {
    let place = Place::new("lock");
    let lock = fs::File::create(place.0.join("alertlog.lock")).unwrap();
    lock.lock().unwrap();
    fs::write(place.record(), "1 torn").unwrap();
    say(&place.record(), "server2", 100);
    let text = fs::read_to_string(place.record()).unwrap();
    assert!(text.starts_with("1 torn\n") && text.ends_with("server server2 came up\n"), "{text}");
}

#[test]
fn syslog_receives_a_datagram_with_priority_tag_module_and_event() {
    let place = Place::new("syslog");
    let path = place.0.join("log");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let pid = std::process::id();
    let going_down = format!(" expresscls[{pid}]: <type: pm><event: 2> cluster daemon is going down: the cluster is suspended");
    let cases = [
        (Alert::daemon_stopped("the cluster is suspended"), "<30>", going_down),
        (
            Alert::group_stranded("g", "r"),
            "<28>",
            format!(" expresscls[{pid}]: <type: rc><event: 900> group g is not started yet: r"),
        ),
        (
            Alert::split_shutdown("s", ""),
            "<27>",
            format!(" expresscls[{pid}]: <type: nm><event: 30> split network found; server s is shut down to save data"),
        ),
    ];
    for (alert, priority, rest) in cases {
        alertlog::send(&path, &alert).unwrap();
        let mut bytes = [0u8; 4096];
        let length = socket.recv(&mut bytes).unwrap();
        let line = std::str::from_utf8(&bytes[..length]).unwrap();
        assert!(line.starts_with(priority) && line.ends_with(&rest), "{line}");
        // `Mmm dd hh:mm:ss`, 15 characters
        assert_eq!(line.len(), priority.len() + 15 + rest.len(), "{line}");
    }
}

#[test]
fn a_syslog_that_is_absent_or_full_holds_nobody_up() {
    let place = Place::new("full");
    let path = place.0.join("log");
    assert!(alertlog::send(&path, &Alert::daemon_started()).is_err());
    let _nobody_reads = UnixDatagram::bind(&path).unwrap();
    let begun = Instant::now();
    for _ in 0..2000 {
        let _ = alertlog::send(&path, &Alert::daemon_started());
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "2000 sends into a full queue");
}
