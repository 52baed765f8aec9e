//! Supervised programs: own process group and control group, ordinary scheduling, a time limit, output kept or written to
//! a log, and evidence taken before anything is killed for being late.

use std::collections::VecDeque;
use std::fs::File;
use std::io::PipeReader;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal};

use crate::cgroup::Cgroup;
use crate::starved;

mod log;
mod spawn;

pub use log::older;
use spawn::Child;

/// Bytes of output that are kept; the end matters most, so the beginning goes first.
pub const OUTPUT_MAX: usize = 64 * 1024;
/// Between asking programs to end and killing them.
pub const TERM_GRACE: Duration = Duration::from_secs(2);
/// Processes of a late program that are looked at; more make the error unreadable.
pub const EVIDENCE_MAX: usize = 4;
/// How long what was killed and is held by the kernel may take to be let go.
pub const DOOMED_GRACE: Duration = Duration::from_millis(500);
/// How long killed processes may take to be gone.
pub const KILL_GRACE: Duration = Duration::from_secs(5);

/// How long to wait for the output of a program that succeeded; one that forked away may hold the pipe for ever.
const WORDS_WAIT: Duration = Duration::from_millis(2);
/// The same for one that failed.
const LAST_WORDS_WAIT: Duration = Duration::from_millis(300);

/// Where output goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Output {
    /// Kept, at most [`OUTPUT_MAX`] bytes.
    #[default]
    Keep,
    /// Appended to a file as it comes.
    Append(PathBuf),
    /// Appended with time and process id before each line; the file is set aside ([`older`]) at this size.
    Log(PathBuf, u64),
}

/// What to run.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// Program and arguments; run as they are, never through a shell.
    pub argv: Vec<String>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// Longest run.
    pub limit: Duration,
    /// Where its output goes.
    pub output: Output,
    /// The control group that takes it in.
    pub cgroup: Option<Cgroup>,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// By itself.
    Exited {
        /// Its exit code.
        code: i32,
        /// What it wrote, when kept.
        output: String,
    },
    /// By a signal that was not ours.
    Signaled {
        /// Which.
        signal: i32,
        /// What it wrote, when kept.
        output: String,
    },
    /// It did not end in time and was killed.
    TimedOut {
        /// What it was doing.
        evidence: String,
        /// It had no processor for most of its time: the figures, in words.
        starved: Option<String>,
    },
    /// It could not be started.
    NotStarted {
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// Ended with code 0?
    pub fn is_success(&self) -> bool {
        matches!(self, Outcome::Exited { code: 0, .. })
    }

    /// In words, for an error.
    pub fn words(&self) -> String {
        let tail = |output: &str| {
            let line = output.trim().lines().last().unwrap_or_default().trim().to_string();
            if line.is_empty() { String::new() } else { format!(": {line}") }
        };
        match self {
            Outcome::Exited { code, output } => format!("it ended with code {code}{}", tail(output)),
            Outcome::Signaled { signal, output } => format!("it was ended by signal {signal}{}", tail(output)),
            Outcome::TimedOut { evidence, .. } => format!("it did not end in time and was killed ({evidence})"),
            Outcome::NotStarted { reason } => format!("it could not be started: {reason}"),
        }
    }
}

/// A program that was left running.
#[derive(Debug)]
pub struct Resident {
    child: Child,
}

impl Resident {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Reap it if it ended; its words then.
    pub fn ended(&mut self) -> Option<String> {
        self.child.try_wait().map(|status| status.to_string())
    }

    /// Wait for its end, at most `limit`; false when it still runs.
    pub fn wait(&mut self, limit: Duration) -> bool {
        wait(&mut self.child, limit).is_some()
    }

    /// Let it run on and end by itself; it is reaped then.
    pub fn leave(mut self) {
        if self.ended().is_none() {
            std::thread::spawn(move || self.child.wait());
        }
    }
}

/// Run a program to its end or its limit.
pub fn run(program: &Program) -> Outcome {
    match try_run(program) {
        Ok(outcome) => outcome,
        Err(reason) => Outcome::NotStarted { reason },
    }
}

