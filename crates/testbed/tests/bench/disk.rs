//! The shared disk and its faults, proven with `dd` and plain files.

use crate::*;

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
fn a_slow_disk_ends_every_request_late_and_a_bounded_fault_heals_by_itself() {
    let Some(lab) = lab(Options::default()) else { return };
    let read = "dd if=/dev/sdb1 of=/dev/null bs=4096 count=1 iflag=direct";
    let write = "echo late | dd of=/dev/sdb1 bs=512 conv=sync oflag=direct";
    let delay = Duration::from_millis(700);
    lab.disk_as("server1", DiskState::Slow { delay_ms: 700 }, None).unwrap();
    for command in [read, write] {
        let start = Instant::now();
        run(&lab, "server1", command);
        assert!(start.elapsed() >= delay, "{command}: {:?}", start.elapsed());
    }
    assert_eq!(run(&lab, "server2", "dd if=/dev/sdb1 bs=512 count=1 iflag=direct | tr -d '\\0'"), "late");
    // What is on its way ends when the path is healed: it is not waited for.
    lab.disk_as("server1", DiskState::Slow { delay_ms: 3_600_000 }, None).unwrap();
    let dd = ["dd", "if=/dev/sdb1", "of=/dev/null", "bs=4096", "count=1", "iflag=direct"];
    let mut late = lab.command("server1", &dd).unwrap().stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let state = "ps -eo stat,args | grep '[d]d if=/dev/sdb1' | grep -q '^D'";
    lab.wait_for("the reader waits for the disk", SOON, || succeeds(&lab, "server1", state)).unwrap();
    lab.disk_heal("server1").unwrap();
    assert!(late.wait().unwrap().success());
    let (start, limit) = (Instant::now(), Duration::from_secs(1));
    lab.disk_as("server1", DiskState::Hanging, Some(limit)).unwrap();
    run(&lab, "server1", read);
    assert!(start.elapsed() >= limit, "{:?}", start.elapsed());
    assert_eq!(lab.server_status("server1").unwrap().disk, DiskState::Healthy);
    // A server whose disk is slow can still lose its power.
    lab.disk_as("server1", DiskState::Slow { delay_ms: 3_600_000 }, None).unwrap();
    lab.power_off("server1").unwrap();
}

#[test]
fn what_the_counter_acknowledged_outlives_a_power_off() {
    let Some(lab) = lab(Options::default()) else { return };
    let serve = |server: &str, address: &str| {
        mount(&lab, server);
        run(
            &lab,
            server,
            &format!("setsid counter serve --listen {address}:80 --data /mnt/c.db </dev/null >/run/counter 2>&1 &"),
        );
        lab.wait_for("the counter listens", SOON, || succeeds(&lab, server, "grep -q listening /run/counter")).unwrap();
    };
    let ask = |address: &str, target: &str| {
        let line = format!("exec 3<>/dev/tcp/{address}/80; printf 'GET {target} HTTP/1.1\\r\\n\\r\\n' >&3; cat <&3");
        lab.client(&["bash", "-c", &line]).unwrap().stdout
    };
    serve("server1", "10.0.0.1");
    for n in 1..=3 {
        let answer = ask("10.0.0.1", &format!("/write?client=c&n={n}"));
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(&format!("\r\n\r\n{n}\n")), "{answer:?}");
    }
    lab.power_off("server1").unwrap();
    serve("server2", "10.0.0.2");
    let kept = ask("10.0.0.2", "/list?client=c");
    assert!(kept.ends_with("\r\n\r\n1\n2\n3\n"), "{kept:?}");
}
