//! The difference of two configurations: what changed, and what must be suspended or stopped for it.

mod sample;

use std::collections::BTreeSet;

use clp_config::difference::{Change, What, diff};
use clp_config::schema::SECTIONS;
use clp_config::value::Apply;
use clp_config::{Configuration, Document};
use sample::{place, sample, sample_with_every_kind};

fn document(text: &str) -> Document {
    Document::read(text.as_bytes()).unwrap_or_else(|cause| panic!("{cause}"))
}

fn changes(old: &str, new: &str) -> Vec<Change> {
    diff(&document(old), &document(new)).list
}

fn shown(list: &[Change]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

#[test]
fn every_declared_parameter_is_found_with_its_class() {
    let old = document(&sample_with_every_kind());
    for (section, params) in SECTIONS {
        for param in *params {
            let path = format!("{}{}", place(section), param.path);
            let mut new = old.clone();
            new.set(&path, "77").unwrap_or_else(|cause| panic!("{cause}"));
            let list = diff(&old, &new).list;
            let [change] = &list[..] else { panic!("{path}: {:?}", shown(&list)) };
            assert_eq!((change.path.as_str(), change.apply), (format!("/root/{path}").as_str(), param.apply));
            assert!(matches!(&change.what, What::Value { new: Some(new), .. } if new == param.shown("77")), "{change}");
            let back = diff(&new, &old).list;
            assert_eq!(back.iter().map(|change| change.apply).collect::<Vec<_>>(), [param.apply], "{path}: back");
        }
    }
}

#[test]
fn what_a_monitor_has_of_its_own_on_one_server_needs_its_suspension() {
    let over = "<miiw name=\"miiw1\"><server name=\"server2\"><parameters><object>bond0</object></parameters></server>";
    let list = changes(&sample(), &sample().replacen("<miiw name=\"miiw1\">", over, 1));
    let found =
        list.iter().find(|change| change.path.ends_with("/parameters/object")).unwrap_or_else(|| panic!("{:?}", shown(&list)));
    assert_eq!(found.path, "/root/monitor/miiw@miiw1/server@server2/parameters/object");
    assert_eq!(found.apply, Apply::SuspendMonitor);
}

#[test]
fn lists_and_objects_have_their_classes() {
    let monitor = "<pidw name=\"pidw1\"><target>exec1</target></pidw>\n\t</monitor>";
    let group = "<group name=\"failover2\"><gid>2</gid></group>\n\t<group name=\"failover1\">";
    let server = "<server name=\"server3\"><priority>2</priority></server>\n\t<server name=\"server1\">";
    let table: &[(&str, &str, &str, Apply)] = &[
        ("<server name=\"server1\">", server, "/root/server@server3: added", Apply::StopCluster),
        ("<info>192.168.0.1</info>", "<info>192.168.0.9</info>", "/root/server@server1/device@0/info: ", Apply::StopCluster),
        ("<comhb name=\"comhb1\">", "<comhb name=\"comhb2\">", "/root/heartbeat/comhb@comhb1: removed", Apply::StopCluster),
        ("<device>200</device>", "<device>201</device>", "/root/heartbeat/comhb@comhb1/device: ", Apply::StopCluster),
        (
            "<ip>192.168.0.254</ip>",
            "<ip>192.168.0.253</ip>",
            "/root/networkpartition/pingnp@pingnp1/grp@0/list@0/ip: ",
            Apply::SuspendCluster,
        ),
        (
            "<pingnp name=\"pingnp1\">",
            "<pingnp name=\"pingnp2\">",
            "/root/networkpartition/pingnp@pingnp2: added",
            Apply::SuspendCluster,
        ),
        ("<group name=\"failover1\">", group, "/root/group@failover2: added", Apply::SuspendCluster),
        ("<resource name=\"exec@exec1\"/>", "", "/root/group@failover1/resource@exec@exec1: \"\" -> none", Apply::StopGroup),
        (
            "<gid>1</gid>",
            "<gid>1</gid><policy name=\"server2\"/>",
            "/root/group@failover1/policy@server2: none -> \"\"",
            Apply::StopGroup,
        ),
        ("<fip name=\"fip1\">", "<fip name=\"fip2\">", "/root/resource/fip@fip2: added", Apply::StopGroup),
        (
            "<fip name=\"fip1\">",
            "<fip name=\"fip1\"><depend name=\"disk1\"/>",
            "/root/resource/fip@fip1/depend@disk1: ",
            Apply::StopGroup,
        ),
        ("</monitor>", monitor, "/root/monitor/pidw@pidw1: added", Apply::SuspendMonitor),
        (
            "<method>3</method>",
            "<later>3</later><method>3</method>",
            "/root/monitor/diskw@diskw1/parameters/later: ",
            Apply::SuspendMonitor,
        ),
        ("<savededition>X</savededition>", "<savededition>SE</savededition>", "/root/trekking/savededition: ", Apply::UploadOnly),
        (
            "<fip name=\"fip1\">",
            "<fip name=\"fip1\"><server name=\"server2\"><parameters><ip>10.0.0.77</ip></parameters></server>",
            "/root/resource/fip@fip1/server@server2/parameters/ip: none -> \"10.0.0.77\"",
            Apply::StopGroup,
        ),
    ];
    for (from, to, words, apply) in table {
        assert!(sample().contains(from), "the sample has no {from}");
        let list = changes(&sample(), &sample().replacen(from, to, 1));
        let found = list.iter().find(|change| change.to_string().starts_with(words));
        let found = found.unwrap_or_else(|| panic!("{words} in {:#?}", shown(&list)));
        assert_eq!(found.apply, *apply, "{found}");
        assert_eq!(list.iter().map(|change| change.apply).max(), Some(*apply), "{:#?}", shown(&list));
    }
}

#[test]
fn a_removed_group_must_be_stopped_and_is_named_with_its_resources() {
    let (before, rest) =
        sample().split_once("<group name=\"failover1\">").map(|(a, b)| (a.to_string(), b.to_string())).expect("there");
    let (_, after) = rest.split_once("</group>").expect("closed");
    let all = diff(&document(&sample()), &document(&format!("{before}{after}")));
    assert_eq!(shown(&all.list), ["/root/group@failover1: removed (stop the group)"]);
    assert_eq!(all.strongest(), Some(Apply::StopGroup));
    assert_eq!(all.names(Apply::StopGroup), BTreeSet::from(["failover1"]));
}

#[test]
fn a_resource_that_moves_to_another_group_needs_both_stopped() {
    let member = "<resource name=\"fip@fip1\"/>";
    let moved = sample()
        .replace(member, "")
        .replace("<resource name=\"fip@ManagementIP\"/>", &format!("{member}<resource name=\"fip@ManagementIP\"/>"));
    let all = diff(&document(&sample()), &document(&moved));
    assert_eq!(all.names(Apply::StopGroup), BTreeSet::from(["ManagementGroup", "failover1"]), "{:?}", shown(&all.list));
}

#[test]
fn what_means_the_same_is_no_difference() {
    for (from, to) in [
        ("<npaction>2</npaction>", ""),
        ("<npaction>2</npaction>", "<npaction> 2 </npaction>"),
        ("<comment></comment>", ""),
        ("<types name=\"fip\"/>", ""),
        ("<gid>1</gid>", "<gid>1</gid>\n<start>1</start><!-- said -->"),
        ("\n", "\r\n"),
        ("<userw name=\"userw\">", "<userw name=\"userw\"><polling><timeout>300</timeout></polling>"),
    ] {
        let new = sample().replace(from, to);
        assert_ne!(new, sample());
        assert_eq!(shown(&changes(&sample(), &new)), [""; 0], "{from} -> {to}");
    }
    // The order of the file is free at every level.
    let (head, tail) = sample().split_once("\n\t<heartbeat>").map(|(a, b)| (a.to_string(), b.to_string())).expect("there");
    let (heartbeats, tail) = tail.split_once("\n\t</heartbeat>").map(|(a, b)| (a.to_string(), b.to_string())).expect("there");
    let moved = format!("{head}{tail}").replace("</root>", &format!("<heartbeat>{heartbeats}</heartbeat></root>"));
    assert_eq!(shown(&changes(&sample(), &moved)), [""; 0]);
}

#[test]
fn configurations_that_differ_in_force_differ_in_the_list() {
    let old = document(&sample());
    let in_force = Configuration::from_document(&old).expect("is valid");
    let mut differing = 0;
    for (section, params) in SECTIONS {
        for param in *params {
            for value in [param.min.to_string(), param.max.to_string()] {
                let mut new = old.clone();
                new.set(&format!("{}{}", place(section), param.path), &value).expect("ASCII");
                let Ok(configuration) = Configuration::from_document(&new) else { continue };
                if configuration != in_force {
                    differing += 1;
                    assert!(!diff(&old, &new).is_empty(), "{section} {} = {value}", param.path);
                }
            }
        }
    }
    assert!(differing > 60, "only {differing} examples");
}
