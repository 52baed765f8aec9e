//! A fault as one line, and back: moment and span in seconds, server, kind, and what the kind needs.

use std::fmt;
use std::str::FromStr;

use clp_core::ids::{MonitorId, ResourceId};

use super::{Cutting, Planned, What};

/// Microseconds as seconds.
pub fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// Seconds with up to six decimals as microseconds.
///
/// # Errors
/// It is no such number.
pub fn micros(text: &str) -> Result<u64, String> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let number = |digits: &str| digits.parse::<u64>().map_err(|cause| format!("{text:?} is no time in seconds: {cause}"));
    let part = if part.is_empty() { "0" } else { part };
    if part.len() > 6 {
        return Err(format!("{text:?} has more than six decimals"));
    }
    Ok(number(whole)? * 1_000_000 + number(&format!("{part:0<6}"))?)
}

/// The number behind a letter: `s1`, `r3`.
///
/// # Errors
/// It is none.
pub fn numbered(letter: char, text: Option<&str>) -> Result<usize, String> {
    let text = text.unwrap_or_default();
    let number = text.strip_prefix(letter).and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| format!("{text:?} is not {letter} with a number"))
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = format!("s{}", self.host);
        write!(f, "{:>12} {:>10} {host:<3} {}", seconds(self.at), seconds(self.span), self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Crash { torn } => f.write_str(if *torn { "crash torn" } else { "crash" }),
            What::PowerLoss { back } => {
                let back: Vec<String> = back.iter().map(|back| seconds(*back)).collect();
                write!(f, "power-loss back {}", back.join(","))
            }
            What::EngineRestart => f.write_str("engine-restart"),
            What::EngineDeath => f.write_str("engine-death"),
            What::PauseServer => f.write_str("pause-server"),
            What::PauseEngine => f.write_str("pause-engine"),
            What::Cut { cut, arbiter } => {
                write!(f, "{cut}")?;
                f.write_str(if *arbiter { " arbiter" } else { "" })
            }
            What::Loss { percent } => write!(f, "loss {percent}"),
            What::Delay { longest } => write!(f, "delay {}", seconds(*longest)),
            What::ArbiterAway => f.write_str("arbiter-away"),
            What::ArbiterSlow { by } => write!(f, "arbiter-slow {}", seconds(*by)),
            What::ArbiterWrong { lost } => f.write_str(if *lost { "arbiter-wrong lost" } else { "arbiter-wrong" }),
            What::ArbiterForgets => f.write_str("arbiter-forgets"),
            What::ControllerAway => f.write_str("controller-away"),
            What::ClockTurns { drift } => write!(f, "clock-turns {drift}"),
            What::MonitorBad { monitor } => write!(f, "monitor-bad m{}", monitor.0),
            What::MonitorFlaps { monitor, every } => write!(f, "monitor-flaps m{} every {every}", monitor.0),
            What::StartFails { resource } => write!(f, "start-fails r{}", resource.0),
            What::StopFails { resource, detach } => {
                write!(f, "stop-fails r{}{}", resource.0, if *detach { " detach" } else { "" })
            }
            What::Stuck { resource } => write!(f, "stuck r{}", resource.0),
            What::TornSlots { path } => write!(f, "torn-slots p{path}"),
            What::StaleSlots { path, older } => write!(f, "stale-slots p{path} older {older}"),
            What::DiskFull => f.write_str("disk-full"),
            What::WatchdogLate { by } => write!(f, "watchdog-late {}", seconds(*by)),
            What::Push => f.write_str("push"),
            What::Operator(order) => write!(f, "operator {order}"),
        }
    }
}

impl fmt::Display for Cutting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let disks = |all: &bool| if *all { " disks" } else { "" };
        match self {
            Cutting::Isolate => f.write_str("isolate"),
            Cutting::Lans => f.write_str("cut-lans"),
            Cutting::Pair { other, all } => write!(f, "cut-pair s{other}{}", disks(all)),
            Cutting::OneWay { other } => write!(f, "cut-one-way s{other}"),
            Cutting::Path { path } => write!(f, "cut-path p{path}"),
            Cutting::Split { side, all } => {
                let side: Vec<String> = side.iter().map(|server| format!("s{server}")).collect();
                write!(f, "split {}{}", side.join(","), disks(all))
            }
        }
    }
}

