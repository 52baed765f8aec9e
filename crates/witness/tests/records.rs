//! The record of a cluster, by the real program: one of two writers is first, what was answered as written survives, nothing is done
//! twice.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ground;

use clp_protocol::witness::{self, Answer, Request, SWAP_WITHIN};
use ground::{Ground, key, record, run};
use std::time::{Duration, Instant};

#[test]
fn of_two_writers_one_is_first_and_no_write_is_lost() {
    const WRITES: u64 = 100;
    let ground = Ground::new();
    let key = ground.add("c");
    let witness = ground.start();
    let writers: Vec<_> = (0..2)
        .map(|server| {
            let mut client = witness.client(&key);
            std::thread::spawn(move || {
                let (mut written, mut others) = (0, 0);
                while written < WRITES {
                    let (version, _, ticket) = client.read();
                    match client.ask(&Request::Swap { version, ticket, record: record(server, written) }) {
                        Answer::Swapped => written += 1,
                        Answer::Other => others += 1,
                        other => panic!("{other:?}"),
                    }
                    // Who reads right behind its own write sees it, or another one after it.
                    assert!(client.read().0.count > version.count);
                }
                others
            })
        })
        .collect();
    let others: u64 = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
    let (version, ..) = witness.client(&key).read();
    assert_eq!(version.count, 2 * WRITES, "each write was one");
    assert!(others > 0, "they never met: the test shows nothing");
}

#[test]
fn a_write_that_was_answered_survives_whenever_the_program_is_killed() {
    let ground = Ground::new();
    let key = ground.add("c");
    let mut last = 0;
    for round in 0..20 {
        let mut witness = ground.start();
        let mut client = witness.client(&key);
        let (version, seen, _) = client.read();
        assert!(version.count >= last, "round {round}: {} writes were known, {last} were answered", version.count);
        assert_eq!(seen.is_some(), version.count > 0);
        // Killed at some moment while it writes.
        let pid = rustix::process::Pid::from_raw(i32::try_from(witness.child.id()).unwrap()).unwrap();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(3 + round * 2));
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        });
        let answered = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            loop {
                let (version, _, ticket) = client.read();
                last = last.max(version.count);
                assert_eq!(client.ask(&Request::Swap { version, ticket, record: record(0, version.count) }), Answer::Swapped);
                last = last.max(version.count + 1);
            }
        }));
        assert!(answered.is_err(), "it was killed");
        killer.join().unwrap();
        witness.child.wait().unwrap();
    }
    assert!(last > 40, "{last} writes: it was killed too early to show anything");
}

#[test]
fn a_request_that_is_repeated_does_nothing_and_a_late_one_nothing_either() {
    let ground = Ground::new();
    let key = ground.add("c");
    let mut witness = ground.start();
    let mut client = witness.client(&key);
    let (version, _, ticket) = client.read();
    let swap = |number| Request::Swap { version, ticket, record: record(0, number) };
    let (bytes, salt) = witness::seal_request(&key, &swap(1)).unwrap();
    let (held, held_salt) = witness::seal_request(&key, &swap(9)).unwrap();
    assert_eq!(witness::open_answer(&key, salt, &client.post(&bytes).1), Ok(Answer::Swapped));
    for _ in 0..3 {
        assert_eq!(witness::open_answer(&key, salt, &client.post(&bytes).1), Ok(Answer::Other));
    }
    assert_eq!(client.read().0.count, 1);
    // One that was held back while the version is still the same.
    let (version, _, ticket) = client.read();
    let (late, late_salt) = witness::seal_request(&key, &Request::Swap { version, ticket, record: record(1, 2) }).unwrap();
    let since = Instant::now();
    while since.elapsed() <= SWAP_WITHIN {
        // The time itself is what is tested.
        std::thread::sleep(SWAP_WITHIN.saturating_sub(since.elapsed()) + Duration::from_millis(20));
    }
    assert_eq!(witness::open_answer(&key, late_salt, &client.post(&late).1), Ok(Answer::Late));
    assert_eq!(witness::open_answer(&key, held_salt, &client.post(&held).1), Ok(Answer::Late));
    // Tickets of an earlier run are of no use.
    let (version, _, ticket) = client.read();
    witness.kill();
    let witness = ground.start();
    let mut client = witness.client(&key);
    assert_eq!(client.ask(&Request::Swap { version, ticket, record: record(1, 3) }), Answer::Late);
    assert_eq!(client.read().1, Some(record(0, 1)));
    assert_eq!(client.write(1, 4), Answer::Swapped);
}

