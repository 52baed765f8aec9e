//! The test bench's command: makes labs of servers on this machine, breaks them, looks into them.
//!
//! Only arguments and printing; everything else is in the library. The hidden commands are the bench's own processes.

mod list;

use anyhow::{Context, Result, bail};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clp_testbed::{
    Cut, FileSystem, Lab, Net, Options, SwitchKind, Weather, completion, cost, gaps, machine, options,
    places::{checkout, living, need_root, sweep_dead},
    probe::{Way, probe, respond},
    storm::{self, Order, Outcome},
    supervise, timed,
};
use std::{
    io::Write,
    net::{SocketAddr, ToSocketAddrs},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// A cluster's worth of servers on one machine, for testing by hand. Needs root.
#[derive(Parser)]
#[command(name = "testbed", version, args_conflicts_with_subcommands = true, arg_required_else_help = true)]
struct Arguments {
    /// Print what lets a shell complete this command's words; for bash: eval "$(testbed --completion)"
    #[arg(long, value_name = "SHELL", num_args = 0..=1, default_missing_value = "bash")]
    completion: Option<Shell>,
    #[command(subcommand)]
    command: Option<Task>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
}

#[derive(Args)]
struct Which {
    /// The lab; needed when this checkout has several
    #[arg(long = "name", value_name = "LAB", global = true)]
    lab: Option<String>,
}

#[derive(Subcommand)]
enum Task {
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
struct Cable {
    #[command(flatten)]
    which: Which,
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
    fn cut(&self) -> Cut {
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
enum Fault {
    /// Every read and write fails at once
    Fail,
    /// No read or write ends
    Hang,
    /// All is well again
    Heal,
}

fn main() -> ExitCode {
    let name = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&name).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let result = match name.as_str() {
        "reboot" | "poweroff" | "halt" => machine::reboot_here(&name).map(|()| ExitCode::SUCCESS),
        _ => match Arguments::parse() {
            Arguments { command: Some(task), .. } => run(task),
            Arguments { completion: Some(Shell::Bash), .. } => say(completion::BASH),
            // Without either the help has been shown.
            _ => Ok(ExitCode::FAILURE),
        },
    };
    result.unwrap_or_else(|error| {
        eprintln!("testbed: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(task: Task) -> Result<ExitCode> {
    match task {
        Task::Responder { address, process } => respond(address, process)?,
        Task::BootServer { plan } => machine::boot_server(&plan)?,
        Task::Init { plan } => machine::init(&plan)?,
        Task::Hang { point, seconds } => clp_testbed::hang::hang(&point, Duration::from_secs(seconds))?,
        Task::Supervise { name } => supervise::supervise(&name)?,
        Task::Complete { words } => {
            let found = completion::candidates(&Arguments::command(), &words, &completion::labs());
            return say(&found.iter().map(|word| format!("{word}\n")).collect::<String>());
        }
        Task::Janitor { name } => supervise::janitor(&name)?,
        Task::Stamp { command } => return timed::stamp(&command),
        Task::Took { command } => return timed::took(&command),
        Task::Take { address } => take(address)?,
        Task::Storm { seed, minutes, list, replay, name } => {
            let evidence = std::env::current_exe().context("cannot find this program")?.with_file_name("storm");
            let evidence = evidence.join(format!("seed-{seed}"));
            let length = Duration::from_secs(minutes * 60);
            let order = Order { seed, length, round: replay, name, evidence };
            return if list { say(&order.list()) } else { run_storm(&order) };
        }
        Task::Gaps { interface, seconds } => {
            let longest = gaps::longest(&interface, Duration::try_from_secs_f64(seconds)?)?;
            return say(&format!("{}\n", longest.as_micros()));
        }
        Task::Cost { program, seconds } => {
            let cost = cost::measure(&program, Duration::try_from_secs_f64(seconds)?)?;
            return say(&format!("{:.3} {:.3}\n", cost.memory_mb, cost.processor_percent));
        }
        task => {
            need_root()?;
            return by_hand(task);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A storm until its end or a signal; the last line is for machines.
fn run_storm(order: &Order) -> Result<ExitCode> {
    need_root()?;
    // Before the first thread, so that none of them is ended by a signal and the lab is always taken down in order.
    let signals = clp_sys::signals::Ending::hold().context("cannot hold signals back")?;
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    std::thread::spawn(move || {
        signals.wait();
        told.store(true, Ordering::Relaxed);
    });
    let outcome = match storm::run(order, &stop) {
        Ok(outcome) => outcome,
        Err(error) => Outcome { found: vec![format!("{error:#}")], ..Outcome::default() },
    };
    for words in &outcome.found {
        println!("found: {words}");
    }
    println!(
        "rounds={} acknowledged={} longest settling {:.1} s, longest overlap without a gate {} ms",
        outcome.rounds,
        outcome.acknowledged,
        outcome.settle_max.as_secs_f64(),
        outcome.overlap.as_millis()
    );
    println!("{}", outcome.line(order.seed));
    Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The commands for people.
fn by_hand(task: Task) -> Result<ExitCode> {
    let find = |which: &Which| Lab::find(which.lab.as_deref());
    match task {
        Task::Up { servers, conf, name, fs, disk, partitions, switch, no_watchdog, no_boot } => {
            let named = || conf.as_deref().and_then(FileSystem::named_in);
            let file_system = fs.or_else(named).unwrap_or(Options::default().file_system);
            let wanted = conf.as_deref().map(options::wanted_by).transpose()?;
            let (servers_wanted, partitions_wanted) = wanted.unwrap_or((Options::default().servers, 1));
            let options = Options {
                servers: servers.unwrap_or(servers_wanted),
                conf,
                name,
                file_system,
                disk_mib: disk,
                data_partitions: partitions.unwrap_or(partitions_wanted),
                switch,
                watchdog: !no_watchdog,
                boot: !no_boot,
                ..Options::default()
            };
            let lab = Lab::up(options)?;
            let name = lab.name();
            println!("lab {name} is up: {}", lab.servers().join(", "));
            println!("`testbed shell server1 --name {name}` looks into it, `testbed down --name {name}` takes it down");
            lab.keep()?;
        }
        Task::Down { which, all: false } => find(&which)?.down()?,
        Task::Down { all: true, .. } => return down_all(),
        Task::List { json } => return say(&list::list(json)?),
        Task::Exec { which, server, command } => {
            let command: Vec<&str> = command.iter().map(String::as_str).collect();
            return go_on_as(find(&which)?.command(&server, &command)?);
        }
        Task::Shell { which, server } => return go_on_as(find(&which)?.command(&server, &["/bin/bash", "-i"])?),
        Task::Client { which, command } => {
            let command: Vec<&str> = command.iter().map(String::as_str).collect();
            return go_on_as(find(&which)?.client_command(&command)?);
        }
        Task::PowerOff { which, server } => drop(find(&which)?.power_off(&server)?),
        Task::PowerOn { which, server } => find(&which)?.power_on(&server)?,
        Task::Pause { which, server } => find(&which)?.pause(&server)?,
        Task::Resume { which, server } => find(&which)?.resume(&server)?,
        Task::Cut(cable) => find(&cable.which)?.cut_as(cable.cut())?,
        Task::Heal(cable) => find(&cable.which)?.heal_as(cable.cut())?,
        Task::Weather { which, announcements, towards, keep_entries, delay, loss, reorder, seed } => {
            find(&which)?.weather(Weather {
                announcements,
                towards,
                keep_entries,
                delay_ms: delay,
                loss_percent: loss,
                reorder_percent: reorder,
                seed,
            })?;
        }
        Task::Disk { which, fault, server } => {
            let lab = find(&which)?;
            match fault {
                Fault::Fail => lab.disk_fail(&server)?,
                Fault::Hang => lab.disk_hang(&server)?,
                Fault::Heal => lab.disk_heal(&server)?,
            }
        }
        Task::Probe { which, target, tcp, http, seconds, json } => {
            let way = match (tcp, http) {
                (true, _) => Way::Tcp,
                (_, true) => Way::Http,
                _ => Way::Udp,
            };
            ask_address(&find(&which)?, &target, way, seconds, json)?;
        }
        _ => bail!("this command is not for people"),
    }
    Ok(ExitCode::SUCCESS)
}

/// A takeover without detection: the least that any product has to do, with everything prepared.
fn take(address: std::net::Ipv4Addr) -> Result<()> {
    let existing = clp_sys::address::list()?;
    let assigned = clp_sys::address::network_of(address.into(), &existing).context("no interface is in its network")?;
    let arp = clp_sys::arp::Arp::open(assigned.interface)?;
    std::io::stdin().read_line(&mut String::new())?;
    println!("{}", clp_sys::clock::now().as_micros());
    clp_sys::address::add(assigned)?;
    arp.announce(address)?;
    Ok(())
}

/// Becomes the command, so that terminal, signals and exit status are its own.
fn go_on_as(mut command: Command) -> Result<ExitCode> {
    Err(command.exec()).context("cannot run nsenter (package util-linux)")
}

/// Takes down all labs of this checkout, one by one; one that will not go keeps none of the others.
fn down_all() -> Result<ExitCode> {
    let own = checkout();
    let mut left = sweep_dead()?;
    let records = living()?;
    for record in records.iter().filter(|record| record.checkout == own) {
        match Lab::of(record)?.down() {
            Ok(()) => println!("lab {} is down", record.name),
            Err(error) => left.push(error),
        }
    }
    left.iter().for_each(|error| eprintln!("testbed: {error:#}"));
    Ok(if left.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints; whoever reads may have heard enough.
fn say(text: &str) -> Result<ExitCode> {
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(ExitCode::SUCCESS)
}

fn ask_address(lab: &Lab, target: &str, way: Way, seconds: f64, json: bool) -> Result<()> {
    let address = target.to_socket_addrs().ok().and_then(|mut found| found.next());
    let address = address.with_context(|| format!("{target} is no address; say ADDRESS:PORT, such as 10.0.0.1:80"))?;
    if !address.is_ipv4() {
        bail!("{target} cannot be asked: the client has addresses of version 4 only");
    }
    let limit = Duration::try_from_secs_f64(seconds).context("--for takes seconds")?;
    lab.enter_client()?;
    let report = probe(
        address,
        way,
        limit,
        || false,
        |reign| {
            if !json {
                println!("{:10.3} ms  {}", reign.first_us as f64 / 1000.0, reign.who);
            }
        },
    )?;
    if json {
        println!("{}", serde_json::to_string(&report)?);
        return Ok(());
    }
    println!(
        "{} questions, {} answers, longest gap {:.3} ms at {:.3} ms",
        report.questions,
        report.answers,
        report.longest_gap_us as f64 / 1000.0,
        report.longest_gap_at_us as f64 / 1000.0
    );
    Ok(())
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
