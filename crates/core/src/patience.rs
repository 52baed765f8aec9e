//! The temporary time-out ratio between two servers: how long each waits for the other, and how far the other may rely on it.
//!
//! A server says in its frames by how much its time-out is multiplied. Who reads that may multiply its own right and the
//! feeding of its watchdog towards that server, and towards that server alone, for what the same frame acknowledges. The one
//! who said so goes on waiting for that long until the other has seen a frame with a smaller number, was silent for so long
//! that what it relied upon has run out, or said farewell. So the longer right of one never outlasts the longer wait of the
//! other, whoever hears of the operator's order when, and the safety sum holds at every moment with both of its sides
//! multiplied by the same number. What is said is on the disk before, for the life after a crash.

use std::time::Duration;

use crate::contact::{Contact, Peer};
use crate::ids::ServerId;
use crate::time::Time;

/// Greatest ratio. The time-out of the guide's profile then lasts ten days: more is no failover at all.
pub const RATIO_MAX: u32 = 10_000;

/// What one other server was promised, and what it promised.
#[derive(Debug, Clone)]
pub(crate) struct Patience {
    /// By how much the time-out towards it is multiplied here.
    given: u32,
    /// What its newest frame says.
    said: u32,
    /// Send time of my newest frame that a frame of its own acknowledged, and what that frame said. What others carry counts
    /// without a ratio.
    acked: Option<(Time, u32)>,
    /// Newest of my frames that it saw.
    seen: u64,
}

impl Patience {
    pub(crate) fn new(given: u32) -> Patience {
        Patience { given: given.clamp(1, RATIO_MAX), said: 1, acked: None, seen: 0 }
    }

    /// A new life relies on nothing that the former one was told, and has promised nothing.
    pub(crate) fn new_life(&mut self) {
        (self.said, self.acked, self.seen) = (1, None, 0);
    }

    /// Its newest frame says this.
    pub(crate) fn hear(&mut self, ratio: u32) {
        self.said = ratio.clamp(1, RATIO_MAX);
    }

    /// It saw my frame of this number, sent then if that is still known. `direct`: its own newest frame says so.
    pub(crate) fn saw(&mut self, seq: u64, sent: Option<Time>, direct: bool) {
        self.seen = self.seen.max(seq);
        if let Some(sent) = sent.filter(|_| direct)
            && self.acked.is_none_or(|(at, _)| at < sent)
        {
            self.acked = Some((sent, self.said));
        }
    }

    /// Until when what it acknowledged itself counts, where an acknowledgement without a ratio counts for `limit`.
    fn until(&self, limit: Duration) -> Option<Time> {
        self.acked.map(|(at, said)| at + limit * said.min(self.said))
    }
}

impl Peer {
    /// T_s towards this server, where it is `timeout` without a ratio.
    pub(crate) fn timeout(&self, timeout: Duration) -> Duration {
        timeout * self.patience.given
    }

    /// Until when its acknowledgements count, by a limit without a ratio; `start` where there is none yet.
    pub(crate) fn acknowledged_until(&self, limit: Duration, start: Option<Time>) -> Option<Time> {
        self.acked.or(start).map(|at| at + limit).max(self.patience.until(limit))
    }

    /// The same of what it truly acknowledged. The time that a server is given to acknowledge when it comes back is nothing that it
    /// relies upon itself: it may not hear this one.
    pub(crate) fn answered_until(&self, limit: Duration) -> Option<Time> {
        self.answered().map(|at| at + limit).max(self.patience.until(limit))
    }
}

impl Contact {
    /// The ratio in force here, and the one that may be promised (what is on the disk). A greater one holds at once; a smaller
    /// one towards each server when it knows, or when nothing that it relies upon is left.
    pub fn set_ratio(&mut self, now: Time, in_force: u32, promised: u32) {
        let promised = promised.clamp(1, RATIO_MAX);
        let wanted = in_force.clamp(promised, RATIO_MAX);
        if promised != self.ratio {
            self.ratio = promised;
            self.ratio_from = self.seq + 1;
        }
        // A silence that outlasts this leaves nothing of what that server held.
        let delay = self.timing.takeover_data.max(self.timing.takeover_addresses);
        for server in self.others() {
            let left = self.is_left(server);
            let (from, timeout) = (self.ratio_from, self.timing.timeout);
            let peer = &mut self.peers[server.index()];
            let gone = now.since(peer.sign) >= peer.timeout(timeout) + delay;
            if wanted > peer.patience.given || left || gone || peer.patience.seen >= from {
                peer.patience.given = wanted;
            }
        }
    }

    /// The ratio that this server's frames promise.
    pub fn promised_ratio(&self) -> u32 {
        self.ratio
    }

    /// The ratio that a server's newest frame promises.
    pub fn ratio_of(&self, server: ServerId) -> u32 {
        self.peer(server).patience.said
    }

    /// Has this server seen a frame that promises the present ratio?
    pub fn has_seen_ratio(&self, server: ServerId) -> bool {
        self.peer(server).patience.seen >= self.ratio_from
    }

    /// By how much the time-out towards a server is multiplied at this moment.
    pub fn ratio_towards(&self, server: ServerId) -> u32 {
        self.peer(server).patience.given
    }

    /// The greatest ratio that anybody may rely upon: it must be remembered over a crash.
    pub fn ratio_to_keep(&self) -> u32 {
        self.others().map(|server| self.ratio_towards(server)).fold(self.ratio, u32::max)
    }
}
