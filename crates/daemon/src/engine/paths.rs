//! What is measured of each heartbeat path to each server: frames that came and that did not, how long they took, messages sent.
//!
//! For showing only. Costs a few operations a frame and no memory after the start. Clocks of two servers cannot be compared, so
//! a way is measured as half of a round trip: a frame says which of ours is the newest that its sender saw, and how long ago.
//! The first copy of a frame is taken to have used the fastest path; what a later copy took longer is that path's own delay.

use std::time::Duration;

use clp_core::ids::ServerId;
use clp_core::message::{Frame, NEVER};
use clp_core::time::Time;
use clp_protocol::control::PathStatistics;

/// Frames whose sending is remembered: an answer that is older measures a jam, not a way.
const SENT: usize = 64;
/// Newest frames of which the share that did not come is shown.
const RECENT: u32 = 128;
/// A new measurement counts for one in so many.
const SMOOTHING: u32 = 8;

/// The newest frame of a server, by whichever path it came first.
#[derive(Debug, Clone, Copy, Default)]
struct Newest {
    incarnation: u64,
    seq: u64,
    at: Time,
    /// Half of the round trip that it closed.
    way: Option<Duration>,
}

/// One path to one server.
#[derive(Debug, Clone, Copy, Default)]
struct Measured {
    incarnation: u64,
    newest: u64,
    received: u64,
    lost: u64,
    /// The newest frames, one bit each: came. Of how many of them is known.
    recent: u128,
    known: u32,
    delay: Option<Duration>,
    delay_max: Option<Duration>,
    messages: u64,
}

impl Measured {
    /// A frame of this number came; false for one that was here already.
    fn count(&mut self, incarnation: u64, seq: u64) -> bool {
        if incarnation > self.incarnation {
            (self.incarnation, self.newest, self.recent, self.known) = (incarnation, seq, 1, 1);
            self.received += 1;
            return true;
        }
        if incarnation < self.incarnation {
            return false;
        }
        if seq <= self.newest {
            let back = u32::try_from(self.newest - seq).unwrap_or(u32::MAX);
            let late = back < self.known && self.recent & (1 << back) == 0;
            if late {
                self.recent |= 1 << back;
                self.received += 1;
                self.lost = self.lost.saturating_sub(1);
            }
            return late;
        }
        let step = seq - self.newest;
        self.pass(step);
        self.recent |= 1;
        self.newest = seq;
        self.received += 1;
        self.lost += step - 1;
        true
    }

    /// So many frames have passed, none of them seen here.
    fn pass(&mut self, frames: u64) {
        let frames = u32::try_from(frames).unwrap_or(RECENT);
        self.recent = self.recent.checked_shl(frames).unwrap_or(0);
        self.known = self.known.saturating_add(frames).min(RECENT);
    }

    fn took(&mut self, delay: Duration) {
        self.delay = Some(self.delay.map_or(delay, |before| (before * (SMOOTHING - 1) + delay) / SMOOTHING));
        self.delay_max = self.delay_max.max(Some(delay));
    }
}

/// All paths to all servers, of this engine's life.
#[derive(Debug)]
pub struct Statistics {
    me: ServerId,
    incarnation: u64,
    servers: usize,
    sent: [(u64, Time); SENT],
    newest: Vec<Newest>,
    measured: Vec<Measured>,
}

impl Statistics {
    /// Nothing measured yet.
    pub fn new(me: ServerId, incarnation: u64, servers: usize, paths: usize) -> Statistics {
        Statistics {
            me,
            incarnation,
            servers,
            sent: [(0, Time::default()); SENT],
            newest: vec![Newest::default(); servers],
            measured: vec![Measured::default(); servers * paths],
        }
    }

    /// A frame leaves.
    pub fn beat(&mut self, now: Time, seq: u64) {
        self.sent[slot(seq)] = (seq, now);
    }

    /// A message leaves on a path.
    pub fn message(&mut self, path: usize, to: ServerId) {
        self.measured[path * self.servers + to.index()].messages += 1;
    }

    /// A frame arrived on a path, at this time.
    pub fn frame(&mut self, at: Time, path: usize, from: ServerId, frame: &Frame) {
        let newest = &mut self.newest[from.index()];
        let (life, newest_life) = ((frame.incarnation, frame.seq), (newest.incarnation, newest.seq));
        if life > newest_life {
            let way = round_trip(&self.sent, self.me, self.incarnation, at, frame).map(|trip| trip / 2);
            *newest = Newest { incarnation: frame.incarnation, seq: frame.seq, at, way };
        }
        let way = newest.way.filter(|_| life >= newest_life).map(|way| way + at.since(newest.at));
        let measured = &mut self.measured[path * self.servers + from.index()];
        if measured.count(frame.incarnation, frame.seq)
            && let Some(way) = way
        {
            measured.took(way);
        }
    }

    /// What is known of a path to a server; `name` is the server's. None: no frame ever came there.
    pub fn status(&self, now: Time, interval: Duration, path: usize, server: ServerId, name: &str) -> Option<PathStatistics> {
        let mut measured = self.measured[path * self.servers + server.index()];
        if measured.received == 0 && measured.messages == 0 {
            return None;
        }
        // Frames that came by no path are counted by the time that has passed.
        let newest = &self.newest[server.index()];
        if newest.incarnation == measured.incarnation {
            let silent = now.since(newest.at).as_micros() / interval.as_micros().max(1);
            let silent = u64::try_from(silent).unwrap_or(u64::MAX).saturating_sub(1);
            measured.pass((newest.seq - measured.newest.min(newest.seq)).saturating_add(silent));
        }
        let known = 1u128.checked_shl(measured.known).map_or(u128::MAX, |bit| bit - 1);
        let micros = |delay: Option<Duration>| delay.map(|delay| u64::try_from(delay.as_micros()).unwrap_or(u64::MAX));
        Some(PathStatistics {
            server: name.into(),
            received: measured.received,
            lost: measured.lost,
            recent: measured.known,
            recent_lost: measured.known - (measured.recent & known).count_ones(),
            delay_us: micros(measured.delay),
            delay_max_us: micros(measured.delay_max),
            messages: measured.messages,
        })
    }
}

