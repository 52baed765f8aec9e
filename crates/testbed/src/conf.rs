//! Makes configurations for the labs' servers: 1 to 32 of them, their heartbeat paths, partition resolution, groups and monitors.
//!
//! Writes a directory for [`crate::Options::conf`]: `clp.conf` and `scripts/`. Knows the layout of the file (clp-conf.md) and the
//! lab's networks and devices, and checks nothing: a case may well want a configuration that the product refuses.

use anyhow::{Context, Result};
use std::{fmt::Write as _, fs, os::unix::fs::PermissionsExt, path::Path};

use crate::options::{FileSystem, Net};

/// Device ids as configurations of the guide have them.
const COM_DEVICE: u32 = 200;
const DISK_DEVICE: u32 = 300;
const PING_DEVICE: u32 = 10_200;
const HTTP_DEVICE: u32 = 10_700;
/// Of an etcd resolution.
const ETCD_DEVICE: u32 = 10_800;

/// A heartbeat path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heartbeat {
    /// `lanhb` on one of the two networks.
    Lanhb(Net),
    /// `lankhb` on one of the two networks.
    Lankhb(Net),
    /// `comhb` over the cable between server1 and server2.
    Comhb,
    /// `diskhb` on `/dev/sdb1`.
    Diskhb,
}

impl Heartbeat {
    fn word(self) -> &'static str {
        match self {
            Heartbeat::Lanhb(_) => "lanhb",
            Heartbeat::Lankhb(_) => "lankhb",
            Heartbeat::Comhb => "comhb",
            Heartbeat::Diskhb => "diskhb",
        }
    }
}

/// A ping resolution: its targets and the servers that use it.
#[derive(Debug, Clone)]
struct Ping {
    targets: Vec<String>,
    /// Numbers; empty: all.
    servers: Vec<u32>,
    parameters: String,
}

/// A failover group with its resources and scripts.
#[derive(Debug, Clone)]
pub struct Group {
    name: String,
    parameters: String,
    resources: Vec<(String, String)>,
    scripts: Vec<(String, String)>,
    /// Seconds that scripts may take.
    limit: u32,
}

impl Group {
    /// A group without resources; every server may run it, in their order.
    pub fn new(name: &str) -> Group {
        Group { name: name.to_string(), parameters: String::new(), resources: Vec::new(), scripts: Vec::new(), limit: 20 }
    }

    /// Seconds that the scripts of the applications named after this may take; else 20.
    pub fn script_limit(mut self, seconds: u32) -> Group {
        self.limit = seconds;
        self
    }

    /// Its failover policy: numbers of servers, first choice first.
    pub fn policy(mut self, servers: &[u32]) -> Group {
        for (order, server) in servers.iter().enumerate() {
            let _ =
                writeln!(self.parameters, "\t\t<policy name=\"server{server}\">\n\t\t\t<order>{order}</order>\n\t\t</policy>");
        }
        self
    }

    /// Parameters as elements, such as `<failback>1</failback>`.
    pub fn parameters(mut self, elements: &str) -> Group {
        let _ = writeln!(self.parameters, "\t\t{elements}");
        self
    }

    /// A resource of any type, with the elements inside of it.
    pub fn resource(mut self, kind: &str, name: &str, elements: &str) -> Group {
        let element = format!("\t\t<{kind} name=\"{name}\">\n\t\t\t{elements}\n\t\t</{kind}>\n");
        self.resources.push((format!("{kind}@{name}"), element));
        self
    }

    /// A floating address.
    pub fn address(self, name: &str, address: &str) -> Group {
        self.resource("fip", name, &format!("<parameters><ip>{address}</ip></parameters>"))
    }

    /// An ext3 file system of the shared disk, mounted on `/mnt/` and the partition's name: `sdb2`, `sdb3` …
    pub fn disk(self, name: &str, partition: &str) -> Group {
        self.file_system(name, partition, FileSystem::Ext3)
    }

