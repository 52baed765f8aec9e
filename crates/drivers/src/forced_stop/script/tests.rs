//! What the script is told, and what its end is worth.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::*;

fn script(text: &str) -> (tempfile::TempDir, Script) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("scripts/forcestop.sh");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    let script = Script::new(&Root::at(directory.path()), "forcestop.sh", "server2", "server1", None);
    (directory, script)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

#[test]
fn it_is_told_who_shall_stop_who_runs_it_and_whether_it_is_meant() {
    let (directory, script) = script("echo $CLP_SERVER_DOWN $CLP_SERVER_LOCAL $CLP_FORCESTOP_MODE >>$CLP_PATH/told");
    script.look(soon()).unwrap();
    script.stop(soon()).unwrap();
    assert_eq!(fs::read_to_string(directory.path().join("told")).unwrap(), "server1 server2 0\nserver1 server2 1\n");
}

#[test]
fn only_exit_code_0_counts_and_what_it_said_is_told() {
    let (_directory, script) = script("echo the switch is out of order; exit 3");
    let failed = script.stop(soon()).unwrap_err().to_string();
    assert!(failed.contains("for server1: it ended with code 3: the switch is out of order; run it by hand"), "{failed}");
}

#[test]
fn it_is_ended_with_its_children_when_its_time_is_over() {
    let (directory, script) = script("sleep 1000 & echo $! >$CLP_PATH/child; wait");
    let failed = script.stop(Instant::now() + Duration::from_secs(1)).unwrap_err().to_string();
    assert!(failed.contains("did not end in time"), "{failed}");
    let child: u32 = fs::read_to_string(directory.path().join("child")).unwrap().trim().parse().unwrap();
    assert!(clp_sys::process::is_doomed(child), "{child} runs on");
}

#[test]
fn a_script_that_is_not_there_is_named() {
    let (directory, script) = script("exit 0");
    fs::remove_file(directory.path().join("scripts/forcestop.sh")).unwrap();
    let failed = script.look(soon()).unwrap_err();
    assert!(matches!(failed.cause, StopCause::Missing(_)) && failed.to_string().contains("forcestop.sh for server1"), "{failed}");
}
