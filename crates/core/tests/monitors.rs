//! Monitors as the cluster sees them: time-outs, what operators order, counters. Frames, messages and operations end at once.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::time::Duration;

use clp_core::action::{Action, Alert, Work};
use clp_core::cluster::{Cluster, Identity};
use clp_core::event::{Event, Failure};
use clp_core::ids::{GroupId, MonitorId, ResourceId, ServerId};
use clp_core::message::{Answer, Command, MonitorState, Phase};
use clp_core::plan::{FinalAction, MonitorPlan, OnTimeout, Plan, RecoveryTarget, ScriptBefore};
use clp_core::recovery::{Counts, MonitorOrder, Step};
use clp_core::time::Time;

mod ground;

const GROUP: GroupId = GroupId(0);
const MONITOR: MonitorId = MonitorId(0);

fn monitor() -> MonitorPlan {
    let monitor = ground::monitor("genw1", RecoveryTarget::Group(GROUP));
    MonitorPlan { retry: 1, restart_max: 1, action: FinalAction::StopGroup, ..monitor }
}

/// Two servers, one group of one resource.
fn plan(monitors: Vec<MonitorPlan>) -> Plan {
    Plan { monitors, ..ground::plan(vec![ground::group("failover1", &[0])], vec![ground::resource("exec1", GROUP, &[])]) }
}

struct World {
    now: Time,
    servers: Vec<Option<Cluster>>,
    log: Vec<(usize, Action)>,
}

impl World {
    /// Both servers are up and the group is active on the first.
    fn up(monitor: MonitorPlan) -> World {
        let plan = plan(vec![monitor]);
        let server = |me: usize| {
            let identity = Identity { boot: me as u64, ..ground::identity(me, 1) };
            Some(Cluster::new(plan.clone(), identity, Time(0)))
        };
        let mut world = World { now: Time(0), servers: vec![server(0), server(1)], log: Vec::new() };
        world.run(Duration::from_secs(10));
        assert_eq!(world.phases(), [Phase::On, Phase::Off]);
        world.log.clear();
        world
    }

    fn give(&mut self, server: usize, event: Event) {
        let Some(cluster) = &mut self.servers[server] else { return };
        for action in cluster.handle(self.now, event) {
            self.log.push((server, action.clone()));
            let from = ServerId::at(server);
            match action {
                Action::Beat(frame) => self.give(1 - server, Event::Frame { from, path: 0, lan: true, frame }),
                Action::Send(letter) => self.give(letter.to.server.index(), Event::Message { from, letter }),
                Action::Resource { op, resource, .. } => self.give(server, Event::ResourceDone { op, resource, result: Ok(()) }),
                _ => {}
            }
        }
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            for server in 0..2 {
                self.give(server, Event::Deadline);
            }
            self.now = self.now + Duration::from_millis(10);
        }
    }

    /// A check on a server ends, and what follows is over.
    fn check(&mut self, server: usize, failure: Option<Failure>) {
        self.give(server, Event::MonitorResult { monitor: MONITOR, failure });
        self.run(Duration::from_secs(2));
    }

    fn phases(&self) -> [Phase; 2] {
        [0, 1].map(|server| self.servers[server].as_ref().map_or(Phase::Off, |cluster| cluster.local_phase(GROUP)))
    }

    /// State of the monitor on a server, as that server itself says.
    fn state(&self, server: usize) -> MonitorState {
        let cluster = self.servers[server].as_ref().unwrap();
        cluster.monitors_of(self.now, ServerId::at(server)).unwrap()[0].state
    }

    /// The rungs of the ladder that were climbed, and forget them.
    fn rungs(&mut self) -> Vec<Step> {
        let log = std::mem::take(&mut self.log);
        let rung = |(_, action)| match action {
            Action::Alert(Alert::Recovery { rung, .. }) => Some(rung),
            _ => None,
        };
        log.into_iter().filter_map(rung).collect()
    }
}

fn failed() -> Option<Failure> {
    Some(Failure::error("no answer"))
}

fn late() -> Option<Failure> {
    Some(Failure { reason: "it did not end in time".into(), timed_out: true, starved: false })
}

#[test]
fn a_time_out_is_as_any_failure_unless_it_is_configured_otherwise() {
    let mut world = World::up(monitor());
    world.check(0, late());
    assert_eq!((world.state(0), world.rungs()), (MonitorState::Normal, vec![]), "retried");
    world.check(0, late());
    assert_eq!(world.rungs(), [Step::Reactivate(1)]);
    assert_eq!(world.state(0), MonitorState::Failed);
}

