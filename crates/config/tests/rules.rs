//! Every rule is broken by a small change of the sample, and every declared bound is tried from both sides.

mod sample;

use std::collections::BTreeSet;

use clp_config::schema::SECTIONS;
use clp_config::{Configuration, Document, MonitorKind, Problem, rules};
use sample::{place, sample, sample_with_every_kind};

fn problems(text: &str) -> Vec<Problem> {
    let document = Document::read(text.as_bytes()).unwrap_or_else(|cause| panic!("{cause}"));
    Configuration::from_document(&document).err().unwrap_or_default()
}

const NO_LAN: &str = "<lankhb name=\"lankhb1\">\n\t\t\t<priority>0</priority>\n\t\t\t<device>0</device>\n\t\t</lankhb>\n\t\t<lankhb name=\"lankhb2\">\n\t\t\t<priority>1</priority>\n\t\t\t<device>1</device>\n\t\t</lankhb>";
const PING: &str = "<grp id=\"0\">\n\t\t\t\t<list id=\"0\">\n\t\t\t\t\t<ip>192.168.0.254</ip>\n\t\t\t\t</list>\n\t\t\t</grp>";
const RESOLUTION: &str = "<pingnp name=\"pingnp1\">\n\t\t\t<priority>0</priority>\n\t\t\t<device>10200</device>\n\t\t\t<grp id=\"0\">\n\t\t\t\t<list id=\"0\">\n\t\t\t\t\t<ip>192.168.0.254</ip>\n\t\t\t\t</list>\n\t\t\t</grp>\n\t\t</pingnp>";
const MAJORITY: &str = "<majonp name=\"majonp1\">\n\t\t\t<priority>0</priority>\n\t\t\t<device>10200</device>\n\t\t</majonp>";
const WITNESS: &str = "<httpnp name=\"httpnp1\"><priority>0</priority><device>10200</device><host>witness</host></httpnp>";
const UNASKED: &str = "<httpnp name=\"httpnp1\"><priority>0</priority><device>10700</device><host>10.0.0.9</host></httpnp>";
const NAMED: &str =
    "<etcdnp name=\"etcdnp1\"><priority>0</priority><device>10200</device><endpoints>etcd1:2379</endpoints></etcdnp>";
const EMPTY: &str = "<etcdnp name=\"etcdnp1\"><priority>0</priority><device>10200</device></etcdnp>";
const TWICE: &str = "<etcdnp name=\"etcdnp1\"><priority>0</priority><device>10200</device><endpoints>10.0.0.9:2379,10.0.0.9:2379</endpoints></etcdnp>";
const BLANK: &str = "<etcdnp name=\"etcdnp1\"><priority>0</priority><device>10200</device><endpoints>10.0.0.9:2379</endpoints><prefix>/a b/</prefix></etcdnp>";
const ETCD_UNASKED: &str =
    "<etcdnp name=\"etcdnp1\"><priority>0</priority><device>10800</device><endpoints>10.0.0.9:2379</endpoints></etcdnp>";
const CYCLE: &str = "<disk name=\"disk1\">\n<depend name=\"exec1\"/>";
const IPW: &str = "<ipw name=\"ipw1\"/>\n\t</monitor>";
const BAD_IPW: &str = "<ipw name=\"ipw1\"><parameters><list id=\"0\"><ip>10.0.0</ip></list></parameters></ipw>\n\t</monitor>";
const PIDW: &str = "<pidw name=\"pidw1\"><target>exec1</target></pidw>\n\t</monitor>";
const THIRD: &str = "<server name=\"server3\"><priority>2</priority><device id=\"200\"><type>com</type><info>/dev/ttyS0</info></device></server>\n\t<heartbeat>";
const SERVER1: &str = "<server name=\"server1\">";
const BMC_LOOPBACK: &str =
    "<server name=\"server1\"><mainstay><bmc><address>127.0.0.1</address><password>x</password></bmc></mainstay>";
const BMC_OF_SERVER2: &str =
    "<server name=\"server1\"><mainstay><bmc><address>10.0.0.2</address><password>x</password></bmc></mainstay>";
const BMC_FLOATING: &str =
    "<server name=\"server1\"><mainstay><bmc><address>10.0.0.12</address><password>x</password></bmc></mainstay>";
const BMC_NAME: &str = "<server name=\"server1\"><mainstay><bmc><address>bmc1</address><password>x</password></bmc></mainstay>";
const BMC_OPEN: &str = "<server name=\"server1\"><mainstay><bmc><address>10.0.0.201</address><password>x</password><cipher>0</cipher></bmc></mainstay>";
const BMC_WEAK: &str = "<server name=\"server1\"><mainstay><bmc><address>10.0.0.201</address><password>x</password><privilege>user</privilege></bmc></mainstay>";
const BMC_BARE: &str = "<server name=\"server1\"><mainstay><bmc><address>10.0.0.201</address></bmc></mainstay>";
const MIIW1: &str = "<miiw name=\"miiw1\">";

