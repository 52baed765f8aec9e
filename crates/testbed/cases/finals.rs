//! Final actions that end a server at once, the script before a resource's, and what withholds them.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod cluster;

use cluster::{Cluster, Conf};

/// A custom monitor that finds nothing by itself, to be made to fail.
fn trial(conf: Conf, name: &str, action: u32) -> Conf {
    let element = format!(
        "<genw name=\"{name}\">\n<polling><interval>1</interval></polling>\n<relation><type>cls</type><name>LocalServer</name></relation>\n<emergency><threshold><restart>0</restart><fo>0</fo></threshold><action>{action}</action></emergency>\n</genw>"
    );
    conf.with_monitor(&element).with_monitor_script(name, "genw.sh", "#! /bin/sh\nexit 0\n")
}

// S-MON-FINAL
#[test]
fn a_reset_or_a_panic_ends_the_server_before_anything_is_stopped() {
    let conf = trial(trial(Conf::sample(), "genw8", 8), "genw9", 9);
    let Some(cluster) = Cluster::up(conf) else { return };
    let untouched = |server: &str| {
        assert!(!cluster.has_logged(server, "STOP because of") && !cluster.has_logged(server, "group failover1 stop begins"));
    };
    cluster.run("server1", &["clpmonctrl", "-e", "-m", "genw9"]);
    cluster.until("server1 was reset", || cluster.boots("server1") == 2);
    assert!(cluster.has_logged("server1", "a keepalive-driver reset requested by monitor genw9"));
    untouched("server1");
    cluster.until("the group is active on server2", || cluster.is_active_on("server2"));
    cluster.until("server1 is back", || cluster.server("server2", "server1") == "Online");
    cluster.run("server2", &["clpmonctrl", "-e", "-m", "genw8"]);
    cluster.until("server2 has panicked", || cluster.boots("server2") == 2);
    assert!(cluster.has_logged("server2", "a sysrq panic requested by monitor genw8"));
    untouched("server2");
    cluster.until("the group is active on server1", || cluster.is_active_on("server1"));
}

// S-RSC-ACTFAIL
#[test]
fn an_activation_that_fails_is_retried_and_ends_in_its_script_and_its_final_action_as_often_as_is_allowed() {
    let rules =
        "<exec name=\"exec1\">\n<act><retry>2</retry><fo>0</fo><action>5</action><preaction><use>1</use></preaction></act>";
    let only = "<type>failover</type>\n<policy name=\"server1\"><order>0</order></policy>";
    let log = "/opt/mainstay/log/told.log";
    let conf = Conf::sample()
        .with("<exec name=\"exec1\">", rules)
        .with("<type>failover</type>", only)
        .with("<profile>fast</profile>", "<profile>fast</profile>\n<reboot><max>1</max></reboot>")
        .with_start_script(&format!("#! /bin/sh\necho tried >> {log}\n[ -e /opt/mainstay/works ]\n"))
        .with_script(
            "exec1",
            "preaction.sh",
            &format!("#! /bin/sh\necho $CLP_TIMING $CLP_GROUPNAME $CLP_RESOURCENAME >> {log}\n"),
        );
    let Some(cluster) = Cluster::boot(conf, true) else { return };
    let round = "tried\ntried\ntried\nSTART failover1 exec1\n";
    cluster.until("server1 has rebooted once", || cluster.boots("server1") == 2);
    assert!(cluster.has_logged("server1", "pre-final-action script for a activation failure of resource exec1 done"));
    cluster.until("the limit is kept", || {
        cluster.has_logged("server1", "reboot-count limit 1 reached, final action for resource exec1 skipped")
    });
    assert_eq!(cluster.run("server1", &["cat", log]), format!("{round}tried\ntried\ntried\n"));
    let why = cluster.run("server1", &["clpstat", "--why", "failover1"]);
    assert!(why.contains("final action withheld (stop the cluster service and reboot)"), "{why}");
    assert_eq!((cluster.boots("server1"), cluster.group("server2").0.as_str()), (2, "Online Failure"));
    cluster.run("server1", &["touch", "/opt/mainstay/works"]);
    cluster.run("server1", &["clpgrp", "-t", "failover1"]);
    cluster.run("server1", &["clpgrp", "-s", "failover1"]);
    assert_eq!(cluster.group("server2"), ("Online".into(), "server1".into()));
}

#[test]
fn no_final_action_ends_the_last_server() {
    let survive = "<name>cluster</name>\n<survive><monitor>1</monitor></survive>";
    let conf = trial(Conf::sample().with("<name>cluster</name>", survive), "genw5", 5);
    let Some(cluster) = Cluster::up(conf) else { return };
    cluster.power_off("server2").unwrap();
    cluster.until("server1 is alone", || cluster.server("server1", "server2") == "Offline");
    cluster.run("server1", &["clpmonctrl", "-e", "-m", "genw5"]);
    let told = "final action stop the cluster service and reboot of monitor genw5 withheld because no other server runs";
    cluster.until("it is withheld", || cluster.has_logged("server1", told));
    assert!(cluster.is_active_on("server1") && cluster.boots("server1") == 1);
}
