//! Forced stop: who is switched off when, what that allows, and what is warned of before it is needed.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::time::Duration;

use clp_core::action::{Action, Alert};
use clp_core::cluster::Cluster;
use clp_core::event::Event;
use clp_core::ids::{GroupId, ServerId};
use clp_core::message::Phase;
use clp_core::plan::Plan;
use clp_core::proof::Proof;
use clp_core::time::Time;
use clp_core::verdict::MethodKind;

mod ground;

use ground::ms;

const GROUP: GroupId = GroupId(0);

/// Two servers on one LAN that both reach the ping target; a group is at home on the first.
struct World {
    now: Time,
    servers: Vec<Option<Cluster>>,
    lan: bool,
    /// What a power controller answers; None: it has not answered yet.
    controller: Option<Result<String, String>>,
    /// Server, by whom, when it was to be switched off.
    shots: Vec<(usize, usize, Time)>,
    told: Vec<(usize, Alert)>,
    on_its_way: Vec<(usize, Event)>,
}

impl World {
    fn up(timeout: Duration) -> World {
        let mut world = World {
            now: Time(0),
            servers: vec![None, None],
            lan: true,
            controller: Some(Ok("read off".into())),
            shots: vec![],
            told: vec![],
            on_its_way: vec![],
        };
        let plan = plan(timeout);
        world.servers = (0..2).map(|me| Some(Cluster::new(plan.clone(), ground::identity(me, 1), Time(0)))).collect();
        world.run(ms(5000));
        assert_eq!(world.phases(), [Phase::On, Phase::Off]);
        world
    }

    fn give(&mut self, server: usize, event: Event) {
        let Some(cluster) = &mut self.servers[server] else { return };
        let (other, from) = (1 - server, ServerId::at(server));
        for action in cluster.handle(self.now, event) {
            match action {
                Action::Alert(alert) => self.told.push((server, alert)),
                Action::Beat(frame) if self.lan => {
                    self.on_its_way.push((other, Event::Frame { from, path: 0, lan: true, frame }));
                }
                Action::Send(letter) if self.lan => self.on_its_way.push((other, Event::Message { from, letter })),
                Action::Resource { op, resource, .. } => self.give(server, Event::ResourceDone { op, resource, result: Ok(()) }),
                Action::AskPartition { ask } => self.give(server, ground::verdict(ask.number, true, "yes")),
                Action::Search { server: lost } => self.give(server, Event::Searched { server: lost, sign: None }),
                Action::ForceStop { server: lost } => {
                    self.shots.push((lost.index(), server, self.now));
                    if let Some(result) = self.controller.clone() {
                        if result.is_ok() {
                            self.servers[lost.index()] = None;
                        }
                        self.give(server, Event::ForcedStop { server: lost, result });
                    }
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

    fn phases(&self) -> [Phase; 2] {
        [0, 1].map(|server| self.servers[server].as_ref().map_or(Phase::Off, |cluster| cluster.local_phase(GROUP)))
    }

    fn short(&self) -> Vec<(usize, Proof)> {
        let short = |(by, alert): &(usize, Alert)| match alert {
            Alert::ProofShort { best, .. } => Some((*by, *best)),
            _ => None,
        };
        self.told.iter().filter_map(short).collect()
    }
}

fn plan(timeout: Duration) -> Plan {
    let plan = ground::plan(vec![ground::group("failover1", &[0])], vec![ground::resource("exec1", GROUP, &[])]);
    let timing = clp_core::plan::Timing { timeout, ..plan.timing };
    Plan { forced_stop: true, partition: vec![MethodKind::Ping], timing, ..plan }
}

#[test]
fn a_lost_server_is_taken_over_once_it_is_proven_off_and_not_before() {
    let mut world = World::up(ms(1000));
    world.controller = Some(Err("no answer".into()));
    world.servers[0] = None;
    world.run(ms(20_000));
    assert_eq!(world.phases(), [Phase::Off, Phase::Off], "silence alone is no proof");
    assert!(world.shots.len() >= 2, "it is tried again: {:?}", world.shots);
    world.controller = Some(Ok("read off".into()));
    world.run(ms(10_000));
    assert_eq!(world.phases(), [Phase::Off, Phase::On]);
}

#[test]
fn the_next_loss_is_told_anew_after_an_attempt_that_failed() {
    let mut world = World::up(ms(1000));
    world.controller = Some(Err("no answer".into()));
    for life in [2, 3] {
        world.servers[0] = None;
        world.run(ms(10_000));
        let told = world.told.iter().filter(|(_, alert)| matches!(alert, Alert::StopForced { .. })).count();
        assert_eq!(told, life - 1);
        world.servers[0] = Some(Cluster::new(plan(ms(1000)), ground::identity(0, life as u64), world.now));
        world.run(ms(10_000));
    }
}

#[test]
fn of_two_that_lost_each_other_the_owner_switches_off_the_other_one_alone() {
    let mut world = World::up(ms(1000));
    world.lan = false;
    world.run(ms(10_000));
    assert_eq!(world.shots.iter().map(|(lost, by, _)| (*lost, *by)).collect::<Vec<_>>(), [(1, 0)]);
    assert_eq!(world.phases(), [Phase::On, Phase::Off]);
}

#[test]
fn the_head_start_is_a_time_out_and_ten_seconds_at_most() {
    for (timeout, head_start) in [(ms(1000), ms(1000)), (ms(90_000), ms(10_000))] {
        let mut world = World::up(timeout);
        world.servers[0] = None;
        let lost = world.now;
        world.run(timeout + head_start + ms(1000));
        let [(0, 1, at)] = world.shots[..] else { panic!("{:?}", world.shots) };
        let waited = at.since(lost);
        let expected = timeout + head_start;
        assert!(waited + ms(200) >= expected && waited <= expected + ms(200), "{waited:?} in place of {expected:?}");
    }
}

#[test]
fn the_standing_warning_heeds_what_the_other_servers_could_not_switch_off() {
    let mut world = World::up(ms(1000));
    // The coordinator is the owner: whether it could be switched off is the other's to say.
    let owner = ServerId(0);
    assert_eq!(world.servers[1].as_ref().unwrap().coordinator(), Some(owner));
    world.give(0, Event::ForcedStopSeen { works: vec![None, Some(true)] });
    world.give(1, Event::ForcedStopSeen { works: vec![Some(true), None] });
    world.run(ms(1000));
    assert_eq!(world.short(), []);
    world.give(1, Event::ForcedStopSeen { works: vec![Some(false), None] });
    world.run(ms(1000));
    assert_eq!(world.short(), [(0, Proof::Timed)]);
    assert_eq!(world.servers[0].as_ref().unwrap().stops_others(ServerId(1)), Some(false));
    // That the owner could not switch off the other one is no matter of this group.
    world.give(1, Event::ForcedStopSeen { works: vec![Some(true), None] });
    world.give(0, Event::ForcedStopSeen { works: vec![None, Some(false)] });
    world.run(ms(1000));
    assert_eq!(world.short().len(), 1);
    let over = world.told.iter().filter(|(by, alert)| *by == 0 && matches!(alert, Alert::ProofEnough { group: GROUP })).count();
    assert_eq!(over, 1);
}
