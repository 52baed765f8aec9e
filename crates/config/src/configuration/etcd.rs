//! An etcd, in force: where each server reaches its members.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Partition, PartitionKind, Server};
use crate::document::Element;
use crate::problem::Problem;
use crate::schema::partition::Etcd;

/// A resolution by an etcd.
#[derive(Debug, Clone, PartialEq)]
pub struct Etcdnp {
    /// Its members, as written.
    pub endpoints: String,
    /// What the record's key begins with.
    pub prefix: String,
    /// Between two looks.
    pub interval: Duration,
}

impl Etcdnp {
    /// Shortest time that a question may take: two round trips of the members among themselves and a write to their disks, and for a member
    /// that does not answer an equal part of it.
    pub const ANSWER_MIN: Duration = Duration::from_millis(500);

    /// Where a server reaches the members: at those of its own device (`extend`), else at those of the resolution.
    ///
    /// # Errors
    /// What is written there is no address with a port.
    pub fn addresses(&self, server: &Server, device: u32) -> Result<Vec<SocketAddr>, String> {
        let own = server.device(device).map(|device| device.extend.as_str()).unwrap_or_default();
        let written = if own.trim().is_empty() { self.endpoints.as_str() } else { own };
        let words = written.split([',', ' ']).filter(|word| !word.is_empty());
        words.map(|word| word.parse().map_err(|_| word.to_string())).collect()
    }

    /// The key of a cluster's record.
    pub fn key(&self, cluster: &str) -> String {
        format!("{}{cluster}", self.prefix)
    }
}

pub(super) fn read_etcd(element: &Element, at: &str, problems: &mut Vec<Problem>) -> Etcdnp {
    let read = Etcd::read(element, at, &[], problems);
    Etcdnp { endpoints: read.endpoints, prefix: read.prefix, interval: read.interval }
}

impl Partition {
    /// The etcd that it asks, if it is one.
    pub fn etcd(&self) -> Option<&Etcdnp> {
        match &self.kind {
            PartitionKind::Etcdnp(etcd) => Some(etcd),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::{Device, DeviceKind};

    #[test]
    fn a_server_s_own_endpoints_come_before_the_common_ones() {
        let etcd = Etcdnp { endpoints: "10.0.0.9:2379, 10.0.0.8:2379".into(), prefix: "/m/".into(), interval: Duration::ZERO };
        let server = |extend: &str| Server {
            name: "server1".into(),
            priority: 0,
            comment: String::new(),
            survive: false,
            bmc: None,
            devices: vec![Device { id: 10_800, kind: DeviceKind::Other("etcd".into()), info: "1".into(), extend: extend.into() }],
        };
        let table: [(&str, Result<&[&str], &str>); 6] = [
            ("", Ok(&["10.0.0.9:2379", "10.0.0.8:2379"])),
            ("192.168.0.9:80", Ok(&["192.168.0.9:80"])),
            ("[fd00::9]:80,10.0.0.9:1", Ok(&["[fd00::9]:80", "10.0.0.9:1"])),
            ("10.0.0.9", Err("10.0.0.9")),
            ("10.0.0.9:1 etcd:2379", Err("etcd:2379")),
            ("http://10.0.0.9:2379", Err("http://10.0.0.9:2379")),
        ];
        for (extend, wanted) in table {
            let found = etcd.addresses(&server(extend), 10_800);
            let found = found.map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
            let wanted = wanted.map(|all| all.iter().map(ToString::to_string).collect()).map_err(String::from);
            assert_eq!(found, wanted, "{extend}");
        }
        assert_eq!(etcd.key("c"), "/m/c");
    }
}
