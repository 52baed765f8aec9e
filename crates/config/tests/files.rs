//! Real files load and are written back byte-equal; broken ones are refused with a reason and never do harm.

use clp_config::{Configuration, Document, ReadError};
use proptest::prelude::*;

fn data(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|cause| panic!("{path}: {cause}"))
}

fn sample() -> Vec<u8> {
    std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../samples/two-node-disk/clp.conf")).expect("the sample is shipped")
}

const LINUX: &[&str] = &[
    "linux-3.3.1-nine-groups.clp.conf",
    "linux-3.3.3-vma.clp.conf",
    "linux-4.1.1-template.clp.conf",
    "linux-4.2-sss-template.clp.conf",
    "linux-4.x-template-iscsi.clp.conf",
    "linux-5.3.1-mirror-eucjp-crlf.clp.conf",
    "linux-generated-base.clp.conf",
    "linux-generated-mariadb-apache.clp.conf",
    "linux-generated-shared-disk-lvm.clp.conf",
];

// S-BLD-OPEN
#[test]
fn every_linux_file_is_written_back_byte_equal() {
    for name in LINUX {
        let bytes = data(name);
        let mut document = Document::read(&bytes).unwrap_or_else(|cause| panic!("{name}: {cause}"));
        assert!(document.write() == bytes, "{name} unchanged");
        // Setting a value to itself goes through the tree: everything else must come out of it as it went in.
        let before = document.get("cluster/name").unwrap_or_default();
        document.set("cluster/name", "changed-and-back").expect("ASCII");
        assert_eq!(document.get("cluster/name").as_deref(), Some("changed-and-back"), "{name}");
        document.set("cluster/name", &before).expect("as it was");
        let tree = Document::read(&document.write()).unwrap_or_else(|cause| panic!("{name} rewritten: {cause}"));
        assert_eq!(tree.get("cluster/name").unwrap_or_default(), before, "{name}");
        let raw = String::from_utf8_lossy(&bytes).replace(&format!("<name>{before}</name>"), "");
        let rewritten = String::from_utf8_lossy(&document.write()).replace(&format!("<name>{before}</name>"), "");
        assert_eq!(rewritten.len(), raw.len(), "{name}: only the value was touched");
    }
}

#[test]
fn types_that_cannot_run_are_named_all_at_once() {
    let document = Document::read(&data("linux-generated-shared-disk-lvm.clp.conf")).expect("loads");
    let problems = Configuration::from_document(&document).expect_err("volmgr cannot run yet");
    let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(text.iter().any(|line| line.contains("resource type volmgr")), "{text:#?}");
    assert!(text.iter().any(|line| line.contains("volmgrw")), "{text:#?}");
}

#[test]
fn a_windows_file_is_refused_by_name() {
    let error = Document::read(&data("windows-mirror.clp.conf")).expect_err("Windows");
    assert_eq!(error, ReadError::Windows);
    assert!(error.to_string().contains("Windows"));
}

// S-SMP-2N-DISK S-ODD-FIPADDR S-ODD-PINGNP S-ODD-RAWNAME
#[test]
fn the_two_server_sample_has_the_values_of_the_guide() {
    let document = Document::read(&sample()).expect("loads");
    assert_eq!(document.write(), sample());
    let configuration = Configuration::from_document(&document).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!(configuration.cluster.name, "cluster");
    let names: Vec<&str> = configuration.servers.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(names, ["server1", "server2"]);
    assert_eq!(configuration.servers[1].lan_addresses()[0].to_string(), "192.168.0.2");
    assert_eq!(configuration.servers[0].device(300).map(|d| d.info.as_str()), Some("/dev/sdb1"));
    assert_eq!(configuration.servers[0].device(200).map(|d| d.info.as_str()), Some("/dev/ttyS0"));
    let value = |path: &str| document.get(path).unwrap_or_default();
    assert_eq!(value("resource/fip@ManagementIP/parameters/ip"), "10.0.0.11");
    assert_eq!(value("resource/fip@fip1/parameters/ip"), "10.0.0.12");
    assert_eq!(value("resource/disk@disk1/parameters/fs"), "ext3");
    assert_eq!(value("resource/disk@disk1/parameters/mount/point"), "/mnt/sdb2");
    assert_eq!(value("monitor/diskw@diskw1/parameters/rawdevice"), "/dev/raw/raw1");
    assert_eq!(value("monitor/diskw@diskw1/emergency/action"), "4");
    assert_eq!(configuration.partitions.len(), 1);
    let monitors: Vec<&str> = configuration.monitors.iter().map(|monitor| monitor.name.as_str()).collect();
    assert_eq!(monitors, ["userw", "diskw1", "miiw1", "miiw2"]);
}

