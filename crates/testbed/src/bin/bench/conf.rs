//! The configurations that the figures are measured with.

use anyhow::Result;
use clp_testbed::conf::{ClusterConf, Group, Heartbeat};
use clp_testbed::{FileSystem, Net};
use std::path::{Path, PathBuf};

use crate::ground::{SERVICE, TESTBED};

/// The floating address of the group `web`.
pub const FLOATING: &str = "10.0.0.12";

/// Address number `index` of those beside [`FLOATING`].
pub fn address_of(index: usize) -> String {
    format!("10.0.0.{}", 120 + index)
}

/// The group of [`Conf::apart`].
pub const APART: &str = "files";

/// Two servers, two LANs, a ping target, and the group `web` of [`FLOATING`] and a process.
#[derive(Debug, Clone, Copy)]
pub struct Conf {
    /// Heartbeat time-out in milliseconds.
    pub timeout_ms: u64,
    /// Heartbeat interval in milliseconds.
    pub interval_ms: u64,
    /// Groups of one address each beside `web`.
    pub more_groups: usize,
    /// Addresses in `web` beside its own.
    pub more_addresses: usize,
    /// File systems in `web`.
    pub file_systems: u32,
    /// File systems in a group of their own, [`APART`]; they lie on the shared disk behind those of `web`.
    pub apart: u32,
    /// The process stays with its start script and is watched by a pidw monitor.
    pub resident: bool,
    /// Monitors of several kinds that find nothing.
    pub monitors: usize,
}

impl Conf {
    /// The fastest setting.
    pub fn fast() -> Conf {
        Conf {
            timeout_ms: 50,
            interval_ms: 10,
            more_groups: 0,
            more_addresses: 0,
            file_systems: 0,
            apart: 0,
            resident: false,
            monitors: 0,
        }
    }

    /// Heartbeats of 100 ms.
    pub fn usual() -> Conf {
        Conf { timeout_ms: 1000, interval_ms: 100, ..Conf::fast() }
    }

    /// Partitions for data that a lab needs for it.
    pub fn data_partitions(&self) -> u32 {
        (self.file_systems + self.apart).max(1)
    }

    /// Write it for `testbed up --conf`, with its scripts; the directory to name there.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, directory: &Path) -> Result<PathBuf> {
        let directory = directory.join("conf");
        self.cluster().write(&directory)?;
        Ok(directory)
    }

    fn cluster(&self) -> ClusterConf {
        let conf = ClusterConf::new(2).times(self.timeout_ms, self.interval_ms);
        let conf = conf.heartbeat(Heartbeat::Lanhb(Net::Interconnect)).heartbeat(Heartbeat::Lanhb(Net::Public));
        let mut conf = conf.ping(&["192.168.0.254"]).group(self.web());
        for index in 0..self.more_groups {
            conf = conf.group(Group::new(&format!("group{index}")).address(&format!("more{index}"), &address_of(index)));
        }
        if self.apart > 0 {
            let last = self.file_systems + self.apart;
            conf = conf.group((self.file_systems..last).fold(Group::new(APART), file_system));
        }
        if self.resident {
            let ladder = "<emergency><threshold><restart>3</restart></threshold></emergency>";
            let watched = "<relation><type>rsc</type><name>exec1</name></relation>";
            conf = conf.monitor("pidw", "pidw1", &format!("<target>exec1</target>{watched}{ladder}"));
        }
        (0..self.monitors).fold(conf, monitor)
    }

    fn web(&self) -> Group {
        let web = (0..self.more_addresses).fold(Group::new("web").address("fip1", FLOATING), |web, index| {
            web.address(&format!("more{index}"), &address_of(index))
        });
        let web = (0..self.file_systems).fold(web, file_system);
        let process = format!("{TESTBED} responder {FLOATING}:{SERVICE}");
        // The end of the group's processes is the product's work.
        let stop = "#! /bin/sh\nexit 0\n";
        if self.resident {
            // Which of its lives answers is told by its number.
            web.resident("exec1", &format!("#! /bin/sh\nexec {process} --process\n"), stop)
        } else {
            web.exec("exec1", &format!("#! /bin/sh\nsetsid {process} >/dev/null 2>&1 &\n"), stop)
        }
    }
}

/// The partition for file system number `index`.
pub fn partition(index: u32) -> String {
    format!("sdb{}", index + 2)
}

fn file_system(group: Group, index: u32) -> Group {
    group.file_system(&format!("disk{index}"), &partition(index), FileSystem::Ext4)
}

/// One monitor more, at its kind's own interval: 30 s, 10 s, 60 s and 60 s in turn.
fn monitor(conf: ClusterConf, index: usize) -> ClusterConf {
    let target = "<relation><type>grp</type><name>web</name></relation>";
    let (kind, elements) = match index % 4 {
        0 => ("ipw", "<parameters><list id=\"0\"><ip>10.0.0.254</ip></list></parameters>"),
        1 => ("miiw", "<parameters><object>eth0</object></parameters>"),
        2 => ("fipw", "<target>fip1</target>"),
        _ => ("genw", ""),
    };
    let name = format!("{kind}{index}");
    let conf = conf.monitor(kind, &name, &format!("{elements}{target}"));
    if kind == "genw" { conf.monitor_script(&name, "#! /bin/sh\nexit 0\n") } else { conf }
}

/// keepalived's adverts, 50 ms apart: its time-out is three of them and a skew by priority.
pub const ADVERTS_FAST: &str = "0.05";
/// One a second.
pub const ADVERTS_USUAL: &str = "1";

/// keepalived with the address.
pub fn keepalived(priority: u32, adverts: &str) -> String {
    format!(
        "global_defs {{\n vrrp_version 3\n vrrp_garp_master_delay 0\n}}\nvrrp_instance V {{\n state BACKUP\n interface eth0\n \
         virtual_router_id 5\n priority {priority}\n advert_int {adverts}\n virtual_ipaddress {{\n {FLOATING}/24\n }}\n}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use clp_config::{Configuration, Document};

    // What the product refuses ends a run of an hour in the figure that wants it.
    #[test]
    fn what_is_measured_with_is_accepted() {
        let fast = Conf::fast();
        let all = [
            fast,
            Conf { more_groups: 99, ..fast },
            Conf { resident: true, ..fast },
            Conf { more_addresses: 79, file_systems: 10, ..fast },
            Conf { apart: 10, ..Conf::usual() },
            Conf { monitors: 20, ..Conf::usual() },
        ];
        for conf in all {
            let document = Document::read(conf.cluster().text().as_bytes()).expect("it can be read");
            let problems = Configuration::from_document(&document).err();
            assert!(problems.is_none(), "{conf:?}: {problems:?}");
        }
    }
}
