//! Operators' commands: taken by any server, carried out by the coordinator, answered when the effect is true
//! (invariant *acknowledged*).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::action::Action;
use crate::cluster::Cluster;
use crate::ids::{GroupId, ServerId, ServerSet};
use crate::message::{Answer, Command, Member, Message, Phase};
use crate::time::Time;

/// A command that has no effect after this long is answered as not done; long scripts may take their time.
const COMMAND_LIMIT: Duration = Duration::from_secs(3 * 3600);
/// Commands of each other server remembered with their answers. A repeated one is not carried out twice, remembered or not.
const REMEMBERED: usize = 64;

/// What must become true.
#[derive(Debug, Clone)]
enum Goal {
    Online {
        group: GroupId,
        on: Option<ServerId>,
    },
    Offline {
        group: GroupId,
    },
    DocumentHeld,
    Suspended,
    /// Answered by [`Cluster::answer_on_exit`].
    Stopped,
}

#[derive(Debug, Clone)]
struct Running {
    from: Option<Member>,
    id: u64,
    goals: Vec<Goal>,
    details: Vec<String>,
    since: Time,
}

/// Commands that this server asked for or carries out.
#[derive(Debug, Clone, Default)]
pub struct Commands {
    running: Vec<Running>,
    /// Asked of the coordinator and not answered yet.
    waiting: Vec<(u64, Command, Time)>,
    taken: Vec<Taken>,
    /// The highest number of each server's present life that is no longer remembered: none up to it is carried out.
    forgotten: BTreeMap<ServerId, u64>,
}

/// A command of another server's present life.
#[derive(Debug, Clone)]
struct Taken {
    from: ServerId,
    id: u64,
    /// None while it is carried out.
    answer: Option<Answer>,
}

impl Commands {
    /// A new life of the server counts its commands anew; nobody waits there for those of the last one.
    pub fn forget(&mut self, server: ServerId) {
        self.taken.retain(|taken| taken.from != server);
        self.forgotten.remove(&server);
    }

    /// Make room for one more of this server: the answered one with the lowest number goes (by number, or one that is made up and
    /// high would forbid all that follow). False when none is answered.
    fn make_room(&mut self, from: ServerId) -> bool {
        let of_it = || self.taken.iter().filter(|taken| taken.from == from);
        if of_it().count() < REMEMBERED {
            return true;
        }
        let Some(lowest) = of_it().filter(|taken| taken.answer.is_some()).map(|taken| taken.id).min() else { return false };
        self.taken.retain(|taken| (taken.from, taken.id) != (from, lowest));
        self.forget_up_to(from, lowest);
        true
    }

    fn forget_up_to(&mut self, from: ServerId, id: u64) {
        let forgotten = self.forgotten.entry(from).or_default();
        *forgotten = id.max(*forgotten);
    }
}

fn refused(reason: impl Into<String>, remedy: impl Into<String>) -> Answer {
    Answer::Refused { reason: reason.into(), remedy: remedy.into() }
}

impl Cluster {
    pub(crate) fn operator(&mut self, now: Time, id: u64, command: Command) {
        if self.is_governing() {
            self.take_command(now, None, id, command);
        } else {
            self.commands.waiting.push((id, command, now));
            self.repeat_command(now);
        }
    }

    /// Commands for the coordinator are repeated at each beat until answered.
    pub(crate) fn repeat_command(&mut self, now: Time) {
        if self.commands.waiting.is_empty() {
            return;
        }
        if self.is_governing() {
            for (id, command, _) in std::mem::take(&mut self.commands.waiting) {
                self.take_command(now, None, id, command);
            }
            return;
        }
        let coordinator = self.views.coordinator().filter(|server| *server != self.identity.me);
        let reach = coordinator.filter(|server| self.contact.is_heard(now, *server, true));
        let patience = self.plan.timing.timeout * 2 + self.plan.timing.interval * 10;
        let mut given_up = Vec::new();
        for (id, command, since) in self.commands.waiting.clone() {
            match reach {
                Some(to) => self.send(to, Message::Command { id, command }),
                None if now.since(since) > patience => given_up.push(id),
                None => {}
            }
        }
        for id in given_up {
            self.commands.waiting.retain(|(waiting, _, _)| *waiting != id);
            let out = self.out_of_reach(now);
            let reason = match out.first() {
                Some(server) => format!(
                    "{} is alive but no LAN reaches it: no command that needs all servers can work",
                    self.plan.server(server)
                ),
                None => "no coordinator can be reached by LAN".into(),
            };
            let answer = refused(reason, "check the interconnects with clpstat -n, then try again");
            self.out.push(Action::Answer { id, answer });
        }
    }

