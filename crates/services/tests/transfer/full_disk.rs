//! A full disk: an error that names the file, and the old configuration in force. Needs root for a small file system.

use std::{fs, net::SocketAddr, path::PathBuf};

use clp_services::{
    request::{Reply, Request, StagedFile},
    stage,
};
use clp_sys::paths::Root;

use crate::ground::{Ground, Shipped, in_force};

/// The built service on a root of 1 MiB in a mount namespace of its own; the root as this process sees it.
fn small_disk(ground: &Ground) -> Option<(Shipped, Root)> {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: needs root");
        return None;
    }
    let small = ground.beside("small");
    fs::create_dir_all(&small).unwrap();
    let line = format!(
        "mount -t tmpfs -o size=1m none {small} && cp -a {root}/. {small} && exec \"$@\"",
        small = small.display(),
        root = ground.root.path().display()
    );
    let service = Shipped::start(ground, &small, &["unshare", "--mount", "--", "sh", "-c", &line, "sh"]);
    let seen = PathBuf::from(format!("/proc/{}/root", service.0.id())).join(small.strip_prefix("/").unwrap());
    Some((service, Root::at(seen)))
}

fn has(root: &Root, word: &str) -> bool {
    let files = in_force(root);
    let with = files.values().filter(|text| text.contains(word)).count();
    assert!(with == 0 || with == files.len(), "a mixture");
    with > 0
}

#[test]
fn staging_on_a_full_disk_names_the_file_and_leaves_the_old_configuration_and_no_rest() {
    let ground = Ground::new();
    let Some((_service, root)) = small_disk(&ground) else { return };
    let address = SocketAddr::from(([127, 0, 0, 1], ground.port));
    let mut files = ground.files("first");
    files.push(StagedFile { path: "scripts/failover1/big.sh".into(), executable: true, hex: "23".repeat(2 << 20) });
    let request = Request::Stage { generation: 7, checksum: stage::checksum(&files), files };
    let reply = ground.ask(address, &request);
    let Reply::Failed { reason } = reply else { panic!("{reply:?}") };
    assert!(reason.contains("conf.7.part/scripts/failover1/big.sh") && reason.contains("No space left"), "{reason}");
    assert!(has(&root, "by hand"));
    assert!(!root.etc().join("conf.7").exists() && !root.etc().join("conf.7.part").exists(), "the disk is left full");
    assert_eq!(ground.ask(address, &ground.stage_request(8, "first")), Reply::Done, "there is room again");
    assert_eq!(ground.ask(address, &ground.commit_request(8, "first")), Reply::Done);
    assert!(has(&root, "first"));
}

#[test]
fn a_disk_that_fills_between_the_phases_leaves_the_old_or_the_new_configuration_as_answered() {
    let ground = Ground::new();
    let Some((_service, root)) = small_disk(&ground) else { return };
    let address = SocketAddr::from(([127, 0, 0, 1], ground.port));
    assert_eq!(ground.ask(address, &ground.stage_request(7, "first")), Reply::Done);
    let filler = root.path().join("filler");
    assert!(fs::write(&filler, vec![1; 4 << 20]).is_err(), "the disk is full");
    match ground.ask(address, &ground.commit_request(7, "first")) {
        Reply::Done => assert!(has(&root, "first")),
        Reply::Failed { reason } => {
            assert!(reason.contains("generation 7") && reason.contains("No space left"), "{reason}");
            assert!(has(&root, "by hand"));
            fs::remove_file(&filler).unwrap();
            assert_eq!(ground.ask(address, &ground.commit_request(7, "first")), Reply::Done, "once there is room");
            assert!(has(&root, "first"));
        }
        other => panic!("{other:?}"),
    }
}
