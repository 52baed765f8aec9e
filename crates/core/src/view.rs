//! Views: the coordinator of the part that can talk by LAN forms one in two phases, prepare and commit (rules R4, R7).
//!
//! A committed view gives order, not right. Proposing waits for two intervals of stable contact when servers join, and for
//! nothing when they are gone; nobody who is alive by any path is left out of a view.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::action::{Action, Alert};
use crate::cluster::Cluster;
use crate::ids::{ServerId, ServerSet};
use crate::message::{Document, Epoch, Member, Message, Mode, Report};
use crate::time::Time;

/// Intervals after which a view is committed without members that never answered the prepare.
const PREPARE_INTERVALS: u32 = 3;
/// Intervals of stable contact before a view with new members is proposed.
const STABLE_INTERVALS: u32 = 2;

/// A committed view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its number; names the coordinator.
    pub epoch: Epoch,
    /// Who is in it.
    pub members: Vec<Member>,
}

#[derive(Debug, Clone)]
struct Forming {
    epoch: Epoch,
    members: Vec<Member>,
    promises: BTreeMap<ServerId, (Report, Document)>,
    since: Time,
}

/// Everything about views on this server.
#[derive(Debug, Clone)]
pub struct Views {
    /// Highest epoch promised; older ones are ignored.
    pub promised: Epoch,
    /// The committed view.
    pub committed: Option<View>,
    forming: Option<Forming>,
    desired: Vec<Member>,
    desired_since: Time,
    /// Raised numbers seen from others.
    seen: u64,
}

impl Views {
    /// No view.
    pub fn new(now: Time) -> Self {
        Views { promised: Epoch::default(), committed: None, forming: None, desired: Vec::new(), desired_since: now, seen: 0 }
    }

    /// Number of the committed view, zero without one.
    pub fn epoch(&self) -> Epoch {
        self.committed.as_ref().map_or(Epoch::default(), |view| view.epoch)
    }

    /// Members of the committed view.
    pub fn members(&self) -> Vec<ServerId> {
        self.committed.iter().flat_map(|view| &view.members).map(|member| member.server).collect()
    }

    /// Is this life of the server a member?
    pub fn has(&self, member: Member) -> bool {
        self.committed.as_ref().is_some_and(|view| view.members.contains(&member))
    }

    /// Coordinator of the committed view.
    pub fn coordinator(&self) -> Option<ServerId> {
        self.committed.as_ref().map(|view| view.epoch.server)
    }

    /// This server did not listen for `gap`: contact was not stable for that time, nor did anybody fail to answer (rule R6). A view of
    /// its own that it formed at once would freeze its acknowledgements of all others.
    pub(crate) fn stood_still(&mut self, gap: Duration) {
        self.desired_since = self.desired_since + gap;
        if let Some(forming) = &mut self.forming {
            forming.since = forming.since + gap;
        }
    }

    /// Is a proposal of this server open?
    pub fn is_forming(&self) -> bool {
        self.forming.is_some()
    }
}

impl Cluster {
    pub(crate) fn member(&self, server: ServerId) -> Member {
        let incarnation =
            if server == self.identity.me { self.identity.incarnation } else { self.contact.peer(server).incarnation };
        Member { server, incarnation }
    }

    /// Servers that are alive by some path but that no LAN reaches: nothing is started, moved or taken over meanwhile.
    pub(crate) fn out_of_reach(&self, now: Time) -> ServerSet {
        let part = self.contact.lan_part(now);
        self.contact
            .others()
            .filter(|server| !part.has(*server) && self.contact.is_alive(now, *server) && !self.contact.is_left(*server))
            .collect()
    }

    pub(crate) fn consider_view(&mut self, now: Time) {
        let part = self.contact.lan_part(now);
        let desired: Vec<Member> = part.iter().map(|server| self.member(server)).collect();
        if desired != self.views.desired {
            self.views.desired = desired.clone();
            self.views.desired_since = now;
        }
        let gone = self.mode() == Mode::Left || self.emergency;
        if part.first() != Some(self.identity.me) || !self.out_of_reach(now).is_empty() || gone {
            self.views.forming = None;
            return;
        }
        if let Some(forming) = &self.views.forming {
            if forming.members == desired && forming.epoch == self.views.promised {
                self.complete_view(now);
                return;
            }
            self.views.forming = None;
        }
        let current = self.views.committed.as_ref();
        let own = current.is_some_and(|view| view.epoch == self.views.promised && view.epoch.server == self.identity.me);
        // A member that promised a higher epoch meanwhile (to a part of its own) follows this view no longer.
        let strayed =
            part.iter().any(|server| server != self.identity.me && self.contact.peer(server).promised > self.views.promised);
        if own && !strayed && current.is_some_and(|view| view.members == desired) {
            return;
        }
        let joins = strayed || current.is_none_or(|view| desired.iter().any(|member| !view.members.contains(member)));
        if joins && now.since(self.views.desired_since) < self.plan.timing.interval * STABLE_INTERVALS {
            return;
        }
        self.propose(now, desired);
    }