    /// The same with the file system that the lab makes there.
    pub fn file_system(self, name: &str, partition: &str, file_system: FileSystem) -> Group {
        let word = file_system.word();
        let elements = format!(
            "<parameters><disktype>disk</disktype><fs>{word}</fs><device>/dev/{partition}</device><mount><point>/mnt/{partition}</point></mount></parameters>"
        );
        self.resource("disk", name, &elements)
    }

    /// A dependency of a resource that was named before, in place of those by type.
    pub fn depends(mut self, name: &str, below: &str) -> Group {
        let end = format!("@{name}");
        for (_, element) in self.resources.iter_mut().filter(|(resource, _)| resource.ends_with(&end)) {
            let head = element.find('\n').map_or(0, |at| at + 1);
            element.insert_str(head, &format!("\t\t\t<depend name=\"{below}\"/>\n"));
        }
        self
    }

    /// An application by a start script that ends (synchronous) and a stop script.
    pub fn exec(self, name: &str, start: &str, stop: &str) -> Group {
        self.application(name, 1, start, stop)
    }

    /// An application that *is* its start script (asynchronous), as a pidw monitor wants it.
    pub fn resident(self, name: &str, start: &str, stop: &str) -> Group {
        self.application(name, 0, start, stop)
    }

    fn application(mut self, name: &str, wait: u32, start: &str, stop: &str) -> Group {
        for (file, text) in [("start.sh", start), ("stop.sh", stop)] {
            self.scripts.push((format!("{}/{name}/{file}", self.name), text.to_string()));
        }
        let limit = self.limit;
        let elements = format!(
            "<parameters><act><path>start.sh</path><sync>{wait}</sync></act><deact><path>stop.sh</path></deact><timeout><start>{limit}</start><stop>{limit}</stop></timeout></parameters>"
        );
        self.resource("exec", name, &elements)
    }
}

/// A configuration in the making.
#[derive(Debug, Clone)]
pub struct ClusterConf {
    servers: u32,
    parameters: String,
    own: String,
    heartbeats: Vec<Heartbeat>,
    pings: Vec<Ping>,
    is_by_majority: bool,
    /// Address of a witness, and more elements.
    witness: Option<(String, String)>,
    /// Members of an etcd, and more elements.
    etcd: Option<(String, String)>,
    /// Below each server; `NUMBER` is its number.
    each: String,
    groups: Vec<Group>,
    monitors: Vec<(String, String)>,
    monitor_scripts: Vec<(String, String)>,
}

impl ClusterConf {
    /// Servers that wait for each other for 30 s at the start, without anything else; times are the product's.
    pub fn new(servers: u32) -> ClusterConf {
        ClusterConf {
            servers,
            parameters: String::new(),
            own: "\t\t<bootwait>30000</bootwait>\n".to_string(),
            heartbeats: Vec::new(),
            pings: Vec::new(),
            is_by_majority: false,
            witness: None,
            etcd: None,
            each: String::new(),
            groups: Vec::new(),
            monitors: Vec::new(),
            monitor_scripts: Vec::new(),
        }
    }

    /// The usual ground for cases: one second of silence is the time-out; both networks, the disk for three servers and more, the
    /// cable for two; the gateway of the interconnect is the ping target.
    pub fn usual(servers: u32) -> ClusterConf {
        let conf = ClusterConf::new(servers).times(1000, 100);
        let conf = conf.heartbeat(Heartbeat::Lankhb(Net::Interconnect)).heartbeat(Heartbeat::Lanhb(Net::Public));
        let conf = if servers == 2 { conf.heartbeat(Heartbeat::Comhb) } else { conf };
        conf.heartbeat(Heartbeat::Diskhb).ping(&["192.168.0.254"])
    }

    /// Heartbeat time-out and interval in milliseconds.
    pub fn times(self, timeout: u64, interval: u64) -> ClusterConf {
        self.parameters(&format!("<heartbeat><timeout>{timeout}</timeout><interval>{interval}</interval></heartbeat>"))
    }

