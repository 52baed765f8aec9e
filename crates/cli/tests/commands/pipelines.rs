//! The pipelines that administrators have written over the years, run by the real tools on the commands' real output.

use crate::every::helpful;
use crate::stand_in::StandIn;
use clp_protocol::control::Reply;

#[test]
fn scripts_find_what_they_look_for() {
    let Some(server) = StandIn::new("scripts_find_what_they_look_for") else { return };
    helpful(&server);
    let own = server.own().to_string();
    let cases = [
        (format!("clpstat -g | grep '{own}' | cut -d: -f1 | tr -d ' ' | cut -c2-"), "server0".to_string()),
        (r#"clpstat -g | grep "failover1\[o\]" | grep -c server0"#.into(), "1".into()),
        (r#"clpstat -n | grep "\[on server" | grep -vc Online"#.into(), "0".into()),
        (r#"clpstat -n | grep -c "\[on server[0-9] : Online\]$""#.into(), "2".into()),
        (
            r#"clpstat | perl -ne 'last if /<group>/; chomp; print "$1=$2" if /^\s{4}(\S+?)\s.*: (.+?)\s/'"#.into(),
            "server2=Online".into(),
        ),
        ("clpstat | grep server2 | grep -c Online".into(), "1".into()),
        (format!("clpstat --local | grep current | grep -c '{own}'"), "1".into()),
        ("clpstat -h server2 | grep current | awk '{print $3}'".into(), own.clone()),
        ("clpstat --local | grep '*' | sed 's/^ *\\*//' | cut -d' ' -f1".into(), own.clone()),
        (
            r"clpstat --local | sed -n '/<server>/,/<group>/p' | grep '^   [\* ][^ ]' | grep -n '^   \*' | cut -d: -f1".into(),
            "1".into(),
        ),
        (r"clpstat --local | sed -n '/<server>/,/<group>/p' | grep -c '^   [\* ][^ ]'".into(), "2".into()),
        ("clpstat | grep failover -A1 | grep current | awk '{print $3}'".into(), own.clone()),
        ("clpgrp -n failover1".into(), own.clone()),
        ("clpstat --rsc fip1 | grep IP | cut -d: -f2 | tr -d ' '".into(), "10.0.0.12".into()),
        ("clpstat --sv | grep Server | awk '{print $3}' | sed 's/]//'".into(), format!("{own}\nserver2")),
        ("clpstat --cl --detail | grep 'Shutdown Monitoring Method' | awk -F: '{print $2}' | tr -d ' '".into(), "softdog".into()),
        ("clpstat -h server2 | grep '*' | sed 's/^ *\\*//' | cut -d' ' -f1".into(), "server2".into()),
        ("clpstat --local | grep -c '*'".into(), "1".into()),
        ("clpgrp -m failover1; if [ $? -ne 0 ]; then echo failed; fi".into(), "Command succeeded.".into()),
        ("clpgrp -m nosuch9 2>/dev/null; if [ $? -eq 1 ]; then echo failed; fi".into(), "failed".into()),
        ("clpcl -s -a | grep -c '^Start [^ ]* : Command succeeded.$'".into(), "2".into()),
        ("clpmonctrl -v | awk '$1 == \"Resource\" && $2 == \":\" {print $3}'".into(), "userw".into()),
        ("clpcfctrl --push | tail -n 1".into(), "Command succeeded.(code:0)".into()),
        ("for view in '' -g -m -n -p --long -i --json; do clpstat $view; done | tr -d '[:print:]\\n' | wc -c".into(), "0".into()),
    ];
    for (line, expected) in cases {
        let ran = server.shell(&line);
        assert_eq!(ran.out.trim_end_matches('\n'), expected, "{line}\n{}", ran.err);
    }
}

/// The same lines while not all is well, and with names that fill their columns.
#[test]
fn scripts_are_told_what_is_not_well() {
    let Some(server) = StandIn::new("scripts_are_told_what_is_not_well") else { return };
    let mut status = server.status();
    let long = "failover-of-the-accounts";
    status.servers[1].status = "Offline".into();
    status.servers[1].paths.iter_mut().for_each(|path| path.status = "Offline".into());
    let group = &mut status.groups[0];
    (group.status, group.comment) = ("Online Pending".into(), "on its way".into());
    let mut second = group.clone();
    (second.name, second.status, second.current) = (long.into(), "Offline".into(), None);
    status.groups.push(second);
    server.engine(move |_| Reply::Status(Box::new(status.clone())));
    let cases = [
        (r#"clpstat | perl -ne 'last if /<group>/; chomp; print "$1=$2" if /^\s{4}(\S+?)\s.*: (.+?)\s/'"#, "server2=Offline"),
        (r#"clpstat -n | grep "\[on server" | grep -vc Online"#, "1"),
        ("clpstat | grep server2 | grep -c Online", "0"),
        (r#"clpstat -g | grep "failover1\[o\]" | grep -c server0"#, "0"),
        (r#"clpstat -g | grep "failover1\[p\]" | grep -c server0"#, "1"),
        ("clpstat -g | grep -c failover-of", "0"),
        ("clpstat | grep failover-of -A1 | grep current | awk '{print $3}'", "None"),
        // A group's name is cut in the narrow listing and whole in the wide one; the colon stays in its column.
        ("clpstat | grep failover-of | cut -c5-24", "failover-of-the- : O"),
        ("clpstat --long | grep failover-of | cut -c5-41", "failover-of-the-accounts .........: O"),
        ("clpgrp -n failover-of-the-accounts", ""),
    ];
    for (line, expected) in cases {
        let ran = server.shell(line);
        assert_eq!(ran.out.trim_end_matches('\n'), expected, "{line}\n{}", ran.err);
    }
}

#[test]
fn the_holder_of_a_group_is_a_bare_name_or_nothing() {
    let Some(server) = StandIn::new("the_holder_of_a_group_is_a_bare_name_or_nothing") else { return };
    let mut status = server.status();
    let mut stopped = status.groups[0].clone();
    stopped.name = "failover2".into();
    stopped.current = None;
    status.groups.push(stopped);
    server.engine(move |_| Reply::Status(Box::new(status.clone())));
    let active = server.run(&["clpgrp", "-n", "failover1"]);
    assert_eq!((active.code, active.out), (0, format!("{}\n", server.own())));
    let stopped = server.run(&["clpgrp", "-n", "failover2"]);
    assert_eq!((stopped.code, stopped.out.as_str()), (0, ""));
    let unknown = server.run(&["clpgrp", "-n", "failover9"]);
    assert_eq!((unknown.code, unknown.out.as_str()), (1, ""));
    assert!(unknown.err.contains("failover1, failover2"), "{}", unknown.err);
}

#[test]
fn a_closed_pipe_is_quiet_and_a_full_disk_is_not() {
    let Some(server) = StandIn::new("a_closed_pipe_is_quiet_and_a_full_disk_is_not") else { return };
    let mut status = server.status();
    // More than a pipe holds, so that the reader is gone while there is still something to write.
    for number in 0..4000 {
        let mut group = status.groups[0].clone();
        group.name = format!("group{number}");
        status.groups.push(group);
    }
    server.engine(move |_| Reply::Status(Box::new(status.clone())));
    for option in ["", "-g", "--json"] {
        let ran = server.shell(&format!("clpstat {option} | head -c 1 >/dev/null; echo ${{PIPESTATUS[0]}}"));
        assert_eq!((ran.out.as_str(), ran.err.as_str()), ("0\n", ""), "{option}");
    }
    let ran = server.shell("clpstat >/dev/full");
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("cannot be written"), "{}", ran.err);
}
