//! A block of a disk-heartbeat partition, read as label and as slot: as it lies there, and with checksums made right, so that what
//! stands behind them is searched too. The first byte is the slot.
#![no_main]

use clp_drivers::heartbeats::{FRAME_MAX, diskhb};
use libfuzzer_sys::fuzz_target;

const BLOCK: usize = 4096;
const HEADER: usize = 28;

fuzz_target!(|bytes: &[u8]| {
    let Some((slot, bytes)) = bytes.split_first() else { return };
    let slot = usize::from(*slot);
    let mut block = bytes.to_vec();
    look(&block, slot);
    block.resize(BLOCK, 0);
    look(&block, slot);
    let length = u32::from_le_bytes([block[8], block[9], block[10], block[11]]) as usize;
    if let Some(frame) = block.get(HEADER..HEADER.saturating_add(length)) {
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&block[..24]), frame);
        block[24..28].copy_from_slice(&checksum.to_le_bytes());
        look(&block, slot);
    }
    let checksum = crc32c::crc32c(&block[..40]);
    block[40..44].copy_from_slice(&checksum.to_le_bytes());
    look(&block, slot);
    let frame = &bytes[..bytes.len().min(FRAME_MAX)];
    let mut written = vec![0xFF; BLOCK];
    diskhb::write_slot(&mut written, slot, 7, frame);
    assert_eq!(diskhb::read_slot(&written, slot).map(|((sequence, _), frame)| (sequence, frame)), Some((7, frame)));
    assert!(!diskhb::is_label(&written), "a slot is no label");
});

fn look(block: &[u8], slot: usize) {
    let is_label = diskhb::is_label(block);
    let Some(((sequence, _), frame)) = diskhb::read_slot(block, slot) else { return };
    assert!(!is_label, "a label is no slot");
    let mut again = vec![0; BLOCK];
    diskhb::write_slot(&mut again, slot, sequence, frame);
    let end = HEADER + frame.len();
    assert!(block[..end] == again[..end], "what is read is written back equal");
}
