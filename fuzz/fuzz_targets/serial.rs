//! A COM line: any bytes, cut anywhere, give whole frames or nothing; a frame after garbage arrives.
#![no_main]

use clp_sys::serial;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut whole = Vec::new();
    serial::Decoder::default().take(bytes, |frame| whole.push(frame));
    let mut pieces = Vec::new();
    let mut decoder = serial::Decoder::default();
    bytes.chunks(3).for_each(|chunk| decoder.take(chunk, |frame| pieces.push(frame)));
    assert_eq!(whole, pieces);
    if let Some(encoded) = serial::encode(bytes) {
        let mut found = Vec::new();
        decoder.take(&encoded, |frame| found.push(frame));
        assert_eq!(found.last().map(Vec::as_slice), Some(bytes));
    }
});
