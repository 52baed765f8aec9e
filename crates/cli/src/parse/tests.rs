//! Every form with every option of its command: taken where the form names it, refused in words everywhere else.

use super::*;
use crate::commands::COMMANDS;
use crate::declaration::Kind;

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(String::from).collect()
}

fn find(name: &str) -> &'static Command {
    crate::commands::find(name).unwrap()
}

/// A value that the parser takes.
fn sample(option: &Opt) -> Option<&'static str> {
    option.value.map(|value| match value.kind {
        Kind::Seconds | Kind::Ratio | Kind::Number => "30",
        Kind::Span => "1h",
        Kind::Choice(words) => words[0],
        _ => "name",
    })
}

#[test]
fn no_command_takes_an_option_that_its_form_does_not_name() {
    let mut pairs = 0;
    for command in COMMANDS {
        for form in command.forms {
            let (chooser, fixed) = form.chooser();
            for option in command.options.iter().filter(|option| option.name != chooser) {
                let mut given = Vec::new();
                let besides = form.needed().filter(|needed| *needed != option.name);
                for name in [chooser, option.name].into_iter().chain(besides).filter(|name| !name.is_empty()) {
                    given.push(name.to_string());
                    let value = command.option(name).and_then(sample);
                    given.extend(if name == chooser { fixed.or(value) } else { value }.map(String::from));
                }
                if form.word().is_some() {
                    given.push("word".into());
                }
                let is_other_form = form.mode.is_empty() && command.modes().contains(&option.name);
                match parse(command, &given) {
                    Ok(parsed) => {
                        // Another form may take both.
                        let taken = command.forms.iter().any(|other| {
                            other.mode == parsed.mode
                                && other.takes(option.name)
                                && (form.mode.is_empty() || other.takes(chooser))
                        });
                        assert!(taken || is_other_form, "{} {given:?}", command.name);
                        assert!(parsed.has(option.name));
                    }
                    Err(Failure(reason)) => {
                        assert!(!form.takes(option.name) || is_other_form, "{} {given:?}: {reason}", command.name);
                        assert!(reason.contains(option.name) && reason.contains("usage:"), "{reason}");
                    }
                }
                pairs += 1;
            }
        }
    }
    assert!(pairs > 100, "{pairs}");
}

