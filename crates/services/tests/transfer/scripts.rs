//! Scripts that another server asks for: which are run, which are not, and what is known of them afterwards.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clp_services::{
    alertlog,
    request::{Reply, Request, Shelf},
};

use crate::ground::{Ground, until};

/// Far beyond what a script that does nothing takes.
const PLENTY_S: u64 = 60;

fn request(shelf: Shelf, name: &str, limit_s: u64) -> Request {
    Request::Script { shelf, name: name.into(), limit_s }
}

/// A script of root that root alone can write, in a directory like that.
fn place(ground: &Ground, shelf: &str, name: &str, text: &str) -> PathBuf {
    let directory = ground.root.work().join(shelf);
    fs::create_dir_all(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    let path = directory.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Module and number of each alert.
fn alerts(ground: &Ground) -> Vec<String> {
    let lines = alertlog::read(&alertlog::path(&ground.root));
    lines.iter().map(|line| line.split(' ').skip(6).take(2).collect::<Vec<_>>().join("/")).collect()
}

fn why(reply: &Reply) -> &str {
    match reply {
        Reply::Failed { reason } => reason,
        other => panic!("{other:?}"),
    }
}

fn need_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("skipped: scripts have to belong to root");
    }
    is_root
}

#[test]
fn a_script_runs_by_its_name_alone_and_its_end_is_answered_and_recorded() {
    if !need_root() {
        return;
    }
    let ground = Ground::new();
    let address = ground.serve();
    let told = ground.beside("told");
    let text = format!("#!/bin/sh\necho \"$0 $# $CLP_ROOT $CLP_PATH\" >>{0}\nenv >>{0}.env\necho words\n", told.display());
    let path = place(&ground, "trnreq", "a b;c.sh", &text);
    assert_eq!(ground.ask(address, &request(Shelf::Trnreq, "a b;c.sh", PLENTY_S)), Reply::Done);
    let root = ground.root.path().display();
    assert_eq!(fs::read_to_string(&told).unwrap(), format!("{} 0 {root} {root}\n", path.display()));
    let env = fs::read_to_string(told.with_extension("env")).unwrap();
    assert!(env.lines().count() < 10, "nothing of the service's own environment: {env}");
    until("its output is in the log", || {
        fs::read_to_string(ground.root.log().join("script.log")).is_ok_and(|log| log.ends_with("] words\n"))
    });
    assert_eq!(alerts(&ground), ["trnsv/10", "trnsv/30"]);
    // Its control group went with it.
    for tree in ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"] {
        let left = fs::read_dir(Path::new(tree).join("mainstay/request.s")).into_iter().flatten().flatten();
        let own = format!("a b;c.sh.{}.", std::process::id());
        assert_eq!(left.filter(|entry| entry.file_name().to_string_lossy().starts_with(&own)).count(), 0);
    }
    assert!(ground.log().contains("run trnreq/a b;c.sh for 60 s at most"), "{}", ground.log());
    // The other directory is another one.
    let elsewhere = ground.ask(address, &request(Shelf::Rexec, "a b;c.sh", PLENTY_S));
    assert!(why(&elsewhere).contains("work/rexec"), "{elsewhere:?}");
    place(&ground, "rexec", "bad.sh", "#!/bin/sh\necho oops >&2\nexit 4\n");
    let failed = ground.ask(address, &request(Shelf::Rexec, "bad.sh", PLENTY_S));
    assert!(why(&failed).contains("rexec/bad.sh on ") && why(&failed).contains("it ended with code 4: oops"), "{failed:?}");
    assert_eq!(alerts(&ground)[2..], ["trnsv/1", "trnsv/10", "trnsv/31"]);
}

#[test]
fn at_its_limit_a_script_is_ended_with_all_that_it_started() {
    if !need_root() {
        return;
    }
    let ground = Ground::new();
    let address = ground.serve();
    let pids = ground.beside("pids");
    // Where there are control groups, it does not help to leave the process group.
    let probe = clp_sys::cgroup::Cgroup::make("request.s", "probe");
    probe.iter().for_each(|probe| {
        probe.remove();
    });
    let away = if probe.is_some() { "setsid " } else { "" };
    let text = format!("#!/bin/sh\n{away}sleep 1000 &\necho $! $$ >{}\nwait\n", pids.display());
    place(&ground, "trnreq", "late.sh", &text);
    let begin = Instant::now();
    let late = ground.ask(address, &request(Shelf::Trnreq, "late.sh", 1));
    assert!(why(&late).contains("did not end in time"), "{late:?}");
    assert!(begin.elapsed() < Duration::from_secs(30));
    for pid in fs::read_to_string(&pids).unwrap().split_whitespace() {
        assert!(!is_running(pid), "{pid} is left");
    }
    assert_eq!(alerts(&ground), ["trnsv/10", "trnsv/31"]);
}

