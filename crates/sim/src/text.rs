//! Values as words, and back: how the options of a run stand in a scenario. Structures are `{name=value …}`, lists `[… …]`, spans
//! seconds. The lists of fields below are complete, or the compiler says so.

use std::time::Duration;

use clp_core::ids::{GroupId, MonitorId, ResourceId, ServerId, ServerSet};
use clp_core::plan::{
    AfterStop, Elsewhere, Exclusion, FinalAction, GroupPlan, MonitorPlan, OnTimeout, RecoveryTarget, ResourcePlan, Restraints,
    ScriptBefore, ServerGroup, StartAfter, StopOccasions, Switches, Timing, Waits,
};
use clp_core::proof::Proof;
use clp_core::verdict::MethodKind;

use crate::fault::text::{micros, numbered, seconds};
use crate::options::{Arbiter, FAULTS, Fault};

/// What is read so far.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// Before the first word.
    pub fn new(text: &'a str) -> Self {
        Reader { rest: text.trim() }
    }

    fn skip(&mut self, sign: char) -> bool {
        let rest = self.rest.trim_start().strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, sign: char) -> Result<(), String> {
        if self.skip(sign) { Ok(()) } else { Err(format!("{sign:?} expected before {:?}", self.shown())) }
    }

    fn word(&mut self) -> &'a str {
        let text = self.rest.trim_start();
        let end = text.find(|sign: char| sign.is_whitespace() || "{}[]=".contains(sign)).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        self.rest = rest;
        word
    }

    fn name(&mut self, name: &str) -> Result<(), String> {
        let word = self.word();
        if word != name {
            return Err(format!("{name} expected, {word:?} found"));
        }
        self.expect('=')
    }

    fn shown(&self) -> String {
        self.rest.chars().take(30).collect()
    }

    /// Nothing may follow.
    ///
    /// # Errors
    /// Something does.
    pub fn end(&self) -> Result<(), String> {
        if self.rest.trim().is_empty() { Ok(()) } else { Err(format!("{:?} is too much", self.shown())) }
    }
}

