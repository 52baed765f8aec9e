//! Contact as a picture of the present ([`crate::present`]): taken from it, and gone on from.

use std::time::Duration;

use super::Contact;
use crate::ids::{ServerId, ServerSet};
use crate::message::{Epoch, Mode, Row};
use crate::present::Seen;
use crate::time::{Time, micros};

/// Number of the frame that everybody has sent and seen when a picture is gone on from.
const FIRST: u64 = 1;
/// Intervals within which a server that is in contact is heard, and acknowledges.
const FRESH_INTERVALS: u32 = 4;

impl Contact {
    /// All servers as they are seen from here.
    pub(crate) fn seen(&self, now: Time) -> Vec<Seen> {
        let one = |server: ServerId| {
            if server == self.me {
                let row = self.own_row(now);
                let (incarnation, boot) = (self.incarnation, self.boot);
                return Seen { incarnation, boot, alive: true, lan: row.lan, any: row.any, ..Seen::default() };
            }
            let peer = self.peer(server);
            let row = if self.row_fresh(now, peer) { peer.row } else { Row::default() };
            Seen {
                incarnation: peer.incarnation,
                boot: peer.boot,
                mode: peer.mode,
                alive: self.is_alive(now, server) && !self.is_left(server),
                age: micros(now.since(peer.sign)),
                lan: row.lan,
                any: row.any,
                paths: peer.paths.iter().map(|path| path.is_up(now)).collect(),
            }
        };
        (0..self.peers.len()).map(ServerId::at).map(one).collect()
    }

    /// Be in contact with whom the picture says that this server hears; nobody else was heard in this life.
    pub(crate) fn go_on(&mut self, now: Time, seen: &[Seen], members: ServerSet, view: Epoch) {
        self.acknowledged = members;
        self.seq = FIRST;
        self.sent.push_back((FIRST, now));
        let mine = seen[self.me.index()].clone();
        for (index, seen) in seen.iter().enumerate() {
            let server = ServerId::at(index);
            if server == self.me {
                continue;
            }
            let peer = &mut self.peers[index];
            (peer.incarnation, peer.boot) = (seen.incarnation, seen.boot);
            peer.sign = now - Duration::from_micros(seen.age);
            if seen.mode == Mode::Left {
                peer.mode = Mode::Left;
            }
            if !members.has(server) || !seen.alive {
                continue;
            }
            peer.mode = seen.mode;
            (peer.promised, peer.view) = (view, view);
            peer.seq = FIRST;
            peer.path_seq.fill(FIRST);
            peer.row = Row { server, incarnation: seen.incarnation, seq: FIRST, lan: seen.lan, any: seen.any };
            peer.row_at = now;
            peer.acquainted = true;
            if mine.any.has(server) {
                (peer.heard, peer.news, peer.acked) = (Some(now), Some(now), Some(now));
                peer.patience.saw(FIRST, Some(now), true);
            }
            if mine.lan.has(server) {
                peer.heard_lan = Some(now);
            }
        }
    }

    /// Is every other server either heard now, on a LAN and at all, and acknowledges, or silent for longer than anything waits?
    pub(crate) fn is_settled(&self, now: Time) -> bool {
        let timing = &self.timing;
        let fresh = timing.interval * FRESH_INTERVALS;
        self.others().filter(|server| !self.is_left(*server)).all(|server| {
            let peer = self.peer(server);
            let delays = timing.takeover_data.max(timing.takeover_addresses) + timing.arbiter + fresh;
            let over = peer.timeout(timing.timeout) + delays;
            let settled = |at: Option<Time>| at.is_none_or(|at| now.since(at) < fresh || now.since(at) > over);
            settled(peer.heard) && settled(peer.heard_lan) && settled(peer.acked) && settled(Some(peer.sign))
        })
    }
}