fn try_run(program: &Program) -> Result<Outcome, String> {
    let kept = Arc::new(Mutex::new(VecDeque::new()));
    let (done, drained) = std::sync::mpsc::channel::<()>();
    let (output, reader) = match &program.output {
        Output::Append(path) => (log::open(path)?.into(), None),
        Output::Keep | Output::Log(..) => piped()?,
    };
    let mut child = spawned(program, output)?;
    let pid = child.id();
    if let Some(read) = reader {
        // Not joined: a process that forked away may hold the pipe open for ever.
        let (output, kept) = (program.output.clone(), kept.clone());
        std::thread::spawn(move || {
            log::drain(read, &output, &kept, pid);
            drop(done);
        });
    }
    let (began, pressure) = (Instant::now(), starved::processor_pressure());
    let ended = wait(&mut child, program.limit);
    let words = |success: bool| {
        // The reader may be a moment behind the end of the program. A failure is worth waiting for its last words.
        let _ = drained.recv_timeout(if success { WORDS_WAIT } else { LAST_WORDS_WAIT });
        let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept.iter().copied().collect::<Vec<u8>>()).into_owned()
    };
    Ok(match ended {
        Some(status) => match status.code() {
            Some(code) => Outcome::Exited { code, output: words(code == 0) },
            None => Outcome::Signaled {
                signal: std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or(0),
                output: words(false),
            },
        },
        None => {
            // A script mostly waits for a child: what that one does is the cause.
            let others = program.cgroup.as_ref().map(Cgroup::members).unwrap_or_default();
            let late: Vec<u32> = std::iter::once(pid).chain(others.into_iter().filter(|other| *other != pid)).collect();
            let evidence = evidence_of(&late);
            let pressed = starved::processor_pressure().zip(pressure).map(|(now, before)| now.saturating_sub(before));
            let starved = starved::verdict(began.elapsed(), starved::Share::of(late.into_iter()), pressed);
            end(child, program.cgroup.as_ref());
            Outcome::TimedOut { evidence, starved }
        }
    })
}

/// Start a program and leave it running.
///
/// # Errors
/// Why it could not be started.
pub fn start(program: &Program) -> Result<Resident, String> {
    let (output, reader) = match &program.output {
        Output::Append(path) => (log::open(path)?.into(), None),
        Output::Log(..) => piped()?,
        Output::Keep => (File::options().write(true).open("/dev/null").map_err(|cause| cause.to_string())?.into(), None),
    };
    let child = spawned(program, output)?;
    if let Some(read) = reader {
        // Ends when the last process that writes into the pipe does.
        let (output, pid) = (program.output.clone(), child.id());
        std::thread::spawn(move || log::drain(read, &output, &Mutex::default(), pid));
    }
    Ok(Resident { child })
}

fn piped() -> Result<(OwnedFd, Option<PipeReader>), String> {
    let (read, write) = std::io::pipe().map_err(|cause| cause.to_string())?;
    Ok((write.into(), Some(read)))
}

fn spawned(program: &Program, output: OwnedFd) -> Result<Child, String> {
    spawn::spawn(program, output).map_err(|cause| format!("{}: {cause}", program.argv.first().map_or("", String::as_str)))
}

/// Wait for the end of a child, by the kernel's notice, at most `limit`.
fn wait(child: &mut Child, limit: Duration) -> Option<std::process::ExitStatus> {
    let until = Instant::now() + limit;
    let pidfd = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok());
    loop {
        if let Some(status) = child.try_wait() {
            return Some(status);
        }
        let left = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        match &pidfd {
            Some(fd) => {
                let mut fds = [rustix::event::PollFd::new(fd, rustix::event::PollFlags::IN)];
                let slice = left.min(Duration::from_secs(1));
                let timeout = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
                let timeout = rustix::event::Timespec {
                    tv_sec: timeout.tv_sec + i64::try_from(slice.as_secs()).unwrap_or(1),
                    tv_nsec: i64::from(slice.subsec_nanos()),
                };
                let _ = rustix::event::poll(&mut fds, Some(&timeout));
            }
            None => std::thread::sleep(left.min(Duration::from_millis(10))),
        }
    }
}

