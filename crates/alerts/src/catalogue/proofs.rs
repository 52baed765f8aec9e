//! Messages of proofs that a lost server is dead.

use crate::{Alert, Destinations, Entry, Level};

catalogue! { examples_of_proofs:
    /// A lost server is switched off.
    stop_forced(server) "nm" 910 Warning "lost server {1} is being switched off",
        meaning "Its heartbeats are silent and this side may go on; nothing of it is taken over before its power was read back off.",
        remedy "Find out why it was lost; see clpstat -n on the other servers.";
    /// It was.
    stop_proven(server; how) "nm" 911 Warning "server {1} is off",
        meaning "Its power was read back off after it was lost, so its groups can be taken over without any wait.",
        remedy "Switch it on again when its fault is found.";
    /// It was not.
    stop_unproven(server; reason) "nm" 912 Error "server {1} could not be switched off",
        meaning "It is lost and may still run its groups; those that need this proof are not taken over. It is tried again.",
        remedy "Switch it off by hand, look that it is off, then say so with clpcl --resume --dead SERVER.";
    /// The next loss could not be proven well enough.
    proof_short(group, best; least) "nm" 913 Warning "if the server of group {1} were lost now, its death could be proven no better than {2}",
        meaning "The group accepts no weaker proof than the one named, so it would not be taken over.",
        remedy "Repair what proves it (ping target, power control; see clpstat), or change mainstay/minproof.";
    /// It could be again.
    proof_enough(group) "nm" 914 Info "if the server of group {1} were lost now, its death could be proven well enough again",
        meaning "What proves a server's death works again.",
        remedy "None.";
    /// A lost server could not be switched off.
    stop_unready(server; reason) "nm" 915 Warning "server {1} could not be switched off from here if it were lost",
        meaning "The power controller that the forced stop needs does not answer, or does not obey; groups that need this proof would not be taken over.",
        remedy "Repair what the text names: address and LAN of the BMC, its user, password and privilege, or the script.";
    /// It could be again.
    stop_ready(server) "nm" 916 Info "server {1} could be switched off from here again",
        meaning "The forced stop works again.",
        remedy "None.";
}
