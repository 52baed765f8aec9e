//! Servers taking over exactly when the sum allows it, and what suspensions, pauses and time-out ratios change in that.

use std::time::Duration;

use clp_core::action::{Action, Alert, Work};
use clp_core::cluster::{Cluster, Identity};
use clp_core::event::Event;
use clp_core::ids::{GroupId, ServerId};
use clp_core::message::{Answer, Command, Phase};
use clp_core::plan::{AfterStop, Plan};
use clp_core::time::Time;
use clp_core::verdict::MethodKind;

mod ground;

use ground::{TIMING_SHORT as TIMING, ms, usual as plan};

/// Servers in a world without faults: frames and messages arrive at once, operations end at once.
struct World {
    now: Time,
    servers: Vec<Option<Cluster>>,
    cut: bool,
    /// The kernel of a server that is not there answers all the same.
    answers: bool,
    /// The server on which nothing can be deactivated.
    stuck: Option<usize>,
    /// Nothing can be written down.
    full: bool,
    log: Vec<(Time, usize, Action)>,
}

impl World {
    fn new(plan: &Plan) -> World {
        let servers = (0..plan.servers.len())
            .map(|me| {
                let identity = Identity { boot: me as u64, ..ground::identity(me, 1) };
                Some(Cluster::new(plan.clone(), identity, Time(0)))
            })
            .collect();
        World { now: Time(0), servers, cut: false, answers: false, stuck: None, full: false, log: Vec::new() }
    }

    fn give(&mut self, server: usize, event: Event) {
        let Some(cluster) = &mut self.servers[server] else { return };
        let actions = cluster.handle(self.now, event);
        let servers = self.servers.len();
        for action in actions {
            self.log.push((self.now, server, action.clone()));
            match action {
                Action::Beat(frame) => {
                    let cut = self.cut;
                    for to in (0..servers).filter(|to| *to != server && !cut) {
                        let from = ServerId::at(server);
                        self.give(to, Event::Frame { from, path: 0, lan: true, frame: frame.clone() });
                    }
                }
                Action::Send(letter) if !self.cut => {
                    self.give(letter.to.server.index(), Event::Message { from: ServerId::at(server), letter });
                }
                Action::Resource { op, resource, work } => {
                    let fails = self.stuck == Some(server) && !matches!(work, Work::Activate { .. });
                    let result = if fails { Err("it is stuck".into()) } else { Ok(()) };
                    self.give(server, Event::ResourceDone { op, resource, result });
                }
                Action::Search { server: lost } => {
                    let sign = self.answers.then(|| "10.0.0.1 answers ARP".to_string());
                    self.give(server, Event::Searched { server: lost, sign });
                }
                Action::Emergency { .. } => self.give(server, Event::EmergencyDone),
                Action::KeepRatio { ratio } => {
                    let result = if self.full { Err("the disk is full".to_string()) } else { Ok(()) };
                    self.give(server, Event::RatioKept { ratio, result });
                }
                _ => {}
            }
        }
    }

    fn run_until(&mut self, end: Time) {
        for server in 0..self.servers.len() {
            self.give(server, Event::Deadline);
        }
        loop {
            let deadline = |cluster: &Option<Cluster>| cluster.as_ref().map(|cluster| cluster.next_deadline(self.now));
            let next = self.servers.iter().filter_map(deadline).min().expect("somebody lives").max(Time(self.now.0 + 1));
            if next > end {
                self.now = end;
                return;
            }
            self.now = next;
            for server in 0..self.servers.len() {
                let due = self.servers[server].as_ref().is_some_and(|cluster| cluster.next_deadline(Time(next.0 - 1)) <= next);
                if due {
                    self.give(server, Event::Deadline);
                }
            }
        }
    }

    /// The server stands still for a while; what is sent to it meanwhile is lost.
    fn pause(&mut self, server: usize, span: Duration) {
        let paused = self.servers[server].take();
        self.run_until(self.now + span);
        self.servers[server] = paused;
    }

    fn said(&self, server: usize, what: impl Fn(&Action) -> bool) -> bool {
        self.log.iter().any(|(_, by, action)| *by == server && what(action))
    }

    fn phase(&self, server: usize) -> Phase {
        self.servers[server].as_ref().map_or(Phase::Off, |cluster| cluster.local_phase(GroupId(0)))
    }
}