    /// A command came from another server. Whoever recorded it can send it again within both lives (a `Letter` ends older ones),
    /// so one number is carried out once, also after its answer was forgotten: numbers rise in a life.
    pub(crate) fn asked(&mut self, now: Time, from: ServerId, id: u64, command: Command) {
        if !self.is_governing() {
            return;
        }
        let forgotten = self.commands.forgotten.get(&from).is_some_and(|forgotten| id <= *forgotten);
        match self.commands.taken.iter().find(|taken| (taken.from, taken.id) == (from, id)).cloned() {
            Some(Taken { answer: Some(answer), .. }) => {
                self.send(from, Message::Answer { id, answer });
            }
            Some(_) => {}
            None if forgotten => {
                let answer = refused("how this command ended is no longer known here", "see clpstat, then try again");
                self.send(from, Message::Answer { id, answer });
            }
            None if !self.commands.make_room(from) => {
                // Told once that it is not done, it never is.
                self.commands.forget_up_to(from, id);
                let answer = refused("too many commands are being carried out", "see clpstat, then try again");
                self.send(from, Message::Answer { id, answer });
            }
            None => {
                self.commands.taken.push(Taken { from, id, answer: None });
                self.take_command(now, Some(self.member(from)), id, command);
            }
        }
    }

    /// The coordinator answered.
    pub(crate) fn answered(&mut self, id: u64, answer: Answer) {
        let before = self.commands.waiting.len();
        self.commands.waiting.retain(|(waiting, _, _)| *waiting != id);
        if self.commands.waiting.len() != before {
            self.out.push(Action::Answer { id, answer });
        }
    }

    fn reply(&mut self, from: Option<Member>, id: u64, answer: Answer) {
        let Some(asker) = from else {
            self.out.push(Action::Answer { id, answer });
            return;
        };
        if asker != self.member(asker.server) {
            // That life is over; the next one counts its own commands.
            return;
        }
        for taken in self.commands.taken.iter_mut().filter(|taken| (taken.from, taken.id) == (asker.server, id)) {
            taken.answer = Some(answer.clone());
        }
        self.send(asker.server, Message::Answer { id, answer });
    }

    /// Answer what waits for the stop of the whole cluster, as the last thing before leaving.
    pub(crate) fn answer_on_exit(&mut self) {
        let waiting = std::mem::take(&mut self.commands.waiting);
        let stops =
            self.commands.running.iter().filter(|r| r.goals.iter().any(|g| matches!(g, Goal::Stopped)) && r.from.is_none());
        let ids: Vec<u64> = stops.map(|running| running.id).collect();
        let waiting =
            waiting.into_iter().filter(|(_, command, _)| matches!(command, Command::StopAll { .. })).map(|(id, _, _)| id);
        for id in ids.into_iter().chain(waiting) {
            let answer = Answer::Done { details: vec!["every server stopped".into()] };
            self.out.push(Action::Answer { id, answer });
        }
    }

    fn take_command(&mut self, now: Time, from: Option<Member>, id: u64, command: Command) {
        match self.begin(now, command) {
            Ok(goals) => {
                self.commands.running.push(Running { from, id, goals, details: Vec::new(), since: now });
                self.document_changed(now);
            }
            Err(answer) => self.reply(from, id, answer),
        }
    }

    fn begin(&mut self, now: Time, command: Command) -> Result<Vec<Goal>, Answer> {
        let moves = matches!(command, Command::GroupStart { .. } | Command::GroupMove { .. });
        if moves && self.document.suspended {
            return Err(refused("the cluster is suspended", "resume it with clpcl --resume"));
        }
        if moves && self.document.stopping.is_some() {
            return Err(refused("the cluster is stopping", "start it again with clpcl -s -a"));
        }
        if moves && let Some(server) = self.out_of_reach(now).first() {
            let name = self.plan.server(server);
            let reason = format!("{name} is alive but no LAN reaches it: nothing is started or moved meanwhile");
            return Err(refused(reason, "repair the interconnect, see clpstat -n"));
        }
        match command {
            Command::GroupStart { group, server } => self.begin_start(group, server),
            Command::GroupStop { group, server } => self.begin_stop(group, server),
            Command::GroupMove { group, from, to } => self.begin_move(group, from, to),
            Command::StopAll { then } => {
                self.end_suspension();
                self.document.stopping = Some(then);
                Ok(vec![Goal::Stopped])
            }
            Command::Suspend { on: true } if !self.document.started => {
                Err(refused("the cluster is starting: its servers wait for each other", "try again in a moment"))
            }
            Command::Suspend { on: true } => {
                if !self.document.suspended {
                    let members = self.views.members().into_iter().collect();
                    self.document.unaware = ServerSet::all(self.plan.servers.len()).minus(members);
                }
                self.document.suspended = true;
                Ok(vec![Goal::Suspended])
            }
            Command::Suspend { on: false } => {
                self.end_suspension();
                Ok(vec![Goal::DocumentHeld])
            }
            Command::ClearCounts { monitor } => {
                for (index, count) in self.document.monitor_failovers.iter_mut().enumerate() {
                    if monitor.is_none_or(|monitor| monitor.index() == index) {
                        *count = 0;
                    }
                }
                Ok(vec![Goal::DocumentHeld])
            }
        }
    }

