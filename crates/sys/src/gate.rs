//! The kernel's gate before addresses: packets from and to an address pass only while a lease lasts that its owner renews.
//!
//! Two programs on the interfaces (`gate/program.rs`) look at a table of addresses and at one number, the end of the lease on the clock
//! that counts suspended time. The number is a word of memory that this process shares with the kernel: renewing is storing it,
//! and what was stored stays true however late it was stored. Whoever holds the lease and stands still, dies, or is not given the
//! processor is silent from that moment on without anybody doing anything; the programs stay on the interfaces when their process
//! has gone, until [`sweep`]. Who may renew is decided elsewhere.
//!
//! The programs are filters of the queueing discipline `clsact` (tc-bpf(8)) in the first place, with a handle of their own. A
//! filter of somebody else is neither changed nor removed, and decides on all that the gate lets pass.

#![allow(unsafe_code, reason = "a page that is shared with the kernel is a pointer")]

mod bpf;
mod program;

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoPortKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use netlink_packet_route::tc::{
    TcAttribute, TcBpfFlags, TcFilterBpf, TcFilterBpfOption, TcHandle, TcMessage, TcOption, TcU32OptionFlags,
};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use thiserror::Error;

use crate::netlink::{converse, list_whole};
use program::Way;

/// Addresses that one server can have behind its gate.
const ADDRESSES_MAX: u32 = 4096;
/// Length of the page that holds the number; the kernel gives whole pages.
const PAGE: usize = 4096;
/// Place of the filters among others of an interface: before all.
const PLACE: u32 = 1;
/// `ETH_P_ALL`.
const EVERY_PROTOCOL: u16 = 3;
/// Handle of the filters: "MSTG".
const HANDLE: u32 = 0x4d53_5447;

