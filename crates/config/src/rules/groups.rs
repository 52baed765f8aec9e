//! Rules about groups beside each other: server groups and waits.

use std::collections::BTreeSet;

use crate::configuration::{Configuration, Group};
use crate::problem::Problem;

pub(super) fn server_groups_exist(configuration: &Configuration, problems: &mut Vec<Problem>) {
    for list in &configuration.server_groups {
        let path = format!("/root/servergroup@{}", list.name);
        if list.servers.is_empty() {
            problems.push(Problem::new(path.clone(), "no server belongs to it", "add one with policy@SERVER/order"));
        }
        for name in &list.servers {
            if !configuration.servers.iter().any(|server| server.name == *name) {
                let path = format!("{path}/policy@{name}");
                problems.push(Problem::new(path, "there is no such server", "remove it or correct the name"));
            }
        }
    }
    for group in &configuration.groups {
        for name in &group.server_groups {
            if !configuration.server_groups.iter().any(|list| list.name == *name) {
                let path = format!("/root/group@{}/servergroup@{name}", group.name);
                problems.push(Problem::new(path, "there is no such server group", "define it or correct the name"));
            }
        }
        if group.has_both_policies {
            let path = format!("/root/group@{}/servergroup", group.name);
            let what = "the group names server groups and servers of its own";
            problems.push(Problem::new(path, what, "remove its policy elements, or its servergroup elements"));
        }
    }
}

pub(super) fn groups_wait_for_others_without_cycle(configuration: &Configuration, problems: &mut Vec<Problem>) {
    without_cycle(configuration, "act", |group| group.start_after.iter().map(|(name, _)| name.clone()).collect(), problems);
    without_cycle(configuration, "deact", |group| group.stop_after.clone(), problems);
}

fn without_cycle(
    configuration: &Configuration,
    kind: &str,
    awaited: impl Fn(&Group) -> Vec<String>,
    problems: &mut Vec<Problem>,
) {
    for group in &configuration.groups {
        let path = format!("/root/group@{}/depend/{kind}/depend", group.name);
        for name in awaited(group) {
            if !configuration.groups.iter().any(|other| other.name == name) {
                problems.push(Problem::new(path.clone(), format!("there is no group {name}"), "correct the name or remove it"));
            }
        }
        let mut reached = BTreeSet::new();
        let mut open = awaited(group);
        while let Some(name) = open.pop() {
            if name == group.name {
                problems.push(Problem::new(path, "it waits for itself, or through others", "break the cycle"));
                break;
            }
            if reached.insert(name.clone())
                && let Some(other) = configuration.groups.iter().find(|other| other.name == name)
            {
                open.extend(awaited(other));
            }
        }
    }
}

pub(super) fn overrides_name_servers(configuration: &Configuration, problems: &mut Vec<Problem>) {
    let resources = configuration.resources.iter().flat_map(|resource| {
        let at = format!("/root/resource/{}@{}", resource.kind.word(), resource.name);
        resource.on_servers.iter().map(move |(server, _)| (at.clone(), server))
    });
    let monitors = configuration.monitors.iter().flat_map(|monitor| {
        let at = format!("/root/monitor/{}@{}", monitor.kind.word(), monitor.name);
        monitor.on_servers.iter().map(move |(server, _)| (at.clone(), server))
    });
    for (at, name) in resources.chain(monitors) {
        if !configuration.servers.iter().any(|server| server.name == *name) {
            let path = format!("{at}/server@{name}");
            problems.push(Problem::new(path, "there is no such server", "remove it or correct the name"));
        }
    }
}

pub(super) fn scripts_before_final_actions_are_named(configuration: &Configuration, problems: &mut Vec<Problem>) {
    for resource in &configuration.resources {
        for (kind, script) in [("act", &resource.act_script), ("deact", &resource.deact_script)] {
            if script.used && script.foreign && !script.path.starts_with('/') {
                let path = format!("/root/resource/{}@{}/{kind}/preaction/path", resource.kind.word(), resource.name);
                let what = format!("{:?} is not an absolute path", script.path);
                problems.push(Problem::new(path, what, "give the user application with its whole path"));
            }
        }
    }
}
