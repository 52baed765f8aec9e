//! Lies that open with the cluster's key and can be read, and true datagrams said again (`again.rs`): none ends an engine, none does
//! lasting damage, and nothing said once is done twice.

use clp_core::action::Work;
use clp_core::event::Event;
use clp_core::ids::{GroupId, MonitorId, ResourceId, ServerId, ServerSet};
use clp_core::message::{
    Command, Document, Frame, GroupReport, Intent, Letter, Member, Message, Mode, Order, OrderKind, Origin, Phase, Report,
    ResourceState, Row, WantedAway,
};
use clp_core::plan::AfterStop;

mod again;
#[path = "../ground/mod.rs"]
mod ground;
mod pair;

use pair::{Pair, SECOND, SETTLED, epoch, members, plan};

#[path = "../../../testbed/cases/hostile_mutants.rs"]
#[allow(dead_code, clippy::cast_possible_truncation, reason = "made for the end-to-end cases, which use all of it")]
mod mutants;

/// Readable lies that are tried; each is followed by a second of the cluster's life.
const LIES: u32 = 4_000;

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

#[test]
fn a_message_to_another_server_is_for_nobody_else() {
    let mut pair = Pair::new(plan(), 1000);
    // Lives of two servers that started in the same second have the same number.
    let to = Member { server: ServerId(1), incarnation: 1000 };
    let letter = Letter { incarnation: 1001, to, message: Message::Command { id: 1, command: Command::Suspend { on: true } } };
    pair.give(0, Event::Message { from: ServerId(1), letter });
    assert!(!pair.cluster(0).is_suspended());
}