#[test]
fn takeover_happens_at_the_instant_the_sum_allows() {
    let mut world = World::new(&plan(2, vec![]));
    world.run_until(Time(10_000_000));
    assert_eq!((world.phase(0), world.phase(1)), (Phase::On, Phase::Off));
    let beats = world.log.iter().filter(|(_, server, action)| *server == 0 && matches!(action, Action::Beat(_)));
    let last = beats.map(|(at, _, _)| *at).max().expect("it beat");
    world.servers[0] = None;
    world.run_until(Time(20_000_000));
    assert_eq!(world.phase(1), Phase::On);
    let started = world
        .log
        .iter()
        .find(|(_, server, action)| *server == 1 && matches!(action, Action::Resource { work: Work::Activate { .. }, .. }));
    let wait = started.expect("it took over").0.since(last);
    let sum = TIMING.timeout + TIMING.takeover_data;
    assert_eq!(wait, sum, "silence and delay, not a beat more");
}

fn extend(world: &mut World, id: u64, ratio: u32, span: Duration) {
    let span = u64::try_from(span.as_micros()).expect("short");
    world.give(1, Event::Operator { id, command: Command::TimeoutRatio { ratio, span } });
}

fn ratios(world: &World) -> Vec<u32> {
    world.servers.iter().flatten().map(|cluster| cluster.timeout_ratio(world.now).0).collect()
}

#[test]
fn a_time_out_ratio_holds_everywhere_and_makes_the_takeover_wait_for_as_much() {
    let mut world = World::new(&plan(2, vec![]));
    world.run_until(Time(10_000_000));
    extend(&mut world, 1, 3, Duration::from_secs(3600));
    world.run_until(Time(11_000_000));
    assert_eq!(ratios(&world), [3, 3]);
    for server in 0..2 {
        assert!(world.said(server, |action| matches!(action, Action::TimeoutRatio { ratio: 3 })), "server{}", server + 1);
    }
    assert!(world.said(1, |action| matches!(action, Action::Answer { id: 1, answer: Answer::Done { .. } })));
    // A server that starts meanwhile uses it too.
    let identity = Identity { boot: 9, ratio: 3, ..ground::identity(1, 2) };
    world.servers[1] = Some(Cluster::new(plan(2, vec![]), identity, world.now));
    world.run_until(Time(20_000_000));
    assert_eq!(ratios(&world), [3, 3]);
    let beats = world.log.iter().filter(|(_, server, action)| *server == 0 && matches!(action, Action::Beat(_)));
    let last = beats.map(|(at, _, _)| *at).max().expect("it beat");
    world.servers[0] = None;
    world.run_until(last + TIMING.timeout * 3 + TIMING.takeover_data - ms(1));
    assert_eq!(world.phase(1), Phase::Off);
    world.run_until(world.now + ms(500));
    assert_eq!(world.phase(1), Phase::On, "the coordinator changed, and the ratio went on");
}

#[test]
fn a_time_out_ratio_ends_by_itself_or_by_order_for_everybody() {
    for by_order in [false, true] {
        let mut world = World::new(&plan(3, vec![]));
        world.run_until(Time(10_000_000));
        let span = if by_order { Duration::from_secs(3600) } else { ms(4000) };
        extend(&mut world, 1, 5, span);
        world.run_until(Time(13_900_000));
        assert_eq!(ratios(&world), [5, 5, 5]);
        if by_order {
            extend(&mut world, 2, 1, Duration::ZERO);
        }
        world.run_until(Time(15_000_000));
        assert_eq!(ratios(&world), [1, 1, 1], "by order: {by_order}");
        for server in 0..3 {
            let cluster = world.servers[server].as_ref().expect("it lives");
            assert!((0..3).all(|other| cluster.ratio_towards(ServerId::at(other)) == 1));
            let kept = world.log.iter().rev().find_map(|(_, by, action)| match action {
                Action::KeepRatio { ratio } if *by == server => Some(*ratio),
                _ => None,
            });
            assert_eq!(kept, Some(1), "nothing is left on the disk");
        }
    }
}

