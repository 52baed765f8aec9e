//! What operators are told, occasion by occasion: groups on their way, servers that wait for each other, reach, stops.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::time::Duration;

use clp_core::action::{Action, Alert, SyncWaitEnd, Work};
use clp_core::cluster::{Cluster, Identity};
use clp_core::event::{Event, Failure};
use clp_core::ids::{GroupId, MonitorId, ServerId};
use clp_core::message::{Answer, Command, Phase};
use clp_core::plan::{AfterStop, GroupPlan, MonitorPlan, Plan, RecoveryTarget, Timing};
use clp_core::restarting::Restarted;
use clp_core::time::Time;

mod ground;

use ground::{TIMING, ms};

const GROUP: GroupId = GroupId(0);

/// Two servers, a group of one resource with failback, a monitor that wants it elsewhere at its first failure.
fn plan() -> Plan {
    let group = GroupPlan { failback_auto: true, ..ground::group("failover1", &[0]) };
    let monitor = MonitorPlan { failover_max: 9, ..ground::monitor("genw1", RecoveryTarget::Group(GROUP)) };
    Plan {
        timing: Timing { takeover_data: ms(0), ..TIMING },
        monitors: vec![monitor],
        ..ground::plan(vec![group], vec![ground::resource("exec1", GROUP, &[])])
    }
}

/// Two servers with a LAN (path 0) and a serial line (path 1); what is sent arrives one step later.
struct World {
    now: Time,
    plan: Plan,
    servers: Vec<Option<Cluster>>,
    lan: bool,
    /// The server on which an activation fails, and the one on which a deactivation does.
    no_start: Option<usize>,
    no_stop: Option<usize>,
    /// Work that was begun while it is slow ends when the world lets it.
    slow: bool,
    unfinished: Vec<(usize, Event)>,
    told: Vec<(usize, Alert)>,
    on_its_way: Vec<(usize, Event)>,
    answers: Vec<Answer>,
}

impl World {
    fn with(servers: &[usize]) -> World {
        let mut world = World {
            now: Time(0),
            plan: plan(),
            servers: vec![None, None],
            lan: true,
            no_start: None,
            no_stop: None,
            slow: false,
            unfinished: vec![],
            told: vec![],
            on_its_way: vec![],
            answers: vec![],
        };
        servers.iter().for_each(|server| world.boot(*server));
        world
    }

    /// Both are up and the group is online on the first; what was told until then is forgotten.
    fn up() -> World {
        let mut world = World::with(&[0, 1]);
        world.run(ms(5000));
        assert_eq!(world.phases(), [Phase::On, Phase::Off]);
        world.told.clear();
        world
    }

    fn boot(&mut self, server: usize) {
        let incarnation = 1 + self.now.0;
        let boot = incarnation * 2 + server as u64;
        let identity = Identity { boot, paths: 2, ..ground::identity(server, incarnation) };
        self.servers[server] = Some(Cluster::new(self.plan.clone(), identity, self.now));
        self.give(server, Event::Deadline);
    }

