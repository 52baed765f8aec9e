//! The core's facts in the words of the catalogue: which message, or messages, a fact is.
//!
//! Numbers that depend on what follows (a shutdown, a reboot, the end of the service) are chosen here. No decisions, no writing.

use clp_alerts::Alert;
use clp_core::action::{Alert as Fact, Blame, Restraint, SingleStep, SyncWaitEnd, Wait};
use clp_core::finals::final_words;
use clp_core::ids::{GroupId, MonitorId, ResourceId, ServerId, ServerSet};
use clp_core::plan::{AfterStop, FinalAction, Plan, RecoveryTarget};
use clp_core::recovery::{MonitorOrder, Step};
use clp_core::relocating::Relocation;
use clp_core::restarting::Restarted;

use super::asked;

/// The list's messages have a place for a code; monitors say what failed in words.
const FAILED: &str = "1";

/// The messages of a fact. `heartbeats` are the names of the paths, `me` is this server.
pub fn alerts(fact: &Fact, plan: &Plan, heartbeats: &[String], me: &str) -> Vec<Alert> {
    let group = |id: GroupId| plan.group(id).name.as_str();
    let server = |id: ServerId| plan.server(id);
    let resource = |id: ResourceId| plan.resource(id).name.as_str();
    let monitor = |id: MonitorId| plan.monitor(id).name.as_str();
    vec![match fact {
        Fact::ServerUp { server: s } => Alert::server_up(server(*s)),
        Fact::ServerDown { server: s, reason } => Alert::server_down(server(*s), reason),
        Fact::PathDown { server: s, path } => Alert::heartbeat_down(&heartbeats[*path], server(*s)),
        Fact::PathUp { server: s, path } => Alert::heartbeat_up(&heartbeats[*path], server(*s)),
        Fact::RightLost { reason, answered } => match (answered, plan.partition_action) {
            (true, AfterStop::Nothing) => Alert::split_stop(me, reason),
            (true, AfterStop::Shutdown) => Alert::split_shutdown(me, reason),
            (true, AfterStop::Reboot) => Alert::split_reboot(me, reason),
            (true, then) => Alert::split_action(final_words(FinalAction::StopService(then)), me, reason),
            (false, AfterStop::Nothing) => Alert::check_stop(me, reason),
            (false, AfterStop::Shutdown) => Alert::check_shutdown(me, reason),
            (false, AfterStop::Reboot) => Alert::check_reboot(me, reason),
            (false, then) => Alert::check_action(final_words(FinalAction::StopService(then)), me, reason),
        },
        Fact::GroupStarting { group: g } => Alert::group_starting(group(*g)),
        Fact::GroupOnline { group: g } => Alert::group_online(group(*g)),
        Fact::GroupStopping { group: g } => Alert::group_stopping(group(*g)),
        Fact::GroupOffline { group: g } => Alert::group_offline(group(*g)),
        Fact::GroupFailed { group: g, reason } => Alert::group_failed(group(*g), reason),
        Fact::GroupStopFailed { group: g, reason } => Alert::group_stop_failed(group(*g), reason),
        Fact::RelocationBegins { group: g, kind, to, reason } => {
            let (name, to) = (group(*g), server(*to));
            match kind {
                Relocation::Move => Alert::group_move(name, &format!("to {to}")),
                Relocation::Failback => Alert::group_failback(name, &format!("to {to}")),
                Relocation::Failover => {
                    let chosen = Alert::destination_chosen(to, name, reason);
                    return vec![chosen, Alert::group_failover(name, &format!("to {to}, {reason}"))];
                }
            }
        }
        Fact::RelocationEnded { group: g, kind, on } => {
            let (name, on) = (group(*g), format!("on {}", server(*on)));
            match kind {
                Relocation::Move => Alert::group_moved(name, &on),
                Relocation::Failback => Alert::group_failed_back(name, &on),
                Relocation::Failover => Alert::group_failed_over(name, &on),
            }
        }
        Fact::RelocationFailed { group: g, kind, reason } => match kind {
            Relocation::Move => Alert::group_move_failed(group(*g), reason),
            Relocation::Failback => Alert::group_failback_failed(group(*g), reason),
            Relocation::Failover => Alert::group_failover_failed(group(*g), reason),
        },
        Fact::SyncWaitBegins { limit } => Alert::sync_wait_begins(&format!("at most {} s", limit.as_secs_f64())),
        Fact::SyncWaitOver { how } => {
            let names = |servers: &ServerSet| servers.iter().map(server).collect::<Vec<_>>().join(", ");
            match how {
                SyncWaitEnd::AllArrived => Alert::sync_wait_all(),
                SyncWaitEnd::Expired(missing) => Alert::sync_wait_expired(&names(missing)),
                SyncWaitEnd::Unreached(missing) => Alert::sync_wait_unreached(&names(missing)),
                SyncWaitEnd::Cancelled(reason) => Alert::sync_wait_cancelled(reason),
            }
        }
        Fact::Unreachable { server: s } => Alert::communication_lost(server(*s)),
        Fact::Reachable { server: s } => Alert::communication_restored(server(*s)),
        Fact::ClusterStops { then } => asked::stops(*then),
        Fact::RecoveryWithoutTarget { monitor: m } => {
            Alert::recovery_without_target(target(*m, plan, me), &format!("monitor {}", monitor(*m)))
        }
        Fact::GroupStranded { group: g, reason, nowhere: true } => Alert::no_destination(group(*g), reason),
        Fact::GroupStranded { group: g, reason, nowhere: false } => Alert::group_stranded(group(*g), reason),
        Fact::StopForced { server: s } => Alert::stop_forced(server(*s)),
        Fact::StopProven { server: s, how } => Alert::stop_proven(server(*s), how),
        Fact::StopUnproven { server: s, reason } => Alert::stop_unproven(server(*s), reason),
        Fact::ProofShort { group: g, best, least } => {
            Alert::proof_short(group(*g), best.word(), &format!("it accepts no weaker one than {}", least.word()))
        }
        Fact::ProofEnough { group: g } => Alert::proof_enough(group(*g)),
        Fact::DoubleOwner { group: g, first, second } => {
            Alert::double_owner(group(*g), &format!("{} and {}", server(*first), server(*second)))
        }
        Fact::ActivateFailed { resource: r, code, reason, again } => {
            let failed = Alert::activation_failed(resource(*r), &code.to_string(), reason);
            let again = again.then(|| Alert::activation_again(resource(*r), resource(*r)));
            return std::iter::once(failed).chain(again).collect();
        }
        Fact::DeactivateFailed { resource: r, code, reason, again } => {
            let failed = Alert::deactivation_failed(resource(*r), &code.to_string(), reason);
            let again = again.then(|| Alert::deactivation_again(resource(*r), resource(*r)));
            return std::iter::once(failed).chain(again).collect();
        }
        Fact::ElsewhereAsked { resource: r, server: s, start: true } => Alert::start_elsewhere_asked(resource(*r), server(*s)),
        Fact::ElsewhereAsked { resource: r, server: s, start: false } => Alert::stop_elsewhere_asked(resource(*r), server(*s)),
        Fact::ElsewhereDone { resource: r, server: s, start: true } => Alert::start_elsewhere(resource(*r), server(*s)),
        Fact::ElsewhereDone { resource: r, server: s, start: false } => Alert::stop_elsewhere(resource(*r), server(*s)),
        Fact::ElsewhereFailed { resource: r, server: s, start, code, reason } => {
            let words = format!("code {code}, {reason}");
            let alert = if *start { Alert::start_elsewhere_failed } else { Alert::stop_elsewhere_failed };
            alert(resource(*r), server(*s), &words)
        }
        Fact::MonitorError { monitor: m, reason } => Alert::monitor_error(monitor(*m), FAILED, reason),
        Fact::MonitorNormal { monitor: m } => Alert::monitor_recovered(monitor(*m)),
        Fact::MonitorOrdered { monitor: m, order } => return ordered(m.map(monitor), *order).into_iter().collect(),
        Fact::MonitorOrderRefused { monitor: m, order, reason } => {
            return refused(monitor(*m), *order, reason).into_iter().collect();
        }
        Fact::RecoveryWithheld { monitor: m } => Alert::recovery_withheld(monitor(*m)),
        Fact::Recovery { monitor: m, rung, step } => return recovery(*m, rung, step, plan, me).into_iter().collect(),
        Fact::RestartBegins { what: Restarted::Group(g) } => Alert::group_restart(group(*g)),
        Fact::RestartBegins { what: Restarted::Resource(r) } => Alert::resource_restart(resource(*r)),
        Fact::RestartEnded { what: Restarted::Group(g) } => Alert::group_restarted(group(*g)),
        Fact::RestartEnded { what: Restarted::Resource(r) } => Alert::resource_restarted(resource(*r)),
        Fact::RestartFailed { what: Restarted::Group(g), reason } => Alert::group_restart_failed(group(*g), reason),
        Fact::RestartFailed { what: Restarted::Resource(r), reason } => Alert::resource_restart_failed(resource(*r), reason),
        Fact::SingleResource { resource: r, step } => single(resource(*r), step, me),
        Fact::DeclaredOff { server: s } => Alert::declared_off(server(*s)),
        Fact::TimeoutRatio { ratio: 1, .. } => Alert::ratio_ended(),
        Fact::TimeoutRatio { ratio, span } => {
            Alert::ratio_begins(&ratio.to_string(), &format!("for {} min", span.as_secs().div_ceil(60)))
        }
        // Who waits for the service to rest before a configuration is applied waits for pm/2 (row S-CFG-WAITMSG).
        Fact::Suspended { on: true } => {
            return vec![asked::rests(true), Alert::cluster_suspended(), Alert::daemon_stopped("the cluster is suspended")];
        }
        Fact::Suspended { on: false } => return vec![asked::rests(false), Alert::cluster_resumed()],
        Fact::StartWait { group: g, on, wait } => start_wait(group(*on), group(*g), *wait),
        Fact::StopWait { group: g, on, wait } => stop_wait(group(*on), group(*g), *wait),
        Fact::ServerGroupChosen { group: g, to, server_group } => {
            let list = &plan.group(*g).server_groups[*server_group].name;
            Alert::server_group_chosen(server(*to), list, group(*g))
        }
        Fact::ServerGroupExhausted { group: g, server_group } => {
            Alert::server_group_exhausted(group(*g), &plan.group(*g).server_groups[*server_group].name)
        }
        Fact::ExemptServer { server: s, other } => {
            let kept = Alert::exempt_kept(server(*s), "its copy of the group stays");
            return vec![kept, Alert::exempt_not(server(*other), "its copy of the group is stopped")];
        }
        Fact::Withheld { blame, action, restraint } => withheld(*blame, *action, *restraint, plan),
        Fact::FinalAction { resource: r, activation, action, reason } => {
            final_action(group(plan.resource(*r).group), resource(*r), *activation, *action, reason)
        }
    }]
}

