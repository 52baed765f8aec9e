//! What operators ordered for this server's monitors, kept on the disk: it ends with the service, and the next life says so.
//!
//! As in the product no order outlives the service: a monitor that somebody forgot would watch nothing for ever. But a life that
//! ended without being asked must not end it silently either.

use std::collections::BTreeMap;

use clp_alerts::Alert;
use clp_core::recovery::MonitorOrder;
use clp_sys::paths::Root;

/// The file of the work directory.
pub const FILE: &str = "monitors";
const SUSPENDED: &str = "it was suspended (clpmonctrl -s) until this start";
const DUMMY: &str = "it had a dummy failure (clpmonctrl -e) until this start";

/// What is ordered: suspended, made to fail.
#[derive(Debug, Default)]
pub struct Ordered(BTreeMap<String, (bool, bool)>);

impl Ordered {
    /// Take an order that was carried out for these monitors; what is to be kept as [`FILE`].
    pub fn take<'a>(&mut self, monitors: impl Iterator<Item = &'a str>, order: MonitorOrder) -> String {
        for monitor in monitors {
            let (suspended, dummy) = self.0.entry(monitor.to_string()).or_default();
            match order {
                MonitorOrder::Suspend => *suspended = true,
                MonitorOrder::Resume => *suspended = false,
                MonitorOrder::FailureOn => *dummy = true,
                MonitorOrder::FailureOff => *dummy = false,
                MonitorOrder::ClearCounts => {}
            }
        }
        self.0.retain(|_, (suspended, dummy)| *suspended || *dummy);
        let word = |is: bool, word: &'static str| if is { word } else { "" };
        let line = |(name, (suspended, dummy)): (&String, &(bool, bool))| {
            format!("{name} {} {}\n", word(*suspended, "suspended"), word(*dummy, "dummy"))
        };
        self.0.iter().map(line).collect()
    }
}

/// What the last life of the service left ordered, told as alerts and forgotten.
pub fn left_by_last_life(root: &Root) -> Vec<Alert> {
    let path = root.work().join(FILE);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let _ = std::fs::remove_file(path);
    let alerts = text.lines().flat_map(|line| {
        let mut words = line.split_whitespace();
        let monitor = words.next().unwrap_or_default().to_string();
        words.filter_map(move |word| match word {
            "suspended" => Some(Alert::monitor_order_over(&monitor, SUSPENDED)),
            "dummy" => Some(Alert::monitor_order_over(&monitor, DUMMY)),
            _ => None,
        })
    });
    alerts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_ordered_is_told_once_after_a_restart() {
        let folder = std::env::temp_dir().join(format!("ordered-{}", std::process::id()));
        let root = Root::at(&folder);
        let mut ordered = Ordered::default();
        let mut take = |monitors: &[&str], order| {
            crate::setup::keep(&root, FILE, &ordered.take(monitors.iter().copied(), order)).expect("kept")
        };
        take(&["miiw1", "ipw1", "psw1"], MonitorOrder::Suspend);
        take(&["ipw1"], MonitorOrder::FailureOn);
        take(&["psw1"], MonitorOrder::Resume);
        take(&["ipw1"], MonitorOrder::ClearCounts);
        let told = || left_by_last_life(&root).iter().map(Alert::text).collect::<Vec<_>>();
        let line = |monitor: &str, detail: &str| format!("monitor {monitor} runs as configured again: {detail}");
        assert_eq!(told(), [line("ipw1", SUSPENDED), line("ipw1", DUMMY), line("miiw1", SUSPENDED)]);
        assert_eq!(told(), [""; 0]);
        take(&["ipw1", "miiw1"], MonitorOrder::Resume);
        take(&["ipw1"], MonitorOrder::FailureOff);
        assert_eq!(told(), [""; 0]);
        let _ = std::fs::remove_dir_all(folder);
    }
}
