//! Golden listings: every column of the layouts that scripts parse, byte for byte.

use clp_protocol::control::{
    CONTROL_VERSION, ClusterStatus, GroupStatus, MonitorStatus, PathStatus, ResourceStatus, ServerStatus,
};

use super::*;

fn path(name: &str, kind: &str, status: &str, peers: &[&str]) -> PathStatus {
    PathStatus {
        name: name.into(),
        kind: kind.into(),
        status: status.into(),
        peers: peers.iter().map(ToString::to_string).collect(),
        note: String::new(),
        refused: Vec::new(),
        statistics: Vec::new(),
        role: String::new(),
    }
}

fn server(name: &str, comment: &str, status: &str, paths: Vec<PathStatus>) -> ServerStatus {
    ServerStatus {
        name: name.into(),
        comment: comment.into(),
        status: status.into(),
        note: String::new(),
        paths,
        gate: String::new(),
    }
}

fn group(name: &str, status: &str, current: Option<&str>, resources: &[(&str, &str)]) -> GroupStatus {
    GroupStatus {
        name: name.into(),
        comment: String::new(),
        kind: "failover".into(),
        status: status.into(),
        current: current.map(String::from),
        resources: resources
            .iter()
            .map(|(name, kind)| ResourceStatus {
                name: (*name).into(),
                kind: (*kind).into(),
                comment: String::new(),
                status: status.into(),
            })
            .collect(),
        note: String::new(),
    }
}

fn monitor(name: &str, status: &str, servers: &[&str]) -> MonitorStatus {
    MonitorStatus {
        name: name.into(),
        kind: "userw".into(),
        comment: String::new(),
        status: status.into(),
        servers: servers.iter().map(ToString::to_string).collect(),
        note: String::new(),
    }
}

fn sample() -> ClusterStatus {
    ClusterStatus {
        version: CONTROL_VERSION,
        cluster: "cluster1".into(),
        comment: String::new(),
        suspended: false,
        timeout_ratio: None,
        local: "server1".into(),
        coordinator: Some("server1".into()),
        right: "held".into(),
        servers: vec![
            server(
                "server1",
                "primary server",
                "Online",
                vec![
                    path("lankhb1", "lankhb", "Normal", &["Normal", "Normal"]),
                    path("diskhb1", "diskhb", "Normal", &["Normal", "Normal"]),
                    path("pingnp1", "pingnp", "Normal", &[]),
                ],
            ),
            server(
                "server2",
                "",
                "Online",
                vec![
                    path("lankhb1", "lankhb", "Normal", &["Normal", "Normal"]),
                    path("diskhb1", "diskhb", "Error", &["Error", "Normal"]),
                    path("pingnp1", "pingnp", "Normal", &[]),
                ],
            ),
        ],
        groups: vec![
            group("failover1", "Online", Some("server1"), &[("fip1", "fip"), ("exec1", "exec")]),
            group("failover2", "Online Pending", Some("server1"), &[]),
            group("failover3", "Offline", None, &[]),
        ],
        monitors: vec![monitor("userw", "Normal", &["Online", "Offline"]), monitor("fipw1", "Normal", &["Online", "Online"])],
    }
}

#[test]
fn default_listing_has_every_column_of_the_layout() {
    let expected = " ========================  CLUSTER STATUS  ===========================
  Cluster : cluster1
  <server>
   *server1 .........: Online           primary server
      lankhb1        : Normal           Kernel Mode LAN Heartbeat
      diskhb1        : Normal           DISK Heartbeat
      pingnp1        : Normal           ping resolution
    server2 .........: Online           \n      lankhb1        : Normal           Kernel Mode LAN Heartbeat
      diskhb1        : Error            DISK Heartbeat
      pingnp1        : Normal           ping resolution
  <group>
    failover1 .......: Online           \n      current        : server1
      exec1          : Online           \n      fip1           : Online           \n    failover2 .......: Online Pending   \n      current        : server1
    failover3 .......: Offline          \n      current        : None
  <monitor>
    fipw1            : Normal           \n    userw            : Normal           \n =====================================================================
";
    let listing = listing(&sample(), SHORT, false);
    assert_eq!(listing, expected);
    for line in listing.lines().filter(|line| line.contains(": ") && !line.contains("Cluster :")) {
        assert_eq!(line.find(':'), Some(21), "{line}");
        assert!(line.contains("current") || line.len() >= 40, "{line:?}");
    }
    assert_eq!(listing.lines().next().map(str::len), Some(70));
    assert_eq!(listing.lines().last().map(str::len), Some(70));
}

