//! Group resources, in force, with what differs on one server.

use std::net::IpAddr;
use std::time::Duration;

use super::{Group, NOT_YET, instances, key};
use crate::document::Element;
use crate::problem::Problem;
use crate::schema::common::ResourceCommon;
use crate::schema::resources::{disk::Disk, exec::Exec, fip::Fip};

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
    /// Before the final action of a failed activation.
    pub act_script: FinalScript,
    /// Before the final action of a failed deactivation.
    pub deact_script: FinalScript,
    /// Named dependencies; None: by type.
    pub depends: Option<Vec<String>>,
    /// Type and parameters.
    pub kind: ResourceKind,
    /// Parameters that differ on one server.
    pub on_servers: Vec<(String, ResourceKind)>,
}

/// The script before a resource's final action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinalScript {
    /// It runs.
    pub used: bool,
    /// A user application, not a script beside the configuration.
    pub foreign: bool,
    /// Its path.
    pub path: String,
    /// Time it may take.
    pub timeout: Duration,
}

impl Resource {
    /// The parameters common to all servers, then those of single servers.
    pub fn kinds(&self) -> impl Iterator<Item = &ResourceKind> {
        std::iter::once(&self.kind).chain(self.on_servers.iter().map(|(_, kind)| kind))
    }

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

    /// The address that clients use, if it is of a type that has one.
    pub fn floating_address(&self) -> Option<IpAddr> {
        match self {
            ResourceKind::Fip(fip) => fip.address(),
            _ => None,
        }
    }
}

pub(super) fn read_kind(element: &Element, at: &str, problems: &mut Vec<Problem>) -> Option<ResourceKind> {
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
pub(super) fn on_server(element: &Element, over: &Element) -> Element {
    let mut merged = element.clone();
    merged.children.retain(|node| !matches!(node, crate::document::Node::Element(e) if e.tag == "server"));
    // The first that fits wins, so what holds here goes in front.
    for parameters in over.all("parameters") {
        merged = merged.overlaid("parameters", parameters);
    }
    merged
}

pub(super) fn read_resources(root: &Element, groups: &[Group], problems: &mut Vec<Problem>) -> Vec<Resource> {
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
        let act_script = FinalScript {
            used: common.act_script,
            foreign: !common.act_script_product,
            path: common.act_script_path.clone(),
            timeout: common.act_script_timeout,
        };
        let deact_script = FinalScript {
            used: common.deact_script,
            foreign: !common.deact_script_product,
            path: common.deact_script_path.clone(),
            timeout: common.deact_script_timeout,
        };
        let group = group.name.clone();
        resources.push(Resource { group, comment, act_script, deact_script, common, depends, kind, on_servers, name });
    }
    resources
}
