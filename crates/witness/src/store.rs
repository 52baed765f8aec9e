//! All clusters of a witness: a directory with a file for each, named by its key's name.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use clp_protocol::witness::{Key, KeyId};
use clp_services::trust::hex;
use rustix::fs::{FlockOperation, flock};

use crate::state::{self, State};

const EXTENSION: &str = "cluster";
/// Requests of one cluster that may wait for its disk: each of 32 servers twice.
const WAITING_MAX: u32 = 64;

/// Where the file of a cluster lies.
pub fn path(directory: &Path, id: KeyId) -> PathBuf {
    directory.join(hex(&id.0)).with_extension(EXTENSION)
}

/// Files of clusters, in order.
///
/// # Errors
/// The directory cannot be read.
pub fn paths(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Make the directory if it is not there.
///
/// # Errors
/// It cannot be made.
pub fn make(directory: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// What stands for a cluster.
pub struct Kept {
    file: File,
    /// As it is on the disk.
    pub state: State,
    /// Since when, by this program.
    pub since: Instant,
    /// A write whose end nobody knows: only the next start shows which state stands.
    pub unsure: Option<String>,
}

impl Kept {
    /// Write a state; on the disk when this returns.
    ///
    /// # Errors
    /// Why not; when that is not certain nothing more is said of this cluster.
    pub fn replace(&mut self, state: State) -> Result<(), state::WriteError> {
        let written = state::write(&self.file, &state);
        match &written {
            Ok(()) => (self.state, self.since) = (state, Instant::now()),
            Err(state::WriteError::Unsure(cause)) => self.unsure = Some(cause.to_string()),
            Err(state::WriteError::Refused(_)) => {}
        }
        written
    }

    fn is_removed(&self) -> bool {
        self.file.metadata().is_ok_and(|of| of.nlink() == 0)
    }
}

/// A cluster that is answered.
pub struct Cluster {
    /// Opens its requests.
    pub key: Key,
    /// For people.
    pub name: String,
    kept: Mutex<Kept>,
    waiting: AtomicU32,
    /// Connections that have shown its key.
    pub connections: AtomicU32,
}

impl Cluster {
    fn open(path: &Path, id: KeyId) -> io::Result<Cluster> {
        let (file, state) = state::open(path, true)?;
        let (key, name) = (state.key(), state.name.clone());
        if key.id() != id {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is the file of another cluster"));
        }
        let kept = Mutex::new(Kept { file, state, since: Instant::now(), unsure: None });
        Ok(Cluster { key, name, kept, waiting: AtomicU32::new(0), connections: AtomicU32::new(0) })
    }

    /// Its record, for one at a time; None: too many wait already, since the disk holds them.
    pub fn kept(&self) -> Option<MutexGuard<'_, Kept>> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Some(kept)
    }
}

/// The clusters, for the program that answers them.
pub struct Store {
    directory: PathBuf,
    clusters: Mutex<BTreeMap<KeyId, Arc<Cluster>>>,
    _lock: File,
}

impl Store {
    /// The store in a directory, which this program has for itself.
    ///
    /// # Errors
    /// The directory cannot be used, or another witness uses it. Files that cannot be read are left to [`Store::find`].
    pub fn open(directory: &Path) -> io::Result<Store> {
        make(directory)?;
        let lock = File::options().write(true).create(true).truncate(false).open(directory.join("lock"))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|cause| match cause {
            rustix::io::Errno::WOULDBLOCK => io::Error::new(io::ErrorKind::WouldBlock, "another clpwitness uses it"),
            cause => cause.into(),
        })?;
        Ok(Store { directory: directory.to_path_buf(), clusters: Mutex::default(), _lock: lock })
    }

    /// The cluster with that key; None: there is none.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub fn find(&self, id: KeyId) -> io::Result<Option<Arc<Cluster>>> {
        let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = clusters.get(&id) {
            // One that was removed, or whose file was replaced, is not answered from memory.
            let removed = cluster.kept.try_lock().is_ok_and(|kept| kept.is_removed());
            if !removed {
                return Ok(Some(cluster.clone()));
            }
            clusters.remove(&id);
        }
        match Cluster::open(&path(&self.directory, id), id) {
            Ok(cluster) => {
                let cluster = Arc::new(cluster);
                clusters.insert(id, cluster.clone());
                Ok(Some(cluster))
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(cause),
        }
    }

    /// How many files of clusters there are.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn count(&self) -> io::Result<usize> {
        Ok(paths(&self.directory)?.len())
    }
}
