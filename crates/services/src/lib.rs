//! The small daemons beside the engine, and the commands' way to other servers.
//!
//! Fence: the network between servers (mutual TLS). `transfer` is the program `clusterpro_trn`; `client` is what commands
//! use to reach it; `trust` makes and reads keys and certificates.

pub mod alertlog;
mod ask;
pub mod client;
pub mod door;
mod hold;
mod remote;
pub mod request;
pub mod script;
pub mod stage;
mod tls;
pub mod transfer;
pub mod trust;
pub mod wire;
