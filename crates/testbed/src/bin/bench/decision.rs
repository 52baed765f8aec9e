//! P8: what the decision costs after one of 32 servers was lost: the core alone, in a world without faults whose messages take no
//! time, as the simulator's. What is counted is the coordinator's processor time from the moment at which the first group of the
//! lost server may be started elsewhere until the last of them has its order.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use clp_core::action::{Action, Work};
use clp_core::arbiter::Answer;
use clp_core::cluster::{Cluster, Identity};
use clp_core::event::Event;
use clp_core::ids::{GroupId, ResourceId, ServerId, ServerSet};
use clp_core::message::{Message, OrderKind, Phase};
use clp_core::plan::{AfterStop, Elsewhere, Exclusion, FinalAction, GroupPlan, Plan, ResourcePlan, Restraints, Timing, Waits};
use clp_core::time::Time;
use clp_core::verdict::MethodKind;

use crate::figures::Figures;

const SERVERS: usize = 32;
const GROUPS: usize = 1000;
const RESOURCES: usize = 3;
/// Virtual time for the cluster to come up, and for the takeover.
const PATIENCE: Duration = Duration::from_secs(60);

/// One loss.
///
/// # Errors
/// The cluster does not come up, or the groups are not taken over.
pub fn measure(figures: &mut Figures) -> Result<()> {
    figures.add("P8", loss(GROUPS)?.as_secs_f64() * 1000.0);
    Ok(())
}

fn loss(groups: usize) -> Result<Duration> {
    let mut world = World::up(&plan(groups));
    let all_on = |world: &World| (0..groups).all(|group| world.phase(group % SERVERS, group) == Phase::On);
    world.run_until("every group runs at home", all_on)?;
    let lost = SERVERS - 1;
    let orphans = (0..groups).filter(|group| group % SERVERS == lost).count();
    world.servers[lost] = None;
    world.ordered.clear();
    world.run_until("every group of the lost server has its order", |world| world.ordered.len() >= orphans)?;
    ensure!(world.ordered.keys().all(|group| group.index() % SERVERS == lost), "others were moved");
    // All that the coordinator was told at the moment of the first order counts, up to the event that brought the last one.
    let first = world.ordered.values().min().copied().unwrap_or_default();
    let last = world.ordered.values().max().copied().unwrap_or_default();
    let moment = world.spent[first].0;
    Ok(world.spent[..=last].iter().filter(|(at, _)| *at >= moment).map(|(_, spent)| *spent).sum())
}

struct World {
    now: Time,
    servers: Vec<Option<Cluster>>,
    due: VecDeque<(usize, Event)>,
    /// At which of its events the coordinator ordered the start of a group, or began it itself.
    ordered: BTreeMap<GroupId, usize>,
    /// What each event cost the coordinator.
    spent: Vec<(Time, Duration)>,
}

impl World {
    fn up(plan: &Plan) -> World {
        let server = |me: usize| {
            let identity = Identity {
                me: ServerId::at(me),
                incarnation: 1,
                boot: 1,
                paths: 1,
                generation: 1,
                suspended: false,
                ratio: 1,
                reboots: 0,
                ran: ServerSet::EMPTY,
            };
            Some(Cluster::new(plan.clone(), identity, Time(0)))
        };
        let servers = (0..plan.servers.len()).map(server).collect();
        World { now: Time(0), servers, due: VecDeque::new(), ordered: BTreeMap::new(), spent: Vec::new() }
    }

    fn phase(&self, server: usize, group: usize) -> Phase {
        self.servers[server].as_ref().map_or(Phase::Off, |cluster| cluster.local_phase(GroupId::at(group)))
    }

    /// Goes on until something is so.
    fn run_until(&mut self, what: &str, is_so: impl Fn(&World) -> bool) -> Result<()> {
        let end = self.now + PATIENCE;
        while !is_so(self) {
            if self.now > end {
                bail!("after {} s of its time it is not so that {what}", PATIENCE.as_secs());
            }
            for server in 0..self.servers.len() {
                if self.servers[server]
                    .as_ref()
                    .is_some_and(|cluster| cluster.next_deadline(Time(self.now.0.saturating_sub(1))) <= self.now)
                {
                    self.due.push_back((server, Event::Deadline));
                }
            }
            while let Some((server, event)) = self.due.pop_front() {
                self.handle(server, event);
            }
            let next = self.servers.iter().flatten().map(|cluster| cluster.next_deadline(self.now)).min();
            self.now = next.unwrap_or(end).max(Time(self.now.0 + 1));
        }
        Ok(())
    }

