//! The bench proves its own faults, with `dd`, `ping` and plain files instead of the cluster's daemon.
//!
//! Each test has a lab of its own and runs beside the others. Needs root; without it the tests say that they are skipped.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

use clp_testbed::{Cut, FileSystem, Lab, Net, Options, Phase, places};
use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const SOON: Duration = Duration::from_secs(10);

/// A lab, or nothing without root.
fn lab(options: Options) -> Option<Lab> {
    if places::need_root().is_err() {
        println!("skipped: needs root");
        return None;
    }
    let programs = std::path::Path::new(env!("CARGO_BIN_EXE_testbed")).parent().unwrap().to_path_buf();
    Some(Lab::up(Options { programs: Some(programs), restart_delay_ms: 0, ..options }).unwrap())
}

/// Runs a shell line in a server, which must succeed.
fn run(lab: &Lab, server: &str, line: &str) -> String {
    let output = lab.exec(server, &["sh", "-c", line]).unwrap();
    assert!(output.is_ok(), "{server}: {line}: {output:?}");
    output.stdout.trim().to_string()
}

fn succeeds(lab: &Lab, server: &str, line: &str) -> bool {
    lab.exec(server, &["sh", "-c", line]).unwrap().is_ok()
}

fn pings(lab: &Lab, server: &str, address: &str) -> bool {
    lab.exec(server, &["ping", "-c1", "-W1", address]).unwrap().is_ok()
}

/// Waits for an answer to ping: neighbours that were given up are asked again after a second.
fn reaches(lab: &Lab, server: &str, address: &str) {
    lab.wait_for(&format!("{server} reaches {address}"), SOON, || pings(lab, server, address)).unwrap();
}

fn client_reaches(lab: &Lab, address: &str) {
    lab.wait_for(&format!("the client reaches {address}"), SOON, || client_pings(lab, address)).unwrap();
}

fn client_pings(lab: &Lab, address: &str) -> bool {
    lab.client(&["ping", "-c1", "-W1", address]).unwrap().is_ok()
}

/// Mounts partition 2 of the shared disk on /mnt.
fn mount(lab: &Lab, server: &str) {
    run(lab, server, "mount /dev/sdb2 /mnt");
}

fn ended(child: &mut Child) -> bool {
    child.try_wait().unwrap().is_some()
}

#[test]
fn a_server_has_its_own_names_nets_and_places() {
    let Some(lab) = lab(Options { servers: 3, ..Options::default() }) else { return };
    assert_eq!(lab.servers(), ["server1", "server2", "server3"]);
    assert_eq!(run(&lab, "server2", "hostname"), "server2");
    for address in ["10.0.0.1", "192.168.0.3", "10.0.0.254", "192.168.0.254", "10.0.0.100", "server3"] {
        assert!(pings(&lab, "server2", address), "{address}");
    }
    client_reaches(&lab, "10.0.0.3");
    assert_eq!(run(&lab, "server1", "ip route show default"), "");
    let ids = [1, 2, 3].map(|n| run(&lab, &format!("server{n}"), "cat /proc/sys/kernel/random/boot_id"));
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0].len() == 36);
    // Private, read-only, or out of reach.
    for place in ["/opt", "/etc", "/run", "/var", "/mnt", "/tmp", "/root", "/dev/shm"] {
        run(&lab, "server1", &format!("echo one > {place}/mine"));
        assert!(!succeeds(&lab, "server2", &format!("test -e {place}/mine")), "{place}");
    }
    for place in ["/usr/mine", "/proc/sys/kernel/hostname", "/proc/sys/kernel/random/boot_id"] {
        assert!(!succeeds(&lab, "server1", &format!("echo x > {place}")), "{place}");
    }
    run(&lab, "server1", "echo 1 > /proc/sys/net/ipv4/ip_forward");
    assert_eq!(run(&lab, "server2", "cat /proc/sys/net/ipv4/ip_forward"), "0");
    assert!(!succeeds(&lab, "server1", "test -e /proc/sysrq-trigger && test ! -c /proc/sysrq-trigger"));
    assert!(!succeeds(&lab, "server1", "ls /dev/loop* /dev/sda* /dev/vd*"));
    // A control group of its own, to divide as it likes.
    run(
        &lab,
        "server1",
        "d=/sys/fs/cgroup/unified; [ -d $d ] || d=/sys/fs/cgroup; mkdir $d/part && echo $$ > $d/part/cgroup.procs",
    );
    assert_eq!(lab.exec("server1", &["sh", "-c", "exit 7"]).unwrap().status, 7);
    let error = lab.exec("server9", &["true"]).unwrap_err().to_string();
    assert!(error.contains("server1, server2, server3"), "{error}");
}

