//! Orders for single resources of a group that is active here, and an operator's word for a server that is off.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::time::Duration;

use clp_core::action::{Action, Alert, SingleStep, Work};
use clp_core::cluster::{Cluster, Identity};
use clp_core::event::Event;
use clp_core::ids::{GroupId, ResourceId, ServerId};
use clp_core::message::{Answer, Command, Origin, Phase, ResourceState};
use clp_core::plan::{GroupPlan, Plan};
use clp_core::single::ResourceOrder;
use clp_core::time::Time;
use clp_core::verdict::MethodKind;

mod ground;

const GROUP: GroupId = GroupId(0);
const FIP: ResourceId = ResourceId(0);
const EXEC: ResourceId = ResourceId(2);

const ALONE: bool = false;
const WITH_OTHERS: bool = true;

/// fip1 and disk1 are independent, exec1 needs both.
fn plan() -> Plan {
    let group = GroupPlan { shared_data: true, life_forbids: true, ..ground::group("failover1", &[0, 1, 2]) };
    let resource = |name: &str, depends: &[u16]| ground::resource(name, GROUP, depends);
    let resources = vec![resource("fip1", &[]), resource("disk1", &[]), resource("exec1", &[0, 1])];
    Plan { partition: vec![MethodKind::Ping], ..ground::plan(vec![group], resources) }
}

struct World {
    now: Time,
    servers: Vec<Option<Cluster>>,
    /// Work that fails on the first server.
    fails: Option<(ResourceId, bool)>,
    /// The partition resolution answers nothing.
    silent: bool,
    log: Vec<(usize, Action)>,
    ids: u64,
}

impl World {
    /// Servers with what they remember of a suspension; a server that is None is off.
    fn boot(suspended: [Option<bool>; 2]) -> World {
        let server = |me: usize| {
            let suspended = suspended[me]?;
            let identity = Identity { boot: me as u64, suspended, ..ground::identity(me, 1) };
            Some(Cluster::new(plan(), identity, Time(0)))
        };
        World { now: Time(0), servers: vec![server(0), server(1)], fails: None, silent: false, log: Vec::new(), ids: 0 }
    }

    /// The group is active on the first.
    fn up() -> World {
        let mut world = World::boot([Some(false); 2]);
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
                Action::AskPartition { ask } if !self.silent => self.give(server, ground::verdict(ask.number, true, "none")),
                Action::Search { server: lost } => self.give(server, Event::Searched { server: lost, sign: None }),
                Action::Resource { op, resource, work } => {
                    let activates = matches!(work, Work::Activate { .. });
                    let fails = server == 0 && self.fails == Some((resource, activates)) && !matches!(work, Work::Verify);
                    let result = if fails { Err("it is stuck".into()) } else { Ok(()) };
                    self.give(server, Event::ResourceDone { op, resource, result });
                }
                _ => {}
            }
        }
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            (0..2).for_each(|server| self.give(server, Event::Deadline));
            self.now = self.now + Duration::from_millis(10);
        }
    }

    fn phases(&self) -> [Phase; 2] {
        [0, 1].map(|server| self.servers[server].as_ref().map_or(Phase::Off, |cluster| cluster.local_phase(GROUP)))
    }

    /// Which of the three resources are active on a server.
    fn active(&self, server: usize) -> [bool; 3] {
        let cluster = self.servers[server].as_ref().unwrap();
        [0, 1, 2].map(|id| cluster.local_resource(ResourceId(id)) == ResourceState::On)
    }

    fn answer(&self) -> Answer {
        let answer = |(_, action): &(usize, Action)| match action {
            Action::Answer { id, answer } if *id == self.ids => Some(answer.clone()),
            _ => None,
        };
        self.log.iter().find_map(answer).expect("an answer")
    }

    /// What is ordered of a resource on a server, with its end.
    fn order(&mut self, server: usize, resource: ResourceId, on: bool, others: bool) -> Answer {
        self.log.clear();
        self.ids += 1;
        self.give(server, Event::ResourceOrder { id: self.ids, resource, order: ResourceOrder { on, others } });
        self.run(Duration::from_secs(2));
        self.answer()
    }

    fn command(&mut self, server: usize, command: Command) -> Answer {
        self.log.clear();
        self.ids += 1;
        self.give(server, Event::Operator { id: self.ids, command });
        self.run(Duration::from_secs(3));
        self.answer()
    }

    /// The work that was done, in order.
    fn works(&self) -> Vec<(u16, &'static str)> {
        let work = |(_, action): &(usize, Action)| match action {
            Action::Resource { resource, work: Work::Activate { origin: Origin::Fresh }, .. } => Some((resource.0, "start")),
            Action::Resource { resource, work: Work::Activate { .. }, .. } => Some((resource.0, "start after something")),
            Action::Resource { resource, work: Work::Deactivate { .. }, .. } => Some((resource.0, "stop")),
            _ => None,
        };
        self.log.iter().filter_map(work).collect()
    }

    fn told(&self, resource: ResourceId, wanted: &SingleStep) -> bool {
        self.log.iter().any(|(_, action)| {
            matches!(action, Action::Alert(Alert::SingleResource { resource: r, step }) if *r == resource && step == wanted)
        })
    }

    fn causes(&self, words: &str) -> usize {
        self.log.iter().filter(|(_, action)| matches!(action, Action::Cause { text, .. } if text.contains(words))).count()
    }
}

