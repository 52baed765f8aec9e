//! Probes for network partition resolution: what can be reached from here, now. Whether this side may go on is decided
//! in the core; nothing is remembered between two questions.

pub mod ping;
