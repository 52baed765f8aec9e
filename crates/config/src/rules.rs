//! Rules between parameters: one function each, named after the rule.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::configuration::{Configuration, HeartbeatKind, MonitorKind, PartitionKind, RecoveryTarget, ResourceKind};
use crate::problem::Problem;

mod etcd;
mod forced_stop;
mod groups;
mod witness;
use etcd::etcds_have_endpoints;
use forced_stop::{bmcs_are_told_apart, forced_stop_reaches_every_server};
use groups::{
    groups_wait_for_others_without_cycle, overrides_name_servers, scripts_before_final_actions_are_named, server_groups_exist,
};
use witness::witnesses_have_addresses;

/// Greatest number of servers (guide chapter 1).
const SERVERS_MAX: usize = 32;
/// The time-out must hold at least this many intervals, so that a lost frame is no lost server: in the simulator 173 of 300 runs went
/// wrong with three, 49 of 1 000 with four and 2 of 1 000 with five.
const INTERVALS_MIN: u32 = 5;

/// Longest name in bytes, as the commands' listings have room for.
const NAME_MAX: usize = 31;

type Rule = fn(&Configuration, &mut Vec<Problem>);

macro_rules! rules {
    ($( $rule:ident ),* $(,)?) => {
        const RULES: &[(&str, Rule)] = &[ $( (stringify!($rule), $rule) ),* ];
    };
}

rules! {
    cluster_has_a_name,
    number_of_servers,
    names_are_unique,
    names_are_words,
    timeout_holds_several_intervals,
    at_least_one_lan_heartbeat,
    heartbeat_devices_exist,
    policies_name_servers,
    resources_exist,
    dependencies_stay_in_the_group_without_cycle,
    monitors_refer_to_what_exists,
    monitored_things_are_named,
    final_actions_can_run,
    server_groups_exist,
    groups_wait_for_others_without_cycle,
    overrides_name_servers,
    scripts_before_final_actions_are_named,
    addresses_are_addresses,
    disks_are_complete,
    devices_are_used_once,
    partitions_have_targets,
    majorities_can_be_had,
    witnesses_have_addresses,
    etcds_have_endpoints,
    shared_disks_need_a_resolution,
    stall_limits_are_numbers,
    forced_stop_reaches_every_server,
    bmcs_are_told_apart,
}

/// All rules.
pub fn check(configuration: &Configuration, problems: &mut Vec<Problem>) {
    for (_, rule) in RULES {
        rule(configuration, problems);
    }
}

/// Their names, so that a test can ask for an example of each.
pub fn names() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|(name, _)| *name)
}

fn cluster_has_a_name(configuration: &Configuration, problems: &mut Vec<Problem>) {
    if configuration.cluster.name.is_empty() {
        problems.push(Problem::new("/root/cluster/name", "the cluster has no name", "give it one"));
    }
}

fn number_of_servers(configuration: &Configuration, problems: &mut Vec<Problem>) {
    let count = configuration.servers.len();
    if count == 0 || count > SERVERS_MAX {
        problems.push(Problem::new(
            "/root/server",
            format!("there are {count} servers"),
            format!("configure 1 to {SERVERS_MAX}"),
        ));
    }
}

fn names_are_unique(configuration: &Configuration, problems: &mut Vec<Problem>) {
    let mut check = |kind: &str, names: Vec<&String>| {
        let mut seen = BTreeSet::new();
        for name in names {
            if !seen.insert(name) {
                problems.push(Problem::new(format!("/root/{kind}@{name}"), "the name is used twice", "rename one of them"));
            }
        }
    };
    check("server", configuration.servers.iter().map(|s| &s.name).collect());
    check("servergroup", configuration.server_groups.iter().map(|list| &list.name).collect());
    check("group", configuration.groups.iter().map(|g| &g.name).collect());
    check("resource", configuration.resources.iter().map(|r| &r.name).collect());
    check("monitor", configuration.monitors.iter().map(|m| &m.name).collect());
    check("heartbeat", configuration.heartbeats.iter().map(|h| &h.name).collect());
}

