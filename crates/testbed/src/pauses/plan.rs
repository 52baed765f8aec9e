//! The stops of a pause run: each is a pure function of the seed and its number.

use std::time::Duration;

use crate::chance::Chance;
use crate::pauses::ground::SERVERS;

/// Shortest and longest stop in seconds; lengths are spread evenly over their logarithms.
const SHORTEST: f64 = 0.1;
const LONGEST: f64 = 60.0;
/// Longest time in milliseconds from a cluster that is well to a stop.
const MOMENT_MS: u64 = 2000;

/// One stop of a whole server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stop {
    /// How long after all was well.
    pub after: Duration,
    /// How long it stands still.
    pub length: Duration,
    /// Whoever has the group; else the server with [`Stop::server`]'s number.
    pub is_owner: bool,
    /// A number of a server.
    pub server: u32,
    /// Its kernel stands still with it and answers nothing, as a virtual machine's; else it goes on answering for the addresses.
    pub is_silent: bool,
}

impl Stop {
    /// That stop of a seed.
    pub fn of(seed: u64, number: u32) -> Stop {
        let mut chance = Chance::of(seed, u64::from(number) << 32 | 0x5041_5553);
        Stop {
            after: Duration::from_millis(chance.below(MOMENT_MS)),
            length: Duration::from_secs_f64(SHORTEST * (LONGEST / SHORTEST).powf(chance.part())),
            is_owner: chance.below(3) > 0,
            server: 1 + chance.below(u64::from(SERVERS)) as u32,
            is_silent: chance.below(4) > 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_spread_evenly_over_their_logarithms_and_every_server_stops() {
        let stops: Vec<Stop> = (1..=1000).map(|number| Stop::of(1, number)).collect();
        let within = |from: f64, to: f64| stops.iter().filter(|stop| (from..to).contains(&stop.length.as_secs_f64())).count();
        for (from, to) in [(0.1, 0.36), (0.36, 1.29), (1.29, 4.64), (4.64, 16.7), (16.7, 60.1)] {
            assert!((150..250).contains(&within(from, to)), "{from} to {to}: {}", within(from, to));
        }
        assert_eq!(Stop::of(7, 3), Stop::of(7, 3));
        for server in 1..=SERVERS {
            assert!(stops.iter().any(|stop| !stop.is_owner && stop.server == server));
        }
    }
}
