//! Waits between groups, final actions and what withholds them, with two servers in a world without faults of its own.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::BTreeSet;
use std::time::Duration;

use clp_core::action::{Action, Alert, Blame, Restraint, Wait, Work};
use clp_core::cluster::{Cluster, Identity};
use clp_core::event::{Event, Failure};
use clp_core::ids::{GroupId, MonitorId, ResourceId, ServerId};
use clp_core::message::{Command, Phase};
use clp_core::plan::{
    AfterStop, FinalAction, MonitorPlan, Plan, RecoveryTarget, ResourcePlan, StartAfter, StopOccasions, Switches, Waits,
};
use clp_core::time::Time;
use clp_core::verdict::MethodKind;

mod ground;

const FIRST: GroupId = GroupId(0);
const SECOND: GroupId = GroupId(1);

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Two servers; two groups of one resource each, both at home on the first server.
fn plan() -> Plan {
    let resource = |name: &str, group: GroupId| ResourcePlan {
        activate_retry: 1,
        activate_failover: 0,
        activate_action: FinalAction::StopService(AfterStop::Reboot),
        deactivate_retry: 1,
        deactivate_action: FinalAction::StopService(AfterStop::Shutdown),
        ..ground::resource(name, group, &[])
    };
    let action = FinalAction::StopService(AfterStop::KeepaliveReset);
    let monitor = MonitorPlan { failover_max: 0, action, ..ground::monitor("m0", RecoveryTarget::LocalServer) };
    let groups = vec![ground::group("first", &[0]), ground::group("second", &[1])];
    Plan {
        partition: vec![MethodKind::Ping],
        monitors: vec![monitor],
        ..ground::plan(groups, vec![resource("r0", FIRST), resource("r1", SECOND)])
    }
}

/// The second group waits for the first.
fn waiting(same_server: bool) -> Plan {
    let mut plan = plan();
    plan.groups[1].waits = Waits {
        start: vec![StartAfter { group: FIRST, same_server }],
        start_limit: seconds(20),
        stop: vec![FIRST],
        stop_limit: seconds(20),
        stop_at: StopOccasions { cluster: true, server: true, group: true },
    };
    plan
}

struct World {
    now: Time,
    servers: Vec<Option<Cluster>>,
    log: Vec<(usize, Action)>,
    /// Resources on which nothing ends, and those on which everything fails.
    slow: BTreeSet<ResourceId>,
    broken: BTreeSet<ResourceId>,
    /// Left from a former life, and not to be stopped.
    left: BTreeSet<ResourceId>,
    held: Vec<(usize, u64, ResourceId)>,
    /// Nobody hears the other, and the resolution says No to both.
    cut: bool,
    /// Nobody hears the first, and the resolution says No to it.
    mute: bool,
}

impl World {
    /// Both servers are up; nothing is waited for.
    fn new(plan: &Plan, reboots: u32) -> World {
        let server = |me: usize| {
            let identity = Identity { boot: 7, reboots, ..ground::identity(me, 1) };
            Some(Cluster::new(plan.clone(), identity, Time(0)))
        };
        World {
            now: Time(0),
            servers: vec![server(0), server(1)],
            log: Vec::new(),
            slow: BTreeSet::new(),
            broken: BTreeSet::new(),
            left: BTreeSet::new(),
            held: Vec::new(),
            cut: false,
            mute: false,
        }
    }

    fn give(&mut self, server: usize, event: Event) {
        let Some(cluster) = &mut self.servers[server] else { return };
        for action in cluster.handle(self.now, event) {
            self.log.push((server, action.clone()));
            let from = ServerId::at(server);
            match action {
                Action::Beat(_) | Action::Send(_) if self.cut || (self.mute && server == 0) => {}
                Action::Beat(frame) => self.give(1 - server, Event::Frame { from, path: 0, lan: true, frame }),
                Action::Send(letter) => self.give(letter.to.server.index(), Event::Message { from, letter }),
                Action::AskPartition { ask } => {
                    self.give(server, ground::verdict(ask.number, !self.cut && (!self.mute || server != 0), "asked"));
                }
                Action::Resource { resource, work: Work::Detach, op } => self.end(server, op, resource),
                Action::Resource { op, resource, work } if work != Work::Verify && self.slow.contains(&resource) => {
                    self.held.push((server, op, resource));
                }
                Action::Resource { op, resource, work: Work::Verify } => {
                    let result = if self.left.contains(&resource) { Err("it is still there".into()) } else { Ok(()) };
                    self.give(server, Event::ResourceDone { op, resource, result });
                }
                Action::Resource { op, resource, .. } => self.end(server, op, resource),
                Action::Exit { .. } | Action::EndServer { .. } => self.servers[server] = None,
                _ => {}
            }
        }
    }

