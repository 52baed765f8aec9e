//! Scripts of monitors: where they lie, what they are told, where their output goes (environment.md sections 3 and 4).

use super::{CheckFailed, Context};
use clp_sys::{
    cgroup::Cgroup,
    process::{Output, Program},
};
use std::{path::PathBuf, time::Duration};

/// Beside the scripts of groups; also the name under which control groups of monitors are kept.
pub(super) const FOLDER: &str = "monitor.s";
const REMEDY_MISSING: &str = "distribute the configuration with its scripts again (clpcfctrl --push)";

/// A script of a monitor.
#[derive(Debug, Clone)]
pub(super) struct Script {
    path: PathBuf,
    env: Vec<(String, String)>,
    output: Output,
    monitor: String,
}

impl Script {
    /// `path` is absolute (a user's application, run as it stands) or a name in the monitor's own folder. `own` is told to
    /// the script besides what all are told.
    pub(super) fn new(context: &Context, path: &str, output: Output, own: &[(&str, String)]) -> Script {
        let folder = context.root.scripts().join(FOLDER).join(&context.monitor);
        let monitor = ("CLP_MONITORNAME", context.monitor.clone());
        let own = own.iter().cloned().chain([monitor]).map(|(name, value)| (name.to_string(), value));
        let env = own.chain(crate::environment::general(&context.root)).collect();
        Script { path: folder.join(path), env, output, monitor: context.monitor.clone() }
    }

    /// Its path, for messages.
    pub(super) fn path(&self) -> std::path::Display<'_> {
        self.path.display()
    }

    /// The control group that takes in whatever it starts.
    pub(super) fn cgroup(&self) -> Option<Cgroup> {
        Cgroup::make(FOLDER, &self.monitor)
    }

    /// Ready to be run for at most `limit`; looked for each time, since a configuration may bring it later.
    pub(super) fn program(&self, limit: Duration) -> Result<Program, CheckFailed> {
        if !self.path.is_file() {
            return Err(CheckFailed::error(format!("script {} does not exist", self.path()), REMEDY_MISSING));
        }
        Ok(Program {
            argv: vec![self.path.to_string_lossy().into_owned()],
            env: self.env.clone(),
            limit,
            output: self.output.clone(),
            cgroup: self.cgroup(),
        })
    }
}
