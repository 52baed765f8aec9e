//! Servers and their devices, in force.

use std::net::IpAddr;

use super::forced_stop::{Bmc, read_bmc};
use super::{Partition, PartitionKind, key, number};
use crate::document::Element;
use crate::problem::Problem;
use crate::schema::server::ServerCommon;

/// A server.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Host name.
    pub name: String,
    /// 0 is the master server.
    pub priority: u32,
    /// Comment.
    pub comment: String,
    /// Its copy of a group that is found active on two servers stays, unless the copies share data.
    pub survive: bool,
    /// What controls its power; None: nothing that is configured.
    pub bmc: Option<Bmc>,
    /// Its devices.
    pub devices: Vec<Device>,
}

impl Server {
    /// The device with an id.
    pub fn device(&self, id: u32) -> Option<&Device> {
        self.devices.iter().find(|device| device.id == id)
    }

    /// Does it use the device: is it there with a value other than empty or 0?
    pub fn uses(&self, id: u32) -> bool {
        self.device(id).is_some_and(|device| !device.info.is_empty() && device.info != "0")
    }

    /// Does it take part in a partition resolution? Every server has a vote.
    pub fn resolves_by(&self, partition: &Partition) -> bool {
        partition.kind == PartitionKind::Majonp || self.uses(partition.device)
    }

    /// Addresses of its LAN devices in the order of their ids.
    pub fn lan_addresses(&self) -> Vec<IpAddr> {
        let mut devices: Vec<&Device> = self.devices.iter().filter(|device| device.kind.is_lan()).collect();
        devices.sort_by_key(|device| device.id);
        devices.iter().filter_map(|device| device.info.parse().ok()).collect()
    }
}

/// What a device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceKind {
    /// An address.
    Lan,
    /// A tty.
    Com,
    /// A block device for the disk heartbeat.
    Disk,
    /// Use of a ping resolution.
    Ping,
    /// Anything else, kept.
    Other(String),
}

impl DeviceKind {
    /// Is it an address on a LAN?
    pub fn is_lan(&self) -> bool {
        *self == DeviceKind::Lan
    }
}

/// A device of a server.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// The same id stands for the same path on every server.
    pub id: u32,
    /// What it is.
    pub kind: DeviceKind,
    /// Address, device or use flag.
    pub info: String,
    /// Second value.
    pub extend: String,
}

pub(super) fn read_servers(root: &Element, problems: &mut Vec<Problem>) -> Vec<Server> {
    let mut servers: Vec<Server> = root
        .all("server")
        .map(|element| {
            let name = key(element, "/root/server", problems);
            let at = format!("/root/server@{name}");
            let devices = element
                .all("device")
                .map(|device| {
                    let kind = match device.text_at("type").unwrap_or_default().as_str() {
                        "lan" => DeviceKind::Lan,
                        "com" => DeviceKind::Com,
                        "disk" => DeviceKind::Disk,
                        "ping" => DeviceKind::Ping,
                        other => DeviceKind::Other(other.to_string()),
                    };
                    let id = device.key.as_deref().and_then(|id| id.parse().ok()).unwrap_or_else(|| {
                        problems.push(Problem::new(format!("{at}/device"), "its id is not a number", "give it an id"));
                        0
                    });
                    let info = device.text_at("info").unwrap_or_default();
                    Device { id, kind, info, extend: device.text_at("extend").unwrap_or_default() }
                })
                .collect();
            Server {
                priority: number(element, "priority", &at, problems),
                comment: element.text_at("comment").unwrap_or_default(),
                survive: ServerCommon::read(element, &at, &[], problems).survive,
                bmc: read_bmc(element, &at, problems),
                devices,
                name,
            }
        })
        .collect();
    servers.sort_by_key(|server| server.priority);
    servers
}