/// Names are words of command lines and folders of scripts.
fn names_are_words(configuration: &Configuration, problems: &mut Vec<Problem>) {
    let groups = configuration.groups.iter().map(|group| ("group", &group.name));
    let resources = configuration.resources.iter().map(|resource| ("resource", &resource.name));
    let monitors = configuration.monitors.iter().map(|monitor| ("monitor", &monitor.name));
    for (kind, name) in groups.chain(resources).chain(monitors) {
        let is_word = !name.is_empty()
            && name.len() <= NAME_MAX
            && !name.starts_with(['-', '.'])
            && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '/');
        if !is_word {
            problems.push(Problem::new(
                format!("/root/{kind}@{name}"),
                format!("{name:?} is no name"),
                format!("use 1 to {NAME_MAX} characters without blanks and slashes that do not begin with - or ."),
            ));
        }
    }
}

fn timeout_holds_several_intervals(configuration: &Configuration, problems: &mut Vec<Problem>) {
    let cluster = &configuration.cluster;
    if cluster.heartbeat_timeout < cluster.heartbeat_interval * INTERVALS_MIN {
        let what = format!(
            "the heartbeat time-out of {} ms is less than {INTERVALS_MIN} intervals of {} ms",
            cluster.heartbeat_timeout.as_millis(),
            cluster.heartbeat_interval.as_millis()
        );
        problems.push(Problem::new(
            "/root/cluster/heartbeat/timeout",
            what,
            "raise the time-out or lower cluster/heartbeat/interval",
        ));
    }
}

fn at_least_one_lan_heartbeat(configuration: &Configuration, problems: &mut Vec<Problem>) {
    let lan = configuration.heartbeats.iter().any(|h| matches!(h.kind, HeartbeatKind::Lanhb | HeartbeatKind::Lankhb));
    if !lan && configuration.servers.len() > 1 {
        problems.push(Problem::new("/root/heartbeat", "there is no LAN heartbeat", "add a lanhb or lankhb"));
    }
}

fn heartbeat_devices_exist(configuration: &Configuration, problems: &mut Vec<Problem>) {
    for heartbeat in &configuration.heartbeats {
        let at = format!("/root/heartbeat/{}@{}", heartbeat.kind.word(), heartbeat.name);
        let users: Vec<_> = configuration.servers.iter().filter(|server| server.uses(heartbeat.device)).collect();
        if users.len() < 2 && configuration.servers.len() > 1 {
            let what = format!("device {} is configured on {} servers", heartbeat.device, users.len());
            problems.push(Problem::new(at.clone(), what, "give the device to at least two servers"));
        }
        if heartbeat.kind == HeartbeatKind::Comhb && users.len() > 2 {
            problems.push(Problem::new(at.clone(), "a COM line joins two servers", "leave the device empty on the others"));
        }
        if matches!(heartbeat.kind, HeartbeatKind::Lanhb | HeartbeatKind::Lankhb) {
            for server in users {
                let info = server.device(heartbeat.device).map(|device| device.info.clone()).unwrap_or_default();
                if info.parse::<IpAddr>().is_err() {
                    let path = format!("/root/server@{}/device@{}/info", server.name, heartbeat.device);
                    problems.push(Problem::new(path, format!("{info:?} is not an address"), "give the address of that LAN"));
                }
            }
        }
    }
}

fn policies_name_servers(configuration: &Configuration, problems: &mut Vec<Problem>) {
    for group in &configuration.groups {
        for name in &group.policy {
            if !configuration.servers.iter().any(|server| server.name == *name) {
                let path = format!("/root/group@{}/policy@{name}", group.name);
                problems.push(Problem::new(path, "there is no such server", "remove it or correct the name"));
            }
        }
    }
}

fn resources_exist(configuration: &Configuration, problems: &mut Vec<Problem>) {
    for group in &configuration.groups {
        for name in &group.resources {
            let owners = configuration.groups.iter().filter(|other| other.resources.contains(name)).count();
            let path = format!("/root/group@{}/resource@{name}", group.name);
            if owners > 1 {
                problems.push(Problem::new(path.clone(), "it belongs to two groups", "a resource belongs to one group"));
            }
            if !configuration.resources.iter().any(|resource| resource.name == *name) {
                problems.push(Problem::new(
                    path,
                    "there is no such resource that can run",
                    "define it or remove it from the group",
                ));
            }
        }
    }
}

