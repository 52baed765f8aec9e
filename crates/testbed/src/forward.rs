//! What the bench's own switch does with a frame: which ports get it, when, and what is lost. Pure: no input or output.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::{Duration, Instant},
};

use crate::options::Weather;

/// How much longer a frame takes that others overtake.
const OVERTAKEN: Duration = Duration::from_millis(5);
/// Frames under way; more are lost, as in any switch.
const UNDER_WAY_MAX: usize = 4096;

/// Decides about frames.
#[derive(Debug)]
pub(crate) struct Forwarder {
    /// From which port to which nothing passes; None stands for all.
    pub(crate) blocked: Vec<(Option<String>, Option<String>)>,
    weather: Weather,
    /// On which port a hardware address was heard.
    entries: BTreeMap<[u8; 6], String>,
    /// Announcements that were heard of each address since the weather changed.
    announced: BTreeMap<IpAddr, u32>,
    under_way: Vec<(Instant, String, Vec<u8>)>,
    random: u64,
}

impl Default for Forwarder {
    fn default() -> Self {
        Forwarder {
            blocked: Vec::new(),
            weather: Weather::default(),
            entries: BTreeMap::new(),
            announced: BTreeMap::new(),
            under_way: Vec::new(),
            random: 1,
        }
    }
}

impl Forwarder {
    pub(crate) fn set_weather(&mut self, weather: Weather) {
        self.announced.clear();
        // Zero would stay zero.
        self.random = weather.seed.max(1);
        self.weather = weather;
    }

    /// A frame arrived on a port; `ports` are all that there are.
    pub(crate) fn arrive(&mut self, from: &str, frame: &[u8], ports: &[String], now: Instant) {
        let (Some(to), Some(source)) = (mac_at(frame, 0), mac_at(frame, 6)) else { return };
        if !self.weather.keep_entries || !self.entries.contains_key(&source) {
            self.entries.insert(source, from.to_string());
        }
        let is_for_many = to[0] & 1 == 1;
        let entry = self.entries.get(&to).filter(|_| !is_for_many).cloned();
        let withheld = self.is_withheld(frame);
        for port in ports.iter().filter(|port| *port != from && entry.as_ref().is_none_or(|entry| entry == *port)) {
            let is_blocked = self.blocked.iter().any(|(source, target)| {
                source.as_ref().is_none_or(|source| source == from) && target.as_ref().is_none_or(|target| target == port)
            });
            let is_meant = self.weather.towards.is_empty() || self.weather.towards.contains(port);
            if is_blocked || (withheld && is_meant) || self.happens(self.weather.loss_percent) {
                continue;
            }
            let overtaken = if self.happens(self.weather.reorder_percent) { OVERTAKEN } else { Duration::ZERO };
            if self.under_way.len() < UNDER_WAY_MAX {
                let at = now + Duration::from_millis(self.weather.delay_ms) + overtaken;
                self.under_way.push((at, port.clone(), frame.to_vec()));
            }
        }
    }

    /// When something is to be delivered next.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.under_way.iter().map(|(at, _, _)| *at).min()
    }

    /// What is to be delivered now, and to which port, in order.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<(String, Vec<u8>)> {
        let (mut due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.under_way).into_iter().partition(|(at, _, _)| *at <= now);
        self.under_way = later;
        // Stable: what is due at one time keeps its order.
        due.sort_by_key(|(at, _, _)| *at);
        due.into_iter().map(|(_, port, frame)| (port, frame)).collect()
    }

    fn is_withheld(&mut self, frame: &[u8]) -> bool {
        let Some(address) = announced(frame).filter(|_| self.weather.announcements > 0) else { return false };
        let count = self.announced.entry(address).or_insert(0);
        *count = count.saturating_add(1);
        *count <= self.weather.announcements
    }

    /// Draws: true in so many of a hundred cases (xorshift64*, Vigna).
    fn happens(&mut self, percent: u8) -> bool {
        if percent == 0 {
            return false;
        }
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % 100 < u64::from(percent)
    }
}

fn mac_at(frame: &[u8], at: usize) -> Option<[u8; 6]> {
    frame.get(at..at + 6)?.try_into().ok()
}