    /// Elements below `mainstay`, in place of those that are there; the server sync wait time (`bootwait`) is one of them.
    pub fn own(mut self, elements: &str) -> ClusterConf {
        self.own = format!("\t\t{elements}\n");
        self
    }

    /// Elements below `cluster`.
    pub fn parameters(mut self, elements: &str) -> ClusterConf {
        let _ = writeln!(self.parameters, "\t\t{elements}");
        self
    }

    /// One more heartbeat path; the first has the highest priority.
    pub fn heartbeat(mut self, heartbeat: Heartbeat) -> ClusterConf {
        self.heartbeats.push(heartbeat);
        self
    }

    /// Ping resolution by all servers: isolated when none of the targets answers.
    pub fn ping(self, targets: &[&str]) -> ClusterConf {
        self.ping_of(targets, &[], "")
    }

    /// Ping resolution by these servers (none: all), with more elements.
    pub fn ping_of(mut self, targets: &[&str], servers: &[u32], parameters: &str) -> ClusterConf {
        let targets = targets.iter().map(|target| (*target).to_string()).collect();
        self.pings.push(Ping { targets, servers: servers.to_vec(), parameters: parameters.to_string() });
        self
    }

    /// Resolution by majority.
    pub fn majority(mut self) -> ClusterConf {
        self.is_by_majority = true;
        self
    }

    /// Resolution by the witness at an address, with more elements.
    pub fn witness(mut self, host: &str, elements: &str) -> ClusterConf {
        self.witness = Some((host.to_string(), elements.to_string()));
        self
    }

    /// Resolution by the etcd with these members, with more elements.
    pub fn etcd(mut self, endpoints: &str, elements: &str) -> ClusterConf {
        self.etcd = Some((endpoints.to_string(), elements.to_string()));
        self
    }

    /// Elements below every server; `NUMBER` in them becomes its number.
    pub fn each_server(mut self, elements: &str) -> ClusterConf {
        self.each = elements.to_string();
        self
    }

    /// One more group.
    pub fn group(mut self, group: Group) -> ClusterConf {
        self.groups.push(group);
        self
    }

    /// One more monitor, with the elements inside of it.
    pub fn monitor(mut self, kind: &str, name: &str, elements: &str) -> ClusterConf {
        let element = format!("\t\t<{kind} name=\"{name}\">\n\t\t\t{elements}\n\t\t</{kind}>\n");
        self.monitors.push((kind.to_string(), element));
        self
    }

    /// The script of a genw monitor.
    pub fn monitor_script(mut self, monitor: &str, text: &str) -> ClusterConf {
        self.monitor_scripts.push((format!("monitor.s/{monitor}/genw.sh"), text.to_string()));
        self
    }

