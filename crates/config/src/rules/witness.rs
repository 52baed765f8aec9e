//! Rules about witnesses.

use crate::configuration::Configuration;
use crate::problem::Problem;

/// A name of a host is resolved by somebody whom a cut takes away as well.
pub fn witnesses_have_addresses(configuration: &Configuration, problems: &mut Vec<Problem>) {
    for partition in &configuration.partitions {
        let Some(witness) = partition.witness() else { continue };
        let path = format!("/root/networkpartition/httpnp@{}", partition.name);
        for server in &configuration.servers {
            if !server.uses(partition.device) {
                let what = format!("{} does not ask this witness, so it could never go on alone", server.name);
                let remedy = format!("give every server the device {} with the value 1", partition.device);
                problems.push(Problem::new(path.clone(), what, remedy));
            } else if let Err(text) = witness.address(server, partition.device) {
                let what = format!("{text:?} is not an address of the witness for {}", server.name);
                problems.push(Problem::new(format!("{path}/host"), what, "give the IPv4 or IPv6 address of the witness"));
            }
        }
    }
}