/// Rule; what is replaced by what in the sample; place, cause and remedy that the problem must name.
#[rustfmt::skip]
const TABLE: &[(&str, &str, &str, &str, &str, &str)] = &[
    ("cluster_has_a_name", "<name>cluster</name>", "", "/root/cluster/name", "has no name", "give it one"),
    ("names_are_unique", "<server name=\"server2\">", "<server name=\"server1\">", "/root/server@server1", "used twice", "rename"),
    ("names_are_unique", "<group name=\"failover1\">", "<group name=\"ManagementGroup\">", "/root/group@ManagementGroup", "used twice", "rename"),
    ("names_are_unique", "<fip name=\"ManagementIP\">", "<fip name=\"fip1\">", "/root/resource@fip1", "used twice", "rename"),
    ("names_are_unique", "<miiw name=\"miiw2\">", MIIW1, "/root/monitor@miiw1", "used twice", "rename"),
    ("names_are_unique", "<lankhb name=\"lankhb2\">", "<lankhb name=\"lankhb1\">", "/root/heartbeat@lankhb1", "used twice", "rename"),
    ("names_are_words", "<group name=\"failover1\">", "<group name=\"fail over\">", "/root/group@fail over", "is no name", "without blanks"),
    ("names_are_words", "<group name=\"failover1\">", "<group name=\"../failover\">", "/root/group@../failover", "is no name", "and slashes"),
    ("names_are_words", "<miiw name=\"miiw1\">", "<miiw name=\"-x\">", "/root/monitor@-x", "is no name", "do not begin with -"),
    ("timeout_holds_several_intervals", "<interval>100</interval>", "<interval>334</interval>", "/root/cluster/heartbeat/timeout", "1000 ms is less than 5 intervals of 334 ms", "raise the time-out or lower"),
    ("at_least_one_lan_heartbeat", NO_LAN, "", "/root/heartbeat", "no LAN heartbeat", "add a lanhb or lankhb"),
    ("heartbeat_devices_exist", "<device>300</device>", "<device>301</device>", "/root/heartbeat/diskhb@diskhb1", "device 301 is configured on 0 servers", "at least two servers"),
    ("heartbeat_devices_exist", "<info>10.0.0.2</info>", "<info>10.0.0.256</info>", "/root/server@server2/device@1/info", "\"10.0.0.256\" is not an address", "give the address of that LAN"),
    ("policies_name_servers", "<gid>1</gid>", "<gid>1</gid><policy name=\"server9\"><order>0</order></policy>", "/root/group@failover1/policy@server9", "no such server", "remove it or correct the name"),
    ("resources_exist", "<resource name=\"fip@fip1\"/>", "<resource name=\"fip@fip1\"/><resource name=\"fip@fip9\"/>", "/root/group@failover1/resource@fip9", "no such resource", "define it or remove it"),
    ("resources_exist", "<resource name=\"fip@ManagementIP\"/>", "<resource name=\"fip@ManagementIP\"/><resource name=\"fip@fip1\"/>", "/root/group@failover1/resource@fip1", "belongs to two groups", "one group"),
    ("dependencies_stay_in_the_group_without_cycle", "<fip name=\"fip1\">", "<fip name=\"fip1\"><depend name=\"ManagementIP\"/>", "/root/resource/fip@fip1/depend", "ManagementIP is not in the same group", "same group"),
    ("dependencies_stay_in_the_group_without_cycle", "<disk name=\"disk1\">", CYCLE, "/root/resource/disk@disk1/depend", "depends on itself", "break the cycle"),
    ("monitors_refer_to_what_exists", MIIW1, "<miiw name=\"miiw1\"><polling><timing>1</timing></polling>", "/root/monitor/miiw@miiw1/target", "its target \"\" is not a resource", "choose a resource, or monitor always"),
    ("monitors_refer_to_what_exists", "<name>failover1</name>", "<name>failover9</name>", "/root/monitor/miiw@miiw2/relation/name", "no group failover9", "choose an existing one"),
    ("monitors_refer_to_what_exists", "<type>grp</type>\n\t\t\t\t<name>failover1</name>", "<type>rsc</type>\n\t\t\t\t<name>fip9</name>", "/root/monitor/miiw@miiw2/relation/name", "no resource fip9", "choose an existing one"),
    ("monitors_refer_to_what_exists", "</monitor>", PIDW, "/root/monitor/pidw@pidw1/target", "not an exec resource with an asynchronous start script", "parameters/act/sync"),
    ("monitors_refer_to_what_exists", MIIW1, "<miiw name=\"miiw1\"><polling><servers id=\"0\"><name>server9</name></servers></polling>", "/root/monitor/miiw@miiw1/polling/servers", "no server server9", "correct the name"),
    ("monitored_things_are_named", MIIW1, "<miiw name=\"miiw1\"><emergency><preaction><default>0</default></preaction></emergency>", "/root/monitor/miiw@miiw1/emergency/preaction/path", "\"preaction.sh\" is not an absolute path", "with its whole path"),
    ("monitored_things_are_named", "</monitor>", "<arpw name=\"arpw1\"><target>fip1</target><parameters><object>disk1</object></parameters></arpw>\n\t</monitor>", "/root/monitor/arpw@arpw1/parameters/object", "\"disk1\" is not a fip resource", "whose address is announced"),
    ("monitored_things_are_named", "</monitor>", "<fipw name=\"fipw1\"><target>disk1</target></fipw>\n\t</monitor>", "/root/monitor/fipw@fipw1/target", "\"disk1\" is not a fip resource", "whose address is watched"),
    ("monitored_things_are_named", "</monitor>", "<psw name=\"psw1\"/>\n\t</monitor>", "/root/monitor/psw@psw1/parameters/processname", "no process is named", "ps -eo cmd"),
    ("monitored_things_are_named", "</monitor>", "<genw name=\"genw1\"><parameters><default>0</default></parameters></genw>\n\t</monitor>", "/root/monitor/genw@genw1/parameters/path", "\"genw.sh\" is not an absolute path", "with its whole path"),
    ("final_actions_can_run", "<disk name=\"disk1\">", "<disk name=\"disk1\"><act><action>11</action></act>", "/root/resource/disk@disk1/act/action", "final action 11", "choose one of them"),
    ("final_actions_can_run", "<disk name=\"disk1\">", "<disk name=\"disk1\"><deact><action>6</action></deact>", "/root/resource/disk@disk1/deact/action", "final action 6", "choose one of them"),
    ("final_actions_can_run", "<action>4</action>", "<action>15</action>", "/root/monitor/diskw@diskw1/emergency/action", "final action 15", "choose one of them"),
    ("final_actions_can_run", "<npaction>2</npaction>", "<npaction>7</npaction>", "/root/cluster/networkpartition/npaction", "action 7", "shutdown (2), reboot (3)"),
    ("final_actions_can_run", "<mainstay>", "<pm><exec0><recover>8</recover></exec0></pm><mainstay>", "/root/pm/exec0/recover", "action 8", "shutdown (2), reboot (3)"),
    ("server_groups_exist", "<gid>1</gid>", "<gid>1</gid><servergroup name=\"svg9\"><order>0</order></servergroup>", "/root/group@failover1/servergroup@svg9", "no such server group", "define it"),
    ("server_groups_exist", "<mainstay>", "<servergroup name=\"svg1\"><policy name=\"server9\"><order>0</order></policy></servergroup><mainstay>", "/root/servergroup@svg1/policy@server9", "no such server", "correct the name"),
    ("server_groups_exist", "<mainstay>", "<servergroup name=\"svg1\"/><mainstay>", "/root/servergroup@svg1", "no server belongs to it", "add one"),
    ("server_groups_exist", "<gid>1</gid>", "<gid>1</gid><servergroup name=\"svg1\"/><policy name=\"server1\"><order>0</order></policy>", "/root/group@failover1/servergroup", "servers of its own", "remove its policy elements"),
    ("names_are_unique", "<mainstay>", "<servergroup name=\"svg1\"/><servergroup name=\"svg1\"/><mainstay>", "/root/servergroup@svg1", "used twice", "rename"),
    ("groups_wait_for_others_without_cycle", "<gid>1</gid>", "<gid>1</gid><depend><act><depend name=\"failover9\"/></act></depend>", "/root/group@failover1/depend/act/depend", "no group failover9", "correct the name"),
    ("groups_wait_for_others_without_cycle", "<gid>1</gid>", "<gid>1</gid><depend><deact><depend name=\"failover1\"/></deact></depend>", "/root/group@failover1/depend/deact/depend", "waits for itself", "break the cycle"),
    ("overrides_name_servers", "<fip name=\"fip1\">", "<fip name=\"fip1\"><server name=\"server9\"><parameters/></server>", "/root/resource/fip@fip1/server@server9", "no such server", "correct the name"),
    ("overrides_name_servers", MIIW1, "<miiw name=\"miiw1\"><server name=\"server9\"><parameters/></server>", "/root/monitor/miiw@miiw1/server@server9", "no such server", "correct the name"),
    ("scripts_before_final_actions_are_named", "<fip name=\"fip1\">", "<fip name=\"fip1\"><act><preaction><use>1</use><default>0</default></preaction></act>", "/root/resource/fip@fip1/act/preaction/path", "\"preaction.sh\" is not an absolute path", "whole path"),
    ("addresses_are_addresses", "<ip>10.0.0.12</ip>", "<ip>10.0.0.12/24</ip>", "/root/resource/fip@fip1/parameters/ip", "\"10.0.0.12/24\" is not an address", "IPv4 or IPv6"),
    ("addresses_are_addresses", "</monitor>", IPW, "/root/monitor/ipw@ipw1/parameters/list", "no address to monitor", "add one"),
    ("addresses_are_addresses", "</monitor>", BAD_IPW, "/root/monitor/ipw@ipw1/parameters/list", "\"10.0.0\" is not an address", "IPv4 or IPv6"),
    ("disks_are_complete", "<device>/dev/sdb2</device>", "", "/root/resource/disk@disk1/parameters/device", "no device", "give the block device"),
    ("disks_are_complete", "<point>/mnt/sdb2</point>", "", "/root/resource/disk@disk1/parameters/mount/point", "no mount point", "give a directory"),
    ("disks_are_complete", "<fs>ext3</fs>", "<fs>ntfs</fs>", "/root/resource/disk@disk1/parameters/fs", "\"ntfs\" is not supported", "ext3"),
    ("disks_are_complete", "<disktype>disk</disktype>", "<disktype>lvm</disktype>", "/root/resource/disk@disk1/parameters/disktype", "disk type lvm", "disk and raw"),
    ("devices_are_used_once", "<device>/dev/sdb2</device>", "<device>/dev/sdb1</device>", "disk1", "/dev/sdb1 is used by diskhb1 too", "its own device"),
    ("devices_are_used_once", "<device>/dev/sdb2</device>", "<device>/dev/sdb2</device><rawdevice>/dev/raw/raw1</rawdevice>", "diskw1", "/dev/raw/raw1 is used by disk1 too", "its own device"),
    ("partitions_have_targets", PING, "", "/root/networkpartition/pingnp@pingnp1", "no address to ask", "add a device that always answers"),
    ("majorities_can_be_had", RESOLUTION, MAJORITY, "/root/networkpartition/majonp@majonp1", "two servers have no majority", "use ping instead"),
    ("shared_disks_need_a_resolution", RESOLUTION, "", "/root/networkpartition", "several servers write to the same disk", "add a ping resolution"),
    ("witnesses_have_addresses", RESOLUTION, WITNESS, "/root/networkpartition/httpnp@httpnp1/host", "\"witness\" is not an address of the witness for server1", "give the IPv4 or IPv6 address"),
    ("witnesses_have_addresses", RESOLUTION, UNASKED, "/root/networkpartition/httpnp@httpnp1", "server1 does not ask this witness", "the device 10700 with the value 1"),
    ("etcds_have_endpoints", RESOLUTION, NAMED, "/root/networkpartition/etcdnp@etcdnp1/endpoints", "\"etcd1:2379\" is not an address with a port of a member for server1", "such as 10.0.0.9:2379"),
    ("etcds_have_endpoints", RESOLUTION, EMPTY, "/root/networkpartition/etcdnp@etcdnp1/endpoints", "server1 has 0 members to ask", "1 to 7 members"),
    ("etcds_have_endpoints", RESOLUTION, TWICE, "/root/networkpartition/etcdnp@etcdnp1/endpoints", "named twice for server1", "name each once"),
    ("etcds_have_endpoints", RESOLUTION, BLANK, "/root/networkpartition/etcdnp@etcdnp1/prefix", "has blanks", "such as /mainstay/"),
    ("etcds_have_endpoints", RESOLUTION, ETCD_UNASKED, "/root/networkpartition/etcdnp@etcdnp1", "server1 does not ask this etcd", "the device 10800 with the value 1"),
    ("forced_stop_reaches_every_server", "<mainstay>", "<mainstay><forcestop><use>1</use></forcestop>", "/root/server@server2/mainstay/bmc/address", "this one has no BMC", "give the address of its BMC"),
    ("forced_stop_reaches_every_server", "<mainstay>", "<mainstay><forcestop><use>1</use><type>script</type></forcestop>", "/root/server@server1/mainstay/bmc/address", "this one has no BMC", "give the address of its BMC"),
    ("forced_stop_reaches_every_server", "<mainstay>", "<mainstay><forcestop><use>1</use><type>script</type><path>../x.sh</path></forcestop>", "/root/mainstay/forcestop/path", "neither an absolute path nor a bare name", "below scripts/"),
    ("forced_stop_reaches_every_server", "<mainstay>", "<mainstay><forcestop><use>1</use><type>wish</type></forcestop>", "/root/mainstay/forcestop/type", "forced stop by \"wish\"", "ipmi and script"),
    ("bmcs_are_told_apart", SERVER1, BMC_LOOPBACK, "/root/server@server1/mainstay/bmc/address", "127.0.0.1 is the address of no BMC", "at which the other servers reach it"),
    ("bmcs_are_told_apart", SERVER1, BMC_OF_SERVER2, "/root/server@server1/mainstay/bmc/address", "10.0.0.2 is an address of server2 itself", "of the BMC"),
    ("bmcs_are_told_apart", SERVER1, BMC_FLOATING, "/root/server@server1/mainstay/bmc/address", "10.0.0.12 is a floating address", "of the BMC"),
    ("bmcs_are_told_apart", SERVER1, BMC_NAME, "/root/server@server1/mainstay/bmc/address", "\"bmc1\" is not an address", "name server"),
    ("bmcs_are_told_apart", SERVER1, BMC_OPEN, "/root/server@server1/mainstay/bmc/cipher", "cipher suite \"0\"", "choose 17"),
    ("bmcs_are_told_apart", SERVER1, BMC_WEAK, "/root/server@server1/mainstay/bmc/privilege", "privilege \"user\"", "choose operator"),
    ("bmcs_are_told_apart", SERVER1, BMC_BARE, "/root/server@server1/mainstay/bmc/passwordfile", "there is no password", "name the file"),
    ("stall_limits_are_numbers", "<disk name=\"disk1\">", "<disk name=\"disk1\"><act><timeout>soon</timeout></act>", "/root/resource/disk@disk1/act/timeout", "\"soon\" is not a number", "give seconds"),
    ("stall_limits_are_numbers", "<disk name=\"disk1\">", "<disk name=\"disk1\"><deact><timeout>0</timeout></deact>", "/root/resource/disk@disk1/deact/timeout", "\"0\" is not a number", "give seconds"),
];

