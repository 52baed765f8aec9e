//! A server's file tree: the machine's, read-only, under private `/etc`, `/opt`, `/var`, `/root`, `/run`, `/tmp`, `/mnt` and `/dev`.
//!
//! Built in the server's own mount namespace before process 1 moves into it; nothing of it is seen outside.

use anyhow::{Context, Result};
use rustix::{
    fs::{CWD, FileType, Mode, makedev, mknodat},
    mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, mount_remount, unmount},
    process::{chdir, pivot_root, umask},
};
use std::{
    ffi::{CStr, CString},
    fs::{self, File},
    os::unix::fs::symlink,
    path::Path,
};

use crate::{machine::BootPlan, places::group_tree};

/// Directories that outlive a boot.
pub const KEPT: [&str; 3] = ["opt", "var", "root"];
/// Where a server's own files of `/etc` lie, above the machine's; and the overlay's work directory.
pub const ETC: [&str; 2] = ["etc", "etc-work"];
/// Mounts of the machine below these are seen by servers.
const SEEN: [&str; 7] = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/srv", "/home"];
/// Programs under test that servers get, read-only; the last two are applications for groups (a counter, a responder).
pub const PROGRAMS: [&str; 5] = ["clusterpro", "clp", "clpwitness", "counter", "testbed"];
/// Names by which the bench's program brings a server down from inside.
const POWER_LINKS: [&str; 3] = ["reboot", "poweroff", "halt"];

/// Character devices that a server has.
const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// Builds the tree and makes it this process's root.
///
/// # Errors
/// A mount is refused; the text says which.
pub fn enter(plan: &BootPlan) -> Result<()> {
    umask(Mode::empty());
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).context("cannot make mounts private")?;
    let tree = plan.directory.join("tree");
    bind("/".as_ref(), &tree)?;
    seal(&tree)?;
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    for point in mounts.lines().filter_map(|line| line.split(' ').nth(4)) {
        if SEEN.iter().any(|seen| Path::new(point).starts_with(seen)) {
            let inside = tree.join(point.trim_start_matches('/'));
            bind(point.as_ref(), &inside)?;
            seal(&inside)?;
        }
    }
    for kept in KEPT {
        bind(&plan.directory.join(kept), &tree.join(kept))?;
    }
    etc(plan, &tree)?;
    for (place, options) in [("run", c"mode=755"), ("tmp", c"mode=1777"), ("mnt", c"mode=755"), ("dev", c"mode=755")] {
        file_system("tmpfs", &tree.join(place), options)?;
    }
    devices(plan, &tree)?;
    proc(plan, &tree)?;
    sys(&tree)?;
    programs(plan, &tree)?;
    chdir(&tree)?;
    pivot_root(".", ".").context("cannot move into the server's tree")?;
    unmount(".", UnmountFlags::DETACH).context("cannot let go of the machine's tree")?;
    chdir("/")?;
    umask(Mode::from_raw_mode(0o022));
    Ok(())
}

fn bind(from: &Path, to: &Path) -> Result<()> {
    mount_bind(from, to).with_context(|| format!("cannot bind {} to {}", from.display(), to.display()))
}

/// Makes the mount at `point` read-only.
fn seal(point: &Path) -> Result<()> {
    mount_remount(point, MountFlags::BIND | MountFlags::RDONLY, c"")
        .with_context(|| format!("cannot make {} read-only", point.display()))
}

fn file_system(kind: &str, point: &Path, options: &CStr) -> Result<()> {
    mount(kind, point, kind, MountFlags::empty(), options).with_context(|| format!("cannot mount {kind} on {}", point.display()))
}

/// The machine's `/etc` under the server's own changes; a copy of it would take longer than all the rest of a boot.
fn etc(plan: &BootPlan, tree: &Path) -> Result<()> {
    let [upper, work] = ETC.map(|place| plan.directory.join(place));
    let options = format!("lowerdir=/etc,upperdir={},workdir={}", upper.display(), work.display());
    mount("overlay", tree.join("etc"), "overlay", MountFlags::empty(), CString::new(options)?.as_c_str())
        .context("cannot put an overlay on /etc; the kernel needs CONFIG_OVERLAY_FS (modprobe overlay)")
}

