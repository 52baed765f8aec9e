//! The file `cluster.key`: a key is what is written there in 64 hexadecimal digits, and nothing else.
#![no_main]

use clp_services::trust;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(key) = trust::read_cluster_key(bytes) else { return };
    let text = std::str::from_utf8(bytes).expect("digits are text");
    assert_eq!(trust::hex(&key), text.trim().to_ascii_lowercase());
});
