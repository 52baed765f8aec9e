//! The listings of `clpstat` that show what is configured: a head for each object, below it its properties.
//!
//! They come from the file in force, default values included. The columns are those that scripts cut at; labels that
//! scripts look for stand in `labels.rs`, which has one for every declared parameter.

mod labels;

use clp_config::document::Element;
use clp_config::schema::SECTIONS;
use clp_config::schema::monitors::common_defaults;
use clp_config::value::Param;
use clp_config::{Configuration, Document};
use clp_protocol::control::{ClusterStatus, PathStatistics, PathStatus};

use crate::format::{bottom, kind_title, plain, title};

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objects {
    /// The cluster as a whole.
    Cluster,
    /// Servers by priority.
    Servers,
    /// Heartbeat resources by priority.
    Heartbeats,
    /// Network partition resolution resources by priority.
    Partitions,
    /// Server groups in the order of the file.
    ServerGroups,
    /// Groups in the order of their numbers.
    Groups,
    /// Group resources by name.
    Resources,
    /// Monitor resources by name.
    Monitors,
}

/// Everything, in the order in which it is listed.
pub const ALL: &[Objects] = &[
    Objects::Cluster,
    Objects::Servers,
    Objects::Heartbeats,
    Objects::Partitions,
    Objects::ServerGroups,
    Objects::Groups,
    Objects::Resources,
    Objects::Monitors,
];

impl Objects {
    /// The word in a head, and in the words about a name that does not exist.
    fn word(self) -> &'static str {
        match self {
            Objects::Cluster => "Cluster",
            Objects::Servers => "Server",
            Objects::Heartbeats => "HB",
            Objects::Partitions => "NP",
            Objects::ServerGroups => "ServerGroup",
            Objects::Groups => "Group",
            Objects::Resources => "Resource",
            Objects::Monitors => "Monitor",
        }
    }

    /// In a sentence.
    pub fn noun(self) -> &'static str {
        match self {
            Objects::Cluster => "cluster",
            Objects::Servers => "server",
            Objects::Heartbeats => "heartbeat resource",
            Objects::Partitions => "network partition resolution resource",
            Objects::ServerGroups => "server group",
            Objects::Groups => "group",
            Objects::Resources => "group resource",
            Objects::Monitors => "monitor resource",
        }
    }

    /// Blanks before a label, and the width of the label up to its colon.
    fn columns(self) -> (usize, usize) {
        match self {
            Objects::Servers | Objects::Heartbeats | Objects::Partitions => (2, 55),
            Objects::Cluster | Objects::ServerGroups | Objects::Groups | Objects::Resources | Objects::Monitors => (4, 57),
        }
    }
}

/// An object with its properties.
struct Object {
    name: String,
    properties: Vec<(String, String)>,
}

/// What this server's engine sees; nothing when it does not run.
#[derive(Debug, Default)]
pub struct Seen {
    /// Its own heartbeat paths.
    pub paths: Vec<PathStatus>,
    /// Of servers by name: are floating addresses there behind the kernel's gate?
    pub gates: Vec<(String, String)>,
}

impl Seen {
    /// In a status view.
    pub fn of(status: ClusterStatus) -> Seen {
        let gates = status.servers.iter().filter(|server| !server.gate.is_empty());
        let gates = gates.map(|server| (server.name.clone(), server.gate.clone())).collect();
        let own = status.servers.into_iter().find(|server| server.name == status.local);
        Seen { paths: own.map(|server| server.paths).unwrap_or_default(), gates }
    }
}

/// The listing of these kinds, of one object if it is named; `detail` shows every parameter, and what was seen of it.
///
/// # Errors
/// No object has the name: the names that exist.
pub fn listing(
    document: &Document,
    configuration: &Configuration,
    kinds: &[Objects],
    name: Option<&str>,
    detail: bool,
    seen: &Seen,
) -> Result<String, Vec<String>> {
    let mut text = title("CLUSTER INFORMATION", 23, 23);
    for kind in kinds {
        let mut objects = objects(document.root(), configuration, *kind, detail);
        if *kind == Objects::Heartbeats && detail {
            for object in &mut objects {
                let path = seen.paths.iter().filter(|path| path.name == object.name);
                object.properties.extend(path.flat_map(|path| path.statistics.iter().flat_map(of_measured)));
            }
        }
        if *kind == Objects::Servers && detail {
            for object in &mut objects {
                let gate = seen.gates.iter().filter(|(server, _)| *server == object.name);
                object.properties.extend(gate.map(|(_, words)| ("Address Gate".to_string(), words.clone())));
            }
        }
        if let Some(name) = name
            && !objects.iter().any(|object| object.name == name)
        {
            return Err(objects.into_iter().map(|object| object.name).collect());
        }
        let (indent, width) = kind.columns();
        for (number, object) in objects.iter().enumerate().filter(|(_, object)| name.is_none_or(|name| name == object.name)) {
            let number = if *kind == Objects::Cluster { String::new() } else { number.to_string() };
            text.push_str(&format!(" [{}{number} : {}]\n", kind.word(), plain(&object.name)));
            for (label, value) in &object.properties {
                text.push_str(&format!("{:indent$}{label:<width$}: {}\n", "", plain(value)));
            }
        }
    }
    Ok(text + &bottom())
}

