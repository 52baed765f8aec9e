//! The label of a disk heartbeat partition and the search for other people's data before it is written.
//!
//! Nothing is written to a device without our label except by [`init`], which refuses a device in use and one that
//! carries any signature known here or to blkid(8). It knows signatures, not data: a raw database without one looks empty.

use clp_sys::direct_io::{Access, AlignedBuffer, DirectFile};
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use thiserror::Error;

/// Bytes of the label and of each slot.
pub(super) const BLOCK: usize = 4096;
/// Slots on a device, one per server that a configuration can have, with room to grow.
pub(super) const SLOTS: usize = 64;
/// Smallest device.
const SIZE_MIN: u64 = ((1 + SLOTS) * BLOCK) as u64;
const MAGIC: &[u8; 16] = b"MAINSTAY DISK HB";
const VERSION: u32 = 1;
/// How much is searched at each end of the device.
const SEARCHED: usize = 256 << 10;

/// Why a device was not labelled, or cannot be used as a disk heartbeat.
#[derive(Debug, Error)]
pub enum LabelError {
    /// Somebody else's data.
    #[error("refused to label {}: it carries {found}; choose another partition, or erase it yourself (wipefs -a) if nobody needs it", device.display())]
    Foreign {
        /// The device.
        device: PathBuf,
        /// What was found.
        found: String,
    },
    /// Our own label is there already; the cluster may be using it.
    #[error("{} carries a disk heartbeat label already; nothing to do, or force a new one while the cluster is stopped everywhere", device.display())]
    AlreadyLabelled {
        /// The device.
        device: PathBuf,
    },
    /// Mounted, swap, part of a volume, or used by the daemon.
    #[error("{} is in use; unmount it, or stop the cluster on this server", device.display())]
    InUse {
        /// The device.
        device: PathBuf,
    },
    /// No label of ours.
    #[error("{} carries no disk heartbeat label, so nothing is written to it; check the device name, then label it with --init on one server", device.display())]
    Unlabelled {
        /// The device.
        device: PathBuf,
    },
    /// Too small for all slots.
    #[error("{} has {size} bytes, a disk heartbeat needs {SIZE_MIN}; use a larger partition", device.display())]
    TooSmall {
        /// The device.
        device: PathBuf,
        /// Its size in bytes.
        size: u64,
    },
    /// The device does not work.
    #[error("cannot {what} {}: {cause}; check the device name and the path to the disk", device.display())]
    Device {
        /// The step.
        what: &'static str,
        /// The device.
        device: PathBuf,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
}

/// Labels `device` for disk heartbeats and empties all slots. With `force` an existing label of ours is renewed; foreign
/// data and a device in use are refused all the same. May hang with the disk.
///
/// # Errors
/// See [`LabelError`]; nothing was written unless the error is about writing.
pub fn init(device: &Path, force: bool) -> Result<(), LabelError> {
    let failed = |what, cause| LabelError::Device { what, device: device.to_path_buf(), cause };
    let disk = open_exclusively(device)?;
    let mut buffer = AlignedBuffer::new(BLOCK);
    disk.read_at(&mut buffer, BLOCK, 0).map_err(|cause| failed("read", cause))?;
    if is_label(buffer.bytes()) {
        if !force {
            return Err(LabelError::AlreadyLabelled { device: device.to_path_buf() });
        }
    } else {
        refuse_foreign(device, &disk)?;
    }
    let mut random = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut random))
        .map_err(|cause| failed("make an identity for", cause))?;
    // Slots first: the label makes them valid.
    buffer.bytes_mut().fill(0);
    for slot in 0..SLOTS {
        disk.write_at(&buffer, BLOCK, slot_offset(slot)).map_err(|cause| failed("write to", cause))?;
    }
    write_label(buffer.bytes_mut(), &random);
    disk.write_at(&buffer, BLOCK, 0).map_err(|cause| failed("write to", cause))
}

/// Opens a labelled device for heartbeats; while it is open nobody can mount it or make a file system on it.
pub(super) fn open_labelled(device: &Path) -> Result<DirectFile, LabelError> {
    let disk = open_exclusively(device)?;
    let mut buffer = AlignedBuffer::new(BLOCK);
    disk.read_at(&mut buffer, BLOCK, 0).map_err(|cause| LabelError::Device {
        what: "read",
        device: device.to_path_buf(),
        cause,
    })?;
    if is_label(buffer.bytes()) { Ok(disk) } else { Err(LabelError::Unlabelled { device: device.to_path_buf() }) }
}

