//! The test bench: servers as namespaces on one machine, with real kernels' parts under them and faults below every process.
//!
//! Binary and library, for tests; needs root. `lab` is what tests use, the program `testbed` what people use. A lab is a
//! supervisor process (`making`, `supervise`, `server`) with switches (`wires`; the bench's own
//! in `switch` and `forward`), a shared disk (`disk`, `table`), watchdogs (`watchdog`), a serial
//! cable (`cable`); long runs of random faults are `storm` and `pauses`; a server's inside is `machine`, `tree` and `prepare`. Knows nothing of the cluster but which programs a
//! server starts.

pub mod blocks;
pub mod bmc;
pub mod cable;
pub mod chance;
pub mod completion;
pub mod conf;
pub mod control;
pub mod cost;
pub mod disk;
pub mod etcd;
mod forward;
pub mod fuse;
pub mod gaps;
pub mod hang;
pub mod http;
pub mod lab;
pub mod machine;
pub mod making;
pub mod options;
pub mod pauses;
pub mod places;
pub mod prepare;
pub mod probe;
pub mod segment;
pub mod server;
pub mod storm;
pub mod supervise;
pub mod switch;
pub mod table;
pub mod tools;
pub mod tree;
pub mod watchdog;
pub mod wires;
pub mod witness;

pub use control::{Phase, PowerCut, ServerStatus};
pub use lab::{Lab, LabState, Output};
pub use options::{Cut, DiskState, FileSystem, Net, Options, SwitchKind, Weather};
