//! What is allowed and unwise: shown when a configuration is distributed, and no reason to refuse it.
//!
//! One function each; what must be refused stands in `rules.rs`.

use crate::configuration::{Configuration, HeartbeatKind, ResourceKind};
use crate::problem::Problem;

/// All advice at once.
pub fn advise(configuration: &Configuration) -> Vec<Problem> {
    let all = [lan_heartbeats, other_heartbeats, partition_resolution];
    all.into_iter().filter_map(|advice| advice(configuration)).collect()
}

/// Says whether several servers have no network partition resolution.
pub(crate) fn is_unresolved(configuration: &Configuration) -> bool {
    configuration.servers.len() > 1 && configuration.partitions.is_empty()
}

/// Says whether a group has a disk that two servers could write.
pub(crate) fn has_shared_disk(configuration: &Configuration) -> bool {
    configuration.resources.iter().any(|resource| matches!(resource.kind, ResourceKind::Disk(_)))
}

fn has(configuration: &Configuration, kind: HeartbeatKind) -> bool {
    configuration.heartbeats.iter().any(|heartbeat| heartbeat.kind == kind)
}

/// Guide chapter 2: one LAN heartbeat at least, more than two recommended, in user mode and in kernel mode.
fn lan_heartbeats(configuration: &Configuration) -> Option<Problem> {
    let is_lan = |kind| matches!(kind, HeartbeatKind::Lanhb | HeartbeatKind::Lankhb);
    let count = configuration.heartbeats.iter().filter(|heartbeat| is_lan(heartbeat.kind)).count();
    (configuration.servers.len() > 1 && count == 1).then(|| {
        let remedy = "have one on each LAN, in kernel mode (lankhb) and in user mode (lanhb); more than two are recommended";
        Problem::new(
            "/root/heartbeat",
            "there is one LAN heartbeat only: a single cable cuts the servers off from each other",
            remedy,
        )
    })
}

/// Guide chapter 2: shared disk and two servers: COM and disk; three and more: disk; no shared disk and two servers: COM.
fn other_heartbeats(configuration: &Configuration) -> Option<Problem> {
    let servers = configuration.servers.len();
    let disk = has_shared_disk(configuration);
    let wanted = [
        (HeartbeatKind::Comhb, servers == 2, "a COM heartbeat (comhb)"),
        (HeartbeatKind::Diskhb, disk && servers > 1, "a disk heartbeat (diskhb)"),
    ];
    let missing: Vec<&str> = wanted
        .into_iter()
        .filter(|(kind, is_wanted, _)| *is_wanted && !has(configuration, *kind))
        .map(|(.., words)| words)
        .collect();
    (!missing.is_empty()).then(|| {
        let with = if disk { "with" } else { "without" };
        let what = format!("{servers} servers {with} shared disks lack a way to hear each other beside the LANs");
        Problem::new("/root/heartbeat", what, format!("add {}", missing.join(" and ")))
    })
}

/// What is risked without a resolution, whoever has chosen it.
fn partition_resolution(configuration: &Configuration) -> Option<Problem> {
    is_unresolved(configuration).then(|| {
        let what = if has_shared_disk(configuration) {
            "there is no network partition resolution: when all heartbeat paths are cut, every server starts all groups, and several write to the same disk and destroy its file systems"
        } else {
            "there is no network partition resolution: when all heartbeat paths are cut, every server starts all groups"
        };
        Problem::new("/root/networkpartition", what, "add a ping resolution")
    })
}
