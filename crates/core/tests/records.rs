//! What an arbiter is told of who is here, and when: before a loss, so that whoever has something to lose finds itself in the record.

use std::time::Duration;

use clp_core::action::Action;
use clp_core::arbiter::{Answer, Ask, Decision, Record, Watch, decide};
use clp_core::cluster::{Cluster, Identity};
use clp_core::event::Event;
use clp_core::ids::{ServerId, ServerSet};
use clp_core::plan::Plan;
use clp_core::time::Time;
use clp_core::verdict::MethodKind;

mod ground;

/// Two servers with nothing to run and a store with one record, in a world without faults.
struct World {
    now: Time,
    plan: Plan,
    servers: [Option<Cluster>; 2],
    record: Option<Record>,
    writes: u64,
    watches: [Watch<u64>; 2],
}

impl World {
    fn new() -> World {
        let plan = Plan { partition: vec![MethodKind::Arbiter], ..ground::plan(vec![], vec![]) };
        World { now: Time(0), plan, servers: [None, None], record: None, writes: 0, watches: Default::default() }
    }

    fn boot(&mut self, server: usize) {
        let identity = Identity { boot: server as u64, ..ground::identity(server, 1) };
        self.servers[server] = Some(Cluster::new(self.plan.clone(), identity, self.now));
    }

    fn answer(&mut self, server: usize, ask: &Ask) -> Answer {
        let standing = self.watches[server].see(self.writes, Duration::from_micros(self.now.0));
        match decide(self.record.as_ref(), standing, ask) {
            Decision::Write(record, answer) => {
                self.record = Some(record);
                self.writes += 1;
                answer
            }
            Decision::Stands { .. } => Answer::Yes,
            Decision::Denied { answer, .. } => answer,
        }
    }

    fn give(&mut self, server: usize, event: Event) {
        let Some(cluster) = &mut self.servers[server] else { return };
        for action in cluster.handle(self.now, event) {
            let from = ServerId::at(server);
            match action {
                Action::Beat(frame) => self.give(1 - server, Event::Frame { from, path: 0, lan: true, frame }),
                Action::Send(letter) => self.give(letter.to.server.index(), Event::Message { from, letter }),
                Action::AskPartition { ask } => {
                    let answers = vec![Some(self.answer(server, &ask))];
                    let verdict = Event::Verdict { ask: ask.number, answers, age: Duration::ZERO, reason: String::new() };
                    self.give(server, verdict);
                }
                _ => {}
            }
        }
    }

    fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            (0..2).for_each(|server| {
                let due = |cluster: &Cluster| cluster.next_deadline(Time(self.now.0.saturating_sub(1))) <= self.now;
                if self.servers[server].as_ref().is_some_and(due) {
                    self.give(server, Event::Deadline);
                }
            });
            let next = self.servers.iter().flatten().map(|cluster| cluster.next_deadline(self.now)).min();
            self.now = next.unwrap_or(end).max(Time(self.now.0 + 1));
        }
    }

    fn named(&self) -> ServerSet {
        self.record.as_ref().map(|record| record.members).unwrap_or_default()
    }
}

fn both() -> ServerSet {
    ServerSet::all(2)
}

#[test]
fn who_was_there_alone_tells_the_arbiter_of_those_who_come() {
    let mut world = World::new();
    world.boot(1);
    world.run_for(Duration::from_millis(1500));
    assert_eq!(world.named(), std::iter::once(ServerId(1)).collect(), "it was in doubt, and asked first");
    world.boot(0);
    // Server 0 may not write itself into a record that does not name it before that has run out; so long it could lose everything.
    world.run_for(Duration::from_millis(500));
    assert_eq!(world.named(), both());
    assert!(world.record.as_ref().is_some_and(|record| record.lasting));
    // Once is enough.
    let writes = world.writes;
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.writes, writes);
}

#[test]
fn an_arbiter_that_was_away_is_told_again() {
    let mut world = World::new();
    (0..2).for_each(|server| world.boot(server));
    world.run_for(Duration::from_secs(4));
    assert_eq!(world.named(), both());
    let look = |world: &mut World, reachable: bool| {
        (0..2).for_each(|server| world.give(server, Event::PartitionSeen { reachable: vec![Some(reachable)] }));
        world.run_for(Duration::from_secs(1));
    };
    look(&mut world, true);
    world.record = None;
    world.writes += 1;
    look(&mut world, true);
    look(&mut world, false);
    assert_eq!(world.named(), ServerSet::EMPTY, "nobody is asked who was told already, or who does not answer");
    look(&mut world, true);
    assert_eq!(world.named(), both());
}
