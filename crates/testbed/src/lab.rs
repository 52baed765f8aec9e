//! A lab as tests and commands hold it: made by [`Lab::up`], found again by [`Lab::find`], taken down when dropped.
//!
//! Programs are run in servers by entering their namespaces directly; faults are asked of the supervisor.

use anyhow::{Context, Result, bail};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use crate::{
    control::{Answer, Phase, PowerCut, Question, ServerStatus, ask},
    machine::PATH,
    options::{Cut, DiskState, Net, Options, SERVERS_MAX},
    places::{LABS, Places, ProcessId, Record, checkout, end, need_root},
    tools::wait_until,
};

/// How long a supervisor may take to go after it was asked to.
const LEAVE_LIMIT: Duration = Duration::from_secs(30);

/// A lab that is up.
pub struct Lab {
    places: Places,
    servers: u32,
    /// The supervisor and the janitor; absent when the lab was found, not made.
    made: Option<Made>,
}

struct Made {
    supervisor: Child,
    janitor: Child,
}

/// What a program in a server did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its exit status; 128 and the signal's number when a signal ended it.
    pub status: i32,
    /// What it printed.
    pub stdout: String,
    /// What it printed to standard error.
    pub stderr: String,
}

impl Output {
    /// Says whether it exited with 0.
    pub fn is_ok(&self) -> bool {
        self.status == 0
    }
}

impl Lab {
    /// Makes a lab and boots its servers; it is taken down when the value is dropped or this process ends.
    ///
    /// # Errors
    /// Not root, a tool is missing, or a server does not boot; nothing is left behind then.
    pub fn up(options: Options) -> Result<Lab> {
        Lab::make(options, true)
    }

    /// Makes a lab that outlives this process; [`Lab::find`] finds it again, `down` ends it.
    ///
    /// # Errors
    /// As [`Lab::up`].
    pub fn up_detached(options: Options) -> Result<Lab> {
        Lab::make(options, false)
    }

