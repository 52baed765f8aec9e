//! The supervisor: one process per lab that owns servers, switches, disk and watchdogs, and answers the commands.
//!
//! When it dies, however, everything of the lab dies: servers by their parent-death signal, namespaces with the
//! processes in them; loop devices and files are swept by a janitor process (see `places`).

use anyhow::{Context, Result, bail};
use rustix::mount::{UnmountFlags, unmount};
use std::{
    fs,
    io::{BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use crate::{
    blocks::Book,
    cable::Cable,
    control::{Answer, Question, receive, send},
    disk::{self, DiskPath, Loop},
    fuse::FileServer,
    options::{Cut, Net},
    places::Places,
    prepare,
    server::{Server, Shared},
    wires::Wires,
};

/// How often watchdogs are looked at: the grain of a reset.
const WATCHDOG_GRAIN: Duration = Duration::from_millis(5);

/// What a supervisor waits for before it makes anything: the janitor watches now.
pub const GO: &str = "go";
/// What lets a lab outlive the process that made it.
pub const STAY: &str = "stay";

/// Who wants the lab to go down, if they wait for an answer.
type Taker = Option<UnixStream>;

/// Runs a lab until it is taken down, or until standard input ends before it was told to stay. Says `ready` on standard output
/// when all servers are up, else why not.
///
/// # Errors
/// The lab cannot be made, or not be taken down; the janitor sweeps up then.
pub fn supervise(name: &str) -> Result<()> {
    let places = Places::of(name)?;
    if !is_ordered(GO) {
        bail!("`testbed up` ended before the lab was begun");
    }
    let (down, taken_down) = mpsc::channel::<Taker>();
    let made = Arc::new(AtomicBool::new(false));
    let (down_there, made_there) = (down.clone(), made.clone());
    std::thread::spawn(move || {
        if is_ordered(STAY) {
            return;
        }
        if !made_there.load(Ordering::SeqCst) {
            // Half a lab cannot be taken down in order; it dies with this process and the janitor removes the rest.
            std::process::exit(1);
        }
        let _ = down_there.send(None);
    });
    match Supervisor::new(&places, &down) {
        Ok(supervisor) => {
            made.store(true, Ordering::SeqCst);
            // Nobody reads it if `up` was killed at this moment; then standard input has ended, too.
            let _ = writeln!(std::io::stdout(), "ready");
            supervisor.run(taken_down)
        }
        Err(error) => {
            let _ = writeln!(std::io::stdout(), "failed {}", format!("{error:#}").replace('\n', " "));
            std::process::exit(1);
        }
    }
}

/// Waits for the next line of standard input and says whether it is this one; no other one and no end of it is.
fn is_ordered(what: &str) -> bool {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).is_ok() && line.trim() == what
}

struct Supervisor {
    shared: Arc<Shared>,
    servers: Arc<Vec<Arc<Server>>>,
    keepers: Vec<std::thread::JoinHandle<()>>,
}

impl Supervisor {
    fn new(places: &Places, down: &mpsc::Sender<Taker>) -> Result<Supervisor> {
        // Whatever this process starts is killed with its group, should it be killed itself.
        for group in [places.client_group(), places.bench_group()] {
            fs::create_dir_all(&group).with_context(|| format!("cannot make the control group {}", group.display()))?;
        }
        fs::write(places.bench_group().join("cgroup.procs"), std::process::id().to_string())
            .with_context(|| format!("cannot enter the control group {}", places.bench_group().display()))?;
        let options = places.record()?.options;
        let programs = options.programs.clone().context("the record names no directory of programs")?;
        let testbed = std::env::current_exe().context("cannot find the bench's own program")?;
        let names: Vec<String> = (1..=options.servers).map(|number| format!("server{number}")).collect();
        prepare::servers(places, &names, options.conf.as_deref(), &programs)
            .with_context(|| format!("cannot write the servers' files below {}", places.directory.display()))?;
        let files_at = places.directory.join("files");
        fs::create_dir_all(&files_at)?;
        let files = FileServer::mount(&files_at)?;
        let data = options.data_partitions;
        let image = Arc::new(disk::make_image(&places.directory.join("shared.img"), options.disk_mib, data)?);
        let first = format!("{}format", places.mark());
        let book = Arc::new(Book::new(&places.book())?);
        files.add(&first, Arc::new(DiskPath::new(image.clone(), data, book.clone())?));
        let device = Loop::attach(&files_at.join(&first), data)?;
        device.make_file_systems(options.file_system)?;
        device.label_heartbeat(&programs)?;
        device.detach()?;
        files.remove(&first);
        let wires = Wires::new(&places.switch_pid(), &places.client_pid(), &places.log(), options.servers, options.switch)?;
        let cable = if options.servers >= 2 { Some(Cable::new()?) } else { None };
        let (count, boot) = (options.servers, options.boot);
        let shared = Arc::new(Shared {
            places: places.clone(),
            options,
            programs,
            testbed,
            files,
            files_at,
            image,
            book,
            wires,
            cable,
            quitting: AtomicBool::new(false),
        });
        let (mut servers, mut keepers) = (Vec::new(), Vec::new());
        for number in 1..=count {
            let (server, keeper) = Server::new(&shared, number)?;
            servers.push(server);
            keepers.push(keeper);
        }
        let servers = Arc::new(servers);
        let listener = UnixListener::bind(places.control()).context("cannot listen for commands")?;
        let (shared_there, servers_there, down) = (shared.clone(), servers.clone(), down.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, servers, down) = (shared_there.clone(), servers_there.clone(), down.clone());
                std::thread::spawn(move || serve(stream, &shared, &servers, &down));
            }
        });
        if boot {
            servers.iter().for_each(|server| server.start());
            servers.iter().try_for_each(|server| server.wait_up())?;
        }
        Ok(Supervisor { shared, servers, keepers })
    }

    fn run(self, taken_down: mpsc::Receiver<Taker>) -> Result<()> {
        let Supervisor { shared, servers, keepers } = self;
        let watched = servers.clone();
        std::thread::spawn(move || {
            loop {
                watched.iter().for_each(Server::look_at_watchdog);
                watched.iter().for_each(|server| server.look_at_disk());
                std::thread::sleep(WATCHDOG_GRAIN);
            }
        });
        let asker = taken_down.recv().ok().flatten();
        shared.quitting.store(true, Ordering::SeqCst);
        std::thread::scope(|scope| {
            for server in servers.iter() {
                scope.spawn(|| {
                    if let Err(error) = server.power_off() {
                        eprintln!("{error:#}");
                    }
                });
            }
        });
        servers.iter().for_each(|server| server.wake());
        for keeper in keepers {
            let _ = keeper.join();
        }
        unmount(&shared.files_at, UnmountFlags::DETACH)?;
        if let Some(mut asker) = asker {
            let _ = send(&mut asker, &Answer::Done);
        }
        Ok(())
    }
}

