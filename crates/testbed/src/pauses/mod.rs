//! `testbed pauses`: whole servers stand still again and again, for 0.1 to 60 s, and nobody may write behind their successor.
//!
//! Two checkers look at the world all the time: the disk notes whose blocks come (`blocks`), and the client's segment is asked who
//! has the address. What ends a server that stands still is the watchdog stand-in, which counts the machine's time, or its BMC. Without
//! either (`--fence none`) it wakes behind its successor's start; what happens then is counted and printed.

pub mod ground;
pub mod plan;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::{
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    blocks,
    control::Phase,
    lab::Lab,
    options::{Cut, Net},
    segment::Segment,
    tools::hold,
};
use ground::{ADDRESS, Asked, Fence, GROUP, Method, SERVERS};
use plan::Stop;

/// Longest time from the end of a stop until all is well again: reset, boot, sync wait, takeover, on a busy machine.
const SETTLE_MAX: Duration = Duration::from_secs(90);
/// Pause between two looks.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// How often the administrator looks after servers whose service has ended.
const ROUND_OF_THE_ADMINISTRATOR: Duration = Duration::from_secs(4);

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Order {
    /// How it is decided who may go on.
    pub method: Method,
    /// How many stops.
    pub stops: u32,
    /// Which stops.
    pub seed: u64,
    /// What ends a server that stands still.
    pub fence: Fence,
    /// Where the evidence goes when something is found.
    pub evidence: PathBuf,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Stops that were made.
    pub stops: u32,
    /// Runs of the application: one more than how often it began anew.
    pub runs: usize,
    /// Blocks that were written behind the first one of a later run.
    pub overlaps: usize,
    /// The longest time from a run's first block to a block of an earlier one.
    pub longest: Duration,
    /// Looks at which two servers answered for the address.
    pub doubles: u32,
    /// How long it took.
    pub took: Duration,
    /// What went wrong beside these; empty is good.
    pub found: Vec<String>,
}

impl Outcome {
    /// Both: of several labs.
    #[must_use]
    pub fn and(mut self, other: Outcome) -> Outcome {
        self.stops += other.stops;
        self.runs += other.runs;
        self.overlaps += other.overlaps;
        self.longest = self.longest.max(other.longest);
        self.doubles += other.doubles;
        self.took = self.took.max(other.took);
        self.found.extend(other.found);
        self
    }

    /// Says whether nobody wrote or answered beside a successor, and nothing else was found.
    pub fn is_clean(&self) -> bool {
        self.overlaps == 0 && self.doubles == 0 && self.found.is_empty()
    }

    /// Says whether what is promised was kept.
    pub fn is_ok(&self, order: &Order) -> bool {
        self.is_clean() || (order.fence == Fence::None && self.found.is_empty())
    }

    /// The last line, for machines.
    pub fn line(&self, order: &Order) -> String {
        // Without a fence nothing is promised (rule R12): then it is a measurement.
        let word = match (self.is_ok(order), self.is_clean()) {
            (true, true) => "ok",
            (true, false) => "measured",
            (false, _) => "failed",
        };
        let reason = self.found.first().map(|first| format!(" reason={first:?}")).unwrap_or_default();
        format!(
            "PAUSES {word} method={} fence={} seed={} stops={} runs={} overlapping_writes={} longest_overlap_ms={} double_addresses={} minutes={:.1}{reason}",
            order.method.word(),
            order.fence.word(),
            order.seed,
            self.stops,
            self.runs,
            self.overlaps,
            self.longest.as_millis(),
            self.doubles,
            self.took.as_secs_f64() / 60.0
        )
    }
}

/// Makes the stops in a lab of their own; `stop` ends it early.
///
/// # Errors
/// The bench fails; what the product does wrong is in the outcome.
pub fn run(order: &Order, stop: &AtomicBool) -> Result<Outcome> {
    let begin = Instant::now();
    let conf = tempfile::tempdir().context("cannot make a directory for the configuration")?;
    ground::configuration(order.method, order.fence).write(conf.path())?;
    let lab = Lab::up(ground::options(conf.path().to_path_buf(), order.fence))?;
    let outcome = {
        let asked = Asked::start(&lab, order.method, order.fence)?;
        let run = Run { lab: &lab, over: AtomicBool::new(false), stop, doubles: Mutex::new(0) };
        let mut outcome = std::thread::scope(|scope| {
            let segment = scope.spawn(|| run.watch_segment());
            let outcome = run.stops(order);
            run.over.store(true, Ordering::Relaxed);
            let watched = segment.join().unwrap_or_else(|_| bail!("the look at the segment has panicked"));
            watched.and(Ok(outcome))
        })?;
        drop(asked);
        let reading = blocks::read(&run.book());
        (outcome.runs, outcome.overlaps, outcome.longest) = (reading.runs.len(), reading.overlaps.len(), reading.longest);
        outcome.doubles = *hold(&run.doubles);
        outcome.took = begin.elapsed();
        if !outcome.is_ok(order) {
            run.save(order);
        }
        outcome
    };
    lab.down()?;
    Ok(outcome)
}

struct Run<'a> {
    lab: &'a Lab,
    over: AtomicBool,
    stop: &'a AtomicBool,
    doubles: Mutex<u32>,
}

