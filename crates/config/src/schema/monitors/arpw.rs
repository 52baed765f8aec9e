//! arpw: neighbours are told where a floating address is (clp-conf.md section 12).

use crate::section;
use crate::value::Text;

section! {
    /// Parameters of an ARP monitor.
    pub struct Arpw {
        /// Resource whose address is announced.
        object: Text, path "parameters/object", default "", range 0..=31, apply SuspendMonitor;
    }
}
