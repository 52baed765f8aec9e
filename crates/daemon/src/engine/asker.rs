//! Asks the partition resolution's targets, off the loop: on demand when a server is in doubt, and periodically for showing.

use std::net::IpAddr;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use clp_config::{Configuration, PartitionKind};
use clp_core::event::Event;
use clp_core::ids::ServerId;
use clp_core::plan::Timing;
use clp_drivers::partition::ping;

use super::Input;

struct Method {
    groups: Vec<Vec<IpAddr>>,
    timeout: Duration,
}

/// The thread that asks.
pub struct Asker {
    questions: Sender<u64>,
}

impl Asker {
    /// None when no partition resolution is configured for this server.
    pub fn start(configuration: &Configuration, me: ServerId, timing: &Timing, inputs: Sender<Input>) -> Option<Asker> {
        let server = &configuration.servers[me.index()];
        let mut interval = Duration::MAX;
        let mut methods = Vec::new();
        for partition in &configuration.partitions {
            let PartitionKind::Pingnp(pingnp) = &partition.kind;
            if !server.uses(partition.device) {
                methods.push(None);
                continue;
            }
            interval = interval.min(pingnp.interval);
            let groups = pingnp.groups.iter().map(|group| group.iter().filter_map(|ip| ip.parse().ok()).collect()).collect();
            methods.push(Some(Method { groups, timeout: pingnp.timeout }));
        }
        if methods.iter().all(Option::is_none) {
            return None;
        }
        let bound = timing.arbiter;
        let (questions, asked) = channel::<u64>();
        std::thread::spawn(move || {
            let mut next_look = Instant::now();
            loop {
                match asked.recv_timeout(next_look.saturating_duration_since(Instant::now())) {
                    Ok(ask) => {
                        let seen = look(&methods, Some(bound));
                        let yes = seen.iter().flatten().all(|(reachable, _)| *reachable);
                        // While questions come there is no time for looks of their own; the answers show as well.
                        let _ = inputs.send(Input::PartitionSeen(seen.clone()));
                        let reason = seen.into_iter().flatten().map(|(_, words)| words).collect::<Vec<_>>().join("; ");
                        if inputs.send(Input::Event(Event::Verdict { ask, yes, reason })).is_err() {
                            return;
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        next_look = Instant::now() + interval;
                        if inputs.send(Input::PartitionSeen(look(&methods, Some(bound)))).is_err() {
                            return;
                        }
                    }
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        });
        Some(Asker { questions })
    }

    /// Ask now; the answer arrives as [`Event::Verdict`].
    pub fn ask(&self, ask: u64) {
        let _ = self.questions.send(ask);
    }
}

/// Each method's answer in the order of the configuration, None where this server does not use it; none is waited for longer than
/// the safety sum allows.
fn look(methods: &[Option<Method>], bound: Option<Duration>) -> Vec<Option<(bool, String)>> {
    methods
        .iter()
        .map(|method| {
            let method = method.as_ref()?;
            let limit = bound.map_or(method.timeout, |bound| bound.min(method.timeout));
            let verdict = ping::ask(&method.groups, limit);
            Some((verdict.may_go_on(), verdict.to_string()))
        })
        .collect()
}
