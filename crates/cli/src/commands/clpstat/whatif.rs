//! clpstat --whatif: what would happen if a server, path or disk were lost now. The engine hands out what it knows and goes on; the cores are
//! driven here, in this process and at low priority, so that nothing of it can hold up or end a cluster service.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use clp_config::Configuration;
use clp_core::configured;
use clp_protocol::control::{Picture, Reply, Request};
use clp_services::client;
use clp_sys::paths::Root;
use clp_whatif::{Answer, CannotAsk, Fault, Surroundings, World};

use super::super::{ask, configuration, failure, parse};
use super::answers;
use crate::declaration::Failure;
use crate::parse::Parsed;
use crate::{screen, waiting};

/// How much the process stands back behind others.
const NICE: i32 = 10;

/// Carry it out.
pub fn run(root: &Root, server: Option<&str>, parsed: &Parsed) -> Result<(), Failure> {
    let configuration = match server.filter(|server| *server != clp_sys::identity::hostname()) {
        None => configuration(root)?,
        Some(server) => {
            let bytes = client::configuration(root, server).map_err(|cause| Failure::new(cause.to_string()))?;
            parse(&bytes, &format!("the configuration of {server}"))?.1
        }
    };
    let mut around = Surroundings::of(&configuration);
    let wanted = Wanted::of(parsed, &configuration, &around)?;
    let picture = match ask(root, server, &Request::Picture).map_err(|cause| Failure::new(cause.to_string()))? {
        Reply::Picture(picture) => picture,
        reply => return Err(failure(&reply)),
    };
    measure(&mut around, &configuration, &picture);
    let world = world(&configuration, around, &picture)?;
    let singles = Fault::singles(world.around(), world.running());
    if let Some(away) = wanted.away(&world) {
        return Err(Failure::new(format!("{away} does not run now, as {} knows it: it cannot be lost", picture.server)));
    }
    let mut questions: Vec<Vec<Fault>> = singles.iter().filter(|fault| wanted.has(**fault)).map(|fault| vec![*fault]).collect();
    if parsed.has("--double") {
        let pairs = Fault::doubles(&singles);
        questions.extend(pairs.iter().filter(|pair| pair.iter().any(|fault| wanted.has(*fault))).map(|pair| pair.to_vec()));
    }
    if questions.is_empty() {
        return Err(Failure::new("there is nothing of that which a running server could lose"));
    }
    let answers = asked(&world, &questions);
    if !world.notes().is_empty() || answers.iter().any(|answer| answer.asked || answer.unsettled) {
        waiting::ends_with(waiting::ASSUMED);
    }
    let view = answers::View { world: &world, configuration: &configuration, picture: &picture, answers: &answers };
    screen::text(&if parsed.has("--json") { view.json()? } else { view.text() });
    Ok(())
}

/// Which losses are asked for.
enum Wanted {
    All,
    Server(usize),
    Path(usize),
    Disk(usize),
}

impl Wanted {
    fn of(parsed: &Parsed, configuration: &Configuration, around: &Surroundings) -> Result<Wanted, Failure> {
        let unknown = |kind: &str, name: &str, known: Vec<String>| {
            failure(&Reply::Unknown { kind: kind.into(), name: name.into(), known })
        };
        if let Some(name) = parsed.value("--server") {
            let servers = &configuration.servers;
            let is = |server: &clp_config::configuration::Server| {
                server.name == name || server.lan_addresses().iter().any(|address| address.to_string() == name)
            };
            let place = servers.iter().position(is);
            let known = || servers.iter().map(|server| server.name.clone()).collect();
            return place.map(Wanted::Server).ok_or_else(|| unknown("server", name, known()));
        }
        if let Some(name) = parsed.value("--path") {
            let place = around.paths.iter().position(|path| path.name == name);
            let known = || around.paths.iter().map(|path| path.name.clone()).collect();
            return place.map(Wanted::Path).ok_or_else(|| unknown("heartbeat", name, known()));
        }
        if let Some(name) = parsed.value("--disk") {
            return place_of(name, configuration, around)
                .map(Wanted::Disk)
                .ok_or_else(|| unknown("shared disk", name, disks(configuration, around)));
        }
        Ok(Wanted::All)
    }

