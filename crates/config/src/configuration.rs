//! What is in force: a checked configuration with every default filled in.

use std::net::IpAddr;
use std::time::Duration;

use crate::document::{Document, Element};
use crate::problem::Problem;
use crate::rules;
use crate::schema::cluster::{Cluster as ClusterSection, Ports};
use crate::schema::common::{MonitorCommon as MonitorSection, ResourceCommon};
use crate::schema::group::GroupCommon;
use crate::schema::monitors::{common_defaults, diskw::Diskw, miiw::Miiw, userw::Userw};
use crate::schema::partition::PingTimes;
use crate::schema::resources::{DEFAULT_ORDER, disk::Disk, exec::Exec, fip::Fip};

/// A whole configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    /// The cluster.
    pub cluster: Cluster,
    /// By priority.
    pub servers: Vec<Server>,
    /// By priority.
    pub heartbeats: Vec<Heartbeat>,
    /// By priority.
    pub partitions: Vec<Partition>,
    /// By gid, else in the order of the file.
    pub groups: Vec<Group>,
    /// All groups' resources.
    pub resources: Vec<Resource>,
    /// In the order of the file.
    pub monitors: Vec<Monitor>,
}

/// The cluster as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Name.
    pub name: String,
    /// Comment.
    pub comment: String,
    /// T_s.
    pub heartbeat_timeout: Duration,
    /// h.
    pub heartbeat_interval: Duration,
    /// Server sync wait time.
    pub bootwait: Duration,
    /// D, when set by hand.
    pub takeover_delay: Option<Duration>,
    /// Self-fence bound, when set by hand.
    pub self_fence: Option<Duration>,
    /// Code of clp-conf.md 13.3.
    pub np_action: u32,
    /// Code of clp-conf.md 13.2.
    pub rsc_timeout_action: u32,
    /// Code of clp-conf.md 13.1.
    pub pm_action: u32,
    /// Detection profile.
    pub profile: String,
    /// Ports.
    pub ports: Ports,
}

impl Cluster {
    /// From the root element.
    pub fn read(root: &Element, problems: &mut Vec<Problem>) -> Cluster {
        let section = ClusterSection::read(root, "/root", &[], problems);
        let mut millis = |text: &str, path: &str, max: u64| -> Option<Duration> {
            if text.is_empty() {
                return None;
            }
            match text.parse::<u64>() {
                Ok(value) if value <= max => Some(Duration::from_millis(value)),
                _ => {
                    problems.push(Problem::new(
                        format!("/root/{path}"),
                        format!("{text:?} is not a number from 0 to {max}"),
                        "give milliseconds or remove it",
                    ));
                    None
                }
            }
        };
        let bootwait = millis(&section.sync_wait_millis, "mainstay/bootwait", 5_940_000).unwrap_or(section.sync_wait_minutes);
        let takeover_delay = millis(&section.takeover_delay, "mainstay/takeoverdelay", 999_000);
        let self_fence = millis(&section.self_fence, "mainstay/selffence", 999_000);
        Cluster {
            name: section.name,
            comment: section.comment,
            heartbeat_timeout: section.heartbeat_timeout,
            heartbeat_interval: section.heartbeat_interval,
            bootwait,
            takeover_delay,
            self_fence,
            np_action: section.np_action,
            rsc_timeout_action: section.rsc_timeout_action,
            pm_action: section.pm_action,
            profile: section.profile,
            ports: Ports::read(root, "/root", &[], problems),
        }
    }
}

/// A server.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Host name.
    pub name: String,
    /// 0 is the master server.
    pub priority: u32,
    /// Comment.
    pub comment: String,
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

/// What a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupKind {
    /// Ordinary.
    Failover,
    /// Management group.
    Management,
    /// Holds a virtual machine.
    VirtualMachine,
}

impl GroupKind {
    /// As in the file.
    pub fn word(self) -> &'static str {
        match self {
            GroupKind::Failover => "failover",
            GroupKind::Management => "cluster",
            GroupKind::VirtualMachine => "virtualmachine",
        }
    }
}

/// A failover group.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Name.
    pub name: String,
    /// What it is.
    pub kind: GroupKind,
    /// Comment.
    pub comment: String,
    /// Number.
    pub gid: u32,
    /// Names of its resources in the order of the file.
    pub resources: Vec<String>,
    /// Startup attribute.
    pub start_auto: bool,
    /// Failover attribute.
    pub failover_auto: bool,
    /// Failback attribute.
    pub failback_auto: bool,
    /// Failover exclusion code.
    pub exclusive: u32,
    /// Failover policy, best first.
    pub policy: Vec<String>,
}

