//! The commands as scripts use them: exit codes, words, and the pipelines that administrators have written over the years.

mod cluster;

use cluster::{Cluster, Conf};

#[test]
fn another_user_is_refused_in_words() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    for command in ["clpstat", "clpcl -t", "clpgrp -n failover1", "clpdown", "clpstdn"] {
        let line = format!("setpriv --reuid=65534 --regid=65534 --clear-groups {command}");
        let output = cluster.exec("server1", &["sh", "-c", &line]).unwrap();
        assert_eq!(output.status, 1, "{command}: {output:?}");
        assert!(format!("{}{}", output.stdout, output.stderr).contains("Log in as root."), "{command}: {output:?}");
    }
    assert!(cluster.is_active_on("server1"));
}

#[test]
fn a_wrong_option_or_an_unknown_name_is_an_error_that_says_what_there_is() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    for command in [["clpstat", "--nonsense", ""], ["clpcl", "--nonsense", ""], ["clpgrp", "--nonsense", ""]] {
        let command: Vec<&str> = command.into_iter().filter(|word| !word.is_empty()).collect();
        let output = cluster.exec("server1", &command).unwrap();
        assert_ne!(output.status, 0, "{command:?}");
    }
    let output = cluster.exec("server1", &["clpgrp", "-m", "nosuchgroup"]).unwrap();
    assert_eq!(output.status, 1);
    assert!(format!("{}{}", output.stdout, output.stderr).contains("failover1"), "{output:?}");
    let output = cluster.exec("server1", &["clpgrp", "-m", "failover1", "-a", "server9"]).unwrap();
    assert_eq!(output.status, 1);
    assert!(format!("{}{}", output.stdout, output.stderr).contains("server2"), "{output:?}");
    assert!(cluster.is_active_on("server1"));
}

#[test]
fn without_the_daemon_clpstat_shows_offline() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    cluster.run("server1", &["clpcl", "-t", "-a"]);
    cluster.until("the daemon is stopped", || !cluster.is_true("server1", "pgrep -f '[c]lusterpro engine'"));
    let output = cluster.exec("server1", &["clpstat"]).unwrap();
    assert!(output.stdout.contains("*server1 .........: Offline"), "{output:?}");
    assert!(!cluster.has_mount("server1") && !cluster.has_address("server1"));
    cluster.run("server1", &["clpcl", "-s", "-a"]);
    cluster.settle();
}

#[test]
fn the_pipelines_of_administrators_go_on_working() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    let says = |line: &str| {
        let output = cluster.exec("server1", &["bash", "-c", line]).unwrap();
        output.stdout.trim_end_matches('\n').to_string()
    };
    // What each of them must give is in clpstat's contract with the scripts of its users.
    assert_eq!(says("clpstat -g | grep server1 | head -1 | cut -d: -f1 | tr -d ' ' | cut -c2-"), "server0");
    assert!(says("clpstat -n | grep '\\[on server'").contains("server1"));
    assert!(says("clpstat | grep server2 | grep Online | wc -l").starts_with('1'));
    assert!(says("clpstat --local | grep current | grep server1").contains("server1"));
    assert!(says("clpstat -h server2 | grep current").contains("server1"));
    assert_eq!(says("clpstat --local | grep '*' | wc -l"), "1");
    assert_eq!(says("clpstat --local | grep '*' | sed 's/^ *\\*//' | cut -d' ' -f1"), "server1");
    assert_eq!(says("clpstat --local | sed -n '/<server>/,/<group>/p' | grep -c '^   [\\* ][^ ]'"), "2");
    assert_eq!(says("clpstat | grep failover -A1 | grep current | awk '{print $3}'"), "server1");
    assert_eq!(says("clpgrp -n failover1"), "server1");
    let perl = "clpstat | perl -ne 'last if /<group>/; print \"$1=$2\\n\" if /^\\s{4}(\\S+?)\\s.*: (.+?)\\s/'";
    assert!(says(perl).lines().any(|line| line == "server2=Online"), "{}", says(perl));
    // Nothing for a terminal in what a pipe gets.
    let all = says("clpstat; clpstat -g; clpstat -m; clpstat -n");
    assert!(!all.contains('\u{1b}') && !all.contains('\t') && !all.contains('\r'));
}

#[test]
fn a_closed_pipe_is_no_disaster() {
    let Some(cluster) = Cluster::up(Conf::sample()) else { return };
    let output = cluster.exec("server1", &["bash", "-c", "clpstat | head -1; clpstat --json | head -c1"]).unwrap();
    assert!(output.is_ok() && !output.stderr.contains("panicked"), "{output:?}");
}
