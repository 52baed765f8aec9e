//! clp.conf: every parameter declared once; read, write, check, compare.
//!
//! Fence: pure. Bytes in, bytes out; who reads and writes files stands elsewhere. `document.rs` keeps a file as it was
//! written, `schema/` declares its parameters, `configuration/` is what is in force, `rules.rs` what must fit together,
//! `advice.rs` what is unwise, `difference.rs` what a change needs.

pub mod advice;
pub mod configuration;
pub mod difference;
pub mod document;
pub mod problem;
pub mod rules;
pub mod safety;
pub mod schema;
pub mod templates;
pub mod value;

pub use advice::advise;
pub use configuration::{
    Bmc, Configuration, Device, DeviceKind, EtcdTls, Etcdnp, FailureSwitches, FinalScript, ForcedStop, ForcedStopMethod, Group,
    GroupKind, Heartbeat, HeartbeatKind, Httpnp, Monitor, MonitorKind, PROOFS, Partition, PartitionKind, Password, Pingnp,
    RecoveryTarget, Resource, ResourceKind, Role, Server, ServerGroup, holds_password,
};
pub use difference::{Change, Changes, diff};
pub use document::{Document, ReadError, SetError};
pub use problem::Problem;
