//! Messages of groups, their resources and their addresses as they are activated, deactivated, moved and given up.

use crate::{Alert, Destinations, Entry, Level};

catalogue! { examples_of_activation:
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
    /// No gate.
    addresses_ungated(; reason) "fip" 904 Warning "floating addresses are ungated here",
        meaning "The kernel does not silence floating addresses by itself when this server hangs or is cut off. They are given up all the same, by a program that must run for it; so another server waits for this one's watchdog before it takes over a group from it, as for a group with data.",
        remedy "See the reason: a kernel without bpf, or a tc filter of somebody else in the first place of an interface.";
    /// A gate again.
    addresses_gated() "fip" 905 Info "floating addresses are gated here",
        meaning "The kernel serves them only while this server's right is renewed.",
        remedy "None.";
    /// The second holder is gone.
    address_single(address; holder) "fip" 903 Info "address {1} is used by nobody else any more",
        meaning "The other machine no longer answers for the floating address.",
        remedy "None.";
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
}
