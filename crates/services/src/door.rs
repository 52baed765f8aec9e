//! Who waits at the door of `clusterpro_trn`: connections that have not shown a certificate yet.
//!
//! They are few, short-lived and shed fairly: when too many wait, the address with most of them loses its oldest, so that
//! a flood of silent connections does not keep a server of the cluster out. Knows nothing of TLS or of requests.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Connections that may wait for their handshake: twice what 32 servers need when each asks at the same moment.
const WAITING_MAX: usize = 64;
/// Threads for them: a connection that was shed needs a moment until its thread has ended.
const THREADS_MAX: usize = 2 * WAITING_MAX;
/// Pause after the kernel refused a connection (no file handles): the cause does not go away at once.
pub const REFUSED_PAUSE: Duration = Duration::from_millis(50);

/// The connections that wait.
#[derive(Default)]
pub struct Door {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Oldest first.
    waiting: Vec<Waiting>,
    threads: usize,
    next: u64,
}

struct Waiting {
    number: u64,
    from: IpAddr,
    stream: TcpStream,
}

/// A place at the door; left when dropped.
pub struct Place {
    door: Arc<Door>,
    number: u64,
}

impl Door {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new connection; when too many wait, one is shed for it. Blocks while threads of shed connections
    /// have not ended yet.
    ///
    /// # Errors
    /// The connection cannot be used.
    pub fn enter(self: &Arc<Door>, stream: &TcpStream, from: IpAddr) -> io::Result<Place> {
        let stream = stream.try_clone()?;
        let mut state = self.state();
        while state.threads >= THREADS_MAX {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.waiting.len() >= WAITING_MAX {
            let addresses: Vec<IpAddr> = state.waiting.iter().map(|one| one.from).collect();
            let shed = state.waiting.remove(to_shed(&addresses));
            // Its thread finds the end of the stream and goes.
            let _ = shed.stream.shutdown(Shutdown::Both);
        }
        state.next += 1;
        let number = state.next;
        state.waiting.push(Waiting { number, from, stream });
        state.threads += 1;
        Ok(Place { door: Arc::clone(self), number })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.door.state();
        state.waiting.retain(|one| one.number != self.number);
        state.threads -= 1;
        drop(state);
        self.door.changed.notify_one();
    }
}

/// Position of the oldest connection of the address that has most of them.
fn to_shed(addresses: &[IpAddr]) -> usize {
    let count = |of: &IpAddr| addresses.iter().filter(|address| *address == of).count();
    let most = addresses.iter().map(count).max().unwrap_or(0);
    addresses.iter().position(|address| count(address) == most).unwrap_or(0)
}

/// A connection on which everything must be over at an instant: a peer that sends a byte now and then gains nothing.
pub struct Bounded {
    stream: TcpStream,
    until: Instant,
}

impl Bounded {
    /// Over after `limit`.
    pub fn new(stream: TcpStream, limit: Duration) -> Bounded {
        Bounded { stream, until: Instant::now() + limit }
    }

    /// Over after `limit` from now.
    pub fn allow(&mut self, limit: Duration) {
        self.until = Instant::now() + limit;
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::Error::new(io::ErrorKind::TimedOut, "it took too long")) } else { Ok(left) }
    }
}

fn too_long(cause: io::Error) -> io::Error {
    match cause.kind() {
        io::ErrorKind::WouldBlock => io::Error::new(io::ErrorKind::TimedOut, "it took too long"),
        _ => cause,
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(buffer).map_err(too_long)
    }
}

impl Write for Bounded {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(buffer).map_err(too_long)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_with_most_connections_loses_its_oldest() {
        let address = |last: u8| IpAddr::from([10, 0, 0, last]);
        assert_eq!(to_shed(&[address(1), address(2), address(2)]), 1);
        assert_eq!(to_shed(&[address(2), address(1), address(1), address(2), address(1)]), 1);
        assert_eq!(to_shed(&[address(3), address(1)]), 0, "all alike: the oldest");
    }
}
