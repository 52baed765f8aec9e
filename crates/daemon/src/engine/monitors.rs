//! What operators ask of this server's monitors: from the control API's words to the core's, and counts back.

use clp_core::ids::MonitorId;
use clp_core::message::MonitorState;
use clp_core::recovery::MonitorOrder;
use clp_protocol::control::{self, MonitorCount};

use super::Engine;

/// In the core's words.
pub(super) fn core_order(order: control::MonitorOrder) -> MonitorOrder {
    match order {
        control::MonitorOrder::Suspend => MonitorOrder::Suspend,
        control::MonitorOrder::Resume => MonitorOrder::Resume,
        control::MonitorOrder::FailureOn => MonitorOrder::FailureOn,
        control::MonitorOrder::FailureOff => MonitorOrder::FailureOff,
        control::MonitorOrder::ClearCounts => MonitorOrder::ClearCounts,
    }
}

impl Engine {
    /// Does an operator let the monitor rest here?
    pub(super) fn rests(&self, monitor: MonitorId) -> bool {
        let reports = self.cluster.monitors_of(super::now(), self.me());
        reports.is_some_and(|reports| reports[monitor.index()].state == MonitorState::Suspended)
    }

    pub(super) fn monitor_counts(&self, only: Option<MonitorId>) -> Vec<MonitorCount> {
        let plan = self.cluster.plan();
        let wanted = plan.monitor_ids().filter(|id| only.is_none_or(|only| only == *id));
        wanted
            .map(|id| {
                let counts = self.cluster.monitor_counts(id);
                MonitorCount {
                    name: plan.monitor(id).name.clone(),
                    reactivations: counts.restarts,
                    failovers: counts.failovers,
                    dummy: counts.dummy,
                }
            })
            .collect()
    }
}
