//! The transfer service over real sockets: who is let in, what it does with a configuration, what is left when it is killed.
//!
//! Each test has a root directory, an authority and ports of its own. The tests that kill the service use the built program.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod clock;
mod distribution;
mod doors;
mod full_disk;
mod ground;
mod killed;
mod race;
mod scripts;
