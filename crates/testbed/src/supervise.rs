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
    cable::Cable,
    control::{Answer, Question, receive, send},
    disk::{self, DiskPath, Loop},
    fuse::FileServer,
    options::{Cut, Net},
    places::{Places, remove_group},
    prepare,
    server::{Server, Shared},
    wires::Wires,
};

/// How often watchdogs are looked at: the grain of a reset.
const WATCHDOG_GRAIN: Duration = Duration::from_millis(5);

/// Runs a lab until it is taken down. Says `ready` on standard output when all servers are up, else why not.
///
/// # Errors
/// The lab cannot be made.
pub fn supervise(name: &str, tied: bool) -> Result<()> {
    // A session of its own: keys typed at the caller's terminal do not reach the lab.
    let _ = rustix::process::setsid();
    let places = Places::of(name)?;
    match Supervisor::new(&places) {
        Ok(supervisor) => {
            println!("ready");
            std::io::stdout().flush()?;
            supervisor.run(tied)
        }
        Err(error) => {
            println!("failed {}", format!("{error:#}").replace('\n', " "));
            remove_group(&places.group())?;
            Err(error)
        }
    }
}

struct Supervisor {
    shared: Arc<Shared>,
    servers: Vec<Arc<Server>>,
    keepers: Vec<std::thread::JoinHandle<()>>,
    listener: UnixListener,
}

impl Supervisor {
    fn new(places: &Places) -> Result<Supervisor> {
        let options = places.record()?.options;
        let programs = options.programs.clone().context("the record names no directory of programs")?;
        let testbed = std::env::current_exe().context("cannot find the bench's own program")?;
        let names: Vec<String> = (1..=options.servers).map(|number| format!("server{number}")).collect();
        prepare::servers(places, &names, options.conf.as_deref(), &programs)?;
        let files_at = places.directory.join("files");
        fs::create_dir_all(&files_at)?;
        let files = FileServer::mount(&files_at)?;
        let image = Arc::new(disk::make_image(&places.directory.join("shared.img"), options.disk_mib)?);
        let first = format!("{}format", places.mark());
        files.add(&first, Arc::new(DiskPath::new(image.clone())?));
        let device = Loop::attach(&files_at.join(&first))?;
        device.make_file_system(options.file_system)?;
        device.label_heartbeat(&programs)?;
        device.detach()?;
        files.remove(&first);
        let wires = Wires::new(&places.switch_pid(), &places.client_pid(), &places.log(), options.servers)?;
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
        let _ = fs::remove_file(places.control());
        let listener = UnixListener::bind(places.control()).context("cannot listen for commands")?;
        if boot {
            servers.iter().for_each(|server| server.start());
            servers.iter().try_for_each(|server| server.wait_up())?;
        }
        Ok(Supervisor { shared, servers, keepers, listener })
    }

    fn run(self, tied: bool) -> Result<()> {
        let Supervisor { shared, servers, keepers, listener } = self;
        let servers = Arc::new(servers);
        let watched = servers.clone();
        std::thread::spawn(move || {
            loop {
                watched.iter().for_each(Server::look_at_watchdog);
                std::thread::sleep(WATCHDOG_GRAIN);
            }
        });
        let (down, taken_down) = mpsc::channel::<Option<UnixStream>>();
        if tied {
            let down = down.clone();
            std::thread::spawn(move || {
                // Ends when the process that made the lab has gone.
                let _ = std::io::stdin().read_to_end(&mut Vec::new());
                let _ = down.send(None);
            });
        }
        let (shared_there, servers_there) = (shared.clone(), servers.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, servers, down) = (shared_there.clone(), servers_there.clone(), down.clone());
                std::thread::spawn(move || serve(stream, &shared, &servers, &down));
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
        remove_group(&shared.places.group())?;
        unmount(&shared.files_at, UnmountFlags::DETACH)?;
        if let Some(mut asker) = asker {
            let _ = send(&mut asker, &Answer::Done);
        }
        Ok(())
    }
}

fn serve(mut stream: UnixStream, shared: &Shared, servers: &[Arc<Server>], down: &mpsc::Sender<Option<UnixStream>>) {
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
        Question::Disk(name, state) => server(&name)?.set_disk(state),
        Question::Down => bail!("this question is answered elsewhere"),
    }
    Ok(Answer::Done)
}

/// Cuts or joins the serial cable if it is meant.
fn change_cable(shared: &Shared, cut: &Cut, wanted: bool) -> Result<Option<()>> {
    if cut.net != Net::Com {
        return Ok(None);
    }
    match (&shared.cable, shared.wires.number(&cut.server)?) {
        (Some(cable), 1 | 2) => cable.set_cut(wanted),
        _ => bail!("the serial cable joins server1 and server2 only"),
    }
    Ok(Some(()))
}

/// Waits for the end of a lab's supervisor, however it ends, and sweeps up what it left.
///
/// # Errors
/// There is no such lab, or something would not go.
pub fn janitor(name: &str) -> Result<()> {
    let _ = rustix::process::setsid();
    let places = Places::of(name)?;
    let record = places.record()?;
    let process = rustix::process::Pid::from_raw(record.supervisor.pid as i32).context("no process number")?;
    if let Ok(handle) = rustix::process::pidfd_open(process, rustix::process::PidfdFlags::empty())
        && record.supervisor.lives()
    {
        let mut wanted = [rustix::event::PollFd::new(&handle, rustix::event::PollFlags::IN)];
        while rustix::event::poll(&mut wanted, None).is_err() {}
    }
    places.sweep()
}
