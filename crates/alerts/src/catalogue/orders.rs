//! Messages of what was asked for, by operators and by other servers, and of what an administrator says.

use crate::{Alert, Destinations, Entry, Level};

catalogue! { examples_of_orders:
    /// Another server asked for something.
    notice_accepted(request, from) "trnsv" 10 Info "outside notification {1} from IP {2} accepted",
        meaning "A server of the cluster asked this one to run a script (clptrnreq, clprexec).",
        remedy "None.";
    /// It asked for something that is not done.
    notice_refused(from; reason) "trnsv" 1 Error "outside notification from IP {1} refused",
        meaning "A server of the cluster asked this one to run a script that may not be run here.",
        remedy "Put the script into the directory that is named, with the owner and the mode that are asked for.";
    /// It was done.
    notice_done(action) "trnsv" 30 Info "action {1} done",
        meaning "The script that another server asked for ended with code 0.",
        remedy "None.";
    /// It failed.
    notice_failed(action; reason) "trnsv" 31 Error "action {1} failed",
        meaning "The script that another server asked for failed, or was ended at its time limit with all that it had started.",
        remedy "Correct the script; its output is in log/script.log.";
    /// An administrator's own message; `Alert::numbered` gives it another number and level.
    operator_message(text) "logcmd" 900 Info "{1}",
        meaning "A message that an administrator or a script wrote with clplogcmd, with a number and a level of its own.",
        remedy "As its writer says.";
    /// An operator's word for a server.
    declared_off(server) "cl" 902 Warning "an operator states that server {1} is switched off",
        meaning "The server may not have heard that a suspension is over; its groups are not waited for any more (clpcl --resume --dead).",
        remedy "Make sure that it is off: if it still runs its groups, they are active twice.";
    /// A start was asked for.
    cluster_start_asked(what, by) "cl" 1 Info "start of {1} asked for by {2}",
        meaning "The cluster service is started.",
        remedy "None.";
    /// A stop was asked for.
    cluster_stop_asked(what, by) "cl" 2 Info "stop of {1} asked for by {2}",
        meaning "The cluster service of every server stops; the operating systems go on.",
        remedy "None.";
    /// A suspension was asked for.
    cluster_suspend_asked(what, by) "cl" 3 Info "suspend of {1} asked for by {2}",
        meaning "Monitoring and takeovers will rest on all servers.",
        remedy "Resume with clpcl --resume.";
    /// A resumption was asked for.
    cluster_resume_asked(what, by) "cl" 4 Info "resume of {1} asked for by {2}",
        meaning "Monitoring and takeovers will work again on all servers.",
        remedy "None.";
    /// A start came to nothing.
    cluster_start_failed(what, reason) "cl" 11 Error "start of {1} failed ({2})",
        meaning "The cluster service was asked to start and did not.",
        remedy "Remove the cause named.";
    /// A stop came to nothing.
    cluster_stop_failed(what, reason) "cl" 12 Error "stop of {1} failed ({2})",
        meaning "The stop that was asked for was refused or did not come to its end.",
        remedy "Remove the cause named.";
    /// A suspension came to nothing.
    cluster_suspend_failed(what, reason) "cl" 13 Error "suspend of {1} failed ({2})",
        meaning "The suspension that was asked for was refused.",
        remedy "Remove the cause named.";
    /// A resumption came to nothing.
    cluster_resume_failed(what, reason) "cl" 14 Error "resume of {1} failed ({2})",
        meaning "The resumption that was asked for was refused.",
        remedy "Remove the cause named.";
    /// Suspended.
    cluster_suspended() "cl" 900 Info "the cluster has been suspended",
        meaning "Monitoring and takeovers rest, groups go on.",
        remedy "Resume with clpcl --resume.";
    /// Resumed.
    cluster_resumed() "cl" 901 Info "the cluster has been resumed",
        meaning "Monitoring and takeovers work again.",
        remedy "None.";
    /// Time-outs are multiplied.
    ratio_begins(ratio; span) "cl" 903 Info "time-outs are multiplied by {1}",
        meaning "An operator lets this cluster wait longer for heartbeats and monitors (clptoratio); a failure is noticed later by as much.",
        remedy "None; clptoratio -i ends it.";
    /// They no longer are.
    ratio_ended() "cl" 904 Info "time-outs are normal again",
        meaning "The temporary time-out ratio is over, by its time or by order.",
        remedy "None.";
    /// A shutdown was asked for.
    down_asked(what, by) "down" 1 Info "shutdown of {1} asked for by {2}",
        meaning "The cluster service stops, then the operating system is shut down.",
        remedy "None.";
    /// A reboot was asked for.
    down_reboot_asked(what, by) "down" 2 Info "reboot of {1} asked for by {2}",
        meaning "The cluster service stops, then the operating system is rebooted.",
        remedy "None.";
    /// A shutdown came to nothing.
    down_failed(what, reason) "down" 11 Error "shutdown of {1} failed ({2})",
        meaning "The shutdown that was asked for was refused or did not come to its end.",
        remedy "Remove the cause named.";
    /// A reboot came to nothing.
    down_reboot_failed(what, reason) "down" 12 Error "reboot of {1} failed ({2})",
        meaning "The reboot that was asked for was refused or did not come to its end.",
        remedy "Remove the cause named.";
    /// A configuration arrived.
    configuration_uploaded(by) "cfmgr" 1 Info "configuration data uploaded by {1}",
        meaning "A new configuration was distributed; it is in force from the next start of the service.",
        remedy "None.";
}
