//! The list of a run's faults, drawn from its seed before the run begins.

use clp_core::ids::{MonitorId, ResourceId};

use super::{Cutting, Planned, What};
use crate::operator::Order;
use crate::options::{BREAKING, Fault, Options};
use crate::rng::Rng;

/// Faults between two visits of an administrator, who resumes the cluster and starts all groups: in one that is suspended, or whose
/// groups have failed, faults prove little.
const VISIT_FAULTS: (u64, u64) = (2, 12);
/// How many faults in a hundred take a server away, where the run has such.
const BREAKS: u64 = 60;
/// How many in a hundred of these last for longer than a takeover needs.
const LONG: u64 = 60;
/// Most checks for which a flapping resource stays as it is.
const FLAP_CHECKS: u64 = 4;

/// All faults between the start of a run and its healing, in order.
pub fn draw(options: &Options) -> Vec<Planned> {
    let mut rng = Rng::new(options.seed ^ 0xfa17_11e5);
    let mut faults = Vec::new();
    let mut at = options.first_fault();
    let end = at + options.faulty;
    let visit = rng.range(VISIT_FAULTS.0, VISIT_FAULTS.1);
    for number in 1.. {
        if at >= end {
            break;
        }
        let breaks = rng.percent(BREAKS).then(|| rng.pick(BREAKING)).filter(|kind| options.faults.contains(kind));
        let kind = breaks.unwrap_or_else(|| rng.pick(&options.faults));
        let mut fault = one(&mut rng, options, kind, at);
        if let Some(fault) = fault.as_mut().filter(|_| breaks.is_some() && rng.percent(LONG)) {
            fault.span += options.scale() + u64::try_from(options.plan.timing.takeover_data.as_micros()).unwrap_or_default();
        }
        faults.extend(fault);
        if number % visit == 0 {
            let host = rng.index(options.plan.servers.len());
            for order in [Order::Suspend { on: false }, Order::Start { group: None, server: None }] {
                faults.push(Planned { at, span: 0, host, what: What::Operator(order) });
            }
        }
        at += rng.below(2 * options.fault_gap);
    }
    faults
}

/// A fault of this kind; None where the run has nothing that it could befall.
fn one(rng: &mut Rng, options: &Options, kind: Fault, at: u64) -> Option<Planned> {
    let servers = options.plan.servers.len();
    let host = rng.index(servers);
    let scale = options.scale();
    let span = match rng.below(3) {
        0 => rng.below(scale / 2),
        1 => rng.below(scale * 2),
        _ => rng.below(scale * 6),
    };
    let other = (host + 1 + rng.index(servers - 1)) % servers;
    let resource = ResourceId::at(rng.index(options.plan.resources.len()));
    let monitor = Some(options.plan.monitors.len()).filter(|count| *count > 0).map(|count| MonitorId::at(rng.index(count)));
    let disks: Vec<usize> = (0..options.lan.len()).filter(|path| !options.lan[*path]).collect();
    let disk = |rng: &mut Rng| (!disks.is_empty()).then(|| rng.pick(&disks));
    let what = match kind {
        Fault::Crash => What::Crash { torn: rng.percent(40) },
        Fault::PowerLoss => What::PowerLoss { back: (0..servers).map(|_| rng.below(scale * 3)).collect() },
        Fault::EngineRestart => What::EngineRestart,
        Fault::EngineDeath => What::EngineDeath,
        Fault::PauseServer => What::PauseServer,
        Fault::PauseEngine => What::PauseEngine,
        Fault::Loss => What::Loss { percent: rng.range(20, 90) },
        Fault::Delay => What::Delay { longest: rng.range(options.interval(), scale * 2) },
        Fault::ArbiterAway => What::ArbiterAway,
        Fault::ArbiterSlow => What::ArbiterSlow { by: rng.below(options.timeout() * 2) },
        Fault::ArbiterWrong => What::ArbiterWrong { lost: rng.percent(60) },
        Fault::ArbiterForgets => What::ArbiterForgets,
        Fault::ControllerAway if options.plan.forced_stop => What::ControllerAway,
        Fault::ControllerAway => return None,
        Fault::ClockTurns => {
            let range = options.drift;
            What::ClockTurns { drift: i64::try_from(rng.below(2 * range + 1)).ok()? - i64::try_from(range).ok()? }
        }
        Fault::MonitorBad => What::MonitorBad { monitor: monitor? },
        Fault::MonitorFlaps => What::MonitorFlaps { monitor: monitor?, every: rng.range(1, FLAP_CHECKS) },
        Fault::StartFails => What::StartFails { resource },
        Fault::StopFails => What::StopFails { resource, detach: rng.percent(30) },
        Fault::Stuck => What::Stuck { resource },
        Fault::TornSlots => What::TornSlots { path: disk(rng)? },
        Fault::StaleSlots => What::StaleSlots { path: disk(rng)?, older: rng.index(crate::host::SLOT_HISTORY) },
        Fault::DiskFull => What::DiskFull,
        Fault::WatchdogLate => What::WatchdogLate {
            // The worst that is promised, or more.
            by: if rng.percent(50) { options.watchdog_grain } else { options.watchdog_grain + rng.below(options.watchdog * 3) },
        },
        Fault::Push => What::Push,
        Fault::Operator => What::Operator(Order::draw(rng, options)),
        cut => What::Cut { cut: cutting(rng, options, cut, host, other), arbiter: rng.percent(40) },
    };
    Some(Planned { at, span, host, what })
}

fn cutting(rng: &mut Rng, options: &Options, kind: Fault, host: usize, other: usize) -> Cutting {
    let all = rng.percent(50);
    match kind {
        Fault::IsolateServer => Cutting::Isolate,
        Fault::CutLans => Cutting::Lans,
        Fault::CutPair => Cutting::Pair { other, all },
        Fault::CutOneWay => Cutting::OneWay { other },
        Fault::CutPath => Cutting::Path { path: rng.index(options.lan.len()) },
        _ => {
            let servers = options.plan.servers.len();
            let drawn: Vec<bool> = (0..servers).map(|_| rng.percent(50)).collect();
            Cutting::Split { side: (0..servers).filter(|at| *at == host || (*at != other && drawn[*at])).collect(), all }
        }
    }
}