    fn handle(&mut self, server: usize, event: Event) {
        let Some(cluster) = &mut self.servers[server] else { return };
        let began = Instant::now();
        let actions = cluster.handle(self.now, event);
        let spent = began.elapsed();
        if server == 0 {
            self.spent.push((self.now, spent));
        }
        let event = self.spent.len().saturating_sub(1);
        let from = ServerId::at(server);
        let mut follows = Vec::new();
        for action in actions {
            match action {
                Action::Beat(frame) => {
                    for to in (0..self.servers.len()).filter(|to| *to != server) {
                        self.due.push_back((to, Event::Frame { from, path: 0, lan: true, frame: frame.clone() }));
                    }
                }
                Action::Send(letter) => {
                    if let Message::Order(order) = &letter.message
                        && matches!(order.kind, OrderKind::Start { .. })
                    {
                        self.ordered.insert(order.group, event);
                    }
                    follows.push((letter.to.server.index(), Event::Message { from, letter }));
                }
                Action::Resource { op, resource, work } => {
                    if server == 0 && matches!(work, Work::Activate { .. }) {
                        self.ordered.entry(GroupId::at(resource.index() / RESOURCES)).or_insert(event);
                    }
                    follows.push((server, Event::ResourceDone { op, resource, result: Ok(()) }));
                }
                Action::AskPartition { ask } => {
                    let answers = vec![Some(Answer::Yes)];
                    let event = Event::Verdict { ask: ask.number, answers, age: Duration::ZERO, reason: "it counts".into() };
                    follows.push((server, event));
                }
                Action::Search { server: lost } => follows.push((server, Event::Searched { server: lost, sign: None })),
                _ => {}
            }
        }
        // At once: messages are large, and must not wait beside each other.
        follows.into_iter().rev().for_each(|next| self.due.push_front(next));
    }
}

/// Every group at home on one of the servers and at ease on all.
fn plan(groups: usize) -> Plan {
    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }
    let timing = Timing {
        interval: ms(100),
        timeout: ms(1000),
        right_timeout: ms(600),
        arbiter: ms(300),
        watchdog_hold: ms(500),
        gate: ms(100),
        takeover_addresses: ms(0),
        takeover_data: ms(800),
        reset: ms(1100),
        sync_wait: ms(5000),
    };
    let group = |at: usize| GroupPlan {
        name: format!("failover{at}"),
        policy: std::iter::once(at % SERVERS)
            .chain((0..SERVERS - 1).map(|step| (at + 1 + (at / SERVERS + step) % (SERVERS - 1)) % SERVERS))
            .map(ServerId::at)
            .collect(),
        start_auto: true,
        failover_auto: true,
        failback_auto: false,
        exclusion: Exclusion::None,
        life_forbids: false,
        shared_data: false,
        min_proof: None,
        resources: (0..RESOURCES).map(|step| ResourceId::at(at * RESOURCES + step)).collect(),
        waits: Waits::default(),
        server_groups: Vec::new(),
    };
    let resource = |at: usize| ResourcePlan {
        name: format!("exec{at}"),
        group: GroupId::at(at / RESOURCES),
        depends: Vec::new(),
        activate_retry: 0,
        activate_failover: 1,
        activate_action: FinalAction::Nothing,
        deactivate_retry: 0,
        deactivate_action: FinalAction::Nothing,
        activate_script: false,
        deactivate_script: false,
        elsewhere: Elsewhere::default(),
    };
    Plan {
        servers: (0..SERVERS).map(|server| format!("server{}", server + 1)).collect(),
        timing,
        partition: vec![MethodKind::Majority],
        forced_stop: false,
        partition_action: AfterStop::Nothing,
        groups: (0..groups).map(group).collect(),
        resources: (0..groups * RESOURCES).map(resource).collect(),
        monitors: Vec::new(),
        restraints: Restraints::default(),
    }
}
