//! miiw: link of a network interface (clp-conf.md section 12).

use crate::section;
use crate::value::Text;

section! {
    /// Parameters of a NIC link monitor.
    pub struct Miiw {
        /// Interface.
        object: Text, path "parameters/object", default "", range 0..=15, apply SuspendMonitor;
    }
}
