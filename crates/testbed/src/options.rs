//! What a lab is made of and which faults it can be given: plain values shared by library, command and supervisor.

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Most servers in a lab: what the product supports in a cluster.
pub const SERVERS_MAX: u32 = 32;
/// Size of the shared disk in MiB when none is asked for: xfs wants 300 MiB at least.
const DISK_MIB: u64 = 1200;
/// Longer than the fast detection profile takes to take over, shorter than the patience of those who watch.
const RESTART_DELAY_MS: u64 = 4000;
/// Smallest shared disk in MiB: the partition for the disk heartbeat and a little file system.
pub const DISK_MIB_MIN: u64 = 32;
/// Largest shared disk in MiB: programs that know old partition tables alone count sectors with 32 bits.
pub const DISK_MIB_MAX: u64 = (1 << 21) - 1;
/// Smallest shared disk in MiB on which xfs can be made.
const DISK_MIB_XFS: u64 = 320;
/// Most partitions for data on the shared disk: as many device nodes as a disk had in the days of fixed numbers, and one is for the
/// disk heartbeat.
pub const PARTITIONS_MAX: u32 = 14;

/// What kind of lab is wanted. `..Options::default()` gives two bare servers with ext4 on the shared disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// How many servers, 1 to [`SERVERS_MAX`]; they are called server1, server2 …
    pub servers: u32,
    /// Directory with `clp.conf` and `scripts/` that every server gets.
    pub conf: Option<PathBuf>,
    /// The lab's name; made up when absent.
    pub name: Option<String>,
    /// File system on `/dev/sdb2` and the partitions after it.
    pub file_system: FileSystem,
    /// Partitions for data on the shared disk, 1 to [`PARTITIONS_MAX`]: `/dev/sdb2` and those after it.
    pub data_partitions: u32,
    /// Size of the shared disk in MiB; the image is sparse.
    pub disk_mib: u64,
    /// What joins the servers.
    pub switch: SwitchKind,
    /// Whether each server has a `/dev/watchdog`.
    pub watchdog: bool,
    /// Whether the servers boot at once; else they are off until `power_on`.
    pub boot: bool,
    /// How long a server that was reset or rebooted stands still before it boots again, in milliseconds: what firmware
    /// and boot loader take. Without it a server would be back before the others miss it. `power_on` does not wait.
    pub restart_delay_ms: u64,
    /// Directory of the programs to test; else the `MAINSTAY_BIN` variable, else the directory of the running program.
    pub programs: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            servers: 2,
            conf: None,
            name: None,
            file_system: FileSystem::Ext4,
            data_partitions: 1,
            disk_mib: DISK_MIB,
            switch: SwitchKind::Kernel,
            watchdog: true,
            boot: true,
            restart_delay_ms: RESTART_DELAY_MS,
            programs: None,
        }
    }
}

impl Options {
    /// Says whether the shared disk can be made as it is asked for.
    ///
    /// # Errors
    /// It is too small or too large.
    pub fn check_disk(&self) -> Result<()> {
        if !(1..=PARTITIONS_MAX).contains(&self.data_partitions) {
            bail!("a shared disk has 1 to {PARTITIONS_MAX} partitions for data, not {}", self.data_partitions);
        }
        let min = if self.file_system == FileSystem::Xfs { DISK_MIB_XFS } else { DISK_MIB_MIN } * u64::from(self.data_partitions);
        if !(min..=DISK_MIB_MAX).contains(&self.disk_mib) {
            let file_system = self.file_system.word();
            bail!("a shared disk of {} MiB cannot be made; with {file_system} ask for {min} to {DISK_MIB_MAX}", self.disk_mib);
        }
        Ok(())
    }
}

/// File systems that the bench puts on the shared disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
pub enum FileSystem {
    /// ext3 as the guide's sample has it.
    Ext3,
    /// ext4.
    Ext4,
    /// xfs; needs 300 MiB.
    Xfs,
}

