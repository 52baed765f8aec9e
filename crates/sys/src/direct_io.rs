//! Reads and writes of whole blocks that bypass the page cache (`O_DIRECT`, `O_DSYNC`).
//!
//! For the disk heartbeat and disk monitors: a buffered read would return an old copy while anybody holds the device open.
//! Every call may hang for as long as the disk does; call it on a thread that nothing waits for.

use rustix::fs::{self, Mode, OFlags};
use std::{
    io::{self, Seek, SeekFrom},
    os::fd::OwnedFd,
    path::Path,
};

/// Alignment that fits every device: logical blocks are 512 or 4096 bytes.
pub const ALIGNMENT: usize = 4096;
/// Largest buffer, so that a wrong size in a configuration does not take the server's memory.
pub const BUFFER_MAX: usize = 16 << 20;

/// A zeroed buffer whose start is aligned for direct I/O.
#[derive(Debug)]
pub struct AlignedBuffer {
    storage: Vec<u8>,
    start: usize,
    length: usize,
}

impl AlignedBuffer {
    /// Makes a buffer of `length` bytes (at most [`BUFFER_MAX`]), rounded up to whole blocks of [`ALIGNMENT`].
    pub fn new(length: usize) -> AlignedBuffer {
        let length = length.clamp(1, BUFFER_MAX).next_multiple_of(ALIGNMENT);
        let storage = vec![0; length + ALIGNMENT];
        let start = storage.as_ptr().align_offset(ALIGNMENT);
        AlignedBuffer { storage, start, length }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.storage[self.start..self.start + self.length]
    }

    /// The bytes, to be changed.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.storage[self.start..self.start + self.length]
    }
}

/// A file or block device opened for direct I/O.
#[derive(Debug)]
pub struct DirectFile {
    descriptor: OwnedFd,
    block: usize,
    size: u64,
    is_device: bool,
}

/// How a [`DirectFile`] is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Only reading.
    Read,
    /// Reading and writing; writes return when the device has them.
    ReadWrite,
    /// As [`Access::ReadWrite`], and nobody else may hold the device (mounted, swap, part of a volume): then `EBUSY`.
    ReadWriteExclusive,
}

impl DirectFile {
    /// Opens `path` and asks for its logical block size.
    ///
    /// # Errors
    /// The kernel's answer; a file system without direct I/O answers `EINVAL`.
    pub fn open(path: &Path, access: Access) -> io::Result<DirectFile> {
        let flags = OFlags::DIRECT | OFlags::DSYNC | OFlags::CLOEXEC | OFlags::NOCTTY;
        let flags = flags
            | match access {
                Access::Read => OFlags::RDONLY,
                Access::ReadWrite => OFlags::RDWR,
                Access::ReadWriteExclusive => OFlags::RDWR | OFlags::EXCL,
            };
        let descriptor = fs::open(path, flags, Mode::empty())?;
        let is_device = fs::FileType::from_raw_mode(fs::fstat(&descriptor)?.st_mode).is_block_device();
        let block = if is_device { fs::ioctl_blksszget(&descriptor)? as usize } else { ALIGNMENT };
        let mut file = std::fs::File::from(descriptor);
        let size = file.seek(SeekFrom::End(0))?;
        Ok(DirectFile { descriptor: file.into(), block, size, is_device })
    }

    /// The logical block size in bytes; offsets and lengths must be multiples of it.
    pub fn block(&self) -> usize {
        self.block
    }

    /// The size in bytes when it was opened.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Says whether it is a block device (and not a file).
    pub fn is_device(&self) -> bool {
        self.is_device
    }

    /// Fills the first `length` bytes of `buffer` from `offset` on. May hang with the disk.
    ///
    /// # Errors
    /// The device's answer; `UnexpectedEof` behind its end; `InvalidInput` when not in whole blocks.
    pub fn read_at(&self, buffer: &mut AlignedBuffer, length: usize, offset: u64) -> io::Result<()> {
        self.check(buffer, length, offset)?;
        let read = retry(|| rustix::io::pread(&self.descriptor, &mut buffer.bytes_mut()[..length], offset))?;
        if read == length {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the device ends before the block to read"))
        }
    }

    /// Writes the first `length` bytes of `buffer` at `offset`; they are on the device on return. May hang with the disk.
    ///
    /// # Errors
    /// The device's answer; `WriteZero` when not all was written; `InvalidInput` when not in whole blocks.
    pub fn write_at(&self, buffer: &AlignedBuffer, length: usize, offset: u64) -> io::Result<()> {
        self.check(buffer, length, offset)?;
        let written = retry(|| rustix::io::pwrite(&self.descriptor, &buffer.bytes()[..length], offset))?;
        if written == length {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::WriteZero, "the device took only a part of the block"))
        }
    }

    fn check(&self, buffer: &AlignedBuffer, length: usize, offset: u64) -> io::Result<()> {
        let whole = length.is_multiple_of(self.block) && offset.is_multiple_of(self.block as u64);
        if whole && length <= buffer.length {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "direct I/O needs whole blocks"))
        }
    }
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_back_as_written() {
        let file = tempfile::Builder::new().tempfile_in(".").expect("file");
        file.as_file().set_len(3 * ALIGNMENT as u64).expect("size");
        let direct = match DirectFile::open(file.path(), Access::ReadWrite) {
            Ok(direct) => direct,
            Err(error) => return println!("skipped: no direct I/O here: {error}"),
        };
        let mut buffer = AlignedBuffer::new(ALIGNMENT);
        buffer.bytes_mut().fill(7);
        direct.write_at(&buffer, ALIGNMENT, ALIGNMENT as u64).expect("write");
        buffer.bytes_mut().fill(0);
        direct.read_at(&mut buffer, ALIGNMENT, ALIGNMENT as u64).expect("read");
        assert!(buffer.bytes().iter().all(|byte| *byte == 7));
        assert_eq!(direct.size(), 3 * ALIGNMENT as u64);
        let behind = direct.read_at(&mut buffer, ALIGNMENT, 3 * ALIGNMENT as u64).expect_err("behind the end");
        assert_eq!(behind.kind(), io::ErrorKind::UnexpectedEof);
        let odd = direct.read_at(&mut buffer, 100, 0).expect_err("no whole block");
        assert_eq!(odd.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn buffers_are_aligned_and_bounded() {
        for length in [0, 1, 512, 4096, 4097] {
            let buffer = AlignedBuffer::new(length);
            assert_eq!(buffer.bytes().as_ptr() as usize % ALIGNMENT, 0);
            assert!(buffer.bytes().len() >= length.max(1));
        }
        assert_eq!(AlignedBuffer::new(usize::MAX).bytes().len(), BUFFER_MAX);
    }
}