/// A group resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// Name.
    pub name: String,
    /// Its group.
    pub group: String,
    /// Comment.
    pub comment: String,
    /// Common parameters.
    pub common: ResourceCommon,
    /// Named dependencies; None: by type.
    pub depends: Option<Vec<String>>,
    /// Type and parameters.
    pub kind: ResourceKind,
    /// Parameters that differ on one server.
    pub on_servers: Vec<(String, ResourceKind)>,
}

impl Resource {
    /// Parameters on a server.
    pub fn on(&self, server: &str) -> &ResourceKind {
        self.on_servers.iter().find(|(name, _)| name == server).map_or(&self.kind, |(_, kind)| kind)
    }
}

/// Resource types that can run.
#[derive(Debug, Clone, PartialEq)]
pub enum ResourceKind {
    /// Application.
    Exec(Exec),
    /// Shared disk.
    Disk(Disk),
    /// Floating address.
    Fip(Fip),
}

impl ResourceKind {
    /// As in the file.
    pub fn word(&self) -> &'static str {
        match self {
            ResourceKind::Exec(_) => "exec",
            ResourceKind::Disk(_) => "disk",
            ResourceKind::Fip(_) => "fip",
        }
    }
}

/// What a monitor's recovery acts upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecoveryTarget {
    /// This server.
    LocalServer,
    /// Every group.
    AllGroups,
    /// One group.
    Group(String),
    /// One resource.
    Resource(String),
}

/// Common parameters of a monitor, resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct MonitorCommon {
    /// Resource whose activation switches it on; empty: none.
    pub target: String,
    /// Between two checks.
    pub interval: Duration,
    /// Limit of one check.
    pub timeout: Duration,
    /// Failures in a row beyond the first.
    pub retry: u32,
    /// From cluster start to stop, not only while the target is active.
    pub always: bool,
    /// Servers that run it; empty: all.
    pub servers: Vec<String>,
    /// Before the first check.
    pub start_wait: Duration,
    /// Recovery target.
    pub recovery: RecoveryTarget,
    /// Reactivations.
    pub restart_threshold: u32,
    /// Failovers.
    pub failover_threshold: u32,
    /// Final action code.
    pub action: u32,
    /// A script runs before the final action.
    pub preaction: bool,
}

/// A monitor resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitor {
    /// Name.
    pub name: String,
    /// Comment.
    pub comment: String,
    /// Common parameters.
    pub common: MonitorCommon,
    /// Type and parameters.
    pub kind: MonitorKind,
}

/// Monitor types that can run.
#[derive(Debug, Clone, PartialEq)]
pub enum MonitorKind {
    /// User space.
    Userw(Userw),
    /// Disk.
    Diskw(Diskw),
    /// NIC link.
    Miiw(Miiw),
    /// Addresses.
    Ipw {
        /// The list.
        addresses: Vec<String>,
    },
    /// Resident process of the target.
    Pidw,
}

impl MonitorKind {
    /// As in the file.
    pub fn word(&self) -> &'static str {
        match self {
            MonitorKind::Userw(_) => "userw",
            MonitorKind::Diskw(_) => "diskw",
            MonitorKind::Miiw(_) => "miiw",
            MonitorKind::Ipw { .. } => "ipw",
            MonitorKind::Pidw => "pidw",
        }
    }
}

const NOT_YET: &str = "it is kept in the file but cannot run in this version; remove it to start the cluster";

impl Configuration {
    /// Everything in force, or every problem at once.
    ///
    /// # Errors
    /// The list of problems, never empty.
    pub fn from_document(document: &Document) -> Result<Configuration, Vec<Problem>> {
        let mut problems = Vec::new();
        let root = document.root();
        let cluster = Cluster::read(root, &mut problems);
        let servers = read_servers(root, &mut problems);
        let mut groups = read_groups(root, &servers, &mut problems);
        groups.sort_by_key(|group| group.gid);
        let configuration = Configuration {
            heartbeats: read_heartbeats(root, &mut problems),
            partitions: read_partitions(root, &mut problems),
            resources: read_resources(root, &groups, &mut problems),
            monitors: read_monitors(root, &mut problems),
            cluster,
            servers,
            groups,
        };
        rules::check(&configuration, &mut problems);
        if problems.is_empty() { Ok(configuration) } else { Err(problems) }
    }

