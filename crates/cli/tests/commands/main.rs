//! Tests of the built commands. They need root, as the commands do; without it they say `skipped:`.

// A stand-in that fails is a failed test.
#![allow(clippy::unwrap_used)]

mod declared;
mod every;
mod orders;
mod pipelines;
mod push;
mod requests;
mod stand_in;
mod waiting;
mod whatif;
