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
    /// Between two looks at its targets while nobody asks.
    interval: Duration,
    /// How long an answer is waited for: all its tries, and no longer than the safety sum allows.
    limit: Duration,
    next_look: Instant,
}

/// Whether the targets answer, and in words; None where this server does not use the method.
type Seen = Option<(bool, String)>;

/// The thread that asks.
pub struct Asker {
    questions: Sender<u64>,
}

impl Asker {
    /// None when no partition resolution is configured for this server.
    pub fn start(configuration: &Configuration, me: ServerId, timing: &Timing, inputs: Sender<Input>) -> Option<Asker> {
        let server = &configuration.servers[me.index()];
        let mut methods = Vec::new();
        for partition in &configuration.partitions {
            let PartitionKind::Pingnp(pingnp) = &partition.kind;
            if !server.uses(partition.device) {
                methods.push(None);
                continue;
            }
            let groups = pingnp.groups.iter().map(|group| group.iter().filter_map(|ip| ip.parse().ok()).collect()).collect();
            let limit = (pingnp.timeout * pingnp.retry).min(timing.arbiter);
            methods.push(Some(Method { groups, interval: pingnp.interval, limit, next_look: Instant::now() }));
        }
        if methods.iter().all(Option::is_none) {
            return None;
        }
        let (questions, asked) = channel::<u64>();
        std::thread::spawn(move || {
            let mut seen: Vec<Seen> = vec![None; methods.len()];
            loop {
                let next_look = methods.iter().flatten().map(|method| method.next_look).min().unwrap_or_else(Instant::now);
                match asked.recv_timeout(next_look.saturating_duration_since(Instant::now())) {
                    Ok(ask) => {
                        seen = methods.iter().map(|method| method.as_ref().map(Method::look)).collect();
                        let yes = seen.iter().flatten().all(|(reachable, _)| *reachable);
                        // While questions come there is no time for looks of their own; the answers show as well.
                        let _ = inputs.send(Input::PartitionSeen(seen.clone()));
                        let reason = seen.iter().flatten().map(|(_, words)| words.as_str()).collect::<Vec<_>>().join("; ");
                        if inputs.send(Input::Event(Event::Verdict { ask, yes, reason })).is_err() {
                            return;
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        for (method, seen) in methods.iter_mut().zip(&mut seen) {
                            if let Some(method) = method.as_mut().filter(|method| method.next_look <= Instant::now()) {
                                method.next_look = Instant::now() + method.interval;
                                *seen = Some(method.look());
                            }
                        }
                        if inputs.send(Input::PartitionSeen(seen.clone())).is_err() {
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

impl Method {
    fn look(&self) -> (bool, String) {
        let verdict = ping::ask(&self.groups, self.limit);
        (verdict.may_go_on(), verdict.to_string())
    }
}
