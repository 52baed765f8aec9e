//! A file that nobody can finish reading: who reads it waits inside the kernel, where no signal reaches him.
//!
//! It ends by itself: with the process that answers for it the kernel gives up all that wait.

use anyhow::{Context, Result};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{
    fuse::{FileServer, Node, Request},
    tools::hold,
};

const FUSE: &str = "/dev/fuse";

struct Hanging {
    held: Mutex<Vec<Request>>,
}

impl Node for Hanging {
    fn size(&self) -> u64 {
        1
    }

    fn open(&self) -> Result<(), i32> {
        Ok(())
    }

    fn closed(&self) {}

    fn handle(self: Arc<Self>, request: Request) {
        hold(&self.held).push(request);
    }
}

/// Mounts the file system on `point`, says `ready`, and ends after `limit`.
///
/// # Errors
/// It cannot be mounted.
pub fn hang(point: &Path, limit: Duration) -> Result<()> {
    if !Path::new(FUSE).exists() {
        mknodat(CWD, FUSE, FileType::CharacterDevice, Mode::from_raw_mode(0o600), makedev(10, 229))
            .context("cannot make /dev/fuse")?;
    }
    let files = FileServer::mount(point)?;
    files.add("file", Arc::new(Hanging { held: Mutex::default() }));
    println!("ready");
    std::thread::sleep(limit);
    Ok(())
}
