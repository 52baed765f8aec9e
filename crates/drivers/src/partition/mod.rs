//! What answers the partition question: probes of targets, and stores that keep an arbiter's record. Whether this side may go on is
//! decided in the core (`clp_core::verdict`), and what a record means as well (`clp_core::arbiter`).

pub mod etcd;
mod keeper;
mod line;
mod memory;
pub mod ping;
pub mod tls;
pub mod witness;

use std::time::{Duration, Instant};

use clp_core::arbiter::{Answer, Ask};

pub use keeper::{Keeper, Register, Seen};

/// A question under way.
#[derive(Debug, Clone)]
pub struct Question {
    /// What is asked.
    pub ask: Ask,
    /// When it was put.
    pub put: Instant,
    /// An answer after this is of no use.
    pub until: Instant,
}

/// What a method said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// To the question.
    pub answer: Answer,
    /// So long before the question was put it was true at the latest.
    pub age: Duration,
    /// Could it be asked at all? For showing.
    pub reachable: bool,
    /// What was measured, for operators.
    pub words: String,
}

/// A partition resolution of this server.
pub trait Method: Send {
    /// Ask; blocks until the end of the question, or a little longer where a disk holds it.
    fn ask(&mut self, question: &Question) -> Reply;

    /// Look whether it could be asked, until this moment; for showing, nothing changes by it. Whether, and in words.
    fn look(&mut self, until: Instant) -> (bool, String);
}
