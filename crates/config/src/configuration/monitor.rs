//! Monitor resources, in force, with their recovery targets resolved.

use std::time::Duration;

use super::resource::on_server;
use super::{Cluster, NOT_YET, instances, key};
use crate::document::Element;
use crate::problem::Problem;
use crate::schema::common::MonitorCommon as MonitorSection;
use crate::schema::monitors::{
    arpw::Arpw, common_defaults, diskw::Diskw, fipw::Fipw, genw::Genw, miiw::Miiw, psw::Psw, userw::Userw,
};

/// What a monitor's recovery acts upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecoveryTarget {
    /// This server.
    LocalServer,
    /// Every group.
    AllGroups,
    /// One group.
    Group(String),
    /// One resource.
    Resource(String),
}

/// Common parameters of a monitor, resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct MonitorCommon {
    /// Resource whose activation switches it on; empty: none.
    pub target: String,
    /// Between two checks.
    pub interval: Duration,
    /// Limit of one check.
    pub timeout: Duration,
    /// Failures in a row beyond the first.
    pub retry: u32,
    /// A check that exceeds its time is repeated as one that failed otherwise.
    pub timeout_retries: bool,
    /// Recovery follows a check that exceeds its time.
    pub timeout_recovers: bool,
    /// What the probes waited for is recorded when a check exceeds its time.
    pub timeout_evidence: bool,
    /// From cluster start to stop, not only while the target is active.
    pub always: bool,
    /// Servers that run it; empty: all.
    pub servers: Vec<String>,
    /// Before the first check.
    pub start_wait: Duration,
    /// Recovery target.
    pub recovery: RecoveryTarget,
    /// Reactivations.
    pub restart_threshold: u32,
    /// Failovers.
    pub failover_threshold: u32,
    /// Final action code.
    pub action: u32,
    /// The script before steps of the recovery.
    pub preaction: Preaction,
}

/// A script that runs before steps of a monitor's recovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preaction {
    /// Before a reactivation.
    pub restart: bool,
    /// Before a failover.
    pub failover: bool,
    /// Before the final action.
    pub final_action: bool,
    /// The script; a bare name lies in the monitor's own folder.
    pub path: String,
    /// It is a user's application: the path is absolute.
    pub foreign: bool,
    /// Time it may take.
    pub timeout: Duration,
}

/// A monitor resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitor {
    /// Name.
    pub name: String,
    /// Comment.
    pub comment: String,
    /// Common parameters.
    pub common: MonitorCommon,
    /// Type and parameters.
    pub kind: MonitorKind,
    /// Parameters that differ on one server.
    pub on_servers: Vec<(String, MonitorKind)>,
}

impl Monitor {
    /// The common parameters and those of single servers.
    pub fn kinds(&self) -> impl Iterator<Item = &MonitorKind> {
        std::iter::once(&self.kind).chain(self.on_servers.iter().map(|(_, kind)| kind))
    }

    /// Parameters on a server.
    pub fn on(&self, server: &str) -> &MonitorKind {
        self.on_servers.iter().find(|(name, _)| name == server).map_or(&self.kind, |(_, kind)| kind)
    }
}

/// Monitor types that can run.
#[derive(Debug, Clone, PartialEq)]
pub enum MonitorKind {
    /// User space.
    Userw(Userw),
    /// Disk.
    Diskw(Diskw),
    /// NIC link.
    Miiw(Miiw),
    /// Addresses.
    Ipw {
        /// The list.
        addresses: Vec<String>,
    },
    /// Resident process of the target.
    Pidw,
    /// A script of one's own.
    Genw(Genw),
    /// Announcements of an address.
    Arpw(Arpw),
    /// The target's floating address.
    Fipw(Fipw),
    /// Processes by name.
    Psw(Psw),
}

impl MonitorKind {
    /// As in the file.
    pub fn word(&self) -> &'static str {
        match self {
            MonitorKind::Userw(_) => "userw",
            MonitorKind::Diskw(_) => "diskw",
            MonitorKind::Miiw(_) => "miiw",
            MonitorKind::Ipw { .. } => "ipw",
            MonitorKind::Pidw => "pidw",
            MonitorKind::Genw(_) => "genw",
            MonitorKind::Arpw(_) => "arpw",
            MonitorKind::Fipw(_) => "fipw",
            MonitorKind::Psw(_) => "psw",
        }
    }
}

fn read_kind(element: &Element, at: &str, problems: &mut Vec<Problem>) -> Option<MonitorKind> {
    Some(match element.tag.as_str() {
        "userw" => MonitorKind::Userw(Userw::read(element, at, &[], problems)),
        "diskw" => MonitorKind::Diskw(Diskw::read(element, at, &[], problems)),
        "miiw" => MonitorKind::Miiw(Miiw::read(element, at, &[], problems)),
        "ipw" => {
            let lists = element.at("parameters").into_iter().flat_map(|parameters| parameters.all("list"));
            MonitorKind::Ipw { addresses: lists.filter_map(|list| list.text_at("ip")).filter(|ip| !ip.is_empty()).collect() }
        }
        "pidw" => MonitorKind::Pidw,
        "genw" => MonitorKind::Genw(Genw::read(element, at, &[], problems)),
        "arpw" => MonitorKind::Arpw(Arpw::read(element, at, &[], problems)),
        "fipw" => MonitorKind::Fipw(Fipw::read(element, at, &[], problems)),
        "psw" => MonitorKind::Psw(Psw::read(element, at, &[], problems)),
        other => {
            problems.push(Problem::new(at, format!("monitor type {other}"), NOT_YET));
            return None;
        }
    })
}

