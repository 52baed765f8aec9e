//! clpstat: the status of the cluster.

mod answers;
pub mod whatif;

use clp_protocol::control::{ClusterStatus, PathStatus, Reply, Request};
use clp_services::client::{self, ReachError};
use clp_sys::paths::Root;

use super::{ask, configuration, failure, in_force, parse, root, server_name};
use crate::declaration::{Absent, Command, Example, Failure, Form, GROUP, HOST, Kind, Opt, Part, Value};
use crate::parse::Parsed;
use crate::properties::{self, Objects};
use crate::{format, screen};

/// The options that every view of the status takes.
const VIEW: &[Part] = &[Part::Any(&["-h"])];

const DETAILED: Part = Part::Any(&["--detail", "-h"]);
const DETAIL: &[Part] = &[DETAILED];
const NAMED_SERVER: Part = named(Kind::Server);
const NAMED_HEARTBEAT: Part = named(Kind::Heartbeat);
const NAMED_PARTITION: Part = named(Kind::Partition);
const NAMED_SERVER_GROUP: Part = named(Kind::ServerGroup);
const NAMED_GROUP: Part = named(Kind::Group);
const NAMED_RESOURCE: Part = named(Kind::Resource);
const NAMED_MONITOR: Part = named(Kind::Monitor);

const PATH: Value = Value { word: "PATH", kind: Kind::Heartbeat };
const DISK: Value = Value { word: "DISK", kind: Kind::Disk };

const fn named(kind: Kind) -> Part {
    Part::MaybeWord(Value { word: "NAME", kind })
}

/// Its declaration.
pub const COMMAND: Command = Command {
    name: "clpstat",
    summary: "show the status and the configuration of the cluster",
    forms: &[
        Form {
            mode: "",
            parts: &[Part::Any(&["-s", "--local", "--long", "-h"])],
            help: "status of servers, heartbeats, groups, resources and monitors",
        },
        Form { mode: "-g", parts: VIEW, help: "which group is active on which server" },
        Form { mode: "-m", parts: VIEW, help: "monitors on each server" },
        Form { mode: "-n", parts: VIEW, help: "heartbeats between the servers" },
        Form { mode: "-p", parts: VIEW, help: "network partition resolution on each server" },
        Form { mode: "--json", parts: &[Part::Any(&["-s", "-h"])], help: "the whole status for programs" },
        Form {
            mode: "--why",
            parts: &[Part::Any(&["--json", "-h"])],
            help: "why the group is where it is: the recorded causes, oldest first",
        },
        Form {
            mode: "--whatif",
            parts: &[Part::One(&["--server", "--path", "--disk"]), Part::Any(&["--double", "--json", "-h"])],
            help: "what would become of each group if each server, heartbeat path of a server or shared disk of a server were lost now",
        },
        Form { mode: "-i", parts: DETAIL, help: "the configuration of everything" },
        Form { mode: "--cl", parts: DETAIL, help: "that of the cluster" },
        Form { mode: "--sv", parts: &[NAMED_SERVER, DETAILED], help: "that of the servers, or of one" },
        Form { mode: "--hb", parts: &[NAMED_HEARTBEAT, DETAILED], help: "that of heartbeat resources" },
        Form { mode: "--np", parts: &[NAMED_PARTITION, DETAILED], help: "that of network partition resolution" },
        Form { mode: "--svg", parts: &[NAMED_SERVER_GROUP, DETAILED], help: "that of server groups" },
        Form { mode: "--grp", parts: &[NAMED_GROUP, DETAILED], help: "that of groups" },
        Form { mode: "--rsc", parts: &[NAMED_RESOURCE, DETAILED], help: "that of group resources" },
        Form { mode: "--mon", parts: &[NAMED_MONITOR, DETAILED], help: "that of monitor resources" },
    ],
    options: &[
        Opt { name: "-s", also: &[], value: None, help: "the same as without options" },
        Opt { name: "-h", also: &[], value: Some(HOST), help: "as seen by this server; configuration: the one in force there" },
        Opt { name: "--local", also: &[], value: None, help: "monitors as they are on the server of the view alone" },
        Opt { name: "--long", also: &[], value: None, help: "wide columns for long names" },
        Opt { name: "-g", also: &[], value: None, help: "groups by server" },
        Opt { name: "-m", also: &[], value: None, help: "monitors by server" },
        Opt { name: "-n", also: &[], value: None, help: "heartbeats by server" },
        Opt { name: "-p", also: &[], value: None, help: "network partition resolution by server" },
        Opt { name: "--json", also: &[], value: None, help: "as JSON" },
        Opt { name: "--why", also: &[], value: Some(GROUP), help: "the group that is asked for" },
        Opt { name: "--whatif", also: &[], value: None, help: "where groups would go" },
        Opt { name: "--server", also: &[], value: Some(HOST), help: "only if this server were lost" },
        Opt { name: "--path", also: &[], value: Some(PATH), help: "only if this heartbeat path were lost, for each server in turn" },
        Opt { name: "--disk", also: &[], value: Some(DISK), help: "only if this disk (a device, or a resource on it) were lost, for each server in turn" },
        Opt { name: "--double", also: &[], value: None, help: "also every two losses at one moment" },
        Opt { name: "-i", also: &[], value: None, help: "configuration" },
        Opt { name: "--cl", also: &[], value: None, help: "configuration of the cluster" },
        Opt { name: "--sv", also: &[], value: None, help: "of servers" },
        Opt { name: "--hb", also: &[], value: None, help: "of heartbeat resources" },
        Opt { name: "--np", also: &[], value: None, help: "of network partition resolution resources" },
        Opt { name: "--svg", also: &["--sg"], value: None, help: "of server groups" },
        Opt { name: "--grp", also: &[], value: None, help: "of groups" },
        Opt { name: "--rsc", also: &[], value: None, help: "of group resources" },
        Opt { name: "--mon", also: &[], value: None, help: "of monitor resources" },
        Opt { name: "--detail", also: &[], value: None, help: "every parameter" },
    ],
    absent: &[
        Absent { names: &["-f", "--fnc"], why: "this release shows network partition resolution with -p" },
        Absent { names: &["--xcl"], why: "there are no exclusion rules in this version" },
    ],
    notes: &[
        "While the cluster service of the server that is asked does not run everything is shown as Offline, and the exit code is 0.",
        "Configuration is read from the file in force on this server, or on HOST, default values included; --hb --detail adds what this server measured of each path while its cluster service runs.",
        "--whatif drives the decisions of every server in virtual time, from what the server that is asked knows at this moment; nothing of the cluster is touched. What it takes for granted it says, and the exit code is 2 when an answer could be another without that.",
        "The marks of -g, -n and -p: o online or normal, x offline or error, e failed, p on the way, - unknown or not used.",
    ],
    examples: &[
        Example { line: "clpstat", what: "the status as this server sees it" },
        Example { line: "clpstat -h server2", what: "as server2 sees it" },
        Example { line: "clpstat --why failover1", what: "why failover1 is where it is" },
        Example { line: "clpstat --whatif", what: "what each single loss would do now" },
        Example { line: "clpstat --whatif --server server1", what: "what the loss of server1 would do now" },
        Example { line: "clpstat --rsc fip1 --detail", what: "every parameter of the resource fip1" },
        Example { line: "clpstat --json", what: "everything, for programs" },
    ],
    run,
};