#[test]
fn a_ratio_that_cannot_be_written_down_is_promised_to_nobody_and_the_operator_is_told() {
    let mut world = World::new(&plan(2, vec![]));
    world.full = true;
    world.run_until(Time(10_000_000));
    extend(&mut world, 1, 3, Duration::from_secs(3600));
    world.run_until(Time(40_000_000));
    let promised = |action: &Action| matches!(action, Action::Beat(frame) if frame.ratio > 1);
    assert!(!world.said(0, promised) && !world.said(1, promised));
    assert!(world.said(1, |action| matches!(action, Action::Answer { id: 1, answer: Answer::Refused { .. } })));
    assert_eq!(world.phase(0), Phase::On);
    world.full = false;
    world.run_until(Time(60_000_000));
    assert!(world.said(0, promised) && world.said(1, promised), "tried again");
}

#[test]
fn server_cut_off_while_suspended_is_not_taken_over_after_resume() {
    let mut world = World::new(&plan(2, vec![]));
    world.run_until(Time(10_000_000));
    world.give(0, Event::Operator { id: 1, command: Command::Suspend { on: true } });
    world.run_until(Time(12_000_000));
    world.cut = true;
    world.run_until(Time(20_000_000));
    assert_eq!(world.phase(0), Phase::On, "a suspended server keeps what it runs");
    world.give(1, Event::Operator { id: 2, command: Command::Suspend { on: false } });
    world.run_until(Time(40_000_000));
    assert_eq!((world.phase(0), world.phase(1)), (Phase::On, Phase::Off));
    world.cut = false;
    world.run_until(Time(60_000_000));
    assert_eq!((world.phase(0), world.phase(1)), (Phase::On, Phase::Off));
}

#[test]
fn a_pause_shorter_than_the_timeout_costs_the_other_server_nothing() {
    for span in (100..1000).step_by(50) {
        let mut world = World::new(&plan(2, vec![]));
        world.run_until(Time(10_000_000));
        world.pause(1, ms(span));
        // Its first frame acknowledges what it read before.
        world.run_until(world.now + ms(3000));
        assert!(!world.said(0, |action| matches!(action, Action::Emergency { .. })), "pause of {span} ms");
        assert_eq!(world.phase(0), Phase::On, "pause of {span} ms");
    }
}

#[test]
fn a_server_that_paused_speaks_once_and_dies_costs_nothing() {
    for span in (100..1000).step_by(50) {
        let mut world = World::new(&plan(2, vec![]));
        world.run_until(Time(10_000_000));
        world.pause(1, ms(span));
        world.give(1, Event::Deadline);
        world.servers[1] = None;
        world.run_until(world.now + ms(5000));
        assert!(!world.said(0, |action| matches!(action, Action::Emergency { .. })), "pause of {span} ms");
    }
}

#[test]
fn a_server_that_stood_still_accuses_nobody() {
    let mut world = World::new(&plan(2, vec![]));
    world.run_until(Time(10_000_000));
    // It holds nothing, so it has nothing to give up either.
    world.pause(1, ms(8000));
    world.run_until(world.now + ms(3000));
    assert!(!world.said(1, |action| matches!(action, Action::Alert(Alert::ServerDown { .. }))));
    assert_eq!((world.phase(0), world.phase(1)), (Phase::On, Phase::Off));
}

#[test]
fn a_server_that_stands_still_as_it_starts_forms_no_view_of_its_own_over_that() {
    let mut starting = Cluster::new(plan(2, vec![]), Identity { boot: 1, ..ground::identity(1, 1) }, Time(0));
    starting.handle(Time(0), Event::Deadline);
    // A view of its own would withhold its acknowledgements from a server that runs.
    let woken = Time(0) + TIMING.interval * 9;
    starting.handle(woken, Event::Deadline);
    assert_eq!(starting.coordinator(), None, "nobody listened meanwhile (rule R6)");
    starting.handle(woken + TIMING.interval, Event::Deadline);
    assert_eq!(starting.coordinator(), None, "it has listened for one interval");
    starting.handle(woken + TIMING.interval * 2, Event::Deadline);
    assert_eq!(starting.coordinator(), Some(ServerId::at(1)));
}

