//! pingnp: asks devices that always answer whether they do.
//!
//! The addresses of one group are alternatives; the groups are conditions of their own. Only answers to requests that
//! were sent after the question count.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use clp_core::arbiter::Answer;
use clp_sys::icmp;

use crate::partition::{Method, Question, Reply};

/// What the devices answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// For each group of the question, whether any of its addresses answered. An empty group asks nothing and is true.
    pub reachable: Vec<bool>,
    /// For each group its addresses, for the operator.
    addresses: Vec<String>,
    /// Why nothing could be asked at all; then no group counts as reachable.
    pub problem: Option<String>,
}

impl Verdict {
    /// Says whether this side reaches the outside: in every group something answered, and the question could be asked.
    pub fn may_go_on(&self) -> bool {
        self.problem.is_none() && !self.reachable.contains(&false)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(problem) = &self.problem {
            return write!(formatter, "ping could not ask: {problem}");
        }
        let words = |wanted: bool| {
            let groups = self
                .addresses
                .iter()
                .zip(&self.reachable)
                .filter(|(addresses, is_reachable)| **is_reachable == wanted && !addresses.is_empty());
            groups.map(|(addresses, _)| addresses.as_str()).collect::<Vec<_>>().join("; ")
        };
        match (words(true), words(false)) {
            (answered, silent) if silent.is_empty() => write!(formatter, "ping answered: {answered}"),
            (answered, silent) if answered.is_empty() => write!(formatter, "no ping answer: {silent}"),
            (answered, silent) => write!(formatter, "no ping answer: {silent}; answered: {answered}"),
        }
    }
}

/// A ping resolution.
#[derive(Debug, Clone)]
pub struct Ping {
    /// Addresses of each group are alternatives.
    pub groups: Vec<Vec<IpAddr>>,
    /// How long answers are waited for.
    pub limit: Duration,
}

impl Method for Ping {
    fn ask(&mut self, question: &Question) -> Reply {
        let (reachable, words) = self.look(question.until);
        Reply { answer: if reachable { Answer::Yes } else { Answer::No }, age: Duration::ZERO, reachable, words }
    }

    fn look(&mut self, until: Instant) -> (bool, String) {
        let limit = self.limit.min(until.saturating_duration_since(Instant::now()));
        let verdict = ask(&self.groups, limit);
        (verdict.may_go_on(), verdict.to_string())
    }
}

/// Asks all `groups` at once and waits at most `timeout`; returns as soon as every group has an answer. Blocks.
pub fn ask(groups: &[Vec<IpAddr>], timeout: Duration) -> Verdict {
    let targets: Vec<IpAddr> = groups.iter().flatten().copied().collect();
    let reached = |has_answered: &dyn Fn(usize) -> bool| -> Vec<bool> {
        let mut next = 0;
        let judge = |group: &Vec<IpAddr>| {
            let mine = next..next + group.len();
            next = mine.end;
            mine.is_empty() || mine.into_iter().any(has_answered)
        };
        groups.iter().map(judge).collect()
    };
    let asked = icmp::ping_until(&targets, timeout, |answers| !reached(&|index| answers[index].is_some()).contains(&false));
    let addresses = groups.iter().map(|group| group.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" or ")).collect();
    match asked {
        Ok(answers) => Verdict { reachable: reached(&|index| answers[index].is_some()), addresses, problem: None },
        Err(error) => Verdict { reachable: vec![false; groups.len()], addresses, problem: Some(error.to_string()) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    /// Any answer of a group counts, a group without any makes this server isolated.
    #[test]
    fn a_group_without_any_answer_means_isolated() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        let group = |addresses: &[&str]| addresses.iter().map(|text| text.parse().expect("address")).collect::<Vec<IpAddr>>();
        let begin = Instant::now();
        let verdict = ask(&[group(&["0.0.0.1", "127.0.0.1"]), group(&["127.0.0.2"]), group(&[])], Duration::from_secs(30));
        assert_eq!(verdict.reachable, [true, true, true]);
        assert!(begin.elapsed() < Duration::from_secs(20), "it waited although every group had answered");
        let verdict = ask(&[group(&["127.0.0.1"]), group(&["0.0.0.1", "0.0.0.2"])], Duration::from_millis(200));
        assert_eq!(verdict.reachable, [true, false]);
        assert!(!verdict.may_go_on());
        assert_eq!(verdict.to_string(), "no ping answer: 0.0.0.1 or 0.0.0.2; answered: 127.0.0.1");
        assert!(ask(&[], Duration::from_secs(30)).may_go_on());
    }
}
