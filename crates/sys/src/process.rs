//! Supervised programs: own process group and control group, ordinary scheduling, a time limit, output kept or written to
//! a log, and evidence taken before anything is killed for being late.

#![allow(unsafe_code, reason = "the child's scheduling is reset between fork and exec")]

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal};

use crate::cgroup::Cgroup;
use crate::starved;

/// Bytes of output that are kept; the end matters most, so the beginning goes first.
pub const OUTPUT_MAX: usize = 64 * 1024;
/// Between asking a late program to end and killing it.
const TERM_GRACE: Duration = Duration::from_secs(2);
/// Further processes of a late program that are looked at; more make the error unreadable.
const EVIDENCE_MAX: usize = 3;
/// How long killed processes may take to be gone.
const KILL_GRACE: Duration = Duration::from_secs(5);

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
    /// Appended with time and process id before each line; the file is set aside at this size, one older is kept.
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
        self.child.try_wait().ok().flatten().map(|status| status.to_string())
    }
}

fn command(program: &Program) -> Result<Command, String> {
    let (name, arguments) = program.argv.split_first().ok_or("no program is named")?;
    let mut command = Command::new(name);
    command.args(arguments).env_clear().envs(program.env.iter().cloned()).current_dir("/").stdin(Stdio::null()).process_group(0);
    let procs =
        program.cgroup.as_ref().and_then(|group| std::ffi::CString::new(group.procs().as_os_str().as_encoded_bytes()).ok());
    // SAFETY: only async-signal-safe system calls are made between fork and exec.
    unsafe {
        command.pre_exec(move || {
            crate::realtime::reset_in_child()?;
            libc::umask(0o022);
            if let Some(path) = &procs {
                let fd = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
                if fd >= 0 {
                    libc::write(fd, c"0".as_ptr().cast(), 1);
                    libc::close(fd);
                }
            }
            Ok(())
        });
    }
    Ok(command)
}

fn log_file(path: &Path) -> Result<File, String> {
    if let Some(parent) = path.parent() {
        let _ = std::fs::create_dir_all(parent);
    }
    OpenOptions::new().create(true).append(true).open(path).map_err(|cause| format!("cannot write {}: {cause}", path.display()))
}

/// Run a program to its end or its limit.
pub fn run(program: &Program) -> Outcome {
    match try_run(program) {
        Ok(outcome) => outcome,
        Err(reason) => Outcome::NotStarted { reason },
    }
}

fn try_run(program: &Program) -> Result<Outcome, String> {
    let mut command = command(program)?;
    let kept = Arc::new(Mutex::new(VecDeque::new()));
    let mut reader = None;
    let (done, drained) = std::sync::mpsc::channel::<()>();
    match &program.output {
        Output::Append(path) => {
            let file = log_file(path)?;
            command.stderr(file.try_clone().map_err(|cause| cause.to_string())?).stdout(file);
        }
        Output::Keep | Output::Log(..) => {
            let (read, write) = std::io::pipe().map_err(|cause| cause.to_string())?;
            command.stderr(write.try_clone().map_err(|cause| cause.to_string())?).stdout(write);
            reader = Some(read);
        }
    }
    let spawned = command.spawn();
    // The command holds the pipe's write end; it must be closed here or the reader never ends.
    drop(command);
    let mut child = spawned.map_err(|cause| format!("{}: {cause}", program.argv[0]))?;
    let pid = child.id();
    if let Some(read) = reader {
        // Not joined: a process that forked away may hold the pipe open for ever.
        let (output, kept) = (program.output.clone(), kept.clone());
        std::thread::spawn(move || {
            drain(read, &output, &kept, pid);
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
            let late = std::iter::once(pid).chain(others.into_iter().filter(|other| *other != pid).take(EVIDENCE_MAX));
            let late: Vec<u32> = late.collect();
            let evidence = late.iter().map(|process| evidence(*process)).collect::<Vec<_>>().join("; ");
            let pressed = starved::processor_pressure().zip(pressure).map(|(now, before)| now.saturating_sub(before));
            let starved = starved::verdict(began.elapsed(), starved::Share::of(late.into_iter()), pressed);
            end(&mut child, program.cgroup.as_ref());
            Outcome::TimedOut { evidence, starved }
        }
    })
}

