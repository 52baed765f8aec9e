//! Framing: four bytes of length, then JSON. Bounded before anything is allocated.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest message in bytes: a configuration with its scripts.
pub const MESSAGE_MAX: u32 = 32 * 1024 * 1024;

/// Write one message.
///
/// # Errors
/// It is longer than [`MESSAGE_MAX`], or the stream's error.
pub fn write<T: Serialize>(stream: &mut impl Write, message: &T) -> io::Result<()> {
    let bytes = serde_json::to_vec(message).map_err(io::Error::other)?;
    let length = u32::try_from(bytes.len())
        .ok()
        .filter(|length| *length <= MESSAGE_MAX)
        .ok_or_else(|| io::Error::other("the message is too long"))?;
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(&bytes)?;
    stream.flush()
}

/// Read one message.
///
/// # Errors
/// It is longer than [`MESSAGE_MAX`], cut short or no such message, or the stream's error.
pub fn read<T: DeserializeOwned>(stream: &mut impl Read) -> io::Result<T> {
    let mut length = [0u8; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > MESSAGE_MAX {
        return Err(io::Error::other("the message is too long"));
    }
    let mut bytes = Vec::new();
    stream.take(u64::from(length)).read_to_end(&mut bytes)?;
    if bytes.len() != length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    serde_json::from_slice(&bytes).map_err(io::Error::other)
}
