//! Presence and the right to act: who was heard, who hears whom, which of my frames were acknowledged (rules R0, R3, R4, R6).
//!
//! Presence is for showing and accusing; the right (`right.rs`) comes only from acknowledgements, proofs and verdicts.

mod present;
mod right;
mod search;

use std::collections::VecDeque;
use std::time::Duration;

use crate::cluster::Identity;
use crate::ids::{ServerId, ServerSet};
use crate::message::{Ack, Carried, Epoch, Frame, Mode, NEVER, Row};
use crate::pace::Pace;
use crate::path::PathState;
use crate::patience::Patience;
use crate::plan::Timing;
use crate::time::{Time, micros};

pub use right::NoRight;
use search::Search;

/// What is known of one other server.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Newest life heard; 0 before the first frame.
    pub incarnation: u64,
    /// Boot id digest of that life.
    pub boot: u64,
    /// Newest frame seen.
    pub seq: u64,
    /// What it said it does.
    pub mode: Mode,
    /// Epochs and report version of its newest frame.
    pub promised: Epoch,
    /// Committed view of its newest frame.
    pub view: Epoch,
    /// Version of its own report, as announced.
    pub report: u64,
    /// Version of my report that it holds.
    pub report_acked: u64,
    /// How it is heard on each path.
    pub paths: Vec<PathState>,
    /// When any path did.
    pub heard: Option<Time>,
    /// When a frame came that no other path had brought before: the silence that a verdict may cover begins here. A copy that
    /// was under way for longer says nothing newer.
    news: Option<Time>,
    /// When a LAN path did.
    pub heard_lan: Option<Time>,
    /// Newest sign, direct or told by others; my own start at first (rule R1: a server that boots counts the absent as seen then).
    pub sign: Time,
    /// Send time of my newest frame that it acknowledged.
    pub acked: Option<Time>,
    pub(crate) patience: Patience,
    returned: Option<Return>,
    /// It acknowledged me in its present life.
    acquainted: bool,
    search: Search,
    path_seq: Vec<u64>,
    pace: Pace,
    row: Row,
    row_at: Time,
    row_pace: Pace,
    /// Acknowledgements it last gave, to carry for others.
    acks: Vec<Ack>,
}

/// The end of a server's last silence.
#[derive(Debug, Clone, Copy)]
struct Return {
    /// The last frame before it.
    silent_since: Time,
    /// The first frame after it.
    at: Time,
    /// It had acknowledged me in its life before: it does not before its first view with me.
    acquainted: bool,
}

/// What a frame changed besides times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Heard {
    /// A life not heard before.
    pub new_life: bool,
    /// That life began with a reboot: everything of the former life is proven gone.
    pub rebooted: bool,
    /// The frame's mode differs from the one before.
    pub mode_changed: bool,
}

/// All contact with all servers.
#[derive(Debug, Clone)]
pub struct Contact {
    me: ServerId,
    incarnation: u64,
    boot: u64,
    start: Time,
    pub(crate) timing: Timing,
    pub(crate) peers: Vec<Peer>,
    pub(crate) seq: u64,
    /// The ratio that frames promise, and the first of them.
    pub(crate) ratio: u32,
    pub(crate) ratio_from: u64,
    sent: VecDeque<(u64, Time)>,
    /// Whom my promises let me acknowledge; everybody before the first promise (rule R4).
    acknowledged: ServerSet,
}

impl Contact {
    /// Nobody heard yet.
    pub fn new(identity: &Identity, servers: usize, now: Time, timing: Timing) -> Self {
        let Identity { me, incarnation, boot, paths, .. } = *identity;
        let peer = Peer {
            incarnation: 0,
            boot: 0,
            seq: 0,
            mode: Mode::Running,
            promised: Epoch::default(),
            view: Epoch::default(),
            report: 0,
            report_acked: 0,
            paths: vec![PathState::new(now, timing.interval); paths],
            heard: None,
            news: None,
            heard_lan: None,
            sign: now,
            acked: None,
            patience: Patience::new(identity.ratio),
            returned: None,
            acquainted: false,
            search: Search::default(),
            path_seq: vec![0; paths],
            pace: Pace::new(now),
            row: Row::default(),
            row_at: now,
            row_pace: Pace::new(now),
            acks: Vec::new(),
        };
        Contact {
            me,
            incarnation,
            boot,
            start: now,
            timing,
            peers: vec![peer; servers],
            seq: 0,
            ratio: 1,
            ratio_from: 1,
            sent: VecDeque::new(),
            acknowledged: ServerSet::all(servers),
        }
    }

