//! True datagrams that are said again, late, to another life or by another path: nothing is done twice.

use clp_core::action::Work;
use clp_core::event::Event;
use clp_core::ids::{GroupId, ServerId, ServerSet};
use clp_core::message::{Answer, Command, Frame, Letter, Message, Mode, Phase};
use clp_core::plan::{AfterStop, Plan};
use clp_core::verdict::MethodKind;

use crate::pair::{Pair, SECOND, SETTLED, plan};

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

#[test]
fn with_an_arbiter_a_farewell_counts_for_those_alone_that_are_remembered() {
    let plan = Plan { partition: vec![MethodKind::Arbiter], ..plan() };
    let mut pair = Pair::new(plan.clone(), 1000);
    pair.give(0, Event::StopService { id: 1, then: AfterStop::Nothing });
    pair.run(2 * SECOND);
    assert!(pair.ended[0] && pair.cluster(1).has_left(ServerId(0)));
    assert_eq!(pair.ran[0], ServerSet::all(2).minus(ServerSet::all(1)), "it ran on, and may do so without asking");
    // The other one comes in this moment: no view has both, and nothing of it would be remembered.
    let mut pair = Pair::new(plan, 1000);
    pair.servers[1] = None;
    pair.says = Some(clp_core::arbiter::Answer::Yes);
    pair.run(5 * SECOND);
    pair.start(1, 2000);
    pair.run(SECOND / 50);
    pair.give(0, Event::StopService { id: 1, then: AfterStop::Nothing });
    pair.run(2 * SECOND);
    assert_eq!(pair.last_frame(0).mode, Mode::Left);
    assert!(pair.ended[0] && !pair.cluster(1).has_left(ServerId(0)), "both may be the one that the arbiter lets go on");
    assert_eq!(pair.ran[0], ServerSet::EMPTY);
}

#[test]
fn frames_said_again_by_another_path_keep_no_dead_server_alive() {
    let mut plan = plan();
    plan.partition = Vec::new();
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
