//! The messages, one entry each. To add one: an entry here, a call where the fact is known, `cargo xtask generate`.
//!
//! `name(fields; detail)`: the fields fill `{1}`, `{2}`, … of the text, the detail follows it. Below 900 a text is the event
//! list's own (`tests/list.rs` compares); what the list has no place for goes into the detail. `to` names where it goes when that
//! is not the record and syslog.

use crate::{Alert, Destinations, Entry, Level};

macro_rules! detail_name {
    () => {
        None
    };
    ($detail:ident) => {
        Some(stringify!($detail))
    };
}

macro_rules! detail_value {
    () => {
        None
    };
    ($detail:expr) => {
        Some($detail.to_string())
    };
}

macro_rules! destinations {
    () => {
        Destinations::USUAL
    };
    ($to:ident) => {
        Destinations::$to
    };
}

macro_rules! catalogue {
    ($examples:ident: $( $(#[doc = $doc:literal])* $name:ident($($field:ident),* $(; $detail:ident)?) $module:literal $id:literal $level:ident $text:literal, $(to $to:ident,)? meaning $meaning:literal, remedy $remedy:literal; )*) => {
        impl Alert {
            $(
                $(#[doc = $doc])*
                pub fn $name($($field: &str,)* $($detail: &str)?) -> Alert {
                    static ENTRY: Entry = Entry {
                        module: $module,
                        id: $id,
                        level: Level::$level,
                        destinations: destinations!($($to)?),
                        text: $text,
                        detail: detail_name!($($detail)?),
                        meaning: $meaning,
                        remedy: $remedy,
                    };
                    Alert::of(&ENTRY, vec![$($field.to_string()),*], detail_value!($($detail)?))
                }
            )*

            /// One of each of this list.
            pub(crate) fn $examples() -> Vec<Alert> {
                vec![$( Alert::$name($(stringify!($field),)* $(stringify!($detail))?) ),*]
            }
        }
    };
}

mod groups;
mod restarts;

impl Alert {
    /// One of each, its fields named after themselves: for the manual and the catalogue's own tests.
    pub fn examples() -> Vec<Alert> {
        [Alert::examples_of_all(), Alert::examples_of_groups(), Alert::examples_of_restarts()].concat()
    }
}

catalogue! { examples_of_all:
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
    /// A server joined.
    server_up(server) "nm" 1 Info "server {1} came up",
        meaning "The server joined the cluster.",
        remedy "None.";
    /// A server is gone.
    server_down(server; reason) "nm" 2 Info "server {1} went down", to EVERYWHERE,
        meaning "The server left the cluster; its groups fail over where they can.",
        remedy "If nobody stopped it, find out why: power, system log, clpstat --why GROUP.";
    /// A heartbeat path works.
    heartbeat_up(path, server) "nm" 3 Info "heartbeat or NP device {1} of server {2} became usable",
        meaning "The path is heard.",
        remedy "None.";
    /// A heartbeat path is silent.
    heartbeat_down(path, server) "nm" 4 Info "heartbeat or NP device {1} of server {2} went down",
        meaning "Nothing was heard on the path for more than two intervals; other paths keep the cluster together.",
        remedy "Check cable, switch, address or disk of that path.";
    /// The servers wait for each other.
    sync_wait_begins(; limit) "nm" 5 Info "start synchronisation begins: waiting for every server",
        meaning "This server has started and waits for the others, at most as long as the server sync wait time, before any group is started.",
        remedy "None.";
    /// All are there.
    sync_wait_all() "nm" 6 Info "every server arrived",
        meaning "Every server of the configuration is there; groups start.",
        remedy "None.";
    /// Some are not.
    sync_wait_expired(; missing) "nm" 7 Info "start synchronisation wait expired",
        meaning "The servers named sent no sign of life within the server sync wait time; groups start without them.",
        remedy "Start the servers named, or find out why they do not come up.";
    /// Some live and cannot be reached.
    sync_wait_unreached(; missing) "nm" 8 Error "start synchronisation wait expired and some servers could not be reached",
        meaning "The servers named are alive, but no LAN reaches them: nothing is started that they may hold.",
        remedy "Repair the interconnects, see clpstat -n.";
    /// It is not waited for any longer.
    sync_wait_cancelled(; reason) "nm" 9 Info "start synchronisation wait cancelled",
        meaning "This server came into a cluster that runs already, somebody started a group by hand, or the service stops.",
        remedy "None.";
    /// This side may not go on: the server shuts down.
    split_shutdown(server; reason) "nm" 30 Error "split network found; server {1} is shut down to save data",
        meaning "The network partition resolution did not let this side go on, so its groups were given up before anybody takes over; the server shuts down.",
        remedy "Repair the network, then start the server again.";
    /// This side may not go on: the server ends its cluster service.
    split_stop(server; reason) "nm" 40 Error "split network found; cluster service on {1} stopped",
        meaning "The network partition resolution did not let this side go on, so its groups were given up before anybody takes over; the server ends its cluster service.",
        remedy "Repair the network, then start the server again.";
    /// This side may not go on: the server reboots.
    split_reboot(server; reason) "nm" 42 Error "split network found; server {1} rebooted",
        meaning "The network partition resolution did not let this side go on, so its groups were given up before anybody takes over; the server reboots.",
        remedy "Repair the network, then start the server again.";
    /// Nobody could say whether this side may go on: the server shuts down.
    check_shutdown(server; reason) "nm" 31 Error "network partition check itself failed; server {1} is shut down",
        meaning "The network partition resolution gave no answer in time, so the groups here were given up before anybody takes over; the server shuts down.",
        remedy "Find out why the targets of the network partition resolution gave no answer, then start the server again.";
    /// Nobody could say whether this side may go on: the server ends its cluster service.
    check_stop(server; reason) "nm" 41 Error "NP check failed; cluster service on {1} stopped",
        meaning "The network partition resolution gave no answer in time, so the groups here were given up before anybody takes over; the server ends its cluster service.",
        remedy "Find out why the targets of the network partition resolution gave no answer, then start the server again.";
    /// Nobody could say whether this side may go on: the server reboots.
    check_reboot(server; reason) "nm" 44 Error "NP check failed; server {1} rebooted",
        meaning "The network partition resolution gave no answer in time, so the groups here were given up before anybody takes over; the server reboots.",
        remedy "Find out why the targets of the network partition resolution gave no answer, then start the server again.";
    /// A partition resolution works again.
    partition_up(resolution, server) "nm" 36 Info "NP resolver {1} on server {2} works again",
        meaning "Its targets answer again.",
        remedy "None.";
    /// A partition resolution fails.
    partition_down(resolution, server; reason) "nm" 37 Error "NP resolver {1} on server {2} is failing",
        meaning "Its targets do not answer: should the other servers fall silent now, this server gives up its groups.",
        remedy "Check the targets and the way to them.";
    /// A path that this server cannot use.
    path_unusable(path, server; reason) "nm" 35 Error "device {1} could not be started on server {2}",
        meaning "Something that the path needs is not there: interface, address, disk or line. It is tried again all the time and works as soon as it is there, which nm/3 tells.",
        remedy "Provide what is named.";
    /// A server that no LAN reaches.
    communication_lost(server) "nm" 80 Error "internal communication with server {1} lost",
        meaning "The server is alive by other paths, but no LAN reaches it: nothing is started, moved or taken over meanwhile, and commands that need all servers do not work.",
        remedy "Repair the interconnects, see clpstat -n.";
    /// It is reached again.
    communication_restored(server) "nm" 81 Info "internal communication with server {1} restored",
        meaning "A LAN reaches the server again.",
        remedy "None.";
    /// Another key.
    foreign_key(server, path) "nm" 901 Error "frames on {2} that claim to come from server {1} do not open with this cluster's key",
        meaning "One of the servers holds another key or another cluster's configuration, or somebody sends on this port.",
        remedy "Compare etc/trust/cluster.key and the cluster's name on both servers; give both the same trust.";
    /// What arrived on a heartbeat path and was dropped.
    data_refused(path, cause; count) "nm" 902 Warning "data on {1} refused, {2}",
        meaning "Something sends on this path what no server of this cluster would; it was dropped and changed nothing. Counts by cause are shown by clpstat --json.",
        remedy "Find who sends it: another cluster with the same addresses or disk, a scanner, a damaged line.";
    /// Group start.
    group_starting(group) "rc" 10 Info "group {1} activation begins",
        meaning "Its resources are being activated here.",
        remedy "None.";
    /// Group online.
    group_online(group) "rc" 11 Info "group {1} activation done",
        meaning "The group is online here.",
        remedy "None.";
    /// Group activation failure.
    group_failed(group; reason) "rc" 12 Error "group {1} activation failed",
        meaning "A resource of the group could not be activated on this server.",
        remedy "See clpstat --why GROUP.";
    /// Group stop.
    group_stopping(group) "rc" 20 Info "group {1} stop begins",
        meaning "Its resources are being deactivated here.",
        remedy "None.";
    /// Group offline.
    group_offline(group) "rc" 21 Info "group {1} stop done",
        meaning "The group is offline here.",
        remedy "None.";
    /// Group deactivation failure.
    group_stop_failed(group; reason) "rc" 22 Error "group {1} stop failed",
        meaning "A resource of the group could not be deactivated; the group starts nowhere else until it is.",
        remedy "See clpstat --why GROUP.";
    /// An activation begins.
    activation_begins(resource) "rc" 30 Info "resource {1} activation begins", to SYSLOG,
        meaning "A step of the start of its group on this server.",
        remedy "None.";
    /// It is done.
    activation_done(resource) "rc" 31 Info "resource {1} activation done", to SYSLOG,
        meaning "The resource is active on this server.",
        remedy "None.";
    /// Activation failure.
    activation_failed(resource, code, reason) "rc" 32 Error "resource {1} activation failed, code {2} text {3}", to EVERYWHERE,
        meaning "The resource could not be activated; another try (rc 200), failover or the final action follows. The code is the exit code of the script or tool that failed (124 at its time limit, 126 and 127 when it could not be started, 128 and the number of a signal), else the kernel's number of the error, else 1.",
        remedy "Remove the cause named.";
    /// A deactivation begins.
    deactivation_begins(resource) "rc" 40 Info "resource {1} deactivation begins", to SYSLOG,
        meaning "A step of the stop of its group on this server.",
        remedy "None.";
    /// It is done.
    deactivation_done(resource) "rc" 41 Info "resource {1} deactivation done", to SYSLOG,
        meaning "The resource is no longer active on this server.",
        remedy "None.";
    /// Deactivation failure.
    deactivation_failed(resource, code, reason) "rc" 42 Error "resource {1} deactivation failed, code {2} text {3}", to EVERYWHERE,
        meaning "The resource could not be deactivated in order and starts nowhere else until it is. When rc 220 follows, it is tried again, at the end by detaching: its processes are killed, its disk is cut off, nothing of it acts here any more. Otherwise its final action follows. The code is that of rc 32.",
        remedy "Remove the cause named.";
    /// The start script is to run on another server.
    start_elsewhere_asked(resource, server) "rc" 33 Info "activation of {1} on another server {2} requested",
        meaning "The resource has started here, and its start script runs on the other servers too (parameters/act/postrunothers).",
        remedy "None.";
    /// It ran there.
    start_elsewhere(resource, server) "rc" 34 Info "activation of {1} on server {2} done",
        meaning "The start script ended well there.",
        remedy "None.";
    /// It failed there.
    start_elsewhere_failed(resource, server; reason) "rc" 35 Error "activation of {1} on server {2} failed",
        meaning "The start script failed there, or nothing was heard of it; the group goes on here.",
        remedy "See the log of the script (userlog) on that server.";
    /// The stop script is to run on another server.
    stop_elsewhere_asked(resource, server) "rc" 44 Info "deactivation of {1} on server {2} requested",
        meaning "The resource is about to be stopped here, and its stop script runs on the other servers before (parameters/deact/prerunothers).",
        remedy "None.";
    /// It ran there.
    stop_elsewhere(resource, server) "rc" 45 Info "deactivation of {1} on server {2} done",
        meaning "The stop script ended well there.",
        remedy "None.";
    /// It failed there.
    stop_elsewhere_failed(resource, server; reason) "rc" 46 Error "deactivation of {1} on server {2} failed",
        meaning "The stop script failed there, or nothing was heard of it; the stop goes on here.",
        remedy "See the log of the script (userlog) on that server.";
    /// Another try to activate.
    activation_again(resource, failed) "rc" 200 Info "resource {1} tried again after activation of {2} failed",
        meaning "Its activation retry threshold is not reached.",
        remedy "None; rc 32 before it says what failed.";
    /// Another try to deactivate, or to detach.
    deactivation_again(resource, failed) "rc" 220 Info "resource {1} stop tried again after stop of {2} failed",
        meaning "Its deactivation is tried again; when the retry threshold is reached, what is left of it is killed and cut off from its disk.",
        remedy "None; rc 42 before it says what failed.";
    /// Move.
    group_move(group; server) "rc" 50 Info "group {1} move begins",
        meaning "An operator moves the group to the server named.",
        remedy "None.";
    /// End of a move.
    group_moved(group; server) "rc" 51 Info "group {1} move done",
        meaning "The group is online on the server named.",
        remedy "None.";
    /// A move that came to nothing.
    group_move_failed(group; reason) "rc" 52 Error "group {1} move failed",
        meaning "The group is not where the operator wanted it.",
        remedy "Remove the cause named, then move it again; see clpstat --why GROUP.";
    /// Failover.
    group_failover(group; reason) "rc" 60 Info "group {1} failover begins",
        meaning "The group starts on another server because of a failure.",
        remedy "Repair the failure, then move the group back.";
    /// End of a failover.
    group_failed_over(group; server) "rc" 61 Info "group {1} failover done",
        meaning "The group is online on the server named.",
        remedy "Repair the failure, then move the group back.";
    /// A failover that came to nothing.
    group_failover_failed(group; reason) "rc" 62 Error "group {1} failover failed",
        meaning "The group is not online where the failover was to bring it.",
        remedy "Remove the cause named; see clpstat --why GROUP.";
    /// Where a failover goes.
    destination_chosen(server, group, reason) "rc" 64 Info "server {1} chosen as destination of group {2}, reason {3}",
        meaning "The first server of the failover policy that can take the group.",
        remedy "None.";
    /// A group that no server can take.
    no_destination(group, reason) "rc" 65 Error "no usable destination for group {1}, reason {2}",
        meaning "The group should run, and every server of its policy was passed over for the reason named.",
        remedy "Bring one of its servers into a state in which it can take the group.";
    /// Failback.
    group_failback(group; server) "rc" 74 Info "group {1} failback begins",
        meaning "The first server of its policy is back, and the group returns to it.",
        remedy "None.";
    /// End of a failback.
    group_failed_back(group; server) "rc" 75 Info "group {1} failback done",
        meaning "The group is online on its first server.",
        remedy "None.";
    /// A failback that came to nothing.
    group_failback_failed(group; reason) "rc" 76 Error "group {1} failback failed",
        meaning "The group did not come back to its first server.",
        remedy "Remove the cause named, then move it with clpgrp -m; see clpstat --why GROUP.";
    /// Two owners.
    double_owner(group; servers) "rc" 92 Error "group {1} found active on two or more servers", to EVERYWHERE,
        meaning "Both sides of a network partition went on; one copy is stopped, both where data are shared.",
        remedy "Check the data. Configure a partition resolution that can prove which side may go on.";
    /// Final action after a failed activation: the group was stopped.
    activation_final_group(group, resource; reason) "rc" 202 Info "group {1} stopped after activation of {2} failed",
        meaning "The resource could not be activated and its ladder is at its end: the group was stopped.",
        remedy "Remove the cause named.";
    /// Final action after a failed activation: the cluster service of this server ends.
    activation_final_service(resource; reason) "rc" 203 Info "daemon stopped after activation of {1} failed",
        meaning "The resource could not be activated and its ladder is at its end: the cluster service of this server ends.",
        remedy "Remove the cause named.";
    /// Final action after a failed activation: this server shuts down.
    activation_final_halt(resource; reason) "rc" 204 Info "machine halted after activation of {1} failed",
        meaning "The resource could not be activated and its ladder is at its end: this server shuts down.",
        remedy "Remove the cause named.";
    /// Final action after a failed activation: this server reboots.
    activation_final_reboot(resource; reason) "rc" 205 Info "machine rebooted after activation of {1} failed",
        meaning "The resource could not be activated and its ladder is at its end: this server reboots.",
        remedy "Remove the cause named.";
    /// Final action after a failed deactivation: the group was stopped.
    deactivation_final_group(group, resource; reason) "rc" 222 Info "group {1} stopped after stop of {2} failed",
        meaning "The resource could not be deactivated and its ladder is at its end: the group was stopped.",
        remedy "Remove the cause named.";
    /// Final action after a failed deactivation: the cluster service of this server ends.
    deactivation_final_service(resource; reason) "rc" 223 Info "daemon stopped after stop of {1} failed",
        meaning "The resource could not be deactivated and its ladder is at its end: the cluster service of this server ends.",
        remedy "Remove the cause named.";
    /// Final action after a failed deactivation: this server shuts down.
    deactivation_final_halt(resource; reason) "rc" 224 Info "machine halted after stop of {1} failed",
        meaning "The resource could not be deactivated and its ladder is at its end: this server shuts down.",
        remedy "Remove the cause named.";
    /// Final action after a failed deactivation: this server reboots.
    deactivation_final_reboot(resource; reason) "rc" 225 Info "machine rebooted after stop of {1} failed",
        meaning "The resource could not be deactivated and its ladder is at its end: this server reboots.",
        remedy "Remove the cause named.";
    /// Group that must wait.
    group_stranded(group; reason) "rc" 900 Warning "group {1} is not started yet",
        meaning "The group should run and must wait.",
        remedy "If it lasts, remove the cause named.";
    /// Another final action.
    final_action(what; reason) "rc" 901 Error "final action: {1}",
        meaning "A ladder is at its end, and its final action is one that the list has no number for.",
        remedy "See clpstat --why GROUP.";
    /// What was found active at the start of the service.
    left_over(resource; what) "rc" 902 Warning "resource {1} was found active here at the start of the service and was taken off",
        meaning "It was left over from an earlier life of the service, which ended without stopping its groups; no group is active here before it is started anew.",
        remedy "Find out why the service ended: the alerts and the log before this one.";
    /// A second holder of a floating address.
    address_doubled(address; holder) "fip" 10 Error "address {1} already used on the network",
        meaning "Another machine answers for a floating address. If it is active here, each of the two gets a part of its traffic; if it was to be activated here, it was not.",
        remedy "Find the machine with the hardware address named and remove the address there.";
    /// Somebody who does not find a floating address here.
    address_unseen(address, witness; reason) "fip" 901 Warning "{2} does not find address {1} here",
        meaning "It answers this server but not the floating address: its neighbour table, or a switch between, still holds the place where the address was before. The address is announced until it is found.",
        remedy "If it lasts, delete the entry on the machine named (ip neigh del) and look at the switches between.";
    /// It finds it now.
    address_seen(address, witness) "fip" 902 Info "{2} finds address {1} here now",
        meaning "Its entry was put right.",
        remedy "None.";
    /// The second holder is gone.
    address_single(address; holder) "fip" 903 Info "address {1} is used by nobody else any more",
        meaning "The other machine no longer answers for the floating address.",
        remedy "None.";
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
    /// A single resource is being started.
    single_starting(resource) "rc" 83 Info "single resource {1} start begins",
        meaning "An operator starts one resource of a group that is active here (clprsc -s).",
        remedy "None.";
    /// It is active.
    single_started(resource) "rc" 84 Info "single resource {1} started",
        meaning "The resource that an operator started is active.",
        remedy "None.";
    /// It could not be started.
    single_start_failed(resource; reason) "rc" 85 Error "single resource {1} start failed",
        meaning "The activation of a resource that an operator started failed; what is configured for its activation failures follows.",
        remedy "Correct the cause that is named; see clpstat --why for its group.";
    /// It is not to be started here.
    single_refused(server, resource; reason) "rc" 86 Warning "server {1} cannot start single resource {2}",
        meaning "An operator's start of one resource was refused; nothing changed.",
        remedy "Do what the reason says.";
    /// A single resource is being stopped.
    single_stopping(resource) "rc" 87 Info "single resource {1} stop begins",
        meaning "An operator stops one resource of a group that is active here (clprsc -t); the group goes on without it.",
        remedy "None.";
    /// It is not active any more.
    single_stopped(resource) "rc" 88 Info "single resource {1} stopped",
        meaning "The resource is off until it is started with clprsc -s, or its group is started or moved.",
        remedy "None.";
    /// It could not be stopped.
    single_stop_failed(resource; reason) "rc" 89 Error "single resource {1} stop failed",
        meaning "A resource that an operator stopped could not be deactivated.",
        remedy "Correct the cause that is named; see clpstat --why for its group.";
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
    /// A slow check of user space.
    userw_slow(monitor; values) "userw" 1 Warning "polling of {1} was slow; args timeout, tick rate, actual time, warning ratio",
        meaning "The check of user space ended, but took more than the configured part of its time-out (mainstay/delaywarn/monitor).",
        remedy "Find out what slows this server down.";
    /// A configuration arrived.
    configuration_uploaded(by) "cfmgr" 1 Info "configuration data uploaded by {1}",
        meaning "A new configuration was distributed; it is in force from the next start of the service.",
        remedy "None.";
}
