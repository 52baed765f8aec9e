//! Who asked for what: operators' orders that concern whole servers, as alerts, and that they came to nothing.

use clp_alerts::Alert;
use clp_core::plan::AfterStop as Core;
use clp_protocol::control::{AfterStop, Request};

/// An order that is told with who gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The end of the cluster service of this server, or of all.
    Stop { then: AfterStop, all: bool },
    /// A suspension of the cluster.
    Suspend,
    /// Its end.
    Resume,
}

/// Where an order came, and who gave it.
pub struct Given<'a> {
    /// Name of the cluster.
    pub cluster: &'a str,
    /// Name of this server.
    pub server: &'a str,
    /// Who, as the asking program says.
    pub by: &'a str,
}

impl Order {
    /// The order in a request, if it is one.
    pub fn of(request: &Request) -> Option<Order> {
        match request {
            Request::StopService { then, all } => Some(Order::Stop { then: *then, all: *all }),
            Request::Suspend => Some(Order::Suspend),
            Request::Resume => Some(Order::Resume),
            _ => None,
        }
    }

    fn object(self, given: &Given<'_>) -> String {
        match self {
            Order::Stop { all: false, .. } => format!("server {}", given.server),
            _ => format!("cluster {}", given.cluster),
        }
    }

    /// It was given here. What each server does of an order for all is told there ([`stops`], [`rests`]).
    pub fn given(self, given: &Given<'_>) -> Vec<Alert> {
        let (object, by) = (self.object(given), given.by);
        match self {
            Order::Suspend => vec![Alert::cluster_suspend_asked(&object, by)],
            Order::Resume => vec![Alert::cluster_resume_asked(&object, by)],
            Order::Stop { then, all } => {
                let whole = match then {
                    AfterStop::Nothing | AfterStop::Restart => Alert::cluster_stop_asked(&object, by),
                    AfterStop::Shutdown => Alert::down_asked(&object, by),
                    AfterStop::Reboot => Alert::down_reboot_asked(&object, by),
                };
                let own = match then {
                    AfterStop::Nothing => Alert::stop_asked(by),
                    AfterStop::Restart => Alert::restart_asked(by),
                    AfterStop::Shutdown => Alert::shutdown_asked(by),
                    AfterStop::Reboot => Alert::reboot_asked(by),
                };
                if all { vec![whole] } else { vec![whole, own] }
            }
        }
    }

    /// It came to nothing.
    pub fn failed(self, given: &Given<'_>, reason: &str) -> Alert {
        let object = self.object(given);
        match self {
            Order::Suspend => Alert::cluster_suspend_failed(&object, reason),
            Order::Resume => Alert::cluster_resume_failed(&object, reason),
            Order::Stop { then: AfterStop::Nothing | AfterStop::Restart, .. } => Alert::cluster_stop_failed(&object, reason),
            Order::Stop { then: AfterStop::Shutdown, .. } => Alert::down_failed(&object, reason),
            Order::Stop { then: AfterStop::Reboot, .. } => Alert::down_reboot_failed(&object, reason),
        }
    }
}

/// Who asks a server that goes with all others.
const CLUSTER: &str = "the cluster, all servers of it,";

/// This server stops with all others.
pub fn stops(then: Core) -> Alert {
    match then {
        Core::Nothing => Alert::stop_asked(CLUSTER),
        Core::Shutdown => Alert::shutdown_asked(CLUSTER),
        // No operator can order the abrupt ones for all.
        Core::Reboot | Core::SysrqPanic | Core::KeepaliveReset | Core::KeepalivePanic => Alert::reboot_asked(CLUSTER),
    }
}

/// This server rests with all others, or goes on.
pub fn rests(on: bool) -> Alert {
    if on { Alert::suspend_asked(CLUSTER) } else { Alert::resume_asked(CLUSTER) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_told_with_who_gave_it_and_that_it_failed() {
        let given = Given { cluster: "cluster", server: "server1", by: "clpcl on server2" };
        let stop = |then, all| Order::Stop { then, all };
        let ids = |order: Order| order.given(&given).iter().map(|a| (a.entry().module, a.entry().id)).collect::<Vec<_>>();
        let failed = |order: Order| (order.failed(&given, "r").entry().module, order.failed(&given, "r").entry().id);
        let table = [
            (stop(AfterStop::Nothing, true), vec![("cl", 2)], ("cl", 12)),
            (stop(AfterStop::Nothing, false), vec![("cl", 2), ("pm", 31)], ("cl", 12)),
            (stop(AfterStop::Restart, false), vec![("cl", 2), ("pm", 33)], ("cl", 12)),
            (stop(AfterStop::Shutdown, true), vec![("down", 1)], ("down", 11)),
            (stop(AfterStop::Shutdown, false), vec![("down", 1), ("pm", 30)], ("down", 11)),
            (stop(AfterStop::Reboot, true), vec![("down", 2)], ("down", 12)),
            (stop(AfterStop::Reboot, false), vec![("down", 2), ("pm", 32)], ("down", 12)),
            (Order::Suspend, vec![("cl", 3)], ("cl", 13)),
            (Order::Resume, vec![("cl", 4)], ("cl", 14)),
        ];
        for (order, told, lost) in table {
            assert_eq!((ids(order), failed(order)), (told, lost), "{order:?}");
            for alert in order.given(&given) {
                assert!(alert.text().contains(given.by), "{alert}");
            }
        }
        assert_eq!(Order::of(&Request::Status), None);
        let shared = [stops(Core::Nothing), stops(Core::Shutdown), stops(Core::Reboot), rests(true), rests(false)];
        assert_eq!(shared.map(|alert| alert.entry().id), [31, 30, 32, 35, 34]);
    }
}
