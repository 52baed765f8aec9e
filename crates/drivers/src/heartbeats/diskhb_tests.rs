//! Tests of the disk heartbeat: on files, and on loop devices where root and loop devices are to be had.

use super::super::tests_support::{Inbox, is_root, until};
use super::*;
use std::{fs::File, process::Command};

const INTERVAL: Duration = Duration::from_millis(20);

/// A shared image and a loop device over it per server, as the servers of a SAN have it; detached one by one.
struct Shared {
    folder: tempfile::TempDir,
    devices: Vec<PathBuf>,
}

impl Shared {
    fn new(servers: usize) -> Option<Shared> {
        if !is_root() {
            return None;
        }
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("folder");
        let mut shared = Shared { folder, devices: Vec::new() };
        File::create(shared.image()).expect("image").set_len(4 << 20).expect("size");
        for _ in 0..servers {
            let output = Command::new("losetup")
                .args(["--find", "--show", "--direct-io=on"])
                .arg(shared.image())
                .output()
                .expect("losetup");
            if !output.status.success() {
                println!("skipped: no loop device: {}", String::from_utf8_lossy(&output.stderr));
                return None;
            }
            shared.devices.push(String::from_utf8_lossy(&output.stdout).trim().into());
        }
        Some(shared)
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("shared")
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        for device in &self.devices {
            // The read-only flag of a loop device outlives it.
            let _ = Command::new("blockdev").arg("--setrw").arg(device).status();
            let _ = Command::new("losetup").arg("-d").arg(device).status();
        }
    }
}

/// Servers see each other through the disk alone.
#[test]
fn servers_see_each_other_through_the_disk() {
    let Some(shared) = Shared::new(2) else { return };
    init(&shared.devices[0], false).expect("label");
    let ((first_inbox, first_sink), (second_inbox, second_sink)) = (Inbox::new(), Inbox::new());
    let mut first = open(5, &shared.devices[0], 0, 2, INTERVAL, first_sink).expect("first");
    let mut second = open(6, &shared.devices[1], 1, 2, INTERVAL, second_sink).expect("second");
    until("both work", || first.status() == PathStatus::Working && second.status() == PathStatus::Working);
    for round in 0..5_u8 {
        let (from_first, from_second) = (vec![round; FRAME_MAX], [round, 1]);
        until("frames arrive both ways", || {
            let _ = (first.send(1, &from_first), second.send(0, &from_second));
            first_inbox.any(|received| received.bytes == from_second && received.path == 5)
                && second_inbox.any(|received| received.bytes == from_first)
        });
    }
    let mounting = Command::new("mkfs.ext4").arg(&shared.devices[0]).output().expect("mkfs");
    assert!(!mounting.status.success(), "a heartbeat partition in use was formatted");
}

#[test]
fn what_was_there_before_is_no_sign_of_life() {
    let Some(shared) = Shared::new(3) else { return };
    init(&shared.devices[0], false).expect("label");
    let (inbox, sink) = Inbox::new();
    let mut dead = open(0, &shared.devices[1], 1, 2, INTERVAL, Inbox::new().1).expect("second");
    let (third_inbox, third_sink) = Inbox::new();
    let _watcher = open(0, &shared.devices[2], 0, 2, INTERVAL, third_sink).expect("watcher");
    until("the last words are on the disk", || {
        let _ = dead.send(0, b"last words");
        third_inbox.any(|received| received.bytes == b"last words")
    });
    drop(dead);
    third_inbox.clear();
    let mut late = open(0, &shared.devices[0], 0, 2, INTERVAL, sink).expect("late");
    let until_quiet = Instant::now() + INTERVAL * 15;
    until("several looks", || {
        let _ = late.send(0, b"here");
        Instant::now() > until_quiet && late.status() == PathStatus::Working
    });
    assert!(!inbox.any(|_| true), "an old slot was reported");
}