fn dependencies_stay_in_the_group_without_cycle(configuration: &Configuration, problems: &mut Vec<Problem>) {
    for resource in &configuration.resources {
        let path = format!("/root/resource/{}@{}/depend", resource.kind.word(), resource.name);
        let needed = configuration.dependencies(resource);
        for name in &needed {
            let inside = configuration.resources.iter().any(|other| other.name == *name && other.group == resource.group);
            if !inside {
                problems.push(Problem::new(
                    path.clone(),
                    format!("{name} is not in the same group"),
                    "depend on resources of the same group",
                ));
            }
        }
        let mut reached = BTreeSet::new();
        let mut open = needed;
        while let Some(name) = open.pop() {
            if name == resource.name {
                problems.push(Problem::new(path.clone(), "it depends on itself through others", "break the cycle"));
                break;
            }
            if reached.insert(name.clone())
                && let Some(other) = configuration.resources.iter().find(|other| other.name == name)
            {
                open.extend(configuration.dependencies(other));
            }
        }
    }
}

fn monitors_refer_to_what_exists(configuration: &Configuration, problems: &mut Vec<Problem>) {
    for monitor in &configuration.monitors {
        let at = format!("/root/monitor/{}@{}", monitor.kind.word(), monitor.name);
        let resource = |name: &String| configuration.resources.iter().find(|resource| resource.name == *name);
        if !monitor.common.always && resource(&monitor.common.target).is_none() {
            let what = format!("its target {:?} is not a resource", monitor.common.target);
            problems.push(Problem::new(format!("{at}/target"), what, "choose a resource, or monitor always (polling/timing 0)"));
        }
        match &monitor.common.recovery {
            RecoveryTarget::Group(name) if !configuration.groups.iter().any(|group| group.name == *name) => {
                problems.push(Problem::new(
                    format!("{at}/relation/name"),
                    format!("there is no group {name}"),
                    "choose an existing one",
                ));
            }
            RecoveryTarget::Resource(name) if resource(name).is_none() => {
                problems.push(Problem::new(
                    format!("{at}/relation/name"),
                    format!("there is no resource {name}"),
                    "choose an existing one",
                ));
            }
            _ => {}
        }
        if matches!(monitor.kind, MonitorKind::Pidw) {
            let resident = resource(&monitor.common.target)
                .is_some_and(|target| matches!(&target.kind, ResourceKind::Exec(exec) if !exec.start_sync));
            if !resident {
                let what = "its target is not an exec resource with an asynchronous start script";
                problems.push(Problem::new(format!("{at}/target"), what, "set parameters/act/sync of the exec resource to 0"));
            }
        }
        for name in &monitor.common.servers {
            if !configuration.servers.iter().any(|server| server.name == *name) {
                problems.push(Problem::new(
                    format!("{at}/polling/servers"),
                    format!("there is no server {name}"),
                    "correct the name",
                ));
            }
        }
    }
}

/// What a kind watches besides its common target is there, and can be watched.
fn monitored_things_are_named(configuration: &Configuration, problems: &mut Vec<Problem>) {
    let is_address = |name: &String| {
        let found = configuration.resources.iter().find(|resource| resource.name == *name);
        found.is_some_and(|resource| matches!(resource.kind, ResourceKind::Fip(_)))
    };
    for monitor in &configuration.monitors {
        let at = format!("/root/monitor/{}@{}", monitor.kind.word(), monitor.name);
        let mut add = |path: &str, what: String, remedy: &str| problems.push(Problem::new(format!("{at}/{path}"), what, remedy));
        let preaction = &monitor.common.preaction;
        if preaction.foreign && !preaction.path.starts_with('/') {
            let what = format!("{:?} is not an absolute path", preaction.path);
            add("emergency/preaction/path", what, "give the user application with its whole path");
        }
        for kind in monitor.kinds() {
            match kind {
                MonitorKind::Arpw(arpw) if !is_address(&arpw.object) => {
                    add(
                        "parameters/object",
                        format!("{:?} is not a fip resource", arpw.object),
                        "name the resource whose address is announced",
                    );
                }
                MonitorKind::Fipw(_) if !is_address(&monitor.common.target) => {
                    add(
                        "target",
                        format!("{:?} is not a fip resource", monitor.common.target),
                        "choose the resource whose address is watched",
                    );
                }
                MonitorKind::Psw(psw) if psw.name.trim().is_empty() => {
                    add("parameters/processname", "no process is named".into(), "give the command line as ps -eo cmd shows it");
                }
                MonitorKind::Genw(genw) if genw.path.is_empty() || (!genw.product && !genw.path.starts_with('/')) => {
                    add(
                        "parameters/path",
                        format!("{:?} is not an absolute path", genw.path),
                        "give the user application with its whole path",
                    );
                }
                _ => {}
            }
        }
    }
}

