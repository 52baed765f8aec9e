//! No cluster service starts while a configuration is being switched: each server of a push is held first, and only when
//! all are held is any of them switched.
//!
//! A held server has taken the lock by which a second cluster service is kept from running (`run/clusterpro.lock`); it is
//! the kernel's and goes with its holder. Whoever pushes and vanishes leaves nothing behind for longer than [`HOLD_LIMIT`].

use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clp_config::{Configuration, Document};
use clp_sys::paths::Root;

use crate::stage;

/// Longest time between the question and the last switch: 32 servers that each take a second, with room.
pub const HOLD_LIMIT: Duration = Duration::from_secs(60);

/// The one push that may switch, if there is one.
#[derive(Debug, Default)]
pub struct Holds(Mutex<Option<Held>>);

#[derive(Debug)]
struct Held {
    generation: u64,
    /// None when what runs would not notice the switch.
    lock: Option<File>,
    until: Instant,
}

impl Holds {
    /// Keep the cluster service from starting until `generation` is released; a hold of the same generation is renewed.
    ///
    /// # Errors
    /// The cluster service runs and the configuration would change for it, or another push holds this server.
    pub fn take(self: &Arc<Holds>, root: &Root, generation: u64, is_running: bool) -> Result<(), String> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if held.as_ref().is_some_and(|held| held.generation != generation && held.until > now) {
            return Err("another push is switching this server; try again in a moment".into());
        }
        // The lock of an expired or repeated hold goes first: it would be in its own way.
        *held = None;
        let lock = if changes_nothing(root, generation) { None } else { Some(lock(root, is_running)?) };
        let until = now + HOLD_LIMIT;
        *held = Some(Held { generation, lock, until });
        drop(held);
        let holds = self.clone();
        // Without the thread the hold is let go by the next request only.
        let _ = std::thread::Builder::new().spawn(move || {
            std::thread::sleep(HOLD_LIMIT);
            holds.expire();
        });
        Ok(())
    }

    /// Is this generation held?
    pub fn has(&self, generation: u64) -> bool {
        self.expire();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|held| held.generation == generation)
    }

    /// Is the cluster service kept from starting?
    pub fn keeps_service(&self) -> bool {
        self.expire();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|held| held.lock.is_some())
    }

    /// Let go.
    pub fn release(&self, generation: u64) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_some_and(|held| held.generation == generation) {
            *held = None;
        }
    }

    fn expire(&self) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_some_and(|held| held.until <= Instant::now()) {
            *held = None;
        }
    }
}

/// Does a cluster service run, or is one on its way in or out?
pub fn is_locked(root: &Root) -> bool {
    lock(root, false).is_err()
}

/// The lock of a cluster service that does not run.
fn lock(root: &Root, is_running: bool) -> Result<File, String> {
    let running = || format!("the cluster service of {} is running: stop it first (clpcl -t -a)", clp_sys::identity::hostname());
    if is_running {
        return Err(running());
    }
    let path = root.run().join("clusterpro.lock");
    let failed = |cause: std::io::Error| format!("cannot lock {}: {cause}", path.display());
    std::fs::create_dir_all(root.run()).map_err(failed)?;
    let file = File::create(&path).map_err(failed)?;
    // Somebody started it by hand meanwhile.
    file.try_lock().map_err(|_| running())?;
    Ok(file)
}

/// Would a running engine read the same from the configuration kept ready as from the one in force?
fn changes_nothing(root: &Root, generation: u64) -> bool {
    let read = |path: &std::path::Path| {
        let document = Document::read(&std::fs::read(path).ok()?).ok()?;
        Configuration::from_document(&document).ok()
    };
    match read(&stage::directory(root, generation).join("clp.conf")) {
        Some(new) => read(&root.conf()).is_some_and(|old| old == new),
        // Not kept ready: the switch will say so.
        None => !stage::directory(root, generation).exists(),
    }
}
