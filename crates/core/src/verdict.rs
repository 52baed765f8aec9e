//! From the answers of several partition resolutions to one: a sound method decides alone and nothing falls to a weaker one
//! (rules R9, R10). A plain function.
//!
//! *Majority*: more than half of the configured servers go on, fewer do not; exactly half ask the arbiters. *Arbiters* (witness,
//! etcd, disk) without it: the side with most of them goes on, the first of the configuration counting for one and a half, so that
//! two sides never both have most. Only where neither is configured *ping* decides: every ping resolution must answer.

use crate::arbiter::Answer;

/// What a partition resolution can prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MethodKind {
    /// A target answers: no proof about the other side.
    Ping,
    /// More than half of the configured servers are in contact; nothing is asked.
    Majority,
    /// A record elsewhere that one side at a time can hold.
    Arbiter,
}

impl MethodKind {
    /// Does its Yes exclude a Yes of another side?
    pub fn is_sound(self) -> bool {
        self != MethodKind::Ping
    }
}

/// Servers of this side, itself included, among those that are configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Votes {
    /// In contact.
    pub mine: usize,
    /// Configured.
    pub all: usize,
}

/// How the votes alone decide where majority is configured; None: exactly half, or majority is not asked.
pub fn by_votes(methods: &[MethodKind], votes: Votes) -> Option<Answer> {
    if !methods.contains(&MethodKind::Majority) {
        return None;
    }
    match (votes.mine * 2).cmp(&votes.all) {
        std::cmp::Ordering::Greater => Some(Answer::Yes),
        std::cmp::Ordering::Less => Some(Answer::No),
        std::cmp::Ordering::Equal if methods.contains(&MethodKind::Arbiter) => None,
        std::cmp::Ordering::Equal => Some(Answer::No),
    }
}

/// The verdict of all methods, in the order of the configuration; an answer of None: this server does not use the method.
pub fn combine(methods: &[MethodKind], answers: &[Option<Answer>], votes: Votes) -> Answer {
    if let Some(answer) = by_votes(methods, votes) {
        return answer;
    }
    if methods.contains(&MethodKind::Arbiter) {
        return combine_arbiters(methods, answers);
    }
    given(methods, answers, MethodKind::Ping).flatten().min().unwrap_or(Answer::Yes)
}

fn given(methods: &[MethodKind], answers: &[Option<Answer>], kind: MethodKind) -> impl Iterator<Item = Option<Answer>> {
    let numbered = methods.iter().zip(answers).filter(move |(method, _)| **method == kind);
    numbered.map(|(_, answer)| *answer)
}

/// What most of the arbiters say: each has a weight of two and the first one more, so that there is no tie.
pub fn combine_arbiters(methods: &[MethodKind], answers: &[Option<Answer>]) -> Answer {
    let weigh = |wanted: &dyn Fn(Answer) -> bool| -> usize {
        let arbiters = given(methods, answers, MethodKind::Arbiter).enumerate();
        let ours = arbiters.filter(|(_, answer)| wanted(answer.unwrap_or(Answer::Wait)));
        ours.map(|(place, _)| if place == 0 { 3 } else { 2 }).sum()
    };
    let all = weigh(&|_| true);
    if weigh(&|answer| answer == Answer::Yes) * 2 > all {
        Answer::Yes
    } else if weigh(&|answer| answer == Answer::No) * 2 > all {
        Answer::No
    } else {
        Answer::Wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use MethodKind::{Arbiter, Majority, Ping};

    /// Every way in which arbiters can answer two sides, each of them Yes to one of them at most.
    #[test]
    fn two_sides_never_both_go_on_by_a_sound_method() {
        let lists: [&[MethodKind]; 7] = [
            &[Arbiter],
            &[Arbiter, Arbiter],
            &[Arbiter, Arbiter, Arbiter],
            &[Majority],
            &[Majority, Arbiter],
            &[Ping, Arbiter, Arbiter],
            &[Arbiter, Majority, Arbiter, Ping],
        ];
        let mut both = 0;
        for methods in lists {
            for servers in 2..7 {
                for one in 0..=servers {
                    for code in 0..9_usize.pow(methods.len() as u32) {
                        let pairs: Vec<(Answer, Answer)> = (0..methods.len())
                            .map(|at| (code / 9_usize.pow(at as u32)) % 9)
                            .map(|c| (word(c / 3), word(c % 3)))
                            .collect();
                        let excludes = methods
                            .iter()
                            .zip(&pairs)
                            .all(|(kind, pair)| *kind != Arbiter || *pair != (Answer::Yes, Answer::Yes));
                        if !excludes {
                            continue;
                        }
                        let left: Vec<Option<Answer>> = pairs.iter().map(|pair| Some(pair.0)).collect();
                        let right: Vec<Option<Answer>> = pairs.iter().map(|pair| Some(pair.1)).collect();
                        let left = combine(methods, &left, Votes { mine: one, all: servers });
                        let right = combine(methods, &right, Votes { mine: servers - one, all: servers });
                        assert!((left, right) != (Answer::Yes, Answer::Yes), "{methods:?} {one} of {servers} {pairs:?}");
                        both += usize::from(left == Answer::Yes || right == Answer::Yes);
                    }
                }
            }
        }
        assert!(both > 1000, "hardly anybody ever went on");
    }

    fn word(code: usize) -> Answer {
        [Answer::No, Answer::Wait, Answer::Yes][code]
    }

    #[test]
    fn nothing_falls_to_a_weaker_method() {
        let votes = Votes { mine: 1, all: 2 };
        let yes = Some(Answer::Yes);
        assert_eq!(combine(&[Ping, Arbiter], &[yes, Some(Answer::Wait)], votes), Answer::Wait);
        assert_eq!(
            combine(&[Ping, Arbiter], &[Some(Answer::No), yes], votes),
            Answer::Yes,
            "a dead target stops nobody who has proof"
        );
        assert_eq!(combine(&[Ping, Majority], &[yes, None], votes), Answer::No);
        assert_eq!(combine(&[Arbiter, Arbiter], &[Some(Answer::Wait), yes], votes), Answer::Wait);
        assert_eq!(combine(&[Arbiter, Arbiter], &[yes, Some(Answer::Wait)], votes), Answer::Yes);
        assert_eq!(combine(&[Arbiter, Arbiter, Arbiter], &[Some(Answer::No), yes, yes], votes), Answer::Yes);
        assert_eq!(combine(&[Ping, Ping], &[yes, Some(Answer::No)], votes), Answer::No);
        assert_eq!(combine(&[Ping, Ping], &[yes, None], votes), Answer::Yes);
        assert_eq!(combine(&[], &[], votes), Answer::Yes);
        assert_eq!(combine(&[Majority, Arbiter], &[None, yes], Votes { mine: 1, all: 3 }), Answer::No);
    }
}
