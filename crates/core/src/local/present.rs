//! Resources of a server as its report tells them ([`crate::present`]): what is on its way begins anew.

use super::{Executor, Goal, LocalResource};
use crate::action::{Action, Work};
use crate::message::{Phase, Report, ResourceState};
use crate::plan::Plan;

impl Executor {
    /// As the report of this server says.
    pub(crate) fn continued(plan: &Plan, report: &Report, out: &mut Vec<Action>) -> Executor {
        let mut executor = Executor::new(plan);
        if report.version == 0 {
            executor.verify_all(plan, out);
            return executor;
        }
        for (id, told) in plan.group_ids().zip(&report.groups) {
            let group = executor.group_mut(id);
            let wanted = matches!(told.phase, Phase::On | Phase::Starting | Phase::OnlineFailure);
            group.goal = if wanted { Goal::On } else { Goal::Off };
            group.order = told.order;
            group.refused.clone_from(&told.refused);
            group.failed.clone_from(&told.failed);
            group.wanted_away.clone_from(&told.wanted_away);
            (group.final_done, group.given_up) = (told.final_done, told.given_up);
            for (resource, state) in group.resources.iter_mut().zip(&told.resources) {
                let on_way = match state {
                    ResourceState::Activating => ResourceState::Off,
                    ResourceState::Deactivating => ResourceState::On,
                    state => *state,
                };
                *resource = LocalResource {
                    state: on_way,
                    // Off in a group that is online as a whole: a final action or an operator left it so.
                    held_off: told.phase == Phase::On && *state == ResourceState::Off,
                    // Off on its way in a group that stays: it is reactivated.
                    cycle: wanted && *state == ResourceState::Deactivating,
                    ..LocalResource::default()
                };
            }
            for position in 0..told.resources.len() {
                if told.resources[position] == ResourceState::Unverified {
                    executor.issue(plan, id, position, Work::Verify, out);
                }
            }
            executor.pump(plan, id, out);
        }
        executor
    }
}
