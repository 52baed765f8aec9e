//! What differs between two configurations, and what must be suspended or stopped for it to take effect.
//!
//! Both files are compared element by element, so that nothing is overlooked; the class of a difference comes from the
//! parameter's declaration, or, for lists and whole objects, from `list_class` and `Object::class`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::document::{Document, Element};
use crate::schema::SECTIONS;
use crate::schema::monitors::common_defaults;
use crate::value::{Apply, Param};

/// What a difference belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// The cluster as a whole.
    Cluster,
    /// A server.
    Server(String),
    /// A heartbeat resource: type and name.
    Heartbeat(String, String),
    /// A partition resolution resource: type and name.
    Partition(String, String),
    /// A server group.
    ServerGroup(String),
    /// A failover group.
    Group(String),
    /// A group resource: type and name.
    Resource(String, String),
    /// A monitor resource: type and name.
    Monitor(String, String),
}

impl Object {
    /// The kind in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Object::Cluster => "cluster",
            Object::Server(_) => "server",
            Object::ServerGroup(_) => "server group",
            Object::Heartbeat(..) => "heartbeat",
            Object::Partition(..) => "network partition resolution",
            Object::Group(_) => "group",
            Object::Resource(..) => "resource",
            Object::Monitor(..) => "monitor",
        }
    }

    /// Its name; empty for the cluster.
    pub fn name(&self) -> &str {
        match self {
            Object::Cluster => "",
            Object::Server(name) | Object::ServerGroup(name) | Object::Group(name) => name,
            Object::Heartbeat(_, name) | Object::Partition(_, name) | Object::Resource(_, name) | Object::Monitor(_, name) => {
                name
            }
        }
    }

    /// Where it stands in the file.
    pub fn path(&self) -> String {
        match self {
            Object::Cluster => "/root".into(),
            Object::Server(name) => format!("/root/server@{name}"),
            Object::ServerGroup(name) => format!("/root/servergroup@{name}"),
            Object::Group(name) => format!("/root/group@{name}"),
            Object::Heartbeat(kind, name) => format!("/root/heartbeat/{kind}@{name}"),
            Object::Partition(kind, name) => format!("/root/networkpartition/{kind}@{name}"),
            Object::Resource(kind, name) => format!("/root/resource/{kind}@{name}"),
            Object::Monitor(kind, name) => format!("/root/monitor/{kind}@{name}"),
        }
    }

    /// What adding or removing it needs.
    fn class(&self, is_added: bool) -> Apply {
        match self {
            Object::Cluster | Object::Server(_) | Object::Heartbeat(..) => Apply::StopCluster,
            Object::Partition(..) => Apply::SuspendCluster,
            // A group that nobody runs yet only has to be known to every server at once.
            Object::Group(_) if is_added => Apply::SuspendCluster,
            Object::ServerGroup(_) | Object::Group(_) | Object::Resource(..) => Apply::StopGroup,
            Object::Monitor(..) => Apply::SuspendMonitor,
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Object::Cluster => f.write_str("the cluster"),
            other => write!(f, "{} {}", other.kind(), other.name()),
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where, in the notation `/root/element@name/element`; for a whole object its own place.
    pub path: String,
    /// What it belongs to.
    pub object: Object,
    /// What happened.
    pub what: What,
    /// What must be suspended or stopped first.
    pub apply: Apply,
    /// The group that must be stopped (class [`Apply::StopGroup`]): the one that holds the resource.
    pub group: Option<String>,
}

/// What happened at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A whole object is new.
    Added,
    /// A whole object is gone.
    Removed,
    /// A value differs; where the file has none, the default in force, if there is one.
    Value {
        /// In the old configuration.
        old: Option<String>,
        /// In the new configuration.
        new: Option<String>,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.as_deref().map_or("none".to_string(), |value| format!("{value:?}"));
        match &self.what {
            What::Added => write!(f, "{}: added", self.path)?,
            What::Removed => write!(f, "{}: removed", self.path)?,
            What::Value { old, new } => write!(f, "{}: {} -> {}", self.path, shown(old), shown(new))?,
        }
        write!(f, " ({})", self.apply.class())
    }
}

/// All differences, objects first by kind, then by place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// One by one.
    pub list: Vec<Change>,
}