fn final_actions_can_run(configuration: &Configuration, problems: &mut Vec<Problem>) {
    let remedy = "this version carries out stop, shutdown, reboot, panic and reset (codes 1 to 5 and 8 to 10, monitors also 16); choose one of them";
    let known = |code: u32| code <= 5 || (8..=10).contains(&code);
    for resource in &configuration.resources {
        let at = format!("/root/resource/{}@{}", resource.kind.word(), resource.name);
        for (path, code) in [("act/action", resource.common.act_action), ("deact/action", resource.common.deact_action)] {
            if !known(code) {
                problems.push(Problem::new(format!("{at}/{path}"), format!("final action {code}"), remedy));
            }
        }
    }
    for monitor in &configuration.monitors {
        let code = monitor.common.action;
        if !known(code) && code != 16 {
            let path = format!("/root/monitor/{}@{}/emergency/action", monitor.kind.word(), monitor.name);
            problems.push(Problem::new(path, format!("final action {code}"), remedy));
        }
    }
    for (path, code, known, remedy) in [
        (
            "/root/cluster/networkpartition/npaction",
            configuration.cluster.np_action,
            [0, 1, 2, 3, 4, 5, 6].as_slice(),
            "this version carries out stop (1), shutdown (2), reboot (3), panic (4, 6) and reset (5)",
        ),
        (
            "/root/pm/exec0/recover",
            configuration.cluster.pm_action,
            [0, 1, 2, 3, 5, 6, 7].as_slice(),
            "this version carries out shutdown (2), reboot (3), panic (5, 7) and reset (6)",
        ),
    ] {
        if !known.contains(&code) {
            problems.push(Problem::new(path, format!("action {code}"), remedy));
        }
    }
}

fn addresses_are_addresses(configuration: &Configuration, problems: &mut Vec<Problem>) {
    for resource in &configuration.resources {
        let fips = resource.kinds().filter_map(|kind| match kind {
            ResourceKind::Fip(fip) => Some(fip),
            _ => None,
        });
        for fip in fips.filter(|fip| fip.address().is_none()) {
            let path = format!("/root/resource/fip@{}/parameters/ip", resource.name);
            problems.push(Problem::new(path, format!("{:?} is not an address", fip.ip), "give an IPv4 or IPv6 address"));
        }
    }
    for (monitor, kind) in configuration.monitors.iter().flat_map(|monitor| monitor.kinds().map(move |kind| (monitor, kind))) {
        let MonitorKind::Ipw { addresses } = kind else { continue };
        let path = format!("/root/monitor/ipw@{}/parameters/list", monitor.name);
        if addresses.is_empty() {
            problems.push(Problem::new(path.clone(), "there is no address to monitor", "add one"));
        }
        for ip in addresses.iter().filter(|ip| ip.parse::<IpAddr>().is_err()) {
            problems.push(Problem::new(path.clone(), format!("{ip:?} is not an address"), "give an IPv4 or IPv6 address"));
        }
    }
}

fn disks_are_complete(configuration: &Configuration, problems: &mut Vec<Problem>) {
    let known = ["ext2", "ext3", "ext4", "xfs", "btrfs", "reiserfs", "jfs", "vxfs"];
    for resource in &configuration.resources {
        let ResourceKind::Disk(disk) = &resource.kind else { continue };
        let at = format!("/root/resource/disk@{}/parameters", resource.name);
        if disk.device.is_empty() && disk.rawdevice.is_empty() {
            problems.push(Problem::new(format!("{at}/device"), "there is no device", "give the block device"));
        }
        match disk.disktype.as_str() {
            "disk" => {
                if disk.mount_point.is_empty() {
                    problems.push(Problem::new(format!("{at}/mount/point"), "there is no mount point", "give a directory"));
                }
                if !known.contains(&disk.fs.as_str()) {
                    problems.push(Problem::new(
                        format!("{at}/fs"),
                        format!("file system {:?} is not supported", disk.fs),
                        format!("use one of {}", known.join(", ")),
                    ));
                }
            }
            "raw" => {}
            other => problems.push(Problem::new(
                format!("{at}/disktype"),
                format!("disk type {other}"),
                "this version runs disk and raw",
            )),
        }
    }
}