    /// Others go on as suspended, giving up nothing, until they know that it is over; nobody does where one never knew of it.
    fn end_suspension(&mut self) {
        if self.document.suspended {
            let me = self.identity.me;
            let others = self.plan.server_ids().filter(|server| *server != me && !self.contact.is_left(*server));
            self.document.unsure = if self.document.unaware.is_empty() { others.collect() } else { ServerSet::EMPTY };
            self.document.unaware = ServerSet::EMPTY;
            self.document.suspended = false;
            self.document.all_know = false;
        }
    }

    /// The coordinator of a suspended cluster: does every configured server know? Everybody hears that nobody is unaware any
    /// more before anybody acts upon it, so that no older document says otherwise afterwards.
    pub(crate) fn spread_suspension(&mut self, now: Time) {
        if !self.document.suspended || !self.members_behind().is_empty() {
            return;
        }
        let members: ServerSet = self.views.members().into_iter().collect();
        let unaware = self.document.unaware.minus(members);
        let absent = self.plan.server_ids().any(|server| !self.views.has(self.member(server)));
        if unaware != self.document.unaware {
            self.document.unaware = unaware;
            self.document_changed(now);
        } else if !self.document.all_know && !absent && unaware.is_empty() {
            self.document.all_know = true;
            self.document_changed(now);
        }
    }

    /// Members that do not hold the document yet.
    pub(crate) fn members_behind(&self) -> ServerSet {
        let held = (self.document.epoch, self.document.version);
        let others = self.views.members().into_iter().filter(|server| *server != self.identity.me);
        others.filter(|server| self.document_seen[server.index()] < held).collect()
    }

    /// The server that holds a group, if any.
    pub(crate) fn holder(&self, group: GroupId) -> Option<(ServerId, Phase)> {
        self.views.members().into_iter().find_map(|server| {
            let report = self.report_of(server, group)?;
            report.phase.is_held().then_some((server, report.phase))
        })
    }