#[test]
fn defaults_lie_in_their_ranges_and_have_help() {
    for (section, params) in clp_config::schema::SECTIONS {
        for param in *params {
            assert!(!param.help.is_empty(), "{section}/{}", param.path);
            let numeric = !matches!(param.unit, "text" | "secret text");
            if numeric {
                let value: u64 = param.default.parse().unwrap_or_else(|_| panic!("{section}/{}", param.path));
                assert!((param.min..=param.max).contains(&value), "{section}/{}", param.path);
            }
        }
    }
}

#[test]
fn a_file_without_the_element_means_ninety_seconds() {
    let document = Document::read(b"<root><cluster><name>c</name></cluster></root>").expect("well-formed");
    let mut problems = Vec::new();
    let cluster = clp_config::configuration::Cluster::read(document.root(), &mut problems);
    assert_eq!(cluster.heartbeat_timeout.as_secs(), 90);
    assert_eq!(cluster.heartbeat_interval.as_secs(), 3);
}

#[test]
fn broken_files_are_refused_with_their_reason() {
    let deep = "<root>".to_string() + &"<a>".repeat(100) + &"</a>".repeat(100) + "</root>";
    let table: Vec<(Vec<u8>, &str)> = vec![
        (b"".to_vec(), "no element"),
        (b"<root><a></root>".to_vec(), "not well-formed"),
        (b"<!DOCTYPE root [<!ENTITY x \"y\">]><root/>".to_vec(), "DOCTYPE"),
        (deep.into_bytes(), "nested deeper"),
        (vec![b' '; 5 * 1024 * 1024], "bytes"),
        (b"<?xml version=\"1.0\" encoding=\"EBCDIC\"?><root/>".to_vec(), "EBCDIC"),
        (b"<?xml version=\"1.0\" encoding=\"UTF-8\"?><root>\xff\xfe</root>".to_vec(), "not valid UTF-8"),
        (b"<cluster/>".to_vec(), "outermost"),
        (b"<root/><root/>".to_vec(), "second outermost"),
    ];
    for (bytes, words) in table {
        let error = Document::read(&bytes).expect_err(words);
        assert!(error.to_string().contains(words), "{error} should say {words}");
    }
}

#[test]
fn values_outside_their_range_are_all_reported_with_path_and_remedy() {
    let text = String::from_utf8(sample()).expect("ASCII");
    let broken = text
        .replace("<timeout>1000</timeout>", "<timeout>7</timeout>")
        .replace("<ip>10.0.0.12</ip>", "<ip>10.0.0.1234</ip>")
        .replace("<name>failover1</name>", "<name>nothere</name>");
    let document = Document::read(broken.as_bytes()).expect("well-formed");
    let problems = Configuration::from_document(&document).expect_err("three problems");
    let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
    for words in ["cluster/heartbeat/timeout", "fip@fip1/parameters/ip", "no group nothere"] {
        assert!(all.iter().any(|line| line.contains(words)), "{words} in {all:#?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn mutated_files_never_panic(edits in proptest::collection::vec((0usize..20_000, any::<u8>()), 1..20), cut in 0usize..20_000) {
        let mut bytes = sample();
        for (at, byte) in edits {
            let length = bytes.len();
            bytes[at % length] = byte;
        }
        bytes.truncate(cut.max(1));
        if let Ok(document) = Document::read(&bytes) {
            prop_assert_eq!(document.write(), bytes);
            let _ = Configuration::from_document(&document);
        }
    }
}
