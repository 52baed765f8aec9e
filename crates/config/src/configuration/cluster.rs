//! The cluster as a whole, in force.

use std::time::Duration;

use crate::document::Element;
use crate::problem::Problem;
use crate::schema::cluster::{Cluster as ClusterSection, Ports};

/// The cluster as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Name.
    pub name: String,
    /// Comment.
    pub comment: String,
    /// T_s.
    pub heartbeat_timeout: Duration,
    /// h.
    pub heartbeat_interval: Duration,
    /// Server sync wait time.
    pub bootwait: Duration,
    /// D, when set by hand.
    pub takeover_delay: Option<Duration>,
    /// Self-fence bound, when set by hand.
    pub self_fence: Option<Duration>,
    /// Code of clp-conf.md 13.3.
    pub np_action: u32,
    /// No partition resolution although there are shared disks, as the administrator wants it.
    pub no_resolution: bool,
    /// Code of clp-conf.md 13.2.
    pub rsc_timeout_action: u32,
    /// Code of clp-conf.md 13.1.
    pub pm_action: u32,
    /// No final action while no other server runs, by kind of failure.
    pub survive: FailureSwitches,
    /// Nothing follows a failure, by its kind.
    pub no_recovery: FailureSwitches,
    /// Final actions that end a server before they are withheld there; 0: no limit.
    pub reboot_max: u32,
    /// Running after which they are forgotten; zero: never.
    pub reboot_reset: Duration,
    /// Percent of a monitor's time-out from which on a check is slow; 100: never.
    pub monitor_delay_warning: u32,
    /// Alert records kept on a server.
    pub alert_records: u64,
    /// Detection profile.
    pub profile: String,
    /// Ports.
    pub ports: Ports,
}

/// A switch for each kind of failure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FailureSwitches {
    /// Activation failures.
    pub activation: bool,
    /// Deactivation failures.
    pub deactivation: bool,
    /// Errors that monitors find.
    pub monitor: bool,
}

impl Cluster {
    /// From the root element.
    pub fn read(root: &Element, problems: &mut Vec<Problem>) -> Cluster {
        let section = ClusterSection::read(root, "/root", &[], problems);
        let mut millis = |text: &str, path: &str, min: u64, max: u64| -> Option<Duration> {
            if text.is_empty() {
                return None;
            }
            match text.parse::<u64>() {
                Ok(value) if (min..=max).contains(&value) => Some(Duration::from_millis(value)),
                _ => {
                    problems.push(Problem::new(
                        format!("/root/{path}"),
                        format!("{text:?} is not a number from {min} to {max}"),
                        "give milliseconds or remove it",
                    ));
                    None
                }
            }
        };
        let bootwait = millis(&section.sync_wait_millis, "mainstay/bootwait", 0, 5_940_000).unwrap_or(section.sync_wait_minutes);
        let takeover_delay = millis(&section.takeover_delay, "mainstay/takeoverdelay", 0, 999_000);
        let self_fence = millis(&section.self_fence, "mainstay/selffence", 50, 999_000);
        Cluster {
            name: section.name,
            comment: section.comment,
            heartbeat_timeout: section.heartbeat_timeout,
            heartbeat_interval: section.heartbeat_interval,
            bootwait,
            takeover_delay,
            self_fence,
            np_action: section.np_action,
            no_resolution: section.no_resolution,
            rsc_timeout_action: section.rsc_timeout_action,
            pm_action: section.pm_action,
            survive: FailureSwitches {
                activation: section.survive_activation,
                deactivation: section.survive_deactivation,
                monitor: section.survive_monitor,
            },
            no_recovery: FailureSwitches {
                activation: section.no_recovery_activation,
                deactivation: section.no_recovery_deactivation,
                monitor: section.no_recovery_monitor,
            },
            reboot_max: section.reboot_max,
            reboot_reset: section.reboot_reset,
            monitor_delay_warning: section.monitor_delay_warning,
            alert_records: u64::from(section.alert_records),
            profile: section.profile,
            ports: Ports::read(root, "/root", &[], problems),
        }
    }
}
