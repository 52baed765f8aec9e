//! The monitor daemon: runs the probes of this server, each on its own thread, and tells the engine what they found.
//!
//! Judges nothing: counting, the ladder and final actions are the core's. Ends when its standard input closes (its parent is
//! gone) or when the engine's socket does.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clp_config::Monitor;
use clp_drivers::monitors;
use clp_sys::paths::Root;

use crate::ipc::{Found, Watch};
use crate::setup::{self, Loaded};

/// How long the engine may take to listen after it was started beside us.
const ENGINE_PATIENCE: Duration = Duration::from_secs(10);
/// Between looks at whether the engine listens.
const ENGINE_PAUSE: Duration = Duration::from_millis(20);

/// Lets a waiting probe thread end at once.
#[derive(Default)]
struct Stop {
    set: AtomicBool,
    lock: Mutex<()>,
    bell: Condvar,
}

impl Stop {
    fn ring(&self) {
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
            guard = self.bell.wait_timeout(guard, left.min(Duration::from_millis(200))).unwrap_or_else(PoisonError::into_inner).0;
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
    std::thread::spawn(|| {
        let mut sink = Vec::new();
        let _ = std::io::Read::read_to_end(&mut std::io::stdin(), &mut sink);
        std::process::exit(0);
    });
    let loaded = Arc::new(setup::load(root)?);
    let stream = connect(root)?;
    let mut writer = stream.try_clone().map_err(|cause| cause.to_string())?;
    let (results, found) = channel::<Found>();
    std::thread::spawn(move || {
        for found in found {
            let Ok(text) = serde_json::to_string(&found) else { continue };
            if writer.write_all((text + "\n").as_bytes()).is_err() {
                std::process::exit(1);
            }
        }
    });
    let mut running: BTreeMap<String, Arc<Stop>> = BTreeMap::new();
    for line in BufReader::new(stream).lines() {
        let line = line.map_err(|cause| format!("the engine's socket: {cause}"))?;
        let Ok(watch) = serde_json::from_str::<Watch>(&line) else { continue };
        if let Some(stop) = running.remove(&watch.monitor) {
            stop.ring();
        }
        let config = loaded.configuration.monitors.iter().position(|monitor| monitor.name == watch.monitor);
        if let (true, Some(index)) = (watch.run, config) {
            let stop = Arc::new(Stop::default());
            running.insert(watch.monitor.clone(), stop.clone());
            let (loaded, results) = (loaded.clone(), results.clone());
            std::thread::spawn(move || probe(&loaded, index, watch.pid, &stop, &results));
        }
    }
    Ok(())
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

/// One monitor from its start to its stop.
fn probe(loaded: &Loaded, index: usize, pid: Option<u32>, stop: &Stop, results: &Sender<Found>) {
    let config: &Monitor = &loaded.configuration.monitors[index];
    let common = &config.common;
    let context = monitors::Context { resident_pid: pid, work: loaded.root.work() };
    stop.pause(common.start_wait);
    if stop.is_set() {
        return;
    }
    let mut driver = match monitors::driver(config, &context) {
        Ok(driver) => driver,
        Err(reason) => {
            let _ = results.send(Found { monitor: config.name.clone(), failure: Some(reason.to_string()) });
            return;
        }
    };
    while !stop.is_set() {
        let failure = driver.check(common.timeout).err().map(|failed| failed.to_string());
        if stop.is_set() || results.send(Found { monitor: config.name.clone(), failure }).is_err() {
            return;
        }
        // Where the kernel tells of a change the next check follows at once, else after the interval.
        let until = Instant::now() + common.interval;
        while !stop.is_set() {
            let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else { break };
            let slice = left.min(Duration::from_millis(500));
            if driver.wait_event(slice) {
                break;
            }
        }
    }
}