fn slot(seq: u64) -> usize {
    usize::try_from(seq % SENT as u64).unwrap_or(0)
}

/// From the sending of our newest frame that this one acknowledges to the arrival of this one, without what it waited there.
fn round_trip(sent: &[(u64, Time); SENT], me: ServerId, incarnation: u64, at: Time, frame: &Frame) -> Option<Duration> {
    let ack = frame.acks.iter().find(|ack| ack.server == me && ack.incarnation == incarnation)?;
    let (seq, left) = sent[slot(ack.seq)];
    let waited = *frame.ages.get(me.index()).filter(|age| **age != NEVER)?;
    (seq == ack.seq && seq != 0).then(|| at.since(left).saturating_sub(Duration::from_micros(waited)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clp_core::message::Ack;

    const ME: ServerId = ServerId(0);
    const PEER: ServerId = ServerId(1);
    const INTERVAL: Duration = Duration::from_millis(100);

    fn ms(value: u64) -> Time {
        Time(value * 1000)
    }

    /// A frame of the other server that acknowledges one of ours, seen there this long before it was sent.
    fn frame(seq: u64, acked: u64, waited_ms: u64) -> Frame {
        let ack = Ack { server: ME, incarnation: 7, seq: acked, report: 0 };
        Frame { incarnation: 3, seq, acks: vec![ack], ages: vec![waited_ms * 1000, NEVER], ..Frame::default() }
    }

    fn status(statistics: &Statistics, now: Time, path: usize) -> PathStatistics {
        statistics.status(now, INTERVAL, path, PEER, "server2").expect("known")
    }

    #[test]
    fn a_way_is_half_of_the_round_trip_without_what_the_frame_waited() {
        let mut statistics = Statistics::new(ME, 7, 2, 2);
        for beat in 1..=200 {
            statistics.beat(ms(beat * 100), beat);
            // Seen there after 4 ms, answered 50 ms later, back 4 ms after that; on the second path 6 ms later still.
            let answer = frame(beat, beat, 50);
            statistics.frame(ms(beat * 100 + 58), 0, PEER, &answer);
            statistics.frame(ms(beat * 100 + 64), 1, PEER, &answer);
        }
        let (fast, slow) = (status(&statistics, ms(20_060), 0), status(&statistics, ms(20_064), 1));
        assert_eq!((fast.delay_us, fast.delay_max_us), (Some(4000), Some(4000)));
        assert_eq!((slow.delay_us, slow.delay_max_us), (Some(10_000), Some(10_000)));
        assert_eq!((fast.received, fast.lost, fast.recent, fast.recent_lost), (200, 0, 128, 0));
    }

    #[test]
    fn what_does_not_come_is_counted_and_what_comes_late_or_twice_is_not() {
        let mut statistics = Statistics::new(ME, 7, 2, 2);
        let mut take = |path, seq| statistics.frame(ms(seq * 100), path, PEER, &frame(seq, 0, 0));
        for seq in 1..=100 {
            take(1, seq);
            // Every tenth is lost; 55 comes after 56, and 60 twice.
            if seq % 10 != 0 && seq != 55 {
                take(0, seq);
            }
            if seq == 56 {
                take(0, 55);
                take(0, 55);
                take(0, 54);
            }
        }
        let seen = status(&statistics, ms(10_000), 0);
        assert_eq!((seen.received, seen.lost, seen.recent), (90, 9, 100), "the tenth is not known to be lost yet");
        assert_eq!(seen.recent_lost, 10, "the other path brought one more");
        // Then nothing on any path.
        assert_eq!(status(&statistics, ms(10_000 + 6400), 0).recent_lost, 10 - 3 + 63, "the oldest fall out");
        assert_eq!(status(&statistics, ms(100_000), 0).recent_lost, 128);
    }

    #[test]
    fn a_new_life_begins_anew_and_an_old_frame_changes_nothing() {
        let mut statistics = Statistics::new(ME, 7, 2, 1);
        statistics.frame(ms(0), 0, PEER, &frame(900, 0, 0));
        let reborn = Frame { incarnation: 4, ..frame(1, 0, 0) };
        statistics.frame(ms(100), 0, PEER, &reborn);
        statistics.frame(ms(100), 0, PEER, &frame(901, 0, 0));
        let seen = status(&statistics, ms(100), 0);
        assert_eq!((seen.received, seen.lost, seen.recent, seen.recent_lost), (2, 0, 1, 0));
        assert_eq!(statistics.status(ms(0), INTERVAL, 0, ME, "server1"), None);
    }

    #[test]
    fn answers_to_what_was_never_sent_measure_nothing() {
        let mut statistics = Statistics::new(ME, 7, 2, 1);
        statistics.beat(ms(0), 1);
        for (seq, acked) in [(1, 65), (2, 0), (3, u64::MAX)] {
            statistics.frame(ms(5), 0, PEER, &frame(seq, acked, 0));
        }
        assert_eq!(status(&statistics, ms(5), 0).delay_us, None);
    }
}
