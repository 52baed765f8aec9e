//! Lies that open with the cluster's key and can be read, and true datagrams said again: none ends an engine, none does lasting
//! damage, and nothing said once is done twice.

use clp_core::action::{Action, Work};
use clp_core::cluster::{Cluster, Identity};
use clp_core::event::Event;
use clp_core::ids::{GroupId, MonitorId, ResourceId, ServerId, ServerSet};
use clp_core::message::{
    Answer, Command, Document, Epoch, Frame, GroupReport, Intent, Letter, Member, Message, Mode, Order, OrderKind, Origin, Phase,
    Report, ResourceState, Row, WantedAway,
};
use clp_core::plan::{AfterStop, Exclusion, FinalAction, GroupPlan, PartitionMethod, Plan, RecoveryTarget, ResourcePlan, Timing};
use clp_core::time::Time;

mod ground;

use ground::{TIMING, ms};

#[path = "../../testbed/cases/hostile_mutants.rs"]
#[allow(dead_code, clippy::cast_possible_truncation, reason = "made for the end-to-end cases, which use all of it")]
mod mutants;

/// Readable lies that are tried; each is followed by a second of the cluster's life.
const LIES: u32 = 4_000;
const SECOND: u64 = 1_000_000;

fn plan() -> Plan {
    let group = |name: &str, resource: u16| GroupPlan {
        failback_auto: true,
        exclusion: Exclusion::Normal,
        life_forbids: true,
        shared_data: true,
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
        partition: PartitionMethod::Asked,
        monitors: vec![ground::monitor("userw1", RecoveryTarget::Group(GroupId(0)))],
        ..ground::plan(groups, vec![resource("exec1", 0), resource("exec2", 1)])
    }
}

/// Two servers without faults, and what was sent. Frames go by the first of two paths.
#[derive(Clone)]
struct Pair {
    now: Time,
    plan: Plan,
    servers: [Option<Cluster>; 2],
    frames: Vec<(usize, Frame)>,
    letters: Vec<(usize, Letter)>,
    /// Who gave up, or ended.
    ended: [bool; 2],
    /// Operations begun.
    works: Vec<(Time, usize, Work)>,
    /// Frames that arrive with the next step.
    coming: Vec<(usize, Frame)>,
}

impl Pair {
    /// In these lives, until all is settled.
    fn new(plan: Plan, lives: u64) -> Pair {
        let mut pair = Pair {
            now: Time(SECOND),
            plan,
            servers: [None, None],
            frames: Vec::new(),
            letters: Vec::new(),
            ended: [false; 2],
            works: Vec::new(),
            coming: Vec::new(),
        };
        for server in 0..2 {
            pair.start(server, lives);
        }
        pair.run(5 * SECOND);
        pair
    }

    fn start(&mut self, server: usize, life: u64) {
        let identity = Identity { boot: life, paths: 2, ..ground::identity(server, life + server as u64) };
        self.servers[server] = Some(Cluster::new(self.plan.clone(), identity, self.now));
        self.ended[server] = false;
    }

