//! Which resources of a group need each other.

use crate::ids::{GroupId, ResourceId};
use crate::plan::Plan;

/// The group of a resource and its position there.
pub fn locate(plan: &Plan, id: ResourceId) -> (GroupId, usize) {
    let group = plan.resource(id).group;
    let position = plan.group(group).resources.iter().position(|member| *member == id);
    (group, position.expect("the plan lists every resource in its group"))
}

/// These resources and everything that depends on them, in the order of the group's list.
pub(crate) fn with_dependents(plan: &Plan, id: GroupId, from: &[ResourceId]) -> Vec<ResourceId> {
    positions(plan, id, from).into_iter().map(|position| plan.group(id).resources[position]).collect()
}

/// A resource and everything that it depends on, in the order of the group's list.
pub(crate) fn needed_by(plan: &Plan, resource: ResourceId) -> Vec<ResourceId> {
    let members = &plan.group(plan.resource(resource).group).resources;
    let mut needed = vec![resource];
    let mut next = 0;
    while let Some(one) = needed.get(next).copied() {
        let more: Vec<ResourceId> = plan.resource(one).depends.iter().copied().filter(|other| !needed.contains(other)).collect();
        needed.extend(more);
        next += 1;
    }
    members.iter().copied().filter(|member| needed.contains(member)).collect()
}

/// Positions of these resources and of everything that depends on them.
pub(crate) fn positions(plan: &Plan, id: GroupId, from: &[ResourceId]) -> Vec<usize> {
    let members = &plan.group(id).resources;
    let mut chosen: Vec<bool> = members.iter().map(|member| from.contains(member)).collect();
    loop {
        let before = chosen.clone();
        for (position, member) in members.iter().enumerate() {
            let needs = &plan.resource(*member).depends;
            if needs.iter().any(|needed| members.iter().position(|m| m == needed).is_some_and(|at| chosen[at])) {
                chosen[position] = true;
            }
        }
        if chosen == before {
            return (0..members.len()).filter(|position| chosen[*position]).collect();
        }
    }
}
