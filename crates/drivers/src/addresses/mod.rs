//! What floating addresses need beside their driver: changes that are made together (`desk`), asking and telling the other
//! machines of a LAN (`lan`), the proof that others find an address here (`proof`), and the watch for a second holder that
//! never ends (`watch`), and the kernel's gate before them (`gate`). Measures and tells; what follows from it is decided elsewhere.

mod desk;
pub mod gate;
mod lan;
pub mod proof;
pub mod watch;

use clp_sys::address::{self, Assigned, Change};
use desk::Desk;
use std::io;

pub use lan::Lan;

static CHANGES: Desk<Change, io::Result<bool>> = Desk::new();
static LISTS: Desk<(), io::Result<Vec<Assigned>>> = Desk::new();

/// Carry out a change, together with those that other threads want at this moment; false: there was nothing to do. All threads
/// that come here must be in one network namespace.
///
/// # Errors
/// The kernel refuses.
pub fn change(wanted: Change) -> io::Result<bool> {
    CHANGES.ask(wanted, |all| match address::change(&all) {
        Ok(outcomes) => outcomes,
        Err(cause) => all.iter().map(|_| Err(again(&cause))).collect(),
    })
}

/// Every address of every interface, asked after the call began; threads that ask at one moment share the answer.
///
/// # Errors
/// The kernel does not answer.
pub fn list() -> io::Result<Vec<Assigned>> {
    LISTS.ask((), |all| {
        let found = address::list();
        all.iter().map(|()| found.as_ref().map(Vec::clone).map_err(again)).collect()
    })
}

/// The same error for somebody else.
fn again(cause: &io::Error) -> io::Error {
    cause.raw_os_error().map_or_else(|| io::Error::new(cause.kind(), cause.to_string()), io::Error::from_raw_os_error)
}
