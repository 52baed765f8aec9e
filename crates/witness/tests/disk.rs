//! A disk that is full: what was added goes on, what cannot be kept is not answered as kept.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ground;

use clp_protocol::witness::Answer;
use ground::{Ground, key, run};
use std::path::PathBuf;
use std::process::Command;

/// A small file system of its own, unmounted at the end.
struct Small(PathBuf);

impl Small {
    /// None without root.
    fn mount(at: PathBuf) -> Option<Small> {
        std::fs::create_dir_all(&at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "clpwitness-test"]).arg(&at).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Small(at))
    }

    fn fill(&self) {
        use std::io::Write;
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        while file.write_all(&[1u8; 512]).is_ok() {}
        assert!(std::fs::write(self.0.join("more"), [1u8; 8192]).is_err(), "it is not full");
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn on_a_full_disk_records_are_written_and_no_cluster_is_added() {
    let ground = Ground::new();
    let Some(small) = Small::mount(ground.state()) else {
        println!("skipped: mounting a file system needs root");
        return;
    };
    let c = ground.add("c");
    let mut witness = ground.start();
    assert_eq!(witness.client(&c).write(0, 1), Answer::Swapped);
    small.fill();
    for number in 2..20 {
        assert_eq!(witness.client(&c).write(0, number), Answer::Swapped, "a write is in place");
    }
    let line = ground.directory.path().join("other");
    std::fs::write(&line, format!("clpwitness-1 {} d\n", clp_services::trust::hex(key("d").bytes()))).unwrap();
    let state = ground.state();
    let (code, _, problem) = run(&["--add", line.to_str().unwrap(), "--state", state.to_str().unwrap()]);
    assert!(code == 1 && problem.contains("No space left"), "{problem}");
    let left = std::fs::read_dir(&state).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().ends_with(".cluster") || name.to_string_lossy().ends_with(".new")
    });
    assert_eq!(left.count(), 1, "nothing half made is left behind");
    witness.kill();
    let witness = ground.start();
    assert_eq!(witness.client(&c).read().0.count, 19);
    drop(witness);
}

#[test]
fn a_disk_that_takes_no_write_is_told_and_the_record_stands() {
    let ground = Ground::new();
    let c = ground.add("c");
    let witness = ground.start();
    for number in [1, 2] {
        assert_eq!(witness.client(&c).write(0, number), Answer::Swapped);
    }
    // No file may be longer than this: the kernel's own way to refuse the next write, which goes to the second block.
    let pid = rustix::process::Pid::from_raw(i32::try_from(witness.child.id()).unwrap()).unwrap();
    let limit = rustix::process::Rlimit { current: Some(4096), maximum: None };
    rustix::process::prlimit(Some(pid), rustix::process::Resource::Fsize, limit).unwrap();
    let answer = witness.client(&c).write(1, 3);
    assert!(matches!(&answer, Answer::Failed { unsure: false, .. }), "{answer:?}");
    assert_eq!(witness.client(&c).read().1, Some(ground::record(0, 2)));
    assert!(witness.said().contains("cannot be written"), "{}", witness.said());
    rustix::process::prlimit(
        Some(pid),
        rustix::process::Resource::Fsize,
        rustix::process::Rlimit { current: None, maximum: None },
    )
    .unwrap();
    assert_eq!(witness.client(&c).write(1, 4), Answer::Swapped, "and it goes on by itself");
}
