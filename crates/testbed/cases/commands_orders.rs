//! Single resources, requests between servers, messages of one's own, and a server that is said to be off: by real programs.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod cluster;

use cluster::{Cluster, Conf};
use std::fs;

/// It is refused with exit code 1 and these words on standard error.
fn refused(cluster: &Cluster, server: &str, line: &str, words: &[&str]) {
    let output = cluster.exec(server, &["bash", "-c", line]).unwrap();
    assert_eq!((output.status, output.stdout.as_str()), (1, ""), "{line}: {output:?}");
    for word in words {
        assert!(output.stderr.contains(word), "{line}: no {word} in {}", output.stderr);
    }
}

fn done(cluster: &Cluster, server: &str, line: &str) {
    let output = cluster.exec(server, &["bash", "-c", line]).unwrap();
    assert_eq!((output.status, output.stdout.as_str()), (0, "Command succeeded.\n"), "{line}: {output:?}");
}

/// A file of a server, as it is seen from outside.
fn file(cluster: &Cluster, server: &str, path: &str) -> String {
    fs::read_to_string(cluster.directory().join(server).join("opt/mainstay").join(path)).unwrap_or_default()
}

#[test]
fn a_single_resource_is_stopped_and_started_and_its_group_goes_on() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    // Whatever server it is typed in at; the effect is there when the command ends.
    refused(&cluster, "server2", "clprsc -t fip1", &["exec1 is active and depends on fip1", "-f"]);
    refused(&cluster, "server1", "clprsc -t exec1 -h server2", &["failover1 is active on server1", "-h server1"]);
    refused(&cluster, "server1", "clprsc -t fip9", &["fip9", "fip1"]);
    assert!(cluster.is_active_on("server1"));
    done(&cluster, "server2", "clprsc -t exec1");
    assert_eq!(cluster.answerer(), "");
    assert!(cluster.has_mount("server1") && cluster.has_address("server1"));
    done(&cluster, "server1", "clprsc -t fip1");
    assert!(cluster.has_mount("server1") && !cluster.has_address("server1"));
    for server in ["server1", "server2"] {
        cluster.until(&format!("{server} shows it"), || {
            cluster.resource(server, "exec1") == "Offline" && cluster.resource(server, "fip1") == "Offline"
        });
        assert_eq!(cluster.group(server), ("Online".to_string(), "server1".to_string()));
        assert_eq!(cluster.resource(server, "disk1"), "Online");
    }
    refused(&cluster, "server1", "clprsc -s exec1", &["exec1 depends on fip1, which is not active", "-f"]);
    done(&cluster, "server2", "clprsc -s exec1 -f");
    assert!(cluster.has_address("server1"));
    cluster.until("the application answers again", || cluster.is_active_on("server1"));
    let why = cluster.run("server2", &["clpstat", "--why", "failover1"]);
    assert!(
        why.contains("exec1 stopped here by an operator") && why.contains("fip1, exec1 started here by an operator"),
        "{why}"
    );
    let alerts = file(&cluster, "server1", "alert/log/alertlog.alt");
    for text in [
        "rc 87 3 single resource exec1 stop begins",
        "rc 88 3 single resource fip1 stopped",
        "rc 84 3 single resource exec1 started",
    ] {
        assert!(alerts.contains(text), "{text}: {alerts}");
    }
    // The next start of the group is a start of all of it.
    done(&cluster, "server1", "clprsc -t fip1 -f");
    done(&cluster, "server1", "clpgrp -m failover1");
    cluster.moved_to("server2", "server1");
    // While the cluster is suspended nothing is started, and nobody is declared off who is not.
    done(&cluster, "server1", "clprsc -t exec1");
    done(&cluster, "server1", "clpcl --suspend");
    refused(&cluster, "server1", "clprsc -s exec1", &["suspended", "clpcl --resume"]);
    refused(&cluster, "server1", "clpcl --resume --dead server2 --force", &["server2 is not switched off"]);
    done(&cluster, "server1", "clprsc -s exec1");
    cluster.until("the application answers on server2", || cluster.is_active_on("server2"));
    done(&cluster, "server1", "clpgrp -t failover1");
    refused(&cluster, "server1", "clprsc -s exec1", &["failover1 is not active", "clpgrp -s failover1"]);
    assert!(!cluster.has_mount("server1") && !cluster.has_mount("server2"));
}

#[test]
fn servers_ask_each_other_for_scripts_that_lie_ready_and_for_failovers() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    for server in ["server1", "server2"] {
        let place = "mkdir -p -m 755 /opt/mainstay/work/trnreq /opt/mainstay/work/rexec && cd /opt/mainstay/work && \
                     printf '#!/bin/sh\\nhostname >>/root/told\\n' >trnreq/name.sh && printf '#!/bin/sh\\nsleep 997\\n' >rexec/late.sh && \
                     chmod 700 */*.sh";
        cluster.run(server, &["bash", "-c", place]);
    }
    done(&cluster, "server1", "clptrnreq -t EXEC_SCRIPT -h server1,192.168.0.2 -s name.sh");
    for server in ["server1", "server2"] {
        assert_eq!(cluster.run(server, &["cat", "/root/told"]), format!("{server}\n"));
        assert!(file(&cluster, server, "alert/log/alertlog.alt").contains("trnsv 30 3 action trnreq/name.sh done"));
    }
    // Not with a path, not from the other directory, not when another user could have written it, and not for ever.
    for (line, words) in [
        ("clptrnreq -t EXEC_SCRIPT -h server2 -s ../rexec/late.sh", "is no name of a script"),
        ("clprexec --script name.sh -h server2", "work/rexec/name.sh"),
        ("clprexec --script late.sh -h server2 -w 60 & sleep 0.3; kill -INT $!; wait $!; exit 1", "late.sh is ended on server2"),
    ] {
        refused(&cluster, "server1", line, &[words]);
    }
    cluster.run("server2", &["pkill", "-f", "^sleep 997"]);
    cluster.run("server2", &["chmod", "o+w", "/opt/mainstay/work/trnreq/name.sh"]);
    refused(&cluster, "server1", "clptrnreq -t EXEC_SCRIPT -h server2 -s name.sh", &["writable by root alone"]);
    assert_eq!(cluster.run("server2", &["cat", "/root/told"]), "server2\n");
    // A failover that is asked for.
    done(&cluster, "server2", "clprexec --failover failover1 -h server1");
    cluster.moved_to("server2", "server1");
    done(&cluster, "server1", "clptrnreq -t GRP_FAILOVER -h server2 -r exec1");
    cluster.moved_to("server1", "server2");
    refused(&cluster, "server1", "clprexec --failover failover1 -h server2", &["failover1 is active on server1"]);
    // Messages of one's own, and the configuration that another server has.
    done(&cluster, "server2", "clplogcmd -m 'a word' -i 77 -l WARN --alert");
    assert!(file(&cluster, "server2", "alert/log/alertlog.alt").ends_with(" server2 logcmd 77 2 a word\n"));
    let address = "clpstat --rsc fip1 -h server2 | grep IP | cut -d: -f2 | tr -d ' '";
    assert_eq!(cluster.run("server1", &["bash", "-c", address]), "10.0.0.12\n");
    cluster.power_off("server2").unwrap();
    for line in
        ["clptrnreq -t EXEC_SCRIPT -h server2 -s name.sh", "clprexec --failover failover1 -h server2", "clpstat --cl -h server2"]
    {
        refused(&cluster, "server1", line, &["server2", "cannot be reached"]);
    }
}
