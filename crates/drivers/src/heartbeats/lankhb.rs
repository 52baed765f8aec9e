//! lankhb: heartbeats that go on while user space is starved (UDP, port 29006 by default).
//!
//! Runs on a thread with real-time priority and locked memory instead of in the kernel: the same promise under load, and
//! the path's note says so. Its sending half is as good as the thread that calls `send`, which is of the same kind.

use super::{Sink, udp};
use clp_sys::realtime;
use std::{io, net::IpAddr};

/// What the status says about the form of this path.
const FORM: &str = "real-time thread with locked memory, not in the kernel";

/// Opens the path as [`super::lanhb::open`] does, and raises its receiving thread to real-time priority. Where that is
/// not allowed the path works at ordinary priority and its note says why.
///
/// # Errors
/// As [`super::lanhb::open`].
pub fn open(
    path: usize,
    my_address: IpAddr,
    port: u16,
    peers: &[Option<IpAddr>],
    sink: Sink,
) -> io::Result<super::lanhb::UdpPath> {
    udp::open(udp::Opening { kind: "lankhb", path, my_address, port, peers, sink, prepare: become_realtime })
}

fn become_realtime() -> Option<String> {
    let raised = realtime::lock_memory().and_then(|()| realtime::promote_this_thread(realtime::HEARTBEAT_PRIORITY));
    Some(match raised {
        Ok(()) => FORM.to_string(),
        Err(error) => format!("ordinary priority: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Transport;
    use super::super::tests_support::{Inbox, until};
    use super::*;
    use std::{
        net::UdpSocket,
        sync::atomic::{AtomicBool, Ordering},
    };

    /// Frames arrive while strangers flood the port, and the flood does not cost the priority.
    #[test]
    fn a_flood_of_datagrams_does_not_cost_the_priority() {
        let (here, there): (IpAddr, IpAddr) = ("127.0.0.21".parse().expect("address"), "127.0.0.22".parse().expect("address"));
        let (inbox, sink) = Inbox::new();
        let first = open(0, here, 39006, &[None, Some(there)], sink).expect("first");
        until("the note is there", || first.note().is_some());
        if first.note().as_deref() != Some(FORM) {
            println!("skipped: {:?}", first.note());
            return;
        }
        let mut second = open(0, there, 39006, &[Some(here)], Inbox::new().1).expect("second");
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let flood = UdpSocket::bind("127.0.0.29:0").expect("socket");
                let _ = (0..100_000)
                    .take_while(|_| !stop.load(Ordering::Relaxed))
                    .filter(|_| flood.send_to(&[9; 60], "127.0.0.21:39006").is_ok())
                    .count();
            });
            for number in 0..20_u8 {
                until("a frame arrives within the flood", || {
                    let _ = second.send(0, &[number]);
                    inbox.any(|received| received.bytes == [number])
                });
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert!(!realtime::has_been_demoted());
    }
}
