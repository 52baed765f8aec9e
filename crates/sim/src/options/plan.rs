//! What a seed draws of the configuration: groups, resources, monitors, and what follows their failures.

use clp_core::ids::{GroupId, MonitorId, ResourceId, ServerId, ServerSet};
use clp_core::plan::{
    AfterStop, Exclusion, FinalAction, GroupPlan, MonitorPlan, Plan, RecoveryTarget, ResourcePlan, Restraints, Switches, Timing,
    Waits,
};

use super::Arbiter;
use crate::rng::Rng;

/// When final actions are withheld, and some that end a server at once.
pub(super) fn draw_restraints(rng: &mut Rng, plan: &mut Plan) {
    let mut switches = || Switches { activation: rng.percent(10), deactivation: rng.percent(10), monitor: rng.percent(10) };
    let (survive, no_recovery) = (switches(), switches());
    plan.restraints = Restraints {
        survive,
        no_recovery,
        reboot_max: rng.pick(&[0, 0, 1, 3]),
        reboot_reset: plan.timing.timeout * rng.pick(&[0, 20]),
        exempt: plan.server_ids().filter(|_| rng.percent(10)).collect(),
    };
    let mut abrupt = |action: &mut FinalAction| {
        if rng.percent(8) {
            *action = FinalAction::StopService(rng.pick(&[AfterStop::SysrqPanic, AfterStop::KeepaliveReset]));
        }
    };
    for resource in &mut plan.resources {
        abrupt(&mut resource.activate_action);
        abrupt(&mut resource.deactivate_action);
    }
    plan.monitors.iter_mut().for_each(|monitor| abrupt(&mut monitor.action));
    for resource in &mut plan.resources {
        resource.activate_script = rng.percent(20);
        resource.deactivate_script = rng.percent(20);
    }
}

/// In every third run, every other resource has scripts for the other servers; drawn without a draw, so that seeds keep their runs.
pub(super) fn with_scripts_elsewhere(plan: &mut Plan, seed: u64) {
    let limit = seed.is_multiple_of(3).then_some(plan.timing.interval * 10);
    for resource in plan.resources.iter_mut().step_by(2) {
        resource.elsewhere = clp_core::plan::Elsewhere { start: limit, stop: limit };
    }
}

/// Groups, resources and monitors.
pub(super) fn draw_plan(rng: &mut Rng, servers: usize, timing: Timing, arbiter: Arbiter) -> Plan {
    let final_action = |rng: &mut Rng| {
        rng.pick(&[
            FinalAction::Nothing,
            FinalAction::NothingContinue,
            FinalAction::StopResource,
            FinalAction::StopGroup,
            FinalAction::StopService(AfterStop::Nothing),
            FinalAction::StopService(AfterStop::Shutdown),
            FinalAction::StopService(AfterStop::Reboot),
        ])
    };
    let exclusive = rng.percent(30);
    let mut groups = Vec::new();
    let mut resources: Vec<ResourcePlan> = Vec::new();
    for group in 0..rng.range(1, 5) {
        let id = GroupId::at(usize::try_from(group).expect("small"));
        let mut policy: Vec<ServerId> = (0..servers).map(ServerId::at).collect();
        rng.shuffle(&mut policy);
        if rng.percent(15) {
            policy.truncate(rng.index(servers) + 1);
        }
        let first = resources.len();
        for position in 0..usize::try_from(rng.range(1, 4)).expect("small") {
            let depends = (0..position).filter(|_| rng.percent(40)).map(|p| ResourceId::at(first + p)).collect();
            resources.push(ResourcePlan {
                name: format!("r{}", first + position),
                group: id,
                depends,
                activate_retry: u32::try_from(rng.below(3)).expect("small"),
                activate_failover: u32::try_from(rng.below(3)).expect("small"),
                activate_action: final_action(rng),
                deactivate_retry: u32::try_from(rng.below(3)).expect("small"),
                deactivate_action: final_action(rng),
                activate_script: false,
                deactivate_script: false,
                elsewhere: clp_core::plan::Elsewhere::default(),
            });
        }
        groups.push(GroupPlan {
            name: format!("g{group}"),
            policy,
            start_auto: rng.percent(85),
            failover_auto: rng.percent(85),
            failback_auto: rng.percent(30),
            exclusion: if exclusive { rng.pick(&[Exclusion::None, Exclusion::Normal, Exclusion::Full]) } else { Exclusion::None },
            life_forbids: rng.percent(60),
            shared_data: rng.percent(60),
            min_proof: None,
            resources: (first..resources.len()).map(ResourceId::at).collect(),
            waits: Waits::default(),
            server_groups: Vec::new(),
        });
    }
    let monitors = (0..usize::try_from(rng.below(4)).expect("small"))
        .map(|number| {
            let resource = ResourceId::at(rng.index(resources.len()));
            let group = resources[resource.index()].group;
            MonitorPlan {
                name: format!("m{}", MonitorId::at(number).0),
                target: rng.percent(70).then_some(resource),
                servers: ServerSet::all(servers),
                retry: u32::try_from(rng.below(2)).expect("small"),
                on_timeout: Default::default(),
                recovery: match rng.below(3) {
                    0 => RecoveryTarget::LocalServer,
                    1 => RecoveryTarget::Group(group),
                    _ => RecoveryTarget::Resource(resource),
                },
                restart_max: u32::try_from(rng.below(3)).expect("small"),
                failover_max: u32::try_from(rng.below(3)).expect("small"),
                action: final_action(rng),
                script_before: Default::default(),
            }
        })
        .collect();
    Plan {
        servers: (0..servers).map(|server| format!("s{server}")).collect(),
        timing,
        partition: arbiter.methods(),
        forced_stop: false,
        partition_action: rng.pick(&[AfterStop::Nothing, AfterStop::Shutdown, AfterStop::Reboot]),
        groups,
        resources,
        monitors,
        restraints: Restraints::default(),
    }
}
