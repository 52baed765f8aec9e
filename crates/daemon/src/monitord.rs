//! The monitor daemon: runs the probes of this server, each on its own thread, and tells the engine what they found.
//!
//! Judges nothing: counting, the ladder and final actions are the core's. Ends when its standard input closes (its parent is
//! gone) or when the engine's socket does; probes are given a moment then to end what they left running.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clp_config::{Monitor, MonitorKind, ResourceKind};
use clp_drivers::monitors;
use clp_sys::paths::Root;

use crate::ipc::{Found, Order, Told};
use crate::setup::{self, Loaded};

/// How long the engine may take to listen after it was started beside us.
const ENGINE_PATIENCE: Duration = Duration::from_secs(10);
/// Between looks at whether the engine listens.
const ENGINE_PAUSE: Duration = Duration::from_millis(20);

/// How long a driver listens to the kernel before it is looked whether its monitor is to stop.
const EVENT_WAIT: Duration = Duration::from_millis(500);

/// How long probes may take to end what they left running before this process ends.
const END_LIMIT: Duration = Duration::from_secs(8);

/// Lets a waiting probe thread end at once.
#[derive(Default)]
struct Stop {
    set: AtomicBool,
    lock: Mutex<()>,
    bell: Condvar,
}

impl Stop {
    fn ring(&self) {
        // Under the lock: whoever has looked and not yet begun to wait would miss the bell.
        let _guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.set.store(true, Ordering::SeqCst);
        self.bell.notify_all();
    }

    fn is_set(&self) -> bool {
        self.set.load(Ordering::SeqCst)
    }

    /// Wait, but not past the stop.
    fn pause(&self, span: Duration) {
        let until = Instant::now() + span;
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.is_set() {
            let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else { return };
            guard = self.bell.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Run the monitor daemon under its parent.
pub fn main() -> ExitCode {
    let root = Root::from_env();
    match run(&root) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            setup::write_note(&root, &format!("monitor daemon: {reason}"));
            ExitCode::FAILURE
        }
    }
}

fn run(root: &Root) -> Result<(), String> {
    let probes = Arc::new(Mutex::new(Probes::default()));
    let living = probes.clone();
    std::thread::spawn(move || {
        let mut sink = Vec::new();
        let _ = std::io::Read::read_to_end(&mut std::io::stdin(), &mut sink);
        living.lock().unwrap_or_else(PoisonError::into_inner).end();
        std::process::exit(0);
    });
    let loaded = Arc::new(setup::load(root)?);
    let stream = connect(root)?;
    let mut writer = stream.try_clone().map_err(|cause| cause.to_string())?;
    let (results, found) = channel::<Told>();
    std::thread::spawn(move || {
        for told in found {
            let Ok(text) = serde_json::to_string(&told) else { continue };
            // The engine is gone: the loop below sees it too, and ends this process.
            if writer.write_all((text + "\n").as_bytes()).is_err() {
                return;
            }
        }
    });
    let ratio = Arc::new(AtomicU32::new(1));
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { break };
        let watch = match serde_json::from_str::<Order>(&line) {
            Ok(Order::Watch(watch)) => watch,
            Ok(Order::Ratio(to)) => {
                ratio.store(to.max(1), Ordering::Relaxed);
                continue;
            }
            Err(_) => continue,
        };
        let config = loaded.configuration.monitors.iter().position(|monitor| monitor.name == watch.monitor);
        let Some(index) = config else { continue };
        let (loaded, results, ratio) = (loaded.clone(), results.clone(), ratio.clone());
        let work: Option<Work> = if watch.run {
            Some(Box::new(move |stop| {
                probe(&loaded, index, watch.pid, &ratio, stop, &results);
                let _ = results.send(Told::Ended(loaded.configuration.monitors[index].name.clone()));
            }))
        } else {
            None
        };
        probes.lock().unwrap_or_else(PoisonError::into_inner).set(&watch.monitor, work);
    }
    probes.lock().unwrap_or_else(PoisonError::into_inner).end();
    Ok(())
}

/// What a probe's thread does until its stop.
type Work = Box<dyn FnOnce(&Stop) + Send>;

/// One probe a monitor: the next begins when the last has ended what it was at, so that a script never runs twice.
#[derive(Default)]
struct Probes(BTreeMap<String, (Arc<Stop>, JoinHandle<()>)>);

impl Probes {
    /// Stop the probe of a monitor and run this one in its place, if any.
    fn set(&mut self, monitor: &str, work: Option<Work>) {
        let before = self.0.remove(monitor);
        if let Some((stop, _)) = &before {
            stop.ring();
        }
        match work {
            Some(work) => {
                let stop = Arc::new(Stop::default());
                let own = stop.clone();
                // Owner: this table; ends soon after its stop. Cut short, scripts it left running are ended by the next life.
                let thread = std::thread::spawn(move || {
                    if let Some((_, thread)) = before {
                        let _ = thread.join();
                    }
                    work(&own);
                });
                self.0.insert(monitor.to_string(), (stop, thread));
            }
            // Kept: it may still be at work when the monitor is started again.
            None => self.0.extend(before.map(|before| (monitor.to_string(), before))),
        }
    }

