//! What comes from the declarations alone: help, versions, manual pages, completion.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::stand_in::StandIn;

/// As they are listed.
fn names() -> Vec<&'static str> {
    clp_cli::commands::COMMANDS.iter().map(|command| command.name).collect()
}

#[test]
fn every_command_has_help_and_a_version_for_everybody() {
    let server = StandIn::empty();
    assert_eq!(server.run(&["--list"]).out, names().join("\n") + "\n");
    assert!(names().is_sorted(), "found by name in every list");
    let version = format!(" (Mainstay) {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(server.run(&["--version"]).out, format!("clp{version}"));
    for name in names() {
        let help = server.run(&[name, "--help"]);
        assert!(help.code == 0 && help.out.contains("\nusage:\n") && help.out.contains("exit codes: 0 done"), "{help:?}");
        // Also among other words, and in place of a value.
        assert_eq!(server.run(&[name, "-h", "--help"]).out, help.out);
        let shown = server.run(&[name, "--version"]);
        assert_eq!((shown.code, shown.out), (0, format!("{name}{version}")));
    }
    let wrong = server.run(&["--man", "nosuch"]);
    assert_eq!((wrong.code, wrong.out.as_str()), (1, ""));
    assert!(wrong.err.starts_with("usage: clp COMMAND"), "{}", wrong.err);
    assert_eq!(server.run(&["--completion", "fish"]).code, 1);
}

#[test]
fn manual_pages_are_roff_without_a_complaint() {
    let server = StandIn::empty();
    for name in names() {
        let page = server.run(&["--man", name]).out;
        assert!(page.contains(&format!("\n.TH {} 8 ", name.to_uppercase())), "{page}");
        let spawned = Command::new("groff")
            .args(["-man", "-Tascii", "-ww", "-z"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut groff) = spawned else {
            println!("skipped: groff cannot be run");
            return;
        };
        groff.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
        let output = groff.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// What bash offers at the end of a line.
fn offered(server: &StandIn, line: &str) -> Vec<String> {
    let script = format!(
        "source <(clp --completion bash); COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
         set -- \"${{COMP_WORDS[0]}}\" \"${{COMP_WORDS[$COMP_CWORD]}}\"; _clp \"$@\"; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let ran = server.shell(&script);
    assert_eq!(ran.err, "", "{line}");
    ran.out.lines().map(String::from).filter(|word| !word.is_empty()).collect()
}

#[test]
fn completion_offers_what_the_parser_takes_and_names_that_exist() {
    let Some(server) = StandIn::new("completion_offers_what_the_parser_takes_and_names_that_exist") else { return };
    let own = server.own().to_string();
    for (line, expected) in [
        ("clpgrp ''", "-s -t -m -n -h -a -f -w --help --version"),
        ("clpgrp -m ''", "ManagementGroup failover1"),
        ("clpgrp -m f", "failover1"),
        ("clpgrp -m failover1 ''", "-h -a -w"),
        ("clpgrp -m failover1 -a ''", &format!("{own} server2")),
        ("clpgrp -m failover1 -a s", "server2"),
        ("clpgrp -a server2 ''", "-m -h -w"),
        ("clpgrp -n failover1 ''", ""),
        ("clpgrp -n -", ""),
        ("clpcl --", "--suspend --resume --md --force --dead --help --version"),
        ("clpcl --suspend --", "--force"),
        ("clpcl -t -", "-a -h -w --md"),
        ("clpcl -w ''", ""),
        ("clpstat --why ''", "ManagementGroup failover1"),
        ("clpstat -h ''", &format!("{own} server2")),
        ("clp clpgrp -m f", "failover1"),
        ("clp --man clpg", "clpgrp"),
        ("clp clpst", "clpstat clpstdn"),
        ("clpgrp -s --nonsense -t -m ''", ""),
    ] {
        // The own name may begin with an s as well.
        let expected: Vec<&str> = expected.split(' ').filter(|word| !word.is_empty()).collect();
        let found: Vec<String> =
            offered(&server, line).into_iter().filter(|word| line != "clpgrp -m failover1 -a s" || *word != own).collect();
        assert_eq!(found, expected, "{line}");
    }
    std::fs::create_dir_all(server.root().join("conf with blank")).unwrap();
    let line = format!("clpcfctrl --push -x {}/conf", server.root().display());
    assert_eq!(offered(&server, &line), [format!("{}/conf with blank", server.root().display())]);
}
