//! The stop of resources as the cluster sees it: what is tried, told and recorded, and what drivers are told of the reason.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::time::Duration;

use clp_core::action::{Action, Alert, Work};
use clp_core::cluster::{Cluster, Identity};
use clp_core::event::{Event, Failure, WorkError};
use clp_core::ids::{GroupId, MonitorId, ResourceId, ServerId};
use clp_core::message::{Command, Factor, Letter, Message, Origin, Phase};
use clp_core::plan::{AfterStop, Elsewhere, FinalAction, GroupPlan, MonitorPlan, Plan, RecoveryTarget, ResourcePlan};
use clp_core::time::Time;
use clp_core::verdict::MethodKind;

mod ground;

const GROUP: GroupId = GroupId(0);
const EXEC: ResourceId = ResourceId(1);

fn is_about_scripts(letter: &Letter) -> bool {
    matches!(letter.message, Message::RunElsewhere { .. } | Message::RanElsewhere { .. })
}

/// Two servers, one group: exec1 needs disk1.
fn plan() -> Plan {
    let resource = |name: &str, depends: &[u16]| ResourcePlan {
        activate_retry: 1,
        deactivate_retry: 1,
        deactivate_action: FinalAction::StopService(AfterStop::Shutdown),
        ..ground::resource(name, GROUP, depends)
    };
    let group = GroupPlan { shared_data: true, ..ground::group("failover1", &[0, 1]) };
    ground::plan(vec![group], vec![resource("disk1", &[]), resource("exec1", &[0])])
}

fn with_monitor(recovery: RecoveryTarget) -> Plan {
    Plan { monitors: vec![MonitorPlan { restart_max: 1, ..ground::monitor("genw1", recovery) }], ..plan() }
}

/// Frames and messages arrive at once; an operation ends at once, as the next of the results for its kind says.
struct World {
    now: Time,
    servers: Vec<Option<Cluster>>,
    /// Results of coming deactivations and detachments of exec1, the next one first; afterwards all is well.
    results: Vec<Result<(), WorkError>>,
    /// Scripts for others that run: server, number, start.
    scripts: Vec<(usize, u64, bool)>,
    /// They end at once, and well.
    scripts_end: bool,
    /// Letters about scripts that get lost, as long as this is above 0.
    losses: u32,
    log: Vec<(usize, Action)>,
}