#[test]
fn without_retry_a_time_out_is_an_error_at_once_and_other_failures_are_retried() {
    let on_timeout = OnTimeout { retries: false, recovers: true };
    let mut world = World::up(MonitorPlan { on_timeout, ..monitor() });
    world.check(0, failed());
    assert_eq!((world.state(0), world.rungs()), (MonitorState::Normal, vec![]));
    world.check(0, None);
    world.check(0, late());
    assert_eq!((world.state(0), world.rungs()), (MonitorState::Failed, vec![Step::Reactivate(1)]));
}

#[test]
fn without_recovery_a_time_out_is_shown_and_told_once_and_nothing_follows() {
    let on_timeout = OnTimeout { retries: true, recovers: false };
    let mut world = World::up(MonitorPlan { on_timeout, ..monitor() });
    for _ in 0..6 {
        world.check(0, late());
    }
    assert_eq!(world.state(0), MonitorState::Failed);
    let told = world.log.iter().filter(|(_, action)| matches!(action, Action::Alert(Alert::RecoveryWithheld { .. }))).count();
    assert_eq!(told, 1);
    assert_eq!((world.phases(), world.rungs()), ([Phase::On, Phase::Off], vec![]));
    // Another failure of the same monitor is recovered from.
    world.check(0, failed());
    assert_eq!(world.rungs(), [Step::Reactivate(1)]);
}

/// Order something of a server's monitors; the answer.
fn order(world: &mut World, server: usize, monitor: Option<MonitorId>, order: MonitorOrder) -> Answer {
    world.log.clear();
    world.give(server, Event::MonitorOrder { id: 7, monitor, order });
    world.run(Duration::from_secs(1));
    let answer = |(at, action): &(usize, Action)| match action {
        Action::Answer { id: 7, answer } if *at == server => Some(answer.clone()),
        _ => None,
    };
    world.log.iter().find_map(answer).expect("an answer")
}

fn is_done(answer: &Answer) -> bool {
    matches!(answer, Answer::Done { .. })
}

#[test]
fn a_suspended_monitor_rests_on_its_server_alone_until_it_is_resumed() {
    for which in [Some(MONITOR), None] {
        let mut world = World::up(monitor());
        assert!(is_done(&order(&mut world, 0, which, MonitorOrder::Suspend)));
        let stops = |(_, action): &(usize, Action)| matches!(action, Action::Monitor { run: false, .. });
        assert!(world.log.iter().any(stops), "its checks are stopped");
        assert_eq!((world.state(0), world.state(1)), (MonitorState::Suspended, MonitorState::Normal));
        for _ in 0..3 {
            world.check(0, failed());
        }
        assert_eq!((world.rungs(), world.phases()), (vec![], [Phase::On, Phase::Off]), "a late result changes nothing");
        assert!(is_done(&order(&mut world, 0, which, MonitorOrder::Resume)));
        assert_eq!(world.state(0), MonitorState::Normal);
        world.check(0, failed());
        world.check(0, failed());
        assert_eq!(world.rungs(), [Step::Reactivate(1)]);
    }
}

/// One that watches a resource shows its suspension also where that is not active, and rests where it becomes active.
#[test]
fn a_suspension_lasts_over_the_arrival_of_the_target() {
    let mut world = World::up(MonitorPlan { target: Some(ResourceId(0)), ..monitor() });
    assert_eq!((world.state(0), world.state(1)), (MonitorState::Normal, MonitorState::Off));
    order(&mut world, 1, Some(MONITOR), MonitorOrder::Suspend);
    assert_eq!(world.state(1), MonitorState::Suspended);
    let command = Command::GroupMove { group: Some(GROUP), from: None, to: None };
    world.give(0, Event::Operator { id: 1, command });
    world.run(Duration::from_secs(2));
    assert_eq!((world.phases(), world.state(1)), ([Phase::Off, Phase::On], MonitorState::Suspended));
    order(&mut world, 1, None, MonitorOrder::Resume);
    assert_eq!(world.state(1), MonitorState::Normal);
    order(&mut world, 0, None, MonitorOrder::Resume);
    assert_eq!(world.state(0), MonitorState::Off);
}

