//! Failover groups, in force.

use super::{Server, key, number};
use crate::document::Element;
use crate::problem::Problem;
use crate::schema::group::GroupCommon;

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
    /// Failover policy, best first.
    pub policy: Vec<String>,
}

pub(super) fn read_groups(root: &Element, servers: &[Server], problems: &mut Vec<Problem>) -> Vec<Group> {
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
                life_forbids,
                policy,
                name,
            }
        })
        .collect()
}