fn start_wait(on: &str, group: &str, wait: Wait) -> Alert {
    let who = format!("{group} is to start");
    match wait {
        Wait::Begins => Alert::start_wait_begins(on, &who),
        Wait::Over => Alert::start_wait_over(on, &who),
        Wait::Expired => Alert::start_wait_expired(on, &who),
        Wait::Failed => Alert::start_wait_failed(on, &who),
    }
}

fn stop_wait(on: &str, group: &str, wait: Wait) -> Alert {
    let who = format!("{group} is to stop");
    match wait {
        Wait::Begins => Alert::stop_wait_begins(on, &who),
        Wait::Over => Alert::stop_wait_over(on, &who),
        Wait::Expired => Alert::stop_wait_expired(on, &who),
        Wait::Failed => Alert::stop_wait_failed(on, &who),
    }
}

fn withheld(blame: Blame, action: FinalAction, restraint: Restraint, plan: &Plan) -> Alert {
    let words = final_words(action);
    let resource = |id: ResourceId| plan.resource(id).name.as_str();
    match (restraint, blame) {
        (Restraint::Disabled, Blame::Activation(id)) => Alert::disabled_activation(resource(id)),
        (Restraint::Disabled, Blame::Deactivation(id)) => Alert::disabled_deactivation(resource(id)),
        (Restraint::Disabled, Blame::Monitor(id)) => Alert::disabled_monitor(&plan.monitor(id).name),
        (Restraint::Alone, Blame::Activation(id)) => Alert::alone_activation(resource(id), words),
        (Restraint::Alone, Blame::Deactivation(id)) => Alert::alone_deactivation(resource(id), words),
        (Restraint::Alone, Blame::Monitor(id)) => Alert::alone_monitor(words, &plan.monitor(id).name),
        (Restraint::Reboots(limit), Blame::Activation(id) | Blame::Deactivation(id)) => {
            Alert::reboots_spent_resource(&limit.to_string(), resource(id), words)
        }
        (Restraint::Reboots(limit), Blame::Monitor(id)) => {
            Alert::reboots_spent_monitor(&limit.to_string(), &plan.monitor(id).name, words)
        }
    }
}

