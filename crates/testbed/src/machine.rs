//! A server from the inside: how its process 1 comes to life, makes the server's view of the machine, and reaps.
//!
//! Runs in processes of its own (`testbed boot-server`, then `testbed init`), started by the supervisor. Does nothing
//! with the cluster: what runs in the server is said by `/etc/rc.boot`.

use anyhow::{Context, Result, bail};
use rustix::{
    process::{Signal, WaitOptions, set_parent_process_death_signal, wait},
    system::{RebootCommand, reboot, sethostname},
};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{BufRead, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use crate::tree;

/// Where `PATH` looks in a server.
pub const PATH: &str = "/opt/mainstay/bin:/run/lab/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How often process 1 looks for orphans while it has no child.
const IDLE: Duration = Duration::from_millis(50);

/// What the supervisor tells a server that boots.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BootPlan {
    /// Its name.
    pub server: String,
    /// Its control group.
    pub group: PathBuf,
    /// Directory of what outlives its boots: `etc` (its changes), `opt`, `var`, `root`; and `tree`, where its file tree is put together.
    pub directory: PathBuf,
    /// Device numbers of the shared disk and its partitions.
    pub disk: Vec<(u32, u32)>,
    /// The watchdog stand-in.
    pub watchdog: Option<PathBuf>,
    /// Its end of the serial cable.
    pub cable: Option<String>,
    /// A file with this boot's identity.
    pub boot_id: PathBuf,
    /// Directory of the programs under test.
    pub programs: PathBuf,
    /// The bench's own program.
    pub testbed: PathBuf,
}

impl BootPlan {
    fn read(file: &Path) -> Result<BootPlan> {
        let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(serde_json::from_slice(&text)?)
    }
}

/// Enters the server's control group and new namespaces, and goes on as [`init`] in them. Dies with the supervisor.
///
/// # Errors
/// A namespace or the group cannot be entered; on success it does not return.
pub fn boot_server(plan_file: &Path) -> Result<()> {
    let plan = BootPlan::read(plan_file)?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    fs::write(plan.group.join("cgroup.procs"), std::process::id().to_string())
        .with_context(|| format!("cannot enter the control group {}", plan.group.display()))?;
    let error = Command::new("unshare")
        .args(["--net", "--mount", "--pid", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child=KILL", "--"])
        .arg(&plan.testbed)
        .arg("init")
        .arg(plan_file)
        .exec();
    Err(error).context("cannot run unshare (package util-linux)")
}

/// Process 1 of a server: says `pid N`, waits for `go` (its network is plugged in meanwhile), says `up`, runs `/etc/rc.boot`.
///
/// # Errors
/// Something of the server cannot be made; otherwise it does not return.
pub fn init(plan_file: &Path) -> Result<()> {
    let plan = BootPlan::read(plan_file)?;
    // The /proc that is mounted here is still the machine's, so this is our number there.
    let pid = fs::read_link("/proc/self").context("cannot read /proc/self")?;
    let mut out = std::io::stdout();
    writeln!(out, "pid {}", pid.display())?;
    out.flush()?;
    sethostname(plan.server.as_bytes())?;
    tree::enter(&plan)?;
    let mut go = String::new();
    std::io::stdin().lock().read_line(&mut go)?;
    if go.trim() != "go" {
        bail!("the supervisor has gone");
    }
    writeln!(out, "up")?;
    out.flush()?;
    let console = fs::OpenOptions::new().append(true).create(true).open("/dev/console")?;
    Command::new("/etc/rc.boot")
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", "/root")
        .env("LANG", "C.UTF-8")
        .env("TERM", "linux")
        .stdin(Stdio::null())
        .stdout(console.try_clone()?)
        .stderr(console)
        .spawn()
        .context("cannot run /etc/rc.boot")?;
    loop {
        if wait(WaitOptions::empty()).is_err() {
            std::thread::sleep(IDLE);
        }
    }
}

/// What the links `reboot`, `poweroff` and `halt` in a server's `/run/lab/bin` do: reboot(2) at once, nothing is stopped or flushed.
///
/// # Errors
/// Called outside a server, where it would take the machine down.
pub fn reboot_here(program: &str) -> Result<()> {
    if !Path::new("/run/lab/bin/testbed").exists() || !is_in_server() {
        bail!("{program} is for servers of the bench; this is none");
    }
    let command = if program == "reboot" { RebootCommand::Restart } else { RebootCommand::PowerOff };
    reboot(command).with_context(|| format!("the kernel refuses to {program}"))
}

/// Number of the first pid namespace, include/linux/proc_ns.h.
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

fn is_in_server() -> bool {
    fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link.to_string_lossy() != FIRST_PID_NAMESPACE)
}