#[test]
fn local_listing_shows_monitors_as_they_are_on_the_server_of_the_view() {
    let mut status = sample();
    status.local = "server2".into();
    let listing = listing(&status, SHORT, true);
    assert!(listing.contains("\n    userw            : Offline          \n"), "{listing}");
    assert!(
        listing.contains("\n    server1 .........: Online           primary server\n   *") || listing.contains("\n   *server2 ")
    );
    assert_eq!(listing.matches('*').count(), 1);
}

#[test]
fn long_listing_has_its_colon_at_column_38() {
    let listing = listing(&sample(), LONG, false);
    assert!(listing.contains("\n   *server1 ..........................: Online           primary server\n"), "{listing}");
    assert!(listing.contains("\n      lankhb1                         : Normal           Kernel Mode LAN Heartbeat\n"));
    assert!(listing.contains("\n      current                         : server1\n"));
    assert!(listing.contains("\n    userw                             : Normal           \n"));
    assert_eq!(listing.lines().next().map(str::len), Some(70));
}

#[test]
fn long_names_are_cut_and_the_colon_stays() {
    let mut status = sample();
    status.servers[0].name = "a-server-of-twenty-x".into();
    status.servers[0].paths[0].name = "a-heartbeat-name-x".into();
    status.groups[0].name = "a-group-of-17-let".into();
    status.groups[0].resources[0].name = "sixteen-letters-".into();
    status.monitors[0].name = "a-monitor-of-twenty-".into();
    let listing = listing(&status, SHORT, false);
    for line in [
        "    a-server-of-twen : Online           primary server",
        "      a-heartbeat-na : Normal           Kernel Mode LAN Heartbeat",
        "    a-group-of-17-le : Online           ",
        "      sixteen-letter : Online           ",
        "    a-monitor-of-twe : Normal           ",
    ] {
        assert!(listing.contains(&format!("\n{line}\n")), "{line}\n{listing}");
    }
}

#[test]
fn comments_cannot_bring_control_characters() {
    let mut status = sample();
    status.servers[0].comment = "a\tb\r\nc\u{1b}[31m".into();
    let listing = listing(&status, SHORT, false);
    assert!(listing.contains("   *server1 .........: Online           a b  c [31m\n"), "{listing:?}");
}

#[test]
fn group_map_has_every_column_of_the_layout() {
    let expected = " ======================  GROUPMAP INFORMATION  =======================
  Cluster : cluster1
   *server0 : server1
    server1 : server2

  --------------------------------------------------------------------
    server0 [o] : failover1[o] failover2[p] \n    server1 [x] : \n =====================================================================
";
    let mut status = sample();
    status.servers[1].status = "Offline".into();
    assert_eq!(group_map(&status), expected);
}

#[test]
fn heartbeats_have_a_head_for_every_server_and_a_mark_for_every_path() {
    let expected = " ===================  HEARTBEAT RESOURCE STATUS  =====================
  Cluster : cluster1
   *server0 : server1
    server1 : server2
     HB0 : lankhb1
     HB1 : diskhb1

  [on server0 : Online]
         HB   0  1 \n  --------------------------------------------------------------------
     server0 : o  o \n     server1 : o  o \n
  [on server1 : Online]
         HB   0  1 \n  --------------------------------------------------------------------
     server0 : o  x \n     server1 : o  o \n =====================================================================
";
    assert_eq!(heartbeats(&sample()), expected);
}

#[test]
fn monitors_have_a_head_each_and_a_row_for_every_server() {
    let expected = " ====================  MONITOR RESOURCE STATUS  ======================
  Cluster : cluster1
   *server0 : server1
    server1 : server2

  Monitor0 [fipw1 : Normal]
  --------------------------------------------------------------------
    server0 [o] : Online
    server1 [o] : Online

  Monitor1 [userw : Normal]
  --------------------------------------------------------------------
    server0 [o] : Online
    server1 [o] : Offline
 =====================================================================
";
    assert_eq!(monitors(&sample()), expected);
}