#[test]
fn unsynced_data_is_gone_after_a_power_off_and_synced_data_is_not() {
    for file_system in [FileSystem::Ext3, FileSystem::Ext4, FileSystem::Xfs] {
        let Some(lab) = lab(Options { file_system, ..Options::default() }) else { return };
        mount(&lab, "server1");
        run(&lab, "server1", "echo kept > /mnt/kept && sync -f /mnt/kept && echo lost > /mnt/lost && cat /mnt/lost");
        client_reaches(&lab, "10.0.0.1");
        let start = Instant::now();
        lab.power_off("server1").unwrap();
        println!("{file_system:?}: power off took {:?}", start.elapsed());
        assert!(!client_pings(&lab, "10.0.0.1"));
        assert!(lab.exec("server1", &["true"]).unwrap_err().to_string().contains("off"));
        assert_eq!(lab.server_status("server1").unwrap().phase, Phase::Off);
        mount(&lab, "server2");
        assert_eq!(run(&lab, "server2", "cat /mnt/kept"), "kept");
        assert!(!succeeds(&lab, "server2", "test -e /mnt/lost"), "{file_system:?}: the unsynced file is there");
        run(&lab, "server2", "umount /mnt");
        lab.power_on("server1").unwrap();
        mount(&lab, "server1");
        assert!(!succeeds(&lab, "server1", "test -e /mnt/lost"));
        client_reaches(&lab, "10.0.0.1");
    }
}

#[test]
fn what_a_server_keeps_outlives_power_off_and_the_rest_does_not() {
    let Some(lab) = lab(Options { servers: 1, ..Options::default() }) else { return };
    let before = run(&lab, "server1", "cat /proc/sys/kernel/random/boot_id");
    run(&lab, "server1", "for d in etc opt var root run tmp mnt; do touch /$d/mine; done");
    lab.power_off("server1").unwrap();
    lab.power_on("server1").unwrap();
    assert_eq!(run(&lab, "server1", "ls -d /etc/mine /opt/mine /var/mine /root/mine | wc -l"), "4");
    assert!(!succeeds(&lab, "server1", "ls /run/mine || ls /tmp/mine || ls /mnt/mine"));
    assert_ne!(run(&lab, "server1", "cat /proc/sys/kernel/random/boot_id"), before);
}

#[test]
fn reboot_boots_again_and_poweroff_stays_off() {
    let Some(lab) = lab(Options::default()) else { return };
    run(&lab, "server1", "printf '#!/bin/sh\\ndate >> /var/boots\\n' > /etc/rc.boot");
    let _ = lab.exec("server1", &["reboot"]).unwrap();
    lab.wait_for("server1 boots again", SOON, || {
        let status = lab.server_status("server1").unwrap();
        status.boots == 2 && status.phase == Phase::Up
    })
    .unwrap();
    lab.wait_for("rc.boot has run", SOON, || succeeds(&lab, "server1", "test -s /var/boots")).unwrap();
    assert_eq!(lab.server_status("server1").unwrap().last_end.as_deref(), Some("reboot"));
    let _ = lab.exec("server2", &["poweroff"]).unwrap();
    lab.wait_for("server2 is off", SOON, || lab.server_status("server2").unwrap().phase == Phase::Off).unwrap();
    assert_eq!(lab.server_status("server2").unwrap().last_end.as_deref(), Some("halt"));
    assert!(!client_pings(&lab, "10.0.0.2"));
    lab.power_on("server2").unwrap();
    client_reaches(&lab, "10.0.0.2");
}

