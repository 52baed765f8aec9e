//! Every declared command, in every form, against what can go wrong with each: the lines are made from the declarations, so
//! that no command, form or name that takes a server or an object can be left out.

use std::process::{Command, Stdio};

use clp_cli::commands::COMMANDS;
use clp_cli::declaration::{Form, Kind, Part, Value};
use clp_protocol::control::{MonitorCount, Reply, Request};
use clp_services::request as transfer;

use crate::stand_in::{Ran, StandIn};

/// A name that nothing has.
const STRANGER: &str = "nosuch9";
/// What the transfer service says of a server that is off.
const UNREACHABLE: &str = "server2 (192.168.0.2) cannot be reached: connection timed out";

/// Works without any service of this server, and so does every form of clpstat but those of recorded causes and of losses.
fn works_alone(words: &[String]) -> bool {
    let asks = |mode: &String| mode == "--why" || mode == "--whatif";
    words[0] == "clplogcmd" || (words[0] == "clpstat" && words.get(1).is_none_or(|mode| !asks(mode)))
}

/// Names a server that is not asked itself: the cluster's coordinator does it.
fn leaves_the_server_alone(words: &[String]) -> bool {
    words[0] == "clpgrp"
}

/// A value that exists in the sample.
fn good(value: Value) -> String {
    match value.kind {
        Kind::Server => "server2",
        Kind::Group => "failover1",
        Kind::Resource => "fip1",
        Kind::Monitor => "userw",
        Kind::Heartbeat => "lankhb1",
        Kind::Partition => "pingnp1",
        Kind::Disk => "disk1",
        Kind::ServerGroup | Kind::Text => "words",
        Kind::Script(_) => "script.sh",
        Kind::Directory => "/",
        Kind::Seconds | Kind::Number | Kind::Ratio => "7",
        Kind::Span => "1h",
        Kind::Choice(choices) => choices[0],
    }
    .into()
}

/// Is it the name of something that the configuration may not have?
fn is_name(value: Value) -> bool {
    matches!(
        value.kind,
        Kind::Server | Kind::Group | Kind::Resource | Kind::Monitor | Kind::Heartbeat | Kind::Partition | Kind::ServerGroup | Kind::Disk
    )
}

/// A command in one of its forms.
struct Use {
    command: &'static clp_cli::declaration::Command,
    form: &'static Form,
}

impl Use {
    fn all() -> Vec<Use> {
        COMMANDS.iter().flat_map(|command| command.forms.iter().map(|form| Use { command, form })).collect()
    }

    fn value(&self, option: &str) -> Option<Value> {
        self.command.option(option).expect("it is declared").value
    }

    fn add(&self, words: &mut Vec<String>, option: &str, value: Option<&str>) {
        words.push(option.into());
        words.extend(self.value(option).map(|expected| value.map_or_else(|| good(expected), String::from)));
    }

    /// The shortest line; `option` (a word of the form: empty) has `value`.
    fn line_with(&self, option: Option<&str>, value: &str) -> Vec<String> {
        let mut words = vec![self.command.name.to_string()];
        let given = |name: &str| (option == Some(name)).then_some(value);
        let (chooser, fixed) = self.form.chooser();
        if !chooser.is_empty() {
            self.add(&mut words, chooser, given(chooser).or(fixed));
        }
        for needed in self.form.needed() {
            self.add(&mut words, needed, given(needed));
        }
        let there = option.is_none_or(|option| option.is_empty() || option == chooser || self.form.needed().any(|n| n == option));
        if let (false, Some(option)) = (there, option) {
            self.add(&mut words, option, Some(value));
        }
        match self.form.word() {
            Some(_) if option == Some("") => words.push(value.into()),
            Some((word, true)) => words.push(good(word)),
            _ => {}
        }
        words
    }

    fn line(&self) -> Vec<String> {
        self.line_with(None, "")
    }

    /// Options with values that the form takes; the empty name is its word.
    fn places(&self) -> Vec<(&'static str, Value)> {
        let parts = self.form.parts.iter().flat_map(|part| match part {
            Part::Any(options) | Part::All(options) | Part::One(options) => options.iter().copied(),
            Part::Word(_) | Part::MaybeWord(_) => [].iter().copied(),
        });
        let options = std::iter::once(self.form.chooser().0).filter(|option| !option.is_empty()).chain(parts);
        let with_value = options.filter_map(|option| Some((option, self.value(option)?)));
        with_value.chain(self.form.word().map(|(value, _)| ("", value))).collect()
    }
}

