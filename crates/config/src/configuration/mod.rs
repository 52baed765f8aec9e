//! What is in force: a checked configuration with every default filled in. One file a kind of object.

mod cluster;
mod etcd;
mod forced_stop;
mod group;
mod monitor;
mod paths;
mod resource;
mod server;
mod witness;

pub use cluster::{Cluster, FailureSwitches};
pub use etcd::{EtcdTls, Etcdnp};
pub use forced_stop::{Bmc, ForcedStop, ForcedStopMethod, Password, holds_password};
pub use group::{Group, GroupKind, PROOFS, ServerGroup};
pub use monitor::{Monitor, MonitorCommon, MonitorKind, Preaction, RecoveryTarget};
pub use paths::{Heartbeat, HeartbeatKind, Partition, PartitionKind, Pingnp, Role};
pub use resource::{FinalScript, Resource, ResourceKind};
pub use server::{Device, DeviceKind, Server};
pub use witness::Httpnp;

use std::net::IpAddr;

use crate::document::{Document, Element};
use crate::problem::Problem;
use crate::rules;
use crate::schema::resources::DEFAULT_ORDER;

/// A whole configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    /// The cluster.
    pub cluster: Cluster,
    /// How lost servers are switched off; None: they are not.
    pub forced_stop: Option<ForcedStop>,
    /// By priority.
    pub servers: Vec<Server>,
    /// By priority.
    pub heartbeats: Vec<Heartbeat>,
    /// By priority.
    pub partitions: Vec<Partition>,
    /// Named lists of servers, in the order of the file.
    pub server_groups: Vec<ServerGroup>,
    /// By gid, else in the order of the file.
    pub groups: Vec<Group>,
    /// All groups' resources.
    pub resources: Vec<Resource>,
    /// In the order of the file.
    pub monitors: Vec<Monitor>,
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
        let servers = server::read_servers(root, &mut problems);
        let server_groups = group::read_server_groups(root, &mut problems);
        let mut groups = group::read_groups(root, &servers, &server_groups, &mut problems);
        groups.sort_by_key(|group| group.gid);
        let configuration = Configuration {
            forced_stop: forced_stop::read_forced_stop(root, &mut problems),
            heartbeats: paths::read_heartbeats(root, &mut problems),
            partitions: paths::read_partitions(root, &mut problems),
            resources: resource::read_resources(root, &groups, &mut problems),
            monitors: monitor::read_monitors(root, &cluster, &mut problems),
            cluster,
            servers,
            server_groups,
            groups,
        };
        rules::check(&configuration, &mut problems);
        if problems.is_empty() { Ok(configuration) } else { Err(problems) }
    }

    /// What a LAN heartbeat's network is used for besides; None for the other types.
    pub fn role(&self, heartbeat: &Heartbeat) -> Option<Role> {
        if !matches!(heartbeat.kind, HeartbeatKind::Lanhb | HeartbeatKind::Lankhb) {
            return None;
        }
        let own = self.servers.iter().filter_map(|server| server.device(heartbeat.device)?.info.parse().ok());
        let floating: Vec<IpAddr> = self.resources.iter().filter_map(|resource| resource.kind.floating_address()).collect();
        let shared = |own: IpAddr| floating.iter().any(|floating| paths::are_near(own, *floating));
        Some(if own.into_iter().any(shared) { Role::Backup } else { Role::Dedicated })
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

/// Instances of all types in a tree such as `heartbeat`: the `types` elements are not relied upon.
fn instances<'a>(root: &'a Element, tree: &'a str) -> impl Iterator<Item = &'a Element> {
    root.all(tree).flat_map(Element::elements).filter(|element| element.tag != "types" && element.key.is_some())
}