fn check(text: &str, rule: &str, place: &str, cause: &str, remedy: &str) {
    let all = problems(text);
    let found = all.iter().any(|p| p.path.contains(place) && p.what.contains(cause) && p.remedy.contains(remedy));
    assert!(found, "{rule}: {place}: {cause}; {remedy}\nin {all:#?}");
}

#[test]
fn the_sample_breaks_no_rule() {
    assert_eq!(problems(&sample()), []);
}

#[test]
fn a_broken_rule_names_object_cause_and_remedy() {
    for (rule, old, new, place, cause, remedy) in TABLE {
        assert!(sample().contains(old), "{rule}: the sample has no {old}");
        check(&sample().replacen(old, new, 1), rule, place, cause, remedy);
    }
}

const BOTH_BMCS: [(&str, &str); 2] = [
    (
        SERVER1,
        "<server name=\"server1\"><mainstay><bmc><address>10.0.0.201</address><user>cluster</user><passwordfile>/etc/bmc</passwordfile></bmc></mainstay>",
    ),
    (
        "<server name=\"server2\">",
        "<server name=\"server2\"><mainstay><bmc><address>10.0.0.202</address><password>tops3cret</password></bmc></mainstay>",
    ),
];

#[test]
fn two_servers_never_share_a_bmc_and_a_password_is_never_shown() {
    let [one, two] = BOTH_BMCS;
    let used = ("<mainstay>", "<mainstay><forcestop><use>1</use></forcestop>");
    // The cluster's own element, not those of the servers.
    let text = sample().replacen(used.0, used.1, 1).replacen(one.0, one.1, 1).replacen(two.0, two.1, 1);
    assert_eq!(problems(&text), []);
    let same = text.replacen("10.0.0.202", "10.0.0.201", 1);
    check(
        &same,
        "bmcs_are_told_apart",
        "/root/server@server2/mainstay/bmc/address",
        "is the BMC of server1 too",
        "each server its own",
    );
    let read = |text: &str| Document::read(text.as_bytes()).expect("well-formed");
    let configuration = Configuration::from_document(&read(&text)).unwrap_or_else(|problems| panic!("{problems:?}"));
    assert!(!format!("{configuration:?}").contains("tops3cret"), "a log would hold the password");
    let changed = clp_config::diff(&read(&text), &read(&text.replacen("tops3cret", "0ther", 1)));
    let words: Vec<String> = changed.list.iter().map(ToString::to_string).collect();
    assert_eq!(words, ["/root/server@server2/mainstay/bmc/password: \"(hidden)\" -> \"(hidden)\" (upload only)"]);
    assert!(clp_config::holds_password(&read(&text)) && !clp_config::holds_password(&read(&sample())));
}

