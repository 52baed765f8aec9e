//! Do other machines find an address here? Asked from that address, their answers come only if their tables, and those of all
//! switches between, lead here. So every answer is the proof of the machine that gave it, without a word between servers.
//!
//! A machine that has no entry for the address finds it by a question; one with an old entry, for up to a minute, does not.
//! Nothing is announced or judged here.

use clp_sys::icmp::{PingError, ping, ping_from};
use std::{net::IpAddr, time::Duration};

/// Somebody in the address's network who answers pings: another server, a router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// For people.
    pub name: String,
    /// Its own address.
    pub address: IpAddr,
}

/// What a witness shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// It finds the address here.
    Seen,
    /// It answers this server, but does not find the address here.
    Unseen,
    /// It answers nothing.
    Silent,
}

/// Ask every witness from `address`, and those that do not answer from `own` (None: from what the kernel chooses). Blocks for
/// at most twice `wait`.
///
/// # Errors
/// Nothing can be asked: the address is not here.
pub fn look(address: IpAddr, own: Option<IpAddr>, witnesses: &[Witness], wait: Duration) -> Result<Vec<Sight>, PingError> {
    let all: Vec<IpAddr> = witnesses.iter().map(|witness| witness.address).collect();
    let answers = ping_from(address, &all, wait)?;
    let silent: Vec<IpAddr> = all.iter().zip(&answers).filter(|(_, answer)| answer.is_none()).map(|(at, _)| *at).collect();
    if silent.is_empty() {
        return Ok(vec![Sight::Seen; all.len()]);
    }
    let lives = match own {
        Some(own) => ping_from(own, &silent, wait)?,
        None => ping(&silent, wait)?,
    };
    let mut lives = lives.into_iter();
    Ok(answers
        .iter()
        .map(|answer| match answer {
            Some(_) => Sight::Seen,
            None if lives.next().flatten().is_some() => Sight::Unseen,
            None => Sight::Silent,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeats::tests_support::{in_own_network, ip};
    use crate::monitors::floating::tests::Neighbour;

    #[test]
    fn a_machine_with_an_old_entry_answers_but_does_not_find_the_address() {
        in_own_network(|| {
            let neighbour = Neighbour::beside("a0");
            ip("addr add 10.78.0.1/24 dev a0");
            ip("addr add 10.78.0.9/24 dev a0");
            neighbour.run("ip addr add 10.78.0.2/24 dev b0");
            let witness = |last: u8| Witness { name: format!("server{last}"), address: IpAddr::from([10, 78, 0, last]) };
            let witnesses = [witness(2), witness(3)];
            let address = IpAddr::from([10, 78, 0, 9]);
            let wait = Duration::from_millis(300);
            let own = Some(IpAddr::from([10, 78, 0, 1]));
            for own in [own, None] {
                assert_eq!(look(address, own, &witnesses, wait).expect("asked"), [Sight::Seen, Sight::Silent]);
            }
            neighbour.run("ip neigh replace 10.78.0.9 lladdr 02:00:00:00:00:99 dev b0 nud permanent");
            assert_eq!(look(address, own, &witnesses, wait).expect("asked"), [Sight::Unseen, Sight::Silent]);
            neighbour.run("ip neigh del 10.78.0.9 dev b0");
            assert_eq!(look(address, own, &witnesses, wait).expect("asked"), [Sight::Seen, Sight::Silent]);
            ip("addr del 10.78.0.9/24 dev a0");
            assert!(look(address, own, &witnesses, wait).is_err(), "the address is not here");
        });
    }
}
