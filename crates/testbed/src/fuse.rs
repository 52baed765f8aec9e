//! A file system of a few named files that this process answers for: the kernel's FUSE protocol over `/dev/fuse`.
//!
//! Only what the shared disk and the watchdog stand-in need: one flat directory, open, read, write, ioctl, flush. No
//! library: the protocol is include/uapi/linux/fuse.h, version 7.31. An answer may come later from another thread, which
//! is how a hanging disk is made.

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, mount};
use std::{
    collections::BTreeMap,
    ffi::CString,
    fs::{File, OpenOptions},
    io::{IoSlice, Read, Write},
    os::fd::AsRawFd,
    path::Path,
    sync::{Arc, Mutex},
};

use crate::tools::hold;

/// Largest write in one request; the disk's loop device splits longer ones.
const WRITE_MAX: usize = 1 << 20;
/// Pages of one request for [`WRITE_MAX`].
const PAGES_MAX: u16 = 256;
/// Room for the headers before the data of a write.
const HEADER_ROOM: usize = 4096;
/// Threads that answer; one alone would let a long write of one server delay the watchdog of another.
const THREADS: usize = 3;
/// Seconds for which the kernel may keep names and attributes: as long as the lab lives.
const KEEP: u64 = 1 << 30;
const ROOT: u64 = 1;
const IN_HEADER: usize = 40;

/// Error numbers in answers.
pub mod errno {
    /// Input or output error.
    pub const EIO: i32 = 5;
    /// No such file.
    pub const ENOENT: i32 = 2;
    /// In use.
    pub const EBUSY: i32 = 16;
    /// Not such an ioctl.
    pub const ENOTTY: i32 = 25;
    /// Not implemented; the kernel does not ask again.
    pub const ENOSYS: i32 = 38;
    /// Not supported.
    pub const EOPNOTSUPP: i32 = 95;
}

/// What a program asks of an open file.
#[derive(Debug)]
pub enum Operation {
    /// Read `size` bytes at `offset`.
    Read {
        /// Where, in bytes.
        offset: u64,
        /// How many bytes.
        size: u32,
    },
    /// Write `data` at `offset`.
    Write {
        /// Where, in bytes.
        offset: u64,
        /// What.
        data: Vec<u8>,
    },
    /// Make everything written so far permanent.
    Flush,
    /// Forget a range (discard) or fill it with zeros.
    Clear {
        /// Where, in bytes.
        offset: u64,
        /// How many bytes.
        length: u64,
    },
    /// An ioctl with its number and the bytes that the caller passes.
    Ioctl {
        /// The number.
        number: u32,
        /// What is passed in.
        input: Vec<u8>,
        /// How many bytes the caller takes.
        room: u32,
    },
}

/// One question of the kernel that waits for its answer.
#[derive(Debug)]
pub struct Request {
    device: Arc<File>,
    unique: u64,
    /// What is asked.
    pub operation: Operation,
}

impl Request {
    /// Answers with the bytes read, the number of bytes written as [`Request::written`] has it, or nothing.
    pub fn answer(self, result: Result<&[u8], i32>) {
        reply(&self.device, self.unique, result);
    }

    /// Answers a write.
    pub fn written(self, count: u32) {
        let mut body = count.to_ne_bytes().to_vec();
        body.extend([0; 4]);
        reply(&self.device, self.unique, Ok(&body));
    }

    /// Answers an ioctl: its return value is 0 and `output` goes to the caller.
    pub fn ioctl_done(self, output: &[u8]) {
        let mut body = vec![0; 16];
        body.extend_from_slice(output);
        reply(&self.device, self.unique, Ok(&body));
    }
}

/// A file of this file system.
pub trait Node: Send + Sync {
    /// Its size in bytes.
    fn size(&self) -> u64;
    /// Someone opens it; an error number refuses.
    ///
    /// # Errors
    /// The error number that the caller sees.
    fn open(&self) -> Result<(), i32>;
    /// The last descriptor of one opening is closed.
    fn closed(&self);
    /// Someone asks something; it is answered now or later, once.
    fn handle(self: Arc<Self>, request: Request);
}

/// The mounted file system; its files can be added and removed while it is in use.
pub struct FileServer {
    files: Arc<Files>,
}

#[derive(Default)]
struct Files {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next: u64,
    numbers: BTreeMap<String, u64>,
    nodes: BTreeMap<u64, Arc<dyn Node>>,
}

