//! What operators want of groups: start, stop, move. Checked as a whole before anything is wished for.
//!
//! How a command comes here and is answered stands in `command.rs`; when it has come true in `goals.rs`.

use crate::cluster::Cluster;
use crate::command::{Goal, refused};
use crate::ids::{GroupId, ServerId, ServerSet};
use crate::message::{Answer, Phase};

impl Cluster {
    pub(crate) fn begin_start(&mut self, group: Option<GroupId>, server: Option<ServerId>) -> Result<Vec<Goal>, Answer> {
        let mut goals = Vec::new();
        let mut chosen = Vec::new();
        let mut kept = Vec::new();
        for id in group.map_or_else(|| self.plan.group_ids().collect::<Vec<_>>(), |id| vec![id]) {
            let name = self.plan.group(id).name.clone();
            if let Some((holder, Phase::On | Phase::Starting)) = self.holder(id) {
                if server.is_none_or(|wanted| wanted == holder) {
                    goals.push(Goal::Online { group: id, on: Some(holder) });
                    kept.push(id);
                } else if group.is_some() {
                    let reason = format!("{name} is already active on {}", self.plan.server(holder));
                    return Err(refused(reason, format!("move it with clpgrp -m {name}")));
                }
                continue;
            }
            if let Some(wanted) = server {
                self.check_target(id, wanted)?;
            }
            chosen.push(id);
            goals.push(Goal::Online { group: id, on: server });
        }
        // Nothing is changed before everything was found to be possible.
        self.document.started = true;
        // Its stop may wait for another group: it is not wanted any more.
        for id in kept {
            let intent = &mut self.document.groups[id.index()];
            if !intent.run {
                intent.run = true;
                intent.why = "started by an operator".into();
            }
        }
        for id in chosen {
            let intent = &mut self.document.groups[id.index()];
            intent.run = true;
            intent.target = server;
            intent.failback = false;
            intent.excluded = ServerSet::EMPTY;
            intent.after_failure = false;
            intent.last = None;
            intent.activation_failovers.fill(0);
            intent.why = "started by an operator".into();
            self.forget_failovers(id);
        }
        Ok(goals)
    }

    pub(crate) fn begin_stop(&mut self, group: Option<GroupId>, server: Option<ServerId>) -> Result<Vec<Goal>, Answer> {
        let mut goals = Vec::new();
        for id in group.map_or_else(|| self.plan.group_ids().collect::<Vec<_>>(), |id| vec![id]) {
            let holder = self.holder(id);
            if let (Some(wanted), Some((at, _))) = (server, holder)
                && wanted != at
            {
                if group.is_some() {
                    let name = &self.plan.group(id).name;
                    let reason = format!("{name} is active on {}, not on {}", self.plan.server(at), self.plan.server(wanted));
                    return Err(refused(reason, "leave out -h, or name that server"));
                }
                continue;
            }
            if group.is_none() && holder.is_none() && server.is_some() {
                continue;
            }
            let intent = &mut self.document.groups[id.index()];
            intent.run = false;
            intent.stop_waits = true;
            intent.target = None;
            intent.why = "stopped by an operator".into();
            self.forget_failovers(id);
            goals.push(Goal::Offline { group: id });
        }
        Ok(goals)
    }

    pub(crate) fn begin_move(
        &mut self,
        group: Option<GroupId>,
        from: Option<ServerId>,
        to: Option<ServerId>,
    ) -> Result<Vec<Goal>, Answer> {
        let mut goals = Vec::new();
        for id in group.map_or_else(|| self.plan.group_ids().collect::<Vec<_>>(), |id| vec![id]) {
            let name = self.plan.group(id).name.clone();
            let at = match self.holder(id) {
                Some((at, Phase::On)) if from.is_none_or(|from| from == at) => at,
                _ if group.is_none() => continue,
                Some((at, Phase::On)) => {
                    return Err(refused(
                        format!("{name} is active on {}", self.plan.server(at)),
                        "name that server with -h, or leave out -h",
                    ));
                }
                Some((at, phase)) => {
                    return Err(refused(
                        format!("{name} is {phase:?} on {}", self.plan.server(at)),
                        "wait until it is online, see clpstat",
                    ));
                }
                None => return Err(refused(format!("{name} is not active"), format!("start it with clpgrp -s {name}"))),
            };
            let policy = &self.plan.group(id).policy;
            let next = policy.iter().position(|s| *s == at).map_or(0, |i| i + 1);
            let rotated = policy[next..].iter().chain(&policy[..next]).copied();
            let target = match to {
                Some(to) => Some(to),
                None => rotated.filter(|s| *s != at).find(|s| self.check_target(id, *s).is_ok()),
            };
            let Some(target) = target else {
                return Err(refused(format!("no other server can take {name}"), "see clpstat: its servers must be online"));
            };
            if target == at {
                return Err(refused(
                    format!("{name} is already active on {}", self.plan.server(at)),
                    "name another server with -a",
                ));
            }
            self.check_target(id, target)?;
            if let Some(awaited) = self.start_awaits(id, target) {
                let awaited = &self.plan.group(awaited).name;
                let reason = format!("{name} starts only when {awaited} is online, which it is not");
                return Err(refused(reason, format!("start it first with clpgrp -s {awaited}")));
            }
            goals.push(Goal::Online { group: id, on: Some(target) });
        }
        // Nothing is changed before everything was found to be possible.
        for goal in &goals {
            let Goal::Online { group, on } = *goal else { continue };
            let intent = &mut self.document.groups[group.index()];
            intent.target = on;
            intent.failback = false;
            intent.excluded = ServerSet::EMPTY;
            intent.why = "moved by an operator".into();
            self.forget_failovers(group);
        }
        if goals.is_empty() {
            return Err(refused("no group is active there", "see clpstat -g"));
        }
        Ok(goals)
    }

    pub(crate) fn forget_failovers(&mut self, group: GroupId) {
        for id in self.plan.monitor_ids() {
            let own = match self.plan.monitor(id).recovery {
                crate::plan::RecoveryTarget::LocalServer => false,
                crate::plan::RecoveryTarget::Group(target) => target == group,
                crate::plan::RecoveryTarget::Resource(resource) => self.plan.resource(resource).group == group,
            };
            if own {
                self.document.monitor_failovers[id.index()] = 0;
            }
        }
    }

    pub(crate) fn check_target(&self, group: GroupId, server: ServerId) -> Result<(), Answer> {
        let name = &self.plan.group(group).name;
        let on = self.plan.server(server);
        if !self.plan.group(group).policy.contains(&server) {
            return Err(refused(
                format!("{on} is not in the failover policy of {name}"),
                "name a server of its policy, see clpstat",
            ));
        }
        if !self.views.members().contains(&server) || self.leaving_members().has(server) {
            return Err(refused(format!("{on} is not online"), format!("start it with clpcl -s -h {on}")));
        }
        if self.choice_for(group, server) != Some(server) {
            let reason = format!("a group that {name} excludes runs on {on}");
            return Err(refused(reason, "move that group away first, or name another server; see clpstat -g"));
        }
        Ok(())
    }
}