fn is_running(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains("zombie"))
}

#[test]
fn nothing_is_run_that_somebody_else_may_have_put_there() {
    if !need_root() {
        return;
    }
    let ground = Ground::new();
    let address = ground.serve();
    let ran = ground.beside("ran");
    let text = format!("#!/bin/sh\ntouch {}\n", ran.display());
    let outside = ground.beside("outside.sh");
    fs::write(&outside, &text).unwrap();
    fs::set_permissions(&outside, fs::Permissions::from_mode(0o755)).unwrap();
    let refuses = |name: &str, words: &str| {
        let reply = ground.ask(address, &request(Shelf::Trnreq, name, PLENTY_S));
        assert!(why(&reply).contains(words), "{name:?}: {reply:?}");
        assert!(!ran.exists(), "{name:?} was run");
    };
    refuses("a.sh", "No such file");
    let good = place(&ground, "trnreq", "a.sh", &text);
    for name in ["", ".", "..", ".hidden", "../../outside.sh", "/bin/true", "a.sh/", "a\nb", "a\0b", &"n".repeat(300)] {
        refuses(name, "is no name of a script");
    }
    symlink(&outside, good.with_file_name("link.sh")).unwrap();
    refuses("link.sh", "is no ordinary file");
    fs::create_dir(good.with_file_name("directory.sh")).unwrap();
    refuses("directory.sh", "is no ordinary file");
    let mode = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for (bits, words) in [(0o775, "writable by root alone"), (0o757, "writable by root alone"), (0o644, "not executable")] {
        mode(&good, bits);
        refuses("a.sh", words);
    }
    mode(&good, 0o755);
    chown(&good, Some(65534), None).unwrap();
    refuses("a.sh", "belong to root");
    chown(&good, Some(0), None).unwrap();
    let directory = good.parent().unwrap();
    mode(directory, 0o777);
    refuses("a.sh", "writable by root alone");
    mode(directory, 0o755);
    assert!(alerts(&ground).iter().all(|alert| alert == "trnsv/1"));
    // Who has no place in the configuration is not answered, whatever is there.
    let reply = ground.ask_as("server3", address, &request(Shelf::Trnreq, "a.sh", PLENTY_S)).unwrap();
    assert!(why(&reply).contains("certificate is for no server"), "{reply:?}");
    assert!(!ran.exists());
    assert_eq!(ground.ask(address, &request(Shelf::Trnreq, "a.sh", PLENTY_S)), Reply::Done);
    assert!(ran.exists(), "what may be run is run");
}

/// Lets the scripts that wait go on, also when the test fails.
struct Release(PathBuf);

impl Drop for Release {
    fn drop(&mut self) {
        fs::write(&self.0, "").unwrap();
    }
}

#[test]
fn scripts_leave_room_for_other_requests() {
    if !need_root() {
        return;
    }
    let ground = Ground::new();
    let address = ground.serve();
    let (go, here) = (ground.beside("go"), ground.beside("here"));
    let text = format!("#!/bin/sh\necho >>{}\nwhile ! test -e {}; do sleep 0.05; done\n", here.display(), go.display());
    place(&ground, "trnreq", "wait.sh", &text);
    place(&ground, "trnreq", "quick.sh", "#!/bin/sh\n");
    let release = Release(go);
    std::thread::scope(|scope| {
        let wait = || ground.ask(address, &request(Shelf::Trnreq, "wait.sh", PLENTY_S));
        let waiting: Vec<_> = (0..clp_services::script::AT_ONCE_MAX).map(|_| scope.spawn(wait)).collect();
        until("all run", || fs::read(&here).is_ok_and(|bytes| bytes.len() == waiting.len()));
        let one_more = ground.ask(address, &request(Shelf::Trnreq, "quick.sh", PLENTY_S));
        assert!(why(&one_more).contains("scripts run already"), "{one_more:?}");
        assert!(matches!(ground.ask(address, &Request::Version), Reply::Version { .. }));
        drop(release);
        for thread in waiting {
            assert_eq!(thread.join().unwrap(), Reply::Done);
        }
    });
    assert_eq!(ground.ask(address, &request(Shelf::Trnreq, "quick.sh", PLENTY_S)), Reply::Done);
}

#[test]
fn the_configuration_in_force_is_shown_to_servers_of_the_cluster() {
    let ground = Ground::new();
    let address = ground.serve();
    let Reply::Configuration { hex } = ground.ask(address, &Request::Configuration) else { panic!("no configuration") };
    assert_eq!(clp_services::trust::unhex(&hex).unwrap(), fs::read(ground.root.conf()).unwrap());
    assert!(matches!(ground.ask_as("server3", address, &Request::Configuration).unwrap(), Reply::Failed { .. }));
}
