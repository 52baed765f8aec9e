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
pub(crate) const COMMAND_LIMIT: Duration = Duration::from_secs(3 * 3600);
/// Commands of each other server remembered with their answers. A repeated one is not carried out twice, remembered or not.
const REMEMBERED: usize = 64;

/// What must become true.
#[derive(Debug, Clone)]
pub(crate) enum Goal {
    Online {
        group: GroupId,
        on: Option<ServerId>,
    },
    Offline {
        group: GroupId,
    },
    DocumentHeld,
    /// Every member's frames say this ratio, at the latest then.
    Ratio {
        ratio: u32,
        until: Time,
    },
    Suspended,
    /// Answered by [`Cluster::answer_on_exit`].
    Stopped,
}

#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub from: Option<Member>,
    pub id: u64,
    pub goals: Vec<Goal>,
    pub details: Vec<String>,
    pub since: Time,
}

/// Commands that this server asked for or carries out.
#[derive(Debug, Clone, Default)]
pub struct Commands {
    pub(crate) running: Vec<Running>,
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

pub(crate) fn refused(reason: impl Into<String>, remedy: impl Into<String>) -> Answer {
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

    pub(crate) fn reply(&mut self, from: Option<Member>, id: u64, answer: Answer) {
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
            Command::DeclareOff { server } => {
                self.declare_off(now, server)?;
                Ok(vec![Goal::DocumentHeld])
            }
            Command::TimeoutRatio { ratio, span } => self.begin_extension(now, ratio, Duration::from_micros(span)),
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

    /// The server that holds a group, if any.
    pub(crate) fn holder(&self, group: GroupId) -> Option<(ServerId, Phase)> {
        self.views.members().into_iter().find_map(|server| {
            let report = self.report_of(server, group)?;
            report.phase.is_held().then_some((server, report.phase))
        })
    }
}