#[test]
fn a_dummy_failure_climbs_the_ladder_although_all_is_well() {
    let mut world = World::up(monitor());
    assert!(is_done(&order(&mut world, 0, Some(MONITOR), MonitorOrder::FailureOn)));
    world.check(0, None);
    world.check(0, None);
    assert_eq!(world.rungs(), [Step::Reactivate(1)]);
    assert!(is_done(&order(&mut world, 0, None, MonitorOrder::FailureOff)));
    world.check(0, None);
    assert_eq!((world.state(0), world.phases()), (MonitorState::Normal, [Phase::On, Phase::Off]));
}

#[test]
fn an_order_for_a_monitor_of_another_server_is_refused_with_its_reason() {
    let mut world = World::up(MonitorPlan { servers: [ServerId(1)].into_iter().collect(), ..monitor() });
    let answer = order(&mut world, 0, Some(MONITOR), MonitorOrder::FailureOn);
    assert!(
        matches!(&answer, Answer::Refused { reason, .. } if reason.contains("genw1") && reason.contains("server1")),
        "{answer:?}"
    );
    let told = |(_, action): &(usize, Action)| matches!(action, Action::Alert(Alert::MonitorOrderRefused { .. }));
    assert!(world.log.iter().any(told));
    assert!(is_done(&order(&mut world, 1, Some(MONITOR), MonitorOrder::FailureOn)));
}

/// Let the monitor fail on a server until the group has left it.
fn fail_over(world: &mut World, from: usize) {
    for _ in 0..8 {
        if world.phases()[from] == Phase::On {
            world.check(from, failed());
        }
    }
    world.check(from, None);
}

#[test]
fn a_failover_that_was_counted_survives_the_failover_and_the_coordinator() {
    let mut world = World::up(monitor());
    fail_over(&mut world, 0);
    assert_eq!(world.phases(), [Phase::Off, Phase::On]);
    assert_eq!(world.rungs(), [Step::Reactivate(1), Step::Failover(1)]);
    let counts = |world: &World, server: usize| world.servers[server].as_ref().unwrap().monitor_counts(MONITOR);
    assert_eq!((counts(&world, 0).failovers, counts(&world, 1).failovers), (1, 1), "every server knows of it");
    // The first server, which counted, goes down.
    world.servers[0] = None;
    world.run(Duration::from_secs(5));
    assert_eq!(counts(&world, 1), Counts { restarts: 0, failovers: 1, dummy: false });
    for _ in 0..6 {
        world.check(1, failed());
    }
    assert_eq!(world.rungs(), [Step::Reactivate(1), Step::Final(FinalAction::StopGroup)], "no second failover");
}

#[test]
fn a_failover_that_was_counted_is_forgotten_when_all_has_been_well_for_long_where_the_target_is() {
    let mut world = World::up(monitor());
    // It looks on both servers: all was well where the group was not.
    (0..20).for_each(|_| world.check(1, None));
    fail_over(&mut world, 0);
    let failovers =
        |world: &World| [0, 1].map(|server| world.servers[server].as_ref().unwrap().monitor_counts(MONITOR).failovers);
    world.run(Duration::from_secs(1));
    assert_eq!((world.phases(), failovers(&world)), ([Phase::Off, Phase::On], [1, 1]), "what it found before does not count");
    for _ in 0..9 {
        // Nor does it count that all is well now where the group is no more.
        world.check(0, None);
        world.check(1, None);
    }
    assert_eq!(failovers(&world), [1, 1]);
    world.check(1, None);
    world.run(Duration::from_secs(1));
    assert_eq!(failovers(&world), [0, 0]);
    fail_over(&mut world, 1);
    assert_eq!(world.phases(), [Phase::On, Phase::Off], "another failure has its own failover");
}

#[test]
fn cleared_counts_let_the_ladder_begin_anew_on_any_server() {
    for asked in [0, 1] {
        let mut world = World::up(monitor());
        fail_over(&mut world, 0);
        world.check(1, failed());
        world.check(1, failed());
        assert_eq!(world.rungs(), [Step::Reactivate(1), Step::Failover(1), Step::Reactivate(1)]);
        let other = 1 - asked;
        assert!(is_done(&order(&mut world, asked, None, MonitorOrder::ClearCounts)));
        assert!(is_done(&order(&mut world, other, Some(MONITOR), MonitorOrder::ClearCounts)));
        for server in [0, 1] {
            let counts = world.servers[server].as_ref().unwrap().monitor_counts(MONITOR);
            assert_eq!(counts, Counts { restarts: 0, failovers: 0, dummy: false });
        }
        fail_over(&mut world, 1);
        assert_eq!((world.phases(), world.rungs()), ([Phase::On, Phase::Off], vec![Step::Reactivate(1), Step::Failover(1)]));
    }
}

