//! The switches, the serial cable and the probe, proven with `ping`.

use crate::*;

#[test]
fn a_whole_cut_takes_the_carrier_and_survives_a_boot() {
    let Some(lab) = lab(Options::default()) else { return };
    let carrier = |server: &str, interface: &str| run(&lab, server, &format!("cat /sys/class/net/{interface}/carrier"));
    lab.cut("server1", Net::Interconnect).unwrap();
    assert_eq!([carrier("server1", "eth0"), carrier("server1", "eth1")], ["1", "0"]);
    assert_eq!(carrier("server2", "eth1"), "1");
    assert!(!pings(&lab, "server2", "192.168.0.1") && pings(&lab, "server2", "10.0.0.1"));
    lab.power_off("server1").unwrap();
    lab.power_on("server1").unwrap();
    assert_eq!(carrier("server1", "eth1"), "0");
    lab.cut("server1", Net::Public).unwrap();
    lab.heal("server1", Net::All).unwrap();
    reaches(&lab, "server2", "192.168.0.1");
    client_reaches(&lab, "10.0.0.1");
}

#[test]
fn finer_cuts_keep_the_carrier_and_lose_only_what_they_name() {
    let Some(lab) = lab(Options { servers: 3, ..Options::default() }) else { return };
    let cut = Cut::whole("server1", Net::Interconnect);
    lab.cut_as(cut.clone().from("server2")).unwrap();
    assert!(!pings(&lab, "server1", "192.168.0.2") && !pings(&lab, "server2", "192.168.0.1"));
    assert!(pings(&lab, "server1", "192.168.0.3") && pings(&lab, "server2", "192.168.0.3"));
    assert!(pings(&lab, "server1", "192.168.0.254") && pings(&lab, "server1", "10.0.0.2"));
    assert_eq!(run(&lab, "server1", "cat /sys/class/net/eth1/carrier"), "1");
    lab.heal_as(cut.clone().from("server2")).unwrap();
    reaches(&lab, "server1", "192.168.0.2");

    lab.cut_as(cut.clone().keep_carrier()).unwrap();
    for address in ["192.168.0.2", "192.168.0.3", "192.168.0.254"] {
        assert!(!pings(&lab, "server1", address), "{address}");
    }
    assert_eq!(run(&lab, "server1", "cat /sys/class/net/eth1/carrier"), "1");
    lab.heal("server1", Net::Interconnect).unwrap();

    // One way: what server1 sends is received, what is sent to it is not.
    lab.cut_as(cut.from("server2").one_way()).unwrap();
    let received = |server: &str, interface: &str| -> u64 {
        run(&lab, server, &format!("cat /sys/class/net/{interface}/statistics/rx_packets")).parse().unwrap()
    };
    run(&lab, "server1", "ip neigh replace 192.168.0.2 dev eth1 lladdr ff:ff:ff:ff:ff:ff nud permanent");
    let before = received("server2", "eth1");
    assert!(!pings(&lab, "server1", "192.168.0.2"));
    assert!(received("server2", "eth1") > before);
    assert!(lab.cut_as(Cut::whole("server1", Net::Interconnect).from("client")).is_err());
    assert!(lab.cut("server4", Net::Public).is_err());
}

#[test]
fn a_heal_undoes_what_it_names_and_the_list_shows_what_is_cut() {
    let Some(lab) = lab(Options { servers: 3, ..Options::default() }) else { return };
    let cut = Cut::whole("server1", Net::Interconnect).from("server2");
    lab.cut_as(cut.clone()).unwrap();
    lab.cut("server2", Net::Com).unwrap();
    assert_eq!(lab.server_status("server1").unwrap().cuts, [cut.clone(), Cut::whole("server1", Net::Com)]);
    let listed = by_hand(&["list"]).stdout;
    assert!(listed.contains("cut from interconnect (only server2)"), "{listed}");
    // Neither another peer nor another direction.
    lab.heal_as(cut.clone().one_way()).unwrap();
    lab.heal_as(Cut::whole("server1", Net::Interconnect).from("server3")).unwrap();
    assert!(!pings(&lab, "server1", "192.168.0.2"));
    // The other end of the same cut.
    lab.heal("server2", Net::Interconnect).unwrap();
    reaches(&lab, "server1", "192.168.0.2");
    assert_eq!(lab.server_status("server1").unwrap().cuts, [Cut::whole("server1", Net::Com)]);
    for refused in [Cut::whole("server1", Net::Com).from("server2"), Cut::whole("server1", Net::Com).one_way()] {
        let error = lab.cut_as(refused).unwrap_err().to_string();
        assert!(error.contains("as a whole"), "{error}");
    }
}

#[test]
fn the_serial_cable_joins_two_servers_and_can_be_cut() {
    let Some(lab) = lab(Options::default()) else { return };
    let mut reader = lab.command("server2", &["sh", "-c", "cat /dev/ttyS0 > /var/heard"]).unwrap().spawn().unwrap();
    let heard = lab.directory().join("server2/var/heard");
    let heard = || std::fs::read_to_string(&heard).unwrap_or_default();
    run(&lab, "server1", "echo hello > /dev/ttyS0");
    lab.wait_for("the greeting arrives", SOON, || heard() == "hello\n").unwrap();
    lab.cut("server1", Net::Com).unwrap();
    run(&lab, "server1", "echo lost > /dev/ttyS0");
    lab.heal("server2", Net::Com).unwrap();
    run(&lab, "server1", "echo again > /dev/ttyS0");
    lab.wait_for("the second greeting arrives", SOON, || heard().ends_with("again\n")).unwrap();
    assert_eq!(heard(), "hello\nagain\n");
    reader.kill().unwrap();
    reader.wait().unwrap();
}

