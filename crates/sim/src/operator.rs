//! What an operator orders in a run, as data: drawn before the run, printed as words, read back, and given to an engine.

use std::fmt;
use std::str::FromStr;

use clp_core::event::Event;
use clp_core::ids::{GroupId, ResourceId, ServerId};
use clp_core::message::Command;
use clp_core::plan::AfterStop;
use clp_core::single::ResourceOrder;

use crate::fault::text::{micros, numbered, seconds};
use crate::options::{Options, RATIO_MAX, RATIO_TIMEOUTS};
use crate::rng::Rng;
use crate::world::World;

/// An order; None stands for every group, or for no particular server.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "the names are those of the commands")]
pub enum Order {
    Start {
        group: Option<GroupId>,
        server: Option<ServerId>,
    },
    Stop {
        group: Option<GroupId>,
    },
    Move {
        group: Option<GroupId>,
        to: Option<ServerId>,
    },
    StopAll {
        then: AfterStop,
    },
    Suspend {
        on: bool,
    },
    Resource {
        resource: ResourceId,
        order: ResourceOrder,
    },
    /// The operator looks first which server is really off; nothing when none is.
    DeclareOff,
    Ratio {
        ratio: u32,
        span: u64,
    },
    StopService {
        then: AfterStop,
    },
}

impl Order {
    /// One of all orders.
    pub fn draw(rng: &mut Rng, options: &Options) -> Order {
        let servers = options.plan.servers.len();
        let server = Some(ServerId::at(rng.index(servers))).filter(|_| rng.percent(60));
        let group = Some(GroupId::at(rng.index(options.plan.groups.len()))).filter(|_| rng.percent(80));
        let then = rng.pick(&[AfterStop::Nothing, AfterStop::Shutdown, AfterStop::Reboot]);
        match rng.below(24) {
            0..=2 => Order::Start { group, server },
            3 | 4 => Order::Stop { group },
            5..=7 => Order::Move { group, to: server },
            8 => Order::StopAll { then },
            9 | 10 => Order::Suspend { on: true },
            11..=13 => Order::Suspend { on: false },
            14..=17 => {
                let order = ResourceOrder { on: rng.percent(50), others: rng.percent(70) };
                Order::Resource { resource: ResourceId::at(rng.index(options.plan.resources.len())), order }
            }
            18 => Order::DeclareOff,
            19..=21 => Order::Ratio {
                ratio: u32::try_from(rng.range(2, u64::from(RATIO_MAX))).expect("small"),
                span: rng.below(RATIO_TIMEOUTS * options.timeout()),
            },
            22 => Order::Ratio { ratio: 1, span: 0 },
            _ => Order::StopService { then },
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = |group: &Option<GroupId>| group.map_or("all".to_string(), |group| format!("g{}", group.0));
        let server = |word: &str, server: &Option<ServerId>| server.map_or(String::new(), |s| format!(" {word} s{}", s.0));
        match self {
            Order::Start { group: what, server: on } => write!(f, "start {}{}", group(what), server("on", on)),
            Order::Stop { group: what } => write!(f, "stop {}", group(what)),
            Order::Move { group: what, to } => write!(f, "move {}{}", group(what), server("to", to)),
            Order::StopAll { then } => write!(f, "stop-all {}", after_stop(*then)),
            Order::Suspend { on } => f.write_str(if *on { "suspend" } else { "resume" }),
            Order::Resource { resource, order } => {
                let (word, others) = (if order.on { "on" } else { "off" }, if order.others { " others" } else { "" });
                write!(f, "resource r{} {word}{others}", resource.0)
            }
            Order::DeclareOff => f.write_str("declare-off"),
            Order::Ratio { ratio, span } => write!(f, "ratio {ratio} for {}", seconds(*span)),
            Order::StopService { then } => write!(f, "stop-service {}", after_stop(*then)),
        }
    }
}

fn after_stop(then: AfterStop) -> &'static str {
    match then {
        AfterStop::Nothing => "nothing",
        AfterStop::Shutdown => "shutdown",
        _ => "reboot",
    }
}

impl FromStr for Order {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let word = |at: usize| words.get(at).copied();
        let group = || if word(1) == Some("all") { Ok(None) } else { numbered('g', word(1)).map(|g| Some(GroupId::at(g))) };
        let server = || if word(3).is_none() { Ok(None) } else { numbered('s', word(3)).map(|s| Some(ServerId::at(s))) };
        let then = || match word(1) {
            Some("nothing") => Ok(AfterStop::Nothing),
            Some("shutdown") => Ok(AfterStop::Shutdown),
            Some("reboot") => Ok(AfterStop::Reboot),
            other => Err(format!("{other:?} is not nothing, shutdown or reboot")),
        };
        Ok(match word(0).unwrap_or_default() {
            "start" => Order::Start { group: group()?, server: server()? },
            "stop" => Order::Stop { group: group()? },
            "move" => Order::Move { group: group()?, to: server()? },
            "stop-all" => Order::StopAll { then: then()? },
            "suspend" => Order::Suspend { on: true },
            "resume" => Order::Suspend { on: false },
            "resource" => {
                let order = ResourceOrder { on: word(2) == Some("on"), others: word(3) == Some("others") };
                Order::Resource { resource: ResourceId::at(numbered('r', word(1))?), order }
            }
            "declare-off" => Order::DeclareOff,
            "ratio" => {
                let ratio = word(1).and_then(|word| word.parse().ok()).ok_or("a ratio is a number")?;
                Order::Ratio { ratio, span: micros(word(3).unwrap_or_default())? }
            }
            "stop-service" => Order::StopService { then: then()? },
            other => return Err(format!("there is no order {other:?}")),
        })
    }
}

impl World {
    /// An operator gives the order at a server; false when nobody takes it there.
    pub(crate) fn order(&mut self, host: usize, order: Order) -> bool {
        if !self.hosts[host].acts() {
            return false;
        }
        let command = match order {
            Order::Start { group, server } => Command::GroupStart { group, server },
            Order::Stop { group } => Command::GroupStop { group, server: None },
            Order::Move { group, to } => Command::GroupMove { group, from: None, to },
            Order::StopAll { then } => Command::StopAll { then },
            Order::Suspend { on } => Command::Suspend { on },
            Order::Ratio { ratio, span } => Command::TimeoutRatio { ratio, span },
            Order::Resource { resource, order } => {
                self.operate_resource(host, resource, order);
                return true;
            }
            Order::DeclareOff => match (0..self.hosts.len()).find(|other| !self.hosts[*other].powered) {
                Some(off) => Command::DeclareOff { server: ServerId::at(off) },
                None => return false,
            },
            Order::StopService { then } => {
                self.command += 1;
                let id = self.command;
                self.say(|| format!("operator at s{host}: stop the service, then {then:?}"));
                self.handle(host, Event::StopService { id, then });
                return true;
            }
        };
        self.operate(host, command);
        true
    }
}
