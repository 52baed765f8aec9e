//! The script before a step of a monitor's recovery (environment.md section 4). Whatever it says, the step follows.

use super::{
    Context,
    script::{FOLDER, Script},
};
use crate::preaction;
use clp_sys::process::Output;
use std::time::Duration;

/// The step that follows, as the script is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// A reactivation; the number of it.
    Restart(u32),
    /// A failover; the number of it.
    Failover(u32),
    /// The final action.
    FinalAction,
}

impl Before {
    /// As operators are told.
    pub fn words(self) -> &'static str {
        match self {
            Before::Restart(_) => "reactivation",
            Before::Failover(_) => "failover",
            Before::FinalAction => "final action",
        }
    }

    fn environment(self) -> Vec<(&'static str, String)> {
        let action = |word: &str| ("CLP_ACTION", word.to_string());
        match self {
            Before::Restart(count) => vec![action("RESTART"), ("CLP_RESTARTCOUNT", count.to_string())],
            Before::Failover(count) => vec![action("FAILOVER"), ("CLP_FAILOVERCOUNT", count.to_string())],
            Before::FinalAction => vec![action("FINALACTION")],
        }
    }
}

/// Runs the script of a monitor to its end; at `limit` it is killed with all that it started.
///
/// # Errors
/// It is missing, failed, or did not end in time: what and why.
pub fn run(context: &Context, path: &str, limit: Duration, before: Before) -> Result<(), String> {
    let script = Script::new(context, path, Output::Keep, &before.environment());
    let program = script.program(limit).map_err(|failed| failed.to_string())?;
    preaction::run(program, FOLDER, &context.monitor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clp_sys::paths::Root;
    use std::{fs, os::unix::fs::PermissionsExt};

    #[test]
    fn a_script_is_told_what_follows_and_its_failure_is_named() {
        let root = tempfile::tempdir().expect("root");
        let context = Context { root: Root::at(root.path()), monitor: "pre1".into(), ..Context::default() };
        let folder = root.path().join("scripts/monitor.s/pre1");
        fs::create_dir_all(&folder).expect("folder");
        let write = |text: &str| {
            let file = folder.join("preaction.sh");
            fs::write(&file, text).expect("script");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("mode");
        };
        let limit = Duration::from_secs(20);
        let missing = run(&context, "preaction.sh", limit, Before::FinalAction).expect_err("missing");
        assert!(missing.contains("does not exist"), "{missing}");
        write("#!/bin/sh\necho $CLP_MONITORNAME $CLP_ACTION $CLP_RESTARTCOUNT $CLP_FAILOVERCOUNT >> ${0%/*}/told\n");
        for before in [Before::Restart(2), Before::Failover(1), Before::FinalAction] {
            run(&context, "preaction.sh", limit, before).expect("done");
        }
        let told = fs::read_to_string(folder.join("told")).expect("it ran");
        assert_eq!(told, "pre1 RESTART 2\npre1 FAILOVER 1\npre1 FINALACTION\n");
        write("#!/bin/sh\necho oops\nexit 4\n");
        let failed = run(&context, "preaction.sh", limit, Before::FinalAction).expect_err("code 4");
        assert!(failed.contains("it ended with code 4: oops"), "{failed}");
        write("#!/bin/sh\nsleep 954\n");
        let late = run(&context, "preaction.sh", Duration::from_millis(100), Before::FinalAction).expect_err("late");
        assert!(late.contains("did not end in time"), "{late}");
    }
}
