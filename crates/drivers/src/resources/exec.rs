//! exec: an application by its start and stop scripts. The file itself is run, with the environment that scripts know.
//!
//! What a start script leaves running is the application. Stopping climbs a ladder: the stop script asks, then the application may end
//! by itself, then it is asked by a signal, then its control group is killed (design.md section 5).

mod ending;
mod environment;

use super::{Context, Outcome, ResourceDriver, ResourceError, Status, Told, code};
use clp_config::schema::resources::exec::Exec;
use clp_sys::cgroup::Cgroup;
use clp_sys::process::{self, KILL_GRACE, Output, Program, Resident};
use ending::{Bar, beside, end, members};
use environment::{Run, environment};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Asynchronous start scripts that run, by resource.
static RESIDENTS: LazyLock<Mutex<BTreeMap<String, Resident>>> = LazyLock::new(Mutex::default);

fn residents() -> MutexGuard<'static, BTreeMap<String, Resident>> {
    RESIDENTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Process id of a resource's asynchronous start script.
pub fn resident_pid(resource: &str) -> Option<u32> {
    residents().get(resource).map(Resident::pid)
}

/// An application.
pub struct ExecDriver {
    parameters: Exec,
}

impl ExecDriver {
    /// With its parameters.
    pub fn new(parameters: Exec) -> Self {
        ExecDriver { parameters }
    }

    /// A bare name lies in `scripts/GROUP/RESOURCE/`; an absolute path is run as it stands.
    fn script(&self, context: &Context, path: &str) -> PathBuf {
        if path.starts_with('/') {
            return path.into();
        }
        context.root.scripts().join(&context.group).join(&context.resource).join(path)
    }

    fn program(&self, context: &Context, path: &str, limit: Duration, run: Run) -> Result<Program, ResourceError> {
        let script = self.script(context, path);
        if !script.is_file() {
            return Err(ResourceError::new(
                format!("script {} does not exist", script.display()),
                "distribute the configuration with its scripts again (clpcfctrl --push)",
            )
            .coded(code::MISSING));
        }
        let parameters = &self.parameters;
        let output = match (parameters.userlog.as_str(), parameters.rotate) {
            ("", _) => Output::Keep,
            (log, true) => Output::Log(log.into(), u64::from(parameters.rotate_size)),
            (log, false) => Output::Append(log.into()),
        };
        // Whatever a stop script starts is ended with it at its time limit, and never the application.
        let group = if run == Run::Start { context.resource.clone() } else { beside(context) };
        Ok(Program {
            argv: vec![script.to_string_lossy().into_owned()],
            env: environment(context, run),
            limit,
            output,
            cgroup: Cgroup::make(&context.group, &group),
        })
    }

    /// Does what was started here still count as running? An asynchronous program that has ended does not.
    fn is_running(&self, context: &Context) -> bool {
        if !context.is_marked() || self.parameters.start_sync {
            return context.is_marked();
        }
        residents().get_mut(&context.resource).is_some_and(|resident| resident.ended().is_none()) || !members(context).is_empty()
    }
}

/// A script that failed.
fn failed(kind: &str, program: &Program, words: &str, code: i32) -> ResourceError {
    ResourceError::new(format!("{kind} script {}: {words}", program.argv[0]), "see its log (userlog) and run it by hand")
        .coded(code)
}

/// Run a script to its end.
fn run(kind: &str, program: &Program) -> Result<(), ResourceError> {
    let outcome = process::run(program);
    if outcome.is_success() { Ok(()) } else { Err(failed(kind, program, &outcome.words(), code::of(&outcome))) }
}

/// Start a script and leave it running.
fn start(kind: &str, program: &Program) -> Result<Resident, ResourceError> {
    process::start(program)
        .map_err(|words| failed(kind, program, &format!("it could not be started: {words}"), code::NOT_STARTED))
}

/// The group of scripts beside the application, when they have ended.
fn sweep(program: &Program) {
    if let Some(cgroup) = &program.cgroup {
        cgroup.remove();
    }
}

impl ResourceDriver for ExecDriver {
    fn activate(&self, context: &Context) -> Result<Outcome, ResourceError> {
        if self.is_running(context) {
            return Ok(Outcome::AlreadyDone);
        }
        // A script that runs for the group on another server, or a stop script that was not waited for, ends here.
        if let Some(scripts) = Cgroup::find(&context.group, &beside(context)) {
            scripts.kill(KILL_GRACE);
        }
        let program = self.program(context, &self.parameters.start_path, self.parameters.start_timeout, Run::Start)?;
        // Left before the start, so that a death in between is cleaned up by the next life of the service.
        context.mark(Told::now(context))?;
        if self.parameters.start_sync {
            if let Err(error) = run("start", &program) {
                // Both are told: why it did not start and what could not be undone.
                return Err(match end(context, None, Bar::Empty) {
                    Ok(_) => error,
                    Err(undo) => ResourceError::new(format!("{}; undoing it failed too: {}", error.what, undo.what), undo.remedy)
                        .coded(error.code),
                });
            }
        } else {
            let resident = start("start", &program).inspect_err(|_| context.unmark())?;
            residents().insert(context.resource.clone(), resident);
        }
        Ok(Outcome::Changed)
    }

    fn deactivate(&self, context: &Context) -> Result<Outcome, ResourceError> {
        let parameters = &self.parameters;
        let program = match self.program(context, &parameters.stop_path, parameters.stop_timeout, Run::Stop(context.marked())) {
            // Nothing was started here, so there is nothing for a script to stop.
            Err(_) if !context.is_marked() && members(context).is_empty() => return Ok(Outcome::AlreadyDone),
            found => found?,
        };
        let patience = if parameters.stop_sync {
            run("stop", &program)?;
            sweep(&program);
            // It has ended what it knows of; the rest is asked at once.
            Duration::ZERO
        } else {
            // The script is not waited for, but what it is to end is: a disk below could not be unmounted.
            start("stop", &program)?.leave();
            parameters.stop_timeout
        };
        end(context, Some(patience), Bar::Empty)?;
        Ok(Outcome::Changed)
    }

    fn status(&self, context: &Context) -> Status {
        if !members(context).is_empty() || context.is_marked() { Status::Online } else { Status::Offline }
    }

    /// A process that the kernel holds (its disk or file server does not answer) cannot be ended. It is enough that it was killed: it
    /// runs no line of its own any more, and what the kernel may still do for it is cut off with the disks and addresses of the group.
    fn detach(&self, context: &Context) -> Result<Outcome, ResourceError> {
        if let Some(scripts) = Cgroup::find(&context.group, &beside(context)) {
            scripts.kill(KILL_GRACE);
            scripts.remove();
        }
        end(context, Some(Duration::ZERO), Bar::Doomed)
    }

    fn elsewhere(&self, context: &Context, is_start: bool) -> Result<(), ResourceError> {
        let parameters = &self.parameters;
        let (kind, path, limit) = if is_start {
            ("start", &parameters.start_path, parameters.start_others_timeout)
        } else {
            ("stop", &parameters.stop_path, parameters.stop_others_timeout)
        };
        let program = self.program(context, path, limit, Run::Elsewhere)?;
        run(kind, &program)?;
        sweep(&program);
        Ok(())
    }

    fn emergency(&self, context: &Context) -> Result<Outcome, ResourceError> {
        if let Some(scripts) = Cgroup::find(&context.group, &beside(context)) {
            scripts.kill(KILL_GRACE);
        }
        end(context, None, Bar::Doomed)
    }
}
