//! Small parts of the core against tables and a naive twin.

use clp_core::action::{Action, Work};
use clp_core::arbiter::Answer;
use clp_core::cluster::Identity;
use clp_core::contact::{Contact, closure};
use clp_core::event::Failure;
use clp_core::ids::{GroupId, MonitorId, ResourceId, ServerId, ServerSet};
use clp_core::local::Executor;
use clp_core::message::{Ack, Epoch, Factor, Frame, Mode, Origin, Phase};
use clp_core::partition::Partition;
use clp_core::plan::{AfterStop, FinalAction, MonitorPlan, OnTimeout, RecoveryTarget, ScriptBefore};
use clp_core::recovery::{Monitors, Step};
use clp_core::time::Time;
use clp_core::verdict::MethodKind;

mod ground;

use ground::{TIMING_SHORT as TIMING, ms, usual as plan};

fn works(out: &mut Vec<Action>) -> Vec<(u64, u16, Work)> {
    let taken = std::mem::take(out);
    taken
        .into_iter()
        .filter_map(|action| match action {
            Action::Resource { op, resource, work } => Some((op, resource.0, work)),
            _ => None,
        })
        .collect()
}

#[test]
fn closure_equals_the_naive_twin() {
    let mut state = 7u64;
    let mut random = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    for _ in 0..3000 {
        let count = usize::try_from(random(5) + 2).expect("small");
        let rows: Vec<Option<ServerSet>> = (0..count)
            .map(|_| (random(5) > 0).then(|| (0..count).filter(|_| random(2) == 0).map(ServerId::at).collect()))
            .collect();
        let hears = |a: usize, b: usize| rows[a].is_some_and(|row| row.has(ServerId::at(b)));
        let mut near = vec![vec![false; count]; count];
        for (a, row) in near.iter_mut().enumerate() {
            for (b, cell) in row.iter_mut().enumerate() {
                *cell = a == b || (hears(a, b) && hears(b, a));
            }
        }
        for through in 0..count {
            for a in 0..count {
                for b in 0..count {
                    near[a][b] |= near[a][through] && near[through][b];
                }
            }
        }
        for (start, row) in near.iter().enumerate() {
            let twin: ServerSet = (0..count).filter(|b| row[*b]).map(ServerId::at).collect();
            assert_eq!(closure(ServerId::at(start), &rows), twin, "from {start} over {rows:?}");
        }
    }
}

#[test]
fn a_yes_is_dated_by_its_question_and_must_hold_without_a_break() {
    let at = |millis: u64| Time(millis * 1000);
    let mut partition = Partition::new(&[MethodKind::Ping], 2, &TIMING);
    let ask = partition.ask(at(1000)).expect("nothing is open");
    assert_eq!(partition.ask(at(1050)), None, "one question at a time");
    partition.answer(at(1100), ask, ServerSet::EMPTY, &[Some(Answer::Yes)], ms(0), "yes".into());
    assert!(partition.covers(at(1100), ServerId::at(1), at(999)), "asked after the last frame");
    assert!(!partition.covers(at(1100), ServerId::at(1), at(1000)), "asked before the last frame");
    assert!(!partition.covers(at(1501), ServerId::at(1), at(999)), "valid for the arbiter's bound and two intervals");
    assert!(partition.held(at(1400), ServerId::at(1), at(1000), ms(10_000)), "it was Yes at that moment already");
    assert!(!partition.held(at(1400), ServerId::at(1), at(900), ms(10_000)));
    let ask = partition.ask(at(1400)).expect("the first was answered");
    partition.answer(at(1450), ask, ServerSet::EMPTY, &[Some(Answer::Yes)], ms(0), "yes".into());
    assert!(partition.held(at(1500), ServerId::at(1), at(0), ms(500)), "it has been Yes for the whole span");
    let ask = partition.ask(at(1500)).expect("an interval passed");
    partition.answer(at(1510), ask, ServerSet::EMPTY, &[Some(Answer::No)], ms(0), "no".into());
    assert!(
        !partition.covers(at(1510), ServerId::at(1), at(0)) && !partition.held(at(1510), ServerId::at(1), at(5000), ms(0)),
        "a No ends it at once"
    );
    partition.answer(at(1520), ask, ServerSet::EMPTY, &[Some(Answer::Yes)], ms(0), "late".into());
    assert!(!partition.covers(at(1520), ServerId::at(1), at(0)), "a repeated answer changes nothing");
}

