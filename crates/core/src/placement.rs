//! Which server of a group's policy takes it: a plain function that keeps its reasons.

use crate::ids::{ServerId, ServerSet};

/// What placement looks at.
#[derive(Debug, Clone, Copy)]
pub struct Candidates<'a> {
    /// Failover policy, best first.
    pub policy: &'a [ServerId],
    /// Where the operator or a failback wants it.
    pub target: Option<ServerId>,
    /// Members of the committed view.
    pub members: ServerSet,
    /// Members on their way out.
    pub leaving: ServerSet,
    /// Servers on which it failed and is not tried again for now.
    pub excluded: ServerSet,
    /// Where a group runs beside which this one runs only when nothing else is left (failover exclusion, normal).
    pub avoided: ServerSet,
    /// Where a group runs beside which this one never runs (failover exclusion, full).
    pub barred: ServerSet,
}

/// A choice with its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The server, if any qualifies.
    pub chosen: Option<ServerId>,
    /// Why the others were passed over, in the order in which they were looked at.
    pub rejected: Vec<(ServerId, &'static str)>,
}

/// The wanted server if it qualifies, else the first of the policy that does; one that is avoided only when no other does.
pub fn choose(candidates: Candidates<'_>) -> Decision {
    let strict = choose_among(candidates);
    if strict.chosen.is_some() || candidates.avoided.is_empty() {
        return strict;
    }
    choose_among(Candidates { avoided: ServerSet::EMPTY, ..candidates })
}

fn choose_among(candidates: Candidates<'_>) -> Decision {
    let mut rejected = Vec::new();
    let order = candidates.target.into_iter().chain(candidates.policy.iter().copied());
    for server in order {
        if rejected.iter().any(|(seen, _)| *seen == server) {
            continue;
        }
        let reason = if !candidates.policy.contains(&server) {
            "not in its failover policy"
        } else if !candidates.members.has(server) {
            "not online"
        } else if candidates.leaving.has(server) {
            "stopping"
        } else if candidates.excluded.has(server) {
            "it failed there"
        } else if candidates.barred.has(server) || candidates.avoided.has(server) {
            "a group that it excludes runs there"
        } else {
            return Decision { chosen: Some(server), rejected };
        };
        rejected.push((server, reason));
    }
    Decision { chosen: None, rejected }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(servers: &[u8]) -> ServerSet {
        servers.iter().map(|s| ServerId(*s)).collect()
    }

    #[test]
    fn first_qualifying_server_of_the_policy_is_taken() {
        let policy = [ServerId(1), ServerId(0), ServerId(2)];
        let table = [
            (None, set(&[0, 1, 2]), set(&[]), set(&[]), Some(1)),
            (None, set(&[0, 2]), set(&[]), set(&[]), Some(0)),
            (None, set(&[0, 1, 2]), set(&[1]), set(&[]), Some(0)),
            (None, set(&[0, 1, 2]), set(&[]), set(&[1, 0]), Some(2)),
            (Some(2), set(&[0, 1, 2]), set(&[]), set(&[]), Some(2)),
            (Some(2), set(&[0, 1]), set(&[]), set(&[]), Some(1)),
            (Some(3), set(&[0, 1, 2, 3]), set(&[]), set(&[]), Some(1)),
            (None, set(&[]), set(&[]), set(&[]), None),
        ];
        for (target, members, leaving, excluded, chosen) in table {
            let none = ServerSet::EMPTY;
            let target = target.map(ServerId);
            let decision =
                choose(Candidates { policy: &policy, target, members, leaving, excluded, avoided: none, barred: none });
            assert_eq!(decision.chosen, chosen.map(ServerId), "{target:?} {members:?} {leaving:?} {excluded:?}");
        }
    }

    #[test]
    fn an_avoided_server_is_the_last_resort_and_a_barred_one_is_none() {
        let policy = [ServerId(1), ServerId(0), ServerId(2)];
        let (members, none) = (set(&[0, 1, 2]), ServerSet::EMPTY);
        let table = [
            (None, set(&[1]), set(&[]), Some(0)),
            (None, set(&[0, 1, 2]), set(&[]), Some(1)),
            (None, set(&[]), set(&[1, 0]), Some(2)),
            (None, set(&[2]), set(&[1, 0]), Some(2)),
            (None, set(&[]), set(&[0, 1, 2]), None),
            (Some(2), set(&[2]), set(&[]), Some(1)),
            (Some(2), set(&[0, 1, 2]), set(&[]), Some(2)),
            (Some(2), set(&[]), set(&[2]), Some(1)),
        ];
        for (target, avoided, barred, chosen) in table {
            let target = target.map(ServerId);
            let decision =
                choose(Candidates { policy: &policy, target, members, leaving: none, excluded: none, avoided, barred });
            assert_eq!(decision.chosen, chosen.map(ServerId), "{target:?} {avoided:?} {barred:?}");
        }
    }
}
