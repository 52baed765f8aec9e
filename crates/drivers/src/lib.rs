//! What acts on and measures the world: heartbeat paths, monitor resources, partition probes, group resources.
//!
//! Fence: touches the world. One file per type. Drivers report what they did or saw; what follows from it is decided in the core.

pub mod addresses;
mod environment;
pub mod forced_stop;
pub mod heartbeats;
pub mod monitors;
pub mod partition;
mod preaction;
pub mod resources;
