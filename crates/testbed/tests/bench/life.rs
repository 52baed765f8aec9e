//! How labs come and go: nothing is left behind, whoever is killed when.

use crate::*;
use clp_testbed::tools::wait_until;
use rustix::process::{Pid, Signal};
use std::os::unix::process::CommandExt;

/// Files that appear one after the other while a lab is made; after the last one it boots.
const MOMENTS: [&str; 6] = ["record.json", "server1/etc/hosts", "shared.img", "switch.pid", "control", "server1/pid"];

/// The moment from which on the servers boot, which takes about 100 ms.
const BOOTING: usize = 4;

/// `testbed up`, as a shell starts it: with a process group of its own.
fn begin_up(name: &str) -> Child {
    let mut command = testbed(&["up", "--servers", "2", "--name", name]);
    command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Waits until a file of a lab that is being made is there.
fn comes(name: &str, file: &str) {
    let file = places::Places::of(name).unwrap().directory.join(file);
    wait_until(&format!("{} is there", file.display()), SOON, || file.exists()).unwrap();
}

fn signal(process: u32, signal: Signal) {
    rustix::process::kill_process(Pid::from_raw(process as i32).unwrap(), signal).unwrap();
}

fn supervisor_of(name: &str) -> u32 {
    places::Places::of(name).unwrap().record().unwrap().supervisor.pid
}

#[test]
fn a_killed_bench_leaves_nothing_behind() {
    let Some(lab) = lab(Options::default()) else { return };
    mount(&lab, "server1");
    run(&lab, "server1", "echo x > /mnt/x; setsid sleep 1000 </dev/null >/dev/null 2>&1 &");
    let mut on_the_client =
        lab.client_command(&["sleep", "1000"]).unwrap().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (name, directory) = (lab.name().to_string(), lab.directory().to_path_buf());
    let process = |file: &str| std::fs::read_to_string(directory.join(file)).unwrap().trim().to_string();
    let processes = [process("server1/pid"), process("server2/pid"), process("switch.pid"), process("client.pid")];
    assert_eq!(left_of(&name).iter().filter(|left| left.starts_with("/dev/loop")).count(), 2);
    lab.kill_supervisor().unwrap();
    for process in processes {
        let there = || std::path::Path::new(&format!("/proc/{process}/ns/net")).exists();
        lab.wait_for(&format!("process {process} is dead"), SOON, || !there()).unwrap();
    }
    lab.wait_for("what ran on the client is dead", SOON, || ended(&mut on_the_client)).unwrap();
    nothing_is_left_of(&name);
}

#[test]
fn an_up_that_is_interrupted_or_killed_leaves_nothing_behind() {
    if !is_root() {
        return;
    }
    for (number, moment) in MOMENTS.iter().enumerate() {
        for (word, order) in [("int", Signal::INT), ("kill", Signal::KILL)] {
            let name = name_of(&format!("{word}{number}"));
            let mut up = begin_up(&name);
            comes(&name, moment);
            // As a terminal does at Ctrl-C: to the whole group.
            rustix::process::kill_process_group(Pid::from_raw(up.id() as i32).unwrap(), order).unwrap();
            if up.wait().unwrap().success() {
                // The last moments are short: it was up before the signal came.
                assert!(number >= BOOTING && by_hand(&["down", "--name", &name]).is_ok(), "{moment}");
            }
            nothing_is_left_of(&name);
        }
    }
}

#[test]
fn a_supervisor_killed_while_the_lab_is_made_is_reported_and_leaves_nothing_behind() {
    if !is_root() {
        return;
    }
    for (number, moment) in MOMENTS.iter().enumerate().skip(1) {
        let name = name_of(&format!("made{number}"));
        let mut command = testbed(&["up", "--name", &name]);
        let up = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        comes(&name, moment);
        signal(supervisor_of(&name), Signal::KILL);
        let output = up.wait_with_output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            // The last moments are short: it was up before the signal came.
            assert!(number >= BOOTING, "{moment}");
            nothing_is_left_of(&name);
            continue;
        }
        assert!(words.contains("supervisor ended"), "{moment}: {words}");
        nothing_is_left_of(&name);
    }
}

