//! `testbed storm`: four servers and six groups under random everyday faults from one seed, with checkers that look at the world.
//!
//! Each round begins healthy, has a few faults (`plan`), and ends when all is mended and every group runs on exactly one server
//! again (`settle`). Beside it run for the whole time: the look at mounts, addresses, applications and writes (`watch`), the
//! question in the client's segment who has an address, and clients whose acknowledged numbers must all be there (`writer`).

pub mod act;
pub mod ground;
pub mod plan;
pub mod settle;
pub mod watch;
pub mod writer;

use anyhow::{Context, Result};
use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{lab::Lab, segment::Segment, tools::hold};
use act::Hands;
use plan::{GROUPS, Round};
use settle::Settle;
use watch::Watch;
use writer::Writer;

/// Pause between two looks at the world.
const LOOK_PAUSE: Duration = Duration::from_millis(60);
/// How finely the storm's own time is kept.
const TICK: Duration = Duration::from_millis(10);
/// Rounds that an hour has about; for lists.
const ROUNDS_A_MINUTE: u32 = 3;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Order {
    /// Which storm.
    pub seed: u64,
    /// For how long rounds are begun.
    pub length: Duration,
    /// Only this round, again and again.
    pub round: Option<u32>,
    /// Name of the lab.
    pub name: Option<String>,
    /// Where the evidence goes when something is found.
    pub evidence: PathBuf,
}

impl Order {
    fn round(&self, count: u32) -> Round {
        Round::of(self.seed, self.round.unwrap_or(count))
    }

    /// The faults, one a line, without doing anything: about as many rounds as fit.
    pub fn list(&self) -> String {
        let minutes = (self.length.as_secs() / 60).max(1) as u32;
        let count = if self.round.is_some() { 1 } else { minutes * ROUNDS_A_MINUTE };
        let mut text = String::new();
        for number in 1..=count {
            let round = self.round(number);
            text += &format!("round {}\n", round.number);
            round.steps.iter().for_each(|step| text += &format!("  {step}\n"));
        }
        text
    }
}

/// What has been found, whoever finds it.
#[derive(Debug, Default)]
pub struct Findings {
    list: Mutex<Vec<String>>,
    doubles: Mutex<u32>,
}

impl Findings {
    fn add(&self, words: String) {
        println!("FOUND      {words}");
        hold(&self.list).push(words);
    }

    fn add_double(&self, words: String) {
        *hold(&self.doubles) += 1;
        self.add(words);
    }

    fn is_empty(&self) -> bool {
        hold(&self.list).is_empty()
    }
}

/// The result, for the last line.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many faults there were.
    pub faults: usize,
    /// Rounds that were begun.
    pub rounds: u32,
    /// How long it took.
    pub took: Duration,
    /// Numbers that were acknowledged.
    pub acknowledged: usize,
    /// Acknowledged numbers that are not there.
    pub lost_writes: usize,
    /// Times two servers had the same.
    pub double_owner: u32,
    /// Longest time in which a part without a gate in the kernel was on two servers.
    pub overlap: Duration,
    /// Longest time from the end of the faults to the end of a round.
    pub settle_max: Duration,
    /// What was found; empty is good.
    pub found: Vec<String>,
    /// A signal ended it.
    pub is_interrupted: bool,
}

impl Outcome {
    /// Says whether nothing was found.
    pub fn is_ok(&self) -> bool {
        self.found.is_empty() && !self.is_interrupted
    }

    /// The last line, for machines.
    pub fn line(&self, seed: u64) -> String {
        let word = if self.is_ok() { "ok" } else { "failed" };
        let reason = match (self.found.first(), self.is_interrupted) {
            (Some(first), _) => format!(" reason={first:?}"),
            (None, true) => " reason=\"interrupted\"".to_string(),
            (None, false) => String::new(),
        };
        format!(
            "STORM {word} seed={seed} faults={} minutes={:.1} lost_writes={} double_owner={}{reason}",
            self.faults,
            self.took.as_secs_f64() / 60.0,
            self.lost_writes,
            self.double_owner
        )
    }
}