#[test]
fn a_com_line_joins_two_servers() {
    let text = sample().replacen("\t<heartbeat>\n\t\t<types", &format!("\t{THIRD}\n\t\t<types"), 1);
    check(&text, "heartbeat_devices_exist", "/root/heartbeat/comhb@comhb1", "joins two servers", "leave the device empty");
}

#[test]
fn one_to_thirty_two_servers_are_possible() {
    let with = |count: usize| {
        let servers: String =
            (3..=count).map(|n| format!("<server name=\"server{n}\"><priority>{n}</priority></server>\n")).collect();
        sample().replacen("\t<mainstay>", &format!("{servers}\t<mainstay>"), 1)
    };
    assert_eq!(problems(&with(32)), []);
    check(&with(33), "number_of_servers", "/root/server", "there are 33 servers", "configure 1 to 32");
    check(
        "<root><cluster><name>c</name></cluster></root>",
        "number_of_servers",
        "/root/server",
        "there are 0 servers",
        "configure 1 to 32",
    );
}

/// What is replaced by what in the sample; what the advice says, or nothing.
#[rustfmt::skip]
const ADVICE: &[(&str, &str, &str)] = &[
    ("<name>cluster</name>", "<name>cluster</name>", ""),
    ("<lankhb name=\"lankhb2\">\n\t\t\t<priority>1</priority>\n\t\t\t<device>1</device>\n\t\t</lankhb>", "", "one LAN heartbeat only"),
    (COMHB, "", "add a COM heartbeat (comhb)"),
    (DISKHB, "", "add a disk heartbeat (diskhb)"),
];
const COMHB: &str = "<comhb name=\"comhb1\">\n\t\t\t<priority>2</priority>\n\t\t\t<device>200</device>\n\t\t</comhb>";
const DISKHB: &str = "<diskhb name=\"diskhb1\">\n\t\t\t<priority>3</priority>\n\t\t\t<device>300</device>\n\t\t</diskhb>";

