//! How a lab comes to be and how it goes: the supervisor and the janitor are started here and waited for.
//!
//! The janitor watches before anything is made that could be left behind, and the supervisor goes when its standard input ends
//! before it was told to stay: whoever is killed at whatever moment leaves nothing. What the lab consists of is `supervise`.

use anyhow::{Context, Result, anyhow, bail};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use crate::{
    control::{Question, ask},
    options::{Options, SERVERS_MAX},
    places::{LABS, Places, ProcessId, Record, checkout, end, lock, need_root, sweep_dead},
    supervise::{GO, STAY},
    tools::wait_until,
};

/// What a fresh lab takes of the disk or memory behind [`LABS`] in MiB: xfs with its log on the shared disk, and some for the servers.
const ROOM_MIB: u64 = 80;
/// How long a supervisor may take to go after it answered, or after it was killed.
const LEAVE_LIMIT: Duration = Duration::from_secs(10);

/// The processes of a lab that this process made.
pub struct Made {
    supervisor: Child,
    /// The lab goes down when this ends, unless the supervisor was told to stay.
    orders: ChildStdin,
    janitor: Child,
}

impl Made {
    /// Lets the lab outlive this process.
    ///
    /// # Errors
    /// The supervisor has ended.
    pub fn stay(&mut self) -> Result<()> {
        writeln!(self.orders, "{STAY}").context("the lab's supervisor has ended")
    }

    fn reap(&mut self) {
        let _ = self.supervisor.wait();
        let _ = self.janitor.wait();
    }
}

/// Makes a lab and waits until it is up.
///
/// # Errors
/// Not root, an option that does not fit, a name that is taken, a tool is missing, a server does not boot; nothing is left then.
pub fn make(mut options: Options) -> Result<(Places, Made)> {
    need_root()?;
    if !(1..=SERVERS_MAX).contains(&options.servers) {
        bail!("a lab has 1 to {SERVERS_MAX} servers, not {}", options.servers);
    }
    options.check_disk()?;
    let programs = match options.programs.take() {
        Some(programs) => programs,
        None => programs_directory()?,
    };
    let testbed = programs.join("testbed");
    let testbed = if testbed.exists() { testbed } else { std::env::current_exe()? };
    if testbed.file_name().is_none_or(|name| name != "testbed") {
        bail!("there is no program testbed in {}; build it or set MAINSTAY_BIN", programs.display());
    }
    options.programs = Some(programs);
    if let Some(conf) = &options.conf {
        if !conf.join("clp.conf").exists() {
            bail!("there is no clp.conf in {}; --conf names the directory that holds it", conf.display());
        }
        options.conf = Some(conf.canonicalize()?);
    }
    // What killed benches left goes first, so that a name can be used again.
    for left in sweep_dead()? {
        eprintln!("{left:#}");
    }
    let name = options.name.clone().unwrap_or_else(free_name);
    let places = Places::of(&name)?;
    let mut janitor = start_janitor(&testbed, &name)?;
    let mut record = match claim(&places, options) {
        Ok(record) => record,
        Err(error) => {
            // It must not wait for the end of the lab that has the name.
            let _ = janitor.kill();
            let _ = janitor.wait();
            return Err(error);
        }
    };
    let result = start_supervisor(&testbed, &places, &mut record).and_then(|(mut supervisor, mut orders, output)| {
        drop(janitor.stdin.take());
        // If it has ended already, its output says so.
        let _ = writeln!(orders, "{GO}");
        wait_ready(output).map_err(|error| {
            end(&record.supervisor);
            let _ = supervisor.wait();
            let said = fs::read_to_string(places.log()).unwrap_or_default();
            if said.is_empty() { error } else { error.context(said.trim().to_string()) }
        })?;
        Ok((supervisor, orders))
    });
    match result {
        Ok((supervisor, orders)) => Ok((places, Made { supervisor, orders, janitor })),
        Err(error) => {
            let cleared = places.clear();
            let _ = janitor.kill();
            let _ = janitor.wait();
            Err(match cleared {
                Ok(()) => error,
                Err(left) => error.context(format!("{left:#}")),
            })
        }
    }
}

/// Takes a lab down, whoever made it; nothing of it is left.
///
/// # Errors
/// Something would not go.
pub fn leave(places: &Places, mut made: Option<&mut Made>) -> Result<()> {
    let result = match places.record() {
        Ok(record) => end_supervisor(places, &record.supervisor),
        // Someone else took it down.
        Err(_) => Ok(()),
    };
    if let (Ok(()), Some(made)) = (&result, &mut made) {
        made.reap();
    }
    result.and_then(|()| places.sweep())
}