    /// Stop all, and wait a moment for them.
    fn end(&mut self) {
        self.0.values().for_each(|(stop, _)| stop.ring());
        let until = Instant::now() + END_LIMIT;
        while self.0.values().any(|(_, thread)| !thread.is_finished()) && Instant::now() < until {
            std::thread::sleep(ENGINE_PAUSE);
        }
    }
}

fn connect(root: &Root) -> Result<UnixStream, String> {
    let path = root.run().join("monitord.sock");
    let until = Instant::now() + ENGINE_PATIENCE;
    loop {
        match UnixStream::connect(&path) {
            Ok(stream) => return Ok(stream),
            Err(cause) if Instant::now() >= until => {
                return Err(format!("the engine does not listen on {}: {cause}", path.display()));
            }
            Err(_) => std::thread::sleep(ENGINE_PAUSE),
        }
    }
}

fn context(loaded: &Loaded, config: &Monitor, pid: Option<u32>) -> monitors::Context {
    let server = clp_sys::identity::hostname();
    let watched = match config.on(&server) {
        MonitorKind::Arpw(arpw) => arpw.object.as_str(),
        _ => config.common.target.as_str(),
    };
    let resource = loaded.configuration.resources.iter().find(|resource| resource.name == watched);
    let address = match resource.map(|resource| resource.on(&server)) {
        Some(ResourceKind::Fip(fip)) => fip.ip.clone(),
        _ => String::new(),
    };
    let root = loaded.root.clone();
    monitors::Context { resident_pid: pid, work: root.work(), root, server, monitor: config.name.clone(), address }
}

fn found(config: &Monitor, failed: Option<monitors::CheckFailed>, took: Duration) -> Found {
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let timed_out = failed.as_ref().is_some_and(|failed| failed.kind == monitors::FailureKind::TimedOut);
    let starved = failed.as_ref().and_then(|failed| failed.starved.clone());
    Found { monitor: config.name.clone(), failure: failed.map(|failed| failed.to_string()), timed_out, starved, took_ms }
}

/// One monitor from its start to its stop.
fn probe(loaded: &Loaded, index: usize, pid: Option<u32>, ratio: &AtomicU32, stop: &Stop, results: &Sender<Told>) {
    let config: &Monitor = &loaded.configuration.monitors[index];
    let common = &config.common;
    let context = context(loaded, config, pid);
    stop.pause(common.start_wait);
    if stop.is_set() {
        return;
    }
    let mut driver = match monitors::driver(config, &context) {
        Ok(driver) => driver,
        Err(reason) => {
            let _ = results.send(Told::Found(found(
                config,
                Some(monitors::CheckFailed::error(reason.what, reason.remedy)),
                Duration::ZERO,
            )));
            return;
        }
    };
    let (mut was_late, mut was_unable) = (false, false);
    while !stop.is_set() {
        if let Some(told) = setup::files_lifted() {
            let _ = results.send(Told::FilesShort(told));
        }
        let began = Instant::now();
        let failed = monitors::check(driver.as_mut(), common.timeout * ratio.load(Ordering::Relaxed)).err();
        let is_unable = failed.as_ref().is_some_and(|failed| failed.kind == monitors::FailureKind::Unable);
        if let (true, false, Some(failed)) = (is_unable, was_unable, &failed) {
            let _ = results.send(Told::Unable { monitor: config.name.clone(), reason: failed.to_string() });
        }
        was_unable = is_unable;
        let timed_out = failed.as_ref().is_some_and(|failed| failed.kind == monitors::FailureKind::TimedOut);
        // Of a row of time-outs the first says most.
        if timed_out && !was_late && common.timeout_evidence {
            let timeout_ms = u64::try_from(common.timeout.as_millis()).unwrap_or(u64::MAX);
            let _ = results.send(Told::EvidenceBegins { monitor: config.name.clone(), timeout_ms });
            let words = failed.as_ref().map(ToString::to_string).unwrap_or_default();
            let written = monitors::evidence::collect(&loaded.root.log(), &config.name, &words);
            let written = written.map(|path| path.display().to_string()).map_err(|cause| cause.to_string());
            let _ = results.send(Told::Evidence { monitor: config.name.clone(), written });
        }
        was_late = timed_out;
        let found = found(config, failed, began.elapsed());
        if stop.is_set() || (!is_unable && results.send(Told::Found(found)).is_err()) {
            return;
        }
        // Where the kernel tells of a change the next check follows at once, else after the interval.
        if !driver.hears_events() {
            stop.pause(common.interval);
            continue;
        }
        let until = Instant::now() + common.interval;
        while !stop.is_set() {
            let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else { break };
            if driver.wait_event(left.min(EVENT_WAIT)) {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_pause_of_any_length_ends_with_its_stop() {
        // Many, so that some stop between a thread's look and its wait.
        for _ in 0..500 {
            let stop = Arc::new(Stop::default());
            let own = stop.clone();
            let began = Instant::now();
            let waiting = std::thread::spawn(move || own.pause(LONG));
            stop.ring();
            waiting.join().expect("it ends");
            assert!(began.elapsed() < LONG, "it was not woken");
        }
        let began = Instant::now();
        Stop::default().pause(Duration::from_millis(5));
        assert!(began.elapsed() >= Duration::from_millis(5));
    }
}