    fn give(&mut self, server: usize, event: Event) {
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
                Action::Emergency { .. } | Action::Exit { .. } => self.ended[server] = true,
                _ => {}
            }
        }
    }

    fn run(&mut self, span: u64) {
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

    fn say(&mut self, from: usize, frame: Frame) {
        self.give(1 - from, Event::Frame { from: ServerId::at(from), path: 0, lan: true, frame });
    }

    /// A message with the present lives of both.
    fn write(&mut self, from: usize, message: Message) {
        let life =
            |pair: &Pair, server: usize| pair.frames.iter().rev().find(|(by, _)| *by == server).expect("it beat").1.incarnation;
        let to = Member { server: ServerId::at(1 - from), incarnation: life(self, 1 - from) };
        let letter = Letter { incarnation: life(self, from), to, message };
        self.give(1 - from, Event::Message { from: ServerId::at(from), letter });
    }

    fn ask(&mut self, server: usize, id: u64, command: Command) {
        self.give(server, Event::Operator { id, command });
        self.run(SECOND);
    }

    fn last_frame(&self, from: usize) -> Frame {
        self.frames.iter().rev().find(|(by, _)| *by == from).expect("it beat").1.clone()
    }

    fn cluster(&self, server: usize) -> &Cluster {
        self.servers[server].as_ref().expect("it was started")
    }

    fn phases(&self) -> [[Phase; 2]; 2] {
        [0, 1].map(|server| [0, 1].map(|group| self.cluster(server).local_phase(GroupId(group))))
    }

    /// Both go on in one view, and every group is where it was.
    fn assert_unharmed(&mut self, what: &str) {
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
const SETTLED: [[Phase; 2]; 2] = [[Phase::On, Phase::Off], [Phase::Off, Phase::On]];

fn epoch(counter: u64) -> Epoch {
    Epoch { counter, server: ServerId(0) }
}

fn members(servers: &[u8], life: u64) -> Vec<Member> {
    servers.iter().map(|server| Member { server: ServerId(*server), incarnation: life + u64::from(*server) }).collect()
}

#[test]
fn no_readable_lie_ends_an_engine() {
    let pair = Pair::new(plan(), 1000);
    assert_eq!(pair.phases(), SETTLED);
    let mut seen: [Vec<Vec<u8>>; 2] = [Vec::new(), Vec::new()];
    for (from, frame) in &pair.frames {
        seen[*from].push([vec![1], minicbor::to_vec(frame).unwrap()].concat());
    }
    for (from, letter) in &pair.letters {
        seen[*from].push([vec![2], minicbor::to_vec(letter).unwrap()].concat());
    }
    for (from, seen) in seen.iter_mut().enumerate() {
        for command in [
            Command::GroupMove { group: Some(GroupId(1)), from: None, to: Some(ServerId(1)) },
            Command::GroupStart { group: None, server: Some(ServerId(1)) },
            Command::GroupStop { group: Some(GroupId(0)), server: None },
            Command::StopAll { then: AfterStop::Nothing },
            Command::Suspend { on: true },
        ] {
            let to = members(&[0, 1], 1000)[1 - from];
            let letter = Letter { incarnation: 1000 + from as u64, to, message: Message::Command { id: 5, command } };
            seen.push([vec![2], minicbor::to_vec(&letter).unwrap()].concat());
        }
    }
    let mut random = mutants::Random::new(77);
    let mut tried = 0;
    while tried < LIES {
        let liar = random.below(2);
        let bytes = random.mutant(&seen[liar]);
        let Some((kind, body)) = bytes.split_first() else { continue };
        let from = ServerId::at(liar);
        let event = match kind {
            1 => minicbor::decode(body).ok().map(|frame| Event::Frame { from, path: 0, lan: true, frame }),
            2 => minicbor::decode(body).ok().map(|letter| Event::Message { from, letter }),
            _ => None,
        };
        let Some(event) = event else { continue };
        tried += 1;
        let mut lied_to = pair.clone();
        lied_to.give(1 - liar, event);
        lied_to.run(SECOND);
    }
}

#[test]
fn numbers_that_name_nothing_are_refused_whole() {
    let told = Pair::new(plan(), 1000);
    let document = || Document {
        epoch: epoch(u64::MAX >> 25),
        version: 9,
        started: true,
        groups: vec![Intent { activation_failovers: vec![0], ..Intent::default() }; 2],
        monitor_failovers: vec![0],
        ..Document::default()
    };
    let mine = |extra: u8| [members(&[0, 1], 1000), members(&[extra], 1)].concat();
    let next = epoch(told.last_frame(0).view.counter + 1);
    let order = |group, absent| {
        let kind = OrderKind::Start { origin: Origin::Fresh, absent };
        let serial = (told.last_frame(0).view.counter << 24) + 1000;
        Message::Order(Order { epoch: told.last_frame(0).view, incarnation: 1001, serial, group, kind, why: String::new() })
    };
    let strange = |change: &dyn Fn(&mut Document)| {
        let mut document = Document { epoch: told.last_frame(0).view, version: 1000, ..document() };
        change(&mut document);
        Message::Document { epoch: told.last_frame(0).view, document }
    };
    let wish = WantedAway { monitor: MonitorId(9), serial: 1, reason: String::new() };
    let report = |version, wanted_away| {
        let groups = vec![GroupReport { wanted_away, phase: Phase::On, ..GroupReport::default() }; 2];
        Message::Report(Report { incarnation: 1000, version, groups, monitors: vec![Default::default()], ..Report::default() })
    };
    let command = |command| Message::Command { id: 7, command };
    for message in [
        Message::Prepare { epoch: epoch(u64::MAX), members: members(&[0, 1], 1000) },
        Message::Prepare { epoch: epoch(1 << 39), members: members(&[0, 1], 1000) },
        Message::Prepare { epoch: next, members: mine(40) },
        Message::Prepare { epoch: next, members: mine(2) },
        Message::Prepare { epoch: next, members: mine(1) },
        Message::Commit { epoch: next, members: mine(2), document: document() },
        Message::TooOld { promised: epoch(u64::MAX) },
        Message::DocumentSeen { epoch: epoch(u64::MAX), version: u64::MAX },
        strange(&|document| document.groups[0].target = Some(ServerId(40))),
        strange(&|document| document.groups[0].last = Some(ServerId(2))),
        strange(&|document| document.groups[0].excluded = ServerSet(1 << 31)),
        strange(&|document| document.unsure = ServerSet(4)),
        strange(&|document| document.served = vec![(ServerId(0), GroupId(0), MonitorId(1), 1)]),
        strange(&|document| document.version = u64::MAX),
        order(GroupId(2), ServerSet::EMPTY),
        order(GroupId(0), ServerSet(1 << 9)),
        report(u64::MAX, None),
        report(1000, Some(wish)),
        command(Command::GroupStart { group: Some(GroupId(2)), server: None }),
        command(Command::GroupStop { group: None, server: Some(ServerId(2)) }),
        command(Command::GroupMove { group: None, from: None, to: Some(ServerId(2)) }),
        Message::Cause { group: GroupId(2), text: String::new() },
        Message::RunElsewhere { id: 1, resource: ResourceId(2), start: true },
    ] {
        for liar in 0..2 {
            let mut pair = told.clone();
            let words = format!("{message:?} in the name of {liar}");
            pair.write(liar, message.clone());
            pair.assert_unharmed(&words);
        }
    }
}

#[test]
fn one_made_up_frame_does_not_cost_a_server_its_contact() {
    let pair = Pair::new(plan(), 1000);
    for liar in 0..2 {
        let last = pair.last_frame(liar);
        let row = |incarnation, seq| Row { incarnation, seq, server: ServerId(1), lan: ServerSet(1), any: ServerSet(1) };
        for frame in [
            Frame { seq: u64::MAX, ..last.clone() },
            Frame { seq: last.seq + 1000, ..last.clone() },
            Frame { seq: last.seq + 4, ..last.clone() },
            Frame { incarnation: u64::MAX, ..last.clone() },
            Frame { incarnation: 1 << 40, ..last.clone() },
            Frame { seq: last.seq + 1, promised: epoch(u64::MAX), ..last.clone() },
            Frame { seq: last.seq + 1, view: epoch(u64::MAX), ..last.clone() },
            Frame { seq: last.seq + 1, report: u64::MAX, ..last.clone() },
            Frame { seq: last.seq + 1, rows: vec![row(1001, u64::MAX)], ..last.clone() },
            Frame { seq: last.seq + 1, rows: vec![row(u64::MAX, 1)], ..last.clone() },
            Frame { seq: last.seq + 1, acks: vec![], rows: vec![], ages: vec![0; 99], ..last.clone() },
        ] {
            let mut lied_to = pair.clone();
            let words = format!("{frame:?} in the name of {liar}");
            lied_to.say(liar, frame);
            lied_to.assert_unharmed(&words);
        }
    }
}

#[test]
fn a_server_whose_frames_ran_on_while_this_clock_stood_is_heard_from_the_second_one() {
    let mut pair = Pair::new(plan(), 1000);
    let last = pair.last_frame(0);
    for ahead in 0..2 {
        let frame = Frame { seq: last.seq + 100_000 + ahead, mode: Mode::Leaving, ..last.clone() };
        pair.say(0, frame);
        let heard = pair.cluster(1).server_view(pair.now, ServerId(0)).leaving;
        assert_eq!(heard, ahead == 1);
    }
}

#[test]
fn a_document_with_a_made_up_version_is_replaced_by_the_next_true_one() {
    let mut pair = Pair::new(plan(), 1000);
    let view = pair.last_frame(0).view;
    let groups = vec![Intent { activation_failovers: vec![0], run: true, ..Intent::default() }; 2];
    let lie =
        Document { epoch: view, version: 1 << 40, started: true, groups, monitor_failovers: vec![0], ..Document::default() };
    pair.write(0, Message::Document { epoch: view, document: lie });
    pair.ask(0, 1, Command::Suspend { on: true });
    assert!(pair.cluster(1).is_suspended(), "what the coordinator knows goes on reaching its members");
}

#[test]
fn a_report_with_a_made_up_version_is_replaced_by_the_next_true_one() {
    let mut pair = Pair::new(plan(), 1000);
    let on = |phase| GroupReport { phase, resources: vec![ResourceState::On], ..GroupReport::default() };
    let groups = vec![on(Phase::Off), on(Phase::On)];
    let lie = Report { incarnation: 1001, version: 1 << 40, groups, monitors: vec![Default::default()], ..Report::default() };
    pair.write(1, Message::Report(lie));
    pair.assert_unharmed("true but for its version");
    pair.ask(0, 1, Command::GroupStop { group: Some(GroupId(1)), server: None });
    assert_eq!(pair.cluster(0).group_view(pair.now, GroupId(1)).phase, Phase::Off, "what changes there is known again");
}

#[test]
fn an_order_with_a_made_up_serial_does_not_shut_out_the_true_ones() {
    let told = Pair::new(plan(), 1000);
    let view = told.last_frame(0).view;
    for serial in [(view.counter << 24) + 1000, (view.counter << 24) + (1 << 24), u64::MAX] {
        let mut pair = told.clone();
        let (kind, group) = (OrderKind::Final { position: 9 }, GroupId(1));
        let lie = Order { epoch: view, incarnation: 1001, serial, group, kind, why: String::new() };
        pair.write(0, Message::Order(lie));
        pair.ask(0, 1, Command::GroupStop { group: Some(group), server: None });
        pair.ask(0, 2, Command::GroupStart { group: Some(group), server: Some(ServerId(1)) });
        assert_eq!(pair.phases(), SETTLED, "{serial}");
        assert!(pair.works.iter().any(|(at, _, work)| *at >= told.now && matches!(work, Work::Deactivate { .. })), "{serial}");
    }
}

/// What was said once, to each server.
fn say_all_again(pair: &mut Pair, frames: &[(usize, Frame)], letters: &[(usize, Letter)]) {
    for (from, frame) in frames {
        for path in 0..2 {
            pair.give(1 - from, Event::Frame { from: ServerId::at(*from), path, lan: true, frame: frame.clone() });
        }
    }
    for (from, letter) in letters {
        pair.give(1 - from, Event::Message { from: ServerId::at(*from), letter: letter.clone() });
    }
}

#[test]
fn what_was_said_in_former_lives_does_nothing() {
    // The operator did everything once, on either server, and at last stopped the cluster.
    let mut former = Pair::new(plan(), 1000);
    let commands = [
        Command::Suspend { on: true },
        Command::Suspend { on: false },
        Command::GroupStop { group: Some(GroupId(0)), server: None },
        Command::GroupStart { group: Some(GroupId(0)), server: Some(ServerId(0)) },
        Command::StopAll { then: AfterStop::Nothing },
    ];
    for (id, command) in commands.into_iter().enumerate() {
        former.ask(1, id as u64 + 1, command);
    }
    former.run(3 * SECOND);
    assert_eq!(former.ended, [true; 2], "the cluster was stopped");
    // Lives of before, of one end alone, and of both.
    for lives in [[2000, 2000], [1000, 2000], [2000, 1000]] {
        let mut pair = Pair { ended: [false; 2], works: Vec::new(), ..former.clone() };
        let (frames, letters) = (std::mem::take(&mut pair.frames), std::mem::take(&mut pair.letters));
        for (server, life) in lives.into_iter().enumerate() {
            // A life that only goes on in name has new counters too, as after a lost file.
            pair.start(server, life + u64::from(life == 1000) * 500);
        }
        pair.run(5 * SECOND);
        assert_eq!(pair.phases(), SETTLED, "{lives:?}");
        let view = pair.last_frame(0).view;
        // The worst case: the former cluster used the same numbers of views.
        let same: Vec<(usize, Letter)> = letters
            .iter()
            .cloned()
            .map(|(from, mut letter)| {
                if let Message::Document { epoch, document } = &mut letter.message {
                    (*epoch, document.epoch) = (view, view);
                }
                if let Message::DocumentSeen { epoch, .. } = &mut letter.message {
                    *epoch = view;
                }
                (from, letter)
            })
            .collect();
        say_all_again(&mut pair, &frames, &letters);
        say_all_again(&mut pair, &frames, &same);
        pair.assert_unharmed(&format!("{lives:?}"));
        assert!(!pair.cluster(0).is_suspended() && !pair.cluster(1).is_suspended());
    }
}

#[test]
fn what_was_said_to_or_by_a_former_life_of_one_end_does_nothing() {
    for restarted in 0..2 {
        let mut pair = Pair::new(plan(), 1000);
        for (id, on) in [(1, true), (2, false)] {
            pair.ask(1, id, Command::Suspend { on });
        }
        let letters = std::mem::take(&mut pair.letters);
        pair.start(restarted, 2000);
        pair.run(10 * SECOND);
        let (begun, view) = (pair.works.len(), pair.last_frame(0).view);
        for letter in letters {
            say_all_again(&mut pair, &[], &[letter]);
            assert!(!pair.cluster(0).is_suspended() && !pair.cluster(1).is_suspended(), "{restarted} was restarted");
        }
        pair.run(5 * SECOND);
        assert_eq!((pair.works.len(), pair.last_frame(0).view, pair.ended), (begun, view, [false; 2]));
    }
}

#[test]
fn what_was_said_in_these_lives_is_not_done_twice() {
    let mut pair = Pair::new(plan(), 1000);
    pair.ask(1, 1, Command::GroupStop { group: Some(GroupId(0)), server: None });
    pair.ask(1, 2, Command::GroupStart { group: Some(GroupId(0)), server: Some(ServerId(0)) });
    // One whose number is made up costs nothing.
    pair.write(1, Message::Command { id: u64::MAX, command: Command::Suspend { on: false } });
    // More commands than the coordinator remembers.
    for id in 3..103 {
        pair.give(1, Event::Operator { id, command: Command::Suspend { on: id % 2 == 1 } });
        pair.run(SECOND / 5);
    }
    pair.run(SECOND);
    assert_eq!(pair.phases(), SETTLED);
    let letters = std::mem::take(&mut pair.letters);
    let commands = letters.iter().filter(|(_, letter)| matches!(letter.message, Message::Command { .. })).count();
    assert!(commands >= 102, "they went through the other server");
    let refused = |letter: &Letter| matches!(letter.message, Message::Answer { answer: Answer::Refused { .. }, .. });
    assert!(!letters.iter().any(|(_, letter)| refused(letter)), "and every one was carried out");
    let begun = pair.works.len();
    for letter in letters {
        say_all_again(&mut pair, &[], &[letter]);
        assert!(!pair.cluster(0).is_suspended());
    }
    pair.assert_unharmed("in the same lives");
    assert_eq!(pair.works.len(), begun);
}

#[test]
fn commands_that_overtake_each_other_are_all_carried_out() {
    let mut pair = Pair::new(plan(), 1000);
    pair.write(1, Message::Command { id: 9, command: Command::Suspend { on: false } });
    pair.write(1, Message::Command { id: 8, command: Command::Suspend { on: true } });
    assert!(pair.cluster(0).is_suspended());
}

#[test]
fn a_farewell_of_before_does_not_let_a_server_that_starts_take_over() {
    let mut pair = Pair::new(plan(), 1000);
    pair.give(0, Event::StopService { id: 1, then: AfterStop::Nothing });
    pair.run(2 * SECOND);
    assert!(pair.ended[0] && pair.cluster(1).has_left(ServerId(0)), "said to the life that hears it, it counts");
    let farewell = pair.last_frame(0);
    assert_eq!(farewell.mode, Mode::Left);
    // The other one is back meanwhile, behind a cut.
    pair.servers[0] = None;
    pair.start(1, 2000);
    pair.say(0, farewell);
    assert!(!pair.cluster(1).has_left(ServerId(0)));
    pair.run(20 * SECOND);
    assert_eq!(pair.phases_of(1), [Phase::Off; 2], "nobody said that it may go on");
}

impl Pair {
    fn phases_of(&self, server: usize) -> [Phase; 2] {
        [0, 1].map(|group| self.cluster(server).local_phase(GroupId(group)))
    }
}

#[test]
fn frames_said_again_by_another_path_keep_no_dead_server_alive() {
    let mut plan = plan();
    plan.partition = PartitionMethod::None;
    let (timeout, delay) = (plan.timing.timeout, plan.timing.takeover_data);
    let mut pair = Pair::new(plan, 1000);
    pair.servers[0] = None;
    let died = pair.now;
    let recorded: Vec<Frame> = pair.frames.iter().filter(|(by, _)| *by == 0).map(|(_, frame)| frame.clone()).collect();
    for frame in recorded {
        pair.run(SECOND / 10);
        pair.give(1, Event::Frame { from: ServerId(0), path: 1, lan: true, frame });
    }
    let taken = pair.works.iter().find(|(at, by, work)| *at > died && *by == 1 && matches!(work, Work::Activate { .. }));
    let wait = taken.expect("it took over").0.since(died);
    assert!(wait <= timeout + delay, "{wait:?}");
}

#[test]
fn a_message_to_another_server_is_for_nobody_else() {
    let mut pair = Pair::new(plan(), 1000);
    // Lives of two servers that started in the same second have the same number.
    let to = Member { server: ServerId(1), incarnation: 1000 };
    let letter = Letter { incarnation: 1001, to, message: Message::Command { id: 1, command: Command::Suspend { on: true } } };
    pair.give(0, Event::Message { from: ServerId(1), letter });
    assert!(!pair.cluster(0).is_suspended());
}
