//! What a BMC may say, told by a stand-in for ipmitool that lies in the search path; the real simulator is asked in the end-to-end cases.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::PermissionsExt;

use super::*;

/// A directory with an `ipmitool` of this text; its calls are noted in `calls`.
fn stand_in(text: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(PROGRAM);
    let head = "#!/bin/sh\ncd \"$(dirname \"$0\")\"\necho \"$*\" >>calls\n[ \"$IPMI_PASSWORD\" = secret ] || { echo 'RAKP 2 HMAC is invalid'; exit 1; }\nfor word; do :; done\n";
    fs::write(&file, format!("{head}{text}")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

fn ipmi(directory: &tempfile::TempDir, password: Password) -> Ipmi {
    let bmc = Bmc {
        address: "10.0.0.201".parse().unwrap(),
        port: 623,
        user: "cluster".into(),
        password,
        privilege: "operator".into(),
        interface: "lanplus".into(),
        cipher: None,
    };
    let path = format!("{}:/usr/bin:/bin", directory.path().display());
    Ipmi { env: vec![("PATH".into(), path)], ..Ipmi::new(&Root::default(), "server1", &bmc) }
}

fn secret() -> Password {
    Password::Plain("secret".into())
}

fn calls(directory: &tempfile::TempDir) -> Vec<String> {
    let calls = fs::read_to_string(directory.path().join("calls")).unwrap();
    calls.lines().map(|line| line.rsplit(' ').next().unwrap().to_string()).collect()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// Seconds for which nothing that fails at once is waited for.
fn briefly() -> Instant {
    Instant::now() + Duration::from_millis(1500)
}

const OBEDIENT: &str = "case $word in off) echo off >power; echo Chassis Power Control: Down/Off;; status) echo Chassis Power is $(cat power 2>/dev/null || echo on);; esac\n";

#[test]
fn it_is_switched_off_and_read_back_off_twice() {
    let directory = stand_in(OBEDIENT);
    let how = ipmi(&directory, secret()).stop(soon()).unwrap();
    assert!(how.starts_with("its BMC 10.0.0.201 reads power off, 2 times, after "), "{how}");
    assert_eq!(calls(&directory), ["off", "status", "status"]);
    let all = fs::read_to_string(directory.path().join("calls")).unwrap();
    assert!(all.contains("-I lanplus -H 10.0.0.201 -p 623 -L OPERATOR -E"), "{all}");
    assert!(!all.contains("secret"), "the password stands on a command line: {all}");
}

#[test]
fn one_reading_that_says_off_is_no_proof() {
    // Off once, then on for ever.
    let directory = stand_in(
        "[ $word = off ] && exit 0\nif [ -e seen ]; then echo Chassis Power is on; else touch seen; echo Chassis Power is off; fi\n",
    );
    let failed = ipmi(&directory, secret()).stop(briefly()).unwrap_err();
    assert!(matches!(failed.cause, StopCause::StillOn(_)), "{failed}");
}

#[test]
fn a_command_that_was_accepted_is_no_proof() {
    let directory =
        stand_in("case $word in off) echo Chassis Power Control: Down/Off;; status) echo Chassis Power is on;; esac\n");
    let failed = ipmi(&directory, secret()).stop(briefly()).unwrap_err();
    assert_eq!(failed.cause, StopCause::StillOn("it was told to switch off".into()));
    assert!(failed.to_string().starts_with("BMC 10.0.0.201 of server1: its power is still on"), "{failed}");
}

#[test]
fn a_server_that_is_off_already_is_proven_although_its_bmc_refuses_the_command() {
    let directory =
        stand_in("[ $word = off ] && { echo 'Command not supported in present state'; exit 1; }\necho Chassis Power is off\n");
    ipmi(&directory, secret()).stop(soon()).unwrap();
}

#[test]
fn what_the_bmc_refuses_is_told_apart_without_the_password() {
    let directory = stand_in(OBEDIENT);
    let wrong = ipmi(&directory, Password::Plain("w0rd".into()));
    let failed = wrong.stop(soon()).unwrap_err();
    assert_eq!(failed.cause, StopCause::Refused);
    assert!(!format!("{failed} {wrong:?}").contains("w0rd"));
    assert_eq!(calls(&directory).len(), 2, "a wrong password is not tried again and again");
    for (said, cause) in [
        ("Get Auth Capabilities error", StopCause::Silent),
        ("Could not open socket!", StopCause::Silent),
        ("RAKP 2 message indicates an error : unauthorized name", StopCause::Refused),
        ("Set Chassis Power Control to Down/Off failed: Insufficient privilege level", StopCause::Unprivileged),
        ("Error in open session response message : invalid authentication algorithm", StopCause::Cipher),
    ] {
        let directory = stand_in(&format!("echo '{said}'\nexit 1\n"));
        assert_eq!(ipmi(&directory, secret()).look(soon()).unwrap_err().cause, cause, "{said}");
    }
}

#[test]
fn an_unprivileged_user_who_can_only_read_proves_nothing_of_a_server_that_is_on() {
    let directory = stand_in("[ $word = off ] && { echo 'Insufficient privilege level'; exit 1; }\necho Chassis Power is on\n");
    assert_eq!(ipmi(&directory, secret()).stop(soon()).unwrap_err().cause, StopCause::Unprivileged);
}

#[test]
fn a_bmc_without_the_best_cipher_suite_is_asked_for_the_next_and_that_is_remembered() {
    let directory =
        stand_in("case \"$*\" in *'-C 17 '*) echo 'invalid authentication algorithm'; exit 1;; esac\necho Chassis Power is on\n");
    let ipmi = ipmi(&directory, secret());
    assert_eq!(ipmi.look(soon()).unwrap(), "its BMC 10.0.0.201 reads power on");
    ipmi.look(soon()).unwrap();
    assert_eq!(calls(&directory).len(), 3);
    // Another BMC, which has the best one only.
    fs::write(directory.path().join(PROGRAM), "#!/bin/sh\ncase \"$*\" in *'-C 3 '*) echo 'invalid authentication algorithm'; exit 1;; esac\necho Chassis Power is off\n").unwrap();
    assert_eq!(ipmi.look(soon()).unwrap(), "its BMC 10.0.0.201 reads power off");
}

#[test]
fn what_fails_here_says_nothing_of_the_cipher_suite() {
    let directory =
        stand_in("case \"$*\" in *'-C 17 '*) echo 'invalid authentication algorithm'; exit 1;; esac\necho Chassis Power is on\n");
    let missing = directory.path().join("password");
    let ipmi = ipmi(&directory, Password::File(missing.to_string_lossy().into_owned()));
    assert!(matches!(ipmi.look(soon()).unwrap_err().cause, StopCause::Password(_)));
    assert_eq!(*ipmi.suite.lock().unwrap(), None);
}

#[test]
fn a_hanging_tool_is_ended_within_the_time() {
    let directory = stand_in("sleep 1000\n");
    let begun = Instant::now();
    let failed = ipmi(&directory, secret()).stop(Instant::now() + Duration::from_millis(700)).unwrap_err();
    assert_eq!(failed.cause, StopCause::Silent);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn a_password_file_that_others_can_read_is_refused() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: needs root");
        return;
    }
    let directory = stand_in(OBEDIENT);
    let file = directory.path().join("password");
    fs::write(&file, "secret\n").unwrap();
    let ipmi = ipmi(&directory, Password::File(file.to_string_lossy().into_owned()));
    for (mode, taken) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let looked = ipmi.look(soon());
        assert_eq!(looked.is_ok(), taken, "{mode:o}: {looked:?}");
        if let Err(failed) = looked {
            assert!(failed.to_string().contains("others may read it"), "{failed}");
        }
    }
    fs::remove_file(&file).unwrap();
    assert!(matches!(ipmi.look(soon()).unwrap_err().cause, StopCause::Password(_)));
}
