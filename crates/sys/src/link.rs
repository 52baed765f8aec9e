//! The kernel's news about network interfaces, and whether an interface has a carrier now.
//!
//! News can be lost: the kernel drops them when the socket's buffer is full and says so (overrun). The caller then reads
//! the state again; so every kind of news here only means "look". State is asked over netlink, not sysfs, whose content
//! belongs to the network namespace it was mounted in.

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{LinkAttribute, LinkFlags, LinkMessage},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    time::Duration,
};
use thiserror::Error;

/// `RTMGRP_LINK` of include/uapi/linux/rtnetlink.h.
const LINK_GROUP: u32 = 1;
/// `RTMGRP_IPV6_IFADDR` there.
const ADDRESS_V6_GROUP: u32 = 0x100;
/// How long the kernel may take to answer a question; it answers within the call.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// The state of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// Set up and connected.
    Up,
    /// Set up, but the cable, the switch port or the other end is gone.
    NoCarrier,
    /// Set down by an administrator.
    SetDown,
}

/// Why the state of an interface is not known.
#[derive(Debug, Error)]
pub enum LinkError {
    /// No interface of that name.
    #[error("there is no network interface {0}; name one that `ip link` shows")]
    NoInterface(String),
    /// The kernel could not be asked.
    #[error("cannot ask the kernel about the network interface {interface}: {cause}; check the kernel log")]
    Kernel {
        /// The interface.
        interface: String,
        /// What went wrong.
        #[source]
        cause: io::Error,
    },
}

/// Asks the kernel whether `interface` has a carrier now.
///
/// # Errors
/// See [`LinkError`].
pub fn carrier(interface: &str) -> Result<Carrier, LinkError> {
    let failed = |cause| LinkError::Kernel { interface: interface.to_string(), cause };
    let mut socket = Socket::new(NETLINK_ROUTE).map_err(failed)?;
    socket.bind_auto().map_err(failed)?;
    let mut question = LinkMessage::default();
    question.attributes.push(LinkAttribute::IfName(interface.to_string()));
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(RouteNetlinkMessage::GetLink(question)));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send_to(&bytes, &SocketAddr::new(0, 0), 0).map_err(failed)?;
    if !wait_readable(socket.as_fd(), ANSWER_LIMIT).map_err(failed)? {
        return Err(failed(io::ErrorKind::TimedOut.into()));
    }
    let (answer, _) = socket.recv_from_full().map_err(failed)?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer)
        .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error.to_string())))?;
    match answer.payload {
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => Ok(carrier_of(link.header.flags)),
        NetlinkPayload::Error(error) => {
            let cause = error.to_io();
            if cause.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error()) {
                Err(LinkError::NoInterface(interface.to_string()))
            } else {
                Err(failed(cause))
            }
        }
        _ => Err(failed(io::Error::new(io::ErrorKind::InvalidData, "an answer to another question"))),
    }
}

fn carrier_of(flags: LinkFlags) -> Carrier {
    if !flags.contains(LinkFlags::Up) {
        Carrier::SetDown
    } else if flags.contains(LinkFlags::LowerUp) {
        Carrier::Up
    } else {
        Carrier::NoCarrier
    }
}

/// What a wait for news ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// Nothing happened in the time.
    None,
    /// Some interface changed; read the state of those that matter.
    Changed,
    /// News were lost; read the state of all that matter.
    Overrun,
}

/// A subscription to changes of interfaces in this network namespace.
#[derive(Debug)]
pub struct LinkNews {
    socket: Socket,
}

impl LinkNews {
    /// Subscribes; changes from now on are told.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn subscribe() -> io::Result<LinkNews> {
        Self::of(LINK_GROUP)
    }

    /// Subscribes to changes of the interfaces' IPv6 addresses instead, the end of a duplicate address detection among them.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn of_addresses_v6() -> io::Result<LinkNews> {
        Self::of(ADDRESS_V6_GROUP)
    }

    fn of(groups: u32) -> io::Result<LinkNews> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, groups))?;
        socket.set_non_blocking(true)?;
        Ok(LinkNews { socket })
    }

    /// Waits at most `time` for news and takes all that have come.
    ///
    /// # Errors
    /// The kernel's answer; a full buffer is not an error but [`News::Overrun`].
    pub fn wait(&mut self, time: Duration) -> io::Result<News> {
        if !wait_readable(self.socket.as_fd(), time)? {
            return Ok(News::None);
        }
        let mut news = News::None;
        loop {
            match self.socket.recv_from_full() {
                Ok(_) if news == News::None => news = News::Changed,
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error()) => news = News::Overrun,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(news),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsRawFd for LinkNews {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for LinkNews {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Puts the calling thread, and processes it starts, into a new network namespace that ends with them. For tests.
///
/// # Errors
/// Not root.
#[allow(unsafe_code, reason = "unshare can be unsound for file descriptors and signals, but not for the network")]
pub fn isolate_this_thread() -> io::Result<()> {
    // SAFETY: a new network namespace changes neither the file descriptor table nor anything of another thread.
    Ok(unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }?)
}

fn wait_readable(descriptor: BorrowedFd<'_>, time: Duration) -> io::Result<bool> {
    let time = Timespec { tv_sec: time.as_secs() as _, tv_nsec: time.subsec_nanos() as _ };
    match poll(&mut [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)], Some(&time)) {
        Ok(count) => Ok(count > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{process::Command, time::Instant};

    #[test]
    fn loopback_is_known_and_an_unknown_name_is_named() {
        assert!(matches!(carrier("lo"), Ok(Carrier::Up | Carrier::SetDown)));
        assert!(matches!(carrier("nosuchif0"), Err(LinkError::NoInterface(name)) if name == "nosuchif0"));
    }

    /// Runs in a thread with a network namespace of its own, which ends with the thread.
    #[test]
    fn a_pulled_cable_is_told_and_seen() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        let test = std::thread::spawn(|| {
            isolate_this_thread().expect("own network namespace");
            let ip =
                |words: &str| assert!(Command::new("ip").args(words.split(' ')).status().expect("ip").success(), "ip {words}");
            ip("link add a0 type veth peer name b0");
            ip("link set a0 up");
            ip("link set b0 up");
            let mut news = LinkNews::subscribe().expect("subscription");
            let mut until = |wanted: Carrier| {
                let deadline = Instant::now() + Duration::from_secs(5);
                while carrier("a0").expect("a0") != wanted {
                    assert!(Instant::now() < deadline, "a0 never became {wanted:?}");
                    let _ = news.wait(Duration::from_millis(200)).expect("news");
                }
            };
            until(Carrier::Up);
            ip("link set b0 down");
            until(Carrier::NoCarrier);
            ip("link set a0 down");
            until(Carrier::SetDown);
            assert_eq!(news.wait(Duration::from_secs(5)).map(|_| ()).ok(), Some(()));
        });
        test.join().expect("the thread's assertions");
    }
}