impl World {
    /// Both servers are up and the group is active on the first.
    fn up(plan: &Plan) -> World {
        let server = |me: usize| {
            let identity = Identity { boot: me as u64, ..ground::identity(me, 1) };
            Some(Cluster::new(plan.clone(), identity, Time(0)))
        };
        let mut world = World {
            now: Time(0),
            servers: vec![server(0), server(1)],
            results: vec![],
            scripts: vec![],
            scripts_end: true,
            losses: 0,
            log: vec![],
        };
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
                Action::Send(letter) if self.losses > 0 && is_about_scripts(&letter) => self.losses -= 1,
                Action::Send(letter) => self.give(letter.to.server.index(), Event::Message { from, letter }),
                Action::RunElsewhere { run, start, .. } => {
                    self.scripts.push((server, run, start));
                    if self.scripts_end {
                        self.give(server, Event::RanElsewhere { run, result: Ok(()) });
                    }
                }
                Action::Resource { op, resource, work } => {
                    let scripted = resource == EXEC && matches!(work, Work::Deactivate { .. } | Work::Detach);
                    let result = if scripted && !self.results.is_empty() { self.results.remove(0) } else { Ok(()) };
                    self.give(server, Event::ResourceDone { op, resource, result });
                }
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

    fn operate(&mut self, command: Command) {
        self.give(0, Event::Operator { id: 1, command });
        self.run(Duration::from_secs(3));
    }

    fn phases(&self) -> [Phase; 2] {
        [0, 1].map(|server| self.servers[server].as_ref().map_or(Phase::Off, |cluster| cluster.local_phase(GROUP)))
    }

    /// What was told of exec1's activations and deactivations, by code; with each, whether another try follows.
    fn told(&self) -> Vec<(i32, bool)> {
        let told = self.log.iter().filter_map(|(_, action)| match action {
            Action::Alert(
                Alert::DeactivateFailed { resource, code, again, .. } | Alert::ActivateFailed { resource, code, again, .. },
            ) => {
                assert_eq!(*resource, EXEC);
                Some((*code, *again))
            }
            _ => None,
        });
        let mut told: Vec<(i32, bool)> = told.collect();
        told.sort_unstable();
        told
    }

    fn works(&self) -> Vec<(ResourceId, Work)> {
        let works = self.log.iter().filter_map(|(_, action)| match action {
            Action::Resource { resource, work, .. } => Some((*resource, *work)),
            _ => None,
        });
        works.collect()
    }

    fn has_cause(&self, text: &str) -> bool {
        self.log
            .iter()
            .any(|(server, action)| matches!(action, Action::Cause { text: found, .. } if *server == 0 && found.contains(text)))
    }
}

fn late() -> Result<(), WorkError> {
    Err(WorkError { code: 124, reason: "stop script: it did not end in time (wait channel pipe_read)".into() })
}

#[test]
fn a_stop_that_fails_is_told_with_its_code_although_the_next_try_succeeds() {
    let mut world = World::up(&plan());
    world.results = vec![late()];
    world.operate(Command::GroupStop { group: Some(GROUP), server: None });
    assert_eq!(world.told(), [(124, true)]);
    assert!(world.has_cause("wait channel pipe_read"), "the evidence is in the cause chain");
    assert_eq!(world.phases(), [Phase::Off, Phase::Off]);
    assert!(!world.has_cause("detached"));
}

#[test]
fn what_cannot_be_stopped_is_detached_and_only_then_its_final_action_follows() {
    let factor = Factor::GroupMove;
    let ladder = [Work::Deactivate { factor }, Work::Deactivate { factor }, Work::Detach];
    let unkillable = || Err(WorkError { code: 16, reason: "pid 7 waits in the kernel".into() });
    let moved = Command::GroupMove { group: Some(GROUP), from: None, to: Some(ServerId(1)) };
    // Detached and verified: the group goes on elsewhere, and nothing happens to this server.
    let mut world = World::up(&plan());
    world.results = vec![late(), unkillable(), Ok(())];
    world.operate(moved.clone());
    let of_exec: Vec<Work> = world.works().into_iter().filter(|(id, _)| *id == EXEC).map(|(_, work)| work).collect();
    assert_eq!(of_exec[..3], ladder);
    assert_eq!(world.told(), [(16, true), (124, true)]);
    assert!(world.has_cause("exec1 could not be stopped in order and was detached"));
    assert_eq!(world.phases(), [Phase::Off, Phase::On]);
    assert!(
        !world.log.iter().any(|(_, action)| matches!(action, Action::Exit { .. } | Action::Alert(Alert::FinalAction { .. })))
    );
    // Not verified: it stays here in Offline Failure, starts nowhere else, and the final action follows.
    let mut world = World::up(&plan());
    // The stop of the service is one more round.
    world.results = vec![late(), late(), unkillable(), late(), late(), unkillable()];
    world.operate(moved);
    assert_eq!(world.told(), [(16, false), (16, false), (124, true), (124, true), (124, true), (124, true)]);
    let at = |wanted: &dyn Fn(&Action) -> bool| world.log.iter().position(|(_, action)| wanted(action)).unwrap_or(usize::MAX);
    let exit = at(&|action| matches!(action, Action::Exit { .. }));
    assert!(at(&|action| matches!(action, Action::Resource { work: Work::Activate { .. }, .. })) > exit, "it started elsewhere");
    let end = world.log.iter().find_map(|(server, action)| match action {
        Action::Exit { then, clean } => Some((*server, *then, *clean)),
        _ => None,
    });
    assert_eq!(end, Some((0, AfterStop::Shutdown, false)));
}

#[test]
fn what_could_not_be_detached_is_tried_again_until_its_group_can_go_on() {
    let mut plan = plan();
    plan.resources[EXEC.index()].deactivate_action = FinalAction::Nothing;
    let mut world = World::up(&plan);
    let held = || Err(WorkError { code: 16, reason: "writes are on their way".into() });
    world.results = vec![late(), late(), held(), held()];
    world.give(
        0,
        Event::Operator { id: 1, command: Command::GroupMove { group: Some(GROUP), from: None, to: Some(ServerId(1)) } },
    );
    world.run(Duration::from_secs(15));
    assert_eq!(world.phases(), [Phase::OfflineFailure, Phase::Off], "one attempt was in vain, and what is held starts nowhere");
    assert_eq!(world.told().len(), 3, "the vain attempt is told nobody again");
    world.run(Duration::from_secs(10));
    assert_eq!(world.phases(), [Phase::Off, Phase::On]);
    assert!(world.has_cause("was detached"));
}

#[test]
fn scripts_are_told_what_is_reactivated_and_a_reactivation_is_no_failover() {
    for (recovery, factor) in
        [(RecoveryTarget::Group(GROUP), Factor::GroupRestart), (RecoveryTarget::Resource(EXEC), Factor::ResourceRestart)]
    {
        let mut world = World::up(&with_monitor(recovery));
        // It came here by a failover.
        world.servers[0] = None;
        world.run(Duration::from_secs(5));
        assert_eq!(world.phases()[1], Phase::On);
        assert!(world.works().contains(&(EXEC, Work::Activate { origin: Origin::Failure })));
        world.log.clear();
        world.give(1, Event::MonitorResult { monitor: MonitorId(0), failure: Some(Failure::error("no answer")) });
        world.run(Duration::from_secs(2));
        assert!(world.works().contains(&(EXEC, Work::Deactivate { factor })), "{:?}", world.works());
        assert!(world.works().contains(&(EXEC, Work::Activate { origin: Origin::Fresh })), "{:?}", world.works());
    }
}

#[test]
fn drivers_can_be_told_what_becomes_of_the_server() {
    for then in [AfterStop::Nothing, AfterStop::Shutdown, AfterStop::Reboot] {
        let mut world = World::up(&plan());
        assert_eq!(world.servers[0].as_ref().unwrap().after_stop(), AfterStop::Nothing);
        world.give(0, Event::StopService { id: 1, then });
        assert_eq!(world.servers[0].as_ref().unwrap().after_stop(), then);
    }
}

#[test]
fn an_emergency_that_cannot_be_verified_is_followed_by_its_action_without_a_farewell() {
    for (then, ends) in [(AfterStop::Shutdown, true), (AfterStop::Nothing, false)] {
        let mut world = World::up(&Plan { partition: vec![MethodKind::Ping], partition_action: then, ..plan() });
        world.servers[1] = None;
        world.run(Duration::from_secs(3));
        assert!(world.log.iter().any(|(_, action)| matches!(action, Action::Emergency { .. })), "it lost its right");
        world.log.clear();
        world.give(0, Event::EmergencyFailed { reason: "/mnt/sdb2 cannot be shut down".into() });
        world.run(Duration::from_secs(3));
        assert!(world.has_cause("it may still act here: /mnt/sdb2 cannot be shut down"));
        let exits = world.log.iter().any(|(_, action)| matches!(action, Action::Exit { clean: false, .. }));
        assert_eq!(exits, ends);
        let farewell = |action: &Action| matches!(action, Action::Beat(frame) if frame.mode == clp_core::message::Mode::Left);
        assert!(!world.log.iter().any(|(_, action)| farewell(action)), "it said farewell");
        assert!(!world.servers[0].as_ref().unwrap().may_feed_watchdog(world.now));
        if !ends {
            // It was tried again and went well.
            world.give(0, Event::EmergencyDone);
            world.run(Duration::from_secs(3));
            assert!(world.log.iter().any(|(_, action)| farewell(action)));
        }
    }
}

/// The plan with scripts of exec1 that run on the other server; they may take a second.
fn with_scripts() -> Plan {
    let mut plan = plan();
    let second = Some(Duration::from_secs(1));
    plan.resources[EXEC.index()].elsewhere = Elsewhere { start: second, stop: second };
    plan
}

impl World {
    fn elsewhere(&self) -> Vec<(ServerId, bool, &'static str)> {
        let told = self.log.iter().filter_map(|(_, action)| match action {
            Action::Alert(Alert::ElsewhereAsked { server, start, .. }) => Some((*server, *start, "asked")),
            Action::Alert(Alert::ElsewhereDone { server, start, .. }) => Some((*server, *start, "done")),
            Action::Alert(Alert::ElsewhereFailed { server, start, .. }) => Some((*server, *start, "failed")),
            _ => None,
        });
        told.collect()
    }

