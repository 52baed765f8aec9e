//! The shipped sample and where the declared sections stand in it.

/// Its text.
pub fn sample() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../samples/two-node-disk/clp.conf")).expect("is shipped")
}

/// Where a section stands in the sample.
pub fn place(section: &str) -> &str {
    match section {
        "" => "",
        "group@NAME" => "group@failover1/",
        "resource/TYPE@NAME" | "resource/exec@NAME" => "resource/exec@exec1/",
        "resource/disk@NAME" => "resource/disk@disk1/",
        "resource/fip@NAME" => "resource/fip@fip1/",
        "monitor/TYPE@NAME" | "monitor/diskw@NAME" => "monitor/diskw@diskw1/",
        "monitor/userw@NAME" => "monitor/userw@userw/",
        "monitor/miiw@NAME" => "monitor/miiw@miiw2/",
        "networkpartition/pingnp@NAME" => "networkpartition/pingnp@pingnp1/",
        other => panic!("section {other} has no example here"),
    }
}
