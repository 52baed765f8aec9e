//! A switch as a thread of the bench: each port is a TAP interface whose other end is here, so that every frame can be lost, held
//! back or kept to an old port. Slower than the kernel's bridge: figures of speed are taken with that one.
//!
//! `forward` decides about frames and does no input or output; this carries them.

use anyhow::{Context, Result};
use clp_sys::tap::Tap;
use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    fd::OwnedFd,
};
use std::{
    collections::BTreeMap,
    fs::File,
    os::fd::AsFd,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use crate::{forward::Forwarder, options::Weather, tools::hold};

/// Longest frame: an Ethernet header, a VLAN tag and the usual 1500 bytes, with room.
const FRAME_MAX: usize = 2048;
/// Frames taken from one port before the others have their turn.
const FRAMES_AT_ONCE: usize = 64;

/// A switch; it ends with the process.
pub struct Switch {
    state: Arc<Mutex<State>>,
    /// Written when ports change, for the thread waits at those it knows.
    changed: Arc<OwnedFd>,
}

struct State {
    ports: BTreeMap<String, Arc<Tap>>,
    forwarder: Forwarder,
}

impl Switch {
    /// A switch without ports.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn new(name: &str) -> Result<Switch> {
        let state = Arc::new(Mutex::new(State { ports: BTreeMap::new(), forwarder: Forwarder::default() }));
        let changed = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (state_there, changed_there) = (state.clone(), changed.clone());
        std::thread::Builder::new()
            .name(format!("switch {name}"))
            .spawn(move || carry(&state_there, &changed_there))
            .context("cannot start a thread")?;
        Ok(Switch { state, changed })
    }

    /// Makes the interface `interface` in a network namespace and plugs it into the port `port`.
    ///
    /// # Errors
    /// No `/dev/net/tun`, or the kernel refuses.
    pub fn plug(&self, port: &str, namespace: &str, interface: &str) -> Result<()> {
        let tap = tap_in(namespace, interface)
            .with_context(|| format!("cannot make the interface {interface} of {port} (is there /dev/net/tun?)"))?;
        hold(&self.state).ports.insert(port.to_string(), Arc::new(tap));
        self.tell();
        Ok(())
    }

    /// Takes a port away, and its interface with it. Absent is well, too.
    pub fn unplug(&self, port: &str) {
        hold(&self.state).ports.remove(port);
        self.tell();
    }

    /// Gives a port its carrier or takes it.
    pub fn set_carrier(&self, port: &str, up: bool) {
        if let Some(tap) = hold(&self.state).ports.get(port) {
            // An interface that went with its namespace needs none.
            let _ = tap.set_carrier(up);
        }
    }

    /// From which port to which nothing passes; None: from all, or to all.
    pub fn set_blocked(&self, blocked: Vec<(Option<String>, Option<String>)>) {
        hold(&self.state).forwarder.blocked = blocked;
    }

    /// What happens to frames from now on.
    pub fn set_weather(&self, weather: Weather) {
        hold(&self.state).forwarder.set_weather(weather);
    }

    fn tell(&self) {
        let _ = rustix::io::write(&*self.changed, &1_u64.to_ne_bytes());
    }
}

/// Makes an interface there; a thread of its own goes, so that this one stays where it is.
fn tap_in(namespace: &str, interface: &str) -> Result<Tap> {
    std::thread::scope(|scope| {
        let made = scope.spawn(|| -> Result<Tap> {
            let there = File::open(namespace)?;
            rustix::thread::move_into_link_name_space(there.as_fd(), Some(rustix::thread::LinkNameSpaceType::Network))?;
            Ok(Tap::create(interface)?)
        });
        made.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the thread that makes it panicked")))
    })
}

fn carry(state: &Mutex<State>, changed: &OwnedFd) {
    let mut frame = [0_u8; FRAME_MAX];
    loop {
        let (ports, next) = {
            let state = hold(state);
            let ports: Vec<(String, Arc<Tap>)> = state.ports.iter().map(|(name, tap)| (name.clone(), tap.clone())).collect();
            (ports, state.forwarder.next_due())
        };
        let mut wanted: Vec<PollFd> = vec![PollFd::new(changed, PollFlags::IN)];
        wanted.extend(ports.iter().map(|(_, tap)| PollFd::from_borrowed_fd(tap.as_fd(), PollFlags::IN)));
        let wait = next.map(|at| at.saturating_duration_since(Instant::now()));
        let wait = wait.map(|wait: Duration| Timespec { tv_sec: wait.as_secs() as _, tv_nsec: wait.subsec_nanos() as _ });
        let _ = poll(&mut wanted, wait.as_ref());
        let ready: Vec<bool> = wanted.iter().map(|wanted| !wanted.revents().is_empty()).collect();
        if ready[0] {
            let _ = rustix::io::read(changed, &mut [0_u8; 8][..]);
        }
        for ((name, tap), _) in ports.iter().zip(&ready[1..]).filter(|(_, ready)| **ready) {
            for _ in 0..FRAMES_AT_ONCE {
                match tap.read(&mut frame) {
                    Ok(length) => {
                        let mut state = hold(state);
                        let known: Vec<String> = state.ports.keys().cloned().collect();
                        state.forwarder.arrive(name, &frame[..length], &known, Instant::now());
                    }
                    Err(cause) if cause.kind() == std::io::ErrorKind::WouldBlock => break,
                    Err(_) => {
                        // It went with its namespace; one that was plugged in anew meanwhile stays.
                        let mut state = hold(state);
                        if state.ports.get(name).is_some_and(|there| Arc::ptr_eq(there, tap)) {
                            state.ports.remove(name);
                        }
                        break;
                    }
                }
            }
        }
        let mut state = hold(state);
        for (port, frame) in state.forwarder.due(Instant::now()) {
            if let Some(tap) = state.ports.get(&port) {
                // An interface that is down takes nothing, as a card that is off.
                let _ = tap.write(&frame);
            }
        }
    }
}