impl FileServer {
    /// Mounts an empty file system on `point` and starts the threads that answer for it. It ends with the process.
    ///
    /// # Errors
    /// The kernel has no FUSE, or the mount is refused.
    pub fn mount(point: &Path) -> Result<FileServer> {
        let device = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/fuse")
            .context("cannot open /dev/fuse; the kernel needs CONFIG_FUSE_FS (modprobe fuse)")?;
        let data = format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", device.as_raw_fd());
        let data = CString::new(data).context("mount options")?;
        mount("mainstay-lab", point, "fuse", MountFlags::NOSUID, data.as_c_str())
            .with_context(|| format!("cannot mount a FUSE file system on {}", point.display()))?;
        let device = Arc::new(device);
        let files = Arc::new(Files { table: Mutex::new(Table { next: ROOT + 1, ..Table::default() }) });
        for number in 0..THREADS {
            let (device, files) = (device.clone(), files.clone());
            std::thread::Builder::new()
                .name(format!("fuse{number}"))
                .spawn(move || serve(&device, &files))
                .context("cannot start a thread")?;
        }
        Ok(FileServer { files })
    }

    /// Adds a file.
    pub fn add(&self, name: &str, node: Arc<dyn Node>) {
        let mut table = hold(&self.files.table);
        let number = table.next;
        table.next += 1;
        table.numbers.insert(name.to_string(), number);
        table.nodes.insert(number, node);
    }

    /// Removes a file; what has it open keeps it no longer than until its next question.
    pub fn remove(&self, name: &str) {
        let mut table = hold(&self.files.table);
        if let Some(number) = table.numbers.remove(name) {
            table.nodes.remove(&number);
        }
    }
}

/// Answers until the file system is unmounted or the connection is cut.
fn serve(device: &Arc<File>, files: &Files) {
    let mut buffer = vec![0_u8; WRITE_MAX + HEADER_ROOM];
    loop {
        match (&**device).read(&mut buffer) {
            Ok(length) if length >= IN_HEADER => dispatch(device, files, &buffer[..length]),
            Ok(_) => return,
            Err(error) => match error.raw_os_error() {
                // Interrupted, or a request that its caller gave up meanwhile.
                Some(libc::EINTR | libc::ENOENT | libc::EAGAIN) => {}
                _ => return,
            },
        }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|part| part.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|part| part.try_into().ok()).map_or(0, u64::from_ne_bytes)
}

fn reply(device: &File, unique: u64, result: Result<&[u8], i32>) {
    let (error, body) = match result {
        Ok(body) => (0, body),
        Err(number) => (-number, &[][..]),
    };
    let mut header = Vec::with_capacity(16);
    header.extend(((16 + body.len()) as u32).to_ne_bytes());
    header.extend(error.to_ne_bytes());
    header.extend(unique.to_ne_bytes());
    // Fails only when the caller was killed or the lab is going down; then nobody waits for the answer.
    let mut device = device;
    let _ = device.write_vectored(&[IoSlice::new(&header), IoSlice::new(body)]);
}

/// The operations of `enum fuse_opcode` that a flat directory of files can be asked.
mod opcode {
    pub const LOOKUP: u32 = 1;
    pub const FORGET: u32 = 2;
    pub const GETATTR: u32 = 3;
    pub const SETATTR: u32 = 4;
    pub const OPEN: u32 = 14;
    pub const READ: u32 = 15;
    pub const WRITE: u32 = 16;
    pub const STATFS: u32 = 17;
    pub const RELEASE: u32 = 18;
    pub const FSYNC: u32 = 20;
    pub const INIT: u32 = 26;
    pub const OPENDIR: u32 = 27;
    pub const READDIR: u32 = 28;
    pub const RELEASEDIR: u32 = 29;
    pub const INTERRUPT: u32 = 36;
    pub const DESTROY: u32 = 38;
    pub const IOCTL: u32 = 39;
    pub const BATCH_FORGET: u32 = 42;
    pub const FALLOCATE: u32 = 43;
}

