//! The script before a resource's final action (environment.md section 5). Whatever it says, the action follows.

use super::Context;
use crate::preaction;
use clp_sys::process::{Output, Program};
use std::time::Duration;

/// Which failure it follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Of the activation.
    Activation,
    /// Of the deactivation.
    Deactivation,
}

impl Failure {
    /// As operators are told.
    pub fn words(self) -> &'static str {
        match self {
            Failure::Activation => "activation",
            Failure::Deactivation => "deactivation",
        }
    }

    fn timing(self) -> &'static str {
        match self {
            Failure::Activation => "START",
            Failure::Deactivation => "STOP",
        }
    }
}

/// Runs the script of a resource to its end; at `limit` it is killed with all that it started. `path` is absolute (a user's
/// application, run as it stands) or a name in `scripts/GROUP/RESOURCE/`.
///
/// # Errors
/// It is missing, failed, or did not end in time: what and why.
pub fn run(context: &Context, path: &str, limit: Duration, failure: Failure) -> Result<(), String> {
    let script = context.root.scripts().join(&context.group).join(&context.resource).join(path);
    if !script.is_file() {
        let remedy = "distribute the configuration with its scripts again (clpcfctrl --push)";
        return Err(format!("script {} does not exist; {remedy}", script.display()));
    }
    let own = [
        ("CLP_TIMING", failure.timing()),
        ("CLP_GROUPNAME", context.group.as_str()),
        ("CLP_RESOURCENAME", context.resource.as_str()),
    ];
    let own = own.map(|(name, value)| (name.to_string(), value.to_string()));
    let program = Program {
        argv: vec![script.to_string_lossy().into_owned()],
        env: own.into_iter().chain(crate::environment::general(&context.root)).collect(),
        limit,
        output: Output::Keep,
        cgroup: None,
    };
    preaction::run(program, &context.group, &context.resource)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clp_sys::paths::Root;
    use std::{fs, os::unix::fs::PermissionsExt};

    #[test]
    fn a_script_is_told_the_failure_and_its_own_is_named() {
        let root = tempfile::tempdir().expect("root");
        let context = Context { root: Root::at(root.path()), group: "g1".into(), resource: "exec1".into(), ..Context::default() };
        let folder = root.path().join("scripts/g1/exec1");
        fs::create_dir_all(&folder).expect("folder");
        let write = |text: &str| {
            let file = folder.join("preaction.sh");
            fs::write(&file, text).expect("script");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("mode");
        };
        let limit = Duration::from_secs(20);
        let missing = run(&context, "preaction.sh", limit, Failure::Activation).expect_err("missing");
        assert!(missing.contains("does not exist"), "{missing}");
        write("#!/bin/sh\necho $CLP_TIMING $CLP_GROUPNAME $CLP_RESOURCENAME >> ${0%/*}/told\n");
        for failure in [Failure::Activation, Failure::Deactivation] {
            run(&context, "preaction.sh", limit, failure).expect("done");
        }
        assert_eq!(fs::read_to_string(folder.join("told")).expect("it ran"), "START g1 exec1\nSTOP g1 exec1\n");
        write("#!/bin/sh\nexit 4\n");
        let failed = run(&context, "preaction.sh", limit, Failure::Activation).expect_err("code 4");
        assert!(failed.contains("it ended with code 4"), "{failed}");
        write("#!/bin/sh\nsleep 954\n");
        let late = run(&context, "preaction.sh", Duration::from_millis(100), Failure::Activation).expect_err("late");
        assert!(late.contains("did not end in time"), "{late}");
    }
}