/// Runs a storm; `stop` ends it early.
///
/// # Errors
/// The bench fails; what the product does wrong is in the outcome.
pub fn run(order: &Order, stop: &Arc<AtomicBool>) -> Result<Outcome> {
    let conf = tempfile::tempdir().context("cannot make a directory for the configuration")?;
    ground::configuration().write(conf.path())?;
    let options = crate::Options { name: order.name.clone(), ..ground::options(conf.path().to_path_buf()) };
    let lab = Arc::new(Lab::up(options)?);
    println!("lab {}: seed {}, {} minutes", lab.name(), order.seed, order.length.as_secs() / 60);
    let storm = Storm {
        findings: Findings::default(),
        over: AtomicBool::new(false),
        writers: [Writer::of(0), Writer::of(1)],
        overlap: Mutex::new(Duration::ZERO),
        lab,
        stop: stop.clone(),
    };
    let mut outcome = std::thread::scope(|scope| {
        let helpers = [
            scope.spawn(|| storm.watch_world()),
            scope.spawn(|| storm.watch_segment()),
            scope.spawn(|| storm.write(0)),
            scope.spawn(|| storm.write(1)),
        ];
        let outcome = storm.rounds(order);
        storm.over.store(true, Ordering::Relaxed);
        helpers.into_iter().for_each(|helper| drop(helper.join()));
        outcome
    })?;
    outcome.found = std::mem::take(&mut *hold(&storm.findings.list));
    outcome.double_owner = *hold(&storm.findings.doubles);
    outcome.acknowledged = storm.writers.iter().map(Writer::count).sum();
    outcome.overlap = *hold(&storm.overlap);
    outcome.is_interrupted = storm.stop.load(Ordering::Relaxed);
    // The last holder takes it down.
    if let Ok(lab) = Arc::try_unwrap(storm.lab) {
        lab.down()?;
    }
    Ok(outcome)
}

struct Storm {
    lab: Arc<Lab>,
    findings: Findings,
    stop: Arc<AtomicBool>,
    /// The rounds are over, whatever ended them.
    over: AtomicBool,
    writers: [Writer; 2],
    overlap: Mutex<Duration>,
}

impl Storm {
    fn rounds(&self, order: &Order) -> Result<Outcome> {
        let begin = Instant::now();
        let hands = Hands::new(self.lab.clone());
        let settle = Settle::new(&self.lab, &hands, settle::DEADLINE);
        let mut outcome = Outcome::default();
        self.settle(&settle, &Round { number: 0, steps: Vec::new() }, &mut outcome);
        while begin.elapsed() < order.length && !self.has_ended() {
            outcome.rounds += 1;
            let round = order.round(outcome.rounds);
            println!("{:8.1} s  round {}", begin.elapsed().as_secs_f64(), round.number);
            outcome.faults += round.steps.len();
            self.faults(&hands, &round);
            if self.has_ended() {
                break;
            }
            hands.mend()?;
            self.settle(&settle, &round, &mut outcome);
            hands.wait();
        }
        if !self.findings.is_empty() {
            self.save(order);
        }
        // Whatever still waits inside a server ends with it.
        hands.mend()?;
        for server in self.lab.servers() {
            let _ = self.lab.power_off(&server);
        }
        hands.wait();
        outcome.took = begin.elapsed();
        Ok(outcome)
    }

    fn has_ended(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || !self.findings.is_empty()
    }

    /// The faults of a round, each at its time.
    fn faults(&self, hands: &Hands, round: &Round) {
        let begin = Instant::now();
        let ends = round.steps.iter().filter(|step| step.until > step.at).map(|step| (step.until, false, step));
        let mut moments: Vec<_> = round.steps.iter().map(|step| (step.at, true, step)).chain(ends).collect();
        moments.sort_by_key(|(at, ..)| *at);
        for (at, begins, step) in moments {
            let at = Duration::from_millis(at);
            while begin.elapsed() < at && !self.has_ended() {
                std::thread::sleep(TICK);
            }
            if self.has_ended() {
                return;
            }
            if begins {
                println!("           {step}");
                hands.begin(step.fault);
            } else {
                hands.end(step.fault);
            }
        }
    }

