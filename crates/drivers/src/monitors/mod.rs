//! Monitor resources: one check each, one file per type.
//!
//! A driver measures once, within a time limit, and says what it found. Intervals, retries and recovery are the core's.

pub mod arpw;
mod bounded;
pub mod diskw;
pub mod evidence;
pub mod fipw;
pub(crate) mod floating;
pub mod genw;
pub mod ipw;
pub mod miiw;
pub mod pidw;
pub mod preaction;
pub mod psw;
mod script;
pub mod userw;

use clp_config::{Monitor, MonitorKind};
use clp_sys::paths::Root;
use std::{path::PathBuf, thread, time::Duration};
use thiserror::Error;

/// What a driver needs to know besides its parameters.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The process that the target exec resource left running (for pidw).
    pub resident_pid: Option<u32>,
    /// A folder of this program for files that come and go (for userw).
    pub work: PathBuf,
    /// Where the product lives (for scripts).
    pub root: Root,
    /// This server: its parameters may differ.
    pub server: String,
    /// Name of the monitor (for scripts).
    pub monitor: String,
    /// What the watched resource has as its address on this server, as written (for arpw and fipw).
    pub address: String,
}

/// Checks once, and says so when this process itself lacks the files that a check needs: then its failure is not the object's.
///
/// # Errors
/// As [`MonitorDriver::check`].
pub fn check(driver: &mut dyn MonitorDriver, limit: Duration) -> Result<(), CheckFailed> {
    driver.check(limit).map_err(|failed| match (failed.kind, clp_sys::shortage::cannot_open()) {
        (FailureKind::Error, Some(cause)) => CheckFailed::unable(
            format!("the monitor daemon can open no file: {cause}"),
            "see what uses up open files (prlimit, lsof)",
        ),
        _ => failed,
    })
}

/// Makes the driver of a configured monitor; the calling thread's network namespace is the one that is watched.
///
/// # Errors
/// The parameters do not name something that can be watched.
pub fn driver(monitor: &Monitor, context: &Context) -> Result<Box<dyn MonitorDriver>, UnusableMonitor> {
    kind_driver(monitor.on(&context.server), context)
}

fn kind_driver(kind: &MonitorKind, context: &Context) -> Result<Box<dyn MonitorDriver>, UnusableMonitor> {
    Ok(match kind {
        MonitorKind::Userw(parameters) => Box::new(userw::Userw::configured(parameters, &context.work)?),
        MonitorKind::Diskw(parameters) => Box::new(diskw::Diskw::configured(parameters)?),
        MonitorKind::Miiw(parameters) => Box::new(miiw::Miiw::configured(parameters)?),
        MonitorKind::Ipw { addresses } => Box::new(ipw::Ipw::configured(addresses)?),
        MonitorKind::Pidw => Box::new(pidw::Pidw::new(context.resident_pid)),
        MonitorKind::Genw(parameters) => Box::new(genw::Genw::configured(parameters, context)),
        MonitorKind::Arpw(_) => Box::new(arpw::Arpw::new(&context.address)?),
        MonitorKind::Fipw(parameters) => Box::new(fipw::Fipw::new(&context.address, parameters.link)?),
        MonitorKind::Psw(parameters) => Box::new(psw::Psw::configured(parameters)?),
    })
}

/// A monitor resource that runs.
pub trait MonitorDriver: Send {
    /// Checks once. Returns within `limit` and a little, whatever the object does.
    ///
    /// # Errors
    /// What is wrong with the object.
    fn check(&mut self, limit: Duration) -> Result<(), CheckFailed>;

    /// Does the kernel tell this type of changes, so that [`MonitorDriver::wait_event`] is worth calling between two checks?
    fn hears_events(&self) -> bool {
        false
    }

    /// Waits for at most `time` and says whether something happened that is worth a check now. A type that hears
    /// nothing from the kernel just waits.
    fn wait_event(&mut self, time: Duration) -> bool {
        thread::sleep(time);
        false
    }
}

/// How a check failed: the configuration can treat a time-out in another way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The object answered badly or is gone.
    Error,
    /// The check did not end in time.
    TimedOut,
    /// This server lacks what the check itself needs: it says nothing of the object.
    Unable,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what}; {remedy}")]
pub struct CheckFailed {
    /// Error or time-out.
    pub kind: FailureKind,
    /// What is wrong, naming the object.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
    /// The check had no processor for most of its time: the figures, in words.
    pub starved: Option<String>,
}

