//! What the scripts before a step of recovery have in common (`monitors/preaction.rs`, `resources/preaction.rs`): each runs to its end
//! or is killed at its limit, and whatever it says, the step follows.

use clp_sys::{
    cgroup::Cgroup,
    process::{self, Program},
};

/// Runs it in a control group beside that of `object`, the resource or monitor: what runs there is not to be killed with this script.
///
/// # Errors
/// It failed or did not end in time: what and why.
pub(crate) fn run(mut program: Program, group: &str, object: &str) -> Result<(), String> {
    program.cgroup = Cgroup::make(group, &format!("{object}.preaction"));
    let outcome = process::run(&program);
    if let Some(cgroup) = program.cgroup {
        cgroup.remove();
    }
    if outcome.is_success() { Ok(()) } else { Err(format!("script {}: {}", program.argv.join(" "), outcome.words())) }
}