impl Changes {
    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The strongest class: what must be suspended or stopped for all of it.
    pub fn strongest(&self) -> Option<Apply> {
        self.list.iter().map(|change| change.apply).max()
    }

    /// Names of groups that must be stopped, or of monitors that must be suspended, for the changes of one class.
    pub fn names(&self, apply: Apply) -> BTreeSet<&str> {
        let of_class = self.list.iter().filter(|change| change.apply == apply);
        of_class
            .filter_map(|change| match apply {
                Apply::StopGroup => change.group.as_deref(),
                Apply::SuspendMonitor => Some(change.object.name()),
                _ => None,
            })
            .collect()
    }
}

/// Compare what is in force with what shall be.
pub fn diff(old: &Document, new: &Document) -> Changes {
    let (before, after) = (objects(old.root()), objects(new.root()));
    let (owners_before, owners_after) = (owners(old.root()), owners(new.root()));
    let owners = |object: &Object| match object {
        Object::Group(name) => vec![name.clone()],
        Object::Resource(_, name) => owners_before.get(name).or_else(|| owners_after.get(name)).cloned().into_iter().collect(),
        Object::ServerGroup(name) => {
            let users: BTreeSet<String> = [old, new].iter().flat_map(|document| users(document.root(), name)).collect();
            users.into_iter().collect()
        }
        _ => Vec::new(),
    };
    let mut list = Vec::new();
    for object in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let path = object.path();
        let mut add = |path: String, what: What, apply: Apply| {
            let groups = owners(object);
            // A list of servers that no group uses needs nothing.
            let unused = groups.is_empty() && matches!(object, Object::ServerGroup(_));
            let apply = if unused { Apply::UploadOnly } else { apply };
            let change = Change { path, object: object.clone(), what, apply, group: None };
            match groups.as_slice() {
                [] => list.push(change),
                groups => list.extend(groups.iter().map(|group| Change { group: Some(group.clone()), ..change.clone() })),
            }
        };
        match (before.get(object), after.get(object)) {
            (Some(_), None) => add(path, What::Removed, object.class(false)),
            (None, Some(_)) => add(path, What::Added, object.class(true)),
            (None, None) => {}
            (Some(one), Some(other)) => {
                for place in one.keys().chain(other.keys()).collect::<BTreeSet<_>>() {
                    let (apply, default) = class_of(object, place);
                    let value = |values: &BTreeMap<String, String>| values.get(place).cloned().or_else(|| default.clone());
                    let (old, new) = (value(one), value(other));
                    if old != new {
                        let shown = |value: Option<String>| match declared(object, place) {
                            Some(param) => value.map(|value| param.shown(&value).to_string()),
                            None => value,
                        };
                        let (old, new) = (shown(old), shown(new));
                        add(format!("{path}/{place}"), What::Value { old, new }, apply);
                    }
                }
            }
        }
    }
    Changes { list }
}

/// Groups that take their servers from a server group.
fn users(root: &Element, list: &str) -> Vec<String> {
    let uses = |group: &&Element| group.all("servergroup").any(|entry| entry.key.as_deref() == Some(list));
    root.all("group").filter(uses).filter_map(|group| group.key.clone()).collect()
}

/// Group of each resource, by name.
fn owners(root: &Element) -> BTreeMap<String, String> {
    let mut owners = BTreeMap::new();
    for group in root.all("group") {
        let members = group.all("resource").filter_map(|member| member.key.as_deref());
        for member in members.map(|member| member.split_once('@').map_or(member, |(_, name)| name)) {
            owners.insert(member.to_string(), group.key.clone().unwrap_or_default());
        }
    }
    owners
}