fn ordered(monitor: Option<&str>, order: MonitorOrder) -> Option<Alert> {
    Some(match (order, monitor) {
        (MonitorOrder::Suspend, Some(monitor)) => Alert::monitor_suspended(monitor),
        (MonitorOrder::Suspend, None) => Alert::monitors_suspended(),
        (MonitorOrder::Resume, Some(monitor)) => Alert::monitor_resumed(monitor),
        (MonitorOrder::Resume, None) => Alert::monitors_resumed(),
        (MonitorOrder::FailureOn, Some(monitor)) => Alert::dummy_on(monitor),
        (MonitorOrder::FailureOn, None) => Alert::dummies_on(),
        (MonitorOrder::FailureOff, Some(monitor)) => Alert::dummy_off(monitor),
        (MonitorOrder::FailureOff, None) => Alert::dummies_off(),
        (MonitorOrder::ClearCounts, _) => return None,
    })
}

fn single(resource: &str, step: &SingleStep, me: &str) -> Alert {
    match step {
        SingleStep::Starting => Alert::single_starting(resource),
        SingleStep::Started => Alert::single_started(resource),
        SingleStep::StartFailed(reason) => Alert::single_start_failed(resource, reason),
        SingleStep::Refused(reason) => Alert::single_refused(me, resource, reason),
        SingleStep::Stopping => Alert::single_stopping(resource),
        SingleStep::Stopped => Alert::single_stopped(resource),
        SingleStep::StopFailed(reason) => Alert::single_stop_failed(resource, reason),
    }
}

