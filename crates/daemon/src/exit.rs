//! How the engine's end tells its parent what follows.

use clp_core::plan::AfterStop;

/// The cluster service stopped in order.
pub const STOPPED: u8 = 0;
/// Stopped in order; shut the operating system down.
pub const SHUTDOWN: u8 = 10;
/// Stopped in order; reboot.
pub const REBOOT: u8 = 11;
/// The configuration, the trust or the system does not let the engine run; nothing was started.
pub const CANNOT_START: u8 = 78;

/// The exit code for what follows a stop.
pub fn code(then: AfterStop) -> u8 {
    match then {
        AfterStop::Nothing => STOPPED,
        AfterStop::Shutdown => SHUTDOWN,
        AfterStop::Reboot => REBOOT,
    }
}
