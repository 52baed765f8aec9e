//! Two phases: kept ready, then switched; what is in force is never touched by anything else.

use std::fs;

use clp_services::{
    client,
    request::{Reply, Request, StagedFile},
    stage,
};

use crate::ground::{Ground, in_force};

fn refused(reply: Reply) -> String {
    match reply {
        Reply::Failed { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_push_replaces_what_was_put_there_by_hand_and_keeps_it() {
    let ground = Ground::new();
    let address = ground.serve();
    assert_eq!(ground.ask(address, &ground.stage_request(7, "first")), Reply::Done);
    assert_eq!(ground.word(), "by hand", "kept ready is not in force");
    assert_eq!(ground.ask(address, &ground.commit_request(7, "first")), Reply::Done);
    assert_eq!(ground.word(), "first");
    assert_eq!(stage::in_force(&ground.root), Some(7));
    let kept = fs::read_to_string(ground.root.etc().join("conf.0/scripts/failover1/exec1/start.sh")).unwrap();
    assert!(kept.contains("by hand"));
    assert_eq!(ground.ask(address, &ground.commit_request(7, "first")), Reply::Done, "an answer that was lost is asked again");
    assert_eq!(ground.ask(address, &ground.stage_request(9, "second")), Reply::Done);
    assert_eq!(ground.ask(address, &ground.commit_request(9, "second")), Reply::Done);
    assert_eq!(ground.word(), "second");
    let names: Vec<String> =
        fs::read_dir(ground.root.etc()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let generations = names.iter().filter(|name| name.starts_with("conf.")).count();
    assert_eq!(generations, 2, "the one in force and the one before: {names:?}");
}

#[test]
fn what_was_edited_by_hand_after_a_push_is_kept_by_the_next_one() {
    let ground = Ground::new();
    let address = ground.serve();
    assert_eq!(ground.ask(address, &ground.stage_request(7, "first")), Reply::Done);
    assert_eq!(ground.ask(address, &ground.commit_request(7, "first")), Reply::Done);
    // As an editor does that writes a new file and renames it.
    let conf = ground.conf("edited");
    fs::write(ground.root.etc().join("clp.conf~"), &conf).unwrap();
    fs::rename(ground.root.etc().join("clp.conf~"), ground.root.conf()).unwrap();
    assert_eq!(ground.ask(address, &ground.stage_request(9, "second")), Reply::Done);
    assert_eq!(fs::read_to_string(ground.root.conf()).unwrap(), conf);
    assert_eq!(ground.ask(address, &ground.commit_request(9, "second")), Reply::Done);
    assert_eq!(ground.word(), "second");
    let before = fs::read_dir(ground.root.etc()).unwrap().map(|entry| entry.unwrap().path());
    assert!(
        before.filter_map(|path| fs::read_to_string(path.join("clp.conf")).ok()).any(|text| text == conf),
        "the edit is gone"
    );
}

#[test]
fn a_checksum_that_differs_is_refused_when_it_arrives_and_before_the_switch() {
    let ground = Ground::new();
    let address = ground.serve();
    let mut files = ground.files("first");
    let checksum = stage::checksum(&files);
    files[1].hex.replace_range(0..2, "00");
    let reason = refused(ground.ask(address, &Request::Stage { generation: 7, checksum, files }));
    assert!(reason.contains("checksum"), "{reason}");
    assert!(!ground.root.etc().join("conf.7").exists());
    assert_eq!(ground.ask(address, &ground.stage_request(7, "first")), Reply::Done);
    let script = ground.root.etc().join("conf.7/scripts/failover1/exec1/start.sh");
    let mut bytes = fs::read(&script).unwrap();
    bytes[15] ^= 1;
    fs::write(&script, bytes).unwrap();
    let reason = refused(ground.ask(address, &ground.commit_request(7, "first")));
    assert!(reason.contains("conf.7") && reason.contains("checksum"), "{reason}");
    assert_eq!(ground.word(), "by hand");
    let reason = refused(ground.ask(address, &ground.commit_request(8, "first")));
    assert!(reason.contains("not kept ready"), "{reason}");
}

#[test]
fn the_generation_in_force_can_neither_be_staged_over_nor_aborted() {
    let ground = Ground::new();
    let address = ground.serve();
    assert_eq!(ground.ask(address, &ground.stage_request(7, "first")), Reply::Done);
    assert_eq!(ground.ask(address, &ground.commit_request(7, "first")), Reply::Done);
    refused(ground.ask(address, &ground.stage_request(7, "second")));
    assert_eq!(ground.word(), "first");
    assert_eq!(ground.ask(address, &Request::Abort { generation: 7 }), Reply::Done);
    assert_eq!(ground.word(), "first");
}

#[test]
fn paths_outside_a_configuration_and_broken_files_are_refused() {
    let ground = Ground::new();
    let address = ground.serve();
    let bad = ["../evil", "/etc/evil", "scripts/../../evil", "scripts", "trust/ca.pem", "scripts/a\0b", "", "scripts/./../x"];
    for path in bad {
        let mut files = ground.files("first");
        files.push(StagedFile { path: path.into(), executable: true, hex: "00".into() });
        let checksum = stage::checksum(&files);
        refused(ground.ask(address, &Request::Stage { generation: 7, checksum, files }));
        assert!(!ground.root.etc().join("conf.7").exists() && !ground.root.etc().join("conf.7.part").exists(), "{path}");
    }
    type Change = fn(&mut Vec<StagedFile>);
    let change: [(&str, Change); 5] = [
        ("no clp.conf", |files| files.retain(|file| file.path != "clp.conf")),
        ("no XML", |files| files.iter_mut().filter(|file| file.path == "clp.conf").for_each(|file| file.hex = "00ff".into())),
        ("no base 16", |files| files[1].hex = "xy".into()),
        ("two of one name", |files| files.push(files[1].clone())),
        ("a file and a directory of one name", |files| {
            let path = format!("{}/below", files[1].path);
            files.push(StagedFile { path, ..files[1].clone() });
        }),
    ];
    for (what, change) in change {
        let mut files = ground.files("first");
        change(&mut files);
        let checksum = stage::checksum(&files);
        refused(ground.ask(address, &Request::Stage { generation: 7, checksum, files }));
        assert!(!ground.root.etc().join("conf.7").exists(), "{what}");
    }
    assert!(!ground.beside("evil").exists() && !ground.root.etc().join("evil").exists());
    assert_eq!(ground.word(), "by hand");
}

#[test]
fn a_later_push_replaces_one_that_came_to_no_end_and_the_earlier_fails_whole() {
    let ground = Ground::new();
    let address = ground.serve();
    assert_eq!(ground.ask(address, &ground.stage_request(7, "first")), Reply::Done);
    assert_eq!(ground.ask(address, &ground.stage_request(9, "second")), Reply::Done);
    assert!(refused(ground.ask(address, &ground.commit_request(7, "first"))).contains("another push"));
    assert_eq!(ground.ask(address, &ground.commit_request(9, "second")), Reply::Done);
    assert_eq!(ground.word(), "second");
}

#[test]
fn eight_at_once_leave_one_whole_configuration() {
    let ground = Ground::new();
    let address = ground.serve();
    std::thread::scope(|scope| {
        for generation in 1..=8 {
            let ground = &ground;
            let word = if generation % 2 == 0 { "first" } else { "second" };
            let (stage, commit) = (ground.stage_request(generation, word), ground.commit_request(generation, word));
            scope.spawn(move || {
                ground.ask(address, &stage);
                ground.ask(address, &commit);
            });
        }
    });
    assert_ne!(ground.word(), "by hand");
}

#[test]
fn a_push_to_a_server_that_does_not_answer_changes_nothing_anywhere() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: needs root");
        return;
    }
    let ground = Ground::new();
    ground.serve();
    let before = in_force(&ground.root);
    let files = ground.files("first");
    let own = clp_sys::identity::hostname();
    let servers = [(own, vec![]), ("server2".to_string(), vec!["127.0.0.1".to_string()])];
    let reason = client::push(&ground.root, &files, &servers, |_| {}, || {}).unwrap_err().to_string();
    assert!(reason.contains("server2") && reason.contains("nothing was changed"), "{reason}");
    assert_eq!(in_force(&ground.root), before);
    assert!(
        fs::read_dir(ground.root.etc()).unwrap().all(|entry| !entry.unwrap().file_name().to_string_lossy().starts_with("conf."))
    );
    client::push(&ground.root, &files, &servers[..1], |_| {}, || {}).unwrap();
    assert_eq!(ground.word(), "first");
}

#[test]
fn what_cannot_be_read_whole_is_not_pushed() {
    let ground = Ground::new();
    ground.files("first");
    let directory = ground.beside("push-first");
    assert_eq!(stage::collect(&directory).unwrap().len(), 4);
    let fifo = directory.join("scripts/fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::from(0o600)).unwrap();
    assert!(stage::collect(&directory).unwrap_err().contains("fifo is no ordinary file"));
    fs::remove_file(&fifo).unwrap();
    std::os::unix::fs::symlink("nowhere", directory.join("scripts/broken")).unwrap();
    assert!(stage::collect(&directory).unwrap_err().contains("broken"));
    fs::remove_file(directory.join("scripts/broken")).unwrap();
    std::os::unix::fs::symlink(".", directory.join("scripts/loop")).unwrap();
    assert!(stage::collect(&directory).unwrap_err().contains("loop"));
    fs::remove_file(directory.join("scripts/loop")).unwrap();
    fs::File::create(directory.join("scripts/big")).unwrap().set_len(16 << 20).unwrap();
    let reason = stage::collect(&directory).unwrap_err();
    assert!(reason.contains("big") && reason.contains("15 MiB"), "{reason}");
}
