//! One heartbeat path to one server: up or down, with hysteresis. For showing, for alerts and for choosing the way of messages;
//! no right and no accusation comes from it.
//!
//! A path falls silent at once, and has to bring more frames in a row the sooner it fell silent again: one that flaps stays
//! down, and its operator is told of it a few times instead of each time.

use std::time::Duration;

use crate::time::Time;

/// Frames in a row that bring back a path that was well for long: two intervals, as long as its loss takes to show.
const NEEDED_MIN: u32 = 2;
/// Frames in a row that a path which flaps must bring at most, and the time that this may take at most.
const NEEDED_MAX: u32 = 32;
const NEEDED_SPAN: Duration = Duration::from_secs(30);
/// A path that was up for so many intervals does not flap.
const CALM_INTERVALS: u32 = 200;

/// What is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathState {
    interval: Duration,
    /// How long it may be silent.
    limit: Duration,
    heard: Option<Time>,
    up: bool,
    since: Time,
    /// Frames in a row without a silence between them, while it is down.
    good: u32,
    needed: u32,
}

/// How long a path of this kind may be silent. Two intervals, and what a frame may be late: a LAN delivers at once, a disk is
/// written and read by turns that drift against each other, a serial line is slow.
fn silence(interval: Duration, lan: bool) -> Duration {
    interval * 2 + if lan { interval / 4 } else { interval / 2 }
}

impl PathState {
    /// Not heard yet: the first frame brings it up.
    pub fn new(now: Time, interval: Duration) -> PathState {
        PathState { interval, limit: silence(interval, true), heard: None, up: false, since: now, good: 0, needed: 1 }
    }

    /// When it brought a frame last.
    pub fn heard(&self) -> Option<Time> {
        self.heard
    }

    /// It brought a new frame.
    pub fn hear(&mut self, now: Time, lan: bool) {
        self.limit = silence(self.interval, lan);
        let in_a_row = !self.is_silent(now);
        self.heard = Some(now);
        self.good = if in_a_row { self.good.saturating_add(1) } else { 1 };
    }

    /// Is it up at this moment?
    pub fn is_up(&self, now: Time) -> bool {
        self.up && !self.is_silent(now)
    }

    /// Down for having flapped, although frames come?
    pub fn is_unsteady(&self, now: Time) -> bool {
        !self.up && !self.is_silent(now)
    }

    /// When silence alone would change something.
    pub fn next_change(&self) -> Option<Time> {
        self.heard.filter(|_| self.up).map(|at| at + self.limit)
    }

    /// Take note of what it is now: Some(up) when that changed.
    pub fn judge(&mut self, now: Time) -> Option<bool> {
        if self.up && self.is_silent(now) {
            let flaps = now.since(self.since) < self.interval * CALM_INTERVALS;
            let in_span = NEEDED_SPAN.as_micros() / self.interval.as_micros().max(1);
            let most = u32::try_from(in_span).unwrap_or(NEEDED_MAX).clamp(NEEDED_MIN, NEEDED_MAX);
            self.needed = if flaps { (self.needed * 2).clamp(NEEDED_MIN, most) } else { NEEDED_MIN };
            (self.up, self.since, self.good) = (false, now, 0);
            return Some(false);
        }
        if !self.up && self.good >= self.needed && !self.is_silent(now) {
            (self.up, self.since) = (true, now);
            return Some(true);
        }
        None
    }

    /// This server did not listen for `gap`.
    pub fn stood_still(&mut self, gap: Duration) {
        self.since = self.since + gap;
        if let Some(at) = &mut self.heard {
            *at = *at + gap;
        }
    }

    fn is_silent(&self, now: Time) -> bool {
        self.heard.is_none_or(|at| now.since(at) >= self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(100);

    /// Ten looks an interval; frames come where the pattern says so, over and over. The changes, with the interval of each.
    fn changes(pattern: &[bool], intervals: usize, lan: bool) -> Vec<(usize, bool)> {
        let mut path = PathState::new(Time(0), INTERVAL);
        let mut changes = Vec::new();
        for tenth in 0..intervals * 10 {
            let now = Time(tenth as u64 * 10_000);
            if tenth % 10 == 0 && pattern[(tenth / 10).min(pattern.len() * 1000) % pattern.len()] {
                path.hear(now, lan);
            }
            if let Some(up) = path.judge(now) {
                assert_eq!(path.is_up(now), up);
                changes.push((tenth / 10, up));
            }
        }
        changes
    }

    #[test]
    fn a_single_lost_frame_is_no_loss_of_the_path() {
        for lan in [true, false] {
            assert_eq!(changes(&[true, true, false], 1000, lan), [(0, true)]);
        }
    }

    #[test]
    fn silence_shows_after_two_intervals_and_its_end_after_two_frames() {
        let mut pattern = vec![true; 300];
        pattern.extend(vec![false; 300]);
        let all = changes(&pattern, 700, true);
        // The last frame came at 299; two intervals and a quarter later it is down, and up with the second frame.
        assert_eq!(all, [(0, true), (301, false), (601, true)]);
    }

    #[test]
    fn a_path_that_flaps_is_told_of_ever_more_seldom_and_forgiven_when_it_is_steady() {
        // Five frames, then three are missing, over and over.
        let flapping = [true, true, true, true, true, false, false, false];
        let told = changes(&flapping, 8000, true);
        assert!((2..=8).contains(&told.len()), "{told:?}");
        assert_eq!(told.last().map(|last| last.1), Some(false), "it ends as down");
        let mut then_steady: Vec<bool> = (0..800).map(|at| flapping[at % 8]).collect();
        then_steady.extend(vec![true; 700]);
        let told = changes(&then_steady, 1500, true);
        let (at, up) = *told.last().expect("changes");
        assert!(up && at - 800 < 300, "{told:?}");
    }

    #[test]
    fn what_comes_while_it_is_down_makes_it_unsteady() {
        let mut path = PathState::new(Time(0), INTERVAL);
        path.needed = 8;
        path.hear(Time(0), true);
        assert_eq!(path.judge(Time(0)), None);
        assert!(path.is_unsteady(Time(0)) && !path.is_up(Time(0)));
        assert!(!path.is_unsteady(Time(300_000)), "silent is down");
    }

    #[test]
    fn a_server_that_stood_still_takes_no_path_as_silent() {
        let mut path = PathState::new(Time(0), INTERVAL);
        path.hear(Time(0), true);
        assert_eq!(path.judge(Time(0)), Some(true));
        path.stood_still(Duration::from_secs(9));
        assert_eq!(path.judge(Time(9_100_000)), None);
        assert!(path.is_up(Time(9_100_000)));
    }
}
