//! How the engine's end tells its parent what follows.

use clp_core::plan::AfterStop;

/// The cluster service stopped in order.
pub const STOPPED: u8 = 0;
/// Stopped in order; shut the operating system down.
pub const SHUTDOWN: u8 = 10;
/// Stopped in order; reboot.
pub const REBOOT: u8 = 11;
/// Stopped in order; panic by a system request.
pub const SYSRQ_PANIC: u8 = 12;
/// Stopped in order; reset at once.
pub const KEEPALIVE_RESET: u8 = 13;
/// Stopped in order; panic.
pub const KEEPALIVE_PANIC: u8 = 14;
/// This server was to end at once and did not: what was active still is. For the parent that is as the engine's death.
pub const NOT_ENDED: u8 = 70;
/// The configuration, the trust or the system does not let the engine run; nothing was started.
pub const CANNOT_START: u8 = 78;

/// The exit code for what follows a stop.
pub fn code(then: AfterStop) -> u8 {
    match then {
        AfterStop::Nothing => STOPPED,
        AfterStop::Shutdown => SHUTDOWN,
        AfterStop::Reboot => REBOOT,
        AfterStop::SysrqPanic => SYSRQ_PANIC,
        AfterStop::KeepaliveReset => KEEPALIVE_RESET,
        AfterStop::KeepalivePanic => KEEPALIVE_PANIC,
    }
}
