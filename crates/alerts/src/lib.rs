//! Catalogue of operator messages: module, event id, level, text, meaning and remedy. Ids never change meaning.
//!
//! Fence: pure. Numbers are those of the product's event list where the fact is the same; ours begin at 900.

use std::fmt;

/// How serious.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something is broken.
    Error,
    /// Something is impaired.
    Warning,
    /// Something happened.
    Info,
}

impl Level {
    /// As in the alert record.
    pub fn word(self) -> &'static str {
        match self {
            Level::Error => "ERROR",
            Level::Warning => "WARNING",
            Level::Info => "INFO",
        }
    }
}

/// An entry of the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Module type.
    pub module: &'static str,
    /// Event id.
    pub id: u32,
    /// Level.
    pub level: Level,
    /// Text; `{0}`, `{1}`, … are the fields.
    pub text: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

/// A message with its fields.
#[derive(Debug, Clone)]
pub struct Alert {
    entry: &'static Entry,
    fields: Vec<String>,
}

impl Alert {
    /// Its entry.
    pub fn entry(&self) -> &'static Entry {
        self.entry
    }

    /// The text with its fields.
    pub fn text(&self) -> String {
        let mut text = self.entry.text.to_string();
        for (index, field) in self.fields.iter().enumerate() {
            text = text.replace(&format!("{{{index}}}"), &field.replace(['\n', '\r'], " "));
        }
        text
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}/{} {}", self.entry.level.word(), self.entry.module, self.entry.id, self.text())
    }
}