/// The address whose place a frame tells to everybody: an ARP frame about its own sender, or a neighbour advertisement to all nodes.
fn announced(frame: &[u8]) -> Option<IpAddr> {
    match frame.get(12..14)? {
        [0x08, 0x06] => {
            let address = |at: usize| -> Option<[u8; 4]> { frame.get(at..at + 4)?.try_into().ok() };
            let (sender, target) = (address(28)?, address(38)?);
            (sender == target).then(|| Ipv4Addr::from(sender).into())
        }
        [0x86, 0xdd] if frame[..6] == [0x33, 0x33, 0, 0, 0, 1] && *frame.get(20)? == 58 && *frame.get(54)? == 136 => {
            let target: [u8; 16] = frame.get(62..78)?.try_into().ok()?;
            Some(Ipv6Addr::from(target).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const B: [u8; 6] = [2, 0, 0, 0, 0, 2];
    const ALL: [u8; 6] = [0xff; 6];

    fn ports() -> Vec<String> {
        ["a", "b", "c"].map(String::from).to_vec()
    }

    fn frame(to: [u8; 6], from: [u8; 6], word: u8) -> Vec<u8> {
        [&to[..], &from[..], &[0x88, 0xb5, word]].concat()
    }

    fn announcement(from: [u8; 6], last: u8) -> Vec<u8> {
        let mut frame = [&ALL[..], &from[..], &[0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1], &from[..]].concat();
        frame.extend([10, 0, 0, last, 0, 0, 0, 0, 0, 0, 10, 0, 0, last]);
        frame
    }

    fn who_gets(switch: &mut Forwarder, from: &str, frame: &[u8]) -> Vec<String> {
        let now = Instant::now();
        switch.arrive(from, frame, &ports(), now);
        switch.due(now).into_iter().map(|(port, _)| port).collect()
    }

    #[test]
    fn a_frame_goes_where_its_address_was_heard_last() {
        let mut switch = Forwarder::default();
        assert_eq!(who_gets(&mut switch, "a", &frame(B, A, 0)), ["b", "c"], "not heard yet");
        assert_eq!(who_gets(&mut switch, "b", &frame(A, B, 0)), ["a"]);
        assert_eq!(who_gets(&mut switch, "c", &frame(ALL, B, 0)), ["a", "b"], "now it is there");
        assert_eq!(who_gets(&mut switch, "a", &frame(B, A, 0)), ["c"]);
        switch.set_weather(Weather { keep_entries: true, ..Weather::default() });
        who_gets(&mut switch, "b", &frame(ALL, B, 0));
        assert_eq!(who_gets(&mut switch, "a", &frame(B, A, 0)), ["c"], "the old entry is kept");
        switch.blocked = vec![(Some("a".into()), None)];
        assert!(who_gets(&mut switch, "a", &frame(ALL, A, 0)).is_empty());
        assert_eq!(who_gets(&mut switch, "b", &frame(ALL, B, 0)), ["a", "c"]);
        assert!(who_gets(&mut switch, "a", &[1, 2, 3]).is_empty(), "no frame at all");
    }

    #[test]
    fn the_first_announcements_of_each_address_are_lost_where_it_is_meant() {
        let mut switch = Forwarder::default();
        let weather = Weather { announcements: 2, towards: vec!["b".into()], ..Weather::default() };
        switch.set_weather(weather);
        for last in [9, 10] {
            for wanted in [&["c"][..], &["c"], &["b", "c"], &["b", "c"]] {
                assert_eq!(who_gets(&mut switch, "a", &announcement(A, last)), wanted);
            }
        }
        // A question about another address and an answer to one are no announcements.
        let mut question = announcement(A, 9);
        question[41] = 11;
        switch.set_weather(Weather { announcements: u32::MAX, ..Weather::default() });
        assert_eq!(who_gets(&mut switch, "a", &question), ["b", "c"]);
        assert!(who_gets(&mut switch, "a", &announcement(A, 9)).is_empty());
        let mut told = vec![0_u8; 86];
        told[..6].copy_from_slice(&[0x33, 0x33, 0, 0, 0, 1]);
        told[6..14].copy_from_slice(&[2, 0, 0, 0, 0, 1, 0x86, 0xdd]);
        (told[20], told[54], told[77]) = (58, 136, 9);
        assert_eq!(announced(&told), Some(Ipv6Addr::from(9_u128).into()));
        assert!(who_gets(&mut switch, "a", &told).is_empty());
        for end in 0..told.len().min(78) {
            assert_eq!(announced(&told[..end]), None);
        }
    }

    #[test]
    fn frames_are_held_back_overtaken_and_lost_as_the_seed_says() {
        let now = Instant::now();
        let mut switch = Forwarder::default();
        switch.set_weather(Weather { delay_ms: 20, ..Weather::default() });
        switch.arrive("a", &frame(ALL, A, 1), &ports(), now);
        assert!(switch.due(now + Duration::from_millis(19)).is_empty());
        assert_eq!(switch.next_due(), Some(now + Duration::from_millis(20)));
        assert_eq!(switch.due(now + Duration::from_millis(20)).len(), 2);
        let run = |weather: Weather| -> Vec<u8> {
            let mut switch = Forwarder::default();
            switch.set_weather(weather);
            for word in 0..100 {
                switch.arrive("a", &frame(ALL, A, word), &ports()[..2], now + Duration::from_millis(u64::from(word)));
            }
            switch.due(now + Duration::from_secs(1)).iter().map(|(_, frame)| frame[14]).collect()
        };
        let in_order: Vec<u8> = (0..100).collect();
        assert_eq!(run(Weather::default()), in_order);
        let lost = run(Weather { loss_percent: 30, seed: 7, ..Weather::default() });
        assert!((50..90).contains(&lost.len()), "{}", lost.len());
        assert_eq!(lost, run(Weather { loss_percent: 30, seed: 7, ..Weather::default() }), "the same seed, the same loss");
        let mut overtaken = run(Weather { reorder_percent: 30, seed: 7, ..Weather::default() });
        assert_ne!(overtaken, in_order);
        overtaken.sort_unstable();
        assert_eq!(overtaken, in_order, "none is lost");
    }
}