#[test]
fn a_paused_server_stands_still_but_its_kernel_answers_ping() {
    let Some(lab) = lab(Options { servers: 1, ..Options::default() }) else { return };
    run(&lab, "server1", "setsid sh -c 'while :; do echo x >> /var/ticks; sleep 0.01; done' </dev/null >/dev/null 2>&1 &");
    let ticks = lab.directory().join("server1/var/ticks");
    let size = || std::fs::metadata(&ticks).map_or(0, |data| data.len());
    lab.wait_for("it ticks", SOON, || size() > 0).unwrap();
    lab.pause("server1").unwrap();
    let still = size();
    client_reaches(&lab, "10.0.0.1");
    assert_eq!(size(), still);
    assert!(lab.exec("server1", &["true"]).unwrap_err().to_string().contains("paused"));
    lab.resume("server1").unwrap();
    lab.wait_for("it ticks again", SOON, || size() > still).unwrap();
    lab.pause("server1").unwrap();
    lab.power_off("server1").unwrap();
}

#[test]
fn the_disk_is_shared_but_each_server_has_its_own_read_only_flag() {
    let Some(lab) = lab(Options::default()) else { return };
    run(&lab, "server1", "echo one | dd of=/dev/sdb1 bs=512 conv=sync oflag=direct");
    assert_eq!(run(&lab, "server2", "dd if=/dev/sdb1 bs=512 count=1 iflag=direct | tr -d '\\0'"), "one");
    run(&lab, "server1", "blockdev --setro /dev/sdb1");
    assert!(!succeeds(&lab, "server1", "dd if=/dev/zero of=/dev/sdb1 bs=512 count=1 oflag=direct"));
    run(&lab, "server2", "dd if=/dev/zero of=/dev/sdb1 bs=512 count=1 oflag=direct");
    // The flag is gone after a boot, as on a real server.
    lab.power_off("server1").unwrap();
    lab.power_on("server1").unwrap();
    run(&lab, "server1", "dd if=/dev/zero of=/dev/sdb1 bs=512 count=1 oflag=direct");
}

#[test]
fn a_failing_disk_fails_one_server_only_and_heals() {
    let Some(lab) = lab(Options::default()) else { return };
    let read = "dd if=/dev/sdb1 of=/dev/null bs=4096 count=1 iflag=direct";
    let write = "dd if=/dev/zero of=/dev/sdb1 bs=4096 count=1 oflag=direct";
    lab.disk_fail("server1").unwrap();
    assert!(!succeeds(&lab, "server1", read) && !succeeds(&lab, "server1", write));
    assert!(succeeds(&lab, "server2", read) && succeeds(&lab, "server2", write));
    lab.power_off("server1").unwrap();
    lab.power_on("server1").unwrap();
    assert!(!succeeds(&lab, "server1", read), "a broken path is not mended by a boot");
    lab.disk_heal("server1").unwrap();
    assert!(succeeds(&lab, "server1", read) && succeeds(&lab, "server1", write));
}

#[test]
fn a_hanging_disk_holds_a_reader_until_it_is_healed() {
    let Some(lab) = lab(Options::default()) else { return };
    lab.disk_hang("server1").unwrap();
    let read = ["dd", "if=/dev/sdb1", "of=/dev/null", "bs=4096", "count=1", "iflag=direct"];
    let start = |server: &str| lab.command(server, &read).unwrap().stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut held = start("server1");
    assert!(start("server2").wait().unwrap().success());
    let state = "ps -eo stat,args | grep '[d]d if=/dev/sdb1' | grep -q '^D'";
    lab.wait_for("the reader waits for the disk", SOON, || succeeds(&lab, "server1", state)).unwrap();
    assert!(!ended(&mut held));
    lab.disk_heal("server1").unwrap();
    assert!(held.wait().unwrap().success());
    // A server that hangs can still lose its power.
    lab.disk_hang("server1").unwrap();
    let mut held = start("server1");
    lab.wait_for("the reader waits for the disk", SOON, || succeeds(&lab, "server1", state)).unwrap();
    lab.power_off("server1").unwrap();
    lab.wait_for("the reader is dead", SOON, || ended(&mut held)).unwrap();
}

