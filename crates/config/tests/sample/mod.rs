//! The shipped sample and where the declared sections stand in it.

/// Its text.
pub fn sample() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../samples/two-node-disk/clp.conf")).expect("is shipped")
}

/// The same with a monitor of each kind that it does not use, for looking at their parameters.
pub fn sample_with_every_kind() -> String {
    let more = "<genw name=\"genw1\"/><arpw name=\"arpw1\"/><fipw name=\"fipw1\"/><psw name=\"psw1\"/></monitor>";
    let witness = "<httpnp name=\"httpnp1\"><priority>1</priority><device>0</device><host>10.0.0.9</host></httpnp>\
                   <etcdnp name=\"etcdnp1\"><priority>2</priority><device>0</device><endpoints>10.0.0.9:2379</endpoints></etcdnp>";
    sample().replacen("</monitor>", more, 1).replacen("</pingnp>", &format!("</pingnp>{witness}"), 1)
}

/// Where a section stands in the sample.
pub fn place(section: &str) -> &str {
    match section {
        "" => "",
        "server@NAME" => "server@server1/",
        "group@NAME" => "group@failover1/",
        "resource/TYPE@NAME" | "resource/exec@NAME" => "resource/exec@exec1/",
        "resource/disk@NAME" => "resource/disk@disk1/",
        "resource/fip@NAME" => "resource/fip@fip1/",
        "monitor/TYPE@NAME" | "monitor/diskw@NAME" => "monitor/diskw@diskw1/",
        "monitor/userw@NAME" => "monitor/userw@userw/",
        "monitor/miiw@NAME" => "monitor/miiw@miiw2/",
        "monitor/genw@NAME" => "monitor/genw@genw1/",
        "monitor/arpw@NAME" => "monitor/arpw@arpw1/",
        "monitor/fipw@NAME" => "monitor/fipw@fipw1/",
        "monitor/psw@NAME" => "monitor/psw@psw1/",
        "networkpartition/httpnp@NAME" => "networkpartition/httpnp@httpnp1/",
        "networkpartition/etcdnp@NAME" => "networkpartition/etcdnp@etcdnp1/",
        "networkpartition/pingnp@NAME" => "networkpartition/pingnp@pingnp1/",
        other => panic!("section {other} has no example here"),
    }
}
