//! Group resource types that can run; other types are kept in the file and named.

pub mod disk;
pub mod exec;
pub mod fip;

/// Types in the order in which they depend on each other by default: a later one needs the earlier ones of its group.
pub const DEFAULT_ORDER: &[&[&str]] =
    &[&["volmgr"], &["disk", "nas", "raw", "md", "hd"], &["fip", "vip", "ddns"], &["exec", "vm"]];