#[test]
fn votes_keep_what_is_held_as_long_as_the_acknowledgements_that_they_are() {
    let at = |millis: u64| Time(millis * 1000);
    let lost = ServerId::at(2);
    let mut partition = Partition::new(&[MethodKind::Majority], 3, &TIMING);
    partition.follow(at(1000), vec![at(990)]);
    assert!(partition.covers(at(1000), lost, at(900)));
    let until = at(990) + TIMING.right_timeout + TIMING.arbiter;
    let late = Time(until.0 + 1);
    partition.follow(late, vec![at(990)]);
    assert!(!partition.covers(late, lost, at(900)), "nothing is started by a vote of then");
    assert!(partition.keeps(until, lost, at(900)) && !partition.keeps(late, lost, at(900)));
}

#[test]
fn an_acknowledgement_is_a_vote_when_a_lan_brings_it_be_it_after_the_disk() {
    let identity = Identity { paths: 2, ..ground::identity(0, 1) };
    let mut contact = Contact::new(&identity, 2, Time(0), TIMING);
    let mine = contact.frame(Time(1000), Mode::Running, Epoch::default(), Epoch::default(), 0, &[0, 0], 0);
    let ack = Ack { server: ServerId(0), incarnation: 1, seq: mine.seq, report: 0 };
    let frame = Frame { incarnation: 7, seq: 1, acks: vec![ack], ..Frame::default() };
    assert!(contact.hear(Time(2000), ServerId(1), 1, false, &frame, false).is_some());
    assert_eq!(contact.votes(), [], "the disk votes for nobody");
    assert!(contact.hear(Time(2100), ServerId(1), 0, true, &frame, false).is_some());
    assert_eq!(contact.votes(), [Time(1000)], "counted from when the acknowledged frame was sent");
}

#[test]
fn independent_resources_start_in_parallel_and_stop_in_exact_reverse() {
    let plan = plan(2, vec![]);
    let mut executor = Executor::new(&plan);
    let mut out = Vec::new();
    executor.verify_all(&plan, &mut out);
    for (op, resource, _) in works(&mut out) {
        executor.done(&plan, op, ResourceId(resource), Ok(()), &mut out);
    }
    assert_eq!(executor.phase(GroupId(0)), Phase::Off);
    executor.start(&plan, GroupId(0), Origin::Fresh, &mut out);
    let first = works(&mut out);
    assert_eq!(first.iter().map(|(_, r, _)| *r).collect::<Vec<_>>(), [0, 1], "both at once, the third waits");
    executor.done(&plan, first[0].0, ResourceId(0), Ok(()), &mut out);
    assert!(works(&mut out).is_empty(), "the third needs both");
    executor.done(&plan, first[1].0, ResourceId(1), Err("busy".into()), &mut out);
    let again = works(&mut out);
    assert_eq!(again.iter().map(|(_, r, _)| *r).collect::<Vec<_>>(), [1], "one retry");
    executor.done(&plan, again[0].0, ResourceId(1), Ok(()), &mut out);
    let third = works(&mut out);
    assert_eq!(third[0].1, 2);
    executor.done(&plan, third[0].0, ResourceId(2), Ok(()), &mut out);
    assert_eq!(executor.phase(GroupId(0)), Phase::On);
    executor.stop(&plan, GroupId(0), Factor::GroupStop, &mut out);
    let last = works(&mut out);
    assert_eq!(last.iter().map(|(_, r, _)| *r).collect::<Vec<_>>(), [2], "the dependent one first and alone");
    executor.done(&plan, last[0].0, ResourceId(2), Err("stuck".into()), &mut out);
    let detach = works(&mut out);
    assert_eq!(detach[0].2, Work::Detach, "a failed stop detaches before anything below is touched");
    executor.done(&plan, detach[0].0, ResourceId(2), Ok(()), &mut out);
    assert_eq!(works(&mut out).iter().map(|(_, r, _)| *r).collect::<Vec<_>>(), [0, 1], "then both others at once");
}

