//! Signs of life: a server whose heartbeats fell silent is looked for before anything of it is taken over (decision 9 of the
//! protocol). The looking itself is the shell's.

use crate::contact::{Contact, Peer};
use crate::ids::ServerId;
use crate::message::Mode;
use crate::time::Time;

/// What was found by looking for a server whose heartbeats fell silent.
#[derive(Debug, Clone, Default)]
pub(super) struct Search {
    asked: Option<Time>,
    /// When it last showed, and how.
    sign: Option<(Time, String)>,
    /// Looks in a row that found nothing.
    misses: u32,
}

/// Looks that must find nothing until a server's kernel counts as gone; what answers later is a new boot of it.
const SEARCH_MISSES: u32 = 2;
/// Intervals for which a sign of life counts: it is looked for in each.
const SIGN_INTERVALS: u32 = 3;

impl Contact {
    /// Servers to look for now: known, silent for more than an interval, not known to have left or to be gone, each once an
    /// interval. The search begins with the first missed heartbeat so that it is over when the time-out is.
    pub fn to_search(&mut self, now: Time) -> Vec<ServerId> {
        let interval = self.timing.interval;
        let due = |peer: &Peer| {
            let silent = peer.news.is_some_and(|at| now.since(at) > interval + interval / 2);
            let asked = peer.search.asked.is_some_and(|at| now.since(at) < interval);
            peer.incarnation != 0 && peer.mode != Mode::Left && silent && !asked && peer.search.misses < SEARCH_MISSES
        };
        let servers: Vec<ServerId> = self.others().filter(|server| due(self.peer(*server))).collect();
        for server in &servers {
            self.peers[server.index()].search.asked = Some(now);
        }
        servers
    }

    /// A look ended. One that was begun before the server was heard again says nothing.
    pub fn searched(&mut self, now: Time, server: ServerId, sign: Option<String>) {
        let Some(peer) = self.peers.get_mut(server.index()) else { return };
        if peer.search.asked.is_none() || peer.search.misses >= SEARCH_MISSES {
            return;
        }
        match sign {
            Some(words) => {
                peer.search.misses = 0;
                peer.search.sign = Some((now, words));
            }
            None => peer.search.misses += 1,
        }
    }

    /// What shows that a server lives whose heartbeats are silent (decision 9 of the protocol); None: nothing does.
    pub fn sign_of_life(&self, now: Time, server: ServerId) -> Option<&str> {
        let search = &self.peer(server).search;
        let fresh = self.timing.interval * SIGN_INTERVALS;
        let (at, words) = search.sign.as_ref().filter(|_| search.misses < SEARCH_MISSES)?;
        (now.since(*at) < fresh).then_some(words)
    }
}
