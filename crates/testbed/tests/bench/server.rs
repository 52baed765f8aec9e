//! What a server is: its names, places, boots, pauses and its watchdog.

use crate::*;

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
    assert!(!succeeds(&lab, "server1", "touch /run/lab/bin/testbed || touch /opt/mainstay/bin/testbed"), "the bench's program");
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
    for wrong in ["server9", "server0", "server01", "Server1"] {
        let entering = lab.exec(wrong, &["true"]).unwrap_err().to_string();
        let cutting = lab.power_off(wrong).unwrap_err().to_string();
        for error in [entering, cutting] {
            assert!(error.contains(&format!("there is no {wrong} in this lab")) && error.contains("server3"), "{error}");
        }
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
fn a_server_that_cannot_stand_still_is_not_half_paused() {
    let Some(lab) = lab(Options { servers: 1, ..Options::default() }) else { return };
    lab.disk_hang("server1").unwrap();
    let read = ["dd", "if=/dev/sdb1", "of=/dev/null", "bs=4096", "count=1", "iflag=direct"];
    let mut held = lab.command("server1", &read).unwrap();
    held.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut held = held.spawn().unwrap();
    let waits = "ps -eo stat,args | grep '[d]d if=/dev/sdb1' | grep -q '^D'";
    lab.wait_for("the reader waits for the disk", SOON, || succeeds(&lab, "server1", waits)).unwrap();
    let error = format!("{:#}", lab.pause("server1").unwrap_err());
    assert!(error.contains("server1 is not paused") && error.contains("heal"), "{error}");
    let mut after = lab.command("server1", &["true"]).unwrap().spawn().unwrap();
    lab.wait_for("programs run in it", SOON, || ended(&mut after)).unwrap();
    lab.disk_heal("server1").unwrap();
    assert!(held.wait().unwrap().success());
    lab.pause("server1").unwrap();
}
