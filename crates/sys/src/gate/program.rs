//! The gate's program: a few dozen instructions of the kernel's own machine (eBPF), written down here one by one so that no
//! compiler for it is needed. One for what comes in, one for what goes out of an interface.
//!
//! ```text
//!  which address does this packet serve?   in: IP destination    out: IP source, ARP sender, target of a neighbour advertisement
//!  not in `addresses`                      ──► next filter
//!  in it, and the clock is before `lease`  ──► next filter
//!  in it, and not                          ──► drop
//! ```
//!
//! What asks for an address (ARP, neighbour solicitation) is let in: the answer does not get out, and a second holder is heard.
//! Instruction set: Documentation/bpf/standardization/instruction-set.rst; helpers: include/uapi/linux/bpf.h.

use std::os::fd::RawFd;

/// Which way packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    In,
    Out,
}

/// One instruction, as the kernel takes it (`struct bpf_insn`).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// Where a jump goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label {
    Pass,
    Drop,
    Judge,
    V6,
    Arp,
}

// Helpers.
const MAP_LOOKUP: i32 = 1;
const LOAD_BYTES_RELATIVE: i32 = 68;
const KTIME_BOOT: i32 = 125;
/// `BPF_HDR_START_NET`.
const FROM_NETWORK_HEADER: i32 = 1;

// Verdicts of a filter: the next one decides, or the packet is gone.
const ACT_UNSPEC: i32 = -1;
const ACT_SHOT: i32 = 2;

/// `offsetof(struct __sk_buff, protocol)`.
const PROTOCOL: i16 = 16;
const ETHERTYPE_V4: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_V6: u16 = 0x86dd;

// Places in headers, from the network header on.
const V4_SOURCE: i32 = 12;
const V4_DESTINATION: i32 = 16;
/// Sender's protocol address of ARP over Ethernet.
const ARP_SENDER: i32 = 14;
const V6_NEXT_HEADER: i32 = 6;
const V6_SOURCE: i32 = 8;
const V6_DESTINATION: i32 = 24;
const ICMP6_TYPE: i32 = 40;
const ICMP6_TARGET: i32 = 48;
const NEXT_IS_ICMP6: i32 = 58;
const ADVERTISEMENT: i32 = 136;

// Places on the stack: the key of `addresses`, that of `lease`, a byte that was read.
const KEY: i16 = -16;
const KEY_V4: i16 = -4;
const ZERO: i16 = -20;
const BYTE: i16 = -24;

#[derive(Default)]
struct Assembler {
    code: Vec<Instruction>,
    jumps: Vec<(usize, Label)>,
    labels: Vec<(Label, usize)>,
}

impl Assembler {
    fn put(&mut self, code: u8, to: u8, from: u8, offset: i16, immediate: i32) {
        self.code.push(Instruction { code, registers: to | from << 4, offset, immediate });
    }

    fn copy(&mut self, to: u8, from: u8) {
        self.put(0xbf, to, from, 0, 0);
    }

    fn set(&mut self, to: u8, value: i32) {
        self.put(0xb7, to, 0, 0, value);
    }

    fn add(&mut self, to: u8, value: i32) {
        self.put(0x07, to, 0, 0, value);
    }

    /// `to` = 32 bits at `from` + `offset`.
    fn load_word(&mut self, to: u8, from: u8, offset: i16) {
        self.put(0x61, to, from, offset, 0);
    }

    fn load_byte(&mut self, to: u8, from: u8, offset: i16) {
        self.put(0x71, to, from, offset, 0);
    }

    fn load_double(&mut self, to: u8, from: u8, offset: i16) {
        self.put(0x79, to, from, offset, 0);
    }

    /// 32 bits on the stack.
    fn store_word(&mut self, at: i16, value: i32) {
        self.put(0x62, 10, 0, at, value);
    }

    /// 64 bits on the stack.
    fn store_double(&mut self, at: i16, value: i32) {
        self.put(0x7a, 10, 0, at, value);
    }

    fn map(&mut self, to: u8, map: RawFd) {
        const IS_MAP: u8 = 1;
        self.put(0x18, to, IS_MAP, 0, map);
        self.put(0, 0, 0, 0, 0);
    }

    fn call(&mut self, helper: i32) {
        self.put(0x85, 0, 0, 0, helper);
    }