fn objects(root: &Element, configuration: &Configuration, kind: Objects, detail: bool) -> Vec<Object> {
    let pair = |label: &str, value: &str| (label.to_string(), value.to_string());
    match kind {
        Objects::Cluster => {
            let cluster = &configuration.cluster;
            let mut properties = vec![pair("Comment", &cluster.comment)];
            if detail {
                properties.extend(parameters(root, "", &["cluster/name", "cluster/comment"], &[]));
                let method = root.text_at("haltp/method").filter(|text| !text.is_empty());
                properties.push(pair("Shutdown Monitoring Method", method.as_deref().unwrap_or("softdog")));
            }
            vec![Object { name: cluster.name.clone(), properties }]
        }
        Objects::Servers => configuration
            .servers
            .iter()
            .map(|server| {
                let mut properties = vec![pair("Comment", &server.comment)];
                if detail {
                    properties.push(pair("Priority", &server.priority.to_string()));
                    let devices = server.devices.iter();
                    properties.extend(devices.map(|device| (format!("Device {}", device.id), device.info.clone())));
                    if let Some(element) = root.all("server").find(|element| element.key.as_deref() == Some(&server.name)) {
                        properties.extend(parameters(element, "server@NAME", &[], &[]));
                    }
                }
                Object { name: server.name.clone(), properties }
            })
            .collect(),
        Objects::Heartbeats => {
            let heartbeats = configuration.heartbeats.iter();
            heartbeats
                .map(|heartbeat| {
                    let role = configuration.role(heartbeat).map(|role| pair("Role", role.words()));
                    let path = (heartbeat.name.clone(), heartbeat.kind.word(), heartbeat.priority, heartbeat.device);
                    let mut object = of_path(configuration, path, Vec::new(), detail);
                    object.properties.extend(role);
                    object
                })
                .collect()
        }
        Objects::Partitions => {
            let elements = instances(root, "networkpartition");
            let one = |partition: &clp_config::Partition| {
                let word = partition.kind.word();
                let mut own: Vec<_> = match &partition.kind {
                    clp_config::PartitionKind::Pingnp(ping) => {
                        ping.groups.iter().map(|group| ("Targets".into(), group.join(", "))).collect()
                    }
                    _ => Vec::new(),
                };
                if let Some(element) = elements.iter().find(|element| element.key.as_deref() == Some(&partition.name)) {
                    own.extend(parameters(element, &format!("networkpartition/{word}@NAME"), &[], &[]));
                }
                of_path(configuration, (partition.name.clone(), word, partition.priority, partition.device), own, detail)
            };
            configuration.partitions.iter().map(one).collect()
        }
        Objects::ServerGroups => configuration
            .server_groups
            .iter()
            .map(|list| {
                let users = configuration.groups.iter().filter(|group| group.server_groups.contains(&list.name));
                let mut properties = vec![pair("Servers", &list.servers.join(", "))];
                if detail {
                    let users: Vec<&str> = users.map(|group| group.name.as_str()).collect();
                    properties.push(pair("Used by", &users.join(", ")));
                }
                Object { name: list.name.clone(), properties }
            })
            .collect(),
        Objects::Groups => configuration
            .groups
            .iter()
            .map(|group| {
                let (primary, secondary) =
                    group.policy.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
                let mut properties = vec![
                    pair("Type", group.kind.word()),
                    pair("Comment", &group.comment),
                    pair("Primary Server", primary),
                    pair("Secondary Servers", &secondary.join(", ")),
                ];
                if detail && let Some(element) = root.all("group").find(|element| element.key.as_deref() == Some(&group.name)) {
                    properties.push(pair("Failover Policy", &group.policy.join(", ")));
                    if !group.server_groups.is_empty() {
                        properties.push(pair("Server Groups", &group.server_groups.join(", ")));
                    }
                    properties.push(pair("Resources", &group.resources.join(", ")));
                    let starts = group.start_after.iter().map(|(name, same)| match same {
                        true => format!("{name} (on the same server)"),
                        false => name.clone(),
                    });
                    properties.push(pair("Starts After", &starts.collect::<Vec<_>>().join(", ")));
                    properties.push(pair("Stops After", &group.stop_after.join(", ")));
                    properties.extend(parameters(element, "group@NAME", &["type", "comment"], &[]));
                }
                Object { name: group.name.clone(), properties }
            })
            .collect(),
        Objects::Resources => of_instances(root, "resource", detail, |name| {
            let resource = configuration.resources.iter().find(|resource| resource.name == name)?;
            Some(vec![pair("Group", &resource.group), pair("Depends On", &configuration.dependencies(resource).join(", "))])
        }),
        Objects::Monitors => of_instances(root, "monitor", detail, |name| {
            let monitor = configuration.monitors.iter().find(|monitor| monitor.name == name)?;
            // What stands empty in the file has a value that follows from the recovery target.
            let mut own = vec![
                pair("Reactivation Threshold", &monitor.common.restart_threshold.to_string()),
                pair("Failover Threshold", &monitor.common.failover_threshold.to_string()),
            ];
            if let clp_config::MonitorKind::Ipw { addresses } = &monitor.kind {
                own.push(pair("Addresses", &addresses.join(", ")));
            }
            Some(own)
        }),
    }
}