impl FileSystem {
    /// Its type's name.
    pub fn word(self) -> &'static str {
        match self {
            FileSystem::Ext3 => "ext3",
            FileSystem::Ext4 => "ext4",
            FileSystem::Xfs => "xfs",
        }
    }

    /// The file system that a configuration's first disk resource names, if it is one that the bench makes.
    pub fn named_in(conf: &Path) -> Option<FileSystem> {
        let text = std::fs::read(conf.join("clp.conf")).ok()?;
        let text = String::from_utf8_lossy(&text).into_owned();
        FileSystem::from_str(text.split_once("<fs>")?.1.split_once("</fs>")?.0.trim(), false).ok()
    }
}

/// What joins the servers of a lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
pub enum SwitchKind {
    /// The kernel's bridge: fast, and always fair.
    Kernel,
    /// The bench's own, for which there is [`Weather`].
    User,
}

/// What the bench's own switch does to frames. The default is fair: nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Weather {
    /// Of each address, so many announcements (ARP of both kinds, neighbour advertisements) are lost from now on.
    pub announcements: u32,
    /// Only on the way to these: servers, `client`, `gateway`. Empty: to all.
    pub towards: Vec<String>,
    /// A hardware address stays on the port where it was heard first.
    pub keep_entries: bool,
    /// Each frame is under way so long, in milliseconds.
    pub delay_ms: u64,
    /// So many of a hundred frames are lost.
    pub loss_percent: u8,
    /// So many of a hundred frames are overtaken by others.
    pub reorder_percent: u8,
    /// Which frames that are.
    pub seed: u64,
}

/// How many servers a configuration has, and how many partitions for data it uses on the shared disk; at least one of each.
///
/// # Errors
/// It cannot be read.
pub fn wanted_by(conf: &Path) -> Result<(u32, u32)> {
    let file = conf.join("clp.conf");
    if !file.exists() {
        bail!("no clp.conf in {}; --conf names the directory", conf.display());
    }
    let text = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let servers = text.matches("<server name=").count() as u32;
    let partition = |number: &u32| text.contains(&format!("<device>/dev/sdb{}</device>", number + 1));
    Ok((servers.max(1), (1..=PARTITIONS_MAX).filter(partition).max().unwrap_or(1)))
}

/// What can be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
pub enum Net {
    /// 10.0.0.0/24, `eth0`.
    Public,
    /// 192.168.0.0/24, `eth1`.
    Interconnect,
    /// Both networks.
    All,
    /// The serial cable between server1 and server2.
    Com,
}

/// A cut between a server and the rest, or one peer only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// The server that loses something.
    pub server: String,
    /// Where.
    pub net: Net,
    /// Only what goes to and comes from this peer: a server's name, `client`, or `gateway` (the ping target).
    pub from: Option<String>,
    /// Only what travels towards `server` is lost; what it sends still arrives.
    pub one_way: bool,
    /// Drop the packets and leave the link up, instead of setting the switch port down. A cut `from` a peer and a
    /// one-way cut always keep the carrier.
    pub keep_carrier: bool,
}

impl Cut {
    /// A cut of the whole net: the server loses its carrier.
    pub fn whole(server: &str, net: Net) -> Cut {
        Cut { server: server.to_string(), net, from: None, one_way: false, keep_carrier: false }
    }

    /// The same cut, only for what goes to and comes from `peer`.
    pub fn from(mut self, peer: &str) -> Cut {
        self.from = Some(peer.to_string());
        self
    }

    /// The same cut, only for what travels towards the server.
    pub fn one_way(mut self) -> Cut {
        self.one_way = true;
        self
    }

    /// The same cut with the link left up.
    pub fn keep_carrier(mut self) -> Cut {
        self.keep_carrier = true;
        self
    }
}

/// How a server's path to the shared disk behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskState {
    /// Reads and writes work.
    Healthy,
    /// Every read and write fails at once with an I/O error.
    Failing,
    /// No read or write ever ends, until the path is healed.
    Hanging,
    /// Every read and write ends so many milliseconds late; those on their way end when the path is healed.
    Slow {
        /// How late.
        delay_ms: u64,
    },
}
