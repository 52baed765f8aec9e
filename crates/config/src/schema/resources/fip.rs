//! fip: a floating IP address in the servers' own network (clp-conf.md section 10).

use crate::section;
use crate::value::Text;

section! {
    /// Parameters of a floating address.
    pub struct Fip {
        /// The address, or ADDRESS%INTERFACE.
        ip: Text, path "parameters/ip", default "", range 0..=80, apply StopGroup;
    }
}