#[test]
fn what_is_unwise_is_said_and_not_refused() {
    let advice = |text: &str| {
        let document = Document::read(text.as_bytes()).unwrap_or_else(|cause| panic!("{cause}"));
        let configuration = Configuration::from_document(&document).unwrap_or_else(|problems| panic!("{problems:?}"));
        clp_config::advise(&configuration).iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
    };
    for (old, new, words) in ADVICE {
        assert!(sample().contains(old), "the sample has no {old}");
        let said = advice(&sample().replacen(old, new, 1));
        assert!(if words.is_empty() { said.is_empty() } else { said.contains(words) && !said.contains('\n') }, "{said}");
    }
    let without = sample().replacen(RESOLUTION, "", 1);
    let chosen = without.replacen("<mainstay>", "<mainstay><networkpartition><none>1</none></networkpartition>", 1);
    assert!(advice(&chosen).contains("destroy its file systems"));
}

/// The rules without a row in the table because their examples do not fit into one replacement.
const ELSEWHERE: &[&str] = &["number_of_servers"];

#[test]
fn every_rule_has_an_example() {
    let rows: BTreeSet<&str> = TABLE.iter().map(|row| row.0).chain(ELSEWHERE.iter().copied()).collect();
    let rules: BTreeSet<&str> = rules::names().collect();
    assert_eq!(rows, rules);
}

