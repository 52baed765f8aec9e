//! clpstat: the status of the cluster.

use clp_protocol::control::{ClusterStatus, Reply, Request};
use clp_services::client::ReachError;

use super::{ask, configuration, failure, root, server_name};
use crate::options::{Command, Failure, Opt, Parsed, usage};
use crate::{format, screen};

/// Its declaration.
pub const COMMAND: Command = Command {
    name: "clpstat",
    summary: "show the status of servers, heartbeats, groups, resources and monitors",
    usage: &["[-s] [--long] [--json] [-h HOST]", "--local", "-g", "-m", "-n", "--why GROUP"],
    options: &[
        Opt { name: "-s", value: None, help: "the same as without options" },
        Opt { name: "-h", value: Some("HOST"), help: "as seen by this server" },
        Opt { name: "--local", value: None, help: "monitors as they are on this server" },
        Opt { name: "--long", value: None, help: "wide columns for long names" },
        Opt { name: "-g", value: None, help: "which group is active on which server" },
        Opt { name: "-m", value: None, help: "monitors on each server" },
        Opt { name: "-n", value: None, help: "heartbeats between the servers" },
        Opt { name: "--json", value: None, help: "everything, for programs" },
        Opt { name: "--why", value: Some("GROUP"), help: "why the group is where it is: the recorded causes" },
    ],
    run,
};

fn run(parsed: &Parsed) -> Result<(), Failure> {
    let root = root();
    if !parsed.words.is_empty() {
        return Err(Failure::new(format!("clpstat: {} is not expected\n{}", parsed.words[0], usage(&COMMAND))));
    }
    let server = parsed.value("-h").map(|host| server_name(&root, host)).transpose()?;
    if let Some(group) = parsed.value("--why") {
        return why(group, server.as_deref());
    }
    let status = match ask(&root, server.as_deref(), &Request::Status) {
        Ok(Reply::Status(status)) => *status,
        Ok(reply) => return Err(failure(&reply)),
        Err(ReachError::NotRunning(_)) => offline(&configuration(&root)?, server.as_deref()),
        Err(cause) => return Err(Failure::new(cause.to_string())),
    };
    let text = if parsed.has("--json") {
        let mut text = serde_json::to_string_pretty(&status).map_err(|cause| Failure::new(cause.to_string()))?;
        text.push('\n');
        text
    } else if parsed.has("-g") {
        format::group_map(&status)
    } else if parsed.has("-m") {
        format::monitors(&status)
    } else if parsed.has("-n") {
        format::heartbeats(&status)
    } else {
        let width = if parsed.has("--long") { format::LONG } else { format::SHORT };
        format::listing(&status, width, parsed.has("--local"))
    };
    screen::text(&text);
    Ok(())
}

fn why(group: &str, server: Option<&str>) -> Result<(), Failure> {
    let root = root();
    match ask(&root, server, &Request::Why { group: group.into() }).map_err(|cause| Failure::new(cause.to_string()))? {
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
