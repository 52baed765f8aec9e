//! When a processor let the most important thread wait: a host took it away, or the kernel was at something that it does not interrupt.
//!
//! One thread a processor, above the heartbeats' priority, sleeps a millisecond and looks how late it is. A server whose threads
//! stood on that processor was silent for as long, whatever program it ran: false alarms under load are compared with this floor.

use std::fmt;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clp_sys::realtime::{HEARTBEAT_PRIORITY, promote_this_thread};

const SLEEP: Duration = Duration::from_millis(1);
/// Shorter ones are no news, and would be many.
const KEPT_FROM: Duration = Duration::from_millis(10);
/// Time zones differ by whole quarters of an hour: instants of one run are told apart within them, in whatever zone they are written.
const QUARTER_MS: u64 = 15 * 60 * 1000;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stall {
    processor: usize,
    /// Milliseconds since 1970 at its end.
    end_ms: u64,
    /// How long.
    pub lasted: Duration,
    /// How much of the time since the look before the host had taken away; the kernel counts it in steps of 10 ms.
    stolen: Duration,
}

impl Stall {
    /// Did it end at most so long before an instant of a record (`HH:MM:SS.mmm` of any time zone), or soon after it?
    pub fn is_near(&self, time_of_day: &str, within: Duration) -> bool {
        let Some(at) = millis_of_day(time_of_day) else { return false };
        let within = within.as_millis() as u64;
        // Soon after: who is told of by another server is silent still.
        (at + 2 * QUARTER_MS + within - self.end_ms % QUARTER_MS) % QUARTER_MS <= 2 * within
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lasted, stolen) = (self.lasted.as_millis(), self.stolen.as_millis());
        write!(formatter, "processor {} let it wait for {lasted} ms ({stolen} ms taken by the host)", self.processor)
    }
}

fn millis_of_day(text: &str) -> Option<u64> {
    let (clock, millis) = text.split_once('.')?;
    let mut fields = clock.split(':').map(|field| field.parse::<u64>().ok());
    let (hours, minutes, seconds) = (fields.next()??, fields.next()??, fields.next()??);
    Some(((hours * 60 + minutes) * 60 + seconds) * 1000 + millis.parse::<u64>().ok()?)
}

/// Threads that look for stalls, until they are asked.
pub struct Watch {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Option<Vec<Stall>>>>,
}

impl Watch {
    /// Begin on every processor of this process.
    pub fn begin() -> Watch {
        let allowed = rustix::thread::sched_getaffinity(None).ok();
        let over = Arc::new(AtomicBool::new(false));
        let processors =
            (0..rustix::thread::CpuSet::MAX_CPU).filter(|processor| allowed.as_ref().is_some_and(|set| set.is_set(*processor)));
        let threads = processors
            .map(|processor| {
                let over = over.clone();
                std::thread::spawn(move || look(processor, &over))
            })
            .collect();
        Watch { over, threads }
    }

    /// End, and say what was seen, in no order. None: some processor could not be watched with that priority.
    pub fn end(self) -> Option<Vec<Stall>> {
        self.over.store(true, Ordering::Relaxed);
        let seen: Option<Vec<Vec<Stall>>> = self.threads.into_iter().map(|thread| thread.join().ok().flatten()).collect();
        Some(seen.filter(|seen| !seen.is_empty())?.concat())
    }
}

fn look(processor: usize, over: &AtomicBool) -> Option<Vec<Stall>> {
    let mut only = rustix::thread::CpuSet::new();
    only.set(processor);
    if rustix::thread::sched_setaffinity(None, &only).is_err() || promote_this_thread(HEARTBEAT_PRIORITY + 1).is_err() {
        return None;
    }
    let mut stalls = Vec::new();
    let mut stolen = stolen_from(processor);
    while !over.load(Ordering::Relaxed) {
        let before = Instant::now();
        std::thread::sleep(SLEEP);
        let lasted = before.elapsed().saturating_sub(SLEEP);
        if lasted >= KEPT_FROM {
            let now = stolen_from(processor);
            let end_ms = clp_sys::clock::wall().as_millis() as u64;
            stalls.push(Stall { processor, end_ms, lasted, stolen: now.saturating_sub(stolen).min(lasted) });
            stolen = now;
        }
    }
    Some(stalls)
}

/// What the host has taken of a processor since the boot (proc_stat(5), field `steal`).
fn stolen_from(processor: usize) -> Duration {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("cpu{processor} ")));
    let ticks = line.and_then(|line| line.split_whitespace().nth(7)?.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_is_found_beside_a_record_of_whatever_time_zone() {
        // 07:54:45.789 of some day in UTC.
        let end_ms = 20_000 * 86_400_000 + ((7 * 60 + 54) * 60 + 45) * 1000 + 789;
        let stall = Stall { processor: 1, end_ms, lasted: Duration::from_millis(48), stolen: Duration::ZERO };
        let within = Duration::from_millis(100);
        for near in ["07:54:45.789", "07:54:45.880", "07:54:45.700", "13:39:45.800", "00:54:45.800", "23:54:45.790"] {
            assert!(stall.is_near(near, within), "{near}");
        }
        for far in ["07:54:45.900", "07:54:45.600", "07:53:45.789", "07:54:46.789", "", "07:54"] {
            assert!(!stall.is_near(far, within), "{far}");
        }
    }

    #[test]
    fn a_processor_that_a_more_important_thread_keeps_has_stalled() {
        if promote_this_thread(1).is_err() {
            println!("skipped: needs root and a share of real-time");
            return;
        }
        let watch = Watch::begin();
        let hog = std::thread::spawn(|| {
            if promote_this_thread(HEARTBEAT_PRIORITY + 2).is_ok() {
                let begin = Instant::now();
                while begin.elapsed() < Duration::from_millis(60) {
                    std::hint::spin_loop();
                }
            }
        });
        hog.join().expect("it ends");
        let longest = watch.end().expect("every processor is watched").into_iter().map(|stall| stall.lasted).max();
        assert!(longest.is_some_and(|longest| longest >= Duration::from_millis(50)), "{longest:?}");
    }
}
