//! miiw: tells whether a network interface has a link, at once by the kernel's news and besides by asking.

use super::{CheckFailed, MonitorDriver, UnusableMonitor};
use clp_sys::link::{Carrier, LinkNews, News, carrier};
use std::{
    thread,
    time::{Duration, Instant},
};

/// A NIC link monitor.
#[derive(Debug)]
pub struct Miiw {
    interface: String,
    /// `None` when the kernel refused the subscription: then only asking remains.
    news: Option<LinkNews>,
    last_seen: Option<Carrier>,
}

impl Miiw {
    /// From the configuration.
    pub(super) fn configured(parameters: &clp_config::schema::monitors::miiw::Miiw) -> Result<Miiw, UnusableMonitor> {
        if parameters.object.is_empty() {
            return Err(UnusableMonitor::new("no interface to monitor is named", "name it in parameters/object, as eth0"));
        }
        Ok(Miiw::new(&parameters.object))
    }

    /// Watches `interface`, in the network namespace of the calling thread.
    pub fn new(interface: &str) -> Miiw {
        Miiw { interface: interface.to_string(), news: LinkNews::subscribe().ok(), last_seen: None }
    }
}

impl MonitorDriver for Miiw {
    fn check(&mut self, _limit: Duration) -> Result<(), CheckFailed> {
        let seen = carrier(&self.interface);
        self.last_seen = seen.as_ref().ok().copied();
        match seen {
            Ok(Carrier::Up) => Ok(()),
            Ok(Carrier::NoCarrier) => {
                Err(CheckFailed::error(format!("{} has no link", self.interface), "check the cable and the switch port"))
            }
            Ok(Carrier::SetDown) => {
                Err(CheckFailed::error(format!("{} is set down", self.interface), "set it up (ip link set up)"))
            }
            Err(error) => Err(CheckFailed::error(error.to_string(), "check parameters/object of the monitor")),
        }
    }

    fn hears_events(&self) -> bool {
        true
    }

    fn wait_event(&mut self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            let news = match &mut self.news {
                Some(news) => news.wait(rest),
                None => {
                    thread::sleep(rest);
                    return false;
                }
            };
            match news {
                // Most news are about other interfaces or other matters; after lost ones the state is asked just the same.
                Ok(News::Changed | News::Overrun) if carrier(&self.interface).ok() != self.last_seen => return true,
                Ok(_) => {}
                Err(_) => self.news = LinkNews::subscribe().ok(),
            }
            if rest.is_zero() {
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeats::tests_support::{in_own_network, ip};

    // S-MON-MIIW
    #[test]
    fn a_lost_link_is_told_by_the_kernel_and_seen_by_asking() {
        in_own_network(|| {
            ip("link add a0 type veth peer name b0");
            ip("link set a0 up");
            ip("link set b0 up");
            let mut monitor = Miiw::new("a0");
            let limit = Duration::from_secs(5);
            let mut until = |is_normal: bool| {
                let deadline = Instant::now() + Duration::from_secs(20);
                let mut was_told = false;
                while monitor.check(limit).is_ok() != is_normal {
                    assert!(Instant::now() < deadline, "never normal={is_normal}");
                    was_told |= monitor.wait_event(Duration::from_secs(20));
                }
                was_told
            };
            until(true);
            let cut = thread::spawn(|| {
                thread::sleep(Duration::from_millis(100));
                ip("link set b0 down");
            });
            assert!(until(false), "the kernel's news did not end the wait");
            cut.join().expect("cut");
            ip("link set b0 up");
            until(true);
            // Without news, by asking alone.
            let mut deaf = Miiw { interface: "a0".into(), news: None, last_seen: None };
            deaf.check(limit).expect("up");
            ip("link set b0 down");
            let deadline = Instant::now() + Duration::from_secs(20);
            while deaf.check(limit).is_ok() {
                assert!(Instant::now() < deadline);
                assert!(!deaf.wait_event(Duration::from_millis(20)));
            }
            ip("link set a0 down");
            assert!(monitor.check(limit).expect_err("down").what.contains("set down"));
            assert!(Miiw::new("nosuch0").check(limit).expect_err("unknown").what.contains("nosuch0"));
            // News about another interface do not end the wait.
            monitor.wait_event(Duration::from_millis(300));
            let other = thread::spawn(|| ip("link add c0 type veth peer name d0"));
            assert!(!monitor.wait_event(Duration::from_millis(300)));
            other.join().expect("other");
        });
    }
}