#[test]
fn an_owner_that_stood_still_for_longer_than_its_right_gives_up_at_once() {
    let mut world = World::new(&plan(2, vec![]));
    world.run_until(Time(10_000_000));
    world.pause(0, ms(8000));
    let woken = world.now;
    world.give(0, Event::Deadline);
    let emergency = world.log.iter().find(|(_, by, action)| *by == 0 && matches!(action, Action::Emergency { .. }));
    assert_eq!(emergency.map(|(at, _, _)| *at), Some(woken), "a gap does not help it (rule R6)");
}

#[test]
fn a_stop_of_all_that_failed_somewhere_does_not_stop_a_server_that_starts_later() {
    let mut world = World::new(&plan(2, vec![]));
    world.run_until(Time(10_000_000));
    // The group is on the server with the higher number, so that the one that starts again coordinates.
    let moved = Command::GroupMove { group: Some(GroupId(0)), from: None, to: Some(ServerId(1)) };
    world.give(0, Event::Operator { id: 1, command: moved });
    world.run_until(Time(12_000_000));
    assert_eq!((world.phase(0), world.phase(1)), (Phase::Off, Phase::On));
    world.stuck = Some(1);
    world.give(1, Event::Operator { id: 2, command: Command::StopAll { then: AfterStop::Nothing } });
    world.run_until(Time(20_000_000));
    assert!(world.said(0, |action| matches!(action, Action::Exit { clean: true, .. })), "the first server stopped");
    assert_eq!(world.phase(1), Phase::OfflineFailure);
    let identity = Identity { boot: 7, ..ground::identity(0, 2) };
    world.servers[0] = Some(Cluster::new(plan(2, vec![]), identity, world.now));
    world.log.clear();
    world.run_until(Time(30_000_000));
    assert!(!world.said(0, |action| matches!(action, Action::Exit { .. })), "it was not there when the stop was asked for");
    assert_eq!(world.phase(1), Phase::OfflineFailure, "and nothing is started beside what could not be stopped");
    assert_eq!(world.phase(0), Phase::Off);
}

/// Freezes the owner of the group while its kernel answers; when the other server began to start the group after that.
fn takeover_of_a_frozen_owner(plan: &Plan, answers_for: Duration) -> Option<Duration> {
    takeover_behind_a_gate(plan, answers_for, true)
}

/// The same, where the owner's addresses are behind its kernel's gate or not.
fn takeover_behind_a_gate(plan: &Plan, answers_for: Duration, gated: bool) -> Option<Duration> {
    let mut world = World::new(plan);
    world.give(0, Event::GateSeen { works: gated });
    world.run_until(Time(10_000_000));
    assert_eq!((world.phase(0), world.phase(1)), (Phase::On, Phase::Off));
    let beats = world.log.iter().filter(|(_, server, action)| *server == 0 && matches!(action, Action::Beat(_)));
    let last = beats.map(|(at, _, _)| *at).max().expect("it beat");
    world.servers[0] = None;
    world.answers = true;
    world.run_until(world.now + answers_for);
    world.answers = false;
    world.run_until(world.now + ms(5000));
    let starts = |(_, server, action): &&(Time, usize, Action)| {
        *server == 1 && matches!(action, Action::Resource { work: Work::Activate { .. }, .. })
    };
    world.log.iter().find(starts).map(|(at, _, _)| at.since(last))
}

#[test]
fn a_silent_server_that_lives_is_not_taken_over_until_it_no_longer_does() {
    let mut plan = plan(2, vec![]);
    let sum = TIMING.timeout + TIMING.takeover_data;
    assert_eq!(takeover_of_a_frozen_owner(&plan, ms(300)), Some(sum), "it died within the time-out");
    for seconds in [3, 20] {
        let wait = takeover_of_a_frozen_owner(&plan, ms(seconds * 1000)).expect("it is taken over in the end");
        assert!(wait >= ms(seconds * 1000) && wait < ms(seconds * 1000 + 600), "{wait:?} after {seconds} s");
    }
    // Without data a sign of life only gives the time in which a watchdog would have reset it.
    plan.groups[0].shared_data = false;
    plan.groups[0].life_forbids = false;
    assert_eq!(takeover_of_a_frozen_owner(&plan, ms(20_000)), Some(sum));
    assert_eq!(takeover_of_a_frozen_owner(&plan, ms(300)), Some(TIMING.timeout), "and none when it is silent");
    assert_eq!(takeover_behind_a_gate(&plan, ms(300), false), Some(sum), "without a gate a hung one may answer until its reset");
}

