//! The parent: starts engine and monitor daemon, and acts when one of them ends. Deliberately tiny.
//!
//! When the engine dies the configured process-failure action follows (`pm/exec*/recover`, default shutdown). When the
//! parent dies the engine sees its standard input close and takes the emergency action. When both die the watchdog resets.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use clp_alerts::Alert;
use clp_core::plan::AfterStop;
use clp_services::alertlog::RECORDS_MAX;
use clp_sys::paths::Root;

use crate::exit;
use crate::setup::{self, Loaded};

/// A monitor daemon that ends sooner than this after its start is started again only after this long.
const MONITORD_PAUSE: Duration = Duration::from_secs(1);

/// Who asks for the end of the server, in the words of the record.
const ASKING: &str = "clusterpro";
/// The processes as operators read of them.
const ENGINE: &str = "clusterpro engine";
const MONITORD: &str = "clusterpro monitord";

enum Ended {
    Engine(Option<u8>, String),
    /// Why, unless it ended because the engine did.
    Monitord(Option<String>),
}

/// Run the cluster service of this server until it stops.
pub fn main() -> ExitCode {
    if !setup::is_root() {
        setup::complain_plainly("Log in as root.");
        return ExitCode::FAILURE;
    }
    let root = Root::from_env();
    // Inherited by engine and monitor daemon, not by what they run for others.
    if let Err(cause) = clp_sys::shortage::spare_me() {
        setup::write_note(&root, &format!("the kernel may end the cluster service when memory is used up: {cause}"));
    }
    let _lock = match lock(&root) {
        Ok(lock) => lock,
        Err(reason) => {
            setup::write_alert(&root, RECORDS_MAX, &Alert::already_running());
            setup::complain(&reason.to_string());
            return ExitCode::FAILURE;
        }
    };
    // Kept for the engine's end: whatever lies in its place by then, what was activated must be given up.
    let loaded = match setup::load(&root) {
        Ok(loaded) => loaded,
        Err(reason) => {
            setup::complain(&reason.to_string());
            let missing = !root.conf().exists();
            setup::write_alert(
                &root,
                RECORDS_MAX,
                &if missing { Alert::configuration_missing(&reason) } else { Alert::configuration_bad(&reason) },
            );
            return ExitCode::from(exit::CANNOT_START);
        }
    };
    let records_max = loaded.configuration.cluster.alert_records;
    if let Err(reason) = setup::own_position(&loaded.configuration) {
        setup::complain(&reason.to_string());
        setup::write_alert(&root, records_max, &Alert::own_name_unknown(&reason));
        return ExitCode::from(exit::CANNOT_START);
    }
    let (ended, news) = mpsc::channel();
    // The engine's standard input is held open here and nowhere else: its end tells the engine that its parent is gone.
    let mut engine = match start("engine") {
        Ok(engine) => engine,
        Err(reason) => {
            setup::complain(&format!("cannot start the engine: {reason}"));
            return ExitCode::from(exit::CANNOT_START);
        }
    };
    let _held_open = engine.stdin.take();
    wait_for_engine(engine, ended.clone());
    let mut monitord_input = run_monitord(&ended, Duration::ZERO);
    let mut started = Instant::now();
    loop {
        match news.recv() {
            Ok(Ended::Monitord(died)) => {
                if let Some(words) = died {
                    setup::write_alert(&root, records_max, &Alert::process_died(MONITORD, &words));
                    setup::write_alert(&root, records_max, &Alert::process_again(MONITORD));
                }
                let pause = if started.elapsed() < MONITORD_PAUSE { MONITORD_PAUSE } else { Duration::ZERO };
                drop(monitord_input.take());
                monitord_input = run_monitord(&ended, pause);
                started = Instant::now();
            }
            Ok(Ended::Engine(code, words)) => {
                drop(monitord_input);
                return after_engine(&loaded, code, &words);
            }
            Err(_) => return ExitCode::FAILURE,
        }
    }
}