/// The script that was asked for last, if any, and forget it.
fn script(world: &mut World) -> Option<(u64, Step, u32)> {
    let asked = |(_, action)| match action {
        Action::MonitorScript { script, before, count, .. } => Some((script, before, count)),
        _ => None,
    };
    std::mem::take(&mut world.log).into_iter().rev().find_map(asked)
}

#[test]
fn a_step_waits_for_its_script_and_for_no_longer() {
    let all = ScriptBefore { reactivation: true, failover: true, final_action: true };
    let mut world = World::up(MonitorPlan { script_before: all, retry: 0, ..monitor() });
    let activations = |world: &World| {
        world.log.iter().filter(|(_, action)| matches!(action, Action::Resource { work: Work::Activate { .. }, .. })).count()
    };
    for _ in 0..3 {
        world.check(0, failed());
        assert_eq!(activations(&world), 0, "nothing is done before the script has ended");
    }
    let scripts = world.log.iter().filter(|(_, action)| matches!(action, Action::MonitorScript { .. })).count();
    assert_eq!(scripts, 1, "one script for one step");
    let (number, before, count) = script(&mut world).unwrap();
    assert_eq!((before, count), (Step::Reactivate(1), 1));
    world.give(0, Event::MonitorScriptDone { monitor: MONITOR, script: number });
    world.run(Duration::from_secs(1));
    assert_eq!(activations(&world), 1);
    assert_eq!(world.rungs(), [Step::Reactivate(1)]);
    world.give(0, Event::MonitorScriptDone { monitor: MONITOR, script: number });
    world.run(Duration::from_secs(1));
    assert_eq!(world.rungs(), [], "told twice");
    world.check(0, failed());
    let (number, before, count) = script(&mut world).unwrap();
    assert!(matches!(before, Step::Failover(_)) && count == 1, "{before:?}");
    world.give(0, Event::MonitorScriptDone { monitor: MONITOR, script: number });
    world.run(Duration::from_secs(2));
    assert_eq!(world.phases(), [Phase::Off, Phase::On]);
    world.check(1, failed());
    let (number, _, _) = script(&mut world).unwrap();
    world.give(1, Event::MonitorScriptDone { monitor: MONITOR, script: number });
    world.run(Duration::from_secs(1));
    world.check(1, failed());
    let (number, before, _) = script(&mut world).unwrap();
    assert_eq!(before, Step::Final(FinalAction::StopGroup));
    world.give(1, Event::MonitorScriptDone { monitor: MONITOR, script: number });
    world.run(Duration::from_secs(1));
    assert_eq!(world.phases(), [Phase::Off, Phase::Off]);
}

#[test]
fn a_step_is_given_up_when_all_is_well_or_changed_before_its_script_has_ended() {
    let script_before = ScriptBefore { reactivation: true, ..ScriptBefore::default() };
    let mut world = World::up(MonitorPlan { script_before, retry: 0, ..monitor() });
    // Well again.
    world.check(0, failed());
    let (number, _, _) = script(&mut world).unwrap();
    world.check(0, None);
    world.give(0, Event::MonitorScriptDone { monitor: MONITOR, script: number });
    world.run(Duration::from_secs(1));
    assert_eq!(world.rungs(), []);
    assert_eq!(world.servers[0].as_ref().unwrap().monitor_counts(MONITOR).restarts, 0, "it does not count");
    // Moved by an operator meanwhile.
    world.check(0, failed());
    let (number, before, _) = script(&mut world).unwrap();
    assert_eq!(before, Step::Reactivate(1));
    world.give(0, Event::Operator { id: 1, command: Command::GroupMove { group: Some(GROUP), from: None, to: None } });
    world.run(Duration::from_secs(2));
    world.log.clear();
    world.give(0, Event::MonitorScriptDone { monitor: MONITOR, script: number });
    world.run(Duration::from_secs(1));
    assert_eq!((world.rungs(), world.phases()), (vec![], [Phase::Off, Phase::On]));
    // Suspended meanwhile.
    world.check(1, failed());
    let (number, _, _) = script(&mut world).unwrap();
    assert!(is_done(&order(&mut world, 1, None, MonitorOrder::Suspend)));
    world.log.clear();
    world.give(1, Event::MonitorScriptDone { monitor: MONITOR, script: number });
    world.run(Duration::from_secs(1));
    assert_eq!(world.rungs(), []);
}