fn devices(plan: &BootPlan, tree: &Path) -> Result<()> {
    let dev = tree.join("dev");
    for (name, major, minor) in DEVICES {
        mknodat(CWD, dev.join(name), FileType::CharacterDevice, Mode::from_raw_mode(0o666), makedev(major, minor))?;
    }
    for (number, (major, minor)) in plan.disk.iter().copied().enumerate() {
        let name = if number == 0 { "sdb".to_string() } else { format!("sdb{number}") };
        mknodat(CWD, dev.join(name), FileType::BlockDevice, Mode::from_raw_mode(0o660), makedev(major, minor))?;
    }
    for (name, target) in [
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        symlink(target, dev.join(name))?;
    }
    for place in ["pts", "shm"] {
        fs::create_dir(dev.join(place))?;
    }
    file_system("devpts", &dev.join("pts"), c"newinstance,ptmxmode=0666,mode=620")?;
    file_system("tmpfs", &dev.join("shm"), c"mode=1777")?;
    File::create(dev.join("console"))?;
    bind(&plan.directory.join("console.log"), &dev.join("console"))?;
    for (name, source) in [("watchdog", plan.watchdog.as_deref()), ("ttyS0", plan.cable.as_deref().map(Path::new))] {
        if let Some(source) = source {
            File::create(dev.join(name))?;
            bind(source, &dev.join(name))?;
        }
    }
    Ok(())
}

fn proc(plan: &BootPlan, tree: &Path) -> Result<()> {
    let proc = tree.join("proc");
    file_system("proc", &proc, c"")?;
    let sys = proc.join("sys");
    let net = sys.join("net");
    // Two interfaces on two switches: each answers ARP for its own addresses only.
    fs::write(net.join("ipv4/conf/all/arp_ignore"), "1")?;
    fs::write(net.join("ipv4/conf/all/arp_announce"), "2")?;
    bind(&sys, &sys)?;
    bind(&net, &net)?;
    seal(&sys)?;
    let boot_id = sys.join("kernel/random/boot_id");
    bind(&plan.boot_id, &boot_id)?;
    seal(&boot_id)?;
    let trigger = proc.join("sysrq-trigger");
    if trigger.exists() {
        bind(&tree.join("dev/null"), &trigger)?;
    }
    Ok(())
}

fn sys(tree: &Path) -> Result<()> {
    let sys = tree.join("sys");
    mount("sysfs", &sys, "sysfs", MountFlags::RDONLY, c"").context("cannot mount sysfs")?;
    // In the server's control group namespace this mount begins at the server's own group, and is its own to write.
    let groups = sys.join("fs/cgroup");
    if group_tree().ends_with("unified") {
        file_system("tmpfs", &groups, c"mode=755")?;
        fs::create_dir(groups.join("unified"))?;
        file_system("cgroup2", &groups.join("unified"), c"")
    } else {
        file_system("cgroup2", &groups, c"")
    }
}

fn programs(plan: &BootPlan, tree: &Path) -> Result<()> {
    let bin = tree.join("opt/mainstay/bin");
    for program in PROGRAMS {
        let (source, target) = (plan.programs.join(program), bin.join(program));
        if source.exists() && target.exists() {
            bind(&source, &target)?;
            seal(&target)?;
        }
    }
    let own = tree.join("run/lab/bin");
    fs::create_dir_all(&own)?;
    fs::create_dir_all(tree.join("run/lock"))?;
    File::create(own.join("testbed"))?;
    bind(&plan.testbed, &own.join("testbed"))?;
    seal(&own.join("testbed"))?;
    for name in POWER_LINKS {
        symlink("testbed", own.join(name))?;
    }
    Ok(())
}
