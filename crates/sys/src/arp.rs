//! ARP on one interface: who answers for an address, and announcing that it is here now (RFC 826, RFC 5227).

#![allow(
    unsafe_code,
    reason = "link-layer socket addresses have no safe constructor; a received buffer is uninitialised where nothing was received"
)]

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, Socket, Type};

/// A hardware address.
pub type Mac = [u8; 6];

/// A hardware address as people write it.
pub fn mac_words(mac: &Mac) -> String {
    mac.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// Somebody else said that it has an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Which address.
    pub address: IpAddr,
    /// Hardware address of whoever said so.
    pub mac: Mac,
}

const FRAME: usize = 42;
/// Of a longer message, of ARP or of neighbour discovery, only so much is read.
const MESSAGE_MAX: usize = 256;
/// Frames that a socket's buffer may hold; more than that arrive only in a flood.
const WAITING_MAX: usize = 4096;
const BROADCAST: Mac = [0xff; 6];
const REQUEST: u8 = 1;
const REPLY: u8 = 2;

/// Name of an interface by its number.
///
/// # Errors
/// There is no such interface.
pub fn interface_name(index: u32) -> io::Result<String> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    Ok(rustix::net::netdevice::index_to_name(&socket, index)?)
}

/// Hardware address of an interface.
///
/// # Errors
/// No such interface, or none of Ethernet's kind.
pub fn own_mac(name: &str) -> io::Result<Mac> {
    let text = std::fs::read_to_string(format!("/sys/class/net/{name}/address")).or_else(|_| link_address(name))?;
    let bytes: Vec<u8> = text.trim().split(':').filter_map(|part| u8::from_str_radix(part, 16).ok()).collect();
    bytes.try_into().map_err(|_| io::Error::other(format!("interface {name} has no Ethernet address")))
}

/// Hardware addresses of all interfaces of the calling thread's network namespace that have one.
///
/// # Errors
/// `/proc` is not mounted.
pub fn own_macs() -> io::Result<Vec<Mac>> {
    let table = std::fs::read_to_string("/proc/thread-self/net/dev")?;
    let names = table.lines().filter_map(|line| Some(line.split_once(':')?.0.trim()));
    Ok(names.filter_map(|name| parse_mac(&link_address(name).ok()?).ok()).filter(|mac| *mac != [0; 6]).collect())
}

/// By ioctl, where `/sys` shows another namespace.
fn link_address(name: &str) -> io::Result<String> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    // SAFETY: ifreq is plain data for which zero is valid; the kernel fills it during the call.
    let mac = unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        for (place, byte) in request.ifr_name.iter_mut().zip(name.bytes().take(15)) {
            *place = byte as libc::c_char;
        }
        if libc::ioctl(std::os::fd::AsRawFd::as_raw_fd(&socket), libc::SIOCGIFHWADDR as _, &mut request) != 0 {
            return Err(io::Error::last_os_error());
        }
        request.ifr_ifru.ifru_hwaddr.sa_data
    };
    Ok(mac[..6].iter().map(|byte| format!("{:02x}", *byte as u8)).collect::<Vec<_>>().join(":"))
}

/// A socket for ARP on one interface. Closing one waits for a grace period of the kernel (tens of milliseconds), so it should
/// not be dropped while somebody waits for an address.
#[derive(Debug)]
pub struct Arp {
    socket: Socket,
    address: SockAddr,
    mac: Mac,
}

impl Arp {
    /// Open it.
    ///
    /// # Errors
    /// Not root, or no such interface.
    pub fn open(interface: u32) -> io::Result<Arp> {
        let name = interface_name(interface)?;
        // Without a protocol until it is bound: changing one that receives already waits for a grace period of the kernel,
        // tens of milliseconds of an outage.
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0)))?;
        let address = link_socket_address(interface);
        socket.bind(&address)?;
        Ok(Arp {
            socket,
            address,
            mac: link_address(&name)
                .or_else(|_| own_mac(&name).map(|m| m.map(|b| format!("{b:02x}")).join(":")))
                .and_then(|t| parse_mac(&t))?,
        })
    }

    /// Our own hardware address.
    pub fn mac(&self) -> Mac {
        self.mac
    }

    fn send(&self, operation: u8, sender: Ipv4Addr, target_mac: Mac, target: Ipv4Addr) -> io::Result<()> {
        let mut frame = [0u8; FRAME];
        frame[..6].copy_from_slice(&BROADCAST);
        frame[6..12].copy_from_slice(&self.mac);
        frame[12..22].copy_from_slice(&[0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, operation]);
        frame[22..28].copy_from_slice(&self.mac);
        frame[28..32].copy_from_slice(&sender.octets());
        frame[32..38].copy_from_slice(&target_mac);
        frame[38..42].copy_from_slice(&target.octets());
        self.socket.send_to(&frame, &self.address).map(drop)
    }

    /// Tell everybody that the address is here: as a request and as a reply, since some listen to one only.
    ///
    /// # Errors
    /// The interface is down.
    pub fn announce(&self, address: Ipv4Addr) -> io::Result<()> {
        self.send(REQUEST, address, [0; 6], address)?;
        self.send(REPLY, address, BROADCAST, address)
    }

    /// Ask who has the address, without claiming it.
    ///
    /// # Errors
    /// The interface is down.
    pub fn ask(&self, address: Ipv4Addr) -> io::Result<()> {
        self.send(REQUEST, Ipv4Addr::UNSPECIFIED, [0; 6], address)
    }

    /// Forget what arrived before now.
    fn drain(&self) {
        let mut buffer = [MaybeUninit::<u8>::uninit(); 128];
        for _ in 0..WAITING_MAX {
            if self.socket.recv_with_flags(&mut buffer, libc::MSG_DONTWAIT).is_err() {
                return;
            }
        }
    }

    /// The next claim of another machine that has arrived or arrives within `wait`; zero: that has arrived. Who only asks and
    /// has no address yet (RFC 5227, probe) claims nothing.
    ///
    /// # Errors
    /// The interface is down.
    pub fn heard(&self, wait: Duration) -> io::Result<Option<Claim>> {
        next_claim(&self.socket, wait, |frame| claim_of(frame).filter(|claim| claim.mac != self.mac))
    }

    /// Ask who has the address, without claiming it: the first other hardware address that answers within `wait`. The
    /// question is repeated, since one frame may be lost. What arrived before the question is no answer.
    ///
    /// # Errors
    /// The interface is down.
    pub fn holder(&self, address: Ipv4Addr, wait: Duration) -> io::Result<Option<Mac>> {
        self.holder_besides(address, wait, &[])
    }

    /// As [`Arp::holder`] for an address that is here: answers of `own` interfaces do not count. Another interface of
    /// this machine on the same LAN hears the question and answers it too.
    ///
    /// # Errors
    /// The interface is down.
    pub fn holder_besides(&self, address: Ipv4Addr, wait: Duration, own: &[Mac]) -> io::Result<Option<Mac>> {
        self.drain();
        let claimed = repeat_question(
            wait,
            || self.ask(address),
            |pause| self.heard(pause),
            |claim| claim.address == address && !own.contains(&claim.mac),
        )?;
        Ok(claimed.map(|claim| claim.mac))
    }
}