    fn end(&mut self, server: usize, op: u64, resource: ResourceId) {
        let result = if self.broken.contains(&resource) { Err("broken".into()) } else { Ok(()) };
        self.give(server, Event::ResourceDone { op, resource, result });
    }

    /// What is slow ends now.
    fn release(&mut self) {
        self.slow.clear();
        for (server, op, resource) in std::mem::take(&mut self.held) {
            self.end(server, op, resource);
        }
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            for server in 0..2 {
                self.give(server, Event::Deadline);
            }
            self.now = self.now + Duration::from_millis(20);
        }
    }

    fn phases(&self, server: usize) -> [Phase; 2] {
        [FIRST, SECOND].map(|group| self.servers[server].as_ref().map_or(Phase::Off, |cluster| cluster.local_phase(group)))
    }

    fn order(&mut self, command: Command) {
        self.give(0, Event::Operator { id: 1, command });
    }

    fn alerts(&self) -> Vec<Alert> {
        let alert = |(_, action): &(usize, Action)| match action {
            Action::Alert(alert) => Some(alert.clone()),
            _ => None,
        };
        self.log.iter().filter_map(alert).collect()
    }

    fn has_told(&self, wanted: &Alert) -> bool {
        self.alerts().contains(wanted)
    }

    fn did(&self, what: impl Fn(&Action) -> bool) -> usize {
        self.log.iter().filter(|(_, action)| what(action)).count()
    }

    fn why(&self, group: GroupId) -> String {
        let causes = self.servers[0].as_ref().unwrap().causes_of(group);
        causes.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("\n")
    }
}

#[test]
fn a_start_waits_and_goes_on_or_is_given_up_with_its_time() {
    let mut world = World::new(&waiting(false), 0);
    world.slow.insert(ResourceId(0));
    world.run(seconds(10));
    assert_eq!(world.phases(0), [Phase::Starting, Phase::Off]);
    assert!(world.has_told(&Alert::StartWait { group: SECOND, on: FIRST, wait: Wait::Begins }));
    assert!(world.why(SECOND).contains("waiting until first is online, at most 20 s"), "{}", world.why(SECOND));
    world.release();
    world.run(seconds(1));
    assert_eq!(world.phases(0), [Phase::On, Phase::On]);
    assert!(world.has_told(&Alert::StartWait { group: SECOND, on: FIRST, wait: Wait::Over }));
    // Nobody starts the first one: the second gives up, in words and for good.
    world.order(Command::GroupStop { group: Some(SECOND), server: None });
    world.order(Command::GroupStop { group: Some(FIRST), server: None });
    world.run(seconds(2));
    world.log.clear();
    world.order(Command::GroupStart { group: Some(SECOND), server: None });
    world.run(seconds(19));
    assert!(world.alerts().iter().all(|alert| !matches!(alert, Alert::StartWait { wait: Wait::Expired, .. })), "not before");
    world.run(seconds(3));
    assert!(world.has_told(&Alert::StartWait { group: SECOND, on: FIRST, wait: Wait::Expired }));
    assert!(world.why(SECOND).contains("its start was given up: first did not come online within 20 s"));
    let answers = world.did(|action| matches!(action, Action::Answer { answer: clp_core::message::Answer::Refused { .. }, .. }));
    assert_eq!(answers, 1, "the operator is told");
    world.order(Command::GroupStart { group: Some(FIRST), server: None });
    world.run(seconds(3));
    assert_eq!(world.phases(0), [Phase::On, Phase::Off]);
}