    /// Writes the directory.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, directory: &Path) -> Result<()> {
        let write = |file: &Path, text: &str, mode: u32| -> std::io::Result<()> {
            fs::create_dir_all(file.parent().unwrap_or(directory))?;
            fs::write(file, text)?;
            fs::set_permissions(file, fs::Permissions::from_mode(mode))
        };
        let scripts = self.groups.iter().flat_map(|group| &group.scripts).chain(&self.monitor_scripts);
        write(&directory.join("clp.conf"), &self.text(), 0o644)
            .and_then(|()| {
                scripts.into_iter().try_for_each(|(name, text)| write(&directory.join("scripts").join(name), text, 0o755))
            })
            .with_context(|| format!("cannot write a configuration to {}", directory.display()))
    }

    /// The text of `clp.conf`.
    pub fn text(&self) -> String {
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"ASCII\"?>\n<root>\n");
        text += "\t<all>\n\t\t<charset>ASCII</charset>\n\t\t<serveros>linux</serveros>\n\t\t<encode>ASCII</encode>\n\t</all>\n";
        text += &format!("\t<cluster>\n\t\t<name>cluster</name>\n{}\t</cluster>\n", self.parameters);
        text += &format!("\t<mainstay>\n{}\t</mainstay>\n", self.own);
        (1..=self.servers).for_each(|number| text += &self.server(number));
        text += &self.paths();
        text += &self.resolutions();
        for (gid, group) in self.groups.iter().enumerate() {
            text += &format!("\t<group name=\"{}\">\n\t\t<gid>{gid}</gid>\n{}", group.name, group.parameters);
            group.resources.iter().for_each(|(name, _)| text += &format!("\t\t<resource name=\"{name}\"/>\n"));
            text += "\t</group>\n";
        }
        let resources: Vec<&(String, String)> = self.groups.iter().flat_map(|group| &group.resources).collect();
        let kinds = resources.iter().map(|(name, _)| name.split('@').next().unwrap_or_default());
        text += &format!("\t<resource>\n{}", types(kinds));
        resources.iter().for_each(|(_, element)| text += element);
        text += &format!("\t</resource>\n\t<monitor>\n{}", types(self.monitors.iter().map(|(kind, _)| kind.as_str())));
        self.monitors.iter().for_each(|(_, element)| text += element);
        text + "\t</monitor>\n</root>\n"
    }

    fn server(&self, number: u32) -> String {
        let mut text = format!("\t<server name=\"server{number}\">\n\t\t<priority>{}</priority>\n", number - 1);
        let mut device = |id: u32, kind: &str, info: &str, more: &str| {
            let _ = writeln!(
                text,
                "\t\t<device id=\"{id}\">\n\t\t\t<type>{kind}</type>\n\t\t\t<info>{info}</info>\n{more}\t\t</device>"
            );
        };
        for (heartbeat, id) in self.heartbeats.iter().zip(self.devices()) {
            match heartbeat {
                Heartbeat::Lanhb(net) | Heartbeat::Lankhb(net) => device(id, "lan", &address(*net, number), ""),
                // The cable joins two servers; the others have none.
                Heartbeat::Comhb => device(id, "com", if number <= 2 { "/dev/ttyS0" } else { "" }, ""),
                Heartbeat::Diskhb => device(id, "disk", "/dev/sdb1", "\t\t\t<extend></extend>\n"),
            }
        }
        for (id, ping) in (PING_DEVICE..).zip(&self.pings) {
            let used = ping.servers.is_empty() || ping.servers.contains(&number);
            device(id, "ping", if used { "1" } else { "0" }, "");
        }
        if self.witness.is_some() {
            device(HTTP_DEVICE, "http", "1", "");
        }
        if self.etcd.is_some() {
            device(ETCD_DEVICE, "etcd", "1", "");
        }
        text += &self.each.replace("NUMBER", &number.to_string());
        text + "\t</server>\n"
    }

    /// The device id of each heartbeat path.
    fn devices(&self) -> impl Iterator<Item = u32> {
        let mut lan = 0;
        self.heartbeats.iter().map(move |heartbeat| match heartbeat {
            Heartbeat::Comhb => COM_DEVICE,
            Heartbeat::Diskhb => DISK_DEVICE,
            Heartbeat::Lanhb(_) | Heartbeat::Lankhb(_) => {
                lan += 1;
                lan - 1
            }
        })
    }

    fn paths(&self) -> String {
        let mut text = format!("\t<heartbeat>\n{}", types(self.heartbeats.iter().map(|heartbeat| heartbeat.word())));
        for (priority, (heartbeat, device)) in self.heartbeats.iter().zip(self.devices()).enumerate() {
            let word = heartbeat.word();
            let number = self.heartbeats[..=priority].iter().filter(|other| other.word() == word).count();
            text += &format!(
                "\t\t<{word} name=\"{word}{number}\">\n\t\t\t<priority>{priority}</priority>\n\t\t\t<device>{device}</device>\n\t\t</{word}>\n"
            );
        }
        text + "\t</heartbeat>\n"
    }

    fn resolutions(&self) -> String {
        let kinds = [
            ("pingnp", !self.pings.is_empty()),
            ("majonp", self.is_by_majority),
            ("httpnp", self.witness.is_some()),
            ("etcdnp", self.etcd.is_some()),
        ];
        let kinds: String =
            kinds.iter().filter(|(_, used)| *used).map(|(kind, _)| format!("\t\t<types name=\"{kind}\"/>\n")).collect();
        if kinds.is_empty() {
            return String::new();
        }
        let mut text = format!("\t<networkpartition>\n{kinds}");
        for (index, ping) in self.pings.iter().enumerate() {
            let device = PING_DEVICE as usize + index;
            text += &format!(
                "\t\t<pingnp name=\"pingnp{}\">\n\t\t\t<priority>{index}</priority>\n\t\t\t<device>{device}</device>\n",
                index + 1
            );
            if !ping.parameters.is_empty() {
                text += &format!("\t\t\t{}\n", ping.parameters);
            }
            text += "\t\t\t<grp id=\"0\">\n";
            for (id, target) in ping.targets.iter().enumerate() {
                text += &format!("\t\t\t\t<list id=\"{id}\">\n\t\t\t\t\t<ip>{target}</ip>\n\t\t\t\t</list>\n");
            }
            text += "\t\t\t</grp>\n\t\t</pingnp>\n";
        }
        if self.is_by_majority {
            let index = self.pings.len();
            let device = PING_DEVICE as usize + index;
            text += &format!(
                "\t\t<majonp name=\"majonp1\">\n\t\t\t<priority>{index}</priority>\n\t\t\t<device>{device}</device>\n\t\t</majonp>\n"
            );
        }
        if let Some((host, elements)) = &self.witness {
            let index = self.pings.len() + usize::from(self.is_by_majority);
            text += &format!(
                "\t\t<httpnp name=\"httpnp1\">\n\t\t\t<priority>{index}</priority>\n\t\t\t<device>{HTTP_DEVICE}</device>\n\t\t\t<host>{host}</host>\n\t\t\t{elements}\n\t\t</httpnp>\n"
            );
        }
        if let Some((endpoints, elements)) = &self.etcd {
            let index = self.pings.len() + usize::from(self.is_by_majority) + usize::from(self.witness.is_some());
            text += &format!(
                "\t\t<etcdnp name=\"etcdnp1\">\n\t\t\t<priority>{index}</priority>\n\t\t\t<device>{ETCD_DEVICE}</device>\n\t\t\t<endpoints>{endpoints}</endpoints>\n\t\t\t{elements}\n\t\t</etcdnp>\n"
            );
        }
        text + "\t</networkpartition>\n"
    }
}

