//! The commands as people and scripts use them: words, exit codes, and the pipelines that administrators have written over
//! the years, run by the real tools on real output.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod cluster;

use clp_testbed::Output;
use cluster::{Cluster, Conf};

/// Every command that there is.
fn commands(cluster: &Cluster) -> Vec<String> {
    says(cluster, "clp --list").lines().map(String::from).collect()
}

/// Runs a shell line on server1.
fn shell(cluster: &Cluster, line: &str) -> Output {
    cluster.exec("server1", &["bash", "-c", line]).unwrap()
}

/// What a shell line prints, without the last line's end.
fn says(cluster: &Cluster, line: &str) -> String {
    shell(cluster, line).stdout.trim_end_matches('\n').to_string()
}

/// It is refused with exit code 1 and these words on standard error, and nothing else is printed.
fn refused(cluster: &Cluster, line: &str, words: &[&str]) {
    let output = shell(cluster, line);
    assert_eq!((output.status, output.stdout.as_str()), (1, ""), "{line}: {output:?}");
    for word in words {
        assert!(output.stderr.contains(word), "{line}: no {word} in {}", output.stderr);
    }
    assert!(!output.stderr.contains("os error") && !output.stderr.contains("panicked"), "{line}: {}", output.stderr);
}

// S-CMD-ROOT
#[test]
fn another_user_is_refused_in_words_and_may_read_the_help() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    let other = "setpriv --reuid=65534 --regid=65534 --clear-groups";
    for command in ["clpstat", "clpcl -t", "clpgrp -n failover1", "clpdown", "clpstdn", "clpcfctrl --push"] {
        let output = shell(&cluster, &format!("{other} {command}"));
        assert_eq!((output.status, output.stderr.as_str()), (1, "Log in as root.\n"), "{command}: {output:?}");
    }
    for command in commands(&cluster) {
        let output = shell(&cluster, &format!("{other} {command} --help"));
        assert!(output.is_ok() && output.stdout.contains("usage:"), "{command}: {output:?}");
    }
    assert!(cluster.is_active_on("server1"));
}

#[test]
fn every_command_has_help_and_a_version_and_minds_neither_wrong_options_nor_closed_pipes() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    for command in commands(&cluster) {
        let help = shell(&cluster, &format!("{command} --help"));
        assert!(help.is_ok() && help.stdout.contains("exit codes: 0 done") && help.stderr.is_empty(), "{help:?}");
        assert!(says(&cluster, &format!("{command} --version")).starts_with(&format!("{command} (Mainstay) ")));
        refused(&cluster, &format!("{command} --nonsense"), &[&format!("{command}: invalid option --nonsense"), "usage:"]);
        for sink in ["| head -c 1", "| true", ">&-"] {
            let output = shell(&cluster, &format!("{command} --help {sink}; echo ${{PIPESTATUS[0]}} >&2"));
            assert_eq!(output.stderr, "0\n", "{command} {sink}: {output:?}");
        }
    }
    for view in ["", "-g", "-m", "-n", "-p", "--json", "-i --detail", "--why failover1"] {
        let output = shell(&cluster, &format!("clpstat {view} | head -1 >/dev/null; echo ${{PIPESTATUS[0]}} >&2"));
        assert_eq!(output.stderr, "0\n", "{view}");
    }
    // The order is carried out whoever reads the answer.
    assert_eq!(shell(&cluster, "clpgrp -m failover1 | true; echo ${PIPESTATUS[0]}").stdout, "0\n");
    cluster.moved_to("server2", "server1");
    // A full disk is no reader that has enough.
    refused(&cluster, "clpstat >/dev/full", &["cannot be written"]);
}

#[test]
fn what_does_not_exist_is_answered_with_what_does() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    for (line, words) in [
        ("clpstat -h server9", ["server9", "server1, server2"]),
        ("clpstat --why group9", ["group9", "ManagementGroup, failover1"]),
        ("clpstat --rsc rsc9", ["rsc9", "disk1, exec1, fip1"]),
        ("clpstat --mon mon9", ["mon9", "diskw1, miiw1, miiw2, userw"]),
        ("clpcl -s -h server9", ["server9", "server1, server2"]),
        ("clpgrp -s group9", ["group9", "ManagementGroup, failover1"]),
        ("clpgrp -s group9 -f", ["group9", "ManagementGroup, failover1"]),
        ("clpgrp -t group9", ["group9", "ManagementGroup, failover1"]),
        ("clpgrp -m group9", ["group9", "ManagementGroup, failover1"]),
        ("clpgrp -n group9", ["group9", "ManagementGroup, failover1"]),
        ("clpgrp -m failover1 -a server9", ["server9", "server1, server2"]),
        ("clpdown -h server9", ["server9", "server1, server2"]),
        ("clpstdn -h server9", ["server9", "server1, server2"]),
        ("clpcfctrl --push -h server9", ["server9", "server1, server2"]),
    ] {
        refused(&cluster, line, &words);
    }
    assert!(cluster.is_active_on("server1"));
}

