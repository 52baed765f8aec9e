//! What the search for faults in the datagram decoder starts from is read: a changed coding must not leave it with nothing.

use clp_protocol::datagram::read_body;

#[test]
fn the_seeds_of_every_message_and_of_a_frame_are_read() {
    let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/datagram");
    let names = (0..=10).map(|number| format!("message{number}")).chain(["whole-frame".to_string()]);
    for name in names {
        let bytes = std::fs::read(seeds.join(&name)).expect("it is committed");
        let (kind, body) = bytes.split_first().expect("a kind and a body");
        let read = read_body(*kind, body);
        assert!(read.is_ok(), "{name}: {read:?}");
    }
}
