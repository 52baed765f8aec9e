//! Messages of monitors: what they found, what followed, what was ordered for them.

use crate::{Alert, Destinations, Entry, Level};

catalogue! { examples_of_monitors:
    /// A monitor begins.
    monitor_begins(monitor) "rm" 1 Info "monitor {1} begins",
        meaning "The monitor checks its object from now on.",
        remedy "None.";
    /// A monitor ends.
    monitor_ends(monitor) "rm" 2 Info "monitor {1} ends",
        meaning "The monitor rests: its target is not active here, the cluster was suspended or the service stops.",
        remedy "None.";
    /// Monitor error.
    monitor_error(monitor, code, reason) "rm" 9 Error "monitor {1} found an error, code {2} text {3}", to EVERYWHERE,
        meaning "The monitored object failed; recovery follows. The code is 1: the text says what failed.",
        remedy "Repair the object.";
    /// Final action of a monitor: its target was stopped.
    recovery_stopped(target, monitor; reason) "rm" 12 Info "recovery target {1} stopped on behalf of monitor {2}",
        meaning "The recovery ladder is at its end: the target is stopped.",
        remedy "Repair the object, then start the group with clpgrp -s.";
    /// Reactivation for a monitor.
    recovery_restarted(target, monitor; reason) "rm" 13 Info "recovery target {1} restarted on behalf of monitor {2}",
        meaning "A step of the recovery ladder: the target is deactivated and activated again here.",
        remedy "Repair the object.";
    /// Failover for a monitor.
    recovery_failed_over(target, monitor; reason) "rm" 14 Info "recovery target {1} failed over on behalf of monitor {2}",
        meaning "A step of the recovery ladder: a failover of the target is asked for.",
        remedy "Repair the object.";
    /// Final action of a monitor: the service ends.
    recovery_service(monitor; reason) "rm" 15 Info "daemon stop requested by monitor {1}",
        meaning "The recovery ladder is at its end: the cluster service of this server ends.",
        remedy "Repair the object, then start the service with clpcl -s.";
    /// Final action of a monitor: the server shuts down.
    recovery_halt(monitor; reason) "rm" 16 Info "machine shutdown requested by monitor {1}",
        meaning "The recovery ladder is at its end: this server shuts down.",
        remedy "Repair the object, then start the server.";
    /// Final action of a monitor: the server reboots.
    recovery_reboot(monitor; reason) "rm" 17 Info "machine reboot requested by monitor {1}",
        meaning "The recovery ladder is at its end: this server reboots.",
        remedy "Repair the object.";
    /// Nothing to act upon.
    recovery_without_target(target; monitor) "rm" 25 Warning "recovery skipped because target {1} is not active",
        meaning "The monitor found an error, and what its recovery would act upon is not active on this server.",
        remedy "Repair the object.";
    /// Monitor normal.
    monitor_recovered(monitor) "rm" 26 Info "{1} left the error state",
        meaning "The monitored object works again.",
        remedy "None.";
    /// What probes wait for is being recorded.
    evidence_begins(monitor, timeout) "rm" 130 Info "extra diagnostics for monitor {1} begin (timeout {2})",
        meaning "A check exceeded its time; what all probes of this server wait for is recorded (emergency/dumpcollect/use).",
        remedy "None.";
    /// What probes waited for was recorded.
    evidence_written(monitor; file) "rm" 131 Info "extra diagnostics for monitor {1} done",
        meaning "A check exceeded its time; what all probes of this server waited for then stands in the file (emergency/dumpcollect/use).",
        remedy "Keep the file for those who look for the cause.";
    /// It could not be.
    evidence_missing(monitor, reason) "rm" 132 Warning "extra diagnostics for monitor {1} failed ({2})",
        meaning "A check exceeded its time, and what the probes waited for could not be recorded.",
        remedy "Make room in the log directory.";
    /// One monitor rests.
    monitor_suspended(monitor) "rm" 29 Info "monitor {1} suspended",
        meaning "An operator let the monitor rest on this server (clpmonctrl -s).",
        remedy "Resume it with clpmonctrl -r when the work is done.";
    /// It goes on.
    monitor_resumed(monitor) "rm" 30 Info "monitor {1} resumed",
        meaning "An operator let the monitor go on on this server (clpmonctrl -r).",
        remedy "None.";
    /// All monitors rest.
    monitors_suspended() "rm" 31 Info "all monitors suspended",
        meaning "An operator let all monitors of this server rest (clpmonctrl -s).",
        remedy "Resume them with clpmonctrl -r when the work is done.";
    /// They go on.
    monitors_resumed() "rm" 32 Info "all monitors resumed",
        meaning "An operator let all monitors of this server go on (clpmonctrl -r).",
        remedy "None.";
    /// A monitor is made to fail.
    dummy_on(monitor) "rm" 180 Info "dummy failure switched on for {1}",
        meaning "Every check of the monitor on this server counts as failed from now on (clpmonctrl -e), to try the recovery.",
        remedy "Switch it off with clpmonctrl -n when the trial is over.";
    /// That ends.
    dummy_off(monitor) "rm" 181 Info "dummy failure switched off for {1}",
        meaning "The checks of the monitor count again.",
        remedy "None.";
    /// All monitors are made to fail.
    dummies_on() "rm" 182 Info "dummy failure switched on for all monitors",
        meaning "Every check of every monitor on this server counts as failed from now on.",
        remedy "Switch it off with clpmonctrl -n when the trial is over.";
    /// That ends.
    dummies_off() "rm" 183 Info "dummy failure switched off for all monitors",
        meaning "The checks of all monitors of this server count again.",
        remedy "None.";
    /// A monitor cannot be made to fail.
    dummy_on_failed(monitor; reason) "rm" 184 Warning "dummy failure of {1} could not be switched on",
        meaning "The trial that was asked for cannot be made with this monitor on this server.",
        remedy "Choose another monitor or server.";
    /// A monitor cannot be made to count again.
    dummy_off_failed(monitor; reason) "rm" 185 Warning "dummy failure of {1} could not be switched off",
        meaning "The monitor is not one of this server.",
        remedy "Choose another monitor or server.";
    /// An order that ended with the service.
    monitor_order_over(monitor; what) "rm" 901 Warning "monitor {1} runs as configured again",
        meaning "What an operator ordered for the monitor on this server ended when the cluster service was started anew.",
        remedy "If it shall still rest or fail, order it again with clpmonctrl.";
    /// A check was slow.
    monitor_slow(monitor; values) "rm" 71 Warning "polling of {1} was slow; args are timeout, tick rate, actual time, warning ratio",
        meaning "The check ended, but took more than the configured part of its time-out (mainstay/delaywarn/monitor).",
        remedy "Find out what slows the object or this server down, or raise polling/timeout.";
    /// A check that could not be made.
    monitor_unable(monitor; reason) "rm" 72 Warning "{1} could not be polled",
        meaning "This server lacks what the check itself needs, which says nothing of the object: the monitor stays as it was, and nothing follows.",
        remedy "Remove the cause named; until then the object is not watched here.";
    /// The script before a step of the recovery.
    preaction_done(step, monitor) "rm" 82 Info "script before {1} for monitor {2} done",
        meaning "The script before a step of the recovery (emergency/preaction) ended well; the step follows.",
        remedy "None.";
    /// It failed.
    preaction_failed(step, monitor; reason) "rm" 83 Error "script before {1} for monitor {2} failed",
        meaning "The script before a step of the recovery (emergency/preaction) is missing, failed or exceeded its time; the step follows all the same.",
        remedy "Correct the script; run it by hand with CLP_ACTION set.";
    /// A time-out without recovery.
    recovery_withheld(monitor) "rm" 193 Warning "recovery for {1} skipped since timeouts are set not to recover",
        meaning "A check did not end in time, and emergency/timeout/notrecovery/use says that nothing follows.",
        remedy "Repair the object, or move the group by hand.";
    /// A check had no processor.
    monitor_starved(monitor; figures) "rm" 902 Warning "the check of {1} had no processor in time",
        meaning "It did not end in time because other programs had the processor; the first three of a row do not count as failures.",
        remedy "Find out what loads this server; for a planned load use clptoratio.";
    /// The end of a ladder without an action.
    recovery_over(monitor; reason) "rm" 900 Warning "no recovery is left for monitor {1}",
        meaning "The recovery ladder is at its end and no final action is configured: the error stays.",
        remedy "Repair the object.";
    /// A slow check of user space.
    userw_slow(monitor; values) "userw" 1 Warning "polling of {1} was slow; args timeout, tick rate, actual time, warning ratio",
        meaning "The check of user space ended, but took more than the configured part of its time-out (mainstay/delaywarn/monitor).",
        remedy "Find out what slows this server down.";
}