fn lock(root: &Root) -> Result<File, String> {
    std::fs::create_dir_all(root.run()).map_err(|cause| format!("cannot create {}: {cause}", root.run().display()))?;
    let path = root.run().join("clusterpro.lock");
    let file = File::create(&path).map_err(|cause| format!("cannot create {}: {cause}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err("the cluster service is running on this server already; see clpstat".into()),
    }
}

fn start(what: &str) -> std::io::Result<Child> {
    let program = std::env::current_exe()?;
    // An own process group: a signal to the parent's group does not reach the engine.
    Command::new(program).arg(what).stdin(Stdio::piped()).process_group(0).spawn()
}

fn wait_for_engine(mut engine: Child, ended: mpsc::Sender<Ended>) {
    std::thread::spawn(move || {
        let (code, words) = match engine.wait() {
            Ok(status) => (status.code().and_then(|code| u8::try_from(code).ok()), status.to_string()),
            Err(cause) => (None, cause.to_string()),
        };
        let _ = ended.send(Ended::Engine(code, words));
    });
}

fn run_monitord(ended: &mpsc::Sender<Ended>, pause: Duration) -> Option<std::process::ChildStdin> {
    std::thread::sleep(pause);
    let mut child =
        start("monitord").inspect_err(|cause| setup::complain(&format!("cannot start the monitor daemon: {cause}"))).ok()?;
    let input = child.stdin.take();
    let ended = ended.clone();
    std::thread::spawn(move || {
        let died = match child.wait() {
            Ok(status) if status.success() => None,
            Ok(status) => Some(status.to_string()),
            Err(cause) => Some(cause.to_string()),
        };
        let _ = ended.send(Ended::Monitord(died));
    });
    input
}

fn after_engine(loaded: &Loaded, code: Option<u8>, words: &str) -> ExitCode {
    let root = &loaded.root;
    let records_max = loaded.configuration.cluster.alert_records;
    match code {
        Some(exit::STOPPED) => ExitCode::SUCCESS,
        Some(exit::CANNOT_START) => {
            let code = exit::CANNOT_START.to_string();
            setup::write_alert(root, records_max, &Alert::process_unusable(ENGINE, &code, "see what it printed"));
            ExitCode::from(exit::CANNOT_START)
        }
        Some(exit::SHUTDOWN) => power(loaded, AfterStop::Shutdown),
        Some(exit::REBOOT) => power(loaded, AfterStop::Reboot),
        Some(exit::SYSRQ_PANIC) => power(loaded, AfterStop::SysrqPanic),
        Some(exit::KEEPALIVE_RESET) => power(loaded, AfterStop::KeepaliveReset),
        Some(exit::KEEPALIVE_PANIC) => power(loaded, AfterStop::KeepalivePanic),
        _ => {
            let _ = clp_sys::shortage::keep_files();
            // What the engine held may still act: give it up before anything slower happens, the record included.
            // What failed is in the log by now, and what follows is the same.
            if setup::give_up(loaded).is_ok() {
                crate::engine::gate::take_away();
            }
            let process_failure = setup::process_failure_action(&loaded.configuration);
            setup::write_alert(root, records_max, &Alert::process_died(ENGINE, words));
            setup::write_alert(root, records_max, &setup::process_failure_alert(process_failure));
            power(loaded, process_failure)
        }
    }
}

fn power(loaded: &Loaded, then: AfterStop) -> ExitCode {
    let root = &loaded.root;
    let tell = |alert: &Alert| setup::write_alert(root, loaded.configuration.cluster.alert_records, alert);
    if then == AfterStop::Nothing {
        return ExitCode::FAILURE;
    }
    match setup::end_server(root, then) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            match then {
                AfterStop::SysrqPanic => tell(&Alert::sysrq_panic_failed(ASKING, &reason.to_string())),
                AfterStop::KeepaliveReset => tell(&Alert::keepalive_reset_failed(ASKING, &reason.to_string())),
                AfterStop::KeepalivePanic => tell(&Alert::keepalive_panic_failed(ASKING, &reason.to_string())),
                AfterStop::Nothing | AfterStop::Shutdown | AfterStop::Reboot => {}
            }
            setup::complain(&reason.to_string());
            ExitCode::FAILURE
        }
    }
}
