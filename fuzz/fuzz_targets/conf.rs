//! A configuration file: no bytes make the reader panic, what is read is written back equal, and a change changes its value only.
#![no_main]

use clp_config::{Configuration, Document, diff};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = Document::read(bytes) else { return };
    assert!(document.write() == bytes, "written back equal");
    assert!(diff(&document, &document).is_empty(), "a file does not differ from itself");
    let _ = Configuration::from_document(&document);
    let mut changed = document.clone();
    if changed.set("cluster/name", "changed").is_ok() {
        let again = Document::read(&changed.write()).expect("a change leaves a file that can be read");
        assert_eq!(again.get("cluster/name").as_deref(), Some("changed"));
    }
});