pub(super) fn slot_offset(slot: usize) -> u64 {
    ((1 + slot) * BLOCK) as u64
}

fn open_exclusively(device: &Path) -> Result<DirectFile, LabelError> {
    let disk = DirectFile::open(device, Access::ReadWriteExclusive).map_err(|cause| {
        if cause.raw_os_error() == Some(rustix::io::Errno::BUSY.raw_os_error()) {
            LabelError::InUse { device: device.to_path_buf() }
        } else {
            LabelError::Device { what: "open", device: device.to_path_buf(), cause }
        }
    })?;
    if disk.size() < SIZE_MIN {
        return Err(LabelError::TooSmall { device: device.to_path_buf(), size: disk.size() });
    }
    Ok(disk)
}

/// Layout: magic, version, slots, identity, CRC-32C over those; little-endian, the rest zero.
fn write_label(block: &mut [u8], identity: &[u8; 16]) {
    block.fill(0);
    block[..16].copy_from_slice(MAGIC);
    block[16..20].copy_from_slice(&VERSION.to_le_bytes());
    block[20..24].copy_from_slice(&(SLOTS as u32).to_le_bytes());
    block[24..40].copy_from_slice(identity);
    let checksum = crc32c::crc32c(&block[..40]);
    block[40..44].copy_from_slice(&checksum.to_le_bytes());
}

/// Is a device that begins with this block of 4 KiB labelled for disk heartbeats?
pub fn is_label(block: &[u8]) -> bool {
    block.len() >= 44
        && block[..16] == *MAGIC
        && block[16..20] == VERSION.to_le_bytes()
        && block[20..24] == (SLOTS as u32).to_le_bytes()
        && block[40..44] == crc32c::crc32c(&block[..40]).to_le_bytes()
}

fn refuse_foreign(device: &Path, disk: &DirectFile) -> Result<(), LabelError> {
    let failed = |cause| LabelError::Device { what: "read", device: device.to_path_buf(), cause };
    let whole_blocks = disk.size() - disk.size() % BLOCK as u64;
    let length = SEARCHED.min(whole_blocks as usize);
    let mut buffer = AlignedBuffer::new(length);
    disk.read_at(&mut buffer, length, 0).map_err(failed)?;
    let mut found = signature_at_start(buffer.bytes());
    if found.is_none() {
        disk.read_at(&mut buffer, length, whole_blocks - length as u64).map_err(failed)?;
        found = signature_at_end(&buffer.bytes()[..length], whole_blocks);
    }
    match found.map(str::to_string).or_else(|| ask_blkid(device)) {
        Some(found) => Err(LabelError::Foreign { device: device.to_path_buf(), found }),
        None => Ok(()),
    }
}

/// Offset, bytes, what they mean; from the file systems' documents and util-linux' superblock probes.
const AT_START: &[(usize, &[u8], &str)] = &[
    (0, b"MAINSTAY", "a label of another product version"),
    (0x438, &[0x53, 0xEF], "an ext2, ext3 or ext4 file system"),
    (0, b"XFSB", "an XFS file system"),
    (0x1_0040, b"_BHRfS_M", "a btrfs file system"),
    (0x400, &[0x10, 0x20, 0xF5, 0xF2], "an F2FS file system"),
    (0x1_0034, b"ReIsEr", "a ReiserFS file system"),
    (0x8000, b"JFS1", "a JFS file system"),
    (0x2001, b"OCFSV2", "an OCFS2 file system"),
    (0x1_0000, &[0x01, 0x16, 0x19, 0x70], "a GFS2 file system"),
    (0, b"hsqs", "a squashfs file system"),
    (0x8001, b"CD001", "an ISO 9660 file system"),
    (0x8000, &[0xF5, 0xFC, 0x01, 0xA5], "a VxFS file system"),
    (0x2000, &[0xF5, 0xFC, 0x01, 0xA5], "a VxFS file system"),
    (0x400, &[0xF5, 0xFC, 0x01, 0xA5], "a VxFS file system"),
    (0, b"LABELONE", "an LVM physical volume"),
    (0x200, b"LABELONE", "an LVM physical volume"),
    (0x400, b"LABELONE", "an LVM physical volume"),
    (0x600, b"LABELONE", "an LVM physical volume"),
    (0xFF6, b"SWAPSPACE2", "swap space"),
    (0xFF6, b"SWAP-SPACE", "swap space"),
    (0xFFF6, b"SWAPSPACE2", "swap space"),
    (0, b"LUKS\xBA\xBE", "an encrypted volume (LUKS)"),
    (0, &[0xFC, 0x4E, 0x2B, 0xA9], "a RAID member"),
    (0x1000, &[0xFC, 0x4E, 0x2B, 0xA9], "a RAID member"),
    (0x200, b"EFI PART", "a GPT partition table"),
    (0x1000, b"EFI PART", "a GPT partition table"),
    (0x1FE, &[0x55, 0xAA], "a partition table or boot sector"),
    (0x1018, &[0xC6, 0x85, 0x73, 0xF6, 0x4E, 0x1A, 0x45, 0xCA], "a bcache device"),
];