    fn give(&mut self, server: usize, event: Event) {
        let Some(cluster) = &mut self.servers[server] else { return };
        let other = 1 - server;
        let from = ServerId::at(server);
        for action in cluster.handle(self.now, event) {
            match action {
                Action::Alert(alert) => self.told.push((server, alert)),
                Action::Beat(frame) => {
                    let paths = if self.lan { vec![(0, true), (1, false)] } else { vec![(1, false)] };
                    for (path, lan) in paths {
                        self.on_its_way.push((other, Event::Frame { from, path, lan, frame: frame.clone() }));
                    }
                }
                Action::Send(letter) if self.lan => self.on_its_way.push((other, Event::Message { from, letter })),
                Action::Resource { op, resource, work } => {
                    let broken = match work {
                        Work::Activate { .. } => self.no_start,
                        Work::Deactivate { .. } | Work::Detach => self.no_stop,
                        Work::Verify => None,
                    };
                    let result = if broken == Some(server) { Err("broken".into()) } else { Ok(()) };
                    let done = Event::ResourceDone { op, resource, result };
                    match self.slow {
                        true => self.unfinished.push((server, done)),
                        false => self.give(server, done),
                    }
                }
                Action::AskPartition { ask } => self.give(server, ground::verdict(ask.number, true, "yes")),
                Action::Search { server: lost } => self.give(server, Event::Searched { server: lost, sign: None }),
                Action::Answer { answer, .. } => self.answers.push(answer),
                Action::Emergency { .. } => self.give(server, Event::EmergencyDone),
                Action::Exit { .. } => {
                    self.servers[server] = None;
                    return;
                }
                _ => {}
            }
        }
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.now = self.now + ms(20);
            for (server, event) in std::mem::take(&mut self.on_its_way) {
                self.give(server, event);
            }
            for server in 0..2 {
                let due = self.servers[server].as_ref().is_some_and(|cluster| cluster.next_deadline(self.now) <= self.now);
                if due {
                    self.give(server, Event::Deadline);
                }
            }
        }
    }

    /// Lets slow work end.
    fn finish(&mut self) {
        self.slow = false;
        for (server, done) in std::mem::take(&mut self.unfinished) {
            self.give(server, done);
        }
    }

    fn operator(&mut self, server: usize, command: Command) {
        let id = self.now.0;
        self.give(server, Event::Operator { id, command });
        self.run(ms(4000));
    }

    fn phases(&self) -> [Phase; 2] {
        [0, 1].map(|server| self.servers[server].as_ref().map_or(Phase::Off, |cluster| cluster.local_phase(GROUP)))
    }

    /// What was told of groups on their way, in short.
    fn ways(&self) -> Vec<String> {
        self.told
            .iter()
            .filter_map(|(by, alert)| match alert {
                Alert::RelocationBegins { kind, to, .. } => Some(format!("{by}: {kind:?} to {} begins", to.0)),
                Alert::RelocationEnded { kind, on, .. } => Some(format!("{by}: {kind:?} ended on {}", on.0)),
                Alert::RelocationFailed { kind, .. } => Some(format!("{by}: {kind:?} failed")),
                _ => None,
            })
            .collect()
    }

    fn count(&self, server: usize, what: impl Fn(&Alert) -> bool) -> usize {
        self.told.iter().filter(|(by, alert)| *by == server && what(alert)).count()
    }

    /// How the wait of a server ended.
    fn wait_of(&self, server: usize) -> Vec<SyncWaitEnd> {
        let ends = self.told.iter().filter_map(|(by, alert)| match alert {
            Alert::SyncWaitOver { how } if *by == server => Some(how.clone()),
            _ => None,
        });
        ends.collect()
    }
}

fn to(server: u8) -> Command {
    Command::GroupMove { group: Some(GROUP), from: None, to: Some(ServerId(server)) }
}

#[test]
fn a_move_a_failover_and_a_failback_are_told_from_begin_to_end() {
    let mut world = World::up();
    world.operator(0, to(1));
    assert_eq!(world.ways(), ["0: Move to 1 begins", "0: Move ended on 1"]);
    world.told.clear();
    world.give(1, Event::MonitorResult { monitor: MonitorId(0), failure: Some(Failure::error("no answer")) });
    world.run(ms(4000));
    assert_eq!(world.ways(), ["0: Failover to 0 begins", "0: Failover ended on 0"]);
    world.told.clear();
    world.servers[0] = None;
    world.run(ms(4000));
    assert_eq!(world.ways(), ["1: Failover to 1 begins", "1: Failover ended on 1"]);
    world.told.clear();
    // The first server coordinates again once it is back.
    world.boot(0);
    world.run(ms(4000));
    assert_eq!(world.ways(), ["0: Failback to 0 begins", "0: Failback ended on 0"]);
    assert_eq!(world.phases(), [Phase::On, Phase::Off]);
}

