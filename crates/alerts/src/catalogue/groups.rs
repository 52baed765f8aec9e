//! Messages of groups beside each other, of final actions and of what withholds them.

use crate::{Alert, Destinations, Entry, Level};

catalogue! { examples_of_groups:
    /// A group waits before its start.
    start_wait_begins(group; reason) "rc" 15 Info "start wait on group {1} begins",
        meaning "A group that is to start waits until the one named is online (depend/act).",
        remedy "None; if it lasts, start the group named.";
    /// It does not any more.
    start_wait_over(group; reason) "rc" 16 Info "start wait on group {1} over",
        meaning "The group named is as it was waited for; the start goes on.",
        remedy "None.";
    /// The time of a start wait is up.
    start_wait_expired(group; reason) "rc" 17 Error "start wait on group {1} expired so the start was abandoned",
        meaning "The group named was not online in time (depend/act/timeout); the one that waited is not started.",
        remedy "Find out why the group named is not online, then start the other one with clpgrp -s.";
    /// A start wait is in vain.
    start_wait_failed(group; reason) "rc" 340 Error "start wait on group {1} failed so the start was abandoned",
        meaning "The activation of the group named failed and its ladder is at its end; the one that waited is not started.",
        remedy "Repair the group named and start both with clpgrp -s.";
    /// A group waits before its stop.
    stop_wait_begins(group; reason) "rc" 25 Info "stop wait on group {1} begins",
        meaning "A group that is to stop waits until the one named is offline (depend/deact).",
        remedy "None.";
    /// It does not any more.
    stop_wait_over(group; reason) "rc" 26 Info "stop wait on group {1} over",
        meaning "The group named is offline; the stop goes on.",
        remedy "None.";
    /// The time of a stop wait is up.
    stop_wait_expired(group; reason) "rc" 28 Warning "stop wait on group {1} expired but the stop goes on",
        meaning "The group named was not offline in time (depend/deact/timeout).",
        remedy "Find out why the group named did not stop.";
    /// A stop wait is in vain.
    stop_wait_failed(group; reason) "rc" 441 Warning "stop wait on group {1} failed but the stop goes on",
        meaning "The group named could not be stopped.",
        remedy "See clpstat --why for the group named.";
    /// Where a group goes, by server group.
    server_group_chosen(server, server_group, group) "rc" 67 Info "server {1} chosen inside server group {2} for group {3}",
        meaning "The group takes its servers from server groups; the one that takes it belongs to the one named.",
        remedy "None.";
    /// A server group is exhausted.
    server_group_exhausted(group, server_group) "rc" 69 Warning "group {1} has no destination left inside server group {2}",
        meaning "No server of the server group can take the group.",
        remedy "Bring one of its servers into a state in which it can take the group.";
    /// A server that is exempt keeps its copy.
    exempt_kept(server; reason) "rc" 502 Warning "server {1} is exempt from the double-activation shutdown, request ignored",
        meaning "A group was found active on two servers, and the copy on this one stays (server@NAME/survive).",
        remedy "Check the application; configure a partition resolution that can prove which side may go on.";
    /// The other one does not.
    exempt_not(server; reason) "rc" 504 Info "server {1} is not exempt from the double-activation shutdown, request obeyed",
        meaning "A group was found active on two servers, and the copy on this one is stopped.",
        remedy "None.";
    /// Reboots of a resource's final actions are used up.
    reboots_spent_resource(limit, resource; action) "rc" 100 Warning "reboot-count limit {1} reached, final action for resource {2} skipped",
        meaning "Final actions have ended this server as often as mainstay/reboot/max allows; it goes on as it is.",
        remedy "Remove the cause of the failures; the count is forgotten after mainstay/reboot/reset_min.";
    /// Those of a monitor's are.
    reboots_spent_monitor(limit, monitor; action) "rm" 100 Warning "reboot-count limit {1} reached, final action for monitor {2} skipped",
        meaning "Final actions have ended this server as often as mainstay/reboot/max allows; it goes on as it is.",
        remedy "Repair the object; the count is forgotten after mainstay/reboot/reset_min.";
    /// No other server could go on.
    alone_activation(resource; action) "rc" 500 Warning "final action for activation error of {1} withheld because no other server runs",
        meaning "cluster/survive/rscact is set and no other server runs normally.",
        remedy "Remove the cause of the failure; bring another server back.";
    /// No other server could go on.
    alone_deactivation(resource; action) "rc" 501 Warning "final action for deactivation error of {1} withheld because no other server runs",
        meaning "cluster/survive/rscdeact is set and no other server runs normally; the group is held here and starts nowhere else.",
        remedy "Remove the cause of the failure; bring another server back.";
    /// No other server could go on.
    alone_monitor(action, monitor) "rm" 200 Warning "final action {1} of monitor {2} withheld because no other server runs",
        meaning "cluster/survive/monitor is set and no other server runs normally.",
        remedy "Repair the object; bring another server back.";
    /// Recovery is switched off.
    disabled_activation(; resource) "rc" 512 Warning "recovery for an activation error skipped because disabled",
        meaning "rc/errordetect/rscact/norecovery is set: no retry, failover or final action follows.",
        remedy "Remove the cause of the failure and start the group by hand.";
    /// Recovery is switched off.
    disabled_deactivation(; resource) "rc" 513 Warning "recovery for a deactivation error skipped because disabled",
        meaning "rc/errordetect/rscdeact/norecovery is set: no retry or final action follows; the group is held here and starts nowhere else.",
        remedy "Remove the cause of the failure and stop the group by hand.";
    /// Recovery is switched off.
    disabled_monitor(monitor) "rm" 192 Warning "recovery for {1} skipped because disabled",
        meaning "rm/errordetect/norecovery is set: nothing follows what monitors find.",
        remedy "Repair the object, or move the group by hand.";
    /// The script before a resource's final action.
    final_script_begins(failure, resource) "rc" 160 Info "pre-final-action script for a {1} failure of resource {2} begins",
        meaning "The script before the final action (act/preaction, deact/preaction) runs; the action follows it.",
        remedy "None.";
    /// It has ended.
    final_script_done(failure, resource) "rc" 161 Info "pre-final-action script for a {1} failure of resource {2} done",
        meaning "The script before the final action ended well; the action follows.",
        remedy "None.";
    /// It failed.
    final_script_failed(script, resource; reason) "rc" 180 Error "pre-final-action script {1} of resource {2} failed",
        meaning "The script before the final action is missing, failed or exceeded its time; the action follows all the same.",
        remedy "Correct the script; run it by hand with CLP_TIMING set.";
    /// Final action after a failed activation.
    activation_sysrq_panic(resource; reason) "rc" 240 Info "a sysrq panic asked for because activation of {1} failed",
        meaning "The kernel is made to panic by a system request. Nothing is stopped before; others take over when this server is silent.",
        remedy "Remove the cause named.";
    /// It did not work.
    activation_sysrq_panic_failed(resource; reason) "rc" 260 Error "a sysrq panic for the activation failure of {1} did not work",
        meaning "Everything here is given up, and the action for a dead process of the service follows (pm/exec0/recover).",
        remedy "See the reason; reboot the server by hand.";
    /// Final action after a failed activation.
    activation_keepalive_reset(resource; reason) "rc" 241 Info "a keepalive-driver reset asked for because activation of {1} failed",
        meaning "The kernel resets the server at once, with the watchdog behind it. Nothing is stopped before; others take over when this server is silent.",
        remedy "Remove the cause named.";
    /// It did not work.
    activation_keepalive_reset_failed(resource; reason) "rc" 261 Error "a keepalive-driver reset for the activation failure of {1} did not work",
        meaning "Everything here is given up, and the action for a dead process of the service follows (pm/exec0/recover).",
        remedy "See the reason; reboot the server by hand.";
    /// Final action after a failed activation.
    activation_keepalive_panic(resource; reason) "rc" 242 Info "a keepalive-driver panic asked for because activation of {1} failed",
        meaning "The kernel is made to panic, with the watchdog behind it. Nothing is stopped before; others take over when this server is silent.",
        remedy "Remove the cause named.";
    /// It did not work.
    activation_keepalive_panic_failed(resource; reason) "rc" 262 Error "a keepalive-driver panic for the activation failure of {1} did not work",
        meaning "Everything here is given up, and the action for a dead process of the service follows (pm/exec0/recover).",
        remedy "See the reason; reboot the server by hand.";
    /// Final action after a failed deactivation.
    deactivation_sysrq_panic(resource; reason) "rc" 280 Info "a sysrq panic asked for because deactivation of {1} failed",
        meaning "The kernel is made to panic by a system request. Nothing is stopped before; others take over when this server is silent.",
        remedy "Remove the cause named.";
    /// It did not work.
    deactivation_sysrq_panic_failed(resource; reason) "rc" 300 Error "a sysrq panic for the deactivation failure of {1} did not work",
        meaning "Everything here is given up, and the action for a dead process of the service follows (pm/exec0/recover).",
        remedy "See the reason; reboot the server by hand.";
    /// Final action after a failed deactivation.
    deactivation_keepalive_reset(resource; reason) "rc" 281 Info "a keepalive-driver reset asked for because deactivation of {1} failed",
        meaning "The kernel resets the server at once, with the watchdog behind it. Nothing is stopped before; others take over when this server is silent.",
        remedy "Remove the cause named.";
    /// It did not work.
    deactivation_keepalive_reset_failed(resource; reason) "rc" 301 Error "a keepalive-driver reset for the deactivation failure of {1} did not work",
        meaning "Everything here is given up, and the action for a dead process of the service follows (pm/exec0/recover).",
        remedy "See the reason; reboot the server by hand.";
    /// Final action after a failed deactivation.
    deactivation_keepalive_panic(resource; reason) "rc" 282 Info "a keepalive-driver panic asked for because deactivation of {1} failed",
        meaning "The kernel is made to panic, with the watchdog behind it. Nothing is stopped before; others take over when this server is silent.",
        remedy "Remove the cause named.";
    /// It did not work.
    deactivation_keepalive_panic_failed(resource; reason) "rc" 302 Error "a keepalive-driver panic for the deactivation failure of {1} did not work",
        meaning "Everything here is given up, and the action for a dead process of the service follows (pm/exec0/recover).",
        remedy "See the reason; reboot the server by hand.";
    /// Final action of a monitor.
    recovery_sysrq_panic(monitor; reason) "rm" 35 Info "a sysrq panic requested by monitor {1}",
        meaning "The kernel is made to panic by a system request. Nothing is stopped before; others take over when this server is silent.",
        remedy "Repair the object.";
    /// It did not work.
    recovery_sysrq_panic_failed(monitor; reason) "rm" 36 Error "a sysrq panic for monitor {1} did not work",
        meaning "Everything here is given up, and the action for a dead process of the service follows (pm/exec0/recover).",
        remedy "See the reason; reboot the server by hand.";
    /// Final action of a monitor.
    recovery_keepalive_reset(monitor; reason) "rm" 37 Info "a keepalive-driver reset requested by monitor {1}",
        meaning "The kernel resets the server at once, with the watchdog behind it. Nothing is stopped before; others take over when this server is silent.",
        remedy "Repair the object.";
    /// It did not work.
    recovery_keepalive_reset_failed(monitor; reason) "rm" 38 Error "a keepalive-driver reset for monitor {1} did not work",
        meaning "Everything here is given up, and the action for a dead process of the service follows (pm/exec0/recover).",
        remedy "See the reason; reboot the server by hand.";
    /// Final action of a monitor.
    recovery_keepalive_panic(monitor; reason) "rm" 39 Info "a keepalive-driver panic requested by monitor {1}",
        meaning "The kernel is made to panic, with the watchdog behind it. Nothing is stopped before; others take over when this server is silent.",
        remedy "Repair the object.";
    /// It did not work.
    recovery_keepalive_panic_failed(monitor; reason) "rm" 40 Error "a keepalive-driver panic for monitor {1} did not work",
        meaning "Everything here is given up, and the action for a dead process of the service follows (pm/exec0/recover).",
        remedy "See the reason; reboot the server by hand.";
    /// What follows the death of a process of the service.
    process_sysrq_panic() "pm" 100 Info "about to perform a sysrq panic",
        meaning "The kernel is made to panic by a system request.",
        remedy "None.";
    /// It did not work.
    sysrq_panic_failed(by; reason) "pm" 66 Error "a sysrq panic asked for by {1} did not work",
        meaning "This server goes on without a cluster service; what it held was given up.",
        remedy "See the reason; reboot the server by hand.";
    /// What follows the death of a process of the service.
    process_keepalive_reset() "pm" 101 Info "about to perform a keepalive-driver reset",
        meaning "The kernel resets the server at once, with the watchdog behind it.",
        remedy "None.";
    /// It did not work.
    keepalive_reset_failed(by; reason) "pm" 67 Error "a keepalive-driver reset asked for by {1} did not work",
        meaning "This server goes on without a cluster service; what it held was given up.",
        remedy "See the reason; reboot the server by hand.";
    /// What follows the death of a process of the service.
    process_keepalive_panic() "pm" 102 Info "about to perform a keepalive-driver panic",
        meaning "The kernel is made to panic, with the watchdog behind it.",
        remedy "None.";
    /// It did not work.
    keepalive_panic_failed(by; reason) "pm" 68 Error "a keepalive-driver panic asked for by {1} did not work",
        meaning "This server goes on without a cluster service; what it held was given up.",
        remedy "See the reason; reboot the server by hand.";
    /// This side may not go on: something abrupt follows.
    split_action(action, server; reason) "nm" 43 Error "split network found; action {1} carried out on server {2}",
        meaning "The network partition resolution did not let this side go on, so its groups were given up before anybody takes over; then the action follows.",
        remedy "Repair the network, then start the server again.";
    /// Nobody could say whether this side may go on: something abrupt follows.
    check_action(action, server; reason) "nm" 45 Error "NP check failed; action {1} carried out on server {2}",
        meaning "The network partition resolution gave no answer in time, so the groups here were given up before anybody takes over; then the action follows.",
        remedy "Find out why the targets of the network partition resolution gave no answer, then start the server again.";
}