    fn stops_exec(&self) -> bool {
        self.works().iter().any(|(id, work)| *id == EXEC && matches!(work, Work::Deactivate { .. }))
    }

    fn order_stop(&mut self) {
        self.log.clear();
        self.give(0, Event::Operator { id: 1, command: Command::GroupStop { group: Some(GROUP), server: None } });
    }
}

#[test]
fn the_other_server_runs_scripts_once_after_the_start_and_before_the_stop() {
    let mut world = World::up(&with_scripts());
    assert_eq!(world.scripts, [(1, 1, true)], "the start script, once");
    world.scripts_end = false;
    // What is asked and what is answered gets lost now and then; it is asked again, and run once all the same.
    world.losses = 2;
    world.order_stop();
    world.run(Duration::from_millis(500));
    assert_eq!(world.scripts, [(1, 1, true), (1, 2, false)]);
    assert!(!world.stops_exec(), "the stop does not wait for the other server's script");
    world.losses = 1;
    world.give(1, Event::RanElsewhere { run: 2, result: Ok(()) });
    world.run(Duration::from_millis(500));
    assert!(world.stops_exec());
    assert_eq!(world.phases(), [Phase::Off, Phase::Off]);
    assert_eq!(world.scripts.len(), 2);
    assert_eq!(world.elsewhere(), [(ServerId(1), false, "asked"), (ServerId(1), false, "done")]);
}

#[test]
fn a_script_elsewhere_that_fails_or_never_ends_holds_up_nothing() {
    for answer in [Some(Err(WorkError { code: 3, reason: "no".into() })), None] {
        let mut world = World::up(&with_scripts());
        world.scripts_end = false;
        world.order_stop();
        if let Some(result) = answer.clone() {
            world.give(1, Event::RanElsewhere { run: 2, result });
            assert!(world.stops_exec());
        } else {
            world.run(Duration::from_millis(1900));
            assert!(!world.stops_exec(), "its limit and the time-out are not over");
            world.run(Duration::from_millis(300));
        }
        assert_eq!(world.phases(), [Phase::Off, Phase::Off]);
        assert_eq!(world.elsewhere(), [(ServerId(1), false, "asked"), (ServerId(1), false, "failed")]);
    }
}

#[test]
fn a_server_that_dies_is_not_waited_for_and_one_with_the_group_runs_nothing() {
    let mut world = World::up(&with_scripts());
    world.scripts_end = false;
    world.order_stop();
    world.servers[1] = None;
    world.run(Duration::from_millis(1300));
    assert!(world.stops_exec());
    // Nobody else is there: nobody is asked.
    world.operate(Command::GroupStart { group: Some(GROUP), server: None });
    world.order_stop();
    assert!(world.stops_exec() && world.elsewhere().is_empty());
    // A question that comes to the server that has the group is refused.
    let mut world = World::up(&with_scripts());
    let to = clp_core::message::Member { server: ServerId(0), incarnation: 1 };
    let letter = Letter { incarnation: 1, to, message: Message::RunElsewhere { id: 9, resource: EXEC, start: true } };
    let before = world.scripts.clone();
    world.give(0, Event::Message { from: ServerId(1), letter });
    assert_eq!(world.scripts, before);
}