    /// Names of the resources that must be online before this one: as named, else by type within its group.
    pub fn dependencies(&self, resource: &Resource) -> Vec<String> {
        if let Some(named) = &resource.depends {
            return named.clone();
        }
        let rank = |word: &str| DEFAULT_ORDER.iter().position(|types| types.contains(&word));
        let own = rank(resource.kind.word());
        self.resources
            .iter()
            .filter(|other| other.group == resource.group && rank(other.kind.word()) < own)
            .map(|other| other.name.clone())
            .collect()
    }
}

fn number(element: &Element, path: &str, at: &str, problems: &mut Vec<Problem>) -> u32 {
    let text = element.text_at(path).unwrap_or_default();
    text.parse().unwrap_or_else(|_| {
        if !text.is_empty() {
            problems.push(Problem::new(format!("{at}/{path}"), format!("{text:?} is not a number"), "give a whole number"));
        }
        0
    })
}

fn key(element: &Element, at: &str, problems: &mut Vec<Problem>) -> String {
    element.key.clone().unwrap_or_else(|| {
        problems.push(Problem::new(at, "it has no name", "give it a name attribute"));
        String::new()
    })
}

fn read_servers(root: &Element, problems: &mut Vec<Problem>) -> Vec<Server> {
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
                devices,
                name,
            }
        })
        .collect();
    servers.sort_by_key(|server| server.priority);
    servers
}

/// Instances of all types in a tree such as `heartbeat`: the `types` elements are not relied upon.
fn instances<'a>(root: &'a Element, tree: &'a str) -> impl Iterator<Item = &'a Element> {
    root.all(tree).flat_map(Element::elements).filter(|element| element.tag != "types" && element.key.is_some())
}

