//! The cluster of a pause run: three servers and a group with an address and a raw partition, to which its application writes.

use anyhow::Result;
use clap::ValueEnum;
use std::path::PathBuf;

use crate::{
    conf::{ClusterConf, Group, Heartbeat},
    etcd::{self, Etcd},
    lab::Lab,
    options::{Net, Options},
    witness::{self, Witness},
};

/// Servers; a majority needs three.
pub const SERVERS: u32 = 3;
/// The group, and its address.
pub const GROUP: &str = "data";
/// Its floating address.
pub const ADDRESS: &str = "10.0.0.31";
/// Silence after which a server is taken for lost, and the interval of heartbeats, in milliseconds.
const TIMEOUT_MS: u64 = 1000;
const INTERVAL_MS: u64 = 100;
/// How long starting servers wait for each other in milliseconds.
const SYNC_WAIT_MS: u32 = 10_000;
/// How long a server that was reset stands still before it boots, in milliseconds.
const RESTART_MS: u64 = 1500;
/// Pause between two blocks in milliseconds.
pub const PAUSE_MS: u64 = 5;

/// How it is decided who may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// An address that answers.
    Ping,
    /// More than half of the servers.
    Majority,
    /// A witness (`clpwitness`).
    Witness,
    /// An etcd of three members.
    Etcd,
}

impl Method {
    /// For people and for machines.
    pub fn word(self) -> &'static str {
        match self {
            Method::Ping => "ping",
            Method::Majority => "majority",
            Method::Witness => "witness",
            Method::Etcd => "etcd",
        }
    }
}

/// The configuration.
pub fn configuration(method: Method) -> ClusterConf {
    let write = format!("#! /bin/sh\nexec \"$CLP_PATH/bin/testbed\" blocks /dev/sdb2 --pause {PAUSE_MS}\n");
    let group = Group::new(GROUP)
        .address("data-fip", ADDRESS)
        .resource("disk", "data-disk", "<parameters><disktype>raw</disktype><device>/dev/sdb2</device></parameters>")
        .resident("data-exec", &write, "#! /bin/sh\nexit 0\n");
    let conf = ClusterConf::new(SERVERS)
        .times(TIMEOUT_MS, INTERVAL_MS)
        .own(&format!("<bootwait>{SYNC_WAIT_MS}</bootwait><reboot><max>0</max></reboot>"))
        .heartbeat(Heartbeat::Lankhb(Net::Interconnect))
        .heartbeat(Heartbeat::Lanhb(Net::Public))
        .group(group);
    match method {
        Method::Ping => conf.ping(&["10.0.0.254"]),
        Method::Majority => conf.majority(),
        Method::Witness => conf.witness(witness::ADDRESS, ""),
        Method::Etcd => conf.etcd(&etcd::endpoints(), ""),
    }
}

/// The lab with its configuration in a directory.
pub fn options(conf: PathBuf, name: Option<String>, watchdog: bool) -> Options {
    Options { servers: SERVERS, conf: Some(conf), name, watchdog, restart_delay_ms: RESTART_MS, ..Options::default() }
}

/// What is asked, beside the servers: it lives as long as this value.
pub enum Asked<'a> {
    /// Nobody who has to be started.
    Nobody,
    /// The witness.
    Witness(Witness<'a>),
    /// The etcd.
    Etcd(Etcd<'a>),
}

impl<'a> Asked<'a> {
    /// Starts it.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(lab: &'a Lab, method: Method) -> Result<Asked<'a>> {
        Ok(match method {
            Method::Ping | Method::Majority => Asked::Nobody,
            Method::Witness => Asked::Witness(Witness::start(lab, "server1")?),
            Method::Etcd => Asked::Etcd(Etcd::start(lab)?),
        })
    }
}
