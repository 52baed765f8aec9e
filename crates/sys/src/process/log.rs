//! Where a program's output goes: kept up to a size, or written to a log with the time before each line.
//!
//! A log that is full is set aside as FILE.pre; that one older generation is kept (unknowns.md C 6).

#![allow(unsafe_code, reason = "local time has no safe wrapper")]

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::{OUTPUT_MAX, Output};

/// Serves all logs: the start script that was left running and the stop script may write into the same one.
static TURN: Mutex<()> = Mutex::new(());

pub(super) fn open(path: &Path) -> Result<File, String> {
    if let Some(parent) = path.parent() {
        let _ = std::fs::create_dir_all(parent);
    }
    OpenOptions::new().create(true).append(true).open(path).map_err(|cause| format!("cannot write {}: {cause}", path.display()))
}

/// Where a full log is set aside.
pub fn older(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".pre");
    name.into()
}

/// Take everything that comes until the last process that writes ends.
pub(super) fn drain(read: std::io::PipeReader, output: &Output, kept: &Mutex<VecDeque<u8>>, pid: u32) {
    let mut reader = BufReader::new(read);
    let mut line = Vec::new();
    loop {
        line.clear();
        match std::io::Read::take(&mut reader, OUTPUT_MAX as u64).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend(&line);
            let over = kept.len().saturating_sub(OUTPUT_MAX);
            kept.drain(..over);
        }
        if let Output::Log(path, size) = output {
            append(path, *size, pid, &String::from_utf8_lossy(&line));
        }
    }
}

/// One line; what cannot be written (a full disk) is lost: the script must not wait for it.
fn append(path: &Path, size: u64, pid: u32, text: &str) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    if std::fs::metadata(path).is_ok_and(|file| file.len() >= size) {
        let _ = std::fs::rename(path, older(path));
    }
    if let Ok(mut file) = open(path) {
        // In one write, so that lines of several programs do not mix.
        let _ = file.write_all(format!("{}[{pid}] {}\n", stamp(), text.trim_end()).as_bytes());
    }
}

/// `YY/MM/DD HH:MM:SS.mmm`, local time as administrators compare it with their other logs.
fn stamp() -> String {
    let wall = crate::clock::wall();
    let seconds = libc::time_t::try_from(wall.as_secs()).unwrap_or(0);
    // SAFETY: tm is plain data for which zero is a valid value; the C library writes it during the call.
    let time = unsafe {
        let mut time: libc::tm = std::mem::zeroed();
        libc::localtime_r(&seconds, &mut time);
        time
    };
    format!(
        "{:02}/{:02}/{:02} {:02}:{:02}:{:02}.{:03}",
        time.tm_year % 100,
        time.tm_mon + 1,
        time.tm_mday,
        time.tm_hour,
        time.tm_min,
        time.tm_sec,
        wall.subsec_millis()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_is_set_aside_whatever_its_name_and_one_older_is_kept() {
        let place = tempfile::tempdir().expect("place");
        let path = place.path().join("exec1.txt");
        let lines = |path: &Path| std::fs::read_to_string(path).unwrap_or_default().lines().count();
        for number in 0..7 {
            append(&path, 100, 77, &format!("line {number} of some length\n"));
        }
        // A line has 48 bytes: the third is the one that fills it.
        assert_eq!((lines(&path), lines(&place.path().join("exec1.txt.pre"))), (1, 3));
        assert_eq!(std::fs::read_dir(place.path()).expect("folder").count(), 2);
        let text = std::fs::read_to_string(&path).expect("log");
        assert!(text.ends_with("[77] line 6 of some length\n"), "{text}");
    }

    #[test]
    fn the_time_is_that_of_this_place() {
        let told = std::process::Command::new("date").arg("+%y/%m/%d %H:").output().expect("date");
        let told = String::from_utf8_lossy(&told.stdout).trim().to_string();
        let stamp = stamp();
        let hour_later = std::process::Command::new("date").arg("+%y/%m/%d %H:").output().expect("date");
        let hour_later = String::from_utf8_lossy(&hour_later.stdout).trim().to_string();
        assert!(stamp.starts_with(&told) || stamp.starts_with(&hour_later), "{stamp} {told}");
        assert_eq!(stamp.len(), "26/11/27 13:00:00.000".len());
    }
}
