//! ipw: asks a list of addresses by ping; one answer is enough. Addresses that must each answer get a monitor each.

use super::{CheckFailed, MonitorDriver, UnusableMonitor};
use clp_sys::icmp;
use std::{net::IpAddr, time::Duration};

/// How long answers are waited for; within it each address is asked three times.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// An IP monitor.
#[derive(Debug)]
pub struct Ipw {
    addresses: Vec<IpAddr>,
}

impl Ipw {
    /// From the configuration.
    pub(super) fn configured(addresses: &[String]) -> Result<Ipw, UnusableMonitor> {
        let parse = |text: &String| {
            let remedy = "write addresses, not names, in parameters/list";
            text.trim().parse().map_err(|_| UnusableMonitor::new(format!("{text} is no IP address"), remedy))
        };
        Ipw::new(addresses.iter().map(parse).collect::<Result<_, _>>()?)
    }

    /// Watches `addresses`.
    ///
    /// # Errors
    /// The list is empty or too long.
    pub fn new(addresses: Vec<IpAddr>) -> Result<Ipw, UnusableMonitor> {
        if addresses.is_empty() || addresses.len() > icmp::TARGETS_MAX {
            let what = format!("{} addresses to ping", addresses.len());
            return Err(UnusableMonitor {
                what,
                remedy: format!("list 1 to {} addresses in parameters/list", icmp::TARGETS_MAX),
            });
        }
        Ok(Ipw { addresses })
    }
}

impl MonitorDriver for Ipw {
    fn check(&mut self, limit: Duration) -> Result<(), CheckFailed> {
        let answers = icmp::ping_until(&self.addresses, limit.min(ANSWER_LIMIT), |answers| answers.iter().any(Option::is_some))
            .map_err(|error| CheckFailed::error(error.to_string(), "check how the daemon was started"))?;
        if answers.iter().any(Option::is_some) {
            return Ok(());
        }
        let addresses: Vec<String> = self.addresses.iter().map(IpAddr::to_string).collect();
        Err(CheckFailed::error(
            format!("no answer from {}", addresses.join(", ")),
            "check the network between this server and these addresses",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_answer_is_enough_and_none_is_an_error() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        let monitor = |texts: &[&str]| Ipw::new(texts.iter().map(|text| text.parse().expect("address")).collect());
        monitor(&["0.0.0.1", "127.0.0.5"]).expect("monitor").check(Duration::from_secs(20)).expect("one answers");
        let failed =
            monitor(&["0.0.0.1", "0.0.0.2"]).expect("monitor").check(Duration::from_millis(200)).expect_err("none answers");
        assert_eq!(failed.what, "no answer from 0.0.0.1, 0.0.0.2");
        monitor(&[]).expect_err("nothing to ask");
    }
}
