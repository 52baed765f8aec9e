//! Clocks: one that counts suspended time for everything measured, the wall clock for showing. Never set.

use rustix::time::{ClockId, clock_gettime};
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Time since boot, suspended time included (`CLOCK_BOOTTIME`).
pub fn now() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Names a file that holds seconds, which may be negative, by which [`wall`] goes wrong: the wall clock is the whole machine's, and
/// tests of servers whose clocks jump must not set it. Read anew each time.
pub const SHIFT: &str = "CLP_CLOCK_SHIFT";

/// Wall-clock time since 1970, for records only: nothing may be decided by it, it jumps.
pub fn wall() -> Duration {
    static FILE: LazyLock<Option<PathBuf>> = LazyLock::new(|| std::env::var_os(SHIFT).map(PathBuf::from));
    let true_time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let shift = FILE.as_ref().and_then(|file| std::fs::read_to_string(file).ok()?.trim().parse::<i64>().ok()).unwrap_or(0);
    let size = Duration::from_secs(shift.unsigned_abs());
    if shift < 0 { true_time.saturating_sub(size) } else { true_time.saturating_add(size) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_moves_the_wall_clock_alone() {
        const INSIDE: &str = "MAINSTAY_SHIFTED";
        let file = std::env::temp_dir().join(format!("clock-shift-{}", std::process::id()));
        if let Some(file) = std::env::var_os(INSIDE) {
            let (measured, true_time) = (now(), SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970"));
            for years in [1i64, -1, -100, 0] {
                let shift = years * 365 * 86_400;
                std::fs::write(&file, shift.to_string()).expect("written");
                let expected = i64::try_from(true_time.as_secs()).expect("small").saturating_add(shift).max(0);
                assert!(i64::try_from(wall().as_secs()).expect("small").abs_diff(expected) < 60, "{years} years");
                assert!((now() - measured).as_secs() < 60);
            }
            return;
        }
        let mut inside = std::process::Command::new(std::env::current_exe().expect("this program"));
        inside.args(["--exact", "clock::tests::a_shift_moves_the_wall_clock_alone"]).env(INSIDE, &file).env(SHIFT, &file);
        let ended = inside.output().expect("this program again");
        let _ = std::fs::remove_file(&file);
        assert!(ended.status.success(), "{ended:?}");
    }
}