fn end_supervisor(places: &Places, supervisor: &ProcessId) -> Result<()> {
    let gone = || wait_until("the lab's supervisor has gone", LEAVE_LIMIT, || !supervisor.lives());
    // Whether it hears at all is known sooner than whether all servers are down.
    let control = places.control();
    if ask(&control, &Question::Status).is_ok() && ask(&control, &Question::Down).is_ok() && gone().is_ok() {
        return Ok(());
    }
    end(supervisor);
    gone().map(|_| ()).with_context(|| {
        format!("lab {} is still there: its supervisor, process {}, does not die; try again", places.name, supervisor.pid)
    })
}

fn free_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    format!("lab-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Starts the process that sweeps up: it looks for the supervisor as soon as its standard input ends.
///
/// Janitor and supervisor have a process group of their own: keys typed at this process's terminal do not reach them.
fn start_janitor(testbed: &Path, name: &str) -> Result<Child> {
    let mut janitor = Command::new(testbed);
    janitor.args(["janitor", name]).process_group(0);
    janitor.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("cannot start the janitor")
}

/// Makes the directory of a new lab, and its first record: while there is no supervisor, this process stands for it.
fn claim(places: &Places, options: Options) -> Result<Record> {
    let name = &places.name;
    check_room()?;
    let supervisor = ProcessId::of(std::process::id()).context("cannot read /proc")?;
    let record = Record { name: name.clone(), checkout: checkout(), supervisor, group: places.new_group(), options };
    let _lock = lock()?;
    match fs::create_dir(&places.directory) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("there is a lab {name} already; `testbed down --name {name}` takes it down")
        }
        made => made.with_context(|| format!("cannot make {}", places.directory.display()))?,
    }
    if let Err(error) = places.write_record(&record) {
        let _ = fs::remove_dir_all(&places.directory);
        return Err(error);
    }
    Ok(record)
}

fn check_room() -> Result<()> {
    fs::create_dir_all(LABS).with_context(|| format!("cannot make {LABS}"))?;
    let room = rustix::fs::statvfs(LABS).with_context(|| format!("cannot look at {LABS}"))?;
    let free = room.f_bavail.saturating_mul(room.f_frsize) >> 20;
    if free < ROOM_MIB {
        bail!("only {free} MiB are free in {LABS}; a lab takes {ROOM_MIB} MiB: take other labs down or make room");
    }
    Ok(())
}

/// Starts the supervisor, in a mount namespace of its own, and writes it down; it makes nothing before it is told to.
fn start_supervisor(testbed: &Path, places: &Places, record: &mut Record) -> Result<(Child, ChildStdin, ChildStdout)> {
    let log = File::create(places.log()).with_context(|| format!("cannot make {}", places.log().display()))?;
    let mut supervisor = Command::new("unshare")
        .args(["--mount", "--"])
        .arg(testbed)
        .args(["supervise", &places.name])
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .context("cannot run unshare (package util-linux)")?;
    let written = ProcessId::of(supervisor.id()).context("the supervisor ended at once").and_then(|process| {
        record.supervisor = process;
        places.write_record(record)
    });
    match (written, supervisor.stdin.take(), supervisor.stdout.take()) {
        (Ok(()), Some(orders), Some(output)) => Ok((supervisor, orders, output)),
        (written, ..) => {
            let _ = supervisor.kill();
            let _ = supervisor.wait();
            Err(written.err().unwrap_or_else(|| anyhow!("the supervisor has no standard input and output")))
        }
    }
}

fn wait_ready(output: ChildStdout) -> Result<()> {
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    match line.trim() {
        "ready" => Ok(()),
        "" => bail!("the lab's supervisor ended before the lab was up"),
        other => bail!("{}", other.trim_start_matches("failed ")),
    }
}

/// Where the programs under test lie: `MAINSTAY_BIN`, else beside this program (for a test: above its `deps`).
pub fn programs_directory() -> Result<PathBuf> {
    if let Some(directory) = std::env::var_os("MAINSTAY_BIN") {
        let directory = PathBuf::from(directory);
        return directory.canonicalize().with_context(|| format!("MAINSTAY_BIN names {}", directory.display()));
    }
    let own = std::env::current_exe().context("cannot find this program")?;
    let directory = own.parent().unwrap_or(Path::new("/"));
    Ok(if directory.ends_with("deps") { directory.parent().unwrap_or(directory) } else { directory }.to_path_buf())
}
