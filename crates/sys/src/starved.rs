//! Whether a program that was late had the processor at all: what it used, what it waited for it, and how hard others pressed.
//!
//! Measures and compares; what follows from it is decided elsewhere.

use std::fs;
use std::time::Duration;

/// The part of its time for which a starved program waits for the processor.
const WAITED_PERCENT: u32 = 50;
/// The part of that time in which some process of the machine waited for one.
const PRESSED_PERCENT: u32 = 25;

/// What processes had of the processor since they started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    /// They ran for so long.
    pub used: Duration,
    /// They were ready to run for so long, and did not.
    pub waited: Duration,
}

impl Share {
    /// Of these processes together (`/proc/PID/schedstat`, kernel document `scheduler/sched-stats`); those that are gone count
    /// nothing.
    pub fn of(processes: impl Iterator<Item = u32>) -> Share {
        let texts = processes.filter_map(|process| fs::read_to_string(format!("/proc/{process}/schedstat")).ok());
        texts
            .filter_map(|text| schedstat(&text))
            .fold(Share::default(), |sum, one| Share { used: sum.used + one.used, waited: sum.waited + one.waited })
    }
}

fn schedstat(text: &str) -> Option<Share> {
    let mut fields = text.split_whitespace().map(|field| field.parse::<u64>().ok());
    Some(Share { used: Duration::from_nanos(fields.next()??), waited: Duration::from_nanos(fields.next()??) })
}

/// For how long some process has waited for a processor since the boot (`/proc/pressure/cpu`, kernel document
/// `accounting/psi`); None where the kernel does not tell. The kernel adds up every two seconds: what is shorter may not show.
pub fn processor_pressure() -> Option<Duration> {
    total(&fs::read_to_string("/proc/pressure/cpu").ok()?)
}

fn total(text: &str) -> Option<Duration> {
    let some = text.lines().find(|line| line.starts_with("some "))?;
    let total = some.split_whitespace().find_map(|field| field.strip_prefix("total="))?;
    total.parse().ok().map(Duration::from_micros)
}

/// Was a program that took this long without an end starved? Then the figures, in words. `pressed` is how much
/// [`processor_pressure`] rose meanwhile. A program that sleeps, waits for a disk or computes without an end was not.
pub fn verdict(took: Duration, share: Share, pressed: Option<Duration>) -> Option<String> {
    let part = |percent: u32| took * percent / 100;
    let pressed = pressed?;
    let starved = share.waited >= part(WAITED_PERCENT) && share.waited > share.used && pressed >= part(PRESSED_PERCENT);
    let ms = |span: Duration| span.as_millis();
    starved.then(|| {
        format!(
            "starved: in {} ms it had the processor for {} ms and waited {} ms for it; pressure {} %",
            ms(took),
            ms(share.used),
            ms(share.waited),
            (ms(pressed) * 100 / ms(took).max(1)).min(100)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(value: u64) -> Duration {
        Duration::from_millis(value)
    }

    #[test]
    fn only_who_waited_for_a_processor_that_others_had_was_starved() {
        // Used, waited, pressed of a second.
        let table = [
            (50, 800, Some(900), true),
            (300, 600, Some(900), true),
            // It sleeps, or waits for a disk: the machine may be as busy as it likes.
            (5, 10, Some(1000), false),
            // It computes and computes.
            (900, 50, Some(1000), false),
            (490, 480, Some(1000), false),
            // Nobody pressed: the figures of the program cannot be true.
            (50, 800, Some(10), false),
            (50, 800, None, false),
        ];
        for (used, waited, pressed, starved) in table {
            let words = verdict(ms(1000), Share { used: ms(used), waited: ms(waited) }, pressed.map(ms));
            assert_eq!(words.is_some(), starved, "{used} {waited} {pressed:?}: {words:?}");
        }
        let words = verdict(ms(1000), Share { used: ms(50), waited: ms(800) }, Some(ms(900)));
        assert_eq!(
            words.as_deref(),
            Some("starved: in 1000 ms it had the processor for 50 ms and waited 800 ms for it; pressure 90 %")
        );
    }

    #[test]
    fn figures_of_the_kernel_are_read_as_it_writes_them() {
        assert_eq!(schedstat("123456789 5000000 42\n"), Some(Share { used: Duration::from_nanos(123_456_789), waited: ms(5) }));
        assert_eq!(schedstat(""), None);
        let pressure = "some avg10=1.53 avg60=0.42 avg300=0.10 total=2500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
        assert_eq!(total(pressure), Some(ms(2500)));
        assert_eq!(total("full avg10=0.00 total=7\n"), None);
        let own = Share::of(std::iter::once(std::process::id()));
        assert!(own.used > Duration::ZERO, "this process runs: {own:?}");
        assert_eq!(Share::of(std::iter::once(u32::MAX)), Share::default());
    }

    #[test]
    fn a_program_that_others_keep_from_the_processor_is_starved_and_one_that_sleeps_beside_them_is_not() {
        if processor_pressure().is_none() {
            println!("skipped: this kernel does not tell its pressure");
            return;
        }
        let over = std::sync::atomic::AtomicBool::new(false);
        let late = |argv: &[&str]| {
            let argv = argv.iter().map(ToString::to_string).collect();
            let env = vec![("PATH".to_string(), "/usr/bin:/bin".to_string())];
            let program = crate::process::Program { argv, env, limit: ms(5000), ..Default::default() };
            match crate::process::run(&program) {
                crate::process::Outcome::TimedOut { starved, .. } => starved,
                other => panic!("{other:?}"),
            }
        };
        std::thread::scope(|scope| {
            // Two for each processor, so that the weakest gets next to nothing.
            for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) * 2 {
                scope.spawn(|| {
                    let until = std::time::Instant::now() + Duration::from_secs(20);
                    while !over.load(std::sync::atomic::Ordering::Relaxed) && std::time::Instant::now() < until {
                        std::hint::spin_loop();
                    }
                });
            }
            let computes = late(&["/usr/bin/nice", "-n", "19", "/bin/sh", "-c", "while :; do :; done"]);
            let sleeps = late(&["/bin/sleep", "60"]);
            over.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(computes.is_some(), "kept from the processor");
            assert_eq!(sleeps, None, "it sleeps");
        });
    }
}
