//! pingnp: asks devices that always answer whether they do.
//!
//! The addresses of one group are alternatives; the groups are conditions of their own. Only answers to requests that
//! were sent after the question count.

use clp_sys::icmp::{self, PingError};
use std::{net::IpAddr, time::Duration};

/// What the devices answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// For each group of the question, whether any of its addresses answered.
    pub reachable: Vec<bool>,
}

impl Verdict {
    /// Says whether this server is cut off: in some group nothing answered. An empty group asks nothing.
    pub fn is_isolated(&self) -> bool {
        self.reachable.contains(&false)
    }
}

/// Asks all `groups` at once and waits at most `timeout`; returns as soon as every group has an answer. Blocks.
///
/// # Errors
/// Nothing could be asked at all (not root, too many addresses).
pub fn ask(groups: &[Vec<IpAddr>], timeout: Duration) -> Result<Verdict, PingError> {
    let targets: Vec<IpAddr> = groups.iter().flatten().copied().collect();
    let judge = |has_answered: &dyn Fn(usize) -> bool| {
        let mut next = 0;
        let judged = groups.iter().map(|group| {
            let mine = next..next + group.len();
            next = mine.end;
            mine.is_empty() || mine.into_iter().any(has_answered)
        });
        Verdict { reachable: judged.collect() }
    };
    let answers = icmp::ping_until(&targets, timeout, |answers| !judge(&|index| answers[index].is_some()).is_isolated())?;
    Ok(judge(&|index| answers[index].is_some()))
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
        let verdict = ask(&[group(&["0.0.0.1", "127.0.0.1"]), group(&["127.0.0.2"]), group(&[])], Duration::from_secs(30))
            .expect("raw socket");
        assert_eq!(verdict.reachable, [true, true, true]);
        assert!(begin.elapsed() < Duration::from_secs(20), "it waited although every group had answered");
        let verdict =
            ask(&[group(&["127.0.0.1"]), group(&["0.0.0.1", "0.0.0.2"])], Duration::from_millis(200)).expect("raw socket");
        assert_eq!(verdict.reachable, [true, false]);
        assert!(verdict.is_isolated());
        assert!(!ask(&[], Duration::from_secs(30)).expect("raw socket").is_isolated());
    }
}
