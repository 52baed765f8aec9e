//! What servers say to each other (sealed datagrams, message encoding) and the control API that commands use.
//!
//! Fence: pure. No sockets, files or clocks. Who sends and receives stands in `daemon` and `services`.

pub mod control;
pub mod datagram;
pub mod picture;
pub mod seal;