#[test]
fn a_probe_sees_who_answers_and_the_gap() {
    let Some(lab) = lab(Options::default()) else { return };
    let responder = |server: &str| {
        let mut command = lab.command(server, &["testbed", "responder", "10.0.0.50:7"]).unwrap();
        command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    run(&lab, "server1", "ip addr add 10.0.0.50/24 dev eth0");
    let mut first = responder("server1");
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let report = std::thread::scope(|scope| {
        let (tell, told) = std::sync::mpsc::channel();
        let lab = &lab;
        let asking = scope.spawn(move || {
            lab.enter_client().unwrap();
            let target = "10.0.0.50:7".parse().unwrap();
            let done = || stopped.try_recv().is_ok();
            clp_testbed::probe::probe(target, clp_testbed::probe::Way::Udp, SOON, done, |reign| {
                let _ = tell.send(reign.who.clone());
            })
            .unwrap()
        });
        assert_eq!(told.recv_timeout(SOON).unwrap(), "server1");
        lab.power_off("server1").unwrap();
        run(lab, "server2", "ip addr add 10.0.0.50/24 dev eth0");
        // Stands for the announcement that a cluster sends.
        assert!(lab.client(&["ip", "neigh", "flush", "all"]).unwrap().is_ok());
        let mut second = responder("server2");
        assert_eq!(told.recv_timeout(SOON).unwrap(), "server2");
        stop.send(()).unwrap();
        let report = asking.join().unwrap();
        second.kill().unwrap();
        second.wait().unwrap();
        report
    });
    first.wait().unwrap();
    assert_eq!(report.reigns.len(), 2, "{report:?}");
    assert!(report.longest_gap_us > 1_000 && report.longest_gap_us < 10_000_000, "{report:?}");
}

/// Everything that a lab with the kernel's bridge does, and what only the bench's own switch can.
#[test]
fn the_own_switch_joins_and_cuts_as_the_bridge_does_and_has_weather() {
    let options = Options { servers: 2, switch: clp_testbed::SwitchKind::User, ..Options::default() };
    let Some(lab) = lab(options) else { return };
    let carrier = |server: &str, interface: &str| run(&lab, server, &format!("cat /sys/class/net/{interface}/carrier"));
    for address in ["10.0.0.2", "192.168.0.2", "10.0.0.254", "192.168.0.254", "10.0.0.100"] {
        reaches(&lab, "server1", address);
    }
    client_reaches(&lab, "10.0.0.1");
    lab.cut("server1", Net::Interconnect).unwrap();
    assert_eq!([carrier("server1", "eth0"), carrier("server1", "eth1"), carrier("server2", "eth1")], ["1", "0", "1"]);
    assert!(!pings(&lab, "server2", "192.168.0.1") && pings(&lab, "server2", "10.0.0.1"));
    lab.power_off("server1").unwrap();
    lab.power_on("server1").unwrap();
    assert_eq!(carrier("server1", "eth1"), "0");
    lab.heal("server1", Net::Interconnect).unwrap();
    reaches(&lab, "server2", "192.168.0.1");
    let cut = Cut::whole("server1", Net::Public).from("client");
    lab.cut_as(cut.clone()).unwrap();
    assert!(!lab.client(&["ping", "-c", "1", "-W", "1", "10.0.0.1"]).unwrap().is_ok());
    assert!(pings(&lab, "server2", "10.0.0.1") && carrier("server1", "eth0") == "1");
    lab.heal_as(cut).unwrap();
    client_reaches(&lab, "10.0.0.1");

    let fair = clp_testbed::Weather::default();
    lab.weather(clp_testbed::Weather { loss_percent: 100, towards: vec![], ..fair.clone() }).unwrap();
    assert!(!pings(&lab, "server1", "10.0.0.2") && !pings(&lab, "server1", "192.168.0.254"));
    lab.weather(clp_testbed::Weather { delay_ms: 60, ..fair.clone() }).unwrap();
    let said = run(&lab, "server1", "ping -c 2 -W 5 10.0.0.2");
    let fastest = said.rsplit_once("= ").unwrap().1.split('/').next().unwrap().parse::<f64>().unwrap();
    assert!(fastest >= 120.0, "there and back, {said}");
    assert!(lab.weather(clp_testbed::Weather { towards: vec!["server9".into()], ..fair.clone() }).is_err());
    lab.weather(fair).unwrap();
    reaches(&lab, "server1", "10.0.0.2");
}

#[test]
fn the_bridge_has_no_weather() {
    let Some(lab) = lab(Options { servers: 1, ..Options::default() }) else { return };
    let error = lab.weather(clp_testbed::Weather::default()).unwrap_err().to_string();
    assert!(error.contains("testbed up --switch user"), "{error}");
}