impl AsFd for Arp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What a frame claims: nothing, unless it is of ARP and its sender has an address.
fn claim_of(frame: &[u8]) -> Option<Claim> {
    if frame.len() < FRAME || frame[12..14] != [0x08, 0x06] {
        return None;
    }
    let sender: [u8; 4] = frame[28..32].try_into().ok()?;
    (sender != [0; 4]).then_some(Claim { address: Ipv4Addr::from(sender).into(), mac: frame[22..28].try_into().ok()? })
}

/// The next claim that has arrived on a socket or arrives within `wait`; zero: that has arrived. What claims nothing is passed over.
pub(crate) fn next_claim(
    socket: &Socket,
    wait: Duration,
    claim_of: impl Fn(&[u8]) -> Option<Claim>,
) -> io::Result<Option<Claim>> {
    let until = Instant::now() + wait;
    let mut buffer = [MaybeUninit::<u8>::uninit(); MESSAGE_MAX];
    loop {
        let flags = match until.saturating_duration_since(Instant::now()) {
            Duration::ZERO => libc::MSG_DONTWAIT,
            rest => {
                socket.set_read_timeout(Some(rest.max(Duration::from_millis(1))))?;
                0
            }
        };
        match socket.recv_with_flags(&mut buffer, flags) {
            Ok(length) => {
                // SAFETY: the kernel initialised the first `length` bytes.
                let message: Vec<u8> = buffer[..length].iter().map(|byte| unsafe { byte.assume_init() }).collect();
                if let Some(claim) = claim_of(&message) {
                    return Ok(Some(claim));
                }
            }
            Err(cause) if matches!(cause.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                if flags != 0 && Instant::now() < until {
                    continue;
                }
                return Ok(None);
            }
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
}

/// Questions of one search: an answer or a question may be lost.
const QUESTIONS: u32 = 3;

/// Ask [`QUESTIONS`] times within `wait` until a claim fits.
pub(crate) fn repeat_question(
    wait: Duration,
    ask: impl Fn() -> io::Result<()>,
    heard: impl Fn(Duration) -> io::Result<Option<Claim>>,
    fits: impl Fn(&Claim) -> bool,
) -> io::Result<Option<Claim>> {
    let until = Instant::now() + wait;
    let mut next = Instant::now();
    loop {
        let now = Instant::now();
        if now >= until {
            return Ok(None);
        }
        if now >= next {
            ask()?;
            next = now + wait / QUESTIONS;
        }
        if let Some(claim) = heard(next.min(until).saturating_duration_since(now))?.filter(&fits) {
            return Ok(Some(claim));
        }
    }
}

fn parse_mac(text: &str) -> io::Result<Mac> {
    let bytes: Vec<u8> = text.trim().split(':').filter_map(|part| u8::from_str_radix(part, 16).ok()).collect();
    bytes.try_into().map_err(|_| io::Error::other("no Ethernet address"))
}

fn link_socket_address(interface: u32) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: sockaddr_ll is plain data and smaller than the storage that it is written into.
    unsafe {
        let link = storage.view_as::<libc::sockaddr_ll>();
        link.sll_family = libc::AF_PACKET as u16;
        link.sll_protocol = u16::to_be(0x0806);
        link.sll_ifindex = i32::try_from(interface).unwrap_or(0);
        link.sll_halen = 6;
        link.sll_addr[..6].copy_from_slice(&BROADCAST);
        SockAddr::new(storage, libc::socklen_t::try_from(std::mem::size_of::<libc::sockaddr_ll>()).unwrap_or(0))
    }
}
