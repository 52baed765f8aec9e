//! Heartbeats and partition resolution, in force.

use std::net::IpAddr;
use std::time::Duration;

use super::etcd::{Etcdnp, read_etcd};
use super::witness::{Httpnp, read_witness};
use super::{NOT_YET, instances, key, number};
use crate::document::Element;
use crate::problem::Problem;
use crate::schema::partition::PingTimes;

/// Heartbeat types that can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeartbeatKind {
    /// LAN heartbeat.
    Lanhb,
    /// Kernel-mode LAN heartbeat.
    Lankhb,
    /// Disk heartbeat.
    Diskhb,
    /// COM heartbeat.
    Comhb,
}

impl HeartbeatKind {
    /// As in the file.
    pub fn word(self) -> &'static str {
        match self {
            HeartbeatKind::Lanhb => "lanhb",
            HeartbeatKind::Lankhb => "lankhb",
            HeartbeatKind::Diskhb => "diskhb",
            HeartbeatKind::Comhb => "comhb",
        }
    }
}

/// What a LAN is used for besides heartbeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// No group has an address there: an interconnect of its own.
    Dedicated,
    /// Clients reach groups there: the interconnect when the dedicated one is lost.
    Backup,
}

impl Role {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Role::Dedicated => "dedicated",
            Role::Backup => "backup",
        }
    }

    /// In the words of listings.
    pub fn words(self) -> &'static str {
        match self {
            Role::Dedicated => "dedicated interconnect",
            Role::Backup => "backup interconnect (public LAN)",
        }
    }
}

/// Could both be in one network? A configuration names no masks: taken as 24 bits, of IPv6 64.
pub(super) fn are_near(one: IpAddr, other: IpAddr) -> bool {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => one.octets()[..3] == other.octets()[..3],
        (IpAddr::V6(one), IpAddr::V6(other)) => one.segments()[..4] == other.segments()[..4],
        _ => false,
    }
}

/// A heartbeat resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Heartbeat {
    /// Such as lanhb1.
    pub name: String,
    /// Type.
    pub kind: HeartbeatKind,
    /// 0 first.
    pub priority: u32,
    /// Device id.
    pub device: u32,
}

/// A partition resolution resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Partition {
    /// Such as pingnp1.
    pub name: String,
    /// Type and parameters.
    pub kind: PartitionKind,
    /// 0 first.
    pub priority: u32,
    /// Device id.
    pub device: u32,
}

/// Partition resolution types that can run.
#[derive(Debug, Clone, PartialEq)]
pub enum PartitionKind {
    /// By ping.
    Pingnp(Pingnp),
    /// By the number of servers in contact: nothing is asked.
    Majonp,
    /// By a witness.
    Httpnp(Httpnp),
    /// By an etcd.
    Etcdnp(Etcdnp),
}

impl PartitionKind {
    /// As in the file.
    pub fn word(&self) -> &'static str {
        match self {
            PartitionKind::Pingnp(_) => "pingnp",
            PartitionKind::Majonp => "majonp",
            PartitionKind::Httpnp(_) => "httpnp",
            PartitionKind::Etcdnp(_) => "etcdnp",
        }
    }

    /// Is it a record elsewhere that one side at a time can hold?
    pub fn is_arbiter(&self) -> bool {
        self.answer_min().is_some()
    }

    /// Shortest time that a question to an arbiter may take; None: it is none.
    pub fn answer_min(&self) -> Option<Duration> {
        match self {
            PartitionKind::Pingnp(_) | PartitionKind::Majonp => None,
            PartitionKind::Httpnp(_) => Some(Httpnp::ANSWER_MIN),
            PartitionKind::Etcdnp(_) => Some(Etcdnp::ANSWER_MIN),
        }
    }
}

/// A ping resolution: isolated when in some group nothing answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Pingnp {
    /// Addresses of each group are alternatives.
    pub groups: Vec<Vec<String>>,
    /// Between two looks.
    pub interval: Duration,
    /// Wait for an answer.
    pub timeout: Duration,
    /// Tries.
    pub retry: u32,
}