impl Run<'_> {
    fn stops(&self, order: &Order) -> Outcome {
        let mut outcome = Outcome::default();
        if let Err(error) = self.settle() {
            outcome.found.push(format!("at the start: {error:#}"));
            return outcome;
        }
        for number in 1..=order.stops {
            if self.stop.load(Ordering::Relaxed) {
                outcome.found.push("interrupted".into());
                break;
            }
            let stop = Stop::of(order.seed, number);
            std::thread::sleep(stop.after);
            let owner = self.owner().filter(|_| stop.is_owner);
            let server = owner.unwrap_or_else(|| format!("server{}", stop.server));
            let (method, seconds) = (order.method.word(), stop.length.as_secs_f64());
            let silent = if stop.is_silent { ", and its kernel" } else { "" };
            println!("{number:4} {method} {server} stands still{silent} for {seconds:.1} s");
            let made = self.stand_still(&server, stop);
            outcome.stops += 1;
            if let Err(error) = made.and_then(|()| self.settle()) {
                outcome.found.push(format!("stop {number} of {server}: {error:#}"));
                break;
            }
        }
        outcome
    }

    fn stand_still(&self, server: &str, stop: Stop) -> Result<()> {
        let silence = Cut::whole(server, Net::All).keep_carrier();
        self.lab.pause(server)?;
        if stop.is_silent {
            self.lab.cut_as(silence.clone())?;
        }
        std::thread::sleep(stop.length);
        if stop.is_silent {
            self.lab.heal_as(silence)?;
        }
        // Off or booting when its watchdog has reset it meanwhile.
        let _ = self.lab.resume(server);
        Ok(())
    }

    fn book(&self) -> PathBuf {
        self.lab.directory().join("blocks.log")
    }

    /// The server of the latest run.
    fn owner(&self) -> Option<String> {
        blocks::read(&self.book()).runs.last().map(|(server, _)| server.clone())
    }

    /// Until every server is there and says the same, and the group runs.
    fn settle(&self) -> Result<()> {
        let begin = Instant::now();
        let mut visited = Instant::now();
        loop {
            let views: Vec<(Option<Vec<String>>, String)> = self.lab.servers().iter().map(|server| self.view(server)).collect();
            let all = self.lab.servers();
            let is_well = views.iter().all(|(online, place)| online.as_ref() == Some(&all) && *place == views[0].1);
            if is_well && self.owner().is_some_and(|owner| owner == views[0].1) {
                return Ok(());
            }
            if visited.elapsed() > ROUND_OF_THE_ADMINISTRATOR {
                visited = Instant::now();
                self.look_after()?;
            }
            if begin.elapsed() > SETTLE_MAX {
                bail!("after {} s: {views:?}, the latest block is of {:?}", begin.elapsed().as_secs(), self.owner());
            }
            std::thread::sleep(LOOK_PAUSE);
        }
    }

    /// Whom a server sees online, and where the group is online.
    fn view(&self, server: &str) -> (Option<Vec<String>>, String) {
        let output = self.lab.exec(server, &["timeout", "5", "clpstat", "--json"]).ok();
        let Some(status) = output.and_then(|output| serde_json::from_str::<Value>(&output.stdout).ok()) else {
            return (None, String::new());
        };
        let named = |key: &str| status[key].as_array().cloned().unwrap_or_default();
        let servers = named("servers").into_iter().filter(|server| server["status"] == "Online");
        let online = servers.filter_map(|server| server["name"].as_str().map(String::from)).collect();
        let group = named("groups").into_iter().find(|group| group["name"] == GROUP && group["status"] == "Online");
        let place = group.and_then(|group| group["current"].as_str().map(String::from)).unwrap_or_default();
        (Some(online), place)
    }

    /// What an administrator does: power where a server is down, the service where it has ended.
    fn look_after(&self) -> Result<()> {
        for status in self.lab.status()? {
            match status.phase {
                Phase::Off => self.lab.power_on(&status.name)?,
                Phase::Paused => drop(self.lab.resume(&status.name)),
                Phase::Up => {
                    let line = "pgrep -f 'clusterpro [e]ngine' >/dev/null || pgrep -x rc.boot >/dev/null || clpcl -s; clpgrp -s data 2>/dev/null; true";
                    let _ = self.lab.exec(&status.name, &["timeout", "30", "sh", "-c", line]);
                }
                Phase::Booting => {}
            }
        }
        Ok(())
    }

    fn watch_segment(&self) -> Result<()> {
        self.lab.enter_client()?;
        let segment = Segment::open()?;
        while !self.over.load(Ordering::Relaxed) {
            if let Some([one, two]) = segment.double(ADDRESS) {
                println!("     {one} and {two} answer for {ADDRESS}");
                *hold(&self.doubles) += 1;
            }
            std::thread::sleep(LOOK_PAUSE);
        }
        Ok(())
    }

    /// Keeps what tells why.
    fn save(&self, order: &Order) {
        let directory = order.evidence.join(format!("{}-{}", order.method.word(), order.seed));
        let _ = std::fs::remove_dir_all(&directory);
        let _ = std::fs::create_dir_all(&directory);
        for file in ["blocks.log", "supervisor.log"] {
            let _ = std::fs::copy(self.lab.directory().join(file), directory.join(file));
        }
        for number in 1..=SERVERS {
            let server = format!("server{number}");
            let own = directory.join(&server);
            let from = self.lab.directory().join(&server);
            let _ = std::fs::create_dir_all(&own);
            let _ = crate::tools::run(&["cp", "-r", &from.join("opt/mainstay/log").to_string_lossy(), &own.to_string_lossy()]);
            for line in ["clpstat", "clpstat --why data", "ps axf"] {
                let shown = self.lab.exec(&server, &["timeout", "10", "sh", "-c", line]);
                let text = shown.map_or_else(|error| format!("{error:#}"), |output| output.stdout + &output.stderr);
                let _ = std::fs::write(own.join(line.replace(' ', "_")), text);
            }
        }
        println!("     the evidence is in {}", directory.display());
    }
}
