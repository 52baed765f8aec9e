//! Floating addresses on a network of two machines.

use super::*;
use clp_config::schema::resources::fip::Fip;

/// The other machine of a network of two: a namespace at the far end of a cable.
struct Neighbour(Child);

impl Neighbour {
    fn connected() -> Neighbour {
        let other = Neighbour(Command::new("unshare").args(["--net", "sleep", "120"]).spawn().expect("neighbour"));
        let pid = other.0.id();
        let own = std::fs::read_link("/proc/self/ns/net").expect("own namespace");
        until("the neighbour has its namespace", || {
            std::fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|theirs| theirs != own)
        });
        sh(&format!("ip link add near type veth peer name far && ip link set far netns {pid}"));
        sh(
            "sysctl -qw net.ipv6.conf.near.dad_transmits=1; ip addr add 10.9.0.1/24 dev near && ip addr add fd09::1/64 dev near nodad; \
            ip link set lo up; ip link set near up",
        );
        other.sh("ip addr add 10.9.0.2/24 dev far && ip addr add fd09::2/64 dev far nodad; ip link set far up");
        until("the cable has a carrier", || sh("ip link show near").contains("state UP"));
        other
    }

    fn sh(&self, command: &str) -> String {
        sh(&format!("nsenter -t {} -n sh -c '{command}'", self.0.id()))
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn fip(ip: &str) -> fip::FipDriver {
    fip::FipDriver::new(section(
        |e, problems| Fip::read(e, "fip1", &[], problems),
        &format!("<parameters><ip>{ip}</ip></parameters>"),
    ))
}

// S-RSC-FIP
#[test]
fn a_floating_address_answers_while_it_is_active_and_only_then() {
    isolated("addresses::a_floating_address_answers_while_it_is_active_and_only_then", || {
        let other = Neighbour::connected();
        let place = tempfile::tempdir().expect("place");
        let context = context(place.path(), "fip1");
        for (driver, address) in [(fip("10.9.0.12%near"), "10.9.0.12"), (fip("fd09::12"), "fd09::12")] {
            let answers = format!("ping -c 1 -W 1 {address} >/dev/null 2>&1 && echo yes || echo no");
            assert_eq!(driver.activate(&context), Ok(Outcome::Changed));
            assert_eq!(driver.activate(&context), Ok(Outcome::AlreadyDone));
            assert_eq!(driver.status(&context), Status::Online);
            assert!(sh("ip addr show near").contains(&format!("{address}/{}", if address.contains(':') { 64 } else { 24 })));
            assert_eq!(other.sh(&answers), "yes");
            assert_eq!(driver.emergency(&context), Ok(Outcome::Changed));
            assert_eq!(driver.deactivate(&context), Ok(Outcome::AlreadyDone));
            assert_eq!(driver.status(&context), Status::Offline);
            assert_eq!(other.sh(&answers), "no");
        }
    });
}

/// Names of VLAN and bond interfaces are names; the small kernel has real ones (`tests/small_kernel.rs`).
#[test]
fn an_address_goes_to_the_interface_that_is_named_and_the_neighbours_hear_of_it() {
    isolated("addresses::an_address_goes_to_the_interface_that_is_named_and_the_neighbours_hear_of_it", || {
        let other = Neighbour::connected();
        sh(
            "ip link set near down; ip link set near name near0.100; ip link set near0.100 up; ip addr add fd09::1/64 dev near0.100 nodad || true",
        );
        sh(
            "ip link add bond0 type veth peer name end0; ip link set end0 up; ip link set bond0 up; ip addr add 10.9.0.3/24 dev bond0",
        );
        until("the cable has a carrier", || sh("ip link show near0.100").contains("state UP"));
        let place = tempfile::tempdir().expect("place");
        let context = Context { owner_known: true, ..context(place.path(), "fip1") };
        for (address, interface, length) in
            [("10.9.0.12", "near0.100", 24), ("10.9.0.13", "bond0", 24), ("fd09::12", "near0.100", 64)]
        {
            let driver = fip(&format!("{address}%{interface}"));
            // An entry that nothing but an announcement puts right.
            if interface == "near0.100" {
                other.sh(&format!("ip neigh replace {address} lladdr 02:00:00:00:00:99 dev far nud stale"));
            }
            assert_eq!(driver.activate(&context), Ok(Outcome::Changed));
            let shown = sh(&format!("ip addr show dev {interface}"));
            assert!(shown.contains(&format!("{address}/{length}")), "{shown}");
            if interface == "near0.100" {
                until("the neighbour was told", || !other.sh(&format!("ip neigh show {address}")).contains("02:00:00:00:00:99"));
            }
            driver.deactivate(&context).expect("removed");
        }
    });
}

/// Many at one moment: each gets its own outcome, and all are gone again.
#[test]
fn many_addresses_come_and_go_together() {
    isolated("addresses::many_addresses_come_and_go_together", || {
        let _other = Neighbour::connected();
        let place = tempfile::tempdir().expect("place");
        let context = Context { owner_known: true, ..context(place.path(), "fip1") };
        let drivers: Vec<_> = (20..120).map(|last| fip(&format!("10.9.0.{last}"))).collect();
        let all = |act: &(dyn Fn(&fip::FipDriver) -> Result<Outcome, ResourceError> + Sync), wanted: Outcome| {
            std::thread::scope(|scope| {
                let threads: Vec<_> = drivers.iter().map(|driver| scope.spawn(move || act(driver))).collect();
                threads.into_iter().for_each(|thread| assert_eq!(thread.join().expect("no panic"), Ok(wanted)));
            });
        };
        all(&|driver| driver.activate(&context), Outcome::Changed);
        assert!(drivers.iter().all(|driver| driver.status(&context) == Status::Online));
        all(&|driver| driver.activate(&context), Outcome::AlreadyDone);
        all(&|driver| driver.emergency(&context), Outcome::Changed);
        all(&|driver| driver.deactivate(&context), Outcome::AlreadyDone);
        assert!(drivers.iter().all(|driver| driver.status(&context) == Status::Offline));
    });
}

// S-RSC-FIP-DUP
#[test]
fn an_address_that_another_machine_has_is_found_and_not_added() {
    isolated("addresses::an_address_that_another_machine_has_is_found_and_not_added", || {
        let other = Neighbour::connected();
        let place = tempfile::tempdir().expect("place");
        let context = context(place.path(), "fip1");
        other.sh("ip addr add 10.9.0.12/24 dev far; ip addr add fd09::12/64 dev far nodad");
        let mac = other.sh("ip -o link show far");
        let mac = mac.split("link/ether ").nth(1).and_then(|rest| rest.split(' ').next()).expect("an address").to_string();
        // In a planned move nobody is asked before; of IPv6 the kernel asks all the same.
        let moved = Context { owner_known: true, ..context.clone() };
        for (address, context) in [("10.9.0.12", &context), ("fd09::12", &context), ("fd09::12", &moved)] {
            let driver = fip(address);
            let error = driver.activate(context).expect_err("duplicate").to_string();
            assert!(error.contains(&format!("address {address} is in use by {mac}")), "{error}");
            assert_eq!(driver.status(context), Status::Offline);
        }
        assert!(fip("10.9.0.13%nothing").activate(&context).expect_err("no interface").to_string().contains("interface nothing"));
        assert!(
            fip("172.30.0.1").activate(&context).expect_err("no network").to_string().contains("no interface of this server")
        );
    });
}
