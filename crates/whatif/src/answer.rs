//! The answer to one question: where each group is when all is quiet after a loss.

use clp_core::ids::{GroupId, ServerId};
use clp_core::message::Phase;
use clp_core::time::Time;

use crate::fault::Fault;
use crate::world::World;

/// Where a group is after a loss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// Where it was, without an interruption.
    Stays(ServerId),
    /// Where it was, after it was away for a time.
    Returns(ServerId),
    /// On another server.
    Goes(ServerId),
    /// Nowhere.
    Nowhere,
    /// On several at once.
    Several(Vec<ServerId>),
    /// It did not run before either.
    Off,
}

/// What becomes of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    /// Which.
    pub group: GroupId,
    /// Where it ran before.
    pub from: Option<ServerId>,
    /// Where it is.
    pub to: To,
    /// From the loss until it was online there, in microseconds; None: it always was, or is nowhere.
    pub after: Option<u64>,
    /// Why; empty when nothing happened to it.
    pub reason: String,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What was lost.
    pub faults: Vec<Fault>,
    /// By group.
    pub fates: Vec<Fate>,
    /// A server asked its partition resolution, whose targets are taken as answering like at their last look.
    pub asked: bool,
    /// It was still busy when the time given to it was over.
    pub unsettled: bool,
    /// Servers that went down by what followed, other than those that were lost.
    pub downs: Vec<ServerId>,
}

impl World {
    /// What would happen if all of these were lost at one moment?
    pub fn ask(&self, faults: &[Fault]) -> Answer {
        self.clone().lost(faults)
    }

    /// All of these are lost now, and this world goes on.
    pub fn lost(&mut self, faults: &[Fault]) -> Answer {
        let world = self;
        let before: Vec<Vec<ServerId>> = world.plan.group_ids().map(|group| world.holders(group)).collect();
        let ran = world.running();
        let since = world.now;
        world.asked = false;
        world.causes.iter_mut().for_each(String::clear);
        world.hosts.iter_mut().for_each(|host| host.online.fill(None));
        faults.iter().for_each(|fault| world.lose(*fault));
        let unsettled = !world.run();
        let fates = world.plan.group_ids().map(|group| world.fate(group, &before[group.index()], since, faults)).collect();
        let lost = |server: &ServerId| faults.contains(&Fault::Server(*server));
        let downs = ran.minus(world.running()).iter().filter(|server| !lost(server)).collect();
        let asked = world.asked && world.around.resolutions > 0;
        Answer { faults: faults.to_vec(), fates, asked, unsettled, downs }
    }

    fn fate(&self, group: GroupId, before: &[ServerId], since: u64, faults: &[Fault]) -> Fate {
        let from = before.first().copied();
        let holders = self.holders(group);
        let online = |server: ServerId| self.hosts[server.index()].online[group.index()].map(|at| at - since);
        let after = holders.iter().filter_map(|server| online(*server)).max();
        let to = match (holders.as_slice(), from) {
            ([], None) if !self.is_wanted(group) => To::Off,
            ([], _) => To::Nowhere,
            ([on], Some(from)) if *on == from && after.is_none() => To::Stays(*on),
            ([on], Some(from)) if *on == from => To::Returns(*on),
            ([on], _) => To::Goes(*on),
            (several, _) => To::Several(several.to_vec()),
        };
        let reason = match &to {
            To::Off => String::new(),
            To::Stays(on) => self.unnoticed(group, *on, faults),
            To::Nowhere => self.standstill(group),
            To::Returns(_) | To::Goes(_) | To::Several(_) => self.causes[group.index()].clone(),
        };
        Fate { group, from, to, after, reason }
    }

    fn is_wanted(&self, group: GroupId) -> bool {
        self.hosts.iter().filter_map(|host| host.core.as_ref()).any(|core| core.wish(group).run)
    }

    /// Its disk is lost where it stays, and nothing followed.
    fn unnoticed(&self, group: GroupId, on: ServerId, faults: &[Fault]) -> String {
        let hit = faults.iter().find_map(|fault| match fault {
            Fault::Disk(server, disk) if *server == on => {
                let held = self.around.disks[*disk].resources.iter().any(|id| self.plan.resource(*id).group == group);
                held.then_some(*disk)
            }
            _ => None,
        });
        let Some(disk) = hit else { return String::new() };
        let name = &self.around.disks[disk].name;
        let watched = self.plan.monitor_ids().any(|monitor| self.around.looks_at(monitor, on.index(), disk));
        match watched {
            true => format!("its {name} is lost there: {}", self.causes[group.index()]),
            false => format!("its {name} is lost there and no monitor looks at it"),
        }
    }

    /// Why a group runs nowhere: in the words of whoever governs what is left, else of anybody left.
    fn standstill(&self, group: GroupId) -> String {
        let cores = || self.hosts.iter().enumerate().filter_map(|(host, one)| Some((host, one.core.as_ref()?)));
        if cores().next().is_none() {
            return "no server is left".into();
        }
        let governs = cores().find(|(host, core)| core.coordinator() == Some(ServerId::at(*host)));
        let Some((_, core)) = governs.or_else(|| cores().next()) else { return String::new() };
        let view = core.group_view(Time(self.now), group);
        let cause = &self.causes[group.index()];
        match (view.phase, view.holder) {
            (Phase::Off, _) => view.note.clone(),
            (Phase::OnlineFailure, Some(server)) => format!("it failed on {}: {cause}", self.plan.server(server)),
            (phase, Some(server)) => format!("it is {phase:?} on {}: {cause}", self.plan.server(server)),
            _ => cause.clone(),
        }
    }
}