    fn make(mut options: Options, tied: bool) -> Result<Lab> {
        need_root()?;
        if !(1..=SERVERS_MAX).contains(&options.servers) {
            bail!("a lab has 1 to {SERVERS_MAX} servers, not {}", options.servers);
        }
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
                bail!("there is no clp.conf in {}", conf.display());
            }
            options.conf = Some(conf.canonicalize()?);
        }
        let (places, servers) = (claim(options.name.as_deref())?, options.servers);
        let failed = |error: anyhow::Error| {
            let _ = places.sweep();
            error
        };
        let mut supervisor = start(&testbed, &places, options, tied).map_err(failed)?;
        let process = ProcessId::of(supervisor.id());
        match wait_ready(&mut supervisor) {
            Ok(()) => {}
            Err(error) => {
                if let Some(process) = &process {
                    end(process);
                }
                let _ = supervisor.wait();
                let said = fs::read_to_string(places.log()).unwrap_or_default();
                let error = if said.is_empty() { error } else { error.context(said.trim().to_string()) };
                return Err(failed(error));
            }
        }
        let janitor = Command::new(&testbed)
            .args(["janitor", &places.name])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the janitor")?;
        Ok(Lab { places, servers, made: Some(Made { supervisor, janitor }) })
    }

    /// Finds a lab: the one named, else the only one of this checkout.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn find(name: Option<&str>) -> Result<Lab> {
        need_root()?;
        let own = checkout();
        let mut records = crate::places::living()?;
        match name {
            Some(name) => records.retain(|record| record.name == name),
            None => records.retain(|record| record.checkout == own),
        }
        match (records.as_slice(), name) {
            ([record], _) => Ok(Lab { places: Places::of(&record.name)?, servers: record.options.servers, made: None }),
            ([], Some(name)) => bail!("there is no lab {name}; `testbed list` shows the labs"),
            ([], None) => bail!("no lab of this checkout is up; `testbed up` makes one"),
            (several, _) => {
                let names: Vec<&str> = several.iter().map(|record| record.name.as_str()).collect();
                bail!("several labs are up; say which with --name: {}", names.join(", "))
            }
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.places.name
    }

    /// Its directory; a server's own files (`etc`, `opt`, `var`) lie below it under the server's name.
    pub fn directory(&self) -> &Path {
        &self.places.directory
    }

    /// The names of its servers.
    pub fn servers(&self) -> Vec<String> {
        (1..=self.servers).map(|number| format!("server{number}")).collect()
    }

    /// How its servers are.
    ///
    /// # Errors
    /// The lab is down.
    pub fn status(&self) -> Result<Vec<ServerStatus>> {
        match ask(&self.places.control(), &Question::Status)? {
            Answer::Servers(servers) => Ok(servers),
            other => bail!("unexpected answer {other:?}"),
        }
    }

    /// How one server is.
    ///
    /// # Errors
    /// The lab is down or has no such server.
    pub fn server_status(&self, server: &str) -> Result<ServerStatus> {
        let found = self.status()?.into_iter().find(|status| status.name == server);
        found.with_context(|| format!("there is no {server} in this lab; it has {}", self.servers().join(", ")))
    }

    /// Runs a program in a server and waits for its end.
    ///
    /// # Errors
    /// The server is off or paused. A program that fails is no error: see [`Output::status`].
    pub fn exec(&self, server: &str, command: &[&str]) -> Result<Output> {
        gather(&mut self.command(server, command)?)
    }

    /// The command that runs a program in a server, for callers that want its input and output themselves.
    ///
    /// # Errors
    /// The server is off or paused.
    pub fn command(&self, server: &str, command: &[&str]) -> Result<Command> {
        let status = self.server_status(server)?;
        if status.phase == Phase::Paused {
            bail!("{server} is paused; nothing runs in it until `testbed resume {server}`");
        }
        let file = self.places.server_pid(server);
        let pid = fs::read_to_string(file).with_context(|| format!("{server} is off; `testbed power-on {server}`"))?;
        let group = fs::read_to_string(self.places.server_group(server))?;
        let mut all = Command::new("/bin/sh");
        // The program belongs to the server: it is frozen and killed with it.
        all.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]);
        all.arg(format!("{group}/cgroup.procs"));
        all.args(["nsenter", "-t", pid.trim(), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--"]);
        all.args(["env", "-i"]).arg(format!("PATH={PATH}")).args(["HOME=/root", "LANG=C.UTF-8"]);
        all.arg(format!("TERM={}", std::env::var("TERM").unwrap_or_else(|_| "dumb".to_string())));
        all.args(command);
        Ok(all)
    }

    /// Runs a program on the client: the machine's files, the lab's public net.
    ///
    /// # Errors
    /// The lab is down. A program that fails is no error: see [`Output::status`].
    pub fn client(&self, command: &[&str]) -> Result<Output> {
        gather(&mut self.client_command(command)?)
    }

    /// The command that runs a program on the client.
    ///
    /// # Errors
    /// The lab is down.
    pub fn client_command(&self, command: &[&str]) -> Result<Command> {
        let namespace = self.places.net_namespace(&self.places.client_pid())?;
        let mut all = Command::new("nsenter");
        all.arg(format!("--net={namespace}")).arg("--").args(command);
        Ok(all)
    }

    /// A file with the client's network namespace, for code that enters it itself.
    ///
    /// # Errors
    /// The lab is down.
    pub fn client_namespace(&self) -> Result<File> {
        let namespace = self.places.net_namespace(&self.places.client_pid())?;
        File::open(&namespace).context("cannot open the client's network namespace")
    }

    /// Moves the calling thread to the client: its new sockets are the client's.
    ///
    /// # Errors
    /// The lab is down.
    pub fn enter_client(&self) -> Result<()> {
        let namespace = self.client_namespace()?;
        let kind = rustix::thread::LinkNameSpaceType::Network;
        rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(kind)).context("cannot become the client")
    }

    /// Waits until `condition` holds; returns how long that took.
    ///
    /// # Errors
    /// It does not hold within `limit`; the text says what was waited for.
    pub fn wait_for(&self, what: &str, limit: Duration, condition: impl FnMut() -> bool) -> Result<Duration> {
        wait_until(what, limit, condition)
    }

    /// Takes the power from a server: its disk path fails, its links are cut, everything in it is killed; nothing is flushed.
    /// Returns when everything is dead, with the instant of the cut.
    ///
    /// # Errors
    /// No such server, or something does not die.
    pub fn power_off(&self, server: &str) -> Result<PowerCut> {
        match ask(&self.places.control(), &Question::PowerOff(server.to_string()))? {
            Answer::Off(cut) => Ok(cut),
            other => bail!("unexpected answer {other:?}"),
        }
    }

    /// Gives a server power; returns when it has booted.
    ///
    /// # Errors
    /// No such server, or it does not boot.
    pub fn power_on(&self, server: &str) -> Result<()> {
        self.ask(&Question::PowerOn(server.to_string()))
    }

    /// Freezes everything in a server; its kernel still answers ping and ARP.
    ///
    /// # Errors
    /// The server is off.
    pub fn pause(&self, server: &str) -> Result<()> {
        self.ask(&Question::Pause(server.to_string()))
    }

    /// Lets a frozen server go on.
    ///
    /// # Errors
    /// The server is off.
    pub fn resume(&self, server: &str) -> Result<()> {
        self.ask(&Question::Resume(server.to_string()))
    }

    /// Cuts a server from a whole net: it loses its carrier. See [`Lab::cut_as`] for the finer ways.
    ///
    /// # Errors
    /// No such server.
    pub fn cut(&self, server: &str, net: Net) -> Result<()> {
        self.cut_as(Cut::whole(server, net))
    }

    /// Cuts as described.
    ///
    /// # Errors
    /// No such server or peer.
    pub fn cut_as(&self, cut: Cut) -> Result<()> {
        self.ask(&Question::Cut(cut))
    }

    /// Undoes all cuts of a server on a net.
    ///
    /// # Errors
    /// No such server.
    pub fn heal(&self, server: &str, net: Net) -> Result<()> {
        self.heal_as(Cut::whole(server, net))
    }

    /// Undoes the cuts of a server on a net, only those from a peer if one is named.
    ///
    /// # Errors
    /// No such server.
    pub fn heal_as(&self, cut: Cut) -> Result<()> {
        self.ask(&Question::Heal(cut))
    }

    /// Makes a server's path to the shared disk fail: every read and write ends at once with an error.
    ///
    /// # Errors
    /// No such server.
    pub fn disk_fail(&self, server: &str) -> Result<()> {
        self.ask(&Question::Disk(server.to_string(), DiskState::Failing))
    }

    /// Makes a server's path to the shared disk hang: no read or write ends.
    ///
    /// # Errors
    /// No such server.
    pub fn disk_hang(&self, server: &str) -> Result<()> {
        self.ask(&Question::Disk(server.to_string(), DiskState::Hanging))
    }

    /// Heals a server's path to the shared disk.
    ///
    /// # Errors
    /// No such server.
    pub fn disk_heal(&self, server: &str) -> Result<()> {
        self.ask(&Question::Disk(server.to_string(), DiskState::Healthy))
    }

    /// Takes the lab down; nothing of it is left.
    ///
    /// # Errors
    /// Something would not go.
    pub fn down(mut self) -> Result<()> {
        self.leave()
    }

    fn leave(&mut self) -> Result<()> {
        let Ok(record) = self.places.record() else { return Ok(()) };
        let asked = ask(&self.places.control(), &Question::Down);
        if asked.is_err() {
            end(&record.supervisor);
        }
        let gone = wait_until("the lab's supervisor has gone", LEAVE_LIMIT, || !record.supervisor.lives());
        if gone.is_err() {
            end(&record.supervisor);
        }
        if let Some(Made { supervisor, janitor }) = &mut self.made {
            let _ = supervisor.wait();
            let _ = janitor.wait();
        }
        self.places.sweep()
    }

    /// Ends the lab's supervisor as `kill -9` would; for tests of what is left behind.
    ///
    /// # Errors
    /// The lab is down already.
    pub fn kill_supervisor(&self) -> Result<()> {
        end(&self.places.record()?.supervisor);
        Ok(())
    }

    /// Lets the lab live on when this value is dropped.
    pub fn keep(mut self) {
        self.made = None;
    }

    fn ask(&self, question: &Question) -> Result<()> {
        match ask(&self.places.control(), question)? {
            Answer::Done => Ok(()),
            other => bail!("unexpected answer {other:?}"),
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.made.is_some()
            && let Err(error) = self.leave()
        {
            eprintln!("lab {}: {error:#}", self.places.name);
        }
    }
}

