//! Starts a program, in its control group from its first moment where the kernel can do that (`CLONE_INTO_CGROUP`, Linux 5.7).
//!
//! A process that writes itself into another control group waits there for a grace period of the kernel, tens of milliseconds of every
//! start, and std has no way round it. Everything else is as std does it: the name is looked for along the program's own PATH, and the
//! error of a program that is not there comes back.

#![allow(unsafe_code, reason = "clone3, and calls between fork and exec")]

use std::ffi::CString;
use std::io::{self, Error, ErrorKind, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use rustix::fs::Access;
use rustix::process::{Pid, WaitOptions, waitpid};

use super::Program;

/// linux/sched.h.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
/// Where programs are looked for whose environment has no PATH, as C libraries have it.
const PATH: &str = "/bin:/usr/bin";

/// A program that was started and is to be waited for.
#[derive(Debug)]
pub(super) struct Child {
    pid: Pid,
    /// Known once it was reaped; its number may be another's from then on.
    status: Option<ExitStatus>,
}

impl Child {
    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Reap it if it ended.
    pub(super) fn try_wait(&mut self) -> Option<ExitStatus> {
        self.reap(WaitOptions::NOHANG)
    }

    /// Wait for its end.
    pub(super) fn wait(&mut self) -> Option<ExitStatus> {
        self.reap(WaitOptions::empty())
    }

    fn reap(&mut self, options: WaitOptions) -> Option<ExitStatus> {
        if self.status.is_none() {
            let ended = rustix::io::retry_on_intr(|| waitpid(Some(self.pid), options)).ok().flatten();
            self.status = ended.map(|(_, status)| ExitStatus::from_raw(status.as_raw()));
        }
        self.status
    }
}

/// `struct clone_args` of linux/sched.h up to the field that is needed.
#[repr(C, align(8))]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// What the child needs, made before there is one: a copy of a process with many threads may not allocate.
struct Prepared {
    file: CString,
    argv: Vec<*const libc::c_char>,
    env: Vec<*const libc::c_char>,
    null: OwnedFd,
    output: OwnedFd,
    /// Written to by a child that does not begin in its group.
    procs: Option<CString>,
}

/// Start a program with its words going to `output`: own process group, ordinary scheduling, working directory `/`.
pub(super) fn spawn(program: &Program, output: OwnedFd) -> io::Result<Child> {
    let name = program.argv.first().ok_or_else(|| Error::new(ErrorKind::InvalidInput, "no program is named"))?;
    let text = |text: &str| CString::new(text).map_err(Error::from);
    let argv = program.argv.iter().map(|word| text(word)).collect::<io::Result<Vec<_>>>()?;
    let env = program.env.iter().map(|(name, value)| text(&format!("{name}={value}"))).collect::<io::Result<Vec<_>>>()?;
    let procs = program.cgroup.as_ref().map(|group| group.procs());
    let prepared = Prepared {
        file: CString::new(find(name, &program.env)?.as_os_str().as_bytes())?,
        argv: pointers(&argv),
        env: pointers(&env),
        null: std::fs::File::open("/dev/null")?.into(),
        output,
        procs: procs.as_ref().and_then(|procs| CString::new(procs.as_os_str().as_bytes()).ok()),
    };
    if let Some(group) = procs.as_deref().and_then(Path::parent).and_then(|group| std::fs::File::open(group).ok())
        && let Some(child) = prepared.start(|| clone_into(group.as_raw_fd()), true)?
    {
        return Ok(child);
    }
    // SAFETY: the child makes system calls only and ends by exec or _exit.
    let started = prepared.start(|| unsafe { libc::fork() }, false)?;
    started.ok_or_else(|| Error::other("it was killed before it began"))
}

/// Fork into a control group; below 0 where the kernel does not do it (an old one, or a filter on system calls).
fn clone_into(group: RawFd) -> libc::pid_t {
    let arguments = CloneArguments {
        flags: CLONE_INTO_CGROUP,
        exit_signal: libc::SIGCHLD.unsigned_abs().into(),
        cgroup: group.unsigned_abs().into(),
        ..CloneArguments::default()
    };
    // SAFETY: without shared memory this is fork(2); the kernel reads the struct during the call. What a C library does around its
    // own fork is for children that go on to allocate; this one makes system calls only and ends by exec or _exit.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &arguments as *const CloneArguments, size_of::<CloneArguments>()) };
    libc::pid_t::try_from(pid).unwrap_or(-1)
}

impl Prepared {
    /// Start it by this kind of fork. None when a child that should begin in its group did not: the kernel cannot, or ended it at its
    /// birth. Since Linux 6.14 it does that in a group that was killed once (`cgroup.kill`), as if that were happening now:
    /// cgroup_css_set_fork() notes the count of kills of the parent's group, cgroup_post_fork() compares it with the child's.
    fn start(&self, fork: impl FnOnce() -> libc::pid_t, in_group: bool) -> io::Result<Option<Child>> {
        let (mut news, write) = io::pipe()?;
        let pid = match fork() {
            0 => self.become_program(&write, in_group),
            number => match Pid::from_raw(number).filter(|_| number > 0) {
                Some(pid) => pid,
                None if in_group => return Ok(None),
                None => return Err(Error::last_os_error()),
            },
        };
        // The child's end of the pipe must be the only one, or its closing is not seen.
        drop(write);
        let mut child = Child { pid, status: None };
        let mut number = [0; 4];
        if news.read_exact(&mut number).is_err() {
            child.wait();
            return Ok(None);
        }
        if news.read_exact(&mut number).is_ok() {
            child.wait();
            return Err(Error::from_raw_os_error(i32::from_ne_bytes(number)));
        }
        Ok(Some(child))
    }

    /// Says that it lives, then what went wrong, if something does; the pipe is closed by an exec that goes well.
    fn become_program(&self, news: &impl AsRawFd, in_group: bool) -> ! {
        let tell = |number: i32| {
            let bytes = number.to_ne_bytes();
            // SAFETY: a system call on memory that is ours.
            unsafe { libc::write(news.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
        };
        tell(0);
        tell(self.exec(in_group).raw_os_error().unwrap_or(libc::EIO));
        // SAFETY: the end; nothing of this copy is used any more.
        unsafe { libc::_exit(126) }
    }

    /// Returns only with what went wrong.
    fn exec(&self, in_group: bool) -> Error {
        if let Err(cause) = crate::realtime::reset_in_child() {
            return cause;
        }
        // SAFETY: system calls on memory and descriptors that live as long; the lists of pointers end with a null.
        unsafe {
            if let Some(procs) = self.procs.as_ref().filter(|_| !in_group) {
                let file = libc::open(procs.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
                if file >= 0 {
                    libc::write(file, c"0".as_ptr().cast(), 1);
                    libc::close(file);
                }
            }
            let streams = [(&self.null, 0), (&self.output, 1), (&self.output, 2)];
            let moved = streams.iter().all(|(from, to)| libc::dup2(from.as_raw_fd(), *to) >= 0);
            if !moved || libc::setpgid(0, 0) != 0 || libc::chdir(c"/".as_ptr()) != 0 {
                return Error::last_os_error();
            }
            libc::umask(0o022);
            // What this process ignores or holds back for itself is not to be inherited.
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            // A script without a first line `#!` is run by the shell.
            libc::execvpe(self.file.as_ptr(), self.argv.as_ptr(), self.env.as_ptr());
        }
        Error::last_os_error()
    }
}

fn pointers(words: &[CString]) -> Vec<*const libc::c_char> {
    words.iter().map(|word| word.as_ptr()).chain([std::ptr::null()]).collect()
}

/// The file of a program that is named without a directory, along the PATH that it will have itself.
fn find(name: &str, env: &[(String, String)]) -> io::Result<PathBuf> {
    if name.contains('/') {
        return Ok(name.into());
    }
    let path = env.iter().find(|(variable, _)| variable == "PATH").map_or(PATH, |(_, value)| value);
    let files = path.split(':').map(|directory| Path::new(directory).join(name));
    let can_run = |file: &PathBuf| file.is_file() && rustix::fs::access(file, Access::EXEC_OK).is_ok();
    files.into_iter().find(can_run).ok_or_else(|| Error::from_raw_os_error(libc::ENOENT))
}

#[cfg(test)]
mod tests {
    use crate::cgroup::Cgroup;
    use crate::process::{Outcome, Output, Program, run};
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    /// Runs it; its words from a file, since whoever listens at a pipe may be a moment behind its end.
    fn said(argv: &[&str], path: &str, cgroup: Option<Cgroup>) -> Outcome {
        let file = tempfile::NamedTempFile::new().expect("file");
        let outcome = run(&Program {
            argv: argv.iter().map(ToString::to_string).collect(),
            env: vec![("PATH".into(), path.into()), ("WORD".into(), "told".into())],
            limit: Duration::from_secs(10),
            cgroup,
            output: Output::Append(file.path().into()),
        });
        match outcome {
            Outcome::Exited { code, .. } => {
                Outcome::Exited { code, output: std::fs::read_to_string(file.path()).expect("words") }
            }
            other => other,
        }
    }

    fn exited(output: &str) -> Outcome {
        Outcome::Exited { code: 0, output: output.into() }
    }

    #[test]
    fn a_program_begins_in_its_control_group_and_in_none_when_there_is_none() {
        let name = format!("spawn-test-{}", std::process::id());
        let Some(group) = Cgroup::make("test", &name) else { return };
        let inside = said(&["cat", "/proc/self/cgroup"], "/bin", Some(group.clone()));
        assert!(matches!(&inside, Outcome::Exited { code: 0, output } if output.contains(&name)), "{inside:?}");
        // Some kernels end at its birth whoever begins in a group that was killed once.
        assert!(group.kill(Duration::from_secs(5)));
        let again = said(&["cat", "/proc/self/cgroup"], "/bin", Some(group.clone()));
        assert_eq!(again, inside);
        assert!(group.wait_empty(Duration::from_secs(5)) && group.remove());
        // It has gone, so the kernel refuses; the program starts all the same.
        let outside = said(&["cat", "/proc/self/cgroup"], "/bin", Some(group));
        assert!(matches!(&outside, Outcome::Exited { code: 0, output } if !output.contains(&name)), "{outside:?}");
    }

    #[test]
    fn a_name_is_looked_for_along_the_programs_own_path() {
        let directory = tempfile::tempdir().expect("directory");
        let place = directory.path().to_str().expect("text");
        let file = directory.path().join("tell");
        // Without a first line that names an interpreter, as some scripts are.
        std::fs::write(&file, "echo $WORD $0 $1 $(/bin/pwd) $(umask)\n").expect("script");
        let path = format!("/no/such/place:{place}:/bin");
        let missing = said(&["tell"], &path, None);
        assert!(
            matches!(&missing, Outcome::NotStarted { reason } if reason.contains("No such file")),
            "not executable: {missing:?}"
        );
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("mode");
        assert_eq!(said(&["tell", "x"], &path, None), exited(&format!("told {place}/tell x / 0022\n")));
        let missing = said(&["tell"], "/bin", None);
        assert!(matches!(&missing, Outcome::NotStarted { reason } if reason.contains("No such file")), "{missing:?}");
        assert!(matches!(said(&[place], "/bin", None), Outcome::NotStarted { .. }), "a directory is no program");
    }

    #[test]
    fn a_program_has_its_own_group_an_empty_input_and_no_signals_held_back() {
        let outcome =
            said(&["sh", "-c", "echo $(cut -d' ' -f5 /proc/$$/stat) $$ $(readlink /proc/$$/fd/0)"], "/usr/bin:/bin", None);
        let Outcome::Exited { code: 0, output } = outcome else { panic!("{outcome:?}") };
        let words: Vec<&str> = output.split_whitespace().collect();
        assert_eq!(words[0], words[1], "it leads its process group");
        assert_eq!(words[2], "/dev/null");
        let signals = said(&["grep", "-E", "SigBlk|SigIgn", "/proc/self/status"], "/usr/bin:/bin", None);
        let Outcome::Exited { code: 0, output } = signals else { panic!("{signals:?}") };
        let set = |name: &str| output.lines().find_map(|line| line.strip_prefix(name)).expect("there").trim().to_string();
        assert_eq!(set("SigBlk:"), "0".repeat(16));
        // Bit 12 is SIGPIPE.
        assert_eq!(u64::from_str_radix(&set("SigIgn:"), 16).expect("a set") & 1 << 12, 0);
    }
}