/// Problems of the bounds of one parameter when it holds a value; rules between parameters are not meant here.
fn bounds(path: &str, value: &str) -> Vec<String> {
    let mut document = Document::read(sample_with_every_kind().as_bytes()).expect("is valid");
    document.set(path, value).unwrap_or_else(|cause| panic!("{cause}"));
    let all = Configuration::from_document(&document).err().unwrap_or_default();
    let own = all.into_iter().filter(|problem| problem.path == format!("/root/{path}"));
    let words = ["is outside", "is not a whole number", "characters long"];
    own.filter(|problem| words.iter().any(|words| problem.what.contains(words))).map(|problem| problem.to_string()).collect()
}

#[test]
fn every_declared_bound_is_kept_by_the_reader() {
    for (section, params) in SECTIONS {
        for param in *params {
            let path = format!("{}{}", place(section), param.path);
            let is_refused = |value: String, words: &str| {
                let found = bounds(&path, &value);
                assert!(
                    found.len() == 1 && found[0].contains(words) && found[0].contains(param.help),
                    "{path} = {value}: {found:?}"
                );
            };
            let is_taken = |value: String| assert_eq!(bounds(&path, &value), [""; 0], "{path} = {value}");
            if matches!(param.unit, "text" | "secret text") {
                let length = usize::try_from(param.max).expect("small");
                is_taken("1".repeat(length));
                is_refused("1".repeat(length + 1), "characters long");
                continue;
            }
            is_taken(param.min.to_string());
            is_taken(param.max.to_string());
            is_refused((param.max + 1).to_string(), "is outside");
            match param.min.checked_sub(1) {
                Some(below) => is_refused(below.to_string(), "is outside"),
                None => is_refused("-1".into(), "is not a whole number"),
            }
            for text in ["many", "1.5", "0x10", "1 0", "99999999999999999999"] {
                is_refused(text.into(), "is not a whole number");
            }
        }
    }
}

