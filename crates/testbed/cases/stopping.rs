//! Stopping a group under everything that holds it: processes that the kernel holds, strangers, disks that fail or hang; scripts of
//! other servers, and a disk that comes late.

mod cluster;

use clp_testbed::Lab;
use cluster::{Cluster, Conf};
use std::time::{Duration, Instant};

/// The sample whose disk nobody monitors, and is unmounted with little patience.
fn impatient() -> Conf {
    Conf::sample()
        .with("<types name=\"diskw\"/>", "")
        .without("<diskw name=\"", "diskw1", "</diskw>")
        .with("<fs>ext3</fs>", "<fs>ext3</fs><umount><timeout>1</timeout><retry>0</retry><interval>0</interval></umount>")
}

/// Is the group, whose application is none, on a server?
fn is_on(cluster: &Cluster, server: &str) -> bool {
    cluster.group(server) == ("Online".to_string(), server.to_string()) && cluster.has_mount(server)
}

/// Heals the disk after a while, whatever becomes of the case: what waits for it cannot be ended otherwise.
fn heal_at_last(cluster: &Cluster) {
    let name = cluster.name().to_string();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(90));
        Lab::find(Some(&name)).and_then(|lab| lab.disk_heal("server1"))
    });
}

#[test]
fn a_process_that_the_kernel_holds_is_left_behind_and_costs_no_server() {
    let start = "#!/bin/sh\n\
                 setsid \"$CLP_PATH/bin/counter\" serve --listen 10.0.0.12:8080 --data /mnt/sdb2/counter.db >/dev/null 2>&1 </dev/null &\n\
                 [ -e /mnt/hung/file ] && setsid cat /mnt/hung/file >/dev/null 2>&1 </dev/null &\nexit 0\n";
    let Some(cluster) = Cluster::up(Conf::sample().with_start_script(start)) else { return };
    cluster.run("server1", &["clpgrp", "-t", "failover1"]);
    // Healed by itself after a minute, whatever becomes of this case.
    cluster.run(
        "server1",
        &["sh", "-c", "mkdir -p /mnt/hung; setsid /run/lab/bin/testbed hang /mnt/hung 60 >/dev/null 2>&1 </dev/null &"],
    );
    cluster.until("the hanging file is there", || cluster.is_true("server1", "mountpoint -q /mnt/hung"));
    cluster.run("server1", &["clpgrp", "-s", "failover1"]);
    cluster.until("it is being read", || cluster.is_true("server1", "pgrep -x cat"));
    cluster.run("server1", &["clpgrp", "-m", "failover1"]);
    cluster.moved_to("server2", "server1");
    assert!(cluster.is_true("server1", "pgrep -x cat"), "the process ended after all");
    assert_eq!(cluster.boots("server1"), 1);
    assert!(
        cluster.has_logged("server1", "resource exec1 deactivation failed, code 16 text processes of exec1 cannot be killed")
    );
    // What it waits for stands in the cause chain, on the server that is asked.
    let why = cluster.run("server2", &["clpstat", "--why", "failover1"]);
    for text in [
        "wait channel",
        "request_wait_answer",
        "/mnt/hung/file",
        "pressure cpu",
        "exec1 could not be stopped in order and was detached",
    ] {
        assert!(why.contains(text), "no {text} in {why}");
    }
    cluster.run("server1", &["sh", "-c", "kill -9 $(pgrep -x testbed)"]);
    cluster.until("the kernel has let it go", || !cluster.is_true("server1", "pgrep -x cat"));
}

#[test]
fn a_stranger_on_the_disk_is_named_and_lives_and_the_group_goes_on_with_all_its_data() {
    let conf = impatient().with("<timeout>1</timeout><retry>0</retry>", "<retry>0</retry>");
    let Some(cluster) = Cluster::up(conf) else { return };
    cluster.run(
        "server1",
        &["sh", "-c", "cd /mnt/sdb2 && setsid sleep 600 >/dev/null 2>&1 </dev/null & echo kept > /mnt/sdb2/file"],
    );
    let stranger = cluster.run("server1", &["pgrep", "-x", "sleep"]).trim().to_string();
    cluster.run("server1", &["clpgrp", "-m", "failover1"]);
    cluster.moved_to("server2", "server1");
    assert_eq!(cluster.run("server2", &["cat", "/mnt/sdb2/file"]).trim(), "kept");
    assert_eq!(cluster.run("server1", &["pgrep", "-x", "sleep"]).trim(), stranger, "the stranger was killed");
    assert!(cluster.has_logged("server1", "resource disk1 deactivation failed, code 32 text /mnt/sdb2 cannot be unmounted"));
    assert!(cluster.has_logged("server1", &format!("held by sleep (pid {stranger})")));
    assert!(!cluster.is_true("server1", &format!("echo x > /proc/{stranger}/cwd/file")), "it still writes");
    assert_eq!(cluster.boots("server1"), 1);
}

#[test]
fn a_disk_that_died_before_the_stop_costs_no_server() {
    let Some(cluster) = Cluster::up(impatient()) else { return };
    cluster.run("server1", &["sh", "-c", "echo kept > /mnt/sdb2/file && sync -f /mnt/sdb2/file"]);
    cluster.disk_fail("server1").unwrap();
    let _ = cluster.exec("server1", &["clpgrp", "-m", "failover1"]).unwrap();
    cluster.moved_to("server2", "server1");
    assert_eq!(cluster.run("server2", &["cat", "/mnt/sdb2/file"]).trim(), "kept");
    assert_eq!(cluster.boots("server1"), 1);
    assert!(!cluster.is_off("server1"));
}