macro_rules! catalogue {
    ($( $(#[doc = $doc:literal])* $name:ident($($field:ident),*) $module:literal $id:literal $level:ident $text:literal, meaning $meaning:literal, remedy $remedy:literal; )*) => {
        impl Alert {
            $(
                $(#[doc = $doc])*
                pub fn $name($($field: &str),*) -> Alert {
                    static ENTRY: Entry = Entry {
                        module: $module,
                        id: $id,
                        level: Level::$level,
                        text: $text,
                        meaning: $meaning,
                        remedy: $remedy,
                    };
                    Alert { entry: &ENTRY, fields: vec![$($field.to_string()),*] }
                }
            )*

            /// One of each, its fields named after themselves: for the manual and the catalogue's own test.
            pub fn examples() -> Vec<Alert> {
                vec![$( Alert::$name($(stringify!($field)),*) ),*]
            }
        }
    };
}

catalogue! {
    /// The cluster service starts.
    daemon_started() "pm" 1 Info "Starting the cluster service has been started.",
        meaning "The cluster service of this server starts.", remedy "None.";
    /// The cluster service goes down.
    daemon_stopped() "pm" 2 Info "Shutting down the cluster service has been started.",
        meaning "The cluster service of this server goes down.", remedy "None.";
    /// A process of the service ended without being asked.
    process_died(process, words) "pm" 11 Error "The process {0} ended abnormally: {1}.",
        meaning "A process of the cluster service died; the configured action follows (default: shutdown).",
        remedy "Collect the logs, restart the server and report the failure.";
    /// A server joined.
    server_up(server) "nm" 1 Info "Server {0} has been started.",
        meaning "The server joined the cluster.", remedy "None.";
    /// A server is gone.
    server_down(server, reason) "nm" 2 Error "Server {0} has been stopped: {1}.",
        meaning "The server left the cluster; its groups fail over where they can.",
        remedy "If nobody stopped it, find out why: power, system log, clpstat --why GROUP.";
    /// A heartbeat path works.
    heartbeat_up(server, path) "nm" 3 Info "Heartbeat {1} with server {0} is normal.",
        meaning "The path is heard.", remedy "None.";
    /// A heartbeat path is silent.
    heartbeat_down(server, path) "nm" 20 Warning "Heartbeat {1} with server {0} is abnormal.",
        meaning "Nothing was heard on the path for more than two intervals; other paths keep the cluster together.",
        remedy "Check cable, switch, address or disk of that path.";
    /// This side may not go on.
    right_lost(server, reason) "nm" 10 Error "Server {0} gave up its groups: {1}.",
        meaning "The server could not show that its side may go on, so it stopped before anybody takes over.",
        remedy "Repair the network, then start the server again.";
    /// Another key.
    foreign_key(server, path) "nm" 901 Error "Frames on {1} that claim to come from server {0} do not open with this cluster's key.",
        meaning "One of the servers holds another key or another cluster's configuration, or somebody sends on this port.",
        remedy "Compare etc/trust/cluster.key and the cluster's name on both servers; give both the same trust.";
    /// Group start.
    group_starting(group) "rc" 10 Info "Activating group {0} has been started.",
        meaning "Its resources are being activated here.", remedy "None.";
    /// Group online.
    group_online(group) "rc" 11 Info "Activating group {0} has been completed.",
        meaning "The group is online here.", remedy "None.";
    /// Group failure.
    group_failed(group, reason) "rc" 12 Error "Activating or deactivating group {0} has failed: {1}.",
        meaning "A resource of the group failed on this server.", remedy "See clpstat --why GROUP.";
    /// Group stop.
    group_stopping(group) "rc" 20 Info "Stopping group {0} has been started.",
        meaning "Its resources are being deactivated here.", remedy "None.";
    /// Group offline.
    group_offline(group) "rc" 21 Info "Stopping group {0} has been completed.",
        meaning "The group is offline here.", remedy "None.";
    /// Activation failure.
    activation_failed(resource, reason) "rc" 32 Error "Activating resource {0} has failed: {1}.",
        meaning "The resource could not be activated; failover or the final action follows.", remedy "Remove the cause named.";
    /// Deactivation failure.
    deactivation_failed(resource, reason) "rc" 42 Error "Stopping resource {0} has failed: {1}.",
        meaning "The resource could not be deactivated and starts nowhere else until it is.", remedy "Remove the cause named.";
    /// Failover.
    group_failover(group, server, reason) "rc" 60 Warning "Failing over group {0} to server {1}: {2}.",
        meaning "The group starts on another server because of a failure.", remedy "Repair the failure, then move the group back.";
    /// Move.
    group_move(group, server) "rc" 70 Info "Moving group {0} to server {1}.",
        meaning "An operator or a failback moves the group.", remedy "None.";
    /// Group that cannot run.
    group_stranded(group, reason) "rc" 900 Warning "Group {0} is not started yet: {1}.",
        meaning "The group should run and must wait.", remedy "If it lasts, remove the cause named.";
    /// Two owners.
    double_owner(group, first, second) "rc" 92 Error "Group {0} is active on server {1} and server {2} at once.",
        meaning "Both sides of a network partition went on; one copy is stopped, both where data are shared.",
        remedy "Check the data. Configure a partition resolution that can prove which side may go on.";
    /// Final action.
    final_action(what, reason) "rc" 901 Error "Final action: {0}: {1}.",
        meaning "The recovery ladder is at its end.", remedy "See clpstat --why GROUP.";
    /// Monitor error.
    monitor_error(monitor, reason) "rm" 9 Error "Monitor {0} detected an error: {1}.",
        meaning "The monitored object failed; recovery follows.", remedy "Repair the object.";
    /// Monitor normal.
    monitor_recovered(monitor) "rm" 1 Info "Monitor {0} is normal.",
        meaning "The monitored object works again.", remedy "None.";
    /// Recovery step.
    recovery_step(monitor, step) "rm" 900 Warning "Recovery by monitor {0}: {1}.",
        meaning "A step of the recovery ladder.", remedy "Repair the object.";
    /// Suspended.
    cluster_suspended() "cl" 5 Info "The cluster has been suspended.",
        meaning "Monitoring and takeovers rest, groups go on.", remedy "Resume with clpcl --resume.";
    /// Resumed.
    cluster_resumed() "cl" 6 Info "The cluster has been resumed.",
        meaning "Monitoring and takeovers work again.", remedy "None.";
}

/// One line of the alert record: time of the record, time and name of the host, module, event id, level, text.
pub fn record_line(alert: &Alert, time: &str, host: &str) -> String {
    let entry = alert.entry();
    format!("{time} {time} {host} {} {} {} {}", entry.module, entry.id, entry.level.word(), alert.text())
}

/// A syslog datagram (facility daemon): tag expresscls, `<type: M><event: N>` before the text.
pub fn syslog_line(alert: &Alert) -> String {
    let entry = alert.entry();
    let severity = match entry.level {
        Level::Error => 3,
        Level::Warning => 4,
        Level::Info => 6,
    };
    format!("<{}>expresscls: <type: {}><event: {}> {}", 3 * 8 + severity, entry.module, entry.id, alert.text())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_unique_and_every_field_shows() {
        let mut seen = BTreeSet::new();
        for alert in Alert::examples() {
            let entry = alert.entry();
            assert!(seen.insert((entry.module, entry.id)), "{}/{}", entry.module, entry.id);
            let text = alert.text();
            assert!(!text.contains('{'), "{text}");
            for field in &alert.fields {
                assert!(text.contains(field.as_str()), "{field} in {text}");
            }
            assert!(!entry.meaning.is_empty() && !entry.remedy.is_empty());
        }
    }

    #[test]
    fn going_down_is_event_pm_2_of_type_information() {
        let alert = Alert::daemon_stopped();
        assert!(syslog_line(&alert).contains("<type: pm><event: 2>"));
        assert_eq!(record_line(&alert, "2026/11/27 12:00:00.000", "server1").split(' ').nth(5), Some("pm"));
        assert_eq!(alert.entry().level, Level::Info);
    }
}
