//! Ending what scripts left running: it may go by itself, is asked to, is killed; nothing else is ever touched.

use super::{Context, Outcome, ResourceError, residents};
use clp_sys::cgroup::Cgroup;
use clp_sys::process::{self, DOOMED_GRACE, KILL_GRACE, Resident, TERM_GRACE};
use rustix::process::{Pid, Signal, kill_process_group};
use std::time::Duration;

/// The control group of the scripts that run beside the application: they are not to be killed with it.
pub(super) fn beside(context: &Context) -> String {
    format!("{}.stop", context.resource)
}

/// What is left of the application, without what was killed and is held by the kernel alone.
pub(super) fn members(context: &Context) -> Vec<u32> {
    let mut members = Cgroup::find(&context.group, &context.resource).map(|group| group.members()).unwrap_or_default();
    members.retain(|pid| !process::is_doomed(*pid));
    members
}

/// What may remain when all has been done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bar {
    /// Nothing.
    Empty,
    /// What the kernel holds and will not let run again: it can neither write by itself nor answer.
    Doomed,
}

/// End the application within its patience, ask it, kill it.
pub(super) fn end(context: &Context, patience: Option<Duration>, bar: Bar) -> Result<Outcome, ResourceError> {
    let resident = residents().remove(&context.resource);
    let mut outcome = Outcome::AlreadyDone;
    let left = match Cgroup::find(&context.group, &context.resource) {
        Some(group) => {
            if !group.members().is_empty() {
                outcome = Outcome::Changed;
            }
            let asked = patience.filter(|_| !members(context).is_empty()).is_some_and(|patience| {
                group.wait_empty(patience) || {
                    group.signal(Signal::TERM);
                    group.wait_empty(TERM_GRACE)
                }
            });
            // What the kernel holds is not waited for as long as what only takes its time.
            let killed = || group.kill(DOOMED_GRACE) || (!members(context).is_empty() && group.kill(KILL_GRACE));
            if asked || killed() {
                group.remove();
                Vec::new()
            } else {
                group.members()
            }
        }
        None => Vec::new(),
    };
    if let Some(resident) = resident {
        outcome = Outcome::Changed;
        kill_resident(resident, patience);
    }
    let acting: Vec<u32> = left.iter().copied().filter(|pid| bar == Bar::Empty || !process::is_doomed(*pid)).collect();
    if !acting.is_empty() {
        return Err(ResourceError::new(
            format!("processes of {} cannot be killed: {}", context.resource, process::evidence_of(&acting)),
            "they wait inside the kernel; repair what they wait for or reset the server",
        )
        .coded(rustix::io::Errno::BUSY.raw_os_error()));
    }
    context.unmark();
    Ok(outcome)
}

/// Where there are no control groups, the process group of the program that was left running has to do.
fn kill_resident(mut resident: Resident, patience: Option<Duration>) {
    let group = i32::try_from(resident.pid()).ok().and_then(Pid::from_raw);
    if let (None, Some(group)) = (resident.ended(), group) {
        if patience.is_some() {
            let _ = kill_process_group(group, Signal::TERM);
            resident.wait(TERM_GRACE);
        }
        let _ = kill_process_group(group, Signal::KILL);
        resident.wait(KILL_GRACE);
    }
    resident.leave();
}