impl CheckFailed {
    /// The object answered badly or is gone.
    pub fn error(what: impl Into<String>, remedy: impl Into<String>) -> CheckFailed {
        CheckFailed { kind: FailureKind::Error, what: what.into(), remedy: remedy.into(), starved: None }
    }

    /// The check did not end in time.
    pub fn timed_out(what: impl Into<String>, remedy: impl Into<String>) -> CheckFailed {
        CheckFailed { kind: FailureKind::TimedOut, what: what.into(), remedy: remedy.into(), starved: None }
    }

    /// The check could not be made.
    pub fn unable(what: impl Into<String>, remedy: impl Into<String>) -> CheckFailed {
        CheckFailed { kind: FailureKind::Unable, what: what.into(), remedy: remedy.into(), starved: None }
    }
}

impl UnusableMonitor {
    fn new(what: impl Into<String>, remedy: impl Into<String>) -> UnusableMonitor {
        UnusableMonitor { what: what.into(), remedy: remedy.into() }
    }
}

/// Why a monitor resource cannot run as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what}; {remedy}")]
pub struct UnusableMonitor {
    /// What is wrong.
    pub what: String,
    /// What to change.
    pub remedy: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clp_config::{
        Document,
        document::Element,
        schema::monitors::{arpw::Arpw, diskw::Diskw, fipw::Fipw, genw::Genw, miiw::Miiw, psw::Psw, userw::Userw},
    };

    /// The kind with these parameters, whatever the configuration's own check would say of it.
    fn made(parameters: &str, kind: fn(&Element) -> MonitorKind) -> Result<Box<dyn MonitorDriver>, String> {
        let text = format!("<?xml version=\"1.0\" encoding=\"ASCII\"?><root><parameters>{parameters}</parameters></root>");
        let document = Document::read(text.as_bytes()).expect("document");
        kind_driver(&kind(document.root()), &Context::default()).map_err(|error| error.to_string())
    }

    fn userw(element: &Element) -> MonitorKind {
        MonitorKind::Userw(Userw::read(element, "", &[], &mut Vec::new()))
    }
    fn diskw(element: &Element) -> MonitorKind {
        MonitorKind::Diskw(Diskw::read(element, "", &[], &mut Vec::new()))
    }
    fn miiw(element: &Element) -> MonitorKind {
        MonitorKind::Miiw(Miiw::read(element, "", &[], &mut Vec::new()))
    }

    fn genw(element: &Element) -> MonitorKind {
        MonitorKind::Genw(Genw::read(element, "", &[], &mut Vec::new()))
    }
    fn arpw(element: &Element) -> MonitorKind {
        MonitorKind::Arpw(Arpw::read(element, "", &[], &mut Vec::new()))
    }
    fn fipw(element: &Element) -> MonitorKind {
        MonitorKind::Fipw(Fipw::read(element, "", &[], &mut Vec::new()))
    }
    fn psw(element: &Element) -> MonitorKind {
        MonitorKind::Psw(Psw::read(element, "", &[], &mut Vec::new()))
    }

    #[test]
    fn every_type_is_made_from_its_parameters_and_refused_with_a_remedy() {
        let refused = |made: Result<Box<dyn MonitorDriver>, String>, word: &str| match made {
            Ok(_) => panic!("accepted in spite of {word}"),
            Err(error) => assert!(error.contains(word), "{error}"),
        };
        refused(made("", diskw), "parameters/object");
        refused(made("", miiw), "parameters/object");
        refused(made("<method>ipmi</method>", userw), "ipmi");
        for method in 0..=4 {
            made(&format!("<method>{method}</method><object>/dev/null</object>"), diskw).expect("diskw");
        }
        made("", userw).expect("userw");
        made("<method>keepalive</method>", userw).expect("userw");
        made("<object>lo</object>", miiw).expect("miiw");
        made("", |_| MonitorKind::Pidw).expect("pidw");
        made("", genw).expect("genw");
        refused(made("", psw), "processname");
        made("<processname>httpd*</processname>", psw).expect("psw");
        // The address is the resource's; without one there is nothing to watch.
        refused(made("", arpw), "parameters/ip");
        refused(made("", fipw), "parameters/ip");
        refused(made("", |_| MonitorKind::Ipw { addresses: vec!["gateway".into()] }), "gateway");
        made("", |_| MonitorKind::Ipw { addresses: vec!["127.0.0.1".into(), "::1".into()] }).expect("ipw");
    }
}