#[test]
fn a_lab_is_shown_while_it_is_made_and_when_its_supervisor_is_silent_and_can_be_taken_down() {
    if !is_root() {
        return;
    }
    let name = name_of("silent");
    let mut up = begin_up(&name);
    comes(&name, MOMENTS[2]);
    let supervisor = supervisor_of(&name);
    signal(supervisor, Signal::STOP);
    let shown = |json: bool| by_hand(if json { &["list", "--json"] } else { &["list"] }).stdout;
    assert!(shown(false).contains(&format!("{name}  (")) && shown(false).contains("is being made"), "{}", shown(false));
    let refused = by_hand(&["power-off", "server1", "--name", &name]);
    assert!(refused.stderr.contains(&format!("lab {name} is being made")), "{refused:?}");
    signal(supervisor, Signal::CONT);
    assert!(up.wait().unwrap().success());

    signal(supervisor, Signal::STOP);
    let what_helps = format!("`testbed down --name {name}` takes the lab down");
    assert!(shown(false).contains(&what_helps), "{}", shown(false));
    let labs: serde_json::Value = serde_json::from_str(&shown(true)).unwrap();
    let lab = labs.as_array().unwrap().iter().find(|lab| lab["name"] == name.as_str()).unwrap();
    assert!(lab["state"] == "silent" && lab["problem"].as_str().unwrap().contains(&supervisor.to_string()), "{lab}");
    let refused = by_hand(&["exec", "server1", "--name", &name, "--", "true"]);
    assert!(refused.status == 1 && refused.stderr.contains(&what_helps), "{refused:?}");
    assert!(by_hand(&["down", "--name", &name]).is_ok());
    nothing_is_left_of(&name);
}

#[test]
fn what_is_left_of_a_dead_lab_and_will_not_go_hinders_no_other_lab() {
    let Some(lab) = lab(Options { servers: 1, ..Options::default() }) else { return };
    let dead = places::Places::of(&name_of("dead")).unwrap();
    let stuck = dead.directory.join("stuck");
    std::fs::create_dir_all(&stuck).unwrap();
    rustix::mount::mount("bench", &stuck, "tmpfs", rustix::mount::MountFlags::empty(), c"size=64k").unwrap();
    let listed = by_hand(&["list"]);
    let entered = by_hand(&["exec", "server1", "--name", lab.name(), "--", "hostname"]);
    rustix::mount::unmount(&stuck, rustix::mount::UnmountFlags::empty()).unwrap();
    assert!(listed.is_ok() && listed.stdout.contains(lab.name()), "{listed:?}");
    assert!(listed.stderr.contains(&dead.name) && listed.stderr.contains("cannot remove"), "{listed:?}");
    assert_eq!(entered.stdout, "server1\n", "{entered:?}");
    assert!(by_hand(&["list"]).is_ok() && !dead.directory.exists());
}

#[test]
fn a_lab_of_another_version_or_with_a_damaged_record_is_not_taken_for_dead() {
    if !is_root() {
        return;
    }
    let own = places::ProcessId::of(std::process::id()).unwrap();
    let older = serde_json::json!({ "name": "x", "checkout": "/", "supervisor": own, "options": { "file_system": "Zfs" } });
    for (what, record, complaint) in [("version", older.to_string(), false), ("damaged", "{ \"name\"".to_string(), true)] {
        let places = places::Places::of(&name_of(what)).unwrap();
        std::fs::create_dir_all(&places.directory).unwrap();
        std::fs::write(places.directory.join("record.json"), record).unwrap();
        let listed = by_hand(&["list"]);
        let survived = places.directory.exists();
        std::fs::remove_dir_all(&places.directory).unwrap();
        assert!(survived && listed.is_ok(), "{what}: {listed:?}");
        assert_eq!(listed.stderr.contains(&places.name), complaint, "{what}: {listed:?}");
    }
}

