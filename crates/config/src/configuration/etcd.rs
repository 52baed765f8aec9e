//! An etcd, in force: where each server reaches its members.

use std::net::SocketAddr;
use std::path::PathBuf;
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
    /// None: without TLS.
    pub tls: Option<EtcdTls>,
    /// Between two looks.
    pub interval: Duration,
}

/// Which files are used for TLS, on every server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdTls {
    /// Certificates of etcd's authority.
    pub authority: PathBuf,
    /// The certificate that a server shows, and its key.
    pub own: Option<(PathBuf, PathBuf)>,
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
    let mut file = |name: &str, text: &str| {
        if !text.is_empty() && !text.starts_with('/') {
            let what = format!("{text:?} is not an absolute path");
            problems.push(Problem::new(format!("{at}/tls/{name}"), what, "name the file with its whole path"));
        }
        PathBuf::from(text)
    };
    let authority = file("authority", &read.authority);
    let own = (file("certificate", &read.certificate), file("key", &read.key));
    let is_own = !read.certificate.is_empty();
    if is_own == read.key.is_empty() || (is_own && read.authority.is_empty()) {
        let what = "a certificate is shown with its key, and to an etcd whose own one is checked";
        problems.push(Problem::new(
            format!("{at}/tls"),
            what,
            "give authority, certificate and key, or authority alone, or nothing",
        ));
    }
    let tls = (!read.authority.is_empty()).then(|| EtcdTls { authority, own: is_own.then_some(own) });
    Etcdnp { endpoints: read.endpoints, prefix: read.prefix, tls, interval: read.interval }
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
        let endpoints = "10.0.0.9:2379, 10.0.0.8:2379".into();
        let etcd = Etcdnp { endpoints, prefix: "/m/".into(), tls: None, interval: Duration::ZERO };
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

    #[test]
    fn certificates_are_named_together_and_whole() {
        let table = [
            ("", None),
            ("<authority>/a</authority>", None),
            ("<authority>/a</authority><certificate>/c</certificate><key>/k</key>", None),
            ("<authority>a</authority>", Some("\"a\" is not an absolute path")),
            ("<certificate>/c</certificate><key>/k</key>", Some("is shown with its key")),
            ("<authority>/a</authority><certificate>/c</certificate>", Some("is shown with its key")),
            ("<authority>/a</authority><key>/k</key>", Some("is shown with its key")),
        ];
        for (tls, wanted) in table {
            let text = format!("<root><etcdnp name=\"e\"><tls>{tls}</tls></etcdnp></root>");
            let document = crate::document::Document::read(text.as_bytes()).expect("well-formed");
            let element = document.root().all("etcdnp").next().expect("there");
            let mut problems = Vec::new();
            let read = read_etcd(element, "/e", &mut problems);
            let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
            assert_eq!(told.is_empty(), wanted.is_none(), "{tls}: {told:?}");
            assert!(wanted.is_none_or(|wanted| told[0].contains(wanted)), "{tls}: {told:?}");
            assert_eq!(read.tls.is_some(), tls.contains("authority"));
        }
    }
}