fn run(parsed: &Parsed) -> Result<(), Failure> {
    let root = root();
    let server = parsed.value("-h").map(|host| server_name(&root, host)).transpose()?;
    if let Some(kinds) = configured(parsed.mode) {
        return show_configuration(&root, server.as_deref(), kinds, parsed.word.as_deref(), parsed.has("--detail"));
    }
    if parsed.mode == "--whatif" {
        return whatif::run(&root, server.as_deref(), parsed);
    }
    if let Some(group) = parsed.value("--why") {
        return why(group, server.as_deref(), parsed.has("--json"));
    }
    let status = match ask(&root, server.as_deref(), &Request::Status) {
        Ok(Reply::Status(status)) => *status,
        Ok(reply) => return Err(failure(&reply)),
        Err(ReachError::NotRunning(name)) => {
            let configuration = configuration(&root)?;
            // The listing alone would read as if the whole cluster were down.
            screen::error(&format!("the cluster service of {name} is not running: what other servers do is not known here"));
            offline(&configuration, server.as_deref())
        }
        Err(cause) => return Err(Failure::new(cause.to_string())),
    };
    let text = match parsed.mode {
        "--json" => json(&status)?,
        "-g" => format::group_map(&status),
        "-m" => format::monitors(&status),
        "-n" => format::heartbeats(&status),
        "-p" => format::partitions(&status),
        _ => {
            let width = if parsed.has("--long") { format::LONG } else { format::SHORT };
            format::listing(&status, width, parsed.has("--local"))
        }
    };
    screen::text(&text);
    Ok(())
}

/// What a form lists of the configuration, if it does.
fn configured(mode: &str) -> Option<&'static [Objects]> {
    Some(match mode {
        "-i" => properties::ALL,
        "--cl" => &[Objects::Cluster],
        "--sv" => &[Objects::Servers],
        "--hb" => &[Objects::Heartbeats],
        "--np" => &[Objects::Partitions],
        "--svg" => &[Objects::ServerGroups],
        "--grp" => &[Objects::Groups],
        "--rsc" => &[Objects::Resources],
        "--mon" => &[Objects::Monitors],
        _ => return None,
    })
}