/// A server's address on one of the two networks.
fn address(net: Net, number: u32) -> String {
    match net {
        Net::Interconnect => format!("192.168.0.{number}"),
        _ => format!("10.0.0.{number}"),
    }
}

/// The list of types that a file has before their elements, each once.
fn types<'a>(kinds: impl Iterator<Item = &'a str>) -> String {
    let mut seen: Vec<&str> = Vec::new();
    kinds.for_each(|kind| {
        if !seen.contains(&kind) {
            seen.push(kind);
        }
    });
    seen.iter().map(|kind| format!("\t\t<types name=\"{kind}\"/>\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_has_a_device_for_every_path_and_thirty_two_fit() {
        let text = ClusterConf::usual(32).text();
        assert_eq!(text.matches("<type>lan</type>").count(), 64);
        assert!(text.contains("<info>192.168.0.32</info>") && text.contains("<name>cluster</name>"));
        assert_eq!(text.matches("<type>disk</type>").count(), 32);
        assert!(!text.contains("comhb"), "a cable joins two");
    }

    #[test]
    fn names_of_a_kind_are_numbered_and_types_named_once() {
        let conf = ClusterConf::new(3).heartbeat(Heartbeat::Lanhb(Net::Public)).heartbeat(Heartbeat::Lanhb(Net::Interconnect));
        let text = conf.heartbeat(Heartbeat::Comhb).text();
        assert!(text.contains("<lanhb name=\"lanhb1\">") && text.contains("<lanhb name=\"lanhb2\">"));
        assert_eq!(text.matches("<types name=\"lanhb\"/>").count(), 1);
        assert_eq!(text.matches("<info>/dev/ttyS0</info>").count(), 2);
    }
}