#[test]
fn a_start_whose_group_failed_for_good_is_given_up_at_once() {
    let mut plan = waiting(false);
    plan.resources[0].activate_action = FinalAction::Nothing;
    let mut world = World::new(&plan, 0);
    world.broken.insert(ResourceId(0));
    world.run(seconds(8));
    assert!(world.has_told(&Alert::StartWait { group: SECOND, on: FIRST, wait: Wait::Failed }));
    assert_eq!(world.phases(0), [Phase::OnlineFailure, Phase::Off]);
}

#[test]
fn a_wait_on_the_same_server_alone_leaves_other_servers_free() {
    let mut plan = waiting(true);
    plan.groups[1].policy = vec![ServerId(1), ServerId(0)];
    let mut world = World::new(&plan, 0);
    world.slow.insert(ResourceId(0));
    world.run(seconds(8));
    assert_eq!((world.phases(0), world.phases(1)), ([Phase::Starting, Phase::Off], [Phase::Off, Phase::On]));
    let mut world = World::new(&waiting(true), 0);
    world.slow.insert(ResourceId(0));
    world.run(seconds(8));
    assert_eq!(world.phases(0), [Phase::Starting, Phase::Off], "on the same server it waits");
}

#[test]
fn a_stop_waits_at_every_occasion_and_goes_on_with_its_time() {
    let begins = Alert::StopWait { group: SECOND, on: FIRST, wait: Wait::Begins };
    let ended = |wait| Alert::StopWait { group: SECOND, on: FIRST, wait };
    // By an operator: the first one goes on, so the time decides.
    let mut world = World::new(&waiting(false), 0);
    world.run(seconds(5));
    world.order(Command::GroupStop { group: Some(SECOND), server: None });
    world.run(seconds(15));
    assert!(world.has_told(&begins) && world.phases(0) == [Phase::On, Phase::On]);
    world.run(seconds(8));
    assert!(world.has_told(&ended(Wait::Expired)) && world.phases(0) == [Phase::On, Phase::Off]);
    // Started again while its stop waits, it goes on.
    let mut world = World::new(&waiting(false), 0);
    world.run(seconds(5));
    world.order(Command::GroupStop { group: Some(SECOND), server: None });
    world.run(seconds(5));
    world.order(Command::GroupStart { group: None, server: None });
    world.run(seconds(25));
    assert_eq!(world.phases(0), [Phase::On, Phase::On]);
    // This server stops, and the whole cluster.
    for all in [false, true] {
        let mut world = World::new(&waiting(false), 0);
        world.run(seconds(5));
        world.slow.insert(ResourceId(0));
        match all {
            false => world.give(0, Event::StopService { id: 5, then: AfterStop::Nothing }),
            true => world.order(Command::StopAll { then: AfterStop::Nothing }),
        }
        world.run(seconds(10));
        assert_eq!(world.phases(0), [Phase::Stopping, Phase::On], "all: {all}");
        world.release();
        world.run(seconds(1));
        assert!(world.has_told(&ended(Wait::Over)), "all: {all}");
        assert_eq!(world.phases(0), [Phase::Off, Phase::Off]);
    }
    // What cannot be stopped is not waited for.
    let mut world = World::new(&waiting(false), 0);
    world.run(seconds(5));
    world.broken.insert(ResourceId(0));
    world.give(0, Event::StopService { id: 5, then: AfterStop::Nothing });
    world.run(seconds(2));
    assert!(world.has_told(&ended(Wait::Failed)), "{:?}", world.alerts());
}

#[test]
fn a_stop_that_waits_keeps_nobody_from_giving_up_what_it_lost_the_right_to() {
    let mut world = World::new(&waiting(false), 0);
    world.run(seconds(5));
    world.slow.insert(ResourceId(0));
    world.give(0, Event::StopService { id: 5, then: AfterStop::Nothing });
    world.run(seconds(1));
    assert_eq!(world.phases(0), [Phase::Stopping, Phase::On]);
    world.cut = true;
    world.run(seconds(1));
    assert_eq!(world.did(|action| matches!(action, Action::Emergency { .. })), 1);
    assert!(!world.servers[0].as_ref().unwrap().may_feed_watchdog(world.now));
    world.give(0, Event::EmergencyDone);
    assert_eq!(world.phases(0), [Phase::Off, Phase::Off]);
}