#[test]
fn what_does_not_go_together_is_said() {
    for (line, reason) in [
        ("clpgrp -s failover1 -a server2", "clpgrp: -a does not go with -s"),
        ("clpgrp -n failover1 -h server2", "clpgrp: -h does not go with -n"),
        ("clpgrp -s -t", "clpgrp: -s and -t cannot be given together"),
        ("clpgrp -n", "clpgrp: -n needs a GROUP"),
        ("clpgrp -m a b", "clpgrp: b is not expected"),
        ("clpgrp failover1", "clpgrp: give one of -s, -t, -m, -n"),
        ("clpgrp -m -h", "clpgrp: -h needs a HOST; help is shown by --help"),
        ("clpgrp -m failover1 -h -a server2", "clpgrp: -h needs a HOST; help is shown by --help"),
        ("clpgrp -m failover1 -a", "clpgrp: -a needs a DESTINATION"),
        ("clpgrp -m -w 0", "clpgrp: -w needs whole seconds from 1 to 9999"),
        ("clpgrp -m -w soon", "clpgrp: -w needs whole seconds from 1 to 9999"),
        ("clpcl --suspend -h server2", "clpcl: -h does not go with --suspend"),
        ("clpcl -t -a -h server2", "clpcl: -a and -h cannot be given together"),
        ("clpcl -r --web --alert", "clpcl: --web: there is no WebManager in this version; nothing was done"),
        ("clpcl -s server2", "clpcl: server2 is not expected; a server is named with -h"),
        ("clpstat -g -n", "clpstat: -g and -n cannot be given together"),
        ("clpstat -g --long", "clpstat: --long does not go with -g"),
        ("clpstat --local --json", "clpstat: --local does not go with --json"),
        ("clpstat --nonsense", "clpstat: invalid option --nonsense"),
        ("clpcfctrl -x /tmp", "clpcfctrl: give --push"),
        ("clpcfctrl --push -l -w", "clpcfctrl: -l and -w cannot be given together"),
        ("clpcfctrl --push -d /dev/fd0", "clpcfctrl: -d: there are no floppy disks in this version; name the directory with -x"),
        ("clplogcmd -m text -i 0", "clplogcmd: -i needs a whole number from 1 to 99999"),
        ("clplogcmd -m text -l LOUD", "clplogcmd: -l needs one of INFO, WARN, ERR, ERROR"),
        ("clplogcmd -i 7", "clplogcmd: give -m"),
        ("clprsc -s", "clprsc: -s needs a RESOURCE"),
        ("clptrnreq -h server2", "clptrnreq: give one of -t EXEC_SCRIPT, -t GRP_FAILOVER"),
        ("clptrnreq -t NOTHING -h server2", "clptrnreq: -t needs one of EXEC_SCRIPT, GRP_FAILOVER"),
        ("clptrnreq -t EXEC_SCRIPT -h server2", "clptrnreq: -t EXEC_SCRIPT needs -s SCRIPT"),
        ("clptrnreq -t EXEC_SCRIPT -s a.sh", "clptrnreq: -t EXEC_SCRIPT needs -h HOST[,HOST...]"),
        ("clptrnreq -t GRP_FAILOVER -h server2 -s a.sh", "clptrnreq: -s does not go with -t GRP_FAILOVER"),
        ("clprexec --failover failover1", "clprexec: --failover needs -h HOST[,HOST...]"),
        ("clpmonctrl -e", "clpmonctrl: -e needs -m MONITOR"),
        ("clpdown server2", "clpdown: server2 is not expected; a server is named with -h"),
    ] {
        let given = words(line);
        let Failure(words) = parse(find(&given[0]), &given[1..]).unwrap_err();
        assert_eq!(words.lines().next(), Some(reason), "{line}");
    }
}

#[test]
fn order_dashes_and_other_spellings_mean_the_same() {
    for line in ["-m failover1 -h server1 -a server2", "-a server2 -h server1 failover1 -m", "–m –a server2 —h server1 failover1"]
    {
        let parsed = parse(find("clpgrp"), &words(line)).unwrap();
        assert_eq!((parsed.mode, parsed.word.as_deref()), ("-m", Some("failover1")), "{line}");
        assert_eq!((parsed.value("-h"), parsed.value("-a")), (Some("server1"), Some("server2")), "{line}");
    }
    for line in ["--suspend -a", "-suspend", "–suspend", "–-suspend –a", "—suspend", "--suspend --force"] {
        assert_eq!(parse(find("clpcl"), &words(line)).unwrap().mode, "--suspend", "{line}");
    }
    for line in ["-t -w 30", "-t --apito 30", "-t --apito=30", "--apito 30 -t"] {
        assert_eq!(parse(find("clpcl"), &words(line)).unwrap().value("-w"), Some("30"), "{line}");
    }
    assert_eq!(parse(find("clpstat"), &words("--why failover1 --json")).unwrap().mode, "--why");
    assert_eq!(parse(find("clpstat"), &words("--json -s")).unwrap().mode, "--json");
}

#[test]
fn a_span_is_a_number_with_its_unit() {
    let table = [
        ("1h", Some(3600)),
        ("30m", Some(1800)),
        ("2d", Some(172_800)),
        ("30d", Some(2_592_000)),
        ("31d", None),
        ("0m", None),
        ("60", None),
        ("1s", None),
        ("m", None),
        ("-1h", None),
        ("1.5h", None),
        ("99999999999999999999d", None),
        ("", None),
    ];
    for (text, expected) in table {
        assert_eq!(crate::declaration::span(text), expected, "{text:?}");
    }
}