fn serve(mut stream: UnixStream, shared: &Shared, servers: &[Arc<Server>], down: &mpsc::Sender<Taker>) {
    let Ok(reader) = stream.try_clone() else { return };
    let question = match receive::<Question>(&mut BufReader::new(reader)) {
        Ok(Question::Down) => {
            let _ = down.send(Some(stream));
            return;
        }
        Ok(question) => question,
        Err(_) => return,
    };
    let answer = carry_out(question, shared, servers).unwrap_or_else(|error| Answer::Refused(format!("{error:#}")));
    // Whoever asked may have gone; what was asked is done all the same.
    let _ = send(&mut stream, &answer);
}

fn carry_out(question: Question, shared: &Shared, servers: &[Arc<Server>]) -> Result<Answer> {
    let server = |name: &str| -> Result<&Arc<Server>> {
        let number = shared.wires.number(name)?;
        servers.get(number as usize - 1).context("the lab is being made")
    };
    match question {
        Question::Status => return Ok(Answer::Servers(servers.iter().map(|server| server.status()).collect())),
        Question::PowerOff(name) => return Ok(Answer::Off(server(&name)?.power_off()?)),
        Question::PowerOn(name) => server(&name)?.power_on()?,
        Question::Pause(name) => server(&name)?.freeze(true)?,
        Question::Resume(name) => server(&name)?.freeze(false)?,
        Question::Cut(cut) => change_cable(shared, &cut, true).and_then(|done| done.map_or_else(|| shared.wires.cut(cut), Ok))?,
        Question::Heal(cut) => {
            change_cable(shared, &cut, false).and_then(|done| done.map_or_else(|| shared.wires.heal(&cut), Ok))?
        }
        Question::Weather(weather) => shared.wires.set_weather(weather)?,
        Question::Disk(name, state, limit) => server(&name)?.set_disk(state, limit),
        Question::Down => bail!("this question is answered elsewhere"),
    }
    Ok(Answer::Done)
}

/// Cuts or joins the serial cable if it is meant.
fn change_cable(shared: &Shared, cut: &Cut, wanted: bool) -> Result<Option<()>> {
    if cut.net != Net::Com {
        return Ok(None);
    }
    if cut.from.is_some() || cut.one_way || cut.keep_carrier {
        bail!("the serial cable is cut or healed as a whole; say no peer and no direction");
    }
    match (&shared.cable, shared.wires.number(&cut.server)?) {
        (Some(cable), 1 | 2) => cable.set_cut(wanted),
        _ => bail!("the serial cable joins server1 and server2 only"),
    }
    Ok(Some(()))
}

/// Waits until the maker of a lab has written down its supervisor (standard input ends then, or with the maker), then for the end
/// of the supervisor, however it ends; and sweeps up what is left.
///
/// # Errors
/// Something would not go.
pub fn janitor(name: &str) -> Result<()> {
    let places = Places::of(name)?;
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    if let Ok(record) = places.record()
        && let Some(process) = rustix::process::Pid::from_raw(record.supervisor.pid as i32)
        && let Ok(handle) = rustix::process::pidfd_open(process, rustix::process::PidfdFlags::empty())
        && record.supervisor.lives()
    {
        let mut wanted = [rustix::event::PollFd::new(&handle, rustix::event::PollFlags::IN)];
        while rustix::event::poll(&mut wanted, None).is_err() {}
    }
    places.sweep()
}