#[test]
fn the_ladder_goes_reactivation_failover_final_action_once() {
    let monitor = MonitorPlan {
        name: "ipw1".into(),
        target: None,
        servers: ServerSet::all(2),
        retry: 1,
        on_timeout: OnTimeout::default(),
        recovery: RecoveryTarget::Group(GroupId(0)),
        restart_max: 2,
        failover_max: 1,
        action: FinalAction::StopGroup,
        script_before: ScriptBefore::default(),
    };
    let plan = plan(2, vec![monitor]);
    let mut executor = Executor::new(&plan);
    let mut out = Vec::new();
    executor.verify_all(&plan, &mut out);
    let finish = |executor: &mut Executor, out: &mut Vec<Action>| {
        loop {
            let open = works(out);
            if open.is_empty() {
                return;
            }
            for (op, resource, _) in open {
                executor.done(&plan, op, ResourceId(resource), Ok(()), out);
            }
        }
    };
    finish(&mut executor, &mut out);
    executor.start(&plan, GroupId(0), Origin::Fresh, &mut out);
    finish(&mut executor, &mut out);
    let mut monitors = Monitors::new(&plan);
    monitors.sync(&plan, ServerId(0), &executor, false, false);
    let table = [
        (0, Step::None),
        (0, Step::Reactivate(1)),
        (0, Step::None),
        (0, Step::Reactivate(2)),
        (0, Step::None),
        (0, Step::Failover(1)),
        (1, Step::None),
        (1, Step::Final(FinalAction::StopGroup)),
        (1, Step::None),
        (1, Step::Error),
        (1, Step::None),
        (1, Step::Error),
    ];
    for (number, (failovers, step)) in table.into_iter().enumerate() {
        let found = monitors.result(&plan, MonitorId(0), Some(Failure::error("no answer")), &executor, failovers);
        assert_eq!(found, step, "failure {number}");
    }
}

#[test]
fn a_check_that_had_no_processor_is_no_failure_until_that_goes_on() {
    let monitor = MonitorPlan {
        name: "genw1".into(),
        target: None,
        servers: ServerSet::all(2),
        retry: 1,
        on_timeout: OnTimeout::default(),
        recovery: RecoveryTarget::LocalServer,
        restart_max: 0,
        failover_max: 0,
        action: FinalAction::StopService(AfterStop::Nothing),
        script_before: ScriptBefore::default(),
    };
    let plan = plan(2, vec![monitor]);
    let executor = Executor::new(&plan);
    let starved = || Some(Failure { starved: true, timed_out: true, ..Failure::error("late") });
    for (before, steps) in [(0, 5), (2, 7)] {
        let mut monitors = Monitors::new(&plan);
        monitors.sync(&plan, ServerId(0), &executor, false, false);
        let mut result = |failure| monitors.result(&plan, MonitorId(0), failure, &executor, 0);
        // Two of them, then a good one: the row begins anew.
        for _ in 0..before {
            assert_eq!(result(starved()), Step::None);
        }
        if before > 0 {
            assert_eq!(result(None), Step::None);
        }
        let count = (1..20).find(|_| result(starved()) != Step::None).expect("it counts in the end");
        // Three that do not count, then the failure and its retry; the groups are not verified here, so nothing follows.
        assert_eq!(count + before, steps, "after {before}");
    }
}