fn dispatch(device: &Arc<File>, files: &Files, message: &[u8]) {
    let (operation, unique, number) = (u32_at(message, 4), u64_at(message, 8), u64_at(message, 16));
    let body = &message[IN_HEADER..];
    let answer = |result: Result<&[u8], i32>| reply(device, unique, result);
    let node = || hold(&files.table).nodes.get(&number).cloned();
    let ask = |operation| match node() {
        Some(node) => node.handle(Request { device: device.clone(), unique, operation }),
        None => answer(Err(errno::EIO)),
    };
    match operation {
        opcode::INIT => answer(Ok(&initial(body))),
        opcode::LOOKUP => {
            let name = String::from_utf8_lossy(body.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned();
            let table = hold(&files.table);
            match table.numbers.get(&name).and_then(|number| Some((*number, table.nodes.get(number)?.size()))) {
                Some((number, size)) => {
                    let mut entry = Vec::with_capacity(128);
                    for value in [number, 0, KEEP, KEEP, 0] {
                        entry.extend(value.to_ne_bytes());
                    }
                    entry.extend(attributes(number, size));
                    answer(Ok(&entry));
                }
                None => answer(Err(errno::ENOENT)),
            }
        }
        opcode::GETATTR | opcode::SETATTR => {
            let size = node().map(|node| node.size());
            match (number, size) {
                (ROOT, _) => answer(Ok(&attribute_answer(ROOT, 0))),
                (_, Some(size)) => answer(Ok(&attribute_answer(number, size))),
                _ => answer(Err(errno::ENOENT)),
            }
        }
        opcode::OPEN => match node().ok_or(errno::ENOENT).and_then(|node| node.open()) {
            // FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES: no cache between the servers.
            Ok(()) => answer(Ok(&open_answer(1 | 1 << 6))),
            Err(number) => answer(Err(number)),
        },
        opcode::READ => ask(Operation::Read { offset: u64_at(body, 8), size: u32_at(body, 16) }),
        opcode::WRITE => ask(Operation::Write {
            offset: u64_at(body, 8),
            data: body.get(40..40 + u32_at(body, 16) as usize).unwrap_or_default().to_vec(),
        }),
        opcode::FSYNC => ask(Operation::Flush),
        opcode::FALLOCATE => ask(Operation::Clear { offset: u64_at(body, 8), length: u64_at(body, 16) }),
        opcode::IOCTL => ask(Operation::Ioctl {
            number: u32_at(body, 12),
            input: body.get(32..32 + u32_at(body, 24) as usize).unwrap_or_default().to_vec(),
            room: u32_at(body, 28),
        }),
        opcode::RELEASE => {
            if let Some(node) = node() {
                node.closed();
            }
            answer(Ok(&[]));
        }
        opcode::OPENDIR => answer(Ok(&open_answer(0))),
        opcode::READDIR | opcode::RELEASEDIR | opcode::DESTROY => answer(Ok(&[])),
        opcode::STATFS => answer(Ok(&[0; 80])),
        // These have no answer.
        opcode::FORGET | opcode::BATCH_FORGET | opcode::INTERRUPT => {}
        _ => answer(Err(errno::ENOSYS)),
    }
}

/// `struct fuse_init_out`: what we support of what the kernel offers.
fn initial(body: &[u8]) -> Vec<u8> {
    // ASYNC_READ, BIG_WRITES, ASYNC_DIO, MAX_PAGES.
    let wanted = 1 | 1 << 5 | 1 << 15 | 1 << 22;
    let mut answer = Vec::with_capacity(64);
    answer.extend(7_u32.to_ne_bytes());
    answer.extend(31_u32.to_ne_bytes());
    answer.extend(u32_at(body, 8).to_ne_bytes());
    answer.extend((u32_at(body, 12) & wanted).to_ne_bytes());
    answer.extend(256_u16.to_ne_bytes()); // background requests
    answer.extend(192_u16.to_ne_bytes()); // congestion threshold
    answer.extend((WRITE_MAX as u32).to_ne_bytes());
    answer.extend(1_u32.to_ne_bytes()); // time granularity, ns
    answer.extend(PAGES_MAX.to_ne_bytes());
    answer.resize(64, 0);
    answer
}

fn open_answer(flags: u32) -> [u8; 16] {
    let mut answer = [0; 16];
    answer[8..12].copy_from_slice(&flags.to_ne_bytes());
    answer
}

fn attribute_answer(number: u64, size: u64) -> Vec<u8> {
    let mut answer = KEEP.to_ne_bytes().to_vec();
    answer.extend([0; 8]);
    answer.extend(attributes(number, size));
    answer
}

/// `struct fuse_attr`.
fn attributes(number: u64, size: u64) -> Vec<u8> {
    let mode: u32 = if number == ROOT { libc::S_IFDIR | 0o700 } else { libc::S_IFREG | 0o600 };
    let mut attributes = Vec::with_capacity(88);
    for value in [number, size, size.div_ceil(512), 0, 0, 0] {
        attributes.extend(value.to_ne_bytes());
    }
    for value in [0, 0, 0, mode, 1, 0, 0, 0, 4096, 0] {
        attributes.extend(value.to_ne_bytes());
    }
    attributes
}