    fn exit(&mut self) {
        self.put(0x95, 0, 0, 0, 0);
    }

    fn jump(&mut self, code: u8, one: u8, other: u8, value: i32, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.put(code, one, other, 0, value);
    }

    fn go(&mut self, to: Label) {
        self.jump(0x05, 0, 0, 0, to);
    }

    fn if_equal(&mut self, register: u8, value: i32, to: Label) {
        self.jump(0x15, register, 0, value, to);
    }

    fn if_not_equal(&mut self, register: u8, value: i32, to: Label) {
        self.jump(0x55, register, 0, value, to);
    }

    /// Unsigned, of 64 bits.
    fn if_less(&mut self, one: u8, other: u8, to: Label) {
        self.jump(0xad, one, other, 0, to);
    }

    fn label(&mut self, label: Label) {
        self.labels.push((label, self.code.len()));
    }

    /// Bytes of the packet, from its network header on, to the stack; a packet that ends before serves no address.
    fn read(&mut self, from: i32, to: i16, length: i32) {
        self.copy(1, 6);
        self.set(2, from);
        self.copy(3, 10);
        self.add(3, i32::from(to));
        self.set(4, length);
        self.set(5, FROM_NETWORK_HEADER);
        self.call(LOAD_BYTES_RELATIVE);
        self.if_not_equal(0, 0, Label::Pass);
    }

    fn look_up(&mut self, map: RawFd, key: i16) {
        self.map(1, map);
        self.copy(2, 10);
        self.add(2, i32::from(key));
        self.call(MAP_LOOKUP);
    }

    fn finish(mut self) -> Vec<Instruction> {
        for (at, wanted) in self.jumps {
            let place = self.labels.iter().find(|(label, _)| *label == wanted).map_or(at, |(_, place)| *place);
            self.code[at].offset = i16::try_from(place as isize - at as isize - 1).unwrap_or(0);
        }
        self.code
    }
}

/// The program for one way, with its two maps.
pub(super) fn program(way: Way, addresses: RawFd, lease: RawFd) -> Vec<Instruction> {
    let network_order = |ethertype: u16| i32::from(ethertype.to_be());
    let mut a = Assembler::default();
    a.copy(6, 1);
    // An IPv4 address is kept as ::ffff:a.b.c.d.
    a.store_double(KEY, 0);
    a.store_word(KEY + 8, i32::from_ne_bytes([0, 0, 0xff, 0xff]));
    a.store_word(ZERO, 0);
    a.load_word(7, 6, PROTOCOL);
    a.if_equal(7, network_order(ETHERTYPE_V6), Label::V6);
    if way == Way::Out {
        a.if_equal(7, network_order(ETHERTYPE_ARP), Label::Arp);
    }
    a.if_not_equal(7, network_order(ETHERTYPE_V4), Label::Pass);
    a.read(if way == Way::In { V4_DESTINATION } else { V4_SOURCE }, KEY_V4, 4);
    a.go(Label::Judge);
    if way == Way::Out {
        a.label(Label::Arp);
        a.read(ARP_SENDER, KEY_V4, 4);
        a.go(Label::Judge);
    }
    a.label(Label::V6);
    if way == Way::Out {
        // An advertisement tells of its target, whatever its source is.
        a.read(V6_SOURCE, KEY, 16);
        a.read(V6_NEXT_HEADER, BYTE, 1);
        a.load_byte(7, 10, BYTE);
        a.if_not_equal(7, NEXT_IS_ICMP6, Label::Judge);
        a.read(ICMP6_TYPE, BYTE, 1);
        a.load_byte(7, 10, BYTE);
        a.if_not_equal(7, ADVERTISEMENT, Label::Judge);
        a.read(ICMP6_TARGET, KEY, 16);
    } else {
        a.read(V6_DESTINATION, KEY, 16);
    }
    a.label(Label::Judge);
    a.look_up(addresses, KEY);
    a.if_equal(0, 0, Label::Pass);
    a.look_up(lease, ZERO);
    a.if_equal(0, 0, Label::Drop);
    a.load_double(7, 0, 0);
    a.call(KTIME_BOOT);
    a.if_less(0, 7, Label::Pass);
    a.label(Label::Drop);
    a.set(0, ACT_SHOT);
    a.exit();
    a.label(Label::Pass);
    a.set(0, ACT_UNSPEC);
    a.exit();
    a.finish()
}