#[test]
fn addresses_are_served_until_the_right_and_the_gate_have_run_out_and_not_by_the_mere_start() {
    let mut world = World::new(&plan(2, vec![]));
    let serves = |world: &World| world.servers[0].as_ref().and_then(|server| server.serves_until(world.now));
    assert_eq!(serves(&world), None, "nobody has acknowledged anything");
    world.run_until(Time(10_000_000));
    let until = serves(&world).expect("it is acknowledged");
    let longest = world.now + TIMING.right_timeout + TIMING.gate;
    assert!(until <= longest && until + TIMING.interval * 2 >= longest, "{until:?} at {:?}", world.now);
    // The other one stands still and nothing is asked (no resolution: always Yes). The Yes comes before the gate closes.
    world.servers[1] = None;
    for _ in 0..60 {
        world.run_until(world.now + ms(50));
        assert!(serves(&world).is_some_and(|until| until > world.now && until <= world.now + TIMING.right_timeout + TIMING.gate));
    }
    assert_eq!(world.phase(0), Phase::On);
}

#[test]
fn a_pause_that_is_longer_than_the_gate_and_shorter_than_the_right_costs_nothing_but_itself() {
    let sound = Plan { partition: vec![MethodKind::Majority], ..plan(3, vec![]) };
    let mut world = World::new(&sound);
    world.run_until(Time(10_000_000));
    let until = world.servers[0].as_ref().and_then(|server| server.serves_until(world.now)).expect("served");
    let given_up = until + TIMING.arbiter - TIMING.gate;
    world.pause(0, (until + ms(50)).since(world.now));
    assert!(world.now < given_up);
    let server = world.servers[0].as_ref().expect("it stood still");
    assert_eq!(server.serves_until(world.now), None, "closed by the clock alone");
    world.run_until(world.now + TIMING.interval * 3);
    let server = world.servers[0].as_ref().expect("it runs");
    assert!(server.serves_until(world.now).is_some(), "open again");
    assert_eq!((world.phase(0), world.phase(1)), (Phase::On, Phase::Off));
    assert!(!world.said(0, |action| matches!(action, Action::Emergency { .. })));
}

#[test]
fn a_kernel_that_answers_again_after_a_silence_is_a_new_boot() {
    let mut world = World::new(&plan(2, vec![]));
    world.run_until(Time(10_000_000));
    world.servers[0] = None;
    world.run_until(world.now + ms(500));
    world.answers = true;
    world.run_until(world.now + ms(3000));
    assert_eq!(world.phase(1), Phase::On, "its reboot does not hold the takeover back");
}

#[test]
fn a_suspension_that_one_server_does_not_know_of_keeps_nothing_without_a_right() {
    let mut world = World::new(&plan(2, vec![]));
    world.run_until(Time(10_000_000));
    world.cut = true;
    world.give(0, Event::Operator { id: 1, command: Command::Suspend { on: true } });
    // Partition method none: each side covers itself, so that the other one may start the group.
    world.run_until(Time(20_000_000));
    let told = |(_, _, action): &(Time, usize, Action)| match action {
        Action::Answer { id: 1, answer: Answer::Done { details } } => {
            details.iter().any(|text| text.contains("does not know of it"))
        }
        _ => false,
    };
    assert!(world.log.iter().any(told), "the operator is told");
    assert!(world.said(0, |action| matches!(action, Action::Remember { suspended: true })));
    assert!(!world.said(1, |action| matches!(action, Action::Remember { .. })));
}

#[test]
fn a_server_that_boots_into_a_suspended_cluster_starts_nothing_alone_and_everything_with_all() {
    for (all, expected) in [(false, Phase::Off), (true, Phase::On)] {
        let mut world = World::new(&plan(2, vec![]));
        for server in 0..2 {
            let identity = Identity { boot: 9, suspended: true, ..ground::identity(server, 2) };
            world.servers[server] = (all || server == 0).then(|| Cluster::new(plan(2, vec![]), identity, Time(0)));
        }
        world.run_until(Time(20_000_000));
        assert_eq!(world.phase(0), expected, "all started anew: {all}");
        assert_eq!(world.said(0, |action| matches!(action, Action::Remember { suspended: false })), all);
    }
}

