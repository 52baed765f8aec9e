//! lanhb: heartbeats over an interconnect LAN (UDP, port 29002 by default), which also carry cluster communication.

pub use super::udp::UdpPath;
use super::{Sink, udp};
use clp_sys::realtime;
use std::{io, net::IpAddr};

/// Opens the path number `path` from `my_address` to the `peers`, listed by server index; `None` where a server has no
/// address on this interconnect (and for this server itself). Works as soon as the address is there.
///
/// # Errors
/// No thread could be started. Everything about the network shows in the status instead.
pub fn open(path: usize, my_address: IpAddr, port: u16, peers: &[Option<IpAddr>], sink: Sink) -> io::Result<UdpPath> {
    udp::open(udp::Opening { kind: "lanhb", path, my_address, port, peers, sink, prepare: become_realtime })
}

/// The receiving thread waits on nothing else, so it may go before all others; the path works without.
fn become_realtime() -> Option<String> {
    realtime::promote_this_thread(realtime::HEARTBEAT_PRIORITY).err().map(|error| format!("ordinary priority: {error}"))
}

#[cfg(test)]
mod tests {
    use super::super::tests_support::{Inbox, in_own_network, ip, until};
    use super::super::{PathStatus, Transport};
    use super::*;

    /// Frames arrive, from known servers only.
    #[test]
    fn frames_arrive_from_known_servers_only() {
        let addresses: Vec<IpAddr> =
            ["127.0.0.11", "127.0.0.12", "127.0.0.13"].iter().map(|text| text.parse().expect("address")).collect();
        let (inbox, sink) = Inbox::new();
        let peers = [None, Some(addresses[1]), None];
        let first = open(4, addresses[0], 39002, &peers, sink).expect("first");
        let to_first = [Some(addresses[0]), None, None];
        let mut second = open(0, addresses[1], 39002, &to_first, Inbox::new().1).expect("second");
        let mut stranger = open(0, addresses[2], 39002, &to_first, Inbox::new().1).expect("stranger");
        until("the stranger can send", || stranger.send(0, b"let me in").is_ok());
        until("a frame arrives", || {
            let _ = second.send(0, b"alive");
            inbox.any(|received| received.bytes == b"alive" && received.path == 4)
        });
        assert!(!inbox.any(|received| received.bytes == b"let me in"));
        assert!(first.dropped().strangers >= 1, "the stranger is counted");
        assert!(second.send(2, b"x").is_err(), "no address for that server");
        assert!(second.send(0, &[0; super::super::LAN_MAX + 1]).is_err(), "too long");
        until("the longest frame arrives", || {
            let _ = second.send(0, &[7; super::super::LAN_MAX]);
            inbox.any(|received| received.bytes.len() == super::super::LAN_MAX)
        });
    }

    #[test]
    fn a_path_works_again_when_its_interface_does() {
        in_own_network(|| {
            ip("link set lo up");
            ip("link add a0 type veth peer name b0");
            let (here, there): (IpAddr, IpAddr) =
                ("192.168.7.1".parse().expect("address"), "192.168.7.2".parse().expect("address"));
            // The other end lies in a namespace of its own, or the kernel would deliver locally.
            let (inbox, sink) = Inbox::new();
            let (ready, is_ready) = std::sync::mpsc::channel();
            let (finish, finished) = std::sync::mpsc::channel::<()>();
            let other = std::thread::spawn(move || {
                in_own_network(move || {
                    ready.send(rustix::thread::gettid().as_raw_nonzero().get()).expect("told");
                    until("the cable arrives", || {
                        std::process::Command::new("ip")
                            .args(["link", "set", "b0", "up"])
                            .output()
                            .is_ok_and(|out| out.status.success())
                    });
                    ip("address add 192.168.7.2/24 dev b0");
                    let _second = open(0, there, 39003, &[Some(here)], sink.clone()).expect("second");
                    let _ = finished.recv();
                });
            });
            let thread = is_ready.recv().expect("the other end");
            ip(&format!("link set b0 netns {thread}"));
            let mut first = open(0, here, 39003, &[None, Some(there)], Inbox::new().1).expect("first");
            until("sending without the address fails and shows", || {
                first.send(1, b"early").is_err()
                    && matches!(first.status(), PathStatus::Failed(text) if text.contains("192.168.7.2"))
            });
            ip("address add 192.168.7.1/24 dev a0");
            ip("link set a0 up");
            until("frames arrive once the address is there", || {
                let _ = first.send(1, b"first");
                inbox.any(|received| received.bytes == b"first")
            });
            assert_eq!(first.status(), PathStatus::Working);
            ip("link set a0 down");
            until("sending fails while it is down", || first.send(1, b"down").is_err());
            ip("link set a0 up");
            until("frames arrive again", || {
                let _ = first.send(1, b"again");
                inbox.any(|received| received.bytes == b"again")
            });
            finish.send(()).expect("finish");
            other.join().expect("the other end");
        });
    }
}
