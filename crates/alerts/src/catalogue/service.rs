//! Messages of the cluster service itself: its processes, its record, room and files, the orders that end it.

use crate::{Alert, Destinations, Entry, Level};

catalogue! { examples_of_service:
    /// The cluster service starts.
    daemon_started() "pm" 1 Info "cluster daemon start-up begins",
        meaning "The cluster service of this server starts.",
        remedy "None.";
    /// The cluster service goes down, or rests because the cluster was suspended.
    daemon_stopped(; reason) "pm" 2 Info "cluster daemon is going down",
        meaning "The cluster service of this server stops, or the cluster was suspended and this server takes part: a configuration may be applied now.",
        remedy "None.";
    /// A second start.
    already_running() "pm" 10 Error "daemon start refused because one is already running",
        meaning "Somebody started the cluster service while it runs.",
        remedy "See clpstat; stop the service first if it is to start anew.";
    /// A configuration that cannot be used.
    configuration_bad(; reason) "pm" 13 Error "configuration data is bad", to EVERYWHERE,
        meaning "The service does not start: its configuration breaks a rule.",
        remedy "Correct what is named and distribute it with clpcfctrl --push.";
    /// No configuration.
    configuration_missing(; reason) "pm" 14 Error "configuration data missing",
        meaning "The service does not start: there is no configuration on this server.",
        remedy "Distribute one with clpcfctrl --push.";
    /// A configuration of other servers.
    own_name_unknown(; reason) "pm" 15 Error "own host name not found in the configuration",
        meaning "The service does not start: none of the configured servers has this server's host name.",
        remedy "Set the host name, or name this server in the configuration and distribute it with clpcfctrl --push.";
    /// A process of the service ended without being asked.
    process_died(process; words) "pm" 20 Error "child process {1} ended abnormally", to EVERYWHERE,
        meaning "A process of the cluster service died. The configured action follows for the engine (default: shutdown); the monitor daemon is started again.",
        remedy "Collect the logs and report the failure.";
    /// A process of the service did not come up.
    process_unusable(process, code; words) "pm" 22 Error "process {1} failed its initialisation, return code {2}", to EVERYWHERE,
        meaning "The cluster service did not start; nothing was activated.",
        remedy "Remove the cause named, then start the service with clpcl -s.";
    /// The machine halts because a process died.
    process_halts() "pm" 23 Info "machine will be halted",
        meaning "A process of the cluster service died and the configured action is a shutdown.",
        remedy "Start the server again.";
    /// The service ends because a process died.
    process_stops() "pm" 24 Info "cluster daemon will be halted",
        meaning "A process of the cluster service died and the configured action is to end the service.",
        remedy "Start the service again with clpcl -s.";
    /// The machine reboots because a process died.
    process_reboots() "pm" 25 Info "machine will be rebooted",
        meaning "A process of the cluster service died and the configured action is a reboot.",
        remedy "None; the server comes back by itself.";
    /// A process of the service is started again.
    process_again(process) "pm" 26 Info "process {1} is going to be started again",
        meaning "It ended, and the service goes on with a new one.",
        remedy "None.";
    /// Alerts that cannot be recorded.
    record_unwritable(; reason) "pm" 901 Error "alerts cannot be recorded",
        meaning "The alert record of this server cannot be written, most often because the disk is full. Alerts go to syslog meanwhile and are recorded, with their times, when there is room again.",
        remedy "Make room on the file system of /opt/mainstay.";
    /// They can again.
    record_written(count; lost) "pm" 902 Info "alerts can be recorded again, {1} of them late",
        meaning "What happened while the alert record could not be written stands before this line.",
        remedy "None.";
    /// A disk that is full.
    room_short(place; left) "pm" 903 Error "the file system of {1} is full",
        meaning "Logs, alerts and new configurations cannot be written. Groups go on, and this server still takes groups over.",
        remedy "Make room: see du -x on that file system.";
    /// It has room again.
    room_back(place) "pm" 904 Info "the file system of {1} has room again",
        meaning "Logs, alerts and configurations can be written.",
        remedy "None.";
    /// A process that may open too few files.
    files_short(process; limit) "pm" 905 Warning "process {1} may open too few files",
        meaning "Somebody lowered the limit on open files of a running process of the service (prlimit); below the limit named it could not take groups over or answer.",
        remedy "Leave the limits of the service's processes alone; if it could not be raised again, start the service as root with CAP_SYS_RESOURCE.";
    /// State that a restart will not know.
    state_not_kept(what; reason) "pm" 906 Error "{1} cannot be kept for the next start of this server",
        meaning "A file of the work directory could not be written: what it says is true now and would be forgotten by a restart of this server.",
        remedy "Make room on the file system of /opt/mainstay, then give the order again.";
    /// A shutdown was asked for.
    shutdown_asked(by) "pm" 30 Info "{1} asked for a machine shutdown",
        meaning "The cluster service of this server stops, then the server shuts down.",
        remedy "None.";
    /// A stop was asked for.
    stop_asked(by) "pm" 31 Info "{1} asked to stop the daemon",
        meaning "The cluster service of this server stops, the operating system goes on.",
        remedy "None.";
    /// A reboot was asked for.
    reboot_asked(by) "pm" 32 Info "{1} asked for a reboot",
        meaning "The cluster service of this server stops, then the server reboots.",
        remedy "None.";
    /// A restart was asked for.
    restart_asked(by) "pm" 33 Info "{1} asked to restart the daemon",
        meaning "The cluster service of this server stops and is started again.",
        remedy "None.";
    /// A resumption was asked for.
    resume_asked(by) "pm" 34 Info "{1} asked to resume the daemon",
        meaning "Monitoring and takeovers of this server work again.",
        remedy "None.";
    /// A suspension was asked for.
    suspend_asked(by) "pm" 35 Info "{1} asked to suspend the daemon",
        meaning "Monitoring and takeovers of this server rest, groups go on.",
        remedy "Resume with clpcl --resume.";
}
