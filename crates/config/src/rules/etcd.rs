//! Rules about etcd.

use std::collections::BTreeSet;

use crate::configuration::Configuration;
use crate::problem::Problem;

/// More members no etcd has; and each gets its part of the time for an answer.
const MEMBERS_MAX: usize = 7;

/// A name of a host is resolved by somebody whom a cut takes away as well; an endpoint named twice is waited for twice.
pub fn etcds_have_endpoints(configuration: &Configuration, problems: &mut Vec<Problem>) {
    for partition in &configuration.partitions {
        let Some(etcd) = partition.etcd() else { continue };
        let path = format!("/root/networkpartition/etcdnp@{}", partition.name);
        let mut tell = |below: &str, what: String, remedy: String| {
            problems.push(Problem::new(format!("{path}{below}"), what, remedy));
        };
        if etcd.prefix.chars().any(|letter| letter.is_control() || letter.is_whitespace()) {
            tell("/prefix", "the prefix of the key has blanks".into(), "give one such as /mainstay/".into());
        }
        for server in &configuration.servers {
            let name = &server.name;
            if !server.uses(partition.device) {
                let what = format!("{name} does not ask this etcd, so it could never go on alone");
                tell("", what, format!("give every server the device {} with the value 1", partition.device));
                continue;
            }
            let remedy = format!("give the addresses and ports of its 1 to {MEMBERS_MAX} members, such as 10.0.0.9:2379");
            match etcd.addresses(server, partition.device) {
                Err(text) => tell("/endpoints", format!("{text:?} is not an address with a port of a member for {name}"), remedy),
                Ok(all) if all.is_empty() || all.len() > MEMBERS_MAX => {
                    tell("/endpoints", format!("{name} has {} members to ask", all.len()), remedy);
                }
                Ok(all) if all.iter().collect::<BTreeSet<_>>().len() < all.len() => {
                    tell("/endpoints", format!("a member is named twice for {name}"), "name each once".into());
                }
                Ok(_) => {}
            }
        }
    }
}