#[test]
fn nothing_is_started_before_the_watchdog_had_the_time_to_be_opened() {
    let mut plan = plan();
    plan.resources[0].deactivate_action = FinalAction::StopResource;
    let mut world = World::new(&plan, 0);
    world.left.insert(ResourceId(0));
    world.mute = true;
    world.run(Duration::from_millis(600));
    let may_feed = |world: &World| world.servers[0].as_ref().is_some_and(|server| server.may_feed_watchdog(world.now));
    assert!(!may_feed(&world), "something is left there, and no right");
    world.mute = false;
    let started = |world: &World| world.did(|action| matches!(action, Action::Resource { work: Work::Activate { .. }, .. })) > 0;
    let mut fed_since = None;
    while !started(&world) {
        assert!(world.now < Time(60_000_000), "{:?}", world.alerts());
        world.run(Duration::from_millis(20));
        fed_since = if may_feed(&world) { fed_since.or(Some(world.now)) } else { None };
    }
    let opened = fed_since.map(|since| world.now.since(since)).expect("it may be fed");
    assert!(opened + Duration::from_millis(40) >= plan.timing.interval * 2, "{opened:?}");
}

#[test]
fn nobody_moves_a_group_to_where_it_would_have_to_wait() {
    let mut world = World::new(&waiting(false), 0);
    world.run(seconds(5));
    world.order(Command::GroupStop { group: Some(FIRST), server: None });
    world.run(seconds(2));
    world.order(Command::GroupMove { group: Some(SECOND), from: None, to: None });
    world.run(seconds(2));
    let refused = world.did(|action| {
        matches!(action, Action::Answer { answer: clp_core::message::Answer::Refused { reason, .. }, .. } if reason.contains("starts only when first is online"))
    });
    assert_eq!((refused, world.phases(0)), (1, [Phase::Off, Phase::On]));
}

/// An activation that fails, under these rules; what was told of it.
fn failing(change: impl Fn(&mut Plan), reboots: u32, alone: bool) -> World {
    let mut plan = plan();
    plan.groups[1].start_auto = false;
    change(&mut plan);
    let mut world = World::new(&plan, reboots);
    if alone {
        world.servers[1] = None;
    }
    world.broken.insert(ResourceId(0));
    world.run(seconds(8));
    world
}

#[test]
fn final_actions_are_withheld_where_nobody_else_runs_where_recovery_is_off_and_when_they_were_too_many() {
    let blame = Blame::Activation(ResourceId(0));
    let action = FinalAction::StopService(AfterStop::Reboot);
    let told = |restraint| Alert::Withheld { blame, action, restraint };
    let ends = |world: &World| world.did(|action| matches!(action, Action::Exit { .. } | Action::EndServer { .. }));
    let tries = |world: &World| world.did(|action| matches!(action, Action::Resource { work: Work::Activate { .. }, .. }));
    let activation = Switches { activation: true, ..Switches::default() };
    // Nothing withholds it: one retry, then the reboot, which is counted before.
    let world = failing(|_| {}, 0, false);
    let counted = |(server, action): &&(usize, Action)| *server == 0 && matches!(action, Action::RememberReboots { count: 1 });
    assert_eq!(world.log.iter().filter(counted).count(), 1, "{:?}", world.alerts());
    assert!(ends(&world) >= 1);
    // The other one runs, so that nobody is alone.
    let survive = |plan: &mut Plan| plan.restraints.survive = activation;
    assert!(ends(&failing(survive, 0, false)) >= 1);
    let world = failing(
        |plan| {
            plan.restraints.survive = activation;
            plan.partition = Vec::new();
        },
        0,
        true,
    );
    assert!(world.has_told(&told(Restraint::Alone)), "{:?}", world.alerts());
    assert_eq!(ends(&world), 0);
    // Switched off: no retry, and nothing else.
    let world = failing(|plan| plan.restraints.no_recovery = activation, 0, false);
    assert!(world.has_told(&told(Restraint::Disabled)));
    assert_eq!((tries(&world), ends(&world)), (1, 0));
    // Too many.
    let world = failing(|plan| plan.restraints.reboot_max = 2, 2, false);
    assert!(world.has_told(&told(Restraint::Reboots(2))));
    assert_eq!((tries(&world), ends(&world)), (2, 0));
    // They are forgotten after a while of running.
    let patient = |plan: &mut Plan| {
        plan.restraints.reboot_max = 2;
        plan.restraints.reboot_reset = seconds(5);
    };
    let mut world = failing(patient, 2, false);
    assert_eq!(world.did(|action| matches!(action, Action::RememberReboots { count: 0 })), 2, "on both servers");
    world.order(Command::GroupStop { group: Some(FIRST), server: None });
    world.broken.clear();
    world.run(seconds(3));
    world.broken.insert(ResourceId(0));
    world.order(Command::GroupStart { group: Some(FIRST), server: None });
    world.run(seconds(3));
    assert!(ends(&world) >= 1, "{:?}", world.alerts());
}