    /// After the faults: every group runs again, and everything acknowledged is there.
    fn settle(&self, settle: &Settle<'_>, round: &Round, outcome: &mut Outcome) {
        match settle.wait(round, || self.has_ended()) {
            Ok(Some(took)) => {
                println!("           settled after {:.1} s", took.as_secs_f64());
                outcome.settle_max = outcome.settle_max.max(took);
            }
            Ok(None) => return,
            Err(error) => return self.findings.add(format!("round {}: {error:#}", round.number)),
        }
        for (group, writer) in self.writers.iter().enumerate() {
            match self.on_client(|| writer.lost()) {
                Ok(lost) if lost.is_empty() => {}
                Ok(lost) => {
                    outcome.lost_writes += lost.len();
                    let name = GROUPS[group].name;
                    let few = &lost[..lost.len().min(5)];
                    self.findings.add(format!(
                        "round {}: {name} has lost {} acknowledged writes: {few:?}",
                        round.number,
                        lost.len()
                    ));
                }
                Err(error) => self.findings.add(format!("round {}: {error:#}", round.number)),
            }
        }
    }

    /// Runs something on the client's network, on a thread of its own.
    fn on_client<T: Send>(&self, what: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.lab.enter_client()?;
                what()
            });
            thread.join().unwrap_or_else(|_| anyhow::bail!("a thread of the storm has panicked"))
        })
    }

    fn watch_world(&self) {
        let mut watch = Watch::new(&self.lab);
        while !self.over.load(Ordering::Relaxed) {
            match watch.look() {
                Ok(doubles) => doubles.into_iter().for_each(|words| self.findings.add_double(words)),
                Err(error) => self.findings.add(format!("the look at the world has failed: {error:#}")),
            }
            *hold(&self.overlap) = watch.overlap_max;
            if !self.findings.is_empty() {
                return;
            }
            std::thread::sleep(LOOK_PAUSE);
        }
    }

    fn watch_segment(&self) {
        let segment = match self.lab.enter_client().and_then(|()| Segment::open()) {
            Ok(segment) => segment,
            Err(error) => return self.findings.add(format!("{error:#}")),
        };
        while !self.over.load(Ordering::Relaxed) {
            for (group, traces) in GROUPS.iter().zip(&ground::TRACES) {
                if let Some(address) = traces.address
                    && let Some([one, two]) = segment.double(address)
                {
                    return self.findings.add_double(format!("{}: {one} and {two} answer for {address}", group.name));
                }
            }
            std::thread::sleep(LOOK_PAUSE);
        }
    }

    fn write(&self, group: usize) {
        match self.lab.enter_client() {
            Ok(()) => self.writers[group].run(&self.over),
            Err(error) => self.findings.add(format!("{error:#}")),
        }
    }

    /// Keeps what tells why: each server's status, cause chains and logs, and the bench's own.
    fn save(&self, order: &Order) {
        let directory = &order.evidence;
        let _ = std::fs::remove_dir_all(directory);
        let _ = std::fs::create_dir_all(directory);
        let list = hold(&self.findings.list).join("\n");
        let _ = std::fs::write(directory.join("found"), format!("{list}\n\n{}", order.list()));
        let _ = std::fs::copy(self.lab.directory().join("supervisor.log"), directory.join("supervisor.log"));
        for server in self.lab.servers() {
            let own = directory.join(&server);
            let from = self.lab.directory().join(&server);
            let _ = std::fs::create_dir_all(&own);
            let _ = crate::tools::run(&["cp", "-r", &from.join("opt/mainstay/log").to_string_lossy(), &own.to_string_lossy()]);
            let _ = std::fs::copy(from.join("console.log"), own.join("console.log"));
            let commands = GROUPS.iter().map(|group| format!("clpstat --why {}", group.name));
            for line in ["clpstat".to_string(), "cat /proc/mounts".to_string(), "ps axf".to_string()].into_iter().chain(commands)
            {
                let shown = self.lab.exec(&server, &["timeout", "10", "sh", "-c", &line]);
                let text = shown.map_or_else(|error| format!("{error:#}"), |output| output.stdout + &output.stderr);
                let _ = std::fs::write(own.join(line.replace([' ', '/'], "_")), text);
            }
        }
        println!("           the evidence is in {}", directory.display());
    }
}