impl FromStr for Planned {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let mut words = line.split_whitespace();
        let mut next = |what: &str| words.next().ok_or_else(|| format!("{line:?} has no {what}"));
        let (at, span) = (micros(next("moment")?)?, micros(next("span")?)?);
        let host = numbered('s', Some(next("server")?))?;
        let kind = next("kind")?;
        let rest: Vec<&str> = words.collect();
        let what = what(kind, &rest).map_err(|reason| format!("in {line:?}: {reason}"))?;
        Ok(Planned { at, span, host, what })
    }
}

fn what(kind: &str, rest: &[&str]) -> Result<What, String> {
    let word = |at: usize| rest.get(at).copied();
    let has = |flag: &str| rest.contains(&flag);
    let number = |at: usize| word(at).and_then(|word| word.parse::<u64>().ok()).ok_or_else(|| format!("word {at} is no number"));
    let time = |at: usize| micros(word(at).unwrap_or_default());
    let resource = || numbered('r', word(0)).map(ResourceId::at);
    let monitor = || numbered('m', word(0)).map(MonitorId::at);
    let path = || numbered('p', word(0));
    let cut = |cut: Cutting| What::Cut { cut, arbiter: has("arbiter") };
    Ok(match kind {
        "crash" => What::Crash { torn: has("torn") },
        "power-loss" => {
            What::PowerLoss { back: word(1).unwrap_or_default().split(',').map(micros).collect::<Result<Vec<u64>, String>>()? }
        }
        "engine-restart" => What::EngineRestart,
        "engine-death" => What::EngineDeath,
        "pause-server" => What::PauseServer,
        "pause-engine" => What::PauseEngine,
        "isolate" => cut(Cutting::Isolate),
        "cut-lans" => cut(Cutting::Lans),
        "cut-pair" => cut(Cutting::Pair { other: numbered('s', word(0))?, all: has("disks") }),
        "cut-one-way" => cut(Cutting::OneWay { other: numbered('s', word(0))? }),
        "cut-path" => cut(Cutting::Path { path: path()? }),
        "split" => {
            let side = word(0).unwrap_or_default().split(',').map(|one| numbered('s', Some(one)));
            cut(Cutting::Split { side: side.collect::<Result<Vec<usize>, String>>()?, all: has("disks") })
        }
        "loss" => What::Loss { percent: number(0)? },
        "delay" => What::Delay { longest: time(0)? },
        "arbiter-away" => What::ArbiterAway,
        "arbiter-slow" => What::ArbiterSlow { by: time(0)? },
        "arbiter-wrong" => What::ArbiterWrong { lost: has("lost") },
        "arbiter-forgets" => What::ArbiterForgets,
        "controller-away" => What::ControllerAway,
        "clock-turns" => {
            let drift = word(0).and_then(|word| word.parse().ok()).ok_or("a drift is a number of millionths")?;
            What::ClockTurns { drift }
        }
        "monitor-bad" => What::MonitorBad { monitor: monitor()? },
        "monitor-flaps" => What::MonitorFlaps { monitor: monitor()?, every: number(2)?.max(1) },
        "start-fails" => What::StartFails { resource: resource()? },
        "stop-fails" => What::StopFails { resource: resource()?, detach: has("detach") },
        "stuck" => What::Stuck { resource: resource()? },
        "torn-slots" => What::TornSlots { path: path()? },
        "stale-slots" => {
            let older = usize::try_from(number(2)?).map_err(|cause| cause.to_string())?;
            What::StaleSlots { path: path()?, older }
        }
        "disk-full" => What::DiskFull,
        "watchdog-late" => What::WatchdogLate { by: time(0)? },
        "push" => What::Push,
        "operator" => What::Operator(rest.join(" ").parse()?),
        _ => return Err(format!("there is no fault {kind:?}")),
    })
}
