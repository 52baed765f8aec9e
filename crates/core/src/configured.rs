//! From a checked configuration to the plan that the core decides upon: names become positions, codes become actions.

use clp_config::{Configuration, FailureSwitches, MonitorKind, RecoveryTarget as ConfiguredTarget, ResourceKind, safety};
use crate::ids::{GroupId, ResourceId, ServerId, ServerSet};
use crate::plan::{
    AfterStop, Elsewhere, Exclusion, FinalAction, GroupPlan, MonitorPlan, OnTimeout, PartitionMethod, Plan, RecoveryTarget,
    ResourcePlan, Restraints, ScriptBefore, ServerGroup, StartAfter, StopOccasions, Switches, Timing, Waits,
};

/// The plan of a configuration whose references were checked.
pub fn plan(configuration: &Configuration) -> Plan {
    let delays = safety::delays(&configuration.cluster);
    let servers: Vec<String> = configuration.servers.iter().map(|server| server.name.clone()).collect();
    let server_id = |name: &String| servers.iter().position(|server| server == name).map(ServerId::at);
    let resource_id = |name: &String| configuration.resources.iter().position(|r| r.name == *name).map(ResourceId::at);
    let group_id = |name: &String| configuration.groups.iter().position(|group| group.name == *name).map(GroupId::at);
    let groups = configuration
        .groups
        .iter()
        .map(|group| {
            let resources: Vec<ResourceId> = group.resources.iter().filter_map(resource_id).collect();
            let shares = |id: &ResourceId| matches!(configuration.resources[id.index()].kind, ResourceKind::Disk(_));
            GroupPlan {
                name: group.name.clone(),
                policy: group.policy.iter().filter_map(server_id).collect(),
                start_auto: group.start_auto,
                failover_auto: group.failover_auto,
                failback_auto: group.failback_auto,
                exclusion: match group.exclusive {
                    1 => Exclusion::Normal,
                    2 => Exclusion::Full,
                    _ => Exclusion::None,
                },
                life_forbids: group.life_forbids.unwrap_or_else(|| resources.iter().any(shares)),
                shared_data: resources.iter().any(shares),
                resources,
                waits: Waits {
                    start: group
                        .start_after
                        .iter()
                        .filter_map(|(name, same_server)| Some(StartAfter { group: group_id(name)?, same_server: *same_server }))
                        .collect(),
                    start_limit: group.start_wait,
                    stop: group.stop_after.iter().filter_map(group_id).collect(),
                    stop_limit: group.stop_wait,
                    stop_at: StopOccasions {
                        cluster: group.stop_wait_at.0,
                        server: group.stop_wait_at.1,
                        group: group.stop_wait_at.2,
                    },
                },
                // In the group's own order: the first that has a server for it is told as chosen.
                server_groups: group
                    .server_groups
                    .iter()
                    .filter_map(|name| configuration.server_groups.iter().find(|list| list.name == *name))
                    .map(|list| ServerGroup {
                        name: list.name.clone(),
                        servers: list.servers.iter().filter_map(server_id).collect(),
                    })
                    .collect(),
            }
        })
        .collect();
    let resources = configuration
        .resources
        .iter()
        .map(|resource| ResourcePlan {
            name: resource.name.clone(),
            group: group_id(&resource.group).expect("the configuration's check ties every resource to a group"),
            depends: configuration.dependencies(resource).iter().filter_map(resource_id).collect(),
            activate_retry: resource.common.act_retry,
            activate_failover: resource.common.act_failover,
            activate_action: final_action(resource.common.act_action, true),
            deactivate_retry: resource.common.deact_retry,
            deactivate_action: final_action(resource.common.deact_action, true),
            activate_script: resource.act_script.used,
            deactivate_script: resource.deact_script.used,
            elsewhere: elsewhere(&resource.kind),
        })
        .collect();
    let monitors = configuration
        .monitors
        .iter()
        .map(|monitor| {
            let common = &monitor.common;
            let everywhere = common.servers.is_empty();
            MonitorPlan {
                name: monitor.name.clone(),
                target: if common.always { None } else { resource_id(&common.target) },
                servers: configuration
                    .servers
                    .iter()
                    .enumerate()
                    .filter(|(_, server)| everywhere || common.servers.contains(&server.name))
                    .map(|(index, _)| ServerId::at(index))
                    .collect::<ServerSet>(),
                retry: common.retry,
                on_timeout: OnTimeout { retries: common.timeout_retries, recovers: common.timeout_recovers },
                recovery: match &common.recovery {
                    ConfiguredTarget::Group(name) => group_id(name).map_or(RecoveryTarget::LocalServer, RecoveryTarget::Group),
                    ConfiguredTarget::Resource(name) => {
                        resource_id(name).map_or(RecoveryTarget::LocalServer, RecoveryTarget::Resource)
                    }
                    ConfiguredTarget::LocalServer | ConfiguredTarget::AllGroups => RecoveryTarget::LocalServer,
                },
                restart_max: common.restart_threshold,
                failover_max: common.failover_threshold,
                // The user-space monitor acts through the watchdog, not through the ladder.
                action: if matches!(monitor.kind, MonitorKind::Userw(_)) {
                    FinalAction::Nothing
                } else {
                    final_action(common.action, false)
                },
                script_before: ScriptBefore {
                    reactivation: common.preaction.restart,
                    failover: common.preaction.failover,
                    final_action: common.preaction.final_action,
                },
            }
        })
        .collect();
    Plan {
        timing: Timing {
            interval: configuration.cluster.heartbeat_interval,
            timeout: configuration.cluster.heartbeat_timeout,
            right_timeout: delays.right_timeout,
            arbiter: delays.arbiter,
            watchdog_hold: delays.watchdog_hold,
            takeover_addresses: delays.takeover_addresses,
            takeover_data: delays.takeover_data,
            sync_wait: configuration.cluster.bootwait,
        },
        partition: if configuration.partitions.is_empty() { PartitionMethod::None } else { PartitionMethod::Asked },
        partition_action: after_partition(configuration.cluster.np_action),
        restraints: Restraints {
            survive: switches(configuration.cluster.survive),
            no_recovery: switches(configuration.cluster.no_recovery),
            reboot_max: configuration.cluster.reboot_max,
            reboot_reset: configuration.cluster.reboot_reset,
            exempt: configuration
                .servers
                .iter()
                .enumerate()
                .filter(|(_, server)| server.survive)
                .map(|(index, _)| ServerId::at(index))
                .collect(),
        },
        servers,
        groups,
        resources,
        monitors,
    }
}

