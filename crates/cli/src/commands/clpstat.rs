//! clpstat: the status of the cluster.

use clp_protocol::control::{ClusterStatus, Reply, Request};
use clp_services::client::ReachError;

use super::{ask, configuration, failure, root, server_name};
use crate::declaration::{Absent, Command, Example, Failure, Form, GROUP, HOST, Opt, Part};
use crate::parse::Parsed;
use crate::{format, screen};

/// The options that every view of the status takes.
const VIEW: &[Part] = &[Part::Any(&["-h"])];

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
    ],
    options: &[
        Opt { name: "-s", also: &[], value: None, help: "the same as without options" },
        Opt { name: "-h", also: &[], value: Some(HOST), help: "as seen by this server" },
        Opt { name: "--local", also: &[], value: None, help: "monitors as they are on the server of the view alone" },
        Opt { name: "--long", also: &[], value: None, help: "wide columns for long names" },
        Opt { name: "-g", also: &[], value: None, help: "groups by server" },
        Opt { name: "-m", also: &[], value: None, help: "monitors by server" },
        Opt { name: "-n", also: &[], value: None, help: "heartbeats by server" },
        Opt { name: "-p", also: &[], value: None, help: "network partition resolution by server" },
        Opt { name: "--json", also: &[], value: None, help: "as JSON" },
        Opt { name: "--why", also: &[], value: Some(GROUP), help: "the group that is asked for" },
    ],
    absent: &[
        Absent { names: &["-f", "--fnc"], why: "this release shows network partition resolution with -p" },
        Absent { names: &["--xcl"], why: "there are no exclusion rules in this version" },
    ],
    notes: &[
        "While the cluster service of the server that is asked does not run everything is shown as Offline, and the exit code is 0.",
        "The marks of -g, -n and -p: o online or normal, x offline or error, e failed, p on the way, - unknown or not used.",
    ],
    examples: &[
        Example { line: "clpstat", what: "the status as this server sees it" },
        Example { line: "clpstat -h server2", what: "as server2 sees it" },
        Example { line: "clpstat --why failover1", what: "why failover1 is where it is" },
        Example { line: "clpstat --json", what: "everything, for programs" },
    ],
    run,
};

fn run(parsed: &Parsed) -> Result<(), Failure> {
    let root = root();
    let server = parsed.value("-h").map(|host| server_name(&root, host)).transpose()?;
    if let Some(group) = parsed.value("--why") {
        return why(group, server.as_deref(), parsed.has("--json"));
    }
    let status = match ask(&root, server.as_deref(), &Request::Status) {
        Ok(Reply::Status(status)) => *status,
        Ok(reply) => return Err(failure(&reply)),
        Err(ReachError::NotRunning(_)) => offline(&configuration(&root)?, server.as_deref()),
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
    use clp_protocol::control::{CONTROL_VERSION, GroupStatus, MonitorStatus, PathStatus, ResourceStatus, ServerStatus};
    let off = || "Offline".to_string();
    let path = |name: &str, kind: &str| PathStatus {
        name: name.into(),
        kind: kind.into(),
        status: off(),
        peers: configuration.servers.iter().map(|_| off()).collect(),
        note: String::new(),
        refused: Vec::new(),
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
