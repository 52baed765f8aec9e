//! The kernel as the product sees it: processes, mounts, addresses, links, serial lines, watchdog, power, clocks.
//!
//! Fence: the kernel. The only crate with `unsafe`, each block with its reason. It does what it is told and decides nothing.

pub mod address;
pub mod arp;
pub mod aside;
pub mod block;
pub mod cgroup;
pub mod clock;
pub mod direct_io;
pub mod gate;
pub mod icmp;
pub mod identity;
pub mod link;
pub mod mount;
pub mod neighbour;
mod netlink;
pub mod paths;
pub mod power;
pub mod process;
pub mod realtime;
pub mod resolution;
pub mod scsi;
pub mod serial;
pub mod shortage;
pub mod signals;
pub mod starved;
pub mod tap;
pub mod watchdog;