/// Start a program and leave it running.
///
/// # Errors
/// Why it could not be started.
pub fn start(program: &Program) -> Result<Resident, String> {
    let mut command = command(program)?;
    let mut reader = None;
    match &program.output {
        Output::Append(path) => {
            let file = log_file(path)?;
            command.stderr(file.try_clone().map_err(|cause| cause.to_string())?).stdout(file);
        }
        Output::Log(..) => {
            let (read, write) = std::io::pipe().map_err(|cause| cause.to_string())?;
            command.stderr(write.try_clone().map_err(|cause| cause.to_string())?).stdout(write);
            reader = Some(read);
        }
        Output::Keep => {
            command.stdout(Stdio::null()).stderr(Stdio::null());
        }
    }
    let spawned = command.spawn();
    drop(command);
    let child = spawned.map_err(|cause| format!("{}: {cause}", program.argv[0]))?;
    if let Some(read) = reader {
        // Ends when the last process that writes into the pipe does.
        let (output, pid) = (program.output.clone(), child.id());
        std::thread::spawn(move || drain(read, &output, &Mutex::default(), pid));
    }
    Ok(Resident { child })
}

/// Wait for the end of a child, by the kernel's notice, at most `limit`.
fn wait(child: &mut Child, limit: Duration) -> Option<std::process::ExitStatus> {
    let until = Instant::now() + limit;
    let pidfd = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok());
    loop {
        if let Ok(Some(status)) = child.try_wait() {
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

/// Ask, wait, kill: the process group, then the control group.
fn end(child: &mut Child, cgroup: Option<&Cgroup>) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(group) = group {
        let _ = rustix::process::kill_process_group(group, Signal::TERM);
    }
    let _ = wait(child, TERM_GRACE);
    // Also when the program itself has ended: others of its group may not have listened.
    if let Some(group) = group {
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
    }
    if let Some(cgroup) = cgroup {
        cgroup.kill(KILL_GRACE);
    }
    let _ = wait(child, KILL_GRACE);
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

fn drain(read: std::io::PipeReader, output: &Output, kept: &Mutex<VecDeque<u8>>, pid: u32) {
    let mut reader = BufReader::new(read);
    let mut line = Vec::new();
    loop {
        line.clear();
        match std::io::Read::take(&mut reader, OUTPUT_MAX as u64).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend(&line);
            let over = kept.len().saturating_sub(OUTPUT_MAX);
            kept.drain(..over);
        }
        if let Output::Log(path, size) = output {
            if std::fs::metadata(path).is_ok_and(|file| file.len() >= *size) {
                let _ = std::fs::rename(path, path.with_extension("log.pre"));
            }
            if let Ok(mut file) = log_file(path) {
                let text = String::from_utf8_lossy(&line);
                let _ = writeln!(file, "{}[{pid}] {}", stamp(), text.trim_end());
            }
        }
    }
}

/// `YY/MM/DD HH:MM:SS.mmm`, in UTC: this layer knows no time zones.
fn stamp() -> String {
    let wall = crate::clock::wall();
    let (days, rest) = (wall.as_secs() / 86_400, wall.as_secs() % 86_400);
    let (year, month, day) = civil(i64::try_from(days).unwrap_or(0));
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{:02}/{month:02}/{day:02} {hour:02}:{minute:02}:{second:02}.{:03}", year % 100, wall.subsec_millis())
}

/// Year, month and day of a day number since 1970 (proleptic Gregorian calendar).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
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

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(20_784), (2026, 11, 27));
    }
}
