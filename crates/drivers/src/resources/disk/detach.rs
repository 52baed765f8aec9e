//! Cutting a disk off from this server when it cannot be unmounted: after that nothing of here reaches it, not even late.
//!
//! Verified means: every mount of it is shut down, the device is read-only, its own cache is written back, and no write is on its way. A
//! write that waits in a queue would reach the disk when its path heals, when somebody else may have mounted it (protocol.md R11).

use super::{Context, DiskDriver, Outcome, ResourceError};
use clp_sys::aside::CallError;
use clp_sys::{block, mount};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the writes that were begun may take to reach the disk.
const IN_FLIGHT_LIMIT: Duration = Duration::from_secs(5);
/// Between two looks at them.
const LOOK: Duration = Duration::from_millis(20);
/// How long one step may take that needs no disk, or whose disk is known not to answer.
const STEP_LIMIT: Duration = Duration::from_secs(5);

/// How a disk is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// What was written reaches the disk first, if it takes it within this time: nobody else has a right to the disk yet.
    Keep(Duration),
    /// At once: the right to write is gone, or time is.
    AtOnce,
}

impl DiskDriver {
    /// Cut the disk off, all steps as far as they go; then unmark it.
    pub(super) fn cut(&self, context: &Context, cut: Cut) -> Result<Outcome, ResourceError> {
        let device = self.device();
        if !block::is_block_device(&device) {
            return self.cut_without_device(context);
        }
        let mut wrong: Vec<String> = Vec::new();
        let mut code = 1;
        let mut note = |what: String, number: i32| {
            code = number;
            wrong.push(what);
        };
        let here: Vec<PathBuf> = mount::of_device(&device).into_iter().map(|mounted| mounted.point.into()).collect();
        let copies: Vec<PathBuf> = mount::elsewhere(&device).into_iter().map(|(_, point)| point).collect();
        for point in here.iter().chain(&copies) {
            if let Err(cause) = shut_down(point, cut)
                && !(self.parameters.fs == "xfs" && is_shut_already(&cause))
            {
                note(format!("{} cannot be shut down: {cause}", point.display()), cause.code());
            }
        }
        if let Err(cause) = block::set_read_only(&device, true) {
            note(format!("{} cannot be made read-only: {cause}", device.display()), cause.raw_os_error().unwrap_or(1));
        }
        if let Err((what, number)) = settled(&device) {
            note(what, number);
        }
        // An unmount that hangs has taken the mount out of the tree, and writes when its disk answers again.
        if here.is_empty() && copies.is_empty() && !self.is_raw() && block::is_claimed(&device).unwrap_or(false) {
            note(format!("{} is held inside the kernel: an unmount has not ended", device.display()), EBUSY);
        }
        // Last: what is to be tried again must still be found.
        for point in here.iter().filter(|_| wrong.is_empty()).collect::<Vec<_>>() {
            if let Err(cause) = mount::detach(point, STEP_LIMIT) {
                wrong.push(format!("{} cannot be detached: {cause}", point.display()));
                code = cause.code();
            }
        }
        if wrong.is_empty() {
            context.unmark();
            let idle = here.is_empty() && copies.is_empty();
            return Ok(if idle { Outcome::AlreadyDone } else { Outcome::Changed });
        }
        Err(ResourceError::new(
            wrong.join("; "),
            "repair the path to the disk and stop the group again; until then only a reset of this server ends its writes",
        )
        .coded(code))
    }

    /// The device was taken out of the system: what is mounted of it reaches nothing any more.
    fn cut_without_device(&self, context: &Context) -> Result<Outcome, ResourceError> {
        let point = self.point();
        let left = !self.is_raw() && context.is_marked() && mount::at_point(&point).is_some();
        if left && let Err(cause) = mount::detach(&point, STEP_LIMIT) {
            let what = format!("{} cannot be detached: {cause}", point.display());
            return Err(ResourceError::new(what, "reset this server").coded(cause.code()));
        }
        context.unmark();
        Ok(if left { Outcome::Changed } else { Outcome::AlreadyDone })
    }
}

const EBUSY: i32 = rustix::io::Errno::BUSY.raw_os_error();

/// xfs lets nobody open even its root directory when it is shut down.
fn is_shut_already(error: &CallError) -> bool {
    error.code() == rustix::io::Errno::IO.raw_os_error()
}

fn shut_down(point: &Path, cut: Cut) -> Result<(), CallError> {
    if let Cut::Keep(limit) = cut
        && mount::shut_down(point, true, limit).is_ok()
    {
        return Ok(());
    }
    mount::shut_down(point, false, STEP_LIMIT)
}

/// Nothing is left that could be written later.
pub(super) fn settled(device: &Path) -> Result<(), (String, i32)> {
    match block::write_back(device, IN_FLIGHT_LIMIT) {
        // What the disk refused is not tried again.
        Ok(()) | Err(CallError::Refused(_)) => {}
        Err(cause @ CallError::Hangs(_)) => {
            return Err((format!("what {} holds cannot be written: {cause}", device.display()), cause.code()));
        }
    }
    let until = Instant::now() + IN_FLIGHT_LIMIT;
    loop {
        match block::writes_in_flight(device) {
            Ok(0) => return Ok(()),
            Ok(count) if Instant::now() >= until => {
                return Err((format!("{count} writes are still on their way to {}", device.display()), EBUSY));
            }
            Ok(_) => std::thread::sleep(LOOK),
            Err(cause) => {
                let what = format!("it cannot be told whether writes are on their way to {}: {cause}", device.display());
                return Err((what, cause.raw_os_error().unwrap_or(1)));
            }
        }
    }
}
