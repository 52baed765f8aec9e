//! A lab as tests and commands hold it: made by [`Lab::up`], found again by [`Lab::find`], taken down when dropped.
//!
//! Programs are run in servers by entering their namespaces directly; faults are asked of the supervisor.

use anyhow::{Context, Result, bail};
use std::{
    fs::{self, File},
    os::fd::AsFd,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use crate::{
    control::{Answer, Phase, PowerCut, Question, ServerStatus, ask},
    machine::PATH,
    making::{Made, leave, make},
    options::{Cut, DiskState, Net, Options, Weather},
    places::{Places, Record, checkout, end, living, need_root, sweep_dead},
    tools::wait_until,
};

/// A lab that is up.
pub struct Lab {
    places: Places,
    servers: u32,
    /// The supervisor and the janitor; absent when the lab was found, not made.
    made: Option<Made>,
}

/// How a lab is, as far as its supervisor says.
#[derive(Debug)]
pub enum LabState {
    /// It is being made.
    Making,
    /// Its servers.
    Up(Vec<ServerStatus>),
    /// Its supervisor does not answer, and what to do.
    Silent(anyhow::Error),
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
    /// Makes a lab and boots its servers; it is taken down when the value is dropped or this process ends, unless [`Lab::keep`] lets
    /// it go on; [`Lab::find`] finds it again then.
    ///
    /// # Errors
    /// Not root, a tool is missing, or a server does not boot; nothing is left behind then.
    pub fn up(options: Options) -> Result<Lab> {
        let servers = options.servers;
        let (places, made) = make(options)?;
        Ok(Lab { places, servers, made: Some(made) })
    }

    /// Finds a lab: the one named, else the only one of this checkout.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn find(name: Option<&str>) -> Result<Lab> {
        need_root()?;
        sweep_dead()?;
        let own = checkout();
        let mut records = living()?;
        match name {
            Some(name) => records.retain(|record| record.name == name),
            None => records.retain(|record| record.checkout == own),
        }
        match (records.as_slice(), name) {
            ([record], _) => Lab::of(record),
            ([], Some(name)) => bail!("there is no lab {name}; `testbed list` shows the labs"),
            ([], None) => bail!("no lab of this checkout is up; `testbed up` makes one"),
            (several, _) => {
                let names: Vec<&str> = several.iter().map(|record| record.name.as_str()).collect();
                bail!("several labs are up; say which with --name: {}", names.join(", "))
            }
        }
    }

    /// The lab of a record.
    ///
    /// # Errors
    /// A damaged record.
    pub fn of(record: &Record) -> Result<Lab> {
        Ok(Lab { places: Places::of(&record.name)?, servers: record.options.servers, made: None })
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
        match self.answer(&Question::Status)? {
            Answer::Servers(servers) => Ok(servers),
            other => bail!("unexpected answer {other:?}"),
        }
    }

    /// How it is; a supervisor that does not answer is no error here.
    pub fn state(&self) -> LabState {
        match self.status() {
            Ok(servers) => LabState::Up(servers),
            // Without the supervisor's socket it has not come so far yet.
            Err(_) if !self.places.control().exists() => LabState::Making,
            Err(error) => LabState::Silent(error),
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
        let Ok(pid) = fs::read_to_string(file) else {
            match status.phase {
                Phase::Off => bail!("{server} is off; `testbed power-on {server}` boots it"),
                _ => bail!("{server} is booting; try again"),
            }
        };
        let group = fs::read_to_string(self.places.server_group(server))?;
        // The program belongs to the server: it is frozen and killed with it.
        let mut all = in_group(Path::new(&group));
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
        // The program belongs to the lab: it is killed when the lab goes down.
        let mut all = in_group(&self.places.client_group());
        all.args(["nsenter", &format!("--net={namespace}"), "--"]).args(command);
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
        match self.answer(&Question::PowerOff(server.to_string()))? {
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

    /// Says what the bench's own switches do to frames from now on; [`Weather::default`] is fair again.
    ///
    /// # Errors
    /// The lab has the kernel's bridge, or no such server.
    pub fn weather(&self, weather: Weather) -> Result<()> {
        self.ask(&Question::Weather(weather))
    }

    /// Runs a program at the gateway of both nets, which answers pings at 10.0.0.254: the machine's files, the switches' network.
    ///
    /// # Errors
    /// The lab is down. A program that fails is no error: see [`Output::status`].
    pub fn gateway(&self, command: &[&str]) -> Result<Output> {
        let namespace = self.places.net_namespace(&self.places.switch_pid())?;
        let mut all = in_group(&self.places.client_group());
        all.args(["nsenter", &format!("--net={namespace}"), "--"]).args(command);
        gather(&mut all)
    }

    /// Makes a server's path to the shared disk fail: every read and write ends at once with an error.
    ///
    /// # Errors
    /// No such server.
    pub fn disk_fail(&self, server: &str) -> Result<()> {
        self.disk_as(server, DiskState::Failing, None)
    }

    /// Makes a server's path to the shared disk hang: no read or write ends.
    ///
    /// # Errors
    /// No such server.
    pub fn disk_hang(&self, server: &str) -> Result<()> {
        self.disk_as(server, DiskState::Hanging, None)
    }

    /// Changes a server's path to the shared disk; with a `limit` it heals by itself after that time, whatever becomes of the caller.
    ///
    /// # Errors
    /// No such server.
    pub fn disk_as(&self, server: &str, state: DiskState, limit: Option<Duration>) -> Result<()> {
        self.ask(&Question::Disk(server.to_string(), state, limit))
    }

    /// Heals a server's path to the shared disk.
    ///
    /// # Errors
    /// No such server.
    pub fn disk_heal(&self, server: &str) -> Result<()> {
        self.disk_as(server, DiskState::Healthy, None)
    }

    /// Takes the lab down; nothing of it is left.
    ///
    /// # Errors
    /// Something would not go.
    pub fn down(mut self) -> Result<()> {
        let mut made = self.made.take();
        leave(&self.places, made.as_mut())
    }

    /// Ends the lab's supervisor as `kill -9` would; for tests of what is left behind.
    ///
    /// # Errors
    /// The lab is down already.
    pub fn kill_supervisor(&self) -> Result<()> {
        end(&self.places.record()?.supervisor);
        Ok(())
    }

    /// Lets the lab live on when this value is dropped, also when this process ends.
    ///
    /// # Errors
    /// The lab is down already.
    pub fn keep(mut self) -> Result<()> {
        self.made.take().iter_mut().try_for_each(Made::stay)
    }

    fn ask(&self, question: &Question) -> Result<()> {
        match self.answer(question)? {
            Answer::Done => Ok(()),
            other => bail!("unexpected answer {other:?}"),
        }
    }

    /// What the supervisor answers.
    fn answer(&self, question: &Question) -> Result<Answer> {
        let Places { name, .. } = &self.places;
        let answer = ask(&self.places.control(), question).with_context(|| match self.places.record() {
            Err(_) => format!("lab {name} is down"),
            Ok(_) if !self.places.control().exists() => format!("lab {name} is being made; try again"),
            Ok(Record { supervisor, .. }) => format!(
                "the supervisor of lab {name}, process {}, does not answer; `testbed down --name {name}` takes the lab down",
                supervisor.pid
            ),
        })?;
        match answer {
            Answer::Refused(why) => bail!("{why}"),
            answer => Ok(answer),
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(mut made) = self.made.take()
            && let Err(error) = leave(&self.places, Some(&mut made))
        {
            eprintln!("lab {}: {error:#}", self.places.name);
        }
    }
}

/// A command that enters a control group and becomes what its further arguments say.
fn in_group(group: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(group.join("cgroup.procs"));
    command
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