#[test]
fn without_the_cluster_service_everything_is_offline_and_orders_say_so() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    cluster.run("server1", &["clpcl", "-t", "-a"]);
    cluster.until("the service is stopped", || !cluster.is_true("server1", "pgrep -f '[c]lusterpro engine'"));
    let output = shell(&cluster, "clpstat");
    assert!(output.is_ok() && output.stdout.contains("*server1 .........: Offline"), "{output:?}");
    // The listing alone would read as if server1 knew.
    assert!(output.stderr.contains("cluster service of server1 is not running"), "{output:?}");
    for line in ["clpgrp -s failover1", "clpgrp -t", "clpgrp -m", "clpgrp -n failover1", "clpcl --suspend", "clpcl --resume"] {
        refused(&cluster, line, &["cluster service of server1 is not running", "clpcl -s"]);
    }
    for line in ["clpcl -t", "clpcl -r", "clpcl -t -h server2", "clpdown", "clpstdn", "clpdown -h server2"] {
        refused(&cluster, line, &["is not running"]);
    }
    assert!(!cluster.is_off("server1") && !cluster.is_off("server2"));
    // Stopped already is what was asked of all.
    assert!(shell(&cluster, "clpcl -t -a").is_ok());
    assert!(!cluster.has_mount("server1") && !cluster.has_address("server1"));
    cluster.run("server1", &["clpcl", "-s", "-a"]);
    cluster.settle();
}

#[test]
fn a_dead_server_is_named_in_seconds_and_the_others_obey() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    cluster.power_off("server2").unwrap();
    cluster.until("it is missed", || cluster.server("server1", "server2") == "Offline");
    for line in ["clpstat -h server2", "clpcl -t -h server2", "clpcl -s -h 10.0.0.2", "clpdown -h server2", "clpstdn -h server2"]
    {
        let begin = std::time::Instant::now();
        refused(&cluster, line, &["server2", "192.168.0.2", "10.0.0.2", "cannot be reached"]);
        assert!(begin.elapsed() < std::time::Duration::from_secs(8), "{line}: {:?}", begin.elapsed());
    }
    refused(&cluster, "clpgrp -m failover1 -a server2", &["server2 is not online", "clpcl -s -h server2"]);
    refused(&cluster, "clpgrp -m failover1", &["no other server can take failover1"]);
    refused(&cluster, "clpcl -r -a", &["server2", "nothing was stopped"]);
    assert!(cluster.is_active_on("server1"));
    let output = shell(&cluster, "clpcl -t -a");
    assert_eq!((output.status, output.stdout.as_str()), (1, "Stop server1 : Command succeeded.\n"), "{output:?}");
    assert!(output.stderr.starts_with("Stop server2 : server2"), "{output:?}");
    assert!(!cluster.has_mount("server1") && !cluster.has_address("server1"));
}

#[test]
fn a_service_that_was_just_stopped_can_be_started_at_once() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    for line in ["clpcl -t -a && clpcl -s -a", "clpcl -t -h server2 && clpcl -s -h server2", "clpcl -t && clpcl -s"] {
        for _ in 0..3 {
            let output = shell(&cluster, line);
            assert!(output.is_ok(), "{line}: {output:?}");
            cluster.until("both servers are online", || cluster.server("server1", "server2") == "Online");
        }
    }
}

// S-CMD-CLPGRP
#[test]
fn a_group_is_stopped_started_and_moved_when_the_command_says_so() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    let done = |line: &str| {
        let output = shell(&cluster, line);
        assert_eq!((output.status, output.stdout.as_str()), (0, "Command succeeded.\n"), "{line}: {output:?}");
    };
    // The effect is there when the command ends: nothing is waited for.
    let holds = |server: &str| cluster.has_mount(server) && cluster.has_address(server);
    let is_free = |server: &str| !cluster.has_mount(server) && !cluster.has_address(server);
    done("clpgrp -t failover1");
    assert!(is_free("server1") && is_free("server2"));
    assert_eq!(says(&cluster, "clpgrp -n failover1"), "");
    done("clpgrp -s failover1");
    assert!(holds("server1") && is_free("server2"));
    done("clpgrp -m failover1");
    assert!(holds("server2") && is_free("server1"));
    done("clpgrp -m failover1 -h server2 -a server1");
    assert!(holds("server1") && is_free("server2"));
    refused(&cluster, "clpgrp -m failover1 -a server1", &["already active on server1"]);
    refused(&cluster, "clpgrp -m failover1 -h server2", &["active on server1"]);
    done("clpgrp -t failover1");
    refused(&cluster, "clpgrp -m failover1", &["failover1 is not active", "clpgrp -s failover1"]);
}

