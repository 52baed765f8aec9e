//! What the core's tests stand on: plans of which a test says only what matters to it.
#![allow(dead_code, reason = "each file of tests uses a part of it")]

use std::time::Duration;

use clp_core::arbiter::Answer;
use clp_core::cluster::Identity;
use clp_core::event::Event;
use clp_core::ids::{GroupId, ResourceId, ServerId, ServerSet};
use clp_core::plan::{
    AfterStop, Elsewhere, Exclusion, FinalAction, GroupPlan, MonitorPlan, OnTimeout, Plan, RecoveryTarget, ResourcePlan,
    Restraints, ScriptBefore, Timing, Waits,
};

pub const fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

/// T_s of a second, as short as the sum allows for groups without and with data.
pub const TIMING: Timing = Timing {
    interval: ms(100),
    timeout: ms(1000),
    right_timeout: ms(600),
    arbiter: ms(300),
    watchdog_hold: ms(500),
    gate: ms(100),
    takeover_addresses: ms(0),
    takeover_data: ms(800),
    reset: ms(1100),
    sync_wait: ms(2000),
};

/// The same with the least delay that a group with data may have.
pub const TIMING_SHORT: Timing = Timing { takeover_data: ms(700), ..TIMING };

/// A group without data at home on the first of two servers; it starts and fails over by itself, and does not fail back.
pub fn group(name: &str, resources: &[u16]) -> GroupPlan {
    GroupPlan {
        name: name.into(),
        policy: vec![ServerId(0), ServerId(1)],
        start_auto: true,
        failover_auto: true,
        failback_auto: false,
        exclusion: Exclusion::None,
        life_forbids: false,
        shared_data: false,
        min_proof: None,
        resources: resources.iter().map(|id| ResourceId(*id)).collect(),
        waits: Waits::default(),
        server_groups: Vec::new(),
    }
}

/// A resource that is tried once everywhere; nothing follows its failures.
pub fn resource(name: &str, group: GroupId, depends: &[u16]) -> ResourcePlan {
    ResourcePlan {
        name: name.into(),
        group,
        depends: depends.iter().map(|id| ResourceId(*id)).collect(),
        activate_retry: 0,
        activate_failover: 1,
        activate_action: FinalAction::Nothing,
        deactivate_retry: 0,
        deactivate_action: FinalAction::Nothing,
        activate_script: false,
        deactivate_script: false,
        elsewhere: Elsewhere::default(),
    }
}

/// A monitor of both servers whose first error counts: one failover, and nothing after it.
pub fn monitor(name: &str, recovery: RecoveryTarget) -> MonitorPlan {
    MonitorPlan {
        name: name.into(),
        target: None,
        servers: ServerSet::all(2),
        retry: 0,
        on_timeout: OnTimeout::default(),
        recovery,
        restart_max: 0,
        failover_max: 1,
        action: FinalAction::Nothing,
        script_before: ScriptBefore::default(),
    }
}

/// Two servers without a partition resolution.
pub fn plan(groups: Vec<GroupPlan>, resources: Vec<ResourcePlan>) -> Plan {
    Plan {
        servers: vec!["server1".into(), "server2".into()],
        timing: TIMING,
        partition: Vec::new(),
        forced_stop: false,
        partition_action: AfterStop::Nothing,
        groups,
        resources,
        monitors: Vec::new(),
        restraints: Restraints::default(),
    }
}

/// A life of a server with one path that remembers nothing.
pub fn identity(me: usize, incarnation: u64) -> Identity {
    Identity {
        me: ServerId::at(me),
        incarnation,
        boot: incarnation,
        paths: 1,
        generation: 1,
        suspended: false,
        ratio: 1,
        reboots: 0,
        ran: ServerSet::EMPTY,
    }
}

/// One group with data: fip1 and disk1 are independent, exec1 needs both.
pub fn usual(servers: usize, monitors: Vec<MonitorPlan>) -> Plan {
    let group = GroupPlan {
        policy: (0..servers).map(ServerId::at).collect(),
        life_forbids: true,
        shared_data: true,
        min_proof: None,
        ..group("failover1", &[0, 1, 2])
    };
    let resource = |name: &str, depends: &[u16]| ResourcePlan { activate_retry: 1, ..resource(name, GroupId(0), depends) };
    let resources = vec![resource("fip1", &[]), resource("disk1", &[]), resource("exec1", &[0, 1])];
    let servers = (0..servers).map(|server| format!("server{}", server + 1)).collect();
    Plan { servers, timing: TIMING_SHORT, monitors, ..plan(vec![group], resources) }
}

/// The answer of one partition resolution.
pub fn verdict(ask: u64, yes: bool, reason: &str) -> Event {
    let answer = if yes { Answer::Yes } else { Answer::No };
    Event::Verdict { ask, answers: vec![Some(answer)], age: Duration::ZERO, reason: reason.into() }
}
