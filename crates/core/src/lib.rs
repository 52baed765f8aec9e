//! The decisions of the cluster: who is alive, who may act, where each group runs, in what order, and what follows a failure.
//!
//! Fence: pure. No clock, thread, file, socket or random source; time is an argument, everything that happens is an
//! [`event::Event`], everything to be done is an [`action::Action`]. The daemon and the simulator drive the same
//! [`cluster::Cluster`]. Start reading at `event.rs` and `action.rs`; the rules are those of `docs/safety.md` (R0-R12).

pub mod action;
pub mod arbiter;
pub mod cluster;
pub mod command;
pub mod contact;
mod declared_off;
mod depends;
mod elsewhere;
pub mod event;
mod failing;
pub mod finals;
pub mod fits;
mod forcing;
mod goals;
mod govern;
pub mod ids;
mod ladder;
mod leaving;
pub mod local;
pub mod message;
mod operate;
mod orders;
pub mod pace;
pub mod partition;
pub mod path;
pub mod patience;
pub mod placement;
mod placing;
pub mod plan;
pub mod proof;
pub mod ratio;
pub mod recovery;
pub mod relocating;
mod resolving;
pub mod restarting;
pub mod sectors;
pub mod single;
pub mod status;
mod suspending;
mod telling;
pub mod time;
pub mod verdict;
pub mod view;
mod waits;