/// Files of versions from this one on leave out what is 1 for time-outs; earlier ones leave out what is 0.
const TIMEOUT_RULES_SINCE: u64 = 400_000;

/// What the user-space monitor's times are when it uses those of the heartbeat: no shorter than what can be configured for it, so
/// that a fast heartbeat does not make a busy server look stalled.
fn heartbeat_times(cluster: &Cluster) -> (Duration, Duration) {
    const INTERVAL_MIN: Duration = Duration::from_secs(3);
    const TIMEOUT_MIN: Duration = Duration::from_secs(30);
    (cluster.heartbeat_interval.max(INTERVAL_MIN), cluster.heartbeat_timeout.max(TIMEOUT_MIN))
}

pub(super) fn read_monitors(root: &Element, cluster: &Cluster, problems: &mut Vec<Problem>) -> Vec<Monitor> {
    let version = root.text_at("trekking/savedinnerversion").and_then(|text| text.trim().parse::<u64>().ok());
    let timeout_default = version.is_some_and(|version| version >= TIMEOUT_RULES_SINCE);
    let mut monitors = Vec::new();
    for element in instances(root, "monitor") {
        let name = key(element, "/root/monitor", problems);
        let at = format!("/root/monitor/{}@{name}", element.tag);
        let section = MonitorSection::read(element, &at, common_defaults(&element.tag), problems);
        let Some(kind) = read_kind(element, &at, problems) else { continue };
        let (interval, timeout) = match &kind {
            MonitorKind::Userw(userw) if userw.usehb => heartbeat_times(cluster),
            _ => (section.interval, section.timeout),
        };
        let on_servers = element.all("server").filter_map(|over| {
            let server = over.key.clone()?;
            let kind = read_kind(&on_server(element, over), &format!("{at}/server@{server}"), problems)?;
            Some((server, kind))
        });
        let on_servers = on_servers.collect();
        let recovery = match (section.recovery_type.as_str(), section.recovery_name.as_str()) {
            ("grp", "" | "ALLGroup" | "AllGroups") => RecoveryTarget::AllGroups,
            ("grp", group) => RecoveryTarget::Group(group.into()),
            ("rsc", resource) => RecoveryTarget::Resource(resource.into()),
            _ => RecoveryTarget::LocalServer,
        };
        let on_server = recovery == RecoveryTarget::LocalServer;
        let mut threshold = |text: &str, path: &str, default: u32| match (text, on_server) {
            ("", true) => 0,
            ("", false) => default,
            (text, _) => text.parse().ok().filter(|value| *value <= 99).unwrap_or_else(|| {
                problems.push(Problem::new(
                    format!("{at}/{path}"),
                    format!("{text:?} is not a number from 0 to 99"),
                    "give a count",
                ));
                default
            }),
        };
        let restart_threshold = threshold(&section.restart_threshold, "emergency/threshold/restart", 3);
        let failover_threshold = threshold(&section.failover_threshold, "emergency/threshold/fo", 1);
        let mut switch = |text: &str, path: &str| match text {
            "" => timeout_default,
            "0" => false,
            "1" => true,
            other => {
                let what = format!("{other:?} is neither 0 nor 1");
                problems.push(Problem::new(format!("{at}/emergency/timeout/{path}/use"), what, "give 0 or 1, or leave it empty"));
                timeout_default
            }
        };
        let timeout_retries = !switch(&section.timeout_once, "notreconfirmation");
        let timeout_recovers = !switch(&section.timeout_no_recovery, "notrecovery");
        let servers = element
            .at("polling")
            .into_iter()
            .flat_map(|polling| polling.all("servers"))
            .filter_map(|server| server.text_at("name"))
            .filter(|server| !server.is_empty())
            .collect();
        monitors.push(Monitor {
            comment: section.comment,
            common: MonitorCommon {
                target: section.target,
                interval,
                timeout,
                retry: section.retry,
                timeout_retries,
                timeout_recovers,
                timeout_evidence: section.timeout_evidence,
                always: section.timing == 0,
                servers,
                start_wait: section.start_wait,
                recovery,
                restart_threshold,
                failover_threshold,
                action: section.action,
                preaction: Preaction {
                    restart: section.preaction_restart,
                    failover: section.preaction_failover,
                    final_action: section.preaction,
                    path: section.preaction_path,
                    foreign: !section.preaction_product,
                    timeout: section.preaction_timeout,
                },
            },
            kind,
            on_servers,
            name,
        });
    }
    monitors
}