fn show_configuration(
    root: &Root,
    server: Option<&str>,
    kinds: &[Objects],
    name: Option<&str>,
    detail: bool,
) -> Result<(), Failure> {
    let (document, configuration) = match server.filter(|server| *server != clp_sys::identity::hostname()) {
        None => in_force(root)?,
        Some(server) => {
            let bytes = client::configuration(root, server).map_err(|cause| Failure::new(cause.to_string()))?;
            parse(&bytes, &format!("the configuration of {server}"))?
        }
    };
    // What this server's engine measured comes with the details of heartbeats; without an engine there is none.
    let wanted = detail && server.is_none() && kinds.contains(&Objects::Heartbeats);
    let measured = match wanted.then(|| ask(root, None, &Request::Status)) {
        Some(Ok(Reply::Status(status))) => own_paths(*status),
        _ => Vec::new(),
    };
    let text = properties::listing(&document, &configuration, kinds, name, detail, &measured).map_err(|known| {
        let kind = kinds.first().map_or("", |kind| kind.noun()).to_string();
        failure(&Reply::Unknown { kind, name: name.unwrap_or_default().into(), known })
    })?;
    screen::text(&text);
    Ok(())
}

/// The paths of the server whose view it is.
fn own_paths(status: ClusterStatus) -> Vec<PathStatus> {
    let own = status.servers.into_iter().find(|server| server.name == status.local);
    own.map_or_else(Vec::new, |server| server.paths)
}

fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map(|text| text + "\n").map_err(|cause| Failure::new(cause.to_string()))
}

fn why(group: &str, server: Option<&str>, as_json: bool) -> Result<(), Failure> {
    let root = root();
    match ask(&root, server, &Request::Why { group: group.into() }).map_err(|cause| Failure::new(cause.to_string()))? {
        Reply::Why { chain } if as_json => {
            screen::text(&json(&chain)?);
            Ok(())
        }
        Reply::Why { chain } if chain.is_empty() => {
            screen::line("nothing has happened to this group since the cluster service of this server started");
            Ok(())
        }
        Reply::Why { chain } => {
            for cause in chain {
                screen::line(&format::plain(&format!("{} {}: {}", cause.time, cause.server, cause.text)));
            }
            Ok(())
        }
        reply => Err(failure(&reply)),
    }
}

/// The service of the server asked is down: everything that is configured, shown as Offline.
fn offline(configuration: &clp_config::Configuration, server: Option<&str>) -> ClusterStatus {
    use clp_protocol::control::{CONTROL_VERSION, GroupStatus, MonitorStatus, ResourceStatus, ServerStatus};
    let off = || "Offline".to_string();
    let path = |name: &str, kind: &str| PathStatus {
        name: name.into(),
        kind: kind.into(),
        status: off(),
        peers: configuration.servers.iter().map(|_| off()).collect(),
        note: String::new(),
        refused: Vec::new(),
        statistics: Vec::new(),
        role: String::new(),
    };
    let paths: Vec<PathStatus> = configuration
        .heartbeats
        .iter()
        .map(|heartbeat| path(&heartbeat.name, heartbeat.kind.word()))
        .chain(configuration.partitions.iter().map(|partition| path(&partition.name, "pingnp")))
        .collect();
    ClusterStatus {
        version: CONTROL_VERSION,
        cluster: configuration.cluster.name.clone(),
        comment: configuration.cluster.comment.clone(),
        suspended: false,
        timeout_ratio: None,
        local: server.map_or_else(clp_sys::identity::hostname, String::from),
        coordinator: None,
        right: "the cluster service is not running".into(),
        servers: configuration
            .servers
            .iter()
            .map(|server| ServerStatus {
                name: server.name.clone(),
                comment: server.comment.clone(),
                status: off(),
                note: String::new(),
                paths: paths.clone(),
            })
            .collect(),
        groups: configuration
            .groups
            .iter()
            .map(|group| GroupStatus {
                name: group.name.clone(),
                comment: group.comment.clone(),
                kind: group.kind.word().into(),
                status: off(),
                current: None,
                resources: configuration
                    .resources
                    .iter()
                    .filter(|resource| resource.group == group.name)
                    .map(|resource| ResourceStatus {
                        name: resource.name.clone(),
                        kind: resource.kind.word().into(),
                        comment: resource.comment.clone(),
                        status: off(),
                    })
                    .collect(),
                note: String::new(),
            })
            .collect(),
        monitors: configuration
            .monitors
            .iter()
            .map(|monitor| MonitorStatus {
                name: monitor.name.clone(),
                kind: monitor.kind.word().into(),
                comment: monitor.comment.clone(),
                status: off(),
                servers: configuration.servers.iter().map(|_| off()).collect(),
                note: String::new(),
            })
            .collect(),
    }
}
