//! Failover groups and server groups, in force.

use std::time::Duration;

use super::{Server, key, number};
use crate::document::Element;
use crate::problem::Problem;
use crate::schema::group::GroupCommon;

/// Proofs of death, weakest first (`mainstay/minproof`).
pub const PROOFS: [&str; 5] = ["none", "timed", "arbiter", "reserved", "stopped"];

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
    /// Does a sign of life of the lost server forbid the takeover? None: when the group holds data.
    pub life_forbids: Option<bool>,
    /// The weakest proof of a lost server's death upon which it is taken over, as a word. None: what is usual.
    pub min_proof: Option<String>,
    /// Failover policy, best first: as named, else by its server groups, else every server by priority.
    pub policy: Vec<String>,
    /// Server groups that its policy comes from, best first.
    pub server_groups: Vec<String>,
    /// It names server groups and servers of its own; a rule refuses that.
    pub has_both_policies: bool,
    /// Groups that must be online before it starts; true: only when they start on the same server.
    pub start_after: Vec<(String, bool)>,
    /// How long its start waits for them.
    pub start_wait: Duration,
    /// Groups that must be off before it stops.
    pub stop_after: Vec<String>,
    /// How long its stop waits for them.
    pub stop_wait: Duration,
    /// It waits for them when the cluster stops, when its server stops, when an operator stops it.
    pub stop_wait_at: (bool, bool, bool),
}

/// A named list of servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerGroup {
    /// Name.
    pub name: String,
    /// Its servers, best first.
    pub servers: Vec<String>,
}

/// Keys of the elements with this tag, by their `order`.
fn ordered(element: &Element, tag: &str, at: &str, problems: &mut Vec<Problem>) -> Vec<String> {
    let mut keys: Vec<(u32, String)> =
        element.all(tag).map(|entry| (number(entry, "order", at, problems), entry.key.clone().unwrap_or_default())).collect();
    keys.sort();
    keys.into_iter().map(|(_, key)| key).collect()
}

pub(super) fn read_server_groups(root: &Element, problems: &mut Vec<Problem>) -> Vec<ServerGroup> {
    root.all("servergroup")
        .map(|element| {
            let name = key(element, "/root/servergroup", problems);
            let at = format!("/root/servergroup@{name}");
            ServerGroup { servers: ordered(element, "policy", &at, problems), name }
        })
        .collect()
}

pub(super) fn read_groups(root: &Element, servers: &[Server], lists: &[ServerGroup], problems: &mut Vec<Problem>) -> Vec<Group> {
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
            let life_forbids = match section.lifesign.as_str() {
                "" => None,
                "refuse" => Some(true),
                "proceed" => Some(false),
                other => {
                    problems.push(Problem::new(
                        format!("{at}/mainstay/lifesign"),
                        format!("what a sign of life does: {other:?}"),
                        "use refuse or proceed, or leave it empty",
                    ));
                    None
                }
            };
            let min_proof = Some(section.minproof.clone()).filter(|word| !word.is_empty());
            if let Some(other) = min_proof.as_ref().filter(|word| !PROOFS.contains(&word.as_str())) {
                problems.push(Problem::new(
                    format!("{at}/mainstay/minproof"),
                    format!("proof of death {other:?}"),
                    format!("use one of {}, or leave it empty", PROOFS.join(", ")),
                ));
            }
            let mut policy = ordered(element, "policy", &at, problems);
            let server_groups = ordered(element, "servergroup", &at, problems);
            let has_both_policies = !policy.is_empty() && !server_groups.is_empty();
            if policy.is_empty() {
                let named = server_groups.iter().filter_map(|name| lists.iter().find(|list| list.name == *name));
                for server in named.flat_map(|list| &list.servers) {
                    if !policy.contains(server) {
                        policy.push(server.clone());
                    }
                }
            }
            if policy.is_empty() && server_groups.is_empty() {
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
                life_forbids,
                min_proof,
                policy,
                server_groups,
                has_both_policies,
                start_after: awaited(element, "depend/act")
                    .map(|(name, depend)| (name, depend.text_at("sameserver").is_some_and(|text| text == "1")))
                    .collect(),
                start_wait: section.start_wait,
                stop_after: awaited(element, "depend/deact").map(|(name, _)| name).collect(),
                stop_wait: section.stop_wait,
                stop_wait_at: (section.stop_wait_cluster, section.stop_wait_server, section.stop_wait_group),
                name,
            }
        })
        .collect()
}

/// The groups named below `depend/act` or `depend/deact`, with their elements.
fn awaited<'a>(element: &'a Element, path: &str) -> impl Iterator<Item = (String, &'a Element)> {
    element
        .at(path)
        .into_iter()
        .flat_map(|place| place.all("depend"))
        .filter_map(|depend| Some((depend.key.clone()?.trim().to_string(), depend)))
        .filter(|(name, _)| !name.is_empty())
}
