//! A wall clock that is years off, in a small kernel of its own (user-mode Linux): this machine's clock is everybody's and is never
//! set. Certificates are checked all the same, against no clock.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
};

use clp_services::{
    client,
    request::{Reply, Request},
    transfer,
};

use crate::ground::{Ground, until};

const KERNEL: &str = "/usr/bin/linux.uml";
/// Set inside.
const INSIDE: &str = "MAINSTAY_SMALL_KERNEL";
const ALL_WELL: &str = "small kernel: all well";

#[test]
fn servers_talk_to_each_other_whatever_the_clock_says() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    if !Path::new(KERNEL).exists() {
        println!("skipped: needs the package user-mode-linux");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let init = folder.path().join("init");
    let own = std::env::current_exe().unwrap();
    let test = "clock::servers_talk_to_each_other_whatever_the_clock_says";
    let script = format!(
        "#!/bin/sh\nexport PATH=/usr/sbin:/usr/bin:/sbin:/bin\nmount -t proc proc /proc\nmount -t tmpfs tmpfs /mnt\n\
         ip link set lo up\nTMPDIR=/mnt {INSIDE}=1 {} --exact {test} --nocapture && echo '{ALL_WELL}'\n",
        own.display()
    );
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
    let set = |date: &str| {
        let done = Command::new("date").args(["--utc", "--set", date]).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    let began = clp_sys::clock::now();
    for date in ["2026-11-30", "2027-11-30", "2025-11-30", "1970-01-02", "2099-01-01"] {
        set(date);
        // A service of its own each time: one that has talked before would resume without looking at certificates again.
        let ground = Ground::new();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, ground.port)).unwrap();
        let root = ground.root.clone();
        std::thread::spawn(move || transfer::serve_on(&root, listener).unwrap());
        until("the service listens", || ground.root.run().join("trn.sock").exists());
        // The service asks itself as it would ask another server: both ends check certificates.
        let inner = Box::new(Request::Version);
        let question = Request::Forward { server: "server1".into(), addresses: vec!["127.0.0.1".into()], inner };
        let answer = client::transfer(&ground.root, &question);
        assert!(matches!(answer, Ok(Reply::Version { .. })), "on {date}: {answer:?} {}", ground.log());
    }
    assert!((clp_sys::clock::now() - began).as_secs() < 60, "what is measured knows nothing of it");
}
