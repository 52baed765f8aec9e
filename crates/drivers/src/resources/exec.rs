//! exec: an application by its start and stop scripts. The file itself is run, with the environment that scripts know.

use super::{Context, Outcome, ResourceDriver, ResourceError, Status};
use clp_config::schema::resources::exec::Exec;
use clp_sys::cgroup::Cgroup;
use clp_sys::process::{self, Output, Program, Resident};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

/// How long killed processes may take to be gone.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// Asynchronous start scripts that run, by resource.
static RESIDENTS: LazyLock<Mutex<BTreeMap<String, Resident>>> = LazyLock::new(Mutex::default);

/// Process id of a resource's asynchronous start script.
pub fn resident_pid(resource: &str) -> Option<u32> {
    RESIDENTS.lock().unwrap_or_else(PoisonError::into_inner).get(resource).map(Resident::pid)
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

    fn program(&self, context: &Context, path: &str, limit: Duration) -> Result<Program, ResourceError> {
        let script = self.script(context, path);
        if !script.is_file() {
            return Err(ResourceError::new(
                format!("script {} does not exist", script.display()),
                "distribute the configuration with its scripts again (clpcfctrl --push)",
            ));
        }
        let parameters = &self.parameters;
        let output = match (parameters.userlog.as_str(), parameters.rotate) {
            ("", _) => Output::Keep,
            (log, true) => Output::Log(log.into(), u64::from(parameters.rotate_size)),
            (log, false) => Output::Append(log.into()),
        };
        Ok(Program {
            argv: vec![script.to_string_lossy().into_owned()],
            env: environment(context),
            limit,
            output,
            cgroup: Cgroup::make(&context.group, &context.resource),
        })
    }

    /// Does what was started here still count as running? An asynchronous program that has ended does not.
    fn is_running(&self, context: &Context) -> bool {
        if !context.is_marked() || self.parameters.start_sync {
            return context.is_marked();
        }
        let mut residents = RESIDENTS.lock().unwrap_or_else(PoisonError::into_inner);
        residents.get_mut(&context.resource).is_some_and(|resident| resident.ended().is_none()) || !members(context).is_empty()
    }
}

/// Processes in the resource's control group.
fn members(context: &Context) -> Vec<u32> {
    Cgroup::make(&context.group, &context.resource).map(|group| group.members()).unwrap_or_default()
}

/// What scripts are told (environment.md section 2).
fn environment(context: &Context) -> Vec<(String, String)> {
    let choose = |value: bool, yes: &str, no: &str| if value { yes } else { no }.to_string();
    let mut list = vec![
        ("CLP_EVENT", choose(context.after_failure, "FAILOVER", "START")),
        ("CLP_DISK", choose(context.disk_ok, "SUCCESS", "FAILURE")),
        ("CLP_SERVER", choose(context.home, "HOME", "OTHER")),
        ("CLP_FACTOR", context.cause.map_or(String::new(), |cause| cause.word().to_string())),
        ("CLP_GROUPNAME", context.group.clone()),
        ("CLP_RESOURCENAME", context.resource.clone()),
        ("CLP_PRIORITY", context.priority.to_string()),
    ];
    list.retain(|(name, value)| *name != "CLP_FACTOR" || !value.is_empty());
    let own = list.into_iter().map(|(name, value)| (name.to_string(), value));
    own.chain(crate::environment::general(&context.root)).collect()
}

impl ResourceDriver for ExecDriver {
    fn activate(&self, context: &Context) -> Result<Outcome, ResourceError> {
        if self.is_running(context) {
            return Ok(Outcome::AlreadyDone);
        }
        let program = self.program(context, &self.parameters.start_path, self.parameters.start_timeout)?;
        let script = program.argv[0].clone();
        let failed = |words: String| {
            ResourceError::new(format!("start script {script}: {words}"), "see its log (userlog) and run it by hand")
        };
        // Left before the start, so that a death in between is cleaned up by the next life of the service.
        context.mark()?;
        if self.parameters.start_sync {
            let outcome = process::run(&program);
            if !outcome.is_success() {
                let error = failed(outcome.words());
                // Both are told: why it did not start and what could not be undone.
                return Err(match self.kill(context) {
                    Ok(_) => error,
                    Err(undo) => ResourceError::new(format!("{}; undoing it failed too: {}", error.what, undo.what), undo.remedy),
                });
            }
        } else {
            let resident = process::start(&program).map_err(|words| {
                context.unmark();
                failed(words)
            })?;
            RESIDENTS.lock().unwrap_or_else(PoisonError::into_inner).insert(context.resource.clone(), resident);
        }
        Ok(Outcome::Changed)
    }

    fn deactivate(&self, context: &Context) -> Result<Outcome, ResourceError> {
        let program = match self.program(context, &self.parameters.stop_path, self.parameters.stop_timeout) {
            // Nothing was started here, so there is nothing for a script to stop.
            Err(_) if !context.is_marked() && members(context).is_empty() => return Ok(Outcome::AlreadyDone),
            found => found?,
        };
        let script = program.argv[0].clone();
        let failed = |words: String| {
            ResourceError::new(format!("stop script {script}: {words}"), "see its log (userlog) and run it by hand")
        };
        // The stop script runs beside the application, not inside the group that is killed afterwards.
        let program = Program { cgroup: None, ..program };
        if self.parameters.stop_sync {
            let outcome = process::run(&program);
            if !outcome.is_success() {
                return Err(failed(outcome.words()));
            }
        } else {
            process::start(&program).map_err(failed)?;
        }
        self.kill(context)?;
        Ok(Outcome::Changed)
    }

    fn status(&self, context: &Context) -> Status {
        if !members(context).is_empty() || context.is_marked() { Status::Online } else { Status::Offline }
    }

    fn emergency(&self, context: &Context) -> Result<Outcome, ResourceError> {
        self.kill(context)
    }
}

impl ExecDriver {
    /// End what the scripts left running: the whole control group, or the resident's process group.
    fn kill(&self, context: &Context) -> Result<Outcome, ResourceError> {
        let resident = RESIDENTS.lock().unwrap_or_else(PoisonError::into_inner).remove(&context.resource);
        let mut outcome = Outcome::AlreadyDone;
        if let Some(mut resident) = resident {
            outcome = Outcome::Changed;
            let group = i32::try_from(resident.pid()).ok().and_then(rustix::process::Pid::from_raw);
            if let (None, Some(group)) = (resident.ended(), group) {
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
        }
        if let Some(cgroup) = Cgroup::make(&context.group, &context.resource) {
            if !cgroup.members().is_empty() {
                outcome = Outcome::Changed;
            }
            if !cgroup.kill(KILL_LIMIT) {
                let left: Vec<String> = cgroup.members().into_iter().map(process::evidence).collect();
                return Err(ResourceError::new(
                    format!("processes of {} cannot be killed: {}", context.resource, left.join("; ")),
                    "they wait inside the kernel; repair what they wait for or reset the server",
                ));
            }
            cgroup.remove();
        }
        context.unmark();
        Ok(outcome)
    }
}