    fn has(&self, fault: Fault) -> bool {
        match (self, fault) {
            (Wanted::All, _) => true,
            (Wanted::Server(wanted), Fault::Server(server)) => server.index() == *wanted,
            (Wanted::Path(wanted), Fault::Path(_, path)) => path == *wanted,
            (Wanted::Disk(wanted), Fault::Disk(_, disk)) => disk == *wanted,
            _ => false,
        }
    }

    /// The server that is asked for and is not there to be lost.
    fn away(&self, world: &World) -> Option<String> {
        let Wanted::Server(place) = self else { return None };
        let runs = world.running().iter().any(|server| server.index() == *place);
        (!runs).then(|| world.plan().servers[*place].clone())
    }
}

/// A disk by its device, a partition on it, or the name of a resource there.
fn place_of(name: &str, configuration: &Configuration, around: &Surroundings) -> Option<usize> {
    let resource = configuration.resources.iter().position(|resource| resource.name == name);
    around.disks.iter().position(|disk| {
        let partition = || name.strip_prefix(disk.name.as_str()).map(|rest| rest.trim_start_matches('p'));
        let holds = |resource: usize| disk.resources.iter().any(|id| id.index() == resource);
        partition().is_some_and(|rest| rest.bytes().all(|letter| letter.is_ascii_digit())) || resource.is_some_and(holds)
    })
}

/// The names of disks and of resources on them.
pub fn disks(configuration: &Configuration, around: &Surroundings) -> Vec<String> {
    let resources = around.disks.iter().flat_map(|disk| &disk.resources);
    let resources = resources.map(|id| configuration.resources[id.index()].name.clone());
    around.disks.iter().map(|disk| disk.name.clone()).chain(resources).collect()
}

/// What that server measured of work on its resources.
fn measure(around: &mut Surroundings, configuration: &Configuration, picture: &Picture) {
    let places: BTreeMap<&str, usize> =
        configuration.resources.iter().enumerate().map(|(place, resource)| (resource.name.as_str(), place)).collect();
    for took in &picture.took {
        if let Some(place) = places.get(took.resource.as_str()) {
            around.times[*place] = clp_whatif::around::Times { activate: took.activate_us, deactivate: took.deactivate_us };
        }
    }
}

fn world(configuration: &Configuration, around: Surroundings, picture: &Picture) -> Result<World, Failure> {
    let name = &picture.server;
    let Some(present) = clp_protocol::picture::read(&picture.present) else {
        return Err(Failure::new(format!("what {name} tells cannot be read: use commands of the same version as its cluster service")));
    };
    World::continued(configured::plan(configuration), around, &present).map_err(|reason| {
        Failure::new(match reason {
            CannotAsk::OtherConfiguration => {
                format!("{name} runs another configuration than the one in force there; restart its cluster service first (clpcl -r)")
            }
            CannotAsk::NotStarted => format!("{name} still waits for the other servers, or has no contact with any; try again in a moment"),
            CannotAsk::NoMember => format!("{name} is not in the cluster at this moment; ask another server with -h, or try again"),
            CannotAsk::Stopping => "every server stops its cluster service".into(),
        })
    })
}

/// All answers, in the order of the questions.
fn asked(world: &World, questions: &[Vec<Fault>]) -> Vec<Answer> {
    // Where that is refused the answers are the same.
    let _ = rustix::process::nice(NICE);
    let next = AtomicUsize::new(0);
    let answers: Mutex<BTreeMap<usize, Answer>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(question) = questions.get(place) else { return };
                    let answer = world.ask(question);
                    answers.lock().unwrap_or_else(PoisonError::into_inner).insert(place, answer);
                }
            });
        }
    });
    answers.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}
