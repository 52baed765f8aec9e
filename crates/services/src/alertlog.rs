//! The alert record `alert/log/alertlog.alt` and syslog: what every program that raises an alert writes to.
//!
//! One record a line, numbered without gaps. The record is bounded: a full file becomes `alertlog.alt.1` and the one before it
//! goes. A line that a crash cut short is dropped at the next write and skipped by readers. Syslog comes second and never holds
//! anybody up. Texts and layouts stand in `clp-alerts`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clp_alerts::Alert;
use clp_sys::paths::Root;

/// Where the system's log listens.
pub const SYSLOG: &str = "/dev/log";
/// Records in both files together where no configuration says otherwise (`webalert/main/alertlog/maxrecordcount`).
pub const RECORDS_MAX: u64 = 10_000;
/// Bytes of a record at a generous length: a file is full at half of the records, or at as many bytes as those would need.
const RECORD_BYTES: u64 = 800;
/// A file of few records may still hold this many bytes.
const BYTES_MIN: u64 = 64 * 1024;
/// A line is shorter than this (`clp_alerts::TEXT_MAX` and the columns before it); the last one is looked for in two.
const LINE_MAX: u64 = 4096;
/// How long another writer is waited for; a stopped one must not silence the rest.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks at the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// The record's file.
pub fn path(root: &Root) -> PathBuf {
    root.path().join("alert/log/alertlog.alt")
}

/// Record an alert and tell syslog, as far as its entry wants either; at most `records_max` records are kept.
///
/// # Errors
/// The record could not be written; syslog was told all the same.
pub fn write(root: &Root, alert: &Alert, records_max: u64) -> io::Result<()> {
    let to = alert.entry().destinations;
    let written = if to.record { record_of(root, alert, &time_now(), records_max) } else { Ok(()) };
    tell_syslog(alert);
    written
}

/// Record an alert of this moment, and tell nobody else.
///
/// # Errors
/// The record could not be written.
pub fn record(root: &Root, alert: &Alert) -> io::Result<()> {
    record_of(root, alert, &time_now(), records_kept(root))
}

/// How many records a server keeps: what its configuration says, or the default while none can be read.
pub fn records_kept(root: &Root) -> u64 {
    crate::transfer::configured(root).map_or(RECORDS_MAX, |configuration| configuration.cluster.alert_records)
}

fn time_now() -> String {
    local_time("%Y/%m/%d %H:%M:%S.%3f")
}

/// Record an alert of the local time `time`, and tell nobody else; at most `records_max` records are kept.
///
/// # Errors
/// The record could not be written.
pub fn record_of(root: &Root, alert: &Alert, time: &str, records_max: u64) -> io::Result<()> {
    append(&path(root), alert, time, &clp_sys::identity::hostname(), records_max)
}

/// Tell syslog alone, if its entry wants that. Where nobody listens, nobody hears it.
pub fn tell_syslog(alert: &Alert) {
    if alert.entry().destinations.syslog {
        let _ = send(Path::new(SYSLOG), alert);
    }
}

fn local_time(format: &str) -> String {
    let millis = i64::try_from(clp_sys::clock::wall().as_millis()).unwrap_or(i64::MAX);
    let stamp = jiff::Timestamp::from_millisecond(millis).unwrap_or_default();
    stamp.to_zoned(jiff::tz::TimeZone::system()).strftime(format).to_string()
}

