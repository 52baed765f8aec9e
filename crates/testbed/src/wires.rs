//! The switches: a network namespace of the lab's own with a bridge for each net, no uplink and no default route; or, where
//! it is asked for, the bench's own switches (`switch`), then the namespace is the gateway's alone.
//!
//! Each server has one port on each switch, the client one on public. A whole cut sets the port down (the server loses
//! its carrier); all others drop packets in the switch, below every process of the server.

use anyhow::{Context, Result, bail};
use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::Mutex,
    time::Duration,
};

use crate::{
    options::{Cut, Net, SwitchKind, Weather},
    switch::Switch,
    tools::{hold, run_with_input, succeeds, wait_until},
};

/// Where the client lives on public.
pub const CLIENT_ADDRESS: &str = "10.0.0.100";
/// The public net of version 6, up to the host's number, which reads as that of version 4.
pub const NET_V6: &str = "fd00:10::";
/// The client's port on public.
const CLIENT: &str = "clientport";
/// The gateway's port on the bench's own switches.
const GATEWAY: &str = "gateway";
/// Servers from which each knows the others' cards from the start: the kernel has one table of neighbours for all namespaces, and
/// 1024 places in it for those that are asked for (`net.ipv4.neigh.default.gc_thresh3`).
const CROWD: u32 = 16;
/// How long a new namespace may take.
const NAMESPACE_LIMIT: Duration = Duration::from_secs(5);

/// A network namespace that lives as long as the process in it: an `ip` that carries out what is written to it.
///
/// The process ends when the bench does, for its standard input then ends; so nothing is left behind.
struct Namespace {
    keeper: Child,
    /// A way to give an order to the kernel without starting a program first.
    orders: Mutex<ChildStdin>,
}