#[test]
fn the_script_before_a_final_action_is_waited_for_and_a_failure_that_is_over_needs_none() {
    let script = |plan: &mut Plan| plan.resources[0].activate_script = true;
    let ends = |world: &World| world.did(|action| matches!(action, Action::Exit { .. }));
    let mut world = failing(script, 0, false);
    let wanted = |action: &Action| matches!(action, Action::FinalScript { script: 1, activation: true, .. });
    assert_eq!((world.did(wanted), ends(&world)), (1, 0));
    world.give(0, Event::FinalScriptDone { resource: ResourceId(0), script: 9 });
    world.run(seconds(2));
    assert_eq!(ends(&world), 0, "that was another script");
    world.give(0, Event::FinalScriptDone { resource: ResourceId(0), script: 1 });
    world.run(seconds(2));
    assert_eq!(ends(&world), 1);
    let mut world = failing(script, 0, false);
    world.broken.clear();
    world.order(Command::GroupStop { group: Some(FIRST), server: None });
    world.run(seconds(1));
    world.give(0, Event::FinalScriptDone { resource: ResourceId(0), script: 1 });
    world.run(seconds(2));
    assert_eq!(ends(&world), 0);
}

#[test]
fn a_group_that_failed_to_start_here_keeps_no_server_from_its_monitors_final_action() {
    let mut plan = plan();
    plan.resources[0].activate_action = FinalAction::Nothing;
    plan.monitors[0].action = FinalAction::StopService(AfterStop::Shutdown);
    let mut world = World::new(&plan, 0);
    world.broken.insert(ResourceId(0));
    world.run(seconds(8));
    assert_eq!(world.phases(0), [Phase::OnlineFailure, Phase::On]);
    world.give(0, Event::MonitorResult { monitor: MonitorId(0), failure: Some(Failure::error("bad")) });
    world.run(seconds(3));
    assert_eq!(world.did(|action| matches!(action, Action::Exit { .. })), 1, "server0 stays");
    assert_eq!(world.phases(1)[1], Phase::On, "the other group goes on elsewhere");
}

#[test]
fn a_reset_for_a_monitor_comes_at_once_and_nothing_is_stopped_before() {
    let mut world = World::new(&plan(), 0);
    world.run(seconds(5));
    world.log.clear();
    world.give(0, Event::MonitorResult { monitor: MonitorId(0), failure: Some(Failure::error("bad")) });
    let ends = world.did(|action| {
        matches!(action, Action::EndServer { how: AfterStop::KeepaliveReset, blame: Blame::Monitor(MonitorId(0)) })
    });
    assert_eq!(ends, 1);
    assert_eq!(world.did(|action| matches!(action, Action::Resource { .. })), 0);
    // With recovery switched off for monitors nothing follows, and that is told once.
    let mut plan = plan();
    plan.restraints.no_recovery.monitor = true;
    let mut world = World::new(&plan, 0);
    world.run(seconds(5));
    for _ in 0..3 {
        world.give(0, Event::MonitorResult { monitor: MonitorId(0), failure: Some(Failure::error("bad")) });
    }
    let told = |alert: &Alert| matches!(alert, Alert::Withheld { restraint: Restraint::Disabled, .. });
    assert_eq!(world.alerts().iter().filter(|alert| told(alert)).count(), 1);
    assert_eq!(world.did(|action| matches!(action, Action::EndServer { .. })), 0);
}