    /// What is known of a server.
    pub fn peer(&self, server: ServerId) -> &Peer {
        &self.peers[server.index()]
    }

    /// All configured servers but me.
    pub fn others(&self) -> impl Iterator<Item = ServerId> + use<> {
        let me = self.me;
        (0..self.peers.len()).map(ServerId::at).filter(move |server| *server != me)
    }

    /// Rule R4: from now on only these are acknowledged.
    pub fn acknowledge_only(&mut self, members: ServerSet) {
        self.acknowledged = members;
    }

    /// A frame arrived. None: late, repeated, or of an older life, so that nothing changes (rule R8).
    pub fn hear(&mut self, now: Time, from: ServerId, path: usize, lan: bool, frame: &Frame, covered: bool) -> Option<Heard> {
        let timeout = self.timing.timeout;
        let silence = self.keep_silence();
        if from == self.me || from.index() >= self.peers.len() {
            return None;
        }
        let start = self.start;
        let peer = &mut self.peers[from.index()];
        if path >= peer.paths.len() || frame.incarnation < peer.incarnation {
            return None;
        }
        let mut heard = Heard::default();
        if frame.incarnation > peer.incarnation {
            heard.new_life = true;
            heard.rebooted = peer.incarnation != 0 && frame.boot != peer.boot;
            peer.incarnation = frame.incarnation;
            peer.boot = frame.boot;
            peer.seq = 0;
            peer.path_seq.fill(0);
            peer.pace = Pace::new(now);
            peer.row = Row::default();
            peer.row_pace = Pace::new(now);
            peer.report = 0;
            peer.report_acked = 0;
            peer.acquainted = false;
            peer.patience.new_life();
            peer.mode = Mode::Running;
            peer.acks.clear();
        }
        if frame.seq <= peer.path_seq[path] {
            return None;
        }
        if !peer.pace.allows(now, self.timing.interval, frame.seq) {
            // Somebody sends in its name, so nobody may take it as gone; nothing else is believed yet.
            peer.sign = peer.sign.max(now);
            return None;
        }
        peer.path_seq[path] = frame.seq;
        peer.paths[path].hear(now, lan);
        if frame.seq <= peer.seq {
            // A copy of what another path brought, late or repeated by somebody: it is as old as that, and no sign of its own.
            let behind = self.timing.interval * u32::try_from(peer.seq - frame.seq).unwrap_or(u32::MAX).min(1 << 16);
            let copied = peer.news.map(|at| at - behind);
            if lan {
                peer.heard_lan = peer.heard_lan.max(copied);
            }
            return Some(heard);
        }
        // A server that comes back after a covered silence may not act while it hears me; it gets one T_x to acknowledge
        // me, so that its return does not cost me the right that I held without it. The same for a new life.
        let was_absent = peer.heard.is_none_or(|at| now.since(at) >= peer.timeout(timeout));
        if covered && (was_absent || heard.new_life) {
            peer.acked = Some(peer.acked.map_or(now, |at| at.max(now)));
        }
        if lan {
            peer.heard_lan = Some(now);
        }
        peer.heard = Some(now);
        peer.sign = peer.sign.max(now).max(start);
        peer.seq = frame.seq;
        peer.patience.hear(frame.ratio);
        let silent_since = peer.news.unwrap_or(start);
        if heard.new_life || now.since(silent_since) >= silence {
            peer.returned = Some(Return { silent_since, at: now, acquainted: peer.acquainted });
        }
        peer.news = Some(now);
        peer.search = Search::default();
        // A farewell counts when it names my life: one of before, said again by somebody, is none (its server may be back).
        let to_me = frame.acks.iter().any(|ack| ack.server == self.me && ack.incarnation == self.incarnation);
        let mode = if frame.mode == Mode::Left && !to_me { Mode::Leaving } else { frame.mode };
        heard.mode_changed = peer.mode != mode;
        peer.mode = mode;
        peer.promised = frame.promised;
        peer.view = frame.view;
        peer.report = frame.report;
        peer.acks.clone_from(&frame.acks);
        let (me, life) = (self.me, self.incarnation);
        for ack in frame.acks.iter().filter(|ack| ack.server == me && ack.incarnation == life) {
            self.peers[from.index()].report_acked = ack.report;
            self.acknowledged_by(from, ack.seq, true);
        }
        for carried in frame.carried.iter().filter(|c| c.of == me && c.incarnation == life) {
            if carried.by.index() < self.peers.len() && carried.by != me {
                self.acknowledged_by(carried.by, carried.seq, false);
            }
        }
        for row in &frame.rows {
            self.take_row(now, *row);
        }
        for (index, age) in frame.ages.iter().enumerate().take(self.peers.len()) {
            if *age != NEVER && index != self.me.index() {
                let seen = now - Duration::from_micros(*age);
                let peer = &mut self.peers[index];
                peer.sign = peer.sign.max(seen);
            }
        }
        Some(heard)
    }

