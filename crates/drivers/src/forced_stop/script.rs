//! The administrator's own script switches a server off (environment.md section 5). Its exit code 0 proves that only where the
//! configuration says so; else the server's BMC is read.

use std::path::PathBuf;
use std::time::Instant;

use clp_sys::cgroup::Cgroup;
use clp_sys::paths::Root;
use clp_sys::process::{Outcome, Output, Program, run};

use super::{Ipmi, StopCause, StopFailed, Stopper};

/// Control groups of the script, one a server.
const FOLDER: &str = "forced.stop";

/// What the script is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Would it work?
    Check,
    /// Do it.
    Stop,
}

/// A script that switches one server off.
#[derive(Debug)]
pub struct Script {
    path: PathBuf,
    server: String,
    env: Vec<(String, String)>,
    /// What reads that the server is off; None: the script's word is taken for it.
    read_back: Option<Ipmi>,
}

impl Script {
    /// For `server`, run on `local`. A bare name of a `path` lies below the scripts.
    pub fn new(root: &Root, path: &str, local: &str, server: &str, read_back: Option<Ipmi>) -> Script {
        let own = [("CLP_SERVER_DOWN", server), ("CLP_SERVER_LOCAL", local)];
        let own = own.into_iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let env = own.chain(crate::environment::general(root)).collect();
        Script { path: root.scripts().join(path), server: server.into(), env, read_back }
    }

    fn failed(&self, cause: StopCause, remedy: &'static str) -> StopFailed {
        StopFailed { at: format!("forced-stop script {} for {}", self.path.display(), self.server), cause, remedy }
    }

    fn run(&self, mode: Mode, until: Instant) -> Result<(), StopFailed> {
        if !self.path.is_file() {
            let cause = StopCause::Missing("it does not exist".into());
            return Err(self.failed(cause, "distribute the configuration with it (clpcfctrl --push)"));
        }
        let mut env = self.env.clone();
        env.push(("CLP_FORCESTOP_MODE".into(), if mode == Mode::Stop { "1" } else { "0" }.into()));
        // A check and a stop may run at the same time; the end of one must not end the other.
        let group = format!("{}.{}", self.server, if mode == Mode::Stop { "stop" } else { "check" });
        let program = Program {
            argv: vec![self.path.to_string_lossy().into_owned()],
            env,
            limit: until.saturating_duration_since(Instant::now()),
            output: Output::Keep,
            cgroup: Cgroup::make(FOLDER, &group),
        };
        match run(&program) {
            outcome if outcome.is_success() => Ok(()),
            Outcome::TimedOut { .. } => {
                let cause = StopCause::Failed("it did not end in time and was killed".into());
                Err(self.failed(cause, "look why, or raise mainstay/forcestop/timeout"))
            }
            outcome => Err(self.failed(StopCause::Failed(outcome.words()), "run it by hand and see")),
        }
    }
}

impl Stopper for Script {
    fn stop(&self, until: Instant) -> Result<String, StopFailed> {
        self.run(Mode::Stop, until)?;
        match &self.read_back {
            Some(bmc) => bmc.read_back(until, false),
            None => Ok(format!("the forced-stop script {} ended with code 0, which counts as a proof here", self.path.display())),
        }
    }

    fn look(&self, until: Instant) -> Result<String, StopFailed> {
        self.run(Mode::Check, until)?;
        match &self.read_back {
            Some(bmc) => bmc.look(until),
            None => Ok(format!("the forced-stop script {} says that it would work", self.path.display())),
        }
    }
}

#[cfg(test)]
mod tests;