impl Namespace {
    fn new(pid_file: &Path, log: &Path) -> Result<Namespace> {
        let log = File::options().append(true).create(true).open(log)?;
        let mut keeper = Command::new("unshare")
            .args(["--net", "ip", "-force", "-batch", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("cannot run unshare (package util-linux)")?;
        let orders = Mutex::new(keeper.stdin.take().context("the keeper of a namespace has no standard input")?);
        let own = fs::read_link("/proc/self/ns/net")?;
        let new = format!("/proc/{}/ns/net", keeper.id());
        wait_until("a network namespace", NAMESPACE_LIMIT, || fs::read_link(&new).is_ok_and(|link| link != own))?;
        fs::write(pid_file, keeper.id().to_string())?;
        Ok(Namespace { keeper, orders })
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.keeper.id())
    }

    fn ip(&self, orders: &str) -> Result<()> {
        ip_in(&self.path(), orders)
    }

    /// Gives orders without waiting for their end, which is some ten microseconds away.
    fn at_once(&self, orders: &str) -> Result<()> {
        let mut input = hold(&self.orders);
        input.write_all(orders.as_bytes()).context("the keeper of the switches has ended")?;
        input.flush().context("the keeper of the switches has ended")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

fn ip_in(namespace: &str, orders: &str) -> Result<()> {
    run_with_input(&["nsenter", &format!("--net={namespace}"), "ip", "-batch", "-"], orders)?;
    Ok(())
}

/// The lab's switches, its client, and what is cut.
pub struct Wires {
    /// Of the kernel's bridges, and of the gateway.
    switch: Namespace,
    /// The bench's own switches for public and interconnect, where it has them.
    own: Option<[Switch; 2]>,
    /// Kept for its namespace.
    _client: Namespace,
    servers: u32,
    cuts: Mutex<Vec<Cut>>,
}

impl Wires {
    /// Makes the switches with their ping targets and the client; servers are plugged in when they boot.
    ///
    /// # Errors
    /// A tool is missing or the kernel refuses.
    pub fn new(switch_pid: &Path, client_pid: &Path, log: &Path, servers: u32, kind: SwitchKind) -> Result<Wires> {
        let switch = Namespace::new(switch_pid, log)?;
        let client = Namespace::new(client_pid, log)?;
        let own = match kind {
            SwitchKind::Kernel => None,
            SwitchKind::User => Some([Switch::new("public")?, Switch::new("interconnect")?]),
        };
        let mut orders = String::from("link set lo up\n");
        for (at, (bridge, address)) in [("public", "10.0.0.254/24"), ("interconnect", "192.168.0.254/24")].into_iter().enumerate()
        {
            // An address of its own: else it is that of some port and changes when a server loses power.
            let card = card(0xff, bridge);
            if let Some(own) = &own {
                own[at].plug(GATEWAY, &switch.path(), bridge)?;
                orders += &format!("link set {bridge} address {card}\n");
            } else {
                orders += &format!("link add {bridge} address {card} type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n");
            }
            orders += &format!("addr add {address} dev {bridge}\nlink set {bridge} up\n");
        }
        if let Some([public, _]) = &own {
            public.plug(CLIENT, &client.path(), "eth0")?;
        } else {
            let client_process = client.keeper.id();
            orders += &format!("link add {CLIENT} type veth peer name eth0 netns {client_process}\n");
            orders += &format!("link set {CLIENT} master public up\n");
        }
        switch.ip(&orders)?;
        client.ip(&format!("link set lo up\naddr add {CLIENT_ADDRESS}/24 dev eth0\nlink set eth0 up\n"))?;
        // A kernel may lack this version; then nothing that needs it is tried.
        let _ = switch.ip(&format!("addr add {NET_V6}254/64 dev public nodad\n"));
        let _ = client.ip(&format!("addr add {NET_V6}100/64 dev eth0 nodad\n"));
        Ok(Wires { switch, own, _client: client, servers, cuts: Mutex::new(Vec::new()) })
    }

    /// Plugs a booting server in: `eth0` and `eth1` in the network namespace of process `pid`.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn plug_in(&self, number: u32, pid: u32) -> Result<()> {
        self.unplug(number);
        let namespace = format!("/proc/{pid}/ns/net");
        let (mut orders, mut inside) = (String::new(), String::from("link set lo up\n"));
        let cuts = hold(&self.cuts);
        for (at, net, interface, bridge) in [(0, Net::Public, "eth0", "public"), (1, Net::Interconnect, "eth1", "interconnect")] {
            let port = port(number, net);
            let is_down = is_down(&cuts, number, net);
            let card = card(number, bridge);
            if let Some(own) = &self.own {
                own[at].plug(&port, &namespace, interface)?;
                own[at].set_carrier(&port, !is_down);
                inside += &format!("link set {interface} address {card}\n");
            } else {
                let state = if is_down { "down" } else { "up" };
                orders += &format!("link add {port} type veth peer name {interface} address {card} netns {pid}\n");
                orders += &format!("link set {port} master {bridge} {state}\n");
            }
        }
        self.switch.ip(&orders)?;
        drop(cuts);
        inside += &format!(
            "addr add 10.0.0.{number}/24 dev eth0\nlink set eth0 up\n\
             addr add 192.168.0.{number}/24 dev eth1\nlink set eth1 up\n"
        );
        if self.servers > CROWD {
            inside += &neighbours(self.servers, number);
        }
        ip_in(&namespace, &inside)?;
        let _ = ip_in(&namespace, &format!("addr add {NET_V6}{number}/64 dev eth0 nodad\n"));
        Ok(())
    }

    /// Says what the bench's own switches do to frames from now on.
    ///
    /// # Errors
    /// The lab has the kernel's bridge, or no such server.
    pub fn set_weather(&self, weather: Weather) -> Result<()> {
        let Some(own) = &self.own else {
            bail!("this lab has the kernel's bridge, which is always fair; make one with `testbed up --switch user`");
        };
        for (switch, net) in own.iter().zip([Net::Public, Net::Interconnect]) {
            let named = weather.towards.iter().map(|peer| match peer.as_str() {
                "client" => Ok(CLIENT.to_string()),
                "gateway" => Ok(GATEWAY.to_string()),
                server => self.number(server).map(|number| port(number, net)),
            });
            switch.set_weather(Weather { towards: named.collect::<Result<_>>()?, ..weather.clone() });
        }
        Ok(())
    }

    /// Cuts both links of a server that loses its power; done within some ten microseconds.
    pub fn cut_at_once(&self, number: u32) -> Result<()> {
        let [public, interconnect] = [port(number, Net::Public), port(number, Net::Interconnect)];
        if let Some(own) = &self.own {
            own[0].set_carrier(&public, false);
            own[1].set_carrier(&interconnect, false);
            return Ok(());
        }
        self.switch.at_once(&format!("link set {public} down\nlink set {interconnect} down\n"))
    }

    /// Removes the ports of a server that is down.
    pub fn unplug(&self, number: u32) {
        for (at, net) in [Net::Public, Net::Interconnect].into_iter().enumerate() {
            if let Some(own) = &self.own {
                own[at].unplug(&port(number, net));
                continue;
            }
            // Absent when its namespace has already been taken down by the kernel.
            let _ = self.switch.ip(&format!("link del {}\n", port(number, net)));
        }
    }

    /// Cuts, in addition to what is cut already.
    ///
    /// # Errors
    /// An unknown peer, or the kernel refuses.
    pub fn cut(&self, cut: Cut) -> Result<()> {
        let mut cuts = hold(&self.cuts);
        self.check(&cut)?;
        let mut wanted = cuts.clone();
        for net in nets(cut.net) {
            let cut = Cut { net: *net, ..cut.clone() };
            if !wanted.contains(&cut) {
                wanted.push(cut);
            }
        }
        self.apply(&wanted)?;
        *cuts = wanted;
        Ok(())
    }

    /// Undoes the cuts of a server on a net; with a peer only those from this peer, with a direction only those of one.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn heal(&self, heal: &Cut) -> Result<()> {
        let mut cuts = hold(&self.cuts);
        self.check(heal)?;
        let wanted: Vec<Cut> = cuts.iter().filter(|cut| !is_healed(cut, heal)).cloned().collect();
        self.apply(&wanted)?;
        *cuts = wanted;
        Ok(())
    }

    /// What is cut of a server, as it was ordered.
    pub fn cuts_of(&self, server: &str) -> Vec<Cut> {
        hold(&self.cuts).iter().filter(|cut| cut.server == server).cloned().collect()
    }

    fn check(&self, cut: &Cut) -> Result<()> {
        self.number(&cut.server)?;
        match cut.from.as_deref() {
            Some("client") if cut.net == Net::Interconnect => bail!("the client is on public only"),
            None | Some("client" | "gateway") => Ok(()),
            Some(peer) if peer == cut.server => bail!("a server cannot be cut from itself"),
            Some(peer) => self.number(peer).map(|_| ()),
        }
    }

    /// The number of a server of this lab.
    ///
    /// # Errors
    /// There is no such server; the text names those that exist.
    pub fn number(&self, server: &str) -> Result<u32> {
        match (1..=self.servers).find(|number| server == format!("server{number}")) {
            Some(number) => Ok(number),
            None => bail!("there is no {server} in this lab; it has server1 to server{}", self.servers),
        }
    }

    /// What a cut that is not whole keeps from passing.
    fn drops(&self, cut: &Cut) -> Result<Vec<(End, End)>> {
        let end = |name: Option<&str>| -> Result<End> {
            Ok(match name {
                None => End::Any,
                Some("gateway") => End::Gateway,
                Some("client") => End::Port(CLIENT.to_string()),
                Some(server) => End::Port(port(self.number(server)?, cut.net)),
            })
        };
        let (server, peer) = (end(Some(&cut.server))?, end(cut.from.as_deref())?);
        let mut drops = vec![(peer.clone(), server.clone())];
        if !cut.one_way {
            drops.push((server, peer));
        }
        Ok(drops)
    }

    fn apply(&self, cuts: &[Cut]) -> Result<()> {
        if let Some(own) = &self.own {
            return self.apply_own(own, cuts);
        }
        let mut rules = [String::new(), String::new(), String::new()]; // forward, input, output
        for cut in cuts.iter().filter(|cut| !is_whole(cut)) {
            self.drops(cut)?.iter().for_each(|(from, to)| drop_rules(&mut rules, from, to));
        }
        let mut table = String::from("add table bridge bench\ndelete table bridge bench\n");
        if rules.iter().any(|rules| !rules.is_empty()) {
            table += "table bridge bench {\n";
            for (hook, rules) in ["forward", "input", "output"].into_iter().zip(&rules) {
                table += &format!("chain {hook} {{ type filter hook {hook} priority 0; policy accept;\n{rules}}}\n");
            }
            table += "}\n";
            run_with_input(&["nsenter", &format!("--net={}", self.switch.path()), "nft", "-f", "-"], &table)?;
        } else {
            // Fails when nothing was ever cut this way, or on a machine without nft.
            succeeds(&["nsenter", &format!("--net={}", self.switch.path()), "nft", "delete", "table", "bridge", "bench"]);
        }
        let mut orders = String::new();
        for number in 1..=self.servers {
            for net in [Net::Public, Net::Interconnect] {
                let state = if is_down(cuts, number, net) { "down" } else { "up" };
                orders += &format!("link set {} {state}\n", port(number, net));
            }
        }
        // A server that is off has no port: go on with the others.
        let _ = run_with_input(&["nsenter", &format!("--net={}", self.switch.path()), "ip", "-force", "-batch", "-"], &orders);
        Ok(())
    }

    fn apply_own(&self, own: &[Switch; 2], cuts: &[Cut]) -> Result<()> {
        for (switch, net) in own.iter().zip([Net::Public, Net::Interconnect]) {
            let mut blocked = Vec::new();
            for cut in cuts.iter().filter(|cut| !is_whole(cut) && cut.net == net) {
                blocked.extend(self.drops(cut)?.into_iter().map(|(from, to)| (from.port(), to.port())));
            }
            switch.set_blocked(blocked);
            (1..=self.servers).for_each(|number| switch.set_carrier(&port(number, net), !is_down(cuts, number, net)));
        }
        Ok(())
    }
}

#[derive(Clone)]
enum End {
    Any,
    Gateway,
    Port(String),
}

impl End {
    /// As the bench's own switch names it.
    fn port(self) -> Option<String> {
        match self {
            End::Any => None,
            End::Gateway => Some(GATEWAY.to_string()),
            End::Port(port) => Some(port),
        }
    }
}

/// Rules that drop what travels from one end to the other.
fn drop_rules(rules: &mut [String; 3], from: &End, to: &End) {
    let matching = |word: &str, end: &End| match end {
        End::Port(port) => format!("{word} \"{port}\" "),
        _ => String::new(),
    };
    let [forward, input, output] = rules;
    if !matches!((from, to), (End::Gateway, _) | (_, End::Gateway)) {
        *forward += &format!("{}{}drop\n", matching("iifname", from), matching("oifname", to));
    }
    if matches!(to, End::Gateway | End::Any) {
        *input += &format!("{}drop\n", matching("iifname", from));
    }
    if matches!(from, End::Gateway | End::Any) {
        *output += &format!("{}drop\n", matching("oifname", to));
    }
}

/// Says whether a cut ends by an order to heal. What is cut between two servers both ways is a cut of either.
fn is_healed(cut: &Cut, heal: &Cut) -> bool {
    let own = cut.server == heal.server && (heal.from.is_none() || heal.from == cut.from);
    let mirrored = !cut.one_way
        && cut.from.as_deref() == Some(heal.server.as_str())
        && heal.from.as_ref().is_none_or(|peer| *peer == cut.server);
    nets(heal.net).contains(&cut.net)
        && (own || mirrored)
        && (!heal.one_way || cut.one_way)
        && (!heal.keep_carrier || cut.keep_carrier)
}

fn is_whole(cut: &Cut) -> bool {
    cut.from.is_none() && !cut.one_way && !cut.keep_carrier
}

fn is_down(cuts: &[Cut], number: u32, net: Net) -> bool {
    cuts.iter().any(|cut| is_whole(cut) && cut.net == net && cut.server == format!("server{number}"))
}

fn nets(net: Net) -> &'static [Net] {
    match net {
        Net::Public => &[Net::Public],
        Net::Interconnect => &[Net::Interconnect],
        Net::All => &[Net::Public, Net::Interconnect],
        Net::Com => &[],
    }
}