    /// A datagram that did not open claims to come from this server. While no frame of it was ever opened here, that is a
    /// sign of life: this server may hold another key and be the stranger itself, so it must not take what the other holds.
    /// Afterwards it means nothing, or anybody on the LAN could hold up a takeover.
    pub fn hear_foreign(&mut self, now: Time, from: ServerId) {
        if from != self.me
            && let Some(peer) = self.peers.get_mut(from.index())
            && peer.incarnation == 0
        {
            peer.sign = peer.sign.max(now);
        }
    }

    /// Merge ages of last signs told in a promise: the youngest counts.
    pub fn merge_ages(&mut self, now: Time, ages: &[u64]) {
        for (index, age) in ages.iter().enumerate().take(self.peers.len()) {
            if *age != NEVER && index != self.me.index() {
                let peer = &mut self.peers[index];
                peer.sign = peer.sign.max(now - Duration::from_micros(*age));
            }
        }
    }

    /// Ages of the last sign of every server, for a promise; my own is zero.
    pub fn sign_ages(&self, now: Time) -> Vec<u64> {
        self.peers
            .iter()
            .enumerate()
            .map(|(index, peer)| if index == self.me.index() { 0 } else { micros(now.since(peer.sign)) })
            .collect()
    }

    fn acknowledged_by(&mut self, server: ServerId, seq: u64, direct: bool) {
        if seq == 0 || seq > self.seq {
            return;
        }
        let sent = self.sent.iter().rev().find(|(number, _)| *number == seq).map(|(_, at)| *at);
        let peer = &mut self.peers[server.index()];
        peer.patience.saw(seq, sent, direct);
        let Some(sent) = sent else { return };
        peer.acquainted = true;
        peer.acked = Some(peer.acked.map_or(sent, |at| at.max(sent)));
    }

    fn take_row(&mut self, now: Time, row: Row) {
        if row.server == self.me || row.server.index() >= self.peers.len() {
            return;
        }
        let peer = &mut self.peers[row.server.index()];
        if row.incarnation > peer.incarnation {
            // Of a life that I did not hear: nothing is known of whom that one hears, and the row of the former one is void.
            peer.row = Row::default();
        } else if row.incarnation == peer.incarnation
            && row.seq > peer.row.seq
            && peer.row_pace.allows(now, self.timing.interval, row.seq)
        {
            peer.row = row;
            peer.row_at = now;
        }
    }

    /// The next frame, already counted as sent now.
    #[allow(clippy::too_many_arguments, reason = "each is one field of the frame that others keep")]
    pub fn frame(
        &mut self,
        now: Time,
        mode: Mode,
        promised: Epoch,
        view: Epoch,
        report: u64,
        held_reports: &[u64],
        generation: u64,
    ) -> Frame {
        self.seq += 1;
        self.sent.push_back((self.seq, now));
        let longest = self.others().map(|server| self.ratio_of(server)).max().unwrap_or(1);
        let keep = self.timing.timeout.max(self.timing.right_timeout * 2) * longest;
        while self.sent.front().is_some_and(|(_, at)| now.since(*at) > keep) {
            self.sent.pop_front();
        }
        let acks = self
            .others()
            .filter(|server| self.peer(*server).incarnation != 0)
            .map(|server| {
                let peer = self.peer(server);
                Ack {
                    server,
                    incarnation: peer.incarnation,
                    seq: if self.acknowledged.has(server) { peer.seq } else { 0 },
                    report: held_reports[server.index()],
                }
            })
            .collect();
        let mut rows = vec![self.own_row(now)];
        rows.extend(self.others().map(|server| self.peer(server)).filter(|peer| self.row_fresh(now, peer)).map(|peer| peer.row));
        Frame {
            incarnation: self.incarnation,
            boot: self.boot,
            seq: self.seq,
            mode,
            promised,
            view,
            ages: self.peers.iter().map(|peer| peer.heard.map_or(NEVER, |at| micros(now.since(at)))).collect(),
            acks,
            rows,
            carried: self.carried(now),
            report,
            generation,
            ratio: self.ratio,
        }
    }