#[test]
fn a_name_that_is_taken_is_refused_and_the_lab_that_has_it_lives_on() {
    let Some(lab) = lab(Options { servers: 1, ..Options::default() }) else { return };
    let refused = by_hand(&["up", "--name", lab.name()]);
    assert_eq!(refused.status, 1);
    assert!(refused.stderr.contains(&format!("`testbed down --name {}`", lab.name())), "{refused:?}");
    run(&lab, "server1", "true");
    let name = lab.name().to_string();
    // The janitor of the refused one waits for nothing.
    assert_eq!(processes_of(&name).iter().filter(|(_, words)| words.contains(" janitor ")).count(), 1);
    lab.down().unwrap();
    nothing_is_left_of(&name);
}

#[test]
fn a_lab_is_swept_up_from_another_control_group_too() {
    if !is_root() {
        return;
    }
    let name = name_of("groups");
    assert!(by_hand(&["up", "--servers", "1", "--name", &name]).is_ok());
    let places = places::Places::of(&name).unwrap();
    // First the janitor, so that the command has to do its work.
    let janitor = processes_of(&name).into_iter().find(|(_, words)| words.contains(" janitor ")).unwrap();
    signal(janitor.0, Signal::KILL);
    signal(supervisor_of(&name), Signal::KILL);
    let other = places.new_group().with_file_name(name_of("other"));
    std::fs::create_dir(&other).unwrap();
    let mut list = Command::new("sh");
    list.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(other.join("cgroup.procs"));
    let listed = gather(list.arg(env!("CARGO_BIN_EXE_testbed")).arg("list"));
    std::fs::remove_dir(&other).unwrap();
    assert!(listed.is_ok(), "{listed:?}");
    nothing_is_left_of(&name);
}

#[test]
fn without_room_for_its_files_a_lab_is_refused_before_it_begins() {
    if !is_root() {
        return;
    }
    let name = name_of("full");
    std::fs::create_dir_all(places::LABS).unwrap();
    // A mount of this command's own.
    let line = format!("mount -t tmpfs -o size=4m bench {} && exec \"$0\" up --name {name}", places::LABS);
    let mut command = Command::new("unshare");
    let refused = gather(command.args(["--mount", "sh", "-c", &line]).arg(env!("CARGO_BIN_EXE_testbed")));
    assert_eq!(refused.status, 1);
    assert!(refused.stderr.contains(places::LABS) && refused.stderr.contains("are free"), "{refused:?}");
    nothing_is_left_of(&name);
}

#[test]
fn a_lab_taken_down_under_its_user_is_an_error_for_him_and_no_more() {
    let Some(lab) = lab(Options::default()) else { return };
    let mut running = lab.command("server1", &["sleep", "1000"]).unwrap().spawn().unwrap();
    let down = by_hand(&["down", "--name", lab.name()]);
    assert!(down.is_ok(), "{down:?}");
    assert!(!running.wait().unwrap().success());
    let error = lab.exec("server1", &["true"]).unwrap_err().to_string();
    assert_eq!(error, format!("lab {} is down", lab.name()));
    let name = lab.name().to_string();
    drop(lab);
    nothing_is_left_of(&name);
}

#[test]
fn down_all_takes_down_the_labs_of_this_directory_one_by_one() {
    if !is_root() {
        return;
    }
    let here = tempfile::tempdir().unwrap();
    let names = [name_of("all1"), name_of("all2")];
    for name in &names {
        assert!(gather(testbed(&["up", "--servers", "1", "--name", name]).current_dir(&here)).is_ok());
    }
    let unclear = gather(testbed(&["power-off", "server1"]).current_dir(&here));
    assert!(unclear.stderr.contains(&format!("say which with --name: {}, {}", names[0], names[1])), "{unclear:?}");
    let refused = gather(testbed(&["down", "--all", "--name", &names[0]]).current_dir(&here));
    assert_eq!(refused.status, 2, "{refused:?}");
    let down = gather(testbed(&["down", "--all"]).current_dir(&here));
    assert!(down.is_ok() && names.iter().all(|name| down.stdout.contains(&format!("lab {name} is down"))), "{down:?}");
    for name in &names {
        nothing_is_left_of(name);
    }
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