fn signature_at_start(bytes: &[u8]) -> Option<&'static str> {
    AT_START
        .iter()
        .find(|(offset, magic, _)| bytes.get(*offset..).is_some_and(|rest| rest.starts_with(magic)))
        .map(|(_, _, meaning)| *meaning)
}

fn signature_at_end(bytes: &[u8], size: u64) -> Option<&'static str> {
    // RAID superblocks 0.90 (64 KiB aligned, in the last 128 KiB) and 1.0 (4 KiB aligned, at least 8 KiB before the end).
    let raid = bytes.chunks(BLOCK).any(|block| block.starts_with(&[0xFC, 0x4E, 0x2B, 0xA9]));
    let drbd = bytes.windows(4).rev().take(BLOCK).any(|word| word == [0x83, 0x74, 0x02, 0x6B]);
    let gpt = bytes.len() >= 512 && bytes[bytes.len() - 512..].starts_with(b"EFI PART") && size > 0;
    if raid {
        Some("a RAID member")
    } else if gpt {
        Some("a GPT partition table")
    } else if drbd {
        Some("a DRBD device")
    } else {
        None
    }
}

/// What blkid(8) finds by reading the device itself; a missing program finds nothing.
fn ask_blkid(device: &Path) -> Option<String> {
    let output = Command::new("blkid")
        .args(["--probe", "--output", "value", "--match-tag", "TYPE", "--match-tag", "PTTYPE"])
        .arg(device)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    match output.status.code() {
        Some(0) if !text.is_empty() => Some(format!("{text} (says blkid)")),
        Some(8) => Some("several signatures (says blkid)".to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(size: u64) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("folder");
        let path = folder.path().join("disk");
        File::create(&path).expect("image").set_len(size).expect("size");
        (folder, path)
    }

    #[test]
    fn an_empty_device_is_labelled_once() {
        let (_folder, path) = image(1 << 20);
        assert!(matches!(open_labelled(&path), Err(LabelError::Unlabelled { .. })));
        init(&path, false).expect("label");
        open_labelled(&path).expect("labelled");
        assert!(matches!(init(&path, false), Err(LabelError::AlreadyLabelled { .. })));
        init(&path, true).expect("label again");
    }

    #[test]
    fn a_small_device_is_refused() {
        let (_folder, path) = image(SIZE_MIN - 4096);
        assert!(matches!(init(&path, false), Err(LabelError::TooSmall { .. })));
    }

    #[test]
    fn every_known_signature_is_refused_even_when_forced() {
        use std::os::unix::fs::FileExt;
        for (offset, magic, meaning) in AT_START {
            let (_folder, path) = image(1 << 20);
            File::options().write(true).open(&path).and_then(|file| file.write_all_at(magic, *offset as u64)).expect("signature");
            assert!(matches!(init(&path, true), Err(LabelError::Foreign { found, .. }) if found == *meaning), "{meaning}");
        }
    }

    #[test]
    fn real_file_systems_are_refused_and_unharmed() {
        for program in ["mkfs.ext3", "mkfs.ext4", "mkfs.xfs", "mkswap", "mkfs.vfat"] {
            let (_folder, path) = image(320 << 20);
            if !Command::new(program).arg(&path).output().is_ok_and(|output| output.status.success()) {
                println!("skipped: no {program} here");
                continue;
            }
            let mut before = vec![0; SEARCHED];
            File::open(&path).and_then(|mut file| file.read_exact(&mut before)).expect("image");
            assert!(matches!(init(&path, true), Err(LabelError::Foreign { .. })), "{program}");
            assert!(matches!(open_labelled(&path), Err(LabelError::Unlabelled { .. })), "{program}");
            let mut after = vec![0; SEARCHED];
            File::open(&path).and_then(|mut file| file.read_exact(&mut after)).expect("image");
            assert!(before == after, "{program}");
        }
    }
}