    /// Acknowledgements worth carrying: between servers that I hear and that do not hear each other.
    fn carried(&self, now: Time) -> Vec<Carried> {
        let direct: Vec<ServerId> = self.others().filter(|server| self.is_heard(now, *server, true)).collect();
        let mut carried = Vec::new();
        for by in &direct {
            for ack in &self.peer(*by).acks {
                let known = ack.server != self.me && direct.contains(&ack.server) && ack.seq != 0;
                if known && !self.peer(ack.server).row.lan.has(*by) {
                    carried.push(Carried { by: *by, of: ack.server, incarnation: ack.incarnation, seq: ack.seq });
                }
            }
        }
        carried
    }

    fn own_row(&self, now: Time) -> Row {
        Row {
            server: self.me,
            incarnation: self.incarnation,
            seq: self.seq,
            lan: self.others().filter(|server| self.is_heard(now, *server, true)).collect(),
            any: self.others().filter(|server| self.is_heard(now, *server, false)).collect(),
        }
    }

    fn row_fresh(&self, now: Time, peer: &Peer) -> bool {
        peer.row.seq != 0
            && peer.row.incarnation == peer.incarnation
            && now.since(peer.row_at) < peer.timeout(self.timing.timeout)
    }

    /// Has a frame of this server come directly within the time-out?
    pub fn is_heard(&self, now: Time, server: ServerId, lan_only: bool) -> bool {
        let peer = self.peer(server);
        let at = if lan_only { peer.heard_lan } else { peer.heard };
        at.is_some_and(|at| now.since(at) < peer.timeout(self.timing.timeout))
    }

    /// Is there any sign of this server within the time-out, direct or told?
    pub fn is_alive(&self, now: Time, server: ServerId) -> bool {
        let peer = self.peer(server);
        server == self.me || (peer.incarnation != 0 && now.since(peer.sign) < peer.timeout(self.timing.timeout))
    }

    /// The servers that can talk with me and among each other by LAN, over edges that both ends hear; those that said
    /// farewell are not among them.
    pub fn lan_part(&self, now: Time) -> ServerSet {
        let rows: Vec<Option<ServerSet>> = (0..self.peers.len())
            .map(ServerId::at)
            .map(|server| {
                if server == self.me {
                    return Some(self.own_row(now).lan);
                }
                let peer = self.peer(server);
                (peer.mode != Mode::Left && self.row_fresh(now, peer)).then_some(peer.row.lan)
            })
            .collect();
        closure(self.me, &rows)
    }

    /// Do the others hold nothing of this server's former lives: it rebooted since, or said farewell?
    pub fn is_left(&self, server: ServerId) -> bool {
        let peer = self.peer(server);
        peer.incarnation != 0 && peer.mode == Mode::Left
    }

    /// This server did not run for `gap`: others did not get older by that, since nobody listened. What they acknowledged
    /// did (rule R6): a gap never helps.
    pub fn stood_still(&mut self, gap: Duration) {
        for peer in &mut self.peers {
            peer.sign = peer.sign + gap;
            peer.row_at = peer.row_at + gap;
            for at in [&mut peer.heard, &mut peer.heard_lan, &mut peer.news].into_iter().flatten() {
                *at = *at + gap;
            }
            peer.paths.iter_mut().for_each(|path| path.stood_still(gap));
        }
    }

    /// When the next path counts as silent, if nothing comes on it.
    pub fn next_path_change(&self) -> Option<Time> {
        self.others().flat_map(|server| &self.peer(server).paths).filter_map(PathState::next_change).min()
    }

    /// What the paths to a server have become since the last look: (path, up).
    pub fn path_changes(&mut self, now: Time, server: ServerId) -> impl Iterator<Item = (usize, bool)> {
        let paths = self.peers[server.index()].paths.iter_mut().enumerate();
        paths.filter_map(move |(path, state)| state.judge(now).map(|up| (path, up)))
    }
}

/// Everybody that can be reached from `start` over edges that both ends report.
pub fn closure(start: ServerId, rows: &[Option<ServerSet>]) -> ServerSet {
    let mut reached = ServerSet::EMPTY;
    let mut open = vec![start];
    while let Some(server) = open.pop() {
        if reached.has(server) {
            continue;
        }
        reached.insert(server);
        let Some(hears) = rows.get(server.index()).copied().flatten() else { continue };
        for other in hears.iter() {
            let mutual = rows.get(other.index()).copied().flatten().is_some_and(|row| row.has(server));
            if mutual && !reached.has(other) {
                open.push(other);
            }
        }
    }
    reached
}
