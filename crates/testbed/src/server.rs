//! One server from outside: a thread boots it, waits for its end, cleans up after it, and boots it again when it asked for that.
//!
//! ```text
//!        power on            up                         frozen
//!  Off ───────────► Booting ─────► Up ◄───────────────────────► Paused
//!   ▲                  │            │  reboot(2): again to Booting  │
//!   └──────────────────┴────────────┴── power off, halt, death ─────┘
//! ```
//! A power cut fails the disk path first, then cuts the links, then kills everything: no file system can write back.

use anyhow::{Context, Result, bail};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    blocks::Book,
    cable::Cable,
    control::{Phase, PowerCut, ServerStatus},
    disk::{DiskPath, Loop},
    fuse::FileServer,
    machine::BootPlan,
    options::{Cut, DiskState, Net, Options},
    places::{Places, remove_group},
    tools::{hold, wait_until},
    watchdog::Watchdog,
    wires::Wires,
};

/// How long a boot may take; it takes about 100 ms.
const BOOT_LIMIT: Duration = Duration::from_secs(30);
/// How long everything in a server may take to die.
const DEATH_LIMIT: Duration = Duration::from_secs(15);
/// How often a power cut is repeated until everything is dead: a process may be just entering the group.
const KILL_AGAIN: Duration = Duration::from_millis(10);
/// How long a frozen group may take to stand still: a process in an uninterruptible wait is waited for.
const FREEZE_LIMIT: Duration = Duration::from_secs(5);

/// What all servers of a lab share.
pub struct Shared {
    /// The lab's places.
    pub places: Places,
    /// What was asked for.
    pub options: Options,
    /// Directory of the programs under test.
    pub programs: PathBuf,
    /// The bench's own program.
    pub testbed: PathBuf,
    /// The files that the bench answers for.
    pub files: FileServer,
    /// Where they are mounted.
    pub files_at: PathBuf,
    /// The shared disk.
    pub image: Arc<File>,
    /// Whose blocks came to it.
    pub book: Arc<Book>,
    /// The switches.
    pub wires: Wires,
    /// The serial cable, if there are two servers.
    pub cable: Option<Cable>,
    /// The lab goes down.
    pub quitting: AtomicBool,
}

/// One server.
pub struct Server {
    /// Its name.
    pub name: String,
    number: u32,
    shared: Arc<Shared>,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Whether it shall have power.
    wanted: bool,
    /// Someone pressed the button: boot without the time that firmware takes.
    hurry: bool,
    phase: Phase,
    boots: u32,
    last_end: Option<String>,
    /// Why its power was cut during this boot.
    power_cut: Option<String>,
    /// Whether the last boot ended by the watchdog.
    bitten: bool,
    disk_state: DiskState,
    /// When its path to the disk is healed, whatever becomes of the one who made it fail.
    disk_until: Option<Instant>,
    present: Option<Present>,
}

impl State {
    fn change_disk(&mut self, wanted: DiskState, limit: Option<Duration>) {
        self.disk_state = wanted;
        self.disk_until = limit.map(|limit| Instant::now() + limit);
        if let Some(present) = &self.present {
            present.path.set(wanted);
        }
    }
}

/// What a server has while it is on.
#[derive(Clone)]
struct Present {
    group: PathBuf,
    path: Arc<DiskPath>,
    device: Option<Loop>,
    watchdog: Option<Arc<Watchdog>>,
}

/// How a boot ended.
enum End {
    /// reboot(2) with restart.
    Restart,
    /// reboot(2) with halt or power off.
    Halt,
    /// Anything else.
    Death(String),
}

