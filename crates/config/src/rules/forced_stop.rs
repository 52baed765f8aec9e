//! Rules of the forced stop: every server can be switched off by the others, and none in place of another.

use std::net::IpAddr;

use crate::configuration::{Configuration, ForcedStopMethod};
use crate::problem::Problem;

/// What a lost server is switched off by has to be there for each of them.
pub(super) fn forced_stop_reaches_every_server(configuration: &Configuration, problems: &mut Vec<Problem>) {
    let Some(forced_stop) = &configuration.forced_stop else { return };
    if let ForcedStopMethod::Script { path, .. } = &forced_stop.method
        && (path.is_empty() || path.contains("..") || (path.contains('/') && !path.starts_with('/')))
    {
        let what = format!("{path:?} is neither an absolute path nor a bare name");
        problems.push(Problem::new("/root/mainstay/forcestop/path", what, "give the whole path, or a name below scripts/"));
    }
    if !forced_stop.method.needs_bmc() {
        return;
    }
    for server in configuration.servers.iter().filter(|server| server.bmc.is_none()) {
        problems.push(Problem::new(
            format!("/root/server@{}/mainstay/bmc/address", server.name),
            "lost servers are to be switched off and read back off, and this one has no BMC",
            "give the address of its BMC, or set mainstay/forcestop/use to 0",
        ));
    }
}

/// An address that stands for another thing at each server, or for the server itself, switches off the wrong one or none.
pub(super) fn bmcs_are_told_apart(configuration: &Configuration, problems: &mut Vec<Problem>) {
    for (index, server) in configuration.servers.iter().enumerate() {
        let Some(bmc) = &server.bmc else { continue };
        let mut add = |what: String, remedy: &str| {
            problems.push(Problem::new(format!("/root/server@{}/mainstay/bmc/address", server.name), what, remedy));
        };
        if bmc.address.is_loopback() || bmc.address.is_unspecified() || bmc.address.is_multicast() {
            add(format!("{} is the address of no BMC", bmc.address), "give the address at which the other servers reach it");
        }
        let same = |other: &crate::configuration::Server| {
            other.bmc.as_ref().is_some_and(|other| (other.address, other.port) == (bmc.address, bmc.port))
        };
        if let Some(other) = configuration.servers[..index].iter().find(|other| same(other)) {
            add(
                format!("{} is the BMC of {} too: the wrong server would be switched off", bmc.address, other.name),
                "give each server its own",
            );
        }
        let holds = |other: &&crate::configuration::Server| other.lan_addresses().contains(&bmc.address);
        if let Some(other) = configuration.servers.iter().find(holds) {
            add(format!("{} is an address of {} itself", bmc.address, other.name), "give the address of the BMC");
        }
        let floating = |address: IpAddr| configuration.resources.iter().any(|one| one.kind.floating_address() == Some(address));
        if floating(bmc.address) {
            add(format!("{} is a floating address", bmc.address), "give the address of the BMC");
        }
    }
}