#[test]
fn a_whole_cut_takes_the_carrier_and_survives_a_boot() {
    let Some(lab) = lab(Options::default()) else { return };
    let carrier = |server: &str, interface: &str| run(&lab, server, &format!("cat /sys/class/net/{interface}/carrier"));
    lab.cut("server1", Net::Interconnect).unwrap();
    assert_eq!([carrier("server1", "eth0"), carrier("server1", "eth1")], ["1", "0"]);
    assert_eq!(carrier("server2", "eth1"), "1");
    assert!(!pings(&lab, "server2", "192.168.0.1") && pings(&lab, "server2", "10.0.0.1"));
    lab.power_off("server1").unwrap();
    lab.power_on("server1").unwrap();
    assert_eq!(carrier("server1", "eth1"), "0");
    lab.cut("server1", Net::Public).unwrap();
    lab.heal("server1", Net::All).unwrap();
    reaches(&lab, "server2", "192.168.0.1");
    client_reaches(&lab, "10.0.0.1");
}

#[test]
fn finer_cuts_keep_the_carrier_and_lose_only_what_they_name() {
    let Some(lab) = lab(Options { servers: 3, ..Options::default() }) else { return };
    let cut = Cut::whole("server1", Net::Interconnect);
    lab.cut_as(cut.clone().from("server2")).unwrap();
    assert!(!pings(&lab, "server1", "192.168.0.2") && !pings(&lab, "server2", "192.168.0.1"));
    assert!(pings(&lab, "server1", "192.168.0.3") && pings(&lab, "server2", "192.168.0.3"));
    assert!(pings(&lab, "server1", "192.168.0.254") && pings(&lab, "server1", "10.0.0.2"));
    assert_eq!(run(&lab, "server1", "cat /sys/class/net/eth1/carrier"), "1");
    lab.heal_as(cut.clone().from("server2")).unwrap();
    reaches(&lab, "server1", "192.168.0.2");

    lab.cut_as(cut.clone().keep_carrier()).unwrap();
    for address in ["192.168.0.2", "192.168.0.3", "192.168.0.254"] {
        assert!(!pings(&lab, "server1", address), "{address}");
    }
    assert_eq!(run(&lab, "server1", "cat /sys/class/net/eth1/carrier"), "1");
    lab.heal("server1", Net::Interconnect).unwrap();

    // One way: what server1 sends is received, what is sent to it is not.
    lab.cut_as(cut.from("server2").one_way()).unwrap();
    let received = |server: &str, interface: &str| -> u64 {
        run(&lab, server, &format!("cat /sys/class/net/{interface}/statistics/rx_packets")).parse().unwrap()
    };
    run(&lab, "server1", "ip neigh replace 192.168.0.2 dev eth1 lladdr ff:ff:ff:ff:ff:ff nud permanent");
    let before = received("server2", "eth1");
    assert!(!pings(&lab, "server1", "192.168.0.2"));
    assert!(received("server2", "eth1") > before);
    assert!(lab.cut_as(Cut::whole("server1", Net::Interconnect).from("client")).is_err());
    assert!(lab.cut("server4", Net::Public).is_err());
}

