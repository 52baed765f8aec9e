//! The watchdog: one thread feeds it, only while the loop turns and the core allows it.
//!
//! It is opened at the first turn at which the core allows feeding (rule R5), and closed in order only after a clean stop.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use clp_config::{Configuration, safety};
use clp_core::event::Event;
use clp_sys::watchdog::Watchdog;

use super::Input;

struct Shared {
    turns: AtomicU64,
    allowed: AtomicBool,
    vetoed: AtomicBool,
    last_turn: AtomicU64,
}

/// Between looks whether the device may be opened.
const OPEN_PAUSE: Duration = Duration::from_millis(5);

/// The handle of the loop.
pub struct Feed {
    shared: Arc<Shared>,
    close: Sender<Sender<()>>,
}

fn micros() -> u64 {
    super::now().0
}

impl Feed {
    /// Start the thread; without a device it says so and does nothing.
    pub fn start(root: &clp_sys::paths::Root, configuration: &Configuration, inputs: Sender<Input>) -> Feed {
        let delays = safety::delays(&configuration.cluster, &configuration.partitions);
        let shared = Arc::new(Shared {
            turns: AtomicU64::new(0),
            allowed: AtomicBool::new(false),
            vetoed: AtomicBool::new(false),
            last_turn: AtomicU64::new(micros()),
        });
        let (close, closing) = channel::<Sender<()>>();
        let thread = shared.clone();
        let log = root.clone();
        let note = move |words: String| crate::setup::write_note(&log, &format!("watchdog: {words}"));
        let root = root.path().to_path_buf();
        // The loop turns at least once an interval; twice that is part of the safety sum.
        let patience = configuration.cluster.heartbeat_interval * 2;
        let pause = (delays.watchdog / 8).clamp(Duration::from_millis(10), Duration::from_secs(1));
        let timeout = delays.watchdog;
        std::thread::spawn(move || {
            let _ = clp_sys::realtime::promote_this_thread(clp_sys::realtime::HEARTBEAT_PRIORITY);
            let mut watchdog: Option<Watchdog> = None;
            let mut refused = false;
            loop {
                let turned = micros().saturating_sub(thread.last_turn.load(Ordering::SeqCst));
                let turns = Duration::from_micros(turned) <= patience && thread.turns.load(Ordering::SeqCst) > 0;
                let allowed = thread.allowed.load(Ordering::SeqCst) && !thread.vetoed.load(Ordering::SeqCst);
                if turns && allowed {
                    match &mut watchdog {
                        Some(open) => {
                            if let Err(reason) = open.feed() {
                                note(reason.to_string());
                            }
                        }
                        None if !refused => match Watchdog::open(Path::new("/dev/watchdog"), timeout, &root) {
                            Ok(open) => {
                                note(format!("{}, {} s", open.identity(), open.timeout().as_secs()));
                                watchdog = Some(open);
                                let _ = inputs.send(Input::Event(Event::WatchdogSeen { works: true }));
                            }
                            Err(reason) => {
                                note(reason.to_string());
                                refused = true;
                            }
                        },
                        None => {}
                    }
                }
                // Until it is open every moment counts: the first group waits for it.
                let pause = if watchdog.is_none() && !refused { OPEN_PAUSE } else { pause };
                if let Ok(done) = closing.recv_timeout(pause) {
                    if let Some(open) = watchdog.take()
                        && let Err(reason) = open.close()
                    {
                        note(reason.to_string());
                    }
                    let _ = done.send(());
                    return;
                }
            }
        });
        Feed { shared, close }
    }

    /// The loop turned; may the watchdog be fed?
    pub fn turn(&self, allowed: bool) {
        self.shared.turns.fetch_add(1, Ordering::SeqCst);
        self.shared.last_turn.store(micros(), Ordering::SeqCst);
        self.shared.allowed.store(allowed, Ordering::SeqCst);
    }

    /// The user-space monitor found user space stalled (true) or well again: a stalled one is ended by the watchdog.
    pub fn veto(&self, stalled: bool) {
        self.shared.vetoed.store(stalled, Ordering::SeqCst);
    }

    /// After a clean stop the watchdog is disarmed; otherwise it goes on counting and resets the server.
    pub fn close(&self, clean: bool) {
        if !clean {
            return;
        }
        let (done, closed) = channel();
        if self.close.send(done).is_ok() {
            let _ = closed.recv_timeout(Duration::from_secs(2));
        }
    }
}
