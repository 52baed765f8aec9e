//! What a driver tells while it works, beside what comes of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Something that operators may wait for, or look for afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A file system is checked before it is mounted: by which program, on which device.
    CheckBegins {
        /// Such as `fsck.ext4`.
        program: String,
        /// Its device.
        device: String,
    },
    /// It is good.
    CheckDone {
        /// The same.
        program: String,
        /// The same.
        device: String,
    },
    /// It is not, or the program did not run.
    CheckFailed {
        /// The same.
        program: String,
        /// The same.
        device: String,
        /// Exit code, or the code of why there is none.
        code: i32,
    },
    /// It was ended at its time-out.
    CheckSlow {
        /// The same.
        program: String,
        /// The same.
        device: String,
        /// The time-out.
        limit: Duration,
    },
}

/// Where notes go: nowhere, unless somebody listens.
#[derive(Clone, Default)]
pub struct Notes(Option<Arc<dyn Fn(Note) + Send + Sync>>);

impl Notes {
    /// To a listener, who is called on the driver's thread.
    pub fn to(listener: impl Fn(Note) + Send + Sync + 'static) -> Notes {
        Notes(Some(Arc::new(listener)))
    }

    /// Tell.
    pub fn tell(&self, note: Note) {
        if let Some(listener) = &self.0 {
            listener(note);
        }
    }
}

impl fmt::Debug for Notes {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(if self.0.is_some() { "Notes(heard)" } else { "Notes(unheard)" })
    }
}
