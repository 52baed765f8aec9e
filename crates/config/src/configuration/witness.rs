//! A witness, in force: where each server reaches it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{Partition, PartitionKind, Server};
use crate::document::Element;
use crate::problem::Problem;
use crate::schema::partition::Witness;

/// A resolution by a witness over HTTP.
#[derive(Debug, Clone, PartialEq)]
pub struct Httpnp {
    /// Its address, as written.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
    /// Between two looks.
    pub interval: Duration,
}

impl Httpnp {
    /// Shortest time that a question may take: a round trip, a write to the witness's disk, and one more try.
    pub const ANSWER_MIN: Duration = Duration::from_millis(200);

    /// Where a server reaches it: at the address of its own device (`extend`), else at that of the resolution.
    ///
    /// # Errors
    /// What is written there is no address.
    pub fn address(&self, server: &Server, device: u32) -> Result<SocketAddr, String> {
        let own = server.device(device).map(|device| device.extend.as_str()).unwrap_or_default();
        if own.is_empty() {
            return self.host.parse().map(|host: IpAddr| (host, self.port).into()).map_err(|_| self.host.clone());
        }
        let alone = own.parse().map(|host: IpAddr| SocketAddr::from((host, self.port)));
        own.parse().or(alone).map_err(|_| own.to_string())
    }
}

pub(super) fn read_witness(element: &Element, at: &str, problems: &mut Vec<Problem>) -> Httpnp {
    let read = Witness::read(element, at, &[], problems);
    Httpnp { host: read.host, port: read.port, interval: read.interval }
}

impl Partition {
    /// The witness that it asks, if it is one.
    pub fn witness(&self) -> Option<&Httpnp> {
        match &self.kind {
            PartitionKind::Httpnp(witness) => Some(witness),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::{Device, DeviceKind};

    #[test]
    fn a_server_s_own_address_of_the_witness_comes_before_the_common_one() {
        let witness = Httpnp { host: "10.0.0.9".into(), port: 29_020, interval: Duration::ZERO };
        let server = |extend: &str| Server {
            name: "server1".into(),
            priority: 0,
            comment: String::new(),
            survive: false,
            bmc: None,
            devices: vec![Device { id: 10_700, kind: DeviceKind::Other("http".into()), info: "1".into(), extend: extend.into() }],
        };
        let table = [
            ("", Ok("10.0.0.9:29020")),
            ("192.168.0.9:80", Ok("192.168.0.9:80")),
            ("192.168.0.9", Ok("192.168.0.9:29020")),
            ("fd00::9", Ok("[fd00::9]:29020")),
            ("[fd00::9]:80", Ok("[fd00::9]:80")),
            ("witness:80", Err("witness:80")),
        ];
        for (extend, wanted) in table {
            let found = witness.address(&server(extend), 10_700).map(|address| address.to_string());
            assert_eq!(found, wanted.map(String::from).map_err(String::from), "{extend}");
        }
        let named = Httpnp { host: "witness".into(), ..witness };
        assert!(named.address(&server(""), 10_700).is_err() && named.address(&server("10.0.0.8"), 10_700).is_ok());
    }
}