/// A value that is written as words and read back.
pub trait Text: Sized {
    /// As words.
    fn put(&self) -> String;
    /// From words.
    ///
    /// # Errors
    /// They say something else.
    fn take(from: &mut Reader<'_>) -> Result<Self, String>;
}

macro_rules! numbers {
    ($($kind:ty)*) => { $(impl Text for $kind {
        fn put(&self) -> String {
            self.to_string()
        }
        fn take(from: &mut Reader<'_>) -> Result<Self, String> {
            let word = from.word();
            word.parse().map_err(|cause| format!("{word:?} is no number: {cause}"))
        }
    })* };
}
numbers! { u32 u64 usize }

macro_rules! identities {
    ($($kind:ident $letter:literal)*) => { $(impl Text for $kind {
        fn put(&self) -> String {
            format!(concat!($letter, "{}"), self.0)
        }
        fn take(from: &mut Reader<'_>) -> Result<Self, String> {
            numbered($letter, Some(from.word())).map($kind::at)
        }
    })* };
}
identities! { ServerId 's' GroupId 'g' ResourceId 'r' MonitorId 'm' }

macro_rules! words {
    ($($kind:ident { $($word:ident)* })*) => { $(impl Text for $kind {
        fn put(&self) -> String {
            format!("{self:?}")
        }
        fn take(from: &mut Reader<'_>) -> Result<Self, String> {
            match from.word() {
                $(stringify!($word) => Ok($kind::$word),)*
                other => Err(format!(concat!("{:?} is no ", stringify!($kind)), other)),
            }
        }
    })* };
}
words! {
    AfterStop { Nothing Shutdown Reboot SysrqPanic KeepaliveReset KeepalivePanic }
    Exclusion { None Normal Full }
    MethodKind { Ping Majority Arbiter }
    Proof { None Timed Arbiter Reserved Stopped }
}

macro_rules! structures {
    ($($kind:ident { $($field:ident)* })*) => { $(impl Text for $kind {
        fn put(&self) -> String {
            let fields = [$(format!(concat!(stringify!($field), "={}"), self.$field.put())),*];
            format!("{{{}}}", fields.join(" "))
        }
        fn take(from: &mut Reader<'_>) -> Result<Self, String> {
            from.expect('{')?;
            let value = $kind { $($field: { from.name(stringify!($field))?; Text::take(from)? }),* };
            from.expect('}')?;
            Ok(value)
        }
    })* };
}
structures! {
    Timing { interval timeout right_timeout arbiter watchdog_hold gate takeover_addresses takeover_data reset sync_wait }
    Switches { activation deactivation monitor }
    Restraints { survive no_recovery reboot_max reboot_reset exempt }
    StartAfter { group same_server }
    StopOccasions { cluster server group }
    Waits { start start_limit stop stop_limit stop_at }
    ServerGroup { name servers }
    GroupPlan {
        name policy start_auto failover_auto failback_auto exclusion life_forbids shared_data min_proof resources waits server_groups
    }
    Elsewhere { start stop }
    ResourcePlan {
        name group depends activate_retry activate_failover activate_action deactivate_retry deactivate_action activate_script
        deactivate_script elsewhere
    }
    OnTimeout { retries recovers }
    ScriptBefore { reactivation failover final_action }
    MonitorPlan { name target servers retry on_timeout recovery restart_max failover_max action script_before }
}

impl Text for Arbiter {
    fn put(&self) -> String {
        format!("{self:?}")
    }
    fn take(from: &mut Reader<'_>) -> Result<Self, String> {
        let word = from.word();
        let found = Arbiter::ALL.iter().find(|arbiter| arbiter.put() == word);
        found.copied().ok_or_else(|| format!("{word:?} is no arbiter"))
    }
}

impl Text for Fault {
    fn put(&self) -> String {
        format!("{self:?}")
    }
    fn take(from: &mut Reader<'_>) -> Result<Self, String> {
        let word = from.word();
        FAULTS.iter().find(|fault| fault.put() == word).copied().ok_or_else(|| format!("{word:?} is no kind of fault"))
    }
}

impl Text for bool {
    fn put(&self) -> String {
        if *self { "yes" } else { "no" }.into()
    }
    fn take(from: &mut Reader<'_>) -> Result<Self, String> {
        match from.word() {
            "yes" => Ok(true),
            "no" => Ok(false),
            other => Err(format!("{other:?} is not yes or no")),
        }
    }
}

impl Text for String {
    fn put(&self) -> String {
        self.clone()
    }
    fn take(from: &mut Reader<'_>) -> Result<Self, String> {
        Ok(from.word().to_string())
    }
}

impl Text for Duration {
    fn put(&self) -> String {
        seconds(u64::try_from(self.as_micros()).unwrap_or(u64::MAX))
    }
    fn take(from: &mut Reader<'_>) -> Result<Self, String> {
        micros(from.word()).map(Duration::from_micros)
    }
}

impl<T: Text> Text for Vec<T> {
    fn put(&self) -> String {
        format!("[{}]", self.iter().map(Text::put).collect::<Vec<String>>().join(" "))
    }
    fn take(from: &mut Reader<'_>) -> Result<Self, String> {
        from.expect('[')?;
        let mut list = Vec::new();
        while !from.skip(']') {
            list.push(T::take(from)?);
        }
        Ok(list)
    }
}

impl<T: Text> Text for Option<T> {
    fn put(&self) -> String {
        self.as_ref().map_or("-".into(), Text::put)
    }
    fn take(from: &mut Reader<'_>) -> Result<Self, String> {
        if from.skip('-') { Ok(None) } else { T::take(from).map(Some) }
    }
}

impl Text for ServerSet {
    fn put(&self) -> String {
        self.iter().collect::<Vec<ServerId>>().put()
    }
    fn take(from: &mut Reader<'_>) -> Result<Self, String> {
        Vec::take(from).map(|servers: Vec<ServerId>| servers.into_iter().collect())
    }
}

impl Text for FinalAction {
    fn put(&self) -> String {
        match self {
            FinalAction::StopService(then) => format!("StopService={}", then.put()),
            other => format!("{other:?}"),
        }
    }
    fn take(from: &mut Reader<'_>) -> Result<Self, String> {
        Ok(match from.word() {
            "NothingContinue" => FinalAction::NothingContinue,
            "Nothing" => FinalAction::Nothing,
            "StopResource" => FinalAction::StopResource,
            "StopGroup" => FinalAction::StopGroup,
            "StopService" => {
                from.expect('=')?;
                FinalAction::StopService(AfterStop::take(from)?)
            }
            other => return Err(format!("{other:?} is no final action")),
        })
    }
}

impl Text for RecoveryTarget {
    fn put(&self) -> String {
        match self {
            RecoveryTarget::LocalServer => "server".into(),
            RecoveryTarget::Group(group) => group.put(),
            RecoveryTarget::Resource(resource) => resource.put(),
        }
    }
    fn take(from: &mut Reader<'_>) -> Result<Self, String> {
        let word = from.word();
        if word == "server" {
            return Ok(RecoveryTarget::LocalServer);
        }
        let group = numbered('g', Some(word)).map(GroupId::at).map(RecoveryTarget::Group);
        group.or_else(|_| numbered('r', Some(word)).map(ResourceId::at).map(RecoveryTarget::Resource))
    }
}
