//! The words of the command, each with the help that is shown for it.

use clap::{Args, Parser, Subcommand, ValueEnum};
use clp_testbed::{
    Cut, FileSystem, Net, Options, SwitchKind,
    pauses::ground::{Fence, Method},
};
use std::{net::SocketAddr, path::PathBuf};

/// A cluster's worth of servers on one machine, for testing by hand. Needs root.
#[derive(Parser)]
#[command(name = "testbed", version, args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// Print what lets a shell complete this command's words; for bash: eval "$(testbed --completion)"
    #[arg(long, value_name = "SHELL", num_args = 0..=1, default_missing_value = "bash")]
    pub(crate) completion: Option<Shell>,
    #[command(subcommand)]
    pub(crate) command: Option<Task>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Shell {
    Bash,
}

#[derive(Args)]
pub(crate) struct Which {
    /// The lab; needed when this checkout has several
    #[arg(long = "name", value_name = "LAB", global = true)]
    pub(crate) lab: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Make a lab and boot its servers
    Up {
        /// How many servers: server1, server2 ...; else what clp.conf has, else 2
        #[arg(long)]
        servers: Option<u32>,
        /// Directory with clp.conf and scripts/ for every server
        #[arg(long, value_name = "DIR")]
        conf: Option<PathBuf>,
        /// The lab's name
        #[arg(long, value_name = "LAB")]
        name: Option<String>,
        /// File system on /dev/sdb2; else what clp.conf says, else ext4
        #[arg(long)]
        fs: Option<FileSystem>,
        /// Size of the shared disk (sparse)
        #[arg(long, value_name = "MIB", default_value_t = Options::default().disk_mib)]
        disk: u64,
        /// Partitions for data on the shared disk: /dev/sdb2 and those after it; else what clp.conf uses, else 1
        #[arg(long, value_name = "N")]
        partitions: Option<u32>,
        /// What joins the servers: the kernel's bridge, or the bench's own switch, for which there is `testbed weather`
        #[arg(long, value_name = "KIND", default_value = "kernel")]
        switch: SwitchKind,
        /// No /dev/watchdog in the servers
        #[arg(long)]
        no_watchdog: bool,
        /// Leave the servers off
        #[arg(long)]
        no_boot: bool,
    },
    /// Take a lab down
    Down {
        #[command(flatten)]
        which: Which,
        /// Every lab of this checkout
        #[arg(long, conflicts_with = "lab")]
        all: bool,
    },
    /// Show the labs of this machine and their servers
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Run a command in a server
    Exec {
        #[command(flatten)]
        which: Which,
        server: String,
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Open a shell in a server
    Shell {
        #[command(flatten)]
        which: Which,
        server: String,
    },
    /// Run a command on the client, 10.0.0.100
    Client {
        #[command(flatten)]
        which: Which,
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Take a server's power: nothing is flushed, disk and links are gone, everything in it is killed
    PowerOff {
        #[command(flatten)]
        which: Which,
        server: String,
    },
    /// Give a server power and wait until it has booted
    PowerOn {
        #[command(flatten)]
        which: Which,
        server: String,
    },
    /// Freeze everything in a server (its kernel still answers ping)
    Pause {
        #[command(flatten)]
        which: Which,
        server: String,
    },
    /// Let a frozen server go on
    Resume {
        #[command(flatten)]
        which: Which,
        server: String,
    },
    /// Cut a server from a net
    Cut(Cable),
    /// Undo the cuts of a server on a net; with --from, --one-way or --keep-carrier only such cuts
    Heal(Cable),
    /// Lose, delay or reorder frames in the bench's own switch (`up --switch user`); without options it is fair again
    Weather {
        #[command(flatten)]
        which: Which,
        /// Lose so many announcements of each address
        #[arg(long, value_name = "COUNT", default_value_t = 0)]
        announcements: u32,
        /// Only on the way to this one: a server, client or gateway; may be repeated
        #[arg(long, value_name = "PEER", requires = "announcements")]
        towards: Vec<String>,
        /// Keep each hardware address on the port where it was heard first
        #[arg(long)]
        keep_entries: bool,
        /// Let each frame be under way so long
        #[arg(long, value_name = "MS", default_value_t = 0)]
        delay: u64,
        /// Lose so many frames
        #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
        loss: u8,
        /// Let so many frames be overtaken
        #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
        reorder: u8,
        /// Which frames these are
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Break or heal a server's path to the shared disk
    Disk {
        #[command(flatten)]
        which: Which,
        fault: Fault,
        server: String,
        /// How late a slow disk is
        #[arg(long, value_name = "MS", default_value_t = 1000)]
        delay: u64,
        /// Heal it by itself after so long
        #[arg(long = "for", value_name = "SECONDS")]
        seconds: Option<u64>,
    },
    /// Ask an address every millisecond from the client: who answers, and the longest gap
    Probe {
        #[command(flatten)]
        which: Which,
        /// Address and port
        target: String,
        /// Connect and read a line instead of sending a datagram
        #[arg(long, conflicts_with = "http")]
        tcp: bool,
        /// Send GET / instead of a datagram
        #[arg(long)]
        http: bool,
        /// How long
        #[arg(long = "for", value_name = "SECONDS", default_value_t = 10.0)]
        seconds: f64,
        /// Print the report as JSON
        #[arg(long)]
        json: bool,
    },
    /// Four servers and six groups under random faults from a seed, with checkers that look at the world
    Storm {
        /// Which storm: the same seed brings the same faults
        #[arg(long)]
        seed: u64,
        /// For how long
        #[arg(long, default_value_t = 10)]
        minutes: u64,
        /// Only print the faults
        #[arg(long)]
        list: bool,
        /// Repeat this round of the seed instead of all in turn
        #[arg(long, value_name = "ROUND")]
        replay: Option<u32>,
        /// The lab's name
        #[arg(long, value_name = "LAB")]
        name: Option<String>,
    },
    /// Whole servers stand still again and again, with checkers on the shared disk's blocks and on the address
    Pauses {
        /// How it is decided who may go on; several after each other with commas
        #[arg(long, value_delimiter = ',', required = true)]
        method: Vec<Method>,
        /// How many stops for each of them
        #[arg(long, default_value_t = 20)]
        stops: u32,
        /// Labs side by side for each of them
        #[arg(long, default_value_t = 1)]
        labs: u32,
        /// Which stops: the same seed brings the same
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// What ends a server that stands still; with nothing nothing is promised, and it is printed what happened
        #[arg(long, default_value = "watchdog")]
        fence: Fence,
    },
    /// Write blocks to a device that say whose they are, for the checker of `pauses`
    Blocks {
        device: PathBuf,
        /// Pause between two
        #[arg(long, value_name = "MS", default_value_t = 5)]
        pause: u64,
    },
    /// Answer every datagram and connection at an address with this host's name
    Responder {
        /// Address and port
        address: SocketAddr,
        /// Answer with the process id, too
        #[arg(long)]
        process: bool,
    },
    #[command(hide = true)]
    Supervise { name: String },
    #[command(hide = true)]
    BootServer { plan: PathBuf },
    #[command(hide = true)]
    Init { plan: PathBuf },
    /// In a server: mount a file system on POINT whose one file, `file`, nobody can finish reading
    #[command(hide = true)]
    Hang { point: PathBuf, seconds: u64 },
    #[command(hide = true)]
    Janitor { name: String },
    /// Print what the last of the words after `testbed` may become
    #[command(hide = true)]
    Complete {
        #[arg(last = true)]
        words: Vec<String>,
    },
    /// Say when, then run a command
    #[command(hide = true)]
    Stamp {
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Run a command to its end, then print how many microseconds it took
    #[command(hide = true)]
    Took {
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Add an address as soon as a line comes, and say when
    #[command(hide = true)]
    Take { address: std::net::Ipv4Addr },
    /// Print the longest time in microseconds without a packet on an interface
    #[command(hide = true)]
    Gaps {
        interface: String,
        #[arg(long = "for")]
        seconds: f64,
    },
    /// Print the proportional memory in MB and the percentage of a processor that a program's processes cost
    #[command(hide = true)]
    Cost {
        program: String,
        #[arg(long = "for")]
        seconds: f64,
    },
}

#[derive(Args)]
pub(crate) struct Cable {
    #[command(flatten)]
    pub(crate) which: Which,
    server: String,
    net: Net,
    /// Only what goes to and comes from this peer: another server, client, or gateway (the ping target)
    #[arg(long, value_name = "PEER")]
    from: Option<String>,
    /// Only what travels towards SERVER
    #[arg(long)]
    one_way: bool,
    /// Drop the packets but leave the link up
    #[arg(long)]
    keep_carrier: bool,
}

impl Cable {
    pub(crate) fn cut(&self) -> Cut {
        Cut {
            server: self.server.clone(),
            net: self.net,
            from: self.from.clone(),
            one_way: self.one_way,
            keep_carrier: self.keep_carrier,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Fault {
    /// Every read and write fails at once
    Fail,
    /// No read or write ends
    Hang,
    /// Every read and write ends late
    Slow,
    /// All is well again
    Heal,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_declared_soundly() {
        Arguments::command().debug_assert();
    }
}