/// Ask, wait, kill: the process group, then the control group. Others are not touched.
fn end(mut child: Child, cgroup: Option<&Cgroup>) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(group) = group {
        let _ = rustix::process::kill_process_group(group, Signal::TERM);
    }
    let _ = wait(&mut child, TERM_GRACE);
    // Also when the program itself has ended: others of its group may not have listened.
    if let Some(group) = group {
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
    }
    if let Some(cgroup) = cgroup {
        let held = !cgroup.kill(DOOMED_GRACE) && cgroup.members().into_iter().all(is_doomed);
        if !held {
            cgroup.kill(KILL_GRACE);
        }
    }
    let doomed = wait(&mut child, DOOMED_GRACE).is_none() && is_doomed(child.id());
    if doomed || wait(&mut child, KILL_GRACE).is_none() {
        // The kernel holds it. It ends when it is let go, and is waited for then.
        std::thread::spawn(move || child.wait());
    }
}

/// What processes wait for, the first [`EVIDENCE_MAX`] of them.
pub fn evidence_of(pids: &[u32]) -> String {
    let mut words: Vec<String> = pids.iter().take(EVIDENCE_MAX).map(|pid| evidence(*pid)).collect();
    if pids.len() > EVIDENCE_MAX {
        words.push(format!("and {} more", pids.len() - EVIDENCE_MAX));
    }
    words.join("; ")
}

/// Will this process never run a line of its own again: is it gone, or killed and held by the kernel alone? One that waits inside the
/// kernel cannot be ended there, but SIGKILL ends it before it comes back.
pub fn is_doomed(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads.map(|thread| std::fs::read_to_string(thread.path().join("status")).unwrap_or_default()).all(|status| {
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
        let pending = ["SigPnd:", "ShdPnd:"].into_iter().any(|name| {
            // Bit n - 1 stands for signal n.
            u64::from_str_radix(field(name), 16).is_ok_and(|set| set & (1 << (libc::SIGKILL - 1)) != 0)
        });
        status.is_empty() || field("State:").starts_with(['Z', 'X']) || (field("State:").starts_with('D') && pending)
    })
}

/// What a process waits for: its state, kernel stack and wait channel, open files, pressure of the machine.
pub fn evidence(pid: u32) -> String {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let state = read("status").lines().find(|line| line.starts_with("State:")).unwrap_or("State: gone").to_string();
    let stack = read("stack")
        .lines()
        .take(6)
        .map(|line| line.rsplit(' ').next().unwrap_or("").to_string())
        .collect::<Vec<_>>()
        .join(" < ");
    let files: Vec<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .map(|target| target.to_string_lossy().into_owned())
        .filter(|target| target.starts_with('/') && target != "/dev/null")
        .take(8)
        .collect();
    let pressure = |kind: &str| {
        let text = std::fs::read_to_string(format!("/proc/pressure/{kind}")).unwrap_or_default();
        text.lines().next().and_then(|line| line.split_whitespace().nth(1)).unwrap_or("-").to_string()
    };
    format!(
        "pid {pid}, {state}, wait channel {}, stack {}, files {}, pressure cpu {} io {} memory {}",
        read("wchan"),
        if stack.is_empty() { "-" } else { &stack },
        if files.is_empty() { "-".to_string() } else { files.join(" ") },
        pressure("cpu"),
        pressure("io"),
        pressure("memory"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(argv: &[&str], limit: Duration) -> Program {
        Program {
            argv: argv.iter().map(ToString::to_string).collect(),
            env: vec![("PATH".into(), "/usr/bin:/bin".into())],
            limit,
            ..Program::default()
        }
    }

    #[test]
    fn exit_codes_output_and_missing_programs_are_told_apart() {
        let outcome = run(&program(&["/bin/sh", "-c", "echo words; exit 3"], Duration::from_secs(5)));
        assert_eq!(outcome, Outcome::Exited { code: 3, output: "words\n".into() });
        assert!(matches!(run(&program(&["/no/such/program"], Duration::from_secs(5))), Outcome::NotStarted { .. }));
    }

    #[test]
    fn a_program_that_never_ends_is_killed_at_its_limit_with_evidence() {
        let outcome = run(&program(&["/bin/sleep", "1000"], Duration::from_millis(100)));
        let Outcome::TimedOut { evidence, .. } = outcome else { panic!("{outcome:?}") };
        assert!(evidence.contains("wait channel"), "{evidence}");
    }

    #[test]
    fn a_program_that_forks_away_does_not_hold_up_its_end() {
        let started = Instant::now();
        let outcome = run(&program(&["/bin/sh", "-c", "sleep 3 & exit 0"], Duration::from_secs(20)));
        assert!(outcome.is_success(), "{outcome:?}");
        assert!(started.elapsed() < Duration::from_secs(2));
    }
}