    /// The highest epoch counter seen anywhere; what is let in leaves room above it (`fits.rs`).
    pub(crate) fn highest_counter(&self) -> u64 {
        let heard = self.contact.others().map(|server| {
            let peer = self.contact.peer(server);
            peer.promised.counter.max(peer.view.counter)
        });
        heard.max().unwrap_or(0).max(self.views.promised.counter).max(self.views.seen)
    }

    fn propose(&mut self, now: Time, members: Vec<Member>) {
        let counter = self.highest_counter() + 1;
        let epoch = Epoch { counter, server: self.identity.me };
        self.promise(epoch, &members);
        self.views.forming = Some(Forming { epoch, members, promises: BTreeMap::new(), since: now });
        self.prepare();
        self.complete_view(now);
    }

    fn promise(&mut self, epoch: Epoch, members: &[Member]) {
        self.views.promised = epoch;
        self.contact.acknowledge_only(members.iter().map(|member| member.server).collect());
    }

    fn prepare(&mut self) {
        let Some(forming) = &self.views.forming else { return };
        let silent = |member: &&Member| member.server != self.identity.me && !forming.promises.contains_key(&member.server);
        let asked: Vec<ServerId> = forming.members.iter().filter(silent).map(|member| member.server).collect();
        let message = Message::Prepare { epoch: forming.epoch, members: forming.members.clone() };
        for server in asked {
            self.send(server, message.clone());
        }
    }

    /// Commit when everybody promised, or when the others had their time.
    fn complete_view(&mut self, now: Time) {
        let Some(forming) = &self.views.forming else { return };
        let complete = forming.promises.len() + 1 == forming.members.len();
        if !complete && now.since(forming.since) < self.plan.timing.interval * PREPARE_INTERVALS {
            return;
        }
        let Some(forming) = self.views.forming.take() else { return };
        let me = self.identity.me;
        let members: Vec<Member> = forming
            .members
            .iter()
            .copied()
            .filter(|member| member.server == me || forming.promises.contains_key(&member.server))
            .collect();
        let was_fresh = !self.document.started;
        let newest = forming.promises.values().map(|(_, document)| document).fold(None, |best: Option<&Document>, next| {
            if best.is_none_or(|best| next.is_newer_than(best)) { Some(next) } else { best }
        });
        if let Some(newest) = newest
            && newest.is_newer_than(&self.document)
            && self.document_fits(newest)
        {
            let newest = newest.clone();
            self.adopt(now, newest);
        }
        // Whoever knew nothing of a started cluster has just started: the coordinator may be that server itself.
        let mut newcomers: Vec<Member> = Vec::new();
        if self.document.started {
            newcomers.extend(was_fresh.then(|| self.member(me)));
            let fresh = forming.promises.iter().filter(|(_, (_, document))| !document.started);
            newcomers.extend(fresh.map(|(server, _)| self.member(*server)));
        }
        for (server, (report, _)) in forming.promises {
            self.take_report(server, report);
        }
        self.document.epoch = forming.epoch;
        self.document.version += 1;
        self.committed(now, View { epoch: forming.epoch, members });
        self.welcome(now, &newcomers);
        self.send_commits(now);
    }

    pub(crate) fn document_fits(&self, document: &Document) -> bool {
        document.groups.len() == self.plan.groups.len()
            && document.monitor_failovers.len() == self.plan.monitors.len()
            && document.groups.iter().zip(&self.plan.groups).all(|(g, plan)| g.activation_failovers.len() == plan.resources.len())
    }

    fn committed(&mut self, now: Time, view: View) {
        let before = self.views.committed.take();
        let was = |server: ServerId| before.as_ref().is_some_and(|view| view.members.iter().any(|m| m.server == server));
        for member in &view.members {
            if member.server != self.identity.me && !was(member.server) {
                self.out.push(Action::Alert(Alert::ServerUp { server: member.server }));
            }
        }
        for member in before.iter().flat_map(|view| &view.members) {
            let gone = !view.members.iter().any(|m| m.server == member.server);
            if gone && !self.contact.is_left(member.server) {
                let peer = self.contact.peer(member.server);
                let (age, limit) = (now.since(peer.sign), peer.timeout(self.plan.timing.timeout));
                let reason = if age >= limit {
                    format!("no heartbeat for {} ms (limit {} ms)", age.as_millis(), limit.as_millis())
                } else {
                    format!("{} formed a view without it", self.plan.server(view.epoch.server))
                };
                self.out.push(Action::Alert(Alert::ServerDown { server: member.server, reason }));
            }
        }
        if view.epoch.server == self.identity.me {
            self.orders.new_view(&view);
        } else {
            self.orders.relocating.clear();
        }
        // Newcomers wait for the acknowledgement that the view allows.
        self.next_beat = now;
        self.views.committed = Some(view);
    }

