//! A disk that takes SCSI commands, in a small kernel of its own (user-mode Linux with scsi_debug): what this machine's kernel
//! may lack, and where nothing of the machine can be harmed. The small kernel sees the machine's files read-only.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use clp_drivers::monitors::{
    MonitorDriver,
    diskw::{Diskw, Method},
};

const KERNEL: &str = "/usr/bin/linux.uml";
const MODULES: &str = "/usr/lib/uml/modules";
/// In the order in which they need each other.
const NEEDED: [&str; 8] =
    ["crc64", "crc64_rocksoft_generic", "crc64-rocksoft", "t10-pi", "scsi_common", "scsi_mod", "sd_mod", "scsi_debug"];
/// Set inside.
const INSIDE: &str = "MAINSTAY_SMALL_KERNEL";
const ALL_WELL: &str = "small kernel: all well";

/// Files of the modules; none when one is missing.
fn modules() -> Option<Vec<PathBuf>> {
    let mut all = Vec::new();
    let mut open = vec![PathBuf::from(MODULES)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).ok()?.flatten() {
            let path = entry.path();
            if path.is_dir() { open.push(path) } else { all.push(path) }
        }
    }
    NEEDED.iter().map(|name| all.iter().find(|path| path.ends_with(format!("{name}.ko"))).cloned()).collect()
}

// S-MON-DISKW
#[test]
fn a_disk_is_asked_whether_it_is_ready() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let has_kernel = Path::new(KERNEL).exists() && Path::new("/usr/sbin/insmod").exists();
    let Some(modules) = modules().filter(|_| has_kernel) else {
        println!("skipped: needs the packages user-mode-linux and kmod");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let init = folder.path().join("init");
    let mut script = String::from("#!/bin/sh\nexport PATH=/usr/sbin:/usr/bin:/sbin:/bin\n");
    script.push_str("mount -t proc proc /proc\nmount -t sysfs sys /sys\nmount -t devtmpfs dev /dev\n");
    for module in &modules {
        let size = if module.ends_with("scsi_debug.ko") { " dev_size_mb=8" } else { "" };
        script.push_str(&format!("insmod {}{size}\n", module.display()));
    }
    let own = std::env::current_exe().unwrap();
    let test = "a_disk_is_asked_whether_it_is_ready";
    script.push_str(&format!("{INSIDE}=1 {} --exact {test} --nocapture && echo '{ALL_WELL}'\n", own.display()));
    fs::write(&init, script).unwrap();
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755)).unwrap();
    // The end of its first process ends the kernel.
    let output = Command::new("timeout")
        .args(["-k", "5", "90", KERNEL, "mem=128M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "quiet"])
        .args(["con=null", "con0=null,fd:1"])
        .arg(format!("init={}", init.display()))
        .arg(format!("uml_dir={}", folder.path().display()))
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains(ALL_WELL), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}

fn inside() {
    let limit = Duration::from_secs(5);
    let disk = Path::new("/dev/sda");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !disk.exists() {
        assert!(Instant::now() < deadline, "there is no {}", disk.display());
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut monitor = Diskw::new(Method::Tur, Some(disk.into()), None, 512).unwrap();
    monitor.check(limit).unwrap_or_else(|failed| panic!("not ready: {failed}"));
    // The disk tells once, instead of an answer, that something about it changed.
    fs::write("/sys/bus/pseudo/drivers/scsi_debug/virtual_gb", "1\n").unwrap();
    monitor.check(limit).unwrap_or_else(|failed| panic!("not ready after a change: {failed}"));
    let state = Path::new("/sys/block/sda/device/state");
    fs::write(state, "offline\n").unwrap();
    let failed = monitor.check(limit).unwrap_err();
    assert!(failed.what.contains("/dev/sda is not ready"), "{failed}");
    println!("offline: {failed}");
    fs::write(state, "running\n").unwrap();
    monitor.check(limit).unwrap_or_else(|failed| panic!("not ready again: {failed}"));
    // From now on no command is answered.
    fs::write("/sys/bus/pseudo/drivers/scsi_debug/every_nth", "-1\n").unwrap();
    fs::write("/sys/bus/pseudo/drivers/scsi_debug/opts", "4\n").unwrap();
    let begin = Instant::now();
    let failed = monitor.check(Duration::from_secs(1)).unwrap_err();
    println!("dropped: {failed}");
    assert!(begin.elapsed() < Duration::from_secs(20), "{failed}");
}