fn switches(switches: FailureSwitches) -> Switches {
    let FailureSwitches { activation, deactivation, monitor } = switches;
    Switches { activation, deactivation, monitor }
}

/// Codes of clp-conf.md 13.3.
fn after_partition(code: u32) -> AfterStop {
    match code {
        0 | 1 => AfterStop::Nothing,
        3 => AfterStop::Reboot,
        4 => AfterStop::SysrqPanic,
        5 => AfterStop::KeepaliveReset,
        6 => AfterStop::KeepalivePanic,
        _ => AfterStop::Shutdown,
    }
}

/// Scripts that run on the other servers of the group.
fn elsewhere(kind: &ResourceKind) -> Elsewhere {
    match kind {
        ResourceKind::Exec(exec) => Elsewhere {
            start: exec.start_others.then_some(exec.start_others_timeout),
            stop: exec.stop_others.then_some(exec.stop_others_timeout),
        },
        _ => Elsewhere::default(),
    }
}

/// Codes of clp-conf.md 13.4 (resources) and 13.5 (monitors).
fn final_action(code: u32, resource: bool) -> FinalAction {
    match code {
        0 if resource => FinalAction::NothingContinue,
        2 => FinalAction::StopGroup,
        3 => FinalAction::StopService(AfterStop::Nothing),
        4 => FinalAction::StopService(AfterStop::Shutdown),
        5 => FinalAction::StopService(AfterStop::Reboot),
        8 => FinalAction::StopService(AfterStop::SysrqPanic),
        9 => FinalAction::StopService(AfterStop::KeepaliveReset),
        10 => FinalAction::StopService(AfterStop::KeepalivePanic),
        16 if !resource => FinalAction::StopResource,
        _ => FinalAction::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use clp_config::Document;

    use super::*;

    #[test]
    fn server_groups_stand_in_the_order_of_the_group_and_not_of_the_file() {
        let list = |name: &str, server: &str| {
            format!("<servergroup name=\"{name}\"><policy name=\"{server}\"><order>0</order></policy></servergroup>")
        };
        let uses = "<gid>1</gid><servergroup name=\"far\"><order>1</order></servergroup>\
                    <servergroup name=\"near\"><order>0</order></servergroup>";
        let lists = [list("far", "server1"), list("near", "server2"), "<mainstay>".into()].concat();
        let text = include_str!("../../../samples/two-node-disk/clp.conf");
        let text = text.replacen("<mainstay>", &lists, 1).replacen("<gid>1</gid>", uses, 1);
        let document = Document::read(text.as_bytes()).expect("well-formed");
        let configuration = Configuration::from_document(&document).unwrap_or_else(|problems| panic!("{problems:?}"));
        let plan = plan(&configuration);
        let group = plan.groups.iter().find(|group| group.name == "failover1").expect("is there");
        let names: Vec<&str> = group.server_groups.iter().map(|list| list.name.as_str()).collect();
        assert_eq!(names, ["near", "far"]);
    }
}
