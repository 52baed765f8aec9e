//! psw: tells whether enough processes of a command line run. Processes that have ended and wait to be reaped do not count.

use super::{CheckFailed, MonitorDriver, UnusableMonitor, bounded};
use std::{
    fs::{self, File},
    io::Read,
    path::Path,
    time::Duration,
};

const REMEDY: &str = "see the application's own log for why it is not there, or correct parameters/processname (ps -eo cmd)";
/// More of a command line is not looked at; the kernel lets it be megabytes.
const LINE_MAX: u64 = 64 << 10;

/// A process name monitor.
#[derive(Debug)]
pub struct Psw {
    name: String,
    count: usize,
}

impl Psw {
    /// From the configuration.
    pub(super) fn configured(parameters: &clp_config::schema::monitors::psw::Psw) -> Result<Psw, UnusableMonitor> {
        if parameters.name.trim().is_empty() {
            return Err(UnusableMonitor::new("no process is named", "give its command line in parameters/processname"));
        }
        Ok(Psw::new(parameters.name.trim(), usize::try_from(parameters.count).unwrap_or(usize::MAX)))
    }

    /// Wants at least `count` processes whose command line is `name`, where * stands for any characters.
    pub fn new(name: &str, count: usize) -> Psw {
        Psw { name: name.to_string(), count }
    }
}

impl MonitorDriver for Psw {
    fn check(&mut self, limit: Duration) -> Result<(), CheckFailed> {
        let (name, wanted) = (self.name.clone(), self.count);
        // Reading another process's command line waits for its memory, and that may be on a disk that is gone.
        let work = Box::new(move || {
            let all = fs::read_dir("/proc")
                .map_err(|cause| CheckFailed::error(format!("cannot read /proc: {cause}"), "mount it"))?
                .flatten();
            let is_process = |path: &Path| path.file_name().is_some_and(|name| name.as_encoded_bytes()[0].is_ascii_digit());
            let lines = all.map(|entry| entry.path()).filter(|path| is_process(path)).filter_map(|path| command_line(&path));
            let found = lines.filter(|line| fits(&name, line)).count();
            if found >= wanted {
                return Ok(());
            }
            let what = format!("{found} processes {name:?} run, at least {wanted} are wanted");
            Err(CheckFailed::error(what, REMEDY))
        });
        bounded::run(&format!("looking for processes {:?}", self.name), limit, REMEDY, work)
    }
}

/// As `ps -eo cmd` shows it; none for a process that has ended.
fn command_line(process: &Path) -> Option<String> {
    let status = fs::read_to_string(process.join("status")).ok()?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if field("State:").is_none_or(|state| state.starts_with(['Z', 'X'])) {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(process.join("cmdline")).ok()?.take(LINE_MAX).read_to_end(&mut bytes).ok()?;
    let line = String::from_utf8_lossy(&bytes).replace('\0', " ").trim_end().to_string();
    // A thread of the kernel has a name only.
    if line.is_empty() { Some(format!("[{}]", field("Name:")?)) } else { Some(line) }
}

/// Does the whole text fit a pattern in which * stands for any characters?
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        // The earliest place leaves the most for the parts that follow.
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeats::tests_support::until;
    use std::process::{Child, Command};

    const LIMIT: Duration = Duration::from_secs(20);

    /// Leaves nothing behind when a test fails.
    struct Killed(Child);

    impl Drop for Killed {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_star_stands_for_any_characters_and_the_whole_line_must_fit() {
        for (pattern, text, is_fit) in [
            ("httpd", "httpd", true),
            ("httpd", "httpd -k start", false),
            ("httpd*", "httpd -k start", true),
            ("*start", "httpd -k start", true),
            ("*-k*", "httpd -k start", true),
            ("*-k", "httpd -k start", false),
            ("ab*ab", "ab", false),
            ("ab*ab", "abab", true),
            ("a*b*c", "axxbyyc", true),
            ("a*c*b", "axxbyyc", false),
            ("*", "", true),
            ("", "x", false),
        ] {
            assert_eq!(fits(pattern, text), is_fit, "{pattern:?} {text:?}");
        }
    }

    #[test]
    fn processes_are_counted_and_the_dead_are_not() {
        let start = || Killed(Command::new("sleep").arg("965").spawn().expect("sleep"));
        let mut children = [start(), start()];
        until("both run", || Psw::new("sleep 965", 2).check(LIMIT).is_ok());
        Psw::new("*p 96*", 2).check(LIMIT).expect("by a part");
        let failed = Psw::new("sleep 965", 3).check(LIMIT).expect_err("too few");
        assert_eq!(failed.what, "2 processes \"sleep 965\" run, at least 3 are wanted");
        children[0].0.kill().expect("kill");
        // It is not reaped here, so the kernel still lists it.
        until("the dead one no longer counts", || Psw::new("sleep 965", 2).check(LIMIT).is_err());
        Psw::new("sleep 965", 1).check(LIMIT).expect("one is left");
        drop(children);
        Psw::new("sleep 965", 1).check(LIMIT).expect_err("none is left");
    }
}