/// Raw device names of disk heartbeat, disk resource and disk monitor differ; a disk belongs to one resource.
fn devices_are_used_once(configuration: &Configuration, problems: &mut Vec<Problem>) {
    let mut raw_names: Vec<(String, String)> = Vec::new();
    let mut devices: Vec<(String, String)> = Vec::new();
    for heartbeat in configuration.heartbeats.iter().filter(|h| h.kind == HeartbeatKind::Diskhb) {
        if let Some(device) = configuration.servers.first().and_then(|server| server.device(heartbeat.device)) {
            raw_names.push((device.extend.clone(), heartbeat.name.clone()));
            devices.push((device.info.clone(), heartbeat.name.clone()));
        }
    }
    for resource in &configuration.resources {
        if let ResourceKind::Disk(disk) = &resource.kind {
            raw_names.push((disk.rawdevice.clone(), resource.name.clone()));
            devices.push((disk.device.clone(), resource.name.clone()));
        }
    }
    for monitor in &configuration.monitors {
        if let MonitorKind::Diskw(diskw) = &monitor.kind {
            raw_names.push((diskw.rawdevice.clone(), monitor.name.clone()));
        }
    }
    for list in [raw_names, devices] {
        for (index, (device, user)) in list.iter().enumerate() {
            if let Some((_, other)) = list[..index].iter().find(|(earlier, _)| earlier == device && !device.is_empty()) {
                problems.push(Problem::new(
                    format!("/root ({user})"),
                    format!("{device} is used by {other} too"),
                    "give each its own device",
                ));
            }
        }
    }
}

fn partitions_have_targets(configuration: &Configuration, problems: &mut Vec<Problem>) {
    for partition in &configuration.partitions {
        if let PartitionKind::Pingnp(pingnp) = &partition.kind
            && pingnp.groups.is_empty()
        {
            let path = format!("/root/networkpartition/pingnp@{}", partition.name);
            problems.push(Problem::new(path, "there is no address to ask", "add a device that always answers"));
        }
    }
}

/// One of two servers is never more than half of them; of exactly half an arbiter decides.
fn majorities_can_be_had(configuration: &Configuration, problems: &mut Vec<Problem>) {
    let majority = configuration.partitions.iter().find(|partition| partition.kind == PartitionKind::Majonp);
    if let Some(majority) = majority
        && configuration.servers.len() == 2
        && !configuration.partitions.iter().any(|partition| partition.kind.is_arbiter())
    {
        problems.push(Problem::new(
            format!("/root/networkpartition/majonp@{}", majority.name),
            "two servers have no majority: when either is lost the other stops too",
            "use ping instead, or add a witness (httpnp) or an etcd (etcdnp)",
        ));
    }
}

/// Without a resolution every cut of all paths lets two servers write the same disk.
fn shared_disks_need_a_resolution(configuration: &Configuration, problems: &mut Vec<Problem>) {
    if crate::advice::is_unresolved(configuration)
        && crate::advice::has_shared_disk(configuration)
        && !configuration.cluster.no_resolution
    {
        problems.push(Problem::new(
            "/root/networkpartition",
            "groups have shared disks and there is no network partition resolution: when all heartbeat paths are cut, several servers write to the same disk",
            "add a ping resolution, a witness or an etcd; who wants to go without sets mainstay/networkpartition/none to 1",
        ));
    }
}

fn stall_limits_are_numbers(configuration: &Configuration, problems: &mut Vec<Problem>) {
    for resource in &configuration.resources {
        for (path, text) in [("act/timeout", &resource.common.act_timeout), ("deact/timeout", &resource.common.deact_timeout)] {
            if !text.is_empty() && text.parse::<u32>().map_or(true, |seconds| seconds == 0) {
                problems.push(Problem::new(
                    format!("/root/resource/{}@{}/{path}", resource.kind.word(), resource.name),
                    format!("{text:?} is not a number of seconds"),
                    "give seconds from 1 on, or leave it empty for the script time and 180 s",
                ));
            }
        }
    }
}
