//! fip: a floating IP address in the servers' own network (clp-conf.md section 10).

use std::net::IpAddr;

use crate::section;
use crate::value::Text;

section! {
    /// Parameters of a floating address.
    pub struct Fip {
        /// The address, or ADDRESS%INTERFACE.
        ip: Text, path "parameters/ip", default "", range 0..=80, apply StopGroup;
    }
}

impl Fip {
    /// The address that clients use; None when it is none (the rules refuse that).
    pub fn address(&self) -> Option<IpAddr> {
        self.ip.split('%').next()?.parse().ok()
    }

    /// The interface that is named behind it.
    pub fn interface(&self) -> Option<&str> {
        self.ip.split_once('%').map(|(_, interface)| interface)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_behind_the_address_is_no_part_of_it() {
        for (text, address, interface) in [
            ("10.0.0.12", Some("10.0.0.12"), None),
            ("10.0.0.12%eth0.100", Some("10.0.0.12"), Some("eth0.100")),
            ("fd09::12%bond0", Some("fd09::12"), Some("bond0")),
            ("10.0.0.12/24", None, None),
            ("%eth0", None, Some("eth0")),
            ("", None, None),
        ] {
            let fip = Fip { ip: text.into() };
            assert_eq!(fip.address(), address.map(|text| text.parse().expect("an address")), "{text}");
            assert_eq!(fip.interface(), interface, "{text}");
        }
    }
}
