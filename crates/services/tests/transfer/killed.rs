//! The service is killed between the phases and at each step of each: the old or the new configuration, whole, and the next
//! push works. Uses `strace`, which kills the real program as it enters its n-th system call of a kind.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use clp_services::request::{Reply, Request};

use crate::ground::{Ground, Shipped, until};

/// System calls that change something on the disk: before each of them the service may die.
const CHANGES: &str = "mkdir,mkdirat,rename,renameat,renameat2,symlink,symlinkat,unlink,unlinkat,rmdir,fsync,fchmod,\
                       copy_file_range,sendfile";

/// Attaches strace to the service and waits until it watches.
fn watch(service: &Shipped, arguments: &[&str]) -> Option<Child> {
    let pid = service.0.id().to_string();
    let spawned =
        Command::new("strace").args(["-f", "-p", &pid]).args(arguments).stdin(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut strace = match spawned {
        Ok(strace) => strace,
        Err(cause) => {
            println!("skipped: strace cannot be run: {cause}");
            return None;
        }
    };
    let mut said = BufReader::new(strace.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    if !line.contains("attached") {
        let _ = strace.kill();
        let _ = strace.wait();
        println!("skipped: strace cannot watch: {line}");
        return None;
    }
    // Read on, so that it never waits for us.
    std::thread::spawn(move || for _ in said.lines() {});
    Some(strace)
}

/// The changes that a request makes: name of the system call and its count under that name.
fn steps(service: &Shipped, record: &Path, request: impl FnOnce() -> Reply) -> Option<Vec<(String, u32)>> {
    let trace = format!("trace={CHANGES}");
    let mut strace = watch(service, &["-o", &record.to_string_lossy(), "-e", &trace])?;
    assert_eq!(request(), Reply::Done);
    Command::new("kill").arg(strace.id().to_string()).status().unwrap();
    strace.wait().unwrap();
    let text = fs::read_to_string(record).unwrap();
    let calls: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(thread, call)| Some((thread, call.trim().split_once('(')?.0)))
        .collect();
    // The counts of strace are a thread's own; other threads may just end earlier connections.
    let of = |thread: &str| calls.iter().filter(|(one, _)| *one == thread).count();
    let busiest = calls.iter().map(|(thread, _)| *thread).max_by_key(|thread| of(thread)).unwrap_or_default();
    let names = calls.iter().filter(|(thread, _)| *thread == busiest).map(|(_, name)| (*name).to_string());
    let mut steps: Vec<(String, u32)> = Vec::new();
    for name in names {
        let count = steps.iter().filter(|(seen, _)| *seen == name).count() as u32 + 1;
        steps.push((name, count));
    }
    Some(steps)
}

fn address(ground: &Ground) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], ground.port))
}

/// A service, or nothing without root.
fn service(ground: &Ground) -> Option<Shipped> {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: needs root");
        return None;
    }
    Some(Shipped::start(ground, ground.root.path(), &[]))
}

fn push(ground: &Ground, generation: u64, word: &str) {
    assert_eq!(ground.ask(address(ground), &ground.stage_request(generation, word)), Reply::Done);
    assert_eq!(ground.ask(address(ground), &ground.commit_request(generation, word)), Reply::Done);
    assert_eq!(ground.word(), word);
}

/// Kills the service at every step that `request` takes after `prepare`; afterwards `old` or `new` is in force.
fn killed_at_every_step(prepare: impl Fn(&Ground), request: impl Fn(&Ground) -> Request, old: &str, new: &str) {
    let ground = Ground::new();
    let Some(first) = service(&ground) else { return };
    prepare(&ground);
    let record = ground.beside("steps");
    let Some(steps) = steps(&first, &record, || ground.ask(address(&ground), &request(&ground))) else { return };
    drop(first);
    assert!(steps.len() > 5, "{steps:?}");
    let mut outcomes = Vec::new();
    for (name, count) in &steps {
        let ground = Ground::new();
        let mut killed = Shipped::start(&ground, ground.root.path(), &[]);
        prepare(&ground);
        let inject = format!("inject={name}:signal=KILL:when={count}");
        let mut strace = watch(&killed, &["-o", "/dev/null", "-e", &format!("trace={name}"), "-e", &inject]).unwrap();
        let answer = ground.ask_as("server2", address(&ground), &request(&ground));
        assert!(answer.is_err(), "{name} {count}: it was not killed: {answer:?}");
        until("it is dead", || killed.0.try_wait().unwrap().is_some());
        strace.wait().unwrap();
        let word = ground.word();
        assert!(word == old || word == new, "{name} {count}: {word}");
        outcomes.push(word);
        let _again = Shipped::start(&ground, ground.root.path(), &[]);
        push(&ground, 20, "second");
    }
    println!("{} steps: {steps:?}; in force after each: {outcomes:?}", steps.len());
    let switched = outcomes.iter().position(|word| word == new).unwrap_or(outcomes.len());
    assert!(outcomes[switched..].iter().all(|word| word == new), "there and back: {outcomes:?}");
    assert!(outcomes[..switched].iter().all(|word| word == old));
}

#[test]
fn killed_between_the_phases_the_old_configuration_is_in_force_and_either_phase_can_be_done_again() {
    let ground = Ground::new();
    let Some(first) = service(&ground) else { return };
    assert_eq!(ground.ask(address(&ground), &ground.stage_request(7, "first")), Reply::Done);
    first.kill();
    assert_eq!(ground.word(), "by hand");
    let _again = Shipped::start(&ground, ground.root.path(), &[]);
    assert_eq!(ground.word(), "by hand", "a start changes nothing");
    assert_eq!(ground.ask(address(&ground), &ground.commit_request(7, "first")), Reply::Done);
    assert_eq!(ground.word(), "first");
    push(&ground, 9, "second");
}

#[test]
fn killed_while_staging_at_every_step_the_old_configuration_is_in_force() {
    killed_at_every_step(|_| {}, |ground| ground.stage_request(7, "first"), "by hand", "by hand");
}

#[test]
fn killed_during_the_first_commit_at_every_step_one_whole_configuration_is_in_force() {
    let prepare = |ground: &Ground| {
        assert_eq!(ground.ask(address(ground), &ground.stage_request(7, "first")), Reply::Done);
    };
    killed_at_every_step(prepare, |ground| ground.commit_request(7, "first"), "by hand", "first");
}

#[test]
fn killed_during_a_later_commit_at_every_step_one_whole_configuration_is_in_force() {
    let prepare = |ground: &Ground| {
        push(ground, 5, "second");
        push(ground, 6, "second");
        assert_eq!(ground.ask(address(ground), &ground.stage_request(7, "first")), Reply::Done);
    };
    killed_at_every_step(prepare, |ground| ground.commit_request(7, "first"), "second", "first");
}
