//! What lies around the cores: paths, disks, how monitors look at disks, how long work takes. From the configuration alone.

use std::time::Duration;

use clp_config::configuration::{Configuration, HeartbeatKind, MonitorKind, ResourceKind};
use clp_core::ids::{MonitorId, ResourceId, ServerId, ServerSet};
use clp_core::time::micros;

/// Time of work on a resource that was not measured.
pub const UNMEASURED: Duration = Duration::from_millis(100);

/// A heartbeat path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPlace {
    /// Name of the heartbeat resource.
    pub name: String,
    /// It is a LAN.
    pub lan: bool,
    /// Servers that use it.
    pub servers: ServerSet,
    /// The disk that it lies on.
    pub disk: Option<usize>,
}

/// A shared disk: everything of the configuration that lies on one device, whatever its partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskPlace {
    /// The device without its partition.
    pub name: String,
    /// Resources on it.
    pub resources: Vec<ResourceId>,
    /// Servers that use it.
    pub servers: ServerSet,
}

/// How a monitor looks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Look {
    /// At which disks, on each server.
    pub disks: Vec<Vec<usize>>,
    /// Between two checks, in microseconds.
    pub interval: u64,
    /// Before the first one.
    pub start_wait: u64,
    /// Checks that fail before something follows.
    pub checks: u32,
}

/// How long work on a resource takes, in microseconds; None: it was not measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    /// To activate it.
    pub activate: Option<u64>,
    /// To deactivate it.
    pub deactivate: Option<u64>,
}

/// Everything.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// By priority.
    pub paths: Vec<PathPlace>,
    /// In the order in which the configuration names them.
    pub disks: Vec<DiskPlace>,
    /// By monitor.
    pub looks: Vec<Look>,
    /// By resource.
    pub times: Vec<Times>,
    /// Does this server's partition resolution have targets that nobody looked at yet count as answering; always said with the answer.
    pub resolutions: usize,
}

impl Surroundings {
    /// As configured; nothing is measured.
    pub fn of(configuration: &Configuration) -> Surroundings {
        let mut around = Surroundings {
            times: vec![Times::default(); configuration.resources.len()],
            resolutions: configuration.partitions.len(),
            ..Surroundings::default()
        };
        for heartbeat in &configuration.heartbeats {
            let uses = |(_, server): &(usize, &clp_config::configuration::Server)| server.uses(heartbeat.device);
            let users: Vec<(usize, &clp_config::configuration::Server)> =
                configuration.servers.iter().enumerate().filter(uses).collect();
            let servers: ServerSet = users.iter().map(|(index, _)| ServerId::at(*index)).collect();
            let device = users.first().and_then(|(_, server)| server.device(heartbeat.device));
            let disk = (heartbeat.kind == HeartbeatKind::Diskhb)
                .then(|| around.disk(device.map_or("", |device| device.info.as_str()), servers));
            let lan = matches!(heartbeat.kind, HeartbeatKind::Lanhb | HeartbeatKind::Lankhb);
            around.paths.push(PathPlace { name: heartbeat.name.clone(), lan, servers, disk });
        }
        for (index, resource) in configuration.resources.iter().enumerate() {
            let ResourceKind::Disk(disk) = &resource.kind else { continue };
            let group = configuration.groups.iter().find(|group| group.name == resource.group);
            let policy = group.map(|group| group.policy.clone()).unwrap_or_default();
            let servers = configuration.servers.iter().enumerate().filter(|(_, server)| policy.contains(&server.name));
            let place = around.disk(&disk.device, servers.map(|(index, _)| ServerId::at(index)).collect());
            around.disks[place].resources.push(ResourceId::at(index));
        }
        for monitor in &configuration.monitors {
            let watched = |server: &clp_config::configuration::Server| match monitor.on(&server.name) {
                MonitorKind::Diskw(diskw) => {
                    let name = whole(if diskw.object.is_empty() { &diskw.rawdevice } else { &diskw.object });
                    around.disks.iter().position(|disk| disk.name == name).into_iter().collect()
                }
                _ => Vec::new(),
            };
            let look = Look {
                disks: configuration.servers.iter().map(watched).collect(),
                interval: micros(monitor.common.interval),
                start_wait: micros(monitor.common.start_wait),
                checks: monitor.common.retry + 1,
            };
            around.looks.push(look);
        }
        around
    }

    /// The place of a device among the disks; a new one if need be.
    fn disk(&mut self, device: &str, servers: ServerSet) -> usize {
        let name = whole(device);
        let place = self.disks.iter().position(|disk| disk.name == name).unwrap_or_else(|| {
            self.disks.push(DiskPlace { name: name.into(), resources: Vec::new(), servers: ServerSet::EMPTY });
            self.disks.len() - 1
        });
        self.disks[place].servers = ServerSet(self.disks[place].servers.0 | servers.0);
        place
    }

    /// Does the monitor look at this disk on that server?
    pub(crate) fn looks_at(&self, monitor: MonitorId, server: usize, disk: usize) -> bool {
        self.looks.get(monitor.index()).and_then(|look| look.disks.get(server)).is_some_and(|disks| disks.contains(&disk))
    }

    /// The disk of a resource.
    pub(crate) fn disk_of(&self, resource: ResourceId) -> Option<usize> {
        self.disks.iter().position(|disk| disk.resources.contains(&resource))
    }
}

/// A device without its partition: `/dev/sdb` of `/dev/sdb2`, `/dev/nvme0n1` of `/dev/nvme0n1p2`; other names are kept whole.
fn whole(device: &str) -> &str {
    let bare = device.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let name = bare.rsplit('/').next().unwrap_or_default();
    if bare.len() == device.len() {
        return device;
    }
    if let Some(disk) = bare.strip_suffix('p').filter(|disk| disk.ends_with(|letter: char| letter.is_ascii_digit())) {
        return disk;
    }
    let plain = ["sd", "vd", "hd", "xvd"].iter().any(|kind| name.starts_with(kind));
    if plain && bare.starts_with("/dev/") && !name.is_empty() { bare } else { device }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_of_one_device_are_one_disk() {
        let table = [
            ("/dev/sdb1", "/dev/sdb"),
            ("/dev/sdb12", "/dev/sdb"),
            ("/dev/sdb", "/dev/sdb"),
            ("/dev/nvme0n1p3", "/dev/nvme0n1"),
            ("/dev/nvme0n1", "/dev/nvme0n1"),
            ("/dev/mapper/data1", "/dev/mapper/data1"),
            ("/dev/xvdb2", "/dev/xvdb"),
            ("", ""),
        ];
        for (device, disk) in table {
            assert_eq!(whole(device), disk, "{device}");
        }
    }
}