#[test]
fn foreign_and_failing_disks_are_not_written_and_recover() {
    let Some(shared) = Shared::new(2) else { return };
    let (inbox, sink) = Inbox::new();
    let mut first = open(0, &shared.devices[0], 0, 2, INTERVAL, Inbox::new().1).expect("first");
    let _ = first.send(0, b"nothing");
    until(
        "the missing label shows",
        || matches!(first.status(), PathStatus::Failed(text) if text.contains("no disk heartbeat label")),
    );
    let bytes = std::fs::read(shared.image()).expect("image");
    assert!(bytes.iter().all(|byte| *byte == 0), "something was written to an unlabelled disk");
    init(&shared.devices[1], false).expect("label");
    let _second = open(0, &shared.devices[1], 1, 2, INTERVAL, sink).expect("second");
    until("works once labelled", || {
        let _ = first.send(0, b"labelled");
        inbox.any(|received| received.bytes == b"labelled")
    });
    let read_only = Command::new("blockdev").arg("--setro").arg(&shared.devices[0]).status().expect("blockdev");
    assert!(read_only.success());
    until("the failure shows", || {
        let _ = first.send(0, b"lost");
        matches!(first.status(), PathStatus::Failed(_))
    });
    assert!(Command::new("blockdev").arg("--setrw").arg(&shared.devices[0]).status().expect("blockdev").success());
    until("works again", || {
        let _ = first.send(0, b"healed");
        inbox.any(|received| received.bytes == b"healed")
    });
}

/// A file system over a loop device that can be frozen: writes to its files then hang as on a dead disk.
struct Freezer {
    folder: tempfile::TempDir,
    is_mounted: bool,
}

impl Freezer {
    fn new() -> Option<Freezer> {
        if !is_root() {
            return None;
        }
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("folder");
        let mut freezer = Freezer { folder, is_mounted: false };
        let (image, point) = (freezer.folder.path().join("image"), freezer.point());
        File::create(&image).expect("image").set_len(32 << 20).expect("size");
        std::fs::create_dir(&point).expect("mount point");
        let works = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
        freezer.is_mounted = works(Command::new("mkfs.ext4").arg("-q").arg(&image))
            && works(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&point));
        if !freezer.is_mounted {
            println!("skipped: no file system can be mounted here");
            return None;
        }
        Some(freezer)
    }

    fn point(&self) -> PathBuf {
        self.folder.path().join("mnt")
    }

    fn set(&self, option: &str) -> bool {
        Command::new("fsfreeze").arg(option).arg(self.point()).output().is_ok_and(|output| output.status.success())
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        if self.is_mounted {
            self.set("--unfreeze");
            until("the file system is unmounted", || {
                Command::new("umount").arg(self.point()).output().is_ok_and(|output| output.status.success())
            });
        }
    }
}

#[test]
fn a_hanging_disk_blocks_only_its_own_thread() {
    let Some(freezer) = Freezer::new() else { return };
    let device = freezer.point().join("disk");
    File::create(&device).expect("image").set_len(1 << 20).expect("size");
    init(&device, false).expect("label");
    let mut disk = open(0, &device, 0, 2, INTERVAL, Inbox::new().1).expect("disk");
    until("the disk works", || disk.send(1, b"frame").is_ok() && disk.status() == PathStatus::Working);
    assert!(freezer.set("--freeze"));
    let mut slowest = Duration::ZERO;
    until("the hang shows", || {
        let before = Instant::now();
        let _ = disk.send(1, b"frame");
        slowest = slowest.max(before.elapsed());
        matches!(disk.status(), PathStatus::Failed(text) if text.contains("has not answered"))
    });
    assert!(slowest < Duration::from_millis(500), "sending blocked for {slowest:?}");
    assert!(freezer.set("--unfreeze"));
    until("the disk works again", || disk.send(1, b"frame").is_ok() && disk.status() == PathStatus::Working);
}

#[test]
fn damaged_slots_are_ignored() {
    let mut block = vec![0; BLOCK];
    write_slot(&mut block, 3, 77, b"frame");
    assert_eq!(read_slot(&block, 3).map(|(seen, frame)| (seen.0, frame)), Some((77, b"frame".as_slice())));
    assert_eq!(read_slot(&block, 2), None, "another server's slot copied here");
    for bit in 0..(HEADER + 5) * 8 {
        let mut damaged = block.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(read_slot(&damaged, 3), None, "bit {bit}");
    }
    write_slot(&mut block, 3, 78, &[1; FRAME_MAX]);
    assert!(read_slot(&block, 3).is_some());
    for end in 0..BLOCK {
        // A block cut short, as a torn write would leave it.
        let _ = read_slot(&block[..end], 3);
    }
}

