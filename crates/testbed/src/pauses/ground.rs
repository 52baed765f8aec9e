//! The cluster of a pause run: three servers and a group with an address and a raw partition, to which its application writes; and
//! who is asked beside them.

use anyhow::{Result, bail};
use clap::ValueEnum;
use std::path::PathBuf;

use crate::{
    bmc::{self, Bmc},
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

/// What ends a server that stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fence {
    /// Its watchdog, which counts the machine's time.
    Watchdog,
    /// The others, by its BMC; there is no watchdog.
    ForcedStop,
    /// Nothing. Then nothing is promised (rule R12).
    None,
}

impl Fence {
    /// For people and for machines.
    pub fn word(self) -> &'static str {
        match self {
            Fence::Watchdog => "watchdog",
            Fence::ForcedStop => "forced-stop",
            Fence::None => "none",
        }
    }
}

/// On every server, with the password of the BMCs.
const PASSWORD_FILE: &str = "/opt/mainstay/etc/bmc.password";
/// How long a forced stop may take in milliseconds.
const FORCED_STOP_MS: u32 = 8000;

fn bmc_address(server: &str) -> String {
    format!("10.0.0.20{server}")
}

/// The configuration.
pub fn configuration(method: Method, fence: Fence) -> ClusterConf {
    let write = format!("#! /bin/sh\nexec \"$CLP_PATH/bin/testbed\" blocks /dev/sdb2 --pause {PAUSE_MS}\n");
    let group = Group::new(GROUP)
        .address("data-fip", ADDRESS)
        .resource("disk", "data-disk", "<parameters><disktype>raw</disktype><device>/dev/sdb2</device></parameters>")
        .resident("data-exec", &write, "#! /bin/sh\nexit 0\n");
    let forced = match fence {
        Fence::ForcedStop => {
            format!("<forcestop><use>1</use><timeout>{FORCED_STOP_MS}</timeout><interval>1000</interval></forcestop>")
        }
        Fence::Watchdog | Fence::None => String::new(),
    };
    let conf = ClusterConf::new(SERVERS)
        .times(TIMEOUT_MS, INTERVAL_MS)
        .own(&format!("<bootwait>{SYNC_WAIT_MS}</bootwait><reboot><max>0</max></reboot>{forced}"))
        .heartbeat(Heartbeat::Lankhb(Net::Interconnect))
        .heartbeat(Heartbeat::Lanhb(Net::Public))
        .group(group);
    let bmc = format!(
        "\t\t<mainstay><bmc><address>{}</address><user>{}</user><passwordfile>{PASSWORD_FILE}</passwordfile></bmc></mainstay>\n",
        bmc_address("NUMBER"),
        bmc::USER
    );
    let conf = if fence == Fence::ForcedStop { conf.each_server(&bmc) } else { conf };
    match method {
        Method::Ping => conf.ping(&["10.0.0.254"]),
        Method::Majority => conf.majority(),
        Method::Witness => conf.witness(witness::ADDRESS, ""),
        Method::Etcd => conf.etcd(&etcd::endpoints(), ""),
    }
}

/// The lab with its configuration in a directory.
pub fn options(conf: PathBuf, fence: Fence) -> Options {
    let watchdog = fence == Fence::Watchdog;
    Options { servers: SERVERS, conf: Some(conf), watchdog, restart_delay_ms: RESTART_MS, ..Options::default() }
}

/// Who is asked beside the servers: they live as long as this value.
pub struct Asked<'a> {
    _witness: Option<Witness<'a>>,
    _etcd: Option<Etcd<'a>>,
    _bmcs: Vec<Bmc<'a>>,
}

impl<'a> Asked<'a> {
    /// Starts them.
    ///
    /// # Errors
    /// One does not start.
    pub fn start(lab: &'a Lab, method: Method, fence: Fence) -> Result<Asked<'a>> {
        let witness = if method == Method::Witness { Some(Witness::start(lab, "server1")?) } else { None };
        let etcd = if method == Method::Etcd { Some(Etcd::start(lab)?) } else { None };
        let mut bmcs = Vec::new();
        if fence == Fence::ForcedStop {
            let testbed = crate::making::programs_directory()?.join("testbed");
            for number in 1..=SERVERS {
                let (server, address) = (format!("server{number}"), bmc_address(&number.to_string()));
                let line = format!("umask 077; echo '{}' >{PASSWORD_FILE}", bmc::PASSWORD);
                if !lab.exec(&server, &["sh", "-c", &line])?.is_ok() {
                    bail!("the password of the BMCs cannot be written on {server}");
                }
                bmcs.push(Bmc::start(lab, &testbed, &server, &address)?);
            }
        }
        Ok(Asked { _witness: witness, _etcd: etcd, _bmcs: bmcs })
    }
}