#[test]
fn the_watchdog_resets_a_server_that_is_frozen_as_a_whole() {
    let Some(lab) = lab(Options::default()) else { return };
    // Feeding by writing; the letter V before the close stops it.
    run(&lab, "server2", "exec 3>/dev/watchdog; echo -n x >&3; echo -n V >&3");
    assert!(
        succeeds(&lab, "server1", "exec 3>/dev/watchdog; (exec 4>/dev/watchdog) 2>/dev/null && exit 1; echo -n V >&3"),
        "opened twice"
    );
    let feeder = "import fcntl,os,struct,time
f=os.open('/dev/watchdog',os.O_WRONLY)
assert struct.unpack('i',fcntl.ioctl(f,0xC0045706,struct.pack('i',1)))[0]==1
assert struct.unpack('i',fcntl.ioctl(f,0x80045707,bytes(4)))[0]==1
assert b'watchdog' in fcntl.ioctl(f,0x80285700,bytes(40))
open('/var/fed','w').close()
while True:
    fcntl.ioctl(f,0x80045705,bytes(4)); time.sleep(0.1)";
    if !succeeds(&lab, "server1", "python3 --version") {
        println!("skipped: needs python3 for the ioctls");
        return;
    }
    let mut feeding = lab.command("server1", &["python3", "-c", feeder]).unwrap().stdin(Stdio::null()).spawn().unwrap();
    lab.wait_for("the watchdog is fed", SOON, || succeeds(&lab, "server1", "test -e /var/fed")).unwrap();
    let fed_since = Instant::now();
    lab.wait_for("longer than the time-out", SOON, || fed_since.elapsed() > Duration::from_millis(1500)).unwrap();
    assert_eq!(lab.server_status("server1").unwrap().boots, 1);
    lab.pause("server1").unwrap();
    let took = lab.wait_for("the reset", SOON, || lab.server_status("server1").unwrap().boots == 2).unwrap();
    assert!(took < Duration::from_secs(3), "{took:?}");
    lab.wait_for("it is up again", SOON, || lab.server_status("server1").unwrap().phase == Phase::Up).unwrap();
    assert_eq!(lab.server_status("server1").unwrap().last_end.as_deref(), Some("reset by the watchdog"));
    assert!(!feeding.wait().unwrap().success());
    assert_eq!(lab.server_status("server2").unwrap().boots, 1);
}

#[test]
fn the_serial_cable_joins_two_servers_and_can_be_cut() {
    let Some(lab) = lab(Options::default()) else { return };
    let mut reader = lab.command("server2", &["sh", "-c", "cat /dev/ttyS0 > /var/heard"]).unwrap().spawn().unwrap();
    let heard = lab.directory().join("server2/var/heard");
    let heard = || std::fs::read_to_string(&heard).unwrap_or_default();
    run(&lab, "server1", "echo hello > /dev/ttyS0");
    lab.wait_for("the greeting arrives", SOON, || heard() == "hello\n").unwrap();
    lab.cut("server1", Net::Com).unwrap();
    run(&lab, "server1", "echo lost > /dev/ttyS0");
    lab.heal("server2", Net::Com).unwrap();
    run(&lab, "server1", "echo again > /dev/ttyS0");
    lab.wait_for("the second greeting arrives", SOON, || heard().ends_with("again\n")).unwrap();
    assert_eq!(heard(), "hello\nagain\n");
    reader.kill().unwrap();
    reader.wait().unwrap();
}

