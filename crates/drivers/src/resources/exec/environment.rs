//! What start and stop scripts are told (environment.md section 2); its table is the test.

use crate::resources::{Context, Told};

/// What CLP_EVENT says to the scripts of a group that is active on another server.
pub(super) const STANDBY: &str = "STANDBY";

/// For which run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Run {
    /// The group starts here.
    Start,
    /// It stops here; what its start was told, where that is known.
    Stop(Option<Told>),
    /// It starts or stops on another server.
    Elsewhere,
}

/// The whole environment.
pub(super) fn environment(context: &Context, run: Run) -> Vec<(String, String)> {
    let now = Told::now(context);
    let told = match run {
        Run::Stop(Some(told)) => Told { after_failure: told.after_failure, disk_ok: context.disk_ok.unwrap_or(told.disk_ok) },
        _ => now,
    };
    let mut list = vec![
        ("CLP_EVENT", if run == Run::Elsewhere { STANDBY } else { told.event() }.to_string()),
        ("CLP_DISK", told.disk().to_string()),
        ("CLP_SERVER", if context.home { "HOME" } else { "OTHER" }.to_string()),
        ("CLP_GROUPNAME", context.group.clone()),
        ("CLP_RESOURCENAME", context.resource.clone()),
        ("CLP_PRIORITY", context.priority.to_string()),
    ];
    if let Some(cause) = context.cause {
        list.push(("CLP_FACTOR", cause.word().to_string()));
        list.push(("CLP_LASTACTION", context.last_action.word().to_string()));
    }
    let own = list.into_iter().map(|(name, value)| (name.to_string(), value));
    own.chain(crate::environment::general(&context.root)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::{Cause, LastAction};

    fn usual() -> Context {
        Context {
            group: "failover1".into(),
            resource: "exec1".into(),
            root: clp_sys::paths::Root::at("/opt/mainstay"),
            disk_ok: Some(true),
            home: true,
            priority: 1,
            ..Context::default()
        }
    }

    fn stopped(cause: Cause) -> Context {
        Context { cause: Some(cause), ..usual() }
    }

    // Every variable of the table, each value; None: it is not set at all.
    #[test]
    fn every_variable_has_the_value_of_the_table() {
        let failed_over = Some(Told { after_failure: true, disk_ok: true });
        let by_hand = Some(Told { after_failure: false, disk_ok: true });
        let start = Run::Start;
        let stop = Run::Stop(by_hand);
        let table: Vec<(&str, Option<&str>, Run, Context)> = vec![
            ("CLP_EVENT", Some("START"), start, usual()),
            ("CLP_EVENT", Some("FAILOVER"), start, Context { after_failure: true, ..usual() }),
            // The stop keeps what the start was told, whatever is known by then.
            ("CLP_EVENT", Some("FAILOVER"), Run::Stop(failed_over), stopped(Cause::GroupStop)),
            ("CLP_EVENT", Some("START"), stop, Context { after_failure: true, ..stopped(Cause::GroupMove) }),
            ("CLP_EVENT", Some("START"), Run::Stop(None), stopped(Cause::GroupStop)),
            ("CLP_EVENT", Some("STANDBY"), Run::Elsewhere, Context { after_failure: true, ..usual() }),
            ("CLP_DISK", Some("SUCCESS"), start, usual()),
            ("CLP_DISK", Some("FAILURE"), start, Context { disk_ok: Some(false), ..usual() }),
            ("CLP_DISK", Some("FAILURE"), stop, Context { disk_ok: Some(false), ..stopped(Cause::GroupStop) }),
            ("CLP_DISK", Some("SUCCESS"), stop, Context { disk_ok: None, ..stopped(Cause::GroupStop) }),
            ("CLP_SERVER", Some("HOME"), start, usual()),
            ("CLP_SERVER", Some("OTHER"), stop, Context { home: false, ..stopped(Cause::GroupStop) }),
            ("CLP_FACTOR", None, start, usual()),
            ("CLP_FACTOR", Some("GROUPSTOP"), stop, stopped(Cause::GroupStop)),
            ("CLP_FACTOR", Some("GROUPMOVE"), stop, stopped(Cause::GroupMove)),
            ("CLP_FACTOR", Some("GROUPFAILOVER"), stop, stopped(Cause::GroupFailover)),
            ("CLP_FACTOR", Some("RESOURCERESTART"), stop, stopped(Cause::ResourceRestart)),
            ("CLP_FACTOR", Some("GROUPRESTART"), stop, stopped(Cause::GroupRestart)),
            ("CLP_FACTOR", Some("CLUSTERSHUTDOWN"), stop, stopped(Cause::ClusterShutdown)),
            ("CLP_FACTOR", Some("SERVERSHUTDOWN"), stop, stopped(Cause::ServerShutdown)),
            ("CLP_LASTACTION", None, start, usual()),
            ("CLP_LASTACTION", Some("NONE"), stop, stopped(Cause::GroupStop)),
            ("CLP_LASTACTION", Some("HALT"), stop, Context { last_action: LastAction::Halt, ..stopped(Cause::ServerShutdown) }),
            (
                "CLP_LASTACTION",
                Some("REBOOT"),
                stop,
                Context { last_action: LastAction::Reboot, ..stopped(Cause::ClusterShutdown) },
            ),
            ("CLP_GROUPNAME", Some("failover1"), start, usual()),
            ("CLP_GROUPNAME", Some("failover1"), stop, stopped(Cause::GroupStop)),
            ("CLP_RESOURCENAME", Some("exec1"), start, usual()),
            ("CLP_RESOURCENAME", Some("exec1"), stop, stopped(Cause::GroupStop)),
            ("CLP_PRIORITY", Some("1"), start, usual()),
            ("CLP_PRIORITY", Some("3"), start, Context { priority: 3, home: false, ..usual() }),
            ("CLP_PATH", Some("/opt/mainstay"), start, usual()),
            ("CLP_VERSION_FULL", Some("3.0.0-1"), start, usual()),
            ("CLP_VERSION_MAJOR", Some("3"), stop, stopped(Cause::GroupStop)),
        ];
        for (name, value, run, context) in table {
            let all = environment(&context, run);
            let found: Vec<&str> = all.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str()).collect();
            assert_eq!(found, value.into_iter().collect::<Vec<_>>(), "{name} for {run:?} of {context:?}");
        }
        let all = environment(&usual(), Run::Start);
        let value = |name: &str| all.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
        // Texts of this machine; the commands that scripts call without a path are found.
        assert!(value("CLP_OSNAME").is_some() && value("CLP_OSVER").is_some(), "{all:?}");
        let path = value("PATH").expect("a search path");
        assert!(path.split(':').any(|place| place == "/usr/sbin") && path.ends_with(":/opt/mainstay/bin"), "{path}");
        assert_eq!(all.len(), 6 + 9, "a variable that the table does not know: {all:?}");
    }
}