/// Why there is no gate.
#[derive(Debug, Error)]
pub enum GateError {
    /// The kernel makes no map or loads no program.
    #[error(
        "the kernel takes no packet program (bpf): {0}; it needs Linux 5.8 with CONFIG_BPF_SYSCALL, and a root that may load them"
    )]
    Bpf(#[source] io::Error),
    /// The number cannot be shared.
    #[error("the lease cannot be shared with the kernel: {0}")]
    Page(#[source] io::Error),
    /// Interfaces are not listed.
    #[error("the kernel does not list its interfaces: {0}")]
    Links(#[source] io::Error),
}

/// An interface that has no gate, and why.
#[derive(Debug)]
pub struct Ungated {
    /// Its number.
    pub interface: u32,
    /// What the kernel said.
    pub cause: io::Error,
}

/// The gate of this process.
#[derive(Debug)]
pub struct Gate {
    addresses: OwnedFd,
    /// The page is mapped as long as this lives.
    lease: NonNull<AtomicU64>,
    programs: [(Way, OwnedFd); 2],
}

// SAFETY: the page is an atomic number that stays mapped until the gate is dropped; everything else are descriptors.
unsafe impl Send for Gate {}
// SAFETY: as above.
unsafe impl Sync for Gate {}

impl Gate {
    /// Maps and programs, on no interface yet; no address is held, and the lease is over.
    ///
    /// # Errors
    /// See [`GateError`].
    pub fn build() -> Result<Gate, GateError> {
        let addresses = bpf::table(ADDRESSES_MAX).map_err(GateError::Bpf)?;
        let number = bpf::number().map_err(GateError::Bpf)?;
        let load = |way| bpf::load(&program::program(way, addresses.as_raw_fd(), number.as_raw_fd())).map_err(GateError::Bpf);
        let programs = [(Way::In, load(Way::In)?), (Way::Out, load(Way::Out)?)];
        // SAFETY: a fresh mapping at an address that the kernel chooses.
        let page = unsafe {
            mmap(std::ptr::null_mut(), PAGE, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &number, 0)
                .map_err(|cause| GateError::Page(cause.into()))?
        };
        let lease = NonNull::new(page.cast()).ok_or(GateError::Page(io::ErrorKind::OutOfMemory.into()))?;
        Ok(Gate { addresses, lease, programs })
    }

    /// From now on the address is served only while the lease lasts.
    ///
    /// # Errors
    /// There are too many.
    pub fn hold(&self, address: IpAddr) -> io::Result<()> {
        bpf::put(&self.addresses, &key(address))
    }

    /// The address is no concern of the gate any more: it is not here.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn release(&self, address: IpAddr) -> io::Result<()> {
        bpf::take(&self.addresses, &key(address))
    }

    /// The lease lasts until then, on the clock of [`crate::clock::now`]; earlier than before ends it earlier.
    pub fn lease(&self, until: Duration) {
        // SAFETY: mapped and aligned for as long as `self` lives; the kernel reads it as one number of 64 bits, too.
        let number = unsafe { self.lease.as_ref() };
        number.store(u64::try_from(until.as_nanos()).unwrap_or(u64::MAX), Ordering::Release);
    }

    /// See to it that the programs are on every interface that can carry an address, without touching what is there: those that
    /// came later get them, and those from which somebody took them. Those that could not get them are told.
    ///
    /// # Errors
    /// The interfaces are not known.
    pub fn cover(&self) -> Result<Vec<Ungated>, GateError> {
        self.attach(NLM_F_CREATE | NLM_F_EXCL)
    }

    /// The same, in place of the programs of an earlier life: no packet passes between them.
    ///
    /// # Errors
    /// The interfaces are not known.
    pub fn take_over(&self) -> Result<Vec<Ungated>, GateError> {
        self.attach(NLM_F_CREATE | NLM_F_REPLACE)
    }

    fn attach(&self, flags: u16) -> Result<Vec<Ungated>, GateError> {
        let mut ungated = Vec::new();
        for interface in interfaces().map_err(GateError::Links)? {
            let mut requests =
                vec![(RouteNetlinkMessage::NewQueueDiscipline(discipline(interface)), NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL)];
            for (way, program) in &self.programs {
                let filter = filter(interface, *way, Some(program));
                requests.push((RouteNetlinkMessage::NewTrafficFilter(filter), NLM_F_ACK | flags));
            }
            let mut refused = None;
            let told = converse(requests, |_, answer| match answer {
                Err(Some(cause)) if cause.raw_os_error() != Some(libc::EEXIST) => refused = Some(cause),
                _ => {}
            });
            let cause = told.err().or(refused);
            ungated.extend(cause.filter(is_no_absence).map(|cause| Ungated { interface, cause }));
        }
        Ok(ungated)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // SAFETY: mapped by `build` with this length, and nobody has a reference into it any more.
        let _ = unsafe { munmap(self.lease.as_ptr().cast(), PAGE) };
    }
}

/// Take the programs of any life off all interfaces. Addresses that are still here then answer without a lease.
///
/// # Errors
/// The interfaces are not known, or one of them keeps a program.
pub fn sweep() -> io::Result<()> {
    let mut refused = None;
    for interface in interfaces()? {
        let requests = [Way::In, Way::Out]
            .map(|way| (RouteNetlinkMessage::DelTrafficFilter(filter(interface, way, None)), NLM_F_ACK))
            .to_vec();
        converse(requests, |_, answer| match answer {
            // None there: no such filter, no such discipline (EINVAL: "parent qdisc doesn't exists"), no such interface.
            Err(Some(cause)) if is_no_absence(&cause) && cause.raw_os_error() != Some(libc::EINVAL) => refused = Some(cause),
            _ => {}
        })?;
    }
    refused.map_or(Ok(()), Err)
}

fn is_no_absence(cause: &io::Error) -> bool {
    !matches!(cause.raw_os_error(), Some(libc::ENODEV | libc::ENOENT | libc::ENXIO))
}

fn key(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// Interfaces whose packets are looked at: all but the loopback, and but the ports of bridges and bonds, which carry the packets
/// of others, and ours beside their master.
fn interfaces() -> io::Result<Vec<u32>> {
    let answers = list_whole(&RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
    let carriers = answers.into_iter().filter_map(|answer| {
        let RouteNetlinkMessage::NewLink(link) = answer else { return None };
        let is_port = link.attributes.iter().any(|attribute| match attribute {
            LinkAttribute::LinkInfo(infos) => infos.iter().any(is_port_of),
            _ => false,
        });
        (!link.header.flags.contains(LinkFlags::Loopback) && !is_port).then_some(link.header.index)
    });
    Ok(carriers.collect())
}

fn is_port_of(info: &LinkInfo) -> bool {
    match info {
        LinkInfo::PortKind(InfoPortKind::Bond | InfoPortKind::Bridge | InfoPortKind::Team) => true,
        LinkInfo::PortKind(InfoPortKind::Other(kind)) => kind == "openvswitch",
        _ => false,
    }
}

fn at(interface: u32) -> TcMessage {
    TcMessage::with_index(i32::try_from(interface).unwrap_or(0))
}

fn discipline(interface: u32) -> TcMessage {
    let mut message = at(interface);
    message.header.handle = TcHandle { major: u16::MAX, minor: 0 };
    message.header.parent = TcHandle::CLSACT;
    message.attributes.push(TcAttribute::Kind("clsact".into()));
    message
}

fn filter(interface: u32, way: Way, program: Option<&OwnedFd>) -> TcMessage {
    let mut message = at(interface);
    let minor = match way {
        Way::In => TcHandle::MIN_INGRESS,
        Way::Out => TcHandle::MIN_EGRESS,
    };
    message.header.parent = TcHandle { major: u16::MAX, minor };
    message.header.handle = TcHandle::from(HANDLE);
    message.header.info = PLACE << 16 | u32::from(EVERY_PROTOCOL.to_be());
    message.attributes.push(TcAttribute::Kind(TcFilterBpf::KIND.into()));
    if let Some(program) = program {
        message.attributes.push(TcAttribute::Options(vec![
            TcOption::Bpf(TcFilterBpfOption::ProgFd(program.as_raw_fd().unsigned_abs())),
            TcOption::Bpf(TcFilterBpfOption::ProgName(bpf::NAME.into())),
            TcOption::Bpf(TcFilterBpfOption::Flags(TcBpfFlags::DirectAction)),
            TcOption::Bpf(TcFilterBpfOption::FlagsGeneric(TcU32OptionFlags::SkipHw)),
        ]));
    }
    message
}
