//! What arrives on a heartbeat path: opening it, and reading a body that opened. The first byte is the kind.
#![no_main]

use clp_protocol::{datagram, seal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut opener = seal::Opener::new(&[7; 32], "cluster", 2);
    let _ = opener.open(0, bytes);
    let Some((kind, body)) = bytes.split_first() else { return };
    match datagram::read_body(*kind, body) {
        Ok(datagram::Datagram::Frame(frame)) => {
            let written = datagram::frame_body(&frame);
            assert!(
                datagram::read_body(datagram::KIND_FRAME, &written).is_ok_and(|again| again == datagram::Datagram::Frame(frame))
            );
        }
        Ok(datagram::Datagram::Message(message)) => {
            let written = datagram::message_body(&message);
            assert!(
                datagram::read_body(datagram::KIND_MESSAGE, &written)
                    .is_ok_and(|again| again == datagram::Datagram::Message(message))
            );
        }
        Err(_) => {}
    }
});
