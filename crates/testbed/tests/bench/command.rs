//! The command `testbed` as people type it.

use crate::*;

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
