//! The partition table of the shared disk: a GUID partition table (UEFI 2.10, chapter 5), since an older one has room for four.
//!
//! Only written: the kernel reads it, or partx(8) where the kernel has no reader.

use anyhow::{Context, Result};
use std::{fs::File, os::unix::fs::FileExt};

/// Bytes of a sector.
pub const SECTOR: u64 = 512;
/// Entries of the table; the specification asks for room for at least so many.
const ENTRIES: usize = 128;
/// Bytes of an entry.
const ENTRY: usize = 128;
/// Sectors of all entries.
const ENTRY_SECTORS: u64 = (ENTRIES * ENTRY) as u64 / SECTOR;
/// Sectors that the copy at the end of the disk takes: the entries and their header.
pub const AT_END: u64 = ENTRY_SECTORS + 1;
/// Type "Linux filesystem data", 0FC63DAF-8483-4772-8E79-3D69D8477DE4.
const LINUX_DATA: [u8; 16] = [0xAF, 0x3D, 0xC6, 0x0F, 0x83, 0x84, 0x72, 0x47, 0x8E, 0x79, 0x3D, 0x69, 0xD8, 0x47, 0x7D, 0xE4];
/// Identity of the disk; those of its partitions differ in the last byte. No lab knows another one's disk.
const IDENTITY: [u8; 16] = *b"MAINSTAY-BENCH-\0";

/// Writes the table of a disk of so many bytes, and its copy at the end: a partition for each start and length in sectors.
///
/// # Errors
/// The image cannot be written.
pub fn write(image: &File, size: u64, partitions: &[(u64, u64)]) -> Result<()> {
    let last = size / SECTOR - 1;
    let entries = entries(partitions);
    let parts = [
        (0, protective(last)),
        (1, header(&entries, 1, last, 2, last)),
        (2, entries.clone()),
        (last - ENTRY_SECTORS, entries.clone()),
        (last, header(&entries, last, 1, last - ENTRY_SECTORS, last)),
    ];
    parts
        .iter()
        .try_for_each(|(sector, bytes)| image.write_all_at(bytes, sector * SECTOR))
        .context("cannot write the partition table")
}

/// The old table that tells programs which know no other that the disk is in use.
fn protective(last: u64) -> Vec<u8> {
    let mut sector = vec![0_u8; SECTOR as usize];
    sector[446..462].copy_from_slice(&[0, 0, 2, 0, 0xEE, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0, 0, 0, 0, 0]);
    sector[458..462].copy_from_slice(&u32::try_from(last).unwrap_or(u32::MAX).to_le_bytes());
    sector[510..].copy_from_slice(&[0x55, 0xAA]);
    sector
}

fn entries(partitions: &[(u64, u64)]) -> Vec<u8> {
    let mut table = vec![0_u8; ENTRIES * ENTRY];
    for ((start, length), (entry, number)) in partitions.iter().zip(table.chunks_exact_mut(ENTRY).zip(1_u8..)) {
        entry[..16].copy_from_slice(&LINUX_DATA);
        entry[16..32].copy_from_slice(&IDENTITY);
        entry[31] = number;
        entry[32..40].copy_from_slice(&start.to_le_bytes());
        entry[40..48].copy_from_slice(&(start + length - 1).to_le_bytes());
    }
    table
}

/// The header that stands at sector `here`, with the other one at `other` and its entries at `table`.
fn header(entries: &[u8], here: u64, other: u64, table: u64, last: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(SECTOR as usize);
    header.extend(b"EFI PART");
    header.extend([0, 0, 1, 0, 92, 0, 0, 0]); // revision 1.0, length
    header.extend([0; 8]); // its checksum, counted as zero, and what is reserved
    for number in [here, other, 2 + ENTRY_SECTORS, last - AT_END] {
        header.extend(number.to_le_bytes());
    }
    header.extend(IDENTITY);
    header.extend(table.to_le_bytes());
    for number in [ENTRIES as u32, ENTRY as u32, checksum(entries)] {
        header.extend(number.to_le_bytes());
    }
    let own = checksum(&header);
    header[16..20].copy_from_slice(&own.to_le_bytes());
    header.resize(SECTOR as usize, 0);
    header
}

/// CRC-32 as Ethernet has it.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xEDB8_8320 } else { sum >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::run;

    #[test]
    fn the_checksum_is_the_known_one() {
        assert_eq!(checksum(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn the_table_is_read_as_it_was_meant() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("image");
        let image = File::options().read(true).write(true).create_new(true).open(&path).expect("image");
        image.set_len(64 << 20).expect("size");
        write(&image, 64 << 20, &[(2048, 2048), (4096, 8192), (12_288, 4096), (16_384, 4096), (20_480, 2048)]).expect("written");
        let Ok(said) = run(&["partx", "--show", "--noheadings", "--output", "NR,START,SECTORS", &path.to_string_lossy()]) else {
            return; // where util-linux is not installed
        };
        let numbers: Vec<u64> = said.split_whitespace().map(|word| word.parse().expect("a number")).collect();
        let meant = [[1, 2048, 2048], [2, 4096, 8192], [3, 12_288, 4096], [4, 16_384, 4096], [5, 20_480, 2048]];
        assert_eq!(numbers, meant.concat());
    }
}