/// The hardware address of a host's card on a net: the same at every boot, so that neighbours remember it.
fn card(number: u32, bridge: &str) -> String {
    format!("02:00:00:00:{number:02x}:{:02x}", bridge.len())
}

/// Orders by which one of so many servers knows the cards of the others on both nets.
fn neighbours(servers: u32, own: u32) -> String {
    let others = (1..=servers).filter(|number| *number != own);
    others
        .flat_map(|number| {
            [("10.0.0", "eth0", "public"), ("192.168.0", "eth1", "interconnect")].map(|(net, interface, bridge)| {
                format!("neigh replace {net}.{number} lladdr {} dev {interface} nud permanent\n", card(number, bridge))
            })
        })
        .collect()
}

/// Name of a server's port on a switch; 15 letters at most.
fn port(number: u32, net: Net) -> String {
    match net {
        Net::Interconnect => format!("server{number}-int"),
        _ => format!("server{number}-pub"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_from_everything_covers_the_ping_target_too() {
        let mut rules = [String::new(), String::new(), String::new()];
        drop_rules(&mut rules, &End::Any, &End::Port("a".to_string()));
        assert_eq!(rules, ["oifname \"a\" drop\n", "", "oifname \"a\" drop\n"]);
        let mut rules = [String::new(), String::new(), String::new()];
        drop_rules(&mut rules, &End::Port("a".to_string()), &End::Any);
        assert_eq!(rules, ["iifname \"a\" drop\n", "iifname \"a\" drop\n", ""]);
    }

    #[test]
    fn a_cut_from_one_peer_touches_no_other() {
        let mut rules = [String::new(), String::new(), String::new()];
        drop_rules(&mut rules, &End::Port("a".to_string()), &End::Port("b".to_string()));
        assert_eq!(rules, ["iifname \"a\" oifname \"b\" drop\n", "", ""]);
        let mut rules = [String::new(), String::new(), String::new()];
        drop_rules(&mut rules, &End::Port("a".to_string()), &End::Gateway);
        assert_eq!(rules, ["", "iifname \"a\" drop\n", ""]);
    }

    #[test]
    fn an_order_to_heal_ends_what_it_names_and_no_more() {
        let cut = Cut::whole("server1", Net::Interconnect).from("server2");
        let heal = |server: &str| Cut::whole(server, Net::Interconnect);
        assert!(is_healed(&cut, &heal("server1")));
        assert!(is_healed(&cut, &Cut::whole("server1", Net::All)));
        assert!(is_healed(&cut, &heal("server1").from("server2")));
        assert!(is_healed(&cut, &heal("server2")), "a cut both ways belongs to both");
        assert!(is_healed(&cut, &heal("server2").from("server1")));
        for other in
            [heal("server3"), heal("server1").from("server3"), heal("server2").from("server3"), heal("server1").one_way()]
        {
            assert!(!is_healed(&cut, &other), "{other:?}");
        }
        assert!(!is_healed(&cut, &Cut::whole("server1", Net::Public)));
        let one_way = cut.clone().one_way();
        assert!(is_healed(&one_way, &heal("server1").one_way()) && is_healed(&one_way, &heal("server1")));
        assert!(!is_healed(&one_way, &heal("server2")), "only server1 loses something");
    }

    #[test]
    fn the_longest_port_name_fits_an_interface() {
        assert!(port(crate::options::SERVERS_MAX, Net::Interconnect).len() <= 15);
    }
}
