//! The end of a round: all is mended, and within a deadline every group runs on exactly one server (no-orphan).
//!
//! What the world shows counts, and that every server says the same. A group that failed for good because something of it was
//! broken, or that an operator stopped, is started by the operator once, as the product says; others must come by themselves.

use anyhow::{Result, bail};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use crate::{
    lab::Lab,
    storm::{
        act::Hands,
        ground::TRACES,
        plan::{GROUPS, Round},
        watch::{Part, Watch},
    },
};

/// Longest time from the end of the faults until every group runs: reboot, sync wait, a stop script's time-out with its retry, takeover.
pub const DEADLINE: Duration = Duration::from_secs(75);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(250);
/// How often the administrator looks after servers that are off.
const ROUND_OF_THE_ADMINISTRATOR: Duration = Duration::from_secs(4);
/// How long a failed group stays failed before an operator starts it: the cluster itself may not have finished.
const OPERATOR_WAIT: Duration = Duration::from_secs(6);

/// Waits for the end of rounds.
pub struct Settle<'a> {
    lab: &'a Lab,
    hands: &'a Hands,
    deadline: Duration,
}

impl<'a> Settle<'a> {
    /// For a lab; a round may take so long to end, usually [`DEADLINE`].
    pub fn new(lab: &'a Lab, hands: &'a Hands, deadline: Duration) -> Settle<'a> {
        Settle { lab, hands, deadline }
    }

    /// Waits until every group runs on exactly one server; how long that took, or nothing when `is_over` says so first.
    ///
    /// # Errors
    /// A group does not run within the deadline, or failed although nothing of it was broken; the text says which and how it stands.
    pub fn wait(&self, round: &Round, is_over: impl Fn() -> bool) -> Result<Option<Duration>> {
        let begin = Instant::now();
        let mut visited = None::<Instant>;
        let stopped: BTreeSet<usize> = round.stopped().collect();
        let mut helped = BTreeSet::new();
        let mut failed_since = [None::<Instant>; GROUPS.len()];
        loop {
            if is_over() {
                return Ok(None);
            }
            if visited.is_none_or(|at| at.elapsed() > ROUND_OF_THE_ADMINISTRATOR) {
                self.hands.look_after();
                visited = Some(Instant::now());
            }
            let states = self.states()?;
            if states.iter().all(|state| state.is_well) {
                return Ok(Some(begin.elapsed()));
            }
            for (group, state) in states.iter().enumerate() {
                if !state.has_given_up {
                    failed_since[group] = None;
                    continue;
                }
                let since = *failed_since[group].get_or_insert_with(Instant::now);
                if since.elapsed() < OPERATOR_WAIT || !helped.insert(group) {
                    continue;
                }
                let name = GROUPS[group].name;
                if !stopped.contains(&group) && !round.may_fail_groups() {
                    bail!("{name} does not run although nothing of it was broken: {}", state.words);
                }
                println!("           an operator starts {name}: {}", state.words);
                self.hands.start(group)?;
            }
            if begin.elapsed() > self.deadline {
                let words: Vec<&str> = states.iter().filter(|state| !state.is_well).map(|state| state.words.as_str()).collect();
                bail!("after {} s: {}", begin.elapsed().as_secs(), words.join("; "));
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// How the groups are: what the world shows, and what each server says.
    fn states(&self) -> Result<Vec<State>> {
        let mut watch = Watch::new(self.lab);
        watch.look()?;
        let said: Vec<Value> = self.lab.servers().iter().map(|server| self.status(server)).collect();
        let state = |group: usize| {
            let parts = [Part::Mount, Part::Address, Part::Application];
            let needed = parts.into_iter().filter(|part| match part {
                Part::Mount => TRACES[group].partition.is_some(),
                Part::Address => TRACES[group].address.is_some(),
                Part::Application => true,
            });
            let holders: Vec<BTreeSet<&str>> = needed
                .map(|part| watch.last().filter(|(_, look)| look.has(group, part)).map(|(name, _)| name).collect())
                .collect();
            let views: BTreeSet<(String, String)> = said.iter().map(|status| view(status, group)).collect();
            let owner = holders.first().and_then(|first| first.first().copied());
            let is_one = owner.is_some_and(|owner| holders.iter().all(|holder| holder.len() == 1 && holder.contains(owner)));
            let agreed = owner.is_some_and(|owner| views == BTreeSet::from([("Online".to_string(), owner.to_string())]));
            // Every server says that it is off or has failed, and nobody works on it.
            let rests = |status: &str| matches!(status, "Offline" | "Offline Failure" | "Online Failure");
            State {
                is_well: is_one && agreed,
                has_given_up: !views.is_empty() && views.iter().all(|(status, _)| rests(status)),
                words: format!("{}: seen {holders:?}, said {views:?}", GROUPS[group].name),
            }
        };
        Ok((0..GROUPS.len()).map(state).collect())
    }

    fn status(&self, server: &str) -> Value {
        let output = self.lab.exec(server, &["timeout", "5", "clpstat", "--json"]);
        output.ok().and_then(|output| serde_json::from_str(&output.stdout).ok()).unwrap_or(Value::Null)
    }
}

/// How one group is.
struct State {
    /// It runs on exactly one server and everybody says so.
    is_well: bool,
    /// It does not run and the cluster does nothing about it.
    has_given_up: bool,
    /// For people.
    words: String,
}

/// Status and server of a group in what a server says.
fn view(status: &Value, group: usize) -> (String, String) {
    let groups = status["groups"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = groups.iter().find(|each| each["name"] == GROUPS[group].name);
    let text = |key: &str| found.and_then(|group| group[key].as_str()).unwrap_or("unknown").to_string();
    (text("status"), text("current"))
}
