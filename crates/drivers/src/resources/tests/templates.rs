//! The standard scripts as they are shipped: every branch says its name, and the exit code is that of the table.

use super::*;
use clp_config::templates::EXEC_SCRIPTS;

/// Event, disk and server; the words of the script, its exit code.
const BRANCHES: [(&str, &str, &str, &str, i32); 12] = [
    ("START", "SUCCESS", "HOME", "NORMAL1 NORMAL2 EXIT", 0),
    ("START", "SUCCESS", "OTHER", "NORMAL1 ON_OTHER1 EXIT", 0),
    ("START", "FAILURE", "HOME", "ERROR_DISK from START", 1),
    ("START", "", "HOME", "ERROR_DISK from START", 1),
    ("FAILOVER", "SUCCESS", "HOME", "FAILOVER1 FAILOVER2 EXIT", 0),
    ("FAILOVER", "SUCCESS", "OTHER", "FAILOVER1 ON_OTHER2 EXIT", 0),
    ("FAILOVER", "FAILURE", "OTHER", "ERROR_DISK from FAILOVER", 1),
    ("RECOVER", "SUCCESS", "HOME", "RECOVER EXIT", 0),
    ("STANDBY", "FAILURE", "OTHER", "STANDBY EXIT", 0),
    ("", "SUCCESS", "HOME", "NO_CLP", 1),
    ("start", "SUCCESS", "HOME", "NO_CLP", 1),
    ("START FAILOVER", "SUCCESS", "HOME", "NO_CLP", 1),
];

#[test]
fn the_standard_scripts_have_every_branch_under_its_name() {
    let place = tempfile::tempdir().expect("place");
    for (name, text) in EXEC_SCRIPTS {
        let file = place.path().join(name);
        std::fs::write(&file, text).expect("script");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("mode");
        for (event, disk, server, words, code) in BRANCHES {
            let mut command = Command::new(&file);
            command.env_clear().env("CLP_EVENT", event).env("CLP_DISK", disk).env("CLP_SERVER", server);
            let ended = command.output().expect("it runs");
            let told = String::from_utf8_lossy(&ended.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!((told.as_str(), ended.status.code()), (words, Some(code)), "{name} for {event:?} {disk} {server}");
        }
    }
}

// An application that does not start, or does not end, fails the script.
#[test]
fn an_application_that_fails_fails_the_standard_script() {
    let place = tempfile::tempdir().expect("place");
    for (name, text) in EXEC_SCRIPTS {
        let file = place.path().join(name);
        std::fs::write(&file, text.replace("    :\n", "    false\n")).expect("script");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("mode");
        let ended = Command::new(&file).env("CLP_EVENT", "START").env("CLP_DISK", "SUCCESS").output().expect("it runs");
        assert_eq!(ended.status.code(), Some(1), "{name}");
        assert!(!String::from_utf8_lossy(&ended.stdout).contains("EXIT"), "{name}");
    }
}