/// Runs a command and gathers what it prints.
fn gather(command: &mut Command) -> Result<Output> {
    use std::os::unix::process::ExitStatusExt;
    let output = command.stdin(Stdio::null()).output().context("cannot run nsenter (package util-linux)")?;
    let status = output.status.code().or(output.status.signal().map(|signal| 128 + signal)).unwrap_or(-1);
    Ok(Output {
        status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Makes the directory of a new lab, with the name that was asked for or one that is free.
fn claim(name: Option<&str>) -> Result<Places> {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    fs::create_dir_all(LABS).with_context(|| format!("cannot make {LABS}"))?;
    // Sweeps up what killed benches left, so that a name can be used again.
    crate::places::living()?;
    let name = match name {
        Some(name) => name.to_string(),
        None => format!("lab-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)),
    };
    let places = Places::of(&name)?;
    match fs::create_dir(&places.directory) {
        Ok(()) => Ok(places),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("there is a lab {name} already; `testbed down --name {name}` takes it down")
        }
        Err(error) => Err(error).with_context(|| format!("cannot make {}", places.directory.display())),
    }
}

/// Starts the supervisor in a mount namespace of its own and writes the lab's record.
fn start(testbed: &Path, places: &Places, options: Options, tied: bool) -> Result<Child> {
    let own = ProcessId::of(std::process::id()).context("cannot read /proc")?;
    let mut record = Record { name: places.name.clone(), checkout: checkout(), supervisor: own, options };
    places.write_record(&record)?;
    let log = File::create(places.log())?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--"]).arg(testbed).args(["supervise", &places.name]);
    if tied {
        command.arg("--tied");
    }
    let child = command
        .stdin(if tied { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .context("cannot run unshare (package util-linux)")?;
    record.supervisor = ProcessId::of(child.id()).context("the supervisor ended at once")?;
    places.write_record(&record)?;
    Ok(child)
}

fn wait_ready(supervisor: &mut Child) -> Result<()> {
    let output = supervisor.stdout.take().context("the supervisor has no output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    match line.trim() {
        "ready" => Ok(()),
        "" => bail!("the lab's supervisor ended"),
        other => bail!("{}", other.trim_start_matches("failed ")),
    }
}

/// Where the programs under test lie: `MAINSTAY_BIN`, else beside this program (for a test: above its `deps`).
fn programs_directory() -> Result<PathBuf> {
    if let Some(directory) = std::env::var_os("MAINSTAY_BIN") {
        return Ok(PathBuf::from(directory).canonicalize()?);
    }
    let own = std::env::current_exe().context("cannot find this program")?;
    let directory = own.parent().unwrap_or(Path::new("/"));
    Ok(if directory.ends_with("deps") { directory.parent().unwrap_or(directory) } else { directory }.to_path_buf())
}