/// Numbers without a pattern (xorshift64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// What lies in the slot of server 1, by the layout alone: a frame, or nothing that is one.
fn frame_in(block: &[u8]) -> Option<Vec<u8>> {
    let word = |at: usize| u32::from_le_bytes(block[at..at + 4].try_into().expect("four bytes"));
    let frame = block.get(HEADER..HEADER + word(8) as usize)?;
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&block[..24]), frame);
    (block.starts_with(MAGIC) && frame.len() <= FRAME_MAX && word(20) == 1 && word(24) == checksum).then(|| frame.to_vec())
}

/// Five thousand random and as many changed slots, each written to the disk and looked at as in every interval; a million of each
/// with `LONG=1`. A running engine looks once in an interval, so its door cannot be shown so many.
#[test]
fn whatever_lies_in_a_slot_is_a_frame_or_counted_once() {
    let inputs = if std::env::var_os("LONG").is_some_and(|value| !value.is_empty()) { 2_000_000 } else { 10_000 };
    let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("folder");
    let device = folder.path().join("disk");
    File::create(&device).expect("image").set_len(1 << 20).expect("size");
    init(&device, false).expect("label");
    let (inbox, sink) = Inbox::new();
    // Of any age, what changed since the last look was written after it.
    let interval = Duration::from_secs(3600);
    let mut worker = Worker {
        path: 0,
        device: device.clone(),
        my_slot: 0,
        interval,
        pending: PendingFrame::default(),
        status: StatusCell::new(),
        turn_began: Arc::default(),
        dropped: DropCount::default(),
        stop: StopFlag::default(),
        sink,
        sequence: 0,
        seen: vec![None; 2],
        damaged: vec![EMPTY; 2],
        last_look: None,
        buffer: AlignedBuffer::new(BLOCK),
        slots: AlignedBuffer::new(2 * BLOCK),
    };
    let mut disk = None;
    worker.turn(&mut disk).expect("the first look");
    let writer = open_labelled(&device).expect("the other server's disk");
    let mut block = AlignedBuffer::new(BLOCK);
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let (mut frames, mut damaged) = (0_u64, 0_u64);
    for input in 0..inputs {
        let bytes = block.bytes_mut();
        let frame: Vec<u8> = (0..random.below(FRAME_MAX)).map(|_| random.next() as u8).collect();
        write_slot(bytes, 1, random.next(), &frame);
        if input % 2 == 0 {
            // Random, behind a true beginning of any length.
            let kept = random.below(64).min(random.below(64));
            bytes[kept..].fill_with(|| random.next() as u8);
        } else {
            // Changed in up to three places of the header or the frame, or not at all.
            for _ in 0..random.below(4) {
                let at = random.below(HEADER + frame.len());
                bytes[at] = [bytes[at] ^ 1, 0, 0xFF, random.next() as u8][random.below(4)];
            }
        }
        let expected = frame_in(bytes);
        let is_empty = bytes.iter().all(|byte| *byte == 0);
        writer.write_at(&block, BLOCK, slot_offset(1)).expect("the slot is written");
        worker.turn(&mut disk).expect("a look");
        let counted = worker.dropped.current().damaged;
        match expected {
            Some(frame) => {
                assert!(inbox.any(|received| received.bytes == frame), "input {input}: a frame was not told");
                frames += 1;
            }
            None => damaged += u64::from(!is_empty),
        }
        assert_eq!(counted, damaged, "input {input}");
        inbox.clear();
    }
    println!("disk slot: {inputs} looks, {frames} frames, {damaged} damaged");
    assert!(frames > inputs / 10 && damaged > inputs / 2, "{frames} frames, {damaged} damaged of {inputs}");
}