    fn send_commits(&mut self, now: Time) {
        let Some(view) = self.views.committed.clone() else { return };
        if view.epoch.server != self.identity.me || view.epoch != self.views.promised {
            return;
        }
        for member in view.members {
            let behind = member.server != self.identity.me && self.contact.peer(member.server).view < view.epoch;
            if behind && self.contact.is_heard(now, member.server, true) {
                let members = self.views.committed.as_ref().map(|view| view.members.clone()).unwrap_or_default();
                let message = Message::Commit { epoch: view.epoch, members, document: self.document_to_send(now) };
                self.send(member.server, message);
            }
        }
    }

    /// Prepares, commits and documents are repeated at each beat until they show.
    pub(crate) fn repeat_view_messages(&mut self, now: Time) {
        self.prepare();
        self.send_commits(now);
        self.send_document(now);
    }

    /// The document goes to every member that does not hold it: at once after a change, and again at each beat.
    pub(crate) fn send_document(&mut self, now: Time) {
        let Some(view) = &self.views.committed else { return };
        if view.epoch.server != self.identity.me || view.epoch != self.views.promised {
            return;
        }
        let held = (self.document.epoch, self.document.version);
        for member in view.members.clone() {
            let behind = member.server != self.identity.me && self.document_seen[member.server.index()] < held;
            if behind && self.contact.is_heard(now, member.server, true) {
                let message = Message::Document { epoch: self.views.epoch(), document: self.document_to_send(now) };
                self.send(member.server, message);
            }
        }
    }

    pub(crate) fn take_document(&mut self, now: Time, from: ServerId, epoch: Epoch, document: Document) {
        if epoch != self.views.epoch() || epoch.server != from || epoch != self.views.promised || !self.document_fits(&document) {
            return;
        }
        if document.is_newer_than(&self.document) {
            self.adopt(now, document);
        }
        let message = Message::DocumentSeen { epoch: self.document.epoch, version: self.document.version };
        self.send(from, message);
    }

    /// A member told which version of the document it holds. One above mine, under my own view, is none that I gave it: mine gets
    /// a number above that one, or it would be held as older for as long as the view lasts.
    pub(crate) fn document_told(&mut self, now: Time, from: ServerId, epoch: Epoch, version: u64) {
        let held = (self.document.epoch, self.document.version);
        let seen = &mut self.document_seen[from.index()];
        *seen = (*seen).max((epoch, version).min(held));
        if self.is_governing() && epoch == self.views.epoch() && (epoch, version) > held {
            self.document_seen[from.index()] = Default::default();
            self.document.version = version;
            self.document_changed(now);
        }
    }

    pub(crate) fn view_message(&mut self, now: Time, from: ServerId, message: Message) {
        match message {
            Message::Prepare { epoch, members } => self.prepared(now, from, epoch, &members),
            Message::Promise { epoch, report, document, ages } => {
                let Some(forming) = &mut self.views.forming else { return };
                let member = Member { server: from, incarnation: report.incarnation };
                if forming.epoch == epoch && forming.members.contains(&member) {
                    forming.promises.insert(from, (report, document));
                    self.contact.merge_ages(now, &ages);
                }
            }
            Message::TooOld { promised } => self.views.seen = self.views.seen.max(promised.counter),
            Message::Commit { epoch, members, document } => {
                let mine = Member { server: self.identity.me, incarnation: self.identity.incarnation };
                if epoch.server == from && epoch == self.views.promised && epoch > self.views.epoch() && members.contains(&mine) {
                    if document.is_newer_than(&self.document) && self.document_fits(&document) {
                        self.adopt(now, document);
                    }
                    self.contact.acknowledge_only(members.iter().map(|member| member.server).collect());
                    self.committed(now, View { epoch, members });
                    let message = Message::DocumentSeen { epoch: self.document.epoch, version: self.document.version };
                    self.send(from, message);
                }
            }
            _ => unreachable!("only messages of views are routed here"),
        }
    }

    fn prepared(&mut self, now: Time, from: ServerId, epoch: Epoch, members: &[Member]) {
        let mine = Member { server: self.identity.me, incarnation: self.identity.incarnation };
        if epoch.server != from || !members.contains(&mine) || self.emergency {
            return;
        }
        if epoch < self.views.promised {
            let message = Message::TooOld { promised: self.views.promised };
            self.send(from, message);
            return;
        }
        if epoch > self.views.promised {
            self.views.forming = None;
            self.promise(epoch, members);
        }
        self.refresh_report(now);
        let message = Message::Promise {
            epoch,
            report: self.reports[self.identity.me.index()].clone(),
            document: self.document_to_send(now),
            ages: self.contact.sign_ages(now),
        };
        self.send(from, message);
    }
}