#[test]
fn a_group_that_is_active_elsewhere_is_moved_by_force_only() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    refused(&cluster, "clpgrp -s failover1 -h server2", &["already active on server1", "clpgrp -m failover1"]);
    refused(&cluster, "clpgrp -t failover1 -h server2", &["active on server1, not on server2"]);
    assert_eq!(says(&cluster, "clpgrp -s failover1 -h server2 -f"), "Command succeeded.");
    cluster.moved_to("server2", "server1");
    // All groups that are not active anywhere, on the server that is named.
    cluster.run("server1", &["clpgrp", "-t", "ManagementGroup"]);
    assert_eq!(says(&cluster, "clpgrp -n ManagementGroup; echo $?"), "0");
    assert_eq!(says(&cluster, "clpgrp -s -h server2"), "Command succeeded.");
    assert_eq!(says(&cluster, "clpgrp -n ManagementGroup; clpgrp -n failover1"), "server2\nserver2");
    assert_eq!(says(&cluster, "clpgrp -m -h server2 -a server1"), "Command succeeded.");
    assert_eq!(says(&cluster, "clpgrp -n ManagementGroup; clpgrp -n failover1"), "server1\nserver1");
}

#[test]
fn the_pipelines_of_administrators_go_on_working() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    let perl = r#"clpstat | perl -ne 'last if /<group>/; chomp; print "$1=$2\n" if /^\s{4}(\S+?)\s.*: (.+?)\s/'"#;
    // Which number has a server, which groups run there.
    let number = "clpstat -g | grep server2 | cut -d: -f1 | tr -d ' ' | cut -c2-";
    let place = "clpstat --local | sed -n '/<server>/,/<group>/p' | grep '^   [\\* ][^ ]' | grep -n '^   \\*' | cut -d: -f1";
    for (line, expected) in [
        ("clpstat -g | grep server1 | head -1 | cut -d: -f1 | tr -d ' ' | cut -c2-", "server0"),
        ("clpstat -g | grep 'failover1\\[o\\]' | grep -c server0", "1"),
        ("clpstat -g | grep 'failover1\\[o\\]' | grep -c server1", "0"),
        ("clpstat -n | grep '\\[on server' | grep -vc Online", "0"),
        ("clpstat -n | grep -c '^  \\[on server[0-9] : Online\\]$'", "2"),
        (perl, "server2=Online"),
        ("clpstat | grep server2 | grep -c Online", "1"),
        ("clpstat --local | grep current | grep -c server1", "2"),
        ("clpstat -h server2 | grep current | awk '{print $3}' | sort -u", "server1"),
        ("clpstat --rsc fip1 | grep IP | cut -d: -f2 | tr -d ' '", "10.0.0.12"),
        ("clpstat --sv | grep Server | sed -n 1p | awk '{print $3}' | sed 's/]//'", "server1"),
        ("clpstat --sv | grep Server | sed -n 2p | awk '{print $3}' | sed 's/]//'", "server2"),
        ("clpstat --local | grep '*' | sed 's/^ *\\*//' | cut -d' ' -f1", "server1"),
        ("clpstat | grep -c '*'", "1"),
        (place, "1"),
        ("clpstat | grep failover -A1 | grep current | awk '{print $3}'", "server1"),
        ("clpstat --cl --detail | grep 'Shutdown Monitoring Method' | awk -F: '{print $2}' | tr -d ' '", "softdog"),
        ("clpgrp -n failover1", "server1"),
    ] {
        assert_eq!(says(&cluster, line), expected, "{line}");
    }
    // A blank before the column is cut away with the star of the other line.
    assert_eq!(says(&cluster, number), "erver1");
    assert_eq!(cluster.run("server2", &["bash", "-c", place]).trim(), "2");
    // The same when a server is missing.
    cluster.run("server1", &["clpcl", "-t", "-h", "server2"]);
    cluster.until("server2 is offline", || cluster.server("server1", "server2") == "Offline");
    assert_eq!(says(&cluster, perl), "server2=Offline");
    assert_eq!(says(&cluster, "clpstat -n | grep '\\[on server' | grep -vc Online"), "1");
    assert_eq!(says(&cluster, "clpstat | grep server2 | grep -c Online"), "0");
    // Nothing for a terminal in what a pipe gets.
    let all = says(&cluster, "for view in '' -g -m -n -p --long --local '-i --detail' --json; do clpstat $view; done");
    assert!(all.len() > 5000 && !all.contains(['\u{1b}', '\t', '\r']));
}
