//! The newest frame waiting to be sent by a slow path's thread. A newer one replaces it: an old heartbeat is worth nothing.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

#[derive(Debug, Clone, Default)]
pub(super) struct PendingFrame(Arc<(Mutex<Option<Vec<u8>>>, Condvar)>);

impl PendingFrame {
    /// Replaces what waits. The lock is held for a copy only.
    pub(super) fn put(&self, frame: &[u8]) {
        let copy = frame.to_vec();
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(copy);
        self.0.1.notify_one();
    }

    /// Puts back a frame that could not be sent, unless a newer one has come.
    pub(super) fn put_back(&self, frame: Vec<u8>) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(frame);
    }

    /// Takes what waits now.
    pub(super) fn take(&self) -> Option<Vec<u8>> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Takes what waits, after waiting for it at most `time`.
    pub(super) fn take_within(&self, time: Duration) -> Option<Vec<u8>> {
        let frame = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut frame, _) =
            self.0.1.wait_timeout_while(frame, time, |frame| frame.is_none()).unwrap_or_else(PoisonError::into_inner);
        frame.take()
    }
}