#[test]
fn a_reboot_within_the_timeout_is_a_failover_unless_a_failback_would_follow() {
    for (failback, expected) in [(false, [Phase::Off, Phase::On]), (true, [Phase::On, Phase::Off])] {
        let mut world = World::up();
        world.plan.groups[0].failback_auto = failback;
        world.servers = vec![None, None];
        world.boot(0);
        world.boot(1);
        world.run(ms(5000));
        assert_eq!(world.phases(), [Phase::On, Phase::Off]);
        world.told.clear();
        world.servers[0] = None;
        world.run(ms(300));
        world.boot(0);
        world.run(ms(600));
        assert_eq!(world.phases(), expected, "sooner than the time-out; failback {failback}");
        world.run(ms(4000));
        assert_eq!(world.phases(), expected);
        let ways: &[&str] = if failback { &[] } else { &["0: Failover to 1 begins", "0: Failover ended on 1"] };
        assert_eq!(world.ways(), ways);
    }
}

#[test]
fn a_move_whose_activation_fails_has_failed_and_a_failover_follows() {
    let mut world = World::up();
    world.no_start = Some(1);
    world.operator(0, to(1));
    let ways = ["0: Move to 1 begins", "0: Move failed", "0: Failover to 0 begins", "0: Failover ended on 0"];
    assert_eq!(world.ways(), ways);
}

#[test]
fn a_move_whose_stop_fails_has_failed() {
    let mut world = World::up();
    world.no_stop = Some(0);
    world.operator(0, to(1));
    assert!(matches!(&world.answers[..], [Answer::Refused { reason, .. }] if reason.contains("could not be stopped on server1")));
    assert_eq!(world.ways(), ["0: Move to 1 begins", "0: Move failed"]);
}

#[test]
fn a_failover_that_fails_where_it_ends_has_failed_once() {
    let mut world = World::up();
    world.no_start = Some(1);
    world.servers[0] = None;
    world.run(ms(6000));
    assert_eq!(world.ways(), ["1: Failover to 1 begins", "1: Failover failed"]);
}

#[test]
fn a_restart_is_told_from_begin_to_its_end_or_failure_or_not_at_all_when_a_stop_cuts_it_short() {
    let resource = clp_core::ids::ResourceId(0);
    let targets = [
        (RecoveryTarget::Group(GROUP), Restarted::Group(GROUP)),
        (RecoveryTarget::Resource(resource), Restarted::Resource(resource)),
    ];
    for (target, what) in targets {
        let restarted = |no_start, no_stop, stopped: bool| {
            let mut world = World::with(&[]);
            world.plan.monitors[0] = MonitorPlan { restart_max: 1, ..ground::monitor("genw1", target) };
            (0..2).for_each(|server| world.boot(server));
            world.run(ms(5000));
            world.told.clear();
            (world.no_start, world.no_stop, world.slow) = (no_start, no_stop, stopped);
            world.give(0, Event::MonitorResult { monitor: MonitorId(0), failure: Some(Failure::error("no answer")) });
            if stopped {
                world.operator(0, Command::GroupStop { group: Some(GROUP), server: None });
                world.finish();
            }
            world.run(ms(4000));
            let of = |alert: &Alert| match alert {
                Alert::RestartBegins { what: of } => (*of == what).then_some("begins"),
                Alert::RestartEnded { what: of } => (*of == what).then_some("ended"),
                Alert::RestartFailed { what: of, reason } => (*of == what && !reason.is_empty()).then_some("failed"),
                _ => None,
            };
            let told: Vec<&str> = world.told.iter().filter(|(by, _)| *by == 0).filter_map(|(_, alert)| of(alert)).collect();
            told.join(" ")
        };
        assert_eq!(restarted(None, None, false), "begins ended", "{what:?}");
        assert_eq!(restarted(Some(0), None, false), "begins failed", "{what:?}");
        assert_eq!(restarted(None, Some(0), false), "begins failed", "{what:?}");
        assert_eq!(restarted(None, None, true), "begins", "{what:?}");
    }
}

