//! The safety sum (docs/safety.md): the times that follow from heartbeat interval and time-out.
//!
//! A row of the protocol's profile table gives its own values; other settings are derived in the same proportions.

use std::time::Duration;

use crate::configuration::{Cluster, Partition};

/// All times of the sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delays {
    /// T_x.
    pub right_timeout: Duration,
    /// Q.
    pub arbiter: Duration,
    /// K.
    pub watchdog_hold: Duration,
    /// W.
    pub watchdog: Duration,
    /// r: the watchdog's granularity and the reset itself.
    pub watchdog_grain: Duration,
    /// G: from the end of the right to the moment at which the kernel's gate closes.
    pub gate: Duration,
    /// D for groups without shared data, whose addresses are behind the lost server's gate; without one they wait for
    /// `takeover_data`, as its watchdog alone ends them.
    pub takeover_addresses: Duration,
    /// D for groups with shared data.
    pub takeover_data: Duration,
}

/// Intervals without an acknowledgement during which the watchdog is fed all the same.
const HOLD_INTERVALS: u32 = 5;
/// From the end of the gate's lease to the last packet: those on their way through the kernel and its queues.
const GATE_GRAIN: Duration = ms(2);
/// Clock drift that is allowed for, in millionths.
const DRIFT_PPM: u32 = 200;

const fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

/// Rows of the profile table: T_s up to this, T_x and K in hundredths of T_s, W and r.
const PROFILES: &[(Duration, u32, u32, Duration, Duration)] = &[
    (ms(200), 60, 40, ms(1000), ms(50)),
    (ms(2000), 60, 30, ms(1000), ms(100)),
    (ms(20_000), 60, 30, ms(2000), ms(500)),
    (Duration::MAX, 67, 33, ms(30_000), ms(5000)),
];

/// The times in force.
pub fn delays(cluster: &Cluster, partitions: &[Partition]) -> Delays {
    let timeout = cluster.heartbeat_timeout;
    let interval = cluster.heartbeat_interval;
    let row = PROFILES.iter().find(|row| timeout <= row.0).expect("the last row fits everything");
    let right_timeout = timeout * row.1 / 100;
    // The answer must be there before T_s, so that neither side of a cut is ahead of the other.
    let arbiter = timeout.saturating_sub(right_timeout).saturating_sub(interval).min(Duration::from_secs(3));
    // Where an arbiter cannot answer as fast, both sides wait for it, and D grows by as much.
    let answer_min = partitions.iter().filter_map(|partition| partition.kind.answer_min()).max();
    let arbiter = arbiter.max(answer_min.unwrap_or_default());
    // Not before a frame that is one interval late; and half of Q before everything is given up, so that a short pause ends without
    // harm.
    let gate = interval.min(arbiter / 2);
    // A lost frame or a slow path must not stop the feeding, and the soft stop must be over before the watchdog bites.
    let steady = (interval * HOLD_INTERVALS).min(right_timeout);
    let soft_stop = (row.3 / 4).min(Duration::from_secs(5));
    let watchdog_hold = (timeout * row.2 / 100).max(steady).max((right_timeout + arbiter + soft_stop).saturating_sub(row.3));
    // One interval until the frame after the last acknowledged one, one until the loss is evaluated.
    let reset = cluster.self_fence.unwrap_or(watchdog_hold + interval * 2 + row.3 + row.4);
    let given_up = right_timeout + interval + arbiter;
    let delay = |bound: Duration| (bound + bound * (2 * DRIFT_PPM) / 1_000_000).saturating_sub(timeout);
    Delays {
        right_timeout,
        arbiter,
        watchdog_hold,
        watchdog: row.3,
        watchdog_grain: row.4,
        gate,
        takeover_addresses: cluster.takeover_delay.unwrap_or(delay(right_timeout + gate + GATE_GRAIN)),
        takeover_data: cluster.takeover_delay.unwrap_or(delay(reset.max(given_up))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Document;
    use crate::problem::Problem;

    fn cluster(timeout: u64, interval: u64) -> Cluster {
        let text = format!(
            "<root><cluster><name>c</name><heartbeat><timeout>{timeout}</timeout><interval>{interval}</interval></heartbeat></cluster></root>"
        );
        let document = Document::read(text.as_bytes()).expect("well-formed");
        let mut problems: Vec<Problem> = Vec::new();
        Cluster::read(document.root(), &mut problems)
    }

    #[test]
    fn profiles_have_the_values_of_the_table() {
        let table = [
            (50, 10, 30, 5, 30, 1000, 0, 1050),
            (1000, 100, 600, 100, 500, 1000, 0, 800),
            (5000, 500, 3000, 500, 3000, 2000, 0, 1500),
            (90_000, 3000, 60_300, 1500, 38_300, 30_000, 0, 0),
        ];
        for (timeout, interval, right, gate, hold, watchdog, addresses, data) in table {
            let delays = delays(&cluster(timeout, interval), &[]);
            assert_eq!(delays.right_timeout, ms(right), "T_x of {timeout}");
            assert_eq!(delays.gate, ms(gate), "G of {timeout}");
            assert_eq!(delays.watchdog_hold, ms(hold), "K of {timeout}");
            assert_eq!(delays.watchdog, ms(watchdog), "W of {timeout}");
            assert_eq!(delays.takeover_addresses, ms(addresses), "D addresses of {timeout}");
            let difference = delays.takeover_data.abs_diff(ms(data));
            assert!(difference <= ms(10), "D data of {timeout}: {:?}", delays.takeover_data);
        }
    }

    #[test]
    fn an_arbiter_that_needs_longer_lengthens_the_takeover_delay() {
        use crate::configuration::{Etcdnp, Httpnp, PartitionKind};
        let witness = Httpnp { host: "10.0.0.9".into(), port: 1, interval: ms(1000) };
        let partition = Partition { name: "httpnp1".into(), kind: PartitionKind::Httpnp(witness), priority: 0, device: 10_700 };
        let etcd = Etcdnp { endpoints: String::new(), prefix: String::new(), tls: None, interval: ms(1000) };
        let etcd = Partition { kind: PartitionKind::Etcdnp(etcd), ..partition.clone() };
        let table = [
            (&partition, 50, 10, 200, 10),
            (&partition, 1000, 100, 300, 100),
            (&partition, 5000, 500, 1500, 500),
            (&etcd, 50, 10, 500, 10),
            (&etcd, 1000, 100, 500, 100),
            (&etcd, 5000, 500, 1500, 500),
        ];
        for (partition, timeout, interval, arbiter, gate) in table {
            let delays = delays(&cluster(timeout, interval), std::slice::from_ref(partition));
            assert_eq!((delays.arbiter, delays.gate), (ms(arbiter), ms(gate)), "{timeout}");
            // The sum: T_s + D is not less than what the other side needs; addresses wait for its gate alone.
            let bound = delays.right_timeout + ms(interval) + delays.arbiter;
            assert!(ms(timeout) + delays.takeover_data >= bound, "{timeout}");
            assert!(ms(timeout) + delays.takeover_addresses >= delays.right_timeout + delays.gate + GATE_GRAIN, "{timeout}");
        }
    }
}
