//! How much a processor simulates: three servers, five groups and the guide's times, with faults as they are drawn.

use std::process::ExitCode;
use std::time::Duration;

use clp_sim::options::Options;

/// Processor time spent, at least.
const SPENT: Duration = Duration::from_secs(5);
/// The goal.
const GOAL: f64 = 500.0;

/// Processor time of this thread so far.
fn spent() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// Print it; None where the kernel does not count.
pub fn tell() -> ExitCode {
    let Some(begin) = spent() else {
        println!("P13 not measured: the kernel does not count the processor time of threads");
        return ExitCode::SUCCESS;
    };
    let (mut time, mut runs, mut used) = (0, 0, Duration::ZERO);
    let mut measured = (0..u64::MAX).filter(|seed| {
        let options = Options::draw(*seed);
        options.plan.servers.len() == 3 && options.plan.groups.len() == 5 && options.has_usual_times()
    });
    while used < SPENT {
        let Some(seed) = measured.next() else { break };
        time += clp_sim::run(seed, None, false).time;
        runs += 1;
        used = spent().map_or(SPENT, |now| now - begin);
    }
    let rate = time as f64 / 3.6e9 / (used.as_secs_f64() / 60.0);
    println!("P13 simulated cluster-hours per core-minute, three servers, five groups: {rate:.0} (goal {GOAL}; {runs} runs)");
    ExitCode::SUCCESS
}