fn is_done(answer: &Answer) -> bool {
    matches!(answer, Answer::Done { .. })
}

fn refuses(answer: &Answer, words: &str) -> bool {
    matches!(answer, Answer::Refused { reason, remedy } if format!("{reason}; {remedy}").contains(words))
}

#[test]
fn a_resource_is_stopped_and_started_and_its_group_goes_on() {
    let mut world = World::up();
    let answer = world.order(0, EXEC, false, ALONE);
    assert!(is_done(&answer), "{answer:?}");
    assert_eq!((world.active(0), world.works()), ([true, true, false], vec![(2, "stop")]));
    assert_eq!(world.phases(), [Phase::On, Phase::Off]);
    assert!(world.told(EXEC, &SingleStep::Stopping) && world.told(EXEC, &SingleStep::Stopped));
    // Here and, as told by this server, on the other one.
    assert_eq!(world.causes("exec1 stopped here by an operator"), 2);
    let answer = world.order(0, EXEC, false, ALONE);
    assert!(is_done(&answer) && world.works().is_empty(), "what is so already is done: {answer:?}");
    let answer = world.order(0, EXEC, true, ALONE);
    assert!(is_done(&answer), "{answer:?}");
    assert_eq!((world.active(0), world.works()), ([true; 3], vec![(2, "start")]));
    assert!(world.told(EXEC, &SingleStep::Starting) && world.told(EXEC, &SingleStep::Started));
}

#[test]
fn what_depends_and_what_is_needed_goes_with_it_only_when_that_is_said() {
    let mut world = World::up();
    let answer = world.order(0, FIP, false, ALONE);
    assert!(refuses(&answer, "exec1 is active and depends on fip1") && refuses(&answer, "-f"), "{answer:?}");
    assert!(world.works().is_empty());
    assert!(is_done(&world.order(0, FIP, false, WITH_OTHERS)));
    assert_eq!((world.active(0), world.works()), ([false, true, false], vec![(2, "stop"), (0, "stop")]));
    let answer = world.order(0, EXEC, true, ALONE);
    assert!(refuses(&answer, "exec1 depends on fip1, which is not active"), "{answer:?}");
    assert!(world.works().is_empty());
    assert!(is_done(&world.order(0, EXEC, true, WITH_OTHERS)));
    assert_eq!((world.active(0), world.works()), ([true; 3], vec![(0, "start"), (2, "start")]));
}

#[test]
fn nothing_starts_where_the_group_is_not_active_or_may_not_act() {
    let mut world = World::up();
    for on in [true, false] {
        let answer = world.order(1, EXEC, on, WITH_OTHERS);
        assert!(refuses(&answer, "failover1 is active on server1") && refuses(&answer, "-h server1"), "{answer:?}");
    }
    let answer = world.order(0, ResourceId(9), true, ALONE);
    assert!(refuses(&answer, "no such resource"), "{answer:?}");
    assert!(is_done(&world.order(0, EXEC, false, ALONE)));
    // While the cluster is suspended nothing is started; a stop is the operator's to order.
    assert!(is_done(&world.command(0, Command::Suspend { on: true })));
    let answer = world.order(0, EXEC, true, ALONE);
    assert!(refuses(&answer, "suspended"), "{answer:?}");
    assert!(is_done(&world.order(0, FIP, false, WITH_OTHERS)));
    assert!(is_done(&world.command(0, Command::Suspend { on: false })));
    assert!(is_done(&world.command(0, Command::GroupStop { group: Some(GROUP), server: None })));
    for on in [true, false] {
        let answer = world.order(0, EXEC, on, WITH_OTHERS);
        assert!(refuses(&answer, "failover1 is not active") && refuses(&answer, "clpgrp -s"), "{answer:?}");
        assert_eq!(world.active(0), [false; 3]);
    }
}