impl Server {
    /// A server without power, and the thread that looks after it.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn new(shared: &Arc<Shared>, number: u32) -> Result<(Arc<Server>, std::thread::JoinHandle<()>)> {
        let state = State {
            wanted: false,
            hurry: false,
            phase: Phase::Off,
            boots: 0,
            last_end: None,
            power_cut: None,
            bitten: false,
            disk_state: DiskState::Healthy,
            disk_until: None,
            present: None,
        };
        let server = Arc::new(Server {
            name: format!("server{number}"),
            number,
            shared: shared.clone(),
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let keeper = server.clone();
        let thread = std::thread::Builder::new().name(server.name.clone()).spawn(move || keeper.keep())?;
        Ok((server, thread))
    }

    /// How it is.
    pub fn status(&self) -> ServerStatus {
        let mut cuts = self.shared.wires.cuts_of(&self.name);
        if self.number <= 2 && self.shared.cable.as_ref().is_some_and(Cable::is_cut) {
            cuts.push(Cut::whole(&self.name, Net::Com));
        }
        let state = hold(&self.state);
        ServerStatus {
            cuts,
            name: self.name.clone(),
            phase: state.phase,
            boots: state.boots,
            last_end: state.last_end.clone(),
            disk: state.disk_state,
            writes: state.present.as_ref().map(|present| present.path.last_writes()).unwrap_or_default(),
            loop_device: state.present.as_ref().and_then(|present| Some(present.device.as_ref()?.device.clone())),
        }
    }

    /// Gives it power; returns when it is up.
    ///
    /// # Errors
    /// It does not boot; the text says why.
    pub fn power_on(&self) -> Result<()> {
        self.start();
        self.wait_up()
    }

    /// Gives it power and does not wait.
    pub fn start(&self) {
        let mut state = hold(&self.state);
        state.wanted = true;
        state.hurry = state.phase == Phase::Off;
        self.changed.notify_all();
    }

    /// Waits until it is up.
    ///
    /// # Errors
    /// It does not boot; the text says why.
    pub fn wait_up(&self) -> Result<()> {
        let limit = Instant::now() + BOOT_LIMIT;
        let mut state = hold(&self.state);
        loop {
            match (state.phase, state.wanted) {
                (Phase::Up | Phase::Paused, _) => return Ok(()),
                (Phase::Off, false) => {
                    bail!("{} does not boot: {}", self.name, state.last_end.as_deref().unwrap_or("its power was cut"))
                }
                _ if Instant::now() >= limit => bail!("{} is not up after {BOOT_LIMIT:?}", self.name),
                _ => state = self.wait_a_little(state),
            }
        }
    }

    /// Takes its power; returns when nothing of it runs any more. The cut of a server that was off already has no instant.
    ///
    /// # Errors
    /// Something in it does not die.
    pub fn power_off(&self) -> Result<PowerCut> {
        hold(&self.state).wanted = false;
        self.changed.notify_all();
        let limit = Instant::now() + DEATH_LIMIT;
        let begin = clp_sys::clock::now();
        let mut cut = None;
        while self.cut_power("power off") {
            if Instant::now() >= limit {
                bail!("not everything in {} died within {DEATH_LIMIT:?}", self.name);
            }
            cut.get_or_insert_with(|| PowerCut {
                at_us: begin.as_micros() as u64,
                took_us: (clp_sys::clock::now() - begin).as_micros() as u64,
            });
            std::thread::sleep(KILL_AGAIN);
        }
        Ok(cut.unwrap_or_default())
    }

    /// Resets it as its watchdog does: power off and on.
    fn reset(&self, why: &str) {
        let boots = hold(&self.state).boots;
        let limit = Instant::now() + DEATH_LIMIT;
        while hold(&self.state).boots == boots && Instant::now() < limit && self.cut_power(why) {
            std::thread::sleep(KILL_AGAIN);
        }
    }

    /// The cut itself, about as fast as a fuse blows; says whether the server is still not off.
    fn cut_power(&self, why: &str) -> bool {
        let present = {
            let mut state = hold(&self.state);
            if state.phase == Phase::Off {
                return false;
            }
            state.power_cut.get_or_insert_with(|| why.to_string());
            state.present.clone()
        };
        if let Some(present) = present {
            present.path.kill();
            // The keeper of the switches ends only with the bench.
            let _ = self.shared.wires.cut_at_once(self.number);
            let _ = fs::write(present.group.join("cgroup.kill"), "1");
            if let Some(watchdog) = &present.watchdog {
                watchdog.stop();
            }
        }
        true
    }

    /// Freezes everything in it, or lets it go on.
    ///
    /// # Errors
    /// It is off, or does not stand still.
    pub fn freeze(&self, frozen: bool) -> Result<()> {
        let group = {
            let state = hold(&self.state);
            match (&state.present, state.phase) {
                (Some(present), Phase::Up | Phase::Paused) => present.group.clone(),
                _ => bail!("{} is not up; `testbed power-on {}` boots it", self.name, self.name),
            }
        };
        fs::write(group.join("cgroup.freeze"), if frozen { "1" } else { "0" })?;
        let wanted = format!("frozen {}", u8::from(frozen));
        let done = wait_until(&format!("{} stands still or goes on", self.name), FREEZE_LIMIT, || {
            fs::read_to_string(group.join("cgroup.events")).is_ok_and(|events| events.contains(&wanted))
        });
        if let Err(error) = done {
            // Half a pause would look like none.
            fs::write(group.join("cgroup.freeze"), "0")?;
            return Err(
                error.context(format!("{} is not paused: a process in it waits for its disk; heal that first", self.name))
            );
        }
        let mut state = hold(&self.state);
        if matches!(state.phase, Phase::Up | Phase::Paused) {
            state.phase = if frozen { Phase::Paused } else { Phase::Up };
        }
        Ok(())
    }

    /// Heals its path to the shared disk when the time is over for which it was changed.
    pub fn look_at_disk(&self) {
        let mut state = hold(&self.state);
        if state.disk_until.is_some_and(|until| until <= Instant::now()) {
            self.log("its path to the shared disk is healed: the time for which it was changed is over");
            state.change_disk(DiskState::Healthy, None);
        }
    }

    /// Changes its path to the shared disk, now and for the boots to come, for `limit` at most.
    pub fn set_disk(&self, wanted: DiskState, limit: Option<Duration>) {
        hold(&self.state).change_disk(wanted, limit);
    }

    /// Resets the server if its watchdog has not been fed in time.
    pub fn look_at_watchdog(self: &Arc<Server>) {
        let watchdog = hold(&self.state).present.as_ref().and_then(|present| present.watchdog.clone());
        let Some(watchdog) = watchdog else { return };
        if watchdog.bites_at().is_some_and(|at| at <= Instant::now()) {
            watchdog.stop();
            hold(&self.state).bitten = true;
            self.log("the watchdog was not fed: reset");
            let server = self.clone();
            // Killing takes a while and the other servers' watchdogs must be looked at meanwhile.
            std::thread::spawn(move || server.reset("reset by the watchdog"));
        }
    }

    fn keep(&self) {
        loop {
            {
                let mut state = hold(&self.state);
                while !state.wanted && !self.shared.quitting.load(Ordering::SeqCst) {
                    state = self.wait_a_little(state);
                }
                if self.shared.quitting.load(Ordering::SeqCst) {
                    return;
                }
                state.phase = Phase::Booting;
                state.boots += 1;
                state.power_cut = None;
                state.hurry = false;
            }
            let end = self.one_boot();
            self.clean_up();
            let mut state = hold(&self.state);
            let (text, again) = match (state.power_cut.take(), end) {
                // Whoever cut the power has said whether it is wanted again.
                (Some(why), _) => (why, state.wanted),
                (None, Ok(End::Restart)) => ("reboot".to_string(), state.wanted),
                (None, Ok(End::Halt)) => ("halt".to_string(), false),
                (None, Ok(End::Death(how))) => (how, false),
                (None, Err(error)) => (format!("{error:#}"), false),
            };
            self.log(&format!("down: {text}"));
            state.last_end = Some(text);
            state.wanted = again;
            state.phase = Phase::Off;
            self.changed.notify_all();
            let until = Instant::now() + Duration::from_millis(self.shared.options.restart_delay_ms);
            while again && !state.hurry && state.wanted && Instant::now() < until {
                if self.shared.quitting.load(Ordering::SeqCst) {
                    break;
                }
                state = self.wait_a_little(state);
            }
        }
    }

    /// Boots and waits for the end.
    fn one_boot(&self) -> Result<End> {
        let plan_file = self.make_present()?;
        let places = &self.shared.places;
        let console = File::options().append(true).create(true).open(places.server(&self.name).join("console.log"))?;
        // This thread outlives the child, so the child's order to die with its parent holds.
        let mut child = Command::new(&self.shared.testbed)
            .arg("boot-server")
            .arg(&plan_file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(console)
            .spawn()
            .with_context(|| format!("cannot run {}", self.shared.testbed.display()))?;
        if let Err(error) = self.bring_up(&mut child) {
            let _ = child.kill();
            let _ = child.wait();
            let said = fs::read_to_string(places.server(&self.name).join("console.log")).unwrap_or_default();
            return Err(error.context(said.lines().last().unwrap_or_default().to_string()));
        }
        let status = child.wait()?;
        Ok(match status.signal() {
            Some(libc::SIGHUP) => End::Restart,
            Some(libc::SIGINT) => End::Halt,
            _ => End::Death(format!("its process 1 ended ({status})")),
        })
    }

    /// The dialogue with process 1 until the server is up.
    fn bring_up(&self, child: &mut Child) -> Result<()> {
        let mut input = child.stdin.take().context("no standard input")?;
        let mut output = BufReader::new(child.stdout.take().context("no standard output")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let pid: u32 = line.strip_prefix("pid ").context("process 1 did not start")?.trim().parse()?;
        self.shared.wires.plug_in(self.number, pid).context("cannot plug its network in")?;
        fs::write(self.shared.places.server_pid(&self.name), pid.to_string())?;
        // Up from here on for `exec`; a cut in between is seen by its flag.
        writeln!(input, "go")?;
        line.clear();
        output.read_line(&mut line)?;
        if line.trim() != "up" {
            bail!("process 1 ended while booting");
        }
        let mut state = hold(&self.state);
        if state.power_cut.is_none() {
            state.phase = Phase::Up;
            if let Some(present) = &state.present {
                present.path.set(state.disk_state);
            }
        }
        self.changed.notify_all();
        Ok(())
    }

    /// Control group, disk path, watchdog and the plan for process 1.
    fn make_present(&self) -> Result<PathBuf> {
        let shared = &self.shared;
        let boots = hold(&self.state).boots;
        let directory = shared.places.server(&self.name);
        let group = shared.places.group().join(format!("{}.{boots}", self.name));
        fs::create_dir_all(&group).with_context(|| format!("cannot make the control group {}", group.display()))?;
        let path = Arc::new(DiskPath::new(shared.image.clone(), shared.options.data_partitions, shared.book.clone())?);
        let disk_file = self.file_name("disk", boots);
        shared.files.add(&disk_file, path.clone());
        let watchdog = if shared.options.watchdog {
            let bitten = std::mem::take(&mut hold(&self.state).bitten);
            Some(Arc::new(Watchdog::new(bitten)))
        } else {
            None
        };
        let watchdog_file = watchdog.clone().map(|watchdog| {
            let name = self.file_name("watchdog", boots);
            shared.files.add(&name, watchdog);
            shared.files_at.join(name)
        });
        hold(&self.state).present = Some(Present { group: group.clone(), path, device: None, watchdog });
        let device = Loop::attach(&shared.files_at.join(disk_file), shared.options.data_partitions)?;
        let disk = device.numbers.clone();
        if let Some(present) = &mut hold(&self.state).present {
            present.device = Some(device);
        }
        let boot_id = directory.join("boot_id");
        fs::copy("/proc/sys/kernel/random/uuid", &boot_id).context("cannot make a boot identity")?;
        fs::write(shared.places.server_group(&self.name), group.to_string_lossy().as_bytes())?;
        let cable = shared.cable.as_ref().and_then(|cable| cable.ends.get(self.number as usize - 1).cloned());
        let plan = BootPlan {
            server: self.name.clone(),
            group,
            directory: directory.clone(),
            disk,
            watchdog: watchdog_file,
            cable,
            boot_id,
            programs: shared.programs.clone(),
            testbed: shared.testbed.clone(),
        };
        let plan_file = directory.join("boot.json");
        fs::write(&plan_file, serde_json::to_vec_pretty(&plan)?)?;
        Ok(plan_file)
    }

    /// Takes away what belonged to the boot that has ended.
    fn clean_up(&self) {
        let _ = fs::remove_file(self.shared.places.server_pid(&self.name));
        let Some(present) = hold(&self.state).present.clone() else { return };
        if let Some(watchdog) = &present.watchdog {
            watchdog.stop();
        }
        if let Err(error) = remove_group(&present.group) {
            self.log(&format!("{error:#}"));
        }
        self.shared.wires.unplug(self.number);
        if let Some(device) = &present.device {
            // After a reboot the kernel writes back first; a path that hangs is ended so that it can come to an end.
            if hold(&self.state).disk_state == DiskState::Hanging {
                present.path.kill();
            }
            if let Err(error) = device.detach() {
                present.path.kill();
                if let Err(again) = device.detach() {
                    self.log(&format!("{error:#}; {again:#}"));
                }
            }
        }
        present.path.kill();
        let mut state = hold(&self.state);
        let boots = state.boots;
        self.shared.files.remove(&self.file_name("disk", boots));
        self.shared.files.remove(&self.file_name("watchdog", boots));
        state.present = None;
    }

    fn file_name(&self, what: &str, boots: u32) -> String {
        format!("{}{}-{what}-{boots}", self.shared.places.mark(), self.name)
    }

    fn wait_a_little<'a>(&self, state: std::sync::MutexGuard<'a, State>) -> std::sync::MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, Duration::from_millis(50));
        waited.unwrap_or_else(std::sync::PoisonError::into_inner).0
    }

    fn log(&self, text: &str) {
        eprintln!("{}: {text}", self.name);
    }

    /// Wakes its thread so that it sees that the lab goes down.
    pub fn wake(&self) {
        self.changed.notify_all();
    }
}
