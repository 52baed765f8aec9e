//! Every declared parameter has a label, and what scripts cut at stands where they cut.

use super::*;

fn sample() -> (Document, Configuration) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/two-node-disk/clp.conf");
    let document = Document::read(&std::fs::read(path).unwrap()).unwrap();
    let configuration = Configuration::from_document(&document).unwrap();
    (document, configuration)
}

fn shown(kind: Objects, name: Option<&str>, detail: bool) -> String {
    let (document, configuration) = sample();
    listing(&document, &configuration, &[kind], name, detail, &Seen::default()).unwrap()
}

#[test]
fn every_declared_parameter_has_a_label_that_fits_its_column() {
    for (section, params) in SECTIONS {
        for param in *params {
            let label = labels::label(section, param.path);
            assert!(!label.is_empty() && label.len() < 50, "{section} {}: {label:?}", param.path);
        }
    }
}

#[test]
fn labels_and_colons_stand_where_scripts_cut() {
    let monitors = shown(Objects::Monitors, Some("userw"), false);
    // Its number is its place among all, also when it is shown alone.
    assert_eq!(
        monitors.lines().take(6).collect::<Vec<_>>(),
        [
            " =======================  CLUSTER INFORMATION  =======================",
            " [Monitor3 : userw]",
            "    Type                                                     : userw",
            "    Comment                                                  : ",
            "    Method                                                   : softdog",
            "    Action                                                   : RESET",
        ]
    );
    assert!(monitors.contains("\n    Use HB interval and timeout                              : On\n"), "{monitors}");
    assert_eq!(monitors.lines().last().map(str::len), Some(70));
    let heartbeats = shown(Objects::Heartbeats, None, false);
    assert!(heartbeats.contains(" [HB3 : diskhb1]\n  Type                                                   : diskhb\n  Comment                                                : DISK Heartbeat\n"), "{heartbeats}");
    for (kind, column) in [(Objects::Servers, 57), (Objects::Partitions, 57), (Objects::Groups, 61), (Objects::Cluster, 61)] {
        let text = shown(kind, None, true);
        for line in text.lines().filter(|line| line.starts_with("  ")) {
            assert_eq!(line.find(": "), Some(column), "{line}");
        }
    }
}

#[test]
fn scripts_find_exactly_one_line() {
    let servers = shown(Objects::Servers, None, false);
    let heads: Vec<&str> = servers.lines().filter(|line| line.contains("Server")).collect();
    assert_eq!(heads, [" [Server0 : server1]", " [Server1 : server2]"]);
    let address = shown(Objects::Resources, Some("fip1"), false);
    let lines: Vec<&str> = address.lines().filter(|line| line.contains("IP")).collect();
    assert_eq!(lines.len(), 1, "{address}");
    assert_eq!(lines[0].split(':').nth(1).map(str::trim), Some("10.0.0.12"));
    assert!(
        shown(Objects::Cluster, None, true).contains("    Shutdown Monitoring Method                               : softdog\n")
    );
    assert!(!shown(Objects::Cluster, None, false).contains("Shutdown Monitoring"));
}

#[test]
fn a_name_that_does_not_exist_is_answered_with_those_that_do() {
    let (document, configuration) = sample();
    let known = listing(&document, &configuration, &[Objects::Groups], Some("nosuch"), false, &Seen::default()).unwrap_err();
    assert_eq!(known, ["ManagementGroup", "failover1"]);
}

#[test]
fn everything_is_listed_with_the_values_in_force() {
    let (document, configuration) = sample();
    let text = listing(&document, &configuration, ALL, None, true, &Seen::default()).unwrap();
    for line in [
        "    Heartbeat Timeout                                        : 1000 milliseconds",
        "  Device on server1                                      : /dev/sdb1",
        "  Targets                                                : 192.168.0.254",
        "    Failover Policy                                          : server1, server2",
        "    Depends On                                               : fip1, disk1",
        "    Mount Point                                              : /mnt/sdb2",
        "    Mount Timeout                                            : 180 seconds",
        "    Interval                                                 : 10 seconds",
        "    Automatic Failback                                       : Off",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
    }
}

#[test]
fn heartbeats_show_their_role_and_with_detail_what_was_measured() {
    let plain = shown(Objects::Heartbeats, None, false);
    let roles: Vec<&str> = plain.lines().filter(|line| line.contains("Role")).map(|line| line[59..].trim()).collect();
    assert_eq!(roles, ["dedicated interconnect", "backup interconnect (public LAN)"]);
    let statistics = PathStatistics {
        server: "server2".into(),
        received: 1000,
        lost: 7,
        recent: 128,
        recent_lost: 2,
        delay_us: Some(340),
        delay_max_us: None,
        messages: 4,
    };
    let measured = PathStatus {
        name: "lankhb2".into(),
        kind: "lankhb".into(),
        status: "Normal".into(),
        peers: Vec::new(),
        note: String::new(),
        refused: Vec::new(),
        statistics: vec![statistics],
        role: "backup".into(),
    };
    let (document, configuration) = sample();
    let text = listing(
        &document,
        &configuration,
        &[Objects::Heartbeats],
        Some("lankhb2"),
        true,
        &Seen { paths: vec![measured], ..Seen::default() },
    )
    .unwrap();
    let line = |label: &str| text.lines().find(|line| line.contains(label)).map(|line| line[59..].to_string());
    assert_eq!(line("Heartbeats From server2").as_deref(), Some("1000 received, 7 lost (2 of the last 128)"));
    assert_eq!(line("Delay From server2").as_deref(), Some("0.3 ms, at most not known"));
}
