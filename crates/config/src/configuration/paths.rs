//! Heartbeats and partition resolution, in force.

use std::net::IpAddr;
use std::time::Duration;

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
        if element.tag != "pingnp" {
            problems.push(Problem::new(at, format!("partition resolution type {}", element.tag), NOT_YET));
            continue;
        }
        let times = PingTimes::read(element, &at, &[], problems);
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
        let pingnp = Pingnp { groups, interval: times.interval, timeout: times.timeout, retry: times.retry };
        let priority = number(element, "priority", &at, problems);
        let device = number(element, "device", &at, problems);
        partitions.push(Partition { name, kind: PartitionKind::Pingnp(pingnp), priority, device });
    }
    partitions.sort_by_key(|partition| partition.priority);
    partitions
}