#[test]
fn a_probe_sees_who_answers_and_the_gap() {
    let Some(lab) = lab(Options::default()) else { return };
    let responder = |server: &str| {
        let mut command = lab.command(server, &["testbed", "responder", "10.0.0.50:7"]).unwrap();
        command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    run(&lab, "server1", "ip addr add 10.0.0.50/24 dev eth0");
    let mut first = responder("server1");
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let report = std::thread::scope(|scope| {
        let (tell, told) = std::sync::mpsc::channel();
        let lab = &lab;
        let asking = scope.spawn(move || {
            lab.enter_client().unwrap();
            let target = "10.0.0.50:7".parse().unwrap();
            let done = || stopped.try_recv().is_ok();
            clp_testbed::probe::probe(target, clp_testbed::probe::Way::Udp, SOON, done, |reign| {
                let _ = tell.send(reign.who.clone());
            })
            .unwrap()
        });
        assert_eq!(told.recv_timeout(SOON).unwrap(), "server1");
        lab.power_off("server1").unwrap();
        run(lab, "server2", "ip addr add 10.0.0.50/24 dev eth0");
        // Stands for the announcement that a cluster sends.
        assert!(lab.client(&["ip", "neigh", "flush", "all"]).unwrap().is_ok());
        let mut second = responder("server2");
        assert_eq!(told.recv_timeout(SOON).unwrap(), "server2");
        stop.send(()).unwrap();
        let report = asking.join().unwrap();
        second.kill().unwrap();
        second.wait().unwrap();
        report
    });
    first.wait().unwrap();
    assert_eq!(report.reigns.len(), 2, "{report:?}");
    assert!(report.longest_gap_us > 1_000 && report.longest_gap_us < 10_000_000, "{report:?}");
}

#[test]
fn a_killed_bench_leaves_nothing_behind() {
    let Some(lab) = lab(Options::default()) else { return };
    mount(&lab, "server1");
    run(&lab, "server1", "echo x > /mnt/x; setsid sleep 1000 </dev/null >/dev/null 2>&1 &");
    let (name, directory) = (lab.name().to_string(), lab.directory().to_path_buf());
    let group = places::Places::of(&name).unwrap().group();
    let process = |file: &str| std::fs::read_to_string(directory.join(file)).unwrap().trim().to_string();
    let processes = [process("server1/pid"), process("server2/pid"), process("switch.pid"), process("client.pid")];
    let mark = places::Places::of(&name).unwrap().mark();
    assert_eq!(clp_testbed::disk::loops_over(&mark).len(), 2);
    lab.kill_supervisor().unwrap();
    for process in processes {
        let there = || std::path::Path::new(&format!("/proc/{process}/ns/net")).exists();
        lab.wait_for(&format!("process {process} is dead"), SOON, || !there()).unwrap();
    }
    lab.wait_for("the janitor has swept", SOON, || !directory.exists()).unwrap();
    assert!(!group.exists());
    assert!(clp_testbed::disk::loops_over(&mark).is_empty());
}

#[test]
fn labs_belong_to_a_checkout_and_stand_side_by_side() {
    let (Some(one), Some(two)) =
        (lab(Options { servers: 1, ..Options::default() }), lab(Options { servers: 1, ..Options::default() }))
    else {
        return;
    };
    run(&one, "server1", "echo one > /var/which");
    run(&two, "server1", "echo two > /var/which");
    assert_eq!(run(&one, "server1", "cat /var/which"), "one");
    let living = places::living().unwrap();
    for lab in [&one, &two] {
        let record = living.iter().find(|record| record.name == lab.name()).unwrap();
        assert_eq!(record.checkout, places::checkout());
    }
    // From another directory, `down --all` leaves these alone.
    let status = Command::new(env!("CARGO_BIN_EXE_testbed")).args(["down", "--all"]).current_dir("/").status().unwrap();
    assert!(status.success());
    assert_eq!(run(&two, "server1", "cat /var/which"), "two");
    let directory = one.directory().to_path_buf();
    one.down().unwrap();
    assert!(!directory.exists());
    assert_eq!(run(&two, "server1", "cat /var/which"), "two");
}

#[test]
fn without_root_the_command_says_so() {
    if places::need_root().is_err() {
        println!("skipped: needs root to become another user");
        return;
    }
    // A copy where every user may run it.
    let copy = std::env::temp_dir().join(format!("testbed-{}", std::process::id()));
    std::fs::copy(env!("CARGO_BIN_EXE_testbed"), &copy).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&copy).arg("list");
    let output = command.output().unwrap();
    std::fs::remove_file(&copy).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("needs root"), "{output:?}");
}