/// Values of each object by their place below it.
fn objects(root: &Element) -> BTreeMap<Object, BTreeMap<String, String>> {
    let mut objects: BTreeMap<Object, BTreeMap<String, String>> = BTreeMap::new();
    let name = |element: &Element| element.key.clone().unwrap_or_default();
    objects.insert(Object::Cluster, BTreeMap::new());
    for element in root.elements() {
        let kind: fn(String, String) -> Object = match element.tag.as_str() {
            "server" => {
                values(element, "", objects.entry(Object::Server(name(element))).or_default());
                continue;
            }
            "servergroup" => {
                values(element, "", objects.entry(Object::ServerGroup(name(element))).or_default());
                continue;
            }
            "group" => {
                values(element, "", objects.entry(Object::Group(name(element))).or_default());
                continue;
            }
            "heartbeat" => Object::Heartbeat,
            "networkpartition" => Object::Partition,
            "resource" => Object::Resource,
            "monitor" => Object::Monitor,
            _ => {
                value(element, "", objects.entry(Object::Cluster).or_default());
                continue;
            }
        };
        // The `types` elements are a table of contents that nobody relies upon.
        for instance in element.elements().filter(|instance| instance.tag != "types") {
            values(instance, "", objects.entry(kind(instance.tag.clone(), name(instance))).or_default());
        }
    }
    objects
}

fn values(element: &Element, at: &str, into: &mut BTreeMap<String, String>) {
    for child in element.elements() {
        value(child, at, into);
    }
}

/// An element's own text and everything below it. Empty text is as good as no element, except in a list.
fn value(element: &Element, at: &str, into: &mut BTreeMap<String, String>) {
    let key = element.key.as_deref().map(|key| format!("@{key}")).unwrap_or_default();
    let place = format!("{at}{}{key}", element.tag);
    let text = element.text();
    if !text.is_empty() || element.key.is_some() {
        // Where several fit, the reader takes the first; the others must not hide behind it.
        let mut free = place.clone();
        let mut number = 2;
        while into.contains_key(&free) {
            free = format!("{place}#{number}");
            number += 1;
        }
        into.insert(free, text);
    }
    values(element, &format!("{place}/"), into);
}

/// Class and default of a place below an object.
fn class_of(object: &Object, place: &str) -> (Apply, Option<String>) {
    // What one server has of its own is of the same class; without it the common value holds.
    let override_of = |rest: &str| rest.split_once('/').map(|(_, path)| path.to_string());
    if let Object::Resource(..) | Object::Monitor(..) = object
        && let Some(path) = place.strip_prefix("server@").and_then(override_of)
    {
        return (class_of(object, &path).0, None);
    }
    match declared(object, place) {
        Some(param) => {
            let own = match object {
                Object::Monitor(kind, _) => {
                    common_defaults(kind).iter().find(|(path, _)| *path == param.path).map(|(_, value)| *value)
                }
                _ => None,
            };
            let default = own.unwrap_or(param.default);
            (param.apply, (!default.is_empty()).then(|| default.to_string()))
        }
        None => (list_class(object, place), None),
    }
}

fn declared(object: &Object, place: &str) -> Option<&'static Param> {
    let sections: Vec<String> = match object {
        Object::Cluster => vec![String::new()],
        Object::Group(_) => vec!["group@NAME".into()],
        Object::Resource(kind, _) => vec!["resource/TYPE@NAME".into(), format!("resource/{kind}@NAME")],
        Object::Monitor(kind, _) => vec!["monitor/TYPE@NAME".into(), format!("monitor/{kind}@NAME")],
        Object::Partition(kind, _) => vec![format!("networkpartition/{kind}@NAME")],
        Object::Server(_) => vec!["server@NAME".into()],
        Object::ServerGroup(_) | Object::Heartbeat(..) => Vec::new(),
    };
    let tables = SECTIONS.iter().filter(|(section, _)| sections.iter().any(|wanted| wanted == section));
    tables.flat_map(|(_, params)| params.iter()).find(|param| param.path == place)
}

/// Classes of what is a list or has no declaration. What nobody reads needs nothing.
fn list_class(object: &Object, place: &str) -> Apply {
    let begins = |heads: &[&str]| heads.iter().any(|head| place.starts_with(head));
    match object {
        Object::Server(_) if begins(&["device", "priority"]) => Apply::StopCluster,
        Object::Heartbeat(..) => Apply::StopCluster,
        Object::Partition(..) => Apply::SuspendCluster,
        Object::Group(_) if begins(&["resource", "policy", "servergroup"]) => Apply::StopGroup,
        Object::ServerGroup(_) => Apply::StopGroup,
        Object::Resource(..) if begins(&["depend", "parameters"]) => Apply::StopGroup,
        Object::Monitor(..) if begins(&["polling", "parameters"]) => Apply::SuspendMonitor,
        _ => Apply::UploadOnly,
    }
}
