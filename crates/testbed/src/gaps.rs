//! How long an interface received nothing: its packet counter, read every half millisecond.

use anyhow::{Context, Result, bail};
use std::{
    fs,
    time::{Duration, Instant},
};

/// Between two looks at the counter, and so how exact a gap is.
const PAUSE: Duration = Duration::from_micros(500);

/// The longest time within `time` without a packet received on `interface`; what lies before the first packet and after the last
/// one does not count.
///
/// # Errors
/// There is no such interface, or it received less than two packets.
pub fn longest(interface: &str, time: Duration) -> Result<Duration> {
    let begin = Instant::now();
    let (mut count, mut last, mut longest) = (received(interface)?, None, None);
    while begin.elapsed() < time {
        std::thread::sleep(PAUSE);
        let (now, seen) = (Instant::now(), received(interface)?);
        if seen != count {
            count = seen;
            let gap = last.map(|last| now.duration_since(last));
            longest = longest.max(gap);
            last = Some(now);
        }
    }
    longest.with_context(|| format!("{interface} received less than two packets"))
}

fn received(interface: &str) -> Result<u64> {
    let table = fs::read_to_string("/proc/net/dev").context("cannot read /proc/net/dev")?;
    let line = table.lines().find_map(|line| line.trim_start().strip_prefix(interface)?.strip_prefix(':'));
    let Some(line) = line else { bail!("there is no interface {interface}") };
    let packets = line.split_whitespace().nth(1).and_then(|word| word.parse().ok());
    packets.with_context(|| format!("/proc/net/dev says nothing of {interface}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn the_longest_pause_between_packets_is_seen() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("socket");
        let target = socket.local_addr().expect("address");
        let sender = std::thread::spawn(move || {
            for pause in [20, 20, 120, 20, 20] {
                std::thread::sleep(Duration::from_millis(pause));
                socket.send_to(b"x", target).expect("sent");
            }
        });
        // Others use this interface too, so there is only an upper bound.
        let longest = longest("lo", Duration::from_millis(300)).expect("packets");
        sender.join().expect("sender");
        assert!(longest > Duration::ZERO && longest < Duration::from_millis(300), "{longest:?}");
        let said = super::longest("nosuch0", Duration::ZERO).map(drop);
        assert!(said.is_err());
    }
}