#[test]
fn a_server_that_was_dead_before_the_suspension_holds_nothing_back_after_it() {
    let mut world = World::new(&plan(2, vec![]));
    world.run_until(Time(10_000_000));
    world.servers[1] = None;
    world.run_until(Time(15_000_000));
    world.give(0, Event::Operator { id: 1, command: Command::Suspend { on: true } });
    world.run_until(Time(16_000_000));
    world.give(0, Event::Operator { id: 2, command: Command::Suspend { on: false } });
    world.run_until(Time(17_000_000));
    for (id, command, phase) in [
        (3, Command::GroupStop { group: None, server: None }, Phase::Off),
        (4, Command::GroupStart { group: None, server: None }, Phase::On),
    ] {
        world.give(0, Event::Operator { id, command });
        world.run_until(world.now + ms(3000));
        assert_eq!(world.phase(0), phase, "command {id}");
    }
}

#[test]
fn a_resume_that_the_other_server_did_not_hear_is_remembered_over_a_restart() {
    let mut world = World::new(&plan(2, vec![]));
    world.run_until(Time(10_000_000));
    world.give(0, Event::Operator { id: 1, command: Command::Suspend { on: true } });
    world.run_until(Time(12_000_000));
    world.cut = true;
    world.run_until(Time(15_000_000));
    world.give(1, Event::Operator { id: 2, command: Command::Suspend { on: false } });
    world.run_until(Time(16_000_000));
    let remembered = world.log.iter().rev().find_map(|(_, server, action)| match action {
        Action::Remember { suspended } if *server == 1 => Some(*suspended),
        _ => None,
    });
    assert_eq!(remembered, Some(true), "server1 may still be at rest");
    world.cut = false;
    world.run_until(Time(20_000_000));
    assert!(world.said(1, |action| matches!(action, Action::Remember { suspended: false })), "until it knows");
    assert_eq!((world.phase(0), world.phase(1)), (Phase::On, Phase::Off));
}

/// Are all servers from that one on, and no other, in the view of each of them, with the first of them as the coordinator?
fn are_together(world: &World, from: usize) -> bool {
    (from..world.servers.len()).all(|server| {
        let cluster = world.servers[server].as_ref().expect("it lives");
        let members = (0..world.servers.len()).map(ServerId::at);
        cluster.coordinator() == Some(ServerId::at(from))
            && members.into_iter().all(|of| cluster.server_view(world.now, of).member == (of.index() >= from))
    })
}

#[test]
fn thirty_two_servers_form_one_view_and_the_next_one_takes_over() {
    let mut world = World::new(&plan(32, vec![]));
    world.run_until(Time(3_500_000));
    assert!(are_together(&world, 0));
    assert_eq!((world.phase(0), world.phase(31)), (Phase::On, Phase::Off));
    world.servers[0] = None;
    world.run_until(Time(6_500_000));
    assert!(are_together(&world, 1));
    assert_eq!((1..32).map(|server| world.phase(server)).filter(|phase| *phase == Phase::On).count(), 1);
    assert_eq!(world.phase(1), Phase::On);
}

#[test]
fn thirty_two_servers_form_a_view_within_two_hundred_milliseconds_of_hearing_each_other() {
    // Without groups: who has to give one up when the cut begins ends its service, and is not there afterwards.
    let servers = plan(32, vec![]).servers;
    let mut world = World::new(&Plan { servers, partition: vec![MethodKind::Majority], ..ground::plan(vec![], vec![]) });
    world.run_until(Time(4_000_000));
    assert!(are_together(&world, 0));
    world.cut = true;
    world.run_until(Time(9_000_000));
    assert!(!are_together(&world, 0));
    world.cut = false;
    let healed = world.now;
    while !are_together(&world, 0) {
        world.run_until(Time(world.now.0 + 10_000));
        assert!(world.now.since(healed) < Duration::from_secs(1), "no view");
    }
    // Each has heard all others after an interval, and knows that they heard it after the next one.
    let formed = world.now.since(healed);
    assert!(formed <= TIMING.interval * 2 + ms(200), "{formed:?}");
}