#[test]
fn a_start_and_a_stop_are_no_way() {
    let mut world = World::up();
    world.operator(0, Command::GroupStop { group: Some(GROUP), server: None });
    world.operator(0, Command::GroupStart { group: Some(GROUP), server: Some(ServerId(1)) });
    assert_eq!(world.phases(), [Phase::Off, Phase::On]);
    assert_eq!(world.ways(), Vec::<String>::new());
}

#[test]
fn the_wait_of_servers_that_start_is_told_with_its_end() {
    let mut world = World::with(&[0, 1]);
    world.run(ms(4000));
    for server in 0..2 {
        assert_eq!(world.count(server, |alert| matches!(alert, Alert::SyncWaitBegins { limit } if *limit == ms(2000))), 1);
        assert_eq!(world.wait_of(server), [SyncWaitEnd::AllArrived]);
    }
    let mut alone = World::with(&[1]);
    alone.run(ms(4000));
    assert_eq!(alone.wait_of(1), [SyncWaitEnd::Expired([ServerId(0)].into_iter().collect())]);
    alone.told.clear();
    alone.boot(0);
    alone.run(ms(1500));
    assert_eq!(alone.wait_of(0), [SyncWaitEnd::AllArrived], "it joins a cluster that runs");
    let mut apart = World::with(&[]);
    apart.lan = false;
    apart.boot(0);
    apart.boot(1);
    apart.run(ms(4000));
    assert_eq!(apart.wait_of(0), [], "who hears the other one by the serial line alone starts nothing");
    let mut stopped = World::with(&[1]);
    stopped.run(ms(500));
    stopped.operator(1, Command::StopAll { then: AfterStop::Nothing });
    assert!(matches!(stopped.wait_of(1)[..], [SyncWaitEnd::Cancelled(_)]));
}

#[test]
fn a_server_that_lives_without_a_lan_is_told_and_when_it_has_one_again() {
    let mut world = World::up();
    world.lan = false;
    world.run(ms(1500));
    assert_eq!(world.count(0, |alert| matches!(alert, Alert::Unreachable { .. })), 0, "a moment is no news");
    world.run(ms(3000));
    assert_eq!(world.count(0, |alert| *alert == Alert::Unreachable { server: ServerId(1) }), 1);
    assert_eq!(world.count(1, |alert| *alert == Alert::Unreachable { server: ServerId(0) }), 1);
    world.lan = true;
    world.run(ms(2000));
    assert_eq!(world.count(0, |alert| *alert == Alert::Reachable { server: ServerId(1) }), 1);
    world.told.clear();
    world.servers[1] = None;
    world.run(ms(4000));
    assert_eq!(world.count(0, |alert| matches!(alert, Alert::Unreachable { .. } | Alert::Reachable { .. })), 0, "it is dead");
}

#[test]
fn a_stop_of_all_is_told_on_every_server() {
    let mut world = World::up();
    world.operator(1, Command::StopAll { then: AfterStop::Shutdown });
    for server in 0..2 {
        assert_eq!(world.count(server, |alert| *alert == Alert::ClusterStops { then: AfterStop::Shutdown }), 1);
    }
}

#[test]
fn a_monitor_whose_target_is_elsewhere_tells_that_nothing_follows() {
    let mut world = World::up();
    world.give(1, Event::MonitorResult { monitor: MonitorId(0), failure: Some(Failure::error("no answer")) });
    world.give(1, Event::MonitorResult { monitor: MonitorId(0), failure: Some(Failure::error("no answer")) });
    world.run(ms(1000));
    assert_eq!(world.count(1, |alert| matches!(alert, Alert::RecoveryWithoutTarget { .. })), 1);
    assert_eq!(world.phases(), [Phase::On, Phase::Off]);
}