/// Append a record to a file of its own kind; at most `records_max` in it and its predecessor together.
///
/// # Errors
/// The file cannot be written.
pub fn append(path: &Path, alert: &Alert, time: &str, host: &str, records_max: u64) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let guard = lock(&path.with_extension("lock"));
    let mut file = open(path)?;
    let mut torn = close_torn_line(&mut file, guard.is_some())?;
    let mut last = last_index(&mut file)?;
    let first = first_index(&mut file)?;
    let full = match (first, last) {
        (Some(first), Some(last)) => last.saturating_sub(first).saturating_add(1) >= (records_max / 2).max(1),
        _ => false,
    };
    // Without the lock another writer may be at it: a file that is too long once is better than one that is lost.
    if guard.is_some() && (full || file.metadata()?.len() >= bytes_max(records_max)) {
        fs::rename(path, older(path))?;
        file = open(path)?;
        torn = "";
    }
    if last.is_none() {
        last = File::open(older(path)).and_then(|mut older| last_index(&mut older)).unwrap_or(None);
    }
    // Behind the last number there is, which only somebody else can have written, the numbers begin anew.
    let next = last.and_then(|last| last.checked_add(1)).unwrap_or(1);
    let line = clp_alerts::record_line(next, alert, time, host);
    // One write: a crash leaves the whole line or a beginning of it.
    file.write_all(format!("{torn}{line}\n").as_bytes())
}

fn bytes_max(records_max: u64) -> u64 {
    (records_max / 2).saturating_mul(RECORD_BYTES).max(BYTES_MIN)
}

/// The predecessor of a record.
pub fn older(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    PathBuf::from(name)
}

/// The whole lines of a record, its predecessor's first; torn and broken ones are left out.
pub fn read(path: &Path) -> Vec<String> {
    let files = [older(path), path.to_path_buf()];
    let mut lines = Vec::new();
    for bytes in files.iter().filter_map(|file| fs::read(file).ok()) {
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let text = String::from_utf8_lossy(&bytes[..whole]).into_owned();
        lines.extend(text.lines().filter(|line| index(line.as_bytes()).is_some()).map(str::to_string));
    }
    lines
}

/// Tell syslog; full or slow, it holds nobody up.
///
/// # Errors
/// Nobody listens there, or it takes nothing more at this moment.
pub fn send(socket: &Path, alert: &Alert) -> io::Result<()> {
    let line = clp_alerts::syslog_line(alert, &local_time("%b %e %H:%M:%S"), std::process::id());
    let own = UnixDatagram::unbound()?;
    own.set_nonblocking(true)?;
    own.send_to(line.as_bytes(), socket).map(drop)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).read(true).append(true).open(path)
}

fn lock(path: &Path) -> Option<File> {
    let file = OpenOptions::new().create(true).append(true).open(path).ok()?;
    let until = Instant::now() + LOCK_PATIENCE;
    while file.try_lock().is_err() {
        if Instant::now() >= until {
            return None;
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    Some(file)
}

/// Drop what a crash left of a last line; who has no lock closes it instead. The text to be written before the next line.
fn close_torn_line(file: &mut File, alone: bool) -> io::Result<&'static str> {
    let tail = tail(file)?;
    if tail.is_empty() || tail.ends_with(b"\n") {
        return Ok("");
    }
    if !alone {
        return Ok("\n");
    }
    let torn = tail.iter().rposition(|byte| *byte == b'\n').map_or(tail.len(), |end| tail.len() - end - 1);
    let length = file.metadata()?.len();
    file.set_len(length.saturating_sub(torn as u64))?;
    Ok("")
}

fn tail(file: &mut File) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(2 * LINE_MAX)))?;
    let mut bytes = Vec::new();
    file.take(2 * LINE_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn last_index(file: &mut File) -> io::Result<Option<u64>> {
    Ok(tail(file)?.split(|byte| *byte == b'\n').rev().find_map(index))
}

fn first_index(file: &mut File) -> io::Result<Option<u64>> {
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    file.take(2 * LINE_MAX).read_to_end(&mut bytes)?;
    Ok(bytes.split(|byte| *byte == b'\n').find_map(index))
}

/// The number of a record, when the line is one.
fn index(line: &[u8]) -> Option<u64> {
    let mut columns = std::str::from_utf8(line).ok()?.split(' ');
    let index = columns.next()?.parse().ok()?;
    // date, time, date, time, host, module, then the event id
    columns.nth(6)?.parse::<u32>().ok().map(|_| index)
}