#[test]
fn without_the_right_to_act_nothing_is_started_and_a_stop_works() {
    let mut world = World::up();
    assert!(is_done(&world.order(0, EXEC, false, ALONE)));
    world.servers[1] = None;
    world.silent = true;
    // Its acknowledgement is too old to start something (T_x), and not yet so old that all is given up (T_x + Q).
    world.run(Duration::from_millis(700));
    assert_eq!(world.phases()[0], Phase::On);
    world.log.clear();
    world.give(0, Event::ResourceOrder { id: 900, resource: EXEC, order: ResourceOrder { on: true, others: true } });
    let refused = |(_, action): &(usize, Action)| matches!(action, Action::Answer { id: 900, answer } if refuses(answer, "no right to act here"));
    assert!(world.log.iter().any(refused) && world.works().is_empty(), "{:?}", world.log);
    world.give(0, Event::ResourceOrder { id: 901, resource: FIP, order: ResourceOrder { on: false, others: true } });
    assert_eq!(world.works(), [(0, "stop")]);
}

#[test]
fn an_activation_that_fails_is_answered_and_what_is_configured_follows() {
    let mut world = World::up();
    assert!(is_done(&world.order(0, EXEC, false, ALONE)));
    world.fails = Some((EXEC, true));
    let answer = world.order(0, EXEC, true, ALONE);
    assert!(refuses(&answer, "exec1 could not be started: exec1: it is stuck"), "{answer:?}");
    let failed = |(_, action): &(usize, Action)| {
        matches!(action, Action::Alert(Alert::SingleResource { step: SingleStep::StartFailed(_), .. }))
    };
    assert!(world.log.iter().any(failed));
    world.run(Duration::from_secs(5));
    assert_eq!(world.phases(), [Phase::Off, Phase::On], "as after any failed activation");
    assert_eq!(world.active(1), [true; 3]);
}

#[test]
fn a_deactivation_that_fails_is_answered() {
    let mut world = World::up();
    world.fails = Some((EXEC, false));
    let answer = world.order(0, EXEC, false, ALONE);
    assert!(refuses(&answer, "exec1 could not be stopped"), "{answer:?}");
    assert_eq!(world.phases()[0], Phase::OfflineFailure);
}

/// Scripts see START although the group came here by a failure.
#[test]
fn a_single_start_after_a_failover_is_a_start_by_an_operator() {
    let mut world = World::up();
    world.servers[0] = None;
    world.run(Duration::from_secs(5));
    assert_eq!(world.phases()[1], Phase::On);
    assert_eq!(world.works().first().map(|(_, how)| *how), Some("start after something"));
    assert!(is_done(&world.order(1, EXEC, false, ALONE)));
    assert!(is_done(&world.order(1, EXEC, true, ALONE)));
    assert_eq!((world.active(1), world.works()), ([true; 3], vec![(2, "start")]));
}

#[test]
fn a_group_that_is_moved_takes_its_stopped_resource_up_again() {
    let mut world = World::up();
    assert!(is_done(&world.order(0, FIP, false, WITH_OTHERS)));
    assert!(is_done(&world.command(1, Command::GroupMove { group: Some(GROUP), from: None, to: None })));
    assert_eq!((world.phases(), world.active(1)), ([Phase::Off, Phase::On], [true; 3]));
}

/// The cluster lost its power while it was suspended, and one server never comes back.
#[test]
fn a_server_that_is_off_for_ever_is_waited_for_until_an_operator_says_so() {
    let mut world = World::boot([Some(true), None]);
    world.run(Duration::from_secs(20));
    let answer = world.command(0, Command::DeclareOff { server: ServerId(1) });
    assert!(refuses(&answer, "suspended"), "{answer:?}");
    assert!(is_done(&world.command(0, Command::Suspend { on: false })));
    world.run(Duration::from_secs(20));
    assert_eq!(world.phases(), [Phase::Off, Phase::Off], "server2 may still run it");
    let answer = world.command(0, Command::DeclareOff { server: ServerId(1) });
    assert!(is_done(&answer), "{answer:?}");
    assert_eq!(world.causes("an operator states that server2 is switched off"), 1);
    assert!(world.log.iter().any(|(_, action)| matches!(action, Action::Alert(Alert::DeclaredOff { server: ServerId(1) }))));
    world.run(Duration::from_secs(5));
    assert_eq!(world.phases(), [Phase::On, Phase::Off]);
    assert!(world.log.iter().any(|(_, action)| matches!(action, Action::Remember { suspended: false })));
    let answer = world.command(0, Command::DeclareOff { server: ServerId(1) });
    assert!(refuses(&answer, "nothing waits for server2"), "{answer:?}");
}

#[test]
fn a_server_that_is_heard_is_not_declared_off() {
    let mut world = World::up();
    for server in [0, 1] {
        let answer = world.command(server, Command::DeclareOff { server: ServerId::at(1 - server) });
        assert!(refuses(&answer, "is not switched off"), "{answer:?}");
    }
    assert_eq!(world.phases(), [Phase::On, Phase::Off]);
}