/// A heartbeat or a resolution: name, type, priority, device.
fn of_path(
    configuration: &Configuration,
    (name, kind, priority, device): (String, &str, u32, u32),
    own: Vec<(String, String)>,
    detail: bool,
) -> Object {
    let mut properties = vec![("Type".into(), kind.to_string()), ("Comment".into(), kind_title(kind).to_string())];
    if detail {
        properties.push(("Priority".into(), priority.to_string()));
        properties.extend(own);
        for server in &configuration.servers {
            let used = server.device(device).filter(|_| server.uses(device)).map_or("not used", |device| &device.info);
            properties.push((format!("Device on {}", server.name), used.to_string()));
        }
    }
    Object { name, properties }
}

/// What this server measured of a heartbeat path towards another server.
fn of_measured(path: &PathStatistics) -> [(String, String); 2] {
    let ms = |micros: Option<u64>| micros.map_or("not known".to_string(), |micros| format!("{:.1} ms", micros as f64 / 1000.0));
    let came = format!("{} received, {} lost ({} of the last {})", path.received, path.lost, path.recent_lost, path.recent);
    let took = format!("{}, at most {}", ms(path.delay_us), ms(path.delay_max_us));
    [(format!("Heartbeats From {}", path.server), came), (format!("Delay From {}", path.server), took)]
}

/// Resources or monitors, by name: type, comment and the type's own parameters, with `detail` those that all types have.
fn of_instances(
    root: &Element,
    tree: &str,
    detail: bool,
    besides: impl Fn(&str) -> Option<Vec<(String, String)>>,
) -> Vec<Object> {
    let mut objects: Vec<Object> = instances(root, tree)
        .into_iter()
        .filter_map(|element| {
            let name = element.key.clone()?;
            // What the configuration in force does not know cannot run.
            let besides = besides(&name)?;
            let mut properties = vec![("Type".to_string(), element.tag.clone())];
            properties.push(("Comment".into(), element.text_at("comment").unwrap_or_default()));
            properties.extend(parameters(element, &format!("{tree}/{}@NAME", element.tag), &[], &[]));
            if detail {
                properties.extend(besides);
                let defaults = if tree == "monitor" { common_defaults(&element.tag) } else { &[] };
                let without = ["comment", "emergency/threshold/restart", "emergency/threshold/fo"];
                properties.extend(parameters(element, &format!("{tree}/TYPE@NAME"), &without, defaults));
                properties.extend(on_servers(element, &format!("{tree}/{}@NAME", element.tag)));
            }
            Some(Object { name, properties })
        })
        .collect();
    objects.sort_by(|left, right| left.name.cmp(&right.name));
    objects
}

fn instances<'a>(root: &'a Element, tree: &'a str) -> Vec<&'a Element> {
    root.all(tree).flat_map(Element::elements).filter(|element| element.tag != "types" && element.key.is_some()).collect()
}

/// The declared parameters of a section, without some, as they are in force.
fn parameters(element: &Element, section: &str, without: &[&str], defaults: &[(&str, &str)]) -> Vec<(String, String)> {
    let declared = SECTIONS.iter().filter(|(name, _)| *name == section).flat_map(|(_, params)| params.iter());
    declared
        .filter(|param| !without.contains(&param.path))
        .map(|param| {
            let default = defaults.iter().find(|(path, _)| *path == param.path).map_or(param.default, |(_, value)| value);
            let written = element.text_at(param.path).filter(|text| !text.is_empty());
            (labels::label(section, param.path).to_string(), shown(param, written.as_deref().unwrap_or(default)))
        })
        .collect()
}

/// The declared parameters that differ on one server, as they are written there.
fn on_servers(element: &Element, section: &str) -> Vec<(String, String)> {
    let declared: Vec<&Param> =
        SECTIONS.iter().filter(|(name, _)| *name == section).flat_map(|(_, params)| params.iter()).collect();
    let of_server = |over: &Element| {
        let server = over.key.clone().unwrap_or_default();
        let written = |param: &&&Param| over.text_at(param.path).filter(|text| !text.is_empty());
        let shown = |param: &&Param| {
            let value = written(&param)?;
            Some((format!("{} on {server}", labels::label(section, param.path)), shown(param, &value)))
        };
        declared.iter().filter_map(shown).collect::<Vec<_>>()
    };
    element.all("server").flat_map(of_server).collect()
}

fn shown(param: &Param, value: &str) -> String {
    match (param.unit, value) {
        ("0 or 1", "0") => "Off".into(),
        ("0 or 1", "1") => "On".into(),
        ("seconds" | "milliseconds" | "minutes", number) => format!("{number} {}", param.unit),
        (_, value) => param.shown(value).to_string(),
    }
}

#[cfg(test)]
mod tests;
