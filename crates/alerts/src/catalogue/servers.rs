//! Messages of servers and the paths between them: who is there, who may go on, what arrives and is dropped.

use crate::{Alert, Destinations, Entry, Level};

catalogue! { examples_of_servers:
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
}