/// Services that do what they are asked, and know nothing of a stranger.
pub fn helpful(server: &StandIn) {
    let status = server.status();
    let picture = server.picture();
    let answer = move |request: &Request| match request {
        request if serde_json::to_string(request).unwrap().contains(STRANGER) => {
            Reply::Unknown { kind: "thing".into(), name: STRANGER.into(), known: vec!["known1".into()] }
        }
        Request::Status => Reply::Status(Box::new(status.clone())),
        Request::Picture => Reply::Picture(picture.clone()),
        Request::Why { .. } => Reply::Why { chain: Vec::new() },
        Request::MonitorCounts { .. } => {
            let count = MonitorCount { name: "userw".into(), reactivations: 0, failovers: 0, dummy: false };
            Reply::MonitorCounts { counts: vec![count] }
        }
        _ => Reply::Done { details: Vec::new() },
    };
    let hex: String = server.sample().bytes().map(|byte| format!("{byte:02x}")).collect();
    server.engine(answer.clone());
    server.transfer(move |request| carried(request, &answer, &hex));
}

fn carried(request: &transfer::Request, engine: &impl Fn(&Request) -> Reply, hex: &str) -> transfer::Reply {
    match request {
        transfer::Request::Forward { inner, .. } => carried(inner, engine, hex),
        transfer::Request::Version => transfer::Reply::Version { version: "3".into(), engine: false },
        transfer::Request::Configuration => transfer::Reply::Configuration { hex: hex.into() },
        transfer::Request::Relay { request } => {
            let mut reply = engine(&serde_json::from_value(request.clone()).unwrap());
            if let Reply::Status(status) = &mut reply {
                status.local = "server2".into();
            }
            transfer::Reply::Relayed { reply: serde_json::to_value(reply).unwrap() }
        }
        _ => transfer::Reply::Done,
    }
}

fn run(server: &StandIn, words: &[String]) -> Ran {
    server.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Exit code 1, the reason on standard error with these words, and nothing else.
fn refused(ran: &Ran, line: &[String], wanted: &[&str]) {
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{line:?}: {ran:?}");
    for words in wanted {
        assert!(ran.err.contains(words), "{line:?}: no {words:?} in {}", ran.err);
    }
    assert!(!ran.err.contains("panicked") && !ran.err.contains("os error"), "{line:?}: {}", ran.err);
}

#[test]
fn every_command_takes_no_option_that_it_does_not_have_and_shows_what_it_has() {
    let Some(server) = StandIn::new("every_command_takes_no_option_that_it_does_not_have_and_shows_what_it_has") else { return };
    helpful(&server);
    for one in Use::all() {
        let help = run(&server, &[one.command.name.into(), "--help".into()]);
        let shown = help.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.code == 0 && shown.contains(&one.command.line(one.form)) && help.err.is_empty(), "{help:?}");
        let mut line = one.line();
        line.push("--no-such-option".into());
        refused(&run(&server, &line), &line, &["invalid option --no-such-option", "usage: ", one.command.name]);
        for option in one.form.needed() {
            let mut line = one.line();
            let at = line.iter().position(|word| word == option).expect("it is there");
            line.drain(at..at + 1 + usize::from(one.value(option).is_some()));
            refused(&run(&server, &line), &line, &["needs", option, "usage: "]);
        }
    }
    assert_eq!(server.requests(), []);
}

// S-CMD-ROOT
#[test]
fn every_command_refuses_another_user_before_it_asks_anything() {
    let Some(server) = StandIn::new("every_command_refuses_another_user_before_it_asks_anything") else { return };
    helpful(&server);
    // The build directory may be closed to others; a copy in a directory open to all is not.
    let open = tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755)).tempdir().unwrap();
    let program = open.path().join("clp");
    // By another process: while this one writes it, a child of another test may hold it open, and it could not be run.
    assert!(Command::new("cp").arg(env!("CARGO_BIN_EXE_clp")).arg(&program).status().unwrap().success());
    for line in Use::all().iter().map(Use::line) {
        let user = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        let ran = server.spawn(Command::new("setpriv").args(user).arg(&program).args(&line));
        assert_eq!((ran.code, ran.err.as_str(), ran.out.as_str()), (1, "Log in as root.\n", ""), "{line:?}");
    }
    assert_eq!(server.requests(), []);
    assert!(server.carried.lock().unwrap().is_empty());
}