#[test]
fn a_disk_that_hangs_during_the_stop_holds_the_group_until_it_is_cut_off() {
    let conf = impatient()
        .with("<disk name=\"disk1\">", "<disk name=\"disk1\"><deact><action>1</action></deact>")
        .with_start_script("#!/bin/sh\nexit 0\n")
        .with_stop_script("#!/bin/sh\nexit 0\n");
    let Some(cluster) = Cluster::boot(conf, true) else { return };
    cluster.until("the group is on server1", || is_on(&cluster, "server1") && cluster.server("server2", "server1") == "Online");
    cluster.run("server1", &["sh", "-c", "echo once > /mnt/sdb2/file && sync -f /mnt/sdb2/file"]);
    heal_at_last(&cluster);
    cluster.disk_hang("server1").unwrap();
    // It is only in the cache when the disk has stopped answering.
    let write = "echo late | dd of=/mnt/sdb2/file conv=notrunc 2>/dev/null & ";
    cluster.run("server1", &["sh", "-c", write]);
    cluster.until("it is written into the cache", || cluster.is_true("server1", "! pgrep -x dd"));
    let moved = cluster.exec("server1", &["clpgrp", "-m", "failover1", "-w", "1"]).unwrap();
    assert!(!moved.is_ok(), "{moved:?}");
    cluster.until("the group is held", || cluster.group("server2").0 == "Offline Failure");
    let since = Instant::now();
    cluster.until("it starts nowhere else for some time", || {
        assert!(!cluster.has_mount("server2"), "mounted while writes of server1 are on their way");
        since.elapsed() > Duration::from_secs(3)
    });
    let why = cluster.run("server2", &["clpstat", "--why", "failover1"]);
    assert!(why.contains("wait channel") && why.contains("disk1"), "{why}");
    cluster.disk_heal("server1").unwrap();
    // What was wanted goes on by itself as soon as it is certain that nothing more comes from server1.
    cluster.until("the group is on server2", || is_on(&cluster, "server2"));
    assert!(!cluster.has_mount("server1"));
    assert_eq!(cluster.run("server2", &["cat", "/mnt/sdb2/file"]).trim(), "late");
    assert_eq!(cluster.boots("server1"), 1);
}

// S-OPS-DISKINIT
#[test]
fn a_disk_that_comes_later_than_its_servers_is_waited_for_and_kept_from_writes() {
    let Some(cluster) = Cluster::up(impatient()) else { return };
    cluster.run("server1", &["clpcl", "-t", "-a"]);
    for server in ["server1", "server2"] {
        cluster.run(server, &["sh", "-c", "blockdev --setrw /dev/sdb2; mv /dev/sdb2 /dev/late"]);
    }
    cluster.run("server1", &["clpcl", "-s", "-a"]);
    cluster.until("the disk is waited for", || cluster.resource("server2", "disk1") == "Online Pending");
    let since = Instant::now();
    cluster.until("it is still waited for", || {
        assert_eq!(cluster.resource("server2", "disk1"), "Online Pending");
        since.elapsed() > Duration::from_secs(2)
    });
    for server in ["server2", "server1"] {
        cluster.run(server, &["mv", "/dev/late", "/dev/sdb2"]);
    }
    cluster.until("the group is active where it belongs", || cluster.is_active_on("server1"));
    cluster.until("the late disk is read-only where the group is not", || {
        cluster.is_true("server2", "test $(blockdev --getro /dev/sdb2) = 1")
    });
}

// S-ENV-APPNOTE4
#[test]
fn the_other_server_runs_its_scripts_after_the_start_and_before_the_stop() {
    let script = "#!/bin/sh\necho $CLP_EVENT $CLP_GROUPNAME $CLP_RESOURCENAME $CLP_DISK $CLP_SERVER ${CLP_FACTOR:-none} >> /var/log/KIND\nexit 0\n";
    let conf = impatient()
        .with("<path>start.sh</path>", "<path>start.sh</path><postrunothers>1</postrunothers>")
        .with("<path>stop.sh</path>", "<path>stop.sh</path><prerunothers>1</prerunothers>")
        .with_start_script(&script.replace("KIND", "start"))
        .with_stop_script(&script.replace("KIND", "stop"));
    let Some(cluster) = Cluster::boot(conf, true) else { return };
    let told = |server: &str, kind: &str| {
        let told = cluster.exec(server, &["cat", &format!("/var/log/{kind}")]);
        told.map(|output| output.stdout.trim().to_string()).unwrap_or_default()
    };
    let standby = |home: &str| format!("STANDBY failover1 exec1 FAILURE {home} none");
    cluster.until("the group is on server1", || is_on(&cluster, "server1") && cluster.server("server2", "server1") == "Online");
    assert_eq!(told("server1", "start"), "START failover1 exec1 SUCCESS HOME none");
    // At the first start the other one may still be on its way.
    cluster.run("server1", &["clpgrp", "-t", "failover1"]);
    cluster.run("server1", &["clpgrp", "-s", "failover1"]);
    cluster.until("server2 has run the start script", || told("server2", "start").lines().last() == Some(&standby("OTHER")));
    assert_eq!(told("server2", "stop").lines().last(), Some(standby("OTHER").as_str()));
    cluster.run("server1", &["sh", "-c", "rm /var/log/st*"]);
    cluster.run("server1", &["clpgrp", "-m", "failover1"]);
    cluster.until("the group is on server2", || is_on(&cluster, "server2"));
    assert_eq!(told("server1", "stop"), "START failover1 exec1 SUCCESS HOME GROUPMOVE");
    cluster.until("server1 has run the start script", || told("server1", "start") == standby("HOME"));
    for text in ["deactivation of exec1 on server server2 done", "activation of exec1 on server server2 done"] {
        cluster.until("it is recorded", || cluster.has_logged("server1", text));
    }
}