/// Numbers that may be absent are declared as text; the reader keeps their bounds by itself.
#[test]
fn numbers_that_may_be_absent_have_bounds_too() {
    for (path, min, max) in [
        ("mainstay/bootwait", 0u64, 5_940_000u64),
        ("mainstay/takeoverdelay", 0, 999_000),
        ("mainstay/selffence", 50, 999_000),
        ("monitor/miiw@miiw2/emergency/threshold/restart", 0, 99),
        ("monitor/miiw@miiw2/emergency/threshold/fo", 0, 99),
    ] {
        let is_refused = |value: &str| {
            let mut document = Document::read(sample().as_bytes()).expect("is valid");
            document.set(path, value).expect("ASCII");
            let all = Configuration::from_document(&document).err().unwrap_or_default();
            all.iter().any(|problem| problem.path == format!("/root/{path}"))
        };
        for value in [min.to_string(), max.to_string(), String::new()] {
            assert!(!is_refused(&value), "{path} = {value}");
        }
        for value in
            [(max + 1).to_string(), "many".into(), "-1".into(), min.checked_sub(1).map_or("-1".into(), |v| v.to_string())]
        {
            assert!(is_refused(&value), "{path} = {value}");
        }
    }
}

/// Files of different versions leave out different values of the rules for time-outs.
#[test]
fn rules_for_time_outs_depend_on_the_version_that_saved_the_file() {
    let both = |version: &str, written: &str| {
        let rules = format!("<miiw name=\"miiw1\"><emergency><timeout>{written}</timeout></emergency>");
        let text = sample()
            .replacen("<savedinnerversion>300000<", &format!("<savedinnerversion>{version}<"), 1)
            .replacen(MIIW1, &rules, 1);
        let document = Document::read(text.as_bytes()).expect("well-formed");
        let configuration = Configuration::from_document(&document).unwrap_or_else(|problems| panic!("{problems:?}"));
        let found = configuration.monitors.iter().find(|monitor| monitor.name == "miiw1").expect("is there").common.clone();
        (found.timeout_retries, found.timeout_recovers)
    };
    let no_retry = "<notreconfirmation><use>1</use></notreconfirmation>";
    let no_recovery = "<notrecovery><use>1</use></notrecovery>";
    let recovery = "<notrecovery><use>0</use></notrecovery>";
    for (version, written, expected) in [
        ("300000", "", (true, true)),
        ("331102", "", (true, true)),
        ("400000", "", (false, false)),
        ("530123", recovery, (false, true)),
        ("300000", no_retry, (false, true)),
        ("300000", no_recovery, (true, false)),
    ] {
        assert_eq!(both(version, written), expected, "{version} {written}");
    }
    let text = sample().replacen(
        MIIW1,
        "<miiw name=\"miiw1\"><emergency><timeout><notrecovery><use>2</use></notrecovery></timeout></emergency>",
        1,
    );
    assert!(problems(&text).iter().any(|problem| problem.what == "\"2\" is neither 0 nor 1"));
}

