//! How labs come and go: nothing is left behind, whoever is killed when.

use crate::*;

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