#[test]
fn every_command_names_the_service_that_it_misses_and_how_to_start_it() {
    let Some(server) = StandIn::new("every_command_names_the_service_that_it_misses_and_how_to_start_it") else { return };
    for line in Use::all().iter().map(Use::line) {
        let ran = run(&server, &line);
        if works_alone(&line) {
            assert_eq!(ran.code, 0, "{line:?}: {ran:?}");
        } else {
            // Who stops what does not run does not want it started.
            let remedy = ran.err.contains("clpcl -s") || ran.err.contains("start clusterpro_trn");
            assert!(remedy || line == ["clpcl", "-t"], "{line:?}: {}", ran.err);
            refused(&ran, &line, &["is not running"]);
        }
    }
}

#[test]
fn every_command_names_a_server_that_cannot_be_reached() {
    let Some(server) = StandIn::new("every_command_names_a_server_that_cannot_be_reached") else { return };
    let status = server.status();
    server.engine(move |request| match request {
        Request::Status => Reply::Status(Box::new(status.clone())),
        _ => Reply::Done { details: Vec::new() },
    });
    server.transfer(|request| match request {
        transfer::Request::Forward { server, .. } if server == "server2" => {
            transfer::Reply::Failed { reason: UNREACHABLE.into() }
        }
        transfer::Request::Version => transfer::Reply::Version { version: "3".into(), engine: false },
        _ => transfer::Reply::Done,
    });
    let mut tried = 0;
    for one in Use::all() {
        if !one.places().iter().any(|(option, _)| *option == "-h") {
            continue;
        }
        let line = one.line_with(Some("-h"), "server2");
        let ran = run(&server, &line);
        if leaves_the_server_alone(&line) {
            assert_eq!(ran.code, 0, "{line:?}: {ran:?}");
        } else {
            refused(&ran, &line, &[UNREACHABLE]);
            tried += 1;
        }
    }
    assert!(tried > 30, "{tried}");
}

#[test]
fn every_name_that_does_not_exist_is_answered_with_those_that_do() {
    let Some(server) = StandIn::new("every_name_that_does_not_exist_is_answered_with_those_that_do") else { return };
    helpful(&server);
    let mut tried = 0;
    for one in Use::all() {
        for (option, _) in one.places().into_iter().filter(|(_, value)| is_name(*value)) {
            let line = one.line_with(Some(option), STRANGER);
            let ran = run(&server, &line);
            refused(&ran, &line, &[STRANGER]);
            let known = ["known1", "server2", "fip1", "disk1", "lankhb1", "pingnp1", "userw", "failover1", "none is configured"];
            assert!(known.iter().any(|name| ran.err.contains(name)), "{line:?}: {}", ran.err);
            tried += 1;
        }
    }
    assert!(tried > 50, "{tried}");
}

#[test]
fn every_command_says_something_when_it_succeeds_and_minds_no_closed_pipe() {
    let Some(server) = StandIn::new("every_command_says_something_when_it_succeeds_and_minds_no_closed_pipe") else { return };
    helpful(&server);
    for line in Use::all().iter().map(Use::line) {
        let ran = run(&server, &line);
        // The sample has a partition resolution, and what its targets answer is taken for granted.
        let code = if line[1..].contains(&"--whatif".to_string()) { 2 } else { 0 };
        assert!(ran.code == code && ran.out.ends_with('\n') && ran.err.is_empty(), "{line:?}: {ran:?}");
        assert!(!ran.out.contains(['\u{1b}', '\t', '\r']), "{line:?}: {}", ran.out);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_clp"));
        command.args(&line).env("CLP_ROOT", server.root()).stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped());
        let ended = Ran::from(command.spawn().unwrap().wait_with_output().unwrap());
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{line:?}");
    }
}
