//! The ground of these tests: two servers without faults that keep what they said.

use clp_core::action::{Action, Work};
use clp_core::arbiter::Answer;
use clp_core::cluster::{Cluster, Identity};
use clp_core::event::Event;
use clp_core::ids::{GroupId, ServerId, ServerSet};
use clp_core::message::{Command, Epoch, Frame, Letter, Member, Message, Phase};
use clp_core::plan::{Exclusion, FinalAction, GroupPlan, Plan, RecoveryTarget, ResourcePlan, Timing};
use clp_core::time::Time;
use clp_core::verdict::MethodKind;

use crate::ground::{self, TIMING, ms};

/// In the core's microseconds.
pub const SECOND: u64 = 1_000_000;

pub fn plan() -> Plan {
    let group = |name: &str, resource: u16| GroupPlan {
        failback_auto: true,
        exclusion: Exclusion::Normal,
        life_forbids: true,
        shared_data: true,
        min_proof: None,
        ..ground::group(name, &[resource])
    };
    let resource = |name: &str, group: u16| ResourcePlan {
        activate_retry: 1,
        activate_action: FinalAction::StopGroup,
        ..ground::resource(name, GroupId(group), &[])
    };
    let groups = vec![group("failover1", 0), group("failover2", 1)];
    Plan {
        timing: Timing { takeover_data: ms(700), ..TIMING },
        // So that nothing but true acknowledgements lets a server keep what it has: the question is never answered.
        partition: vec![MethodKind::Ping],
        forced_stop: false,
        monitors: vec![ground::monitor("userw1", RecoveryTarget::Group(GroupId(0)))],
        ..ground::plan(groups, vec![resource("exec1", 0), resource("exec2", 1)])
    }
}

/// Two servers without faults, and what was sent. Frames go by the first of two paths.
#[derive(Clone)]
pub struct Pair {
    pub now: Time,
    pub plan: Plan,
    pub servers: [Option<Cluster>; 2],
    pub frames: Vec<(usize, Frame)>,
    pub letters: Vec<(usize, Letter)>,
    /// Who gave up, or ended.
    pub ended: [bool; 2],
    /// What the only partition resolution says when it is asked.
    pub says: Option<Answer>,
    /// Whom each remembers for its next life.
    pub ran: [ServerSet; 2],
    /// Operations begun.
    pub works: Vec<(Time, usize, Work)>,
    /// Frames that arrive with the next step.
    pub coming: Vec<(usize, Frame)>,
}

impl Pair {
    /// In these lives, until all is settled.
    pub fn new(plan: Plan, lives: u64) -> Pair {
        let mut pair = Pair {
            now: Time(SECOND),
            plan,
            servers: [None, None],
            frames: Vec::new(),
            letters: Vec::new(),
            ended: [false; 2],
            says: None,
            ran: [ServerSet::EMPTY; 2],
            works: Vec::new(),
            coming: Vec::new(),
        };
        for server in 0..2 {
            pair.start(server, lives);
        }
        pair.run(5 * SECOND);
        pair
    }

    pub fn start(&mut self, server: usize, life: u64) {
        let identity = Identity { boot: life, paths: 2, ..ground::identity(server, life + server as u64) };
        self.servers[server] = Some(Cluster::new(self.plan.clone(), identity, self.now));
        self.ended[server] = false;
    }

    pub fn give(&mut self, server: usize, event: Event) {
        let Some(cluster) = &mut self.servers[server] else { return };
        for action in cluster.handle(self.now, event) {
            let from = ServerId::at(server);
            match action {
                Action::Beat(frame) => {
                    self.frames.push((server, frame.clone()));
                    self.coming.push((server, frame));
                }
                Action::Send(letter) => {
                    self.letters.push((server, letter.clone()));
                    self.give(letter.to.server.index(), Event::Message { from, letter });
                }
                Action::Resource { op, resource, work } => {
                    self.works.push((self.now, server, work));
                    self.give(server, Event::ResourceDone { op, resource, result: Ok(()) });
                }
                Action::AskPartition { ask } if self.says.is_some() => {
                    self.give(
                        server,
                        Event::Verdict { ask: ask.number, answers: vec![self.says], age: ms(0), reason: "asked".into() },
                    );
                }
                Action::RememberRan { servers } => self.ran[server] = servers,
                Action::Emergency { .. } | Action::Exit { .. } => self.ended[server] = true,
                _ => {}
            }
        }
    }

    pub fn run(&mut self, span: u64) {
        let end = Time(self.now.0 + span);
        while self.now < end {
            self.now = Time(self.now.0 + 20_000);
            for (from, frame) in std::mem::take(&mut self.coming) {
                self.say(from, frame);
            }
            for server in 0..2 {
                self.give(server, Event::Deadline);
            }
        }
    }

    pub fn say(&mut self, from: usize, frame: Frame) {
        self.give(1 - from, Event::Frame { from: ServerId::at(from), path: 0, lan: true, frame });
    }

    /// A message with the present lives of both.
    pub fn write(&mut self, from: usize, message: Message) {
        let life =
            |pair: &Pair, server: usize| pair.frames.iter().rev().find(|(by, _)| *by == server).expect("it beat").1.incarnation;
        let to = Member { server: ServerId::at(1 - from), incarnation: life(self, 1 - from) };
        let letter = Letter { incarnation: life(self, from), to, message };
        self.give(1 - from, Event::Message { from: ServerId::at(from), letter });
    }

    pub fn ask(&mut self, server: usize, id: u64, command: Command) {
        self.give(server, Event::Operator { id, command });
        self.run(SECOND);
    }

    pub fn last_frame(&self, from: usize) -> Frame {
        self.frames.iter().rev().find(|(by, _)| *by == from).expect("it beat").1.clone()
    }

    pub fn cluster(&self, server: usize) -> &Cluster {
        self.servers[server].as_ref().expect("it was started")
    }

    pub fn phases(&self) -> [[Phase; 2]; 2] {
        [0, 1].map(|server| self.phases_of(server))
    }

    pub fn phases_of(&self, server: usize) -> [Phase; 2] {
        [0, 1].map(|group| self.cluster(server).local_phase(GroupId(group)))
    }

    /// Both go on in one view, and every group is where it was.
    pub fn assert_unharmed(&mut self, what: &str) {
        let begun = self.works.len();
        self.run(5 * SECOND);
        assert_eq!(self.ended, [false; 2], "{what}");
        assert_eq!(self.phases(), SETTLED, "{what}");
        assert_eq!(self.works.len(), begun, "{what}: nothing was touched");
        for server in 0..2 {
            let cluster = self.cluster(server);
            assert_eq!(cluster.coordinator(), Some(ServerId(0)), "{what}");
            assert_eq!(cluster.right_words(self.now), "held", "{what}");
            let views = [0, 1].map(|of| cluster.server_view(self.now, ServerId(of)));
            assert!(views.iter().all(|view| view.member && view.alive && !view.out_of_reach), "{what}: {views:?}");
        }
    }
}

/// Both groups avoid each other: one on each server.
pub const SETTLED: [[Phase; 2]; 2] = [[Phase::On, Phase::Off], [Phase::Off, Phase::On]];

pub fn epoch(counter: u64) -> Epoch {
    Epoch { counter, server: ServerId(0) }
}

pub fn members(servers: &[u8], life: u64) -> Vec<Member> {
    servers.iter().map(|server| Member { server: ServerId(*server), incarnation: life + u64::from(*server) }).collect()
}