#[test]
fn a_monitor_has_parameters_of_its_own_on_one_server() {
    let over = "<miiw name=\"miiw1\"><server name=\"server2\"><parameters><object>bond0</object></parameters></server>";
    let document = Document::read(sample().replacen(MIIW1, over, 1).as_bytes()).expect("well-formed");
    let configuration = Configuration::from_document(&document).unwrap_or_else(|problems| panic!("{problems:?}"));
    let monitor = configuration.monitors.iter().find(|monitor| monitor.name == "miiw1").expect("is there");
    let interface = |server: &str| match monitor.on(server) {
        MonitorKind::Miiw(miiw) => miiw.object.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!((interface("server1"), interface("server2")), ("eth0".into(), "bond0".into()));
    // What is wrong there is found there.
    let wrong = "<psw name=\"psw1\"><parameters><processname>a</processname></parameters><server name=\"server2\"><parameters><processnum>0</processnum></parameters></server></psw></monitor>";
    let all = problems(&sample().replacen("</monitor>", wrong, 1));
    assert!(all.iter().any(|problem| problem.path == "/root/monitor/psw@psw1/server@server2/parameters/processnum"), "{all:?}");
}

/// The user-space monitor's times are the heartbeat's, however fast that is, unless it has its own.
#[test]
fn the_user_space_monitor_uses_the_times_of_the_heartbeat() {
    let times = |heartbeat: &str, userw: &str| {
        let text = sample().replacen("<timeout>1000</timeout>", heartbeat, 1).replacen(
            "<userw name=\"userw\">",
            &format!("<userw name=\"userw\">{userw}"),
            1,
        );
        let document = Document::read(text.as_bytes()).expect("well-formed");
        let configuration = Configuration::from_document(&document).unwrap_or_else(|problems| panic!("{problems:?}"));
        let common = configuration.monitors.iter().find(|monitor| monitor.name == "userw").expect("is there").common.clone();
        (common.interval.as_secs(), common.timeout.as_secs())
    };
    let (fast, slow) = ("<timeout>1000</timeout>", "<timeout>90000</timeout>");
    let own = "<polling><interval>7</interval><timeout>40</timeout></polling>";
    assert_eq!(times(slow, ""), (3, 90));
    assert_eq!(times(slow, own), (3, 90));
    assert_eq!(times(fast, ""), (3, 30), "a busy server is no stalled one");
    assert_eq!(times(fast, &format!("{own}<parameters><usehb>0</usehb></parameters>")), (7, 40));
    assert_eq!(times(fast, "<parameters><usehb>0</usehb></parameters>"), (30, 300));
}

// S-MON-TARGETRSC
#[test]
fn a_resource_that_a_monitor_waits_for_cannot_be_deleted_alone() {
    let watched = sample().replacen(MIIW1, "<miiw name=\"miiw1\"><target>fip1</target><polling><timing>1</timing></polling>", 1);
    assert_eq!(problems(&watched), []);
    let (before, rest) = watched.split_once("<fip name=\"fip1\">").expect("is there");
    let (_, after) = rest.split_once("</fip>").expect("ends");
    let deleted = format!("{before}{after}").replacen("<resource name=\"fip@fip1\"/>", "", 1);
    check(
        &deleted,
        "monitors_refer_to_what_exists",
        "/root/monitor/miiw@miiw1/target",
        "its target \"fip1\" is not a resource",
        "choose a resource, or monitor always",
    );
}

// S-MON-RAWDISTINCT
#[test]
fn raw_devices_of_disk_heartbeat_disk_resource_and_disk_monitor_differ() {
    let raw = |heartbeat: &str, disk: &str, monitor: &str| {
        let text = sample()
            .replacen("<rawdevice>/dev/raw/raw1</rawdevice>", &format!("<rawdevice>{monitor}</rawdevice>"), 1)
            .replacen("<extend></extend>", &format!("<extend>{heartbeat}</extend>"), 1)
            .replacen("<device>/dev/sdb2</device>", &format!("<device>/dev/sdb2</device><rawdevice>{disk}</rawdevice>"), 1);
        problems(&text).into_iter().map(|problem| problem.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(raw("/dev/raw/raw1", "/dev/raw/raw2", "/dev/raw/raw3"), [""; 0]);
    assert_eq!(raw("", "", ""), [""; 0]);
    for (names, user, other) in [
        (["/dev/raw/raw1", "/dev/raw/raw1", "/dev/raw/raw3"], "disk1", "diskhb1"),
        (["/dev/raw/raw1", "/dev/raw/raw2", "/dev/raw/raw1"], "diskw1", "diskhb1"),
        (["/dev/raw/raw1", "/dev/raw/raw2", "/dev/raw/raw2"], "diskw1", "disk1"),
    ] {
        let found = raw(names[0], names[1], names[2]);
        assert!(
            found.len() == 1 && found[0].contains(&format!("({user})")) && found[0].contains(&format!("used by {other}")),
            "{found:?}"
        );
    }
}

#[test]
fn a_group_takes_its_servers_from_server_groups_in_their_order() {
    let lists = "<servergroup name=\"near\"><policy name=\"server2\"><order>0</order></policy></servergroup>\n\t<servergroup name=\"all\"><policy name=\"server1\"><order>0</order></policy><policy name=\"server2\"><order>1</order></policy></servergroup>\n\t<mainstay>";
    let uses = "<gid>1</gid><servergroup name=\"all\"><order>1</order></servergroup><servergroup name=\"near\"><order>0</order></servergroup>";
    let text = sample().replacen("<mainstay>", lists, 1).replacen("<gid>1</gid>", uses, 1);
    let document = Document::read(text.as_bytes()).expect("well-formed");
    let configuration = Configuration::from_document(&document).unwrap_or_else(|problems| panic!("{problems:?}"));
    let group = configuration.groups.iter().find(|group| group.name == "failover1").expect("is there");
    assert_eq!(
        (group.policy.clone(), group.server_groups.clone()),
        (vec!["server2".into(), "server1".into()], vec!["near".into(), "all".into()])
    );
}

#[test]
fn waits_of_a_group_are_read_with_their_defaults() {
    let waits = "<gid>1</gid><depend><act><depend name=\"ManagementGroup\"><sameserver>1</sameserver></depend></act><deact><depend name=\"ManagementGroup\"/><timeout>7</timeout></deact></depend>";
    let document = Document::read(sample().replacen("<gid>1</gid>", waits, 1).as_bytes()).expect("well-formed");
    let configuration = Configuration::from_document(&document).unwrap_or_else(|problems| panic!("{problems:?}"));
    let group = configuration.groups.iter().find(|group| group.name == "failover1").expect("is there");
    assert_eq!(group.start_after, [("ManagementGroup".to_string(), true)]);
    assert_eq!((group.start_wait.as_secs(), group.stop_wait.as_secs()), (1800, 7));
    assert_eq!(
        (group.stop_after.as_slice(), group.stop_wait_at),
        (["ManagementGroup".to_string()].as_slice(), (true, false, false))
    );
}
