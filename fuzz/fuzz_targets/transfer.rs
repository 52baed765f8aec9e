//! What arrives at `clusterpro_trn` from somebody with a certificate: a length and a request; of a configuration also what is in it.
#![no_main]

use clp_services::request::Request;
use clp_services::{stage, wire};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    let Ok(request) = wire::read::<Request>(&mut rest) else { return };
    let mut written = Vec::new();
    wire::write(&mut written, &request).expect("a request that was read can be written");
    let again = wire::read::<Request>(&mut written.as_slice()).expect("and read again");
    assert_eq!(format!("{again:?}"), format!("{request:?}"));
    if let Request::Stage { files, checksum, .. } = &request {
        let _ = stage::check(files, checksum);
        // As the sender of a true configuration would have it, so that what stands behind the checksum is searched too.
        if stage::check(files, &stage::checksum(files)).is_ok() {
            for file in files {
                let inside = file.path == "clp.conf" || file.path.starts_with("scripts/");
                assert!(inside && !file.path.split('/').any(|part| part == ".."), "{} leads out of the configuration", file.path);
            }
        }
    }
});