    fn begin_start(&mut self, group: Option<GroupId>, server: Option<ServerId>) -> Result<Vec<Goal>, Answer> {
        let mut goals = Vec::new();
        let mut chosen = Vec::new();
        for id in group.map_or_else(|| self.plan.group_ids().collect::<Vec<_>>(), |id| vec![id]) {
            let name = self.plan.group(id).name.clone();
            if let Some((holder, Phase::On | Phase::Starting)) = self.holder(id) {
                if server.is_none_or(|wanted| wanted == holder) {
                    goals.push(Goal::Online { group: id, on: Some(holder) });
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
        for id in chosen {
            let intent = &mut self.document.groups[id.index()];
            intent.run = true;
            intent.target = server;
            intent.excluded = ServerSet::EMPTY;
            intent.after_failure = false;
            intent.last = None;
            intent.activation_failovers.fill(0);
            intent.why = "started by an operator".into();
            self.forget_failovers(id);
        }
        Ok(goals)
    }

    fn begin_stop(&mut self, group: Option<GroupId>, server: Option<ServerId>) -> Result<Vec<Goal>, Answer> {
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
            intent.target = None;
            intent.why = "stopped by an operator".into();
            self.forget_failovers(id);
            goals.push(Goal::Offline { group: id });
        }
        Ok(goals)
    }

    fn begin_move(&mut self, group: Option<GroupId>, from: Option<ServerId>, to: Option<ServerId>) -> Result<Vec<Goal>, Answer> {
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
            goals.push(Goal::Online { group: id, on: Some(target) });
        }
        // Nothing is changed before everything was found to be possible.
        for goal in &goals {
            let Goal::Online { group, on } = *goal else { continue };
            let intent = &mut self.document.groups[group.index()];
            intent.target = on;
            intent.excluded = ServerSet::EMPTY;
            intent.why = "moved by an operator".into();
            self.forget_failovers(group);
        }
        if goals.is_empty() {
            return Err(refused("no group is active there", "see clpstat -g"));
        }
        Ok(goals)
    }

    fn forget_failovers(&mut self, group: GroupId) {
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

    fn check_target(&self, group: GroupId, server: ServerId) -> Result<(), Answer> {
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

    /// Answer what has come true, or cannot.
    pub(crate) fn watch_commands(&mut self, now: Time) {
        let mut index = 0;
        while index < self.commands.running.len() {
            let running = &self.commands.running[index];
            let mut failed = None;
            let mut details = running.details.clone();
            let open: Vec<Goal> = running
                .goals
                .iter()
                .filter(|goal| match self.goal_state(goal) {
                    Ok(Some(detail)) => {
                        details.push(detail);
                        false
                    }
                    Ok(None) => true,
                    Err(answer) => {
                        failed.get_or_insert(answer);
                        true
                    }
                })
                .cloned()
                .collect();
            let late = now.since(running.since) > COMMAND_LIMIT;
            let lost = !self.is_governing() && !matches!(running.goals.first(), Some(Goal::Stopped));
            let answer = if open.is_empty() {
                Some(Answer::Done { details: details.clone() })
            } else if let Some(failed) = failed {
                Some(failed)
            } else if lost {
                Some(refused("this server is no longer the coordinator", "see clpstat, then try again"))
            } else {
                late.then(|| refused("no result within three hours", "see clpstat --why GROUP"))
            };
            let running = &mut self.commands.running[index];
            running.goals = open;
            running.details = details;
            if let Some(answer) = answer {
                let ended = self.commands.running.remove(index);
                self.reply(ended.from, ended.id, answer);
            } else {
                index += 1;
            }
        }
    }

    fn goal_state(&self, goal: &Goal) -> Result<Option<String>, Answer> {
        match goal {
            Goal::Stopped if self.document.stopping.is_none() => Err(refused(
                "a group could not be stopped, and the cluster was started again meanwhile",
                "see clpstat --why for that group",
            )),
            Goal::Stopped => Ok(None),
            Goal::DocumentHeld => Ok(self.members_behind().is_empty().then(String::new)),
            Goal::Suspended if !self.members_behind().is_empty() => Ok(None),
            Goal::Suspended => {
                let absent = self.plan.server_ids().find(|server| !self.views.has(self.member(*server)));
                Ok(match absent {
                    None => self.document.all_know.then(String::new),
                    Some(server) => Some(format!(
                        "{} does not know of it: a side that loses contact and the partition resolution still gives up its groups",
                        self.plan.server(server)
                    )),
                })
            }
            Goal::Offline { group } => {
                let name = &self.plan.group(*group).name;
                match self.holder(*group) {
                    None => Ok(Some(format!("{name} is offline"))),
                    Some((server, Phase::OfflineFailure)) => {
                        let on = self.plan.server(server);
                        Err(refused(format!("{name} could not be stopped on {on}"), format!("see clpstat --why {name}")))
                    }
                    Some(_) => Ok(None),
                }
            }
            Goal::Online { group, on } => {
                let name = &self.plan.group(*group).name;
                let intent = &self.document.groups[group.index()];
                match self.holder(*group) {
                    Some((server, Phase::On)) if on.is_none_or(|on| on == server) => {
                        Ok(Some(format!("{name} is online on {}", self.plan.server(server))))
                    }
                    Some((server, Phase::On)) if intent.target.is_none() => {
                        let at = self.plan.server(server);
                        Err(refused(
                            format!("{name} is online on {at}, not where it was asked for"),
                            format!("see clpstat --why {name}"),
                        ))
                    }
                    Some((server, Phase::OnlineFailure)) if self.report_of(server, *group).is_some_and(|r| r.final_done) => {
                        let failed = self.report_of(server, *group).and_then(|r| r.failed.clone());
                        let reason = failed.map_or(String::new(), |failed| failed.reason);
                        Err(refused(
                            format!("{name} failed on {}: {reason}", self.plan.server(server)),
                            format!("see clpstat --why {name}"),
                        ))
                    }
                    None if !intent.run => {
                        Err(refused(format!("{name} does not run: {}", intent.why), format!("see clpstat --why {name}")))
                    }
                    None if self.orders.goes_nowhere(*group) => {
                        Err(refused(format!("{name}: {}", self.orders.stranded(*group)), format!("see clpstat --why {name}")))
                    }
                    _ => Ok(None),
                }
            }
        }
    }
}