pub(super) fn read_heartbeats(root: &Element, problems: &mut Vec<Problem>) -> Vec<Heartbeat> {
    let mut heartbeats = Vec::new();
    for element in instances(root, "heartbeat") {
        let name = key(element, "/root/heartbeat", problems);
        let at = format!("/root/heartbeat/{}@{name}", element.tag);
        let kind = match element.tag.as_str() {
            "lanhb" => HeartbeatKind::Lanhb,
            "lankhb" => HeartbeatKind::Lankhb,
            "diskhb" => HeartbeatKind::Diskhb,
            "comhb" => HeartbeatKind::Comhb,
            other => {
                problems.push(Problem::new(at, format!("heartbeat type {other}"), NOT_YET));
                continue;
            }
        };
        let priority = number(element, "priority", &at, problems);
        let device = number(element, "device", &at, problems);
        heartbeats.push(Heartbeat { name, kind, priority, device });
    }
    heartbeats.sort_by_key(|heartbeat| heartbeat.priority);
    heartbeats
}

pub(super) fn read_partitions(root: &Element, problems: &mut Vec<Problem>) -> Vec<Partition> {
    let mut partitions = Vec::new();
    for element in instances(root, "networkpartition") {
        let name = key(element, "/root/networkpartition", problems);
        let at = format!("/root/networkpartition/{}@{name}", element.tag);
        let kind = match element.tag.as_str() {
            "pingnp" => PartitionKind::Pingnp(read_ping(element, &at, problems)),
            "majonp" => PartitionKind::Majonp,
            "httpnp" => PartitionKind::Httpnp(read_witness(element, &at, problems)),
            "etcdnp" => PartitionKind::Etcdnp(read_etcd(element, &at, problems)),
            other => {
                problems.push(Problem::new(at, format!("partition resolution type {other}"), NOT_YET));
                continue;
            }
        };
        let priority = number(element, "priority", &at, problems);
        let device = number(element, "device", &at, problems);
        partitions.push(Partition { name, kind, priority, device });
    }
    partitions.sort_by_key(|partition| partition.priority);
    partitions
}

fn read_ping(element: &Element, at: &str, problems: &mut Vec<Problem>) -> Pingnp {
    let times = PingTimes::read(element, at, &[], problems);
    let groups: Vec<Vec<String>> = element
        .all("grp")
        .map(|group| group.all("list").filter_map(|list| list.text_at("ip")).filter(|ip| !ip.is_empty()).collect::<Vec<_>>())
        .filter(|group: &Vec<String>| !group.is_empty())
        .collect();
    for ip in groups.iter().flatten() {
        if ip.parse::<IpAddr>().is_err() {
            problems.push(Problem::new(
                format!("{at}/grp/list/ip"),
                format!("{ip:?} is not an address"),
                "give an IPv4 or IPv6 address",
            ));
        }
    }
    Pingnp { groups, interval: times.interval, timeout: times.timeout, retry: times.retry }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lan_where_groups_have_addresses_is_the_backup() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/two-node-disk/clp.conf");
        let text = std::fs::read_to_string(path).expect("sample");
        let roles = |text: &str| -> Vec<Option<Role>> {
            let document = crate::Document::read(text.as_bytes()).expect("document");
            let configuration = crate::Configuration::from_document(&document).expect("configuration");
            configuration.heartbeats.iter().map(|heartbeat| configuration.role(heartbeat)).collect()
        };
        assert_eq!(roles(&text), [Some(Role::Dedicated), Some(Role::Backup), None, None]);
        // Without addresses of groups on either, both are interconnects of their own.
        let elsewhere = text.replace("<ip>10.0.0.1", "<ip>172.16.5.1");
        assert_eq!(roles(&elsewhere)[..2], [Some(Role::Dedicated), Some(Role::Dedicated)]);
        let six = |text: &str| text.parse().expect("address");
        assert!(are_near(six("fd00::1"), six("fd00::2:3")) && !are_near(six("fd00:1::1"), six("fd00::1")));
    }
}