fn refused(monitor: &str, order: MonitorOrder, reason: &str) -> Option<Alert> {
    match order {
        MonitorOrder::FailureOn => Some(Alert::dummy_on_failed(monitor, reason)),
        MonitorOrder::FailureOff => Some(Alert::dummy_off_failed(monitor, reason)),
        // Who asked is told; nothing changed.
        MonitorOrder::Suspend | MonitorOrder::Resume | MonitorOrder::ClearCounts => None,
    }
}

/// What a monitor's recovery acts upon.
fn target<'a>(id: MonitorId, plan: &'a Plan, me: &'a str) -> &'a str {
    match plan.monitor(id).recovery {
        RecoveryTarget::LocalServer => me,
        RecoveryTarget::Group(group) => plan.group(group).name.as_str(),
        RecoveryTarget::Resource(resource) => plan.resource(resource).name.as_str(),
    }
}

fn recovery(id: MonitorId, rung: &Step, step: &str, plan: &Plan, me: &str) -> Option<Alert> {
    let monitor = plan.monitor(id).name.as_str();
    let target = target(id, plan, me);
    Some(match rung {
        Step::None | Step::Recovered | Step::Error | Step::Withheld | Step::Disabled => return None,
        Step::Reactivate(_) => Alert::recovery_restarted(target, monitor, step),
        Step::Failover(_) => Alert::recovery_failed_over(target, monitor, step),
        Step::Final(FinalAction::StopResource | FinalAction::StopGroup) => Alert::recovery_stopped(target, monitor, step),
        Step::Final(FinalAction::StopService(AfterStop::Nothing)) => Alert::recovery_service(monitor, step),
        Step::Final(FinalAction::StopService(AfterStop::Shutdown)) => Alert::recovery_halt(monitor, step),
        Step::Final(FinalAction::StopService(AfterStop::Reboot)) => Alert::recovery_reboot(monitor, step),
        Step::Final(FinalAction::StopService(AfterStop::SysrqPanic)) => Alert::recovery_sysrq_panic(monitor, step),
        Step::Final(FinalAction::StopService(AfterStop::KeepaliveReset)) => Alert::recovery_keepalive_reset(monitor, step),
        Step::Final(FinalAction::StopService(AfterStop::KeepalivePanic)) => Alert::recovery_keepalive_panic(monitor, step),
        Step::Final(FinalAction::Nothing | FinalAction::NothingContinue) => Alert::recovery_over(monitor, step),
    })
}

fn final_action(group: &str, resource: &str, activation: bool, action: FinalAction, reason: &str) -> Alert {
    match (activation, action) {
        (true, FinalAction::StopGroup) => Alert::activation_final_group(group, resource, reason),
        (true, FinalAction::StopService(AfterStop::Nothing)) => Alert::activation_final_service(resource, reason),
        (true, FinalAction::StopService(AfterStop::Shutdown)) => Alert::activation_final_halt(resource, reason),
        (true, FinalAction::StopService(AfterStop::Reboot)) => Alert::activation_final_reboot(resource, reason),
        (true, FinalAction::StopService(AfterStop::SysrqPanic)) => Alert::activation_sysrq_panic(resource, reason),
        (true, FinalAction::StopService(AfterStop::KeepaliveReset)) => Alert::activation_keepalive_reset(resource, reason),
        (true, FinalAction::StopService(AfterStop::KeepalivePanic)) => Alert::activation_keepalive_panic(resource, reason),
        (false, FinalAction::StopGroup) => Alert::deactivation_final_group(group, resource, reason),
        (false, FinalAction::StopService(AfterStop::Nothing)) => Alert::deactivation_final_service(resource, reason),
        (false, FinalAction::StopService(AfterStop::Shutdown)) => Alert::deactivation_final_halt(resource, reason),
        (false, FinalAction::StopService(AfterStop::Reboot)) => Alert::deactivation_final_reboot(resource, reason),
        (false, FinalAction::StopService(AfterStop::SysrqPanic)) => Alert::deactivation_sysrq_panic(resource, reason),
        (false, FinalAction::StopService(AfterStop::KeepaliveReset)) => Alert::deactivation_keepalive_reset(resource, reason),
        (false, FinalAction::StopService(AfterStop::KeepalivePanic)) => Alert::deactivation_keepalive_panic(resource, reason),
        (_, FinalAction::StopResource | FinalAction::Nothing | FinalAction::NothingContinue) => {
            Alert::final_action(&format!("{} ({resource})", final_words(action)), reason)
        }
    }
}