fn read_heartbeats(root: &Element, problems: &mut Vec<Problem>) -> Vec<Heartbeat> {
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

fn read_partitions(root: &Element, problems: &mut Vec<Problem>) -> Vec<Partition> {
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

fn read_groups(root: &Element, servers: &[Server], problems: &mut Vec<Problem>) -> Vec<Group> {
    root.all("group")
        .enumerate()
        .map(|(index, element)| {
            let name = key(element, "/root/group", problems);
            let at = format!("/root/group@{name}");
            let section = GroupCommon::read(element, &at, &[], problems);
            let kind = match section.kind.as_str() {
                "failover" => GroupKind::Failover,
                "cluster" => GroupKind::Management,
                "virtualmachine" => GroupKind::VirtualMachine,
                other => {
                    problems.push(Problem::new(
                        format!("{at}/type"),
                        format!("group type {other:?}"),
                        "use failover, cluster or virtualmachine",
                    ));
                    GroupKind::Failover
                }
            };
            if section.exclusive != 0 {
                problems.push(Problem::new(format!("{at}/exclusive"), "failover exclusion", NOT_YET));
            }
            let mut policy: Vec<(u32, String)> = element
                .all("policy")
                .map(|policy| (number(policy, "order", &at, problems), policy.key.clone().unwrap_or_default()))
                .collect();
            policy.sort();
            let mut policy: Vec<String> = policy.into_iter().map(|(_, name)| name).collect();
            if policy.is_empty() {
                policy = servers.iter().map(|server| server.name.clone()).collect();
            }
            let resources = element
                .all("resource")
                .filter_map(|member| member.key.as_deref())
                .map(|member| member.split_once('@').map_or(member, |(_, name)| name).to_string())
                .collect();
            let numbered = element.text_at("gid").is_some_and(|text| !text.is_empty());
            Group {
                kind,
                comment: section.comment,
                // Groups without a number keep their place behind each other.
                gid: if numbered { section.gid } else { u32::try_from(index).unwrap_or(u32::MAX) },
                resources,
                start_auto: section.start_auto,
                failover_auto: section.failover_auto,
                failback_auto: section.failback_auto,
                exclusive: section.exclusive,
                policy,
                name,
            }
        })
        .collect()
}

fn read_kind(element: &Element, at: &str, problems: &mut Vec<Problem>) -> Option<ResourceKind> {
    match element.tag.as_str() {
        "exec" => Some(ResourceKind::Exec(Exec::read(element, at, &[], problems))),
        "disk" => Some(ResourceKind::Disk(Disk::read(element, at, &[], problems))),
        "fip" => Some(ResourceKind::Fip(Fip::read(element, at, &[], problems))),
        other => {
            problems.push(Problem::new(at, format!("resource type {other}"), NOT_YET));
            None
        }
    }
}

/// The element as it is on one server: parameters named there lie over the common ones.
fn on_server(element: &Element, over: &Element) -> Element {
    let mut merged = element.clone();
    merged.children.retain(|node| !matches!(node, crate::document::Node::Element(e) if e.tag == "server"));
    // The first that fits wins, so what holds here goes in front.
    for parameters in over.all("parameters") {
        merged = merged.overlaid("parameters", parameters);
    }
    merged
}

fn read_resources(root: &Element, groups: &[Group], problems: &mut Vec<Problem>) -> Vec<Resource> {
    let mut resources = Vec::new();
    for element in instances(root, "resource") {
        let name = key(element, "/root/resource", problems);
        let at = format!("/root/resource/{}@{name}", element.tag);
        let common = ResourceCommon::read(element, &at, &[], problems);
        let Some(kind) = read_kind(element, &at, problems) else { continue };
        let on_servers = element
            .all("server")
            .filter_map(|over| {
                let server = over.key.clone()?;
                let kind = read_kind(&on_server(element, over), &format!("{at}/server@{server}"), problems)?;
                Some((server, kind))
            })
            .collect();
        let named: Vec<String> = element.all("depend").filter_map(|depend| depend.key.clone()).collect();
        let depends =
            (!named.is_empty()).then(|| named.into_iter().map(|n| n.trim().to_string()).filter(|n| !n.is_empty()).collect());
        let Some(group) = groups.iter().find(|group| group.resources.contains(&name)) else {
            problems.push(Problem::new(at, "no group holds it", "add it to a group or remove it"));
            continue;
        };
        let comment = common.comment.clone();
        resources.push(Resource { group: group.name.clone(), comment, common, depends, kind, on_servers, name });
    }
    resources
}

fn read_monitors(root: &Element, problems: &mut Vec<Problem>) -> Vec<Monitor> {
    let mut monitors = Vec::new();
    for element in instances(root, "monitor") {
        let name = key(element, "/root/monitor", problems);
        let at = format!("/root/monitor/{}@{name}", element.tag);
        let section = MonitorSection::read(element, &at, common_defaults(&element.tag), problems);
        let kind = match element.tag.as_str() {
            "userw" => MonitorKind::Userw(Userw::read(element, &at, &[], problems)),
            "diskw" => MonitorKind::Diskw(Diskw::read(element, &at, &[], problems)),
            "miiw" => MonitorKind::Miiw(Miiw::read(element, &at, &[], problems)),
            "ipw" => {
                let lists = element.at("parameters").into_iter().flat_map(|parameters| parameters.all("list"));
                MonitorKind::Ipw { addresses: lists.filter_map(|list| list.text_at("ip")).filter(|ip| !ip.is_empty()).collect() }
            }
            "pidw" => MonitorKind::Pidw,
            other => {
                problems.push(Problem::new(at, format!("monitor type {other}"), NOT_YET));
                continue;
            }
        };
        let recovery = match (section.recovery_type.as_str(), section.recovery_name.as_str()) {
            ("grp", "" | "ALLGroup" | "AllGroups") => RecoveryTarget::AllGroups,
            ("grp", group) => RecoveryTarget::Group(group.into()),
            ("rsc", resource) => RecoveryTarget::Resource(resource.into()),
            _ => RecoveryTarget::LocalServer,
        };
        let on_server = recovery == RecoveryTarget::LocalServer;
        let mut threshold = |text: &str, path: &str, default: u32| match (text, on_server) {
            ("", true) => 0,
            ("", false) => default,
            (text, _) => text.parse().ok().filter(|value| *value <= 99).unwrap_or_else(|| {
                problems.push(Problem::new(
                    format!("{at}/{path}"),
                    format!("{text:?} is not a number from 0 to 99"),
                    "give a count",
                ));
                default
            }),
        };
        let restart_threshold = threshold(&section.restart_threshold, "emergency/threshold/restart", 3);
        let failover_threshold = threshold(&section.failover_threshold, "emergency/threshold/fo", 1);
        let servers = element
            .at("polling")
            .into_iter()
            .flat_map(|polling| polling.all("servers"))
            .filter_map(|server| server.text_at("name"))
            .filter(|server| !server.is_empty())
            .collect();
        monitors.push(Monitor {
            comment: section.comment,
            common: MonitorCommon {
                target: section.target,
                interval: section.interval,
                timeout: section.timeout,
                retry: section.retry,
                always: section.timing == 0,
                servers,
                start_wait: section.start_wait,
                recovery,
                restart_threshold,
                failover_threshold,
                action: section.action,
                preaction: section.preaction,
            },
            kind,
            name,
        });
    }
    monitors
}
