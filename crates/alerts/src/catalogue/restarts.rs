//! Messages of restarts, of servers that were shut down, and of what a disk's driver does before it mounts.

use crate::{Alert, Destinations, Entry, Level};

catalogue! { examples_of_restarts:
    /// A group is reactivated.
    group_restart(group) "rc" 70 Info "group {1} restart begins",
        meaning "A monitor's recovery stops all resources of the group and starts them again on this server.",
        remedy "None; see clpstat --why GROUP for the monitor's words.";
    /// It is active again.
    group_restarted(group) "rc" 71 Info "group {1} restart done",
        meaning "All resources of the group are active again on this server.",
        remedy "None.";
    /// It is not.
    group_restart_failed(group; reason) "rc" 72 Error "group {1} restart failed",
        meaning "A resource of the group could not be stopped or started again; what is configured for that follows.",
        remedy "See clpstat --why GROUP.";
    /// A resource is reactivated.
    resource_restart(resource) "rc" 80 Info "resource {1} restart begins",
        meaning "A monitor's recovery stops the resource, with those that depend on it, and starts them again on this server.",
        remedy "None; see clpstat --why GROUP for the monitor's words.";
    /// It is active again.
    resource_restarted(resource) "rc" 81 Info "resource {1} restart done",
        meaning "The resource and those that depend on it are active again on this server.",
        remedy "None.";
    /// It is not.
    resource_restart_failed(resource; reason) "rc" 82 Error "resource {1} restart failed",
        meaning "The resource, or one that depends on it, could not be stopped or started again; what is configured for that follows.",
        remedy "See clpstat --why GROUP.";
    /// The cluster was shut down.
    all_shut_down() "rc" 90 Info "every server was shut down",
        meaning "The cluster service of this server has ended on the way to a shutdown of the whole cluster; the operating system shuts down now.",
        remedy "None.";
    /// This server was shut down.
    server_shut_down() "rc" 91 Info "this server was shut down",
        meaning "The cluster service of this server has ended, its groups went to other servers where they could, and the operating system shuts down now.",
        remedy "None.";
    /// A file system is checked.
    disk_check_begins(program, device) "disk" 10 Info "{1} of {2} begins",
        meaning "The file system is checked before it is mounted (fsck/timing, fsck/interval).",
        remedy "None; a large file system takes long.";
    /// It is good.
    disk_check_done(program, device) "disk" 11 Info "{1} of {2} fine",
        meaning "The file system is good, or was corrected.",
        remedy "None.";
    /// It is not.
    disk_check_failed(program, device, code) "disk" 12 Error "{1} of {2} failed, return {3}",
        meaning "The file system is damaged and was not corrected, or the program could not be run; the resource is not activated.",
        remedy "Run the program by hand on the device where nobody has it mounted.";
    /// It was not over in time.
    disk_check_slow(program, device; limit) "disk" 15 Error "{1} of {2} timed out",
        meaning "The check was ended at its time-out; the resource is not activated.",
        remedy "Raise fsck/timeout, or check the file system by hand.";
}
