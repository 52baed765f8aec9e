//! The few calls of bpf(2) that the gate needs: make a map, put and take an entry, load a program.

#![allow(unsafe_code, reason = "bpf(2) has no safe wrapper")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::program::Instruction;

// include/uapi/linux/bpf.h
const MAP_CREATE: i64 = 0;
const MAP_UPDATE: i64 = 2;
const MAP_DELETE: i64 = 3;
const PROG_LOAD: i64 = 5;
const TYPE_HASH: u32 = 1;
const TYPE_ARRAY: u32 = 2;
const FLAG_MMAPABLE: u32 = 1 << 10;
const TYPE_SCHED_CLS: u32 = 3;

/// As `ps` and `bpftool` show it: at most 15 letters.
pub(super) const NAME: &str = "mainstay_gate";
const LICENCE: &std::ffi::CStr = c"Apache-2.0";
/// What the verifier says of a program that it refuses, at most.
const LOG_MAX: usize = 16 * 1024;

#[repr(C)]
#[derive(Default)]
struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
    inner: u32,
    numa_node: u32,
    name: [u8; 16],
}

#[repr(C)]
struct MapElement {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct ProgLoad {
    prog_type: u32,
    count: u32,
    instructions: u64,
    licence: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

fn name() -> [u8; 16] {
    let mut name = [0; 16];
    name[..NAME.len()].copy_from_slice(NAME.as_bytes());
    name
}

fn bpf<T>(command: i64, attributes: &T) -> io::Result<i64> {
    // SAFETY: `attributes` is a structure of that command with its true size, and all that it points to outlives the call; the
    // kernel writes nothing but the log, which is as long as it is said to be.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn owned(descriptor: i64) -> io::Result<OwnedFd> {
    let descriptor = RawFd::try_from(descriptor).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// A table of `keys` of 16 bytes, each with a word that means nothing.
pub(super) fn table(keys: u32) -> io::Result<OwnedFd> {
    let wanted =
        MapCreate { map_type: TYPE_HASH, key_size: 16, value_size: 4, max_entries: keys, name: name(), ..MapCreate::default() };
    owned(bpf(MAP_CREATE, &wanted)?)
}

/// One number of 64 bits that can be mapped into memory.
pub(super) fn number() -> io::Result<OwnedFd> {
    let wanted = MapCreate {
        map_type: TYPE_ARRAY,
        key_size: 4,
        value_size: 8,
        max_entries: 1,
        flags: FLAG_MMAPABLE,
        name: name(),
        ..MapCreate::default()
    };
    owned(bpf(MAP_CREATE, &wanted)?)
}

fn element(map: &OwnedFd, key: &[u8; 16], value: Option<&u32>) -> MapElement {
    MapElement {
        map: map.as_raw_fd().unsigned_abs(),
        padding: 0,
        key: std::ptr::from_ref(key) as u64,
        value: value.map_or(0, |value| std::ptr::from_ref(value) as u64),
        flags: 0,
    }
}

/// Put a key into a table; there already: nothing happens.
pub(super) fn put(map: &OwnedFd, key: &[u8; 16]) -> io::Result<()> {
    bpf(MAP_UPDATE, &element(map, key, Some(&1))).map(drop)
}

/// Take a key out of it; not there: nothing happens.
pub(super) fn take(map: &OwnedFd, key: &[u8; 16]) -> io::Result<()> {
    match bpf(MAP_DELETE, &element(map, key, None)) {
        Err(cause) if cause.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        result => result.map(drop),
    }
}

/// Load a filter for packets. The kernel proves first that it ends and reads nothing that it may not; what it objects to is in
/// the error.
pub(super) fn load(program: &[Instruction]) -> io::Result<OwnedFd> {
    let mut wanted = ProgLoad {
        prog_type: TYPE_SCHED_CLS,
        count: u32::try_from(program.len()).map_err(io::Error::other)?,
        instructions: program.as_ptr() as u64,
        licence: LICENCE.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
        name: name(),
    };
    match bpf(PROG_LOAD, &wanted) {
        Err(cause) if cause.raw_os_error() != Some(libc::EPERM) => {
            let mut log = vec![0u8; LOG_MAX];
            (wanted.log_level, wanted.log_size, wanted.log) = (1, LOG_MAX as u32, log.as_mut_ptr() as u64);
            if let Ok(descriptor) = bpf(PROG_LOAD, &wanted) {
                return owned(descriptor);
            }
            let said = String::from_utf8_lossy(&log);
            let last = said.trim_end_matches('\0').trim().lines().rev().find(|line| !line.starts_with("processed"));
            Err(io::Error::new(cause.kind(), format!("{cause}: {}", last.unwrap_or("no reason given"))))
        }
        result => owned(result?),
    }
}