#[test]
fn clusters_have_records_of_their_own_and_one_that_was_removed_has_none() {
    let ground = Ground::new();
    let (one, two) = (ground.add("one"), ground.add("two"));
    let mut witness = ground.start();
    assert_eq!(witness.client(&one).write(0, 1), Answer::Swapped);
    assert_eq!(witness.client(&two).read().1, None);
    let state = ground.state();
    let state = state.to_str().unwrap();
    let (code, listed, _) = run(&["--list", "--json", "--state", state]);
    assert_eq!(code, 0);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let shown = listed.as_array().unwrap().iter().find(|cluster| cluster["name"] == "one").unwrap();
    assert_eq!((shown["writes"].as_u64(), shown["members"][0].as_u64()), (Some(1), Some(1)));
    // Added while it runs; removed while it runs, although a connection is open.
    let three = ground.add("three");
    let mut client = witness.client(&one);
    let (before, ..) = client.read();
    assert_eq!(witness.client(&three).write(1, 1), Answer::Swapped);
    assert_eq!(run(&["--remove", "one", "--state", state]).0, 0);
    let (bytes, _) = witness::seal_request(&one, &Request::Read).unwrap();
    assert_eq!(client.post(&bytes).0, 404, "a lost record is no empty one");
    ground.add("one");
    let (after, record, _) = witness.client(&one).read();
    assert!(record.is_none() && after.record != before.record, "it is told apart from the one before");
    // A state directory that is lost loses every cluster.
    witness.kill();
    std::fs::remove_dir_all(ground.state()).unwrap();
    let witness = ground.start();
    assert_eq!(witness.client(&three).post(&witness::seal_request(&three, &Request::Read).unwrap().0).0, 404);
}

#[test]
fn what_an_administrator_types_wrong_is_told() {
    let ground = Ground::new();
    ground.add("c");
    let state = ground.state();
    let state = state.to_str().unwrap();
    let file = ground.directory.path().join("none");
    std::fs::write(&file, "clpwitness-1 00 c\n").unwrap();
    let file = file.to_str().unwrap();
    let table: [(&[&str], &str); 9] = [
        (&["--wrong"], "invalid option --wrong"),
        (&["--json"], "usage: clpwitness"),
        (&["--add", file, "--state", state], "holds no line of a cluster"),
        (&["--add", "/nowhere/line", "--state", state], "No such file"),
        (&["--remove", "d", "--state", state], "there is no cluster d"),
        (&["--listen", "here", "--state", state], "such as 10.0.0.9:29020, not here"),
        (&["--listen", "192.0.2.1:1", "--state", state], "cannot be listened at"),
        (&["--list", "--state", "/nowhere"], "/nowhere cannot be read"),
        (&["--accept", "../x"], "is no name of a resolution"),
    ];
    for (arguments, words) in table {
        let (code, printed, problem) = run(arguments);
        assert_eq!((code, printed.as_str()), (1, ""), "{arguments:?}");
        assert!(problem.contains(words), "{arguments:?}: {problem}");
    }
    let line = ground.directory.path().join("line");
    let (code, _, problem) = run(&["--add", line.to_str().unwrap(), "--state", state]);
    assert!(code == 1 && problem.contains("was added before"), "{problem}");
    let witness = ground.start();
    let (code, _, problem) = run(&["--state", state, "--listen", "127.0.0.1:0"]);
    assert!(code == 1 && problem.contains("another clpwitness uses it"), "{problem}");
    drop(witness);
    let (code, help, _) = run(&["--help"]);
    assert!(code == 0 && help.contains("--accept") && help.contains("29020"), "{help}");
    assert!(run(&["--version"]).1.starts_with("clpwitness (Mainstay) 3"));
}

#[test]
fn a_cluster_s_line_opens_what_its_servers_seal() {
    let ground = Ground::new();
    let root = ground.directory.path().join("root");
    std::fs::create_dir_all(root.join("etc/trust")).unwrap();
    std::fs::write(root.join("etc/trust/cluster.key"), "07".repeat(32)).unwrap();
    let conf = "<?xml version=\"1.0\" encoding=\"ASCII\"?>\n<root><cluster><name>my cluster</name></cluster></root>\n";
    std::fs::write(root.join("etc/clp.conf"), conf).unwrap();
    let line = |arguments: &[&str]| {
        let output =
            ground::program().stdout(std::process::Stdio::piped()).args(arguments).env("CLP_ROOT", &root).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let printed = line(&["--key"]);
    assert_eq!(line(&["--key", "--cluster", "my cluster"]), printed);
    assert!(!printed.contains(&"07".repeat(32)), "the cluster's own key stays where it is");
    let file = ground.directory.path().join("line");
    std::fs::write(&file, &printed).unwrap();
    let state = ground.state();
    assert_eq!(run(&["--add", file.to_str().unwrap(), "--state", state.to_str().unwrap()]).0, 0);
    let witness = ground.start();
    assert_eq!(witness.client(&key("my cluster")).write(0, 1), Answer::Swapped);
}
