//! A small kernel of its own for a test (user-mode Linux): what this machine's kernel may lack, and where nothing of the machine
//! can be harmed. It sees the machine's files read-only and runs the same test program once more; no root is needed.
//!
//! Fence: no program contains it; test programs alone name it, as a dev-dependency. Knows nothing of the product.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::{
    fs,
    io::{PipeReader, Read},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;

const KERNEL: &str = "/usr/bin/linux.uml";
const MODULES: &str = "/usr/lib/uml/modules";
const INSMOD: &str = "/usr/sbin/insmod";
/// Set inside.
const INSIDE: &str = "MAINSTAY_SMALL_KERNEL";
/// Loaded into the kernel before libc; says why itself.
const REGISTERS: &str = include_str!("registers.c");
/// The last line of a test that passed inside.
const ALL_WELL: &str = "small kernel: all well";
/// Seconds after which a kernel is ended whatever it does, and whatever became of the test that started it.
const LIFE_MAX: &str = "180";

/// What a small kernel is to be and to do before the test's body runs in it.
#[derive(Debug)]
pub struct SmallKernel {
    test: String,
    modules: Vec<String>,
    lines: String,
    environment: String,
    options: Vec<String>,
}

impl SmallKernel {
    /// A kernel in which the test of this name (as the runner knows it, with its module) runs once more.
    pub fn of(test: &str) -> SmallKernel {
        SmallKernel {
            test: test.to_string(),
            modules: Vec::new(),
            lines: String::new(),
            environment: String::new(),
            options: Vec::new(),
        }
    }

    /// Modules, in the order in which they need each other; one may have parameters behind its name.
    pub fn modules(mut self, needed: &[&str]) -> SmallKernel {
        self.modules.extend(needed.iter().map(ToString::to_string));
        self
    }

    /// A line of shell that root runs inside, before the test.
    pub fn first(mut self, line: &str) -> SmallKernel {
        self.lines.push_str(&format!("{line}\n"));
        self
    }

    /// A variable in the environment of the test inside; the value is one plain word.
    pub fn with(mut self, name: &str, value: &str) -> SmallKernel {
        self.environment.push_str(&format!("{name}={value} "));
        self
    }

    /// Its serial line `/dev/ttyS0` ends at this terminal of the machine.
    pub fn serial_line(mut self, terminal: &Path) -> SmallKernel {
        self.options.push(format!("ssl0=tty:{}", terminal.display()));
        self
    }

    /// Runs `body` in the kernel: starts it, waits for its end and fails as the body did; inside, it only runs `body`. Where there
    /// is no such kernel it says that the test is skipped, and why; the answer is false then.
    pub fn run(self, body: impl FnOnce()) -> bool {
        if is_inside() {
            body();
            return true;
        }
        let Some(mut running) = self.start() else { return false };
        let mut said = Vec::new();
        running.output().unwrap().read_to_end(&mut said).unwrap();
        let said = String::from_utf8_lossy(&said);
        assert!(said.contains(ALL_WELL), "{said}");
        true
    }

    /// Starts it and goes on; None, and words about it, where there is no such kernel.
    pub fn start(self) -> Option<Running> {
        let Some(modules) = self.module_files() else {
            println!("skipped: needs the packages user-mode-linux and kmod");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let init = folder.path().join("init");
        fs::write(&init, self.script(&modules)).unwrap();
        fs::set_permissions(&init, fs::Permissions::from_mode(0o755)).unwrap();
        let (output, said) = std::io::pipe().unwrap();
        // The end of its first process ends the kernel.
        let child = Command::new("timeout")
            .args(["-k", "5", LIFE_MAX, KERNEL, "mem=128M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "quiet"])
            .args(["con=null", "con0=null,fd:1"])
            .args(&self.options)
            .arg(format!("init={}", init.display()))
            .arg(format!("uml_dir={}", folder.path().display()))
            .env("TMPDIR", folder.path())
            .env("LD_PRELOAD", registers(folder.path()))
            // A group of its own, so that a kernel that has not made one yet can be killed with it.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap();
        Some(Running { limit: child, output: Some(output), _folder: folder })
    }

    fn script(&self, modules: &[PathBuf]) -> String {
        let mut script = String::from("#!/bin/sh\nexport PATH=/usr/sbin:/usr/bin:/sbin:/bin\n");
        script.push_str("mount -t proc proc /proc\nmount -t sysfs sys /sys\nmount -t devtmpfs dev /dev\n");
        for (file, words) in modules.iter().zip(&self.modules) {
            let parameters = words.split_once(' ').map_or("", |(_, parameters)| parameters);
            script.push_str(&format!("insmod {} {parameters}\n", file.display()));
        }
        script.push_str(&self.lines);
        let own = std::env::current_exe().unwrap();
        let (test, environment) = (&self.test, &self.environment);
        script + &format!("{environment}{INSIDE}=1 {} --exact {test} --nocapture && echo '{ALL_WELL}'\n", own.display())
    }

    /// The files of the modules; none when one of them or the kernel itself is missing.
    fn module_files(&self) -> Option<Vec<PathBuf>> {
        if !Path::new(KERNEL).exists() || (!self.modules.is_empty() && !Path::new(INSMOD).exists()) {
            return None;
        }
        let (mut all, mut open) = (Vec::new(), vec![PathBuf::from(MODULES)]);
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() { open.push(path) } else { all.push(path) }
            }
        }
        let file = |words: &String| {
            let name = words.split(' ').next().unwrap_or_default();
            all.iter().find(|path| path.ends_with(format!("{name}.ko"))).cloned()
        };
        self.modules.iter().map(file).collect()
    }
}

/// [`REGISTERS`], built by the compiler driver that links every Rust program.
fn registers(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("registers.c"), folder.join("registers.so"));
    fs::write(&source, REGISTERS).unwrap();
    let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    library
}

/// Does this program run in a small kernel?
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// A kernel that runs; it ends with this value.
#[derive(Debug)]
pub struct Running {
    /// `timeout`, the kernel's parent.
    limit: Child,
    output: Option<PipeReader>,
    _folder: TempDir,
}

impl Running {
    /// What the kernel and the test in it say, once.
    pub fn output(&mut self) -> Option<PipeReader> {
        self.output.take()
    }

    /// Ends it at once, as a power failure ends a server.
    pub fn kill(&mut self) {
        if !matches!(self.limit.try_wait(), Ok(None)) {
            return;
        }
        // The kernel begins a session of its own; its user processes are in its group. It is not waited for by anybody as long as its
        // parent stands still, so that its number is its own.
        let limit = Pid::from_child(&self.limit);
        let _ = kill_process(limit, Signal::STOP);
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.limit.id())).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|number| Pid::from_raw(number.parse().ok()?)) {
            let _ = kill_process_group(child, Signal::KILL);
        }
        let _ = kill_process_group(limit, Signal::KILL);
        let _ = self.limit.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}
