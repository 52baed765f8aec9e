//! When a command has come true, or cannot any more (invariant *acknowledged*).

use crate::cluster::Cluster;
use crate::command::{COMMAND_LIMIT, Goal, refused};
use crate::message::{Answer, Phase};
use crate::time::Time;

impl Cluster {
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
                .filter(|goal| match self.goal_state(now, goal) {
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

    pub(crate) fn goal_state(&self, now: Time, goal: &Goal) -> Result<Option<String>, Answer> {
        match goal {
            Goal::Stopped if self.document.stopping.is_none() => Err(refused(
                "a group could not be stopped, and the cluster was started again meanwhile",
                "see clpstat --why for that group",
            )),
            Goal::Stopped => Ok(None),
            Goal::DocumentHeld => Ok(self.members_behind().is_empty().then(String::new)),
            Goal::Ratio { ratio, until } => self.ratio_state(now, *ratio, *until),
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
                    Some((server, Phase::OfflineFailure)) => {
                        let at = self.plan.server(server);
                        Err(refused(
                            format!("{name} could not be stopped on {at}, so it is started nowhere"),
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
