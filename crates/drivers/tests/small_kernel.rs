//! A disk that takes SCSI commands, in a small kernel of its own (user-mode Linux with scsi_debug): what this machine's kernel
//! may lack, and where nothing of the machine can be harmed. The small kernel sees the machine's files read-only.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use clp_config::{document::Document, schema::resources::fip::Fip};
use clp_drivers::{
    addresses::proof::{Sight, Witness, look},
    monitors::{
        MonitorDriver,
        diskw::{Diskw, Method},
    },
    resources::{Context, Outcome, ResourceDriver, Status, fip::FipDriver},
};
use clp_small_kernel::SmallKernel;

// S-MON-DISKW
#[test]
fn a_disk_is_asked_whether_it_is_ready() {
    let needed = [
        "crc64",
        "crc64_rocksoft_generic",
        "crc64-rocksoft",
        "t10-pi",
        "scsi_common",
        "scsi_mod",
        "sd_mod",
        "scsi_debug dev_size_mb=8",
    ];
    SmallKernel::of("a_disk_is_asked_whether_it_is_ready").modules(&needed).run(disk_inside);
}

/// What a floating address needs of VLAN and bond interfaces: an Ethernet address, ARP, and the neighbours' tables.
#[test]
fn a_floating_address_is_used_on_a_vlan_and_on_a_bond_and_found_when_its_active_port_fails() {
    let needed = ["veth", "crc-ccitt", "ipv6", "llc", "stp", "bridge", "garp", "mrp", "8021q", "bonding max_bonds=0"];
    let test = "a_floating_address_is_used_on_a_vlan_and_on_a_bond_and_found_when_its_active_port_fails";
    SmallKernel::of(test).modules(&needed).run(addresses_inside);
}

fn disk_inside() {
    let limit = Duration::from_secs(5);
    let disk = Path::new("/dev/sda");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !disk.exists() {
        assert!(Instant::now() < deadline, "there is no {}", disk.display());
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut monitor = Diskw::new(Method::Tur, Some(disk.into()), None, 512).unwrap();
    monitor.check(limit).unwrap_or_else(|failed| panic!("not ready: {failed}"));
    // The disk tells once, instead of an answer, that something about it changed.
    fs::write("/sys/bus/pseudo/drivers/scsi_debug/virtual_gb", "1\n").unwrap();
    monitor.check(limit).unwrap_or_else(|failed| panic!("not ready after a change: {failed}"));
    let state = Path::new("/sys/block/sda/device/state");
    fs::write(state, "offline\n").unwrap();
    let failed = monitor.check(limit).unwrap_err();
    assert!(failed.what.contains("/dev/sda is not ready"), "{failed}");
    println!("offline: {failed}");
    fs::write(state, "running\n").unwrap();
    monitor.check(limit).unwrap_or_else(|failed| panic!("not ready again: {failed}"));
    // From now on no command is answered.
    fs::write("/sys/bus/pseudo/drivers/scsi_debug/every_nth", "-1\n").unwrap();
    fs::write("/sys/bus/pseudo/drivers/scsi_debug/opts", "4\n").unwrap();
    let begin = Instant::now();
    let failed = monitor.check(Duration::from_secs(1)).unwrap_err();
    println!("dropped: {failed}");
    assert!(begin.elapsed() < Duration::from_secs(20), "{failed}");
}

fn sh(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_string()
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn fip(ip: &str) -> FipDriver {
    let xml = format!("<?xml version=\"1.0\"?><root><parameters><ip>{ip}</ip></parameters></root>");
    let document = Document::read(xml.as_bytes()).unwrap();
    let mut problems = Vec::new();
    let parameters = Fip::read(document.root(), "fip1", &[], &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    FipDriver::new(parameters)
}

/// Another machine: a VLAN on one cable, a bridge behind the two of the bond.
const CABLES: &str = "ip link set lo up
ip link add a0 type veth peer name b0 netns FAR && ip link add c0 type veth peer name c1 netns FAR
ip link add d0 type veth peer name d1 netns FAR && ip link add link a0 name eth0.100 type vlan id 100
ip link add bond0 type bond mode active-backup miimon 50 && ip link set c0 master bond0 && ip link set d0 master bond0
for name in a0 eth0.100 bond0; do ip link set $name up; done
ip addr add 10.9.0.1/24 dev eth0.100 && ip addr add 10.8.0.1/24 dev bond0
nsenter --net=/proc/FAR/ns/net sh -e -c 'ip link add link b0 name b0.100 type vlan id 100; ip link add br0 type bridge
for name in c1 d1; do ip link set $name master br0; done
for name in b0 b0.100 c1 d1 br0; do ip link set $name up; done
ip addr add 10.9.0.2/24 dev b0.100; ip addr add 10.8.0.2/24 dev br0'";

fn addresses_inside() {
    let mut far = Command::new("unshare").args(["-n", "sleep", "300"]).spawn().unwrap();
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    let there = format!("/proc/{}/ns/net", far.id());
    until("the other machine has a network", || fs::read_link(&there).is_ok_and(|link| link != own));
    sh(&CABLES.replace("FAR", &far.id().to_string()));
    let on_far = |line: &str| sh(&format!("nsenter --net={there} sh -c '{line}'"));
    let answers = |address: &str| on_far(&format!("ping -c 1 -W 2 {address} >/dev/null 2>&1 && echo yes || echo no")) == "yes";
    until("the ways are open", || answers("10.9.0.1") && answers("10.8.0.1"));
    let context = Context { server: "server1".into(), ..Context::default() };
    for (net, interface, theirs) in [(9, "eth0.100", "b0.100"), (8, "bond0", "br0")] {
        let address = format!("10.{net}.0.12");
        let driver = fip(&format!("{address}%{interface}"));
        on_far(&format!("ip neigh replace {address} lladdr 02:00:00:00:00:99 dev {theirs} nud stale"));
        assert_eq!(driver.activate(&context), Ok(Outcome::Changed));
        assert!(sh(&format!("ip addr show dev {interface}")).contains(&format!("{address}/24")));
        until("the other machine was told", || !on_far(&format!("ip neigh show {address}")).contains("02:00:00:00:00:99"));
        assert!(answers(&address));
        let witnesses = [Witness { name: "far".into(), address: [10, net, 0, 2].into() }];
        let seen = look(address.parse().unwrap(), None, &witnesses, Duration::from_secs(2)).unwrap();
        assert_eq!(seen, [Sight::Seen]);
        on_far(&format!("ip addr add 10.{net}.0.13/24 dev {theirs}"));
        let error = fip(&format!("10.{net}.0.13%{interface}")).activate(&context).unwrap_err().to_string();
        assert!(error.contains(&format!("address 10.{net}.0.13 is in use by")), "{error}");
        println!("{interface}: {error}");
    }
    // The bond goes on over its other port, and the address with it.
    let active = || fs::read_to_string("/sys/class/net/bond0/bonding/active_slave").unwrap().trim().to_string();
    let before = active();
    on_far(&format!("ip link set {} down", before.replace('0', "1")));
    until("the other port is active", || active() != before && !active().is_empty());
    until("the address answers over it", || answers("10.8.0.12"));
    for driver in [fip("10.9.0.12%eth0.100"), fip("10.8.0.12%bond0")] {
        assert_eq!(driver.status(&context), Status::Online);
        assert_eq!(driver.deactivate(&context), Ok(Outcome::Changed));
    }
    assert!(!answers("10.8.0.12"));
    far.kill().unwrap();
    far.wait().unwrap();
}
