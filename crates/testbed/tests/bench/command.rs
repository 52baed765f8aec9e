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

#[test]
fn what_cannot_be_is_refused_with_what_can() {
    if !is_root() {
        return;
    }
    for (arguments, words) in [
        (&["up", "--servers", "33"][..], "a lab has 1 to 32 servers, not 33"),
        (&["up", "--disk", "1"], "with ext4 ask for 32 to"),
        (&["up", "--disk", "3000000"], "to 2097151"),
        (&["up", "--fs", "xfs", "--disk", "300"], "with xfs ask for 320 to"),
        (&["up", "--fs", "btrfs"], "possible values: ext3, ext4, xfs"),
        (&["up", "--conf", "/nowhere"], "no clp.conf in /nowhere; --conf names the directory"),
        (&["up", "--name", "../x"], "is no name for a lab"),
        (&["down", "--name", "nobody-has-this"], "there is no lab nobody-has-this; `testbed list` shows the labs\n"),
        (&["cut", "server1", "lan"], "possible values: public, interconnect, all, com"),
        (&["exec", "server1", "ls"], "testbed exec [OPTIONS] <SERVER> -- <COMMAND>..."),
    ] {
        let refused = by_hand(arguments);
        assert!(refused.status > 0 && refused.stderr.contains(words), "{arguments:?}: {refused:?}");
        assert!(refused.stderr.matches("32 to").count() <= 1, "said twice: {refused:?}");
    }
    let mut elsewhere = testbed(&["up"]);
    let refused = gather(elsewhere.env("MAINSTAY_BIN", "/nowhere"));
    assert!(refused.stderr.contains("MAINSTAY_BIN names /nowhere"), "{refused:?}");
}

#[test]
fn a_server_that_does_not_boot_is_reported_once_and_in_words() {
    if !is_root() {
        return;
    }
    // No program of the product, and nothing that could stand for the bench in a server.
    let programs = tempfile::tempdir().unwrap();
    std::fs::write(programs.path().join("testbed"), "#!/bin/sh\nexit 3\n").unwrap();
    std::fs::set_permissions(programs.path().join("testbed"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let name = name_of("broken");
    let refused = gather(testbed(&["up", "--name", &name]).env("MAINSTAY_BIN", programs.path()));
    assert_eq!((refused.status, refused.stderr.lines().count()), (1, 1), "{refused:?}");
    assert!(refused.stderr.contains("supervisor ended"), "{refused:?}");
    nothing_is_left_of(&name);
}

#[test]
fn a_shell_completes_tasks_options_labs_servers_and_peers() {
    let Some(lab) = lab(Options { servers: 3, ..Options::default() }) else { return };
    let directory = std::path::Path::new(env!("CARGO_BIN_EXE_testbed")).parent().unwrap();
    let complete = |words: &[&str]| {
        let script = format!(
            "PATH={}:$PATH; eval \"$(testbed --completion bash)\"; COMP_WORDS=(testbed \"$@\"); COMP_CWORD=$#; \
             complete -p testbed >/dev/null && _testbed; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            directory.display()
        );
        let output = gather(Command::new("bash").args(["-c", &script, "bash"]).args(words));
        assert!(output.is_ok(), "{output:?}");
        output.stdout.lines().map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(complete(&["power-"]), ["power-off", "power-on"]);
    assert!(!complete(&[""]).contains(&"supervise".to_string()), "the bench's own processes are nobody's words");
    assert!(complete(&["up", "--se"]) == ["--servers"] && complete(&["--c"]) == ["--completion"]);
    assert_eq!(complete(&["up", "--fs", ""]), ["ext3", "ext4", "xfs"]);
    assert_eq!(complete(&["pause", "--name", lab.name(), ""]), ["server1", "server2", "server3"]);
    assert_eq!(complete(&["down", "--name", lab.name()]), [lab.name()]);
    assert_eq!(complete(&["disk", "h"]), ["hang", "heal"]);
    assert_eq!(complete(&["disk", "heal", "--name", lab.name(), "server3"]), ["server3"]);
    assert_eq!(complete(&["cut", "--name", lab.name(), "server1", ""]), ["public", "interconnect", "all", "com"]);
    let peers = ["server1", "server2", "server3", "client", "gateway"];
    assert_eq!(complete(&["heal", "server1", "all", "--name", lab.name(), "--from", ""]), peers);
    assert_eq!(complete(&["exec", "--name", lab.name(), "server1", "--", "serv"]), [""], "a command's words are the shell's");
}
